//! What `backup` leaves out, as flags say it.

use crate::environment::TestEnvironment;
use std::process::Command;

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

/// Backs `src` up with these flags; gives what was taken.
#[track_caller]
fn taken(env: &TestEnvironment, flags: &[&str]) -> Vec<String> {
    env.ok(&[&["backup", "src"], flags].concat());
    in_snapshot(env)
}

fn with_files(files: &[&str]) -> TestEnvironment {
    let env = TestEnvironment::with_repository();
    for file in files {
        env.write(&format!("src/{file}"), file);
    }
    env
}

#[test]
fn patterns_on_the_command_line() {
    let env = with_files(&["a.c", "a.o", "Cache/x", "sub/b.o", "sub/c", "{x,y}"]);
    let all = [
        "Cache", "Cache/x", "a.c", "a.o", "sub", "sub/b.o", "sub/c", "{x,y}",
    ];
    assert_eq!(
        taken(&env, &["-e", "cache", "--exclude=x"]),
        ["Cache", "a.c", "a.o", "sub", "sub/b.o", "sub/c", "{x,y}"]
    );
    assert_eq!(
        taken(&env, &["-e", "*.o", "--iexclude", "CACHE"]),
        ["a.c", "sub", "sub/c", "{x,y}"]
    );
    assert_eq!(
        taken(&env, &["-e", "*.o", "-e", "!b.?", "-e", "{x,y}"]),
        ["Cache", "Cache/x", "a.c", "sub", "sub/b.o", "sub/c"]
    );
    let sub = format!("--exclude={}", env.text("src/sub"));
    assert_eq!(
        taken(&env, &[&sub, "-e", "src/*.c"]),
        ["Cache", "Cache/x", "a.o", "{x,y}"]
    );
    // The path itself was asked for; what a pattern means below it was not.
    assert_eq!(taken(&env, &["-e", "src"]), all);
    assert_eq!(taken(&env, &["-e", ""]), all);
    let below = env.text("src/**");
    for pattern in ["src/**", &below, "/", "/**", "src/*"] {
        assert_eq!(taken(&env, &["-e", pattern]), [""; 0], "{pattern}");
    }
}

#[test]
fn what_was_left_out_is_counted() {
    let env = with_files(&["a.o", "b.o", "c"]);
    let run = env.ok(&[
        "backup",
        "src",
        "-v",
        "-e",
        "*.o",
        "--exclude-larger-than",
        "0",
    ]);
    run.prints("Excluded:        3 entries");
    let summary = env.json(&["backup", "src", "-e", "*.o"]);
    assert_eq!(summary["excluded_count"], 2);
    assert_eq!(summary["total_files_processed"], 1);
    assert_eq!(env.json(&["backup", "src"])["excluded_count"], 0);
}

#[test]
fn patterns_in_files() {
    let env = with_files(&["a.c", "a.o", "b.o", "$x", "bob/y", " z ", "d/LOG"]);
    env.write(
        "list",
        "\u{feff}# objects\r\n\n  *.o  \r\n!b.o\n$$x\n${WHO}\n",
    );
    env.write("ilist", "log\n");
    let backup = [
        "backup",
        "src",
        "--exclude-file",
        "list",
        "--iexclude-file",
        "ilist",
    ];
    env.run_with(&backup, &[("WHO", "bob")]).expect(0);
    assert_eq!(in_snapshot(&env), [" z ", "a.c", "b.o", "d"]);

    // A variable that is not set could turn a pattern into one that means everything.
    env.write("list", "$NOWHERE/a.o\n");
    let run = env.ok(&backup).says("list, line 1: $NOWHERE is not set");
    assert!(run.stderr.starts_with("warning:"), "{run:?}");
}

#[test]
fn bad_patterns_and_files_are_refused() {
    let env = with_files(&["a"]);
    let refused = |flags: &[&str], code: i32, says: &[&str]| {
        let mut run = env.run(&[&["backup", "src"], flags].concat()).expect(code);
        for text in says {
            run = run.says(text);
        }
    };
    refused(&["-e", "a["], 2, &["a[", "`[` is not closed"]);
    refused(
        &["--iexclude", "a\\"],
        2,
        &["--iexclude", "nothing follows"],
    );
    env.write("list", "fine\n\n#\n[x-]\n");
    refused(
        &["--exclude-file", "list"],
        2,
        &["list, line 4", "[x-]", "ends with a `-`"],
    );
    refused(&["--iexclude-file", "list"], 2, &["list, line 4"]);
    let says = ["none", "no such file", "look at how it is spelled"];
    refused(&["--exclude-file", "none"], 1, &says);
    refused(&["--exclude-file", "src"], 1, &["src", "directory"]);
    refused(&["--exclude-larger-than", "1X"], 2, &["1X", "units"]);
    refused(&["--exclude-larger-than", ""], 2, &["whole number"]);
    refused(
        &["--exclude-if-present", ":x"],
        2,
        &["not a plain file name"],
    );
    refused(
        &["--exclude-if-present", "a/b"],
        2,
        &["not a plain file name"],
    );
    refused(
        &["--ignore-file", "a/.gitignore"],
        2,
        &["not a plain file name"],
    );
    env.ok(&["snapshots"]).prints("0 snapshots");

    let run = env.run(&["--json", "backup", "src", "--exclude-file", "list"]);
    let error = run.expect(2).errors().pop().unwrap();
    assert_eq!(error["message_type"], "exit_error");
    assert!(
        error["message"].as_str().unwrap().contains("list, line 4"),
        "{error}"
    );
}

