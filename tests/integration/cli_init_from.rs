//! `init --copy-chunker-params`: two repositories that name the same content alike.

use crate::environment::TestEnvironment;

/// An environment with a second repository `other`, made with these arguments and opened by the key file `other-key`.
fn with_other(arguments: &[&str]) -> TestEnvironment {
    let env = TestEnvironment::with_repository();
    let other = ["init", "-r", "other", "--new-key-file", "other-key"];
    env.ok(&[&other[..], arguments].concat());
    env
}

const IN_OTHER: [&str; 4] = ["-r", "other", "--key-file", "other-key"];

fn blobs(env: &TestEnvironment, place: &[&str]) -> Vec<String> {
    let text = env.ok(&[&["list", "blobs"], place].concat()).stdout;
    let mut blobs: Vec<String> = text.lines().map(str::to_owned).collect();
    blobs.sort();
    blobs
}

fn of_kind<'a>(blobs: &'a [String], kind: &str) -> Vec<&'a String> {
    let of_kind = |blob: &&String| blob.starts_with(kind);
    blobs.iter().filter(of_kind).collect()
}

#[test]
fn the_same_content_gets_the_same_ids() {
    let from = [
        "--copy-chunker-params",
        "--from-repo",
        "repo",
        "--from-key-file",
        "key",
    ];
    for (arguments, same) in [(&from[..], true), (&[], false)] {
        let env = with_other(arguments);
        let source = env.write_source();
        env.write("src/large", crate::environment::noise(3_000_000, 7));
        env.backup(&[&source]);
        env.backup(&[&[source.as_str()][..], &IN_OTHER].concat());
        let (one, other) = (blobs(&env, &[]), blobs(&env, &IN_OTHER));
        assert_eq!(of_kind(&one, "data") == of_kind(&other, "data"), same);
        // The trees of the source too; directories above it change while other tests run.
        for kind in ["data", "tree"] {
            let (one, other) = (of_kind(&one, kind), of_kind(&other, kind));
            assert_eq!(one.iter().any(|blob| other.contains(blob)), same);
        }

        // Everything else is its own, also for who gets a key later.
        let packs = |place: &[&str]| env.ok(&[&["list", "packs"], place].concat()).stdout;
        assert_ne!(packs(&[]), packs(&IN_OTHER));
        env.run(&["snapshots", "-r", "other"]).expect(12);
        let add = [&["key", "add", "--new-key-file", "third"], &IN_OTHER[..]].concat();
        env.ok(&add);
        let third = ["-r", "other", "--key-file", "third"];
        let again = env.json(&[&["backup", "--force", &source], &third[..]].concat());
        assert_eq!(again["data_blobs"], 0);
        env.ok(&[&["check", "--read-data"], &IN_OTHER[..]].concat());
    }
}

#[test]
fn the_other_repository_is_named_by_variables_too() {
    let env = TestEnvironment::with_repository();
    let (repo, key) = (env.text("repo"), env.text("key"));
    let init = [
        "init",
        "-r",
        "other",
        "--new-key-file",
        "other-key",
        "--copy-chunker-params",
    ];
    let variables = [
        ("RESTIC_FROM_REPOSITORY", &repo[..]),
        ("LARDER_FROM_KEY_FILE", &key),
    ];
    // For a command that copies nothing they mean nothing.
    env.run_with(
        &["init", "-r", "plain", "--new-key-file", "plain-key"],
        &variables,
    )
    .expect(0);
    env.run_with(&init, &variables).expect(0);
    env.backup(&["key"]);
    env.backup(&[&["key"][..], &IN_OTHER].concat());
    let (one, other) = (blobs(&env, &[]), blobs(&env, &IN_OTHER));
    assert_eq!(of_kind(&one, "data"), of_kind(&other, "data"));
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_made() {
    let env = TestEnvironment::with_repository();
    let init = |arguments: &[&str]| {
        let first = ["init", "-r", "other", "--new-key-file", "other-key"];
        let run = env.run(&[&first[..], arguments].concat());
        assert!(
            !env.path("other").exists() && !env.path("other-key").exists(),
            "{run:?}"
        );
        run
    };
    init(&["--copy-chunker-params"])
        .expect(2)
        .says("no source repository was named");
    init(&["--from-repo", "repo"])
        .expect(2)
        .says("Add --copy-chunker-params");
    let copy = ["--copy-chunker-params", "--from-repo", "repo"];
    init(&[&copy[..], &["--from-repository-file", "x"]].concat()).expect(2);
    init(
        &[
            &copy[..],
            &["--from-key-file", "a", "--from-password-file", "b"],
        ]
        .concat(),
    )
    .expect(2);
    env.write("wrong", "wrong\n");
    init(&[&copy[..], &["--from-password-file", "wrong"]].concat())
        .expect(12)
        .says("wrong password");
    init(&copy)
        .expect(2)
        .says("for the source repository")
        .says("--from-password-file");
    init(&[
        "--copy-chunker-params",
        "--from-repo",
        "absent",
        "--from-key-file",
        "key",
    ])
    .expect(10)
    .says("absent");
    // What is there already is said before anybody is asked for a password.
    env.run(&["init", "--copy-chunker-params", "--from-repo", "repo"])
        .expect(1)
        .says("there is a repository at");
    init(&["--repository-version", "2"])
        .expect(2)
        .says("format 1");
    env.ok(&[
        "init",
        "-r",
        "other",
        "--new-key-file",
        "other-key",
        "--repository-version",
        "latest",
    ]);
}
