//! Writes what is kept of packs that go, and condemns them.

use super::choose::dead_share;
use super::survey::Survey;
use super::{Job, PruneSummary};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::Action;
use crate::format::pack::{decode_wraps, encode_wraps};
use crate::format::rows::{Blob, ENCODING_STORED, PackInfo};
use crate::id::{BlobId, Domain, PackId};
use crate::index::BlockAt;
use crate::pack::{CopiedBlock, PlainBlob};
use crate::repo::{Repo, Ticket, WriteOptions, Writer, pack_object};
use std::collections::{BTreeMap, VecDeque};

/// Packs that are read and opened ahead of what is being written.
const AHEAD: usize = 2;

/// Copies what is kept of the packs to be rewritten, and appends `Condemn`.
pub fn execute(job: &Job<'_>, survey: &Survey, summary: &mut PruneSummary) -> Result<()> {
    let mut tables = Vec::new();
    for ((domain, _), packs) in by_domain(survey)? {
        let options = WriteOptions {
            domain,
            ..WriteOptions::new(job.progress, job.interrupt)
        };
        let copy = |writer: &mut Writer<'_>| copy_packs(job, survey, &packs, writer);
        let ((), written) = job.repo.write(options, copy)?;
        summary.written.count += written.own.len() as u64;
        summary.written.bytes += written.bytes_stored;
        tables.extend(written.tables);
    }
    let (packs, objects) = (&survey.condemn.condemn, &survey.objects);
    if packs.is_empty() && objects.is_empty() {
        return Ok(());
    }
    // It may rest on an older fold: what is needed is looked at again before anything is deleted.
    job.repo.append(&mut |_| {
        Ok(Some(Action::Condemn {
            packs: packs.clone(),
            objects: objects.clone(),
            index_add: tables.clone(),
            reprieve: Vec::new(),
        }))
    })?;
    let plan = &survey.plan;
    for sum in [plan.to_condemn, plan.to_rewrite, plan.strays] {
        summary.condemned.count += sum.count;
        summary.condemned.bytes += sum.bytes;
    }
    Ok(())
}

/// The packs to be rewritten by what may lie beside each other; each list in the order in which they were written.
fn by_domain(survey: &Survey) -> Result<BTreeMap<(Domain, u8), Vec<u32>>> {
    let mut packs: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    for number in &survey.condemn.repack {
        let row = survey.picture.pack_row(*number)?;
        let key = (row.domain, row.kind as u8);
        packs.entry(key).or_default().push(*number);
    }
    Ok(packs)
}

/// What is kept of a block.
enum Kept {
    /// All that pays to be kept, sealed as it is.
    Sealed(CopiedBlock),
    /// Blobs of a block that was opened.
    Blobs(Vec<(BlobId, Vec<u8>)>),
}

type Rewritten = (BlobType, Vec<Kept>);

/// Reads packs ahead on the pool, and writes what is kept of them in their order.
fn copy_packs(
    job: &Job<'_>,
    survey: &Survey,
    packs: &[u32],
    writer: &mut Writer<'_>,
) -> Result<()> {
    let mut under_way: VecDeque<Ticket<Result<Rewritten>>> = VecDeque::new();
    for number in packs {
        if under_way.len() >= AHEAD {
            take(&mut under_way, writer)?;
        }
        job.interrupt.check()?;
        let source = Source::of(job, survey, *number)?;
        under_way.push_back(job.repo.pool().submit(move || source.read()));
    }
    while !under_way.is_empty() {
        take(&mut under_way, writer)?;
    }
    Ok(())
}

fn take(
    under_way: &mut VecDeque<Ticket<Result<Rewritten>>>,
    writer: &mut Writer<'_>,
) -> Result<()> {
    let Some(first) = under_way.pop_front() else {
        return Ok(());
    };
    let (kind, kept) = first.wait()??;
    for kept in kept {
        match kept {
            Kept::Sealed(block) => writer.copy_block(kind, block)?,
            Kept::Blobs(blobs) => {
                for (id, plain) in blobs {
                    writer.copy_blob(kind, &id, &plain)?;
                }
            }
        }
    }
    Ok(())
}

/// A pack to be rewritten, with what is kept of it.
struct Source {
    repo: Repo,
    info: PackInfo,
    blocks: Vec<(BlockAt, Treatment)>,
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

    /// Reads the pack, proves that it is what its name says, and gives what is kept of it.
    fn read(self) -> Result<Rewritten> {
        let Self { repo, info, blocks } = self;
        let subject = || Subject::Pack(info.id);
        let name = pack_object(info.kind).name(&info.id.0);
        let bytes = repo.backend().get(&name).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::missing(subject()),
            _ => e,
        })?;
        if PackId::from(blake3::hash(&bytes)) != info.id {
            return Err(Error::damaged(subject())
                .detail("content is not what its name says; nothing was deleted"));
        }
        let wraps = decode_wraps(&info.wraps)?;
        let mut kept = Vec::new();
        for (block, treatment) in blocks {
            let row = &block.block;
            let from = row.offset as usize;
            let stored = bytes
                .get(from..from + row.stored_len as usize)
                .ok_or_else(|| Error::damaged(subject()).detail("a block ends outside its pack"))?;
            kept.push(match treatment {
                Treatment::Copy => {
                    let wrap = wraps.get(usize::from(row.wrap)).ok_or_else(|| {
                        Error::damaged(subject()).detail("a block names no key wrap")
                    })?;
                    let blob = |(blob, _): &(Blob, Vec<u64>)| PlainBlob {
                        id: blob.id,
                        offset: blob.offset,
                        len: blob.len,
                    };
                    Kept::Sealed(CopiedBlock {
                        block: *row,
                        wrap: encode_wraps(std::slice::from_ref(wrap)),
                        bytes: stored.to_vec().into(),
                        blobs: block.blobs.iter().map(blob).collect(),
                    })
                }
                Treatment::Open => Kept::Blobs(open(&repo, &info, &block, stored.to_vec())?),
            });
        }
        Ok((info.kind, kept))
    }
}

/// Whether this holder may look into blocks of a pack.
fn can_open(repo: &Repo, info: &PackInfo) -> bool {
    repo.block_reader(info.id, info.kind, &info.wraps, 0)
        .is_ok()
}

/// The blobs of a block that are kept.
fn open(
    repo: &Repo,
    info: &PackInfo,
    block: &BlockAt,
    mut stored: Vec<u8>,
) -> Result<Vec<(BlobId, Vec<u8>)>> {
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
    let mut blobs = Vec::with_capacity(block.blobs.len());
    for (blob, _) in &block.blobs {
        let from = blob.offset as usize;
        let bytes = plain
            .get(from..from + blob.len as usize)
            .ok_or_else(|| Error::damaged(Subject::Pack(info.id)))?;
        if hasher.id(bytes) != blob.id {
            return Err(Error::damaged(Subject::Blob(blob.id))
                .detail("content is not what its id says; nothing was deleted"));
        }
        blobs.push((blob.id, bytes.to_vec()));
    }
    Ok(blobs)
}
