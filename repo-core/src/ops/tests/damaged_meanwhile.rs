//! Packs that a repair finds damaged, and condemns, while something else is about to rest on them.

use super::prune::{assert_right, forget, prune_with, thorough};
use super::support::*;
use crate::backend::{Backend, Class, MemoryBackend, MemoryOptions};
use crate::error::{ErrorKind, Result, Subject};
use crate::format::entry::Action;
use crate::format::name::ObjectKind;
use crate::id::{PackId, SnapshotId};
use crate::log::PackState;
use crate::ops::{
    BackupOptions, BackupSummary, Input, PruneOptions, RecoverOptions, RepairLogOptions,
    RepairedPack, TagChange, recover, repair_log, repair_packs, tag,
};
use crate::progress::{Interrupt, Silent};
use crate::repo::Repo;
use crate::snapshot::{Filter, list};
use std::sync::Arc;
use std::time::Duration;

/// The packs of a kind.
pub fn packs(place: &MemoryBackend, kind: ObjectKind) -> Vec<PackId> {
    let ids = names(place, kind.folder()).into_iter();
    let ids = ids.filter_map(|name| ObjectKind::parse(&name));
    ids.map(|(_, id)| PackId(id)).collect()
}

/// A place with one snapshot, and the largest pack of its content: what a damaged byte costs in a small one, where it may be padding or share a block with all else, depends on where the keys of the day cut.
fn place(class: Class) -> (Arc<Bed>, PackId) {
    let mut bed = Bed::empty();
    bed.place = MemoryBackend::with(MemoryOptions {
        class,
        ..MemoryOptions::default()
    });
    bed.init(Arc::new(bed.place.clone())).unwrap();
    bed.write("file", &noise(1, 2 << 20));
    // Large files may be one chunk: what else is in the pack is needed of it if that is lost.
    bed.write("other", &noise(2, 1000));
    bed.backup(&bed.open()).unwrap();
    let length = |pack: &PackId| {
        bed.place
            .get(&ObjectKind::Data.name(&pack.0))
            .unwrap()
            .len()
    };
    let pack = packs(&bed.place, ObjectKind::Data)
        .into_iter()
        .max_by_key(length);
    (Arc::new(bed), pack.unwrap())
}

/// A client beside whom a pack turns out to be damaged or missing, and is condemned, before the first object of a kind is put.
fn beside(bed: &Arc<Bed>, kind: &'static str, pack: PackId, missing: bool) -> Repo {
    let shared = Arc::clone(bed);
    let name = ObjectKind::Data.name(&pack.0);
    let backend = Meanwhile::before(&bed.place, kind, 1, move |place| {
        match missing {
            true => assert!(place.remove(&name)),
            false => place.corrupt(&name, |bytes| bytes[5000] ^= 1),
        }
        let done = repair_packs(&shared.open(), &[pack], false, &Silent, &Interrupt::new());
        assert!(done.unwrap()[0].lost > 0);
    });
    bed.open_on(Arc::new(backend)).unwrap()
}

fn forced_anew(bed: &Bed, repo: &Repo) -> Result<BackupSummary> {
    let options = BackupOptions {
        host: "host".into(),
        force: true,
        ..BackupOptions::default()
    };
    quietly(repo, Input::Paths(vec![bed.source()]), &options)
}

#[test]
fn a_backup_stores_again_what_it_relied_on() {
    for class in [Class::A, Class::C] {
        for missing in [true, false] {
            let (bed, pack) = place(class);
            let repo = beside(&bed, "snapshots", pack, missing);
            let made = forced_anew(&bed, &repo).unwrap().snapshot.unwrap();
            let state = bed.open().state();
            assert_eq!(state.pack_state(&pack), PackState::Condemned);
            assert_right(&bed, &[&(made, bed.tree())]);
        }
    }
}

#[test]
fn a_backup_looks_again_at_what_its_parent_lent() {
    for class in [Class::A, Class::C] {
        for missing in [true, false] {
            let (bed, pack) = place(class);
            bed.write("new", &noise(3, 1000));
            let repo = beside(&bed, "snapshots", pack, missing);
            let made = bed.backup(&repo).unwrap().snapshot.unwrap();
            assert_right(&bed, &[&(made, bed.tree())]);
        }
    }
}

