//! `snapshots` and `ls`.

use crate::environment::TestEnvironment;
use serde_json::Value;
use std::os::unix::ffi::OsStrExt;

/// Four snapshots of two hosts and two sets of paths.
fn with_snapshots() -> (TestEnvironment, Vec<String>) {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let sub = env.text("src/sub");
    let backup = |path: &str, host: &str, tag: &str, day: u8| {
        let time = format!("2024-01-{day:02} 12:00:00");
        env.backup(&[path, "--host", host, "--tag", tag, "--time", &time])
    };
    let ids = vec![
        backup(&source, "web", "a,b", 1),
        backup(&source, "web", "a", 2),
        backup(&sub, "web", "b", 3),
        backup(&source, "db", "a", 4),
    ];
    (env, ids)
}

fn listed(env: &TestEnvironment, arguments: &[&str]) -> Vec<String> {
    let list = env.json(&[&["snapshots"], arguments].concat());
    let ids = list
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[test]
fn snapshots_are_chosen_by_host_tag_path_and_age() {
    let (env, ids) = with_snapshots();
    let pick = |numbers: &[usize]| numbers.iter().map(|&n| ids[n].clone()).collect::<Vec<_>>();
    // The environment of the tests names a host, which holds for listings too, as with restic.
    assert_eq!(listed(&env, &[]), pick(&[]));
    assert_eq!(listed(&env, &["--host", ""]), pick(&[0, 1, 2, 3]));
    assert_eq!(listed(&env, &["--host", "web"]), pick(&[0, 1, 2]));
    assert_eq!(
        listed(&env, &["-H", "web", "-H", "db"]),
        pick(&[0, 1, 2, 3])
    );
    assert_eq!(listed(&env, &["-H", "", "--tag", "a,b"]), pick(&[0]));
    assert_eq!(
        listed(&env, &["-H", "", "--tag", "b", "--tag", "a"]),
        pick(&[0, 1, 2, 3])
    );
    assert_eq!(listed(&env, &["-H", "", "--path", "src/sub"]), pick(&[2]));
    assert_eq!(listed(&env, &["-H", "", "--latest", "1"]), pick(&[1, 2, 3]));
    assert_eq!(listed(&env, &[&ids[1][..12], &ids[0]]), pick(&[0, 1]));
    assert_eq!(listed(&env, &["-H", "web", "latest"]), pick(&[2]));
    env.run(&["snapshots", "ffff"])
        .expect(1)
        .says("no snapshot has an ID that begins with ffff");
    env.run(&["snapshots", "-H", "nobody", "latest"])
        .expect(1)
        .says("no snapshot that fits");
}

#[test]
fn the_table_is_that_of_restic() {
    let (env, ids) = with_snapshots();
    let table = env.ok(&["snapshots", "-H", "web", "--tag", "a"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(lines[0]),
        ["ID", "Time", "Host", "Tags", "Paths", "Size"]
    );
    assert!(lines[1].chars().all(|c| c == '-'));
    let source = env.text("src");
    let row = [
        &ids[0][..8],
        "2024-01-01",
        "12:00:00",
        "web",
        "a,b",
        &source,
        "292.980",
        "KiB",
    ];
    assert_eq!(words(lines[2]), row);
    assert_eq!(lines.last().unwrap(), &"2 snapshots");

    for flag in ["-c", "--compact"] {
        let table = env.ok(&["snapshots", flag, "-H", "web", &ids[0]]).stdout;
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(words(lines[0]), ["ID", "Time", "Host", "Tags", "Size"]);
        assert_eq!(words(lines[3]), ["b"]);
        assert!(!table.contains(&source));
    }
}

#[test]
fn snapshots_are_shown_in_groups() {
    let (env, ids) = with_snapshots();
    let text = env.ok(&["snapshots", "-H", "", "-g", "host"]).stdout;
    let headings: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("snapshots"))
        .collect();
    assert_eq!(
        headings,
        ["snapshots for (host [db]):", "snapshots for (host [web]):"]
    );
    assert!(text.contains("\n3 snapshots\n"), "{text}");

    let groups = env.json(&["snapshots", "-H", "", "--group-by", "host,paths,tags"]);
    let groups = groups.as_array().unwrap();
    assert_eq!(groups.len(), 4);
    let key = serde_json::json!({
        "hostname": "web", "paths": [env.text("src")], "tags": ["a", "b"],
    });
    let group = groups.iter().find(|group| group["group_key"] == key);
    let snapshots = group.unwrap()["snapshots"].as_array().unwrap();
    assert_eq!(
        (snapshots.len(), &snapshots[0]["id"]),
        (1, &ids[0].as_str().into())
    );

    let groups = env.json(&["snapshots", "-H", "", "--group-by", "tags", "--latest", "1"]);
    let key = &groups[0]["group_key"];
    assert_eq!(
        (&key["hostname"], &key["paths"]),
        (&"".into(), &Value::Null)
    );
    // Of each group, of each host and set of paths in it.
    let count = |group: &Value| group["snapshots"].as_array().unwrap().len();
    let counts: Vec<usize> = groups.as_array().unwrap().iter().map(count).collect();
    assert_eq!(counts, [2, 1, 1]);

    assert_eq!(
        env.json(&["snapshots", "-H", "nobody", "-g", "host"]),
        serde_json::json!([])
    );
    env.ok(&["snapshots", "-H", "nobody", "-g", "host"])
        .prints("0 snapshots\n");
    env.run(&["snapshots", "-g", "size"])
        .expect(2)
        .says("`size` is none of host, paths, tags and label");
}

#[test]
fn snapshots_in_json_have_the_fields_of_restic() {
    let (env, ids) = with_snapshots();
    let list = env.json(&["snapshots", &ids[1]]);
    let snapshot = &list[0];
    for field in [
        "time",
        "tree",
        "hostname",
        "username",
        "program_version",
        "id",
        "short_id",
    ] {
        assert!(snapshot[field].is_string(), "{field} in {snapshot}");
    }
    assert_eq!(snapshot["short_id"], ids[1][..8]);
    assert_eq!(snapshot["parent"], ids[0]);
    assert!(snapshot["uid"].is_u64() && snapshot["gid"].is_u64());
    assert_eq!(snapshot["summary"]["files_unmodified"], 4);
    assert!(snapshot["summary"]["backup_end"].is_string());
}

#[test]
fn files_are_listed_in_order_of_their_paths() {
    let (env, ids) = with_snapshots();
    let source = env.text("src");
    let below = |arguments: &[&str]| -> Vec<String> {
        let text = env.ok(&[&["-q", "ls", &ids[0]], arguments].concat()).stdout;
        let inside = text.lines().filter_map(|line| line.strip_prefix(&source));
        inside.map(str::to_owned).collect()
    };
    let all = ["", "/a.txt", "/b.bin", "/link", "/sub", "/sub/c.txt"];
    assert_eq!(below(&[]), all);
    assert_eq!(below(&[&source]), all[..5]);
    assert_eq!(below(&[&source, "--recursive"]), all);
    let sub = format!("{source}/sub");
    let file = format!("{source}/a.txt");
    assert_eq!(below(&[&sub]), all[4..]);
    assert_eq!(below(&[&sub, &file]), ["/a.txt", "/sub", "/sub/c.txt"]);
    assert_eq!(below(&[&sub, &source]), all);
    env.ok(&["ls", &ids[0]])
        .prints(&format!("snapshot {} of [{source}]", &ids[0][..8]));
    env.ok(&["ls", &ids[0], &sub])
        .prints(&format!(" filtered by [{sub}]:\n"));
    let run = env.run(&["ls", &ids[0], &file, "/absent"]).expect(1);
    assert_eq!(run.says("/absent").stdout, "");
    env.run(&["ls", &ids[0], "src"])
        .expect(2)
        .says("src is not a path from the root");
    env.ok(&["-q", "ls", "-H", "db", "latest", &source])
        .prints("/a.txt");
}

#[test]
fn a_folder_is_listed_as_if_it_were_the_whole_snapshot() {
    let (env, ids) = with_snapshots();
    let source = env.text("src");
    let listed = |arguments: &[&str]| env.ok(&[&["-q", "ls"], arguments].concat()).stdout;
    let folder = format!("{}:{source}", ids[0]);
    assert_eq!(
        listed(&[&folder]),
        "/a.txt\n/b.bin\n/link\n/sub\n/sub/c.txt\n"
    );
    assert_eq!(listed(&[&folder, "/sub"]), "/sub\n/sub/c.txt\n");
    assert_eq!(listed(&[&format!("{folder}/sub/")]), "/c.txt\n");
    env.run(&["ls", &folder, "/c.txt"])
        .expect(1)
        .says(&format!("{source}/c.txt is not in the snapshot"));
    env.run(&["ls", &format!("{folder}/a.txt")])
        .expect(1)
        .says("is no folder");
    env.run(&["ls", &format!("{folder}/a.txt/x")])
        .expect(1)
        .says("is not in the snapshot");
}

#[test]
fn listings_are_sorted_and_turned_round() {
    let (env, ids) = with_snapshots();
    let folder = format!("{}:{}", ids[0], env.text("src"));
    let listed = |arguments: &[&str]| -> Vec<String> {
        let text = env.ok(&[&["-q", "ls", &folder], arguments].concat()).stdout;
        text.lines().map(str::to_owned).collect()
    };
    assert_eq!(
        listed(&["--reverse"]),
        ["/sub/c.txt", "/sub", "/link", "/b.bin", "/a.txt"]
    );
    let by_size = ["/link", "/sub", "/a.txt", "/sub/c.txt", "/b.bin"];
    assert_eq!(listed(&["-s", "size"]), by_size);
    assert_eq!(
        listed(&["--sort", "extension"])[..3],
        ["/link", "/sub", "/b.bin"]
    );
    for by in ["name", "time", "mtime", "atime", "ctime"] {
        assert_eq!(listed(&["--sort", by]).len(), 5, "{by}");
    }
    env.run(&["ls", "latest", "--sort", "colour"])
        .expect(2)
        .says("extension");
    // The first line comes before all others also where they have to be sorted.
    let text = env.ok(&["ls", &folder, "-s", "size"]).stdout;
    assert!(text.starts_with("snapshot "), "{text}");
}

#[test]
fn ncdu_gets_what_it_reads() {
    let (env, ids) = with_snapshots();
    let folder = format!("{}:{}", ids[0], env.text("src"));
    let text = env.ok(&["ls", "--ncdu", &folder]).stdout;
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value[0], &value[1]), (&1.into(), &2.into()));
    let root = value[3].as_array().unwrap();
    assert_eq!(root[0]["name"], "/");
    assert_eq!(
        (&root[2]["name"], &root[2]["asize"]),
        (&"b.bin".into(), &300_000.into())
    );
    assert_eq!(root[4][0]["name"], "sub");
    assert_eq!(root[4][1]["name"], "c.txt");
    for wrong in [&["--sort", "size"][..], &["--reverse"], &["--json"]] {
        env.run(&[&["ls", "--ncdu", &folder], wrong].concat())
            .expect(2);
    }
}

