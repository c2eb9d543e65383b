//! Index tables that are lost are replaced by what the packs themselves say, and packs that are gone are taken off the others.
//!
//! 1. Every table in force is read, and the packs are listed.
//! 2. Packs that lie there and that no readable table names are proved, by their sealed directory and length or by reading them whole,
//!    and named by new tables.
//! 3. One entry puts these in force and drops the lost tables, and those that name packs which are not there; what else these
//!    name stands in the new tables. On class A it stands right after a fold in which all that it drops is in force.
//!
//! Stopped before the entry, nothing has changed but for tables that no entry names; stopped behind it, a prune removes what it
//! names.

use super::packs::is_elsewhere;
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::{Action, ObjectRef};
use crate::format::name::ObjectKind;
use crate::format::pack::{PACK_BYTES_MAX, decode_directory};
use crate::format::rows::PackEntry;
use crate::format::table::TableView;
use crate::id::{IndexId, PackId};
use crate::log::PackState;
use crate::ops::derive::{PASSES_MAX, never_stands};
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::{DeletingProcess, Repo, Tables, pack_object};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How the index is repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepairIndexOptions {
    /// Every pack is read whole and proved by its name, also those that tables name.
    pub read_all_packs: bool,
    /// Nothing is written.
    pub dry_run: bool,
}

/// What was found, and what was done about it.
#[derive(Debug, Default)]
pub struct RepairIndexSummary {
    /// Tables in force that could be read.
    pub tables_read: u64,
    /// Those that could not, and why.
    pub tables_lost: Vec<(IndexId, Error)>,
    /// Packs that no readable table named, and that new ones name now.
    pub packs_added: u64,
    /// Packs that are not there any more; no table names them from now on.
    pub packs_gone: Vec<PackId>,
    /// Packs that are there and are not what they should be, and why: nothing was done about them.
    pub packs_damaged: Vec<(PackId, Error)>,
    /// Tables that were dropped.
    pub tables_dropped: u64,
    /// Tables that were added.
    pub tables_added: u64,
    /// Tables stay that should be dropped: an entry of the log cannot be read, and while that is so nothing is deleted.
    pub held_back: bool,
    /// Bytes of packs that were read.
    pub bytes_read: u64,
}

/// Repairs the index, and says what was found. See the module's head for the steps.
///
/// Memory: 210 to 310 bytes a pack (named: key 32, kind and tables 32, in a hash table up to half empty, and 48 for one table's id;
/// listed: 56, in a tree that is half to quite full), one table and one pack, and one new table.
pub fn repair_index(
    repo: &Repo,
    options: &RepairIndexOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RepairIndexSummary> {
    repo.read_past_cache();
    let process = match options.dry_run {
        true => None,
        false => repo.announce_deleting()?,
    };
    for _ in 0..PASSES_MAX {
        repo.refresh()?;
        let mut job = Job {
            repo,
            process: process.as_ref(),
            options,
            progress,
            interrupt,
            summary: RepairIndexSummary::default(),
        };
        if job.run()? {
            repo.refresh()?;
            return Ok(job.summary);
        }
    }
    Err(never_stands())
}

/// What looks damaged or lost is asked for once more: the place, or the way there, may have garbled it once.
fn twice<T>(mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    match ask() {
        Err(e) if e.is_lost() => ask(),
        answer => answer,
    }
}

struct Job<'a> {
    repo: &'a Repo,
    /// Class C: as which this process deletes.
    process: Option<&'a DeletingProcess>,
    options: &'a RepairIndexOptions,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    summary: RepairIndexSummary,
}

/// What the readable tables say: which of them name a pack.
type Named = HashMap<PackId, (BlobType, Vec<IndexId>)>;

