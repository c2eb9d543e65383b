//! Repairs beside prunes, and with what was put back or never belonged.

use super::follow::{forget_and_prune, history};
use super::support::*;
use crate::backend::Backend;
use crate::format::name;
use crate::id::{PackId, SnapshotId};
use crate::ops::{
    RecoverOptions, RepairIndexOptions, RepairLogOptions, RepairSnapshotsOptions, Replace, recover,
    repair_index, repair_log, repair_packs, repair_snapshots,
};
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::{OpenOptions, Repo};
use crate::snapshot::{Filter, list};
use std::sync::{Arc, Mutex};

/// Forgets a snapshot and prunes as soon as the first directory was looked at.
struct Beside<'a> {
    bed: &'a Bed,
    goes: Mutex<Option<SnapshotId>>,
}

impl Progress for Beside<'_> {
    fn count(&self, _: Counter, _: u64) {
        let goes = self.goes.lock().unwrap().take();
        if let Some(id) = goes {
            forget_and_prune(self.bed, id);
        }
    }

    fn problem(&self, path: &std::path::Path, error: &crate::Error) {
        panic!("{}: {error}", path.display());
    }
}

fn anew(bed: &Bed) -> Repo {
    let place = Arc::new(bed.place.clone());
    bed.open_anew(place, &password()).unwrap()
}

#[test]
fn a_repair_of_snapshots_takes_nothing_for_lost_that_a_prune_moves() {
    for forget in [true, false] {
        let (bed, _, made) = history();
        let repo = anew(&bed);
        let snapshots = list(&repo, &Filter::default()).snapshots;
        let options = RepairSnapshotsOptions {
            suffix: ".repaired".into(),
            read_data: false,
            replace: Replace {
                forget,
                dry_run: false,
            },
        };
        let beside = Beside {
            bed: &bed,
            goes: Mutex::new(Some(made[0].0)),
        };
        let done = repair_snapshots(&repo, &snapshots, &options, &beside, &Interrupt::new());
        let done = done.unwrap();
        assert!(beside.goes.lock().unwrap().is_none());
        assert!(
            done.changed.is_empty() && done.hopeless.is_empty(),
            "{done:?}"
        );
        assert_eq!(done.items, 0);
        for (id, tree) in &made[1..] {
            bed.assert_restores(&anew(&bed), id, tree);
        }
    }
}

#[test]
fn a_recovery_takes_nothing_for_lost_that_a_prune_moves() {
    let (bed, _, made) = history();
    let repo = anew(&bed);
    let beside = Beside {
        bed: &bed,
        goes: Mutex::new(Some(made[0].0)),
    };
    let options = RecoverOptions {
        host: "host".into(),
        ..RecoverOptions::default()
    };
    let done = recover(&repo, &options, &beside, &Interrupt::new()).unwrap();
    assert!(beside.goes.lock().unwrap().is_none());
    assert!(
        done.unreadable.is_empty() && done.items_lost == 0,
        "{done:?}"
    );
}

#[test]
fn a_pack_that_is_put_back_after_all_repairs_is_named_again() {
    let bed = Bed::new();
    bed.write("file", &noise(1, 100_000));
    let made = (
        bed.backup(&bed.open()).unwrap().snapshot.unwrap(),
        bed.tree(),
    );
    let pack = names(&bed.place, "data").remove(0);
    let bytes = bed.place.get(&pack).unwrap();
    bed.place.delete(&pack).unwrap();
    let id = name::ObjectKind::parse(&pack).unwrap().1;
    let (nobody, never) = (Listener::default(), Interrupt::new());
    repair_packs(&anew(&bed), &[PackId(id)], false, &nobody, &never).unwrap();
    let options = RepairIndexOptions::default();
    let gone = repair_index(&anew(&bed), &options, &nobody, &never).unwrap();
    assert_eq!(gone.packs_gone.len(), 1);
    assert!(bed.restore(&anew(&bed), &made.0).unwrap().summary.problems > 0);
    bed.place.put(&pack, &bytes).unwrap();
    let named = repair_index(&anew(&bed), &options, &nobody, &never).unwrap();
    assert_eq!(named.packs_added, 1);
    bed.assert_restores(&anew(&bed), &made.0, &made.1);
    let again = repair_index(&anew(&bed), &options, &nobody, &never).unwrap();
    assert_eq!(again.packs_added, 0);
}

