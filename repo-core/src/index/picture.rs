//! The index by numbers: a still picture in which packs, blocks and rows are counted through, so that what is known of each is a bit
//! or a small number in a row of them.

use super::Index;
use super::layout::Section;
use super::run::Run;
use super::shown::{self, Shown};
use crate::error::{Error, Result, Subject};
use crate::format::rows::{Blob, Block, CopyAt, EachBlob, PackEntry, PackInfo, PackRow, Row};
use crate::id::{BlobId, IndexId, PackId};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of a pack that does not count, or that another number stands for.
const NONE: u32 = u32::MAX;

/// The index as it was at one time, its packs, blocks and rows numbered.
///
/// Memory: 8 bytes a pack, 4 a block.
pub struct Picture {
    parts: Vec<Part>,
    /// For each pack the number that stands for it: several tables may name one.
    stands_for: Vec<u32>,
    /// The other numbers of packs that have several.
    others: BTreeMap<u32, Vec<u32>>,
    /// For each block its pack's number, as it stands for it, and in the highest bit whether it has bases.
    blocks: Vec<u32>,
    rows: u64,
}

/// A run and where its numbers begin.
struct Part {
    shown: Shown,
    first_pack: u32,
    first_block: u32,
    first_row: u64,
}

/// The bit that says that a block has bases.
const HAS_BASES: u32 = 1 << 31;

/// One block of a pack, with what lies in it.
#[derive(Debug, Clone)]
pub struct BlockAt {
    /// As the pack's directory says it; its bases count from the start of `bases`.
    pub block: Block,
    /// What it was compressed against.
    pub bases: Vec<BlobId>,
    /// Its blobs by their place, each with the numbers of its rows.
    pub blobs: Vec<(Blob, Vec<u64>)>,
}

impl Index {
    /// A picture of the index as it is. One pass over its packs and blocks. `InvalidInput` if it has more than 2³¹ packs or 2³² blocks.
    pub fn picture(&self) -> Result<Picture> {
        let too_large =
            || Error::invalid("index").detail("has more packs or blocks than can be numbered");
        let (mut parts, mut packs, mut blocks, mut rows) = (Vec::new(), 0u32, 0u32, 0u64);
        for shown in self.snapshot() {
            let count = |section| shown.run.count(section);
            let next = (
                packs
                    .checked_add(count(Section::Packs))
                    .filter(|n| *n < HAS_BASES),
                blocks.checked_add(count(Section::Blocks)),
                rows + u64::from(count(Section::Blobs)),
            );
            parts.push(Part {
                shown,
                first_pack: packs,
                first_block: blocks,
                first_row: rows,
            });
            packs = next.0.ok_or_else(too_large)?;
            blocks = next.1.ok_or_else(too_large)?;
            rows = next.2;
        }
        let mut picture = Picture {
            parts,
            stands_for: vec![NONE; packs as usize],
            others: BTreeMap::new(),
            blocks: Vec::with_capacity(blocks as usize),
            rows,
        };
        picture.number_packs()?;
        picture.number_blocks()?;
        Ok(picture)
    }
}

impl Picture {
    /// Gives each pack the lowest of its numbers.
    fn number_packs(&mut self) -> Result<()> {
        let runs: Vec<&Shown> = self.parts.iter().map(|part| &part.shown).collect();
        let mut before: Option<(PackId, u32)> = None;
        shown::packs_by_id(&runs, &mut |id, i, row| {
            let number = self.parts[i].first_pack + row;
            self.stands_for[number as usize] = match before {
                Some((known, first)) if known == id => {
                    self.others.entry(first).or_default().push(number);
                    first
                }
                _ => {
                    before = Some((id, number));
                    number
                }
            };
            Ok(ControlFlow::Continue(()))
        })
    }

    fn number_blocks(&mut self) -> Result<()> {
        for part in &self.parts {
            for row in 0..part.shown.run.count(Section::Blocks) {
                let block = part.shown.run.block(row)?;
                let pack = self.stands_for.get((part.first_pack + block.pack) as usize);
                let bases = if block.base_count > 0 { HAS_BASES } else { 0 };
                self.blocks.push(match pack {
                    Some(&pack) if pack != NONE => pack | bases,
                    _ => NONE,
                });
            }
        }
        Ok(())
    }

    /// Numbers of packs are below this.
    pub fn pack_count(&self) -> u32 {
        self.stands_for.len() as u32
    }

    /// Numbers of blocks are below this.
    pub fn block_count(&self) -> u32 {
        self.blocks.len() as u32
    }

    /// Numbers of rows are below this.
    pub fn row_count(&self) -> u64 {
        self.rows
    }

    /// The numbers of all packs, each once.
    pub fn packs(&self) -> impl Iterator<Item = u32> {
        let all = 0..self.pack_count();
        all.filter(|number| self.stands_for[*number as usize] == *number)
    }

    /// The pack that a block lies in; `None` for one that does not count.
    pub fn pack_of_block(&self, block: u32) -> Option<u32> {
        let pack = *self.blocks.get(block as usize)?;
        (pack != NONE).then_some(pack & !HAS_BASES)
    }

