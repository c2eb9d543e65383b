//! Help, version, and what is said about wrong arguments.

use crate::environment::TestEnvironment;
use std::path::Path;

/// Commands whose help is kept, by the arguments that name them.
pub const COMMANDS: &[&[&str]] = &[
    &[],
    &["init"],
    &["backup"],
    &["snapshots"],
    &["ls"],
    &["restore"],
    &["dump"],
    &["mount"],
    &["browse"],
    &["serve"],
    &["diff"],
    &["find"],
    &["history"],
    &["stats"],
    &["sync"],
    &["forget"],
    &["promote"],
    &["prune"],
    &["unforget"],
    &["protect"],
    &["expire"],
    &["copy"],
    &["check"],
    &["tag"],
    &["rewrite"],
    &["repair"],
    &["repair", "index"],
    &["repair", "snapshots"],
    &["repair", "packs"],
    &["repair", "log"],
    &["recover"],
    &["key"],
    &["key", "list"],
    &["key", "add"],
    &["key", "remove"],
    &["key", "passwd"],
    &["list"],
    &["cat"],
    &["cache"],
    &["generate"],
    &["options"],
    &["version"],
];

/// Build with `LARDER_BLESS=1` to write what is printed over what is kept.
pub const BLESS: bool = option_env!("LARDER_BLESS").is_some();

fn kept(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/help")
        .join(format!("{name}.txt"))
}

#[test]
fn help_is_what_is_kept() {
    let env = TestEnvironment::new();
    let mut names = Vec::new();
    for command in COMMANDS {
        let name = [&["larder"], *command].concat().join("-");
        let printed = env.ok(&[*command, &["-h"]].concat()).stdout;
        if BLESS {
            std::fs::write(kept(&name), &printed).unwrap();
        }
        assert_eq!(
            printed,
            std::fs::read_to_string(kept(&name)).unwrap(),
            "help of {name}"
        );
        names.push(format!("{name}.txt"));
    }
    for entry in std::fs::read_dir(kept("larder").parent().unwrap()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "nothing prints {name}");
    }
}

#[test]
fn help_can_be_asked_for_in_three_ways() {
    let env = TestEnvironment::new();
    let long = env.ok(&["backup", "--help"]).stdout;
    assert_eq!(env.ok(&["help", "backup"]).stdout, long);
    assert!(long.contains("--accept-rollback"));
    assert!(
        !env.ok(&["backup", "-h"])
            .stdout
            .contains("--accept-rollback")
    );
}

#[test]
fn every_command_of_the_help_is_kept() {
    let env = TestEnvironment::new();
    let help = env.ok(&["-h"]).stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(listed.len() >= 8, "{listed:?}");
    for name in listed {
        assert!(
            COMMANDS.contains(&&[name][..]),
            "the help of {name} is not kept"
        );
    }
}

#[test]
fn version() {
    let env = TestEnvironment::new();
    let number = env!("CARGO_PKG_VERSION");
    env.ok(&["version"]).prints(&format!("larder {number} ("));
    assert_eq!(env.ok(&["--version"]).stdout, format!("larder {number}\n"));
    let message = env.json(&["version"]);
    assert_eq!(message["message_type"], "version");
    assert_eq!(message["version"], number);
    assert_eq!(message["format_version"], 1);
    for field in ["go_version", "go_os", "go_arch", "os", "arch"] {
        assert!(message[field].is_string(), "{field} in {message}");
    }
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let env = TestEnvironment::new();
    for arguments in [
        &["frobnicate"][..],
        &["backup"],
        &["backup", "--stdin", "x"],
        &["backup", "x", "--time", "yesterday"],
        &["restore", "latest"],
        &["restore", ":x", "--target", "t"],
        &["key"],
        &["snapshots", "--latest", "x"],
        &["snapshots", "--password-file", "a", "--key-file", "b"],
        &["snapshots", "--repo", "a", "--repository-file", "b"],
    ] {
        let run = env.run(arguments).expect(2);
        assert!(
            run.stdout.is_empty() && !run.stderr.is_empty(),
            "{arguments:?}: {run:?}"
        );
    }
    env.run(&[]).expect(2).says("Usage: larder");
}

