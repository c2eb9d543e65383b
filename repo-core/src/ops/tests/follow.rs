//! Who reads beside a prune finds what it moved.

use super::support::*;
use crate::backend::Backend;
use crate::backend::wrap::{Counting, Operation};
use crate::id::SnapshotId;
use crate::ops::{CheckOptions, LsOptions, MaxUnused, PruneOptions, check, forget_ids, ls, prune};
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::Repo;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Forgets a snapshot and deletes what only it needs, and rewrites the packs that it shares with others.
pub fn forget_and_prune(bed: &Bed, id: SnapshotId) {
    let repo = bed.open();
    forget_ids(&repo, &[id]).unwrap();
    let options = PruneOptions {
        max_unused: MaxUnused::Percent(0.0),
        grace: Duration::ZERO,
        stray_age: Duration::ZERO,
        ..PruneOptions::default()
    };
    let pruned = prune(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
    assert!(pruned.deleted.count > 0, "{pruned:?}");
}

/// Three snapshots of the same files, fewer each time; who reads has looked at the log before anything is forgotten.
pub fn history() -> (Bed, Repo, Vec<(SnapshotId, Tree)>) {
    let bed = Bed::new();
    for n in 0..30 {
        bed.write(&format!("dir{}/{n}", n % 3), &noise(n, 50_000));
    }
    let repo = bed.open();
    let made = (0..3).map(|round| {
        for n in (0..30).filter(|n| n % 3 == 1 && n / 10 == round) {
            bed.remove(&format!("dir{}/{n}", n % 3));
        }
        let made = bed.backup(&repo).unwrap().snapshot.unwrap();
        (made, bed.tree())
    });
    let made = made.collect();
    let reader = bed.open();
    (bed, reader, made)
}

#[test]
fn a_restore_finds_what_prunes_have_moved() {
    let (bed, reader, made) = history();
    forget_and_prune(&bed, made[0].0);
    forget_and_prune(&bed, made[1].0);
    let (last, tree) = &made[2];
    bed.assert_restores(&reader, last, tree);
}

#[test]
fn a_listing_finds_what_prunes_have_moved() {
    let (bed, reader, made) = history();
    forget_and_prune(&bed, made[0].0);
    let mut seen = 0;
    ls(&reader, &made[1].0, &LsOptions::default(), &mut |_, _| {
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert!(seen > 3);
}

#[test]
fn what_is_lost_is_looked_for_once() {
    let (bed, _, made) = history();
    let counting = Arc::new(Counting::new(Arc::new(bed.place.clone())));
    let reader = bed.open_on(counting.clone()).unwrap();
    counting.reset();
    reader.refresh().unwrap();
    let a_look = counting.of(Operation::Get, "log").calls;
    assert!(a_look > 0);
    for pack in names(&bed.place, "data") {
        bed.place.delete(&pack).unwrap();
    }
    let looks = || {
        counting.reset();
        let restored = bed.restore(&reader, &made[2].0).unwrap();
        let lost = restored.summary.problems;
        assert_eq!(lost, 20);
        let looks = counting.of(Operation::Get, "log").calls / a_look;
        assert!(looks <= lost, "{looks}");
        looks
    };
    assert!(looks() > 0);
    assert_eq!(looks(), 0);
}

/// Forgets and prunes as soon as it is known how much a check is going to read: its fold is older.
struct Meanwhile<'a> {
    bed: &'a Bed,
    goes: Mutex<Vec<SnapshotId>>,
    /// All packs of data that there were.
    packs: Mutex<BTreeSet<String>>,
}

impl Meanwhile<'_> {
    fn look(&self) {
        let packs = names(&self.bed.place, "data");
        self.packs.lock().unwrap().extend(packs);
    }
}

impl Progress for Meanwhile<'_> {
    fn problem(&self, _: &std::path::Path, _: &crate::Error) {}

    fn count(&self, counter: Counter, _: u64) {
        if counter == Counter::BytesExpected {
            self.look();
            if let Some(id) = self.goes.lock().unwrap().pop() {
                forget_and_prune(self.bed, id);
                self.look();
            }
        }
    }
}

#[test]
fn a_check_takes_nothing_for_lost_that_a_prune_deletes() {
    for read_data in [false, true] {
        let (bed, _, made) = history();
        let counting = Arc::new(Counting::new(Arc::new(bed.place.clone())));
        let reader = bed.open_on(counting.clone()).unwrap();
        counting.reset();
        let beside = Meanwhile {
            bed: &bed,
            goes: Mutex::new(vec![made[1].0, made[0].0]),
            packs: Mutex::default(),
        };
        let options = CheckOptions {
            read_data,
            ..CheckOptions::default()
        };
        let checked = check(&reader, &options, &beside, &Interrupt::new()).unwrap();
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
        assert_eq!(checked.snapshots, 1);
        let packs = names(&bed.place, "data").len() as u64;
        let of_data = if read_data { packs } else { 0 };
        assert_eq!(checked.data_packs_read, of_data);
        // What was right when it was read is not read again.
        let read = counting.of(Operation::Get, "data").calls;
        let packs = beside.packs.lock().unwrap().len() as u64;
        assert!(beside.goes.lock().unwrap().is_empty());
        assert!(read <= packs, "{read} times of {packs}");
        // What is lost is found all the same.
        let lost = names(&bed.place, "data").remove(0);
        bed.place.delete(&lost).unwrap();
        let checked = check(&reader, &options, &Listener::default(), &Interrupt::new()).unwrap();
        assert_eq!(checked.findings.len(), 1);
    }
}
