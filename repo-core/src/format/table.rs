//! The body of an index table (`docs/format.md`, "Index tables"): which packs there are, what their blocks are, and
//! which blob lies where. The envelope around it is the repository's business.

use super::codec::{self, Ext};
use super::rows::{
    Blob, Block, PACK_BYTES_MAX, PackEntry, PackInfo, PackRow, Row, Rows, WRAPS_LEN_MAX, bad,
};
use crate::error::{Error, Result, Subject};
use crate::id::BlobId;

const AT_PACKS: usize = 0;
const AT_WRAPS_LEN: usize = AT_PACKS + 4;
const AT_BLOCKS: usize = AT_WRAPS_LEN + 4;
const AT_BLOBS: usize = AT_BLOCKS + 4;
const AT_BASES: usize = AT_BLOBS + 4;
const AT_EXT_LEN: usize = AT_BASES + 4;
const HEADER_LEN: usize = AT_EXT_LEN + 4;
const _: () = assert!(HEADER_LEN == 24);

/// Collects packs and writes them as one table.
///
/// Memory is about that of the finished table: 44 bytes a blob, 28 a block, 32 a base, 64 and its wraps a pack.
#[derive(Debug, Default)]
pub struct TableBuilder {
    packs: Vec<u8>,
    wraps: Vec<u8>,
    blocks: Vec<u8>,
    blobs: Vec<Blob>,
    bases: Vec<u8>,
}

impl TableBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pack. `Damaged` if the parts of the entry do not fit together ([`PackEntry::check`]), `InvalidInput` if
    /// the table would outgrow its 32-bit counts; in both cases the table is as before.
    pub fn add_pack(&mut self, entry: &PackEntry) -> Result<()> {
        entry
            .check()
            .map_err(|e| e.about(Subject::Pack(entry.id)))?;
        let first_block = row_count::<Block>(&self.blocks);
        let total = self.body_len() + entry_len(entry);
        if total > u64::from(u32::MAX) {
            return Err(Error::invalid("index table").detail("more packs than one table holds"));
        }
        let pack = row_count::<PackRow>(&self.packs);
        PackRow {
            id: entry.id,
            len: entry.len,
            kind: entry.kind,
            wrap_count: entry.wrap_count,
            epoch: entry.epoch,
            domain: entry.domain,
            wraps_offset: len_u32(&self.wraps),
            wraps_len: len_u32(&entry.wraps),
        }
        .write(&mut self.packs);
        self.wraps.extend_from_slice(&entry.wraps);
        let first_base = row_count::<BlobId>(&self.bases);
        for block in &entry.blocks {
            let first_base = match block.base_count {
                0 => 0,
                _ => first_base + block.first_base,
            };
            Block {
                pack,
                first_base,
                ..*block
            }
            .write(&mut self.blocks);
        }
        for base in &entry.bases {
            base.write(&mut self.bases);
        }
        self.blobs.extend(entry.blobs.iter().map(|blob| Blob {
            block: first_block + blob.block,
            ..*blob
        }));
        Ok(())
    }

    /// How many packs it holds.
    pub fn packs(&self) -> usize {
        self.packs.len() / PackRow::LEN
    }

    /// How many blobs it holds.
    pub fn blobs(&self) -> usize {
        self.blobs.len()
    }

    /// Whether it holds no pack.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    /// Bytes that [`TableBuilder::finish`] would return.
    pub fn body_len(&self) -> u64 {
        let rows = self.packs.len() + self.wraps.len() + self.blocks.len() + self.bases.len();
        (HEADER_LEN + rows + self.blobs.len() * Blob::LEN) as u64
    }

    /// The table's bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.blobs.sort_unstable();
        let blob_count =
            u32::try_from(self.blobs.len()).expect("add_pack keeps the whole below 4 GiB");
        let capacity = usize::try_from(self.body_len()).expect("the parts are in memory already");
        let mut out = Vec::with_capacity(capacity);
        out.extend_from_slice(&row_count::<PackRow>(&self.packs).to_le_bytes());
        out.extend_from_slice(&len_u32(&self.wraps).to_le_bytes());
        out.extend_from_slice(&row_count::<Block>(&self.blocks).to_le_bytes());
        out.extend_from_slice(&blob_count.to_le_bytes());
        out.extend_from_slice(&row_count::<BlobId>(&self.bases).to_le_bytes());
        out.extend_from_slice(&0u32.to_le_bytes());
        out.extend_from_slice(&self.packs);
        out.extend_from_slice(&self.wraps);
        out.extend_from_slice(&self.blocks);
        for blob in &self.blobs {
            blob.write(&mut out);
        }
        out.extend_from_slice(&self.bases);
        out
    }
}

