//! What counts as changed, which snapshot is compared with, and when none is made.

use super::support::{Bed, Other, assert_clean, names, noise, quietly};
use crate::error::Error;
use crate::format::entry::Action;
use crate::format::tree::Node;
use crate::id::SnapshotId;
use crate::ops::{BackupOptions, BackupSummary, Input, LsOptions, backup, ls};
use crate::progress::{Counter, Interrupt, Note, Progress};
use crate::snapshot::{Filter, GroupBy, list};
use crate::time::Timestamp;
use std::fs::{File, FileTimes};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

fn made(bed: &Bed, options: &BackupOptions) -> BackupSummary {
    let input = Input::Paths(vec![bed.source()]);
    quietly(&bed.open(), input, options).unwrap()
}

fn usual() -> BackupOptions {
    BackupOptions {
        host: "host".into(),
        ..BackupOptions::default()
    }
}

/// Content of the same length and time, in the same file or in another one.
fn swap(path: &Path, content: &[u8], other_inode: bool) {
    let time = std::fs::metadata(path).unwrap().modified().unwrap();
    match other_inode {
        true => {
            let new = path.with_extension("new");
            std::fs::write(&new, content).unwrap();
            std::fs::rename(&new, path).unwrap();
        }
        false => std::fs::write(path, content).unwrap(),
    }
    set_times(path, FileTimes::new().set_modified(time));
}

fn set_times(path: &Path, times: FileTimes) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(times).unwrap();
}

/// The node of `name` in a snapshot of the source.
fn node(bed: &Bed, made: &BackupSummary, name: &str) -> Node {
    let path = bed.source().join(name);
    let mut found = None;
    let list = LsOptions {
        paths: vec![path.clone()],
        ..LsOptions::default()
    };
    let repo = bed.open();
    ls(&repo, &made.snapshot.unwrap(), &list, &mut |at, node| {
        if at == path {
            found = Some(node.clone());
        }
        Ok(())
    })
    .unwrap();
    found.unwrap()
}

fn content(bed: &Bed, made: &BackupSummary, name: &str) -> Vec<u8> {
    let restored = bed.restore(&bed.open(), &made.snapshot.unwrap()).unwrap();
    restored.tree[Path::new(name)].2.clone()
}

#[test]
fn what_is_not_trusted_makes_no_content_another_one() {
    let without_ctime = BackupOptions {
        ignore_ctime: true,
        ..usual()
    };
    let without_inode = BackupOptions {
        ignore_inode: true,
        ..usual()
    };
    // Which content a backup has after the file got another one of the same length and time.
    for (options, other_inode, is_read) in [
        (usual(), false, true),
        (usual(), true, true),
        (without_ctime.clone(), false, false),
        (without_ctime, true, true),
        (without_inode.clone(), false, false),
        (without_inode, true, false),
    ] {
        let bed = Bed::new();
        bed.write("file", b"before");
        made(&bed, &usual());
        swap(&bed.source().join("file"), b"after!", other_inode);
        let second = made(&bed, &options);
        let expected: &[u8] = if is_read { b"after!" } else { b"before" };
        let what = (options.ignore_ctime, options.ignore_inode, other_inode);
        assert_eq!(content(&bed, &second, "file"), expected, "{what:?}");
        assert_eq!(second.totals.files_changed, u64::from(is_read), "{what:?}");
        assert_eq!(second.totals.files_unmodified, u64::from(!is_read));
    }
}

#[test]
fn metadata_is_recorded_even_if_its_change_makes_no_content_another_one() {
    let bed = Bed::new();
    bed.write("file", &noise(1, 100_000));
    made(&bed, &usual());
    let path = bed.source().join("file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let options = BackupOptions {
        ignore_ctime: true,
        ..usual()
    };
    let second = made(&bed, &options);
    assert_eq!(second.totals.files_unmodified, 1);
    assert_eq!(second.totals.data_blobs, 0);
    let node = node(&bed, &second, "file");
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!(node.mode, 0o640);
    assert_eq!(node.ctime.seconds, meta.ctime());
    assert_eq!(content(&bed, &second, "file"), noise(1, 100_000));
    // What was recorded is what a backup that trusts everything compares with.
    let third = made(&bed, &usual());
    assert_eq!(third.totals.files_unmodified, 1);
    assert_clean(&bed.open());
}

#[test]
fn size_and_time_of_content_are_always_trusted() {
    let bed = Bed::new();
    bed.write("longer", b"1");
    bed.write("touched", b"2");
    let options = BackupOptions {
        ignore_inode: true,
        ..usual()
    };
    made(&bed, &options);
    bed.write("longer", b"11");
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    set_times(
        &bed.source().join("touched"),
        FileTimes::new().set_modified(later),
    );
    assert_eq!(made(&bed, &options).totals.files_changed, 2);
}

