//! `restore` of a part: patterns, and what is removed with them.

use crate::environment::TestEnvironment;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// A repository with a snapshot of `src`, and how it is named.
fn place() -> (TestEnvironment, String) {
    let env = TestEnvironment::with_repository();
    for name in [
        "a.txt",
        "b.TXT",
        "dir/a.txt",
        "dir/c.log",
        "dir/sub/d.txt",
        "other/e.log",
    ] {
        env.write(&format!("src/{name}"), name);
    }
    fs::set_permissions(env.path("src/dir"), fs::Permissions::from_mode(0o751)).unwrap();
    env.backup(&["src"]);
    let what = "latest:/src".to_owned();
    (env, what)
}

/// The files that flags choose.
fn chosen(env: &TestEnvironment, what: &str, flags: &[&str]) -> Vec<String> {
    let _ = fs::remove_dir_all(env.path("out"));
    env.ok(&[&["restore", what, "-t", "out"], flags].concat());
    let files = env.files("out").into_iter();
    files
        .map(|path| path.into_os_string().into_string().unwrap())
        .collect()
}

#[test]
fn patterns_choose_files() {
    let (env, what) = place();
    let list = env.write("list", "# what is meant\n\n*.log\n/a.txt\n");
    let list = list.to_str().unwrap();
    let all = [
        "a.txt",
        "b.TXT",
        "dir/a.txt",
        "dir/c.log",
        "dir/sub/d.txt",
        "other/e.log",
    ];
    let cases: [(&[&str], &[&str]); 12] = [
        (&[], &all),
        (&["--include", "a.txt"], &["a.txt", "dir/a.txt"]),
        (&["-i", "/a.txt"], &["a.txt"]),
        (
            &["-i", "/dir"],
            &["dir/a.txt", "dir/c.log", "dir/sub/d.txt"],
        ),
        (
            &["-i", "/dir/*.log", "-i", "sub"],
            &["dir/c.log", "dir/sub/d.txt"],
        ),
        (
            &["--iinclude", "*.txt"],
            &["a.txt", "b.TXT", "dir/a.txt", "dir/sub/d.txt"],
        ),
        (
            &["--include-file", list],
            &["a.txt", "dir/c.log", "other/e.log"],
        ),
        (&["--include", "none"], &[]),
        (
            &["--exclude", "*.txt"],
            &["b.TXT", "dir/c.log", "other/e.log"],
        ),
        (&["--iexclude", "*.TXT", "-e", "other"], &["dir/c.log"]),
        (
            &["--exclude-file", list],
            &["b.TXT", "dir/a.txt", "dir/sub/d.txt"],
        ),
        (&["--exclude", "/dir", "--iexclude-file", list], &["b.TXT"]),
    ];
    for (flags, expected) in cases {
        assert_eq!(chosen(&env, &what, flags), expected, "{flags:?}");
    }
    let whole = "/src/dir/c.log";
    let found = chosen(&env, "latest", &["--include", whole]);
    assert_eq!(
        found,
        [whole.trim_start_matches('/')],
        "a path of the whole snapshot"
    );
    let run = env
        .run(&["restore", &what, "-t", "out", "--include-file", "absent"])
        .expect(1);
    run.says("cannot read absent: no such file");
}

#[test]
fn directories_on_the_way_get_their_attributes_and_others_are_not_made() {
    let (env, what) = place();
    chosen(&env, &what, &["--include", "d.txt"]);
    let facts = |path: &str| {
        let found = fs::metadata(env.path(path)).unwrap();
        (found.mode(), found.mtime_nsec())
    };
    for name in ["dir", "dir/sub", "dir/sub/d.txt"] {
        assert_eq!(facts(&format!("out/{name}")), facts(&format!("src/{name}")));
    }
    assert!(!env.path("out/other").exists());
    let summary = env.json(&["restore", &what, "-t", "new", "--include", "d.txt"]);
    assert_eq!(
        (&summary["files_restored"], &summary["total_files"]),
        (&3.into(), &3.into())
    );
}

#[test]
fn only_what_is_meant_is_removed() {
    let (env, what) = place();
    let surplus = [
        "x.txt",
        "dir/x.txt",
        "dir/x.log",
        "new/x.txt",
        "new/x.log",
        "new/sub/x.log",
    ];
    let left = |flags: &[&str]| {
        let _ = fs::remove_dir_all(env.path("out"));
        surplus
            .iter()
            .for_each(|name| drop(env.write(&format!("out/{name}"), "")));
        env.ok(&[&["restore", &what, "-t", "out", "--delete"], flags].concat());
        let there = |name: &&&str| env.path("out").join(**name).exists();
        surplus.iter().filter(there).copied().collect::<Vec<_>>()
    };
    assert_eq!(left(&[]), [""; 0]);
    assert_eq!(
        left(&["--exclude", "*.log"]),
        ["dir/x.log", "new/x.log", "new/sub/x.log"]
    );
    assert_eq!(
        left(&["--exclude", "/new"]),
        ["new/x.txt", "new/x.log", "new/sub/x.log"]
    );
    assert_eq!(
        left(&["--exclude", "x.txt"]),
        ["x.txt", "dir/x.txt", "new/x.txt"]
    );
    // What is not named is not looked into, as with restic.
    assert_eq!(
        left(&["--include", "*.txt"]),
        ["dir/x.log", "new/x.txt", "new/x.log", "new/sub/x.log"]
    );
    assert_eq!(
        left(&["--include", "/dir"]),
        ["x.txt", "new/x.txt", "new/x.log", "new/sub/x.log"]
    );
    assert_eq!(
        left(&["--include", "/absent", "--include", "/new"]),
        surplus,
        "nothing of that is in the snapshot"
    );
}

#[test]
fn extended_attributes_are_chosen_by_name() {
    let env = TestEnvironment::with_repository();
    let file = env.write("src/file", "x");
    let set = |path: &std::path::Path, name: &str| {
        rustix::fs::setxattr(path, name, b"1", rustix::fs::XattrFlags::empty())
    };
    if set(&file, "user.a").is_err() {
        return;
    }
    set(&file, "user.b").unwrap();
    env.backup(&["src"]);
    let what = "latest:/src".to_owned();
    let names = || {
        let mut names = vec![0; 1000];
        let len = rustix::fs::listxattr(env.path("out/file"), &mut names[..]).unwrap();
        let names = names[..len].split(|byte| *byte == 0);
        let mut names: Vec<String> = names
            .map(|name| String::from_utf8(name.to_vec()).unwrap())
            .collect();
        names.retain(|name| name.starts_with("user."));
        names.sort();
        names
    };
    let restored = |flags: &[&str]| {
        env.ok(&[&["restore", &what, "-t", "out"], flags].concat());
        names()
    };
    let fresh = |flags: &[&str]| {
        let _ = fs::remove_dir_all(env.path("out"));
        restored(flags)
    };
    assert_eq!(fresh(&[]), ["user.a", "user.b"]);
    assert_eq!(fresh(&["--include-xattr", "user.a"]), ["user.a"]);
    assert_eq!(fresh(&["--exclude-xattr", "user.a"]), ["user.b"]);
    assert_eq!(fresh(&["--exclude-xattr", "user.*"]), [""; 0]);
    set(&env.path("out/file"), "user.c").unwrap();
    // What is not meant is neither set nor removed.
    assert_eq!(
        restored(&["--exclude-xattr", "user.c", "--exclude-xattr", "user.b"]),
        ["user.a", "user.c"]
    );
    assert_eq!(
        restored(&["--include-xattr", "user.*"]),
        ["user.a", "user.b"]
    );
}
