//! Opens blocks again.

use crate::compress::{Decompressor, Encoding};
use crate::crypto::{BlobType, Cipher, Keyring};
use crate::error::Result;
use crate::format::pack::{self, KeyWrap};
use crate::format::rows::Block;
use crate::id::RepositoryId;

/// Opens blocks of one key wrap: made once for a pack, used from any thread.
pub struct BlockReader {
    cipher: Cipher,
    kind: BlobType,
}

impl BlockReader {
    /// The reader for blocks under `wrap`. `Denied` if this holder's role cannot open it.
    pub fn new(
        ring: &Keyring,
        repository: &RepositoryId,
        kind: BlobType,
        wrap: &KeyWrap,
    ) -> Result<Self> {
        Ok(Self {
            cipher: Cipher::new(&wrap.open(ring, repository, kind)?),
            kind,
        })
    }
}

/// Opens one block: `stored` is its ciphertext and is used up, `prefix` what a delta block is based on; the plaintext is
/// put into `out`, whose length is `block.raw_len` then. `Unsupported` for an encoding of a later version.
pub fn open_block_of(
    reader: &BlockReader,
    block: &Block,
    stored: &mut [u8],
    prefix: Option<&[u8]>,
    decompressor: &mut Decompressor,
    out: &mut Vec<u8>,
) -> Result<()> {
    let encoding = Encoding::try_from(block.encoding)?;
    let encoded = pack::open_block(&reader.cipher, reader.kind, block.counter, stored)?;
    decompressor.decompress(encoding, encoded, block.raw_len as usize, prefix, out)
}
