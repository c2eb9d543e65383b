//! Snapshots that a repair of the log enters again in a place that overwrites, where what a prune has condemned is about to go.

use super::class_c::copied;
use super::class_c_history::{
    History, anew, assert_sound, damage_newest_entry, entries, history, repeat_nothing,
};
use super::damage::findings;
use super::prune::{forget, prune_with, thorough};
use super::support::*;
use crate::backend::{Backend, Class, MemoryBackend};
use crate::error::ErrorKind;
use crate::format::entry::{clear, decode_file};
use crate::format::name;
use crate::id::SnapshotId;
use crate::ops::{RepairLogOptions, Uncommitted, WhyNot, repair_log};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::sync::{Arc, Mutex};

fn enter(repo: &Repo, asked: &[SnapshotId]) -> Vec<Uncommitted> {
    let options = RepairLogOptions {
        snapshots: asked.to_vec(),
        dry_run: false,
    };
    let done = repair_log(repo, &options, &Listener::default(), &Interrupt::new());
    done.unwrap().snapshots
}

/// Takes the entry away that committed the newest snapshot, which nobody notices, and has a prune condemn what only that needs while it
/// waits for somebody.
fn condemned_strays(history: &History, id: SnapshotId) {
    let place = &history.bed.place;
    place.delete(entries(place).last().unwrap()).unwrap();
    let repo = anew(&history.bed, place);
    let found = enter(&repo, &[]);
    assert_eq!((found.len(), found[0].id), (1, id));
    assert_eq!(found[0].outcome, Err(WhyNot::NotAsked));
    let at_work = repo.announce().unwrap();
    let pruned = prune_with(&anew(&history.bed, place), &thorough()).unwrap();
    assert_eq!((pruned.waits_for, pruned.deleted.count), (1, 0));
    assert!(pruned.condemned.count > 0);
    drop(at_work);
}

/// A prune that deletes what it condemned before, and right before it says so the snapshot is asked for.
fn asked_for_meanwhile(history: &History, id: SnapshotId) -> Uncommitted {
    let (bed, place) = (history.bed.clone(), &history.bed.place);
    let found = Arc::new(Mutex::new(None));
    let kept = found.clone();
    let backend = Meanwhile::before(place, "log", 1, move |place: &MemoryBackend| {
        *kept.lock().unwrap() = enter(&anew(&bed, place), &[id]).pop();
    });
    let repo = history.bed.open_anew(Arc::new(backend), &password());
    let pruned = prune_with(&repo.unwrap(), &thorough()).unwrap();
    assert_eq!(pruned.waits_for, 0);
    assert!(pruned.deleted.count > 0, "{pruned:?}");
    found.lock().unwrap().take().unwrap()
}

/// What entries that cannot be read claim to be.
fn claims(bed: &Bed, place: &MemoryBackend) -> Vec<String> {
    let options = RepairLogOptions {
        dry_run: true,
        ..RepairLogOptions::default()
    };
    let repo = anew(bed, place);
    let done = repair_log(&repo, &options, &Listener::default(), &Interrupt::new());
    let entries = done.unwrap().entries.into_iter();
    let mut claims: Vec<String> = entries.map(|entry| entry.claims.unwrap()).collect();
    claims.sort();
    claims
}

#[test]
fn what_a_lost_entry_claims_to_be_is_told() {
    for class in [Class::A, Class::C] {
        let history = history(class);
        let place = &history.bed.place;
        assert_eq!(claims(&history.bed, place), [""; 0]);
        damage_newest_entry(place);
        assert_eq!(claims(&history.bed, place), ["Commit"]);
    }
}

#[test]
fn of_entries_of_one_number_the_lost_ones_are_told() {
    let history = history(Class::C);
    let (bed, place) = (history.bed.clone(), &history.bed.place);
    let shared = bed.clone();
    let backend = Meanwhile::before(place, "log", 1, move |place| {
        shared.backup(&anew(&shared, place)).unwrap();
    });
    let before = names(place, "log");
    let repo = bed.open_anew(Arc::new(backend), &password()).unwrap();
    forget(&repo, &[history.made[1].0]);
    let mut both = names(place, "log");
    both.retain(|name| !before.contains(name));
    let kind = |name: &String| {
        let file = place.get(name).unwrap();
        let (core, _) = decode_file(&file).unwrap();
        clear(core).unwrap().kind
    };
    both.sort_by_key(kind);
    let [commit, forget] = &both[..] else {
        panic!("{both:?}");
    };
    assert_eq!(repo.state().tail().heads.len(), 2);
    for (damaged, expected) in [
        (vec![commit], vec!["Commit"]),
        (vec![forget], vec!["Forget"]),
        (vec![commit, forget], vec!["Commit", "Forget"]),
    ] {
        let place = place.fork();
        for name in damaged {
            place.corrupt(name, |bytes| bytes[200] ^= 1);
        }
        assert_eq!(claims(&bed, &place), expected);
    }
}

