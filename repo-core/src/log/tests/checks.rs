//! What is looked at before something is appended.

use super::*;
use crate::error::ErrorKind;
use crate::id::EntryHash;
use crate::log::testing::Numbered;
use std::collections::{BTreeMap, BTreeSet};

/// Blob 1 whole in packs 1 and 2, blob 2 in pack 3 on base 1, blob 3 in pack 4.
fn catalog() -> Packs {
    let rows = [
        (pack(1), vec![(blob(1), vec![])]),
        (pack(2), vec![(blob(1), vec![])]),
        (pack(3), vec![(blob(2), vec![blob(1)])]),
        (pack(4), vec![(blob(3), vec![])]),
    ];
    Packs(rows.into_iter().collect())
}

fn rests(on: &[(u8, &[u8])]) -> Rests {
    let row = |(b, packs): &(u8, &[u8])| (blob(*b), packs.iter().map(|p| pack(*p)).collect());
    Rests(on.iter().map(row).collect::<BTreeMap<_, _>>())
}

fn checked(state: &State, rests: &Rests) -> CommitCheck {
    check_commit(state, &catalog(), rests, &[], &[], None).unwrap()
}

#[test]
fn a_commit_is_checked_for_what_it_rests_on() {
    let mut log = Log::new();
    let on = rests(&[(1, &[1]), (2, &[3, 1])]);
    assert_eq!(checked(&log.state, &on), CommitCheck::default());
    // Another live pack holds the blob, as itself and as a base.
    log.by(Role::Prune, condemn(vec![pack(1)]));
    assert_eq!(checked(&log.state, &on), CommitCheck::default());
    // Both are condemned: one is reprieved.
    log.by(Role::Prune, condemn(vec![pack(2)]));
    let check = checked(&log.state, &on);
    assert!(check.passes());
    assert_eq!(check.reprieve, [pack(1)]);
    // Both are gone: the blob, and the one that needs it as a base, must be stored again.
    log.by(Role::Prune, deleting(vec![data(1), data(2)], vec![]));
    let check = checked(&log.state, &on);
    assert!(!check.passes());
    assert_eq!(check.heal, [blob(1), blob(2)]);
}

#[test]
fn a_commit_is_checked_for_its_parents_and_objects() {
    let mut log = Log::new();
    log.by(Role::Writer, commit(1, vec![]));
    let check = |state: &State| {
        let on = Rests::default();
        let (parents, tables) = ([snapshot(1)], [table(9)]);
        check_commit(
            state,
            &catalog(),
            &on,
            &parents,
            &tables,
            Some(&snapshot(9)),
        )
        .unwrap()
    };
    assert!(check(&log.state).passes());
    log.by(
        Role::Prune,
        Action::Forget {
            snapshots: vec![snapshot(1)],
        },
    );
    assert_eq!(check(&log.state).parents, [snapshot(1)]);
    let gone = |kind, id| ObjectRef { kind, id };
    let objects = vec![
        gone(ObjectKind::Index, table(9).0),
        gone(ObjectKind::Snapshot, snapshot(9).0),
    ];
    log.by(Role::Prune, deleting(objects, vec![]));
    assert_eq!(
        check(&log.state).lost,
        [Lost::Table(table(9)), Lost::Snapshot(snapshot(9))]
    );
}

#[test]
fn prune_spares_what_is_needed_and_its_bases() {
    let mut log = Log::new();
    let needed = BTreeSet::from([blob(2)]);
    let catalog = catalog();
    let rows = Numbered {
        packs: &catalog,
        backwards: false,
    };
    let kept = keep(&log.state, &rows, &needed, &BTreeSet::new()).unwrap();
    let plan = plan_condemn(&log.state, &rows, &kept, &|_| false, &[pack(9)]).unwrap();
    // Pack 1 holds the base, pack 3 the blob; pack 2 is a second copy, pack 4 unused, pack 9 an orphan.
    assert_eq!(plan.condemn, [pack(2), pack(4), pack(9)]);
    assert_eq!(rows.copied(&kept, &plan), []);
    // Rewriting the pack of the base has it copied.
    let plan = plan_condemn(&log.state, &rows, &kept, &|pack| pack == 0, &[]).unwrap();
    assert_eq!(plan.condemn, [pack(1), pack(2), pack(4)]);
    assert_eq!(rows.copied(&kept, &plan), [blob(1)]);
    let all = BTreeSet::from([pack(1), pack(2), pack(4)]);
    log.by(Role::Prune, condemn(all.iter().copied().collect()));
    let plan = plan_delete(&log.state, &catalog, &needed, &all).unwrap();
    assert_eq!(plan.packs, [pack(2), pack(4)]);
    assert_eq!(plan.reprieve, [pack(1)]);
    assert!(may_append_deleting(&plan.planned_on, &log.state));
    log.by(Role::Writer, commit(1, vec![]));
    assert!(!may_append_deleting(&plan.planned_on, &log.state));
    assert!(plan_holds(&[log.next(ADMIN, commit(1, vec![]))]));
    assert!(!plan_holds(&[log.next(ADMIN, condemn(vec![]))]));
    log.by(Role::Writer, commit(1, vec![pack(4)]));
    let renewed = plan.renew(&log.state);
    assert_eq!(
        (renewed.packs, renewed.reprieve),
        (vec![pack(2)], vec![pack(1)])
    );
    assert_eq!(&renewed.planned_on, log.state.tail());
}

