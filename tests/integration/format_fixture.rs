//! Repositories as older programs wrote them: `tests/fixtures/v<N>`, made once by `tests/fixtures/make-v<N>`.

use crate::environment::TestEnvironment;
use repo_core::id::to_hex;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// An environment whose repository is a copy of that fixture, opened by its key file.
fn opened(fixture: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    let from = fixtures().join(fixture);
    copy(&from.join("repository"), &env.path("repo"));
    std::fs::copy(from.join("key"), env.path("key")).unwrap();
    let owner_only = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(env.path("key"), owner_only).unwrap();
    env
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum")
        .arg("--")
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim_start_matches('\\')[..64].to_owned()
}

/// What a manifest says of one node.
fn describe(path: &Path, name: &[u8]) -> [String; 7] {
    let meta = path.symlink_metadata().unwrap();
    let kind = meta.file_type();
    let (kind, content) = if kind.is_symlink() {
        let target = std::fs::read_link(path).unwrap();
        ("symlink", to_hex(target.as_os_str().as_bytes()))
    } else if kind.is_file() {
        ("file", sha256(path))
    } else {
        (
            if kind.is_dir() { "directory" } else { "fifo" },
            "-".to_owned(),
        )
    };
    [
        kind.to_owned(),
        format!("{:o}", meta.mode() & 0o7777),
        meta.size().to_string(),
        meta.nlink().to_string(),
        format!("{}.{:09}", meta.mtime(), meta.mtime_nsec()),
        content,
        to_hex(name),
    ]
}

/// Every node below a directory, sorted by name.
fn describe_all(root: &Path) -> Vec<[String; 7]> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
            found.push(describe(&path, name));
            if path.symlink_metadata().unwrap().is_dir() {
                left.push(path);
            }
        }
    }
    found.sort_by(|a, b| a[6].cmp(&b[6]));
    found
}

/// A restored directory holds what the manifest lists and nothing else; `-` in it stands for anything.
fn assert_manifest(fixture: &str, manifest: &str, root: &Path) {
    let text = std::fs::read_to_string(fixtures().join(fixture).join(manifest)).unwrap();
    let mut expected: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    expected.sort_by(|a, b| a[6].cmp(b[6]));
    let found = describe_all(root);
    let names = |list: Vec<&str>| list.join("\n");
    assert_eq!(
        names(found.iter().map(|node| node[6].as_str()).collect()),
        names(expected.iter().map(|node| node[6]).collect()),
        "{manifest}: names"
    );
    for (found, expected) in found.iter().zip(expected) {
        let same = found
            .iter()
            .zip(&expected)
            .all(|(a, b)| a == b || *b == "-");
        assert!(same, "{manifest}: {found:?} is not {expected:?}");
    }
}

/// Every fixture is read by a test below.
#[test]
fn all_fixtures_are_known() {
    let mut found: Vec<String> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| {
            name.strip_prefix('v')
                .is_some_and(|n| n.parse::<u32>().is_ok())
        })
        .collect();
    found.sort();
    assert_eq!(found, ["v1"]);
}

#[test]
fn version_1_is_restored() {
    let env = opened("v1");
    let source = "/tmp/larder-v1/source";
    for (tag, place) in [("first", source), ("second", source), ("stream", "")] {
        let snapshot = match place {
            "" => "latest".to_owned(),
            place => format!("latest:{place}"),
        };
        let select = ["--host", "fixture", "--tag", tag];
        env.ok(&[&["restore", &snapshot, "--target", tag], &select[..]].concat());
        assert_manifest("v1", tag, &env.path(tag));
        if tag != "stream" {
            let holes = env.path(tag).join("holes").metadata().unwrap();
            assert!(
                holes.blocks() * 512 < holes.size(),
                "{tag}: holes stay holes"
            );
        }
    }
    let first = |name: &str| env.path("first").join(name).metadata().unwrap().ino();
    assert_eq!(first("two"), first("folder/one"), "two names of one file");
}

#[test]
fn version_1_is_listed_and_whole() {
    let env = opened("v1");
    env.ok(&["check", "--read-data"]);
    let snapshots = env.json(&["snapshots", "--host", "fixture"]);
    let tags = |tag: &str| {
        let all = snapshots.as_array().unwrap();
        all.iter()
            .filter(|snapshot| snapshot["tags"][0] == tag)
            .count()
    };
    assert_eq!(
        ["first", "second", "stream", "same"].map(tags),
        [1, 1, 1, 12]
    );
}

#[test]
fn version_1_opens_by_password_and_takes_a_backup() {
    let env = opened("v1");
    std::fs::remove_file(env.path("key")).unwrap();
    let password = env.text("password");
    env.write("password", "larder\n");
    let keys = env.json(&["key", "list", "--password-file", &password]);
    assert_eq!(keys.as_array().unwrap().len(), 2);
    let source = env.write_source();
    env.ok(&["backup", &source, "--password-file", &password]);
    env.write("password", "Larder\n");
    env.run(&["snapshots", "--password-file", &password])
        .expect(12);
}
