//! Copies what is kept of packs that are to be rewritten: blocks as they lie, and blobs of blocks that have to be opened.

use super::Job;
use super::choose::dead_share;
use super::survey::Survey;
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::pack::{decode_wraps, encode_wraps};
use crate::format::rows::{Blob, ENCODING_STORED, PackInfo};
use crate::index::BlockAt;
use crate::pack::{CopiedBlock, PlainBlob};
use crate::repo::{Repo, Ticket, Writer, pack_object};
use std::collections::VecDeque;

/// Packs that are read ahead of the one whose blocks are copied.
const AHEAD: usize = 2;

/// Bytes that blocks take together, stored and opened, ahead of what is being written; one alone may take more. Little in tests, so that
/// a few blocks reach it.
pub const BLOCKS_MAX: u64 = if cfg!(test) { 1 << 20 } else { 32 << 20 };

/// Reads packs ahead on the pool, and writes what is kept of them in their order.
///
/// Memory: three packs and 32 MiB, or three packs and the largest block, stored and opened.
pub fn copy_packs(
    job: &Job<'_>,
    survey: &Survey,
    packs: &[u32],
    writer: &mut Writer<'_>,
) -> Result<()> {
    let mut under_way: VecDeque<Ticket<Result<Loaded>>> = VecDeque::new();
    let mut blocks = Blocks {
        repo: job.repo,
        under_way: VecDeque::new(),
        bytes: 0,
    };
    for number in packs {
        if under_way.len() >= AHEAD
            && let Some(first) = under_way.pop_front()
        {
            blocks.copy(first.wait()??, writer)?;
        }
        job.interrupt.check()?;
        let source = Source::of(job, survey, *number)?;
        under_way.push_back(job.repo.pool().submit(move || source.read()));
    }
    for pack in under_way {
        blocks.copy(pack.wait()??, writer)?;
    }
    while blocks.write_first(writer)? {}
    Ok(())
}

/// What is kept of a block.
enum Kept {
    /// All that pays to be kept, sealed as it is.
    Sealed(CopiedBlock),
    /// The plaintext, and which blobs of it are kept.
    Opened(Vec<u8>, Vec<Blob>),
}

/// A block on its way.
struct UnderWay {
    kind: BlobType,
    /// What it takes at most.
    bytes: u64,
    kept: Ticket<Result<Kept>>,
}

/// Blocks on their way from packs that were read to the writer, those that must be opened on the pool. No more than [`BLOCKS_MAX`] of
/// them at a time, whatever they expand to.
struct Blocks<'a> {
    repo: &'a Repo,
    under_way: VecDeque<UnderWay>,
    bytes: u64,
}

impl Blocks<'_> {
    /// Takes in the blocks of a pack, and writes earlier ones as room is needed.
    fn copy(&mut self, pack: Loaded, writer: &mut Writer<'_>) -> Result<()> {
        let info = &pack.info;
        let wraps = decode_wraps(&info.wraps)?;
        for (block, treatment) in pack.blocks {
            let row = &block.block;
            let from = row.offset as usize;
            let stored = pack.bytes.get(from..from + row.stored_len as usize);
            let stored = stored.ok_or_else(|| {
                Error::damaged(Subject::Pack(info.id)).detail("a block ends outside its pack")
            })?;
            let opened_len = match treatment {
                Treatment::Copy => 0,
                Treatment::Open => u64::from(row.raw_len),
            };
            let bytes = u64::from(row.stored_len) + opened_len;
            while self.bytes + bytes > BLOCKS_MAX && self.write_first(writer)? {}
            let stored = stored.to_vec();
            let kept = match treatment {
                Treatment::Copy => {
                    let wrap = wraps.get(usize::from(row.wrap)).ok_or_else(|| {
                        Error::damaged(Subject::Pack(info.id)).detail("a block names no key wrap")
                    })?;
                    let wrap = encode_wraps(std::slice::from_ref(wrap));
                    Ticket::ready(Ok(Kept::Sealed(sealed(&block, wrap, stored))))
                }
                Treatment::Open => {
                    let (repo, info) = (self.repo.clone(), info.clone());
                    let open = move || open(&repo, &info, block, stored);
                    self.repo.pool().submit(open)
                }
            };
            self.bytes += bytes;
            self.under_way.push_back(UnderWay {
                kind: info.kind,
                bytes,
                kept,
            });
            #[cfg(test)]
            HELD_MOST.set(HELD_MOST.get().max(self.bytes));
        }
        Ok(())
    }

    /// Writes what is kept of the first block; whether there is one.
    fn write_first(&mut self, writer: &mut Writer<'_>) -> Result<bool> {
        let Some(first) = self.under_way.pop_front() else {
            return Ok(false);
        };
        match first.kept.wait()?? {
            Kept::Sealed(block) => writer.copy_block(first.kind, block)?,
            Kept::Opened(plain, blobs) => {
                for blob in blobs {
                    let from = blob.offset as usize;
                    let bytes = &plain[from..from + blob.len as usize];
                    writer.copy_blob(first.kind, &blob.id, bytes)?;
                }
            }
        }
        self.bytes -= first.bytes;
        Ok(true)
    }
}

