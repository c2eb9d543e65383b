//! A run: the rows of one or more tables, their blobs sorted together, searched in place.

use super::by_pack::{ByPack, Numbered};
use super::layout::{self, Layout, Section, Segment};
use super::region::{Bytes, Region, Residency};
use super::search;
use super::store::Store;
use crate::error::{Error, Result, Subject};
use crate::format::rows::{Blob, Block, PackEntry, PackInfo, PackRow, Row};
use crate::id::{BlobId, ID_LEN, PackId};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bits for the packs of a run.
#[derive(Debug)]
struct Bits(Box<[AtomicU64]>);

impl Bits {
    fn new(count: u32) -> Self {
        let words = count.div_ceil(64);
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    fn get(&self, row: u32) -> bool {
        let word = self.0.get(row as usize / 64);
        word.is_some_and(|word| word.load(Ordering::Acquire) >> (row % 64) & 1 == 1)
    }

    fn set(&self, row: u32, on: bool) {
        let Some(word) = self.0.get(row as usize / 64) else {
            return;
        };
        let bit = 1 << (row % 64);
        match on {
            true => word.fetch_or(bit, Ordering::AcqRel),
            false => word.fetch_and(!bit, Ordering::AcqRel),
        };
    }
}

/// A run of the index: rows that never change, and which of its packs are usable.
///
/// Memory besides its bytes: the directory (about 25 bytes for 1024 blobs), one bit a pack.
#[derive(Debug)]
pub(super) struct Run {
    layout: Layout,
    region: Arc<Region>,
    segments: Vec<Segment>,
    fences: Vec<u64>,
    /// Packs that nothing new may refer to.
    unusable: Bits,
    by_pack: Mutex<Option<Arc<ByPack>>>,
    file: Option<PathBuf>,
}

/// A row of the blobs section with what it points to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) blob: Blob,
    pub(super) block: Block,
}

impl Run {
    /// Reads header and directory; `Damaged` if they are wrong. Groups are verified as they are touched.
    pub(super) fn open(
        bytes: Bytes,
        residency: &Arc<Residency>,
        file: Option<PathBuf>,
    ) -> Result<Self> {
        let (layout, directory) = layout::decode(bytes.as_slice()).ok_or_else(|| {
            let subject = file.clone().map_or(Subject::None, Subject::Path);
            Error::damaged(subject).detail("index cache: not a valid run")
        })?;
        let packs = layout.count(Section::Packs);
        Ok(Self {
            region: Region::new(bytes, &layout, directory.checksums, residency, file.clone()),
            layout,
            segments: directory.segments,
            fences: directory.fences,
            unusable: Bits::new(packs),
            by_pack: Mutex::default(),
            file,
        })
    }

    /// The file in the cache directory that holds it, if it has a name.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// Whether wrong bytes were found in it.
    pub(super) fn is_damaged(&self) -> bool {
        self.region.is_damaged()
    }

