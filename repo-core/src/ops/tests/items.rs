//! What is said of each item of a backup, and of all together.

use super::support::{Bed, noise};
use crate::error::Error;
use crate::ops::{BackupOptions, BackupSummary, Input, backup};
use crate::progress::{Change, Counter, Interrupt, Note, Progress, Saved};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

/// Remembers items, if it wants any.
struct Names {
    wants: bool,
    items: Mutex<Vec<(String, Change, u64, u64)>>,
    scanned: Mutex<Option<(u64, u64)>>,
}

impl Progress for Names {
    fn count(&self, _: Counter, _: u64) {}

    fn problem(&self, path: &Path, error: &Error) {
        panic!("{path:?}: {error}");
    }

    fn wants_items(&self) -> bool {
        self.wants
    }

    fn saved(&self, item: &Saved<'_>) {
        let mut path = item.path.to_str().unwrap().to_owned();
        if item.is_dir {
            path.push('/');
        }
        let item = (path, item.change, item.data_added, item.metadata_added);
        self.items.lock().unwrap().push(item);
    }

    fn note(&self, note: Note<'_>) {
        if let Note::Scanned { files, bytes, .. } = note {
            *self.scanned.lock().unwrap() = Some((files, bytes));
        }
    }
}

fn made(bed: &Bed, input: Input<'_>, dry_run: bool) -> (BackupSummary, Names) {
    let names = Names {
        wants: true,
        items: Mutex::default(),
        scanned: Mutex::default(),
    };
    let options = BackupOptions {
        dry_run,
        ..BackupOptions::default()
    };
    let made = backup(&bed.open(), input, &options, &names, &Interrupt::new()).unwrap();
    (made, names)
}

/// The items of the source, by what is left of their paths there, with what was added.
fn items(bed: &Bed, dry_run: bool) -> Vec<(String, Change, u64)> {
    let (made, names) = made(bed, Input::Paths(vec![bed.source()]), dry_run);
    let items = names.items.into_inner().unwrap();
    let added: u64 = items
        .iter()
        .map(|(_, _, data, metadata)| data + metadata)
        .sum();
    let root = made.totals.bytes_added - added;
    assert!(root < 2_000, "only the root is left: {root}");
    let source = bed.source().to_str().unwrap().to_owned() + "/";
    let below = items
        .into_iter()
        .filter_map(|(path, change, data, metadata)| {
            let below = path.strip_prefix(&source)?.to_owned();
            match below.is_empty() || below.ends_with('/') {
                true => assert!(
                    data == 0 && (metadata > 0) == (change != Change::Unchanged),
                    "{below}"
                ),
                false => assert_eq!(metadata, 0, "{below}"),
            }
            Some((below, change, data))
        });
    below.collect()
}

#[test]
fn items_are_named_as_they_are_done() {
    let bed = Bed::new();
    bed.write("a", b"12345");
    bed.write("d/large", &noise(1, 9 << 20));
    bed.write("d/small", &noise(2, 1_000));
    bed.write("d/twice", &noise(2, 1_000));
    bed.write("empty/x", b"");
    std::os::unix::fs::symlink("a", bed.source().join("link")).unwrap();
    let (new, modified, unchanged) = (Change::New, Change::Modified, Change::Unchanged);
    let expected = |rows: &[(&str, Change, u64)]| -> Vec<(String, Change, u64)> {
        let own =
            |(path, change, added): &(&str, Change, u64)| ((*path).to_owned(), *change, *added);
        rows.iter().map(own).collect()
    };
    let first = expected(&[
        ("a", new, 5),
        ("d/large", new, 9 << 20),
        ("d/small", new, 1_000),
        ("d/twice", new, 0),
        ("d/", new, 0),
        ("empty/x", new, 0),
        ("empty/", new, 0),
        ("link", new, 0),
        ("", new, 0),
    ]);
    assert_eq!(items(&bed, true), first, "a dry run");
    assert_eq!(items(&bed, false), first);
    bed.write("a", b"123456");
    bed.write("e", b"new");
    assert_eq!(
        items(&bed, false),
        expected(&[
            ("a", modified, 6),
            ("d/large", unchanged, 0),
            ("d/small", unchanged, 0),
            ("d/twice", unchanged, 0),
            ("d/", unchanged, 0),
            ("e", new, 3),
            ("empty/x", unchanged, 0),
            ("empty/", unchanged, 0),
            ("link", unchanged, 0),
            ("", modified, 0),
        ])
    );
}

#[test]
fn the_items_of_a_stream_are_its_file_and_directories() {
    let bed = Bed::new();
    let dump = noise(3, 3_000_000);
    let mut reader = &dump[..];
    let input = Input::Stream {
        name: "dumps/db".into(),
        reader: &mut reader,
        program: None,
    };
    let (_, names) = made(&bed, input, false);
    let items = names.items.into_inner().unwrap();
    let named: Vec<_> = items
        .iter()
        .map(|(path, _, data, _)| (path.as_str(), *data))
        .collect();
    assert_eq!(named, [("/dumps/db", 3_000_000), ("/dumps/", 0)]);
}

#[test]
fn nobody_is_told_who_does_not_listen() {
    let bed = Bed::new();
    bed.write("a", b"1");
    let deaf = Names {
        wants: false,
        items: Mutex::default(),
        scanned: Mutex::default(),
    };
    let options = BackupOptions::default();
    let input = Input::Paths(vec![bed.source()]);
    backup(&bed.open(), input, &options, &deaf, &Interrupt::new()).unwrap();
    assert!(deaf.items.into_inner().unwrap().is_empty());
    assert_eq!(
        deaf.scanned.into_inner().unwrap(),
        None,
        "nor was anything counted"
    );
}

#[test]
fn what_there_is_to_read_is_known_before_the_end() {
    let bed = Bed::new();
    for n in 0..50 {
        bed.write(&format!("{}/{n}", n % 7), &noise(n, 1_000));
    }
    bed.write("large", &noise(99, 20 << 20));
    let names = Names {
        wants: false,
        items: Mutex::default(),
        scanned: Mutex::default(),
    };
    let options = BackupOptions {
        scan_after: Some(Duration::ZERO),
        ..BackupOptions::default()
    };
    let input = Input::Paths(vec![bed.source()]);
    let made = backup(&bed.open(), input, &options, &names, &Interrupt::new()).unwrap();
    let expected = (made.totals.files, made.totals.bytes);
    assert_eq!(expected, (51, 50_000 + (20 << 20)));
    assert_eq!(names.scanned.into_inner().unwrap(), Some(expected));
}
