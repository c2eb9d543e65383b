//! Entries of the log that are missing somewhere, and files among them that do not belong there: what was committed stays.

use super::damage::findings;
use super::support::*;
use crate::backend::{Backend, MemoryBackend};
use crate::error::ErrorKind;
use crate::format::name;
use crate::id::SnapshotId;
use crate::ops::{Harm, RepairLogOptions, repair_log};
use crate::progress::{Interrupt, Silent};
use crate::repo::Repo;
use std::sync::Arc;

/// A place with a log of this many entries, and its snapshots.
fn place(entries: u64) -> (Bed, Vec<SnapshotId>) {
    let bed = Bed::new();
    let repo = bed.open();
    let mut made = Vec::new();
    while repo.state().tail().number < entries {
        bed.write("changing", &noise(repo.state().tail().number, 1000));
        made.push(bed.backup(&repo).unwrap().snapshot.unwrap());
    }
    (bed, made)
}

/// Opened by a client that saw the whole log, and by one that never did.
fn clients(bed: &Bed, place: &MemoryBackend) -> [crate::Result<Repo>; 2] {
    let place: Arc<dyn Backend> = Arc::new(place.clone());
    [
        bed.open_on(place.clone()),
        bed.open_anew(place, &password()),
    ]
}

fn is_live(repo: &Repo, id: &SnapshotId) -> bool {
    repo.state().is_live(id)
}

#[test]
fn a_missing_entry_hides_no_other_and_is_named() {
    for entries in [6, 40] {
        let (bed, made) = place(entries);
        for gone in 2..entries {
            let place = bed.place.fork();
            place.remove(&name::entry(gone));
            for repo in clients(&bed, &place) {
                let repo = repo.unwrap();
                let lost = made.iter().filter(|id| !is_live(&repo, id)).count();
                // Of one divisible by sixteen nothing tells but a checkpoint, which the last one here is.
                let known = repo.state().unreadable().count();
                assert_eq!(lost, known, "without {gone} of {entries}");
                assert!(
                    lost == 0 || gone.is_multiple_of(16),
                    "without {gone} of {entries}"
                );
                let summary = check_with(&repo, false).unwrap();
                let lines = findings(&summary);
                let named = format!("log entry {gone}: missing");
                assert!(lines[0].starts_with(&named), "{lines:?}");
                assert_eq!(lines.len(), 1, "{lines:?}");
                if lost == 0 {
                    assert_eq!(summary.findings[0].harm, Harm::None);
                }
                assert!(is_live(&repo, made.last().unwrap()));
            }
        }
    }
}

#[test]
fn what_is_committed_over_a_hole_stays() {
    let (bed, made) = place(6);
    let place = bed.place.fork();
    place.remove(&name::entry(4));
    place.remove(&name::entry(5));
    let repo = bed.open_anew(Arc::new(place.clone()), &password()).unwrap();
    assert!(made.iter().all(|id| is_live(&repo, id)));
    let new = bed.backup(&repo).unwrap().snapshot.unwrap();
    assert_eq!(repo.state().tail().number, 7);
    let later = bed.open_anew(Arc::new(place.clone()), &password()).unwrap();
    bed.backup(&later).unwrap();
    let last = bed.open_anew(Arc::new(place), &password()).unwrap();
    assert!(made.iter().chain([&new]).all(|id| is_live(&last, id)));
}

/// What may lie under the name of an entry and be none: another repository's, a copy of another one, nothing at all.
fn strangers(bed: &Bed, number: u64) -> Vec<Vec<u8>> {
    let (other, _) = place(number);
    vec![
        other.place.get(&name::entry(number)).unwrap(),
        bed.place.get(&name::entry(5)).unwrap(),
        noise(1, 5000),
        Vec::new(),
    ]
}

