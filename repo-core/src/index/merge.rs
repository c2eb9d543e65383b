//! Writes a run from tables and other runs.
//!
//! Segments are copied one after another, their row numbers moved by a constant; only blobs are merged, by id. So a
//! merge streams: it holds one group for each source and one for each section at a time, and 36 bytes
//! for each pack.

use super::layout::{
    self, CHECKSUM_LEN, Directory, Layout, PAGE, Section, Segment, TABLE_SECTIONS,
};
use super::run::Run;
use super::search::prefix;
use crate::error::{Error, Result, Subject};
use crate::format::rows::{Blob, Block, PackRow, Row};
use crate::format::table::TableView;
use crate::id::ID_LEN;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io::{Seek, SeekFrom, Write};

/// What a run is made from.
pub(super) enum Source<'a> {
    /// A table, named by `origin`.
    Table {
        origin: [u8; ID_LEN],
        view: TableView<'a>,
    },
    /// The visible segments of a run.
    Run(&'a Run),
}

/// One segment of a source.
struct Part {
    segment: Segment,
    /// Its first row in each section of the source.
    from: [u32; TABLE_SECTIONS],
    keep: bool,
    /// What is added (wrapping) to row numbers of each section.
    shift: [u32; TABLE_SECTIONS],
}

impl Source<'_> {
    fn parts(&self) -> Vec<Part> {
        let mut from = [0; TABLE_SECTIONS];
        let part = |segment: Segment, keep| {
            let part = Part {
                segment,
                from,
                keep,
                shift: [0; TABLE_SECTIONS],
            };
            for (from, count) in from.iter_mut().zip(segment.counts) {
                *from += count;
            }
            part
        };
        let mut part = part;
        match self {
            Self::Table { origin, view } => {
                let count = |len: usize| u32::try_from(len).expect("a table counts in u32");
                let counts = [
                    count(view.packs.len()),
                    count(view.wraps.len()),
                    count(view.blocks.len()),
                    count(view.blobs.len()),
                    count(view.bases.len()),
                ];
                let origin = *origin;
                vec![part(Segment { origin, counts }, true)]
            }
            Self::Run(run) => {
                let segments = run.segments().iter().enumerate();
                segments
                    .map(|(i, segment)| part(*segment, run.is_visible(i)))
                    .collect()
            }
        }
    }

    /// The bytes of a section's group.
    fn group(&self, section: Section, group: u32) -> Result<&[u8]> {
        match self {
            Self::Table { view, .. } => {
                let bytes = match section {
                    Section::Packs => view.packs.bytes(),
                    Section::Wraps => view.wraps,
                    Section::Blocks => view.blocks.bytes(),
                    Section::Blobs => view.blobs.bytes(),
                    Section::Bases => view.bases.bytes(),
                    Section::ById | Section::Prints => &[],
                };
                let from = (group as usize * section.group_len()).min(bytes.len());
                let to = (from + section.group_len()).min(bytes.len());
                Ok(&bytes[from..to])
            }
            Self::Run(run) => run.group(section, group),
        }
    }

    /// Calls `each` with the bytes of some rows of a section, a group at a time.
    fn rows(
        &self,
        section: Section,
        part: &Part,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut at = part.from[section as usize];
        let end = at + part.segment.counts[section as usize];
        while at < end {
            let group = at / section.group_rows();
            let next = end.min((group + 1) * section.group_rows());
            let from = (at % section.group_rows()) as usize * section.row_len();
            let len = (next - at) as usize * section.row_len();
            each(&self.group(section, group)?[from..from + len])?;
            at = next;
        }
        Ok(())
    }
}

/// The rows that a run from these sources would have in each section of tables; a run's sections cannot have more rows
/// than 32 bits count.
fn total(parts: &[Vec<Part>]) -> [u64; TABLE_SECTIONS] {
    let mut total = [0; TABLE_SECTIONS];
    for part in parts.iter().flatten().filter(|part| part.keep) {
        for (sum, count) in total.iter_mut().zip(part.segment.counts) {
            *sum += u64::from(count);
        }
    }
    total
}

