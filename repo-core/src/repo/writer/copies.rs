//! Writes what a prune keeps of packs that go: whole blocks as they lie, sealed, and blobs of blocks that were opened.

use super::{Writer, lane_of};
use crate::crypto::BlobType;
use crate::error::Result;
use crate::id::BlobId;
use crate::pack::{BlockDraft, CopiedBlock};

impl Writer<'_> {
    /// Appends a block of another pack as it is. Blobs of it may be stored elsewhere: the caller knows what it copies.
    pub fn copy_block(&mut self, kind: BlobType, block: CopiedBlock) -> Result<()> {
        self.options.interrupt.check()?;
        let lane = lane_of(kind);
        self.written.bytes_added += u64::from(block.block.raw_len);
        let number = loop {
            let pack = self.open_pack(lane)?;
            let number = pack.number;
            if pack.builder.takes_copy(&block.wrap) {
                break number;
            }
            self.close(lane, number)?;
        };
        self.pack(lane, number)?.builder.push_copy(block);
        self.settle(lane, number)
    }

    /// Adds a blob although it is stored elsewhere: where it lies now is to go.
    pub fn copy_blob(&mut self, kind: BlobType, id: &BlobId, plaintext: &[u8]) -> Result<()> {
        self.written.bytes_added += plaintext.len() as u64;
        let takes = |draft: &BlockDraft, max| draft.takes(plaintext.len(), max);
        self.draft(kind, &takes)?.push(*id, plaintext);
        Ok(())
    }
}
