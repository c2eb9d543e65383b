//! Puts sealed blocks together to a pack.

use super::block::PlainBlob;
use super::slabs::Parts;
use crate::compress::Encoding;
use crate::crypto::{BlobType, Cipher, Keyring, Secret, random_array};
use crate::error::Result;
use crate::format::pack::{self, Header, KeyWrap};
use crate::format::rows::{Blob, Block, PackEntry, WRAPS_LEN_MAX};
use crate::id::{BlobId, Domain, PackId, RepositoryId};
use std::sync::Arc;

/// A pack of so many blobs is full whatever its length: their rows, 44 bytes each, lie in memory until the pack is in an
/// index table, and several times over while it is read. Only blobs of less than 512 stored bytes on average get there.
const BLOBS_ENOUGH: usize = 32 << 10;

/// What seals the blocks of one pack, from any thread.
pub struct PackKey {
    cipher: Cipher,
    kind: BlobType,
}

/// One block, encoded and sealed, and what the directory says of it.
pub struct SealedBlock {
    /// Ciphertext and tag.
    pub bytes: Parts,
    /// How the plaintext was encoded.
    pub encoding: Encoding,
    /// Length of the plaintext.
    pub raw_len: u32,
    /// The number that it was sealed with.
    pub counter: u32,
    /// What it consists of.
    pub blobs: Vec<PlainBlob>,
    /// The blobs it was compressed against, for a delta block.
    pub bases: Vec<BlobId>,
}

/// A block as it lies in another pack: opened by nobody on the way.
pub struct CopiedBlock {
    /// Its row there.
    pub block: Block,
    /// The key wrap it names there, as encoded.
    pub wrap: Vec<u8>,
    /// Ciphertext and tag.
    pub bytes: Parts,
    /// What it consists of.
    pub blobs: Vec<PlainBlob>,
}

impl PackKey {
    /// Replaces `sealed` by the ciphertext and tag of an encoded block.
    pub fn seal(&self, counter: u32, encoded: &[u8], sealed: &mut Vec<u8>) {
        pack::seal_block(&self.cipher, self.kind, counter, encoded, sealed);
    }
}

/// A pack that is being filled. Memory: its bytes so far, and 28 bytes a block, 44 a blob.
pub struct PackBuilder {
    header: Header,
    /// The pack's own key wrap, and those of packs that blocks were copied from.
    wraps: Vec<Vec<u8>>,
    wraps_len: usize,
    key: Arc<PackKey>,
    /// The blocks.
    bytes: Parts,
    entry: PackEntry,
    next_counter: u32,
}

impl PackBuilder {
    /// An empty pack with a key of its own, wrapped with what this holder has.
    pub fn new(
        ring: &Keyring,
        repository: &RepositoryId,
        kind: BlobType,
        domain: Domain,
    ) -> Result<Self> {
        let secret = Secret::random();
        let wrap = KeyWrap::seal(ring, repository, kind, &secret)?;
        let wraps = pack::encode_wraps(&[wrap]);
        let (epoch, salt) = (ring.epoch(), random_array());
        let header = Header {
            kind,
            epoch,
            domain,
            salt,
            wrap_count: 0,
            wraps: Vec::new(),
            len: 0,
        };
        let entry = PackEntry {
            id: PackId::default(),
            len: 0,
            kind,
            epoch,
            domain,
            wrap_count: 0,
            wraps: Vec::new(),
            blocks: Vec::new(),
            blobs: Vec::new(),
            bases: Vec::new(),
        };
        let key = Arc::new(PackKey {
            cipher: Cipher::new(&secret),
            kind,
        });
        Ok(Self {
            header,
            wraps_len: wraps.len(),
            wraps: vec![wraps],
            key,
            bytes: Parts::default(),
            entry,
            next_counter: 0,
        })
    }

    /// What seals a block for this pack, and the counter to seal it with: each counter is given out once.
    pub fn reserve(&mut self) -> (Arc<PackKey>, u32) {
        let counter = self.next_counter;
        self.next_counter += 1;
        (self.key.clone(), counter)
    }

