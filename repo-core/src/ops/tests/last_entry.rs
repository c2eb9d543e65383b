//! The newest log entry is damaged or gone, and nothing repeats it: what it committed is named.

use super::damage::findings;
use super::support::*;
use crate::backend::{Backend, MemoryBackend};
use crate::error::ErrorKind;
use crate::format::name;
use crate::id::SnapshotId;
use std::sync::Arc;

/// A place with two snapshots, the newest one, and the number of its entry.
fn two_snapshots() -> (Bed, SnapshotId, u64) {
    let bed = Bed::new();
    let repo = bed.open();
    bed.write("a", &noise(1, 100 << 10));
    bed.backup(&repo).unwrap();
    bed.write("b", &noise(2, 100 << 10));
    let newest = bed.backup(&repo).unwrap().snapshot.unwrap();
    let number = repo.state().tail().number;
    (bed, newest, number)
}

fn flipped(bed: &Bed, number: u64) -> MemoryBackend {
    let place = bed.place.fork();
    place.corrupt(&name::entry(number), |bytes| bytes[100] ^= 1);
    place
}

#[test]
fn damaged_it_is_named_with_its_snapshot_and_is_no_older_log() {
    let (bed, newest, number) = two_snapshots();
    let place = Arc::new(flipped(&bed, number));
    // By a client that has seen it, and by one that has not.
    let clients = [
        bed.open_on(place.clone()),
        bed.open_anew(place, &password()),
    ];
    for repo in clients {
        let repo = repo.unwrap();
        assert_eq!(repo.live_snapshots().len(), 1);
        let summary = check_all(&repo);
        let lines = findings(&summary);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(&format!("log entry {number}: damaged")));
        let which = format!("it may commit snapshot {} ", newest.short());
        assert!(lines[0].contains(&which), "{lines:?}");
        assert_eq!(summary.findings[0].affected, [(newest, bed.source())]);
    }
    // Put right, nothing has changed for anybody.
    let repo = bed.open();
    assert_eq!(repo.live_snapshots().len(), 2);
    assert_clean(&repo);
}

#[test]
fn a_damaged_one_that_others_repeat_is_no_older_log_either() {
    let (bed, _, number) = two_snapshots();
    let client = bed.open();
    let later = bed.place.fork();
    let other = bed.open_anew(Arc::new(later.clone()), &password()).unwrap();
    bed.backup(&other).unwrap();
    drop(client);
    for position in [0, 100, 400] {
        let place = later.fork();
        place.corrupt(&name::entry(number), |bytes| {
            let at = position % bytes.len();
            bytes[at] ^= 1;
        });
        let repo = bed.open_on(Arc::new(place)).unwrap();
        assert_eq!(repo.live_snapshots().len(), 3);
        let lines = findings(&check_all(&repo));
        assert!(
            lines[0].starts_with(&format!("log entry {number}: ")),
            "{lines:?}"
        );
    }
}

#[test]
fn gone_it_is_an_older_log_for_who_saw_it_and_its_snapshot_is_named_to_others() {
    let (bed, newest, number) = two_snapshots();
    let place = bed.place.fork();
    place.remove(&name::entry(number));
    let error = bed.open_on(Arc::new(place.clone())).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::RolledBack);
    let repo = bed.open_anew(Arc::new(place), &password()).unwrap();
    let summary = check_all(&repo);
    assert_eq!(findings(&summary), [""; 0]);
    let [(id, which)] = &summary.uncommitted[..] else {
        panic!("{:?}", summary.uncommitted);
    };
    assert_eq!(*id, newest);
    assert!(
        which.contains(&bed.source().display().to_string()),
        "{which}"
    );
}

#[test]
fn an_older_log_that_is_filled_up_with_something_else_is_no_silent_one() {
    let (bed, _, number) = two_snapshots();
    let place = bed.place.fork();
    place.remove(&name::entry(number));
    place.put(&name::entry(number), b"no entry").unwrap();
    let repo = bed.open_on(Arc::new(place)).unwrap();
    assert_eq!(repo.state().unreadable().count(), 1);
}
