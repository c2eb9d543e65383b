//! A repository that is put back to what it was yesterday.

use crate::environment::{TestEnvironment, noise};
use std::process::Command;

fn copy(env: &TestEnvironment, from: &str, to: &str) {
    let _ = std::fs::remove_dir_all(env.path(to));
    let status = Command::new("cp")
        .arg("-a")
        .args([env.path(from), env.path(to)])
        .status();
    assert!(status.unwrap().success());
}

/// Every file of a directory with its bytes.
fn content(env: &TestEnvironment, name: &str) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let read = |file: std::path::PathBuf| {
        let bytes = std::fs::read(env.path(name).join(&file)).unwrap();
        (file, bytes)
    };
    env.files(name).into_iter().map(read).collect()
}

/// A repository of two snapshots, in its place the copy from before the second; `today` has both.
fn put_back() -> TestEnvironment {
    let env = TestEnvironment::with_repository();
    env.write("src/a", noise(50_000, 1));
    env.backup(&["src"]);
    copy(&env, "repo", "yesterday");
    env.write("src/b", noise(50_000, 2));
    env.backup(&["src"]);
    copy(&env, "repo", "today");
    copy(&env, "yesterday", "repo");
    env
}

const COMMANDS: &[&[&str]] = &[
    &["snapshots"],
    &["ls", "latest"],
    &["restore", "latest", "--target", "out"],
    &["check"],
    &["check", "--read-data"],
    &["key", "list"],
    &["backup", "src"],
    &["backup", "--init", "src"],
];

#[test]
fn every_command_refuses_and_touches_nothing() {
    let env = put_back();
    for command in COMMANDS {
        env.run(command)
            .expect(1)
            .says("the repository is older than what this machine has seen of it")
            .says("--accept-rollback");
    }
    assert!(content(&env, "repo") == content(&env, "yesterday"));
    assert!(!env.path("out").exists());
    // Put right, it goes on as if nothing had been.
    copy(&env, "today", "repo");
    env.ok(&["snapshots"]).prints("2 snapshots");
    env.ok(&["check", "--read-data"]);
}

#[test]
fn who_accepts_it_goes_on_from_there() {
    let env = put_back();
    env.ok(&["backup", "--accept-rollback", "src"]);
    env.ok(&["snapshots"]).prints("2 snapshots");
    env.ok(&["check", "--read-data"]);
    env.ok(&["restore", "latest", "--target", "out"]);
    let b = env.path("out/src/b");
    assert_eq!(std::fs::read(b).unwrap(), noise(50_000, 2));
    // What was there before is another log now, as long as this one: refused too.
    copy(&env, "today", "repo");
    env.run(&["snapshots"]).expect(1).says("--accept-rollback");
}

#[test]
fn another_machine_restores_from_yesterdays_copy() {
    let env = put_back();
    let other = env.text("other-state");
    let elsewhere = [("XDG_STATE_HOME", other.as_str())];
    let restore: &[&str] = &["restore", "latest", "--target", "out"];
    env.run_with(restore, &elsewhere).expect(0);
    let a = env.path("out/src/a");
    assert_eq!(std::fs::read(a).unwrap(), noise(50_000, 1));
    env.run_with(&["check", "--read-data"], &elsewhere)
        .expect(0);
}

#[test]
fn a_log_that_went_another_way_is_refused_however_long() {
    let env = put_back();
    let other = env.text("other-state");
    let elsewhere = [("XDG_STATE_HOME", other.as_str())];
    for round in 0..3 {
        env.write("src/c", noise(1000, 10 + round));
        env.run_with(&["backup", "src"], &elsewhere).expect(0);
    }
    for command in COMMANDS {
        env.run(command).expect(1).says("--accept-rollback");
    }
}
