//! Passwords: where they come from, which goes first, and that they stay secret.

use crate::environment::{Run, TestEnvironment};

/// A repository whose only key is this password.
const SECRET: &str = "correct horse";

fn with_password() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.run_with(&["init"], &[("LARDER_PASSWORD", SECRET)])
        .expect(0);
    env
}

fn snapshots(env: &TestEnvironment, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let run = env.run_with(&[&["snapshots"], arguments].concat(), variables);
    assert!(
        !run.stdout.contains(SECRET) && !run.stderr.contains(SECRET),
        "{run:?}"
    );
    run
}

#[test]
fn a_password_opens_and_a_wrong_one_does_not() {
    let env = with_password();
    snapshots(&env, &[], &[("LARDER_PASSWORD", SECRET)]).expect(0);
    let wrong = snapshots(&env, &[], &[("LARDER_PASSWORD", "wrong")]).expect(12);
    wrong.says("wrong password or no key found");
    let wrong = snapshots(&env, &["--json"], &[("LARDER_PASSWORD", "wrong")]).expect(12);
    assert_eq!(wrong.errors()[0]["code"], 12);
}

#[test]
fn passwords_come_from_files_commands_variables_and_pipes() {
    let env = with_password();
    env.write("password", format!("{SECRET}\n"));
    let command = format!("printf '%s\\n' '{SECRET}'");
    snapshots(&env, &["-p", "password"], &[]).expect(0);
    snapshots(&env, &["--password-command", "cat password"], &[]).expect(0);
    snapshots(&env, &["--password-command", &command], &[]).expect(0);
    for family in ["LARDER", "RESTIC"] {
        let plain = format!("{family}_PASSWORD");
        snapshots(&env, &[], &[(&plain, SECRET)]).expect(0);
        snapshots(
            &env,
            &[],
            &[(&plain, "wrong"), (&format!("{plain}_FILE"), "password")],
        )
        .expect(0);
        let command = (format!("{plain}_COMMAND"), "cat password");
        let command = (command.0.as_str(), command.1);
        snapshots(&env, &[], &[(&plain, "wrong"), command]).expect(0);
        let file = (&*format!("{plain}_FILE"), "password");
        snapshots(&env, &[], &[file, command])
            .expect(2)
            .says("contradict each other");
        snapshots(&env, &[], &[(&format!("{plain}_COMMAND"), "cat password")]).expect(0);
    }
    env.run_input(&["snapshots"], format!("{SECRET}\n"))
        .expect(0);
}

#[test]
fn flags_go_before_larder_before_restic() {
    let env = with_password();
    env.write("password", SECRET);
    env.write("wrong", "wrong");
    let (larder, restic) = ("LARDER_PASSWORD", "RESTIC_PASSWORD");
    snapshots(
        &env,
        &["-p", "password"],
        &[("LARDER_PASSWORD_FILE", "wrong")],
    )
    .expect(0);
    snapshots(
        &env,
        &[],
        &[(larder, SECRET), ("RESTIC_PASSWORD_FILE", "wrong")],
    )
    .expect(0);
    snapshots(&env, &[], &[(larder, "wrong"), (restic, SECRET)]).expect(12);
}

#[test]
fn without_a_password_and_a_terminal_it_says_what_to_do() {
    let env = with_password();
    snapshots(&env, &[], &[])
        .expect(2)
        .says("--password-file")
        .says("--insecure-no-password");
    env.write("empty", "\n");
    snapshots(&env, &["-p", "empty"], &[])
        .expect(1)
        .says("--insecure-no-password");
    snapshots(&env, &["-p", "absent"], &[])
        .expect(1)
        .says("no such file or directory");
    snapshots(&env, &["--password-command", "false"], &[])
        .expect(1)
        .says("exit status: 1");
    let source = env.write_source();
    env.run_input(&["backup", "--stdin"], SECRET)
        .expect(2)
        .says("--password-file");
    env.run(&["init", "-r", "other"])
        .expect(2)
        .says("--password-file");
    assert!(!env.path("other").exists());
    env.run(&["backup", "--init", "-r", "other", &source])
        .expect(2)
        .says("--password-file");
    assert!(!env.path("other").exists());
}

#[test]
fn no_password_must_be_asked_for() {
    let env = TestEnvironment::new();
    env.run(&["init", "--insecure-no-password"])
        .expect(0)
        .prints("no password");
    env.run(&["snapshots", "--insecure-no-password"]).expect(0);
    snapshots(
        &env,
        &["--insecure-no-password"],
        &[("RESTIC_PASSWORD", "x")],
    )
    .expect(2)
    .says("RESTIC_PASSWORD");
    snapshots(&env, &[], &[("LARDER_PASSWORD", "x")]).expect(12);
}

#[test]
fn children_see_no_password_and_nobody_dumps_core() {
    let env = with_password();
    env.write("password", SECRET);
    let look = "sh -c 'env >seen; ulimit -c >core; ulimit -H -c >>core; cat password'";
    let variables = [
        ("LARDER_PASSWORD", SECRET),
        ("RESTIC_PASSWORD", SECRET),
        ("OTHER", "kept"),
    ];
    snapshots(&env, &["--password-command", look], &variables).expect(0);
    let seen = std::fs::read_to_string(env.path("seen")).unwrap();
    assert!(
        seen.contains("OTHER=kept") && !seen.contains(SECRET),
        "{seen}"
    );
    assert_eq!(std::fs::read_to_string(env.path("core")).unwrap(), "0\n0\n");
}
