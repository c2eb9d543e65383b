//! Blobs on their way into one block.

use crate::id::BlobId;

/// Where a blob lies in a block's plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainBlob {
    /// The blob.
    pub id: BlobId,
    /// Where it begins.
    pub offset: u32,
    /// Its length.
    pub len: u32,
}

/// Neighbouring blobs in the order they came, until they fill a block.
#[derive(Debug, Default)]
pub struct BlockDraft {
    /// The plaintext.
    pub bytes: Vec<u8>,
    /// What it consists of.
    pub blobs: Vec<PlainBlob>,
}

impl BlockDraft {
    /// A draft that reuses a buffer.
    pub fn with_buffer(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self {
            bytes,
            blobs: Vec::new(),
        }
    }

    /// Whether a blob of `len` bytes still belongs into this block of at most `block_bytes`. Into an empty block
    /// anything does: a larger blob is a block of its own.
    pub fn takes(&self, len: usize, block_bytes: usize) -> bool {
        self.blobs.is_empty() || self.bytes.len() + len <= block_bytes
    }

    /// Adds a blob.
    pub fn push(&mut self, id: BlobId, plaintext: &[u8]) {
        let offset = u32::try_from(self.bytes.len()).expect("blocks are below 64 MiB");
        let len = u32::try_from(plaintext.len()).expect("blobs are below 64 MiB");
        self.bytes.extend_from_slice(plaintext);
        self.blobs.push(PlainBlob { id, offset, len });
    }
}