    /// Bytes in all.
    pub(super) fn len(&self) -> u64 {
        self.region.len()
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Rows of a section.
    pub(super) fn count(&self, section: Section) -> u32 {
        self.layout.count(section)
    }

    /// The number of the segment that came from `origin`.
    pub(super) fn segment_of(&self, origin: &[u8; ID_LEN]) -> Option<usize> {
        let mut segments = self.segments.iter();
        segments.position(|segment| segment.origin == *origin)
    }

    /// Whether something new may refer to blobs of a pack.
    pub(super) fn is_usable(&self, row: u32) -> bool {
        !self.unusable.get(row)
    }

    pub(super) fn set_usable(&self, row: u32, usable: bool) {
        self.unusable.set(row, !usable);
    }

    /// The verified bytes of a group of rows.
    pub(super) fn group(&self, section: Section, group: u32) -> Result<&[u8]> {
        self.region.group(&self.layout, section, group)
    }

    fn row_bytes(&self, section: Section, row: u32) -> Result<&[u8]> {
        let group = self.group(section, row / section.group_rows())?;
        let at = (row % section.group_rows()) as usize * section.row_len();
        let bytes = group.get(at..at + section.row_len());
        bytes.ok_or_else(|| self.region.damage("a row number leads outside"))
    }

    fn row<R: Row>(&self, section: Section, row: u32) -> Result<R> {
        R::read(self.row_bytes(section, row)?)
    }

    /// A row of the blocks section.
    pub(super) fn block(&self, row: u32) -> Result<Block> {
        self.row(Section::Blocks, row)
    }

    /// A row of the blobs section, wherever it is; [`Run::for_each_blob`] is for many in order.
    pub(super) fn blob(&self, row: u32) -> Result<Blob> {
        Blob::read(
            &self
                .region
                .row::<{ Blob::LEN }>(&self.layout, Section::Blobs, row)?,
        )
    }

    /// A row of the packs section.
    pub(super) fn pack_row(&self, row: u32) -> Result<PackRow> {
        self.row(Section::Packs, row)
    }

    /// Calls `each` with all blobs in order and their rows, until it breaks.
    pub(super) fn for_each_blob(
        &self,
        each: &mut dyn FnMut(u32, Found) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let mut row = 0;
        for group in 0..self.layout.group_count(Section::Blobs) {
            let bytes = self.group(Section::Blobs, group)?;
            for blob in bytes.chunks_exact(Blob::LEN).map(Blob::read) {
                let blob = blob?;
                let block = self.block(blob.block)?;
                if each(row, Found { blob, block })?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                row += 1;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A pack with its wrap table.
    pub(super) fn pack(&self, row: u32) -> Result<PackInfo> {
        let pack = self.pack_row(row)?;
        let mut wraps = Vec::new();
        let end = pack.wraps_offset.saturating_add(pack.wraps_len);
        let mut at = pack.wraps_offset;
        while at < end {
            let rows = Section::Wraps.group_rows();
            let group = self.group(Section::Wraps, at / rows)?;
            let next = end.min((at / rows + 1) * rows);
            let from = (at % rows) as usize;
            let part = group.get(from..from + (next - at) as usize);
            wraps.extend_from_slice(
                part.ok_or_else(|| self.region.damage("a wrap table leads outside"))?,
            );
            at = next;
        }
        Ok(pack.with_wraps(wraps))
    }

    /// The bases of a block.
    pub(super) fn bases(&self, block: &Block) -> Result<Vec<BlobId>> {
        let rows = block.first_base..block.first_base.saturating_add(block.base_count.into());
        rows.map(|row| self.row(Section::Bases, row)).collect()
    }

    /// The row where an id stands first, if it stands anywhere.
    pub(super) fn first_row(&self, id: &BlobId) -> Result<Option<u32>> {
        let prefix = search::prefix(&id.0);
        let above = search::first_fence(&self.fences, prefix);
        if self.fences.get(above) == Some(&prefix) {
            return self.first_row_from(above, id).map(Some);
        }
        // Only the group ahead begins below the prefix and ends behind it.
        let Some(group) = above.checked_sub(1) else {
            return Ok(None);
        };
        let print = layout::print(prefix, self.fences[group], self.fences.len());
        let group = group as u32;
        let rows = search::equal_prints(self.prints(group)?, print);
        if rows.is_empty() {
            return Ok(None);
        }
        let first = group * Section::Blobs.group_rows();
        let below =
            |at: usize| Ok::<_, Error>(self.blob(first + (rows.start + at) as u32)?.id < *id);
        let at = match rows.len() {
            // Whoever reads on from here looks at the whole id.
            1 => 0,
            len => search::first_not_below(len, 0, below)?,
        };
        Ok(Some(first + (rows.start + at) as u32))
    }

    /// The first row whose id is not below `id`, where fences from `above` on begin with its prefix: a fence by chance,
    /// or many ids made up to share it. Found by whole ids.
    fn first_row_from(&self, above: usize, id: &BlobId) -> Result<u32> {
        let prefix = search::prefix(&id.0);
        let same = self.fences[above..].partition_point(|fence| *fence == prefix);
        let rows = Section::Blobs.group_rows() as usize;
        let from = above.saturating_sub(1) * rows;
        let to = ((above + same) * rows).min(self.count(Section::Blobs) as usize);
        let below = |at: usize| Ok::<_, Error>(self.blob((from + at) as u32)?.id < *id);
        let at = search::first_not_below(to - from, above * rows - from, below)?;
        Ok((from + at) as u32)
    }

    /// The prints of a group of blobs.
    fn prints(&self, group: u32) -> Result<&[u8]> {
        let row = group * Section::Blobs.group_rows();
        let prints = self.group(Section::Prints, row / Section::Prints.group_rows())?;
        let from = (row % Section::Prints.group_rows()) as usize * Section::Prints.row_len();
        let len = Section::Blobs.group_rows() as usize * Section::Prints.row_len();
        let prints = prints.get(from..prints.len().min(from + len));
        prints.ok_or_else(|| self.region.damage("fewer prints than blobs"))
    }

    /// The row of the `at`th pack in the order of ids.
    pub(super) fn pack_by_id(&self, at: u32) -> Result<u32> {
        let bytes = self.row_bytes(Section::ById, at)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }

    /// The rows of a pack, of all segments.
    pub(super) fn rows_of_pack(&self, id: &PackId) -> Result<Vec<u32>> {
        let count = self.count(Section::ById) as usize;
        let at = |at: usize| self.pack_by_id(at as u32);
        let below = |i: usize| Ok::<_, Error>(self.pack_row(at(i)?)?.id < *id);
        let first = search::first_not_below(count, count / 2, below)?;
        let mut rows = Vec::new();
        for i in first..count {
            let row = at(i)?;
            if self.pack_row(row)?.id != *id {
                break;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Everything the run says of a pack.
    pub(super) fn pack_entry(&self, row: u32, store: &Store) -> Result<PackEntry> {
        self.by_pack(store)?.entry(self, row)
    }

    /// The same, and where it stands.
    pub(super) fn numbered(&self, row: u32, store: &Store) -> Result<Numbered> {
        self.by_pack(store)?.numbered(self, row)
    }

    fn by_pack(&self, store: &Store) -> Result<Arc<ByPack>> {
        let mut by_pack = self.by_pack.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match &*by_pack {
            Some(order) => Arc::clone(order),
            None => Arc::clone(by_pack.insert(Arc::new(ByPack::build(self, store)?))),
        })
    }
}
