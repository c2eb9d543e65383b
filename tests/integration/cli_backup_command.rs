//! `backup --stdin-from-command`: what a command writes becomes a file, if it succeeds.

use crate::environment::{Run, TestEnvironment};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::path::Path;
use std::time::{Duration, Instant};

/// Backs up what a script of the shell writes.
fn script(env: &TestEnvironment, script: &str) -> Run {
    env.run(&["backup", "--stdin-from-command", "--", "sh", "-c", script])
}

#[track_caller]
fn no_snapshot(env: &TestEnvironment) {
    env.ok(&["snapshots"]).prints("0 snapshots");
}

#[test]
fn the_output_of_a_command_becomes_a_file() {
    let env = TestEnvironment::with_repository();
    let run = env.run(&[
        "backup",
        "--stdin-from-command",
        "--stdin-filename",
        "/dumps/words",
        "--",
        "printf",
        "%s|",
        "a b",
        "$HOME",
        "--force",
        "*",
    ]);
    run.expect(0).prints("saved");
    env.ok(&["restore", "latest", "--target", "out"]);
    assert_eq!(
        std::fs::read(env.path("out/dumps/words")).unwrap(),
        b"a b|$HOME|--force|*|"
    );
}

#[test]
fn what_a_command_says_is_passed_on() {
    let env = TestEnvironment::with_repository();
    let run = script(&env, "echo data; echo said >&2; cat").expect(0);
    assert_eq!(run.stderr, "said\n");
    assert!(!run.stdout.contains("data"));
    let json = env.run(&[
        "--json",
        "backup",
        "--stdin-from-command",
        "--",
        "sh",
        "-c",
        "echo hi; echo said >&2",
    ]);
    assert_eq!(json.stderr, "said\n");
    let summary = json.expect(0).messages().pop().unwrap();
    assert_eq!(summary["total_bytes_processed"], 3);
    // Nothing is on its standard input, whatever is on ours.
    let run = env.run_input(&["backup", "--stdin-from-command", "--", "cat"], "ours");
    run.expect(1).says("wrote nothing");
}

#[test]
fn a_command_that_fails_makes_no_snapshot() {
    let env = TestEnvironment::with_repository();
    for (what, named) in [
        ("echo half; exit 3", "sh failed with exit status 3"),
        ("exit 1", "sh failed with exit status 1"),
        ("echo half; kill -9 $$", "sh failed with signal 9 (SIGKILL)"),
        ("echo half; exec >&-; sleep 0.3; exit 7", "exit status 7"),
        ("head -c 30000000 /dev/zero; exit 2", "exit status 2"),
        // What it started has the output open; the test would wait for its standard error.
        ("sleep 30 2>/dev/null & exit 4", "exit status 4"),
    ] {
        let begun = Instant::now();
        script(&env, what)
            .expect(1)
            .says(named)
            .says("no snapshot was made");
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        no_snapshot(&env);
    }
    let run = env.run(&["--json", "backup", "--stdin-from-command", "--", "false"]);
    let errors = run.expect(1).errors();
    assert_eq!(errors.last().unwrap()["message_type"], "exit_error");
    env.ok(&["check", "--read-data"]);
}

#[test]
fn a_command_that_cannot_be_started_is_named() {
    let env = TestEnvironment::with_repository();
    env.write("not-executable", "text");
    for (command, why) in [
        ("no-such-program", "no such file"),
        ("./not-executable", "permission denied"),
    ] {
        let run = env.run(&["backup", "--stdin-from-command", "--", command]);
        run.expect(1)
            .says(command)
            .says("cannot be started")
            .says(why);
    }
    no_snapshot(&env);
}

#[test]
fn a_command_that_writes_nothing_is_a_failure_unless_it_is_allowed() {
    let env = TestEnvironment::with_repository();
    script(&env, "true")
        .expect(1)
        .says("sh wrote nothing")
        .says("--stdin-allow-empty");
    no_snapshot(&env);
    let allowed = [
        "backup",
        "--stdin-allow-empty",
        "--stdin-from-command",
        "--",
    ];
    env.run(&[&allowed[..], &["false"]].concat())
        .expect(1)
        .says("exit status 1");
    no_snapshot(&env);
    env.ok(&[&allowed[..], &["true"]].concat());
    env.ok(&["restore", "latest", "--target", "out"]);
    assert_eq!(std::fs::read(env.path("out/stdin")).unwrap(), b"");
}

