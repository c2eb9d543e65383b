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
        "a",
        &source,
        "292.980",
        "KiB",
    ];
    assert_eq!(words(lines[2]), row);
    assert_eq!(words(lines[3]), ["b"]);
    assert_eq!(lines.last().unwrap(), &"2 snapshots");
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
        inside
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let all = ["/a.txt", "/b.bin", "/link", "/sub", "/sub/c.txt"];
    assert_eq!(below(&[]), all);
    assert_eq!(below(&[&source]), all[..4]);
    assert_eq!(below(&[&source, "--recursive"]), all);
    env.ok(&["ls", &ids[0]])
        .prints(&format!("snapshot {} of [{source}]", &ids[0][..8]));
    env.run(&["ls", &ids[0], "/absent"])
        .expect(1)
        .says("/absent");
    env.ok(&["-q", "ls", "-H", "db", "latest", &source])
        .prints("/a.txt");
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
    for field in ["mtime", "ctime"] {
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
