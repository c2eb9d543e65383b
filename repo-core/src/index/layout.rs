//! The bytes of a run: a header page, seven sections of fixed-width rows, a directory.
//!
//! A private format of this client, free to change: a run that does not fit is thrown away and rebuilt. Rows are those
//! of index tables. Each section begins at a page and is cut into *groups* of whole rows and whole pages; the directory
//! holds a checksum of each group, so that a group can be verified when it is first touched instead of all at once
//! (100 million blobs are 4.4 GB: two seconds of BLAKE3), and the *fence* of each group of blobs: the first eight bytes
//! of its first id. The directory takes about 25 bytes for 1024 blobs and is kept in memory.
//!
//! The *print* of a blob is 16 bits of where its id lies behind its group's fence. As the rows are sorted, so are the
//! prints of a group, and one that is absent proves the blob absent: a lookup of an unknown blob ends there 59 times of 60
//! (1024 prints among 61,000 values), having touched 2 bytes a blob instead of 44.

use crate::format::rows::{Blob, Block, PackRow, Row};
use crate::id::{BlobId, ID_LEN};

/// A page of memory and of most disks.
pub(super) const PAGE: usize = 4096;

/// The parts of a run, in the order of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Packs,
    Wraps,
    Blocks,
    Blobs,
    Bases,
    /// Row numbers of the packs, sorted by the packs' ids.
    ById,
    /// Prints of the blobs, in their order.
    Prints,
}

pub(super) const SECTIONS: usize = 7;

/// Sections that a segment has rows in: the first ones.
pub(super) const TABLE_SECTIONS: usize = 5;

impl Section {
    pub(super) const ALL: [Self; SECTIONS] = [
        Self::Packs,
        Self::Wraps,
        Self::Blocks,
        Self::Blobs,
        Self::Bases,
        Self::ById,
        Self::Prints,
    ];

    /// Bytes of a row.
    pub(super) const fn row_len(self) -> usize {
        match self {
            Self::Packs => PackRow::LEN,
            Self::Wraps => 1,
            Self::Blocks => Block::LEN,
            Self::Blobs => Blob::LEN,
            Self::Bases => BlobId::LEN,
            Self::ById => 4,
            Self::Prints => 2,
        }
    }

    /// Rows of a group.
    pub(super) const fn group_rows(self) -> u32 {
        match self {
            Self::Wraps => 64 << 10,
            Self::ById => 16 << 10,
            Self::Prints => 32 << 10,
            _ => 1024,
        }
    }

    /// Bytes of a full group.
    pub(super) const fn group_len(self) -> usize {
        self.row_len() * self.group_rows() as usize
    }
}

const _: () = {
    let mut i = 0;
    while i < SECTIONS {
        assert!(Section::ALL[i].group_len().is_multiple_of(PAGE));
        i += 1;
    }
};

// The prints of a group of blobs lie in one group.
const _: () = assert!(
    Section::Prints
        .group_rows()
        .is_multiple_of(Section::Blobs.group_rows())
);

/// Bytes of a checksum of a group: truncated BLAKE3, against decay and not against an attacker.
pub(super) const CHECKSUM_LEN: usize = 16;

/// The checksum of a group's bytes.
pub(super) fn checksum(group: &[u8]) -> [u8; CHECKSUM_LEN] {
    let hash = blake3::hash(group);
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// What the even spread of a group's ids is stretched to: a little less than 16 bits hold, as groups are not quite even.
const PRINT_SPREAD: u64 = 61_000;

/// The print of an id that begins with `prefix`, in a group that begins with `fence`, of a run with that many groups of
/// blobs. Never falls as `prefix` rises.
pub(super) fn print(prefix: u64, fence: u64, groups: usize) -> u16 {
    let stretch = groups as u128 * u128::from(PRINT_SPREAD);
    let print = (u128::from(prefix.saturating_sub(fence)) * stretch) >> 64;
    u16::try_from(print).unwrap_or(u16::MAX)
}

/// Where an id of that print stands in its group, about.
pub(super) fn print_guess(print: u16) -> usize {
    usize::from(print) * Section::Blobs.group_rows() as usize / PRINT_SPREAD as usize
}

/// Where everything lies, computed from the row counts alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// Rows of each section.
    counts: [u32; SECTIONS],
    offsets: [u64; SECTIONS],
    first_groups: [u32; SECTIONS],
    /// Groups of all sections.
    pub(super) groups: u32,
    /// Where the directory begins.
    pub(super) directory_at: u64,
}

