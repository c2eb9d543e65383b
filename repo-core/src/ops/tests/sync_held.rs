//! Sync: when nothing is deleted in a replica, and that removed keys go all the same and stay away.

use super::prune::{forget, history_in, prune_with, thorough};
use super::support::*;
use super::sync::{assert_whole, mirror, packs_of, run};
use crate::backend::wrap::{Fault, Faults, Operation, Rule};
use crate::backend::{Backend, Class, MemoryBackend};
use crate::format::entry::{self, Action, EntryKind, ObjectRef};
use crate::format::key_slot::{Credential, Label};
use crate::format::name::{self, ObjectKind};
use crate::id::{KeyId, SnapshotId};
use crate::ops::HeldBack;
use crate::repo::{Repo, pack_object};
use std::collections::BTreeSet;
use std::io::ErrorKind as ErrorOf;
use std::ops::ControlFlow;
use std::sync::Arc;

type Kept = (SnapshotId, Tree);

/// A replica of a repository that was pruned since, and the snapshots.
fn behind(class: Class) -> (Bed, MemoryBackend, [Kept; 2]) {
    let (bed, snapshots) = history_in(class);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let repo = bed.open();
    forget(&repo, &[snapshots[0].0]);
    prune_with(&repo, &thorough()).unwrap();
    prune_with(&repo, &thorough()).unwrap();
    (bed, to, snapshots)
}

fn flip(place: &MemoryBackend, name: &str, at: usize) {
    let mut bytes = place.get(name).unwrap();
    bytes[at] ^= 1;
    place.put(name, &bytes).unwrap();
}

/// The number of the newest entry of the log that deletes.
fn newest_deleting(place: &MemoryBackend) -> u64 {
    let is_deleting = |number: &u64| {
        let file = place.get(&name::entry(*number)).unwrap();
        let (core, _) = entry::decode_file(&file).unwrap();
        entry::clear(core).unwrap().kind == EntryKind::Deleting as u16
    };
    let numbers = (1..).take_while(|n| place.size(&name::entry(*n)).unwrap().is_some());
    numbers
        .filter(is_deleting)
        .last()
        .expect("a prune was made")
}

#[test]
fn the_last_copy_stays_when_the_home_has_lost_what_a_prune_wrote() {
    for class in [Class::A, Class::C] {
        let (bed, to, [_, second]) = behind(class);
        let new = names(&bed.place, "data").into_iter();
        let new: Vec<String> = new
            .filter(|name| to.size(name).unwrap().is_none())
            .collect();
        assert!(!new.is_empty(), "a prune has rewritten something");
        let lost = bed.place.get(&new[0]).unwrap();
        bed.place.delete(&new[0]).unwrap();
        let (old, repo) = (packs_of(&to), bed.open());
        for by in [None, Some(&repo)] {
            let (done, problems) = run(&bed.place, &to, by, false);
            let done = done.unwrap();
            assert_eq!((done.held_back, done.deleted), (Some(HeldBack::Lacks), 0));
            assert!(done.held > 0 && problems.is_empty(), "{done:?}");
            let now = packs_of(&to);
            assert!(old.iter().all(|pack| now.contains(pack)));
        }
        bed.place.put(&new[0], &lost).unwrap();
        let done = mirror(&bed.place, &to).unwrap();
        assert!(done.held_back.is_none() && done.deleted > 0, "{done:?}");
        assert_eq!(to.objects(), bed.place.objects());
        assert_whole(&bed, &to, &[&second]);
    }
}

#[test]
fn what_an_entry_names_stays_when_the_log_is_damaged_or_takes_something_back() {
    let (bed, to, _) = behind(Class::A);
    let number = newest_deleting(&bed.place);
    bed.backup(&bed.open()).unwrap();
    let whole = bed.place.get(&name::entry(number)).unwrap();
    // Its sealed part only: what it names can be read as before.
    let (core, _) = entry::decode_file(&whole).unwrap();
    flip(&bed.place, &name::entry(number), 4 + core.len() - 1);
    for next in number + 1.. {
        // What later files repeat of it.
        let Ok(file) = bed.place.get(&name::entry(next)) else {
            break;
        };
        let (core, _) = entry::decode_file(&file).unwrap();
        bed.place
            .put(&name::entry(next), &entry::encode_file(core, &[]))
            .unwrap();
    }
    let (done, _) = run(&bed.place, &to, None, false);
    let done = done.unwrap();
    assert_eq!((done.held_back, done.deleted), (Some(HeldBack::Log), 0));

    let repo = bed.open();
    repo.void_unreadable().unwrap();
    bed.place.put(&name::entry(number), &whole).unwrap();
    let (done, _) = run(&bed.place, &to, None, false);
    let done = done.unwrap();
    assert_eq!((done.held_back, done.deleted), (Some(HeldBack::Unsaid), 0));
}

#[test]
fn who_has_no_key_deletes_nothing_that_an_older_version_has_deleted() {
    let (bed, _) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let pack = packs_of(&bed.place)[0];
    // It does not say what it rests on.
    Other::new(&bed, &bed.place).append(Action::Deleting {
        objects: vec![pack],
        index_drop: vec![],
        index_add: vec![],
        reprieve: vec![],
        fenced: vec![],
    });
    bed.place.delete(&pack.kind.name(&pack.id)).unwrap();
    let done = mirror(&bed.place, &to).unwrap();
    assert_eq!((done.held_back, done.held), (Some(HeldBack::Unsaid), 1));
    assert!(to.size(&pack.kind.name(&pack.id)).unwrap().is_some());
}