/// Of a copy of the repository that has gone its own way.
#[test]
fn an_entry_of_another_history_is_written_over_by_what_later_ones_repeat() {
    let bed = Bed::new();
    bed.write("file", b"one");
    let backup = |description: &str| {
        let repo = anew(&bed);
        bed.backup_described(&repo, description).unwrap();
    };
    (0..3).for_each(|_| backup("before"));
    let number = anew(&bed).state().tail().number + 1;
    let elsewhere = bed.place.fork();
    let repo = bed.open_anew(Arc::new(elsewhere.clone()), &password());
    bed.backup_described(&repo.unwrap(), "elsewhere").unwrap();
    (0..4).for_each(|_| backup("after"));
    let right = bed.place.objects();
    let foreign = elsewhere.get(&name::entry(number)).unwrap();
    bed.place.put(&name::entry(number), &foreign).unwrap();
    let (nobody, never) = (Listener::default(), Interrupt::new());
    let options = RepairLogOptions::default();
    let done = repair_log(&anew(&bed), &options, &nobody, &never).unwrap();
    assert_eq!(done.mended.entries, [number]);
    assert!(bed.place.objects() == right);
    let repo = anew(&bed);
    assert_eq!(repo.live_snapshots().len(), 7);
    assert_clean(&repo);
}

/// What only a lost table names is not lost, and a cache that is damaged says nothing about the repository.
#[test]
fn nothing_is_forgotten_for_what_cannot_be_found_at_the_moment() {
    let (bed, _, made) = history();
    let options = RepairSnapshotsOptions {
        suffix: ".repaired".into(),
        read_data: false,
        replace: Replace {
            forget: true,
            dry_run: false,
        },
    };
    let (nobody, never) = (Listener::default(), Interrupt::new());
    let repair = |repo: &Repo| {
        let snapshots = list(repo, &Filter::default()).snapshots;
        repair_snapshots(repo, &snapshots, &options, &nobody, &never)
    };
    let tables: Vec<_> = names(&bed.place, "index");
    let kept: Vec<_> = tables
        .iter()
        .map(|name| bed.place.get(name).unwrap())
        .collect();
    tables
        .iter()
        .for_each(|name| bed.place.delete(name).unwrap());
    assert!(repair(&anew(&bed)).is_err());
    for (name, bytes) in tables.iter().zip(&kept) {
        bed.place.put(name, bytes).unwrap();
    }
    let cache = tempfile::tempdir().unwrap();
    let with_cache = OpenOptions {
        cache_dir: Some(cache.path().into()),
        state_dir: None,
        ..bed.options()
    };
    let open = || Repo::open(Arc::new(bed.place.clone()), &password(), &with_cache).unwrap();
    drop(open());
    for at in (0..40).map(|n| n * 97) {
        let runs = std::fs::read_dir(cache.path().join(open().id().to_hex()).join("index"));
        for run in runs.unwrap() {
            let path = run.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at * bytes.len() / (40 * 97);
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        // It fails, or finds nothing wrong; the next one finds the cache made anew.
        let first = repair(&open());
        assert!(first.is_err() || first.unwrap().changed.is_empty());
        let second = repair(&open()).unwrap();
        assert!(
            second.changed.is_empty() && second.hopeless.is_empty(),
            "{second:?}"
        );
    }
    let repo = anew(&bed);
    assert_eq!(repo.live_snapshots().len(), 3);
    let (last, tree) = &made[2];
    bed.assert_restores(&repo, last, tree);
}
