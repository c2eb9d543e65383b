//! Sync: when nothing is deleted in a replica, and that removed keys go all the same and stay away.

use super::prune::{forget, history_in, prune_with, thorough};
use super::support::*;
use super::sync::{assert_whole, content, mirror, packs_of, run};
use crate::backend::wrap::{Fault, Faults, Operation, Rule};
use crate::backend::{Backend, Class, MemoryBackend};
use crate::format::entry::{self, Action, EntryKind, ObjectRef};
use crate::format::key_slot::{Credential, Label};
use crate::format::name::{self, ObjectKind};
use crate::id::{KeyId, SnapshotId};
use crate::ops::{HeldBack, PruneOptions, SyncOptions, sync};
use crate::progress::Interrupt;
use crate::repo::{Repo, pack_object};
use std::collections::BTreeSet;
use std::io::ErrorKind as ErrorOf;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

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
        let cut = &lost[..lost.len() / 2];
        for (by, there) in [(None, false), (Some(&repo), false), (None, true)] {
            if there {
                to.put(&new[0], cut).unwrap();
            }
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
        assert_eq!(content(&to), content(&bed.place));
        assert_whole(&bed, &to, &[&second]);
    }
}

#[test]
fn the_last_copy_stays_also_where_the_log_has_come_already() {
    let (bed, to, _) = behind(Class::A);
    let new = names(&bed.place, "data").into_iter();
    let mut new = new.filter(|name| to.size(name).unwrap().is_none());
    let lost = new.next().unwrap();
    let crash = Rule::new(Fault::CrashBefore).on(&[Operation::Delete]);
    let faults = Faults::new(Arc::new(to.clone())).rule(crash);
    run(&bed.place, &faults, None, false).0.unwrap_err();
    assert!(to.remove(&lost) && bed.place.remove(&lost));
    for by in [None, Some(&bed.open())] {
        let (done, _) = run(&bed.place, &to, by, false);
        let done = done.unwrap();
        assert_eq!((done.held_back, done.deleted), (Some(HeldBack::Lacks), 0));
        assert_eq!((done.entries_held, done.entries), (0, 0));
    }
}

#[test]
fn a_snapshot_stays_while_another_is_nowhere() {
    let (bed, snapshots) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let repo = bed.open();
    let new = bed.backup(&repo).unwrap().snapshot.unwrap();
    forget(&repo, &snapshots.map(|(id, _)| id));
    prune_with(&repo, &thorough()).unwrap();
    prune_with(&repo, &thorough()).unwrap();
    assert!(bed.place.remove(&ObjectKind::Snapshot.name(&new.0)));
    let there = names(&to, ObjectKind::Snapshot.folder());
    for by in [None, Some(&repo)] {
        let (done, _) = run(&bed.place, &to, by, false);
        assert_eq!(done.unwrap().held_back, Some(HeldBack::Lacks));
        assert_eq!(names(&to, ObjectKind::Snapshot.folder()), there);
    }
}

#[test]
fn the_last_key_slot_stays() {
    let (bed, _) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let repo = bed.open();
    let old = names(&bed.place, "keys");
    let second = Credential::password("second");
    repo.key_add(&second, CHEAP, &Label::default()).unwrap();
    let other = bed.open_anew(Arc::new(bed.place.clone()), &second).unwrap();
    let (_, id) = ObjectKind::parse(&old[0]).unwrap();
    other.key_remove(&KeyId(id)).unwrap();
    let new = names(&bed.place, "keys").remove(0);
    let slot = bed.place.get(&new).unwrap();
    assert!(bed.place.remove(&new));
    let (done, problems) = run(&bed.place, &to, None, false);
    assert!(done.unwrap().problems > 0, "{problems:?}");
    assert!(problems.iter().any(|p| p.contains("no whole key slot")));
    assert_eq!(names(&to, "keys"), old);
    let dry = SyncOptions {
        dry_run: true,
        ..SyncOptions::default()
    };
    let foretell = || {
        let listener = Listener::default();
        let done = sync(&bed.place, &to, None, &dry, &listener, &Interrupt::new());
        (done.unwrap().deleted, listener.problems().len())
    };
    assert_eq!(foretell(), (0, 1));
    bed.place.put(&new, &slot).unwrap();
    assert_eq!(foretell(), (1, 0));
    mirror(&bed.place, &to).unwrap();
    assert_eq!(names(&to, "keys"), [new]);
}

