//! Files that take the place of others: the old one stays until the new one is whole, whatever happens in between.

use super::stage::*;
use super::support::*;
use crate::fs::{is_part_name, part_names};
use crate::ops::{Overwrite, RestoreOptions};
use crate::progress::Outcome;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A restored tree, in which `dir/large` and `dir/small` have other names outside, and other content.
fn shared() -> (Stage, tempfile::TempDir) {
    let stage = Stage::of(bed());
    let outside = tempfile::tempdir_in(stage.target.path().parent().unwrap()).unwrap();
    for name in ["large", "small"] {
        let mine = outside.path().join(name);
        fs::write(&mine, b"mine").unwrap();
        fs::remove_file(stage.at("dir").join(name)).unwrap();
        fs::hard_link(&mine, stage.at("dir").join(name)).unwrap();
    }
    (stage, outside)
}

/// What lies in a directory under names of what is not whole.
fn parts(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let parts = entries.filter(|entry| is_part_name(entry.file_name().as_bytes()));
    parts.map(|entry| entry.path()).collect()
}

fn part_of(dir: &Path, name: &str) -> PathBuf {
    let part = part_names(name.as_bytes()).next().unwrap();
    dir.join(OsStr::from_bytes(&part))
}

#[test]
fn what_cannot_be_replaced_stays_as_it_was() {
    use crate::backend::Backend;
    let (stage, _outside) = shared();
    for name in names(&stage.bed.place, "data") {
        stage.bed.place.delete(&name).unwrap();
    }
    let done = stage.restore(&RestoreOptions::default());
    assert!(!done.items.problems().is_empty());
    for name in ["dir/large", "dir/small"] {
        assert_eq!(fs::read(stage.at(name)).unwrap(), b"mine");
    }
    assert_eq!(parts(&stage.at("dir")), [""; 0].map(PathBuf::from));
}

#[test]
fn a_file_that_was_begun_beside_the_old_one_is_gone_on_with() {
    for overwrite in [Overwrite::Always, Overwrite::IfNewer] {
        let (stage, outside) = shared();
        touch(&stage.at("dir/large"), 1_000_000_000);
        let options = RestoreOptions {
            overwrite,
            ..Default::default()
        };
        stage.restore_stopped(&options, 1 << 20);
        assert_eq!(fs::read(stage.at("dir/large")).unwrap(), b"mine");
        let begun = part_of(&stage.at("dir"), "large");
        assert_eq!(
            fs::metadata(&begun).unwrap().permissions().mode() & 0o7777,
            0o1600
        );
        let before = inode(&begun);
        let read = stage.reads_of(|| {
            let done = stage.restore(&options);
            assert_eq!(done.items.problems(), [""; 0]);
            let updated = done.items.of(Outcome::Updated);
            assert!(updated.contains(&"/dir/large".to_owned()), "{updated:?}");
        });
        assert!(read < 40, "{read} reads");
        assert_eq!(inode(&stage.at("dir/large")), before);
        assert_eq!(parts(&stage.at("dir")), [""; 0].map(PathBuf::from));
        assert_eq!(fs::read(outside.path().join("large")).unwrap(), b"mine");
        if overwrite == Overwrite::Always {
            stage.assert_restored();
        }
    }
}

#[test]
fn what_an_interrupted_run_left_goes_where_it_is_not_needed() {
    for overwrite in [Overwrite::Always, Overwrite::IfChanged, Overwrite::Never] {
        let stage = Stage::of(bed());
        fs::write(part_of(&stage.at("dir"), "large"), b"begun").unwrap();
        fs::write(part_of(&stage.at("dir"), "small"), b"ready").unwrap();
        symlink("dir", part_of(stage.target.path(), "link")).unwrap();
        fs::create_dir(part_of(&stage.at("dir"), "sub")).unwrap();
        let mode = fs::Permissions::from_mode(0o1600);
        fs::set_permissions(part_of(&stage.at("dir"), "large"), mode).unwrap();
        let done = stage.restore(&RestoreOptions {
            overwrite,
            ..Default::default()
        });
        assert_eq!(done.items.problems(), [""; 0]);
        stage.assert_restored();
    }
}

