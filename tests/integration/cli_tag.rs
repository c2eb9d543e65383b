//! `tag`.

use crate::environment::TestEnvironment;
use serde_json::Value;

fn tags(env: &TestEnvironment) -> Vec<String> {
    let all = env.json(&["snapshots"]);
    let all = all.as_array().unwrap().iter();
    all.map(|s| s["tags"].to_string()).collect()
}

#[test]
fn tags_change_and_the_old_snapshot_is_forgotten() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let first = env.backup(&[&source, "--tag", "a"]);
    env.backup(&[&source, "--tag", "b"]);
    env.ok(&["tag", "--add", "c,d", "--remove", "a", "--tag", "a", "-n"])
        .prints(&format!("snapshot {} of [{source}] at 20", &first[..8]))
        .prints("@testhost would change: tags c,d\n")
        .prints("would change 1 snapshot");
    let changed = env.ok(&[
        "tag", "--add", "c,d", "--remove", "a", "--tag", "a", "--json",
    ]);
    let [changed, summary] = &changed.messages()[..] else {
        panic!("{changed:?}");
    };
    assert_eq!(changed["message_type"], "changed");
    assert_eq!(changed["old_snapshot_id"], first.as_str());
    assert_eq!(summary["changed_snapshots"], 1);
    assert_eq!(tags(&env), [r#"["c","d"]"#, r#"["b"]"#]);
    assert_eq!(env.json(&["snapshots"])[0]["original"], first.as_str());
    env.ok(&["snapshots", "--forgotten"]).prints(&first[..8]);
    env.ok(&["tag", "--set", "x"])
        .prints("changed the tags of 2 snapshots");
    env.ok(&["tag", "--set", "x"])
        .prints("no snapshot was changed");
    env.ok(&["tag", "--set", ""]).prints(": no tags\n");
    assert_eq!(tags(&env), ["null", "null"]);
    env.ok(&["check", "--read-data"]);
}

#[test]
fn what_makes_no_sense_is_refused_and_the_protected_stay() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let id = env.backup(&[&source]);
    env.run(&["tag"]).expect(2).says("--add, --remove or --set");
    env.run(&["tag", "--set", "a", "--add", "b"]).expect(2);
    env.run(&["tag", "--add", "b", "0000"]).expect(1);
    env.ok(&["protect", &id, "--until", "forever"]);
    let refused = env.run(&["tag", "--add", "b"]).expect(1);
    refused.says("is protected and cannot be replaced");
    env.ok(&["protect", &id, "--remove"]);
    env.ok(&["tag", "--add", "b"]);
    let old = env.run(&["tag", "--add", "c", &id[..8]]).expect(1);
    old.says("is forgotten");
}

#[test]
fn a_changed_snapshot_stays_in_its_series() {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "content");
    let source = env.text("src");
    for day in 1..=3 {
        let time = format!("2024-01-0{day} 12:00:00");
        env.backup(&[&source, "--time", &time]);
    }
    env.backup(&[&source]);
    let plan = |env: &TestEnvironment| env.json(&["forget", "--keep-last", "9", "-n"]);
    let times = |plan: &Value| plan.as_array().unwrap().len();
    assert_eq!(times(&plan(&env)), 2, "imports are a series of their own");
    env.ok(&["tag", "--add", "a"]);
    assert_eq!(times(&plan(&env)), 1, "who may forget vouches for them");
}

/// Several times, for the order of two IDs is chance.
#[test]
fn of_the_same_time_the_newest_is_what_was_made_last() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    for time in 0..8 {
        let time = format!("2026-01-0{} 10:00:00", time + 1);
        let first = env.backup(&[&source, "--time", &time]);
        env.ok(&["rewrite", "--new-description", "made last", "latest"]);
        let newest = &env.json(&["snapshots", "--latest", "1"])[0];
        assert_eq!(newest["description"], "made last");
        assert_eq!(newest["original"], first.as_str());
        env.ok(&["ls", "latest"])
            .prints(newest["short_id"].as_str().unwrap());
    }
}

#[test]
fn a_rewrite_says_of_which_snapshot_and_what_changed() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[&source, "--time", "2026-01-02 10:00:00"]);
    let words = ["--new-label", "job", "--new-description", "d"];
    env.ok(&[&["rewrite", "--forget", "--exclude", "c.txt"], &words[..]].concat())
        .prints(&format!("of [{source}] at 2026-01-02 10:00:00 by "))
        .prints("@testhost is now ")
        .prints(": 3 of 4 files, ")
        .prints(", label job, another description\n");
    let time = ["rewrite", "--forget", "--new-time", "2099-01-01 00:00:00"];
    let in_future = "is in the future: until then it stays `latest`";
    env.ok(&[&time[..], &["--dry-run"]].concat())
        .prints("would change: time 2099-01-01 00:00:00\n")
        .says(in_future);
    env.ok(&time).says(in_future);
    let past = ["rewrite", "--forget", "--new-time", "2020-01-01 00:00:00"];
    assert_eq!(env.ok(&past).stderr, "");
}
