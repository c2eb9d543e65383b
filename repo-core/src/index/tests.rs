//! The index against a model, its cache against decay and races, reservations against threads.

use super::*;
use crate::ErrorKind;
use crate::crypto::BlobType;
use crate::format::rows::{Blob, Block, ENCODING_DELTA, ENCODING_ZSTD};
use crate::format::table::TableBuilder;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn blob_id(number: u32) -> BlobId {
    blake3::hash(&number.to_le_bytes()).into()
}

fn pack_id(number: u32) -> PackId {
    blake3::keyed_hash(&[1; 32], &number.to_le_bytes()).into()
}

/// A pack with one block for each list of blobs; every second block is a delta against the blob before it.
fn pack(number: u32, blocks: &[Vec<u32>]) -> PackEntry {
    let mut entry = PackEntry {
        id: pack_id(number),
        len: 64 << 20,
        kind: BlobType::Data,
        epoch: number % 3,
        domain: number % 2,
        wrap_count: 1 + (number % 2) as u8,
        wraps: number.to_le_bytes()[..(number % 5) as usize % 4].to_vec(),
        blocks: Vec::new(),
        blobs: Vec::new(),
        bases: Vec::new(),
    };
    for (i, numbers) in blocks.iter().enumerate() {
        let unique: BTreeSet<_> = numbers.iter().collect();
        for (at, number) in unique.iter().enumerate() {
            entry.blobs.push(Blob {
                id: blob_id(**number),
                block: i as u32,
                offset: at as u32 * 10,
                len: 10,
            });
        }
        let delta = i % 2 == 1;
        entry.blocks.push(Block {
            offset: 100 * i as u32,
            stored_len: 100,
            raw_len: unique.len() as u32 * 10,
            counter: i as u32,
            first_base: if delta { entry.bases.len() as u32 } else { 0 },
            base_count: delta.into(),
            encoding: if delta { ENCODING_DELTA } else { ENCODING_ZSTD },
            ..Block::default()
        });
        entry.bases.extend(delta.then(|| blob_id(number * 7)));
    }
    entry
}

fn table(packs: &[PackEntry]) -> (IndexId, Vec<u8>) {
    let mut builder = TableBuilder::new();
    packs
        .iter()
        .for_each(|pack| builder.add_pack(pack).unwrap());
    let body = builder.finish();
    (IndexId(*blake3::hash(&body).as_bytes()), body)
}

/// All tables that were ever made, and what should be seen of them.
#[derive(Default)]
struct Model {
    tables: BTreeMap<IndexId, (Vec<u8>, Vec<PackEntry>)>,
    unusable: BTreeSet<PackId>,
    next_pack: u32,
}

impl Model {
    fn add_table(&mut self, packs: &[Vec<Vec<u32>>]) -> IndexId {
        let entry = |blocks: &Vec<Vec<u32>>| {
            self.next_pack += 1;
            pack(self.next_pack, blocks)
        };
        let packs: Vec<_> = packs.iter().map(entry).collect();
        let (id, body) = table(&packs);
        self.tables.insert(id, (body, packs));
        id
    }

    fn sync(&self, index: &Index, in_force: &BTreeSet<IndexId>) -> usize {
        let synced = index
            .sync(in_force, &mut |id| Ok(self.tables[id].0.clone()))
            .unwrap();
        assert!(synced.failed.is_empty());
        synced.loaded
    }

    /// Compares everything that can be asked with what the tables in force say.
    fn compare(&self, index: &Index, in_force: &BTreeSet<IndexId>) {
        let mut places: HashMap<BlobId, BTreeSet<(PackId, u32, u32)>> = HashMap::new();
        let mut packs = BTreeMap::new();
        for id in in_force {
            assert!(index.contains_table(id));
            for pack in &self.tables[id].1 {
                packs.insert(pack.id, pack);
                for blob in &pack.blobs {
                    let offset = pack.blocks[blob.block as usize].offset;
                    let place = (pack.id, offset, blob.offset);
                    places.entry(blob.id).or_default().insert(place);
                }
            }
        }
        let place = |location: &Location| {
            let pack = index.pack_id_of(location).unwrap();
            (pack, location.block.offset, location.blob_offset)
        };
        for id in (0..80).map(blob_id) {
            let expected = places.get(&id).cloned().unwrap_or_default();
            let mut copies = BTreeSet::new();
            let mut collect = |location: Location| {
                assert_eq!(location.blob_len, 10);
                assert!(copies.insert(place(&location)));
                ControlFlow::Continue(())
            };
            index.copies(&id, &mut collect).unwrap();
            assert_eq!(copies, expected);
            let live = |place: &&(PackId, u32, u32)| !self.unusable.contains(&place.0);
            let found = index.lookup(&id, Want::Live).unwrap();
            assert_eq!(found.is_some(), expected.iter().find(live).is_some());
            assert!(found.is_none_or(|found| live(&&place(&found))));
            let found = index.lookup(&id, Want::Readable).unwrap();
            assert_eq!(found.is_some(), !expected.is_empty());
            if let Some(found) = found {
                assert!(expected.contains(&place(&found)));
                let any_live = expected.iter().find(live).is_some();
                assert_eq!(live(&&place(&found)), any_live);
                let entry = packs[&place(&found).0];
                let bases = usize::from(found.block.base_count);
                assert_eq!(index.bases(&found).unwrap(), entry.bases[..bases.min(1)]);
            }
        }
        self.compare_packs(index, &packs);
        let total: usize = packs.values().map(|pack| pack.blobs.len()).sum();
        let mut seen = 0;
        let mut each = |id, location| {
            assert!(places[&id].contains(&place(&location)));
            seen += 1;
            Ok(ControlFlow::Continue(()))
        };
        index.for_each_blob(&mut each).unwrap();
        let counts = index.counts();
        assert_eq!((seen, counts.blobs), (total, total as u64));
        assert_eq!(counts.packs, packs.len() as u64);
        assert_eq!(counts.tables, in_force.len());
    }