#[test]
fn when_something_was_read_is_recorded_if_that_is_asked_for() {
    let bed = Bed::new();
    bed.write("dir/file", b"content");
    let with_atime = BackupOptions {
        with_atime: true,
        ..usual()
    };
    let read_at = |second| {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        set_times(
            &bed.source().join("dir/file"),
            FileTimes::new().set_accessed(time),
        );
    };
    let atime = |made: &BackupSummary| node(&bed, made, "dir/file").atime;
    assert_eq!(atime(&made(&bed, &usual())), None);
    // Setting it is a change of metadata; let it be the only one from here on.
    read_at(1_000);
    assert_eq!(
        atime(&made(&bed, &with_atime)),
        Some(Timestamp::new(1_000, 0))
    );
    let again = made(&bed, &with_atime);
    assert_eq!(
        (again.totals.files_unmodified, atime(&again)),
        (1, Some(Timestamp::new(1_000, 0)))
    );
    let without = made(&bed, &usual());
    assert_eq!(
        (without.totals.files_unmodified, atime(&without)),
        (1, None)
    );
    let dir = node(&bed, &again, "dir/file");
    assert!(dir.atime.is_some());
}

#[test]
fn a_snapshot_that_would_be_its_parent_is_skipped() {
    let bed = Bed::new();
    bed.write("dir/file", &noise(2, 50_000));
    let skipping = BackupOptions {
        skip_if_unchanged: true,
        ..usual()
    };
    let first = made(&bed, &skipping);
    assert!(
        first.snapshot.is_some() && !first.skipped,
        "there is no parent"
    );
    let objects =
        || ["data", "meta", "index", "snapshots", "log"].map(|kind| names(&bed.place, kind));
    let before = objects();
    let again = made(&bed, &skipping);
    assert!(again.skipped && again.snapshot.is_none());
    assert_eq!(again.parent, first.snapshot);
    assert_eq!((again.totals.tree_blobs, again.totals.bytes_added), (0, 0));
    assert_eq!(objects(), before);
    // A directory above it has changed, and is no news.
    let above = bed.source();
    std::fs::write(above.parent().unwrap().join("beside"), b"x").unwrap();
    assert!(made(&bed, &skipping).skipped);
    assert_eq!(objects(), before);
    // In the source it is.
    bed.write("dir/new", b"x");
    let changed = made(&bed, &skipping);
    assert!(changed.snapshot.is_some() && !changed.skipped);
    bed.remove("dir/new");
    assert!(
        made(&bed, &skipping).snapshot.is_some(),
        "the directory is another one"
    );
    assert!(
        made(&bed, &usual()).snapshot.is_some(),
        "nobody asked to skip it"
    );
    assert_clean(&bed.open());
}

#[test]
fn attributes_and_paths_that_differ_are_changes() {
    let bed = Bed::new();
    bed.write("a/file", b"1");
    bed.write("b/file", b"2");
    let skipping = BackupOptions {
        skip_if_unchanged: true,
        ..usual()
    };
    made(&bed, &skipping);
    let path = bed.source().join("a/file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o604)).unwrap();
    let parent = made(&bed, &skipping).snapshot.expect("the mode differs");
    // One of what the parent has.
    let less = BackupOptions {
        parent: Some(parent),
        ..skipping.clone()
    };
    let input = Input::Paths(vec![bed.source().join("a")]);
    let made_of_less = quietly(&bed.open(), input, &less).unwrap();
    assert!(made_of_less.snapshot.is_some(), "b is not in it");
    let dry = BackupOptions {
        dry_run: true,
        ..skipping
    };
    let dry = made(&bed, &dry);
    assert!(dry.skipped && dry.snapshot.is_none());
}

#[test]
fn a_stream_of_the_same_content_is_skipped() {
    let bed = Bed::new();
    let skipping = BackupOptions {
        skip_if_unchanged: true,
        ..usual()
    };
    let stream = |name: &str, content: &[u8]| {
        let mut reader = content;
        let input = Input::Stream {
            name: name.into(),
            reader: &mut reader,
            program: None,
        };
        quietly(&bed.open(), input, &skipping).unwrap()
    };
    let dump = noise(3, 3_000_000);
    let first = stream("dumps/db", &dump);
    assert!(first.snapshot.is_some());
    let before = names(&bed.place, "log");
    assert!(stream("dumps/db", &dump).skipped);
    assert_eq!(names(&bed.place, "log"), before);
    assert!(stream("dumps/db", &dump[1..]).snapshot.is_some());
    assert!(
        stream("dumps/other", &dump).snapshot.is_some(),
        "another file"
    );
    assert_clean(&bed.open());
}

#[test]
fn what_has_to_be_stored_again_makes_a_snapshot() {
    let bed = Bed::new();
    let skipping = BackupOptions {
        skip_if_unchanged: true,
        ..usual()
    };
    let stream = |content: &[u8]| {
        let mut reader = content;
        let input = Input::Stream {
            name: "dump".into(),
            reader: &mut reader,
            program: None,
        };
        quietly(&bed.open(), input, &skipping).unwrap()
    };
    let dump = noise(4, 100_000);
    stream(&dump);
    for pack in names(&bed.place, "data") {
        bed.place.remove(&pack);
    }
    let again = stream(&dump);
    assert!(again.snapshot.is_some() && again.totals.data_blobs > 0);
    assert!(stream(&dump).skipped);
    assert_clean(&bed.open());
}

/// Forgets the parent as soon as it was chosen.
struct Forgets<'a>(Other<'a>, SnapshotId);