impl Layout {
    /// The layout of a run with that many rows of tables.
    pub(super) fn new(table_counts: [u32; TABLE_SECTIONS]) -> Self {
        let [packs, wraps, blocks, blobs, bases] = table_counts;
        let counts = [packs, wraps, blocks, blobs, bases, packs, blobs];
        let mut offsets = [0; SECTIONS];
        let mut first_groups = [0; SECTIONS];
        let mut at = PAGE as u64;
        let mut groups = 0;
        for (i, section) in Section::ALL.into_iter().enumerate() {
            offsets[i] = at;
            first_groups[i] = groups;
            at += u64::from(counts[i]) * section.row_len() as u64;
            at = at.next_multiple_of(PAGE as u64);
            groups += counts[i].div_ceil(section.group_rows());
        }
        Self {
            counts,
            offsets,
            first_groups,
            groups,
            directory_at: at,
        }
    }

    /// Rows of `section`.
    pub(super) fn count(&self, section: Section) -> u32 {
        self.counts[section as usize]
    }

    /// Groups of `section`.
    pub(super) fn group_count(&self, section: Section) -> u32 {
        self.count(section).div_ceil(section.group_rows())
    }

    /// First byte of a section.
    pub(super) fn offset(&self, section: Section) -> u64 {
        self.offsets[section as usize]
    }

    /// The number of a section's group among all groups.
    pub(super) fn group_number(&self, section: Section, group: u32) -> usize {
        (self.first_groups[section as usize] + group) as usize
    }

    /// First byte and length of a section's group; `None` if it has no such group.
    pub(super) fn group_range(&self, section: Section, group: u32) -> Option<(u64, usize)> {
        let from = group.checked_mul(section.group_rows())?;
        let rows = self
            .count(section)
            .checked_sub(from)
            .filter(|rows| *rows > 0)?;
        let rows = rows.min(section.group_rows()) as usize;
        let offset = self.offsets[section as usize] + u64::from(from) * section.row_len() as u64;
        Some((offset, rows * section.row_len()))
    }
}

/// The rows of a run that came from one table, or from one pack that is in no table yet: a range in each section but
/// that of the blobs, which are sorted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The table's id, or the pack's.
    pub(super) origin: [u8; ID_LEN],
    /// Rows in each section.
    pub(super) counts: [u32; TABLE_SECTIONS],
}

const SEGMENT_LEN: usize = ID_LEN + 4 * TABLE_SECTIONS;
const _: () = assert!(SEGMENT_LEN == 52);

/// What stands after the sections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) segments: Vec<Segment>,
    /// The first eight bytes of the first id of each group of blobs, big endian.
    pub(super) fences: Vec<u64>,
    /// Of each group, in the order of the sections.
    pub(super) checksums: Vec<[u8; CHECKSUM_LEN]>,
}

impl Directory {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for segment in &self.segments {
            out.extend_from_slice(&segment.origin);
            for count in segment.counts {
                out.extend_from_slice(&count.to_le_bytes());
            }
        }
        for fence in &self.fences {
            out.extend_from_slice(&fence.to_le_bytes());
        }
        out.extend_from_slice(self.checksums.as_flattened());
        out
    }

    /// Reads the directory of a run with that many segments; `None` if it does not fit the layout.
    fn decode(bytes: &[u8], segments: u32, layout: &Layout) -> Option<Self> {
        let (segment_bytes, rest) = bytes.split_at_checked(segments as usize * SEGMENT_LEN)?;
        let (fence_bytes, rest) =
            rest.split_at_checked(layout.group_count(Section::Blobs) as usize * 8)?;
        if rest.len() != layout.groups as usize * CHECKSUM_LEN {
            return None;
        }
        let read_u32 = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
        let mut read = Vec::with_capacity(segments as usize);
        let mut sums = [0u32; TABLE_SECTIONS];
        for row in segment_bytes.chunks_exact(SEGMENT_LEN) {
            let (origin, row) = row.split_first_chunk()?;
            let mut counts = [0; TABLE_SECTIONS];
            for (i, bytes) in row.chunks_exact(4).enumerate() {
                counts[i] = read_u32(bytes)?;
                sums[i] = sums[i].checked_add(counts[i])?;
            }
            read.push(Segment {
                origin: *origin,
                counts,
            });
        }
        let whole = sums == layout.counts[..TABLE_SECTIONS];
        let fence = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
        whole.then_some(Self {
            segments: read,
            fences: fence_bytes
                .chunks_exact(8)
                .map(fence)
                .collect::<Option<_>>()?,
            checksums: rest.as_chunks().0.to_vec(),
        })
    }
}

