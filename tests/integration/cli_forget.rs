//! `forget`, `unforget`, `protect`, `expire` and `snapshots --forgotten`.

use crate::environment::TestEnvironment;
use serde_json::Value;

/// Snapshots of the days 1 to 6 of January 2024 at noon, in one series.
fn six_days() -> (TestEnvironment, Vec<String>) {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "content");
    let ids = (1..=6).map(|day| on_day(&env, day, &[]));
    let ids = ids.collect();
    (env, ids)
}

fn on_day(env: &TestEnvironment, day: u32, flags: &[&str]) -> String {
    let time = format!("2024-01-{day:02} 12:00:00");
    let source = env.text("src");
    env.backup(&[&[source.as_str(), "--time", &time], flags].concat())
}

fn ids(list: &Value) -> Vec<String> {
    let all = list.as_array().into_iter().flatten();
    all.map(|s| s["id"].as_str().unwrap().to_owned()).collect()
}

fn live(env: &TestEnvironment) -> Vec<String> {
    ids(&env.json(&["snapshots"]))
}

#[test]
fn a_policy_says_what_it_keeps_and_why() {
    let (env, made) = six_days();
    let policy = [
        "forget",
        "--keep-last",
        "1",
        "-d",
        "3",
        "--keep-within-weekly",
        "1m",
    ];
    let plan = env.json(&[&policy[..], &["-n"]].concat());
    assert_eq!(plan.as_array().unwrap().len(), 1);
    let group = &plan[0];
    assert_eq!(group["host"], "testhost");
    assert_eq!(group["tags"], Value::Null);
    assert_eq!(group["paths"][0], env.text("src"));
    assert_eq!(group["times"], "early", "they were backdated");
    assert_eq!(
        ids(&group["keep"]),
        [&made[5], &made[4], &made[3], &made[0]].map(String::clone)
    );
    assert_eq!(
        ids(&group["remove"]),
        [&made[2], &made[1]].map(String::clone)
    );
    let matches: Vec<String> = (0..4)
        .map(|n| group["reasons"][n]["matches"].to_string())
        .collect();
    assert_eq!(
        matches,
        [
            r#"["last snapshot","daily snapshot","weekly within 1m"]"#,
            r#"["daily snapshot"]"#,
            r#"["daily snapshot"]"#,
            r#"["oldest weekly within 1m"]"#
        ]
    );
    assert_eq!(live(&env).len(), 6, "a dry run");
    let said = env.ok(&policy);
    let said = said
        .prints("Applying Policy: keep 1 latest, 3 daily snapshots, weekly snapshots within 1m")
        .prints("those of one host and label")
        .prints("a series of its own")
        .prints("keep 4 snapshots:")
        .prints("remove 2 snapshots:")
        .prints("no rule keeps it");
    said.prints("2 snapshots forgotten");
    assert_eq!(live(&env).len(), 4);
    assert_eq!(env.ok(&[&policy[..], &["-q"]].concat()).stdout, "");
    env.ok(&policy).prints("nothing to forget");
}

/// A policy is applied to what the log says; trees are read only for the numbers.
#[test]
fn a_dry_run_needs_no_more_than_a_forget() {
    let (env, _) = six_days();
    std::fs::remove_dir_all(env.path("repo/meta")).unwrap();
    let policy = ["forget", "--keep-last", "2"];
    let dry = [&policy[..], &["--dry-run"]].concat();
    env.ok(&dry)
        .prints("Would have forgotten 4 snapshots")
        .says("warning: what the snapshots would free is not known");
    let run = env.ok(&[&["--json"], &dry[..]].concat());
    assert_eq!(run.errors()[0]["message_type"], "warning");
    assert_eq!(run.messages()[0][0]["remove"].as_array().unwrap().len(), 4);
    env.ok(&policy).prints("4 snapshots forgotten");
}

