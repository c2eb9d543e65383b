//! `key`: several passwords and key files for one repository.

use crate::environment::TestEnvironment;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

fn keys(env: &TestEnvironment) -> Vec<Value> {
    env.json(&["key", "list"]).as_array().unwrap().clone()
}

fn id(key: &Value) -> String {
    key["id"].as_str().unwrap().to_owned()
}

#[test]
fn keys_are_listed_added_and_removed() {
    let env = TestEnvironment::with_repository();
    env.write("password", "second\n");
    let first = id(&keys(&env)[0]);
    let added = env.ok(&[
        "key",
        "add",
        "--new-password-file",
        "password",
        "--user",
        "ann",
        "--host",
        "desk",
    ]);
    added.prints("saved new key with ID ");
    let listed = keys(&env);
    assert_eq!(listed.len(), 2);
    let (old, new) = match id(&listed[0]) == first {
        true => (&listed[0], &listed[1]),
        false => (&listed[1], &listed[0]),
    };
    assert_eq!(
        (&old["current"], &old["kind"]),
        (&Value::Bool(true), &Value::from("key-file"))
    );
    assert_eq!(
        (&new["current"], &new["kind"]),
        (&Value::Bool(false), &Value::from("password"))
    );
    assert_eq!(
        (&new["userName"], &new["hostName"]),
        (&Value::from("ann"), &Value::from("desk"))
    );
    assert_eq!(new["role"], "full");
    assert_eq!(
        new["created"].as_str().unwrap().len(),
        "2024-01-01 00:00:00".len()
    );

    let by_password = env.ok(&["key", "list", "--password-file", "password"]);
    by_password
        .prints(&format!("*{}", &id(new)[..8]))
        .prints("ann")
        .prints("desk");
    let hinted = [
        "snapshots",
        "--password-file",
        "password",
        "--key-hint",
        &id(new)[..8],
    ];
    env.ok(&hinted);

    env.run(&["key", "remove", &first])
        .expect(1)
        .says("opens the repository now");
    env.run(&["key", "remove", "zz"])
        .expect(1)
        .says("no key has an ID");
    env.ok(&["key", "remove", &id(new)[..12]])
        .prints("removed key");
    env.run(&["snapshots", "--password-file", "password"])
        .expect(12);
    assert_eq!(keys(&env).len(), 1);
}

