//! `promote`: a replica takes nothing of its own until it is the home.

use crate::environment::{TestEnvironment, assert_same_tree, noise};

/// A repository with a snapshot of `src`, and two replicas of it; `two` has one snapshot more than `one`.
fn environment() -> TestEnvironment {
    let env = TestEnvironment::with_repository();
    env.write_source();
    env.backup(&["src"]);
    env.ok(&["sync", "--to", "one"]);
    env.write("src/large", noise(2_000_000, 3));
    env.backup(&["src"]);
    env.ok(&["sync", "--to", "two"]);
    env
}

fn assert_restores(env: &TestEnvironment, place: &str) {
    let state = env.text("state-of-nobody");
    let variables = [("LARDER_STATE_DIR", state.as_str())];
    let restore = ["restore", "latest:/src", "-r", place, "--target", "out"];
    env.run_with(&restore, &variables).expect(0);
    assert_same_tree(&env.path("src"), &env.path("out"));
    let check = ["check", "-r", place, "--read-data"];
    env.run_with(&check, &variables).expect(0);
    for made in ["out", "state-of-nobody"] {
        std::fs::remove_dir_all(env.path(made)).unwrap();
    }
}

#[test]
fn when_the_home_is_lost_a_replica_becomes_it() {
    let env = environment();
    std::fs::remove_dir_all(env.path("repo")).unwrap();
    env.run(&["backup", "-r", "two", "src"])
        .expect(1)
        .says("two is a replica, which gets what it holds from the place that it follows")
        .says("`larder promote` makes this one the home");
    // This machine has seen more than `one` has, and `two` has it.
    let promote = ["promote", "-r", "one", "--replica", "two"];
    env.run(&[&promote[..], &["-n"]].concat())
        .expect(0)
        .prints("one would get 1 log entry from two\n")
        .prints("one would become the home of the repository");
    let told = env.run(&[&promote[..], &["--json"]].concat()).expect(0);
    let summary = told.messages().pop().unwrap();
    assert_eq!(summary["message_type"], "summary");
    assert_eq!(summary["generation"], 1);
    assert_eq!(summary["entries_brought"], 1);
    assert_eq!(summary["was_home"], false);
    env.write("src/new", "new\n");
    env.ok(&["backup", "-r", "one", "--replica", "two", "src"]);
    for place in ["one", "two"] {
        assert_restores(&env, place);
    }
    env.run(&["backup", "-r", "two", "src"])
        .expect(1)
        .says("is a replica");
    env.run(&promote)
        .expect(0)
        .prints("one is the home of the repository already\n");
}

#[test]
fn a_home_hands_over_and_takes_back() {
    let env = environment();
    let all = [("LARDER_REPLICAS", "repo,one,two")];
    env.run_with(&["promote", "-r", "one"], &all)
        .expect(0)
        .prints("one got ")
        .prints("repo is no home any more, but a replica\n")
        .prints("one is the home of the repository from now on: generation 1, log entry 4\n")
        .prints("two got 0 objects");
    env.run_with(&["backup", "src"], &all)
        .expect(1)
        .says("is a replica");
    env.write("src/new", "new\n");
    env.run_with(&["backup", "-r", "one", "src"], &all)
        .expect(0)
        .prints("repo got ");
    env.run_with(&["promote"], &all)
        .expect(0)
        .prints("generation 2");
    env.write("src/newer", "newer\n");
    env.run_with(&["backup", "src"], &all).expect(0);
    for place in ["repo", "one", "two"] {
        assert_restores(&env, place);
    }
}

#[test]
fn who_went_his_own_way_is_refused_or_left_out() {
    let env = environment();
    env.run(&["promote", "-r", "two", "--replica", "gone"])
        .expect(3)
        .says("gone was not compared: ")
        .says("what only it has is not in the new home");
    assert!(env.path("gone").exists(), "it is a replica by now");
    env.write("src/only here", "new\n");
    env.run(&["backup", "src"])
        .expect(1)
        .says("older than what this machine has seen");
    let state = env.text("elsewhere");
    env.run_with(&["backup", "src"], &[("LARDER_STATE_DIR", &state)])
        .expect(0);
    let before = env.files("one/log").len();
    let promote = [
        "promote",
        "-r",
        "one",
        "--replica",
        "repo",
        "--replica",
        "two",
    ];
    env.run_with(&promote, &[("LARDER_STATE_DIR", &state)])
        .expect(1)
        .says("went its own way")
        .says("Nothing was changed.");
    assert_eq!(env.files("one/log").len(), before);
    env.run(&["sync", "--to", "two"])
        .expect(1)
        .says("has another log entry");

    let promote = ["promote", "-r", "two", "--replica", "repo", "--merge"];
    env.run(&[&promote[..], &["-n"]].concat())
        .expect(0)
        .prints("repo went its own way, and would be merged");
    env.run(&promote)
        .expect(3)
        .prints(": copied as ")
        .prints("copied 1 snapshot of repo, which went its own way")
        .says("repo: was not brought up: ");
    for part in ["log", "checkpoints"] {
        let _ = std::fs::remove_dir_all(env.path("repo").join(part));
    }
    std::fs::remove_file(env.path("repo/config")).unwrap();
    env.ok(&["sync", "-r", "two", "--to", "repo"]);
    for place in ["two", "repo"] {
        assert_restores(&env, place);
    }
}

#[test]
fn what_is_copied_by_hand_takes_backups_until_it_follows() {
    let env = environment();
    std::fs::create_dir(env.path("by-hand")).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(env.path("repo/."))
        .arg(env.path("by-hand"))
        .status();
    assert!(copied.unwrap().success());
    env.run(&["sync", "--to", "by-hand"])
        .expect(0)
        .says("by-hand took backups of its own until now");
    env.run(&["backup", "-r", "by-hand", "src"])
        .expect(1)
        .says("is a replica");
}