    fn compare_packs(&self, index: &Index, packs: &BTreeMap<PackId, &PackEntry>) {
        let mut seen = Vec::new();
        let mut each = |info: PackInfo, usable| {
            assert_eq!(usable, !self.unusable.contains(&info.id));
            assert_eq!(info.wraps, packs[&info.id].wraps);
            seen.push(info.id);
            Ok(ControlFlow::Continue(()))
        };
        index.packs(&mut each).unwrap();
        assert!(seen.iter().eq(packs.keys()));
        for number in 0..self.next_pack + 2 {
            let id = pack_id(number);
            let expected = packs.get(&id).map(|pack| {
                let mut pack = (*pack).clone();
                pack.blobs
                    .sort_unstable_by_key(|blob| (blob.block, blob.offset));
                pack
            });
            assert_eq!(index.pack_entry(&id).unwrap(), expected);
            let info = index.pack(&id).unwrap();
            assert_eq!(info.map(|info| info.wraps), expected.map(|pack| pack.wraps));
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Vec<Vec<u32>>>),
    /// Syncs to the tables whose bit is set.
    Sync(u32),
    Remove(usize),
    Usable(u32, bool),
    Reopen,
    /// Another process over the same directory syncs to the tables whose bit is set.
    Other(u32),
    /// Damages a file of the cache: which one, where, and how.
    Damage(usize, usize, Decay),
}

#[derive(Debug, Clone, Copy)]
enum Decay {
    Flip,
    Truncate,
    Remove,
}

fn step() -> impl Strategy<Value = Step> {
    let block = prop::collection::vec(0..80u32, 0..12);
    let pack = prop::collection::vec(block, 0..4);
    let decay = prop_oneof![
        Just(Decay::Flip),
        Just(Decay::Truncate),
        Just(Decay::Remove)
    ];
    prop_oneof![
        6 => prop::collection::vec(pack, 0..4).prop_map(Step::Add),
        3 => any::<u32>().prop_map(Step::Sync),
        1 => (0..20usize).prop_map(Step::Remove),
        2 => (0..20u32, any::<bool>()).prop_map(|(pack, usable)| Step::Usable(pack, usable)),
        2 => Just(Step::Reopen),
        2 => any::<u32>().prop_map(Step::Other),
        3 => (any::<usize>(), any::<usize>(), decay).prop_map(|(f, at, how)| Step::Damage(f, at, how)),
    ]
}

fn run_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Damages a file the way a disk would: in a new inode, as this process may have the old one mapped.
fn damage(dir: &Path, which: usize, at: usize, how: Decay) {
    let files = run_files(dir);
    let Some(file) = files.get(which % files.len().max(1)) else {
        return;
    };
    let mut bytes = std::fs::read(file).unwrap();
    std::fs::remove_file(file).unwrap();
    let at = at % bytes.len();
    match how {
        Decay::Flip => bytes[at] ^= 1,
        Decay::Truncate => bytes.truncate(at),
        Decay::Remove => return,
    }
    std::fs::write(file, bytes).unwrap();
}

fn subset(model: &Model, bits: u32) -> BTreeSet<IndexId> {
    let ids = model.tables.keys().enumerate();
    ids.filter(|(i, _)| bits >> (i % 32) & 1 == 1)
        .map(|(_, id)| *id)
        .collect()
}

fn limits(heap: bool) -> Limits {
    Limits {
        heap_run_bytes_max: if heap { 8 << 20 } else { 0 },
        resident_bytes_max: 1 << 20,
    }
}

fn open(model: &Model, dir: &Path, heap: bool) -> Index {
    let index = Index::open_with(Place::Cache(dir), limits(heap)).unwrap();
    for id in &model.unusable {
        index.set_usable(id, false).unwrap();
    }
    index
}

fn play(steps: &[Step], heap: bool) {
    let dir = TempDir::new().unwrap();
    let mut model = Model::default();
    let mut in_force = BTreeSet::new();
    let mut index = open(&model, dir.path(), heap);
    for step in steps {
        match step {
            Step::Add(packs) => {
                let id = model.add_table(packs);
                index.add_table(id, &model.tables[&id].0).unwrap();
                in_force.insert(id);
            }
            Step::Sync(bits) => {
                in_force = subset(&model, *bits);
                model.sync(&index, &in_force);
            }
            Step::Remove(which) => {
                if let Some(id) = in_force.iter().nth(*which).copied() {
                    index.remove_table(&id);
                    in_force.remove(&id);
                    assert!(!index.contains_table(&id));
                }
            }
            Step::Usable(pack, usable) => {
                let id = pack_id(*pack);
                index.set_usable(&id, *usable).unwrap();
                match usable {
                    true => model.unusable.remove(&id),
                    false => model.unusable.insert(id),
                };
            }
            Step::Reopen => {
                index = open(&model, dir.path(), heap);
                model.sync(&index, &in_force);
            }
            Step::Other(bits) => {
                let in_force = subset(&model, *bits);
                let other = open(&model, dir.path(), !heap);
                model.sync(&other, &in_force);
                model.compare(&other, &in_force);
            }
            Step::Damage(which, at, how) => damage(dir.path(), *which, *at, *how),
        }
        heal_and_compare(&model, &index, &in_force);
    }
}

/// Compares; where the cache turns out to be damaged, a sync must put it right.
fn heal_and_compare(model: &Model, index: &Index, in_force: &BTreeSet<IndexId>) {
    let probe = || {
        index.for_each_blob(&mut |_, location| {
            index.pack_of(&location)?;
            index.bases(&location)?;
            Ok(ControlFlow::Continue(()))
        })?;
        index.packs(&mut |_, _| Ok(ControlFlow::Continue(())))
    };
    if let Err(e) = probe() {
        assert_eq!(e.kind(), ErrorKind::Damaged);
        model.sync(index, in_force);
        probe().unwrap();
    }
    model.compare(index, in_force);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_agrees_with_the_model(steps in prop::collection::vec(step(), 1..24), heap: bool) {
        play(&steps, heap);
    }
}

fn spill() -> (TempDir, Index) {
    let dir = TempDir::new().unwrap();
    let index = Index::open(Place::Spill(dir.path())).unwrap();
    (dir, index)
}

#[test]
fn of_many_threads_one_gets_each_blob() {
    let (_dir, index) = spill();
    let (id, body) = table(&[pack(1, &[(0..100).collect()])]);
    index.add_table(id, &body).unwrap();
    let pending = index.pending();
    let new: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4u32)
            .map(|thread| {
                let (index, pending) = (&index, &pending);
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    let mut all = 0;
                    for number in 0..3000 {
                        if pending.reserve(index, &blob_id(number)).unwrap() == Reserve::New {
                            mine.push(number);
                            all += 1;
                        }
                        if mine.len() == 50 {
                            let blobs = std::mem::take(&mut mine);
                            let pack = pack(10 + thread * 100_000 + all, &[blobs]);
                            pending.add_pack(&pack).unwrap();
                            let (id, body) = table(&[pack]);
                            pending.add_table(index, id, &body).unwrap();
                        }
                    }
                    all as usize
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(new, 2900);
    assert_eq!(index.counts().blobs, 3000 - pending.reserved() as u64);
    assert_eq!(pending.packs(), 0);
}

#[test]
fn a_blob_is_reserved_then_written_then_published() {
    let (_dir, index) = spill();
    let pending = index.pending();
    let id = blob_id(1);
    assert_eq!(pending.reserve(&index, &id).unwrap(), Reserve::New);
    assert_eq!(pending.reserve(&index, &id).unwrap(), Reserve::OnItsWay);
    pending.release(&id);
    assert_eq!(pending.reserve(&index, &id).unwrap(), Reserve::New);
    let entry = pack(1, &[vec![1, 2]]);
    pending.add_pack(&entry).unwrap();
    assert_eq!((pending.packs(), pending.reserved()), (1, 0));
    let Reserve::Stored(location) = pending.reserve(&index, &id).unwrap() else {
        panic!("written and not stored");
    };
    assert_eq!(index.pack_id_of(&location).unwrap(), entry.id);
    assert!(index.lookup(&id, Want::Readable).unwrap().is_none());
    let (table_id, body) = table(&[entry]);
    pending.add_table(&index, table_id, &body).unwrap();
    assert_eq!(pending.packs(), 0);
    assert!(index.lookup(&id, Want::Live).unwrap().is_some());
    assert!(matches!(
        pending.reserve(&index, &id).unwrap(),
        Reserve::Stored(_)
    ));
    // A copy in a condemned pack is no reason not to store the blob.
    index.set_usable(&pack_id(1), false).unwrap();
    assert_eq!(pending.reserve(&index, &id).unwrap(), Reserve::New);
    let damaged = PackEntry {
        len: 0,
        ..pack(2, &[vec![5]])
    };
    assert_eq!(
        pending.add_pack(&damaged).unwrap_err().kind(),
        ErrorKind::Damaged
    );
}