#[test]
fn what_only_restic_has_is_not_there_yet() {
    let env = TestEnvironment::new();
    for (arguments, name) in [
        (
            &["backup", "x", "--http-user-agent", "9"][..],
            "--http-user-agent",
        ),
        (&["backup", "--use-fs-snapshot", "x"], "--use-fs-snapshot"),
        (
            &["backup", "x", "--exclude-cloud-files"],
            "--exclude-cloud-files",
        ),
        (
            &["prune", "--unsafe-recover-no-free-space"],
            "--unsafe-recover-no-free-space",
        ),
        (&["migrate", "a", "b"], "migrate"),
    ] {
        let run = env.run(arguments).expect(2);
        let run = run.says(&format!("`{name}` is not there yet"));
        assert!(!run.stderr.contains("tip:"), "{run:?}");
    }
    let run = env.run(&["backup", "x", "--frobnicate"]).expect(2);
    assert!(!run.stderr.contains("tip:"), "{run:?}");
    env.run(&["backup", "--stdn"]).expect(2).says("'--stdin'");
}

#[test]
fn nothing_is_ever_locked() {
    let env = TestEnvironment::with_repository();
    env.ok(&["unlock"]).prints("no locks");
    env.ok(&["unlock", "--remove-all"]);
    env.ok(&["snapshots", "--no-lock"]);
    env.ok(&["--retry-lock", "5m", "snapshots"]);
    env.ok(&["-v", "--retry-lock", "1h30m", "snapshots"])
        .prints("--retry-lock has no effect: larder has no locks\n");
    env.run(&["--retry-lock", "5x", "snapshots"])
        .expect(2)
        .says("5x");
}

#[test]
fn flags_that_make_no_sense_are_refused_by_all_commands() {
    let env = TestEnvironment::with_repository();
    for wrong in [["--compression", "zzz"], ["--pack-size", "257"]] {
        env.run(&[&wrong[..], &["snapshots"]].concat())
            .expect(2)
            .says(&format!("{} cannot be `{}`", wrong[0], wrong[1]));
    }
    env.ok(&["--pack-size", "0", "snapshots"]);
}

#[test]
fn names_that_are_empty_are_said_to_be() {
    let env = TestEnvironment::with_repository();
    for command in [
        &["snapshots", ""][..],
        &["ls", ""],
        &["restore", "", "-t", "x"],
    ] {
        let run = env.run(command).expect(2);
        run.says("the name of the snapshot is empty");
    }
    let run = env.run(&["key", "remove", ""]).expect(2);
    run.says("the ID of the key is empty");
}

#[test]
fn there_are_no_feature_flags() {
    TestEnvironment::new()
        .ok(&["features"])
        .prints("no feature flags");
}

#[test]
fn programs_are_told_of_usage_errors_too() {
    let env = TestEnvironment::new();
    for arguments in [
        &["frobnicate", "--json"][..],
        &["--json", "dump"],
        &["--json", "copy"],
        &["backup", "--json"],
        &["ls", "--json", "latest", "--frobnicate"],
    ] {
        let run = env.run(arguments).expect(2);
        let [message] = &run.errors()[..] else {
            panic!("{run:?}")
        };
        assert_eq!(message["message_type"], "exit_error");
        assert_eq!(message["code"], 2);
        let text = message["message"].as_str().unwrap();
        assert!(text.starts_with("Fatal: "), "{text}");
    }
}

#[test]
fn less_and_more_at_once_is_refused() {
    let env = TestEnvironment::with_repository();
    for arguments in [
        &["-q", "snapshots", "-v"][..],
        &["--verbose=2", "snapshots", "--quiet"],
        &["backup", "-qv", "."],
    ] {
        env.run(arguments)
            .expect(2)
            .says("Fatal: --quiet and --verbose cannot be specified at the same time");
    }
    env.ok(&["-q", "--verbose=0", "snapshots"]);
}
