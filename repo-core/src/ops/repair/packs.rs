//! Saves what can be read of damaged packs.
//!
//! 1. What can be read and is right goes to new packs, which are safe then.
//! 2. One entry condemns the damaged ones and puts the tables of the new ones in force. A prune deletes them after the grace, unless
//!    something that is still needed lies only there.
//!
//! Stopped before the entry, nothing has changed but for packs that a prune clears away.

use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::Action;
use crate::format::pack::decode_directory;
use crate::format::rows::{Block, PackEntry};
use crate::id::{BlobId, PackId};
use crate::log::{PackState, State};
use crate::ops::derive::{PASSES_MAX, never_stands, write_options};
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::{Repo, Writer, Written, pack_object};
use std::collections::HashSet;

/// What became of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairedPack {
    /// Which.
    pub id: PackId,
    /// Nothing is wrong with it, and nothing was done.
    pub whole: bool,
    /// A prune has deleted it, so that nothing needs it, and nothing was done.
    pub deleted: bool,
    /// Blobs that were saved, and their bytes.
    pub saved: u64,
    /// Their bytes.
    pub bytes_saved: u64,
    /// Blobs that could not be read, and that no other pack holds that is there.
    pub lost: u64,
}

/// Copies what can be read of these packs to new ones, and condemns them; whole ones are left alone, and those that a prune has deleted, also
/// meanwhile.
///
/// `NotFound` about one that no table names and that is not there either; `Damaged` about an entry of the log while that cannot be
/// read. Nothing is condemned then. Memory: one pack, and 40 bytes for each blob of all of them.
pub fn repair_packs(
    repo: &Repo,
    packs: &[PackId],
    dry_run: bool,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<RepairedPack>> {
    repo.read_past_cache();
    repo.refresh()?;
    let _process = match dry_run {
        true => None,
        false => repo.announce_deleting()?,
    };
    repo.state().refuse_unreadable()?;
    for _ in 0..PASSES_MAX {
        let fold = repo.state();
        let options = write_options(repo, dry_run, progress, interrupt);
        let (done, written) = repo.write(options, |writer| {
            let mut job = Saving {
                repo,
                packs,
                dry_run,
                saved: HashSet::new(),
                unread: Vec::new(),
            };
            let mut done = Vec::new();
            for (place, id) in packs.iter().enumerate() {
                interrupt.check()?;
                if packs[..place].contains(id) {
                    continue;
                }
                done.push(job.save(done.len(), id, writer)?);
                progress.count(Counter::Objects, 1);
            }
            job.count_lost(&mut done)?;
            Ok(done)
        })?;
        let damaged = done.iter().filter(|pack| !pack.whole && !pack.deleted);
        let damaged: Vec<PackId> = damaged.map(|pack| pack.id).collect();
        repo.refresh()?;
        if !damaged.is_empty() && repo.state().has_deleted_since(&fold) {
            continue;
        }
        let stands = dry_run || damaged.is_empty() || condemn(repo, &damaged, &written)?;
        repo.refresh()?;
        if stands {
            return Ok(done);
        }
    }
    Err(never_stands())
}

/// Condemns these packs, and puts those in force that hold what was saved of them; whether that is there still. A prune that took
/// the new ones for strays may have condemned them: that is taken back, on class C also when it is seen only behind the entry.
fn condemn(repo: &Repo, damaged: &[PackId], written: &Written) -> Result<bool> {
    loop {
        let mut stands = true;
        let appended = repo.append(&mut |state| {
            state.refuse_unreadable()?;
            let deleted = |id: &[u8; 32]| state.is_deleted(id);
            stands = !written.own.iter().any(|pack| deleted(&pack.0))
                && !written.tables.iter().any(|table| deleted(&table.0));
            Ok(match stands {
                true => entry(state, damaged, written),
                false => None,
            })
        })?;
        if appended.is_none() {
            return Ok(stands);
        }
        repo.refresh()?;
    }
}

/// What is to be said on that fold; `None` if all of it stands there.
fn entry(state: &State, damaged: &[PackId], written: &Written) -> Option<Action> {
    let usable = [PackState::Live, PackState::Quarantined];
    let condemned = [PackState::Condemned];
    let of = |pack: &&PackId, states: &[PackState]| states.contains(&state.pack_state(pack));
    let packs = damaged.iter().filter(|pack| of(pack, &usable));
    let packs: Vec<PackId> = packs.copied().collect();
    let reprieve = written.own.iter().filter(|pack| of(pack, &condemned));
    let mut reprieve: Vec<PackId> = reprieve.copied().collect();
    reprieve.sort_unstable();
    let in_force = written.tables.iter().all(|table| state.has_table(table));
    let done = packs.is_empty() && reprieve.is_empty() && in_force;
    (!done).then(|| Action::Condemn {
        packs,
        objects: Vec::new(),
        index_add: written.tables.clone(),
        reprieve,
    })
}

/// One pass over the packs. Several of them may hold the same.
struct Saving<'a> {
    repo: &'a Repo,
    packs: &'a [PackId],
    dry_run: bool,
    /// Blobs that were copied.
    saved: HashSet<BlobId>,
    /// Blobs that could not be read, and in which of the packs, by its place in what is done.
    unread: Vec<(usize, BlobId)>,
}

