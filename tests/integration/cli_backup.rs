//! `backup`: files and standard input, what it says and what it records.

use crate::environment::{Run, TestEnvironment, noise};
use serde_json::Value;

#[test]
fn files_are_backed_up_and_the_second_time_they_are_unmodified() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.ok(&["backup", &source])
        .prints("Files:")
        .prints("Added to the repository:")
        .prints("saved");

    let summary = env.json(&["backup", &source]);
    assert_eq!(summary["message_type"], "summary");
    assert_eq!(summary["files_new"], 0);
    assert_eq!(summary["files_changed"], 0);
    assert_eq!(summary["files_unmodified"], 4);
    assert_eq!(summary["data_blobs"], 0);
    assert_eq!(summary["total_files_processed"], 4);
    assert_eq!(summary["total_bytes_processed"], 300_012);
    assert_eq!(summary["dry_run"], false);

    env.write("src/a.txt", "changed\n");
    env.write("src/new.txt", "new\n");
    let summary = env.json(&["backup", &source]);
    assert_eq!(
        (&summary["files_new"], &summary["files_changed"]),
        (&1.into(), &1.into())
    );
    assert_eq!(summary["files_unmodified"], 3);
    assert_eq!(summary["data_blobs"], 2);
}

#[test]
fn directories_are_counted_without_the_root_of_all() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let dirs = |summary: &serde_json::Value| {
        ["dirs_new", "dirs_changed", "dirs_unmodified"]
            .map(|field| summary[field].as_u64().unwrap())
    };
    assert_eq!(dirs(&env.json(&["backup", "src"])), [2, 0, 0]);
    assert_eq!(dirs(&env.json(&["backup", "src"])), [0, 0, 2]);
    env.write("src/sub/c.txt", "changed");
    env.ok(&["backup", "src"])
        .prints("Dirs:            0 new,     2 changed,     0 unmodified");
    let above = std::path::Path::new(&source).components().count() as u64 - 1;
    assert_eq!(dirs(&env.json(&["backup", &source])), [above + 1, 0, 0]);
}

#[test]
fn a_time_in_the_future_is_warned_of() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let run = env.ok(&["backup", "--time", "2999-01-01 00:00:00", &source]);
    run.says("warning: the time of this snapshot, 2999-01-01 00:00:00, is in the future")
        .says("stays `latest`");
    let run = env.ok(&["backup", "--time", "2020-01-01 00:00:00", &source]);
    assert_eq!(run.stderr, "");
}

#[test]
fn summaries_have_the_fields_of_restic() {
    let env = TestEnvironment::with_repository();
    let summary = env.json(&["backup", &env.write_source()]);
    for field in [
        "files_new",
        "files_changed",
        "files_unmodified",
        "dirs_new",
        "dirs_changed",
        "dirs_unmodified",
        "data_blobs",
        "tree_blobs",
        "data_added",
        "data_added_packed",
        "total_files_processed",
        "total_bytes_processed",
    ] {
        assert!(summary[field].is_u64(), "{field} in {summary}");
    }
    assert!(summary["total_duration"].is_f64(), "{summary}");
    for field in ["backup_start", "backup_end"] {
        assert!(
            summary[field].as_str().unwrap().starts_with("20"),
            "{summary}"
        );
    }
    assert_eq!(summary["snapshot_id"].as_str().unwrap().len(), 64);
    assert!(summary["data_added_packed"].as_u64().unwrap() >= 300_000);
}

#[test]
fn the_repository_is_made_if_it_is_not_there() {
    let env = TestEnvironment::new();
    let source = env.write_source();
    let backup = ["backup", "--init", "--insecure-no-password", &source];
    env.ok(&backup)
        .prints("created larder repository ")
        .prints("saved");
    env.ok(&backup).prints("4 unmodified");
    env.ok(&["snapshots", "--insecure-no-password"])
        .prints("2 snapshots");
}

#[test]
fn standard_input_becomes_a_file() {
    let env = TestEnvironment::with_repository();
    let dump = noise(3_000_000, 7);
    let run = env.run_input(
        &["--json", "backup", "--stdin", "--stdin-filename", "db.sql"],
        &dump,
    );
    let summary = run.expect(0).messages().pop().unwrap();
    assert_eq!(summary["total_bytes_processed"], 3_000_000);
    env.ok(&["restore", "latest", "--target", "out"]);
    assert!(std::fs::read(env.path("out/db.sql")).unwrap() == dump);

    env.run_input(&["backup", "--stdin"], "small\n").expect(0);
    assert_eq!(env.ok(&["-q", "ls", "latest"]).stdout, "/stdin\n");
}

