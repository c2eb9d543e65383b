//! The last step of a backup: everything relied on is checked against the newest fold, then the entry is appended.

use super::Repo;
use super::catalog::IndexCatalog;
use super::writer::Written;
use crate::error::Result;
use crate::format::entry::Action;
use crate::format::rows::Blob;
use crate::format::snapshot::Summary;
use crate::id::{BlobId, IndexId, PackId, SnapshotId};
use crate::index::Index;
use crate::log::{Catalog, CommitCheck, Present, Reliance, Removals, State, check_commit};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// What a backup wants to commit.
pub struct CommitRequest {
    /// The stored snapshot.
    pub snapshot: SnapshotId,
    /// What listings show of it.
    pub summary: Summary,
    /// Tables that no entry names yet.
    pub tables: Vec<IndexId>,
    /// Packs of others that were relied on.
    pub hits: HashSet<PackId>,
    /// Packs of this run.
    pub own: HashSet<PackId>,
    /// The snapshot that lent whole subtrees without a look inside.
    pub lender: Option<SnapshotId>,
    /// What was removed when it was found that nothing of the lender's can be lost. Whatever is removed later, a repair may have lost.
    pub lent_on: Option<Removals>,
}

impl CommitRequest {
    /// Of a snapshot that rests on what was written for it and nothing else.
    pub fn new(snapshot: SnapshotId, summary: Summary, written: Written) -> Self {
        Self {
            snapshot,
            summary,
            tables: written.tables,
            hits: written.hits,
            own: written.own,
            lender: None,
            lent_on: None,
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It stands.
    Committed,
    /// Something relied on is gone: look everything up again, store what is not there, and come back.
    Heal,
    /// The same, because this pack, which is condemned, turned out to be missing or damaged.
    Damaged(PackId),
}

/// What the request relies on: whole packs. Which of their blobs are really needed is not kept, so that memory does not
/// grow with the source: every blob of a doubtful pack counts as needed.
struct Packs<'a> {
    index: &'a Index,
    request: &'a CommitRequest,
}

impl Reliance for Packs<'_> {
    fn packs(&self, each: &mut dyn FnMut(&PackId)) -> Result<()> {
        self.request
            .hits
            .iter()
            .chain(&self.request.own)
            .for_each(each);
        Ok(())
    }

    fn blobs_in(
        &self,
        packs: &BTreeSet<PackId>,
        each: &mut dyn FnMut(&BlobId) -> Result<()>,
    ) -> Result<()> {
        for pack in packs {
            if let Some(entry) = self.index.pack_entry(pack)? {
                entry.blobs.iter().try_for_each(|blob| each(&blob.id))?;
            }
        }
        // Any of the other packs may hold blocks whose bases lie in these.
        let others = self.request.hits.iter().chain(&self.request.own);
        for pack in others.filter(|pack| self.index.has_deltas() && !packs.contains(pack)) {
            let Some(entry) = self.index.pack_entry(pack)? else {
                continue;
            };
            let is_delta = |blob: &&Blob| {
                let block = entry.blocks.get(blob.block as usize);
                block.is_some_and(|block| block.base_count > 0)
            };
            let mut deltas = entry.blobs.iter().filter(is_delta);
            deltas.try_for_each(|blob| each(&blob.id))?;
        }
        Ok(())
    }
}

impl Repo {
    /// Checks a backup against the newest fold and appends its `Commit`; checked again whenever others were faster.
    ///
    /// Reads the packs of others that were condemned meanwhile and that it rests on, each once, whole: a repair condemns damaged ones. Where
    /// another copy does for one of those, that is taken.
    pub fn commit(&self, request: &CommitRequest) -> Result<CommitOutcome> {
        let summary = self.seal_summary(&request.summary)?;
        let (mut proved, mut damaged) = (HashSet::new(), BTreeSet::new());
        let mut found = None;
        let appended = self.append(&mut |state| {
            self.set_state(Arc::clone(state));
            self.sync_index(&request.tables)?;
            let reprieve = loop {
                let check = self.check_commit(state, request, &damaged)?;
                let Some(check) = check else {
                    return Ok(None);
                };
                match self.first_damaged(&check.condemned, request, &mut proved)? {
                    None => break check.reprieve,
                    Some(pack) => damaged.insert(*found.insert(pack)),
                };
            };
            Ok(Some(Action::Commit {
                snapshot: request.snapshot,
                index: request.tables.clone(),
                reprieve,
                summary: summary.clone(),
            }))
        })?;
        Ok(match (appended, found) {
            (Some(_), _) => CommitOutcome::Committed,
            (None, Some(pack)) => CommitOutcome::Damaged(pack),
            (None, None) => CommitOutcome::Heal,
        })
    }

    /// What a commit on that fold takes, if it may be appended and nothing is found in `damaged` packs.
    fn check_commit(
        &self,
        state: &State,
        request: &CommitRequest,
        damaged: &BTreeSet<PackId>,
    ) -> Result<Option<CommitCheck>> {
        let lent_on = request.lent_on.as_ref();
        let may_lack = lent_on.is_some_and(|earlier| state.removals().exceed(earlier));
        let catalog = self.catalog();
        let there = Present {
            inventory: &catalog,
            absent: damaged,
        };
        let reliance = Packs {
            index: self.index(),
            request,
        };
        let parents: Vec<SnapshotId> = request.lender.into_iter().collect();
        let (tables, snapshot) = (&request.tables, Some(&request.snapshot));
        let check = check_commit(state, &there, &reliance, &parents, tables, snapshot)?;
        let stands = check.passes() && !may_lack && !unknown_packs(&catalog, request)?;
        Ok(stands.then_some(check))
    }

    /// The first of these packs that is not what its name says. Those of the request's own run were proved when
    /// they were stored; a long run may have many, and a prune condemns them all.
    fn first_damaged(
        &self,
        condemned: &[PackId],
        request: &CommitRequest,
        proved: &mut HashSet<PackId>,
    ) -> Result<Option<PackId>> {
        for pack in condemned {
            if request.own.contains(pack) || proved.contains(pack) {
                continue;
            }
            match self.prove_pack(pack) {
                Ok(()) => drop(proved.insert(*pack)),
                Err(e) if e.is_lost() => return Ok(Some(*pack)),
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }
}

/// A pack that no table in force names has no blobs to ask for: what relied on it must be looked up again.
fn unknown_packs(catalog: &IndexCatalog<'_>, request: &CommitRequest) -> Result<bool> {
    for pack in request.hits.iter().chain(&request.own) {
        if !catalog.knows(pack)? {
            return Ok(true);
        }
    }
    Ok(false)
}