/// Writes rows of a kept part, given as they are in their source.
type CopyRows<'a, W> = &'a mut dyn FnMut(&Part, &[u8], &mut Writer<'_, W>) -> Result<()>;

/// A merge that is about to be written.
pub(super) struct Merge<'a> {
    sources: &'a [Source<'a>],
    parts: Vec<Vec<Part>>,
    layout: Layout,
}

impl<'a> Merge<'a> {
    /// Plans a run from `sources`; `None` if it would have more rows than 32 bits count.
    pub(super) fn plan(sources: &'a [Source<'a>]) -> Option<Self> {
        let mut parts: Vec<_> = sources.iter().map(Source::parts).collect();
        let total = total(&parts);
        let mut counts = [0; TABLE_SECTIONS];
        for (count, sum) in counts.iter_mut().zip(total) {
            *count = u32::try_from(sum).ok()?;
        }
        let mut at = [0; TABLE_SECTIONS];
        for part in parts.iter_mut().flatten().filter(|part| part.keep) {
            for (i, at) in at.iter_mut().enumerate() {
                part.shift[i] = u32::wrapping_sub(*at, part.from[i]);
                *at += part.segment.counts[i];
            }
        }
        Some(Self {
            sources,
            parts,
            layout: Layout::new(counts),
        })
    }

    /// Bytes of the sections, to within the directory.
    pub(super) fn len(&self) -> u64 {
        self.layout.directory_at
    }

    /// Writes the run from the beginning of `out`. Returns the hash of its header, which names it.
    pub(super) fn write<W: Write + Seek>(&self, out: W) -> Result<blake3::Hash> {
        let mut writer = Writer::new(out, &self.layout);
        writer.out.write_all(&[0; PAGE]).map_err(failed)?;
        let by_id = self.write_packs(&mut writer)?;
        self.copy(&mut writer, Section::Wraps, &mut |_, bytes, out| {
            out.rows(bytes)
        })?;
        self.copy(&mut writer, Section::Blocks, &mut |part, bytes, out| {
            for row in bytes.chunks_exact(Block::LEN) {
                let mut block = Block::read(row)?;
                block.pack = block.pack.wrapping_add(part.shift[Section::Packs as usize]);
                if block.base_count > 0 {
                    let shift = part.shift[Section::Bases as usize];
                    block.first_base = block.first_base.wrapping_add(shift);
                }
                out.row(&block)?;
            }
            Ok(())
        })?;
        self.write_blobs(&mut writer)?;
        self.copy(&mut writer, Section::Bases, &mut |_, bytes, out| {
            out.rows(bytes)
        })?;
        writer.section = Section::ById;
        for row in by_id {
            writer.rows(&row.to_le_bytes())?;
        }
        writer.end_section()?;
        let kept = self.parts.iter().flatten().filter(|part| part.keep);
        writer.directory.segments = kept.map(|part| part.segment).collect();
        writer.finish()
    }

    /// Calls `each` with the kept rows of a section, group by group, and ends the section.
    fn copy<W: Write + Seek>(
        &self,
        writer: &mut Writer<'_, W>,
        section: Section,
        each: CopyRows<'_, W>,
    ) -> Result<()> {
        writer.section = section;
        for (source, parts) in self.sources.iter().zip(&self.parts) {
            for part in parts.iter().filter(|part| part.keep) {
                source.rows(section, part, &mut |bytes| each(part, bytes, writer))?;
            }
        }
        writer.end_section()
    }

    /// Writes the packs and returns their row numbers sorted by id.
    fn write_packs<W: Write + Seek>(&self, writer: &mut Writer<'_, W>) -> Result<Vec<u32>> {
        let mut ids = Vec::with_capacity(self.layout.count(Section::Packs) as usize);
        self.copy(writer, Section::Packs, &mut |part, bytes, out| {
            for row in bytes.chunks_exact(PackRow::LEN) {
                let mut pack = PackRow::read(row)?;
                let shift = part.shift[Section::Wraps as usize];
                pack.wraps_offset = pack.wraps_offset.wrapping_add(shift);
                ids.push((pack.id, ids.len() as u32));
                out.row(&pack)?;
            }
            Ok(())
        })?;
        ids.sort_unstable();
        Ok(ids.into_iter().map(|(_, row)| row).collect())
    }

    fn write_blobs<W: Write + Seek>(&self, writer: &mut Writer<'_, W>) -> Result<()> {
        writer.section = Section::Blobs;
        let mut heap = BinaryHeap::new();
        let mut cursors = Vec::new();
        for (i, (source, parts)) in self.sources.iter().zip(&self.parts).enumerate() {
            let mut cursor = Cursor::new(source, parts);
            if let Some(blob) = cursor.next()? {
                heap.push(Reverse(Head::new(blob, i)));
            }
            cursors.push(cursor);
        }
        while let Some(mut top) = heap.peek_mut() {
            let source = top.0.source;
            writer.blob(&top.0.blob, top.0.prefix)?;
            match cursors[source].next()? {
                Some(blob) => *top = Reverse(Head::new(blob, source)),
                None => drop(std::collections::binary_heap::PeekMut::pop(top)),
            }
        }
        writer.end_section()
    }
}

