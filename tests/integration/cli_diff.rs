//! `diff` of two snapshots, and of a snapshot and the disk.

use crate::environment::{TestEnvironment, noise};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

/// Lines of differences, without the heading and the statistics, below `src`.
fn differences(env: &TestEnvironment, arguments: &[&str]) -> Vec<String> {
    let run = env.ok(&[&["diff"], arguments].concat());
    let source = env.text("src");
    let lines = run.stdout.lines().skip(2);
    let lines = lines.take_while(|line| !line.is_empty());
    lines.map(|line| line.replace(&source, "")).collect()
}

/// Two snapshots between which everything happens that has a letter.
fn changed() -> (TestEnvironment, [String; 2]) {
    let env = TestEnvironment::with_repository();
    env.write_source();
    env.write("src/becomes/inside", "x");
    env.write("src/same/deep/file", noise(100_000, 5));
    env.write("src/touched", "t");
    let first = env.backup(&[&env.text("src")]);
    env.write("src/a.txt", "changed\n");
    std::fs::remove_file(env.path("src/b.bin")).unwrap();
    std::fs::remove_file(env.path("src/link")).unwrap();
    env.write("src/link", "a file now");
    std::fs::remove_dir_all(env.path("src/becomes")).unwrap();
    env.write("src/becomes", "a file too");
    env.write("src/new/below/n", "n");
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(env.path("src/touched"), closed).unwrap();
    let second = env.backup(&[&env.text("src")]);
    (env, [first, second])
}

#[test]
fn letters_are_those_of_restic() {
    let (env, [first, second]) = changed();
    let expected = [
        "M    /a.txt",
        "-    /b.bin",
        "T    /becomes",
        "-    /becomes/inside",
        "T    /link",
        "+    /new/",
        "+    /new/below/",
        "+    /new/below/n",
    ];
    assert_eq!(differences(&env, &[&first, &second]), expected);
    let with = differences(&env, &[&first, &second, "--metadata"]);
    for line in ["M    /a.txt", "TU   /link", "U    /touched", "U    /"] {
        assert!(with.contains(&line.to_owned()), "{line} in {with:?}");
    }
    assert!(
        !with
            .iter()
            .any(|line| line.contains("/same") || line.contains("/sub")),
        "{with:?}"
    );
    let run = env.ok(&["diff", &first, &second]);
    run.prints(&format!(
        "comparing snapshot {} to {}:\n\n",
        &first[..8],
        &second[..8]
    ))
    .prints("\nFiles:           1 new,     2 removed,     1 changed\n")
    .prints("Dirs:            2 new,     0 removed\n")
    .prints("Data Blobs:  ")
    .prints("  Added:   ");
    // The other way round.
    let back = differences(&env, &[&second, &first]);
    assert_eq!(back[1], "+    /b.bin");
    assert!(back.contains(&"T    /becomes/".to_owned()), "{back:?}");
    let none = env.ok(&["diff", &first, &first]).stdout;
    assert_eq!(none.lines().nth(2), Some(""), "{none}");
    env.ok(&["diff", &first, &first])
        .prints("Tree Blobs:      0 new,     0 removed\n");
    let quiet = env.ok(&["-q", "diff", &first, &second]).stdout;
    assert!(quiet.starts_with("\nFiles:"), "{quiet}");
}

#[test]
fn a_part_is_compared_alone() {
    let (env, [first, second]) = changed();
    let source = env.text("src");
    let new = format!("{source}/new");
    let all = ["+    /new/", "+    /new/below/", "+    /new/below/n"];
    assert_eq!(differences(&env, &[&first, &second, &new]), all);
    let file = format!("{source}/a.txt");
    assert_eq!(
        differences(&env, &[&first, &second, &file]),
        ["M    /a.txt"]
    );
    let (left, right) = (format!("{first}:{source}"), format!("{second}:{source}"));
    let run = env.ok(&["diff", &left, &right]);
    run.prints("\nM    /a.txt\n")
        .prints("\n+    /new/below/n\n");
    env.run(&["diff", &first, &second, "/absent"])
        .expect(1)
        .says("/absent is not in");
    env.run(&["diff", &first, "ffff"])
        .expect(1)
        .says("begins with ffff");
    env.run(&["diff", &first, &second, "-x"])
        .expect(2)
        .says("nothing of the disk");
}

