//! `sync` and `--replica`: one repository in several places.

use crate::environment::{TestEnvironment, assert_same_tree, noise};
use crate::s3_server::S3Server;
use crate::ssh_server::SshServer;

/// A repository with a snapshot of `src`.
fn environment() -> TestEnvironment {
    let env = TestEnvironment::with_repository();
    env.write_source();
    env.write("src/large", noise(3_000_000, 3));
    env.backup(&["src"]);
    env
}

/// Restores the newest snapshot of a place that was never opened here, and has it checked.
fn assert_whole(env: &TestEnvironment, place: &str) {
    let state = env.text(&format!("state-{place}"));
    let variables = [("LARDER_STATE_DIR", state.as_str())];
    let of = "latest:/src";
    let target = format!("out-{place}");
    let restore = ["restore", of, "-r", place, "--target", &target];
    env.run_with(&restore, &variables).expect(0);
    assert_same_tree(&env.path("src"), &env.path(&target));
    std::fs::remove_dir_all(env.path(&target)).unwrap();
    let check = ["check", "-r", place, "--read-data"];
    env.run_with(&check, &variables).expect(0);
}

#[test]
fn several_places_are_brought_up_without_a_key() {
    let env = environment();
    // No password, and no key file.
    let without = [("LARDER_KEY_FILE", ""), ("RESTIC_PASSWORD_FILE", "")];
    let sync = ["sync", "--to", "one", "--to", "two"];
    let said = env.run_with(&sync, &without).expect(0).stdout;
    assert!(
        said.contains("one got ") && said.contains("two got "),
        "{said}"
    );
    for place in ["one", "two"] {
        assert_eq!(env.files(place).len(), env.files("repo").len());
        assert_whole(&env, place);
    }
    env.run_with(&sync, &without)
        .expect(0)
        .prints("one was up to date");

    env.write("src/large", noise(3_000_000, 4));
    env.backup(&["src"]);
    env.ok(&["forget", "--keep-last", "1"]);
    env.ok(&["prune", "--grace", "0"]);
    let dry = env.run_with(&[&sync[..], &["--dry-run"]].concat(), &without);
    dry.expect(0).prints("one would get ");
    let run = env.run_with(&[&sync[..], &["--json"]].concat(), &without);
    let told = run.expect(0).messages();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0]["message_type"], "replica");
    assert_eq!(told[0]["place"], "one");
    assert!(told[0]["objects_deleted"].as_u64().unwrap() > 0);
    assert_eq!(told[2]["message_type"], "summary");
    assert_eq!(told[2]["replicas"], 2);
    assert_whole(&env, "two");
    env.ok(&["sync", "--to", "three", "--prove"]);
    assert_whole(&env, "three");
}