#[cfg(test)]
thread_local! {
    /// Most bytes that blocks on their way took on this thread's prunes.
    pub static HELD_MOST: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// A pack to be rewritten, with what is kept of it.
struct Source {
    repo: Repo,
    info: PackInfo,
    blocks: Vec<(BlockAt, Treatment)>,
}

/// The same with its bytes.
struct Loaded {
    info: PackInfo,
    blocks: Vec<(BlockAt, Treatment)>,
    bytes: Vec<u8>,
}

/// What happens to a block.
#[derive(Clone, Copy)]
enum Treatment {
    Copy,
    Open,
}

impl Source {
    fn of(job: &Job<'_>, survey: &Survey, number: u32) -> Result<Self> {
        let info = survey.picture.pack_info(number)?;
        let opens = can_open(job.repo, &info);
        let mut blocks = Vec::new();
        for mut block in survey.picture.blocks_of(job.repo.index(), number)? {
            let is_kept = |rows: &[u64]| rows.iter().any(|row| survey.kept.has_row(*row));
            let kept: Vec<_> = block
                .blobs
                .iter()
                .filter(|(_, rows)| is_kept(rows))
                .cloned()
                .collect();
            if kept.is_empty() {
                continue;
            }
            let live = kept
                .iter()
                .fold(0, |sum: u32, (blob, _)| sum.saturating_add(blob.len));
            let row = &block.block;
            let compress = job.options.repack_uncompressed && row.encoding == ENCODING_STORED;
            let pays = compress || dead_share(row, live) > survey.dead_share_max;
            let treatment = match block.bases.is_empty() && !(pays && opens) {
                true => Treatment::Copy,
                false => {
                    block.blobs = kept;
                    Treatment::Open
                }
            };
            blocks.push((block, treatment));
        }
        Ok(Self {
            repo: job.repo.clone(),
            info,
            blocks,
        })
    }

    /// Reads the pack, and proves that it is what its name says.
    fn read(self) -> Result<Loaded> {
        let Self { repo, info, blocks } = self;
        let subject = || Subject::Pack(info.id);
        let name = pack_object(info.kind).name(&info.id.0);
        let bytes = repo.backend().get(&name).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::missing(subject()),
            _ => e,
        })?;
        if !info.id.is_of(&bytes) {
            return Err(Error::damaged(subject())
                .detail("content is not what its name says; nothing was deleted"));
        }
        Ok(Loaded {
            info,
            blocks,
            bytes,
        })
    }
}

/// Whether this holder may look into blocks of a pack.
fn can_open(repo: &Repo, info: &PackInfo) -> bool {
    repo.block_reader(info.id, info.kind, &info.wraps, 0)
        .is_ok()
}

/// A block as it lies.
fn sealed(block: &BlockAt, wrap: Vec<u8>, stored: Vec<u8>) -> CopiedBlock {
    let blob = |(blob, _): &(Blob, Vec<u64>)| PlainBlob {
        id: blob.id,
        offset: blob.offset,
        len: blob.len,
    };
    CopiedBlock {
        block: block.block,
        wrap,
        bytes: stored.into(),
        blobs: block.blobs.iter().map(blob).collect(),
    }
}

/// Opens a block, and proves that the blobs of it that are kept are what their ids say.
fn open(repo: &Repo, info: &PackInfo, block: BlockAt, mut stored: Vec<u8>) -> Result<Kept> {
    let reader = repo.block_reader(info.id, info.kind, &info.wraps, block.block.wrap)?;
    let prefix = repo.read_bases(info.id, info.kind, &block.bases)?;
    let mut plain = Vec::new();
    repo.open_block(
        &reader,
        &block.block,
        &mut stored,
        prefix.as_deref(),
        &mut plain,
    )
    .map_err(|e| {
        e.about(Subject::Pack(info.id))
            .at(block.block.offset.into())
    })?;
    let hasher = repo.ring().blob_hasher(info.domain, info.kind)?;
    let blobs: Vec<Blob> = block.blobs.into_iter().map(|(blob, _)| blob).collect();
    for blob in &blobs {
        let from = blob.offset as usize;
        let bytes = plain
            .get(from..from + blob.len as usize)
            .ok_or_else(|| Error::damaged(Subject::Pack(info.id)))?;
        if hasher.id(bytes) != blob.id {
            return Err(Error::damaged(Subject::Blob(blob.id))
                .detail("content is not what its id says; nothing was deleted"));
        }
    }
    Ok(Kept::Opened(plain, blobs))
}
