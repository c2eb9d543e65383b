//! `backup`: what counts as changed, what is compared with what, and what is recorded of it.

use crate::environment::{Run, TestEnvironment, noise};
use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime};

#[test]
fn an_unchanged_source_makes_no_snapshot_if_that_is_asked_for() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let first = env.backup(&[&source, "--skip-if-unchanged"]);
    // The directory above changes.
    env.write("beside", "x");
    env.ok(&["backup", "--skip-if-unchanged", &source])
        .prints("skipped creating snapshot\n");
    let summary = env.json(&["backup", "--skip-if-unchanged", &source]);
    assert!(summary.get("snapshot_id").is_none(), "{summary}");
    assert_eq!(summary["files_unmodified"], 4);
    assert_eq!(summary["data_added"], 0);
    env.ok(&["backup", "-n", "--skip-if-unchanged", &source])
        .prints("no snapshot would be made");
    env.ok(&["snapshots"]).prints("1 snapshot\n");
    env.write("src/sub/new", "x");
    let second = env.backup(&[&source, "--skip-if-unchanged"]);
    assert_ne!(first, second);
    env.ok(&["check", "--read-data"]);
}

#[test]
fn relative_paths_are_skipped_too() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    for (path, dir) in [("src", "."), (".", "src"), ("sub", "src")] {
        let back_up = || {
            let flags = ["--json", "backup", "--skip-if-unchanged", path];
            let output = env.command(&flags).current_dir(env.path(dir)).output();
            let summary = Run::of(output.unwrap()).expect(0).messages().pop().unwrap();
            summary.get("snapshot_id").is_some()
        };
        assert!(back_up(), "{path} in {dir}");
        assert!(!back_up(), "{path} in {dir}");
        env.write("beside", path);
        assert!(!back_up(), "{path} in {dir}");
        env.write("src/sub/new", path);
        assert!(back_up(), "{path} in {dir}");
    }
}

/// An empty snapshot would be the newest, and what a policy keeps.
#[test]
fn nothing_at_all_makes_no_snapshot() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    std::fs::create_dir(env.path("empty")).unwrap();
    let back_up = |dir, flags: &[&str]| {
        let mut command = env.command(&[&["backup", "."], flags].concat());
        Run::of(command.current_dir(env.path(dir)).output().unwrap())
    };
    let says = "it holds nothing, and would be the newest snapshot";
    back_up("empty", &[]).expect(1).says(says);
    back_up("src", &["--exclude", "*"]).expect(1).says(says);
    assert_eq!(env.json(&["snapshots"]), serde_json::json!([]));
    back_up("src", &[]).expect(0);
}

#[test]
fn a_problem_is_one_though_nothing_changed() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.run(&["backup", &source, "absent"]).expect(3);
    let run = env.run(&["backup", "--skip-if-unchanged", &source, "absent"]);
    run.expect(3)
        .prints("skipped creating snapshot")
        .says("absent");
}

#[test]
fn ctimes_and_inodes_can_be_passed_over() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[&source]);
    let path = env.path("src/b.bin");
    let copy = env.path("src/copy");
    let time = path.metadata().unwrap().modified().unwrap();
    std::fs::copy(&path, &copy).unwrap();
    std::fs::rename(&copy, &path).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
    for (flags, unmodified) in [
        (&["--ignore-inode"][..], 4),
        (&["--ignore-ctime", "--ignore-inode"], 4),
        (&["--ignore-ctime"], 3),
        (&[], 3),
    ] {
        let summary = env.json(&[&["backup", "-n", &source], flags].concat());
        assert_eq!(summary["files_unmodified"], unmodified, "{flags:?}");
    }
}

#[test]
fn when_files_were_read_is_recorded_on_demand() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = File::options()
        .write(true)
        .open(env.path("src/a.txt"))
        .unwrap();
    file.set_times(FileTimes::new().set_accessed(time)).unwrap();
    let atime = || {
        let listed = env.ok(&["--json", "ls", "latest"]).messages();
        let is_a = |node: &&serde_json::Value| node["name"] == "a.txt";
        let node = listed.iter().find(is_a).unwrap();
        node["atime"].as_str().unwrap().to_owned()
    };
    env.backup(&[&source]);
    assert!(
        *atime() > *"2001-09-09T01:46:40Z",
        "not recorded: the time of the content"
    );
    env.backup(&["--with-atime", &source]);
    assert_eq!(atime(), "2001-09-09T01:46:40Z");
}

