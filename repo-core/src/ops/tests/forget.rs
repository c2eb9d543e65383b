//! Snapshots are forgotten, protected and brought back while others do the same, and after prunes.

use super::class_c_history::repeat_nothing;
use super::support::*;
use crate::backend::MemoryBackend;
use crate::error::{ErrorKind, Subject};
use crate::format::entry::{Action, ObjectRef};
use crate::format::name::{self, ObjectKind};
use crate::id::{PackId, SnapshotId};
use crate::log::Terms;
use crate::ops::{
    Count, Forget, ForgetOptions, NewTerms, Period, Policy, PruneOptions, Regained, Unforgotten,
    forget_ids, prune, set_terms, unforget,
};
use crate::progress::{Interrupt, Silent};
use crate::repo::Repo;
use crate::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A place with three snapshots, the oldest first, of trees that share nothing.
fn place() -> (Bed, Vec<SnapshotId>) {
    let bed = Bed::new();
    let made = (1..=3).map(|n| {
        bed.write("dir/file", &noise(n, 200_000));
        bed.backup(&bed.open()).unwrap().snapshot.unwrap()
    });
    let ids = made.collect();
    (bed, ids)
}

fn keep_last(count: u32) -> ForgetOptions {
    ForgetOptions {
        policy: Policy {
            counts: [(Period::Last, Count::Newest(count))].into(),
            ..Policy::default()
        },
        ..ForgetOptions::default()
    }
}

fn live(repo: &Repo) -> Vec<SnapshotId> {
    repo.refresh().unwrap();
    repo.state().live_snapshots().map(|(id, _)| *id).collect()
}

fn sorted(ids: &[SnapshotId]) -> Vec<SnapshotId> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

fn undo(repo: &Repo, ids: &[SnapshotId]) -> crate::Result<Unforgotten> {
    unforget(repo, ids, &Silent, &Interrupt::new())
}

/// These are there again as they were.
fn back(ids: &[SnapshotId]) -> Unforgotten {
    let same = |id: &SnapshotId| Regained {
        asked: *id,
        id: *id,
    };
    Unforgotten::Done(ids.iter().map(same).collect())
}

fn forget_action(ids: &[SnapshotId]) -> Action {
    let snapshots = ids.to_vec();
    Action::Forget { snapshots }
}

fn packs(bed: &Bed) -> Vec<ObjectRef> {
    let names = bed.place.objects().into_keys();
    let objects = names.filter_map(|name| ObjectKind::parse(&name));
    objects
        .filter(|(kind, _)| matches!(kind, ObjectKind::Data | ObjectKind::Meta))
        .map(|(kind, id)| ObjectRef { kind, id })
        .collect()
}

fn condemn(bed: &Bed) -> Action {
    Action::Condemn {
        packs: packs(bed).iter().map(|pack| PackId(pack.id)).collect(),
        objects: vec![],
        index_add: vec![],
        reprieve: vec![],
    }
}

fn deleting(objects: Vec<ObjectRef>) -> Action {
    Action::Deleting {
        objects,
        index_drop: vec![],
        index_add: vec![],
        reprieve: vec![],
        fenced: vec![],
    }
}

/// Appends entries that say nothing much until the log has so many.
fn lengthen(repo: &Repo, id: &SnapshotId, entries: u64) {
    while repo.state().tail().number < entries {
        let number = repo.state().tail().number;
        let new = NewTerms {
            protected_until: None,
            expires: Some(Some(Timestamp::new(number as i64, 0))),
        };
        set_terms(repo, &[*id], &new).unwrap();
    }
}

/// The repository as somebody has it open to whom `action` happens right before their next entry is put: the first put in the
/// log only asks what kind of place it is.
fn raced(bed: &Bed, action: Action) -> Repo {
    let other = Other::new(bed, &bed.place);
    let puts = AtomicU32::new(0);
    let (theirs, signer) = (other.repo.clone(), other.signer.clone());
    let happens = move |place: &MemoryBackend| {
        if puts.fetch_add(1, Ordering::Relaxed) == 0 {
            return;
        }
        let (repo, signer) = (theirs.clone(), signer.clone());
        let other = Other {
            place,
            repo,
            signer,
        };
        other.append(action.clone());
    };
    let backend = Meanwhile::before(&bed.place, "log", 2, happens);
    bed.open_on(Arc::new(backend)).unwrap()
}

#[test]
fn what_no_rule_keeps_is_forgotten_and_comes_back() {
    let (bed, ids) = place();
    let repo = bed.open();
    let options = keep_last(1);
    let mut forget = Forget::new(&repo, &options).unwrap();
    assert_eq!(forget.plan().unwrap().removed().count(), 2);
    assert_eq!(live(&repo).len(), 3, "a plan changes nothing");
    let done = forget.execute().unwrap();
    assert_eq!(done.removed().count(), 2);
    assert_eq!(live(&repo), [ids[2]]);
    // Once more there is nothing to do, and no entry says so.
    let tail = repo.state().tail().number;
    assert_eq!(forget.execute().unwrap().removed().count(), 0);
    assert_eq!(repo.state().tail().number, tail);

    assert_eq!(undo(&repo, &ids).unwrap(), back(&ids[..2]));
    assert_eq!(live(&repo), sorted(&ids));
    assert_eq!(undo(&repo, &ids).unwrap(), back(&[]));
    assert_clean(&repo);
}

