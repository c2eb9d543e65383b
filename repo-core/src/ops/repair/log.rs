//! Clears entries of the log that cannot be read, and enters again what they may have committed.
//!
//! 0. Entries that later ones repeat are written again as they were, and lost marks of segments; checkpoints that do not open are removed
//!    ([`super::entries`]).
//! 1. A `Void` of the admin key says that the entries count for nothing. Forget and prune work again.
//! 2. Tables that lie there, that no entry names and whose packs are all there are published.
//! 3. Snapshots that lie there, that no entry names, whose writer has signed them and may commit, and which are whole, are committed,
//!    if they were asked for. Unasked only in the run that cleared the one entry that was ever lost, for nothing else that is known
//!    forgot them, and only those that lay there before that entry: later ones it cannot have committed, and a backup that is at work
//!    may be about to.
//!
//! What the lost entries said besides is not known: that something was forgotten, protected, condemned or deleted, that keys were
//! changed. Stopped anywhere, the next run goes on; behind the first step it must be asked for snapshots.

use super::entries::{Mended, mend, mend_marks, mend_set, remove_checkpoints};
use super::packs_below;
use crate::backend::Class;
use crate::crypto::Role;
use crate::error::Result;
use crate::format::entry;
use crate::format::entry::{Action, EntryAt, EntryKind, Nonce, ObjectRef};
use crate::format::name::{self, ObjectKind};
use crate::format::snapshot::{Snapshot, Summary};
use crate::format::table::TableView;
use crate::id::{BlobId, EntryHash, IndexId, PackId, SnapshotId};
use crate::log::{PackState, State, Unreadable};
use crate::progress::{Interrupt, Progress};
use crate::repo::{CommitOutcome, CommitRequest, Repo};
use crate::snapshot::{Filter, list, list_forgotten};
use crate::time::Timestamp;
use std::collections::{BTreeSet, HashSet};

/// How the log is repaired.
#[derive(Debug, Clone, Default)]
pub struct RepairLogOptions {
    /// Commit these too, if they can be.
    pub snapshots: Vec<SnapshotId>,
    /// Nothing is written.
    pub dry_run: bool,
}

/// An entry that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostEntry {
    /// Its number.
    pub number: u64,
    /// What it says that it is; nobody proves it.
    pub claims: Option<String>,
    /// It is of a newer version, and is left alone.
    pub newer: bool,
}

/// Why a snapshot was not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNot {
    /// It may have been forgotten: it must be asked for.
    NotAsked,
    /// Something that it holds is not there, or is about to be deleted and damaged, or at a place of class C is about to be deleted.
    NotWhole,
    /// Nobody who may commit has signed it.
    NotProved,
    /// An entry forgets it.
    Forgotten,
    /// It was stored after the lost entry, perhaps by a backup that is at work: it must be asked for.
    Later,
}

/// A snapshot that lies there and that no entry commits.
#[derive(Debug, Clone)]
pub struct Uncommitted {
    /// Which.
    pub id: SnapshotId,
    /// What it says of itself, if that can be read.
    pub summary: Option<Summary>,
    /// Under which id it was committed, or why it was not; the former in a dry run the same.
    pub outcome: std::result::Result<SnapshotId, WhyNot>,
}

/// What was found, and what was done about it.
#[derive(Debug, Default)]
pub struct RepairLogSummary {
    /// What the log itself still knew.
    pub mended: Mended,
    /// Entries that could not be read.
    pub entries: Vec<LostEntry>,
    /// Tables that were published.
    pub tables: Vec<IndexId>,
    /// Snapshots that no entry commits.
    pub snapshots: Vec<Uncommitted>,
}

