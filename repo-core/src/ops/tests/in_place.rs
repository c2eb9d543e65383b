//! Restores over what is there already: what is right stays, what differs is fetched, nothing else is touched.

use super::stage::*;
use super::support::*;
use crate::ops::RestoreOptions;
use crate::ops::restore::restore_by;
use crate::progress::{Interrupt, Outcome};
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};

#[test]
fn what_is_right_stays_untouched() {
    let stage = Stage::of(bed());
    let names = [
        "dir/large",
        "dir/small",
        "dir/sub/other",
        "empty",
        "link",
        "pipe",
        "dir",
    ];
    let look = || {
        names.map(|name| {
            let found = fs::symlink_metadata(stage.at(name)).unwrap();
            (found.ino(), found.ctime(), found.ctime_nsec())
        })
    };
    let before = look();
    let done = stage.restore(&RestoreOptions::default());
    assert_eq!(look(), before, "not even a time of change is new");
    let unchanged = [
        "/dir/large",
        "/dir/small",
        "/dir/sub/other",
        "/empty",
        "/link",
        "/pipe",
    ];
    assert_eq!(done.items.of(Outcome::Unchanged), unchanged);
    assert_eq!(done.items.of(Outcome::Restored), ["/dir", "/dir/sub"]);
    let summary = done.summary;
    assert_eq!((summary.nodes, summary.nodes_expected), (2, 2));
    assert_eq!(
        (summary.nodes_skipped, summary.bytes_skipped),
        (6, (3 << 20) + 10)
    );
    assert_eq!(
        (summary.files, summary.bytes, summary.bytes_expected),
        (0, 0, 0)
    );
}

#[test]
fn only_chunks_that_differ_are_fetched() {
    let stage = Stage::of(bed());
    let large = stage.at("dir/large");
    let before = inode(&large);
    let file = fs::OpenOptions::new().write(true).open(&large).unwrap();
    file.write_all_at(b"changed", 2_000_000).unwrap();
    drop(file);
    let whole = stage.reads_of(|| {
        let target = tempfile::tempdir().unwrap();
        let never = Interrupt::new();
        let part = (&stage.id, 1 << 19);
        let options = RestoreOptions::default();
        restore_by(
            &stage.repo,
            part,
            target.path(),
            &options,
            &Items::default(),
            &never,
        )
        .unwrap();
    });
    let part = stage.reads_of(|| {
        let done = stage.restore(&RestoreOptions::default());
        assert_eq!(done.items.of(Outcome::Updated), ["/dir/large"]);
        assert_eq!((done.summary.files, done.summary.bytes), (1, 3 << 20));
    });
    assert!(part > 0 && part * 5 < whole, "{part} of {whole} blocks");
    assert_eq!(inode(&large), before, "changed in place");
    stage.assert_restored();
}

#[test]
fn cut_grown_and_emptied_files_come_back() {
    for pieces_max in [1 << 19, 7] {
        for len in [0_u64, 1, 100_000, (3 << 20) - 1, (3 << 20) + 1, 9 << 20] {
            let stage = Stage::of(bed());
            for name in ["dir/large", "dir/small", "empty"] {
                let file = fs::OpenOptions::new()
                    .write(true)
                    .open(stage.at(name))
                    .unwrap();
                file.set_len(len).unwrap();
            }
            let done = stage.restore_by(&RestoreOptions::default(), pieces_max);
            assert_eq!(done.items.problems(), [""; 0]);
            stage.assert_restored();
        }
    }
}

#[test]
fn a_file_larger_than_a_window_is_written_part_by_part() {
    for pieces_max in [1, 2, 5, 13] {
        let stage = Stage::empty(bed());
        let done = stage.restore_by(&RestoreOptions::default(), pieces_max);
        assert_eq!(done.items.problems(), [""; 0]);
        stage.assert_restored();
        assert_eq!(done.summary.bytes, (3 << 20) + 10);
        let done = stage.restore_by(&RestoreOptions::default(), pieces_max);
        assert_eq!(done.summary.bytes, 0, "all of it was there");
        let large = stage.at("dir/large");
        let file = fs::OpenOptions::new().write(true).open(&large).unwrap();
        file.write_all_at(b"changed", 3_000_000).unwrap();
        let dry = RestoreOptions {
            dry_run: true,
            ..Default::default()
        };
        let done = stage.restore_by(&dry, pieces_max);
        assert_eq!(done.items.of(Outcome::Updated), ["/dir/large"]);
        let done = stage.restore_by(&RestoreOptions::default(), pieces_max);
        assert_eq!(done.items.of(Outcome::Updated), ["/dir/large"]);
        stage.assert_restored();
    }
}

#[test]
fn lost_chunks_cost_a_large_file_and_no_other() {
    let stage = Stage::empty(bed());
    let packs = names(&stage.bed.place, "data");
    stage.bed.place.remove(packs.last().unwrap());
    for pieces_max in [1 << 19, 3] {
        let done = stage.restore_by(&RestoreOptions::default(), pieces_max);
        let problems = done.items.problems();
        assert!(!problems.is_empty() && problems.len() <= 4, "{problems:?}");
        let tree = stage.bed.tree();
        for (path, there) in describe(stage.target.path()) {
            assert_eq!(tree.get(&path), Some(&there), "{path:?}");
        }
        assert_eq!(done.summary.problems, problems.len() as u64);
        assert!(done.summary.nodes < done.summary.nodes_expected);
    }
}