#[test]
fn long_listings_show_mode_owner_size_time_and_target() {
    let (env, ids) = with_snapshots();
    let source = env.text("src");
    let text = env.ok(&["-q", "ls", "-l", &ids[0], &source]).stdout;
    let line = |end: &str| text.lines().find(|line| line.ends_with(end)).unwrap();
    assert!(line("/b.bin").starts_with("-rw-"), "{text}");
    assert!(line("/b.bin").contains(" 300000 20"), "{text}");
    assert!(line("/sub").starts_with("drwx"), "{text}");
    assert!(line("/link -> a.txt").starts_with("Lrwxrwxrwx"), "{text}");
    env.ok(&["-q", "ls", "-l", "--human-readable", &ids[0], &source])
        .prints(" 292.969 KiB 20");
}

#[test]
fn listings_in_json_have_the_fields_of_restic() {
    let (env, ids) = with_snapshots();
    let messages = env.ok(&["--json", "ls", &ids[0]]).messages();
    assert_eq!(messages[0]["message_type"], "snapshot");
    assert_eq!(messages[0]["struct_type"], "snapshot");
    assert_eq!(messages[0]["id"], ids[0]);
    let node = |name: &str| messages.iter().find(|m| m["name"] == name).unwrap();
    let file = node("b.bin");
    assert_eq!(
        (&file["message_type"], &file["struct_type"]),
        (&"node".into(), &"node".into())
    );
    assert_eq!(
        (&file["type"], &file["size"]),
        (&"file".into(), &300_000.into())
    );
    assert_eq!(file["path"], env.text("src/b.bin"));
    assert_eq!(file["mode"].as_u64().unwrap() & !0o777, 0);
    assert!(file["permissions"].as_str().unwrap().starts_with("-rw"));
    for field in ["mtime", "ctime", "atime"] {
        assert!(file[field].as_str().unwrap().ends_with('Z'), "{file}");
    }
    assert!(file["inode"].is_u64() && file["uid"].is_u64() && file["gid"].is_u64());
    assert_eq!(
        (&node("link")["type"], &node("link")["link_target"]),
        (&"symlink".into(), &"a.txt".into())
    );
    assert_eq!(node("sub")["mode"].as_u64().unwrap() >> 31, 1);
    assert_eq!(node("sub").get("size"), None::<&Value>);
}