#[test]
fn a_stranger_behind_the_log_hides_nothing_and_stops_what_would_follow_it() {
    let (bed, made) = place(6);
    for stranger in strangers(&bed, 7) {
        let place = bed.place.fork();
        place.put(&name::entry(7), &stranger).unwrap();
        for repo in clients(&bed, &place) {
            let repo = repo.unwrap();
            assert!(made.iter().all(|id| is_live(&repo, id)));
            let summary = check_with(&repo, false).unwrap();
            let lines = findings(&summary);
            assert!(
                lines.len() == 1 && lines[0].starts_with("log entry 7: "),
                "{lines:?}"
            );
            let error = bed.backup(&repo).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Damaged);
            assert!(
                error
                    .to_string()
                    .starts_with("log entry 7: damaged: is the newest one")
            );
            assert!(place.get(&name::entry(8)).is_err());
        }
        // Moved away, nothing has been.
        place.remove(&name::entry(7));
        let repo = bed.open_anew(Arc::new(place), &password()).unwrap();
        bed.backup(&repo).unwrap();
        assert_clean(&repo);
    }
}

#[test]
fn a_stranger_beyond_the_log_costs_nothing_until_it_is_reached() {
    let (bed, made) = place(6);
    for at in [8, 16, 64] {
        for stranger in strangers(&bed, 8) {
            let place = bed.place.fork();
            place.put(&name::entry(at), &stranger).unwrap();
            for repo in clients(&bed, &place) {
                let repo = repo.unwrap();
                assert_eq!(repo.state().tail().number, 6, "{at}");
                assert!(made.iter().all(|id| is_live(&repo, id)));
                let lines = findings(&check_with(&repo, false).unwrap());
                assert!(
                    lines.len() == 1 && lines[0].contains(&format!("/{at}")),
                    "{lines:?}"
                );
            }
            if at > 8 || !is_entry(&bed, &stranger, at) {
                let repo = bed.open_anew(Arc::new(place.clone()), &password()).unwrap();
                bed.backup(&repo).unwrap();
                assert_eq!(repo.state().tail().number, 7, "{at}");
            }
        }
    }
}

fn is_entry(bed: &Bed, file: &[u8], number: u64) -> bool {
    bed.place
        .get(&name::entry(number))
        .is_ok_and(|there| there == file)
}

#[test]
fn a_damaged_newest_entry_is_whole_again_once_it_is_put_back() {
    let (bed, made) = place(6);
    let right = bed.place.get(&name::entry(6)).unwrap();
    bed.place.corrupt(&name::entry(6), |bytes| bytes[0] ^= 1);
    for repo in clients(&bed, &bed.place) {
        assert!(bed.backup(&repo.unwrap()).is_err());
    }
    bed.place
        .corrupt(&name::entry(6), |bytes| *bytes = right.clone());
    for repo in clients(&bed, &bed.place) {
        let repo = repo.unwrap();
        bed.backup(&repo).unwrap();
        assert!(made.iter().all(|id| is_live(&repo, id)));
        assert_clean(&repo);
    }
}

#[test]
fn without_the_mark_of_its_segment_nothing_is_added() {
    let (bed, made) = place(4);
    bed.place.remove(&name::segment_open(1));
    let repo = bed.open();
    assert_eq!(bed.backup(&repo).unwrap_err().kind(), ErrorKind::Missing);
    assert_eq!(bed.open().live_snapshots().len(), made.len());
    let summary = check_with(&repo, false).unwrap();
    assert_eq!(findings(&summary), ["object log/0/open: missing"]);
    assert_eq!(summary.findings[0].harm, Harm::None);
    let repair = |dry_run| {
        let options = RepairLogOptions {
            dry_run,
            ..RepairLogOptions::default()
        };
        let done = repair_log(&bed.open(), &options, &Silent, &Interrupt::new());
        done.unwrap().mended.marks
    };
    assert_eq!(repair(true), ["log/0/open"]);
    assert_eq!(bed.place.size(&name::segment_open(1)).unwrap(), None);
    assert_eq!(repair(false), ["log/0/open"]);
    assert_eq!(repair(false), [""; 0]);
    bed.place
        .corrupt(&name::segment_open(1), |mark| mark.truncate(2));
    assert_eq!(repair(false), ["log/0/open"]);
    bed.backup(&bed.open()).unwrap();
    assert_clean(&bed.open());
}
