//! Fixed-width little-endian rows that pack directories and index tables share (`docs/format.md`, "Rows").

mod pack;

pub use pack::{PackEntry, PackInfo, PackRow};

use crate::crypto::TAG_LEN;
use crate::error::{Error, Result, Subject};
use crate::id::{BlobId, ID_LEN};
use std::marker::PhantomData;

/// Most bytes that one block holds before compression.
pub const BLOCK_RAW_LEN_MAX: u32 = 64 << 20;

/// Most bytes of a pack that is read.
pub const PACK_BYTES_MAX: u64 = 1 << 30;

/// Most bytes that the key wraps of one pack take.
pub const WRAPS_LEN_MAX: u32 = 64 << 10;

/// Encoding of a block that is stored as it is.
pub const ENCODING_STORED: u8 = 0;
/// Encoding of a block that is one zstd frame.
pub const ENCODING_ZSTD: u8 = 1;
/// Encoding of a block that is one zstd frame with its bases as raw prefix.
pub const ENCODING_DELTA: u8 = 3;

/// A structure that is stored as a row of fixed width.
pub trait Row: Sized {
    /// Bytes of one row.
    const LEN: usize;

    /// Reads one row; `Damaged` if a field has a value that no writer gives it.
    ///
    /// # Panics
    /// If `row` is not [`Row::LEN`] bytes long; [`Rows`] only hands out such slices.
    fn read(row: &[u8]) -> Result<Self>;

    /// Appends the row.
    fn write(&self, out: &mut Vec<u8>);
}

/// A section of rows, read in place.
#[derive(Debug)]
pub struct Rows<'a, R> {
    bytes: &'a [u8],
    kind: PhantomData<R>,
}

impl<R> Clone for Rows<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Rows<'_, R> {}

impl<'a, R: Row> Rows<'a, R> {
    /// Takes `bytes` for rows; `Damaged` if their length is no multiple of a row's.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        if !bytes.len().is_multiple_of(R::LEN) {
            return Err(bad("ends inside a row"));
        }
        let kind = PhantomData;
        Ok(Self { bytes, kind })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / R::LEN
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The rows as they are stored.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Row `index`; `Damaged` if there is no such row.
    pub fn get(&self, index: usize) -> Result<R> {
        let row = index.checked_mul(R::LEN).and_then(|from| {
            let rest = self.bytes.get(from..)?;
            rest.get(..R::LEN)
        });
        R::read(row.ok_or_else(|| bad("names a row that is not there"))?)
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<R>> + use<'a, R> {
        self.bytes.chunks_exact(R::LEN).map(R::read)
    }
}

pub(crate) fn bad(detail: &'static str) -> Error {
    Error::damaged(Subject::None).detail(detail)
}