#[test]
fn what_was_forgotten_can_be_had_again() {
    let (env, made) = six_days();
    let first = &made[0][..8];
    env.ok(&["forget", first, &made[1]])
        .prints("2 snapshots forgotten");
    assert_eq!(live(&env), made[2..]);
    for command in [
        &["ls", first][..],
        &["snapshots", first],
        &["forget", first],
    ] {
        let says =
            format!("snapshot {first} is forgotten\n`larder unforget {first}` brings it back");
        env.run(command).expect(1).says(&says);
    }
    assert_eq!(ids(&env.json(&["snapshots", "--forgotten"])), made[..2]);
    env.ok(&["snapshots", "--forgotten", first])
        .prints(first)
        .prints("1 snapshot");
    env.ok(&["unforget", first])
        .prints(&format!("snapshot {first} is back"));
    env.ok(&["unforget", first]).prints("is not forgotten");
    assert_eq!(live(&env).len(), 5);
    env.ok(&["ls", first]);
    env.run(&["unforget", "ffff"]).expect(1).says("--forgotten");
    env.run(&["unforget"]).expect(2).says("--all");
    env.run(&["unforget", first, "--all"]).expect(2);
    env.run(&["unforget", first, "--tag", "a"])
        .expect(2)
        .says("one or the other");
    let all: Vec<&str> = made.iter().map(|id| &id[..8]).collect();
    env.ok(&["unforget", all[1]]);
    env.ok(&[&["forget"], &all[..]].concat());
    env.run(&["ls", "latest"])
        .expect(1)
        .says("`larder unforget`");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (env, made) = six_days();
    let refused = |arguments: &[&str], code: i32, says: &str| {
        env.run(&[&["forget"], arguments].concat())
            .expect(code)
            .says(says);
        assert_eq!(live(&env).len(), 6, "{arguments:?}");
    };
    refused(&[], 2, "no policy was specified");
    refused(
        &["--keep-last", "0", "--keep-within", "0d"],
        2,
        "no policy was specified",
    );
    refused(&["--keep-tag", "none"], 1, "keeps none of 6");
    refused(&["--keep-tag", "none"], 1, "claims another time");
    refused(
        &["--unsafe-allow-remove-all"],
        2,
        "--host, --tag, --label or --path",
    );
    refused(&["--keep-last", "1", "latest"], 2, "one or the other");
    refused(&["--keep-last", "-2"], 2, "unlimited");
    refused(&["--keep-within", "5"], 2, "no unit follows 5");
    refused(&["--keep-within-daily", "1w"], 2, "none of the units");
    refused(&["--keep-within", "-5d"], 2, "expected a duration");
    refused(&["--keep-within", "99999999999d"], 2, "is too much");
    refused(&["--quarantine", "50"], 2, "shrunk=PERCENT");
    refused(&["--keep-id", "ffff", "--keep-last", "1"], 1, "ffff");
    refused(&["ffff", &made[0]], 1, "ffff");
    refused(&["--keep-last", "-1"], 0, "");
    let emptied = ["forget", "--allow-empty", "--host", "testhost"];
    env.ok(&emptied).prints("6 snapshots forgotten");
    assert_eq!(live(&env), [""; 0]);
    env.ok(&["forget", "--keep-last", "1"])
        .prints("nothing to forget");
    assert_eq!(env.ok(&["--json", "forget", "--keep-last", "1"]).stdout, "");
}

#[test]
fn the_order_of_paths_makes_no_series_but_a_label_does() {
    let env = TestEnvironment::with_repository();
    let (a, b) = (env.write("a/f", "a"), env.write("b/f", "b"));
    let (a, b) = (
        a.to_str().unwrap().to_owned(),
        b.to_str().unwrap().to_owned(),
    );
    env.backup(&[&a, &b]);
    env.backup(&[&b, &a]);
    env.backup(&[&a, "--label", "job"]);
    env.backup(&[&b, "--label", "job"]);
    let sizes = |flags: &[&str]| {
        let plan = env.json(&[&["forget", "-n", "--keep-last", "9"], flags].concat());
        let groups = plan.as_array().unwrap().iter();
        groups
            .map(|group| ids(&group["keep"]).len())
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(&[]), [2, 2]);
    assert_eq!(sizes(&["-g", "host,paths"]), [1, 2, 1]);
    assert_eq!(sizes(&["--group-by", ""]), [4]);
}