#[test]
fn of_several_copies_the_one_in_the_fuller_pack_is_kept() {
    let mut log = Log::new();
    let rows = |blobs: &[u8]| blobs.iter().map(|b| (blob(*b), vec![])).collect();
    let packs = [&[1, 9][..], &[1, 2, 3], &[7], &[8]];
    let packs = (1..).zip(packs).map(|(n, blobs)| (pack(n), rows(blobs)));
    log.by(Role::Prune, condemn(vec![pack(4)]));
    log.by(Role::Prune, deleting(vec![data(3)], vec![]));
    let catalog = Packs(packs.collect());
    let rows = Numbered {
        packs: &catalog,
        backwards: false,
    };
    let needed = BTreeSet::from([1, 2, 3, 7, 8].map(blob));
    let kept = keep(&log.state, &rows, &needed, &BTreeSet::new()).unwrap();
    assert_eq!((kept.blobs_in_pack(0), kept.blobs_in_pack(1)), (0, 3));
    // Blob 8 is condemned, which a deletion will see; blob 7 is gone.
    assert_eq!(kept.lost, [blob(7)]);
    let plan = plan_condemn(&log.state, &rows, &kept, &|_| false, &[]).unwrap();
    assert_eq!(plan.condemn, [pack(1)]);
}

#[test]
fn whose_copy_is_chosen_over_one_that_goes_is_told() {
    let log = Log::new();
    let rows = |blobs: &[u8]| blobs.iter().map(|b| (blob(*b), vec![])).collect();
    // Pack 1 is the fullest one; of blob 1 there are copies in three.
    let packs = [&[1, 2][..], &[1, 8], &[1, 8, 9], &[9]];
    let packs = (1..).zip(packs).map(|(n, blobs)| (pack(n), rows(blobs)));
    let catalog = Packs(packs.collect());
    let rows = Numbered {
        packs: &catalog,
        backwards: false,
    };
    let chosen = |needed: &[u8], absent: &BTreeSet<PackId>| {
        let needed: BTreeSet<BlobId> = needed.iter().map(|b| blob(*b)).collect();
        let kept = keep(&log.state, &rows, &needed, absent).unwrap();
        let plan = plan_condemn(&log.state, &rows, &kept, &|_| false, &[]).unwrap();
        chosen_over(&rows, &kept, &plan.condemn).unwrap()
    };
    let none = BTreeSet::new();
    assert_eq!(chosen(&[1, 2], &none), [pack(1)]);
    assert_eq!(chosen(&[1], &BTreeSet::from([pack(1)])), [pack(2)]);
    assert_eq!(chosen(&[2], &none), []);
}

#[test]
fn nothing_rests_on_packs_that_are_not_there() {
    let mut log = Log::new();
    let rows = |blobs: &[u8]| blobs.iter().map(|b| (blob(*b), vec![])).collect();
    // Pack 1 was the fuller one; of what it held, pack 2 and the condemned pack 3 have copies.
    let packs = [&[1, 2, 3][..], &[1], &[2]];
    let packs = (1..).zip(packs).map(|(n, blobs)| (pack(n), rows(blobs)));
    log.by(Role::Prune, condemn(vec![pack(3)]));
    let catalog = Packs(packs.collect());
    let rows = Numbered {
        packs: &catalog,
        backwards: false,
    };
    let absent = BTreeSet::from([pack(1)]);
    let all = BTreeSet::from([1, 2, 3].map(blob));
    assert_eq!(
        keep(&log.state, &rows, &all, &absent).unwrap().lost,
        [blob(3)]
    );
    let needed = BTreeSet::from([1, 2].map(blob));
    let kept = keep(&log.state, &rows, &needed, &absent).unwrap();
    assert_eq!((kept.blobs_in_pack(0), kept.blobs_in_pack(1)), (0, 1));
    assert_eq!(kept.lost, []);
    let plan = plan_condemn(&log.state, &rows, &kept, &|_| false, &[]).unwrap();
    assert_eq!(plan.condemn, [pack(1)]);
    log.by(Role::Prune, condemn(plan.condemn));
    let candidates = BTreeSet::from([pack(1), pack(3)]);
    let present = Present {
        inventory: &catalog,
        absent: &absent,
    };
    let plan = plan_delete(&log.state, &present, &needed, &candidates).unwrap();
    assert_eq!((plan.packs, plan.reprieve), (vec![pack(1)], vec![pack(3)]));
}

#[test]
fn what_is_deleted_is_not_wanted_again() {
    let mut log = Log::new();
    log.by(Role::Writer, commit(1, vec![]));
    let needed = [blob(1), blob(3)];
    let check = |state: &State| check_unforget(state, &catalog(), &[snapshot(1)], &needed).unwrap();
    assert!(check(&log.state).passes());
    log.by(Role::Prune, condemn(vec![pack(4)]));
    assert_eq!(check(&log.state).reprieve, [pack(4)]);
    log.by(Role::Prune, deleting(vec![data(4)], vec![]));
    assert_eq!(check(&log.state).lost, [blob(3)]);
}

#[test]
fn an_older_log_is_refused() {
    let mut log = Log::new();
    let old = log.state.clone();
    log.by(Role::Writer, commit(1, vec![]));
    let seen = log.state.seen();
    check_not_rolled_back(&seen, &log.state, |_| unreachable!()).unwrap();
    let shorter = check_not_rolled_back(&seen, &old, |_| unreachable!()).unwrap_err();
    assert_eq!(shorter.kind(), ErrorKind::RolledBack);
    let head = seen.heads[0];
    log.by(Role::Writer, commit(2, vec![]));
    check_not_rolled_back(&seen, &log.state, |_| Ok(vec![head])).unwrap();
    let other = check_not_rolled_back(&seen, &log.state, |_| Ok(vec![EntryHash([1; 32])]));
    assert_eq!(other.unwrap_err().kind(), ErrorKind::RolledBack);
}