#[test]
fn programs_are_told_as_by_restic() {
    let (env, [first, second]) = changed();
    let messages = env.ok(&["--json", "diff", &first, &second]).messages();
    let change = &messages[0];
    assert_eq!(change["message_type"], "change");
    assert_eq!(change["modifier"], "M");
    assert_eq!(change["path"], env.text("src/a.txt"));
    let last = messages.last().unwrap();
    assert_eq!(last["message_type"], "statistics");
    assert_eq!(last["source_snapshot"], first);
    assert_eq!(last["target_snapshot"], second);
    assert_eq!(last["changed_files"], 1);
    let side = |side: &str, field: &str| last[side][field].as_u64().unwrap();
    assert_eq!((side("added", "files"), side("removed", "files")), (1, 2));
    assert_eq!((side("added", "dirs"), side("removed", "others")), (2, 0));
    // One of b.bin at least, and what the others had.
    assert!(
        side("removed", "data_blobs") >= 3 && side("removed", "bytes") > 300_000,
        "{last}"
    );
    assert!(
        side("added", "data_blobs") >= 4 && side("added", "bytes") < 20_000,
        "{last}"
    );
    assert!(side("added", "tree_blobs") >= 4, "{last}");
}

/// What has the same id is not opened: with every other pack of trees away nothing is missed.
#[test]
fn what_is_the_same_is_not_read() {
    let env = TestEnvironment::with_repository();
    for dir in 0..40 {
        env.write(&format!("src/same/{dir}/file"), noise(100, dir));
    }
    env.write("src/changes/file", "before");
    let first = env.backup(&[&env.text("src/same")]);
    let before = env.files("repo/meta");
    let middle = env.backup(&[&env.text("src")]);
    env.write("src/changes/file", "after!");
    let last = env.backup(&[&env.text("src")]);
    for pack in &before {
        std::fs::remove_file(env.path("repo/meta").join(pack)).unwrap();
    }
    // The trees below `same` lie there alone.
    env.run(&["ls", &middle]).expect(1);
    let run = env.ok(&["diff", &middle, &last]);
    run.prints("M    ").prints("    1 changed");
    let run = env.run(&["diff", &first, &last]).expect(3);
    run.says("error: ");
}

#[test]
fn content_that_changed_alone_has_a_letter_of_its_own() {
    let env = TestEnvironment::with_repository();
    let file = env.write("src/rots", "one way");
    let first = env.backup(&[&env.text("src")]);
    let meta = file.metadata().unwrap();
    env.write("src/rots", "another");
    let times = std::fs::FileTimes::new().set_modified(meta.modified().unwrap());
    std::fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_times(times)
        .unwrap();
    env.backup(&[&env.text("src")]);
    // The time of the change of the inode differs.
    assert_eq!(differences(&env, &[&first, "latest"]), ["M    /rots"]);
    assert_eq!(differences(&env, &[&first]), ["M?   /rots"]);
}

#[test]
fn a_snapshot_is_compared_with_the_disk() {
    let (env, [first, second]) = changed();
    assert_eq!(differences(&env, &[&second]), Vec::<String>::new());
    assert_eq!(
        differences(&env, &[&second, "--content-check", "--metadata"]),
        Vec::<String>::new()
    );
    let expected = [
        "M    /a.txt",
        "-    /b.bin",
        "T    /becomes",
        "-    /becomes/inside",
        "T    /link",
        "+    /new/",
        "+    /new/below/",
        "+    /new/below/n",
    ];
    assert_eq!(differences(&env, &[&first]), expected);
    let with = differences(&env, &[&first, "--metadata"]);
    assert!(with.contains(&"U    /touched".to_owned()), "{with:?}");
    let some = differences(&env, &[&first, &env.text("src/new"), "--exclude", "n"]);
    assert_eq!(some, ["+    /new/", "+    /new/below/"]);
    let left = differences(&env, &[&first, "-e", "new", "-e", "*.bin", "-e", "becomes"]);
    assert_eq!(left, ["M    /a.txt", "T    /link"]);
    assert_eq!(
        differences(&env, &["latest", &env.text("src/sub")]),
        Vec::<String>::new()
    );
    let last = env.json(&["diff", &first]);
    assert_eq!(
        (&last["target_snapshot"], &last["changed_files"]),
        (&"".into(), &1.into())
    );
    assert_eq!(last["removed"]["bytes"], 300_007);
    std::fs::remove_dir_all(env.path("src")).unwrap();
    let gone = differences(&env, &[&second]);
    assert!(
        gone.len() > 8 && gone.iter().all(|line| line.starts_with("-    /")),
        "{gone:?}"
    );
    env.run(&["diff", &second, "/absent"])
        .expect(1)
        .says("/absent is not in");
}