#[test]
fn another_repository_without_its_config_is_not_written_over() {
    let (theirs, _) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&theirs.place, &to).unwrap();
    assert!(to.remove(name::CONFIG));
    let before = to.objects();
    let (bed, _) = history_in(Class::A);
    for _ in 0..4 {
        bed.backup(&bed.open()).unwrap();
    }
    let repo = bed.open();
    for by in [None, Some(&repo)] {
        for read_data in [false, true] {
            let (done, _) = run(&bed.place, &to, by, read_data);
            done.unwrap_err();
            let entry = name::entry(1);
            assert_eq!(to.get(&entry).unwrap(), before[&entry]);
            assert!(to.size(name::CONFIG).unwrap().is_none());
        }
    }
}

/// Damages the sealed part of an entry, of which everything else can be read as before, and leaves no copy in other files.
fn spoil_entry(place: &MemoryBackend, number: u64) {
    let whole = place.get(&name::entry(number)).unwrap();
    let (core, _) = entry::decode_file(&whole).unwrap();
    flip(place, &name::entry(number), 4 + core.len() - 1);
    for next in number + 1.. {
        let Ok(file) = place.get(&name::entry(next)) else {
            break;
        };
        let (core, _) = entry::decode_file(&file).unwrap();
        let alone = entry::encode_file(core, &[]);
        place.put(&name::entry(next), &alone).unwrap();
    }
}

#[test]
fn with_a_key_too_nothing_goes_while_an_entry_cannot_be_read() {
    let (bed, to, _) = behind(Class::A);
    bed.backup(&bed.open()).unwrap();
    // Who knows whether it forgets.
    let number = newest_deleting(&bed.place) - 2;
    spoil_entry(&bed.place, number);
    let repo = bed.open_anew(Arc::new(bed.place.clone()), &password());
    let repo = repo.unwrap();
    assert!(repo.state().deleted().count() > 0);
    let (done, _) = run(&bed.place, &to, Some(&repo), false);
    let done = done.unwrap();
    assert_eq!((done.held_back, done.deleted), (Some(HeldBack::Log), 0));
}

