//! A forget is taken back in a place that overwrites while a prune deletes that has waited for all others before.

use super::class_c_history::{History, anew, assert_sound, take_for_dead};
use super::class_c_unforget::{assert_there, regained, wanted_again};
use super::class_c_unforget_beside::{assert_once, condemned, wanted_at};
use super::prune::prune_with;
use super::support::*;
use crate::backend::{Backend, Limits, Listed, MemoryBackend, Put};
use crate::error::{ErrorKind, Result};
use crate::format::entry::{Action, ObjectRef};
use crate::ops::{PruneOptions, PruneSummary, Regained, Unforgotten};
use crate::repo::pack_object;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// A prune that has waited for all who were there before, and is about to say what it deletes.
struct AboutToDelete {
    go: mpsc::Sender<()>,
    pruned: Mutex<mpsc::Receiver<PruneSummary>>,
}

impl AboutToDelete {
    fn new(history: &History, place: &MemoryBackend) -> Self {
        let (reached, is_there) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let (ended, pruned) = mpsc::channel();
        let may_go = Mutex::new(may_go);
        let backend = Meanwhile::before(place, "log", 1, move |_| {
            reached.send(()).unwrap();
            // Nobody may have come to the point where it should go on.
            let _ = may_go.lock().unwrap().recv();
        });
        let bed = history.bed.clone();
        std::thread::spawn(move || {
            let options = PruneOptions {
                grace: Duration::ZERO,
                ..PruneOptions::default()
            };
            let repo = bed.open_anew(Arc::new(backend), &password()).unwrap();
            let _ = ended.send(prune_with(&repo, &options).unwrap());
        });
        is_there.recv().unwrap();
        let pruned = Mutex::new(pruned);
        Self { go, pruned }
    }

    /// Lets it delete.
    fn finish(&self) {
        self.go.send(()).unwrap();
        let pruned = self.pruned.lock().unwrap().recv().unwrap();
        assert!(pruned.deleted.count > 0, "{pruned:?}");
        assert_eq!(pruned.waits_for, 0);
    }
}

/// Nobody waits for who comes so late: nothing that is condemned is relied on.
#[test]
fn a_deletion_that_waited_for_all_before_takes_nothing_of_it() {
    let history = condemned();
    let place = &history.bed.place;
    let prune = AboutToDelete::new(&history, place);
    let new = regained(&anew(&history.bed, place), history.made[0].0);
    prune.finish();
    assert_once(&history, place, new, "unforget");
}

#[test]
fn a_deletion_at_any_put_takes_nothing_of_what_it_says_is_there() {
    let history = condemned();
    let (mut back, mut late) = (0, 0);
    for nth in 0.. {
        let what = format!("put {nth}");
        let place = history.bed.place.fork();
        let prune = AboutToDelete::new(&history, &place);
        let (done, happened) = wanted_at(&history, &place, nth, move |_| prune.finish());
        match done.unwrap() {
            Unforgotten::Done(done) if happened => {
                back += 1;
                assert_once(&history, &place, done[0].id, &what);
            }
            Unforgotten::Done(_) => break,
            Unforgotten::TooLate(..) => {
                late += 1;
                assert_sound(&history.bed, &place, &what);
                assert_there(&history, &place, &[1, 2]);
            }
        }
    }
    assert!(back >= 5 && late == 1, "{back} {late}");
}

/// A place at which something happens right before data is read first.
pub struct BeforeData {
    place: MemoryBackend,
    event: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl BeforeData {
    pub fn new(place: &MemoryBackend, event: impl FnOnce() + Send + 'static) -> Self {
        Self {
            place: place.clone(),
            event: Mutex::new(Some(Box::new(event))),
        }
    }

    fn happen(&self, name: &str) {
        if name.starts_with("data/")
            && let Some(event) = self.event.lock().unwrap().take()
        {
            event();
        }
    }
}

impl Backend for BeforeData {
    fn place(&self) -> String {
        self.place.place()
    }

    fn limits(&self) -> Limits {
        self.place.limits()
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        self.happen(name);
        self.place.get(name)
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        self.happen(name);
        self.place.get_range(name, offset, len)
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        self.place.put_parts(name, parts)
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        self.place.put_if_absent(name, bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.place.list(prefix, each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.place.delete(name)
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        self.place.size(name)
    }
}

/// Takes the forget of the first back, and right before data is copied `event` happens.
fn while_it_reads(history: &History, event: impl FnOnce() + Send + 'static) -> Result<Unforgotten> {
    let backend = BeforeData::new(&history.bed.place, event);
    let repo = history.bed.open_anew(Arc::new(backend), &password());
    wanted_again(&repo.unwrap(), history.made[0].0)
}

/// What became of it while it was taken for dead it does not say: it does not know.
#[test]
fn taken_for_dead_while_it_reads_it_says_so() {
    let history = condemned();
    let (bed, place) = (history.bed.clone(), history.bed.place.clone());
    let done = while_it_reads(&history, move || {
        assert_eq!(take_for_dead(&bed, &place).len(), 1);
    });
    let error = done.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("taken for dead"), "{error}");
}

#[test]
fn what_is_deleted_while_it_is_read_is_too_late() {
    let history = condemned();
    let place = &history.bed.place;
    let prune = AboutToDelete::new(&history, place);
    let done = while_it_reads(&history, move || prune.finish()).unwrap();
    let Unforgotten::TooLate(id, gone) = done else {
        panic!("{done:?}");
    };
    assert!(id == history.made[0].0 && gone.snapshot);
    assert_sound(&history.bed, place, "unforget");
    assert_there(&history, place, &[1, 2]);
}

/// Who has waited for others deletes the packs that are condemned, and not the snapshots, which were condemned later.
fn delete_packs(bed: &Bed, place: &MemoryBackend) {
    let repo = anew(bed, place);
    let state = repo.state();
    let objects = state.condemned().map(|(pack, _)| {
        let kind = repo.index().pack(pack).unwrap().unwrap().kind;
        let (kind, id) = (pack_object(kind), pack.0);
        ObjectRef { kind, id }
    });
    let objects: Vec<ObjectRef> = objects.collect();
    assert!(!objects.is_empty());
    let say = |_: &_| {
        Ok(Some(Action::Deleting {
            objects: objects.clone(),
            index_drop: vec![],
            index_add: vec![],
            reprieve: vec![],
            fenced: vec![],
        }))
    };
    repo.append(&mut { say }).unwrap();
    for object in &objects {
        assert!(place.remove(&object.kind.name(&object.id)));
    }
}

#[test]
fn what_others_moved_while_it_was_read_is_not_too_late() {
    let history = condemned();
    let (bed, place) = (history.bed.clone(), history.bed.place.clone());
    let (id, moved) = (history.made[0].0, Arc::new(Mutex::new(None)));
    let kept = moved.clone();
    let done = while_it_reads(&history, move || {
        *kept.lock().unwrap() = Some(regained(&anew(&bed, &place), id));
        delete_packs(&bed, &place);
    });
    let new = moved.lock().unwrap().take().unwrap();
    let expected = Regained { asked: id, id: new };
    assert_eq!(done.unwrap(), Unforgotten::Done(vec![expected]));
    assert_once(&history, &history.bed.place, new, "unforget");
}
