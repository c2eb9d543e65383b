//! What a lookup returns.

use super::run::Run;
use crate::format::rows::Block;
use std::fmt;
use std::sync::Arc;

/// Which copies of a blob will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Only copies that something new may refer to: in packs that are live.
    Live,
    /// Any copy, one in a live pack if there is one.
    Readable,
}

/// A pack of the index: cheap to copy, and it stays valid whatever happens to the index.
///
/// Two handles are equal if they are the same row of the same run; one pack can have several. Its id is what tells
/// packs apart.
#[derive(Clone)]
pub struct PackRef {
    pub(super) run: Arc<Run>,
    pub(super) row: u32,
}

impl PartialEq for PackRef {
    fn eq(&self, other: &Self) -> bool {
        self.row == other.row && Arc::ptr_eq(&self.run, &other.run)
    }
}

impl Eq for PackRef {}

impl fmt::Debug for PackRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackRef({:p}, {})", Arc::as_ptr(&self.run), self.row)
    }
}

/// Where a copy of a blob lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Its pack; [`Index::pack_of`](super::Index::pack_of) tells which one.
    pub pack: PackRef,
    /// Its block. `pack` and `first_base` in it are rows of the index's own;
    /// [`Index::bases`](super::Index::bases) tells the bases.
    pub block: Block,
    /// First byte in the block's plaintext.
    pub blob_offset: u32,
    /// Bytes of plaintext.
    pub blob_len: u32,
}