impl Saving<'_> {
    /// Copies what can be read of a pack and was not copied yet.
    fn save(&mut self, place: usize, id: &PackId, writer: &mut Writer<'_>) -> Result<RepairedPack> {
        let repo = self.repo;
        let mut done = RepairedPack {
            id: *id,
            whole: false,
            deleted: repo.state().is_deleted(&id.0),
            saved: 0,
            bytes_saved: 0,
            lost: 0,
        };
        if done.deleted {
            return Ok(done);
        }
        let entry = entry_of(repo, id)?;
        let name = pack_object(entry.kind).name(&id.0);
        let bytes = match repo.backend().get(&name) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.is_lost() => None,
            Err(e) => return Err(e),
        };
        if bytes.as_ref().is_some_and(|bytes| id.is_of(bytes)) {
            done.whole = true;
            return Ok(done);
        }
        let again = repo.state().pack_state(id) == PackState::Condemned;
        for (number, block) in (0..).zip(&entry.blocks) {
            let plain = match read(repo, &entry, block, &name, bytes.as_deref()) {
                Ok(plain) => plain,
                Err(e) if e.is_lost() => Vec::new(),
                Err(e) => return Err(e),
            };
            let hasher = repo.ring().blob_hasher(entry.domain, entry.kind)?;
            for blob in entry.blobs.iter().filter(|blob| blob.block == number) {
                let from = blob.offset as usize;
                let part = plain.get(from..from + blob.len as usize);
                let Some(part) = part.filter(|part| hasher.id(part) == blob.id) else {
                    self.unread.push((place, blob.id));
                    continue;
                };
                // What an earlier repair saved of it, or this one of another pack.
                let is_saved = again && is_elsewhere(repo, self.packs, &blob.id)?;
                if is_saved || !self.saved.insert(blob.id) {
                    continue;
                }
                done.saved += 1;
                done.bytes_saved += part.len() as u64;
                if !self.dry_run {
                    writer.copy_blob(entry.kind, &blob.id, part)?;
                }
            }
        }
        Ok(done)
    }

    /// Counts what could be read nowhere: damaged packs do not vouch for each other.
    fn count_lost(&self, done: &mut [RepairedPack]) -> Result<()> {
        let damaged = done.iter().filter(|pack| !pack.whole);
        let damaged: Vec<PackId> = damaged.map(|pack| pack.id).collect();
        for (place, blob) in &self.unread {
            let is_there = self.saved.contains(blob) || is_elsewhere(self.repo, &damaged, blob)?;
            if let Some(pack) = done.get_mut(*place) {
                pack.lost += u64::from(!is_there);
            }
        }
        Ok(())
    }
}

/// What the index says of a pack, or else its own directory.
fn entry_of(repo: &Repo, id: &PackId) -> Result<PackEntry> {
    if let Some(entry) = repo.index().pack_entry(id)? {
        return Ok(entry);
    }
    for kind in [BlobType::Data, BlobType::Tree] {
        if let Some(len) = repo.backend().size(&pack_object(kind).name(&id.0))? {
            let pack = repo.read_pack_ends(id, kind, len);
            let entry =
                pack.and_then(|(pack, _)| decode_directory(repo.ring(), &repo.id(), *id, &pack));
            return entry.map_err(|e| e.about(Subject::Pack(*id)));
        }
    }
    Err(Error::new(ErrorKind::NotFound, Subject::Pack(*id)))
}

/// The plaintext of a block, out of the whole pack or by itself.
fn read(
    repo: &Repo,
    entry: &PackEntry,
    block: &Block,
    name: &str,
    pack: Option<&[u8]>,
) -> Result<Vec<u8>> {
    let (from, len) = (u64::from(block.offset), u64::from(block.stored_len));
    let mut stored = match pack {
        Some(pack) => {
            let from = block.offset as usize;
            let part = pack.get(from..from + block.stored_len as usize);
            part.ok_or_else(|| Error::damaged(Subject::Pack(entry.id)))?
                .to_vec()
        }
        None => repo.backend().get_range(name, from, len)?,
    };
    let first = block.first_base as usize;
    let bases = entry
        .bases
        .get(first..first + usize::from(block.base_count));
    let prefix = repo.read_bases(entry.id, entry.kind, bases.unwrap_or_default())?;
    let reader = repo.block_reader(entry.id, entry.kind, &entry.wraps, block.wrap)?;
    let mut plain = Vec::new();
    repo.open_block(&reader, block, &mut stored, prefix.as_deref(), &mut plain)?;
    Ok(plain)
}

/// Whether another live pack than these, one that is there, holds a blob too.
pub(super) fn is_elsewhere(repo: &Repo, packs: &[PackId], blob: &BlobId) -> Result<bool> {
    for location in repo.index().copies(blob)? {
        let other = repo.index().pack_id_of(&location)?;
        let usable = repo.state().pack_state(&other) == PackState::Live;
        if !packs.contains(&other) && usable && repo.is_there(&other)? {
            return Ok(true);
        }
    }
    Ok(false)
}