#[test]
fn what_an_entry_names_stays_when_the_log_is_damaged_or_takes_something_back() {
    let (bed, to, _) = behind(Class::A);
    let number = newest_deleting(&bed.place);
    bed.backup(&bed.open()).unwrap();
    let whole = bed.place.get(&name::entry(number)).unwrap();
    spoil_entry(&bed.place, number);
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

/// The home has lost what a prune wrote: a replica that has not seen that yet stays what it was, and reads what it read.
#[test]
fn what_a_replica_reads_it_reads_on_when_the_home_has_lost_what_a_prune_wrote() {
    for (class, by_key) in [
        (Class::A, false),
        (Class::A, true),
        (Class::C, false),
        (Class::C, true),
    ] {
        let (bed, to, [first, second]) = behind(class);
        let new = names(&bed.place, "data").into_iter();
        let new: Vec<String> = new
            .filter(|name| to.size(name).unwrap().is_none())
            .collect();
        let lost = bed.place.get(&new[0]).unwrap();
        bed.place.corrupt(&new[0], |pack| pack[100] ^= 1);
        let repo = bed.open();
        let by = by_key.then_some(&repo);
        for damaged in [true, false] {
            if !damaged {
                bed.place.remove(&new[0]);
            }
            let options = SyncOptions {
                dry_run: true,
                ..SyncOptions::default()
            };
            let listener = Listener::default();
            let foretold = sync(&bed.place, &to, by, &options, &listener, &Interrupt::new());
            let (done, problems) = run(&bed.place, &to, by, false);
            let done = done.unwrap();
            assert_eq!((done.entries, done.deleted), (0, 0));
            assert!(done.entries_held >= 3, "{done:?}");
            assert_eq!(problems.len(), usize::from(damaged), "{problems:?}");
            if !damaged {
                assert_eq!(foretold.unwrap().entries_held, done.entries_held);
            }
            assert_whole(&bed, &to, &[&first, &second]);
        }
        // Also what comes later waits, but for keys.
        bed.write("more", &noise(7, 1000));
        bed.backup(&bed.open()).unwrap();
        assert_eq!(run(&bed.place, &to, by, false).0.unwrap().entries, 0);
        assert_whole(&bed, &to, &[&first, &second]);
        bed.place.put(&new[0], &lost).unwrap();
        assert_eq!(mirror(&bed.place, &to).unwrap().entries_held, 0);
        assert_eq!(content(&to), content(&bed.place));
        assert_whole(&bed, &to, &[&second]);
    }
}

#[test]
fn removed_keys_go_and_new_ones_come_while_entries_wait() {
    let (bed, to, [first, second]) = behind(Class::A);
    let new = names(&bed.place, "data").into_iter();
    let mut new = new.filter(|name| to.size(name).unwrap().is_none());
    bed.place.remove(&new.next().unwrap());
    let repo = bed.open();
    let old = repo.key();
    let credential = Credential::password("second");
    repo.key_add(&credential, CHEAP, &Label::default()).unwrap();
    let other = bed.open_anew(Arc::new(bed.place.clone()), &credential);
    other.unwrap().key_remove(&old).unwrap();
    let (done, _) = run(&bed.place, &to, None, false);
    let done = done.unwrap();
    assert!(done.entries == 0 && done.entries_held > 0, "{done:?}");
    assert!(to.size(&ObjectKind::Key.name(&old.0)).unwrap().is_none());
    let there = bed.open_anew(Arc::new(to.clone()), &credential).unwrap();
    for (id, tree) in [&first, &second] {
        bed.assert_restores(&there, id, tree);
    }
}

/// What was condemned is read on when what was written instead is lost.
#[test]
fn a_replica_reads_what_is_condemned_when_the_home_has_lost_its_copy() {
    let (bed, snapshots) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let repo = bed.open();
    forget(&repo, &[snapshots[0].0]);
    let grace = PruneOptions {
        grace: Duration::from_secs(1 << 20),
        ..thorough()
    };
    prune_with(&repo, &grace).unwrap();
    let new = names(&bed.place, "data").into_iter();
    let new = new.filter(|name| to.size(name).unwrap().is_none());
    let new: Vec<String> = new.collect();
    assert!(!new.is_empty());
    assert!(new.iter().all(|name| bed.place.remove(name)));
    let (done, _) = run(&bed.place, &to, None, false);
    assert!(done.unwrap().entries > 0);
    let there = bed.open_anew(Arc::new(to), &password()).unwrap();
    bed.assert_restores(&there, &snapshots[1].0, &snapshots[1].1);
}

#[test]
fn a_key_goes_though_the_entry_that_says_so_is_only_repeated() {
    let (bed, to, id, ..) = with_removed_key();
    bed.write("new", &noise(5, 1000));
    bed.backup(&bed.open()).unwrap();
    let newest = bed.open().state().tail().number;
    assert!(bed.place.remove(&name::entry(newest - 1)));
    let (done, problems) = run(&bed.place, &to, None, false);
    assert_eq!(
        (done.unwrap().deleted, problems.len()),
        (1, 1),
        "{problems:?}"
    );
    assert!(to.size(&ObjectKind::Key.name(&id.0)).unwrap().is_none());
}
