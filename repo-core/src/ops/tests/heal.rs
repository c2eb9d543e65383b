//! What a repository has lost is read from another place of it, and put back.

use super::prune::{forget, history_in, prune_with, thorough};
use super::support::*;
use super::sync::mirror;
use crate::backend::wrap::{Counting, Fault, Faults, Operation, Rule};
use crate::backend::{Backend, Class, MemoryBackend, MemoryOptions};
use crate::error::ErrorKind;
use crate::id::SnapshotId;
use crate::ops::heal;
use crate::repo::Repo;
use std::io::ErrorKind::{PermissionDenied, TimedOut};
use std::sync::Arc;

const FOLDERS: [&str; 4] = ["data", "meta", "index", "snapshots"];

/// A repository of two snapshots, and a replica.
fn mirrored() -> (Bed, [(SnapshotId, Tree); 2], MemoryBackend) {
    let (bed, made) = history_in(Class::A);
    let replica = MemoryBackend::new();
    mirror(&bed.place, &replica).unwrap();
    (bed, made, replica)
}

fn open_with(bed: &Bed, place: Arc<dyn Backend>, also: &MemoryBackend) -> Repo {
    let repo = bed.open_anew(place, &password()).unwrap();
    repo.read_also(vec![Arc::new(also.clone())]).unwrap();
    repo
}

#[test]
fn whatever_is_lost_is_read_elsewhere_and_put_back() {
    let (bed, made, replica) = mirrored();
    for is_there in [false, true] {
        for folder in FOLDERS {
            let place = bed.place.fork();
            let objects = names(&place, folder);
            for object in &objects {
                match is_there {
                    true => place.corrupt(object, |bytes| bytes.iter_mut().for_each(|b| *b ^= 1)),
                    false => assert!(place.remove(object)),
                }
            }
            let repo = open_with(&bed, Arc::new(place.clone()), &replica);
            for (id, tree) in &made {
                bed.assert_restores(&repo, id, tree);
            }
            let healed = heal(&repo).unwrap();
            let what = format!("{folder}, there: {is_there}");
            assert_eq!(healed.back, objects.len() as u64, "{what}");
            assert_eq!(healed.places, [replica.place()], "{what}");
            assert!(healed.failed.is_empty(), "{what}");
            assert_eq!(place.objects(), bed.place.objects(), "{what}");
        }
    }
}

#[test]
fn a_place_that_holds_something_else_gives_nothing() {
    let (bed, [(id, _), _], replica) = mirrored();
    for object in names(&bed.place, "data") {
        replica.corrupt(&object, |bytes| bytes.rotate_left(100));
        assert!(bed.place.remove(&object));
    }
    let before = bed.place.objects();
    let repo = open_with(&bed, Arc::new(bed.place.clone()), &replica);
    let restored = bed.restore(&repo, &id).unwrap();
    assert!(!restored.problems.is_empty());
    assert_eq!(heal(&repo).unwrap().back, 0);
    assert_eq!(bed.place.objects(), before);
}

#[test]
fn what_is_deleted_meanwhile_stays_deleted() {
    let (bed, [first, second], replica) = mirrored();
    let repo = open_with(&bed, Arc::new(bed.place.clone()), &replica);
    let data = names(&bed.place, "data");
    let other = bed.open();
    forget(&other, &[first.0]);
    prune_with(&other, &thorough()).unwrap();
    prune_with(&other, &thorough()).unwrap();
    let left = names(&bed.place, "data");
    assert!(data.iter().any(|pack| !left.contains(pack)));
    bed.assert_restores(&repo, &first.0, &first.1);
    assert!(!repo.had_elsewhere().is_empty());
    heal(&repo).unwrap();
    assert_eq!(names(&bed.place, "data"), left);
    bed.assert_restores(&bed.open(), &second.0, &second.1);
    assert_clean(&bed.open());
}

#[test]
fn what_cannot_be_put_back_is_named() {
    let (bed, [_, (id, tree)], replica) = mirrored();
    for object in names(&bed.place, "data") {
        assert!(bed.place.remove(&object));
    }
    let refused = Rule::new(Fault::Before(PermissionDenied)).on(&[Operation::Put]);
    let faults = Faults::new(Arc::new(bed.place.clone())).rule(refused.times(1000));
    let repo = open_with(&bed, Arc::new(faults), &replica);
    bed.assert_restores(&repo, &id, &tree);
    let healed = heal(&repo).unwrap();
    assert_eq!(healed.back, 0);
    assert!(!healed.failed.is_empty());
    for (object, error) in &healed.failed {
        assert!(object.starts_with("data/"));
        assert_eq!(error.kind(), ErrorKind::Denied);
    }
}

#[test]
fn a_place_that_does_not_answer_is_no_loss_and_is_asked_last() {
    let (bed, [_, (id, tree)], replica) = mirrored();
    let away = Rule::new(Fault::Before(TimedOut)).on(&[Operation::GetRange]);
    let faults = Arc::new(Faults::new(Arc::new(bed.place.clone())).rule(away.times(1000)));
    let repo = open_with(&bed, faults.clone(), &replica);
    bed.assert_restores(&repo, &id, &tree);
    assert!(repo.had_elsewhere().is_empty());
    let before = faults.struck();
    assert!(before > 0);
    bed.assert_restores(&repo, &id, &tree);
    assert_eq!(faults.struck(), before);
}

#[test]
fn what_lies_on_another_machine_is_read_from_a_place_on_this_one() {
    let (bed, [_, (id, tree)], replica) = mirrored();
    let far = MemoryBackend::with(MemoryOptions {
        remote: true,
        ..MemoryOptions::default()
    });
    mirror(&bed.place, &far).unwrap();
    let far = Arc::new(Counting::new(Arc::new(far)));
    let repo = open_with(&bed, far.clone(), &replica);
    bed.assert_restores(&repo, &id, &tree);
    assert_eq!(far.total(Operation::GetRange).calls, 0);
    assert!(repo.had_elsewhere().is_empty());
}
