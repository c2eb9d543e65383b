//! What `prune` and `forget --prune` free, say and refuse.

use crate::environment::{TestEnvironment, noise};
use serde_json::Value;
use std::path::PathBuf;

/// Three snapshots of a file that is another one each time, and of one that stays.
fn three() -> (TestEnvironment, Vec<String>) {
    let env = TestEnvironment::with_repository();
    env.write("src/same", noise(400_000, 9));
    let ids = (1..=3).map(|n| {
        env.write("src/changes", noise(500_000, n));
        env.backup(&["src"])
    });
    let ids = ids.collect();
    (env, ids)
}

/// Bytes of all packs.
fn stored(env: &TestEnvironment) -> i64 {
    let of = |kind: &str| {
        let files = env.files(kind).into_iter();
        let sizes = files.map(|file| env.path(kind).join(file).metadata().unwrap().len() as i64);
        sizes.sum::<i64>()
    };
    of("repo/data") + of("repo/meta")
}

fn numbers(env: &TestEnvironment, arguments: &[&str]) -> Value {
    env.json(&[&["prune"], arguments].concat())
}

#[test]
fn what_is_forgotten_goes_after_the_grace_and_not_before() {
    let (env, ids) = three();
    env.ok(&["forget", &ids[0], &ids[1]]);
    let plan = numbers(&env, &["--dry-run"]);
    assert_eq!(
        (&plan["snapshots"], &plan["dry_run"]),
        (&1.into(), &true.into())
    );
    assert_eq!(plan["bytes_freed_now"], 0);
    assert_eq!(plan["snapshots_lost"], serde_json::json!([]));
    let number = |name: &str| plan[name].as_i64().unwrap();
    assert_eq!(number("bytes_net_now"), -number("bytes_to_write"));
    assert_eq!(
        number("bytes_net_later"),
        number("bytes_freed_later") - number("bytes_to_write")
    );
    assert!(
        plan["bytes_freed_later"].as_u64().unwrap() > 900_000,
        "{plan}"
    );
    env.ok(&["prune"]).prints("after the grace of 7 days");
    assert_eq!(numbers(&env, &[])["packs_deleted"], 0);
    env.ok(&["unforget", &ids[1]]);
    env.ok(&["restore", &format!("{}:src", ids[1]), "--target", "out"]);
    assert_eq!(
        std::fs::read(env.path("out/changes")).unwrap(),
        noise(500_000, 2)
    );
    let at_once = ["--grace", "0", "--max-unused", "0"];
    env.ok(&[&["prune", "--dry-run"], &at_once[..]].concat())
        .prints("1 forgotten snapshot would go for good");
    let before = stored(&env);
    let done = numbers(&env, &at_once);
    assert!(done["bytes_deleted"].as_u64().unwrap() >= 500_000, "{done}");
    assert_eq!(done["snapshots_lost"], serde_json::json!([&ids[0]]));
    assert_eq!(done["bytes_net"], before - stored(&env));
    env.run(&["unforget", &ids[0]]).expect(1);
    env.ok(&["check", "--read-data"])
        .prints("no errors were found");
    let said = env.json(&["snapshots"]);
    assert_eq!(said.as_array().unwrap().len(), 2);
}

#[test]
fn a_nightly_forget_with_prune_works_as_with_restic() {
    let (env, ids) = three();
    let policy = ["forget", "--keep-last", "1", "--prune", "--grace", "0"];
    env.ok(&[&policy[..], &["--dry-run"]].concat())
        .prints("  frees ")
        .prints("Would have forgotten 2 snapshots")
        .prints("would free:");
    assert_eq!(env.json(&["snapshots"]).as_array().unwrap().len(), 3);
    let said = env.ok(&policy);
    let promised = said.stdout.contains("takes that back");
    assert!(!promised, "{}", said.stdout);
    said.prints("deleted:")
        .prints("2 forgotten snapshots are gone for good");
    let left = env.json(&["snapshots"]);
    assert_eq!(left[0]["id"], ids[2].as_str());
    env.ok(&["check", "--read-data"])
        .prints("no errors were found");
    env.ok(&["restore", "latest:src", "--target", "out"]);
    assert_eq!(
        std::fs::read(env.path("out/same")).unwrap(),
        noise(400_000, 9)
    );
}

