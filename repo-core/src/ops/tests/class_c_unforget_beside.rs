//! A forget is taken back in a place that overwrites beside prunes, by one who is killed, and by one who is taken for dead.

use super::class_c_history::{History, anew, assert_sound, history, take_for_dead};
use super::class_c_unforget::{
    assert_all, assert_there, condemn, put_under, regained, wanted_again, within_grace,
};
use super::prune::{prune_with, thorough};
use super::support::*;
use crate::backend::wrap::Faults;
use crate::backend::{Class, MemoryBackend};
use crate::error::{ErrorKind, Result};
use crate::format::entry::{Action, Fenced};
use crate::format::name::parse_announcement;
use crate::id::SnapshotId;
use crate::log::Terms;
use crate::ops::{Regained, Unforgotten};
use crate::time::Timestamp;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

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

#[test]
fn no_deletion_goes_by_it() {
    let history = history(Class::C);
    let place = &history.bed.place;
    let done = wanted_while(&history, place, "log", |bed, place| {
        let pruned = prune_with(&anew(bed, place), &thorough()).unwrap();
        assert_eq!((pruned.waits_for, pruned.deleted.count), (1, 0));
        assert!(pruned.condemned.count > 0);
    });
    let (asked, id) = (history.made[0].0, history.made[0].0);
    assert_eq!(
        done.unwrap(),
        Unforgotten::Done(vec![Regained { asked, id }])
    );
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

/// The first snapshot, which is forgotten, and everything that only it needs is condemned.
pub fn condemned() -> History {
    let history = history(Class::C);
    condemn(&history.bed, &history.bed.place);
    history
}

/// Panics unless the first snapshot is there in one other form besides the others, behind prunes too.
pub fn assert_once(history: &History, place: &MemoryBackend, new: SnapshotId, what: &str) {
    let [first, second, third] = &history.made[..] else {
        unreachable!();
    };
    assert_ne!(new, first.0, "{what}");
    let all = [(new, &first.1), (second.0, &second.1), (third.0, &third.1)];
    assert_all(&history.bed, place, &all);
    assert_sound(&history.bed, place, what);
    assert_all(&history.bed, place, &all);
}

#[test]
fn killed_at_any_put_it_is_finished_by_the_next_and_there_once() {
    let history = condemned();
    let (bed, id) = (&history.bed, history.made[0].0);
    let terms = Terms {
        expires: Some(Timestamp::new(5_000_000_000, 0)),
        ..Terms::default()
    };
    put_under(bed, &bed.place, id, terms);
    let (mut killed, mut in_between) = (0, 0);
    for after in [false, true] {
        for nth in 0.. {
            let what = format!(
                "killed {} write {nth}",
                if after { "after" } else { "before" }
            );
            let place = bed.place.fork();
            let inner = Arc::new(place.clone());
            let faults = Arc::new(match after {
                true => Faults::crash_after(inner, nth),
                false => Faults::crash_before(inner, nth),
            });
            let done = bed
                .open_anew(faults.clone(), &password())
                .and_then(|repo| wanted_again(&repo, id));
            if !faults.crashed() {
                let Unforgotten::Done(done) = done.unwrap() else {
                    panic!("{what}");
                };
                assert_once(&history, &place, done[0].id, &what);
                break;
            }
            killed += 1;
            let live = anew(bed, &place).live_snapshots().len();
            in_between += live - 2;
            let new = regained(&anew(bed, &place), id);
            if let Ok(done) = done {
                let told = Regained { asked: id, id: new };
                assert_eq!(done, Unforgotten::Done(vec![told]), "{what}");
            }
            let state = anew(bed, &place).state();
            assert_eq!(state.terms(&new).expires, terms.expires, "{what}");
            // Whoever died is waited for for a day.
            take_for_dead(bed, &place);
            assert_once(&history, &place, new, &what);
        }
    }
    assert!(killed >= 10, "{killed}");
    assert!(in_between > 0, "{in_between}");
}

/// Runs it at `place`, where `event` happens right before its `nth` put of all; whether it came to that.
pub fn wanted_at(
    history: &History,
    place: &MemoryBackend,
    nth: usize,
    event: impl Fn(&MemoryBackend) + Send + Sync + 'static,
) -> (Result<Unforgotten>, bool) {
    let puts = Arc::new(AtomicUsize::new(0));
    let counter = puts.clone();
    let backend = Meanwhile::before(place, "", u32::MAX, move |place| {
        if counter.fetch_add(1, Ordering::SeqCst) == nth {
            event(place);
        }
    });
    let repo = history.bed.open_anew(Arc::new(backend), &password());
    let done = wanted_again(&repo.unwrap(), history.made[0].0);
    (done, puts.load(Ordering::SeqCst) > nth)
}

/// A prune that goes by the grace deletes nothing. One that does not waits only for who was at work when it condemned.
#[test]
fn no_prune_at_any_put_takes_what_it_brings_back() {
    let history = condemned();
    let bed = &history.bed;
    for (options, lates_max) in [(within_grace(), 0), (thorough(), 1)] {
        let (mut back, mut late, mut deleted) = (0, 0, 0);
        for nth in 0.. {
            let what = format!("put {nth}");
            let place = bed.place.fork();
            let (shared, summary) = (bed.clone(), Arc::new(Mutex::new(None)));
            let (kept, options) = (summary.clone(), options.clone());
            let (done, happened) = wanted_at(&history, &place, nth, move |place| {
                let pruned = prune_with(&anew(&shared, place), &options).unwrap();
                *kept.lock().unwrap() = Some(pruned);
            });
            let pruned = summary.lock().unwrap().take();
            deleted += pruned.map_or(0, |pruned| pruned.deleted.count);
            match done.unwrap() {
                Unforgotten::Done(done) => {
                    back += 1;
                    assert_once(&history, &place, done[0].id, &what);
                }
                Unforgotten::TooLate(..) => {
                    late += 1;
                    assert_sound(bed, &place, &what);
                    assert_there(&history, &place, &[1, 2]);
                }
            }
            if !happened {
                break;
            }
        }
        assert!(back >= 6 && late == lates_max, "{back} {late}");
        assert_eq!(deleted > 0, lates_max > 0);
    }
}

/// Somebody says that all who are announced are dead, and nothing else.
fn fence(bed: &Bed, place: &MemoryBackend) -> Vec<Fenced> {
    let announced = names(place, "writers");
    let nonces = announced.iter().map(|name| parse_announcement(name));
    let nonces: Vec<_> = nonces.map(Option::unwrap).collect();
    let repo = anew(bed, place);
    let fenced = repo.state().fenced_now(&nonces);
    if !fenced.is_empty() {
        let say = |_: &_| {
            Ok(Some(Action::Fence {
                fenced: fenced.clone(),
            }))
        };
        repo.append(&mut { say }).unwrap();
    }
    fenced
}

/// Somebody who deletes has seen this of the dead, and no more.
fn cut_off(bed: &Bed, place: &MemoryBackend, fenced: Vec<Fenced>) {
    let repo = anew(bed, place);
    let say = |_: &_| {
        Ok(Some(Action::Deleting {
            objects: vec![],
            index_drop: vec![],
            index_add: vec![],
            reprieve: vec![],
            fenced: fenced.clone(),
        }))
    };
    repo.append(&mut { say }).unwrap();
}

#[test]
fn taken_for_dead_at_any_put_it_fails_and_the_next_brings_it_back_for_good() {
    let history = condemned();
    let (bed, id) = (&history.bed, history.made[0].0);
    let mut failed = 0;
    for nth in 0.. {
        let what = format!("put {nth}");
        let place = bed.place.fork();
        let (shared, dead) = (bed.clone(), Arc::new(Mutex::new(Vec::new())));
        let kept = dead.clone();
        let (done, happened) = wanted_at(&history, &place, nth, move |place| {
            *kept.lock().unwrap() = fence(&shared, place);
        });
        let dead = std::mem::take(&mut *dead.lock().unwrap());
        if dead.is_empty() {
            // Before it was announced, or behind its end.
            let Unforgotten::Done(done) = done.unwrap() else {
                panic!("{what}");
            };
            assert_once(&history, &place, done[0].id, &what);
            match happened {
                true => continue,
                false => break,
            }
        }
        failed += 1;
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
        assert!(
            error.to_string().contains("taken for dead"),
            "{what}: {error}"
        );
        // What it may have committed nobody counts on: whoever deletes has not seen it.
        let new = regained(&anew(bed, &place), id);
        cut_off(bed, &place, dead);
        assert_once(&history, &place, new, &what);
    }
    assert!(failed >= 5, "{failed}");
}

#[test]
fn what_was_deleted_while_it_was_taken_for_dead_stays_so() {
    let history = condemned();
    let (bed, id) = (&history.bed, history.made[0].0);
    let mut failed = 0;
    for nth in 0.. {
        let what = format!("put {nth}");
        let place = bed.place.fork();
        let (shared, dead) = (bed.clone(), Arc::new(AtomicUsize::new(0)));
        let kept = dead.clone();
        let (done, happened) = wanted_at(&history, &place, nth, move |place| {
            kept.store(take_for_dead(&shared, place).len(), Ordering::SeqCst);
        });
        if !happened {
            break;
        }
        if dead.load(Ordering::SeqCst) > 0 {
            failed += 1;
            let error = done.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
        }
        let again = wanted_again(&anew(bed, &place), id).unwrap();
        assert!(
            matches!(again, Unforgotten::TooLate(..)),
            "{what}: {again:?}"
        );
        assert_sound(bed, &place, &what);
        assert_there(&history, &place, &[1, 2]);
    }
    assert!(failed >= 5, "{failed}");
}