#[test]
fn parents_are_looked_for_in_a_group() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let sub = env.text("src/sub");
    let first = env.backup(&[&source, "--tag", "a", "--label", "l"]);
    let parent = |arguments: &[&str]| {
        let run = env.ok(&[&["backup", "-n"], arguments].concat());
        match run.stdout.split_once("using parent snapshot ") {
            Some((_, id)) => Some(id[..8].to_owned()),
            None => {
                run.prints("no parent snapshot found");
                None
            }
        }
    };
    let found = Some(first[..8].to_owned());
    assert_eq!(parent(&[&sub]), None);
    assert_eq!(parent(&[&sub, "--group-by", "host"]), found);
    assert_eq!(parent(&[&sub, "-g", ""]), found);
    assert_eq!(parent(&[&source, "--host", "other"]), None);
    assert_eq!(parent(&[&source, "--host", "other", "-g", "paths"]), found);
    assert_eq!(parent(&[&source, "-g", "host,tags"]), None);
    assert_eq!(parent(&[&source, "-g", "host,tag", "--tag", "a"]), found);
    assert_eq!(parent(&[&source, "-g", "label", "--label", "l"]), found);
    for wrong in ["hosts,users", "x", "host;paths"] {
        let run = env.run(&["backup", &source, "--group-by", wrong]);
        run.expect(2).says("--group-by").says("is none of");
    }
}

#[test]
fn compression_and_packs_are_asked_for_by_flag_or_environment() {
    let env = TestEnvironment::with_repository();
    // No line is like another one, so that no chunk is: by chance those of a text that repeats itself would be.
    let text: Vec<u8> = (0..120_000u32)
        .flat_map(|n| format!("{n:07} the same words in every line of this file\n").into_bytes())
        .collect();
    env.write("text", &text);
    let stored = |arguments: &[&str], variables: &[(&str, &str)]| {
        let first = [
            "--json",
            "backup",
            "-r",
            "other",
            "--init",
            "--insecure-no-password",
            "text",
        ];
        let _ = std::fs::remove_dir_all(env.path("other"));
        let run = env
            .run_with(&[&first[..], arguments].concat(), variables)
            .expect(0);
        let summary = run.messages().pop().unwrap();
        let packs = env.files("other/data").len();
        (summary["data_added_packed"].as_u64().unwrap(), packs)
    };
    let len = text.len() as u64;
    assert!(stored(&["--compression", "off"], &[]).0 >= len);
    assert!(stored(&[], &[("RESTIC_COMPRESSION", "off")]).0 >= len);
    let auto = stored(&["--compression", "auto"], &[("LARDER_COMPRESSION", "off")]).0;
    assert!(auto < len / 4, "{auto} of {len}");
    assert!(stored(&["--compression=max"], &[]).0 <= auto);
    env.write("noise", noise(40_000_000, 3));
    assert!(stored(&["noise", "--pack-size", "1"], &[]).1 > 2);
    // Blocks are dealt to two packs.
    assert!(stored(&["noise"], &[("LARDER_PACK_SIZE", "128")]).1 <= 2);
    env.ok(&[
        "check",
        "--read-data",
        "-r",
        "other",
        "--insecure-no-password",
    ]);
}

#[test]
fn wrong_numbers_and_modes_are_refused_before_anything_is_done() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    for (flag, value) in [
        ("--compression", "best"),
        ("--pack-size", "257"),
        ("--pack-size", "x"),
        ("--read-concurrency", "257"),
        ("--read-concurrency", "two"),
        ("--isolate", "a[b"),
    ] {
        let run = env
            .run(&["backup", &source, flag, value])
            .expect(2)
            .says(flag);
        assert!(run.stderr.lines().count() == 2, "{run:?}");
    }
    for (variable, value) in [
        ("RESTIC_COMPRESSION", "best"),
        ("LARDER_PACK_SIZE", "0x10"),
        ("RESTIC_READ_CONCURRENCY", "-1"),
    ] {
        let run = env.run_with(&["backup", &source], &[(variable, value)]);
        run.expect(2)
            .says(&format!("${variable} cannot be `{value}`"));
    }
    env.ok(&["snapshots"]).prints("0 snapshots");
}

#[test]
fn readers_and_isolation_change_nothing_of_what_is_restored() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let flags = [
        "--read-concurrency",
        "3",
        "--isolate",
        "*.txt",
        "--isolate",
        "/nowhere",
    ];
    env.backup(&[&[source.as_str()], &flags[..]].concat());
    env.ok(&["restore", &format!("latest:{source}"), "--target", "out"]);
    for name in ["a.txt", "b.bin", "sub/c.txt"] {
        let restored = std::fs::read(env.path("out").join(name)).unwrap();
        assert!(
            restored == std::fs::read(env.path("src").join(name)).unwrap(),
            "{name}"
        );
    }
    env.run_with(
        &["backup", &source, "--force"],
        &[("RESTIC_READ_CONCURRENCY", "9")],
    )
    .expect(0);
    env.ok(&["backup", &source, "--no-extra-verify"]);
    env.ok(&["check", "--read-data"]);
}