fn len_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("add_pack keeps the whole below 4 GiB")
}

fn row_count<R: Row>(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len() / R::LEN).expect("add_pack keeps the whole below 4 GiB")
}

fn entry_len(entry: &PackEntry) -> u64 {
    let len = PackRow::LEN
        + entry.wraps.len()
        + entry.blocks.len() * Block::LEN
        + entry.blobs.len() * Blob::LEN
        + entry.bases.len() * BlobId::LEN;
    len as u64
}

/// A table read in place; every range and row number in it was checked.
#[derive(Debug, Clone, Copy)]
pub struct TableView<'a> {
    /// The packs, in no order.
    pub packs: Rows<'a, PackRow>,
    /// Their wrap tables.
    pub wraps: &'a [u8],
    /// The blocks, in the order of their packs.
    pub blocks: Rows<'a, Block>,
    /// The blobs, sorted by id and block.
    pub blobs: Rows<'a, Blob>,
    /// The bases of delta blocks.
    pub bases: Rows<'a, BlobId>,
}

impl<'a> TableView<'a> {
    /// Reads a table and checks every bound, once over its bytes, without allocating.
    ///
    /// `Damaged` if anything in it does not fit, `Unsupported` if a newer program wrote it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let header = bytes
            .get(..HEADER_LEN)
            .ok_or_else(|| bad("shorter than its header"))?;
        let field = |at: usize| {
            u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes")) as usize
        };
        let mut rest = &bytes[HEADER_LEN..];
        let mut take = |count: usize, row_len: usize| -> Result<&'a [u8]> {
            let section = count
                .checked_mul(row_len)
                .and_then(|len| rest.split_at_checked(len));
            let (section, after) = section.ok_or_else(|| bad("ends inside a section"))?;
            rest = after;
            Ok(section)
        };
        let packs = take(field(AT_PACKS), PackRow::LEN)?;
        let wraps = take(field(AT_WRAPS_LEN), 1)?;
        let blocks = take(field(AT_BLOCKS), Block::LEN)?;
        let blobs = take(field(AT_BLOBS), Blob::LEN)?;
        let bases = take(field(AT_BASES), BlobId::LEN)?;
        let ext = take(field(AT_EXT_LEN), 1)?;
        if !rest.is_empty() {
            return Err(bad("bytes follow the last section"));
        }
        if !ext.is_empty() {
            codec::check_ext(&codec::decode::<Vec<Ext>>(ext)?)?;
        }
        let table = Self {
            packs: Rows::new(packs)?,
            wraps,
            blocks: Rows::new(blocks)?,
            blobs: Rows::new(blobs)?,
            bases: Rows::new(bases)?,
        };
        table.check_packs()?;
        table.check_blocks()?;
        table.check_blobs()?;
        Ok(table)
    }

    /// Pack `row` with its wrap table.
    pub fn pack(&self, row: usize) -> Result<PackInfo> {
        let pack = self.packs.get(row)?;
        let from = pack.wraps_offset as usize;
        let wraps = self.wraps.get(from..from + pack.wraps_len as usize);
        let wraps = wraps.ok_or_else(|| bad("a wrap table lies outside its section"))?;
        Ok(pack.with_wraps(wraps.to_vec()))
    }

    fn check_packs(&self) -> Result<()> {
        for pack in self.packs.iter() {
            let pack = pack?;
            if pack.len > PACK_BYTES_MAX {
                return Err(bad("a pack is too large"));
            }
            let end = u64::from(pack.wraps_offset) + u64::from(pack.wraps_len);
            if pack.wraps_len > WRAPS_LEN_MAX || end > self.wraps.len() as u64 {
                return Err(bad("a wrap table lies outside its section"));
            }
        }
        Ok(())
    }

    fn check_blocks(&self) -> Result<()> {
        let mut row = 0;
        let mut pack = None;
        for block in self.blocks.iter() {
            let block = block?;
            if block.pack < row {
                return Err(bad("blocks are not in the order of their packs"));
            }
            if pack.is_none() || block.pack != row {
                row = block.pack;
                pack = Some(self.packs.get(row as usize)?);
            }
            let pack = pack.as_ref().expect("just set");
            block.check(pack.len, pack.wrap_count, self.bases.len())?;
            if block.base_count == 0 && block.first_base != 0 {
                return Err(bad("a block without bases names a first base"));
            }
        }
        Ok(())
    }

    fn check_blobs(&self) -> Result<()> {
        let mut before = None;
        for blob in self.blobs.iter() {
            let blob = blob?;
            blob.check(&self.blocks.get(blob.block as usize)?)?;
            let place = Some((blob.id, blob.block));
            if place <= before {
                return Err(bad("blobs are not sorted"));
            }
            before = place;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::BlobType;
    use crate::format::rows::{ENCODING_DELTA, ENCODING_STORED, ENCODING_ZSTD};
    use crate::id::{PackId, to_hex};

    fn block(offset: u32, base_count: u16) -> Block {
        Block {
            offset,
            stored_len: 0x120,
            raw_len: 0x300,
            counter: offset,
            base_count,
            encoding: if base_count > 0 {
                ENCODING_DELTA
            } else {
                ENCODING_ZSTD
            },
            ..Block::default()
        }
    }

    fn blob(id: u8, block: u32, offset: u32) -> Blob {
        Blob {
            id: BlobId([id; 32]),
            block,
            offset,
            len: 0x100,
        }
    }

    fn entry(id: u8) -> PackEntry {
        PackEntry {
            id: PackId([id; 32]),
            len: 0x1000,
            kind: BlobType::Data,
            epoch: 1,
            domain: 2,
            wrap_count: 1,
            wraps: vec![id, 0xee],
            blocks: vec![block(0x40, 0), block(0x160, 1)],
            blobs: vec![
                blob(0x30 + id, 1, 0),
                blob(0x10, 0, 0x100),
                blob(0x20 + id, 0, 0),
            ],
            bases: vec![BlobId([0xb0 + id; 32])],
        }
    }

    fn table() -> Vec<u8> {
        let mut builder = TableBuilder::new();
        builder.add_pack(&entry(1)).unwrap();
        builder.add_pack(&entry(2)).unwrap();
        assert_eq!(
            (builder.packs(), builder.blobs(), builder.is_empty()),
            (2, 6, false)
        );
        let len = builder.body_len();
        let bytes = builder.finish();
        assert_eq!(bytes.len() as u64, len);
        bytes
    }

    #[test]
    fn a_table_gives_back_what_was_added() {
        let bytes = table();
        let view = TableView::parse(&bytes).unwrap();
        let ids: Vec<_> = view
            .blobs
            .iter()
            .map(|b| b.unwrap())
            .map(|b| (b.id.0[0], b.block))
            .collect();
        assert_eq!(
            ids,
            [
                (0x10, 0),
                (0x10, 2),
                (0x21, 0),
                (0x22, 2),
                (0x31, 1),
                (0x32, 3)
            ]
        );
        let second = view.pack(1).unwrap();
        assert_eq!((second.id, second.wraps), (PackId([2; 32]), vec![2, 0xee]));
        assert_eq!((second.epoch, second.domain, second.wrap_count), (1, 2, 1));
        let delta = view.blocks.get(3).unwrap();
        assert_eq!((delta.pack, delta.first_base, delta.base_count), (1, 1, 1));
        assert_eq!(view.bases.get(1).unwrap(), BlobId([0xb2; 32]));
        TableView::parse(&TableBuilder::new().finish()).unwrap();
    }

    /// The example of `docs/format.md`: one pack with one stored block that holds one blob.
    #[test]
    fn bytes_are_as_documented() {
        let mut builder = TableBuilder::new();
        builder
            .add_pack(&PackEntry {
                id: PackId([0xaa; 32]),
                len: 0x1_0000,
                kind: BlobType::Tree,
                epoch: 1,
                domain: 0,
                wrap_count: 1,
                wraps: vec![1, 2, 3],
                blocks: vec![Block {
                    offset: 0x60,
                    stored_len: 0x15,
                    raw_len: 5,
                    counter: 7,
                    encoding: ENCODING_STORED,
                    ..Block::default()
                }],
                blobs: vec![Blob {
                    id: BlobId([0xbb; 32]),
                    block: 0,
                    offset: 0,
                    len: 5,
                }],
                bases: vec![],
            })
            .unwrap();
        let expected = [
            "010000000300000001000000010000000000000000000000",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0000010000000000020100000100000000000000000000000300000000000000",
            "010203",
            "00000000600000001500000005000000070000000000000000000000",
            "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            "000000000000000005000000",
        ];
        assert_eq!(to_hex(&builder.finish()), expected.concat());
    }

    #[test]
    fn no_shortened_or_lengthened_table_is_read() {
        let bytes = table();
        for len in 0..bytes.len() {
            assert!(TableView::parse(&bytes[..len]).is_err(), "{len} bytes");
        }
        assert!(TableView::parse(&[&bytes[..], &[0]].concat()).is_err());
    }

    /// Every row number and range is checked: no byte of a header or row, set to its worst, leads outside.
    #[test]
    fn worst_fields_are_refused() {
        let bytes = table();
        let view = TableView::parse(&bytes).unwrap();
        let packs = HEADER_LEN;
        let blocks = packs + view.packs.bytes().len() + view.wraps.len();
        let blobs = blocks + view.blocks.bytes().len();
        let fields = (0..5).map(|i| i * 4).chain([
            packs + 52,
            packs + 56, // wraps offset and length
            blocks,
            blocks + 4,
            blocks + 8,
            blocks + 12, // pack, offset, lengths
            blocks + 20,
            blocks + Block::LEN + 20, // first base
            blobs + 32,
            blobs + 36,
            blobs + 40, // block, offset, length
        ]);
        for at in fields {
            let mut bad = bytes.clone();
            bad[at..at + 4].copy_from_slice(&[0xff; 4]);
            assert!(TableView::parse(&bad).is_err(), "field at {at}");
        }
        let mut swapped = bytes.clone();
        let (first, second) = swapped[blobs..blobs + 2 * Blob::LEN].split_at_mut(Blob::LEN);
        first.swap_with_slice(second);
        assert!(TableView::parse(&swapped).is_err(), "order of blobs");
        let mut swapped = bytes.clone();
        swapped[blocks] = 1;
        assert!(TableView::parse(&swapped).is_err(), "order of blocks");
    }

    #[test]
    fn later_fields_are_skipped_unless_they_must_be_understood() {
        for (tag, fine) in [(0x0001u16, true), (0x8001, false)] {
            let ext = codec::encode(&vec![Ext {
                tag,
                bytes: vec![1],
            }]);
            let mut bytes = table();
            bytes[AT_EXT_LEN..HEADER_LEN].copy_from_slice(&(ext.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&ext);
            assert_eq!(TableView::parse(&bytes).is_ok(), fine);
        }
    }

    #[test]
    fn a_wrong_entry_leaves_the_table_as_it_was() {
        let mut builder = TableBuilder::new();
        let mut wrong = entry(1);
        wrong.blobs[0].block = 9;
        let error = builder.add_pack(&wrong).unwrap_err();
        assert_eq!(*error.subject(), Subject::Pack(PackId([1; 32])));
        assert!(builder.is_empty());
    }
}