#[test]
fn a_key_file_is_made_for_its_owner_alone() {
    let env = TestEnvironment::with_repository();
    env.ok(&["key", "add", "--new-key-file", "second"]);
    let line = std::fs::read_to_string(env.path("second")).unwrap();
    assert!(
        line.starts_with("LARDER-KEY-1") && line.lines().count() == 1,
        "{line}"
    );
    let mode = |mode| std::fs::set_permissions(env.path("second"), PermissionsExt::from_mode(mode));
    assert_eq!(
        env.path("second").metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    env.ok(&["snapshots", "--key-file", "second"]);
    mode(0o644).unwrap();
    env.run(&["snapshots", "--key-file", "second"])
        .expect(1)
        .says("chmod 600");
    mode(0o400).unwrap();
    env.ok(&["snapshots", "--key-file", "second"]);

    let before = env.files("repo");
    env.run(&["key", "add", "--new-key-file", "second"])
        .expect(1)
        .says("exists already");
    assert_eq!(env.files("repo"), before);
}

#[test]
fn a_wrong_key_file_opens_nothing() {
    let env = TestEnvironment::with_repository();
    env.ok(&["init", "-r", "other", "--new-key-file", "other-key"]);
    env.run(&["snapshots", "--key-file", "other-key"])
        .expect(12)
        .says("wrong password or no key");
    env.write("no-key", "hello\n");
    std::fs::set_permissions(env.path("no-key"), PermissionsExt::from_mode(0o600)).unwrap();
    env.run(&["snapshots", "--key-file", "no-key"])
        .expect(1)
        .says("not a key file");
}

#[test]
fn a_password_is_changed() {
    let env = TestEnvironment::with_repository();
    env.write("first", "one");
    env.write("second", "two");
    env.ok(&["key", "add", "--new-password-file", "first"]);
    let passwd = [
        "key",
        "passwd",
        "--password-file",
        "first",
        "--new-password-file",
        "second",
    ];
    env.ok(&passwd).prints("saved new key as ");
    env.run(&["snapshots", "--password-file", "first"])
        .expect(12);
    env.ok(&["snapshots", "--password-file", "second"]);
    env.ok(&["snapshots"]);
    assert_eq!(keys(&env).len(), 2);
}

#[test]
fn new_credentials_contradict_each_other() {
    let env = TestEnvironment::with_repository();
    let both = [
        "key",
        "add",
        "--new-password-file",
        "x",
        "--new-insecure-no-password",
    ];
    env.run(&both).expect(2).says("contradict");
    let run = env.run(&["key", "add"]).expect(2);
    let run = run.says("no password was given for the new key");
    let run = run.says("Use --new-password-file or --new-key-file");
    assert!(!run.stderr.contains(" --password"), "{run:?}");
    env.run_input(&["key", "add"], "typed\n").expect(0);
    env.write("typed", "typed");
    env.ok(&["snapshots", "--password-file", "typed"]);
    env.ok(&["key", "add", "--new-insecure-no-password"]);
    env.ok(&["snapshots", "--insecure-no-password"]);
}

#[test]
fn a_changed_password_keeps_its_owner_unless_told_otherwise() {
    let env = TestEnvironment::with_repository();
    env.write("one", "one");
    env.write("two", "two");
    let by = |password: &str, more: &[&str]| {
        let passwd = ["key", "passwd", "--password-file", password];
        env.ok(&[&passwd[..], more].concat());
    };
    let owner = |password: &str| {
        let listed = env.json(&["key", "list", "--password-file", password]);
        let listed = listed.as_array().unwrap();
        let key = listed.iter().find(|key| key["current"] == true).unwrap();
        [&key["userName"], &key["hostName"]].map(|name| name.as_str().unwrap().to_owned())
    };
    let add = [
        "key",
        "add",
        "--new-password-file",
        "one",
        "--user",
        "ann",
        "--host",
        "desk",
    ];
    env.ok(&add);
    by("one", &["--new-password-file", "two"]);
    assert_eq!(owner("two"), ["ann", "desk"]);
    by("two", &["--new-password-file", "one", "--host", "lap"]);
    assert_eq!(owner("one"), ["ann", "lap"]);
    by(
        "one",
        &[
            "--new-password-file",
            "two",
            "--user",
            "bob",
            "--host",
            "pad",
        ],
    );
    assert_eq!(owner("two"), ["bob", "pad"]);
    // The writer is the same: it still may back up.
    let source = env.write_source();
    env.ok(&["backup", &source, "--password-file", "two"]);
    env.ok(&["check"]);
}

#[test]
fn a_hint_must_fit_a_key() {
    let env = TestEnvironment::with_repository();
    let first = id(&keys(&env)[0]);
    env.ok(&["snapshots", "--key-hint", &first[..6]]);
    env.ok(&["snapshots", "--key-hint", &first.to_uppercase()]);
    for wrong in ["xyz", "", "0g", &format!("{first}0")] {
        let run = env.run(&["snapshots", "--key-hint", wrong]).expect(2);
        run.says("--key-hint")
            .says("hexadecimal")
            .says("larder key list");
    }
    let run = env.run_with(&["snapshots"], &[("LARDER_KEY_HINT", "xyz")]);
    run.expect(2).says("$LARDER_KEY_HINT is no beginning");
    let other = if first.starts_with('0') { "1" } else { "0" };
    let run = env.run(&["snapshots", "--key-hint", other]).expect(1);
    run.says(&format!("no key has an ID that begins with {other}"))
        .says("larder key list");
}

#[test]
fn a_key_file_stays_once_the_repository_may_open_with_it() {
    let env = TestEnvironment::new();
    // The first log entry cannot be written, but `config` stands before it.
    env.write("repo/log", "in the way");
    let run = env.run(&["init", "--new-key-file", "made"]).expect(1);
    assert!(env.path("repo/config").exists(), "{run:?}");
    run.says("keep it");
    std::fs::remove_file(env.path("repo/log")).unwrap();
    env.ok(&["snapshots", "--key-file", "made"]);

    // One that opens nothing goes.
    env.write("file", "");
    let nowhere = ["init", "-r", "file", "--new-key-file", "other"];
    env.run(&nowhere).expect(1);
    assert!(!env.path("other").exists());
}
