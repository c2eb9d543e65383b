//! `restore` over what is there: what is said and counted, what is removed, what is read back.

use crate::environment::{TestEnvironment, assert_same_entries, noise};
use serde_json::Value;
use std::fs;

/// A repository with a snapshot of `src`, and that restored to `out`.
fn restored() -> (TestEnvironment, String) {
    let env = TestEnvironment::with_repository();
    env.write_source();
    let what = "latest:/src".to_owned();
    env.backup(&["src"]);
    env.ok(&["restore", &what, "-t", "out"]);
    (env, what)
}

/// What became of the items, as `action item`, sorted.
fn items(messages: &[Value]) -> Vec<String> {
    let of = |message: &Value| message["message_type"] == "verbose_status";
    let text = |message: &Value| {
        assert!(message["size"].is_u64(), "{message}");
        format!(
            "{} {}",
            message["action"].as_str().unwrap(),
            message["item"].as_str().unwrap()
        )
    };
    let found = messages.iter().filter(|message| of(message));
    let mut found: Vec<String> = found.map(text).collect();
    found.sort();
    found
}

#[test]
fn every_item_is_named_as_by_restic() {
    let (env, what) = restored();
    fs::write(env.path("out/a.txt"), "changed").unwrap();
    fs::remove_dir_all(env.path("out/sub")).unwrap();
    env.write("out/more/deep/file", "x");
    let flags = ["restore", &what, "-t", "out", "--delete"];
    let lines = |more: &[&str]| {
        let run = env.ok(&[&flags[..], more].concat());
        let mut lines: Vec<String> = run.stdout.lines().map(str::to_owned).collect();
        let summary = lines.pop().unwrap();
        lines.remove(0);
        lines.sort();
        (lines, summary)
    };
    let would = [
        "would delete  /more",
        "would delete  /more/deep",
        "would delete  /more/deep/file",
        "would restore /sub",
        "would restore /sub/c.txt with size 6 B",
        "would update  /a.txt with size 6 B",
    ];
    let (changed, _) = lines(&["--dry-run", "-v"]);
    assert_eq!(changed, would);
    let (all, summary) = lines(&["--dry-run", "-vv"]);
    let unchanged = [
        "unchanged     /b.bin with size 292.969 KiB",
        "unchanged     /link",
    ];
    let mut expected = [&would[..], &unchanged].concat();
    expected.sort();
    assert_eq!(all, expected);
    let numbers =
        "3 files/dirs (12 B) in 0:00, skipped 2 files/dirs 292.969 KiB, would delete 3 files/dirs";
    assert_eq!(summary, format!("Summary: Would restore {numbers}"));
    assert!(env.path("out/more/deep/file").exists());
    assert_eq!(lines(&["-v"]).0, [""; 0], "as with restic");
    assert_same_entries(&env.path("src"), &env.path("out"));
    fs::write(env.path("out/a.txt"), "changed").unwrap();
    let messages = env
        .ok(&[&["--json", "-vv"], &flags[..]].concat())
        .messages();
    let said = [
        "restored /sub",
        "unchanged /b.bin",
        "unchanged /link",
        "unchanged /sub/c.txt",
        "updated /a.txt",
    ];
    assert_eq!(items(&messages), said);
    let summary = messages.last().unwrap();
    for (field, number) in [
        ("total_files", 2),
        ("files_restored", 2),
        ("files_skipped", 3),
        ("files_deleted", 0),
        ("total_bytes", 6),
        ("bytes_restored", 6),
        ("bytes_skipped", 300_006),
        ("error_count", 0),
    ] {
        assert_eq!(summary[field], number, "{field} in {summary}");
    }
}

#[test]
fn policies_keep_what_they_say() {
    let (env, what) = restored();
    for (policy, content) in [
        ("never", "mine"),
        ("if-newer", "mine"),
        ("if-changed", "alpha\n"),
    ] {
        fs::write(env.path("out/a.txt"), "mine").unwrap();
        let summary = env.json(&["restore", &what, "-t", "out", "--overwrite", policy]);
        let there = fs::read_to_string(env.path("out/a.txt")).unwrap();
        assert_eq!(there, content, "{policy}");
        let skipped = if content == "mine" { 4 } else { 3 };
        assert_eq!(summary["files_skipped"], skipped, "{policy}");
    }
    fs::write(env.path("out/a.txt"), "mine").unwrap();
    env.ok(&["restore", &what, "-t", "out"]);
    assert_same_entries(&env.path("src"), &env.path("out"));
}

#[test]
fn nothing_goes_that_is_in_use() {
    let env = TestEnvironment::new();
    env.write("all/data/file", "x");
    for dir in ["all/repo", "all/cache", "all/state"] {
        fs::create_dir_all(env.path(dir)).unwrap();
    }
    let (repo, file) = (env.text("all/repo"), env.text("all/key"));
    let dirs = [
        ("XDG_CACHE_HOME", env.text("all/cache")),
        ("XDG_STATE_HOME", env.text("all/state")),
    ];
    let variables: Vec<(&str, &str)> = dirs
        .iter()
        .map(|(name, dir)| (*name, dir.as_str()))
        .collect();
    let run = |arguments: &[&str]| {
        let key = if arguments[0] == "init" {
            "--new-key-file"
        } else {
            "--key-file"
        };
        let arguments = [arguments, &["-r", &repo, key, &file]].concat();
        env.run_with(&arguments, &variables)
    };
    run(&["init"]).expect(0);
    run(&["backup", "all/data"]).expect(0);
    env.write("all/surplus", "x");
    let what = "latest:/all".to_owned();
    let done = run(&["restore", &what, "-t", "all", "--delete"]).expect(3);
    for name in ["repo", "key", "cache/larder", "state/larder"] {
        assert!(
            done.stderr.contains(&format!(
                "{name} is not removed: this command works with it"
            )),
            "{name}: {done:#?}"
        );
    }
    assert!(!env.path("all/surplus").exists() && env.path("all/key").exists());
    run(&["check", "--read-data"]).expect(0);
}

