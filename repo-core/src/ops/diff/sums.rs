//! Which blobs are on one side only.

use super::DiffSummary;
use crate::error::Result;
use crate::format::tree::{Chunks, Content};
use crate::id::BlobId;
use crate::index::Want;
use crate::repo::Repo;
use crate::tree::{ChunkRef, for_each_chunk};
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

/// Blobs met on each side, by the first bytes of their ids, which are hashes, with their lengths.
#[derive(Default)]
pub struct Sums {
    data: [HashMap<u64, u32>; 2],
    trees: [HashSet<BlobId>; 2],
}

fn short(id: &BlobId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = id.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// How long a blob is; 0 of one that no table names, which a check finds.
fn len(repo: &Repo, id: &BlobId) -> Result<u32> {
    let found = repo.index().lookup(id, Want::Readable)?;
    Ok(found.map_or(0, |location| location.blob_len))
}

impl Sums {
    /// Tree blobs that were read.
    pub fn trees(&mut self, read: [&[BlobId]; 2]) {
        for (known, read) in self.trees.iter_mut().zip(read) {
            known.extend(read);
        }
    }

    /// The chunks of a file that is on one side only, 0 or 1; nothing of what is no file.
    pub fn file(&mut self, repo: &Repo, side: usize, content: &Content) -> Result<()> {
        match content {
            Content::File(file) => self.chunks(repo, side, &file.chunks, &HashSet::new()),
            _ => Ok(()),
        }
    }

    /// The chunks of two versions of a file; lists that both have are not opened.
    pub fn files(&mut self, repo: &Repo, left: &Content, right: &Content) -> Result<()> {
        let (Content::File(one), Content::File(other)) = (left, right) else {
            return Ok(());
        };
        let lists = |chunks: &Chunks| match chunks {
            Chunks::Lists { lists, .. } => lists.iter().copied().collect(),
            Chunks::Direct(_) => HashSet::new(),
        };
        let (ones, others): (HashSet<BlobId>, HashSet<BlobId>) =
            (lists(&one.chunks), lists(&other.chunks));
        self.chunks(repo, 0, &one.chunks, &others)?;
        self.chunks(repo, 1, &other.chunks, &ones)
    }

    fn chunks(
        &mut self,
        repo: &Repo,
        side: usize,
        chunks: &Chunks,
        shared: &HashSet<BlobId>,
    ) -> Result<()> {
        let chunks = match chunks {
            Chunks::Lists { height, lists } => &Chunks::Lists {
                height: *height,
                lists: lists
                    .iter()
                    .filter(|id| !shared.contains(id))
                    .copied()
                    .collect(),
            },
            direct => direct,
        };
        let flow = for_each_chunk(repo, chunks, &mut |chunk| {
            match chunk {
                ChunkRef::Data(id) => {
                    let known = self.data[side].entry(short(&id));
                    if let std::collections::hash_map::Entry::Vacant(new) = known {
                        new.insert(len(repo, &id)?);
                    }
                }
                ChunkRef::List(id) => drop(self.trees[side].insert(id)),
            }
            Ok(ControlFlow::Continue(()))
        });
        // A list that cannot be read costs numbers, and no difference: that is known from the ids.
        let flow = flow.or_else(|error| match error.is_lost() {
            true => Ok(ControlFlow::Continue(())),
            false => Err(error),
        })?;
        debug_assert!(flow.is_continue());
        Ok(())
    }

    /// Counts what is on one side only.
    pub fn count(&self, repo: &Repo, summary: &mut DiffSummary) -> Result<()> {
        let sides = [(0, 1, &mut summary.removed), (1, 0, &mut summary.added)];
        for (own, other, counted) in sides {
            for (id, len) in &self.data[own] {
                if !self.data[other].contains_key(id) {
                    counted.data_blobs += 1;
                    counted.bytes += u64::from(*len);
                }
            }
            for id in self.trees[own].difference(&self.trees[other]) {
                counted.tree_blobs += 1;
                counted.bytes += u64::from(len(repo, id)?);
            }
        }
        Ok(())
    }
}