impl Progress for Forgets<'_> {
    fn count(&self, _: Counter, _: u64) {}
    fn problem(&self, path: &Path, error: &Error) {
        panic!("{path:?}: {error}");
    }
    fn note(&self, note: Note<'_>) {
        if let Note::Parent(Some(_)) = note {
            let snapshots = vec![self.1];
            self.0.append(Action::Forget { snapshots });
        }
    }
}

#[test]
fn a_parent_that_is_forgotten_meanwhile_is_no_reason_to_skip() {
    let bed = Bed::new();
    bed.write("file", b"content");
    let first = made(&bed, &usual()).snapshot.unwrap();
    let forgets = Forgets(Other::new(&bed, &bed.place), first);
    let options = BackupOptions {
        skip_if_unchanged: true,
        ..usual()
    };
    let input = Input::Paths(vec![bed.source()]);
    let made = backup(&bed.open(), input, &options, &forgets, &Interrupt::new()).unwrap();
    assert!(made.snapshot.is_some() && !made.skipped);
    let live = list(&bed.open(), &Filter::default()).snapshots;
    assert_eq!(live.len(), 1);
    bed.assert_restores(&bed.open(), &made.snapshot.unwrap(), &bed.tree());
}

#[test]
fn parents_are_found_in_their_group() {
    let bed = Bed::new();
    bed.write("a/file", b"1");
    bed.write("b/file", b"2");
    let of = |path: &str, options: BackupOptions| {
        let input = Input::Paths(vec![bed.source().join(path)]);
        quietly(&bed.open(), input, &options).unwrap()
    };
    let options = |host: &str, tags: &[&str], label: &str, by: &str| BackupOptions {
        host: host.into(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        label: label.into(),
        group_by: Some(GroupBy {
            host: by.contains("host"),
            paths: by.contains("paths"),
            tags: by.contains("tags"),
            label: by.contains("label"),
        }),
        ..BackupOptions::default()
    };
    let at = |second, options| BackupOptions {
        time: Some(Timestamp::new(second, 0)),
        ..options
    };
    let web = of("a", at(10, options("web", &["x", "y"], "nightly", "host"))).snapshot;
    let db = of("b", at(20, options("db", &["x"], "weekly", "host"))).snapshot;
    for (n, (path, host, tags, label, by, expected)) in [
        ("a", "web", &[][..], "", "host,paths", web),
        ("b", "web", &[], "", "host,paths", None),
        ("b", "web", &[], "", "host", web),
        ("a", "db", &[], "", "paths", web),
        ("a", "mail", &["y", "x", "x"], "", "tags", web),
        ("a", "mail", &["x"], "", "tags", db),
        ("a", "mail", &["z"], "", "tags", None),
        ("a", "mail", &[], "weekly", "label", db),
        ("a", "mail", &[], "", "label", None),
        ("a", "mail", &[], "", "", db),
    ]
    .into_iter()
    .enumerate()
    {
        let dry = BackupOptions {
            dry_run: true,
            ..options(host, tags, label, by)
        };
        let found = of(path, dry).parent;
        assert_eq!(
            found, expected,
            "{n}: {path} {host} {tags:?} {label} by {by:?}"
        );
    }
    // What is newer than the time that is recorded is no parent.
    let before = of("b", at(15, options("db", &[], "", "")));
    assert_eq!(before.parent, web);
    assert_eq!(list(&bed.open(), &Filter::default()).snapshots.len(), 3);
}
