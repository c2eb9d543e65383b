//! Whole operations in a place that overwrites: announced processes, a log that is a set, fences.

use super::class_c_history::{anew, entries, repeat_nothing};
use super::damage::findings;
use super::support::*;
use crate::backend::{Backend, Class, MemoryBackend, MemoryOptions};
use crate::format::entry::Action;
use crate::format::name::{parse_numbered, segment_open};
use crate::repo::Repo;
use std::sync::Arc;

fn place(class: Class) -> MemoryBackend {
    MemoryBackend::with(MemoryOptions {
        class,
        shuffle: Some(7),
        ..MemoryOptions::default()
    })
}

/// A bed whose place is of class C.
fn bed() -> Bed {
    let mut bed = Bed::empty();
    bed.place = place(Class::C);
    bed.init(Arc::new(bed.place.clone())).unwrap();
    bed.write("a", b"a small one");
    bed.write("b/large", &noise(1, 3 << 20 | 77));
    bed
}

/// Copies all objects to a new place, as somebody does by hand.
pub fn copied(from: &MemoryBackend, class: Class) -> MemoryBackend {
    let to = place(class);
    for (name, bytes) in from.objects() {
        to.put(&name, &bytes).unwrap();
    }
    to
}

fn backup_of(bed: &Bed, repo: &Repo) -> (crate::id::SnapshotId, Tree) {
    (bed.backup(repo).unwrap().snapshot.unwrap(), bed.tree())
}

#[test]
fn backups_stand_and_nobody_stays_announced() {
    let bed = bed();
    let first = backup_of(&bed, &bed.open());
    bed.write("b/more", &noise(2, 300 << 10));
    let second = backup_of(&bed, &bed.open());
    let repo = bed.open();
    assert_eq!(repo.state().class(), Class::C);
    for (id, tree) in [first, second] {
        bed.assert_restores(&repo, &id, &tree);
    }
    assert_clean(&repo);
    assert_eq!(names(&bed.place, "writers"), [""; 0]);
    let entries = names(&bed.place, "log");
    let named_for_a = |name: &&String| matches!(parse_numbered(name), Some((_, None)));
    assert_eq!(entries.iter().filter(named_for_a).count(), 0, "{entries:?}");
    assert!(entries.contains(&segment_open(1)));
}

#[test]
fn concurrent_appends_all_stand() {
    let bed = bed();
    let repos: Vec<Repo> = (0..4).map(|_| bed.open()).collect();
    // All of them have folded the same log; on class C nobody is told that others were faster.
    std::thread::scope(|scope| {
        for repo in &repos {
            scope.spawn(|| bed.backup(repo).unwrap());
        }
    });
    let repo = bed.open();
    assert_eq!(repo.live_snapshots().len(), 4);
    assert_clean(&repo);
}

#[test]
fn a_checkpoint_stands_for_what_came_before() {
    let bed = bed();
    let repo = bed.open();
    let mut made = Vec::new();
    for round in 0..20u64 {
        bed.write("b/changing", &noise(round, 10_000));
        made.push(backup_of(&bed, &repo));
    }
    assert_eq!(names(&bed.place, "checkpoints").len(), 1);
    let fresh = bed.open();
    assert_eq!(fresh.state().seen(), repo.state().seen());
    assert_eq!(fresh.live_snapshots(), repo.live_snapshots());
    bed.assert_restores(&fresh, &made[0].0, &made[0].1);
    assert_clean(&fresh);
    // An entry that it stands for and that no other repeats is missed by nobody.
    let place = bed.place.fork();
    repeat_nothing(&place);
    let mut entries = entries(&place);
    let (cut, gone) = (entries.remove(7), entries.remove(3));
    place.corrupt(&cut, |bytes| bytes.truncate(60));
    assert!(place.remove(&gone));
    let summary = check_all(&anew(&bed, &place));
    assert_eq!(findings(&summary), [""; 0]);
    assert_eq!(summary.absent, [gone, cut]);
    // Without it the fold is the same.
    for name in names(&bed.place, "checkpoints") {
        bed.place.delete(&name).unwrap();
    }
    assert_eq!(bed.open().live_snapshots(), repo.live_snapshots());
}

#[test]
fn a_repository_copied_to_a_weaker_place_goes_on_there() {
    let mut bed = Bed::empty();
    bed.init(Arc::new(bed.place.clone())).unwrap();
    bed.write("a", &noise(3, 400 << 10));
    let before = backup_of(&bed, &bed.open());
    bed.place = copied(&bed.place, Class::C);
    // Two find out at once.
    let repos = [bed.open(), bed.open()];
    std::thread::scope(|scope| {
        for repo in &repos {
            scope.spawn(|| bed.backup(repo).unwrap());
        }
    });
    let repo = bed.open();
    assert_eq!(repo.state().class(), Class::C);
    assert_eq!(repo.live_snapshots().len(), 3);
    bed.assert_restores(&repo, &before.0, &before.1);
    assert_clean(&repo);
    // One that had the old place open sees the end of the chain, and goes on with the set.
    let after = backup_of(&bed, &repos[0]);
    bed.assert_restores(&bed.open(), &after.0, &after.1);
    // Copied back, the log is still read as it was written.
    bed.place = copied(&bed.place, Class::A);
    let repo = bed.open();
    bed.assert_restores(&repo, &after.0, &after.1);
    let (id, tree) = backup_of(&bed, &repo);
    bed.assert_restores(&bed.open(), &id, &tree);
    assert_clean(&bed.open());
}

#[test]
fn a_process_that_was_taken_for_dead_begins_again() {
    let bed = bed();
    let slow = bed.open();
    let process = slow.announce().unwrap().unwrap();
    let before = process.nonce();
    let other = bed.open();
    let fenced = other.state().fenced_now(&[before]);
    other
        .append(&mut |_| {
            Ok(Some(Action::Fence {
                fenced: fenced.clone(),
            }))
        })
        .unwrap();
    other.refresh().unwrap();
    let seen = other.state().cut_off_now(&[0; 16]);
    // It wakes up: what it does under the old nonce is not accepted, so it begins again under another one.
    let made = backup_of(&bed, &slow);
    // A deletion that had seen nothing of it makes everything under the old nonce void.
    other
        .append(&mut |_| {
            Ok(Some(Action::Deleting {
                objects: vec![],
                index_drop: vec![],
                index_add: vec![],
                reprieve: vec![],
                fenced: seen.clone(),
            }))
        })
        .unwrap();
    drop(process);
    let repo = bed.open();
    assert!(repo.state().is_fenced(&before));
    assert!(repo.state().is_live(&made.0));
    bed.assert_restores(&repo, &made.0, &made.1);
    assert_clean(&repo);
    assert_eq!(names(&bed.place, "writers"), [""; 0]);
}

#[test]
fn a_log_that_was_put_back_is_refused() {
    let mut bed = bed();
    backup_of(&bed, &bed.open());
    let yesterday = copied(&bed.place, Class::C);
    backup_of(&bed, &bed.open());
    bed.place = yesterday;
    let refused = bed.open_on(Arc::new(bed.place.clone())).err().unwrap();
    assert_eq!(refused.kind(), crate::ErrorKind::RolledBack);
}