#[test]
fn a_budget_keeps_as_much_history_as_fits() {
    let (env, ids) = three();
    let kept = |size: &str| {
        let groups = env.json(&["forget", "--dry-run", "--keep-within-size", size]);
        let kept = groups[0]["keep"].as_array().cloned().unwrap_or_default();
        kept.iter()
            .map(|s| s["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // One takes 0.9 MB, each more 0.5 MB, and packs a sixth more than what is in such small ones.
    assert_eq!(kept("1300k"), [ids[2].clone()]);
    assert_eq!(kept("1900k"), [ids[2].clone(), ids[1].clone()]);
    assert_eq!(kept("1G").len(), 3);
    env.run(&["forget", "--keep-within-size", "10k"])
        .expect(1)
        .says("keeps none of 3");
    let groups = env.json(&["forget", "--dry-run", "--keep-within-size", "1300k"]);
    for gone in groups[0]["removed_because"].as_array().unwrap() {
        let frees = gone["frees_bytes"].as_u64().unwrap();
        assert!((500_000..520_000).contains(&frees), "{gone}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (env, _) = three();
    for wrong in [
        &["--max-unused", "101%"][..],
        &["--max-unused", "much"],
        &["--grace", "-1d"],
        &["--grace", "1y"],
        &["--grace", "99999999999999d"],
        &["--max-repack-size", "x"],
    ] {
        env.run(&[&["prune"], wrong].concat()).expect(2);
    }
    std::fs::remove_dir_all(env.path("repo/meta")).unwrap();
    env.run(&["prune"]).expect(1).says("nothing was deleted");
}

#[test]
fn lost_packs_that_a_forced_backup_replaced_do_not_stop_it() {
    let (env, ids) = three();
    env.ok(&["forget", &ids[0], &ids[1]]);
    std::fs::remove_dir_all(env.path("repo/data")).unwrap();
    env.run(&["prune"])
        .expect(1)
        .says("snapshots need what it holds")
        .says("nothing was deleted");
    env.ok(&["backup", "--force", "src"]);
    env.ok(&["prune", "--grace", "0"]);
    env.ok(&["check", "--read-data"])
        .prints("no errors were found");
    env.ok(&["restore", &format!("{}:src", ids[2]), "--target", "out"]);
    assert_eq!(
        std::fs::read(env.path("out/changes")).unwrap(),
        noise(500_000, 3)
    );
}

#[test]
fn an_entry_that_cannot_be_read_stops_prune_and_forget_alike() {
    let (env, ids) = three();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u64>().ok();
    let newest = env.files("repo/log").into_iter().max_by_key(number);
    let newest = env.path("repo/log").join(newest.unwrap());
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[100] ^= 1;
    std::fs::remove_file(&newest).unwrap();
    std::fs::write(&newest, bytes).unwrap();
    for command in [&["prune"][..], &["forget", &ids[0]]] {
        env.run(command)
            .expect(1)
            .says("nothing is forgotten or deleted")
            .says("`larder repair log` clears it");
    }
}

/// Programs that read what restic's `forget` writes read one document.
#[test]
fn a_forget_with_prune_writes_one_document() {
    let (env, _) = three();
    for more in [&["--dry-run"][..], &[]] {
        let flags = ["forget", "--keep-last", "1", "--prune", "--grace", "0"];
        let groups = env.json(&[&flags, more].concat());
        assert_eq!(groups[0]["remove"].as_array().unwrap().len(), 2);
    }
    let nothing = ["forget", "--keep-last", "1", "--host", "nobody"];
    env.ok(&nothing).prints("no snapshot matches");
}

/// Of snapshots that are named nothing is written but what the prune did.
#[test]
fn forgetting_by_ids_says_what_that_frees() {
    let (env, ids) = three();
    let dry = ["forget", &ids[0], &ids[1], "--dry-run"];
    let said = env
        .ok(&dry)
        .prints("Frees")
        .prints("Would have forgotten 2");
    let rows = said.stdout.lines().filter(|line| line.contains("testhost"));
    for row in rows {
        assert!(row.contains("  488.") && row.contains(" KiB  "), "{row}");
    }
    assert_eq!(env.ok(&[&["--json"], &dry[..]].concat()).stdout, "");
    env.ok(&[&dry[..], &["-q"]].concat());
    let run = env.ok(&["--json", "forget", &ids[0], "--prune", "--grace", "0"]);
    let [summary] = &run.messages()[..] else {
        panic!("{run:?}");
    };
    assert_eq!(summary["message_type"], "summary");
    assert!(
        summary["bytes_deleted"].as_u64().unwrap() > 400_000,
        "{summary}"
    );
    env.ok(&["forget", &ids[1], "--prune"])
        .prints("takes that back until a prune");
}