#[test]
fn a_stream_that_relied_on_it_is_to_be_run_once_more() {
    let (bed, pack) = place(Class::A);
    let run = |repo: &Repo| {
        let input = Input::Stream {
            name: "stdin".into(),
            reader: &mut &noise(1, 2 << 20)[..],
            program: None,
        };
        quietly(repo, input, &BackupOptions::default())
    };
    let error = run(&beside(&bed, "snapshots", pack, false)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("run it once more"), "{error}");
    assert_eq!(bed.open().live_snapshots().len(), 1);
    run(&bed.open()).unwrap();
    assert_clean(&bed.open());
}

/// Each repository cuts and names by its own keys, so that now and then the pack holds nothing that can be recovered without it.
#[test]
fn a_recovery_does_not_bring_it_back_into_force() {
    assert!((0..20).any(|_| recovery_rests_on_it()));
}

/// Whether the recovery rested on it, and was refused as it must be.
fn recovery_rests_on_it() -> bool {
    let (bed, pack) = place(Class::A);
    let repo = bed.open();
    forget(&repo, &[repo.live_snapshots()[0].0]);
    let patient = PruneOptions {
        grace: Duration::from_secs(3600),
        ..thorough()
    };
    assert!(prune_with(&repo, &patient).unwrap().condemned.count > 0);
    let name = ObjectKind::Data.name(&pack.0);
    bed.place.corrupt(&name, |bytes| bytes[5000] ^= 1);
    let options = RecoverOptions {
        host: "host".into(),
        ..RecoverOptions::default()
    };
    let run = || {
        recover(
            &bed.open(),
            &options,
            &Listener::default(),
            &Interrupt::new(),
        )
    };
    let refused = run();
    assert_eq!(bed.open().state().pack_state(&pack), PackState::Condemned);
    let Err(error) = refused else {
        return false;
    };
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert_eq!(*error.subject(), Subject::Pack(pack));
    // What can be read of it is saved, and found then.
    repair_packs(&bed.open(), &[pack], false, &Silent, &Interrupt::new()).unwrap();
    let found = run().unwrap();
    assert!(
        found.snapshot.is_some() && found.items_lost > 0,
        "{found:?}"
    );
    assert_eq!(bed.open().state().pack_state(&pack), PackState::Condemned);
    assert_clean(&bed.open());
    true
}

#[test]
fn what_a_repair_lost_is_stored_again_also_beside_another_form_of_the_parent() {
    let (bed, pack) = place(Class::A);
    let repo = bed.open();
    bed.place
        .corrupt(&ObjectKind::Data.name(&pack.0), |bytes| bytes[5000] ^= 1);
    repair_packs(&repo, &[pack], false, &Silent, &Interrupt::new()).unwrap();
    let all = list(&repo, &Filter::default()).snapshots;
    let change = TagChange::Change {
        add: vec!["new".into()],
        remove: vec![],
    };
    tag(&repo, &all, &change, false, &Interrupt::new()).unwrap();
    let done = bed.backup(&bed.open()).unwrap();
    bed.assert_restores(&bed.open(), &done.snapshot.unwrap(), &bed.tree());
    assert_clean(&bed.open());
}

/// A place with two packs that hold the same.
fn twins() -> (Arc<Bed>, Vec<PackId>) {
    let bed = Arc::new(Bed::new());
    // Who finds nothing adopts what lies there.
    let first = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    let before = packs(&bed.place, ObjectKind::Data);
    // One chunk in one block, and behind it the end of the pack.
    bed.write("file", &noise(1, 8_000));
    let shared = Arc::clone(&bed);
    let other = bed.open_anew(Arc::new(bed.place.clone()), &password());
    let other = other.unwrap();
    let meanwhile = Meanwhile::before(&bed.place, "index", 1, move |_| {
        shared.backup(&other).unwrap();
    });
    bed.backup(&bed.open_on(Arc::new(meanwhile)).unwrap())
        .unwrap();
    let mut packs = packs(&bed.place, ObjectKind::Data);
    packs.retain(|pack| !before.contains(pack));
    assert_eq!(packs.len(), 2);
    forget(&bed.open(), &[first]);
    (bed, packs)
}

/// The same, each damaged there and repaired.
fn repaired(at: [usize; 2]) -> (Arc<Bed>, Vec<RepairedPack>) {
    let (bed, packs) = twins();
    for (pack, at) in packs.iter().zip(at) {
        let name = ObjectKind::Data.name(&pack.0);
        bed.place.corrupt(&name, |bytes| bytes[at] ^= 1);
    }
    let done = repair_packs(&bed.open(), &packs, false, &Silent, &Interrupt::new());
    (bed, done.unwrap())
}

