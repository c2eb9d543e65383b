//! What is planned and not yet written: bounded, so that a restore of any size takes the same memory.

use super::attributes::Wanted;
use super::file::FilePlan;
use super::links::Links;
use super::place::Place;
use crate::id::{BlobId, PackId};
use crate::index::Location;
use std::collections::HashMap;
use std::sync::Arc;

/// Pieces of one window: 72 bytes each, so 36 MiB of plan for 32 GiB of chunks of 64 KiB.
pub const PIECES_MAX: usize = 1 << 19;

/// Blocks of one window: 200 bytes each.
const BLOCKS_MAX: usize = 1 << 17;

/// Files and directories of one window, with their names, extended attributes and extents: this many bytes, or one that has more.
const HELD_BYTES_MAX: usize = 24 << 20;

/// One chunk of one file, and where it goes.
pub struct Piece {
    /// Its block, by number in the window.
    pub block: u32,
    /// Its file, by number in the window.
    pub file: u32,
    /// Offset in the file's data, holes left out.
    pub data_offset: u64,
    /// The chunk.
    pub id: BlobId,
    /// Where in the block it begins.
    pub blob_offset: u32,
    /// Its length.
    pub blob_len: u32,
}

impl Piece {
    /// Whether another one is the next of the same file. In a block it may not be: what lies between may have been stored
    /// before, for another file.
    pub fn is_followed_by(&self, next: &Self) -> bool {
        self.file == next.file && self.data_offset + u64::from(self.blob_len) == next.data_offset
    }

    /// Where in the block it lies.
    pub fn range(&self) -> std::ops::Range<usize> {
        let from = self.blob_offset as usize;
        from..from + self.blob_len as usize
    }
}

/// What is planned and not yet written.
///
/// Memory: at most 36 MiB of pieces, 26 MiB of blocks, and 24 MiB of files and directories.
#[derive(Default)]
pub struct Window {
    /// Regular files.
    pub files: Vec<FilePlan>,
    /// Their chunks: file by file, each in order, until the window is executed.
    pub pieces: Vec<Piece>,
    /// Where the blocks of the chunks lie.
    pub blocks: Vec<Location>,
    block_numbers: HashMap<(PackId, u32), u32>,
    /// Further names of files.
    pub links: Links,
    /// Directories that are complete with this window, deepest first.
    pub dirs: Vec<(Arc<Place>, Wanted)>,
    held_bytes: usize,
}

impl Window {
    /// Whether it is time to write.
    pub fn is_full(&self, pieces_max: usize) -> bool {
        self.pieces.len() >= pieces_max
            || self.blocks.len() >= BLOCKS_MAX
            || self.held_bytes >= HELD_BYTES_MAX
            || self.links.is_full()
    }

    /// Takes a file in; its chunks follow.
    pub fn add_file(&mut self, plan: FilePlan) {
        self.held_bytes += size_of::<FilePlan>() + plan.heap_bytes();
        self.files.push(plan);
    }

    /// Takes in a directory of which everything is planned.
    pub fn add_dir(&mut self, place: Arc<Place>, wanted: Wanted) {
        self.held_bytes += size_of::<(Arc<Place>, Wanted)>() + wanted.heap_bytes();
        self.dirs.push((place, wanted));
    }

    /// Whether a file of the window may lie under this name until it is whole.
    pub fn has_part(&self, place: &Arc<Place>, name: &[u8]) -> bool {
        let parts = self.files.iter().filter_map(FilePlan::part);
        parts
            .into_iter()
            .any(|(at, part)| part == name && Arc::ptr_eq(at, place))
    }

    /// Plans one chunk of the last file.
    pub fn add_piece(&mut self, id: BlobId, data_offset: u64, pack: PackId, location: Location) {
        let next = self.blocks.len() as u32;
        let block = *self
            .block_numbers
            .entry((pack, location.block.offset))
            .or_insert(next);
        let (blob_offset, blob_len) = (location.blob_offset, location.blob_len);
        if block == next {
            self.blocks.push(location);
        }
        self.pieces.push(Piece {
            block,
            file: self.files.len().saturating_sub(1) as u32,
            data_offset,
            id,
            blob_offset,
            blob_len,
        });
    }

    /// The chunks of the last file, as far as this window has them, are as many as there are from the one of this number on.
    pub fn close_file(&mut self, first_piece: usize) {
        let pieces = self.pieces.len() - first_piece;
        if let Some(file) = self.files.last_mut() {
            file.begin(pieces);
        }
    }

    /// Where each block's pieces begin in `pieces`, which are sorted by block, and the end of all.
    pub fn block_starts(&self) -> Vec<usize> {
        let mut starts: Vec<usize> = vec![0; self.blocks.len() + 1];
        for piece in &self.pieces {
            starts[piece.block as usize + 1] += 1;
        }
        for block in 0..self.blocks.len() {
            starts[block + 1] += starts[block];
        }
        starts
    }

    /// The pieces of a file, while they still stand file by file.
    pub fn pieces_of(&self, file: u32) -> std::ops::Range<usize> {
        let from = self.pieces.partition_point(|piece| piece.file < file);
        let len = self.pieces[from..].partition_point(|piece| piece.file == file);
        from..from + len
    }
}