    /// Bytes so far, directory left out.
    pub fn len(&self) -> usize {
        pack::HEADER_LEN + self.wraps_len + self.bytes.len()
    }

    /// Whether it is to be ended: it has `enough` bytes, or too many blobs for more.
    pub fn is_full(&self, enough: usize) -> bool {
        self.len() >= enough || self.entry.blobs.len() >= BLOBS_ENOUGH
    }

    /// Whether no block is in it.
    pub fn is_empty(&self) -> bool {
        self.entry.blocks.is_empty()
    }

    /// Appends a block that was sealed with this pack's key.
    pub fn push(&mut self, block: SealedBlock) {
        let row = Block {
            raw_len: block.raw_len,
            counter: block.counter,
            first_base: if block.bases.is_empty() {
                0
            } else {
                u32_of(self.entry.bases.len())
            },
            base_count: u16::try_from(block.bases.len()).expect("few bases a block"),
            encoding: block.encoding as u8,
            wrap: 0,
            ..Block::default()
        };
        self.entry.bases.extend_from_slice(&block.bases);
        self.append(row, block.bytes, &block.blobs);
    }

    /// Whether there is room for one more key wrap, should a copied block need it.
    pub fn takes_copy(&self, wrap: &[u8]) -> bool {
        let known = self.wraps.iter().any(|known| known == wrap);
        let room = self.wraps.len() < pack::WRAPS_MAX
            && self.wraps_len + wrap.len() <= WRAPS_LEN_MAX as usize;
        known || room
    }

    /// Appends a block of another pack, without bases, with the key wrap that opens it; [`PackBuilder::takes_copy`] must have said yes.
    pub fn push_copy(&mut self, copied: CopiedBlock) {
        let known = self.wraps.iter().position(|known| *known == copied.wrap);
        let wrap = known.unwrap_or_else(|| {
            self.wraps_len += copied.wrap.len();
            self.wraps.push(copied.wrap);
            self.wraps.len() - 1
        });
        let row = Block {
            first_base: 0,
            base_count: 0,
            wrap: u8::try_from(wrap).expect("at most WRAPS_MAX wraps"),
            ..copied.block
        };
        self.append(row, copied.bytes, &copied.blobs);
    }

    /// Appends a block's bytes and rows. Where it lies is counted from the first block until the header is complete.
    fn append(&mut self, row: Block, bytes: Parts, blobs: &[PlainBlob]) {
        let number = u32_of(self.entry.blocks.len());
        self.entry.blocks.push(Block {
            pack: 0,
            offset: u32_of(self.bytes.len()),
            stored_len: u32_of(bytes.len()),
            ..row
        });
        self.entry.blobs.extend(blobs.iter().map(|blob| Blob {
            id: blob.id,
            block: number,
            offset: blob.offset,
            len: blob.len,
        }));
        self.bytes.append(bytes);
    }

    /// Seals the directory and pads; gives what the index says of the pack, and its bytes.
    pub fn finish(
        mut self,
        ring: &Keyring,
        repository: &RepositoryId,
    ) -> Result<(PackEntry, Parts)> {
        self.header.wraps = self.wraps.concat();
        self.header.wrap_count = u8::try_from(self.wraps.len()).expect("at most WRAPS_MAX wraps");
        self.header.len = pack::HEADER_LEN + self.header.wraps.len();
        self.entry.wraps = self.header.wraps.clone();
        self.entry.wrap_count = self.header.wrap_count;
        for block in &mut self.entry.blocks {
            block.offset += u32_of(self.header.len);
        }
        let mut bytes = Parts::from(pack::encode_header(&self.header));
        bytes.append(self.bytes);
        let at = bytes.len();
        let directory = pack::encode_directory(ring, repository, &self.header, &self.entry, at)?;
        bytes.append(directory.into());
        let mut hasher = blake3::Hasher::new();
        for part in bytes.slices() {
            hasher.update(part);
        }
        self.entry.id = hasher.finalize().into();
        self.entry.len = bytes.len() as u64;
        Ok((self.entry, bytes))
    }
}

fn u32_of(number: usize) -> u32 {
    u32::try_from(number).expect("packs are below 4 GiB")
}