#[test]
fn damaged_packs_do_not_vouch_for_each_other() {
    let (bed, done) = repaired([5000, 5000]);
    assert!(done.iter().all(|pack| pack.lost == 1), "{done:?}");
    let newest = bed.open().live_snapshots()[0].0;
    let restored = bed.restore(&bed.open(), &newest);
    assert!(restored.is_err() || !restored.unwrap().problems.is_empty());
}

#[test]
fn what_several_damaged_packs_hold_is_saved_once() {
    for at in [[5000, 40_000], [40_000, 40_000]] {
        let (bed, done) = repaired(at);
        let sums: (u64, u64) = done
            .iter()
            .fold((0, 0), |sum, pack| (sum.0 + pack.saved, sum.1 + pack.lost));
        assert_eq!(sums, (1, 0), "{done:?}");
        for (id, _) in bed.open().live_snapshots() {
            bed.assert_restores(&bed.open(), &id, &bed.tree());
        }
    }
}

#[test]
fn of_condemned_copies_a_whole_one_is_taken_back() {
    let (bed, packs) = twins();
    let live = bed.open().live_snapshots();
    let ids: Vec<SnapshotId> = live.iter().map(|(id, _)| *id).collect();
    forget(&bed.open(), &ids);
    let patient = PruneOptions {
        grace: Duration::from_secs(3600),
        ..thorough()
    };
    prune_with(&bed.open(), &patient).unwrap();
    for pack in packs {
        let place = bed.place.fork();
        place.corrupt(&ObjectKind::Data.name(&pack.0), |bytes| bytes[5000] ^= 1);
        let open = || bed.open_anew(Arc::new(place.clone()), &password()).unwrap();
        let action = Action::Unforget {
            snapshots: ids.clone(),
            reprieve: vec![],
        };
        open().append(&mut |_| Ok(Some(action.clone()))).unwrap();
        prune_with(&open(), &thorough()).unwrap();
        for id in &ids {
            bed.assert_restores(&open(), id, &bed.tree());
        }
        assert_clean(&open());
    }
}

#[test]
fn a_condemned_copy_is_not_deleted_for_a_live_one_that_is_damaged() {
    let (bed, packs) = twins();
    let (live, condemned) = (packs[0], packs[1]);
    Other::new(&bed, &bed.place).append(Action::Condemn {
        packs: vec![condemned],
        objects: vec![],
        index_add: vec![],
        reprieve: vec![],
    });
    bed.place
        .corrupt(&ObjectKind::Data.name(&live.0), |bytes| bytes[5000] ^= 1);
    let pruned = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(pruned.reprieved, 1, "{pruned:?}");
    repair_packs(&bed.open(), &[live], false, &Silent, &Interrupt::new()).unwrap();
    let newest = bed.open().live_snapshots()[0].0;
    bed.assert_restores(&bed.open(), &newest, &bed.tree());
}

#[test]
fn of_condemned_copies_a_whole_one_does_for_what_is_committed_late() {
    let (bed, packs) = twins();
    let repo = bed.open();
    let mut snapshot = repo.load_snapshot(&repo.live_snapshots()[0].0).unwrap();
    snapshot.summary.time.seconds += 1;
    let late = repo.save_snapshot(&snapshot).unwrap();
    Other::new(&bed, &bed.place).append(Action::Condemn {
        packs: packs.clone(),
        objects: vec![],
        index_add: vec![],
        reprieve: vec![],
    });
    for pack in packs {
        let place = bed.place.fork();
        place.corrupt(&ObjectKind::Data.name(&pack.0), |bytes| bytes[5000] ^= 1);
        let open = || bed.open_anew(Arc::new(place.clone()), &password()).unwrap();
        let options = RepairLogOptions {
            snapshots: vec![late],
            dry_run: false,
        };
        let done = repair_log(&open(), &options, &Silent, &Interrupt::new()).unwrap();
        assert_eq!(done.snapshots[0].outcome, Ok(late));
        bed.assert_restores(&open(), &late, &bed.tree());
        prune_with(&open(), &thorough()).unwrap();
        bed.assert_restores(&open(), &late, &bed.tree());
    }
}
