//! What some snapshots reach: the packs that hold what a restore of them may read.

use super::is_finding;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, FileContent, Tree};
use crate::id::{BlobId, PackId, SnapshotId};
use crate::index::Marks;
use crate::log::PackState;
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::tree::{ChunkRef, for_each_chunk, load_blob};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// The packs of all copies of everything in these snapshots, with the bases of delta blocks.
///
/// What a tree holds that cannot be read is not among them, but its own packs are, so that a check of those finds it.
/// `NotFound` about one that is no snapshot. Memory: 32 bytes a pack, a bit for each blob of the index.
pub fn packs_of(
    repo: &Repo,
    snapshots: &[SnapshotId],
    interrupt: &Interrupt,
) -> Result<HashSet<PackId>> {
    Reach::of(repo, false).all(snapshots, interrupt)
}

/// The condemned packs that hold something of these snapshots, or of all, that no pack holds which stays. Memory: as of [`packs_of`].
pub fn condemned_packs(
    repo: &Repo,
    snapshots: Option<&[SnapshotId]>,
    interrupt: &Interrupt,
) -> Result<HashSet<PackId>> {
    let state = repo.state();
    if state.condemned().next().is_none() {
        return Ok(HashSet::new());
    }
    let reach = Reach::of(repo, true);
    match snapshots {
        Some(snapshots) => reach.all(snapshots, interrupt),
        None => {
            let live = state.live_snapshots().map(|(id, _)| *id);
            reach.all(&live.collect::<Vec<_>>(), interrupt)
        }
    }
}

/// The root trees of these snapshots; of those that do not open none, for that is a finding of its own.
fn roots(repo: &Repo, snapshots: &[SnapshotId]) -> Result<Vec<BlobId>> {
    let (state, mut roots) = (repo.state(), Vec::new());
    for id in snapshots {
        let Some(row) = state.snapshot(id).filter(|_| state.is_live(id)) else {
            return Err(Error::new(ErrorKind::NotFound, Subject::Snapshot(*id)));
        };
        let summary = repo.open_summary(id, &row.summary);
        roots.extend(summary.map(|summary| summary.root));
    }
    Ok(roots)
}

struct Reach<'a> {
    repo: &'a Repo,
    /// Only packs that are condemned, and of what lies in no other.
    condemned: bool,
    seen: Marks,
    packs: HashSet<PackId>,
}

impl<'a> Reach<'a> {
    fn of(repo: &'a Repo, condemned: bool) -> Self {
        Self {
            repo,
            condemned,
            seen: repo.index().marks(),
            packs: HashSet::new(),
        }
    }

    fn all(mut self, snapshots: &[SnapshotId], interrupt: &Interrupt) -> Result<HashSet<PackId>> {
        for root in roots(self.repo, snapshots)? {
            self.tree(root, interrupt)?;
        }
        Ok(self.packs)
    }

    fn tree(&mut self, root: BlobId, interrupt: &Interrupt) -> Result<()> {
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            interrupt.check()?;
            if !self.blob(id)? {
                continue;
            }
            match load_blob(self.repo, &id) {
                Ok(Tree::Branch(branch)) => stack.extend(branch.pages.iter().map(|page| page.id)),
                Ok(Tree::Leaf(leaf)) => {
                    for node in leaf.nodes {
                        match node.content {
                            Content::Dir(below) => stack.extend(below),
                            Content::File(file) => self.file(&file)?,
                            _ => {}
                        }
                    }
                }
                // A list of chunks is met with its file.
                Ok(Tree::Chunks(_)) => {}
                Err(error) if is_finding(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &FileContent) -> Result<()> {
        let repo = self.repo;
        let walked = for_each_chunk(repo, &file.chunks, &mut |chunk| {
            let (ChunkRef::Data(id) | ChunkRef::List(id)) = chunk;
            self.blob(id)?;
            Ok(ControlFlow::Continue(()))
        });
        match walked {
            Err(error) if !is_finding(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Notes the packs of a blob, and of what its blocks are made from; whether it was not met before.
    fn blob(&mut self, id: BlobId) -> Result<bool> {
        let mut left = vec![id];
        let mut is_new = false;
        while let Some(blob) = left.pop() {
            if !self.seen.insert(&blob)? {
                continue;
            }
            is_new |= blob == id;
            let (index, state) = (self.repo.index(), self.repo.state());
            let (mut packs, mut stays) = (Vec::new(), false);
            for location in index.copies(&blob)? {
                let pack = index.pack_id_of(&location)?;
                stays |= state.pack_state(&pack) == PackState::Live;
                packs.push(pack);
                left.extend(index.bases(&location)?);
            }
            if !self.condemned || !stays {
                self.packs.extend(packs);
            }
        }
        Ok(is_new)
    }
}