/// Somebody with a key that can add claims to have made snapshots in the evening of every real one's day, and in the future.
#[test]
fn forged_times_push_nothing_out() {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "content");
    let source = env.text("src");
    let real = env.backup(&[&source]);
    let past = on_day(&env, 1, &[]);
    let future = env.backup(&[&source, "--time", "2999-01-01 00:00:00"]);
    let plan = env.json(&["forget", "--keep-last", "1"]);
    let groups: Vec<_> = plan.as_array().unwrap().iter().collect();
    let kept = groups
        .iter()
        .map(|g| (g["times"].as_str().unwrap(), ids(&g["keep"])));
    assert_eq!(
        kept.collect::<Vec<_>>(),
        [
            ("plausible", vec![real.clone()]),
            ("early", vec![past]),
            ("late", vec![future.clone()])
        ]
    );
    let plan = env.json(&["forget", "--keep-last", "1", "--trust-times", "-n"]);
    assert_eq!(ids(&plan[0]["keep"]), [future]);
    assert!(ids(&plan[0]["remove"]).contains(&real));
}

#[test]
fn a_series_that_shrank_is_kept_whole() {
    let env = TestEnvironment::with_repository();
    for n in 0..100 {
        env.write(&format!("src/{n}"), n.to_string());
    }
    let source = env.text("src");
    env.backup(&[&source]);
    for n in 0..60 {
        std::fs::remove_file(env.path(&format!("src/{n}"))).unwrap();
    }
    env.backup(&[&source]);
    let policy = ["forget", "--keep-last", "1"];
    let held = env
        .run(&policy)
        .expect(3)
        .says("has 40 files, and one before it had 100");
    held.says("--quarantine off").prints("nothing to forget");
    assert_eq!(live(&env).len(), 2);
    env.ok(&["forget", "--keep-last", "2"]);
    env.ok(&[&policy[..], &["--quarantine", "shrunk=40"]].concat());
    assert_eq!(live(&env).len(), 1);
}

/// Night after night, until somebody says that it is right.
#[test]
fn a_break_holds_what_was_before_it_until_it_is_accepted() {
    let env = TestEnvironment::with_repository();
    for n in 0..300 {
        env.write(&format!("src/{n}"), n.to_string());
    }
    let source = env.text("src");
    let good: Vec<String> = (0..3).map(|_| env.backup(&[&source])).collect();
    for n in 0..200 {
        std::fs::remove_file(env.path(&format!("src/{n}"))).unwrap();
    }
    let policy = ["forget", "--keep-last", "3"];
    // Whoever can only write may give its snapshots that tag.
    let first = env.backup(&[&source, "--tag", "accepted"]);
    let says = format!("snapshot {} of 20", &first[..8]);
    for night in 0..6 {
        env.run(&policy)
            .expect(3)
            .says(&says)
            .says("has 100 files, and one before it had 300")
            .says(&format!("larder tag --add accepted {}", &first[..8]))
            .says("was given by a writer, and says nothing")
            .says("kept for 30 days");
        assert!(good.iter().all(|id| live(&env).contains(id)), "{night}");
        env.backup(&[&source]);
    }
    let run = env.run(&[&["--json"], &policy[..]].concat()).expect(3);
    let group = &run.messages()[0][0];
    assert_eq!(group["quarantine"], "fewer_files");
    assert_eq!(group["breaks"][0]["id"], first.as_str());
    assert_eq!(group["breaks"][0]["anomaly"], "fewer_files");
    assert_eq!(live(&env).len(), 10);
    // Nor does it count because somebody else changes another tag, or more.
    env.ok(&["tag", "--add", "other", &first]);
    let snapshots = env.json(&["snapshots"]);
    let first = snapshots[3]["id"].as_str().unwrap();
    env.ok(&["rewrite", "--new-description", "d", "--forget", first]);
    env.run(&policy).expect(3);
    let snapshots = env.json(&["snapshots"]);
    let first = snapshots[3]["id"].as_str().unwrap();
    env.ok(&["tag", "--add", "accepted", first]);
    env.ok(&policy).prints("7 snapshots forgotten");
    env.backup(&[&source]);
    env.ok(&policy).prints("1 snapshot forgotten");
}