/// Whatever prunes deleted and replaced, what they say adds up to all packs that the index names.
#[test]
fn deletions_say_in_clear_what_they_rest_on() {
    for class in [Class::A, Class::C] {
        let (bed, _) = history_in(class);
        for round in 0..6u64 {
            bed.write("large", &noise(200 + round, 1 << 20));
            bed.write(&format!("dir0/{}", 4 * round), &noise(300 + round, 50_000));
            let repo = bed.open();
            bed.backup(&repo).unwrap();
            if round % 2 == 1 {
                let oldest = repo.live_snapshots()[0].0;
                forget(&repo, &[oldest]);
                prune_with(&repo, &thorough()).unwrap();
                prune_with(&repo, &thorough()).unwrap();
            }
        }
        let repo = bed.open();
        prune_with(&repo, &thorough()).unwrap();
        assert_says_all(&bed, &repo);
    }
}

fn assert_says_all(bed: &Bed, repo: &Repo) {
    let (mut said, mut deletings) = (BTreeSet::new(), 0);
    for name in names(&bed.place, "log")
        .iter()
        .filter(|name| !name.ends_with("open"))
    {
        let file = bed.place.get(name).unwrap();
        let clear = entry::clear(entry::decode_file(&file).unwrap().0).unwrap();
        if clear.kind == EntryKind::Deleting as u16 {
            deletings += 1;
            said.extend(clear.rests_on().expect("each says it"));
        }
    }
    assert!(deletings >= 3);
    let mut packs = 0;
    repo.index()
        .packs(&mut |pack, _| {
            packs += 1;
            let object = ObjectRef {
                kind: pack_object(pack.kind),
                id: pack.id.0,
            };
            assert!(said.contains(&object), "{object:?}");
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert!(packs > 3);
}

/// A replica from before a key was removed, its ID, and what it opens with.
fn with_removed_key() -> (Bed, MemoryBackend, KeyId, Credential, Kept) {
    let (bed, [_, second]) = history_in(Class::A);
    let repo = bed.open();
    let old = Credential::password("old");
    let id = repo.key_add(&old, CHEAP, &Label::default()).unwrap();
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    repo.key_remove(&id).unwrap();
    (bed, to, id, old, second)
}

#[test]
fn a_removed_key_does_not_come_back() {
    let (bed, to, id, old, second) = with_removed_key();
    // The replica gets the log, and dies before it deletes the key; then it is to heal the home.
    mirror(&bed.place, &to).unwrap();
    let slot = ObjectKind::Key.name(&id.0);
    let copy = MemoryBackend::new();
    mirror(&to, &copy).unwrap();
    let (older, ..) = with_removed_key();
    to.put(
        &slot,
        &older.place.get(&names(&older.place, "keys")[0]).unwrap(),
    )
    .unwrap();
    let pack = &names(&bed.place, "data")[0];
    bed.place.delete(pack).unwrap();
    let done = mirror(&to, &bed.place).unwrap();
    assert_eq!((done.keys_left_out, done.objects), (1, 1));
    assert!(bed.place.size(&slot).unwrap().is_none());
    assert!(bed.open_anew(Arc::new(bed.place.clone()), &old).is_err());
    assert_whole(&bed, &bed.place, &[&second]);
}

#[test]
fn a_removed_key_goes_whatever_else_is_damaged() {
    let (bed, to, id, ..) = with_removed_key();
    bed.write("new", &noise(5, 100_000));
    bed.backup(&bed.open()).unwrap();
    let new = names(&bed.place, "data").into_iter();
    let mut new = new.filter(|name| to.size(name).unwrap().is_none());
    flip(&bed.place, &new.next().unwrap(), 1000);
    let (done, problems) = run(&bed.place, &to, None, false);
    assert_eq!((done.unwrap().deleted, problems.len()), (1, 1));
    assert!(to.size(&ObjectKind::Key.name(&id.0)).unwrap().is_none());
}

#[test]
fn a_removed_key_goes_from_a_replica_that_is_full() {
    let (bed, to, id, ..) = with_removed_key();
    bed.write("new", &noise(5, 100_000));
    bed.backup(&bed.open()).unwrap();
    let full = Rule::new(Fault::Before(ErrorOf::StorageFull)).on(&[Operation::Put]);
    let faults = Faults::new(Arc::new(to.clone())).rule(full.times(u64::MAX));
    for by in [None, Some(&bed.open())] {
        let (done, _) = run(&bed.place, &faults, by, false);
        assert!(done.unwrap_err().is_full());
        assert!(to.size(&ObjectKind::Key.name(&id.0)).unwrap().is_none());
    }
}

/// An entry of somebody who may not remove keys must not keep them out of a new copy.
#[test]
fn a_new_copy_gets_the_keys_that_the_source_has() {
    let (bed, [_, second]) = history_in(Class::A);
    let repo = bed.open();
    let action = Action::Roles {
        members: vec![],
        removed: vec![repo.key()],
    };
    let thief = Other {
        signer: crate::crypto::Signer::from_seed(&crate::crypto::Secret::new([9; 32])),
        ..Other::new(&bed, &bed.place)
    };
    thief.append(action);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    assert_whole(&bed, &to, &[&second]);
    assert_eq!(mirror(&bed.place, &to).unwrap().deleted, 0);
}