/// The next blob of a source.
struct Head {
    prefix: u64,
    blob: Blob,
    source: usize,
}

impl Head {
    fn new(blob: Blob, source: usize) -> Self {
        let prefix = prefix(&blob.id.0);
        Self {
            prefix,
            blob,
            source,
        }
    }
}

/// By id, then by block; blocks are numbered in the order of the sources.
impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.prefix
            .cmp(&other.prefix)
            .then_with(|| self.blob.cmp(&other.blob))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// The kept blobs of a source in order, their block numbers moved to where the blocks will be.
struct Cursor<'a> {
    source: &'a Source<'a>,
    /// Parts joined where they are moved alike: first block and what is added, `None` if they are left out.
    moves: Vec<(u32, Option<u32>)>,
    group: &'a [u8],
    next_group: u32,
    groups: u32,
}

impl<'a> Cursor<'a> {
    fn new(source: &'a Source<'a>, parts: &[Part]) -> Self {
        let blocks = Section::Blocks as usize;
        let mut moves: Vec<(u32, Option<u32>)> = Vec::new();
        for part in parts {
            let shift = part.keep.then_some(part.shift[blocks]);
            if moves.last().is_none_or(|(_, last)| *last != shift) {
                moves.push((part.from[blocks], shift));
            }
        }
        let rows: u32 = parts
            .iter()
            .map(|part| part.segment.counts[Section::Blobs as usize])
            .sum();
        Self {
            source,
            moves,
            group: &[],
            next_group: 0,
            groups: rows.div_ceil(Section::Blobs.group_rows()),
        }
    }

    fn next(&mut self) -> Result<Option<Blob>> {
        loop {
            while self.group.is_empty() {
                if self.next_group == self.groups {
                    return Ok(None);
                }
                self.group = self.source.group(Section::Blobs, self.next_group)?;
                self.next_group += 1;
            }
            let (row, rest) = self.group.split_at(Blob::LEN);
            self.group = rest;
            let blob = Blob::read(row)?;
            if let Some(shift) = self.shift(blob.block) {
                let block = blob.block.wrapping_add(shift);
                return Ok(Some(Blob { block, ..blob }));
            }
        }
    }

    fn shift(&self, block: u32) -> Option<u32> {
        if let [(_, only)] = self.moves[..] {
            return only;
        }
        let after = self.moves.partition_point(|(first, _)| *first <= block);
        self.moves.get(after.wrapping_sub(1))?.1
    }
}