fn u16_at(row: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(row[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(row: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(row[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(row: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(row[at..at + 8].try_into().expect("eight bytes"))
}

fn id_at(row: &[u8], at: usize) -> [u8; ID_LEN] {
    row[at..at + ID_LEN].try_into().expect("32 bytes")
}

/// Where a block lies in its pack and how it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Block {
    /// Row of its pack; 0 in a pack directory.
    pub pack: u32,
    /// First byte in the pack.
    pub offset: u32,
    /// Bytes in the pack, authentication tag included.
    pub stored_len: u32,
    /// Bytes of plaintext before compression.
    pub raw_len: u32,
    /// The nonce under the key of its wrap.
    pub counter: u32,
    /// First of its bases in the bases section; 0 if it has none.
    pub first_base: u32,
    /// How many bases it has.
    pub base_count: u16,
    /// How the plaintext is encoded: 0 stored, 1 zstd, 2 reserved, 3 delta.
    pub encoding: u8,
    /// Row of the pack's wrap table whose key sealed it.
    pub wrap: u8,
}

const BLOCK_PACK: usize = 0;
const BLOCK_OFFSET: usize = BLOCK_PACK + 4;
const BLOCK_STORED_LEN: usize = BLOCK_OFFSET + 4;
const BLOCK_RAW_LEN: usize = BLOCK_STORED_LEN + 4;
const BLOCK_COUNTER: usize = BLOCK_RAW_LEN + 4;
const BLOCK_FIRST_BASE: usize = BLOCK_COUNTER + 4;
const BLOCK_BASE_COUNT: usize = BLOCK_FIRST_BASE + 4;
const BLOCK_ENCODING: usize = BLOCK_BASE_COUNT + 2;
const BLOCK_WRAP: usize = BLOCK_ENCODING + 1;
const _: () = assert!(Block::LEN == 28);

impl Row for Block {
    const LEN: usize = BLOCK_WRAP + 1;

    fn read(row: &[u8]) -> Result<Self> {
        assert_eq!(row.len(), Self::LEN);
        Ok(Self {
            pack: u32_at(row, BLOCK_PACK),
            offset: u32_at(row, BLOCK_OFFSET),
            stored_len: u32_at(row, BLOCK_STORED_LEN),
            raw_len: u32_at(row, BLOCK_RAW_LEN),
            counter: u32_at(row, BLOCK_COUNTER),
            first_base: u32_at(row, BLOCK_FIRST_BASE),
            base_count: u16_at(row, BLOCK_BASE_COUNT),
            encoding: row[BLOCK_ENCODING],
            wrap: row[BLOCK_WRAP],
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pack.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.stored_len.to_le_bytes());
        out.extend_from_slice(&self.raw_len.to_le_bytes());
        out.extend_from_slice(&self.counter.to_le_bytes());
        out.extend_from_slice(&self.first_base.to_le_bytes());
        out.extend_from_slice(&self.base_count.to_le_bytes());
        out.extend_from_slice(&[self.encoding, self.wrap]);
    }
}

impl Block {
    /// What so many bytes of its plaintext take of the pack, rounded.
    pub fn stored_share(&self, raw_bytes: u32) -> u64 {
        let (stored, raw) = (u64::from(self.stored_len), u64::from(self.raw_len).max(1));
        (stored * u64::from(raw_bytes) + raw / 2) / raw
    }

    /// Refuses a block that does not lie inside a pack of `pack_len` bytes with `wrap_count` key wraps, expands to
    /// more than [`BLOCK_RAW_LEN_MAX`], or names bases outside a section of `bases` rows.
    ///
    /// An encoding that this version does not know is let through: only who reads the block needs to know it.
    pub fn check(&self, pack_len: u64, wrap_count: u8, bases: usize) -> Result<()> {
        if u64::from(self.offset) + u64::from(self.stored_len) > pack_len {
            return Err(bad("a block ends outside its pack"));
        }
        if (self.stored_len as usize) < TAG_LEN {
            return Err(bad("a block is shorter than its tag"));
        }
        if self.raw_len > BLOCK_RAW_LEN_MAX {
            return Err(bad("a block claims too much plaintext"));
        }
        if self.wrap >= wrap_count {
            return Err(bad("a block names a key wrap that is not there"));
        }
        let has_bases = self.base_count > 0;
        match self.encoding {
            ENCODING_STORED | ENCODING_ZSTD if has_bases => {
                return Err(bad("a block has bases and is no delta"));
            }
            ENCODING_DELTA if !has_bases => return Err(bad("a delta block has no bases")),
            _ => {}
        }
        if has_bases && self.first_base as usize + usize::from(self.base_count) > bases {
            return Err(bad("a block names bases that are not there"));
        }
        Ok(())
    }
}

/// Where a blob lies in its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Blob {
    /// Its name.
    pub id: BlobId,
    /// Row of its block.
    pub block: u32,
    /// First byte in the block's plaintext.
    pub offset: u32,
    /// Bytes of plaintext.
    pub len: u32,
}

const BLOB_ID: usize = 0;
const BLOB_BLOCK: usize = BLOB_ID + ID_LEN;
const BLOB_OFFSET: usize = BLOB_BLOCK + 4;
const BLOB_LEN: usize = BLOB_OFFSET + 4;
const _: () = assert!(Blob::LEN == 44);

impl Row for Blob {
    const LEN: usize = BLOB_LEN + 4;

    fn read(row: &[u8]) -> Result<Self> {
        assert_eq!(row.len(), Self::LEN);
        Ok(Self {
            id: BlobId(id_at(row, BLOB_ID)),
            block: u32_at(row, BLOB_BLOCK),
            offset: u32_at(row, BLOB_OFFSET),
            len: u32_at(row, BLOB_LEN),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.block.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
    }
}

impl Blob {
    /// Refuses a blob that does not lie inside the plaintext of `block`.
    pub fn check(&self, block: &Block) -> Result<()> {
        if u64::from(self.offset) + u64::from(self.len) > u64::from(block.raw_len) {
            return Err(bad("a blob ends outside its block"));
        }
        Ok(())
    }
}

/// A copy of a blob in an index whose packs, blocks and rows are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyAt {
    /// The number of its row.
    pub row: u64,
    /// The number of its block.
    pub block: u32,
    /// The number of its pack.
    pub pack: u32,
    /// Bytes of plaintext.
    pub len: u32,
    /// Whether its block has no bases.
    pub whole: bool,
}

/// Told of a blob, the number of the row that stands for it, and all its copies.
pub type EachBlob<'a> = dyn FnMut(&BlobId, u64, &[CopyAt]) -> Result<()> + 'a;

impl Row for BlobId {
    const LEN: usize = ID_LEN;

    fn read(row: &[u8]) -> Result<Self> {
        Ok(Self(id_at(row, 0)))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::pack::{PACK_FLAGS, PACK_KIND};
    use super::*;
    use crate::crypto::BlobType;
    use crate::id::PackId;

    /// What is wrong with a value, and what makes it so.
    pub(super) type Edit<T> = (&'static str, fn(&mut T));

    fn round_trip<R: Row + PartialEq + std::fmt::Debug>(row: R) -> Vec<u8> {
        let mut bytes = Vec::new();
        row.write(&mut bytes);
        assert_eq!(bytes.len(), R::LEN);
        assert_eq!(R::read(&bytes).unwrap(), row);
        bytes
    }

    pub(super) fn block() -> Block {
        Block {
            pack: 1,
            offset: 2,
            stored_len: 100,
            raw_len: 200,
            counter: 5,
            first_base: 6,
            base_count: 7,
            encoding: ENCODING_DELTA,
            wrap: 2,
        }
    }

    #[test]
    fn rows_have_their_documented_places() {
        let bytes = round_trip(block());
        assert_eq!(
            crate::id::to_hex(&bytes),
            "010000000200000064000000c80000000500000006000000070003 02".replace(' ', "")
        );
        let blob = Blob {
            id: BlobId([7; 32]),
            block: 1,
            offset: 2,
            len: 3,
        };
        let bytes = round_trip(blob);
        assert_eq!(bytes[..32], [7; 32]);
        assert_eq!(bytes[32..], [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
        let pack = PackRow {
            id: PackId([9; 32]),
            len: 0x0102_0304_0506,
            kind: BlobType::Tree,
            wrap_count: 3,
            epoch: 4,
            domain: 5,
            wraps_offset: 6,
            wraps_len: 7,
        };
        let mut bytes = round_trip(pack);
        assert_eq!(bytes[32..40], [6, 5, 4, 3, 2, 1, 0, 0]);
        assert_eq!(bytes[40..44], [2, 3, 0, 0]);
        bytes[PACK_FLAGS] = 1;
        let error = PackRow::read(&bytes).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
        bytes[PACK_FLAGS] = 0;
        bytes[PACK_KIND] = 3;
        assert_eq!(
            PackRow::read(&bytes).unwrap_err().kind(),
            crate::ErrorKind::Damaged
        );
    }

    #[test]
    fn sections_are_whole_rows() {
        assert!(Rows::<Block>::new(&[0; 27]).is_err());
        let rows = [0; 56];
        let rows = Rows::<Block>::new(&rows).unwrap();
        assert_eq!(
            (rows.len(), rows.is_empty(), rows.iter().count()),
            (2, false, 2)
        );
        rows.get(1).unwrap();
        assert!(rows.get(2).is_err());
        assert!(rows.get(usize::MAX).is_err());
    }

    #[test]
    fn a_block_stays_in_its_bounds() {
        block().check(102, 3, 13).unwrap();
        assert!(block().check(101, 3, 13).is_err(), "pack too short");
        assert!(block().check(102, 2, 13).is_err(), "no such wrap");
        assert!(block().check(102, 3, 12).is_err(), "no such base");
        let edits: [Edit<Block>; 5] = [
            ("sum overflows 32 bits", |b| b.offset = u32::MAX),
            ("no room for a tag", |b| b.stored_len = 15),
            ("too much plaintext", |b| b.raw_len = BLOCK_RAW_LEN_MAX + 1),
            ("bases without delta", |b| b.encoding = ENCODING_ZSTD),
            ("delta without bases", |b| b.base_count = 0),
        ];
        for (what, edit) in edits {
            let mut block = block();
            edit(&mut block);
            assert!(block.check(102, 3, 13).is_err(), "{what}");
        }
    }
}
