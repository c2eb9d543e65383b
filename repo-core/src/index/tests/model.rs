//! Any history of tables, processes and decay against a model.

use super::*;
use crate::ErrorKind;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Pack, offset of the block, offset in the block.
type At = (PackId, u32, u32);

/// Where copies of blobs lie, and the base of their blocks.
type Places = HashMap<BlobId, BTreeMap<At, Option<BlobId>>>;

fn place(index: &Index, location: &Location) -> At {
    let pack = index.pack_id_of(location).unwrap();
    (pack, location.block.offset, location.blob_offset)
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

    /// Compares the index by numbers.
    fn compare_picture(
        &self,
        index: &Index,
        places: &Places,
        packs: &BTreeMap<PackId, &PackEntry>,
    ) {
        let picture = Arc::new(index.picture().unwrap());
        let marks = picture.marks();
        for id in (0..80).step_by(2).map(blob_id) {
            let known = places.contains_key(&id);
            assert_eq!(marks.insert(&id).unwrap(), known.then_some(true));
            assert_eq!(marks.insert(&id).unwrap(), known.then_some(false));
        }
        let marked: BTreeSet<_> = (0..80).step_by(2).map(blob_id).collect();
        let (mut seen, mut last) = (0, None);
        let mut rows = BTreeSet::new();
        picture
            .for_each_blob(&mut |id, stands, copies| {
                assert!(last < Some(*id));
                last = Some(*id);
                assert_eq!(marks.has_row(stands), marked.contains(id));
                assert_eq!(marks.contains(id).unwrap(), marked.contains(id));
                let whole = places[id].values().filter(|base| base.is_none()).count();
                assert_eq!(copies.iter().filter(|copy| copy.whole).count(), whole);
                assert_eq!(copies.len(), places[id].len());
                for copy in copies {
                    assert_eq!(picture.pack_of_block(copy.block), Some(copy.pack));
                    let pack = picture.pack_row(copy.pack).unwrap().id;
                    assert!(places[id].keys().any(|(place, ..)| *place == pack));
                    assert!(rows.insert(copy.row) && copy.row < picture.row_count());
                }
                seen += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, places.len());
        let numbers: Vec<u32> = picture.packs().collect();
        assert_eq!(numbers.len(), packs.len());
        for number in numbers {
            let pack = packs[&picture.pack_info(number).unwrap().id];
            let blocks = picture.blocks_of(index, number).unwrap();
            assert_eq!(blocks.len(), pack.blocks.len());
            for (block, row) in blocks.iter().zip(&pack.blocks) {
                assert_eq!(
                    (block.block.offset, block.bases.len()),
                    (row.offset, row.base_count.into())
                );
                for (blob, of) in &block.blobs {
                    assert!(places[&blob.id].contains_key(&(pack.id, row.offset, blob.offset)));
                    assert!(of.iter().all(|row| rows.contains(row)));
                }
            }
            let blobs: usize = blocks.iter().map(|block| block.blobs.len()).sum();
            assert_eq!(blobs, pack.blobs.len());
        }
    }

    /// Compares everything that can be asked with what the tables in force say.
    fn compare(&self, index: &Index, in_force: &BTreeSet<IndexId>) {
        let mut places = Places::new();
        let mut packs = BTreeMap::new();
        for id in in_force {
            assert!(index.contains_table(id));
            for pack in &self.tables[id].1 {
                packs.insert(pack.id, pack);
                for blob in &pack.blobs {
                    let block = &pack.blocks[blob.block as usize];
                    let base = (block.base_count > 0).then(|| pack.bases[0]);
                    let place = (pack.id, block.offset, blob.offset);
                    places.entry(blob.id).or_default().insert(place, base);
                }
            }
        }
        for id in (0..80).map(blob_id) {
            self.compare_blob(index, &id, &places, &packs);
        }
        let mut bases = packs.values().map(|pack| pack.bases.len());
        assert_eq!(index.has_deltas(), bases.any(|count| count > 0));
        self.compare_packs(index, &packs);
        let total: usize = packs.values().map(|pack| pack.blobs.len()).sum();
        let mut seen = 0;
        let mut each = |id, location| {
            assert!(places[&id].contains_key(&place(index, &location)));
            seen += 1;
            Ok(ControlFlow::Continue(()))
        };
        index.for_each_blob(&mut each).unwrap();
        self.compare_picture(index, &places, &packs);
        let counts = index.counts();
        assert_eq!((seen, counts.blobs), (total, total as u64));
        assert_eq!(counts.packs, packs.len() as u64);
        assert_eq!(counts.tables, in_force.len());
    }

    /// Compares what is found of a blob. A copy in a block with a base is live only if that has a whole copy that is.
    fn compare_blob(
        &self,
        index: &Index,
        id: &BlobId,
        places: &Places,
        packs: &BTreeMap<PackId, &PackEntry>,
    ) {
        let expected = places.get(id).cloned().unwrap_or_default();
        let mut copies = BTreeSet::new();
        for location in index.copies(id).unwrap() {
            assert_eq!(location.blob_len, 10);
            assert!(copies.insert(place(index, &location)));
        }
        assert!(copies.iter().eq(expected.keys()));
        let usable = |at: &At| !self.unusable.contains(&at.0);
        let has_whole = |id: &BlobId| {
            let mut copies = places.get(id).into_iter().flatten();
            copies.any(|(at, base)| base.is_none() && usable(at))
        };
        let live =
            |(at, base): (&At, &Option<BlobId>)| usable(at) && base.as_ref().is_none_or(has_whole);
        let found = index.lookup(id, Want::Live).unwrap();
        assert_eq!(found.is_some(), expected.iter().any(live));
        let is_live = |found: &Location| {
            let at = place(index, found);
            live((&at, &expected[&at]))
        };
        assert!(found.is_none_or(|found| is_live(&found)));
        let found = index.lookup(id, Want::Readable).unwrap();
        assert_eq!(found.is_some(), !expected.is_empty());
        if let Some(found) = found {
            assert_eq!(is_live(&found), expected.iter().any(live));
            let entry = packs[&place(index, &found).0];
            let bases = usize::from(found.block.base_count);
            assert_eq!(index.bases(&found).unwrap(), entry.bases[..bases.min(1)]);
        }
        let whole = index.whole_copy(id, Want::Live).unwrap();
        assert_eq!(whole.is_some(), has_whole(id));
        assert!(whole.is_none_or(|found| expected[&place(index, &found)].is_none()));
        let whole = index.whole_copy(id, Want::Readable).unwrap();
        let any_whole = expected.values().any(Option::is_none);
        assert_eq!(whole.is_some(), any_whole);
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

fn open(model: &Model, dir: &Path, mode: Mode) -> Index {
    let index = Index::open_with(Place::Cache(dir), limits(mode)).unwrap();
    for id in &model.unusable {
        index.set_usable(id, false).unwrap();
    }
    index
}

fn play(steps: &[Step], mode: Mode) {
    let dir = TempDir::new().unwrap();
    let mut model = Model::default();
    let mut in_force = BTreeSet::new();
    let mut index = open(&model, dir.path(), mode);
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
                match usable {
                    true => model.unusable.remove(&id),
                    false => model.unusable.insert(id),
                };
                // Both ways of saying it; a damaged cache is put right by the next sync.
                let said = match pack % 2 {
                    0 => index.set_usable(&id, *usable),
                    _ => index.set_unusable(model.unusable.iter().copied().collect()),
                };
                assert!(said.is_ok() || index.is_damaged());
            }
            Step::Reopen => {
                index = open(&model, dir.path(), mode);
                model.sync(&index, &in_force);
            }
            Step::Other(bits) => {
                let in_force = subset(&model, *bits);
                let other = open(&model, dir.path(), Mode::Mapped);
                model.sync(&other, &in_force);
                heal_and_compare(&model, &other, &in_force);
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
    fn any_history_agrees_with_the_model(steps in prop::collection::vec(step(), 1..24), mode in 0..3usize) {
        play(&steps, MODES[mode]);
    }
}
