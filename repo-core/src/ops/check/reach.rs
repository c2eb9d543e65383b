//! What some snapshots reach: the packs that hold what a restore of them may read.

use super::is_finding;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, FileContent, Tree};
use crate::id::{BlobId, PackId, SnapshotId};
use crate::index::Marks;
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
    let mut reach = Reach {
        repo,
        seen: repo.index().marks(),
        packs: HashSet::new(),
    };
    for root in roots(repo, snapshots)? {
        reach.tree(root, interrupt)?;
    }
    Ok(reach.packs)
}

/// The root trees of these snapshots; of those that do not open none, for that is a finding of its own.
fn roots(repo: &Repo, snapshots: &[SnapshotId]) -> Result<Vec<BlobId>> {
    let (state, mut roots) = (repo.state(), Vec::new());
    for wanted in snapshots {
        let mut live = state.live_snapshots();
        let Some((id, row)) = live.find(|(id, _)| *id == wanted) else {
            return Err(Error::new(ErrorKind::NotFound, Subject::Snapshot(*wanted)));
        };
        roots.extend(
            repo.open_summary(id, &row.summary)
                .map(|summary| summary.root),
        );
    }
    Ok(roots)
}

struct Reach<'a> {
    repo: &'a Repo,
    seen: Marks,
    packs: HashSet<PackId>,
}

impl Reach<'_> {
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
            let index = self.repo.index();
            for location in index.copies(&blob)? {
                self.packs.insert(index.pack_id_of(&location)?);
                left.extend(index.bases(&location)?);
            }
        }
        Ok(is_new)
    }
}
