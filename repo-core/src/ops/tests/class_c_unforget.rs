//! Forgets are taken back in a place that overwrites, where nothing that was condemned can be: what is left lies in packs that stay, or
//! it is said that it does not.

use super::class_c_history::{History, anew, assert_sound, history, repair_damaged, take_for_dead};
use super::prune::{forget, prune_with, thorough};
use super::support::*;
use crate::backend::{Backend, Class, MemoryBackend};
use crate::error::{ErrorKind, Result};
use crate::id::SnapshotId;
use crate::ops::{PruneOptions, Unforgotten, unforget};
use crate::progress::{Interrupt, Silent};
use crate::repo::Repo;
use std::sync::Arc;

fn wanted_again(repo: &Repo, id: SnapshotId) -> Result<Unforgotten> {
    unforget(repo, &[id], &Silent, &Interrupt::new())
}

/// Takes the forget of the first back through a place where `event` happens before the first put of a kind.
fn wanted_while(
    history: &History,
    place: &MemoryBackend,
    kind: &'static str,
    event: impl Fn(&Bed, &MemoryBackend) + Send + Sync + 'static,
) -> Result<Unforgotten> {
    let bed = history.bed.clone();
    let backend = Meanwhile::before(place, kind, 1, move |place| event(&bed, place));
    let repo = history.bed.open_anew(Arc::new(backend), &password());
    wanted_again(&repo.unwrap(), history.made[0].0)
}

fn assert_there(history: &History, place: &MemoryBackend, numbers: &[usize]) {
    let repo = anew(&history.bed, place);
    for number in numbers {
        let (id, tree) = &history.made[*number];
        assert!(repo.state().is_live(id), "{number}");
        history.bed.assert_restores(&repo, id, tree);
    }
    assert_eq!(repo.live_snapshots().len(), numbers.len());
}

#[test]
fn no_deletion_goes_by_it() {
    let history = history(Class::C);
    let place = &history.bed.place;
    let done = wanted_while(&history, place, "log", |bed, place| {
        let pruned = prune_with(&anew(bed, place), &thorough()).unwrap();
        assert_eq!((pruned.waits_for, pruned.deleted.count), (1, 0));
        assert!(pruned.condemned.count > 0);
    });
    let done = done.unwrap();
    assert_eq!(done, Unforgotten::Done(vec![history.made[0].0]));
    assert_there(&history, place, &[0, 1, 2]);
    assert_sound(&history.bed, place, "unforget");
    assert_there(&history, place, &[0, 1, 2]);
}

#[test]
fn before_it_is_announced_a_prune_may_be_faster() {
    let history = history(Class::C);
    let place = &history.bed.place;
    let done = wanted_while(&history, place, "writers", |bed, place| {
        let pruned = prune_with(&anew(bed, place), &thorough()).unwrap();
        assert!(pruned.deleted.count > 0);
    });
    let Unforgotten::TooLate(id, gone) = done.unwrap() else {
        panic!("it came too late");
    };
    assert!(id == history.made[0].0 && gone.snapshot);
    assert_sound(&history.bed, place, "unforget");
    assert_there(&history, place, &[1, 2]);
}

#[test]
fn one_that_slept_past_its_announcement_brings_nothing_back() {
    let history = history(Class::C);
    let place = &history.bed.place;
    let done = wanted_while(&history, place, "log", |bed, place| {
        assert_eq!(take_for_dead(bed, place).len(), 1);
    });
    let error = done.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let repo = anew(&history.bed, place);
    let again = wanted_again(&repo, history.made[0].0).unwrap();
    assert!(matches!(again, Unforgotten::TooLate(..)), "{again:?}");
    assert_sound(&history.bed, place, "unforget");
    assert_there(&history, place, &[1, 2]);
}

#[test]
fn what_a_prune_has_condemned_cannot_be_taken_back_even_within_the_grace() {
    let history = history(Class::C);
    let place = &history.bed.place;
    let repo = anew(&history.bed, place);
    let pruned = prune_with(&repo, &PruneOptions::default()).unwrap();
    assert!(pruned.condemned.count > 0 && pruned.deleted.count == 0);
    let entries = names(place, "log").len();
    let done = wanted_again(&repo, history.made[0].0).unwrap();
    let Unforgotten::TooLate(_, gone) = done else {
        panic!("{done:?}");
    };
    assert!(gone.snapshot);
    assert_eq!(names(place, "log").len(), entries);
    assert_sound(&history.bed, place, "unforget");
    assert_there(&history, place, &[1, 2]);
}

/// A backup was at work while what it relies on was condemned: it stands, and until the next prune its packs are condemned.
#[test]
fn what_lies_in_condemned_packs_only_would_have_to_be_copied() {
    let history = history(Class::C);
    let (bed, place) = (history.bed.clone(), &history.bed.place);
    bed.write("old/gone", &noise(60, 300_000));
    let shared = bed.clone();
    let backend = Meanwhile::before(place, "snapshots", 1, move |place| {
        let pruned = prune_with(&anew(&shared, place), &thorough()).unwrap();
        assert_eq!((pruned.waits_for, pruned.deleted.count), (1, 0));
        assert!(pruned.condemned.count > 0);
    });
    let repo = bed.open_anew(Arc::new(backend), &password()).unwrap();
    let made = bed.backup(&repo).unwrap().snapshot.unwrap();
    let repo = anew(&bed, place);
    forget(&repo, &[made]);
    let before = place.objects();
    let done = wanted_again(&repo, made).unwrap();
    assert_eq!(done, Unforgotten::NeedsCopy(made));
    assert!(place.objects() == before, "nothing was written");
    assert!(!anew(&bed, place).state().is_live(&made));
    assert_sound(&bed, place, "unforget");
    let done = wanted_again(&anew(&bed, place), made).unwrap();
    assert!(matches!(done, Unforgotten::TooLate(..)), "{done:?}");
    assert_there(&history, place, &[1, 2]);
}

/// A repair has condemned packs and moved what was in them: that is whole, before and after the packs are deleted.
#[test]
fn moved_copies_are_enough() {
    let history = history(Class::C);
    for deleted in [false, true] {
        let place = history.bed.place.fork();
        repair_damaged(&history, &place);
        let (id, _) = history.made[1];
        if deleted {
            let pruned = prune_with(&anew(&history.bed, &place), &thorough()).unwrap();
            assert!(pruned.deleted.count > 0);
        }
        let is_there = |pack: &String| place.size(pack).unwrap().is_some();
        let there = history.packs[1].iter().filter(|pack| is_there(pack));
        assert_eq!(there.count() == 0, deleted);
        let repo = anew(&history.bed, &place);
        assert_eq!(repo.state().condemned().next().is_none(), deleted);
        forget(&repo, &[id]);
        let done = wanted_again(&repo, id).unwrap();
        assert_eq!(done, Unforgotten::Done(vec![id]));
        assert_there(&history, &place, &[1, 2]);
        assert_sound(&history.bed, &place, "unforget");
        assert!(!history.packs[1].iter().any(is_there));
        assert_there(&history, &place, &[1, 2]);
    }
}
