//! Several copies of a blob none of which can be read: what may pass is said before what is final, for another copy may still hold it.

use super::support::*;
use crate::backend::MemoryBackend;
use crate::backend::wrap::{Fault, Faults, Operation, Rule};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Subject};
use crate::format::name::ObjectKind;
use crate::id::BlobId;
use crate::index::Location;
use crate::repo::Repo;
use std::io;
use std::sync::Arc;

/// Backs the source up `count` times at once, so that each stores what the others do.
fn back_up_at_once(bed: &Arc<Bed>, count: u32) {
    if count == 0 {
        return;
    }
    let others = bed.clone();
    let backend = Meanwhile::before(&bed.place, "data", 1, move |_| {
        back_up_at_once(&others, count - 1);
    });
    let repo = bed.open_anew(Arc::new(backend), &password()).unwrap();
    bed.backup(&repo).unwrap();
}

/// A data blob that is stored so often, and the packs that it lies in, in the order in which they are tried.
fn stored(bed: &Bed, count: usize) -> (BlobId, Vec<String>) {
    let repo = bed.open();
    let often = copies(&repo).into_iter().filter(|(_, n)| *n == count);
    for (id, _) in often {
        let packs = repo
            .index()
            .copies(&id)
            .unwrap()
            .into_iter()
            .map(|location| {
                let info = repo.index().pack_of(&location).unwrap();
                (info.kind, ObjectKind::Data.name(&info.id.0))
            });
        let packs: Vec<_> = packs.collect();
        if packs.iter().all(|(kind, _)| *kind == BlobType::Data) {
            return (id, packs.into_iter().map(|(_, name)| name).collect());
        }
    }
    panic!("nothing is stored so often");
}

/// Makes a pack one that is lost: not there, or damaged all over.
fn lose(place: &MemoryBackend, pack: &str, removed: bool) {
    match removed {
        true => assert!(place.remove(pack)),
        false => place.corrupt(pack, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1)),
    }
}

/// Why an object cannot be read for now, and what that is called.
const PASSING: [(io::ErrorKind, ErrorKind); 2] = [
    (io::ErrorKind::PermissionDenied, ErrorKind::Denied),
    (io::ErrorKind::TimedOut, ErrorKind::Unavailable),
];

/// Calls `each` with places where of these two packs one is lost and the other cannot be read for now, in either order.
fn for_each_failure(bed: &Bed, packs: [&String; 2], each: &dyn Fn(&Repo, ErrorKind, &str)) {
    for (lost, refused) in [(0, 1), (1, 0)] {
        for removed in [true, false] {
            for (cause, kind) in PASSING {
                let place = bed.place.fork();
                lose(&place, packs[lost], removed);
                let refuses = Rule::new(Fault::Before(cause))
                    .on(&[Operation::Get, Operation::GetRange])
                    .object(packs[refused])
                    .times(u64::MAX);
                let backend = Faults::new(Arc::new(place)).rule(refuses);
                let repo = bed.open_anew(Arc::new(backend), &password()).unwrap();
                each(&repo, kind, &format!("lost {lost}, removed {removed}"));
            }
        }
    }
}

#[test]
fn what_may_pass_is_said_whichever_copy_comes_first() {
    let bed = Arc::new(Bed::new());
    bed.write("file", &noise(1, 40_000));
    back_up_at_once(&bed, 2);
    let (id, packs) = stored(&bed, 2);
    for_each_failure(&bed, [&packs[0], &packs[1]], &|repo, kind, what| {
        let error = repo.read_blob(BlobType::Data, &id).unwrap_err();
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(!error.is_lost());
    });
    // With both lost it is lost, and with either there it is read.
    for (n, pack) in packs.iter().enumerate() {
        let place = bed.place.fork();
        lose(&place, pack, true);
        let open = || bed.open_anew(Arc::new(place.clone()), &password()).unwrap();
        assert!(!open().read_blob(BlobType::Data, &id).unwrap().is_empty());
        lose(&place, &packs[1 - n], false);
        let error = open().read_blob(BlobType::Data, &id).unwrap_err();
        assert!(error.is_lost(), "{error}");
    }
}

#[test]
fn so_it_is_where_one_copy_is_known_to_be_bad() {
    let bed = Arc::new(Bed::new());
    bed.write("file", &noise(1, 40_000));
    back_up_at_once(&bed, 3);
    let (id, packs) = stored(&bed, 3);
    let why = Error::damaged(Subject::None).detail("bad");
    for bad in 0..3 {
        let others: Vec<&String> = (0..3).filter(|n| *n != bad).map(|n| &packs[n]).collect();
        for_each_failure(&bed, [others[0], others[1]], &|repo, kind, what| {
            let name = |location: &Location| {
                let info = repo.index().pack_of(location).unwrap();
                ObjectKind::Data.name(&info.id.0)
            };
            let mut found = repo.index().copies(&id).unwrap();
            found.retain(|location| name(location) == packs[bad]);
            let read = repo.read_other_copy(BlobType::Data, &id, (&found[0], &why));
            let error = read.unwrap_err();
            assert_eq!(error.kind(), kind, "{bad}, {what}: {error}");
        });
    }
}