#[test]
fn what_is_recorded() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[
        &source,
        "--tag",
        "a,b",
        "--tag",
        "c",
        "--host",
        "web",
        "--time",
        "2023-11-14 22:13:20",
        "--label",
        "nightly",
        "--description",
        "before the upgrade",
    ]);
    let list = env.json(&["snapshots", "--host", "web"]);
    let snapshot = &list[0];
    assert_eq!(snapshot["tags"], Value::from(vec!["a", "b", "c"]));
    assert_eq!(snapshot["hostname"], "web");
    assert_eq!(snapshot["time"], "2023-11-14T22:13:20Z");
    assert_eq!(snapshot["paths"], Value::from(vec![source]));
    assert_eq!(snapshot["label"], "nightly");
    assert_eq!(snapshot["description"], "before the upgrade");
    assert!(
        snapshot["program_version"]
            .as_str()
            .unwrap()
            .starts_with("larder ")
    );
    assert!(!snapshot["username"].as_str().unwrap().is_empty());
}

#[test]
fn a_dry_run_stores_nothing() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let before = env.files("repo");
    env.ok(&["backup", "-n", &source])
        .prints("Would add to the repository");
    let summary = env.json(&["backup", "--dry-run", &source]);
    assert_eq!(summary["dry_run"], true);
    assert_eq!(summary["files_new"], 4);
    assert!(summary.get("snapshot_id").is_none());
    assert_eq!(env.files("repo"), before);
    let init = [
        "backup",
        "-n",
        "--init",
        "-r",
        "other",
        "--insecure-no-password",
        &source,
    ];
    env.run(&init).expect(10);
    assert!(!env.path("other").exists());
}

#[test]
fn parents_are_found_named_or_ignored() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let first = env.backup(&[&source]);
    let parent = |arguments: &[&str]| {
        env.backup(&[&[source.as_str()], arguments].concat());
        env.json(&["snapshots", "latest"])[0]["parent"]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(parent(&["--force"]), None);
    assert_ne!(parent(&[]), Some(first.clone()));
    assert_eq!(parent(&["--parent", &first[..10]]), Some(first));
    env.run(&["backup", &source, "--parent", "ffffffff"])
        .expect(1)
        .says("no snapshot");
}

#[test]
fn one_path_that_is_not_there_is_a_problem_and_none_is_a_failure() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let run = env.run(&["--json", "backup", &source, "absent"]).expect(3);
    let error = &run.errors()[0];
    assert_eq!(
        (&error["message_type"], &error["during"]),
        (&"error".into(), &"archival".into())
    );
    assert!(
        error["item"].as_str().unwrap().ends_with("/absent"),
        "{error}"
    );
    assert!(error["error"]["message"].is_string());
    let summary = run.messages().pop().unwrap();
    assert_eq!(summary["error_count"], 1);
    assert!(summary["snapshot_id"].is_string());

    env.run(&["backup", &source, "absent"])
        .expect(3)
        .says("error: ")
        .says("absent");
    env.run(&["backup", "absent"])
        .expect(1)
        .says("nothing to back up: absent: no such file");
    env.run(&["backup", "absent", "-"])
        .expect(1)
        .says("absent: no such file")
        .says("-: no such file")
        .says("use --stdin");
    env.ok(&["snapshots"]).prints("2 snapshots");
}

#[test]
fn a_path_that_is_not_there_is_in_no_snapshot() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let paths = || {
        let newest = env.json(&["snapshots", "--latest", "1"]);
        let newest = newest.as_array().unwrap().last().unwrap().clone();
        newest["paths"].clone()
    };
    let absent = env.text("mount");
    env.write("mount/file", "x");
    env.backup(&[&source, &absent]);
    assert_eq!(paths(), serde_json::json!([absent, source]));
    std::fs::remove_dir_all(env.path("mount")).unwrap();
    // Each is compared with the one before, though their paths differ.
    for _ in 0..2 {
        let run = env.run(&["backup", &source, &absent]).expect(3);
        run.prints("using parent snapshot");
        let all = env.json(&["snapshots"]);
        let all = all.as_array().unwrap();
        assert_eq!(all.last().unwrap()["paths"], serde_json::json!([source]));
        assert_eq!(all.last().unwrap()["parent"], all[all.len() - 2]["id"]);
    }
    env.write("mount/file", "x");
    env.ok(&["backup", &source, &absent])
        .prints("using parent snapshot");
}

#[test]
fn quiet_says_nothing_and_verbose_says_more() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let quiet = env.ok(&["-q", "backup", &source]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    env.ok(&["-v", "backup", &source]).prints("Data Blobs:");
    let run = env.ok(&["backup", &source]).prints("using parent snapshot");
    assert!(!run.stdout.contains("Data Blobs:"));
}