#[test]
fn what_is_not_ours_is_not_gone_on_with() {
    let (stage, outside) = shared();
    let victim = outside.path().join("victim");
    fs::write(&victim, b"untouched").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o1600)).unwrap();
    fs::hard_link(&victim, part_of(&stage.at("dir"), "large")).unwrap();
    symlink(&victim, part_of(&stage.at("dir"), "small")).unwrap();
    let done = stage.restore(&RestoreOptions::default());
    assert_eq!(done.items.problems(), [""; 0]);
    stage.assert_restored();
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
}

#[test]
fn a_file_of_the_snapshot_may_have_such_a_name() {
    let bed = bed();
    // One comes after the file it would become, one before.
    for name in ["dir/#first", "dir/second"] {
        bed.write(name, &noise(3, 200_000));
        let (dir, name) = name.split_once('/').unwrap();
        let part = part_of(&bed.source().join(dir), name);
        fs::write(&part, name).unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o1600)).unwrap();
    }
    let stage = Stage::of(bed);
    let outside = tempfile::tempdir_in(stage.target.path().parent().unwrap()).unwrap();
    for keeps_parts in [true, false] {
        for name in ["#first", "second"] {
            let path = stage.at("dir").join(name);
            fs::write(&path, b"other").unwrap();
            let _ = fs::remove_file(outside.path().join(name));
            fs::hard_link(&path, outside.path().join(name)).unwrap();
            if !keeps_parts {
                fs::remove_file(part_of(&stage.at("dir"), name)).unwrap();
            }
        }
        let delete = RestoreOptions {
            delete: true,
            ..Default::default()
        };
        let done = stage.restore_by(&delete, 3);
        assert_eq!(done.items.problems(), [""; 0]);
        stage.assert_restored();
    }
}

#[test]
fn a_directory_gives_way_only_to_what_may_overwrite() {
    for (overwrite, newer, older) in [
        (Overwrite::Always, false, false),
        (Overwrite::IfChanged, false, false),
        (Overwrite::IfNewer, true, false),
        (Overwrite::Never, true, true),
    ] {
        let stage = Stage::of(bed());
        for (name, time) in [("dir/sub", 4_000_000_000), ("dir", 1_000_000_000)] {
            for dry_run in [true, false] {
                let stays = if name == "dir" { older } else { newer };
                fs::remove_dir_all(stage.at(name)).ok();
                fs::write(stage.at(name), b"mine").unwrap();
                touch(&stage.at(name), time);
                let done = stage.restore(&RestoreOptions {
                    overwrite,
                    dry_run,
                    verify: true,
                    ..Default::default()
                });
                let case = format!("{overwrite:?} {name} {dry_run}");
                let path = format!("/{name}");
                let kept = done.items.of(Outcome::Unchanged).contains(&path);
                assert_eq!(kept, stays, "{case}");
                let expected = u64::from(stays);
                assert_eq!(
                    done.summary.problems,
                    expected,
                    "{case}: {:?}",
                    done.items.problems()
                );
                assert_eq!(stage.at(name).is_file(), stays || dry_run, "{case}");
                if stays {
                    let problem = &done.items.problems()[0];
                    assert!(problem.contains("stays, as asked for"), "{problem}");
                    assert_eq!(fs::read(stage.at(name)).unwrap(), b"mine");
                }
                let restored = done.summary.nodes + done.summary.nodes_skipped;
                assert_eq!(done.summary.nodes_expected, done.summary.nodes, "{case}");
                assert!(restored > 0);
                fs::remove_file(stage.at(name)).ok();
                stage.restore(&RestoreOptions::default());
            }
        }
    }
}
