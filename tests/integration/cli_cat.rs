//! `list` and `cat`: what a repository is made of.

use crate::environment::{TestEnvironment, noise};
use serde_json::Value;

fn with_snapshot() -> (TestEnvironment, String) {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let id = env.backup(&[&source, "--tag", "x"]);
    (env, id)
}

fn listed(env: &TestEnvironment, kind: &str) -> Vec<String> {
    let text = env.ok(&["list", kind]).stdout;
    text.lines().map(str::to_owned).collect()
}

fn shown(env: &TestEnvironment, arguments: &[&str]) -> Value {
    let text = env.ok(&[&["cat"], arguments].concat()).stdout;
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The names of files in folders of the repository, sorted.
fn stored(env: &TestEnvironment, folders: &[&str]) -> Vec<String> {
    let files = folders.iter().flat_map(|folder| env.files(folder));
    let names = files.map(|file| file.file_name().unwrap().to_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn objects_are_listed_by_their_ids() {
    let (env, id) = with_snapshot();
    assert_eq!(listed(&env, "snapshots"), [id]);
    assert_eq!(
        listed(&env, "packs"),
        stored(&env, &["repo/data", "repo/meta"])
    );
    assert_eq!(listed(&env, "index"), stored(&env, &["repo/index"]));
    assert_eq!(listed(&env, "keys"), stored(&env, &["repo/keys"]));
    let numbers: Vec<u64> = listed(&env, "log")
        .iter()
        .map(|line| line.parse().unwrap())
        .collect();
    assert!(numbers.len() >= 2);
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());

    let blobs = listed(&env, "blobs");
    let of = |kind: &str| blobs.iter().filter(|line| line.starts_with(kind)).count();
    assert!(of("data ") >= 3 && of("tree ") >= 3, "{blobs:?}");
    assert_eq!(of("data ") + of("tree "), blobs.len());
    let raw = env.json(&["stats", "-H", "", "--mode", "raw-data"]);
    assert_eq!(raw["total_blob_count"], blobs.len());

    let run = env.ok(&["list", "locks"]).says("no locks");
    assert_eq!(run.stdout, "");
    assert_eq!(env.ok(&["-q", "list", "locks"]).stderr, "");
    env.run(&["list", "frogs"]).expect(2).says("snapshots");
    env.run(&["list"]).expect(2);
}

#[test]
fn config_and_snapshots_are_shown_as_json() {
    let (env, id) = with_snapshot();
    let config = shown(&env, &["config"]);
    assert_eq!(config["version"], 1);
    assert_eq!(config["id"].as_str().unwrap().len(), 64);
    assert_eq!(config["pack_bytes"], 16 << 20);
    env.run(&["cat", "config", "x"]).expect(2);

    for name in [&id[..], &id[..8], "latest"] {
        let snapshot = shown(&env, &["snapshot", name]);
        assert_eq!(snapshot["hostname"], "testhost");
        assert_eq!(snapshot["tags"][0], "x");
        assert_eq!(snapshot["sequence"], 1);
        assert_eq!(snapshot["sources"][0]["kind"], "files");
        assert_eq!(snapshot["tree"].as_str().unwrap().len(), 64);
    }
    env.run(&["cat", "snapshot", "ffff"])
        .expect(1)
        .says("no snapshot has an ID that begins with ffff");
    env.run(&["cat", "snapshot"]).expect(2).says("needs an ID");
}

#[test]
fn entries_of_the_log_are_shown_as_json() {
    let (env, id) = with_snapshot();
    let last = listed(&env, "log").pop().unwrap();
    let first = shown(&env, &["log", "1"]);
    assert_eq!(
        (&first["kind"], &first["number"]),
        (&"Roles".into(), &1.into())
    );
    assert_eq!(first["members"][0]["role"], "full");
    let commit = shown(&env, &["log", &last]);
    assert_eq!(commit["kind"], "Commit");
    assert_eq!(commit["snapshot"], id);
    assert_eq!(commit["summary"]["hostname"], "testhost");
    assert_eq!(commit["follows"].as_array().unwrap().len(), 1);
    env.run(&["cat", "log", "999"])
        .expect(1)
        .says("there is no log entry 999")
        .says(&format!("newest one is {last}"));
    for wrong in ["x", "-1", "01", "1/2"] {
        env.run(&["cat", "log", "--", wrong]).expect(2);
    }
}

#[test]
fn content_of_blobs_and_trees_is_shown() {
    let (env, _) = with_snapshot();
    let source = env.text("src");
    let tree = shown(&env, &["tree", &format!("latest:{source}")]);
    let nodes = tree["nodes"].as_array().unwrap();
    let node = |name: &str| nodes.iter().find(|node| node["name"] == name).unwrap();
    assert_eq!(nodes.len(), 4);
    let file = node("a.txt");
    assert_eq!((&file["type"], &file["size"]), (&"file".into(), &6.into()));
    let blob = file["content"][0].as_str().unwrap();
    assert_eq!(env.ok(&["cat", "blob", blob]).stdout, "alpha\n");
    assert_eq!(node("link")["linktarget"], "a.txt");
    assert!(file["mtime"].is_string() && file["device_id"].is_u64() && file["user"].is_string());

    // The directory below, by the blob that it is.
    let below = node("sub")["subtree"].as_str().unwrap();
    let tree = shown(&env, &["tree", below]);
    assert_eq!(tree["nodes"][0]["name"], "c.txt");
    let all = node("b.bin")["content"].as_array().unwrap().iter();
    let mut content = Vec::new();
    for blob in all {
        let arguments = ["cat", "blob", blob.as_str().unwrap()];
        content.extend(env.command(&arguments).output().unwrap().stdout);
    }
    assert!(content == noise(300_000, 1));

    env.run(&["cat", "tree", "latest:/absent"])
        .expect(1)
        .says("/absent is not in the snapshot");
    env.run(&["cat", "tree", &format!("latest:{source}/a.txt")])
        .expect(1)
        .says("is no folder");
    env.run(&["cat", "blob", "abcd"])
        .expect(2)
        .says("64 hexadecimal digits");
    env.run(&["cat", "blob", &"ab".repeat(32)])
        .expect(1)
        .says("no index table names it");
}

#[test]
fn stored_objects_are_shown_as_they_are() {
    let (env, _) = with_snapshot();
    let pack = listed(&env, "packs").pop().unwrap();
    let name = env
        .files("repo")
        .into_iter()
        .find(|file| file.ends_with(&pack));
    let path = env.path("repo").join(name.unwrap());
    for beginning in [&pack[..], &pack[..12]] {
        let printed = env.command(&["cat", "pack", beginning]).output().unwrap();
        assert!(printed.stdout == std::fs::read(&path).unwrap());
    }
    std::fs::write(&path, "x").unwrap();
    env.ok(&["cat", "pack", &pack])
        .says("is damaged")
        .prints("x");

    let key = listed(&env, "keys").pop().unwrap();
    let slot = shown(&env, &["key", &key[..10]]);
    assert_eq!(
        (&slot["larder"], &slot["role"]),
        (&1.into(), &"full".into())
    );
    env.run(&["cat", "key", "zz"])
        .expect(1)
        .says("no key has an ID that begins with zz");
    env.run(&["cat", "pack", ""]).expect(2);

    let table = listed(&env, "index").pop().unwrap();
    let index = shown(&env, &["index", &table]);
    let packs = index["packs"].as_array().unwrap();
    let blobs = packs
        .iter()
        .flat_map(|pack| pack["blobs"].as_array().unwrap());
    let mut lines: Vec<String> = blobs
        .map(|blob| {
            let text = |field: &str| blob[field].as_str().unwrap().to_owned();
            format!("{} {}", text("type"), text("id"))
        })
        .collect();
    let mut expected = listed(&env, "blobs");
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
    for pack in packs {
        let blocks = pack["blocks"].as_array().unwrap();
        assert!(!blocks.is_empty());
        for blob in pack["blobs"].as_array().unwrap() {
            assert!(blob["block"].as_u64().unwrap() < blocks.len() as u64);
        }
    }
}

#[test]
fn keys_and_locks_are_not_shown() {
    let (env, _) = with_snapshot();
    let run = env.run(&["cat", "masterkey"]).expect(1).says("not shown");
    assert_eq!(run.stdout, "");
    env.run(&["cat", "lock", "abcd"]).expect(1).says("no locks");
    env.run(&["cat", "frog"]).expect(2);
}

#[test]
fn a_large_directory_is_one_list_of_nodes() {
    let env = TestEnvironment::with_repository();
    for number in 0..1500 {
        env.write(&format!("src/{number:04}"), "");
    }
    env.backup(&["src"]);
    let tree = shown(&env, &["tree", "latest:src"]);
    let nodes = tree["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 1500);
    assert!(
        nodes
            .windows(2)
            .all(|two| two[0]["name"].as_str() < two[1]["name"].as_str())
    );
}

#[test]
fn an_empty_id_is_none() {
    let env = TestEnvironment::new();
    for kind in ["snapshot", "log", "key", "blob", "tree", "pack", "index"] {
        for id in [&[""][..], &[]] {
            env.run(&[&["cat", kind], id].concat())
                .expect(2)
                .says(&format!("`cat {kind}` needs an ID\n"));
        }
    }
}
