//! `backup` of what lists name.

use crate::environment::{Run, TestEnvironment};

/// What is in the newest snapshot below `src`, whether that was named from / on or not, relative to it.
fn in_snapshot(env: &TestEnvironment) -> Vec<String> {
    let listed = env.ok(&["-q", "ls", "latest"]).stdout;
    let places = [env.text("src/"), "/src/".to_owned()];
    let below = |line: &str| {
        let mut found = places.iter().filter_map(|place| line.strip_prefix(place));
        found.next().map(str::to_owned)
    };
    let mut found: Vec<String> = listed.lines().filter_map(below).collect();
    found.sort();
    found
}

fn with_files(files: &[&str]) -> TestEnvironment {
    let env = TestEnvironment::with_repository();
    for file in files {
        env.write(&format!("src/{file}"), file);
    }
    env
}

#[test]
fn patterns_verbatim_and_raw_with_paths_beside_them() {
    let env = with_files(&["a.c", "b.c", "c.h", "*", " #x", "n\nl", "d/e", "f"]);
    env.write("patterns", "# sources\n\n  src/*.c \r\nsrc/\\*\n");
    env.write("verbatim", format!("src/ #x\n\n{}\n", env.text("src/c.h")));
    env.write("raw", "src/n\nl\0src/d\0");
    env.ok(&["backup", "--files-from", "patterns"]);
    assert_eq!(in_snapshot(&env), ["*", "a.c", "b.c"]);
    env.ok(&["backup", "--files-from-verbatim=verbatim"]);
    assert_eq!(in_snapshot(&env), [" #x", "c.h"]);
    env.ok(&["backup", "--files-from-raw", "raw"]);
    assert!(in_snapshot(&env).contains(&"d/e".into()));
    env.ok(&[
        "backup",
        "src/f",
        "--files-from=patterns",
        "--files-from=patterns",
        "--files-from-verbatim=verbatim",
        "--files-from-raw=raw",
    ]);
    let found = in_snapshot(&env);
    for name in [" #x", "*", "a.c", "b.c", "c.h", "d", "d/e", "f", "n"] {
        assert!(found.contains(&name.into()), "{name:?} in {found:?}");
    }
}

#[test]
fn the_same_list_finds_its_parent() {
    let env = with_files(&["a", "b"]);
    env.write("list", "src/?\n");
    env.ok(&["backup", "--files-from", "list"]);
    let summary = env.json(&["backup", "--files-from", "list"]);
    assert_eq!(summary["files_unmodified"], 2);
}

#[test]
fn standard_input_can_be_a_list() {
    let env = with_files(&["a", "b"]);
    for (flag, list) in [
        ("--files-from", "src/[a]\n"),
        ("--files-from-verbatim", "src/a"),
        ("--files-from-raw", "src/a\0"),
    ] {
        env.run_input(&["backup", flag, "-"], list).expect(0);
        assert_eq!(in_snapshot(&env), ["a"], "{flag}");
    }
    env.run_input(&["backup", "src/b", "--files-from-raw", "-"], "")
        .expect(0);
    assert_eq!(in_snapshot(&env), ["b"]);
    let both = ["backup", "--files-from", "-", "--files-from-raw", "-"];
    env.run_input(&both, "src/a")
        .expect(2)
        .says("more than one list");
    env.run_input(&["backup", "--files-from", "-"], "")
        .expect(1)
        .says("nothing to back up");
}

#[test]
fn a_password_cannot_come_from_a_list() {
    let env = with_files(&["a"]);
    let list = ["backup", "--files-from-verbatim", "-"];
    std::fs::remove_file(env.path("key")).unwrap();
    env.run_input(&list, "src/a\n")
        .expect(2)
        .says("no password was given");
}

#[test]
fn lists_and_streams_contradict_each_other() {
    let env = with_files(&["a"]);
    env.write("list", "src/a\n");
    for flag in ["--files-from", "--files-from-verbatim", "--files-from-raw"] {
        env.run_input(&["backup", "--stdin", flag, "list"], "x")
            .expect(2)
            .says("cannot be used with");
        env.run(&["backup", flag, "list", "--stdin-from-command", "--", "true"])
            .expect(2)
            .says("cannot be used with");
    }
    env.ok(&["snapshots"]).prints("0 snapshots");
}

