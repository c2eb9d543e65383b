//! Copies while something goes wrong: in the source, in the target, or beside them.

use super::copy::*;
use super::prune::{forget, prune_with, thorough};
use super::support::*;
use crate::backend::wrap::Faults;
use crate::backend::{Class, MemoryBackend, MemoryOptions};
use crate::error::ErrorKind;
use crate::ops::{Became, CopyOptions, copy};
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use std::path::Path;
use std::sync::Arc;

#[test]
fn what_needs_what_is_lost_is_not_copied_and_all_else_is() {
    let bed = Bed::new();
    let from = bed.open();
    let mut made = Vec::new();
    // What is lost lies in a pack of its own, and is in the second of three snapshots.
    for night in 0..3u64 {
        bed.write("kept", &noise(1, 2 << 20));
        if night == 1 {
            bed.write("bad/small", &noise(40, 100 << 10));
            bed.write("bad/large", &noise(41, 3 << 20));
        }
        if night == 2 {
            std::fs::remove_dir_all(bed.source().join("bad")).unwrap();
            bed.remove("new1");
        }
        bed.write(&format!("new{night}"), &noise(night + 50, 5000));
        let before = names(&bed.place, "data");
        made.push((bed.backup(&from).unwrap().snapshot.unwrap(), bed.tree()));
        if night == 1 {
            let mut packs = names(&bed.place, "data");
            packs.retain(|pack| !before.contains(pack));
            packs.iter().for_each(|pack| {
                bed.place.corrupt(pack, |bytes| {
                    bytes.iter_mut().for_each(|byte| *byte ^= 1);
                })
            });
        }
    }
    let (from, target) = (bed.open(), Bed::new());
    let to = target.open();
    let done = copy_all(&from, &to);
    let [
        Became::Copied(first),
        Became::Incomplete(lost),
        Became::Copied(third),
    ] = done
        .became
        .iter()
        .map(|(_, became)| *became)
        .collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", done.became);
    };
    // All that is lost is named: the files, and the one beside them that lay in these packs.
    assert_eq!(lost as usize, done.problems.len());
    let named = |name: &str| done.problems.iter().any(|problem| problem.contains(name));
    assert!(
        named("bad/small") && named("bad/large"),
        "{:?}",
        done.problems
    );
    assert!(!named("kept"));
    assert_eq!((done.summary.copied, done.summary.incomplete), (2, 1));
    let whole = [made.remove(0), made.remove(1)];
    assert_copied(&bed, &to, &[first, third], &whole);

    // What could be read of it need not be stored again.
    let again = copy_all(&from, &to);
    assert!(
        again.resumed > 0 || again.summary.bytes_added == 0,
        "{}",
        again.summary.bytes_added
    );
    assert_eq!(again.summary.incomplete, 1);
}

#[test]
fn a_tree_that_is_lost_is_named_too() {
    let (bed, _) = nights();
    for pack in names(&bed.place, "meta") {
        bed.place.remove(&pack);
    }
    let (from, target) = (bed.open(), Bed::new());
    let done = copy_all(&from, &target.open());
    assert_eq!(done.summary.incomplete, 3);
    assert!(
        done.problems
            .iter()
            .all(|problem| problem.starts_with("/: "))
    );
}

#[test]
fn after_a_crash_at_any_write_the_next_run_completes_it() {
    let (bed, made) = nights();
    let from = bed.open();
    let mut write = 0;
    loop {
        write += 1;
        let target = Bed::new();
        let place = Arc::new(target.place.clone());
        let faults = Arc::new(Faults::crash_before(place, write));
        let opened = target.open_on(faults.clone()).unwrap();
        let crashed = copy_with(&from, &opened, &CopyOptions::default());
        if !faults.crashed() {
            assert!(crashed.is_ok() && write > 10);
            return;
        }
        assert!(crashed.is_err(), "write {write}");
        let to = target.open();
        let done = copy_all(&from, &to);
        let copies = done.became.iter().map(|(_, became)| match became {
            Became::Copied(id) | Became::There(id) => *id,
            other => panic!("write {write}: {other:?}"),
        });
        assert_copied(&bed, &to, &copies.collect::<Vec<_>>(), &made);
        assert_eq!(all(&to).len(), 3, "write {write}");
        assert_eq!(copies_of_data(&to), 1, "write {write}");
    }
}

