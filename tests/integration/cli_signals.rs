//! SIGINT and SIGTERM: exit code 130, nothing half done.

use crate::environment::{Run, TestEnvironment, noise};
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