#[test]
fn output_that_something_holds_open_is_no_success() {
    let env = TestEnvironment::with_repository();
    let begun = Instant::now();
    script(&env, "sleep 25 2>/dev/null & echo half")
        .expect(1)
        .says("holds its output open")
        .says("no snapshot was made");
    assert!(begun.elapsed() < Duration::from_secs(24));
    no_snapshot(&env);
    // It may take its time if it writes, and if it closes it at last.
    script(&env, "(sleep 2; echo rest) & echo half").expect(0);
    env.ok(&["restore", "latest", "--target", "out"]);
    assert_eq!(
        std::fs::read(env.path("out/stdin")).unwrap(),
        b"half\nrest\n"
    );
}

#[test]
fn commands_do_not_see_passwords() {
    let env = TestEnvironment::new();
    let password = ("LARDER_PASSWORD", "not to be seen");
    env.run_with(&["init"], &[password]).expect(0);
    env.write("elsewhere", "not to be seen");
    let more = env.text("elsewhere");
    let command = ["backup", "--stdin-from-command", "--", "env"];
    let variables = [
        password,
        ("RESTIC_PASSWORD_FILE", more.as_str()),
        ("PGPASSWORD", "its own"),
    ];
    env.run_with(&command, &variables).expect(0);
    env.run_with(&["restore", "latest", "--target", "out"], &[password])
        .expect(0);
    let seen = std::fs::read_to_string(env.path("out/stdin")).unwrap();
    assert!(
        seen.contains("PGPASSWORD=its own\n") && seen.contains("LARDER_REPOSITORY="),
        "{seen}"
    );
    for hidden in [
        "not to be seen",
        "LARDER_PASSWORD",
        "RESTIC_PASSWORD",
        "elsewhere",
    ] {
        assert!(!seen.contains(hidden), "{seen}");
    }
}

/// Stops a backup of a script that writes its number to `pid`, and gives how the backup ended and that number.
fn stopped(env: &TestEnvironment, script: &str) -> (Run, Pid) {
    let child = env.start(&["backup", "--stdin-from-command", "--", "sh", "-c", script]);
    let pid = number_in(&env.path("pid"));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    (Run::of(child.wait_with_output().unwrap()), pid)
}

fn number_in(path: &Path) -> Pid {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let (true, Ok(number)) = (text.ends_with('\n'), text.trim().parse()) {
            return Pid::from_raw(number).unwrap();
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{path:?} does not come"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_command_ends_with_the_backup() {
    for what in [
        "echo $$ > pid; exec sleep 100",
        "echo $$ > pid; exec cat /dev/zero",
        "echo $$ > pid; exec >&-; exec sleep 100",
        // It does not want to.
        "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done",
    ] {
        let env = TestEnvironment::with_repository();
        let begun = Instant::now();
        let (run, pid) = stopped(&env, what);
        run.expect(130).says("interrupted");
        assert!(test_kill_process(pid).is_err(), "{what} goes on");
        assert!(begun.elapsed() < Duration::from_secs(50), "{what}");
        no_snapshot(&env);
    }
}

#[test]
fn wrong_uses_are_refused() {
    let env = TestEnvironment::with_repository();
    env.run(&["backup", "--stdin-from-command"])
        .expect(2)
        .says("no command was given");
    env.run(&["backup", "--stdin-from-command", "--stdin", "--", "true"])
        .expect(2);
    let named = [
        "backup",
        "--stdin-from-command",
        "--stdin-filename",
        "../x",
        "--",
        "true",
    ];
    env.run(&named).expect(2).says("--stdin-filename");
    let dry = env.run(&["backup", "-n", "--stdin-from-command", "--", "echo", "x"]);
    dry.expect(0).prints("Would add");
    no_snapshot(&env);
}