#[test]
fn lists_that_make_no_sense_are_refused() {
    let env = with_files(&["a"]);
    let refused = |flag: &str, content: &str, says: &str| {
        env.write("list", content);
        env.run(&["backup", "src", flag, "list"])
            .expect(1)
            .says(says);
    };
    env.write("list", "src/a\nsrc/[\n");
    env.run(&["backup", "src", "--files-from", "list"])
        .expect(2)
        .says("list, line 2");
    refused("--files-from-raw", "src/a", "cut off");
    refused("--files-from-raw", "src/a\0\0", "empty");
    refused("--files-from-verbatim", &"a/".repeat(3000), "4096");
    env.write("utf16", b"\xff\xfea");
    env.run(&["backup", "src", "--files-from", "utf16"])
        .expect(1)
        .says("UTF-16");
    env.run(&["backup", "src", "--files-from", "none"])
        .expect(1)
        .says("none")
        .says("no such file")
        .says("look at how it is spelled");
    env.run(&["backup", "--files-from-raw", "src"])
        .expect(1)
        .says("directory");
    env.run(&["backup"]).expect(2);
    env.ok(&["snapshots"]).prints("0 snapshots");
}

#[test]
fn what_is_not_there_is_said() {
    let env = with_files(&["a"]);
    env.write("list", "src/a\nsrc/none\n");
    for flag in ["--files-from", "--files-from-verbatim"] {
        env.run(&["backup", flag, "list"])
            .expect(3)
            .says("src/none");
        assert_eq!(in_snapshot(&env), ["a"]);
    }
    // A pattern that matches nothing is passed over, as with restic.
    env.write("list", "src/a\nsrc/*.none\n");
    env.ok(&["backup", "--files-from", "list"])
        .says("list, line 2: nothing matches src/*.none");
    let many: Vec<String> = (0..100).map(|n| format!("none/{n}\n")).collect();
    env.write("list", many.concat());
    let run = env.run(&["backup", "--files-from", "list"]).expect(1);
    let run = run.says("none/0").says("and more");
    assert!(run.stderr.len() < 1000, "{run:?}");
    env.run(&["backup", "--files-from", "nope"])
        .expect(1)
        .says("cannot read nope: no such file or directory\nA flag names this file");
}

#[test]
fn patterns_leave_out_what_lists_name() {
    let env = with_files(&["a.iso", "b", "c/d.iso"]);
    env.write("list", "src/a.iso\nsrc/b\nsrc/c\n");
    let backup = ["backup", "--files-from-verbatim", "list", "-e", "*.iso"];
    let summary = env.json(&backup);
    assert_eq!(summary["excluded_count"], 2);
    assert_eq!(in_snapshot(&env), ["b", "c"]);
    // What is named on the command line was asked for.
    env.ok(&[&backup[..], &["src/a.iso"]].concat());
    assert_eq!(in_snapshot(&env), ["a.iso", "b", "c"]);
    env.write("list", "src/a.iso\n");
    env.run(&backup).expect(1).says("nothing to back up");
}

#[test]
fn names_that_are_not_utf8_can_be_listed() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let env = TestEnvironment::with_repository();
    std::fs::create_dir(env.path("src")).unwrap();
    for name in [&b"a\xff"[..], b"b\xff"] {
        std::fs::write(env.path("src").join(OsStr::from_bytes(name)), b"x").unwrap();
    }
    let count = |run: Run| run.messages().pop().unwrap()["total_files_processed"].clone();
    for (flag, list) in [
        ("--files-from", &b"src/[ab]\xff\n"[..]),
        ("--files-from-verbatim", b"src/a\xff\nsrc/b\xff"),
        ("--files-from-raw", b"src/a\xff\0src/b\xff\0"),
    ] {
        let run = env.run_input(&["--json", "backup", flag, "-"], list);
        assert_eq!(count(run.expect(0)), 2, "{flag}");
    }
}
