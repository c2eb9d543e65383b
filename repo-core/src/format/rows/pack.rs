//! What is known of a pack: its row in a table, and all of it together.

use super::{Blob, Block, PACK_BYTES_MAX, Row, WRAPS_LEN_MAX, bad, id_at, u16_at, u32_at, u64_at};
use crate::crypto::BlobType;
use crate::error::{Error, Result, Subject};
use crate::id::{BlobId, Domain, ID_LEN, KeyEpoch, PackId};

/// A pack as the packs section of a table names it; its key wraps are a range of the wraps section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackRow {
    /// Its name.
    pub id: PackId,
    /// Bytes of the stored file.
    pub len: u64,
    /// What its blobs are.
    pub kind: BlobType,
    /// Rows of its wrap table.
    pub wrap_count: u8,
    /// The epoch whose keys its wraps need.
    pub epoch: KeyEpoch,
    /// The dedup universe of its blobs.
    pub domain: Domain,
    /// First byte of its wrap table in the wraps section.
    pub wraps_offset: u32,
    /// Bytes of its wrap table.
    pub wraps_len: u32,
}

const PACK_ID: usize = 0;
const PACK_LEN: usize = PACK_ID + ID_LEN;
pub(super) const PACK_KIND: usize = PACK_LEN + 8;
const PACK_WRAP_COUNT: usize = PACK_KIND + 1;
pub(super) const PACK_FLAGS: usize = PACK_WRAP_COUNT + 1;
const PACK_EPOCH: usize = PACK_FLAGS + 2;
const PACK_DOMAIN: usize = PACK_EPOCH + 4;
const PACK_WRAPS_OFFSET: usize = PACK_DOMAIN + 4;
const PACK_WRAPS_LEN: usize = PACK_WRAPS_OFFSET + 4;
const PACK_RESERVED: usize = PACK_WRAPS_LEN + 4;
const _: () = assert!(PackRow::LEN == 64);

impl Row for PackRow {
    const LEN: usize = PACK_RESERVED + 4;

    fn read(row: &[u8]) -> Result<Self> {
        assert_eq!(row.len(), Self::LEN);
        if u16_at(row, PACK_FLAGS) != 0 || u32_at(row, PACK_RESERVED) != 0 {
            return Err(Error::unsupported(Subject::None).detail("a pack has unknown flags"));
        }
        Ok(Self {
            id: PackId(id_at(row, PACK_ID)),
            len: u64_at(row, PACK_LEN),
            kind: BlobType::from_u8(row[PACK_KIND]).ok_or_else(|| bad("unknown kind of pack"))?,
            wrap_count: row[PACK_WRAP_COUNT],
            epoch: u32_at(row, PACK_EPOCH),
            domain: u32_at(row, PACK_DOMAIN),
            wraps_offset: u32_at(row, PACK_WRAPS_OFFSET),
            wraps_len: u32_at(row, PACK_WRAPS_LEN),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&[self.kind as u8, self.wrap_count, 0, 0]);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.domain.to_le_bytes());
        out.extend_from_slice(&self.wraps_offset.to_le_bytes());
        out.extend_from_slice(&self.wraps_len.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
    }
}

impl PackRow {
    /// The pack with its wrap table.
    pub fn with_wraps(&self, wraps: Vec<u8>) -> PackInfo {
        PackInfo {
            id: self.id,
            len: self.len,
            kind: self.kind,
            epoch: self.epoch,
            domain: self.domain,
            wrap_count: self.wrap_count,
            wraps,
        }
    }
}

/// A pack with its wrap table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackInfo {
    /// Its name.
    pub id: PackId,
    /// Bytes of the stored file.
    pub len: u64,
    /// What its blobs are.
    pub kind: BlobType,
    /// The epoch whose keys its wraps need.
    pub epoch: KeyEpoch,
    /// The dedup universe of its blobs.
    pub domain: Domain,
    /// Rows of its wrap table.
    pub wrap_count: u8,
    /// The wrap table exactly as in the pack's header.
    pub wraps: Vec<u8>,
}

