//! Packs: are they there, and is what is in them right?

use super::affected::Damage;
use super::objects::Inventory;
use super::subset::Chooser;
use super::trees::{TreeCheck, check_tree};
use super::{CheckSummary, Finding, Harm, Job, is_finding};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::pack::decode_directory;
use crate::format::rows::{Blob, Block, PackEntry, PackInfo};
use crate::id::{BlobId, PackId};
use crate::index::Index;
use crate::log::PackState;
use crate::progress::{Counter, Progress};
use crate::repo::{Repo, Ticket, pack_object};
use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;

/// Compares the index with the listing: every pack is there, in its full length.
pub fn check_presence(
    repo: &Repo,
    inventory: &Inventory,
    summary: &mut CheckSummary,
    damage: &mut Damage,
) -> Result<()> {
    let state = repo.state();
    repo.index().packs(&mut |pack, _| {
        if state.is_deleted(&pack.id.0) {
            return Ok(ControlFlow::Continue(()));
        }
        summary.packs += 1;
        let error = match inventory.pack_len(repo, pack.kind, &pack.id)? {
            None => Some(Error::missing(Subject::Pack(pack.id))),
            Some(len) if len != pack.len => {
                let detail = format!("has {len} bytes, must have {}", pack.len);
                Some(Error::damaged(Subject::Pack(pack.id)).detail(detail))
            }
            Some(_) => None,
        };
        if let Some(error) = error {
            damage.pack_lost(pack.id, summary.findings.len());
            summary.findings.push(Finding::new(error));
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// Takes back what was found of packs that a later backup has replaced, and of condemned ones in which nothing is that a snapshot
/// needs, if all snapshots were looked at. To be called when no finding is added any more.
pub fn excuse(
    repo: &Repo,
    replaced: Vec<(PackId, usize)>,
    scope: &Scope,
    summary: &mut CheckSummary,
) -> Result<()> {
    let state = repo.state();
    let replaced: HashSet<usize> = replaced.into_iter().map(|(_, finding)| finding).collect();
    let mut left = Vec::new();
    for (number, finding) in std::mem::take(&mut summary.findings)
        .into_iter()
        .enumerate()
    {
        let pack = match finding.error.subject() {
            Subject::Pack(id) => repo.index().pack(id)?,
            _ => None,
        };
        let goes = |pack: &PackInfo| {
            let condemned = state.pack_state(&pack.id) == PackState::Condemned;
            let needed = scope.condemned.contains(&pack.id) || !finding.affected.is_empty();
            scope.reached.is_none() && condemned && !needed
        };
        match pack {
            Some(pack) if replaced.contains(&number) => {
                summary.absent.push(pack_object(pack.kind).name(&pack.id.0));
            }
            Some(pack) if goes(&pack) => {
                let name = pack_object(pack.kind).name(&pack.id.0);
                summary.condemned.push(name);
            }
            _ => left.push(finding),
        }
    }
    summary.findings = left;
    Ok(())
}

/// What was found in one pack.
struct PackReport {
    id: PackId,
    kind: BlobType,
    bytes: u64,
    /// What is wrong with the pack itself.
    error: Option<Error>,
    /// Blocks that do not give what they must, by their offset.
    bad_blocks: Vec<u32>,
    /// Blobs that trees refer to and that no table names.
    unknown: Vec<BlobId>,
}

/// Which packs are looked into.
pub struct Scope {
    /// Only these, if not all.
    pub reached: Option<HashSet<PackId>>,
    /// Condemned packs that are needed all the same.
    pub condemned: HashSet<PackId>,
    /// All packs of trees in any case.
    pub all_trees: bool,
}

impl Scope {
    fn holds(&self, pack: &PackInfo) -> bool {
        let reached = self.reached.as_ref();
        self.all_trees && pack.kind == BlobType::Tree
            || reached.is_none_or(|reached| reached.contains(&pack.id))
    }
}

/// Reads packs of trees, and those of data that the options ask for and that are not proved yet, a pack a job.
pub(super) fn check_content(
    job: &mut Job<'_>,
    scope: &Scope,
    summary: &mut CheckSummary,
    damage: &mut Damage,
) -> Result<()> {
    let (repo, options, progress) = (job.repo, job.options, job.progress);
    let mut jobs: VecDeque<Ticket<Result<PackReport>>> = VecDeque::new();
    let state = repo.state();
    let lost = damage.lost_packs();
    let is_there = |pack: &PackInfo| {
        scope.holds(pack) && !lost.contains(&pack.id) && !state.is_deleted(&pack.id.0)
    };
    let mut data_bytes = 0;
    repo.index().packs(&mut |pack, _| {
        if pack.kind == BlobType::Data && is_there(&pack) {
            summary.data_packs += 1;
            data_bytes += pack.len;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let part = options.subset.filter(|_| !options.read_data);
    let mut part = part.map(|subset| Chooser::new(subset, summary.data_packs, data_bytes));
    let reads = |part: &mut Option<Chooser>, pack: &PackInfo| {
        let takes = |part: &mut Chooser| part.takes(&pack.id);
        let any_case = pack.kind == BlobType::Tree || scope.condemned.contains(&pack.id);
        is_there(pack) && (any_case || options.read_data || part.as_mut().is_some_and(takes))
    };
    let mut ahead = part.clone();
    tell_how_much(repo, progress, &mut |pack| {
        reads(&mut ahead, pack) && !job.proved.contains(&pack.id)
    })?;
    let mut data_packs_read = 0;
    let mut read = Vec::new();
    let mut take = |ticket: Ticket<Result<PackReport>>| -> Result<()> {
        let report = ticket.wait()??;
        progress.count(Counter::Bytes, report.bytes);
        progress.count(Counter::Objects, 1);
        summary.bytes_read += report.bytes;
        if report.error.is_none() && report.kind == BlobType::Data {
            read.push(report.id);
        }
        if let Some(error) = report.error {
            damage.blocks_bad(report.id, &report.bad_blocks, summary.findings.len());
            // What is damaged beside the blocks, padding for one, keeps nothing from being read.
            let harm = match report.bad_blocks.is_empty() {
                true => Harm::None,
                false => Harm::AtRisk,
            };
            let finding = Finding::new(error);
            summary.findings.push(Finding { harm, ..finding });
        }
        damage.unknown(report.unknown);
        Ok(())
    };
    repo.index().packs(&mut |pack, _| {
        job.interrupt.check()?;
        if !reads(&mut part, &pack) {
            return Ok(ControlFlow::Continue(()));
        }
        data_packs_read += u64::from(pack.kind == BlobType::Data);
        if job.proved.contains(&pack.id) {
            return Ok(ControlFlow::Continue(()));
        }
        if jobs.len() > repo.pool().threads()
            && let Some(first) = jobs.pop_front()
        {
            take(first)?;
        }
        let job_repo = repo.clone();
        jobs.push_back(
            repo.pool()
                .submit(move || check_pack(&job_repo, pack.id, pack.kind)),
        );
        Ok(ControlFlow::Continue(()))
    })?;
    jobs.into_iter().try_for_each(take)?;
    job.proved.extend(read);
    summary.data_packs_read = data_packs_read;
    Ok(())
}

/// Says how many packs are going to be read, and their bytes.
fn tell_how_much(
    repo: &Repo,
    progress: &dyn Progress,
    reads: &mut dyn FnMut(&PackInfo) -> bool,
) -> Result<()> {
    let (mut packs, mut bytes) = (0, 0);
    repo.index().packs(&mut |pack, _| {
        if reads(&pack) {
            packs += 1;
            bytes += pack.len;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    progress.count(Counter::BytesExpected, bytes);
    progress.count(Counter::ObjectsExpected, packs);
    Ok(())
}

/// Reads one pack whole. Memory: the pack, and one block.
fn check_pack(repo: &Repo, id: PackId, kind: BlobType) -> Result<PackReport> {
    let mut report = PackReport {
        id,
        kind,
        bytes: 0,
        error: None,
        bad_blocks: Vec::new(),
        unknown: Vec::new(),
    };
    let mut pack = match repo.backend().get(&pack_object(kind).name(&id.0)) {
        Ok(pack) => pack,
        Err(e) if is_finding(&e) => {
            report.error = Some(match e.kind() {
                ErrorKind::NotFound => Error::missing(Subject::Pack(id)),
                _ => e.about(Subject::Pack(id)),
            });
            report.bad_blocks = all_blocks(repo.index(), &id)?;
            return Ok(report);
        }
        Err(e) => return Err(e),
    };
    report.bytes = pack.len() as u64;
    let whole = id.is_of(&pack);
    if !whole {
        let detail = "content is not what its name says";
        report.error = Some(Error::damaged(Subject::Pack(id)).detail(detail));
    }
    let indexed = repo.index().pack_entry(&id)?;
    let directory = match decode_directory(repo.ring(), &repo.id(), id, &pack) {
        Ok(directory)
            if indexed
                .as_ref()
                .is_none_or(|indexed| same(indexed, &directory)) =>
        {
            directory
        }
        Ok(directory) => {
            let error = Error::damaged(Subject::Pack(id)).detail("the index says otherwise of it");
            report.error.get_or_insert(error);
            indexed.unwrap_or(directory)
        }
        Err(e) if is_finding(&e) => {
            report.error.get_or_insert(e.about(Subject::Pack(id)));
            match indexed {
                Some(indexed) => indexed,
                None => return Ok(report),
            }
        }
        Err(e) => return Err(e),
    };
    check_blocks(repo, &directory, &mut pack, &mut report)?;
    Ok(report)
}

/// Whether index and directory say the same of a pack.
fn same(indexed: &PackEntry, directory: &PackEntry) -> bool {
    let sorted = |entry: &PackEntry| {
        let mut blobs = entry.blobs.clone();
        blobs.sort_unstable_by_key(|blob| (blob.block, blob.offset, blob.id));
        blobs
    };
    let plain = |blocks: &[Block]| -> Vec<Block> {
        blocks
            .iter()
            .map(|block| Block {
                pack: 0,
                first_base: 0,
                ..*block
            })
            .collect()
    };
    indexed.len == directory.len
        && indexed.kind == directory.kind
        && indexed.wraps == directory.wraps
        && plain(&indexed.blocks) == plain(&directory.blocks)
        && indexed.bases == directory.bases
        && sorted(indexed) == sorted(directory)
}

fn all_blocks(index: &Index, id: &PackId) -> Result<Vec<u32>> {
    let entry = index.pack_entry(id)?;
    Ok(entry
        .map(|e| e.blocks.iter().map(|block| block.offset).collect())
        .unwrap_or_default())
}

fn check_blocks(
    repo: &Repo,
    entry: &PackEntry,
    pack: &mut [u8],
    report: &mut PackReport,
) -> Result<()> {
    let mut blobs: Vec<&Blob> = entry.blobs.iter().collect();
    blobs.sort_by_key(|blob| (blob.block, blob.offset));
    let mut blobs = blobs.into_iter().peekable();
    let mut plain = Vec::new();
    for (number, block) in entry.blocks.iter().enumerate() {
        let mut inside = Vec::new();
        while let Some(blob) = blobs.next_if(|blob| blob.block as usize == number) {
            inside.push(blob);
        }
        let about = |e: Error| e.about(Subject::Pack(entry.id)).at(u64::from(block.offset));
        let opened = open(repo, entry, block, pack, &mut plain)
            .and_then(|()| check_blobs(repo, entry.kind, &plain, &inside, report).map_err(about));
        match opened {
            Ok(()) => {}
            Err(e) if is_finding(&e) => {
                report.bad_blocks.push(block.offset);
                report.error.get_or_insert(e);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn open(
    repo: &Repo,
    entry: &PackEntry,
    block: &Block,
    pack: &mut [u8],
    plain: &mut Vec<u8>,
) -> Result<()> {
    let about = |e: Error| e.about(Subject::Pack(entry.id)).at(u64::from(block.offset));
    let short = || about(Error::damaged(Subject::None).detail("the pack ends before its block"));
    let from = block.offset as usize;
    let stored = pack
        .get_mut(from..from + block.stored_len as usize)
        .ok_or_else(short)?;
    let prefix = repo.read_bases(entry.id, entry.kind, entry.bases_of(block))?;
    let reader = repo.block_reader(entry.id, entry.kind, &entry.wraps, block.wrap)?;
    repo.open_block(&reader, block, stored, prefix.as_deref(), plain)
        .map_err(about)
}

/// Recomputes every blob id of a block; looks up what its trees refer to.
fn check_blobs(
    repo: &Repo,
    kind: BlobType,
    plain: &[u8],
    blobs: &[&Blob],
    report: &mut PackReport,
) -> Result<()> {
    let hasher = repo.hasher(kind)?;
    let bad = |id: BlobId| Error::new(ErrorKind::Damaged, Subject::Blob(id));
    for blob in blobs {
        let from = blob.offset as usize;
        let bytes = plain
            .get(from..from + blob.len as usize)
            .ok_or_else(|| bad(blob.id))?;
        if hasher.id(bytes) != blob.id {
            return Err(bad(blob.id).detail("content is not what its id says"));
        }
        if kind == BlobType::Tree {
            match check_tree(repo.index(), bytes)? {
                TreeCheck::Right => {}
                TreeCheck::Unknown(ids) => report.unknown.extend(ids),
            }
        }
    }
    Ok(())
}
