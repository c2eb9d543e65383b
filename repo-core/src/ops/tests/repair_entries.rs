//! Files of the log that are damaged and that the log itself still knows.

use super::class_c_history::repeat_nothing;
use super::support::*;
use crate::backend::wrap::{Fault, Faults, Operation, Rule};
use crate::backend::{Backend, MemoryBackend};
use crate::format::name;
use crate::ops::{RepairLogOptions, repair_log};
use crate::progress::Interrupt;
use std::sync::Arc;

/// A log of more than so many entries.
fn log_of(entries: u64) -> Bed {
    let bed = Bed::new();
    let repo = bed.open();
    for n in 0..entries {
        bed.write("file", &noise(n, 100));
        bed.backup(&repo).unwrap();
    }
    assert!(repo.state().tail().number > entries);
    bed
}

fn flip(place: &MemoryBackend, object: &str, at: usize) {
    let mut bytes = place.get(object).unwrap();
    let at = if at < bytes.len() {
        at
    } else {
        bytes.len() - 1
    };
    bytes[at] ^= 1;
    place.delete(object).unwrap();
    place.put(object, &bytes).unwrap();
}

#[test]
fn entries_that_others_repeat_are_written_again() {
    let bed = log_of(40);
    let whole: Vec<_> = (1..=35).map(|n| bed.place.get(&name::entry(n))).collect();
    flip(&bed.place, &name::entry(4), 300);
    bed.place.delete(&name::entry(5)).unwrap();
    flip(&bed.place, &name::entry(7), usize::MAX);
    bed.place.delete(&name::entry(20)).unwrap();
    let found = check_all(&bed.open());
    assert!(found.findings.len() >= 3, "{found:?}");
    for dry_run in [true, false] {
        let repo = bed
            .open_anew(Arc::new(bed.place.clone()), &password())
            .unwrap();
        let options = RepairLogOptions {
            dry_run,
            ..RepairLogOptions::default()
        };
        let done = repair_log(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
        assert_eq!(done.mended.entries, [4, 5, 7, 20]);
    }
    assert_clean(&bed.open());
    for (number, file) in (1..).zip(whole) {
        assert_eq!(bed.place.get(&name::entry(number)).unwrap(), file.unwrap());
    }
}

#[test]
fn the_file_of_any_entry_but_the_newest_may_be_lost() {
    let bed = log_of(36);
    let anew = |place: &MemoryBackend| {
        let repo = bed.open_anew(Arc::new(place.clone()), &password());
        repo.unwrap()
    };
    let tail = anew(&bed.place).state().tail().number;
    let without_checkpoints = bed.place.fork();
    for object in names(&bed.place, name::CHECKPOINTS) {
        without_checkpoints.delete(&object).unwrap();
    }
    for place in [&bed.place, &without_checkpoints] {
        let whole = anew(place).state();
        for number in 1..tail {
            let entry = name::entry(number);
            let file = place.get(&entry).unwrap();
            for damage in 0..3 {
                let place = place.fork();
                match damage {
                    0 => assert!(place.remove(&entry)),
                    1 => place.corrupt(&entry, |file| file.truncate(60)),
                    _ => flip(&place, &entry, 300),
                }
                assert_eq!(anew(&place).state(), whole, "{entry} {damage}");
                let options = RepairLogOptions::default();
                let (listener, interrupt) = (Listener::default(), Interrupt::new());
                let done = repair_log(&anew(&place), &options, &listener, &interrupt).unwrap();
                assert_eq!(done.mended.entries, [number], "{damage}");
                assert_eq!((done.mended.lost.len(), done.entries.len()), (0, 0));
                assert_eq!(place.get(&entry).unwrap(), file, "{entry} {damage}");
                assert_clean(&anew(&place));
            }
        }
    }
}

#[test]
fn what_a_checkpoint_says_too_is_no_error_and_a_bad_checkpoint_goes() {
    // So long that who opens it begins at a checkpoint.
    let bed = log_of(150);
    repeat_nothing(&bed.place);
    flip(&bed.place, &name::entry(16), 300);
    let found = check_all(&bed.open());
    assert!(found.findings.is_empty(), "{found:?}");
    assert!(found.absent.contains(&name::entry(16)));
    flip(&bed.place, &name::checkpoint(32), 200);
    assert!(!check_all(&bed.open()).findings.is_empty());
    let repo = bed.open();
    let options = RepairLogOptions::default();
    let done = repair_log(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
    assert_eq!(done.mended.checkpoints, [name::checkpoint(32)]);
    assert_eq!(bed.place.size(&name::checkpoint(32)).unwrap(), None);
}

#[test]
fn a_checkpoint_made_with_an_entry_that_is_cleared_goes_at_once() {
    let bed = log_of(10);
    let repo = bed.open();
    while repo.state().tail().number < 16 {
        bed.backup(&repo).unwrap();
    }
    assert!(bed.place.size(&name::checkpoint(16)).unwrap().is_some());
    flip(&bed.place, &name::entry(16), 300);
    let options = RepairLogOptions::default();
    let anew = || bed.open_anew(Arc::new(bed.place.clone()), &password());
    let listener = Listener::default();
    let done = repair_log(&anew().unwrap(), &options, &listener, &Interrupt::new());
    assert_eq!(done.unwrap().mended.checkpoints, [name::checkpoint(16)]);
    assert_clean(&anew().unwrap());
}

#[test]
fn a_checkpoint_that_a_prune_removes_meanwhile_is_passed_over() {
    let bed = log_of(20);
    assert!(!names(&bed.place, "checkpoints").is_empty());
    let absent = Rule::new(Fault::Absent).on(&[Operation::Get]);
    let absent = absent.kind("checkpoints").times(u64::MAX);
    let faults = Faults::new(Arc::new(bed.place.clone())).rule(absent);
    let repo = bed.open_on(Arc::new(faults)).unwrap();
    let options = RepairLogOptions::default();
    let done = repair_log(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
    assert_eq!(done.mended.checkpoints, [""; 0]);
}