/// What was before it is made anew several times, and the forms in between are gone for good.
#[test]
fn a_break_stays_seen_whatever_is_changed_about_what_was_before_it() {
    let env = TestEnvironment::with_repository();
    for n in 0..300 {
        env.write(&format!("src/{n}"), n.to_string());
    }
    let source = env.text("src");
    (0..3).for_each(|_| drop(env.backup(&[&source])));
    let policy = ["forget", "--keep-last", "1"];
    let change = |what: &[&str]| {
        let snapshots = env.json(&["snapshots"]);
        let good = snapshots.as_array().unwrap().iter().take(3);
        let good: Vec<&str> = good.map(|found| found["id"].as_str().unwrap()).collect();
        env.ok(&[what, &good].concat());
    };
    change(&["tag", "--add", "prod"]);
    change(&["rewrite", "--forget", "--new-description", "first"]);
    for n in 0..200 {
        std::fs::remove_file(env.path(&format!("src/{n}"))).unwrap();
    }
    env.backup(&[&source]);
    env.run(&policy).expect(3).says("has 100 files");
    for what in [
        &["tag", "--add", "more"][..],
        &["rewrite", "--forget", "--new-description", "second"],
        &["rewrite", "--forget", "-e", "7"],
    ] {
        change(what);
        env.run(&policy).expect(3).says("has 100 files");
    }
    env.ok(&["unforget", "--all"])
        .prints("nothing to bring back");
    env.ok(&["prune", "--grace", "0"]);
    env.run(&policy).expect(3).says("has 100 files");
}

/// What was imported is as new as the log says, unless its times are trusted.
#[test]
fn an_old_break_holds_nothing() {
    let env = TestEnvironment::with_repository();
    for n in 0..100 {
        env.write(&format!("src/{n}"), n.to_string());
    }
    (1..=3).for_each(|day| drop(on_day(&env, day, &[])));
    for n in 0..60 {
        std::fs::remove_file(env.path(&format!("src/{n}"))).unwrap();
    }
    (4..=6).for_each(|day| drop(on_day(&env, day, &[])));
    env.run(&["forget", "--keep-last", "2"]).expect(3);
    env.ok(&["forget", "--keep-last", "2", "--trust-times"])
        .prints("4 snapshots forgotten");
}

#[test]
fn what_was_forgotten_says_when_and_comes_back_by_filters() {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "content");
    for (day, tag) in [(1, "a"), (2, "a"), (3, "b"), (4, "")] {
        on_day(&env, day, &["--tag", tag]);
    }
    env.ok(&["tag", "--add", "c", "--tag", "b"]);
    env.ok(&["forget", "--keep-last", "1", "--trust-times"]);
    env.ok(&["snapshots", "--forgotten"]).prints("Forgotten");
    let listed = env.json(&["snapshots", "--forgotten"]);
    assert_eq!(ids(&listed).len(), 4);
    let year = |snapshot: &Value| snapshot["forgotten_at"].as_str().unwrap()[..4] > *"2024";
    assert!(listed.as_array().unwrap().iter().all(year), "{listed}");
    assert!(env.json(&["snapshots"])[0].get("forgotten_at").is_none());
    env.ok(&["unforget", "--tag", "a"])
        .prints("2 snapshots are back");
    assert_eq!(live(&env).len(), 3);
    env.ok(&["unforget", "--host", "elsewhere"])
        .prints("nothing to bring back");
    // Of the one whose tags were changed both forms are forgotten.
    env.ok(&["unforget", "--all"])
        .prints("1 snapshot is back")
        .prints("1 other was replaced by a newer form; name it to have it besides");
    assert_eq!(live(&env).len(), 4);
    env.ok(&["unforget", "--all"])
        .prints("nothing to bring back")
        .prints("1 other was replaced");
}

#[test]
fn what_a_prune_has_deleted_is_called_so() {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "content");
    let source = env.text("src");
    let gone = env.backup(&[&source]);
    let (gone, first) = (gone.as_str(), &gone[..8]);
    env.backup(&[&source]);
    env.ok(&["forget", gone, "--prune", "--grace", "0"]);
    for command in ["unforget", "ls", "forget"] {
        env.run(&[command, first]).expect(1).says(&format!(
            "snapshot {first} was forgotten, and deleted by a prune, 20"
        ));
    }
}

