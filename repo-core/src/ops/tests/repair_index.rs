//! Tables that are lost are made anew from the packs, and packs that are gone are taken off the tables.

use super::class_c_history::anew;
use super::damage::findings;
use super::support::*;
use crate::backend::wrap::{Fault, Faults, Operation, Rule};
use crate::backend::{Backend, MemoryBackend};
use crate::error::Result;
use crate::format::name;
use crate::id::SnapshotId;
use crate::ops::{
    PruneOptions, RepairIndexOptions, RepairIndexSummary, forget_ids, prune, repair_index,
};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn repair(repo: &Repo, read_all_packs: bool, dry_run: bool) -> Result<RepairIndexSummary> {
    let options = RepairIndexOptions {
        read_all_packs,
        dry_run,
    };
    repair_index(repo, &options, &Listener::default(), &Interrupt::new())
}

/// Two snapshots in several packs, each with tables of its own.
fn history() -> (Bed, Vec<(SnapshotId, Tree)>) {
    let bed = Bed::new();
    let repo = bed.open();
    let made = (0..2u64).map(|n| {
        bed.write(&format!("dir/{n}"), &noise(n, 2 << 20));
        let made = bed.backup(&repo).unwrap().snapshot.unwrap();
        (made, bed.tree())
    });
    let made = made.collect();
    (bed, made)
}

fn assert_whole(bed: &Bed, place: &MemoryBackend, made: &[(SnapshotId, Tree)]) {
    let repo = anew(bed, place);
    assert_clean(&repo);
    for (id, tree) in made {
        bed.assert_restores(&repo, id, tree);
    }
}

#[test]
fn lost_and_damaged_tables_are_made_anew() {
    let (bed, made) = history();
    let tables = names(&bed.place, "index");
    assert_eq!(tables.len(), 2);
    for read_all_packs in [false, true] {
        for lost in [&tables[..1], &tables[1..], &tables[..]] {
            let place = bed.place.fork();
            for (n, table) in lost.iter().enumerate() {
                match n {
                    0 => drop(place.remove(table)),
                    _ => place.corrupt(table, |bytes| bytes[200] ^= 1),
                }
            }
            let repo = anew(&bed, &place);
            let tail = repo.state().tail().number;
            let dry = repair(&repo, read_all_packs, true).unwrap();
            assert_eq!(repo.state().tail().number, tail);
            let done = repair(&repo, read_all_packs, false).unwrap();
            assert_eq!(dry.packs_added, done.packs_added);
            assert_eq!(done.tables_lost.len(), lost.len());
            assert_eq!(done.tables_dropped, lost.len() as u64);
            assert!(done.packs_added >= 2 && done.packs_damaged.is_empty());
            assert_whole(&bed, &place, &made);
            let again = repair(&anew(&bed, &place), read_all_packs, false).unwrap();
            assert_eq!((again.packs_added, again.tables_dropped), (0, 0));
            let options = PruneOptions {
                grace: Duration::ZERO,
                ..PruneOptions::default()
            };
            let repo = anew(&bed, &place);
            prune(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
            assert_whole(&bed, &place, &made);
        }
    }
}

#[test]
fn only_the_ends_of_packs_are_read_unless_asked() {
    let (bed, _) = history();
    for table in names(&bed.place, "index") {
        bed.place.remove(&table);
    }
    let ends = repair(&anew(&bed, &bed.place.fork()), false, true).unwrap();
    let whole = repair(&anew(&bed, &bed.place), true, true).unwrap();
    assert!(ends.bytes_read * 2 < whole.bytes_read, "{ends:?} {whole:?}");
}

#[test]
fn packs_that_are_gone_are_taken_off_and_come_back_when_they_are_put_back() {
    let (bed, made) = history();
    let pack = names(&bed.place, "data").remove(0);
    let right = bed.place.get(&pack).unwrap();
    bed.place.remove(&pack);
    let done = repair(&anew(&bed, &bed.place), false, false).unwrap();
    assert_eq!((done.packs_gone.len(), done.packs_added), (1, 0));
    assert_eq!((done.tables_dropped, done.tables_added), (1, 1));
    let lines = findings(&check_all(&anew(&bed, &bed.place)));
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line.starts_with("blob ")),
        "{lines:?}"
    );
    bed.place.put(&pack, &right).unwrap();
    let done = repair(&anew(&bed, &bed.place), false, false).unwrap();
    assert_eq!(done.packs_added, 1);
    assert_whole(&bed, &bed.place, &made);
}

/// A table that could not be had when the index was brought up to date, and could when it was repaired, lost all packs that it named.
#[test]
fn a_table_that_can_be_had_again_meanwhile_loses_nothing() {
    let (bed, _) = history();
    bed.place.remove(&names(&bed.place, "data")[0]);
    let mut expected = None;
    let mut seen = BTreeSet::new();
    for times in 0..24 {
        let place = bed.place.fork();
        let rule = Rule::new(Fault::Absent).on(&[Operation::Get]);
        let faults = Faults::new(Arc::new(place.clone())).rule(rule.kind("index").times(times));
        let repo = bed.open_anew(Arc::new(faults), &password()).unwrap();
        let done = repair(&repo, false, false).unwrap();
        seen.insert((done.tables_dropped, done.tables_lost.len()));
        let lines = findings(&check_all(&anew(&bed, &place)));
        let expected = expected.get_or_insert_with(|| lines.clone());
        assert_eq!(lines, *expected, "{times}");
    }
    assert!(seen.contains(&(1, 0)) && seen.contains(&(2, 2)), "{seen:?}");
}

