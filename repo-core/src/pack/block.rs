//! Blobs on their way into one block.

use crate::chunk::Piece;
use crate::id::BlobId;

/// Most blobs of a block. Only what is below 512 bytes on average reaches it; each takes 40 bytes until its pack is sent.
const BLOBS_MAX: usize = 4096;

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
///
/// As long as they follow each other in one buffer they stay there; only else are they copied.
#[derive(Default)]
pub struct BlockDraft {
    shared: Option<Piece>,
    /// The plaintext if it is not shared.
    own: Vec<u8>,
    blobs: Vec<PlainBlob>,
}

/// What does not lie in the buffer of a shared draft is not copied together with it if that fills three of four parts of
/// a block.
fn nearly_full(len: usize, block_bytes: usize) -> bool {
    len >= block_bytes / 4 * 3
}

impl BlockDraft {
    /// A draft that reuses a buffer.
    pub fn with_buffer(mut own: Vec<u8>) -> Self {
        own.clear();
        Self {
            own,
            ..Self::default()
        }
    }

    /// The plaintext.
    pub fn bytes(&self) -> &[u8] {
        self.shared.as_deref().unwrap_or(&self.own)
    }

    /// Whether no blob is in it.
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// What it consists of, and its buffer to be used again.
    pub fn into_parts(self) -> (Vec<PlainBlob>, Vec<u8>) {
        (self.blobs, self.own)
    }

    /// Whether a blob of `len` bytes still belongs into this block of at most `block_bytes`. Into an empty block
    /// anything does: a larger blob is a block of its own.
    pub fn takes(&self, len: usize, block_bytes: usize) -> bool {
        let fits = self.bytes().len() + len <= block_bytes && self.blobs.len() < BLOBS_MAX;
        self.is_empty() || fits
    }

    /// As [`BlockDraft::takes`], for a blob that need not be copied.
    pub fn takes_piece(&self, piece: &Piece, block_bytes: usize) -> bool {
        let apart = |shared: &Piece| {
            !shared.is_followed_by(piece) && nearly_full(shared.len(), block_bytes)
        };
        self.takes(piece.len(), block_bytes) && !self.shared.as_ref().is_some_and(apart)
    }

    /// Adds a copy of a blob.
    pub fn push(&mut self, id: BlobId, plaintext: &[u8]) {
        self.note(id, plaintext.len());
        if let Some(shared) = self.shared.take() {
            self.own.extend_from_slice(&shared);
        }
        self.own.extend_from_slice(plaintext);
    }

    /// Adds a blob, if possible without copying it.
    pub fn push_piece(&mut self, id: BlobId, piece: Piece) {
        if self.is_empty() {
            self.note(id, piece.len());
            self.shared = Some(piece);
            return;
        }
        let offset = self.bytes().len();
        match self
            .shared
            .as_mut()
            .is_some_and(|shared| shared.join(&piece))
        {
            true => self.blobs.push(plain_blob(id, offset, piece.len())),
            false => self.push(id, &piece),
        }
    }

    fn note(&mut self, id: BlobId, len: usize) {
        let blob = plain_blob(id, self.bytes().len(), len);
        self.blobs.push(blob);
    }
}

fn plain_blob(id: BlobId, offset: usize, len: usize) -> PlainBlob {
    PlainBlob {
        id,
        offset: u32::try_from(offset).expect("blocks are below 64 MiB"),
        len: u32::try_from(len).expect("blobs are below 64 MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn blobs_of_a_block_are_bounded() {
        let mut draft = BlockDraft::default();
        for _ in 0..BLOBS_MAX {
            assert!(draft.takes(1, 1 << 20));
            draft.push(BlobId([1; 32]), b"x");
        }
        assert!(!draft.takes(1, 1 << 20));
    }

    #[test]
    fn pieces_of_one_buffer_stay_there() {
        let buffer: Arc<Vec<u8>> = Arc::new((0..100).collect());
        let piece = |range| Piece::new(buffer.clone(), range);
        let mut draft = BlockDraft::default();
        for range in [10..20, 20..50] {
            assert!(draft.takes_piece(&piece(range.clone()), 40));
            draft.push_piece(BlobId([1; 32]), piece(range));
        }
        assert_eq!((draft.bytes(), draft.own.len()), (&buffer[10..50], 0));
        assert!(!draft.takes_piece(&piece(50..51), 40), "full");
        assert!(!draft.takes_piece(&piece(60..61), 50), "too much to copy");
        assert!(draft.takes_piece(&piece(60..61), 100));
        draft.push_piece(BlobId([2; 32]), piece(60..70));
        draft.push_piece(BlobId([3; 32]), piece(70..75));
        draft.push(BlobId([4; 32]), b"tail");
        let expected = [&buffer[10..50], &buffer[60..75], b"tail"].concat();
        assert_eq!((draft.bytes(), draft.own.len()), (&expected[..], 59));
        let (blobs, own) = draft.into_parts();
        let places: Vec<_> = blobs.iter().map(|blob| (blob.offset, blob.len)).collect();
        assert_eq!(places, [(0, 10), (10, 30), (40, 10), (50, 5), (55, 4)]);
        assert!(BlockDraft::with_buffer(own).bytes().is_empty());
    }
}
