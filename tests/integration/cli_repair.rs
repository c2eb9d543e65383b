//! `rewrite`, `repair` and `recover`.

use crate::environment::{TestEnvironment, noise};
use std::path::PathBuf;

/// Two snapshots of one source.
fn two() -> (TestEnvironment, Vec<String>) {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let first = env.backup(&[&source]);
    env.write("src/more.txt", "more\n");
    let second = env.backup(&[&source]);
    (env, vec![first, second])
}

fn objects(env: &TestEnvironment, kind: &str) -> Vec<PathBuf> {
    let root = env.path("repo").join(kind);
    let mut found = Vec::new();
    let mut stack = vec![root];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => stack.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

fn count(env: &TestEnvironment) -> usize {
    env.json(&["snapshots"]).as_array().unwrap().len()
}

#[test]
fn rewriting_leaves_files_out_and_says_other_things() {
    let (env, made) = two();
    env.run(&["rewrite"])
        .expect(2)
        .says("nothing is to be changed");
    env.run(&["rewrite", "-e", "x", "-i", "y"]).expect(2);
    env.ok(&["rewrite", "-e", "*.bin", "-n"])
        .prints("would change 2 snapshots");
    let changed = env.ok(&["rewrite", "-e", "*.bin", &made[1], "--json"]);
    let new = changed.messages()[0]["new_snapshot_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(count(&env), 3);
    let listed = env.ok(&["ls", &new]).stdout;
    assert!(
        !listed.contains("b.bin") && listed.contains("a.txt"),
        "{listed}"
    );
    let words = [
        "rewrite",
        "--new-host",
        "other",
        "--new-time",
        "2024-01-02 03:04:05",
    ];
    let words = [&words[..], &["--new-label", "job", "--forget", &new]].concat();
    env.ok(&words).prints("rewrote 1 snapshot");
    let shown = env.json(&["snapshots", "--host", "other"]);
    assert_eq!(shown[0]["label"], "job");
    assert_eq!(shown[0]["time"], "2024-01-02T03:04:05Z");
    assert_eq!(shown[0]["tags"][0], "rewrite");
    let nothing = ["--new-host", "", "--new-time", "", "--new-label", ""];
    let nothing = [&nothing[..], &["--new-description", ""]].concat();
    env.run(&[&["rewrite"], &nothing[..]].concat())
        .expect(2)
        .says("nothing is to be changed");
    env.ok(&["rewrite", "-e", "nothing"])
        .prints("no snapshot was changed");
    env.ok(&["check", "--read-data"]);
}

#[test]
fn a_lost_index_is_made_anew() {
    let (env, _) = two();
    env.ok(&["repair", "index"]).prints("nothing to do");
    for table in objects(&env, "index") {
        std::fs::remove_file(table).unwrap();
    }
    std::fs::remove_dir_all(env.path("cache")).unwrap();
    env.ok(&["repair", "index", "-n"])
        .prints("would be named anew");
    let done = env.ok(&["rebuild-index", "--json"]);
    assert_eq!(done.messages()[0]["tables_dropped"], 2);
    env.ok(&["check", "--read-data"]);
    env.ok(&["prune"]);
}

#[test]
fn what_is_lost_is_made_do_without() {
    let (env, made) = two();
    env.ok(&["repair", "snapshots"])
        .prints("no snapshot was changed");
    let mut losses = 0;
    for pack in objects(&env, "data") {
        let id = pack.file_name().unwrap().to_str().unwrap().to_owned();
        let mut bytes = std::fs::read(&pack).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::remove_file(&pack).unwrap();
        std::fs::write(&pack, bytes).unwrap();
        env.run(&["check", "--read-data"]).expect(1);
        let planned = env.run(&["repair", "packs", &id, "-n", "--json"]);
        let lost = planned.messages()[0]["blobs_lost"].as_u64().unwrap();
        // Of the small one only padding is damaged.
        let code = if lost > 0 { 3 } else { 0 };
        assert_eq!(planned.code, code);
        let warnings = planned.errors().into_iter();
        let warnings = warnings.filter(|message| message["message_type"] == "warning");
        assert_eq!(warnings.count() as u64, lost.min(1));
        losses += u32::from(lost > 0);
        let planned = env.run(&["repair", "packs", &id, "-n"]).expect(code);
        planned.prints("would be");
        let done = env.run(&["repair", "packs", &id]).expect(code);
        done.prints("it is condemned");
        // Nothing is saved twice.
        let again = env.run(&["repair", "packs", &id, "--json"]).expect(code);
        assert_eq!(again.messages()[0]["blobs_saved"], 0);
    }
    assert!(losses > 0);
    env.ok(&["prune", "-n"]).prints("needed again:");
    for dry in [&["-n"][..], &[]] {
        let pruned = env.run(&[&["prune", "--grace", "0"], dry].concat());
        pruned.expect(1).says("nothing was deleted");
    }
    env.run(&["repair", "packs", "0000"]).expect(2);
    let planned = env.run(&["repair", "snapshots", "--forget", "-n"]);
    planned.expect(3).says("something of it is lost");
    let done = env.run(&["repair", "snapshots", "--forget", "--json"]);
    let done = done.expect(3);
    let summary = done.messages().pop().unwrap();
    let lost = summary["paths_lost"].as_array().unwrap();
    assert!(!lost.is_empty());
    assert_eq!(summary["items_lost"], lost.len());
    assert_eq!(summary["hopeless_snapshots"], serde_json::json!([]));
    assert_eq!(done.errors().pop().unwrap()["code"], 3);
    // What is left is whole.
    env.ok(&["repair", "snapshots", "--forget"]);
    assert_eq!(count(&env), made.len());
    env.ok(&["prune", "--grace", "0"]);
    env.ok(&["check", "--read-data"]);
}

#[test]
fn the_protected_are_in_the_way_only_of_what_would_change_them() {
    let (env, made) = two();
    env.ok(&["protect", &made[0], "--until", "forever"]);
    env.ok(&["rewrite", "-e", "nothing", "--forget"])
        .prints("no snapshot was changed");
    env.ok(&["repair", "snapshots", "--forget"]);
    for dry in [&["-n"][..], &[]] {
        let rewrite = [&["rewrite", "-e", "*.bin", "--forget"], dry].concat();
        let refused = env.run(&rewrite).expect(1);
        refused.says("is protected and cannot be replaced");
    }
    assert_eq!(count(&env), 2);
    env.ok(&["rewrite", "-e", "*.bin", "--forget", &made[1]]);
}

#[test]
fn nothing_is_stored_where_nothing_can_be_appended() {
    let (env, _) = two();
    let number = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .parse::<u64>()
            .ok()
    };
    let newest = objects(&env, "log")
        .into_iter()
        .filter_map(|path| Some((number(&path)?, path)));
    let (_, newest) = newest.max().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[100] ^= 1;
    std::fs::remove_file(&newest).unwrap();
    std::fs::write(&newest, bytes).unwrap();
    let before = objects(&env, "snapshots");
    env.run(&["rewrite", "--new-host", "other"]).expect(1);
    assert_eq!(objects(&env, "snapshots"), before);
}

#[test]
fn what_is_lost_is_told_of_its_snapshot() {
    let env = TestEnvironment::with_repository();
    let made: Vec<String> = [1, 2]
        .iter()
        .map(|seed| {
            env.write("src/file", noise(100_000, *seed));
            env.backup(&["src"])
        })
        .collect();
    for pack in objects(&env, "data") {
        std::fs::remove_file(pack).unwrap();
    }
    let dry = ["repair", "snapshots", "--dry-run"];
    let said = env.run(&dry).expect(3);
    let programs = env
        .run(&[&dry[..], &["--json"]].concat())
        .expect(3)
        .errors();
    for id in &made {
        let short = &id[..8];
        assert!(
            said.stderr.contains(&format!(
                "warning: snapshot {short}: /src/file: something of it is lost\n"
            )),
            "{said:?}"
        );
        let named = programs.iter().filter(|m| m["snapshot_id"] == id.as_str());
        assert_eq!(named.count(), 1, "{programs:?}");
    }
}

#[test]
fn a_snapshot_without_hope_is_named_until_it_is_forgotten() {
    let (env, made) = two();
    for pack in objects(&env, "meta") {
        std::fs::remove_file(pack).unwrap();
    }
    env.run(&["repair", "snapshots", "--forget"])
        .expect(1)
        .says("as if a disk were not mounted");
    assert_eq!(count(&env), 2);
    // What is not there again after a backup of something else is lost.
    env.write("other/file", "other\n");
    env.backup(&["other"]);
    for (flag, left) in [("-v", 3), ("--forget", 1)] {
        let done = env.run(&["repair", "snapshots", "--json", flag]).expect(3);
        let summary = done.messages().pop().unwrap();
        let mut named: Vec<&str> = summary["hopeless_snapshots"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap())
            .collect();
        let mut expected: Vec<&str> = made.iter().map(String::as_str).collect();
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(named, expected);
        assert_eq!(summary["items_lost"], 0);
        assert_eq!(count(&env), left);
    }
    env.ok(&["repair", "snapshots", "--forget"]);
}

#[test]
fn a_damaged_pack_that_no_table_names_is_not_called_named() {
    let (env, _) = two();
    let path = env.write(&format!("repo/data/00/{}", "00".repeat(32)), "no pack");
    let done = env.run(&["repair", "index"]).expect(3);
    done.prints("nothing was changed")
        .says("no index table says what is in it: put it back from a copy");
    std::fs::remove_file(path).unwrap();
    env.ok(&["repair", "index"]).prints("nothing to do");
}

#[test]
fn what_is_lost_of_what_is_recovered_is_named() {
    let (env, made) = two();
    env.ok(&[
        &["forget"],
        &made.iter().map(String::as_str).collect::<Vec<_>>()[..],
    ]
    .concat());
    std::fs::remove_file(&objects(&env, "data")[0]).unwrap();
    let done = env.run(&["recover", "--json"]).expect(3);
    let summary = done.messages().pop().unwrap();
    assert!(summary["items_lost"].as_u64() > Some(0));
    let path = summary["paths_lost"][0].as_str().unwrap();
    assert!(path.starts_with("/recover/"), "{path}");
    env.ok(&[
        "restore",
        summary["snapshot_id"].as_str().unwrap(),
        "--target",
        &env.text("out"),
    ]);
}

#[test]
fn forgotten_directories_are_recovered() {
    let (env, made) = two();
    env.ok(&["recover"]).prints("nothing to recover");
    env.ok(&["forget", &made[1]]);
    env.ok(&["recover", "-n"]).prints("found 1 directory");
    env.ok(&["recover"])
        .prints("`larder unforget` brings them back");
    let shown = env.json(&["snapshots", "--tag", "recovered"]);
    assert_eq!(shown[0]["paths"][0], "/recover");
    env.ok(&["check", "--read-data"]);
}

#[test]
fn an_entry_that_cannot_be_read_is_cleared() {
    let (env, made) = two();
    env.ok(&["repair", "log"]).prints("nothing to do");
    let newest = objects(&env, "log");
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u64>().ok();
    let newest = newest.iter().max_by_key(|path| number(path)).unwrap();
    let mut bytes = std::fs::read(newest).unwrap();
    bytes[300] ^= 1;
    std::fs::remove_file(newest).unwrap();
    std::fs::write(newest, bytes).unwrap();
    env.run(&["prune"]).expect(1);
    // It ends as the real one does.
    env.ok(&["repair", "log", "-n"]).prints("would be cleared");
    env.ok(&["repair", "log"]).prints("committed");
    assert_eq!(env.json(&["snapshots"])[1]["id"], made[1].as_str());
    env.ok(&["prune"]);
    env.ok(&["check", "--read-data"]);
}
