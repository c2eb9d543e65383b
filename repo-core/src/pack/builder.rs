//! Puts sealed blocks together to a pack.

use super::block::PlainBlob;
use super::slabs::Parts;
use crate::compress::Encoding;
use crate::crypto::{BlobType, Cipher, Keyring, Secret, random_array};
use crate::error::Result;
use crate::format::pack::{self, Header, KeyWrap};
use crate::format::rows::{Blob, Block, PackEntry};
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

impl PackKey {
    /// Replaces `sealed` by the ciphertext and tag of an encoded block.
    pub fn seal(&self, counter: u32, encoded: &[u8], sealed: &mut Vec<u8>) {
        pack::seal_block(&self.cipher, self.kind, counter, encoded, sealed);
    }
}

/// A pack that is being filled. Memory: its bytes so far, and 28 bytes a block, 44 a blob.
pub struct PackBuilder {
    header: Header,
    key: Arc<PackKey>,
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
        let len = pack::HEADER_LEN + wraps.len();
        let header = Header {
            kind,
            epoch,
            domain,
            salt,
            wrap_count: 1,
            wraps,
            len,
        };
        let bytes = pack::encode_header(&header).into();
        let entry = PackEntry {
            id: PackId::default(),
            len: 0,
            kind,
            epoch,
            domain,
            wrap_count: 1,
            wraps: header.wraps.clone(),
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
            key,
            bytes,
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
        self.bytes.len()
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
        let number = u32_of(self.entry.blocks.len());
        self.entry.blocks.push(Block {
            pack: 0,
            offset: u32_of(self.bytes.len()),
            stored_len: u32_of(block.bytes.len()),
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
        });
        self.entry.bases.extend_from_slice(&block.bases);
        self.entry.blobs.extend(block.blobs.iter().map(|blob| Blob {
            id: blob.id,
            block: number,
            offset: blob.offset,
            len: blob.len,
        }));
        self.bytes.append(block.bytes);
    }

    /// Seals the directory and pads; gives what the index says of the pack, and its bytes.
    pub fn finish(
        mut self,
        ring: &Keyring,
        repository: &RepositoryId,
    ) -> Result<(PackEntry, Parts)> {
        let at = self.bytes.len();
        let directory = pack::encode_directory(ring, repository, &self.header, &self.entry, at)?;
        self.bytes.append(directory.into());
        let mut hasher = blake3::Hasher::new();
        for part in self.bytes.slices() {
            hasher.update(part);
        }
        self.entry.id = hasher.finalize().into();
        self.entry.len = self.bytes.len() as u64;
        Ok((self.entry, self.bytes))
    }
}

fn u32_of(number: usize) -> u32 {
    u32::try_from(number).expect("packs are below 4 GiB")
}