/// Repairs the log. See the module's head for the steps.
///
/// `Denied` without the admin key, which full access has, if there is anything to clear. Memory: a bit for each blob of the index.
pub fn repair_log(
    repo: &Repo,
    options: &RepairLogOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RepairLogSummary> {
    repo.read_past_cache();
    repo.refresh()?;
    let mut process = match options.dry_run || repo.state().barrier().is_some() {
        true => None,
        false => repo.announce()?,
    };
    repo.refresh()?;
    let of_set = mend_set(repo, options.dry_run, interrupt)?;
    let mut mended = mend(repo, options.dry_run, interrupt)?;
    mended.entries.extend(of_set.iter().map(|(n, _)| n));
    mended.entries.sort_unstable();
    mended.entries.dedup();
    mended.marks = mend_marks(repo, options.dry_run)?;
    if !mended.entries.is_empty() && !options.dry_run {
        repo.refresh_anew()?;
    }
    let mut done = RepairLogSummary {
        mended,
        entries: lost_entries(repo)?,
        ..RepairLogSummary::default()
    };
    let is_mended = done.mended.lost.is_empty();
    let settled = done.entries.is_empty() && is_mended;
    let settled = settled && (!options.dry_run || done.mended.entries.is_empty());
    done.mended.checkpoints = remove_checkpoints(repo, options.dry_run, settled, interrupt)?;
    let lost = done.entries.iter().filter(|entry| !entry.newer);
    let lost: Vec<u64> = lost.map(|entry| entry.number).collect();
    let until = match lost[..] {
        [number] if repo.state().voided_count() == 0 => stored_until(repo, number)?,
        _ => None,
    };
    if !options.dry_run && !lost.is_empty() {
        repo.void_unreadable()?;
        repo.refresh()?;
        let settled = is_mended && repo.state().lost_entries().next().is_none();
        let removed = remove_checkpoints(repo, false, settled, interrupt)?;
        done.mended.checkpoints.extend(removed);
    }
    if !options.dry_run && process.is_none() {
        process = repo.announce()?;
        repo.refresh()?;
    }
    let _process = process;
    let going = match repo.state().class() {
        Class::A => BTreeSet::new(),
        Class::C => repo.state().condemned().map(|(pack, _)| *pack).collect(),
    };
    // What no table in force names is spared by prunes while it is young; on class C that is all that spares it.
    let was_lost = !lost.is_empty() || repo.state().voided_count() > 0;
    let is_wanted = was_lost || !options.snapshots.is_empty();
    let may_publish = repo.state().class() == Class::A || is_wanted;
    let job = Job {
        repo,
        options,
        progress,
        interrupt,
        // Others may have been found meanwhile.
        until: until.filter(|_| repo.state().voided_count() <= 1),
        going,
        publishes: !options.dry_run && may_publish,
    };
    let tables = job.publish()?;
    match job.publishes {
        true => repo.refresh()?,
        false => repo.sync_index(&tables)?,
    }
    if may_publish {
        done.tables = tables;
    }
    done.snapshots = job.commit_all()?;
    repo.refresh()?;
    Ok(done)
}

fn lost_entries(repo: &Repo) -> Result<Vec<LostEntry>> {
    let state = repo.state();
    let mut lost = Vec::new();
    for (EntryAt { number, hash }, why) in state.lost_entries() {
        let file = stored(repo, *number, hash)?;
        let clear = core_of(&file).and_then(|core| entry::clear(core).ok());
        lost.push(LostEntry {
            number: *number,
            claims: clear
                .and_then(|clear| EntryKind::from_u16(clear.kind))
                .map(|kind| format!("{kind:?}")),
            newer: why == Unreadable::Newer,
        });
    }
    Ok(lost)
}

/// What lies there of an entry; of several of one number, as class C may have, of the one that came to that hash.
fn stored(repo: &Repo, number: u64, hash: &EntryHash) -> Result<Vec<u8>> {
    let mut nonces = Vec::new();
    repo.backend()
        .list(&name::segment_folder(number), &mut |listed| {
            if let Some((found, Some(nonce))) = name::parse_entry(&listed.name)
                && found == number
            {
                nonces.push(nonce);
            }
            Ok(())
        })?;
    let read = |name: &str| repo.backend().get(name).unwrap_or_default();
    let is_it = |nonce: &Nonce, file: &[u8]| {
        let newer = || core_of(file).is_some_and(|core| entry::hash(core) == *hash);
        entry::hash_of_damaged(nonce, file) == *hash || newer()
    };
    let found = nonces.iter().find_map(|nonce| {
        let file = read(&name::entry_of(number, nonce));
        is_it(nonce, &file).then_some(file)
    });
    Ok(found.unwrap_or_else(|| read(&name::entry(number))))
}

fn core_of(file: &[u8]) -> Option<&[u8]> {
    entry::decode_damaged_file(file).ok().map(|(core, _)| core)
}

/// When the backend stored that entry, or if it does not say so the first behind it.
fn stored_until(repo: &Repo, number: u64) -> Result<Option<Timestamp>> {
    let mut first = None;
    let folders = [number, number.saturating_add(1)].map(name::segment_folder);
    for folder in BTreeSet::from(folders) {
        repo.backend().list(&folder, &mut |listed| {
            let found = name::parse_numbered(&listed.name).zip(listed.modified);
            if let Some(((found, _), time)) = found.filter(|((found, _), _)| *found >= number) {
                first = Some(first.map_or((found, time), |first| (found, time).min(first)));
            }
            Ok(())
        })?;
    }
    Ok(first.map(|(_, time)| time))
}

/// Class C: whether a deletion may be under way that names the snapshot itself.
fn may_go(state: &State, id: &SnapshotId) -> bool {
    let mut condemned = state.condemned_objects();
    let is_it = |object: &ObjectRef| (object.kind, object.id) == (ObjectKind::Snapshot, id.0);
    state.class() == Class::C && condemned.any(|(object, _)| is_it(object))
}

struct Job<'a> {
    repo: &'a Repo,
    options: &'a RepairLogOptions,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    /// Snapshots that were stored until then are committed unasked.
    until: Option<Timestamp>,
    /// Class C: packs that were condemned before this process was announced. Nothing takes these back: a deletion of them waits for
    /// others only.
    going: BTreeSet<PackId>,
    /// Tables are published, and not only looked at.
    publishes: bool,
}