#[test]
fn a_pack_that_does_not_prove_itself_is_named_by_its_directory_alone() {
    let (bed, _) = history();
    for table in names(&bed.place, "index") {
        bed.place.remove(&table);
    }
    let packs = names(&bed.place, "data");
    bed.place
        .corrupt(&packs[0], |bytes| bytes.truncate(bytes.len() - 1));
    bed.place.corrupt(&packs[1], |bytes| bytes[5000] ^= 1);
    let ends = repair(&anew(&bed, &bed.place.fork()), false, false).unwrap();
    assert_eq!(ends.packs_damaged.len(), 1);
    let whole = repair(&anew(&bed, &bed.place.fork()), true, false).unwrap();
    assert_eq!(whole.packs_damaged.len(), 2);
    assert_eq!(whole.packs_added, ends.packs_added);
}

#[test]
fn what_was_condemned_can_be_had_again_after_a_repair() {
    let (bed, made) = history();
    let repo = bed.open();
    forget_ids(&repo, &[made[1].0]).unwrap();
    let options = PruneOptions::default();
    prune(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
    for table in names(&bed.place, "index") {
        bed.place.remove(&table);
    }
    let repo = anew(&bed, &bed.place);
    repair(&repo, false, false).unwrap();
    let back = crate::ops::unforget(&repo, &[made[1].0], &Listener::default(), &Interrupt::new());
    assert!(matches!(back.unwrap(), crate::ops::Unforgotten::Done(_)));
    assert_whole(&bed, &bed.place, &made);
}

#[test]
fn nothing_is_put_behind_an_entry_that_cannot_be_read() {
    let (bed, _) = history();
    let place = bed.place.fork();
    let last = bed.open().state().tail().number;
    place.corrupt(&name::entry(last), |bytes| bytes[100] ^= 1);
    place.remove(&names(&place, "index")[0]);
    let repo = anew(&bed, &place);
    // Nothing at all can be put behind a newest entry that cannot be read.
    assert!(repair(&repo, false, false).is_err());
    assert_eq!(repo.state().tail().number, last);
}

#[test]
fn somebody_elses_entry_in_between_costs_nothing() {
    let (bed, made) = history();
    let table = names(&bed.place, "index").remove(0);
    bed.place.remove(&table);
    let other = anew(&bed, &bed.place);
    let meanwhile = Meanwhile::before(&bed.place, "log", 1, move |_| {
        repair(&other, false, false).unwrap();
    });
    let repo = bed.open_anew(Arc::new(meanwhile), &password()).unwrap();
    repair(&repo, false, false).unwrap();
    assert_whole(&bed, &bed.place, &made);
}

#[test]
fn stopped_at_any_write_nothing_is_worse_and_the_next_one_ends_it() {
    let (mut bed, made) = history();
    for table in names(&bed.place, "index") {
        bed.place.remove(&table);
    }
    let before = bed.place.clone();
    for write in 0.. {
        bed.place = before.fork();
        let faults = Arc::new(Faults::crash_before(Arc::new(bed.place.clone()), write));
        let stopped = bed.open_anew(faults.clone(), &password());
        let stopped = stopped.and_then(|repo| repair(&repo, false, false));
        if !faults.crashed() {
            stopped.unwrap();
            assert!(write > 2, "{write}");
            break;
        }
        repair(&anew(&bed, &bed.place), false, false).unwrap();
        assert_whole(&bed, &bed.place, &made);
    }
}

/// A bit that flips on the way, or a place that has not yet what lies there.
#[test]
fn one_wrong_answer_costs_no_table_and_no_pack() {
    let (bed, made) = history();
    let table = names(&bed.place, "index").remove(0);
    let mut struck = 0;
    for lost in [None, Some(table)] {
        for kind in ["index", "data", "meta"] {
            for fault in [Fault::Flipped, Fault::Truncated, Fault::Absent] {
                for skip in 0..8 {
                    let place = bed.place.fork();
                    lost.iter().for_each(|table| assert!(place.remove(table)));
                    let asked = [Operation::Get, Operation::GetRange, Operation::Size];
                    let rule = Rule::new(fault).on(&asked).kind(kind).after(skip);
                    let faults = Arc::new(Faults::new(Arc::new(place.clone())).rule(rule));
                    let repo = bed.open_anew(faults.clone(), &password()).unwrap();
                    let done = repair(&repo, false, false).unwrap();
                    let what = format!("{fault:?} at {kind} {skip}");
                    assert_eq!(done.packs_gone, [], "{what}");
                    assert!(done.packs_damaged.is_empty(), "{what}");
                    assert_eq!(done.tables_lost.len(), lost.iter().len(), "{what}");
                    assert_whole(&bed, &place, &made);
                    struck += faults.struck();
                }
            }
        }
    }
    assert!(struck > 20, "{struck}");
}
