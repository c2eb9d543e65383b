//! A prune that takes the packs to which damaged ones were saved for strays, right before an entry names them.

use super::class_c_history::{History, anew, assert_sound, history, repair_damaged_through};
use super::class_c_unforget_late::BeforeData;
use super::prune::{forget, prune_with, thorough};
use super::support::*;
use crate::backend::{Class, MemoryBackend};
use crate::format::name::ObjectKind;
use crate::id::PackId;
use crate::log::PackState;
use crate::ops::repair_packs;
use crate::progress::Interrupt;
use std::sync::Arc;

/// Saves what is in damaged packs, with a prune before the first put of a kind; what is saved is in force, and the damaged ones go.
fn save_beside(history: &History, kind: &'static str, deletes: bool) {
    let place = history.bed.place.fork();
    let before = names(&place, "data");
    let bed = history.bed.clone();
    let backend = Meanwhile::before(&place, kind, 1, move |place: &MemoryBackend| {
        let pruned = prune_with(&anew(&bed, place), &thorough()).unwrap();
        assert!(pruned.condemned.count > 0);
        assert_eq!(pruned.deleted.count > 0, deletes, "{kind}");
    });
    repair_damaged_through(history, &place, Arc::new(backend));
    let state = anew(&history.bed, &place).state();
    let id = |name: &String| PackId(ObjectKind::parse(name).unwrap().1);
    for pack in &history.packs[1] {
        assert_eq!(state.pack_state(&id(pack)), PackState::Condemned, "{kind}");
    }
    let mut new = names(&place, "data");
    new.retain(|pack| !before.contains(pack));
    assert!(!new.is_empty(), "{kind}");
    for pack in &new {
        assert_eq!(state.pack_state(&id(pack)), PackState::Live, "{kind}");
    }
    assert_sound(&history.bed, &place, kind);
    let there = names(&place, "data");
    assert!(!history.packs[1].iter().any(|pack| there.contains(pack)));
    let repo = anew(&history.bed, &place);
    for (id, tree) in &history.made[1..] {
        history.bed.assert_restores(&repo, id, tree);
    }
}

#[test]
fn what_was_condemned_meanwhile_is_taken_back() {
    let history = history(Class::C);
    for kind in ["index", "log"] {
        save_beside(&history, kind, false);
    }
}

#[test]
fn what_was_deleted_meanwhile_is_saved_again() {
    save_beside(&history(Class::A), "index", true);
}

#[test]
fn what_a_prune_deletes_while_it_is_read_is_not_lost() {
    let history = history(Class::A);
    let (bed, place) = (&history.bed, &history.bed.place);
    let packs = names(place, "data");
    let ids = packs
        .iter()
        .map(|pack| PackId(ObjectKind::parse(pack).unwrap().1));
    let ids: Vec<PackId> = ids.collect();
    forget(&anew(bed, place), &[history.made[0].0]);
    let pruning = (bed.clone(), place.clone());
    let backend = BeforeData::new(place, move || {
        let pruned = prune_with(&anew(&pruning.0, &pruning.1), &thorough()).unwrap();
        assert!(pruned.deleted.count > 0);
    });
    let repo = bed.open_anew(Arc::new(backend), &password()).unwrap();
    let done = repair_packs(&repo, &ids, false, &Listener::default(), &Interrupt::new()).unwrap();
    let (deleted, left): (Vec<_>, Vec<_>) = done.iter().partition(|pack| pack.deleted);
    assert!(!deleted.is_empty() && left.iter().all(|pack| pack.whole));
    assert!(done.iter().all(|pack| pack.lost == 0 && pack.saved == 0));
    let repo = anew(bed, place);
    assert!(repo.state().condemned().next().is_none());
    for (id, tree) in &history.made[1..] {
        bed.assert_restores(&repo, id, tree);
    }
    assert_clean(&repo);
}
