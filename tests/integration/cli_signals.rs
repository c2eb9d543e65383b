//! SIGINT and SIGTERM: exit code 130, nothing half done.

use crate::environment::{Run, TestEnvironment, noise};
use repo_core::backend::{Backend, LocalBackend};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::process::Child;
use std::time::Duration;

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// A backup of standard input that has read some of it and waits for more.
fn waiting_backup(env: &TestEnvironment) -> Child {
    let mut child = env.start(&["backup", "--stdin"]);
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(&noise(200_000, 3))
        .unwrap();
    // It has read all but what the pipe holds; wait until it has read that too.
    std::thread::sleep(Duration::from_millis(700));
    child
}

#[test]
fn an_interrupted_backup_makes_no_snapshot() {
    for kind in [Signal::INT, Signal::TERM] {
        let env = TestEnvironment::with_repository();
        let child = waiting_backup(&env);
        signal(&child, kind);
        let run = Run::of(child.wait_with_output().unwrap()).expect(130);
        run.says("interrupted").says("run it again");
        env.ok(&["snapshots"]).prints("0 snapshots");
        env.ok(&["check"]);
    }
}

#[test]
fn the_end_of_input_that_comes_with_a_signal_is_no_end() {
    let env = TestEnvironment::with_repository();
    let mut child = waiting_backup(&env);
    // What Ctrl-C does to a pipeline: everyone gets the signal, and the writer's end closes.
    signal(&child, Signal::INT);
    drop(child.stdin.take());
    Run::of(child.wait_with_output().unwrap()).expect(130);
    env.ok(&["snapshots"]).prints("0 snapshots");
}

#[test]
fn standard_input_that_stays_open_keeps_nobody_waiting() {
    for (kind, data) in [(Signal::INT, &b""[..]), (Signal::TERM, b"some")] {
        let env = TestEnvironment::with_repository();
        let mut child = env.start(&["backup", "--stdin"]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(data).unwrap();
        std::thread::sleep(Duration::from_millis(700));
        signal(&child, kind);
        let begun = std::time::Instant::now();
        Run::of(child.wait_with_output().unwrap())
            .expect(130)
            .says("interrupted");
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(stdin);
        env.ok(&["snapshots"]).prints("0 snapshots");
    }
}

#[test]
fn a_signal_before_the_repository_is_open_says_so() {
    let env = TestEnvironment::with_repository();
    env.write("source/file", "x");
    let ask = ["backup", "source", "--password-command", "sleep 5"];
    let child = env.start(&ask);
    std::thread::sleep(Duration::from_millis(700));
    signal(&child, Signal::INT);
    Run::of(child.wait_with_output().unwrap())
        .expect(130)
        .says("Fatal: interrupted\n");

    let child = env.start(&[&ask[..], &["--json"]].concat());
    std::thread::sleep(Duration::from_millis(700));
    signal(&child, Signal::TERM);
    let run = Run::of(child.wait_with_output().unwrap()).expect(130);
    let [message] = &run.errors()[..] else {
        panic!("{run:?}")
    };
    assert_eq!(message["message_type"], "exit_error");
    assert_eq!(message["code"], 130);
    env.ok(&["snapshots"]).prints("0 snapshots");
}

#[test]
fn an_interrupted_backup_is_a_json_message() {
    let env = TestEnvironment::with_repository();
    let mut child = env.start(&["--json", "backup", "--stdin"]);
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    std::thread::sleep(Duration::from_millis(700));
    signal(&child, Signal::INT);
    let run = Run::of(child.wait_with_output().unwrap()).expect(130);
    let last = run.errors().pop().unwrap();
    assert_eq!(
        (&last["message_type"], &last["code"]),
        (&"exit_error".into(), &130.into())
    );
}

/// Packs that lie in the repository, and their bytes.
fn packs(env: &TestEnvironment) -> (u64, u64) {
    let (mut packs, mut bytes) = (0, 0);
    let repo = LocalBackend::open(&env.path("repo")).unwrap();
    for kind in ["data", "meta"] {
        let mut count = |object: repo_core::backend::Listed| {
            packs += 1;
            bytes += object.len;
            Ok(())
        };
        repo.list(kind, &mut count).unwrap();
    }
    (packs, bytes)
}

#[test]
fn after_a_signal_the_next_backup_says_what_it_resumes() {
    for kind in [Signal::INT, Signal::TERM, Signal::KILL] {
        let env = TestEnvironment::with_repository();
        env.backup(&[&env.write_source()]);
        let before = packs(&env);
        let large = noise(60_000_000, 9);
        env.write("large/file", &large);
        // From standard input, so that it is never done before the signal.
        let mut child = env.start(&["backup", "--stdin"]);
        child.stdin.as_mut().unwrap().write_all(&large).unwrap();
        while packs(&env) == before {
            std::thread::sleep(Duration::from_millis(5));
        }
        signal(&child, kind);
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!(run.code == 130, kind != Signal::KILL, "{run:?}");
        env.ok(&["snapshots"]).prints("1 snapshot\n");
        let left = packs(&env);
        let (packs, bytes) = (left.0 - before.0, left.1 - before.1);
        let again = env.json(&["backup", "large"]);
        assert_eq!(again["resumed_packs"], packs, "{kind:?}: {again}");
        assert_eq!(again["resumed_bytes"], bytes, "{kind:?}: {again}");
        let next = env.json(&["backup", "large"]);
        assert_eq!(
            (&next["resumed_packs"], &next["resumed_bytes"]),
            (&0.into(), &0.into())
        );
    }
}