#[test]
fn an_empty_tag_means_those_without_tags() {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "content");
    let tagged = on_day(&env, 1, &["--tag", "a"]);
    let plain = on_day(&env, 2, &[]);
    for tag in ["", ",", ",a"] {
        let found = ids(&env.json(&["snapshots", "--tag", tag]));
        assert_eq!(found, std::slice::from_ref(&plain), "{tag:?}");
    }
    assert_eq!(ids(&env.json(&["snapshots", "--tag", "a,"])), [""; 0]);
    assert_eq!(
        ids(&env.json(&["snapshots", "--tag", "", "--tag", "a"])).len(),
        2
    );
    env.ok(&["tag", "--add", "x", "--tag", "", "-n"])
        .prints("would change 1 snapshot");
    env.ok(&["forget", "--tag", "", "--allow-empty"])
        .prints("1 snapshot forgotten");
    assert_eq!(live(&env), [tagged]);
}

#[test]
fn of_a_flag_that_is_given_twice_the_last_counts() {
    let (env, _) = six_days();
    env.ok(&["forget", "--keep-last", "1", "-n", "--keep-last", "5", "-n"])
        .prints("Would have forgotten 1 snapshot");
    env.ok(&["snapshots", "-c", "--json", "--compact", "--json"]);
    for size in ["1GiB", "1gb", "1G"] {
        env.ok(&[
            "forget",
            "--keep-within-size",
            "1",
            "--keep-within-size",
            size,
        ])
        .prints("all snapshots that fit into 1.000 GiB, those of all series together")
        .prints("nothing to forget");
        env.ok(&[
            "prune",
            "-n",
            "--max-unused",
            size,
            "--max-repack-size",
            size,
        ]);
    }
    env.run(&["forget", "--keep-within-size", "1GX"])
        .expect(2)
        .says("GiB");
}

#[test]
fn snapshots_can_be_protected_and_given_an_end() {
    let (env, made) = six_days();
    let first = &made[0][..8];
    env.ok(&["protect", first, "--until", "1y"])
        .prints("protected until");
    env.run(&["forget", first, &made[1]])
        .expect(1)
        .says("is protected until");
    env.ok(&["protect", first, "--until", "forever"])
        .prints("1 snapshot protected, forever\n");
    env.ok(&["protect", first, "--until", "2y"])
        .prints(&format!("that is shorter: {first} was protected forever"));
    let longer = env.ok(&["protect", first, "--until", "forever"]);
    assert!(!longer.stdout.contains("shorter"));
    env.run(&["forget", first])
        .expect(1)
        .says("protected, forever");
    assert_eq!(live(&env).len(), 6);
    env.ok(&["expire", &made[5], "--at", "2024-06-01"])
        .prints("1 snapshot goes with the next forget by policy: that time is over\n");
    env.ok(&["expire", &made[4], "--at", "30d"])
        .prints("1 snapshot goes with the first forget by policy after 20");
    env.ok(&["snapshots"])
        .prints("Notes")
        .prints("protected")
        .prints("expires 2024-06-01");
    let listed = env.json(&["snapshots"]);
    assert_eq!(listed[0]["protected_until"], "forever");
    assert_eq!(listed[5]["expires"], "2024-06-01T00:00:00Z");
    let plan = env.json(&["forget", "--keep-last", "1"]);
    assert_eq!(ids(&plan[0]["keep"]), [made[4].clone(), made[0].clone()]);
    assert_eq!(plan[0]["removed_because"][0]["reason"], "expired");
    assert_eq!(plan[0]["reasons"][1]["matches"][0], "protected");
    env.ok(&["protect", "--remove", first, &made[4]])
        .prints("1 snapshot no longer protected\n1 snapshot was not protected\n");
    env.ok(&["forget", first]);
    env.run(&["protect", first, "--until", "forever"])
        .expect(1)
        .says("is forgotten");
    env.run(&["protect", "latest"]).expect(2).says("--until");
    env.run(&["protect", "latest", "--until", "2020-01-01"])
        .expect(2)
        .says("is over");
    env.run(&["protect", "latest", "--until", "999999y"])
        .expect(2)
        .says("say `forever`");
    env.run(&["expire", "latest", "--at", "soon"])
        .expect(2)
        .says("expected a date");
}