/// The lines that name items, without how long they took.
fn named(text: &str) -> Vec<String> {
    let names_one = |line: &&str| {
        ["new ", "modified ", "unchanged "]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let lines = text.lines().filter(names_one);
    let without_time = |line: &str| match line.split_once(", saved in ") {
        Some((item, rest)) => format!("{item} ({}", rest.split_once('(').unwrap().1),
        None => line.to_owned(),
    };
    lines.map(without_time).collect()
}

#[test]
fn items_are_listed_for_who_wants_to_see_them() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let new: Vec<String> = [
        "/a.txt (6 B added)",
        "/b.bin (292.969 KiB added)",
        "/link (0 B added)",
        "/sub/c.txt (6 B added)",
    ]
    .iter()
    .map(|line| format!("new       {source}{line}"))
    .collect();
    for run in [
        env.ok(&["-v", "backup", "-n", &source]),
        env.ok(&["-vv", "backup", "-n", &source]),
        env.ok(&["--verbose=2", "backup", &source]),
    ] {
        let lines = named(&run.stdout);
        for line in &new {
            assert!(lines.contains(line), "{line} is missing in {lines:?}");
        }
        let dir = format!("new       {source}/sub/ (0 B added, ");
        assert!(lines.iter().any(|line| line.starts_with(&dir)), "{lines:?}");
        // What is backed up at once may be done before everything is counted.
        let scanned = run.stdout.contains("scan finished in ");
        assert!(
            !scanned || run.stdout.contains(": 4 files, 292.980 KiB\n"),
            "{run:?}"
        );
    }
    env.write("src/a.txt", "changed\n");
    let changes = [format!("modified  {source}/a.txt (8 B added)")];
    let all = env.ok(&["-vv", "backup", "-n", &source]);
    assert!(
        all.stdout
            .contains(&format!("unchanged {source}/sub/c.txt\n")),
        "{all:?}"
    );
    assert!(all.stdout.contains(&format!("unchanged {source}/sub/\n")));
    let some = named(&env.ok(&["-v", "backup", "-n", &source]).stdout);
    assert!(
        some.contains(&changes[0]) && !some.iter().any(|line| line.starts_with("unch")),
        "{some:?}"
    );
    for quieter in [
        &["-v", "backup", &source][..],
        &["backup", "-n", &source],
        &["-q", "backup", &source],
    ] {
        assert!(named(&env.ok(quieter).stdout).is_empty(), "{quieter:?}");
    }
}

#[test]
fn items_are_told_to_programs_with_the_fields_of_restic() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let messages = env.ok(&["--json", "-v", "backup", &source]).messages();
    let told: Vec<_> = messages
        .iter()
        .filter(|m| m["message_type"] == "verbose_status")
        .collect();
    let of = |item: &str| {
        *told
            .iter()
            .find(|m| m["item"] == *format!("{source}{item}"))
            .unwrap()
    };
    let file = of("/b.bin");
    assert_eq!(
        (&file["action"], &file["data_size"]),
        (&"new".into(), &300_000.into())
    );
    assert!(file["duration"].is_f64());
    for field in ["metadata_size", "total_files"] {
        assert_eq!(file[field], 0, "{field}");
    }
    // What is not known is not said to be nothing.
    for field in ["data_size_in_repo", "metadata_size_in_repo"] {
        assert!(file.get(field).is_none(), "{field}");
    }
    assert!(of("/sub/")["metadata_size"].as_u64().unwrap() > 0);
    let scan = told
        .iter()
        .find(|m| m["action"] == "scan_finished")
        .unwrap();
    assert_eq!(
        (&scan["total_files"], &scan["item"]),
        (&4.into(), &"".into())
    );
    assert!(scan["data_size"].as_u64().unwrap() >= 300_012);
    let unchanged = env
        .ok(&["--json", "-vv", "backup", "--no-scan", &source])
        .messages();
    assert!(unchanged.iter().any(|m| m["action"] == "unchanged"));
    assert!(!unchanged.iter().any(|m| m["action"] == "scan_finished"));
    let silent = env.ok(&["--json", "backup", &source]).messages();
    assert!(silent.iter().all(|m| m["message_type"] != "verbose_status"));
}

#[test]
fn a_directory_that_cannot_be_read_is_no_file() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let env = TestEnvironment::new();
    let mode = |name: &str, mode| {
        std::fs::set_permissions(env.path(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    for name in ["", "repo", "home", "cache", "state", "src", "src/closed"] {
        std::fs::create_dir_all(env.path(name)).unwrap();
        std::os::unix::fs::chown(env.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    env.write("src/file", "content");
    mode("", 0o755);
    mode("src/closed", 0);
    let run = |arguments: &[&str]| {
        let arguments = [arguments, &["--insecure-no-password", "--json"]].concat();
        let mut command = env.command(&arguments);
        Run::of(command.uid(NOBODY).gid(NOBODY).output().unwrap())
    };
    run(&["init"]).expect(0);
    let counted = || {
        let summary = run(&["backup", "src"]).expect(3).messages().pop().unwrap();
        let names = [
            "files_new",
            "files_unmodified",
            "total_files_processed",
            "dirs_new",
            "dirs_changed",
        ];
        names.map(|name| summary[name].as_u64().unwrap())
    };
    let first = counted();
    assert_eq!(first[..3], [1, 0, 1]);
    assert_eq!(counted(), [0, 1, 1, 0, 0]);
    mode("src/closed", 0o755);
}
