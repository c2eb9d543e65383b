//! A sync that dies before or after any of its writes: the replica is an older whole state, and the next run goes on.

use super::prune::{forget, history_in, prune_with, thorough};
use super::support::*;
use super::sync::{assert_whole, content, mirror, place};
use crate::backend::Backend;
use crate::backend::wrap::{Fault, Faults, Odds};
use crate::backend::{Class, MemoryBackend};
use crate::error::{ErrorKind, Subject};
use crate::format::name::CONFIG;
use crate::id::SnapshotId;
use crate::ops::{Harm, SyncOptions, sync};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::sync::Arc;

fn copy_of(place: &MemoryBackend, class: Class) -> MemoryBackend {
    let copy = self::place(class);
    for (name, bytes) in place.objects() {
        copy.put(&name, &bytes).unwrap();
    }
    copy
}

/// Syncs a copy of `before` until the `write`-th write; gives the copy, and whether it came so far.
fn crash_at(
    bed: &Bed,
    before: &MemoryBackend,
    class: Class,
    write: u64,
    early: bool,
) -> (MemoryBackend, bool) {
    let to = copy_of(before, class);
    let inner = Arc::new(to.clone());
    let faults = match early {
        true => Faults::crash_before(inner, write),
        false => Faults::crash_after(inner, write),
    };
    let done = sync(
        &bed.place,
        &faults,
        None,
        &SyncOptions::default(),
        &Listener::default(),
        &Interrupt::new(),
    );
    assert_eq!(done.is_err(), faults.crashed());
    (to, faults.crashed())
}

#[test]
fn a_first_sync_is_no_repository_until_it_is_whole() {
    let (bed, [first, second]) = history_in(Class::A);
    let empty = MemoryBackend::new();
    let mut crashes = 0;
    for (write, early) in (0..).flat_map(|write| [(write, true), (write, false)]) {
        let (to, crashed) = crash_at(&bed, &empty, Class::A, write, early);
        if !crashed {
            break;
        }
        crashes += 1;
        if to.objects().contains_key(CONFIG) {
            assert_whole(&bed, &to, &[&first, &second]);
        }
        mirror(&bed.place, &to).unwrap();
        assert_eq!(content(&to), content(&bed.place));
    }
    assert!(crashes > 30, "{crashes}");
}

/// Panics unless a check finds nothing but entries that lie in no file of their own.
fn assert_whole_but_for_files_of_entries(repo: &Repo) {
    for finding in check_all(repo).findings {
        let is_entry = matches!(finding.error.subject(), Subject::Entry(_));
        assert!(is_entry && finding.harm == Harm::None, "{}", finding.error);
    }
}

/// After each crash the replica has the snapshot that stays, and all it says it has.
fn follows(class: Class) {
    let (bed, [first, second]) = history_in(class);
    let before = place(class);
    mirror(&bed.place, &before).unwrap();
    bed.write("later", &noise(17, 200_000));
    let repo = bed.open();
    let third: (SnapshotId, Tree) = (bed.backup(&repo).unwrap().snapshot.unwrap(), bed.tree());
    forget(&repo, &[first.0]);
    prune_with(&repo, &thorough()).unwrap();
    prune_with(&repo, &thorough()).unwrap();
    let mut crashes = 0;
    for (write, early) in (0..).flat_map(|write| [(write, true), (write, false)]) {
        let (to, crashed) = crash_at(&bed, &before, class, write, early);
        if !crashed {
            break;
        }
        crashes += 1;
        let there = bed.open_anew(Arc::new(to.clone()), &password()).unwrap();
        bed.assert_restores(&there, &second.0, &second.1);
        if there.live_snapshots().iter().any(|(id, _)| *id == first.0) {
            bed.assert_restores(&there, &first.0, &first.1);
        }
        if class == Class::A {
            assert_whole_but_for_files_of_entries(&there);
        }
        mirror(&bed.place, &to).unwrap();
        assert_whole(&bed, &to, &[&second, &third]);
        assert_eq!(content(&to), content(&bed.place));
    }
    assert!(crashes > 20, "{crashes}");
}

#[test]
fn a_replica_is_an_older_whole_state_at_any_moment() {
    follows(Class::A);
}

#[test]
fn a_replica_of_class_c_too() {
    follows(Class::C);
}

/// Tries at places that fail by chance until a sync has gone through; after each try what the replica promised before is there.
fn through(bed: &Bed, to: &MemoryBackend, kind: &str, seed: u64, stays: &(SnapshotId, Tree)) {
    for round in 0..400u64 {
        let way = |place: &MemoryBackend, salt| {
            let odds = Odds::new(seed << 32 | round << 8 | salt);
            let odds = odds.of_place(kind).unwrap();
            let odds = odds
                .with(Fault::CrashBefore, 3)
                .with(Fault::CrashAfter, 3)
                .times(3);
            Faults::new(Arc::new(place.clone())).odds(odds)
        };
        let (from, faulty) = (way(&bed.place, 1), way(to, 2));
        let options = SyncOptions::default();
        let listener = Listener::default();
        let done = sync(&from, &faulty, None, &options, &listener, &Interrupt::new());
        if to.objects().contains_key(CONFIG) {
            let repo = bed
                .open_anew(Arc::new(to.clone()), &password())
                .unwrap_or_else(|e| panic!("{kind} {seed}: {e}"));
            bed.assert_restores(&repo, &stays.0, &stays.1);
        }
        match done {
            Ok(done) if done.problems == 0 => return,
            Ok(_) => {}
            Err(e) => {
                assert_ne!(e.kind(), ErrorKind::InvalidInput, "{kind} {seed}: {e}");
            }
        }
    }
    panic!("{kind} {seed}: never done");
}

#[test]
fn places_that_fail_cost_time_and_nothing_else() {
    for (seed, kind) in (0..12).zip(["local", "s3", "sftp"].into_iter().cycle()) {
        let (bed, [first, second]) = history_in(Class::A);
        let class = if kind == "sftp" { Class::C } else { Class::A };
        let to = place(class);
        through(&bed, &to, kind, seed, &second);
        let repo = bed.open();
        forget(&repo, &[first.0]);
        prune_with(&repo, &thorough()).unwrap();
        through(&bed, &to, kind, seed + 100, &second);
        mirror(&bed.place, &to).unwrap();
        assert_eq!(content(&to), content(&bed.place), "{kind} {seed}");
    }
}
