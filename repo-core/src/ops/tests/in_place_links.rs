//! Restores over files with several names, in the target and elsewhere.

use super::stage::*;
use super::support::*;
use crate::ops::{Overwrite, RestoreOptions};
use crate::progress::Outcome;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn nothing_is_written_through_a_link_to_elsewhere() {
    let stage = Stage::of(bed());
    let outside = tempfile::tempdir_in(stage.target.path().parent().unwrap()).unwrap();
    let right = fs::read(stage.at("dir/large")).unwrap();
    // One has other content, one other attributes only, one is as it shall be.
    let cases: [(&str, &[u8]); 3] = [
        ("dir/large", b"mine"),
        ("dir/small", b"small"),
        ("empty", b""),
    ];
    for (number, (name, content)) in cases.iter().enumerate() {
        let mine = outside.path().join(number.to_string());
        fs::write(&mine, content).unwrap();
        fs::set_permissions(&mine, fs::Permissions::from_mode(0o640)).unwrap();
        fs::remove_file(stage.at(name)).unwrap();
        fs::hard_link(&mine, stage.at(name)).unwrap();
    }
    let look = || {
        [0, 1, 2].map(|number: u32| {
            let path = outside.path().join(number.to_string());
            let found = fs::metadata(&path).unwrap();
            (
                fs::read(&path).unwrap(),
                found.mode(),
                found.mtime(),
                found.uid(),
            )
        })
    };
    let before = look();
    let done = stage.restore(&RestoreOptions::default());
    assert_eq!(done.items.problems(), [""; 0]);
    assert_eq!(look(), before);
    assert_eq!(fs::read(stage.at("dir/large")).unwrap(), right);
    stage.assert_restored();
    for name in ["dir/large", "dir/small", "empty"] {
        assert_eq!(fs::metadata(stage.at(name)).unwrap().nlink(), 1);
    }
}

#[test]
fn names_become_the_files_that_they_were() {
    let bed = bed();
    bed.write("one/a", &noise(5, 300_000));
    bed.write("one/x", &noise(5, 300_000));
    fs::hard_link(bed.source().join("one/a"), bed.source().join("one/b")).unwrap();
    fs::hard_link(bed.source().join("one/x"), bed.source().join("one/y")).unwrap();
    touch(&bed.source().join("one/a"), 1_600_000_000);
    touch(&bed.source().join("one/x"), 1_600_000_000);
    let stage = Stage::of(bed);
    let inodes = || ["a", "b", "x", "y"].map(|name| inode(&stage.at("one").join(name)));
    let check = |case: &str| {
        let [a, b, x, y] = inodes();
        assert!(a == b && x == y && a != x, "{case}: {:?}", inodes());
        stage.assert_restored();
    };
    check("at first");
    let before = inodes();
    let done = stage.restore(&RestoreOptions::default());
    assert_eq!(inodes(), before, "they stay");
    assert_eq!(done.summary.bytes, 0);
    check("again");
    // All four one file; all four apart; crosswise.
    let link = |from: &str, to: &str| {
        let _ = fs::remove_file(stage.at(to));
        fs::hard_link(stage.at(from), stage.at(to)).unwrap();
    };
    for (n, pairs) in [
        &[("one/a", "one/x"), ("one/a", "one/y")][..],
        &[("one/a", "one/y"), ("one/x", "one/b")],
        &[("one/a", "dir/small")],
    ]
    .iter()
    .enumerate()
    {
        pairs.iter().for_each(|(from, to)| link(from, to));
        let done = stage.restore(&RestoreOptions::default());
        assert_eq!(done.items.problems(), [""; 0]);
        check(&format!("case {n}"));
    }
    for name in ["a", "b", "x", "y"] {
        let path = stage.at("one").join(name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    stage.restore(&RestoreOptions::default());
    check("apart");
}

#[test]
fn a_name_that_is_kept_lends_its_content_to_no_other() {
    let bed = bed();
    bed.write("one/a", b"content");
    fs::hard_link(bed.source().join("one/a"), bed.source().join("one/b")).unwrap();
    fs::hard_link(bed.source().join("one/a"), bed.source().join("one/c")).unwrap();
    let stage = Stage::empty(bed);
    fs::create_dir(stage.at("one")).unwrap();
    fs::write(stage.at("one/a"), b"mine").unwrap();
    let done = stage.restore(&RestoreOptions {
        overwrite: Overwrite::Never,
        ..Default::default()
    });
    assert_eq!(done.items.problems(), [""; 0]);
    let read = |name: &str| fs::read(stage.at(name)).unwrap();
    assert_eq!(
        (read("one/a"), read("one/b")),
        (b"mine".to_vec(), b"content".to_vec())
    );
    assert_eq!(inode(&stage.at("one/b")), inode(&stage.at("one/c")));
    assert_eq!(done.items.of(Outcome::Unchanged), ["/one/a"]);
}

/// A file with several names is replaced where it is not as it shall be, so its further names are linked anew.
#[test]
fn a_dry_run_tells_of_further_names_what_a_restore_does() {
    let bed = bed();
    bed.write("one/a", &noise(5, 300_000));
    for other in ["one/b", "one/c"] {
        fs::hard_link(bed.source().join("one/a"), bed.source().join(other)).unwrap();
    }
    let stage = Stage::of(bed);
    fs::write(stage.at("one/a"), b"changed under all its names").unwrap();
    let told = |dry_run| {
        let options = RestoreOptions {
            dry_run,
            ..RestoreOptions::default()
        };
        let done = stage.restore(&options);
        [Outcome::Restored, Outcome::Updated, Outcome::Unchanged].map(|kind| done.items.of(kind))
    };
    let planned = told(true);
    assert!(
        planned[0].ends_with(&["/one/b".into(), "/one/c".into()]),
        "{planned:?}"
    );
    assert_eq!(planned, told(false));
    stage.assert_restored();
    assert_eq!(told(true), told(false));
}
