//! Nodes and directories: read, write, walk, compare.
//!
//! A directory is one tree blob, or beyond [`LEAF_BYTES`] a shallow Merkle tree of them, cut where the keyed hash of a
//! name alone says so: a change in a directory of a million files rewrites a few blobs, and equal entries give equal
//! blobs whatever their history.

mod chunk_list;
mod directory;
mod extents;
mod first_names;
mod pairs;
mod read;
#[cfg(test)]
mod tests;

pub use chunk_list::ChunkList;
pub use directory::{Borders, DirectoryWriter, LEAF_BYTES, write_directory};
pub use extents::{data_len, does_not_add_up};
pub use first_names::{FileKey, FirstNames, file_key};
pub use pairs::Pairs;
pub use read::{
    ChunkIds, ChunkRef, Nodes, TreeReader, find_node, for_each_chunk, load_blob, load_nodes,
    load_page, load_pages,
};

impl TreeReader for crate::repo::Repo {
    fn tree(&self, id: &crate::id::BlobId) -> crate::Result<std::sync::Arc<Vec<u8>>> {
        self.read_blob(crate::crypto::BlobType::Tree, id)
            .map(std::sync::Arc::new)
    }
}