    /// Whether any block has bases.
    pub fn has_deltas(&self) -> bool {
        let mut blocks = self.blocks.iter();
        blocks.any(|block| *block != NONE && block & HAS_BASES != 0)
    }

    fn part_of_pack(&self, number: u32) -> (&Part, u32) {
        let at = self.parts.partition_point(|part| part.first_pack <= number);
        let part = &self.parts[at - 1];
        (part, number - part.first_pack)
    }

    /// What a pack's row says.
    pub fn pack_row(&self, number: u32) -> Result<PackRow> {
        let (part, row) = self.part_of_pack(number);
        part.shown.run.pack_row(row)
    }

    /// A pack with its wrap table.
    pub fn pack_info(&self, number: u32) -> Result<PackInfo> {
        let (part, row) = self.part_of_pack(number);
        part.shown.run.pack(row)
    }

    /// Calls `each` with every table in force: how many blobs it names, and the numbers of its packs, some of which another number may
    /// stand for.
    pub fn for_each_table(
        &self,
        each: &mut dyn FnMut(IndexId, u64, Range<u32>) -> Result<()>,
    ) -> Result<()> {
        for part in &self.parts {
            let mut first = part.first_pack;
            for (i, segment) in part.shown.run.segments().iter().enumerate() {
                let next = first + segment.counts[Section::Packs as usize];
                if part.shown.is_shown(i) {
                    let blobs = segment.counts[Section::Blobs as usize];
                    each(IndexId(segment.origin), u64::from(blobs), first..next)?;
                }
                first = next;
            }
        }
        Ok(())
    }