impl Job<'_> {
    /// Objects of a kind that the log says nothing of, and when they were stored.
    fn strays(
        &self,
        kind: ObjectKind,
        known: &dyn Fn(&State, &[u8; 32]) -> bool,
    ) -> Result<Vec<([u8; 32], Option<Timestamp>)>> {
        let state = self.repo.state();
        let mut strays = Vec::new();
        self.repo.backend().list(kind.folder(), &mut |found| {
            if let Some((parsed, id)) = ObjectKind::parse(&found.name)
                && parsed == kind
                && !state.is_deleted(&id)
                && !known(&state, &id)
            {
                strays.push((id, found.modified));
            }
            Ok(())
        })?;
        strays.sort_unstable();
        Ok(strays)
    }

    /// Publishes tables that no entry names, if they name a pack that no other does, and all of theirs are there.
    fn publish(&self) -> Result<Vec<IndexId>> {
        let strays = self.strays(ObjectKind::Index, &|state, id| {
            state.has_table(&IndexId(*id))
        })?;
        let mut publish = Vec::new();
        for id in strays.into_iter().map(|(id, _)| IndexId(id)) {
            self.interrupt.check()?;
            match self.is_wanted(&id) {
                Ok(true) => publish.push(id),
                Ok(false) => {}
                Err(e) if e.is_lost() => {}
                Err(e) => return Err(e),
            }
        }
        if self.publishes && !publish.is_empty() {
            let repo = self.repo;
            repo.append(&mut |state| {
                let stands = |id: &&IndexId| !state.is_deleted(&id.0) && !state.has_table(id);
                let index: Vec<IndexId> = publish.iter().filter(stands).copied().collect();
                Ok((!index.is_empty()).then_some(Action::Publish { index }))
            })?;
        }
        Ok(publish)
    }

    fn is_wanted(&self, id: &IndexId) -> Result<bool> {
        let (repo, mut any_new) = (self.repo, false);
        let body = repo.load_table(id)?;
        let table = TableView::parse(&body)?;
        for row in 0..table.packs.len() {
            let pack = table.pack(row)?;
            let name = crate::repo::pack_object(pack.kind).name(&pack.id.0);
            // What is condemned may be needed still, and is not what the others are.
            let stays = [PackState::Live, PackState::Condemned];
            let stays = stays.contains(&repo.state().pack_state(&pack.id));
            if !stays || repo.backend().size(&name)? != Some(pack.len) {
                return Ok(false);
            }
            any_new |= repo.index().pack(&pack.id)?.is_none();
        }
        Ok(any_new)
    }

    fn commit_all(&self) -> Result<Vec<Uncommitted>> {
        let known = |state: &State, id: &[u8; 32]| state.snapshot(&SnapshotId(*id)).is_some();
        let strays = self.strays(ObjectKind::Snapshot, &known)?;
        let (all, state) = (Filter::default(), self.repo.state());
        let committed = [list(self.repo, &all), list_forgotten(self.repo, &all)];
        let committed = committed.iter().flat_map(|listing| &listing.snapshots);
        let mut there: Vec<(bool, Summary)> = committed
            .map(|info| (state.is_live(&info.id), info.summary.clone()))
            .collect();
        let mut found = Vec::new();
        for (id, stored) in strays {
            let id = SnapshotId(id);
            self.interrupt.check()?;
            let snapshot = match self.proved(&id) {
                Ok(snapshot) => snapshot,
                Err(e) if e.is_lost() => None,
                Err(e) => return Err(e),
            };
            let summary = snapshot.as_ref().map(|snapshot| snapshot.summary.clone());
            let asked = self.options.snapshots.contains(&id);
            // A run may store its snapshot more than once until it stands.
            let words = |s: &Summary| (s.root, s.time, s.host.clone(), s.paths.clone());
            let same = |other: &Summary| Some(words(other)) == summary.as_ref().map(words);
            let is_there = |(live, other): &(bool, Summary)| {
                *live && (other.original() == Some(id) || !asked && same(other))
            };
            if there.iter().any(is_there) {
                continue;
            }
            let was_forgotten = there.iter().any(|(_, other)| same(other));
            let outcome = match snapshot {
                None => Err(WhyNot::NotProved),
                Some(_) if was_forgotten && !asked => Err(WhyNot::NotAsked),
                Some(snapshot) => self.commit(&id, stored, snapshot)?,
            };
            if outcome.is_ok() {
                there.extend(summary.clone().map(|summary| (true, summary)));
            }
            found.push(Uncommitted {
                id,
                summary,
                outcome,
            });
        }
        Ok(found)
    }

    /// The snapshot, if its writer has signed it and may commit: that is not asked of one that is named, for the entry that let its writer
    /// in may be lost, and who commits it signs it anew.
    fn proved(&self, id: &SnapshotId) -> Result<Option<Snapshot>> {
        let (snapshot, signer) = self.repo.load_signed_snapshot(id)?;
        let state = self.repo.state();
        let role = state.member(&snapshot.writer).map(|member| member.role);
        let may = matches!(role, Some(Role::Full | Role::Writer));
        let may = may || self.options.snapshots.contains(id);
        Ok((signer == snapshot.writer && may).then_some(snapshot))
    }

    fn commit(
        &self,
        id: &SnapshotId,
        stored: Option<Timestamp>,
        mut snapshot: Snapshot,
    ) -> Result<std::result::Result<SnapshotId, WhyNot>> {
        let repo = self.repo;
        if repo.state().forgotten_by(id).is_some() {
            return Ok(Err(WhyNot::Forgotten));
        }
        if !self.options.snapshots.contains(id) {
            match self.until.zip(stored) {
                None => return Ok(Err(WhyNot::NotAsked)),
                Some((until, stored)) if stored > until => return Ok(Err(WhyNot::Later)),
                Some(_) => {}
            }
        }
        let Some(mut hits) = self.packs(id, &snapshot.summary.root)? else {
            return Ok(Err(WhyNot::NotWhole));
        };
        if self.options.dry_run {
            return Ok(Ok(*id));
        }
        let mut new = *id;
        if snapshot.writer != repo.writer() || may_go(&repo.state(), id) {
            // Who commits a snapshot must have signed it, and it must stay.
            snapshot.summary.set_original(id);
            snapshot.writer = repo.writer();
            snapshot.sequence = repo.next_sequence();
            new = repo.save_snapshot(&snapshot)?;
        }
        loop {
            let request = CommitRequest {
                snapshot: new,
                summary: snapshot.summary.clone(),
                tables: Vec::new(),
                hits: hits.clone(),
                own: HashSet::new(),
                lender: None,
                lent_on: None,
            };
            match repo.commit(&request)? {
                CommitOutcome::Committed => return Ok(Ok(new)),
                // It counts as not there from now on: maybe others hold the same.
                CommitOutcome::Damaged(pack) if hits.contains(&pack) => {}
                CommitOutcome::Damaged(_) | CommitOutcome::Heal => {
                    return Ok(Err(WhyNot::NotWhole));
                }
            }
            match self.packs(id, &snapshot.summary.root)? {
                Some(others) => hits = others,
                None => return Ok(Err(WhyNot::NotWhole)),
            }
        }
    }

    /// The packs that hold everything of a snapshot and stay, if there are such.
    fn packs(&self, id: &SnapshotId, root: &BlobId) -> Result<Option<HashSet<PackId>>> {
        let packs = packs_below(self.repo, id, root, (self.progress, self.interrupt))?;
        Ok(packs.filter(|packs| !packs.iter().any(|pack| self.going.contains(pack))))
    }
}