/// Asks to stop once so many bytes were read.
struct Stops {
    meter: Meter,
    after: u64,
    interrupt: Arc<Interrupt>,
}

impl Progress for Stops {
    fn count(&self, counter: Counter, by: u64) {
        self.meter.count(counter, by);
        if self.meter.bytes() >= self.after {
            self.interrupt.set();
        }
    }

    fn problem(&self, path: &Path, error: &crate::Error) {
        self.meter.problem(path, error);
    }
}

#[test]
fn what_was_stored_before_an_interruption_is_used() {
    let bed = Bed::new();
    let from = bed.open();
    bed.write("one", &noise(1, 9 << 20));
    bed.write("two", &noise(2, 9 << 20));
    let made = [(bed.backup(&from).unwrap().snapshot.unwrap(), bed.tree())];
    let target = Bed::new();
    let to = target.open();
    let interrupt = Arc::new(Interrupt::new());
    let stops = Stops {
        meter: Meter::default(),
        after: 12 << 20,
        interrupt: interrupt.clone(),
    };
    let mut told = |_: &SnapshotInfo, became| panic!("{became:?}");
    let options = CopyOptions::default();
    let stopped = copy(
        &from,
        &to,
        &all(&from),
        &options,
        &mut told,
        &stops,
        &interrupt,
    );
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
    let to = target.open();
    let done = copy_all(&from, &to);
    assert!(
        done.summary.bytes_added < 14 << 20,
        "{}",
        done.summary.bytes_added
    );
    assert!(done.resumed > 0);
    assert_copied(&bed, &to, &done.copies(), &made);
}

#[test]
fn what_a_prune_of_the_target_takes_meanwhile_is_stored_again() {
    for class in [Class::A, Class::C] {
        let (bed, mut made) = nights();
        let from = bed.open();
        let mut target = Bed::empty();
        target.place = MemoryBackend::with(MemoryOptions {
            class,
            ..MemoryOptions::default()
        });
        target.init(Arc::new(target.place.clone())).unwrap();
        let target = Arc::new(target);
        copy_all(&from, &target.open());
        bed.write("more", &noise(60, 9000));
        made.push((bed.backup(&from).unwrap().snapshot.unwrap(), bed.tree()));
        // Whoever prunes does it when the new copy is stored and not committed.
        let others = target.clone();
        let meanwhile = Meanwhile::before(&target.place, "snapshots", 1, move |place| {
            let other = others
                .open_anew(Arc::new(place.clone()), &password())
                .unwrap();
            let there: Vec<_> = all(&other).iter().map(|info| info.id).collect();
            forget(&other, &there);
            prune_with(&other, &thorough()).unwrap();
        });
        let to = target.open_on(Arc::new(meanwhile)).unwrap();
        let newest = all(&from).split_off(3);
        let copy = copied(&from, &to, &newest);
        assert_copied(&bed, &target.open(), &[copy], &made[3..]);
    }
}

#[test]
fn what_a_prune_of_the_source_moves_meanwhile_is_found() {
    let (bed, made) = nights();
    let from = bed.open();
    let other = bed
        .open_anew(Arc::new(bed.place.clone()), &password())
        .unwrap();
    forget(&other, &[made[0].0, made[1].0]);
    prune_with(&other, &thorough()).unwrap();
    let last: Vec<SnapshotInfo> = snapshots(&from).split_off(2);
    let target = Bed::new();
    let to = target.open();
    let copy = copied(&from, &to, &last);
    assert_copied(&bed, &to, &[copy], &made[2..]);
}

/// Copies one snapshot; what it is there.
fn copied(from: &Repo, to: &Repo, snapshot: &[SnapshotInfo]) -> crate::id::SnapshotId {
    let mut became = None;
    let told = &mut |_: &SnapshotInfo, what| became = Some(what);
    let (options, interrupt) = (CopyOptions::default(), Interrupt::new());
    let nobody = Listener::default();
    copy(from, to, snapshot, &options, told, &nobody, &interrupt).unwrap();
    match became {
        Some(Became::Copied(copy)) => copy,
        other => panic!("{other:?}"),
    }
}

/// The snapshots as this process last saw them.
fn snapshots(repo: &Repo) -> Vec<SnapshotInfo> {
    crate::snapshot::list(repo, &Default::default()).snapshots
}