    /// Calls `each` with every block, its number and that of its pack; of a pack that several tables name with the blocks of its
    /// lowest number, under which [`Picture::for_each_blob`] lists copies first.
    pub fn for_each_block(
        &self,
        each: &mut dyn FnMut(u32, u32, Block) -> Result<()>,
    ) -> Result<()> {
        for part in &self.parts {
            for row in 0..part.shown.run.count(Section::Blocks) {
                let block = part.shown.run.block(row)?;
                let pack = part.first_pack + block.pack;
                if self.stands_for.get(pack as usize) == Some(&pack) {
                    each(part.first_block + row, pack, block)?;
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with the bases of every block that has some, and its number.
    pub fn for_each_base(
        &self,
        each: &mut dyn FnMut(u32, Vec<BlobId>) -> Result<()>,
    ) -> Result<()> {
        for part in &self.parts {
            for row in 0..part.shown.run.count(Section::Blocks) {
                let number = part.first_block + row;
                let counted = self.blocks[number as usize];
                if counted != NONE && counted & HAS_BASES != 0 {
                    let block = part.shown.run.block(row)?;
                    each(number, part.shown.run.bases(&block)?)?;
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with every blob once, in the order of ids: the number of the row that stands for it ([`PictureMarks`]), and
    /// all its copies; one that several tables name is listed for each. Reads every run once, from its beginning to its end.
    pub fn for_each_blob(&self, each: &mut EachBlob<'_>) -> Result<()> {
        let mut cursors = Vec::new();
        for part in &self.parts {
            let mut cursor = Cursor::new(part);
            cursor.step()?;
            cursors.push(cursor);
        }
        let mut copies: Vec<CopyAt> = Vec::new();
        while let Some(id) = cursors
            .iter()
            .filter_map(|c| c.head.as_ref().map(|blob| blob.id))
            .min()
        {
            copies.clear();
            let mut stands = None;
            for cursor in &mut cursors {
                while let Some(blob) = cursor.head.filter(|blob| blob.id == id) {
                    let row = cursor.part.first_row + u64::from(cursor.row);
                    stands.get_or_insert(row);
                    self.push_copy(&mut copies, cursor.part, row, &blob);
                    cursor.step()?;
                }
            }
            if let (Some(stands), false) = (stands, copies.is_empty()) {
                each(&id, stands, &copies)?;
            }
        }
        Ok(())
    }

    fn push_copy(&self, copies: &mut Vec<CopyAt>, part: &Part, row: u64, blob: &Blob) {
        let number = part.first_block + blob.block;
        let Some(&counted) = self
            .blocks
            .get(number as usize)
            .filter(|pack| **pack != NONE)
        else {
            return;
        };
        copies.push(CopyAt {
            row,
            block: number,
            pack: counted & !HAS_BASES,
            len: blob.len,
            whole: counted & HAS_BASES == 0,
        });
    }

    /// The blocks of a pack in their order, with all that lies in them; of a pack that several tables name, what any of them says.
    ///
    /// The first call for a run sorts its rows by pack ([`Index::pack_entry`]).
    pub fn blocks_of(&self, index: &Index, number: u32) -> Result<Vec<BlockAt>> {
        let mut found: BTreeMap<u32, BlockAt> = BTreeMap::new();
        let others = self.others.get(&number).into_iter().flatten();
        for number in std::iter::once(&number).chain(others) {
            let (part, row) = self.part_of_pack(*number);
            let numbered = part.shown.run.numbered(row, &index.store)?;
            let entry = numbered.entry;
            for block in &entry.blocks {
                found.entry(block.offset).or_insert_with(|| BlockAt {
                    block: *block,
                    bases: entry.bases_of(block).to_vec(),
                    blobs: Vec::new(),
                });
            }
            for (blob, row) in entry.blobs.iter().zip(numbered.rows) {
                let block = entry
                    .blocks
                    .get(blob.block as usize)
                    .ok_or_else(|| outside(&entry))?;
                let row = part.first_row + u64::from(row);
                let known = found
                    .get_mut(&block.offset)
                    .ok_or_else(|| outside(&entry))?;
                let same = |(other, _): &&mut (Blob, Vec<u64>)| {
                    (other.id, other.offset) == (blob.id, blob.offset)
                };
                match known.blobs.iter_mut().find(same) {
                    Some((_, rows)) => rows.push(row),
                    None => known.blobs.push((*blob, vec![row])),
                }
            }
        }
        let mut blocks: Vec<BlockAt> = found.into_values().collect();
        for block in &mut blocks {
            block.blobs.sort_unstable_by_key(|(blob, _)| blob.offset);
        }
        Ok(blocks)
    }

    /// The row that stands for a blob: the first of the first run that knows it, if a copy of it counts.
    pub fn row_of(&self, id: &BlobId) -> Result<Option<u64>> {
        let mut stands = None;
        for part in &self.parts {
            let run = &part.shown.run;
            let Some(first) = run.first_row(id)? else {
                continue;
            };
            for row in first..run.count(Section::Blobs) {
                let blob = run.blob(row)?;
                if blob.id != *id {
                    break;
                }
                let stands = *stands.get_or_insert(part.first_row + u64::from(row));
                if self.pack_of_block(part.first_block + blob.block).is_some() {
                    return Ok(Some(stands));
                }
            }
        }
        Ok(None)
    }

    /// An empty set of the picture's blobs.
    pub fn marks(self: &Arc<Self>) -> PictureMarks {
        let words = self.rows.div_ceil(64);
        PictureMarks {
            picture: Arc::clone(self),
            bits: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

fn outside(entry: &PackEntry) -> Error {
    Error::damaged(Subject::Pack(entry.id)).detail("a blob names a block that is not there")
}

/// The rows of a run from its beginning, one at a time.
struct Cursor<'a> {
    part: &'a Part,
    group: &'a [u8],
    next_group: u32,
    row: u32,
    head: Option<Blob>,
    begun: bool,
}

impl<'a> Cursor<'a> {
    fn new(part: &'a Part) -> Self {
        Self {
            part,
            group: &[],
            next_group: 0,
            row: 0,
            head: None,
            begun: false,
        }
    }

    fn step(&mut self) -> Result<()> {
        let run: &Run = &self.part.shown.run;
        match std::mem::replace(&mut self.begun, true) {
            true => self.row += 1,
            false => self.row = 0,
        }
        if self.row >= run.count(Section::Blobs) {
            self.head = None;
            return Ok(());
        }
        if self.group.is_empty() {
            self.group = run.group(Section::Blobs, self.next_group)?;
            self.next_group += 1;
        }
        let (row, rest) = self.group.split_at(Blob::LEN);
        self.group = rest;
        self.head = Some(Blob::read(row)?);
        Ok(())
    }
}

/// A set of blobs, filled by any number of threads: a bit for each row of a picture.
pub struct PictureMarks {
    picture: Arc<Picture>,
    bits: Vec<AtomicU64>,
}

impl PictureMarks {
    /// A set of its own with the same blobs.
    pub fn copy(&self) -> Self {
        let bits = self.bits.iter();
        Self {
            picture: Arc::clone(&self.picture),
            bits: bits
                .map(|word| AtomicU64::new(word.load(Ordering::Acquire)))
                .collect(),
        }
    }

    /// Adds a blob: whether it was not there yet; `None` if the picture does not know it. About a lookup in the index.
    pub fn insert(&self, id: &BlobId) -> Result<Option<bool>> {
        let Some(row) = self.picture.row_of(id)? else {
            return Ok(None);
        };
        let (word, bit) = (&self.bits[(row / 64) as usize], 1 << (row % 64));
        Ok(Some(word.fetch_or(bit, Ordering::AcqRel) & bit == 0))
    }

    /// Whether a blob is in the set, by its id.
    pub fn contains(&self, id: &BlobId) -> Result<bool> {
        Ok(self
            .picture
            .row_of(id)?
            .is_some_and(|row| self.has_row(row)))
    }

    /// Whether the blob for which that row stands is in the set.
    pub fn has_row(&self, row: u64) -> bool {
        let word = self.bits.get((row / 64) as usize);
        word.is_some_and(|word| word.load(Ordering::Acquire) >> (row % 64) & 1 == 1)
    }
}