/// Everything that is known of one pack: what its directory says, and its row in an index table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackEntry {
    /// Its name.
    pub id: PackId,
    /// Bytes of the stored file.
    pub len: u64,
    /// What its blobs are.
    pub kind: BlobType,
    /// The epoch whose keys its wraps need.
    pub epoch: KeyEpoch,
    /// The dedup universe of its blobs.
    pub domain: Domain,
    /// Rows of its wrap table.
    pub wrap_count: u8,
    /// The wrap table exactly as in the pack's header.
    pub wraps: Vec<u8>,
    /// Its blocks in the order of the file; [`Block::pack`] is 0, [`Block::first_base`] counts in [`Self::bases`].
    pub blocks: Vec<Block>,
    /// Its blobs in any order; [`Blob::block`] counts in [`Self::blocks`].
    pub blobs: Vec<Blob>,
    /// The bases of its delta blocks.
    pub bases: Vec<BlobId>,
}

impl From<PackInfo> for PackEntry {
    /// A pack of which no block is known yet.
    fn from(pack: PackInfo) -> Self {
        Self {
            id: pack.id,
            len: pack.len,
            kind: pack.kind,
            epoch: pack.epoch,
            domain: pack.domain,
            wrap_count: pack.wrap_count,
            wraps: pack.wraps,
            blocks: Vec::new(),
            blobs: Vec::new(),
            bases: Vec::new(),
        }
    }
}

impl PackEntry {
    /// What a block of it was compressed against, none if the entry holds fewer than the block names.
    pub fn bases_of(&self, block: &Block) -> &[BlobId] {
        if block.base_count == 0 {
            return &[];
        }
        let from = block.first_base as usize;
        let bases = self.bases.get(from..from + usize::from(block.base_count));
        bases.unwrap_or_default()
    }

    /// Refuses an entry whose parts do not fit together: a range outside of what it lies in, a row that is not there,
    /// more than [`PACK_BYTES_MAX`] bytes, a wrap table of more than [`WRAPS_LEN_MAX`], one blob twice in a block.
    pub fn check(&self) -> Result<()> {
        if self.len > PACK_BYTES_MAX {
            return Err(bad("a pack is too large"));
        }
        if self.wraps.len() > WRAPS_LEN_MAX as usize {
            return Err(bad("too many key wraps"));
        }
        for block in &self.blocks {
            block.check(self.len, self.wrap_count, self.bases.len())?;
        }
        for blob in &self.blobs {
            let block = self.blocks.get(blob.block as usize);
            blob.check(block.ok_or_else(|| bad("a blob names a block that is not there"))?)?;
        }
        let mut places: Vec<_> = self
            .blobs
            .iter()
            .map(|blob| (blob.id, blob.block))
            .collect();
        places.sort_unstable();
        if places.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(bad("a blob stands twice in one block"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Edit, block};
    use super::*;

    #[test]
    fn an_entry_fits_together() {
        let entry = PackEntry {
            id: PackId([1; 32]),
            len: 102,
            kind: BlobType::Data,
            epoch: 0,
            domain: 0,
            wrap_count: 3,
            wraps: vec![1; 10],
            blocks: vec![Block { pack: 0, ..block() }],
            blobs: vec![Blob {
                id: BlobId([2; 32]),
                block: 0,
                offset: 100,
                len: 100,
            }],
            bases: vec![BlobId([3; 32]); 13],
        };
        entry.check().unwrap();
        let edits: [Edit<PackEntry>; 5] = [
            ("too many wraps", |e| {
                e.wraps = vec![0; WRAPS_LEN_MAX as usize + 1]
            }),
            ("no such block", |e| e.blobs[0].block = 1),
            ("outside its block", |e| e.blobs[0].len = 101),
            ("twice in a block", |e| {
                e.blobs.push(Blob {
                    offset: 0,
                    ..e.blobs[0]
                })
            }),
            ("block outside the pack", |e| e.len = 101),
        ];
        for (what, edit) in edits {
            let mut entry = entry.clone();
            edit(&mut entry);
            assert!(entry.check().is_err(), "{what}");
        }
    }
}
