//! Answers that are lost on the way: what was done is told from what was not.

use super::support::*;
use crate::backend::wrap::{Fault, Faults, Operation, Retry, RetryOptions, Rule};
use crate::backend::{Backend, Class, Limits, Listed, MemoryBackend, MemoryOptions, Put};
use crate::error::{ErrorKind, Result};
use crate::format::entry::Action;
use crate::id::{IndexId, SnapshotId};
use crate::repo::{OpenOptions, Repo};
use crate::snapshot::{Filter, find, list};
use std::io::ErrorKind::TimedOut;
use std::sync::Arc;

#[test]
fn an_init_with_one_lost_answer_is_done() {
    for lost in 0.. {
        let bed = Bed::empty();
        let rule = Rule::new(Fault::After(TimedOut)).on(&[Operation::PutIfAbsent]);
        let faults = Arc::new(Faults::new(Arc::new(bed.place.clone())).rule(rule.after(lost)));
        let quick = RetryOptions {
            tries_max: 4,
            pause_ms: 1,
            pause_ms_max: 2,
            first_tries_max: 4,
        };
        let retry = Retry::new(faults.clone(), quick);
        let made = bed.init(Arc::new(retry)).map(|repo| repo.state().class());
        assert_eq!(made.ok(), Some(Class::A), "answer {lost}");
        assert_clean(&bed.open());
        if faults.struck() == 0 {
            assert!(lost > 16, "{lost}");
            return;
        }
    }
}

#[test]
fn a_backup_with_one_lost_answer_is_done() {
    for lost in 0.. {
        let bed = Bed::new();
        bed.write("a", b"first");
        let rule = Rule::new(Fault::After(TimedOut)).on(&[Operation::PutIfAbsent]);
        let faults = Arc::new(Faults::new(Arc::new(bed.place.clone())).rule(rule.after(lost)));
        let repo = bed.open_on(faults.clone()).unwrap();
        let made = bed.backup(&repo);
        assert!(made.is_ok(), "answer {lost}: {made:?}");
        if faults.struck() == 0 {
            assert!(lost > 0);
            return;
        }
    }
}

#[test]
fn an_entry_that_stands_is_no_failure() {
    for skip in 0.. {
        let bed = Bed::new();
        let unread = Rule::new(Fault::Before(TimedOut)).on(&[Operation::Get]);
        let faults = Faults::new(Arc::new(bed.place.clone()));
        let faults = Arc::new(faults.rule(unread.kind("log").after(skip)));
        let Ok(repo) = bed.open_on(faults.clone()) else {
            continue;
        };
        let table = IndexId([1; 32]);
        let index = vec![table];
        let made = repo.append(&mut |_| {
            Ok(Some(Action::Publish {
                index: index.clone(),
            }))
        });
        let stands = bed.open().state().has_table(&table);
        assert_eq!(made.is_ok(), stands, "read {skip}: {made:?}");
        assert_eq!(repo.state().has_table(&table), stands, "read {skip}");
        if faults.struck() == 0 {
            assert!(skip > 3, "{skip}");
            return;
        }
    }
}

#[test]
fn entries_of_the_tails_own_number_are_seen() {
    let mut bed = Bed::empty();
    bed.place = MemoryBackend::with(MemoryOptions {
        class: Class::C,
        ..MemoryOptions::default()
    });
    bed.init(Arc::new(bed.place.clone())).unwrap();
    let open = || {
        bed.open_anew(Arc::new(bed.place.clone()), &password())
            .unwrap()
    };
    let publish = |byte| Action::Publish {
        index: vec![IndexId([byte; 32])],
    };
    let (first, second) = (open(), open());
    let mut reader = None;
    second
        .append(&mut |_| {
            if reader.is_none() {
                first.append(&mut |_| Ok(Some(publish(1))))?;
                reader = Some(open());
            }
            Ok(Some(publish(2)))
        })
        .unwrap();
    let reader = reader.unwrap();
    reader.refresh().unwrap();
    for table in [[1; 32], [2; 32]] {
        assert!(reader.state().has_table(&IndexId(table)));
    }
}

#[test]
fn a_client_that_can_remember_nothing_works_and_says_so() {
    let bed = Bed::new();
    bed.write("a", b"first");
    let options = OpenOptions {
        state_dir: Some("/proc/larder".into()),
        ..bed.options()
    };
    let repo = Repo::open(Arc::new(bed.place.clone()), &password(), &options).unwrap();
    assert!(repo.memory_failure().is_some());
    bed.backup(&repo).unwrap();
    // Once is enough.
    assert!(repo.memory_failure().is_none());
}

#[test]
fn a_cache_that_cannot_be_made_is_done_without() {
    let bed = Bed::new();
    bed.write("a", b"first");
    bed.backup(&bed.open()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), b"").unwrap();
    let options = OpenOptions {
        cache_dir: Some(dir.path().join("file/cache")),
        ..bed.options()
    };
    let repo = Repo::open(Arc::new(bed.place.clone()), &password(), &options).unwrap();
    let failure = repo.index().cache_failure().unwrap();
    assert_eq!(failure.kind(), ErrorKind::Unavailable);
    assert!(repo.index().cache_failure().is_none());
    assert_clean(&repo);
}

#[test]
fn one_snapshot_that_cannot_be_read_stops_nothing() {
    let bed = Bed::new();
    bed.write("a", b"first");
    let good = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    let bad = SnapshotId([9; 32]);
    Other::new(&bed, &bed.place).append(Action::Commit {
        snapshot: bad,
        index: vec![],
        reprieve: vec![],
        summary: vec![1, 2, 3],
    });
    let repo = bed.open();
    let listing = list(&repo, &Filter::default());
    let unreadable: Vec<_> = listing.unreadable.iter().map(|(id, _)| *id).collect();
    assert_eq!((listing.snapshots.len(), unreadable), (1, vec![bad]));
    let latest = find(&repo, "latest", &Filter::default()).unwrap();
    assert_eq!(latest.id, good);
    assert!(find(&repo, &bad.to_hex(), &Filter::default()).is_err());
    let made = bed.backup(&repo).unwrap();
    assert_eq!(made.parent, Some(good));
}

#[test]
fn an_upload_that_panics_ends_the_backup() {
    let bed = Bed::new();
    bed.write("a", &noise(1, 3 << 20));
    let place = Panics(bed.place.clone());
    let repo = bed.open_on(Arc::new(place)).unwrap();
    let error = bed.backup(&repo).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    bed.backup(&bed.open()).unwrap();
}

/// A place with a bug: it panics when it is given data.
struct Panics(MemoryBackend);

impl Backend for Panics {
    fn place(&self) -> String {
        self.0.place()
    }

    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        self.0.get(name)
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        self.0.get_range(name, offset, len)
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        assert!(!name.starts_with("data"), "as it must");
        self.0.put_parts(name, parts)
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        self.0.put_if_absent(name, bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.0.list(prefix, each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.0.delete(name)
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        self.0.size(name)
    }
}
