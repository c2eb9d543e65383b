//! Sync: a replica at which it was stopped when only the newest entry that deletes was there, which repeats those before it.

use super::prune::{forget, prune_with, thorough};
use super::support::*;
use super::sync::{assert_whole, content, let_go, mirror, run};
use crate::backend::wrap::{Fault, Faults, Operation, Rule};
use crate::backend::{Backend, MemoryBackend};
use crate::error::{ErrorKind, Subject};
use crate::format::key_slot::{Credential, Label};
use crate::format::name::{self, ObjectKind};
use crate::id::SnapshotId;
use crate::ops::{Harm, RepairLogOptions, SyncOptions, repair_log, sync};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A home, with what it has backed up.
struct Home {
    bed: Bed,
    made: Vec<(SnapshotId, Tree)>,
}

impl Home {
    /// One whose log is that long.
    fn new(entries: u64) -> Self {
        let mut home = Self {
            bed: Bed::new(),
            made: Vec::new(),
        };
        home.grow(entries);
        home
    }

    /// Backs up until its log is that long.
    fn grow(&mut self, entries: u64) {
        let repo = self.bed.open();
        while repo.state().tail().number < entries {
            let n = repo.state().tail().number;
            self.bed.write(&format!("file{}", n % 3), &noise(n, 1000));
            let id = self.bed.backup(&repo).unwrap().snapshot.unwrap();
            self.made.push((id, self.bed.tree()));
        }
    }

    /// Forgets the oldest snapshot that is there, and deletes what only it needs.
    fn prune(&self) {
        let repo = self.bed.open();
        let is_live = |made: &&(SnapshotId, Tree)| repo.state().is_live(&made.0);
        let oldest = self.made.iter().find(is_live).unwrap();
        forget(&repo, &[oldest.0]);
        prune_with(&repo, &thorough()).unwrap();
    }

    fn anew(&self, place: &MemoryBackend) -> Repo {
        self.bed
            .open_anew(Arc::new(place.clone()), &password())
            .unwrap()
    }

    /// Panics unless all that the log of a place promises restores.
    fn assert_keeps_its_word(&self, place: &MemoryBackend) {
        let repo = self.anew(place);
        for id in live(&repo) {
            let (_, tree) = self.made.iter().find(|(made, _)| *made == id).unwrap();
            self.bed.assert_restores(&repo, &id, tree);
        }
    }
}

fn live(repo: &Repo) -> BTreeSet<SnapshotId> {
    repo.live_snapshots().iter().map(|(id, _)| *id).collect()
}

/// Syncs until that put of the log, the first being 0; whether it came so far.
fn stop_after(home: &MemoryBackend, to: &MemoryBackend, put: u64) -> bool {
    let crash = Rule::new(Fault::CrashAfter)
        .on(&[Operation::PutIfAbsent])
        .kind("log");
    let faults = Faults::new(Arc::new(to.clone())).rule(crash.after(put));
    let (options, listener) = (SyncOptions::default(), Listener::default());
    let done = sync(home, &faults, None, &options, &listener, &Interrupt::new());
    assert_eq!(done.is_err(), faults.crashed());
    faults.crashed()
}

/// A replica that lacks the entries from `first` up to the one before the last that deletes.
fn stopped(first: u64, end: u64) -> (Home, MemoryBackend) {
    let mut home = Home::new(first - 1);
    let to = MemoryBackend::new();
    mirror(&home.bed.place, &to).unwrap();
    home.grow(end);
    home.prune();
    assert!(stop_after(&home.bed.place, &to, 0));
    assert!(to.size(&name::entry(first)).unwrap().is_none());
    (home, to)
}

#[test]
fn nothing_is_lost_whatever_is_written_there() {
    for (first, end) in [(6, 9), (9, 17), (15, 20), (17, 40)] {
        let (mut home, to) = stopped(first, end);
        let_go(&to);
        let promised = live(&home.anew(&to));
        assert!(promised.len() as u64 > end - 6, "{first} {end}");
        for n in 0..20 {
            let writer = home.anew(&to);
            home.bed.write("new", &noise(1000 + n, 500));
            let id = home.bed.backup(&writer).unwrap().snapshot.unwrap();
            home.made.push((id, home.bed.tree()));
            let now = live(&home.anew(&to));
            assert!(promised.is_subset(&now), "{first} {end}: backup {n}");
            if n % 8 == 3 {
                prune_with(&home.anew(&to), &thorough()).unwrap();
            }
        }
        assert_eq!(live(&home.anew(&to)).len(), promised.len() + 20);
        home.assert_keeps_its_word(&to);
        assert_mends(&home, &to);
    }
}

/// Panics unless a check names files of entries and nothing else, and a repair writes them.
fn assert_mends(home: &Home, to: &MemoryBackend) {
    let before = live(&home.anew(to));
    for finding in check_all(&home.anew(to)).findings {
        let (error, harm) = (&finding.error, finding.harm);
        let is_file = matches!(error.subject(), Subject::Entry(_)) && harm == Harm::None;
        assert!(is_file && error.kind() == ErrorKind::Missing, "{error}");
    }
    let options = RepairLogOptions::default();
    let done = repair_log(
        &home.anew(to),
        &options,
        &Listener::default(),
        &Interrupt::new(),
    )
    .unwrap();
    assert!(!done.mended.entries.is_empty() && done.mended.lost.is_empty());
    assert!(done.entries.is_empty(), "{:?}", done.entries);
    let repo = home.anew(to);
    assert_clean(&repo);
    assert_eq!(live(&repo), before);
}

#[test]
fn a_repair_writes_at_once_what_is_repeated() {
    for (first, end) in [(6, 9), (9, 17), (17, 40)] {
        let (home, to) = stopped(first, end);
        assert_mends(&home, &to);
        mirror(&home.bed.place, &to).unwrap();
        assert_eq!(content(&to), content(&home.bed.place));
    }
}

#[test]
fn a_sync_goes_on_from_there_whatever_came_since() {
    for (first, end) in [(9, 17), (15, 20), (16, 17), (17, 30)] {
        let (mut home, before) = stopped(first, end);
        home.grow(end + 9);
        home.prune();
        for put in 0.. {
            let to = before.fork();
            let crashed = stop_after(&home.bed.place, &to, put);
            home.assert_keeps_its_word(&to);
            mirror(&home.bed.place, &to).unwrap();
            assert_eq!(content(&to), content(&home.bed.place));
            if !crashed {
                break;
            }
        }
        mirror(&home.bed.place, &before).unwrap();
        let all: Vec<_> = home.made.iter().skip(2).collect();
        assert_whole(&home.bed, &before, &all);
    }
}

#[test]
fn a_key_goes_though_only_the_entry_put_first_says_so() {
    let mut home = Home::new(6);
    let repo = home.bed.open();
    let old = Credential::password("old");
    let id = repo.key_add(&old, CHEAP, &Label::default()).unwrap();
    let (to, third) = (MemoryBackend::new(), MemoryBackend::new());
    for place in [&to, &third] {
        mirror(&home.bed.place, place).unwrap();
    }
    repo.key_remove(&id).unwrap();
    home.grow(20);
    home.prune();
    assert!(stop_after(&home.bed.place, &to, 0));
    let slot = ObjectKind::Key.name(&id.0);
    assert!(to.remove(&slot) && third.size(&slot).unwrap().is_some());
    let (done, problems) = run(&to, &third, None, false);
    assert!(done.unwrap().deleted > 0, "{problems:?}");
    assert!(third.size(&slot).unwrap().is_none());
}