#[test]
fn markers_sizes_and_ignore_files() {
    let env = with_files(&[
        "cache/x",
        "other/y",
        "other/.nobackup",
        "p/a.o",
        "p/b",
        "p/.gitignore/x",
    ]);
    env.write(
        "src/cache/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55",
    );
    env.write("src/large", vec![1; 1025]);
    env.write("src/.gitignore", "*.o\n");
    let flags = [
        "--exclude-caches",
        "--exclude-if-present=.nobackup:other",
        "--exclude-larger-than=1k",
        "--ignore-file=.gitignore",
    ];
    assert_eq!(
        taken(&env, &flags),
        [
            ".gitignore",
            "cache",
            "cache/CACHEDIR.TAG",
            "other",
            "other/.nobackup",
            "p",
            "p/.gitignore",
            "p/.gitignore/x",
            "p/b"
        ]
    );
    // One that does not begin so is no marker, which is worth a word and no failure.
    let run = env.ok(&[
        "--json",
        "backup",
        "src",
        "--exclude-if-present=.nobackup:else",
    ]);
    let warning = run.errors().pop().unwrap();
    assert_eq!(warning["message_type"], "warning");
    let text = warning["message"].as_str().unwrap();
    assert!(
        text.contains("src/other/.nobackup: does not begin"),
        "{text}"
    );
    assert!(in_snapshot(&env).contains(&"other/y".into()));
}

#[test]
fn other_file_systems_are_left_out() {
    let env = with_files(&["a", "mnt/below", "mnt2/below"]);
    let mount = "mount -t tmpfs none src/mnt; mkdir src/mnt/d; echo x > src/mnt/f; \
                 mount -t tmpfs none src/mnt2; mkdir src/mnt2/e; ";
    let run = |command: &str| {
        let larder = env.command(&[]);
        let script = format!("{mount} {command}");
        let mut shell = Command::new("unshare");
        shell
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-ec",
                &script,
                "sh",
            ])
            .arg(larder.get_program())
            .current_dir(env.path(""))
            .envs(
                larder
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        shell.output().unwrap()
    };
    if !run("true").status.success() {
        // Where nobody may mount anything, nothing can be shown.
        return;
    }
    let taken = |arguments: &str| {
        let done = run(&format!("\"$1\" backup {arguments}"));
        assert!(done.status.success(), "{done:?}");
        in_snapshot(&env)
    };
    let all = ["a", "mnt", "mnt/d", "mnt/f", "mnt2", "mnt2/e"];
    assert_eq!(taken("src"), all);
    assert_eq!(taken("-x src"), ["a", "mnt", "mnt2"]);
    assert_eq!(
        taken("--one-file-system src src/mnt"),
        ["a", "mnt", "mnt/d", "mnt/f", "mnt2"]
    );
    assert_eq!(taken("-x src src/mnt2/e -e a"), ["mnt", "mnt2", "mnt2/e"]);
    assert_eq!(taken("-x src"), ["a", "mnt", "mnt2"]);
}

/// The system reads `link/../file` beside what the link names, restic stores it as `file`.
#[test]
fn a_path_that_backs_out_of_a_link_is_refused() {
    let env = with_files(&["sub/deep/file", "sub/file"]);
    env.write("src/file", "another one");
    std::os::unix::fs::symlink("sub/deep", env.path("src/link")).unwrap();
    let why = "link; give the path that is meant without it";
    env.run(&["backup", "src/link/../file"]).expect(1).says(why);
    env.write("list", "src/link/../deep/file\n");
    env.run(&["backup", "--files-from-verbatim", "list"])
        .expect(1)
        .says(why);
    assert_eq!(env.json(&["snapshots"]), serde_json::json!([]));
    env.ok(&["backup", "src/sub/../file"]);
    assert_eq!(in_snapshot(&env), ["file"]);
}
