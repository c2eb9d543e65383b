//! `find`, over all snapshots.

use crate::environment::{TestEnvironment, noise};
use serde_json::Value;

/// Three snapshots: `a.txt` changes in the last one, `gone` is in the first only.
fn repository() -> (TestEnvironment, [String; 3]) {
    let env = TestEnvironment::with_repository();
    env.write_source();
    env.write("src/gone", "gone");
    let back_up = |day: u8| {
        env.backup(&[
            &env.text("src"),
            "--time",
            &format!("2024-01-0{day} 12:00:00"),
        ])
    };
    let first = back_up(1);
    std::fs::remove_file(env.path("src/gone")).unwrap();
    let second = back_up(2);
    env.write("src/a.txt", "changed\n");
    let third = back_up(3);
    (env, [first, second, third])
}

fn paths(env: &TestEnvironment, arguments: &[&str]) -> Vec<String> {
    let run = env.ok(&[&["-q", "find"], arguments].concat());
    let source = env.text("src");
    run.stdout
        .lines()
        .map(|line| line.replace(&source, ""))
        .collect()
}

#[test]
fn each_version_is_found_once() {
    let (env, [first, second, third]) = repository();
    let run = env.ok(&["find", "a.txt", "gone", "c.txt"]);
    let source = env.text("src");
    let (first, second, third) = (&first[..8], &second[..8], &third[..8]);
    let expected = format!(
        "Found matching entries in snapshot {third} from 2024-01-03 12:00:00\n\
         {source}/a.txt\n\
         {source}/sub/c.txt  (since {first} from 2024-01-01 12:00:00, 3 snapshots)\n\
         \n\
         Found matching entries in snapshot {second} from 2024-01-02 12:00:00\n\
         {source}/a.txt  (since {first} from 2024-01-01 12:00:00, 2 snapshots)\n\
         \n\
         Found matching entries in snapshot {first} from 2024-01-01 12:00:00\n\
         {source}/gone\n"
    );
    assert_eq!(run.stdout, expected);
    assert_eq!(
        paths(&env, &["a.txt", "gone", "-R"]),
        ["/gone", "/a.txt", "/a.txt"]
    );
    assert_eq!(paths(&env, &["nothing"]), Vec::<String>::new());
    assert_eq!(env.ok(&["find", "nothing"]).stdout, "");
}

#[test]
fn patterns_are_those_of_restic_or_regular_expressions() {
    let (env, _) = repository();
    let one = |arguments: &[&str]| paths(&env, &[&["-s", "latest"], arguments].concat());
    // What lies below what matches is found with it.
    assert_eq!(one(&["sub"]), ["/sub", "/sub/c.txt"]);
    assert_eq!(one(&["*.TXT"]), Vec::<String>::new());
    assert_eq!(one(&["-i", "*.TXT"]), ["/a.txt", "/sub/c.txt"]);
    assert_eq!(one(&[&format!("{}/*.txt", env.text("src"))]), ["/a.txt"]);
    assert_eq!(one(&["--regex", "/s.b$", "^/nowhere"]), ["/sub"]);
    assert_eq!(one(&["--regex", "-i", "B\\.BIN"]), ["/b.bin"]);
    env.run(&["find", "[a"]).expect(2).says("is not closed");
    env.run(&["find", "--regex", "("])
        .expect(2)
        .says("makes no sense");
    env.run(&["find"]).expect(2);
}

#[test]
fn files_are_chosen_by_time_size_and_type() {
    let (env, _) = repository();
    let file = std::fs::File::options()
        .write(true)
        .open(env.path("src/b.bin"))
        .unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    file.set_times(std::fs::FileTimes::new().set_modified(old))
        .unwrap();
    env.backup(&[&env.text("src")]);
    let found = |arguments: &[&str]| {
        let source = format!("{}/*", env.text("src"));
        paths(&env, &[&["-s", "latest", &source], arguments].concat())
    };
    assert_eq!(found(&["--newest", "2002-01-01"]), ["/b.bin"]);
    assert!(!found(&["-O", "2002-01-01"]).contains(&"/b.bin".to_owned()));
    assert_eq!(
        found(&["-O", "2001-01-01", "-N", "2001-12-31 23:59:59"]),
        ["/b.bin"]
    );
    env.run(&["find", "x", "-O", "2002-01-01", "-N", "2001-01-01"])
        .expect(2)
        .says("nothing fits");
    assert_eq!(found(&["--size", "+100k"]), ["/b.bin"]);
    assert_eq!(found(&["--size", "-100k"]), ["/a.txt", "/sub/c.txt"]);
    assert_eq!(found(&["--size", "6"]), ["/sub/c.txt"]);
    assert_eq!(found(&["--size", "+5", "--size=-7"]), ["/sub/c.txt"]);
    assert_eq!(found(&["--type", "d"]), ["/sub"]);
    assert_eq!(found(&["--type", "l,d"]), ["/link", "/sub"]);
    env.run(&["find", "x", "--type", "x"])
        .expect(2)
        .says("expected one of f, d");
    env.run(&["find", "x", "--size", "big"]).expect(2);
    let long = env.ok(&["find", "-l", "--human-readable", "b.bin", "-s", "latest"]);
    long.prints("-rw-").prints(" 292.969 KiB 2001-09-09");
}