const MAGIC: [u8; 16] = *b"larder run 1\0\0\0\0";
const AT_COUNTS: usize = MAGIC.len();
const AT_SEGMENTS: usize = AT_COUNTS + 4 * TABLE_SECTIONS;
const AT_DIRECTORY_LEN: usize = AT_SEGMENTS + 4;
const AT_DIRECTORY_HASH: usize = AT_DIRECTORY_LEN + 8;
const HEADER_LEN: usize = AT_DIRECTORY_HASH + 32;
const _: () = assert!(HEADER_LEN <= PAGE);

/// The first page of a run. Its hash names the run: it covers the directory, which covers every group.
pub(super) fn encode_header(layout: &Layout, directory: &Directory, encoded: &[u8]) -> [u8; PAGE] {
    let segments = u32::try_from(directory.segments.len()).expect("each has rows, counted in u32");
    let mut page = [0; PAGE];
    page[..AT_COUNTS].copy_from_slice(&MAGIC);
    for (i, count) in layout.counts[..TABLE_SECTIONS].iter().enumerate() {
        page[AT_COUNTS + 4 * i..][..4].copy_from_slice(&count.to_le_bytes());
    }
    page[AT_SEGMENTS..AT_DIRECTORY_LEN].copy_from_slice(&segments.to_le_bytes());
    let directory_len = encoded.len() as u64;
    page[AT_DIRECTORY_LEN..AT_DIRECTORY_HASH].copy_from_slice(&directory_len.to_le_bytes());
    page[AT_DIRECTORY_HASH..HEADER_LEN].copy_from_slice(blake3::hash(encoded).as_bytes());
    page
}

/// Reads header and directory of a run; `None` if they are damaged, of another version, or the run is too short or long.
pub(super) fn decode(bytes: &[u8]) -> Option<(Layout, Directory)> {
    let page = bytes.get(..PAGE)?;
    if page[..AT_COUNTS] != MAGIC || page[HEADER_LEN..].iter().any(|b| *b != 0) {
        return None;
    }
    let read_u32 = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().expect("four bytes"));
    let layout = Layout::new(std::array::from_fn(|i| read_u32(AT_COUNTS + 4 * i)));
    let directory_len = page[AT_DIRECTORY_LEN..AT_DIRECTORY_HASH].try_into().ok()?;
    let directory_len = u64::from_le_bytes(directory_len);
    if layout.directory_at.checked_add(directory_len)? != bytes.len() as u64 {
        return None;
    }
    let encoded = &bytes[usize::try_from(layout.directory_at).ok()?..];
    if page[AT_DIRECTORY_HASH..HEADER_LEN] != *blake3::hash(encoded).as_bytes() {
        return None;
    }
    let directory = Directory::decode(encoded, read_u32(AT_SEGMENTS), &layout)?;
    Some((layout, directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_each_section_and_no_more() {
        let layout = Layout::new([3, 65_537, 1024, 2049, 0]);
        let groups: Vec<_> = Section::ALL.map(|s| layout.group_count(s)).to_vec();
        assert_eq!(groups, [1, 2, 1, 3, 0, 1, 1]);
        assert_eq!(layout.groups, 9);
        assert_eq!(layout.group_number(Section::Blobs, 2), 6);
        assert_eq!(layout.group_range(Section::Packs, 0), Some((4096, 192)));
        assert_eq!(
            layout.group_range(Section::Wraps, 1),
            Some((8192 + 65_536, 1))
        );
        assert_eq!(layout.group_range(Section::Wraps, 2), None);
        assert_eq!(layout.group_range(Section::Bases, 0), None);
        let (_, last) = layout.group_range(Section::Blobs, 2).unwrap();
        assert_eq!(last, 44);
    }

    #[test]
    fn no_flipped_byte_of_header_or_directory_goes_unnoticed() {
        let layout = Layout::new([1, 0, 1, 1, 0]);
        let directory = Directory {
            segments: vec![Segment {
                origin: [7; 32],
                counts: [1, 0, 1, 1, 0],
            }],
            fences: vec![5],
            checksums: vec![[1; CHECKSUM_LEN]; 5],
        };
        let encoded = directory.encode();
        let mut bytes = encode_header(&layout, &directory, &encoded).to_vec();
        bytes.resize(layout.directory_at as usize, 0);
        bytes.extend_from_slice(&encoded);
        assert_eq!(decode(&bytes), Some((layout.clone(), directory)));
        let header = 0..PAGE;
        for at in header.chain(layout.directory_at as usize..bytes.len()) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            assert_eq!(decode(&bad), None, "byte {at}");
        }
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(decode(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(decode(&[]), None);
    }
}