#[test]
fn the_disk_is_found_by_the_name_in_a_listing_too() {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "one\n");
    env.backup(&["src"]);
    env.ok(&["ls", "latest"]).prints("/src/file");
    let part = ["latest", "/src/file"];
    assert_eq!(differences(&env, &part), Vec::<String>::new());
    env.write("src/file", "two lines\nof it\n");
    let differs = differences(&env, &part);
    assert!(
        matches!(&differs[..], [line] if line.starts_with("M ")),
        "{differs:?}"
    );
    env.ok(&["diff", "latest", "--content=/src/file"])
        .prints("+of it");
    std::fs::remove_file(env.path("src/file")).unwrap();
    let gone = differences(&env, &part);
    assert!(
        matches!(&gone[..], [line] if line.starts_with("- ")),
        "{gone:?}"
    );
}

#[test]
fn content_is_read_where_a_time_differs() {
    let env = TestEnvironment::with_repository();
    env.write("src/copied", noise(3_000_000, 1));
    let holes = std::fs::File::create(env.path("src/holes")).unwrap();
    holes.set_len(5_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, &noise(9_000, 1), 1 << 20).unwrap();
    env.backup(&[&env.text("src")]);
    env.ok(&[
        "restore",
        &format!("latest:{}", env.text("src")),
        "-t",
        "out",
    ]);
    // All times of inodes are others there, and nothing else.
    let folder = format!("latest:{}", env.text("src"));
    let out = env.text("out");
    let run = env.ok(&["diff", &folder, &out, "--metadata"]);
    assert_eq!(run.stdout.lines().nth(2), Some(""), "{run:?}");
    std::os::unix::fs::FileExt::write_all_at(
        &std::fs::File::options()
            .write(true)
            .open(env.path("out/holes"))
            .unwrap(),
        b"x",
        3_000_000,
    )
    .unwrap();
    let run = env.ok(&["diff", &folder, &out]);
    run.prints("/out/holes\n").prints("    1 changed");
}

#[test]
fn the_disk_may_be_looked_at_only_in_part() {
    let env = TestEnvironment::with_repository();
    env.write("src/a/b", "x");
    env.write("src/c", "x");
    // Relative paths lie in the snapshot without what led to them.
    let id = env.backup(&["src/a", "src/c"]);
    env.write("src/a/b", "longer");
    env.write("src/other", "is none of the paths");
    let run = env.ok(&["diff", &id]);
    let lines: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("M "))
        .collect();
    assert_eq!(lines, [format!("M    {}", env.text("src/a/b"))]);
    run.prints("Files:           0 new,     0 removed,     1 changed");
}

#[test]
fn text_differs_line_by_line() {
    let env = TestEnvironment::with_repository();
    let lines = |changed: &str| {
        let lines = (0..20).map(|n| {
            if n == 10 {
                changed.to_owned()
            } else {
                format!("line {n}\n")
            }
        });
        lines.collect::<String>()
    };
    let path = env.write("src/text", lines("before\n"));
    env.write("src/binary", b"\0a");
    let path = path.to_str().unwrap();
    let first = env.backup(&[&env.text("src")]);
    env.write("src/text", lines("after\tit\n"));
    env.write("src/binary", b"\0b");
    let second = env.backup(&[&env.text("src")]);
    let flag = format!("--content={path}");
    let shown = env.ok(&["diff", &first, &second, &flag]).stdout;
    let head = format!(
        "--- {}:{path}\n+++ {}:{path}\n@@ -8,7 +8,7 @@\n",
        &first[..8],
        &second[..8]
    );
    assert!(shown.starts_with(&head), "{shown}");
    assert!(
        shown.contains("\n-before\n+after\tit\n line 11\n"),
        "{shown}"
    );
    assert_eq!(
        env.ok(&["diff", &first, &second, path, "--content"]).stdout,
        shown
    );
    assert_eq!(env.ok(&["diff", &second, &second, &flag]).stdout, "");
    // Beside the disk.
    let disk = env.ok(&["diff", &first, &flag]).stdout;
    assert!(
        disk.contains(&format!("+++ {path}\n")) && disk.contains("\n+after"),
        "{disk}"
    );
    let binary = format!("--content={}", env.text("src/binary"));
    env.ok(&["diff", &first, &second, &binary])
        .prints("Binary files ");
    let message = env.json(&["diff", &first, &second, &flag]);
    assert_eq!(
        (&message["message_type"], &message["same"]),
        (&"content_diff".into(), &false.into())
    );
    assert!(message["diff"].as_str().unwrap().contains("-before"));
    assert_eq!(
        env.json(&["diff", &first, &second, &binary])["diff"],
        Value::Null
    );
    env.run(&["diff", &first, &second, "--content=/absent"])
        .expect(1)
        .says("/absent");
    env.run(&["diff", &first, &second, "--content"])
        .expect(2)
        .says("no file is named");
    let dir = format!("--content={}", env.text("src"));
    env.run(&["diff", &first, &second, &dir])
        .expect(1)
        .says("is no file");
}