#[test]
fn strange_names_survive_a_pipe() {
    let env = TestEnvironment::with_repository();
    let name = std::ffi::OsStr::from_bytes(b"src/\xff\x1b[1m");
    env.write("src/plain", "");
    std::fs::write(env.path("src").parent().unwrap().join(name), "x").unwrap();
    env.backup(&["src"]);
    let output = env.command(&["-q", "ls", "latest"]).output().unwrap();
    assert!(
        output
            .stdout
            .windows(6)
            .any(|bytes| bytes == b"/\xff\x1b[1m")
    );
}

#[test]
fn a_reader_that_leaves_is_no_error_message() {
    let env = TestEnvironment::with_repository();
    for number in 0..2000 {
        env.write(
            &format!("src/a-rather-long-name-of-a-file-that-fills-the-pipe-{number}"),
            "",
        );
    }
    env.backup(&["src"]);
    let mut child = env.start(&["-q", "ls", "latest"]);
    drop(child.stdout.take());
    let run = crate::environment::Run::of(child.wait_with_output().unwrap()).expect(141);
    assert_eq!(run.stderr, "");
}

#[test]
fn a_label_chooses_wherever_host_and_tag_do() {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "content");
    let label = |label: &str| env.backup(&["src", "--label", label]);
    let (web, db, plain) = (label("web"), label("db"), env.backup(&["src"]));
    let found = |arguments: &[&str]| {
        let listed = env.json(&[&["snapshots"], arguments].concat());
        let ids = listed.as_array().unwrap().iter();
        ids.map(|s| s["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&["--label", "web"]), [&*web]);
    assert_eq!(found(&["--label", ""]), [&*plain]);
    assert_eq!(found(&["--label", "db", "--label", ""]), [&*db, &*plain]);
    assert_eq!(found(&["--label", "none"]), [""; 0]);
    env.ok(&["restore", "latest", "--label", "web", "--target", "out"])
        .prints(&web[..8]);
    env.ok(&["ls", "latest", "--label", "db"]).prints(&db[..8]);
    env.ok(&["check", "--label", "web"])
        .prints("checked 1 snapshot");
    env.ok(&["stats", "--label", "web"]).prints("1");
    env.ok(&["tag", "--add", "t", "--label", "", "-n"])
        .prints("would change 1 snapshot");
    env.ok(&["rewrite", "--label", "web", "--new-label", "www", "-n"])
        .prints(", label www\n")
        .prints("would change 1 snapshot");
    env.run(&["rewrite", "--label", "web"])
        .expect(2)
        .says("nothing is to be changed");
    for command in [
        &["protect", "--until", "1y"][..],
        &["expire", "--at", "never"],
    ] {
        env.ok(&[command, &["latest", "--label", "db"]].concat());
    }
    env.ok(&["protect", "latest", "--label", "db", "--remove"]);
    env.backup(&["src", "--label", "web"]);
    let policy = ["forget", "--keep-last", "1", "--label", "web"];
    env.ok(&policy).prints("1 snapshot forgotten");
    env.ok(&["forget", "--label", "db", "--allow-empty"])
        .prints("1 snapshot forgotten");
    env.ok(&["unforget", "--label", "web"])
        .prints(&format!("snapshot {} is back", &web[..8]))
        .prints("1 snapshot is back");
    assert_eq!(found(&["--label", "db"]), [""; 0]);
}
