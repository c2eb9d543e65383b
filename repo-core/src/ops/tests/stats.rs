//! Statistics against numbers that are counted by hand, and against the index.

use super::support::*;
use crate::backend::Backend;
use crate::ops::{StatsMode, StatsSummary, stats};
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::snapshot::{Filter, SnapshotInfo, list};
use std::ops::ControlFlow;

/// Files in `many`: more than one page of a directory holds.
const MANY: u64 = 1500;

const LARGE: u64 = 700 << 10;

/// Two snapshots: the second one has another `sub/c`.
fn with_snapshots() -> Bed {
    let bed = Bed::new();
    bed.write("a", &noise(1, 100));
    bed.write("same", &noise(1, 100));
    bed.write("large", &noise(2, LARGE as usize));
    bed.write("empty", b"");
    bed.write("sub/c", &noise(3, 10));
    std::fs::hard_link(bed.source().join("large"), bed.source().join("linked")).unwrap();
    std::os::unix::fs::symlink("a", bed.source().join("link")).unwrap();
    for number in 0..MANY {
        bed.write(&format!("many/{number:04}"), b"");
    }
    bed.backup(&bed.open()).unwrap();
    bed.write("sub/c", &noise(4, 12));
    bed.backup(&bed.open()).unwrap();
    bed
}

fn snapshots(repo: &Repo) -> Vec<SnapshotInfo> {
    list(repo, &Filter::default()).snapshots
}

fn counted(repo: &Repo, snapshots: &[SnapshotInfo], mode: StatsMode) -> StatsSummary {
    let listener = Listener::default();
    let summary = stats(repo, snapshots, mode, &listener, &Interrupt::new()).unwrap();
    assert_eq!(listener.problems(), [""; 0]);
    assert_eq!(summary.snapshots, snapshots.len() as u64);
    summary
}

#[test]
fn a_restore_writes_every_entry_and_linked_bytes_once() {
    let bed = with_snapshots();
    let repo = bed.open();
    let all = snapshots(&repo);
    let above = bed.source().components().count() as u64 - 1;
    // a, same, large, linked, empty, link, sub, sub/c, many and what is in it.
    let entries = above + 9 + MANY;
    let one = |n: usize| counted(&repo, &all[n..=n], StatsMode::RestoreSize);
    assert_eq!((one(0).files, one(0).bytes), (entries, 210 + LARGE));
    assert_eq!((one(1).files, one(1).bytes), (entries, 212 + LARGE));
    let both = counted(&repo, &all, StatsMode::RestoreSize);
    assert_eq!((both.files, both.bytes), (2 * entries, 422 + 2 * LARGE));
    // The same snapshot twice, out of what is remembered of it.
    let twice = counted(
        &repo,
        &[all[0].clone(), all[0].clone()],
        StatsMode::RestoreSize,
    );
    assert_eq!((twice.files, twice.bytes), (2 * entries, 420 + 2 * LARGE));
    let none = counted(&repo, &[], StatsMode::RestoreSize);
    assert_eq!(none, StatsSummary::default());
}

#[test]
fn contents_count_once() {
    let bed = with_snapshots();
    let repo = bed.open();
    let all = snapshots(&repo);
    let of = |snapshots: &[SnapshotInfo], mode| {
        let summary = counted(&repo, snapshots, mode);
        (summary.files, summary.blobs, summary.bytes)
    };
    // a, large, empty, and one sub/c or two.
    let one = of(&all[..1], StatsMode::FilesByContents);
    assert_eq!(one, (4, 0, 110 + LARGE));
    let both = of(&all, StatsMode::FilesByContents);
    assert_eq!(both, (5, 0, 122 + LARGE));

    // a, large and sub/c have chunks; sub/c has two in both snapshots together.
    let (files, blobs, bytes) = of(&all[..1], StatsMode::BlobsPerFile);
    assert_eq!((files, bytes), (3, 110 + LARGE));
    assert!(blobs > 3, "{LARGE} bytes are several chunks");
    let both = of(&all, StatsMode::BlobsPerFile);
    assert_eq!(both, (files, blobs + 1, bytes + 12));
}

#[test]
fn raw_data_is_what_lies_in_packs() {
    let bed = with_snapshots();
    let repo = bed.open();
    let all = snapshots(&repo);
    let both = counted(&repo, &all, StatsMode::RawData);
    let (mut blobs, mut plain) = (0, 0);
    let mut blocks = std::collections::HashMap::new();
    let index = repo.index();
    index
        .for_each_blob(&mut |_, location| {
            blobs += 1;
            plain += u64::from(location.blob_len);
            let pack = index.pack_id_of(&location)?;
            let stored = u64::from(location.block.stored_len);
            blocks.insert((pack, location.block.offset), stored);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!((both.blobs, both.bytes_plain), (blobs, plain));
    let stored: u64 = blocks.values().sum();
    assert!(
        both.bytes.abs_diff(stored) <= blobs,
        "{} and {stored}",
        both.bytes
    );

    let first = counted(&repo, &all[..1], StatsMode::RawData);
    assert!(first.blobs < both.blobs && first.bytes < both.bytes);
    // sub/c, and the directories down to it.
    let new = both.blobs - first.blobs;
    assert!(new < 20, "{new} new blobs");
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_counted() {
    let bed = with_snapshots();
    let whole = counted(&bed.open(), &snapshots(&bed.open()), StatsMode::RawData);
    // What only the second snapshot has.
    let gone = names(&bed.place, "meta").pop().unwrap();
    bed.place.delete(&gone).unwrap();
    let repo = bed.open();
    for mode in [
        StatsMode::RestoreSize,
        StatsMode::FilesByContents,
        StatsMode::BlobsPerFile,
        StatsMode::RawData,
    ] {
        let listener = Listener::default();
        let summary = stats(&repo, &snapshots(&repo), mode, &listener, &Interrupt::new());
        let summary = summary.unwrap();
        assert!(summary.problems > 0, "{mode:?}");
        assert_eq!(listener.problems().len() as u64, summary.problems);
        assert_eq!(summary.snapshots, 2);
        assert!(summary.blobs <= whole.blobs);
    }
    let stop = Interrupt::new();
    stop.set();
    let stopped = stats(
        &repo,
        &snapshots(&repo),
        StatsMode::RawData,
        &Listener::default(),
        &stop,
    );
    assert_eq!(stopped.unwrap_err().kind(), crate::ErrorKind::Interrupted);
}
