//! Prune where packs are lost or cut off and others hold what was in them, and of blocks that expand to a lot.

use super::lost::{forced, lose};
use super::prune::{assert_right, forget, history, prune_with, thorough};
use super::support::*;
use crate::backend::wrap::{Counting, Operation};
use crate::backend::{Backend, MemoryBackend};
use crate::error::{ErrorKind, Subject};
use crate::format::entry::Action;
use crate::format::name::ObjectKind;
use crate::id::{IndexId, PackId, SnapshotId};
use crate::log::PackState;
use crate::ops::prune::{BLOCKS_MAX, HELD_MOST};
use crate::ops::{MaxUnused, PruneOptions, Regained, Unforgotten, repair_packs, unforget};
use crate::progress::{Interrupt, Silent};
use crate::repo::Repo;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A place with two snapshots of one tree, and how many packs of data were lost between them; the second one healed what the first one
/// had in them.
fn healed() -> (Bed, [(SnapshotId, Tree); 2], usize) {
    let bed = Bed::new();
    bed.write("one", &noise(1, 3 << 20));
    bed.write("deep/other", &noise(2, 100 << 10));
    let first = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    let lost = lose(&bed, "data");
    assert!(lost > 1, "one cut off, one gone");
    let error = prune_with(&bed.open(), &thorough()).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Missing),
        "{error}"
    );
    assert!(error.to_string().starts_with("pack "), "{error}");
    let second = forced(&bed, &bed.open()).snapshot.unwrap();
    let tree = bed.tree();
    (bed, [(first, tree.clone()), (second, tree)], lost)
}

fn data_packs(bed: &Bed) -> Vec<PackId> {
    let names = names(&bed.place, "data").into_iter();
    let ids = names.filter_map(|name| ObjectKind::parse(&name));
    ids.map(|(_, id)| PackId(id)).collect()
}

#[test]
fn what_a_forced_backup_healed_is_kept_and_lost_packs_leave_the_index() {
    let (bed, [first, second], lost) = healed();
    let pruned = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(pruned.plan.to_condemn.count, lost as u64, "{pruned:?}");
    assert_eq!(pruned.plan.strays.count, 0, "{pruned:?}");
    assert_eq!(pruned.condemned.count, lost as u64, "{pruned:?}");
    // The one that was cut off; of the others there was nothing left.
    assert_eq!(pruned.deleted.count, 1, "{pruned:?}");
    assert_right(&bed, &[&first, &second]);
    assert_eq!(check_all(&bed.open()).absent, [""; 0]);
    let again = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(again.condemned.count, 0, "{again:?}");
}

/// A prune that did not see what is lost may have condemned the packs that are there.
#[test]
fn of_two_copies_the_one_that_is_there_is_taken_back() {
    let (bed, [first, second], _) = healed();
    let repo = bed.open();
    let state = repo.state();
    let mut whole = data_packs(&bed);
    whole.retain(|pack| {
        let row = repo.index().pack(pack).unwrap().unwrap();
        let bytes = bed.place.objects()[&ObjectKind::Data.name(&pack.0)].len();
        row.len == bytes as u64
    });
    assert!(state.condemned().next().is_none() && !whole.is_empty());
    Other::new(&bed, &bed.place).append(Action::Condemn {
        packs: whole.clone(),
        objects: vec![],
        index_add: vec![],
        reprieve: vec![],
    });
    let pruned = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(pruned.reprieved, whole.len() as u64, "{pruned:?}");
    assert_right(&bed, &[&first, &second]);
}