#[test]
fn a_restore_reads_back_what_it_wrote() {
    let (env, what) = restored();
    let run = env.ok(&["restore", &what, "-t", "new", "--verify"]);
    run.prints("verifying files in the target\n")
        .prints("finished verifying 3 files in new\n");
    let path = env.path("out/a.txt");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "wrong\n").unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let flags = ["restore", &what, "-t", "out", "--overwrite", "if-changed"];
    env.ok(&flags);
    let run = env.run(&[&flags[..], &["--verify"]].concat()).expect(3);
    run.says("error: /a.txt is damaged at byte 0: read back: not what the snapshot holds");
    let errors = env
        .run(&[&["--json"], &flags[..], &["--verify"]].concat())
        .expect(3)
        .errors();
    assert_eq!(
        (&errors[0]["during"], &errors[0]["item"]),
        (&"restore".into(), &"/a.txt".into())
    );
}

#[test]
fn a_restore_that_was_killed_goes_on() {
    let env = TestEnvironment::with_repository();
    env.write("src/large", noise(60_000_000, 3));
    env.write("src/small", "x");
    let what = "latest:/src".to_owned();
    env.backup(&["src"]);
    let mut child = env.start(&["restore", &what, "-t", "out"]);
    while !env.path("out/large").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    env.ok(&["restore", &what, "-t", "out", "--verify"]);
    assert_same_entries(&env.path("src"), &env.path("out"));
    let summary = env.json(&["restore", &what, "-t", "out"]);
    assert_eq!(
        (&summary["bytes_restored"], &summary["bytes_skipped"]),
        (&0.into(), &60_000_001.into())
    );
}

#[test]
fn zeros_become_holes_on_request() {
    use std::os::unix::fs::MetadataExt;
    let env = TestEnvironment::with_repository();
    env.write("src/zeros", vec![0; 4 << 20]);
    let what = "latest:/src".to_owned();
    env.backup(&["src"]);
    let blocks = |target: &str| {
        fs::metadata(env.path(target).join("zeros"))
            .unwrap()
            .blocks()
    };
    env.ok(&["restore", &what, "-t", "dense"]);
    env.ok(&["restore", &what, "-t", "sparse", "--sparse"]);
    assert!(blocks("dense") * 512 >= 4 << 20 && blocks("sparse") == 0);
    env.ok(&["restore", &what, "-t", "dense", "--sparse"]);
    assert_eq!(blocks("dense"), 0);
    assert_same_entries(&env.path("src"), &env.path("dense"));
}

#[test]
fn what_contradicts_itself_is_a_usage_error() {
    let (env, what) = restored();
    let flags: [&[&str]; 9] = [
        &["--dry-run", "--verify"],
        &["--overwrite", "sometimes"],
        &["--include", "a", "--exclude", "b"],
        &["--iinclude", "a", "--exclude-file", "b"],
        &["--include-file", "a", "--iexclude", "b"],
        &["--include-xattr", "user.*", "--exclude-xattr", "user.x"],
        &["--no-owner", "--ownership-by-name"],
        &["--include", "["],
        &["--exclude-xattr", "user.["],
    ];
    for flags in flags {
        let run = env.run(&[&["restore", &what, "-t", "none"], flags].concat());
        assert!(
            run.code == 2 && !run.stderr.is_empty(),
            "{flags:?}: {run:?}"
        );
    }
    let run = env
        .run(&["restore", &what, "-t", "/../", "--delete"])
        .expect(2);
    run.says("--delete with the target /");
    assert!(!env.path("none").exists());
}

/// A restore that was killed leaves the file that it was writing with permissions that no file has.
#[test]
fn what_was_begun_is_finished_whatever_is_to_be_kept() {
    use std::os::unix::fs::PermissionsExt;
    for policy in ["never", "if-newer", "if-changed", "always"] {
        let (env, what) = restored();
        let begun = env.path("out/b.bin");
        fs::write(&begun, vec![0; 300_000]).unwrap();
        fs::set_permissions(&begun, fs::Permissions::from_mode(0o1600)).unwrap();
        let kept = env.path("out/a.txt");
        fs::write(&kept, "newer").unwrap();
        env.ok(&["restore", &what, "-t", "out", "--overwrite", policy]);
        assert!(fs::read(&begun).unwrap() == fs::read(env.path("src/b.bin")).unwrap());
        let mode = fs::metadata(&begun).unwrap().permissions().mode();
        assert_eq!(
            mode,
            fs::metadata(env.path("src/b.bin"))
                .unwrap()
                .permissions()
                .mode()
        );
        let stays = matches!(policy, "never" | "if-newer");
        assert_eq!(fs::read(&kept).unwrap() == b"newer", stays, "{policy}");
    }
}

/// What could not be read is in no snapshot, and may be nowhere else than in the target.
#[test]
fn a_snapshot_made_with_problems_removes_nothing() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    env.run(&["backup", "src", "not-there"]).expect(3);
    env.ok(&["restore", "latest:/src", "-t", "out"]);
    env.write("out/only-copy", "x");
    env.run(&["restore", "latest:/src", "-t", "out", "--delete"])
        .expect(3)
        .says("is left with what the snapshot has not got: that was made with a problem");
    assert!(env.path("out/only-copy").exists());
}
