//! `history` of one path.

use crate::environment::{Run, TestEnvironment};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

/// Writes `src/file`, or removes it, and backs `src` up on a day of January.
fn day(env: &TestEnvironment, day: u8, content: Option<&str>) -> String {
    match content {
        Some(content) => drop(env.write("src/file", content)),
        None => std::fs::remove_file(env.path("src/file")).unwrap(),
    }
    let mtime = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    if let Ok(file) = std::fs::File::options()
        .write(true)
        .open(env.path("src/file"))
    {
        file.set_times(std::fs::FileTimes::new().set_modified(mtime))
            .unwrap();
    }
    back_up(env, day)
}

fn back_up(env: &TestEnvironment, day: u8) -> String {
    env.backup(&[
        &env.text("src"),
        "--time",
        &format!("2024-01-{day:02} 12:00:00"),
    ])
}

/// Appears, stays, grows, goes and comes again with other permissions.
fn history() -> (TestEnvironment, Vec<String>) {
    let env = TestEnvironment::with_repository();
    env.write("src/other", "x");
    let mut ids = vec![back_up(&env, 1)];
    ids.push(day(&env, 2, Some("ab")));
    ids.push(back_up(&env, 3));
    ids.push(day(&env, 4, Some("abcde")));
    ids.push(day(&env, 5, None));
    ids.push(back_up(&env, 6));
    ids.push(day(&env, 7, Some("abcde")));
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(env.path("src/file"), mode).unwrap();
    ids.push(back_up(&env, 8));
    (env, ids)
}

/// Snapshot, count, event and the last column of each line.
fn lines(text: &str) -> Vec<(String, String, String, String)> {
    let is_event = |line: &&str| {
        ["appeared", "changed "]
            .iter()
            .any(|word| line.contains(word))
    };
    let rows = text.lines().filter(is_event);
    rows.map(|row| {
        let words: Vec<&str> = row.split_whitespace().collect();
        let changed = row.split("2001-09-09 ").nth(1).unwrap_or_default();
        let changed = changed.split_once(' ').map_or("", |(_, rest)| rest.trim());
        (
            words[0].into(),
            words[3].into(),
            words[4].into(),
            changed.into(),
        )
    })
    .collect()
}

#[test]
fn what_happened_is_shown_once_with_the_first_snapshot_that_shows_it() {
    let (env, ids) = history();
    let run = env.ok(&["history", &env.text("src/file")]);
    let line = |id: usize, count: &str, event: &str, changed: &str| {
        (
            ids[id][..8].to_owned(),
            count.to_owned(),
            event.to_owned(),
            changed.to_owned(),
        )
    };
    assert_eq!(
        lines(&run.stdout),
        [
            line(1, "2", "appeared", ""),
            line(3, "1", "changed", "content"),
            line(4, "2", "disappeared", ""),
            line(6, "1", "appeared", ""),
            line(7, "1", "changed", "mode"),
        ],
        "{}",
        run.stdout
    );
    run.prints("5 B (+3 B)")
        .prints("-rw-------")
        .prints("4 versions\n");
    env.ok(&["history", "--bytes", &env.text("src/file")])
        .prints(" 5 (+3) ");
}

#[test]
fn programs_get_a_message_for_each_event() {
    let (env, ids) = history();
    let run = env.ok(&["--json", "history", &env.text("src/file")]);
    let messages: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(messages.len(), 6);
    let grown = &messages[1];
    assert_eq!(
        (&grown["message_type"], &grown["event"], &grown["snapshot"]),
        (&"version".into(), &"changed".into(), &Value::from(&*ids[3]))
    );
    assert_eq!(
        (&grown["changed"][0], &grown["size_difference"]),
        (&"content".into(), &3.into())
    );
    assert_eq!(
        (&grown["node"]["size"], &grown["node"]["type"]),
        (&5.into(), &"file".into())
    );
    let gone = &messages[2];
    assert_eq!(gone["last_snapshot"], *ids[5]);
    assert_eq!((&gone["snapshots"], gone.get("node")), (&2.into(), None));
    let summary = &messages[5];
    assert_eq!(
        (
            &summary["message_type"],
            &summary["versions"],
            &summary["snapshots"]
        ),
        (&"summary".into(), &4.into(), &8.into())
    );
}

/// A dump or another machine between two backups is no disappearance, and its file of that name no version.
#[test]
fn snapshots_of_something_else_say_nothing() {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "1");
    env.write("else/file", "1");
    env.backup(&[&env.text("src"), "--host", "one"]);
    env.backup(&[&env.text("else"), "--host", "one"]);
    env.backup(&[&env.text("src"), "--host", "one"]);
    env.write("src/file", "2");
    env.backup(&[&env.text("src"), "--host", "two"]);
    let path = env.text("src/file");
    let run = env.ok(&["history", &path, "-H", ""]);
    let run = run.prints(" on one:\n").prints(" on two:\n");
    let events: Vec<_> = lines(&run.stdout)
        .into_iter()
        .map(|line| (line.1, line.2))
        .collect();
    let appeared = |count: &str| (count.to_owned(), "appeared".to_owned());
    assert_eq!(events, [appeared("2"), appeared("1")]);
    let one = env.ok(&["history", &path, "-H", "two"]);
    assert!(!one.stdout.contains(" on "), "{}", one.stdout);
}

/// A directory changes with what lies below it; one that was backed up by a relative path is found by its own.
#[test]
fn directories_and_relative_paths_have_a_history() {
    let env = TestEnvironment::with_repository();
    env.write("src/dir/file", "1");
    let command = |arguments: &[&str]| {
        let mut command = env.command(arguments);
        command.current_dir(env.path("src"));
        Run::of(command.output().unwrap()).expect(0)
    };
    command(&["backup", "dir"]);
    env.write("src/dir/file", "2");
    command(&["backup", "dir"]);
    command(&["history", "dir"])
        .prints("content")
        .prints("2 versions");
    command(&["history", "dir/file"]).prints("2 versions");
}

#[test]
fn a_path_that_was_never_there_is_an_error() {
    let (env, _) = history();
    env.run(&["history", &env.text("src/nothing")])
        .expect(1)
        .says("is in no snapshot that fits\n`larder find` searches");
    env.run(&["history"]).expect(2);
}

/// What cannot be read is named, and is no disappearance.
#[test]
fn a_damaged_snapshot_is_named_and_passed_over() {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "1");
    env.backup(&[&env.text("src")]);
    let packs = env.files("repo/meta");
    env.write("src/file", "22");
    env.backup(&[&env.text("src")]);
    for pack in packs {
        std::fs::remove_file(env.path("repo/meta").join(pack)).unwrap();
    }
    let run = env.run(&["history", &env.text("src/file")]).expect(3);
    let run = run.prints("appeared").says("error: ");
    assert!(!run.stdout.contains("disappeared"), "{}", run.stdout);
}