/// What nobody can look up any more is not thereby needed by nobody.
#[test]
fn tables_that_are_lost_after_the_survey_stop_it() {
    let (bed, [first, _]) = history();
    forget(&bed.open(), &[first.0]);
    let patient = PruneOptions {
        grace: Duration::from_secs(3600),
        ..thorough()
    };
    assert!(prune_with(&bed.open(), &patient).unwrap().condemned.count > 0);
    // Wanted again, by somebody who does not say of which packs.
    Other::new(&bed, &bed.place).append(Action::Unforget {
        snapshots: vec![first.0],
        reprieve: vec![],
    });
    let stray = PackId::from(blake3::hash(b"stray"));
    let stray = ObjectKind::Data.name(&stray.0);
    bed.place.put(&stray, b"stray").unwrap();
    let opened: Arc<OnceLock<Repo>> = Arc::default();
    let shared = Arc::clone(&opened);
    let puts = AtomicU32::new(0);
    // The first one only asks what kind of place it is, before anything is planned.
    let lose_tables = move |place: &MemoryBackend| {
        let is_entry = puts.fetch_add(1, Ordering::Relaxed) > 0;
        if let Some(repo) = shared.get().filter(|_| is_entry) {
            let tables: Vec<IndexId> = repo.state().tables().map(|(id, _)| *id).collect();
            repo.index().forget_tables(&tables).unwrap();
            for table in names(place, "index") {
                place.remove(&table);
            }
        }
    };
    let backend = Meanwhile::before(&bed.place, "log", 2, lose_tables);
    let repo = bed.open_on(Arc::new(backend)).unwrap();
    assert!(opened.set(repo.clone()).is_ok());
    let before = names(&bed.place, "data");
    let error = prune_with(&repo, &thorough()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert_eq!(names(&bed.place, "index"), [""; 0]);
    assert_eq!(names(&bed.place, "data"), before);
}

/// Bytes of which thousands take few.
fn compressible(seed: u64, len: usize) -> Vec<u8> {
    noise(seed, 64).into_iter().cycle().take(len).collect()
}

#[test]
fn what_expands_a_lot_is_opened_block_by_block() {
    let bed = Bed::new();
    for n in 0..400 {
        bed.write(&format!("keep/{n}"), &compressible(n, 20_000));
        bed.write(&format!("keep/{n}-goes"), &compressible(1000 + n, 20_000));
    }
    let first = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    for n in 0..400 {
        bed.remove(&format!("keep/{n}-goes"));
    }
    let second = (
        bed.backup(&bed.open()).unwrap().snapshot.unwrap(),
        bed.tree(),
    );
    let repo = bed.open();
    forget(&repo, &[first]);
    HELD_MOST.set(0);
    let pruned = prune_with(&repo, &thorough()).unwrap();
    assert!(pruned.written.count > 0, "{pruned:?}");
    let held = HELD_MOST.get();
    assert!((BLOCKS_MAX / 2..=BLOCKS_MAX).contains(&held), "{held}");
    assert_right(&bed, &[&second]);
}

/// A repair condemns a damaged pack. If it were in force again because something needed lies only there, backups would take its
/// content for stored.
#[test]
fn a_damaged_pack_never_comes_back_into_force() {
    let bed = Bed::new();
    bed.write("file", &noise(1, 300 << 10));
    bed.backup(&bed.open()).unwrap();
    let pack = data_packs(&bed)[0];
    let name = ObjectKind::Data.name(&pack.0);
    bed.write("other", &noise(2, 100 << 10));
    let gone = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    bed.place.corrupt(&name, |bytes| bytes[5000] ^= 1);
    let repo = bed.open();
    let saved = repair_packs(&repo, &[pack], false, &Silent, &Interrupt::new()).unwrap();
    assert!(saved[0].lost > 0, "{saved:?}");
    forget(&repo, &[gone]);
    let error = prune_with(&bed.open(), &thorough()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert_eq!(*error.subject(), Subject::Pack(pack));
    assert_eq!(bed.open().state().pack_state(&pack), PackState::Condemned);
    let healed = forced(&bed, &bed.open()).snapshot.unwrap();
    prune_with(&bed.open(), &thorough()).unwrap();
    assert_right(&bed, &[&(healed, bed.tree())]);
    assert!(!data_packs(&bed).contains(&pack));
}

#[test]
fn a_damaged_pack_does_not_come_back_with_a_snapshot() {
    let bed = Bed::new();
    bed.write("file", &noise(1, 300 << 10));
    let first = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    let pack = data_packs(&bed)[0];
    let repo = bed.open();
    forget(&repo, &[first]);
    let name = ObjectKind::Data.name(&pack.0);
    bed.place.corrupt(&name, |bytes| bytes[5000] ^= 1);
    repair_packs(&repo, &[pack], false, &Silent, &Interrupt::new()).unwrap();
    let done = unforget(&bed.open(), &[first], &Silent, &Interrupt::new()).unwrap();
    let (asked, id) = (first, first);
    assert_eq!(done, Unforgotten::Done(vec![Regained { asked, id }]));
    assert_eq!(bed.open().state().pack_state(&pack), PackState::Condemned);
    let error = prune_with(&bed.open(), &thorough()).unwrap_err();
    assert_eq!(*error.subject(), Subject::Pack(pack), "{error}");
    let healed = forced(&bed, &bed.open()).snapshot.unwrap();
    prune_with(&bed.open(), &thorough()).unwrap();
    assert_right(&bed, &[&(healed, bed.tree())]);
}

/// Two snapshots that were made at once, so that all content is stored twice.
fn doubled() -> (Arc<Bed>, [(SnapshotId, Tree); 2]) {
    let bed = Arc::new(Bed::new());
    // One block, and so one pack.
    bed.write("file", &noise(1, 50_000));
    let tree = bed.tree();
    let first = Arc::new(OnceLock::new());
    let (shared, made) = (Arc::clone(&bed), Arc::clone(&first));
    let backend = Meanwhile::before(&bed.place, "data", 1, move |_| {
        let id = shared.backup(&shared.open()).unwrap().snapshot;
        made.set(id.unwrap()).unwrap();
    });
    let repo = bed.open_on(Arc::new(backend)).unwrap();
    let second = bed.backup(&repo).unwrap().snapshot.unwrap();
    let first = *first.get().unwrap();
    (bed, [(first, tree.clone()), (second, tree)])
}

fn rot(bed: &Bed, pack: &PackId) {
    let name = ObjectKind::Data.name(&pack.0);
    bed.place.corrupt(&name, |bytes| bytes[5000] ^= 1);
}

/// What a pack is said to hold is no reason to let the copies in others go: it is proved before.
#[test]
fn of_two_copies_the_damaged_one_goes() {
    for victim in 0..2 {
        let (bed, [first, second]) = doubled();
        let packs = data_packs(&bed);
        assert_eq!(packs.len(), 2);
        rot(&bed, &packs[victim]);
        prune_with(&bed.open(), &thorough()).unwrap();
        assert_eq!(data_packs(&bed), [packs[1 - victim]]);
        assert_right(&bed, &[&first, &second]);
    }
}

#[test]
fn of_two_damaged_copies_none_goes() {
    let (bed, _) = doubled();
    let packs = data_packs(&bed);
    packs.iter().for_each(|pack| rot(&bed, pack));
    let error = prune_with(&bed.open(), &thorough()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert!(bed.open().state().condemned().next().is_none());
    assert_eq!(data_packs(&bed), packs);
}

/// How many packs of data a prune reads whole.
fn reads(bed: &Bed, options: &PruneOptions) -> u64 {
    let counting = Arc::new(Counting::new(Arc::new(bed.place.clone())));
    let repo = bed.open_on(counting.clone()).unwrap();
    prune_with(&repo, options).unwrap();
    counting.of(Operation::Get, "data").calls
}

#[test]
fn only_packs_with_a_copy_that_decides_over_another_are_proved() {
    let unlimited = PruneOptions {
        max_unused: MaxUnused::Unlimited,
        ..thorough()
    };
    let dry_run = PruneOptions {
        dry_run: true,
        ..thorough()
    };
    let (bed, _) = doubled();
    assert_eq!(reads(&bed, &dry_run), 0);
    assert_eq!(reads(&bed, &unlimited), 1);
    assert_eq!(data_packs(&bed).len(), 1);
    // Packs go, and nothing in them lies elsewhere too.
    let (bed, [_, second]) = history();
    forget(&bed.open(), &[second.0]);
    let before = data_packs(&bed).len();
    assert_eq!(reads(&bed, &unlimited), 0);
    assert!(data_packs(&bed).len() < before);
}

/// Where nobody looks for it.
fn misplaced(pack: &PackId) -> (String, String) {
    let name = |kind: ObjectKind| kind.name(&pack.0);
    (name(ObjectKind::Data), name(ObjectKind::Meta))
}

#[test]
fn a_pack_in_the_wrong_folder_is_not_there() {
    let (bed, [first, second]) = history();
    let pack = data_packs(&bed)[0];
    let (right, wrong) = misplaced(&pack);
    let bytes = bed.place.get(&right).unwrap();
    bed.place.put(&wrong, &bytes).unwrap();
    bed.place.remove(&right);
    let error = prune_with(&bed.open(), &thorough()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
    assert_eq!(*error.subject(), Subject::Pack(pack));
    bed.place.put(&right, &bytes).unwrap();
    bed.place.remove(&wrong);
    assert_right(&bed, &[&first, &second]);
}

#[test]
fn a_pack_goes_from_both_folders() {
    let (bed, [first, second]) = history();
    forget(&bed.open(), &[first.0, second.0]);
    let pack = data_packs(&bed)[0];
    let (right, wrong) = misplaced(&pack);
    let bytes = bed.place.get(&right).unwrap();
    bed.place.put(&wrong, &bytes).unwrap();
    prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(bed.place.size(&right).unwrap(), None);
    assert_eq!(bed.place.size(&wrong).unwrap(), None);
}