#[test]
fn what_was_there_stays_if_its_chunks_are_lost() {
    let bed = bed();
    let set_user = fs::Permissions::from_mode(0o4755);
    fs::set_permissions(bed.source().join("dir/large"), set_user).unwrap();
    let stage = Stage::of(bed);
    let large = stage.at("dir/large");
    let file = fs::OpenOptions::new().write(true).open(&large).unwrap();
    file.write_all_at(b"changed", 2_000_000).unwrap();
    for pack in names(&stage.bed.place, "data") {
        stage.bed.place.remove(&pack);
    }
    let done = stage.restore(&RestoreOptions::default());
    assert!(!done.items.problems().is_empty());
    let there = fs::metadata(&large).unwrap();
    assert_eq!(there.len(), 3 << 20);
    assert_eq!(
        there.mode() & 0o7777,
        0o1600,
        "it was begun, and is not whole"
    );
}

#[test]
fn other_kinds_in_the_way_are_replaced() {
    let stage = Stage::of(bed());
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("small"), b"untouched").unwrap();
    fs::remove_dir_all(stage.at("dir")).unwrap();
    symlink(outside.path(), stage.at("dir")).unwrap();
    fs::remove_file(stage.at("empty")).unwrap();
    fs::create_dir(stage.at("empty")).unwrap();
    fs::remove_file(stage.at("link")).unwrap();
    fs::write(stage.at("link"), b"a file").unwrap();
    fs::remove_file(stage.at("pipe")).unwrap();
    symlink("link", stage.at("pipe")).unwrap();
    let done = stage.restore(&RestoreOptions::default());
    assert_eq!(done.items.problems(), [""; 0]);
    stage.assert_restored();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(
        fs::read(outside.path().join("small")).unwrap(),
        b"untouched"
    );
}

#[test]
fn a_full_directory_in_the_way_goes_only_with_delete() {
    let stage = Stage::of(bed());
    fs::remove_file(stage.at("dir/large")).unwrap();
    fs::create_dir_all(stage.at("dir/large/full")).unwrap();
    fs::remove_file(stage.at("link")).unwrap();
    fs::create_dir_all(stage.at("link/full")).unwrap();
    for dry_run in [true, false] {
        let done = stage.restore(&RestoreOptions {
            dry_run,
            ..Default::default()
        });
        let mut problems = done.items.problems();
        problems.sort();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("dir/large: "), "{problems:?}");
        assert!(stage.at("dir/large/full").exists() && stage.at("link/full").exists());
    }
    let delete = RestoreOptions {
        delete: true,
        ..Default::default()
    };
    let done = stage.restore(&delete);
    assert_eq!(done.items.problems(), [""; 0]);
    stage.assert_restored();
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_would_be_done() {
    let dry = RestoreOptions {
        dry_run: true,
        ..Default::default()
    };
    let stage = Stage::empty(bed());
    let done = stage.restore(&dry);
    assert!(describe(stage.target.path()).is_empty());
    let real = stage.restore(&RestoreOptions::default());
    assert_eq!(done.summary, real.summary);
    assert_eq!(
        done.items.of(Outcome::Restored),
        real.items.of(Outcome::Restored)
    );
    fs::write(stage.at("dir/small"), b"changed").unwrap();
    fs::remove_dir_all(stage.at("dir/sub")).unwrap();
    fs::remove_file(stage.at("link")).unwrap();
    fs::create_dir(stage.at("link")).unwrap();
    let before = describe(stage.target.path());
    let done = stage.restore(&dry);
    assert_same(&describe(stage.target.path()), &before);
    let real = stage.restore(&RestoreOptions::default());
    for outcome in [Outcome::Restored, Outcome::Updated, Outcome::Unchanged] {
        assert_eq!(
            done.items.of(outcome),
            real.items.of(outcome),
            "{outcome:?}"
        );
    }
    assert_eq!(done.summary, real.summary);
    let nowhere = stage.target.path().join("not/there");
    let options = RestoreOptions {
        dry_run: true,
        ..Default::default()
    };
    let part = (&stage.id, 1 << 19);
    let never = Interrupt::new();
    restore_by(
        &stage.repo,
        part,
        &nowhere,
        &options,
        &Items::default(),
        &never,
    )
    .unwrap();
    assert!(!nowhere.parent().unwrap().exists());
}

#[test]
fn a_restore_that_was_stopped_goes_on_when_it_is_run_again() {
    let stage = Stage::empty(bed());
    let options = RestoreOptions {
        subfolder: Some(stage.bed.source()),
        ..Default::default()
    };
    stage.restore_stopped(&RestoreOptions::default(), 1 << 20);
    let whole = 3 << 20;
    let read = stage.reads_of(|| {
        let done = stage.restore(&options);
        assert_eq!(done.items.problems(), [""; 0]);
        assert!(done.summary.bytes <= whole + 10);
    });
    // Blocks of 64 KiB, of which a third at least was there.
    assert!(read < 40, "{read} reads");
    stage.assert_restored();
}