#[test]
fn packs_that_were_condemned_before_are_not_there() {
    let history = history(Class::C);
    let (id, _) = history.made[2];
    condemned_strays(&history, id);
    let found = asked_for_meanwhile(&history, id);
    assert_eq!(found.outcome, Err(WhyNot::NotWhole));
    let place = &history.bed.place;
    assert_sound(&history.bed, place, "what was condemned");
    let repo = anew(&history.bed, place);
    assert!(!repo.state().is_live(&id));
    let (second, tree) = &history.made[1];
    history.bed.assert_restores(&repo, second, tree);
}

#[test]
fn a_snapshot_that_was_condemned_before_is_stored_again() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    // All that it holds is needed by the one before it, too, unless a directory above the source has just changed.
    let repo = anew(bed, place);
    let root = |id: &SnapshotId| repo.load_snapshot(id).unwrap().summary.root;
    let mut before = history.made[2].0;
    let id = loop {
        let id = bed.backup(&repo).unwrap().snapshot.unwrap();
        if root(&id) == root(&before) {
            break id;
        }
        before = id;
    };
    condemned_strays(&history, id);
    let found = asked_for_meanwhile(&history, id);
    let new = found.outcome.unwrap();
    assert_ne!(new, id);
    assert_sound(bed, place, "what was condemned");
    let repo = anew(bed, place);
    assert!(repo.state().is_live(&new));
    bed.assert_restores(&repo, &new, &history.made[2].1);
    let again = enter(&repo, &[id]);
    assert!(again.is_empty(), "{again:?}");
}

#[test]
fn what_others_follow_may_be_damaged_or_gone_and_nothing_is_written_until_it_is_cleared() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let whole = anew(bed, place).live_snapshots().len();
    repeat_nothing(place);
    // The first says who may write.
    let entries = entries(place).split_off(1);
    let newest = entries.last().unwrap();
    for entry in &entries[..entries.len() - 1] {
        for damage in 0..3 {
            let place = place.fork();
            match damage {
                0 => place.corrupt(entry, |bytes| bytes[200] ^= 1),
                1 => place.delete(entry).unwrap(),
                _ => place.put(entry, &place.get(newest).unwrap()).unwrap(),
            }
            let repo = anew(bed, &place);
            let (number, _) = name::parse_numbered(entry).unwrap();
            let lost: Vec<_> = repo.state().unreadable().map(|(n, _)| n).collect();
            assert_eq!(lost, [number], "{entry}");
            assert!(!findings(&check_all(&repo)).is_empty());
            assert_eq!(bed.backup(&repo).unwrap_err().kind(), ErrorKind::Damaged);
            let refused = prune_with(&repo, &thorough()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Damaged);
            enter(&anew(bed, &place), &[]);
            let repo = anew(bed, &place);
            for (id, tree) in &history.made {
                if repo.state().is_live(id) {
                    bed.assert_restores(&repo, id, tree);
                }
            }
            // What was forgotten is back: the entry that said so is lost.
            assert!(repo.live_snapshots().len() >= whole, "{entry} {damage}");
            bed.backup(&repo).unwrap();
            assert_clean(&anew(bed, &place));
            prune_with(&anew(bed, &place), &thorough()).unwrap();
            assert_clean(&anew(bed, &place));
        }
    }
}

#[test]
fn another_entry_under_a_name_of_its_own_costs_nothing_once_it_is_cleared() {
    let history = history(Class::C);
    let bed = &history.bed;
    let whole = anew(bed, &bed.place).live_snapshots().len();
    for entry in entries(&bed.place).split_off(1) {
        let (number, _) = name::parse_numbered(&entry).unwrap();
        for number in [number, number + 1, number + 40] {
            let place = bed.place.fork();
            let copy = place.get(&entry).unwrap();
            place.put(&name::entry_of(number, &[7; 16]), &copy).unwrap();
            let repo = anew(bed, &place);
            assert_eq!(repo.live_snapshots().len(), whole);
            assert!(prune_with(&repo, &thorough()).is_err());
            enter(&repo, &[]);
            assert_clean(&anew(bed, &place));
            prune_with(&anew(bed, &place), &thorough()).unwrap();
            assert_eq!(anew(bed, &place).live_snapshots().len(), whole);
        }
    }
}

/// A log of class A whose newest entry is damaged, in a place that turns out to overwrite.
#[test]
fn what_could_not_be_read_where_the_class_changed_is_cleared_like_others() {
    let history = history(Class::A);
    let bed = &history.bed;
    damage_newest_entry(&bed.place);
    let place = copied(&bed.place, Class::C);
    let repo = anew(bed, &place);
    assert_eq!(bed.backup(&repo).unwrap_err().kind(), ErrorKind::Damaged);
    let repo = anew(bed, &place);
    enter(&repo, &[]);
    let repo = anew(bed, &place);
    assert_eq!(repo.state().class(), Class::C);
    bed.backup(&repo).unwrap();
    assert_clean(&anew(bed, &place));
}
