//! What a restore replaces stays until there is something to take its place.

use crate::environment::{TestEnvironment, assert_same_entries, noise};
use std::fs;

/// A restored tree in which a large file has another name outside, and so must be replaced.
fn restored() -> (TestEnvironment, String) {
    let env = TestEnvironment::with_repository();
    env.write("src/large", noise(4_000_000, 3));
    env.write("src/small", "right");
    let what = "latest:/src".to_owned();
    env.backup(&["src"]);
    env.write("outside", "old");
    fs::create_dir(env.path("out")).unwrap();
    fs::hard_link(env.path("outside"), env.path("out/large")).unwrap();
    (env, what)
}

#[test]
fn a_file_that_cannot_be_written_costs_no_other() {
    let (env, what) = restored();
    // No file may become larger than a megabyte or two, as if the disk were full.
    let script = "trap '' XFSZ; ulimit -f 2000; \"$@\"";
    let run = env.run_by_shell(script, &["--no-cache", "restore", &what, "-t", "out"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(fs::read(env.path("out/large")).unwrap(), b"old");
    assert_eq!(fs::read(env.path("out/small")).unwrap(), b"right");
    assert_eq!(env.files("out").len(), 2, "nothing is left over");
    env.ok(&["restore", &what, "-t", "out"]);
    assert_same_entries(&env.path("src"), &env.path("out"));
    assert_eq!(fs::read(env.path("outside")).unwrap(), b"old");
}

#[test]
fn an_empty_directory_stays_until_the_file_is_there() {
    let (env, what) = restored();
    fs::remove_file(env.path("out/large")).unwrap();
    fs::create_dir(env.path("out/large")).unwrap();
    let script = "trap '' XFSZ; ulimit -f 2000; \"$@\"";
    let run = env.run_by_shell(script, &["--no-cache", "restore", &what, "-t", "out"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(env.path("out/large").is_dir());
    env.ok(&["restore", &what, "-t", "out"]);
    assert_same_entries(&env.path("src"), &env.path("out"));
}

#[test]
fn a_file_newer_than_a_directory_stays_and_is_said() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    env.backup(&["src"]);
    env.write("out/sub", "newer");
    for policy in ["if-newer", "never"] {
        let arguments = ["restore", "latest:/src", "-t", "out", "--overwrite", policy];
        let run = env.run(&arguments).expect(3);
        run.says("error: /sub is no directory and stays, as asked for");
        assert_eq!(fs::read(env.path("out/sub")).unwrap(), b"newer");
    }
    env.ok(&["restore", "latest:/src", "-t", "out"]);
    assert_same_entries(&env.path("src"), &env.path("out"));
}

#[test]
fn a_further_name_is_told_without_a_size() {
    let env = TestEnvironment::with_repository();
    env.write("src/a", "content");
    fs::hard_link(env.path("src/a"), env.path("src/b")).unwrap();
    env.backup(&["src"]);
    for (flags, told_of) in [
        (&["-vv", "--dry-run"][..], "would restore"),
        (&["-vv"], "restored "),
    ] {
        let arguments = [&["restore", "latest:/src", "-t", "out"], flags].concat();
        let told = env.ok(&arguments).stdout;
        let expected = format!("{told_of} /a with size 7 B\n{told_of} /b\n");
        assert!(told.contains(&expected), "{told}");
    }
}
