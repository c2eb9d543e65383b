//! The list of a file's chunks: in the node while it is short, in tree blobs of its own when it is long.

use crate::error::Result;
use crate::format::codec;
use crate::format::tree::{Chunks, HEIGHT_MAX, Tree};
use crate::id::BlobId;

/// A file of up to this many chunks lists them in its node.
const DIRECT_MAX: usize = 512;

/// A list ends after an id whose low bits, this many, are zero: 1024 ids, 32 KiB, on average.
const LIST_BITS: u32 = 10;

/// A list ends here in any case, as in a file that repeats one chunk.
const LIST_MAX: usize = 8192;

/// Collects the chunks of one file, in order.
///
/// Ids are keyed hashes, so their own bits say where a list ends: a change inside a large file rewrites few lists. Takes
/// memory for one list a level, 256 KiB at most, however long the file.
#[derive(Default)]
pub struct ChunkList {
    /// What is not yet in a list; level 0 holds data blobs.
    levels: Vec<Vec<BlobId>>,
}

impl ChunkList {
    /// Adds the next chunk; full lists go to `put`, which stores a tree blob and gives its id.
    pub fn push(&mut self, id: BlobId, put: &mut dyn FnMut(&[u8]) -> Result<BlobId>) -> Result<()> {
        self.push_at(0, id, put)
    }

    fn push_at(
        &mut self,
        level: usize,
        id: BlobId,
        put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
    ) -> Result<()> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        let has_lists = level + 1 < self.levels.len();
        let ids = &mut self.levels[level];
        ids.push(id);
        let long = has_lists || ids.len() > DIRECT_MAX;
        let ends = ends_list(&id) || ids.len() >= LIST_MAX;
        if long && ends && level + 1 < usize::from(HEIGHT_MAX) {
            let list = put_list(std::mem::take(ids), put)?;
            self.push_at(level + 1, list, put)?;
        }
        Ok(())
    }

    /// The whole list.
    pub fn finish(mut self, put: &mut dyn FnMut(&[u8]) -> Result<BlobId>) -> Result<Chunks> {
        let mut level = 0;
        while level + 1 < self.levels.len() {
            let ids = std::mem::take(&mut self.levels[level]);
            if !ids.is_empty() {
                let list = put_list(ids, put)?;
                self.push_at(level + 1, list, put)?;
            }
            level += 1;
        }
        let ids = self.levels.pop().unwrap_or_default();
        Ok(match u8::try_from(level).expect("bounded by HEIGHT_MAX") {
            0 => Chunks::Direct(ids),
            height => Chunks::Lists { height, lists: ids },
        })
    }
}

fn ends_list(id: &BlobId) -> bool {
    let low = u64::from_le_bytes(id.0[..8].try_into().expect("eight of 32 bytes"));
    low.trailing_zeros() >= LIST_BITS
}

fn put_list(ids: Vec<BlobId>, put: &mut dyn FnMut(&[u8]) -> Result<BlobId>) -> Result<BlobId> {
    put(&codec::encode(&Tree::Chunks(ids)))
}
