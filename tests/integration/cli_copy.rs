//! `copy`: from one repository into another, with keys of its own.

use crate::environment::{TestEnvironment, noise};
use serde_json::Value;

const FROM: [&str; 4] = ["--from-repo", "repo", "--from-key-file", "key"];
const INTO: [&str; 4] = ["-r", "copies", "--key-file", "copies-key"];

/// A repository `repo` with two snapshots of `src`, and an empty one, `copies`.
fn environment() -> TestEnvironment {
    let env = TestEnvironment::with_repository();
    env.ok(&["init", "-r", "copies", "--new-key-file", "copies-key"]);
    let source = env.write_source();
    env.write("src/large", noise(5_000_000, 7));
    env.backup(&[&source, "--tag", "first", "--label", "job"]);
    env.write("src/a.txt", "changed\n");
    env.backup(&[&source, "--tag", "second"]);
    env
}

/// The arguments of a copy.
fn copy<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["copy"][..], &FROM, &INTO, arguments].concat()
}

/// What lies in the repository of the copies.
fn snapshots(env: &TestEnvironment) -> Vec<Value> {
    let text = env
        .ok(&[&["snapshots", "--json"][..], &INTO].concat())
        .stdout;
    serde_json::from_str(&text).unwrap()
}

#[test]
fn copies_restore_with_keys_of_their_own() {
    let env = environment();
    let run = env.ok(&copy(&[]));
    assert!(
        run.stdout.contains("copied 2 snapshots, added 5."),
        "{run:?}"
    );
    assert_eq!(run.stdout.matches(": copied as ").count(), 2, "{run:?}");
    let ours: Vec<Value> = serde_json::from_str(&env.ok(&["snapshots", "--json"]).stdout).unwrap();
    let copies = snapshots(&env);
    for (old, new) in ours.iter().zip(&copies) {
        for field in [
            "time", "paths", "hostname", "username", "tags", "label", "summary",
        ] {
            assert_eq!(old[field], new[field], "{field}");
        }
        assert_ne!(old["id"], new["id"]);
        assert_eq!(old["id"], new["original"]);
    }

    // Without the repository that it came from.
    std::fs::remove_dir_all(env.path("repo")).unwrap();
    std::fs::remove_file(env.path("key")).unwrap();
    let (source, key) = (env.text("src"), env.text("copies-key"));
    let of = format!("latest:{source}");
    let restore = [
        "restore",
        &of,
        "--target",
        "out",
        "-r",
        "copies",
        "--key-file",
        &key,
    ];
    env.ok(&restore);
    let diff = std::process::Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([env.path("src"), env.path("out")])
        .output()
        .unwrap();
    assert!(diff.status.success(), "{diff:?}");
    env.ok(&["check", "--read-data", "-r", "copies", "--key-file", &key]);
}

#[test]
fn what_was_copied_is_passed_over() {
    let env = environment();
    env.ok(&copy(&[]));
    let packs = env.files("copies/data");
    let again = env.ok(&copy(&["-v"]));
    assert!(again.stdout.contains("was copied before, as "), "{again:?}");
    assert!(
        again
            .stdout
            .contains("no snapshot was copied; 2 had been copied before")
    );
    assert!(!env.ok(&copy(&[])).stdout.contains("was copied before"));
    env.write("src/new", "new\n");
    env.backup(&["src"]);
    let third = env.ok(&copy(&["--json"]));
    let told = third.messages();
    let actions: Vec<&str> = told
        .iter()
        .filter_map(|line| line["action"].as_str())
        .collect();
    assert_eq!(actions, ["skipped", "skipped", "copied"]);
    let summary = told.last().unwrap();
    assert_eq!(summary["message_type"], "summary");
    assert_eq!(summary["snapshots_copied"], 1);
    assert_eq!(summary["data_blobs"], 1);
    assert!(summary["data_added"].as_u64().unwrap() < 100_000);
    let copied = told.iter().find(|line| line["action"] == "copied").unwrap();
    assert_eq!(copied["copy_id"], snapshots(&env)[2]["id"]);
    assert_eq!(env.files("copies/data").len(), packs.len() + 1);
}

#[test]
fn snapshots_are_chosen_as_everywhere() {
    for (arguments, tags) in [
        (&["latest"][..], "second"),
        (&["--tag", "first"], "first"),
        (&["--label", "job"], "first"),
    ] {
        let env = environment();
        env.ok(&copy(arguments));
        let copies = snapshots(&env);
        assert_eq!(copies.len(), 1);
        assert_eq!(copies[0]["tags"][0], tags);
    }
    let env = environment();
    for nothing in [&["--host", "other"][..], &["--path", "/none"]] {
        let run = env.ok(&copy(nothing));
        assert!(run.stdout.contains("no snapshot was copied"), "{run:?}");
    }
    env.run(&copy(&["ffffffff"]))
        .expect(1)
        .says("no snapshot has an ID");
    let dry = env.ok(&copy(&["--dry-run", "--json"]));
    let actions = dry.messages();
    assert_eq!(actions[0]["action"], "to_copy");
    assert_eq!(actions[2]["snapshots_copied"], 2);
    assert_eq!(snapshots(&env).len(), 0);
    let dry = env.ok(&copy(&["-n"]));
    assert!(dry.stdout.contains("would copy 2 snapshots"), "{dry:?}");
}

#[test]
fn the_other_repository_is_named_by_variables_too() {
    let env = environment();
    let (repo, key) = (env.text("repo"), env.text("key"));
    let variables = [
        ("RESTIC_FROM_REPOSITORY", &repo[..]),
        ("LARDER_FROM_KEY_FILE", &key),
    ];
    let run = env.run_with(&[&["copy"][..], &INTO].concat(), &variables);
    run.expect(0);
    assert_eq!(snapshots(&env).len(), 2);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let env = environment();
    env.run(&[&["copy"][..], &INTO].concat())
        .expect(2)
        .says("no source repository was named");
    env.run(&[&["copy"][..], &FROM].concat())
        .expect(2)
        .says("both are the same repository");
    let absent = ["copy", "--from-repo", "absent", "--from-key-file", "key"];
    env.run(&[&absent[..], &INTO].concat()).expect(10);
    let wrong = [
        "copy",
        "--from-repo",
        "repo",
        "--from-key-file",
        "copies-key",
    ];
    env.run(&[&wrong[..], &INTO].concat()).expect(12);
    assert_eq!(snapshots(&env).len(), 0);
}

#[test]
fn what_needs_what_is_lost_is_named_and_not_copied() {
    let env = environment();
    let before = env.files("repo/data");
    env.write("other/lost", noise(3_000_000, 9));
    env.backup(&["other"]);
    let lost = env
        .files("repo/data")
        .into_iter()
        .filter(|pack| !before.contains(pack));
    lost.for_each(|pack| std::fs::remove_file(env.path("repo/data").join(pack)).unwrap());
    let run = env.run(&copy(&[])).expect(3);
    assert!(run.stderr.contains("/other/lost"), "{run:?}");
    assert!(
        run.stderr.contains("was not copied: 1 thing in it is lost"),
        "{run:?}"
    );
    assert!(run.stdout.contains("copied 2 snapshots"), "{run:?}");
    assert_eq!(snapshots(&env).len(), 2);
    let json = env.run(&copy(&["--json"])).expect(3);
    let told = json.messages();
    assert_eq!(told[2]["action"], "incomplete");
    assert_eq!(told[2]["copy_id"], Value::Null);
    assert!(json.stderr.contains("\"during\":\"copy\""), "{json:?}");
}
