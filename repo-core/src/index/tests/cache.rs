//! The directory that processes share.

use super::*;
use crate::error::{Error, ErrorKind, Subject};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tables of one pack with these blobs each.
fn tables(blobs: &[std::ops::Range<u32>]) -> BTreeMap<IndexId, Vec<u8>> {
    let table = |(i, blobs): (usize, &std::ops::Range<u32>)| {
        table(&[pack(i as u32, &[blobs.clone().collect()])])
    };
    blobs.iter().enumerate().map(table).collect()
}

fn ids(tables: &BTreeMap<IndexId, Vec<u8>>) -> BTreeSet<IndexId> {
    tables.keys().copied().collect()
}

fn sync(index: &Index, tables: &BTreeMap<IndexId, Vec<u8>>) -> usize {
    let mut load = |id: &IndexId| Ok(tables[id].clone());
    index.sync(&ids(tables), &mut load).unwrap().loaded
}

fn open(dir: &Path, mode: Mode) -> Index {
    Index::open_with(Place::Cache(dir), limits(mode)).unwrap()
}

fn has(index: &Index, number: u32) -> bool {
    index
        .lookup(&blob_id(number), Want::Live)
        .unwrap()
        .is_some()
}

#[test]
fn what_was_loaded_once_is_not_loaded_again() {
    for mode in MODES {
        let dir = TempDir::new().unwrap();
        let cache = dir.path().join("a/b");
        let all = tables(&[0..10, 10..20, 20..2000]);
        assert_eq!(sync(&open(&cache, mode), &all), 3);
        let again = open(&cache, mode);
        assert_eq!(again.missing(&ids(&all)).len(), 3);
        assert_eq!(sync(&again, &all), 0);
        assert!((0..2000).all(|number| has(&again, number)));
        for file in run_files(&cache) {
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let mode = std::fs::metadata(&cache).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[test]
fn a_spilling_index_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let index = Index::open_with(Place::Spill(dir.path()), limits(Mode::Mapped)).unwrap();
    assert_eq!(sync(&index, &tables(&[0..3000, 10..20])), 2);
    let pending = index.pending();
    pending
        .add_pack(&pack(9, &[(5000..7000).collect()]))
        .unwrap();
    assert!(index.pack_entry(&pack_id(0)).unwrap().is_some());
    assert!(run_files(dir.path()).is_empty());
    assert!((0..3000).all(|number| has(&index, number)));
}

#[test]
fn the_directory_may_vanish_at_any_time() {
    let dir = TempDir::new().unwrap();
    let cache = dir.path().join("cache");
    let mut all = tables(&[0..3000, 3000..4000]);
    let index = open(&cache, Mode::Read);
    sync(&index, &all);
    std::fs::remove_dir_all(&cache).unwrap();
    assert!((0..4000).all(|number| has(&index, number)));
    all.extend(tables(std::slice::from_ref(&(5000..5001))));
    // Nothing can be written there any more; that is said once, and done without.
    assert_eq!(sync(&index, &all), 1);
    let said = index.cache_failure().map(|error| error.kind());
    assert_eq!(said, Some(ErrorKind::NotFound));
    assert!(index.cache_failure().is_none());
    assert!((0..4000).all(|number| has(&index, number)));
    assert!(has(&index, 5000));
    assert_eq!(sync(&open(&cache, Mode::Read), &all), 3);
}

#[test]
fn runs_stay_few() {
    let dir = TempDir::new().unwrap();
    let index = open(dir.path(), Mode::Heap);
    let mut all = BTreeMap::new();
    for i in 0..300u32 {
        let (id, body) = table(&[pack(i, &[(i * 50..i * 50 + 50).collect()])]);
        all.insert(id, body.clone());
        index.add_table(id, &body).unwrap();
        assert!(index.counts().runs <= 3);
        assert_eq!(run_files(dir.path()).len(), index.counts().runs);
    }
    assert_eq!(index.counts().blobs, 15_000);
    // Half of the tables leave: their rows leave the files too.
    let bytes = index.counts().bytes;
    let all: BTreeMap<_, _> = all.into_iter().take(100).collect();
    assert_eq!(sync(&index, &all), 0);
    assert!(index.counts().bytes < bytes / 2);
    assert_eq!(index.counts().blobs, 5000);
    assert_eq!(sync(&index, &BTreeMap::new()), 0);
    assert_eq!(index.counts(), Counts::default());
    assert!(run_files(dir.path()).is_empty());
}

#[test]
fn a_table_that_cannot_be_had_does_not_hide_the_others() {
    let (_dir, index) = spill();
    let all = tables(&[0..10, 10..20, 20..30]);
    let bad = *all.keys().nth(1).unwrap();
    let kinds = [ErrorKind::Missing, ErrorKind::NotFound, ErrorKind::Damaged];
    for kind in kinds {
        let mut load = |id: &IndexId| match *id == bad {
            true => Err(Error::new(kind, Subject::Index(*id))),
            false => Ok(all[id].clone()),
        };
        let synced = index.sync(&ids(&all), &mut load).unwrap();
        assert_eq!(synced.failed.len(), 1);
        assert_eq!((synced.failed[0].0, synced.failed[0].1.kind()), (bad, kind));
        assert_eq!(index.counts().tables, 2);
    }
    let mut load = |id: &IndexId| Ok(all[id][1..].to_vec());
    let synced = index.sync(&ids(&all), &mut load).unwrap();
    assert_eq!(*synced.failed[0].1.subject(), Subject::Index(bad));
    let mut load = |_: &IndexId| Err(Error::interrupted());
    let error = index.sync(&ids(&all), &mut load).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(index.counts().tables, 2);
    assert_eq!(sync(&index, &all), 1);
    assert!((0..30).all(|number| has(&index, number)));
}

/// Every byte of every file, flipped one at a time: what is asked is answered right, or is an error that a sync heals.
#[test]
fn no_flipped_byte_gives_a_wrong_answer() {
    let dir = TempDir::new().unwrap();
    let all = tables(&[0..20, 10..30]);
    sync(&open(dir.path(), Mode::Mapped), &all);
    let files = run_files(dir.path());
    let [file] = &files[..] else {
        panic!("two small tables make one run")
    };
    let sound = std::fs::read(file).unwrap();
    let healed = (0..sound.len()).filter(|at| {
        let mut bytes = sound.clone();
        bytes[*at] ^= 1 << (at % 8);
        run_files(dir.path())
            .iter()
            .for_each(|file| std::fs::remove_file(file).unwrap());
        std::fs::write(file, &bytes).unwrap();
        let index = open(dir.path(), MODES[at % 3]);
        let loaded = sync(&index, &all);
        let probe = || -> Result<()> {
            for number in 0..40 {
                let found = index.lookup(&blob_id(number), Want::Live)?;
                assert_eq!(found.is_some(), number < 30);
                if let Some(found) = found {
                    index.pack_of(&found)?;
                }
            }
            index.packs(&mut |_, _| Ok(ControlFlow::Continue(())))
        };
        let noticed = probe().is_err();
        assert_eq!(noticed, index.is_damaged());
        if noticed {
            assert_eq!(sync(&index, &all), 2);
            probe().unwrap();
        }
        noticed || loaded > 0
    });
    // What is left are bytes between sections, which mean nothing.
    let (healed, meaning) = (healed.count(), 30 * 44 + 4096);
    assert!(healed > meaning, "{healed} of {}", sound.len());
}

/// Processes that add, merge and remove files of one directory at the same time.
#[test]
fn racing_processes_cost_each_other_only_work() {
    let dir = TempDir::new().unwrap();
    let ranges: Vec<_> = (0..40u32).map(|i| i * 100..i * 100 + 150).collect();
    let all = tables(&ranges);
    std::thread::scope(|scope| {
        for process in 0..4usize {
            let (all, dir) = (&all, dir.path());
            scope.spawn(move || {
                for round in 0..12usize {
                    let index = open(dir, MODES[(process + round) % 3]);
                    let some: BTreeMap<_, _> = all
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| (i * 7 + process + round) % 5 != 0)
                        .map(|(_, (id, body))| (*id, body.clone()))
                        .collect();
                    sync(&index, &some);
                    assert_eq!(index.counts().tables, some.len());
                    sync(&index, all);
                    assert_eq!(index.counts().blobs, 40 * 150);
                    assert!((0..4050).all(|number| has(&index, number)));
                }
            });
        }
    });
    let last = open(dir.path(), Mode::Heap);
    sync(&last, &all);
    assert_eq!(last.counts().blobs, 40 * 150);
    assert_eq!(run_files(dir.path()).len(), last.counts().runs);
}

/// A blob that is in force before and after a sync is never missing in between.
#[test]
fn a_lookup_sees_one_state_or_the_other() {
    let dir = TempDir::new().unwrap();
    let index = open(dir.path(), Mode::Heap);
    let all = tables(&[0..50, 0..50, 0..3000]);
    let states: Vec<BTreeSet<IndexId>> = all.keys().map(|id| [*id].into()).collect();
    let mut load = |id: &IndexId| Ok(all[id].clone());
    index.sync(&states[0], &mut load).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut lookups = 0;
            while !done.load(Ordering::Relaxed) || lookups < 1000 {
                assert!(has(&index, lookups % 50));
                let mut seen = BTreeSet::new();
                let mut each = |id: BlobId, _| {
                    seen.insert(id);
                    Ok(ControlFlow::Continue(()))
                };
                index.for_each_blob(&mut each).unwrap();
                assert!((0..50).all(|number| seen.contains(&blob_id(number))));
                lookups += 1;
            }
        });
        for round in 0..200 {
            index.sync(&states[round % 3], &mut load).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        looking.join().unwrap();
    });
}