#[test]
fn snapshots_are_chosen_as_elsewhere() {
    let (env, [first, _, third]) = repository();
    env.backup(&[&env.text("src/sub"), "--host", "other", "--tag", "t"]);
    let count = |arguments: &[&str]| paths(&env, &[&["c.txt"], arguments].concat()).len();
    assert_eq!(count(&[]), 1, "of the host of the environment");
    env.ok(&["find", "c.txt", "-H", ""])
        .prints(", 4 snapshots)");
    assert_eq!(count(&["-H", "other"]), 1);
    assert_eq!(count(&["-H", "", "--tag", "t"]), 1);
    assert_eq!(count(&["-H", "nobody"]), 0);
    assert_eq!(paths(&env, &["gone", "-s", &third]), Vec::<String>::new());
    assert_eq!(
        paths(&env, &["gone", "-s", &third, "-s", &first]),
        ["/gone"]
    );
    env.run(&["find", "x", "-s", "ffff"])
        .expect(1)
        .says("begins with ffff");
}

#[test]
fn programs_get_one_list_of_snapshots() {
    let (env, [first, second, third]) = repository();
    let list = env.json(&["find", "a.txt"]);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(
        (&list[0]["snapshot"], &list[1]["snapshot"]),
        (&third.into(), &second.into())
    );
    let found = &list[1]["matches"][0];
    assert_eq!(
        (&list[1]["hits"], &found["snapshots"]),
        (&1.into(), &2.into())
    );
    assert_eq!(found["first_snapshot"], first);
    assert_eq!(found["path"], env.text("src/a.txt"));
    assert_eq!(
        (&found["type"], &found["size"]),
        (&"file".into(), &6.into())
    );
    for field in ["permissions", "mtime", "atime", "ctime"] {
        assert!(found[field].is_string(), "{field}");
    }
    assert_eq!(found.get("message_type"), None);
    assert_eq!(env.json(&["find", "nothing"]), serde_json::json!([]));
}

#[test]
fn what_needs_a_blob_a_tree_or_a_pack_is_found() {
    let (env, [first, _, third]) = repository();
    let source = env.text("src");
    let text = env
        .ok(&["cat", "tree", &format!("{third}:{source}")])
        .stdout;
    let tree: Value = serde_json::from_str(&text).unwrap();
    let nodes = tree["nodes"].as_array().unwrap();
    let node = |name: &str| nodes.iter().find(|node| node["name"] == name).unwrap();
    let blob = node("b.bin")["content"][0].as_str().unwrap();
    let run = env.ok(&["find", "--blob", &blob[..12], "--show-pack-id"]);
    run.prints(&format!(
        "Found blob {blob}\n ... in file {source}/b.bin\n     (tree "
    ))
    .prints(&format!(
        " ... in snapshot {} (2024-01-03 12:00:00)\n",
        &third[..8]
    ))
    .prints("Object belongs to pack ");
    let subtree = node("sub")["subtree"].as_str().unwrap();
    let found = env.json(&["find", "--tree", subtree]);
    let found = &found[0];
    assert_eq!(
        (&found["object_type"], &found["id"]),
        (&"tree".into(), &subtree.into())
    );
    assert_eq!(found["path"], format!("{source}/sub"));
    assert_eq!(
        (&found["snapshot"], &found["first_snapshot"]),
        (&third.into(), &first.into())
    );
    assert_eq!(found["snapshots"], 3);
    let mut seen = 0;
    for pack in env.files("repo/data") {
        let id = pack.file_name().unwrap().to_str().unwrap();
        let all = env.json(&["find", "--pack", id]);
        seen += all.as_array().unwrap().len();
        assert!(
            all.as_array()
                .unwrap()
                .iter()
                .all(|found| found["pack"] == id),
            "{all}"
        );
    }
    assert!(seen >= 5, "{seen}");
    env.run(&["find", "--pack", "0123456789"])
        .expect(1)
        .says("no pack has an ID");
    env.run(&["find", "--blob", "xyz"])
        .expect(2)
        .says("is no ID");
    env.run(&["find", "--blob", "--tree", "abcd"]).expect(2);
}

/// A second search is answered from the cache, what is forgotten meanwhile is not shown, and without a cache it is the same.
#[test]
fn a_second_search_opens_no_tree() {
    let (env, [first, ..]) = repository();
    let walked = env.ok(&["--no-cache", "find", "*"]).stdout;
    assert_eq!(env.ok(&["find", "*"]).stdout, walked);
    env.ok(&["forget", &first]);
    let walked = env.ok(&["--no-cache", "find", "*"]).stdout;
    for pack in env.files("repo/meta") {
        std::fs::remove_file(env.path("repo/meta").join(pack)).unwrap();
    }
    assert_eq!(env.ok(&["find", "*"]).stdout, walked);
    assert_eq!(paths(&env, &["gone"]), Vec::<String>::new());
    env.run(&["--no-cache", "find", "*"]).expect(3);
}

#[test]
fn a_cache_that_cannot_be_written_is_said_and_costs_nothing_else() {
    let (env, _) = repository();
    let caches = env.path("cache/larder");
    let entries = std::fs::read_dir(&caches).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let cache = paths.find(|path| path.is_dir()).unwrap();
    std::fs::write(cache.join("history"), "in the way").unwrap();
    let run = env.ok(&["find", "gone"]).says("no cache is used: ");
    run.prints("/src/gone");
}

/// What snapshots share is read once, and a damaged tree costs what it holds.
#[test]
fn a_tree_that_cannot_be_read_does_not_end_the_search() {
    let env = TestEnvironment::with_repository();
    env.write("src/sub/needle", noise(100, 1));
    env.backup(&[&env.text("src/sub")]);
    let packs = env.files("repo/meta");
    env.write("src/needle", noise(100, 2));
    env.backup(&[&env.text("src")]);
    for pack in packs {
        std::fs::remove_file(env.path("repo/meta").join(pack)).unwrap();
    }
    let run = env.run(&["find", "needle"]).expect(3);
    run.prints("/src/needle\n").says("error: ").says("pack");
}