/// Two forgets at once, each of which leaves one: together they must not leave none.
#[test]
fn a_lost_race_is_planned_again() {
    let (bed, ids) = place();
    let repo = raced(&bed, forget_action(&ids[1..]));
    let options = keep_last(1);
    let done = Forget::new(&repo, &options).unwrap().execute().unwrap();
    assert_eq!(done.removed().count(), 0);
    assert_eq!(live(&bed.open()), [ids[0]]);
}

#[test]
fn a_policy_that_leaves_nothing_must_be_meant() {
    let (bed, _) = place();
    let repo = bed.open();
    let mut options = keep_last(0);
    let error = Forget::new(&repo, &options).unwrap().execute().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(live(&repo).len(), 3);
    options.allow_empty = true;
    Forget::new(&repo, &options).unwrap().execute().unwrap();
    assert_eq!(live(&repo).len(), 0);
}

#[test]
fn nothing_is_forgotten_behind_an_entry_that_cannot_be_read() {
    let (bed, ids) = place();
    lengthen(&bed.open(), &ids[0], 20);
    repeat_nothing(&bed.place);
    bed.place.remove(&name::checkpoint(16));
    bed.place.remove(&name::entry(16));
    let repo = bed
        .open_anew(Arc::new(bed.place.clone()), &password())
        .unwrap();
    let options = keep_last(1);
    let by_policy = Forget::new(&repo, &options).unwrap().execute();
    for error in [
        by_policy.map(drop).unwrap_err(),
        forget_ids(&repo, &ids).map(drop).unwrap_err(),
        undo(&repo, &ids).map(drop).unwrap_err(),
        set_terms(&repo, &ids, &NewTerms::default())
            .map(drop)
            .unwrap_err(),
        prune(&repo, &PruneOptions::default(), &Silent, &Interrupt::new())
            .map(drop)
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        assert_eq!(error.subject(), &Subject::Entry(16));
    }
}

#[test]
fn what_is_condemned_is_reprieved() {
    let (bed, ids) = place();
    let repo = bed.open();
    forget_ids(&repo, &ids[..1]).unwrap();
    Other::new(&bed, &bed.place).append(condemn(&bed));
    assert_eq!(undo(&repo, &ids[..1]).unwrap(), back(&ids[..1]));
    let state = repo.state();
    assert!(state.is_live(&ids[0]));
    // The packs of the others are still condemned, those of this one are not.
    let other = Other::new(&bed, &bed.place);
    other.append(forget_action(&ids[1..]));
    let condemned = other.repo.state();
    let condemned: Vec<ObjectRef> = packs(&bed)
        .into_iter()
        .filter(|pack| condemned.condemned_by(&PackId(pack.id)).is_some())
        .collect();
    assert!(!condemned.is_empty());
    other.append(deleting(condemned.clone()));
    for object in condemned {
        bed.place.remove(&object.kind.name(&object.id));
    }
    let repo = bed.open();
    let restored = bed.restore(&repo, &ids[0]).unwrap();
    assert_eq!(restored.problems, [""; 0]);
    assert_eq!(restored.tree[Path::new("dir/file")].2, noise(1, 200_000));
}

/// Whether data, trees or the snapshot itself is gone, before or right before the entry.
#[test]
fn too_late_is_said_and_changes_nothing() {
    for meanwhile in [false, true] {
        for kind in [ObjectKind::Data, ObjectKind::Meta, ObjectKind::Snapshot] {
            let (bed, ids) = place();
            let repo = bed.open();
            forget_ids(&repo, &ids).unwrap();
            let gone = match kind {
                ObjectKind::Snapshot => vec![ObjectRef { kind, id: ids[0].0 }],
                kind => packs(&bed).into_iter().filter(|p| p.kind == kind).collect(),
            };
            let repo = match meanwhile {
                true => raced(&bed, deleting(gone)),
                false => {
                    Other::new(&bed, &bed.place).append(deleting(gone));
                    repo
                }
            };
            let Unforgotten::TooLate(id, late) = undo(&repo, &ids[..1]).unwrap() else {
                panic!("{kind:?} is gone")
            };
            assert_eq!((id, late.snapshot), (ids[0], kind == ObjectKind::Snapshot));
            match kind {
                ObjectKind::Data => assert!(late.first.unwrap().ends_with("dir/file")),
                ObjectKind::Meta => assert_eq!(late.first.unwrap(), Path::new("/")),
                _ => {}
            }
            assert_eq!(live(&bed.open()), []);
        }
    }
}

