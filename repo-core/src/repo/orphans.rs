//! What an interrupted run left: packs that it published, which the index knows, and finished packs that no table names,
//! or only one that is lost. The next run takes those over.

use super::memory::Published;
use super::process::Process;
use super::{Repo, Writer, lock, pack_object};
use crate::crypto::BlobType;
use crate::error::{ErrorKind, Result};
use crate::format::name::ObjectKind;
use crate::format::pack::{PACK_BYTES_MAX, decode_directory};
use crate::id::{IndexId, PackId};
use crate::log::{PackState, SnapshotRow};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A backup under way, so that the next one knows whether this one ended.
pub struct Run<'a> {
    repo: &'a Repo,
    look: bool,
    noted: bool,
    published: Resumed,
    /// Class C: others see by it that this process is at work.
    _process: Option<Arc<Process>>,
}

/// Packs of interrupted runs that need not be stored again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resumed {
    /// How many.
    pub packs: u64,
    /// Their bytes as they are stored.
    pub bytes: u64,
}

impl Resumed {
    fn add(&mut self, packs: u64, bytes: u64) {
        self.packs += packs;
        self.bytes += bytes;
    }
}

impl Repo {
    /// Begins a backup, and brings the fold and the index up to date: on class C what a run relies on must have been folded
    /// after it announced itself. Orphans are looked for if the last run of this client never ended, if nothing was
    /// ever committed, or if an index table is lost: then what only that one named is named again.
    pub fn begin_run(&self, dry_run: bool) -> Result<Run<'_>> {
        self.refresh()?;
        if dry_run {
            return Ok(Run {
                repo: self,
                look: false,
                noted: false,
                published: Resumed::default(),
                _process: None,
            });
        }
        self.refuse_to_append()?;
        let process = self.announce()?;
        if process.is_some() {
            self.refresh()?;
        }
        let left = lock(&self.history).memory.begin_run();
        let state = self.state();
        let first = state.live_snapshots().next().is_none();
        Ok(Run {
            repo: self,
            look: left.is_some() || first || self.index_is_incomplete(),
            noted: true,
            published: self.published(&left.unwrap_or_default())?,
            _process: process,
        })
    }
}

impl Repo {
    /// What interrupted runs published: as this client remembers of its own, and if nothing at all was ever committed, all
    /// that is there.
    fn published(&self, remembered: &[Published]) -> Result<Resumed> {
        let state = self.state();
        let snapshots = || state.live_snapshots().chain(state.forgotten_snapshots());
        let mut found = Resumed::default();
        if snapshots().next().is_none() && state.tables().all(|(_, row)| !row.committed) {
            self.index().packs(&mut |pack, usable| {
                if usable {
                    found.add(1, pack.len);
                }
                Ok(ControlFlow::Continue(()))
            })?;
            return Ok(found);
        }
        // A run that ended right behind its commit did not say so any more.
        let ours = |row: &&SnapshotRow| row.writer == self.writer();
        let committed = snapshots().map(|(_, row)| row).filter(ours);
        let committed = committed.map(|row| row.number).max().unwrap_or(0);
        let since = state.tables().filter(|(_, row)| row.added > committed);
        let since: BTreeSet<&IndexId> = since.map(|(id, _)| id).collect();
        let left = remembered.iter().filter(|row| since.contains(&row.table));
        left.for_each(|row| found.add(row.packs, row.bytes));
        Ok(found)
    }
}

impl Run<'_> {
    /// Takes over packs that lie on the backend and stand in no table, if there is reason to look for some. Says how much
    /// interrupted runs left in all, these and what they published.
    ///
    /// Each is read and proved whole by its name; what is not whole is left for a prune. Memory: one pack.
    pub fn take_over_orphans(&self, repo: &Repo, writer: &mut Writer<'_>) -> Result<Resumed> {
        let mut resumed = self.published;
        if !self.look {
            return Ok(resumed);
        }
        for kind in [BlobType::Data, BlobType::Tree] {
            for id in orphans(repo, kind)? {
                let pack = match repo.backend().get(&pack_object(kind).name(&id.0)) {
                    Ok(pack) => pack,
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    Err(e) => return Err(e),
                };
                let whole = id.is_of(&pack);
                let entry = decode_directory(repo.ring(), &repo.id(), id, &pack);
                if let (true, Ok(entry)) = (whole, entry) {
                    resumed.add(1, entry.len);
                    writer.take_over(entry)?;
                }
            }
        }
        Ok(resumed)
    }

    /// The backup has ended well.
    pub fn end(self) {
        if self.noted {
            lock(&self.repo.history).memory.end_run();
        }
    }
}

/// Packs that lie on the backend, that no table names and no entry condemns or deletes.
fn orphans(repo: &Repo, kind: BlobType) -> Result<Vec<PackId>> {
    let state = repo.state();
    let mut listed = Vec::new();
    repo.backend()
        .list(pack_object(kind).folder(), &mut |object| {
            if let Some((ObjectKind::Data | ObjectKind::Meta, id)) = ObjectKind::parse(&object.name)
                && object.len <= PACK_BYTES_MAX
                && state.pack_state(&PackId(id)) == PackState::Live
            {
                listed.push(PackId(id));
            }
            Ok(())
        })?;
    let mut orphans = Vec::new();
    for id in listed {
        if repo.index().pack(&id)?.is_none() {
            orphans.push(id);
        }
    }
    Ok(orphans)
}
