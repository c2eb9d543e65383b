//! What a restore removes, and what it must never remove; owners by their names; absurd nodes.

use super::links::commit_changed;
use super::stage::*;
use super::support::*;
use crate::format::tree::Content;
use crate::fs::Owners;
use crate::ops::RestoreOptions;
use crate::progress::Outcome;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::sync::Arc;

fn delete() -> RestoreOptions {
    RestoreOptions {
        delete: true,
        ..Default::default()
    }
}

#[test]
fn everything_else_goes_and_links_are_not_followed() {
    let stage = Stage::of(bed());
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("mine"), b"mine").unwrap();
    fs::create_dir_all(stage.at("dir/more/deep")).unwrap();
    fs::write(stage.at("dir/more/deep/file"), b"x").unwrap();
    make_fifo(&stage.at("dir/more/pipe"));
    symlink(outside.path(), stage.at("dir/more/deep/link")).unwrap();
    symlink(outside.path(), stage.at("zz")).unwrap();
    let surplus = [
        "/dir/more",
        "/dir/more/deep",
        "/dir/more/deep/file",
        "/dir/more/deep/link",
        "/dir/more/pipe",
        "/zz",
    ];
    let dry = RestoreOptions {
        dry_run: true,
        ..delete()
    };
    let done = stage.restore(&dry);
    assert_eq!(done.items.of(Outcome::Deleted), surplus);
    assert!(stage.at("dir/more/deep/file").exists());
    let done = stage.restore(&delete());
    assert_eq!(done.items.problems(), [""; 0]);
    assert_eq!(done.items.of(Outcome::Deleted), surplus);
    assert_eq!(done.summary.nodes_deleted, 6);
    stage.assert_restored();
    assert_eq!(fs::read(outside.path().join("mine")).unwrap(), b"mine");
}

#[test]
fn nothing_goes_where_it_is_not_known_what_was_there() {
    let mut stage = Stage::of(bed());
    // As if it could not have been read when it was backed up.
    stage.id = commit_changed(&stage.repo, &stage.id, &|nodes| {
        let sub = nodes.iter_mut().find(|node| node.name == b"sub");
        sub.into_iter()
            .for_each(|sub| sub.content = Content::Dir(None));
    });
    fs::write(stage.at("dir/sub/mine"), b"x").unwrap();
    fs::write(stage.at("dir/gone"), b"x").unwrap();
    let done = stage.restore(&delete());
    assert_eq!(done.items.of(Outcome::Deleted), ["/dir/gone"]);
    assert!(stage.at("dir/sub/mine").exists() && stage.at("dir/sub/other").exists());
    // Nor where its pages are lost.
    let stage = Stage::of(bed());
    fs::write(stage.at("dir/mine"), b"x").unwrap();
    let root = stage.repo.load_snapshot(&stage.id).unwrap().summary.root;
    for pack in names(&stage.bed.place, "meta") {
        stage.bed.place.remove(&pack);
    }
    assert!(crate::tree::load_nodes(&stage.bed.open(), &root).is_err());
    let target = stage.target.path();
    let never = crate::progress::Interrupt::new();
    let options = delete();
    let repo = stage.bed.open();
    let tried = crate::ops::restore(
        &repo,
        &stage.id,
        target,
        &options,
        &Items::default(),
        &never,
    );
    assert!(tried.is_err() && stage.at("dir/mine").exists());
}

#[test]
fn what_must_stay_stays() {
    let stage = Stage::of(bed());
    fs::create_dir_all(stage.at("a/repository/data")).unwrap();
    fs::write(stage.at("a/repository/data/pack"), b"x").unwrap();
    fs::write(stage.at("a/key"), b"x").unwrap();
    fs::write(stage.at("a/other"), b"x").unwrap();
    let identity = |name: &str| {
        let found = fs::metadata(stage.at(name)).unwrap();
        (found.dev(), found.ino())
    };
    let options = RestoreOptions {
        never_delete: vec![identity("a/repository"), identity("a/key")],
        ..delete()
    };
    let done = stage.restore(&options);
    let mut problems = done.items.problems();
    problems.sort();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("a/key: ") && problems[1].starts_with("a/repository: "));
    assert_eq!(done.items.of(Outcome::Deleted), ["/a/other"]);
    assert!(stage.at("a/repository/data/pack").exists());
}

#[test]
fn owners_are_found_by_their_names() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let bed = bed();
    // Root is in every table of users; the other number has no name.
    let (named, nameless) = (bed.source().join("dir/small"), bed.source().join("empty"));
    chown(&named, Some(0), Some(0)).unwrap();
    chown(&nameless, Some(4_000_000), Some(4_000_001)).unwrap();
    let stage = Stage::empty(bed);
    let etc = tempfile::tempdir().unwrap();
    fs::write(etc.path().join("passwd"), "root:x:77:77::/:\n").unwrap();
    fs::write(etc.path().join("group"), "root:x:88:\n").unwrap();
    let options = RestoreOptions {
        owners: Some(Arc::new(Owners::load(etc.path()).unwrap())),
        ..Default::default()
    };
    let owner = |name: &str| {
        let found = fs::symlink_metadata(stage.at(name)).unwrap();
        (found.uid(), found.gid())
    };
    for _ in 0..2 {
        stage.restore(&options);
        for name in ["dir", "dir/small", "link", "pipe"] {
            assert_eq!(owner(name), (77, 88), "{name}");
        }
        assert_eq!(owner("empty"), (4_000_000, 4_000_001));
        stage.restore(&RestoreOptions::default());
        assert_eq!(owner("dir/small"), (0, 0));
    }
}

#[test]
fn holes_that_no_file_can_have_cost_that_file() {
    let mut stage = Stage::empty(bed());
    stage.id = commit_changed(&stage.repo, &stage.id, &|nodes| {
        for node in nodes {
            if let (b"small" | b"large", Content::File(file)) = (&node.name[..], &mut node.content)
            {
                file.extents = Some(vec![(u64::MAX - 1, file.size)]);
            }
        }
    });
    let done = stage.restore(&RestoreOptions::default());
    let problems = done.items.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.contains("holes")));
    assert!(stage.at("dir/sub/other").exists() && !stage.at("dir/small").exists());
}