/// Writes sections group by group, with their checksums, fences and prints.
struct Writer<'a, W> {
    out: W,
    layout: &'a Layout,
    section: Section,
    group: Vec<u8>,
    section_len: u64,
    /// A group of prints, which is written far behind the blobs as soon as it is full.
    prints: Vec<u8>,
    print_checksums: Vec<[u8; CHECKSUM_LEN]>,
    directory: Directory,
}

fn failed(cause: std::io::Error) -> Error {
    Error::io(Subject::None, cause)
}

impl<'a, W: Write + Seek> Writer<'a, W> {
    fn new(out: W, layout: &'a Layout) -> Self {
        Self {
            out,
            layout,
            section: Section::Packs,
            group: Vec::with_capacity(Section::Packs.group_len()),
            section_len: 0,
            prints: Vec::with_capacity(Section::Prints.group_len()),
            print_checksums: Vec::new(),
            directory: Directory::default(),
        }
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<()> {
        row.write(&mut self.group);
        self.flush_full()
    }

    /// Appends a blob, whose id begins with `prefix`, and its print.
    fn blob(&mut self, blob: &Blob, prefix: u64) -> Result<()> {
        if self.group.is_empty() {
            self.directory.fences.push(prefix);
        }
        let fence = *self
            .directory
            .fences
            .last()
            .expect("each group begins with one");
        let groups = self.layout.group_count(Section::Blobs) as usize;
        let print = layout::print(prefix, fence, groups);
        self.prints.extend_from_slice(&print.to_le_bytes());
        if self.prints.len() == Section::Prints.group_len() {
            self.flush_prints()?;
        }
        self.row(blob)
    }

    fn flush_prints(&mut self) -> Result<()> {
        let group = self.print_checksums.len() as u32;
        self.print_checksums.push(layout::checksum(&self.prints));
        let range = self.layout.group_range(Section::Prints, group);
        let (offset, len) = range.expect("there are as many prints as blobs");
        assert_eq!(len, self.prints.len());
        let back = self.out.stream_position().map_err(failed)?;
        self.out.seek(SeekFrom::Start(offset)).map_err(failed)?;
        self.out.write_all(&self.prints).map_err(failed)?;
        self.out.seek(SeekFrom::Start(back)).map_err(failed)?;
        self.prints.clear();
        Ok(())
    }

    /// Appends rows as they are, at most a group at a time.
    fn rows(&mut self, bytes: &[u8]) -> Result<()> {
        let room = self.section.group_len() - self.group.len();
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        self.group.extend_from_slice(now);
        self.flush_full()?;
        self.group.extend_from_slice(later);
        self.flush_full()
    }

    fn flush_full(&mut self) -> Result<()> {
        if self.group.len() < self.section.group_len() {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        let checksum: [u8; CHECKSUM_LEN] = layout::checksum(&self.group);
        self.directory.checksums.push(checksum);
        self.out.write_all(&self.group).map_err(failed)?;
        self.section_len += self.group.len() as u64;
        self.group.clear();
        Ok(())
    }

    fn end_section(&mut self) -> Result<()> {
        if !self.group.is_empty() {
            self.flush()?;
        }
        let page = PAGE as u64;
        let padding = self.section_len.next_multiple_of(page) - self.section_len;
        self.section_len = 0;
        self.out
            .write_all(&[0; PAGE][..padding as usize])
            .map_err(failed)
    }

    fn finish(mut self) -> Result<blake3::Hash> {
        if !self.prints.is_empty() {
            self.flush_prints()?;
        }
        self.directory.checksums.append(&mut self.print_checksums);
        let encoded = self.directory.encode();
        let directory_at = SeekFrom::Start(self.layout.directory_at);
        self.out.seek(directory_at).map_err(failed)?;
        self.out.write_all(&encoded).map_err(failed)?;
        let header = layout::encode_header(self.layout, &self.directory, &encoded);
        self.out.seek(SeekFrom::Start(0)).map_err(failed)?;
        self.out.write_all(&header).map_err(failed)?;
        Ok(blake3::hash(&header))
    }
}
