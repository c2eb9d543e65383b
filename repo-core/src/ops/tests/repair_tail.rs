//! What lies at the end of the log and is no entry: flipped bits, copies of other entries, others' entries. Clearing it must not
//! cost anything before it.

use super::class_c_history::anew;
use super::class_c_history::repeat_nothing;
use super::damage::findings;
use super::prune::{prune_with, thorough};
use super::support::*;
use crate::backend::{Backend, MemoryBackend};
use crate::error::{ErrorKind, Result};
use crate::format::entry::{CHECKPOINT_EVERY, decode_file};
use crate::format::name;
use crate::id::SnapshotId;
use crate::ops::{RepairLogOptions, RepairLogSummary, repair_log};
use crate::progress::Interrupt;
use crate::repo::Repo;

fn history() -> (Bed, Vec<SnapshotId>) {
    let bed = Bed::new();
    let repo = bed.open();
    let made = (0..4u64).map(|n| {
        bed.write("file", &noise(n, 1000));
        bed.backup(&repo).unwrap().snapshot.unwrap()
    });
    let made = made.collect();
    (bed, made)
}

fn tail(bed: &Bed) -> u64 {
    bed.open().state().tail().number
}

fn try_to_clear(repo: &Repo) -> Result<RepairLogSummary> {
    let options = RepairLogOptions::default();
    repair_log(repo, &options, &Listener::default(), &Interrupt::new())
}

fn clear_log(repo: &Repo) -> RepairLogSummary {
    try_to_clear(repo).unwrap()
}

fn live(repo: &Repo) -> Vec<SnapshotId> {
    let state = repo.state();
    let mut live: Vec<SnapshotId> = state.live_snapshots().map(|(id, _)| *id).collect();
    live.sort_unstable();
    live
}

/// Clears the log and panics unless these are there then, once more with a new entry behind it, and nothing is wrong.
fn assert_cleared(bed: &Bed, place: &MemoryBackend, expected: &[SnapshotId], what: &str) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    clear_log(&anew(bed, place));
    assert_eq!(live(&anew(bed, place)), expected, "{what}");
    let repo = anew(bed, place);
    expected.push(bed.backup(&repo).unwrap().snapshot.unwrap());
    expected.sort_unstable();
    let repo = anew(bed, place);
    assert_eq!(live(&repo), expected, "{what}, with one more");
    assert_clean(&repo);
    let again = clear_log(&repo);
    assert!(again.entries.is_empty() && again.snapshots.is_empty());
}

#[test]
fn a_bit_flipped_anywhere_in_the_newest_entry_costs_no_other() {
    let (bed, made) = history();
    let newest = name::entry(tail(&bed));
    let file = bed.place.get(&newest).unwrap();
    let own = decode_file(&file).unwrap().0.len() + size_of::<u32>();
    let mut newer = 0;
    for at in 0..own.min(400) {
        let place = bed.place.fork();
        place.corrupt(&newest, |bytes| bytes[at] ^= 4);
        match try_to_clear(&anew(&bed, &place.fork())) {
            // It says that it is of a later version.
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                newer += 1;
                assert_eq!(live(&anew(&bed, &place)).len(), made.len() - 1);
                continue;
            }
            _ => {}
        }
        assert_cleared(&bed, &place, &made, &format!("bit of byte {at}"));
    }
    assert!(newer <= 8, "{newer}");
}

#[test]
fn a_copy_of_another_entry_at_the_end_costs_none() {
    let (bed, made) = history();
    let (tail, other) = (tail(&bed), history().0);
    for number in 1..=tail {
        for (from, whose) in [(&bed, "own"), (&other, "of another")] {
            let place = bed.place.fork();
            let copy = from.place.get(&name::entry(number)).unwrap();
            place.put(&name::entry(tail + 1), &copy).unwrap();
            assert_cleared(&bed, &place, &made, &format!("{whose} entry {number}"));
        }
    }
}

#[test]
fn what_lies_behind_a_gap_costs_none_when_the_gap_is_filled() {
    let (bed, made) = history();
    let tail = tail(&bed);
    for number in 1..=tail {
        let place = bed.place.fork();
        let copy = place.get(&name::entry(number)).unwrap();
        place.put(&name::entry(tail + 2), &copy).unwrap();
        let mut made = made.clone();
        made.push(bed.backup(&anew(&bed, &place)).unwrap().snapshot.unwrap());
        assert_cleared(&bed, &place, &made, &format!("entry {number} behind a gap"));
    }
}

#[test]
fn another_entry_in_place_of_the_newest_costs_at_most_that() {
    let (bed, made) = history();
    let tail = tail(&bed);
    for number in 1..tail {
        let place = bed.place.fork();
        let copy = place.get(&name::entry(number)).unwrap();
        place.replace(&name::entry(tail), &copy);
        assert_cleared(&bed, &place, &made, &format!("entry {number}"));
    }
}

/// Says which entries cannot be read, and panics if a prune does not mind or `check` finds nothing.
fn unread(bed: &Bed, place: &MemoryBackend) -> Vec<u64> {
    let repo = anew(bed, place);
    let refused = prune_with(&repo, &thorough()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Damaged);
    assert!(!findings(&check_all(&repo)).is_empty());
    repo.state()
        .unreadable()
        .map(|(number, _)| number)
        .collect()
}

#[test]
fn what_was_cleared_once_clears_no_other_that_is_like_it() {
    let (bed, made) = history();
    let place = bed.place.fork();
    place.corrupt(&name::entry(tail(&bed)), Vec::clear);
    assert_cleared(&bed, &place, &made, "emptied");
    for _ in 0..2 {
        let newest = anew(&bed, &place).state().tail().number;
        place.corrupt(&name::entry(newest), Vec::clear);
        assert_eq!(unread(&bed, &place), [newest]);
        clear_log(&anew(&bed, &place));
        assert_clean(&anew(&bed, &place));
        bed.write("file", &noise(newest, 1000));
        bed.backup(&anew(&bed, &place)).unwrap();
    }
}

#[test]
fn a_copy_that_was_cleared_clears_not_what_it_is_a_copy_of() {
    let (bed, made) = history();
    let place = bed.place.fork();
    let lone = CHECKPOINT_EVERY;
    for n in tail(&bed)..=lone + 1 {
        bed.write("file", &noise(n, 1000));
        bed.backup(&anew(&bed, &place)).unwrap();
    }
    let newest = name::entry(lone + 2);
    let copy = place.get(&name::entry(lone)).unwrap();
    place.put(&newest, &copy).unwrap();
    assert_eq!(unread(&bed, &place), [lone + 2]);
    clear_log(&anew(&bed, &place));
    assert_clean(&anew(&bed, &place));
    assert!(live(&anew(&bed, &place)).len() > made.len());
    repeat_nothing(&place);
    place.delete(&name::entry(lone)).unwrap();
    for object in names(&place, name::CHECKPOINTS) {
        place.delete(&object).unwrap();
    }
    assert_eq!(unread(&bed, &place), [lone]);
}