#[test]
fn status_is_told_to_programs() {
    let env = TestEnvironment::with_repository();
    let mut child = env.start(&["--json", "backup", "--stdin"]);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"data").unwrap();
    drop(child.stdin.take());
    let run = Run::of(child.wait_with_output().unwrap()).expect(0);
    let messages = run.messages();
    assert_eq!(messages[0]["message_type"], "status", "{messages:?}");
    assert!(messages[0]["bytes_done"].is_u64());
    // How much there is, nobody knows before it is read.
    for total in ["percent_done", "total_files", "total_bytes"] {
        assert!(messages[0].get(total).is_none(), "{:?}", messages[0]);
    }
    assert_eq!(messages.last().unwrap()["message_type"], "summary");
}

/// Runs a backup of standard input with this redirection of it.
fn redirected(env: &TestEnvironment, redirection: &str, more: &[&str]) -> Run {
    let script = format!("exec \"$@\" {redirection}");
    env.run_by_shell(&script, &[&["backup", "--stdin"], more].concat())
}

#[test]
fn an_empty_dump_is_a_failure_unless_it_is_allowed() {
    let env = TestEnvironment::with_repository();
    for redirection in ["<&-", "</dev/null"] {
        for more in [&[][..], &["--dry-run"], &["--json"]] {
            let run = redirected(&env, redirection, more).expect(1);
            run.says("standard input is empty or closed")
                .says("--stdin-allow-empty");
        }
    }
    let run = env.run_input(&["backup", "--stdin"], "").expect(1);
    run.says("no snapshot was made");
    env.ok(&["snapshots"]).prints("0 snapshots");
    redirected(&env, "</dev/null", &["--stdin-allow-empty"]).expect(0);
    env.ok(&["snapshots"]).prints("1 snapshot\n");
    env.ok(&["restore", "latest", "--target", "out"]);
    assert_eq!(std::fs::read(env.path("out/stdin")).unwrap(), b"");
}

#[test]
fn standard_input_gets_a_name_that_can_be_restored() {
    let env = TestEnvironment::with_repository();
    let longest = "x".repeat(255);
    let longer = "x".repeat(256);
    for bad in ["", ".", "..", "/", "a/", "a/..", "a/../b", "/a/.", &longer] {
        let run = env.run_input(&["backup", "--stdin", "--stdin-filename", bad], "data");
        run.expect(2).says("--stdin-filename");
    }
    env.run_input(&["backup", "--stdin", "--stdin-filename", &longest], "data")
        .expect(0);
    env.ok(&["restore", "latest", "--target", "out"]);
    assert_eq!(
        std::fs::read(env.path("out").join(longest)).unwrap(),
        b"data"
    );
}

#[test]
fn standard_input_may_lie_in_directories() {
    let env = TestEnvironment::with_repository();
    for name in ["/dumps/shop/db.sql", "dumps//shop/./db.sql"] {
        env.run_input(&["backup", "--stdin", "--stdin-filename", name], "data")
            .expect(0);
        let listed = env.ok(&["-q", "ls", "latest"]).stdout;
        assert_eq!(listed, "/dumps\n/dumps/shop\n/dumps/shop/db.sql\n");
        let snapshot = &env.json(&["snapshots", "latest"])[0];
        assert_eq!(snapshot["paths"], serde_json::json!(["/dumps/shop/db.sql"]));
    }
    env.ok(&["restore", "latest:/dumps", "--target", "out"]);
    assert_eq!(std::fs::read(env.path("out/shop/db.sql")).unwrap(), b"data");
}

#[test]
fn a_stream_is_compared_with_nothing_and_its_name_needs_one() {
    let env = TestEnvironment::with_repository();
    for _ in 0..2 {
        let run = env.run_input(&["backup", "--stdin"], "data").expect(0);
        assert!(!run.stdout.contains("parent"), "{run:?}");
    }
    let source = env.write_source();
    for flag in [&["--stdin-filename", "x"][..], &["--stdin-allow-empty"]] {
        env.run(&[&["backup", &source], flag].concat())
            .expect(2)
            .says(&format!("{} needs --stdin", flag[0]));
    }
}

#[test]
fn a_dry_run_does_not_know_what_would_be_stored() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let run = env.ok(&["backup", "--dry-run", &source]);
    let run = run.prints("Would add to the repository: ");
    let run = run.prints(" before compression\n");
    assert!(!run.stdout.contains("stored"), "{run:?}");
}