impl Job<'_> {
    /// Whether it is done; else the tables have changed meanwhile.
    fn run(&mut self) -> Result<bool> {
        let named = self.read_tables()?;
        let listed = self.list()?;
        let mut gone = HashSet::new();
        for (pack, (kind, _)) in &named {
            let object = pack_object(*kind);
            // One that came since the listing is there.
            let name = object.name(&pack.0);
            let asked = || Ok(self.repo.backend().size(&name)?.is_some());
            let there = listed.contains_key(&(*pack, object as u8)) || asked()? || asked()?;
            if !there && !self.repo.state().is_deleted(&pack.0) {
                gone.insert(*pack);
            }
        }
        self.summary.packs_gone = gone.iter().copied().collect();
        self.summary.packs_gone.sort_unstable();
        let mut new = Tables::new(self.repo);
        let unnamed = listed.iter().filter(|((id, _), _)| !named.contains_key(id));
        for ((id, _), (kind, len)) in unnamed {
            if self.is_wanted(id)
                && let Some(entry) = self.entry_of(*id, *kind, *len)?
                && self.is_news(&entry)?
            {
                self.summary.packs_added += 1;
                if !self.options.dry_run {
                    new.add(entry)?;
                }
            }
        }
        if self.options.read_all_packs {
            self.prove_named(&named, &listed)?;
        }
        self.replace(&named, &gone, new)
    }

    fn is_wanted(&self, pack: &PackId) -> bool {
        self.repo.state().pack_state(pack) != PackState::Deleting
    }

    /// Whether a pack has to be named: a condemned one, if a table is lost that may have named it, or if it holds what no other does, as one
    /// that was put back after a repair had done without it; else it is a stray that a prune has found.
    fn is_news(&self, entry: &PackEntry) -> Result<bool> {
        let condemned = self.repo.state().pack_state(&entry.id) == PackState::Condemned;
        if !condemned || !self.summary.tables_lost.is_empty() {
            return Ok(true);
        }
        for blob in &entry.blobs {
            if !is_elsewhere(self.repo, &[entry.id], &blob.id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a pack holds that no readable table names. Where tables are lost, one that does not prove itself is named by its directory, or by
    /// what this machine still knows of it: that is where its sound parts lie.
    fn entry_of(&mut self, id: PackId, kind: BlobType, len: u64) -> Result<Option<PackEntry>> {
        let proved = self.prove(id, kind, len)?;
        let is_damaged =
            matches!(self.summary.packs_damaged.last(), Some((last, _)) if *last == id);
        if !is_damaged || self.summary.tables_lost.is_empty() {
            return Ok(proved);
        }
        let directory = self
            .repo
            .read_pack_ends(&id, kind, len)
            .and_then(|(pack, _)| decode_directory(self.repo.ring(), &self.repo.id(), id, &pack));
        let said = match directory {
            Ok(entry) => Some(entry),
            Err(e) if e.is_lost() || e.kind() == ErrorKind::NotFound => {
                self.repo.index().pack_entry(&id)?
            }
            Err(e) => return Err(e),
        };
        Ok(said.filter(|entry| entry.kind == kind && entry.len == len))
    }

    fn read_tables(&mut self) -> Result<Named> {
        let mut named = Named::new();
        let tables: Vec<IndexId> = self.repo.state().tables().map(|(id, _)| *id).collect();
        for id in tables {
            self.interrupt.check()?;
            let packs = twice(|| {
                let body = self.repo.load_table(&id)?;
                let packs = TableView::parse(&body)?.packs.iter();
                let packs = packs.map(|pack| pack.map(|pack| (pack.id, pack.kind)));
                Ok((packs.collect::<Result<Vec<_>>>()?, body))
            });
            let (packs, body) = match packs {
                Ok(read) => read,
                Err(e) if e.is_lost() => {
                    self.summary
                        .tables_lost
                        .push((id, e.about(Subject::Index(id))));
                    continue;
                }
                Err(e) => return Err(e),
            };
            self.summary.tables_read += 1;
            // It may not have been to be had when the index was brought up to date, and what it says is asked of that.
            self.repo.index().add_table(id, &body)?;
            for (pack, kind) in packs {
                let named = named.entry(pack);
                let (_, tables) = named.or_insert_with(|| (kind, Vec::with_capacity(1)));
                tables.push(id);
            }
        }
        Ok(named)
    }

    /// The packs that lie there, in the order of their ids.
    fn list(&self) -> Result<BTreeMap<(PackId, u8), (BlobType, u64)>> {
        let mut listed = BTreeMap::new();
        for kind in [BlobType::Data, BlobType::Tree] {
            let object = pack_object(kind);
            self.repo.backend().list(object.folder(), &mut |found| {
                if let Some((parsed, id)) = ObjectKind::parse(&found.name)
                    && parsed == object
                    && found.len <= PACK_BYTES_MAX
                {
                    listed.insert((PackId(id), object as u8), (kind, found.len));
                }
                Ok(())
            })?;
        }
        Ok(listed)
    }

    /// What a pack says of itself, if it proves itself.
    fn prove(&mut self, id: PackId, kind: BlobType, len: u64) -> Result<Option<PackEntry>> {
        self.interrupt.check()?;
        // What no table ever named was perhaps never finished.
        let whole = self.options.read_all_packs || self.summary.tables_lost.is_empty();
        let read = || match whole {
            true => self.read_whole(id, kind),
            false => self.repo.read_pack_ends(&id, kind, len),
        };
        let mut read_bytes = 0;
        let entry = twice(|| {
            let (pack, bytes) = read()?;
            read_bytes += bytes;
            decode_directory(self.repo.ring(), &self.repo.id(), id, &pack)
        });
        self.summary.bytes_read += read_bytes;
        self.progress.count(Counter::Bytes, read_bytes);
        self.progress.count(Counter::Objects, 1);
        match entry {
            Ok(entry) if entry.kind == kind => Ok(Some(entry)),
            Ok(_) => self.damaged(
                id,
                Error::damaged(Subject::None).detail("lies in the wrong folder"),
            ),
            // Whoever put it there took it away again.
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) if e.is_lost() => self.damaged(id, e),
            Err(e) => Err(e),
        }
    }

    fn damaged(&mut self, id: PackId, error: Error) -> Result<Option<PackEntry>> {
        self.summary
            .packs_damaged
            .push((id, error.about(Subject::Pack(id))));
        Ok(None)
    }

    fn read_whole(&self, id: PackId, kind: BlobType) -> Result<(Vec<u8>, u64)> {
        let pack = self.repo.backend().get(&pack_object(kind).name(&id.0))?;
        let len = pack.len() as u64;
        match id.is_of(&pack) {
            true => Ok((pack, len)),
            false => Err(Error::damaged(Subject::None).detail("content is not what its name says")),
        }
    }

    /// Reads the packs that tables name, too.
    fn prove_named(
        &mut self,
        named: &Named,
        listed: &BTreeMap<(PackId, u8), (BlobType, u64)>,
    ) -> Result<()> {
        for ((id, _), (kind, len)) in listed {
            if named.contains_key(id) && !self.repo.state().is_deleted(&id.0) {
                self.prove(*id, *kind, *len)?;
            }
        }
        Ok(())
    }

    /// Puts new tables in force, and drops those that are lost or name packs that are gone.
    fn replace(
        &mut self,
        named: &Named,
        gone: &HashSet<PackId>,
        mut new: Tables<'_>,
    ) -> Result<bool> {
        let lost = self.summary.tables_lost.iter().map(|(id, _)| *id);
        let naming = gone.iter().flat_map(|pack| &named[pack].1);
        let mut drop: HashSet<IndexId> = lost.chain(naming.copied()).collect();
        self.summary.held_back = !drop.is_empty() && !self.repo.state().may_prune();
        if self.summary.held_back {
            drop.clear();
        }
        let stays = named.iter().filter(|(pack, (_, tables))| {
            !gone.contains(pack) && tables.iter().all(|table| drop.contains(table))
        });
        let stays: Vec<PackId> = stays.map(|(pack, _)| *pack).collect();
        if self.options.dry_run || drop.is_empty() && self.summary.packs_added == 0 {
            self.summary.tables_dropped = drop.len() as u64;
            return Ok(true);
        }
        for id in stays {
            self.interrupt.check()?;
            let entry = self.repo.index().pack_entry(&id)?;
            new.add(entry.ok_or_else(|| {
                Error::new(ErrorKind::Unavailable, Subject::Pack(id))
                    .detail("is not in the index, though a table was read that names it")
            })?)?;
        }
        let add = new.finish()?;
        let mut drop: Vec<IndexId> = drop.into_iter().collect();
        drop.sort_unstable();
        let stands = self.append(&drop, &add)?;
        if stands {
            self.summary.tables_dropped = drop.len() as u64;
            self.summary.tables_added = add.len() as u64;
            self.remove(&drop);
        }
        Ok(stands)
    }

    /// Appends the entry; whether all that it drops was in force until then.
    fn append(&self, drop: &[IndexId], add: &[IndexId]) -> Result<bool> {
        let rests_on: Vec<ObjectRef> = add.iter().map(ObjectRef::table).collect();
        let appended = self.repo.append_resting(&mut |state| {
            let replaced = drop.iter().any(|table| !state.has_table(table));
            let deleted = add.iter().any(|table| state.is_deleted(&table.0));
            if replaced || deleted || !drop.is_empty() && !state.may_prune() {
                return Ok(None);
            }
            let index_add = add.to_vec();
            if drop.is_empty() {
                return Ok(Some((Action::Publish { index: index_add }, None)));
            }
            let deleting = Action::Deleting {
                objects: drop.iter().map(ObjectRef::table).collect(),
                index_drop: drop.to_vec(),
                index_add,
                reprieve: Vec::new(),
                fenced: match self.process {
                    Some(process) => state.cut_off_now(&process.nonce()),
                    None => Vec::new(),
                },
            };
            Ok(Some((deleting, Some(rests_on.clone()))))
        })?;
        Ok(appended.is_some())
    }

    /// Removes what the entry names. What cannot be removed now goes with the next prune.
    fn remove(&self, drop: &[IndexId]) {
        let state = self.repo.state();
        for table in drop.iter().filter(|table| state.may_remove(&table.0)) {
            let _ = self
                .repo
                .backend()
                .delete(&ObjectKind::Index.name(&table.0));
        }
    }
}