#[test]
fn replicas_are_compared_and_heal_each_other() {
    let env = environment();
    let replicas = [("LARDER_REPLICAS", "one")];
    env.run_with(&["sync"], &replicas).expect(0);
    let check = ["check", "--replicas", "--read-data"];
    env.run_with(&check, &replicas)
        .expect(0)
        .prints("replica one: no errors were found");
    env.run(&check).expect(2).says("no replica was named");

    let spoil = |place: &str, which: usize| {
        let data = format!("{place}/data");
        let path = env.path(&data).join(&env.files(&data)[which]);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    spoil("one", 0);
    env.run_with(&check[..2], &replicas).expect(0);
    env.run_with(&check, &replicas)
        .expect(1)
        .says("error: one: lacks 0 objects and 0 log entries, and has 1 object damaged")
        .says("1 replica is not as the repository is");
    env.run_with(&["sync", "--read-data"], &replicas)
        .expect(0)
        .prints("one got 1 object");
    env.run_with(&check, &replicas).expect(0);

    spoil("repo", 0);
    env.run(&["check", "--read-data"]).expect(1);
    let home = env.text("repo");
    env.ok(&["sync", "-r", "one", "--to", &home, "--read-data", "--prove"]);
    env.run_with(&check, &replicas).expect(0);
    std::fs::remove_dir_all(env.path("one/data")).unwrap();
    env.run_with(&check[..2], &replicas)
        .expect(1)
        .says("one: lacks ");
}

#[test]
fn what_the_repository_has_lost_is_read_from_a_replica_and_put_back() {
    let env = environment();
    env.ok(&["sync", "--to", "one"]);
    let lost = env.path("repo/data");
    let target = ["restore", "latest:/src", "--target", "out"];
    let also = [&target[..], &["--replica", "gone", "--replica", "one"]].concat();
    std::fs::remove_dir_all(&lost).unwrap();
    std::fs::create_dir(&lost).unwrap();
    env.run(&target).expect(3);
    std::fs::remove_dir_all(env.path("out")).unwrap();

    env.run(&also)
        .expect(0)
        .says("damaged or missing was read from one, and put back");
    assert_same_tree(&env.path("src"), &env.path("out"));
    env.ok(&["check", "--read-data"]);
    assert!(!env.path("gone").exists());
    let again = env.run(&also).expect(0);
    assert!(!again.stderr.contains("missing"), "{}", again.stderr);

    // A look at a place does not change it.
    std::fs::remove_dir_all(&lost).unwrap();
    let replica = ["check", "--replica", "one"];
    env.run(&replica).expect(1);
    assert!(!lost.exists());
    // Nothing can lie where a file is.
    std::fs::write(&lost, "").unwrap();
    std::fs::remove_dir_all(env.path("out")).unwrap();
    env.run(&also)
        .expect(3)
        .says("damaged or missing was read from one, and cannot be put back, such as data/");
    assert_same_tree(&env.path("src"), &env.path("out"));
}

#[test]
fn what_is_no_replica_is_refused_and_the_others_are_brought_up() {
    let env = environment();
    env.write("letters/dear", "sir");
    env.ok(&["init", "-r", "other", "--new-key-file", "other-key"]);
    env.run(&["sync", "--to", "letters"])
        .expect(1)
        .says("is not empty: dear lies there\nNothing was changed.");
    env.run(&["sync", "--to", "other"])
        .expect(1)
        .says("is another repository than the source");
    let both = env.run(&["sync", "--to", "other", "--to", "one"]).expect(3);
    assert!(
        both.stderr.contains("error: other: was not brought up"),
        "{both:?}"
    );
    assert_whole(&env, "one");
    let state = env.text("elsewhere");
    let promote = ["promote", "-r", "one"];
    env.run_with(&promote, &[("LARDER_STATE_DIR", &state)])
        .expect(0);
    env.run(&["sync", "--to", "one"])
        .expect(1)
        .says("Something was written to it by itself");
    env.run(&["sync", "--to", &env.text("repo")])
        .expect(2)
        .says("is the repository itself");
    env.run(&["sync"]).expect(2).says("no place was named");
    env.run(&["sync", "-r", "nothing", "--to", "one"])
        .expect(10);
}

#[test]
fn a_wrong_replica_is_refused_before_anything_is_done() {
    let env = environment();
    env.ok(&["init", "-r", "other", "--new-key-file", "other-key"]);
    env.write("letters/dear", "sir");
    std::os::unix::fs::symlink("repo", env.path("link")).unwrap();
    let before = env.files("repo").len();
    env.run(&["backup", "src", "--replica", "other"])
        .expect(1)
        .says("--replica other: ")
        .says("is another repository than the source");
    env.run_with(&["forget", "latest"], &[("LARDER_REPLICAS", "letters")])
        .expect(1)
        .says("LARDER_REPLICAS letters: ")
        .says("is not empty: dear lies there");
    for home in ["repo", "link", "x/../repo", "repo/data", "link/new", "."] {
        env.run(&["backup", "src", "--replica", home])
            .expect(2)
            .says("--replica: ")
            .says("is the repository itself");
        env.run(&["sync", "--to", home])
            .expect(2)
            .says("is the repository itself");
    }
    env.run_with(&["backup", "src"], &[("LARDER_REPLICAS", "rest:http://x")])
        .expect(2)
        .says("LARDER_REPLICAS: ");
    std::os::unix::fs::symlink("nowhere", env.path("dangling")).unwrap();
    env.run(&["backup", "src", "--replica", "dangling"])
        .expect(1)
        .says("--replica dangling: ")
        .says("is a symbolic link that leads nowhere");
    env.run(&["backup", "src", "--replica", "file:one"])
        .expect(2)
        .says("repositories at file: are not supported");
    assert_eq!(env.files("repo").len(), before);
    // Whoever only looks is not kept from it by what lies there.
    env.run(&["snapshots", "--replica", "other"]).expect(0);
}

#[test]
fn of_several_places_that_fail_each_is_named() {
    let env = environment();
    env.ok(&["init", "-r", "other", "--new-key-file", "other-key"]);
    env.write("letters/dear", "sir");
    env.run(&["sync", "--to", "other", "--to", "letters"])
        .expect(1)
        .says("error: other: was not brought up")
        .says("error: letters: was not brought up");
    env.run(&["check", "--replicas"])
        .expect(2)
        .says("no replica was named");
    env.ok(&["sync", "--to", "one"]);
    let mut config = std::fs::read(env.path("one/config")).unwrap();
    let last = config.len() - 1;
    config[last] ^= 1;
    std::fs::write(env.path("one/config"), config).unwrap();
    env.run(&["sync", "--to", "one"])
        .expect(1)
        .says("repo and in one: one of them is damaged");
    env.ok(&["sync", "--to", "one", "--prove", "--read-data"]);
    assert_whole(&env, "one");
    std::fs::remove_file(env.path("one/config")).unwrap();
    env.run(&["snapshots", "-r", "one"])
        .expect(1)
        .says("If a `larder sync` that makes it was stopped, run it again.");
}

/// A replica of what was pruned since, by a prune of whose new packs one was lost.
fn with_lost_pack() -> TestEnvironment {
    let env = environment();
    env.write("src/more", noise(3_000_000, 5));
    env.backup(&["src"]);
    env.ok(&["sync", "--to", "one"]);
    std::fs::remove_file(env.path("src/large")).unwrap();
    env.backup(&["src"]);
    env.ok(&["forget", "--keep-last", "1"]);
    env.ok(&["prune", "--grace", "0", "--max-unused", "0"]);
    let new = env.files("repo/data").into_iter();
    let mut new = new.filter(|file| !env.path("one/data").join(file).exists());
    let lost = new.next().expect("a prune has written a pack");
    std::fs::remove_file(env.path("repo/data").join(lost)).unwrap();
    env
}

#[test]
fn what_is_held_back_is_said_and_ends_with_3() {
    let env = with_lost_pack();
    let before = env.files("one/data");
    for prove in [
        &["sync", "--to", "one"][..],
        &["sync", "--to", "one", "--prove"],
    ] {
        let run = env.run(prove).expect(3);
        assert!(
            run.stderr
                .contains("stay in one: it lacks what the deletion rests on"),
            "{run:?}"
        );
        run.says("one stays what it was, ");
    }
    let check = ["check", "--replicas", "--replica", "one"];
    env.run(&check)
        .expect(1)
        .says("error: one: lacks 0 objects");
    let mut json = env
        .run(&["sync", "--to", "one", "--json"])
        .expect(3)
        .messages();
    let held = json.remove(0)["entries_held_back"].as_u64().unwrap();
    assert!(held >= 3, "{held}");
    let check = ["check", "-r", "one", "--read-data"];
    let state = env.text("state-one");
    env.run_with(&check, &[("LARDER_STATE_DIR", &state)])
        .expect(0);
    let after = env.files("one/data");
    assert!(before.iter().all(|file| after.contains(file)));
}

#[test]
fn replicas_follow_what_is_written_and_one_that_is_down_fails_nothing() {
    let env = environment();
    let replicas = [("LARDER_REPLICAS", "one,two")];
    env.write("src/new", "new\n");
    env.run_with(&["backup", "src"], &replicas)
        .expect(0)
        .prints("one got ");
    for place in ["one", "two"] {
        assert_whole(&env, place);
    }
    // A command that adds nothing brings nothing up.
    let listed = env.run_with(&["snapshots"], &replicas).expect(0);
    assert!(!listed.stdout.contains("up to date"), "{listed:?}");

    // A file where the replica was.
    std::fs::rename(env.path("two"), env.path("away")).unwrap();
    env.write("two", "in the way");
    env.write("src/newer", "newer\n");
    let run = env.run_with(&["backup", "src"], &replicas).expect(3);
    assert!(
        run.stderr.contains("error: two: was not brought up"),
        "{run:?}"
    );
    assert_whole(&env, "one");
    std::fs::remove_file(env.path("two")).unwrap();
    std::fs::rename(env.path("away"), env.path("two")).unwrap();
    env.run_with(&["sync"], &replicas)
        .expect(0)
        .prints("two got ");
    assert_whole(&env, "two");

    // Flags go before the variable; what a program reads of a backup ends with its summary.
    env.write("src/newest", "newest\n");
    let run = env.run_with(&["backup", "src", "--replica", "two", "--json"], &replicas);
    let told = run.expect(0).messages();
    assert_eq!(told.last().unwrap()["message_type"], "summary");
    assert_whole(&env, "two");
    env.run(&["sync", "--to", "one", "--dry-run"])
        .expect(0)
        .prints("one would get ");
}

/// Brings `place` up twice and another one up from it, with these variables.
fn assert_goes_there_and_back(env: &TestEnvironment, place: &str, variables: &[(&str, &str)]) {
    let sync = ["sync", "--to", place, "--json"];
    let requests = || {
        let told = env.run_with(&sync, variables).expect(0).messages();
        told.last().unwrap()["requests_made"].clone()
    };
    assert!(requests()["put"].as_u64().unwrap() >= 5);
    env.write("src/new", noise(300_000, 5));
    env.backup(&["src"]);
    env.ok(&["forget", "--keep-last", "1"]);
    env.ok(&["prune", "--grace", "0"]);
    let made = requests();
    assert!(made["put"].as_u64().unwrap() >= 5 && made["delete"].as_u64().unwrap() > 0);
    let made = requests();
    let of = |name: &str| made[name].as_u64().unwrap();
    assert_eq!((of("put"), of("get"), of("head"), of("list")), (0, 2, 0, 1));
    let check = ["check", "--replicas", "--read-data", "--replica", place];
    env.run_with(&check, variables).expect(0);
    let back = ["sync", "-r", place, "--to", "back"];
    env.run_with(&back, variables).expect(0);
    assert_whole(env, "back");
}

#[test]
fn over_s3() {
    let env = environment();
    let server = S3Server::start(&env.path(""));
    assert_goes_there_and_back(
        &env,
        &server.place("bucket/replica"),
        &S3Server::variables(),
    );
}

#[test]
fn over_sftp() {
    let env = environment();
    let Some(server) = SshServer::start(&env.path("")) else {
        return;
    };
    let (place, path) = (server.place(&env.path("there")), server.search_path());
    assert_goes_there_and_back(&env, &place, &[("PATH", &path)]);
    assert!(server.is_left_alone());
}
