//! The blob rows of a run in the order of their packs.
//!
//! Made when it is first asked for: backups and restores never need it, prune and check do.

use super::layout::Section;
use super::region::Bytes;
use super::run::Run;
use super::store::Store;
use crate::error::{Error, Result, Subject};
use crate::format::rows::{Blob, Block, PackEntry};
use crate::id::BlobId;
use std::io::Write;
use std::ops::{ControlFlow, Range};

/// Most row numbers (4 bytes each) that are sorted in memory at a time.
const SORTED_AT_ONCE: u64 = 16 << 20;

/// Most row numbers that are kept in memory.
const HEAP_ROWS_MAX: u32 = 2 << 20;

/// Row numbers of blobs, pack after pack.
#[derive(Debug)]
pub(super) struct ByPack {
    /// Of each pack the number of its first entry, then the number of all: 4 bytes a pack.
    starts: Vec<u32>,
    rows: Bytes,
}

impl ByPack {
    /// Sorts the blob rows of `run` by pack: one pass over them to count, then one for each [`SORTED_AT_ONCE`].
    pub(super) fn build(run: &Run, store: &Store) -> Result<Self> {
        let blobs = run.count(Section::Blobs);
        let starts = starts(run)?;
        let mut heap = Vec::new();
        let mut file = match blobs > HEAP_ROWS_MAX {
            true => Some(store.unlinked()?),
            false => None,
        };
        let mut first = 0;
        while first + 1 < starts.len() {
            let fits = |last: &usize| u64::from(starts[*last] - starts[first]) <= SORTED_AT_ONCE;
            let last = (first + 1..starts.len()).take_while(fits).last();
            let last = last.unwrap_or(first + 1);
            let part = sorted(run, &starts, first..last)?;
            match &mut file {
                Some(file) => file.write_all(&part).map_err(failed)?,
                None => heap.extend_from_slice(&part),
            }
            first = last;
        }
        let rows = match file {
            Some(file) => Bytes::map(file).map_err(failed)?,
            None => Bytes::Own(heap),
        };
        Ok(Self { starts, rows })
    }

    /// Everything the run says of pack `row`, with rows counted within the entry.
    pub(super) fn entry(&self, run: &Run, row: u32) -> Result<PackEntry> {
        Ok(self.numbered(run, row)?.entry)
    }

    /// As [`ByPack::entry`], with where it stands in the run.
    pub(super) fn numbered(&self, run: &Run, row: u32) -> Result<Numbered> {
        let mut entry = PackEntry::from(run.pack(row)?);
        let first_block = first_block(run, row)?;
        for at in first_block..run.count(Section::Blocks) {
            let block = run.block(at)?;
            if block.pack != row {
                break;
            }
            push_block(&mut entry, block, run.bases(&block)?)?;
        }
        let rows = &self.rows.as_slice()[self.starts[row as usize] as usize * 4..];
        let count = self.starts[row as usize + 1] - self.starts[row as usize];
        let mut blobs = Vec::with_capacity(count as usize);
        for bytes in rows.as_chunks().0.iter().take(count as usize) {
            let row = u32::from_le_bytes(*bytes);
            let mut blob = run.blob(row)?;
            blob.block = blob.block.wrapping_sub(first_block);
            blobs.push((blob, row));
        }
        blobs.sort_unstable_by_key(|(blob, _)| (blob.block, blob.offset, blob.id));
        let rows;
        (entry.blobs, rows) = blobs.into_iter().unzip();
        Ok(Numbered { entry, rows })
    }
}

/// Everything a run says of a pack, and where.
pub(super) struct Numbered {
    pub(super) entry: PackEntry,
    /// The row of each of its blobs.
    pub(super) rows: Vec<u32>,
}

fn failed(cause: std::io::Error) -> Error {
    Error::io(Subject::None, cause)
}

/// Adds a block with its bases.
fn push_block(entry: &mut PackEntry, block: Block, bases: Vec<BlobId>) -> Result<()> {
    let first_base = match bases.len() {
        0 => 0,
        _ => u32::try_from(entry.bases.len()).map_err(|_| {
            Error::damaged(Subject::Pack(entry.id)).detail("more bases than 32 bits count")
        })?,
    };
    entry.blocks.push(Block {
        pack: 0,
        first_base,
        ..block
    });
    entry.bases.extend(bases);
    Ok(())
}

/// The first row of the blocks section that belongs to pack `row` or one behind it; blocks are in the order of packs.
fn first_block(run: &Run, row: u32) -> Result<u32> {
    let (mut from, mut to) = (0, run.count(Section::Blocks));
    while from < to {
        let middle = from + (to - from) / 2;
        if run.block(middle)?.pack < row {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(from)
}

fn starts(run: &Run) -> Result<Vec<u32>> {
    let mut starts = vec![0u32; run.count(Section::Packs) as usize + 1];
    let _: ControlFlow<()> = run.for_each_blob(&mut |_, found| {
        if let Some(count) = starts.get_mut(found.block.pack as usize + 1) {
            *count += 1;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for pack in 1..starts.len() {
        starts[pack] += starts[pack - 1];
    }
    Ok(starts)
}

/// The blob rows of a range of packs, as bytes.
fn sorted(run: &Run, starts: &[u32], packs: Range<usize>) -> Result<Vec<u8>> {
    let first = starts[packs.start];
    let mut next = starts[packs.clone()].to_vec();
    let mut part = vec![0; (starts[packs.end] - first) as usize * 4];
    let _: ControlFlow<()> = run.for_each_blob(&mut |row, found| {
        let pack = found.block.pack as usize;
        if packs.contains(&pack) {
            let next = &mut next[pack - packs.start];
            part[(*next - first) as usize * 4..][..4].copy_from_slice(&row.to_le_bytes());
            *next += 1;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(part)
}

/// Adds what another table says of the same pack: blocks and blobs that are not there yet.
pub(super) fn join(whole: &mut PackEntry, part: PackEntry) {
    for (i, block) in part.blocks.iter().enumerate() {
        let same = |known: &Block| known.offset == block.offset;
        let at = whole.blocks.iter().position(same).unwrap_or_else(|| {
            let bases = part.bases_of(block);
            let first_base = match bases.len() {
                0 => 0,
                _ => whole.bases.len() as u32,
            };
            whole.bases.extend_from_slice(bases);
            whole.blocks.push(Block {
                first_base,
                ..*block
            });
            whole.blocks.len() - 1
        });
        let blobs = part.blobs.iter().filter(|blob| blob.block as usize == i);
        whole.blobs.extend(blobs.map(|blob| Blob {
            block: at as u32,
            ..*blob
        }));
    }
    whole
        .blobs
        .sort_unstable_by_key(|blob| (blob.block, blob.offset, blob.id));
    whole.blobs.dedup();
}
