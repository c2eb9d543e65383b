//! How many requests are made at a place over a network, with what this machine keeps of it and without.

use super::support::*;
use crate::backend::wrap::{Counting, Operation};
use crate::backend::{MemoryBackend, MemoryOptions};
use crate::ops::{CheckOptions, LsOptions, check, ls};
use crate::progress::Interrupt;
use crate::repo::{OpenOptions, Repo};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// A client that keeps what it reads.
struct Client<'a> {
    bed: &'a Bed,
    kept: TempDir,
}

impl<'a> Client<'a> {
    fn new(bed: &'a Bed) -> Self {
        let kept = tempfile::tempdir().unwrap();
        Self { bed, kept }
    }

    fn options(&self) -> OpenOptions {
        OpenOptions {
            cache_dir: Some(self.kept.path().join("cache")),
            state_dir: Some(self.kept.path().join("state")),
            ..self.bed.options()
        }
    }

    /// What `work` in a process of its own asks of the place.
    fn asks(&self, work: impl FnOnce(&Repo)) -> Arc<Counting> {
        let counting = Arc::new(Counting::new(Arc::new(self.bed.place.clone())));
        let repo = Repo::open(counting.clone(), &password(), &self.options()).unwrap();
        work(&repo);
        counting
    }
}

fn total(counting: &Counting) -> u64 {
    counting.counts().values().map(|count| count.calls).sum()
}

/// A tree with so many directories of twenty files, backed up once.
fn backed_up(dirs: u64) -> Bed {
    let mut bed = Bed::empty();
    bed.place = MemoryBackend::with(MemoryOptions {
        remote: true,
        ..MemoryOptions::default()
    });
    bed.init(Arc::new(bed.place.clone())).unwrap();
    for dir in 0..dirs {
        for file in 0..20 {
            bed.write(&format!("dir{dir}/{file}"), &noise(dir * 20 + file, 5000));
        }
    }
    bed.backup(&bed.open()).unwrap();
    bed
}

/// Whether a backup found everything as it was: other tests may have changed the directory in which all temporary ones lie.
fn is_unchanged(asked: &Counting) -> bool {
    asked.of(Operation::Put, "meta").calls == 0
}

#[test]
fn an_unchanged_backup_asks_twelve_times() {
    let bed = backed_up(30);
    let client = Client::new(&bed);
    let backup = |repo: &Repo| assert!(bed.backup(repo).unwrap().snapshot.is_some());
    client.asks(backup);
    let (mut unchanged, mut more, mut checkpoints) = (0, 0, 0);
    for _ in 0..1000 {
        if unchanged == 40 {
            break;
        }
        let asked = client.asks(backup);
        checkpoints += asked.of(Operation::PutIfAbsent, "checkpoints").calls;
        if is_unchanged(&asked) {
            unchanged += 1;
            more += total(&asked).saturating_sub(12);
            assert_eq!(asked.total(Operation::GetRange).calls, 0);
        }
    }
    // One of sixteen entries comes with a checkpoint; the first time that one is read, so is the entry that says who may write. A backup that
    // found a change may have two entries.
    assert!(
        unchanged == 40 && checkpoints >= 2 && more <= 2 * checkpoints,
        "{more} more in {unchanged}, {checkpoints} checkpoints"
    );
}

#[test]
fn a_client_that_was_away_asks_little_more() {
    let bed = backed_up(30);
    let client = Client::new(&bed);
    let backup = |repo: &Repo| assert!(bed.backup(repo).unwrap().snapshot.is_some());
    client.asks(backup);
    client.asks(backup);
    let other = bed.open();
    for _ in 0..100 {
        bed.backup(&other).unwrap();
    }
    let asked = client.asks(backup);
    // A table for each backup that found something new.
    let tables = asked.of(Operation::Get, "index").calls;
    assert!(total(&asked) - tables <= 25, "{:#?}", asked.counts());
}

#[test]
fn a_listing_asks_five_times_and_a_look_into_a_directory_fifteen() {
    let bed = backed_up(30);
    let repo = bed.open();
    let id = bed.backup(&repo).unwrap().snapshot.unwrap();
    let client = Client::new(&bed);
    let look = |repo: &Repo| {
        let options = LsOptions {
            paths: vec![bed.source().join("dir7")],
            ..LsOptions::default()
        };
        let mut seen = 0;
        ls(repo, &id, &options, &mut |_, _| {
            seen += 1;
            Ok(())
        })
        .unwrap();
        assert!(seen >= 20, "{seen}");
    };
    let asked = client.asks(look);
    assert!(total(&asked) <= 15, "{:#?}", asked.counts());
    let asked = client.asks(|repo| assert_eq!(repo.live_snapshots().len(), 2));
    assert!(total(&asked) <= 5, "{:#?}", asked.counts());
}

/// All files below, with the bytes of `damage` put into each.
fn damage(dir: PathBuf) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => damage(path),
            false => {
                let mut bytes = std::fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            }
        }
    }
}

#[test]
fn what_is_kept_may_be_damaged_or_gone() {
    let bed = backed_up(5);
    let client = Client::new(&bed);
    let backup = |repo: &Repo| assert!(bed.backup(repo).unwrap().snapshot.is_some());
    (0..20).for_each(|_| drop(client.asks(backup)));
    let objects = std::fs::read_dir(client.kept.path().join("cache")).unwrap();
    let objects = objects.map(|entry| entry.unwrap().path().join("objects"));
    let objects: Vec<PathBuf> = objects.collect();
    assert!(objects[0].join("meta").is_dir());
    assert!(objects[0].join("checkpoints").is_dir());
    damage(objects[0].clone());
    client.asks(backup);
    std::fs::remove_dir_all(&objects[0]).unwrap();
    client.asks(backup);
    assert_clean(&bed.open());
}

#[test]
fn a_check_sees_what_the_place_has_lost() {
    let bed = backed_up(5);
    let client = Client::new(&bed);
    client.asks(|repo| assert!(bed.backup(repo).unwrap().snapshot.is_some()));
    for (name, _) in bed.place.objects() {
        if name.starts_with("meta/") {
            use crate::backend::Backend;
            bed.place.delete(&name).unwrap();
        }
    }
    client.asks(|repo| {
        let options = CheckOptions::default();
        let checked = check(repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
        assert!(!checked.findings.is_empty());
    });
}