/// What several files share is gone of each of them.
#[test]
fn too_late_counts_every_file() {
    let (bed, _) = place();
    for name in ["dir/a", "dir/b", "other/c"] {
        bed.write(name, &noise(9, 300_000));
    }
    bed.remove("dir/file");
    let repo = bed.open();
    let id = bed.backup(&repo).unwrap().snapshot.unwrap();
    forget_ids(&repo, &[id]).unwrap();
    let mut gone = packs(&bed);
    gone.retain(|pack| pack.kind == ObjectKind::Data);
    Other::new(&bed, &bed.place).append(deleting(gone));
    let Unforgotten::TooLate(_, late) = undo(&repo, &[id]).unwrap() else {
        panic!("its data is gone")
    };
    assert_eq!(late.items, 3);
}

#[test]
fn what_nobody_knows_is_not_found() {
    let (bed, _) = place();
    let error = undo(&bed.open(), &[SnapshotId([9; 32])]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn until(until: Timestamp) -> NewTerms {
    NewTerms {
        protected_until: Some(Some(until)),
        expires: None,
    }
}

#[test]
fn protected_snapshots_are_not_forgotten() {
    let (bed, ids) = place();
    let repo = bed.open();
    let changed = set_terms(&repo, &ids[..1], &until(Terms::FOREVER)).unwrap();
    assert_eq!(changed, ids[..1]);
    assert_eq!(
        set_terms(&repo, &ids[..1], &until(Terms::FOREVER)).unwrap(),
        []
    );
    let error = forget_ids(&repo, &ids).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(live(&repo).len(), 3);
    let options = keep_last(1);
    Forget::new(&repo, &options).unwrap().execute().unwrap();
    assert_eq!(live(&repo), sorted(&[ids[0], ids[2]]));
    // Protection comes to an end.
    set_terms(&repo, &ids[..1], &until(Timestamp::new(1, 0))).unwrap();
    assert_eq!(forget_ids(&repo, &ids[..1]).unwrap(), ids[..1]);
    let error = set_terms(&repo, &ids[..1], &until(Terms::FOREVER)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn protection_said_meanwhile_counts() {
    let (bed, ids) = place();
    let protect = Action::Terms {
        snapshots: ids[..1].to_vec(),
        protected_until: Some(Terms::FOREVER),
        expires: None,
    };
    let repo = raced(&bed, protect.clone());
    let error = forget_ids(&repo, &ids[..1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let repo = raced(&bed, protect);
    let options = keep_last(1);
    Forget::new(&repo, &options).unwrap().execute().unwrap();
    assert_eq!(live(&repo), sorted(&[ids[0], ids[2]]));
}

#[test]
fn what_is_not_said_anew_stays() {
    let (bed, ids) = place();
    let repo = bed.open();
    set_terms(&repo, &ids[..1], &until(Timestamp::new(7, 0))).unwrap();
    let expires = NewTerms {
        protected_until: None,
        expires: Some(Some(Timestamp::new(8, 0))),
    };
    let tail = repo.state().tail().number;
    assert_eq!(set_terms(&repo, &ids, &expires).unwrap().len(), 3);
    assert_eq!(repo.state().tail().number, tail + 2);
    let said = |id| {
        let terms = repo.state().terms(id);
        (terms.protected_until, terms.expires)
    };
    let (seven, eight) = (Some(Timestamp::new(7, 0)), Some(Timestamp::new(8, 0)));
    assert_eq!(said(&ids[0]), (seven, eight));
    assert_eq!(said(&ids[1]), (None, eight));
    // All of it is past its time: nothing is left, and that was said.
    let options = keep_last(3);
    Forget::new(&repo, &options).unwrap().execute().unwrap();
    assert_eq!(live(&repo), []);
}

/// A checkpoint holds the terms.
#[test]
fn terms_outlive_a_checkpoint() {
    let (bed, ids) = place();
    let repo = bed.open();
    set_terms(&repo, &ids[..1], &until(Terms::FOREVER)).unwrap();
    lengthen(&repo, &ids[1], 17);
    assert_eq!(names(&bed.place, "checkpoints").len(), 1);
    let repo = bed
        .open_anew(Arc::new(bed.place.clone()), &password())
        .unwrap();
    assert!(repo.state().is_protected(&ids[0], crate::time::now()));
}

#[test]
fn what_is_not_whole_does_not_come_back() {
    let bed = Bed::new();
    let repo = bed.open();
    bed.write("dir/file", &noise(1, 10_000));
    let id = bed.backup(&repo).unwrap().snapshot.unwrap();
    forget_ids(&repo, &[id]).unwrap();
    for pack in packs(&bed) {
        let place = bed.place.fork();
        assert!(place.remove(&pack.kind.name(&pack.id)));
        let repo = bed.open_anew(Arc::new(place), &password()).unwrap();
        let late = undo(&repo, &[id]).unwrap();
        assert!(
            matches!(late, Unforgotten::TooLate(gone, _) if gone == id),
            "{late:?}"
        );
        assert!(live(&repo).is_empty());
    }
    assert_eq!(undo(&bed.open(), &[id]).unwrap(), back(&[id]));
}
