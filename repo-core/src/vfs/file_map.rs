//! From a place in a file to the chunk that holds it.

use crate::error::{Error, Result, Subject};
use crate::format::tree::{Chunks, FileContent, HEIGHT_MAX, Tree};
use crate::id::BlobId;
use crate::repo::lock;
use crate::tree::{TreeReader, data_len, does_not_add_up, load_blob};
use std::sync::{Arc, Mutex};

/// Neighbouring chunks of a file and where each ends, counted from the first byte of the first.
pub struct Run {
    ids: Vec<BlobId>,
    ends: Vec<u64>,
}

impl Run {
    /// Adds the lengths of chunks up.
    pub fn new(ids: Vec<BlobId>, len_of: &dyn Fn(&BlobId) -> Result<u64>) -> Result<Self> {
        let mut ends = Vec::with_capacity(ids.len());
        let mut end = 0u64;
        for id in &ids {
            end = end.checked_add(len_of(id)?).ok_or_else(does_not_add_up)?;
            ends.push(end);
        }
        Ok(Self { ids, ends })
    }

    fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The chunk that holds this byte.
    fn chunk(&self, at: u64) -> Option<Chunk> {
        let found = self.ends.partition_point(|end| *end <= at);
        let start = found.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(Chunk {
            id: *self.ids.get(found)?,
            start,
            end: self.ends[found],
        })
    }

    /// About what it takes in memory.
    pub fn cost(&self) -> usize {
        64 + 40 * self.ids.len()
    }
}

/// A chunk, and where it lies in the data of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Its blob.
    pub id: BlobId,
    /// Its first byte.
    pub start: u64,
    /// The byte behind its last.
    pub end: u64,
}

/// What a map reads for itself.
pub trait MapReader: TreeReader {
    /// The plaintext length of a data blob.
    fn len_of(&self, id: &BlobId) -> Result<u64>;
    /// The chunks that a list names, from a cache if they are there.
    fn run_of(&self, list: &BlobId) -> Result<Arc<Run>>;
}

/// A part of a file's data, with or without a hole before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    offset: u64,
    len: u64,
    /// Bytes of data before it.
    data: u64,
}

/// Where the bytes of one file are.
///
/// Memory: 40 bytes for each chunk of a file with few of them; of one with lists, 40 for each list up to the farthest byte that was
/// asked for; 24 for each hole.
pub struct FileMap {
    size: u64,
    data_len: u64,
    extents: Option<Vec<Extent>>,
    chunks: Listed,
}

enum Listed {
    Direct(Run),
    Lists(Mutex<Lists>),
}

/// Lists of chunks, looked at in order and no farther than needed.
struct Lists {
    /// Lists that were looked at, and where each ends in the file's data.
    known: Vec<(BlobId, u64)>,
    /// What comes next, the last first, with its height; 1 is a list of chunks.
    ahead: Vec<(BlobId, u8)>,
}

/// A piece of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// So many zeros.
    Hole(u64),
    /// Data from this byte of the file's data on, and how much.
    Data(u64, u64),
}

impl FileMap {
    /// Of a file. `Damaged` if it cannot be what a file holds.
    pub fn new(file: &FileContent, reader: &dyn MapReader) -> Result<Self> {
        let data_len = data_len(file)?;
        let chunks = match &file.chunks {
            Chunks::Direct(ids) => {
                let run = Run::new(ids.clone(), &|id| reader.len_of(id))?;
                if run.len() != data_len {
                    return Err(does_not_add_up());
                }
                Listed::Direct(run)
            }
            Chunks::Lists { height, lists } => {
                let height = (*height).clamp(1, HEIGHT_MAX);
                let ahead = lists.iter().rev().map(|id| (*id, height)).collect();
                let known = Vec::new();
                Listed::Lists(Mutex::new(Lists { known, ahead }))
            }
        };
        let mut data = 0;
        let extents = file.extents.as_ref().map(|extents| {
            let extents = extents.iter().map(|&(offset, len)| {
                let extent = Extent { offset, len, data };
                data += len;
                extent
            });
            extents.collect()
        });
        Ok(Self {
            size: file.size,
            data_len,
            extents,
            chunks,
        })
    }

    /// What `len` bytes from `offset` on are made of, as far as the file goes.
    pub fn pieces(&self, offset: u64, len: u64) -> Vec<Piece> {
        let end = offset.saturating_add(len).min(self.size);
        let mut pieces = Vec::new();
        let mut at = offset;
        let Some(extents) = &self.extents else {
            if at < end {
                pieces.push(Piece::Data(at, end - at));
            }
            return pieces;
        };
        let mut next = extents.partition_point(|extent| extent.offset + extent.len <= at);
        while at < end {
            let here = extents.get(next).filter(|extent| extent.offset < end);
            let Some(extent) = here else {
                pieces.push(Piece::Hole(end - at));
                break;
            };
            if extent.offset > at {
                pieces.push(Piece::Hole(extent.offset - at));
                at = extent.offset;
            }
            let until = end.min(extent.offset + extent.len);
            if until > at {
                pieces.push(Piece::Data(extent.data + (at - extent.offset), until - at));
                at = until;
            }
            next += 1;
        }
        pieces
    }

    /// Its length, if it has no holes: then a byte of its data has the same place in the file.
    pub fn whole_len(&self) -> Option<u64> {
        self.extents.is_none().then_some(self.size)
    }

    /// The first byte from `offset` on that is data, or that is in a hole; the end of the file counts as a hole. `None` if there is
    /// none before the end.
    pub fn seek(&self, offset: u64, data: bool) -> Option<u64> {
        let mut at = offset;
        if at >= self.size {
            return None;
        }
        for piece in self.pieces(offset, u64::MAX) {
            match piece {
                Piece::Data(..) if data => return Some(at),
                Piece::Hole(_) if !data => return Some(at),
                Piece::Data(_, len) | Piece::Hole(len) => at += len,
            }
        }
        (!data).then_some(self.size)
    }

    /// The chunk that holds this byte of the file's data; `None` behind the last.
    pub fn chunk(&self, at: u64, reader: &dyn MapReader) -> Result<Option<Chunk>> {
        if at >= self.data_len {
            return Ok(None);
        }
        let found = match &self.chunks {
            Listed::Direct(run) => run.chunk(at),
            Listed::Lists(lists) => {
                let (list, start) = lock(lists).list_at(at, self.data_len, reader)?;
                let chunk = reader.run_of(&list)?.chunk(at - start);
                chunk.map(|chunk| Chunk {
                    start: chunk.start + start,
                    end: chunk.end + start,
                    ..chunk
                })
            }
        };
        found.ok_or_else(does_not_add_up).map(Some)
    }

    /// About what it takes in memory.
    pub fn cost(&self) -> usize {
        let extents = self.extents.as_ref().map_or(0, Vec::len);
        let chunks = match &self.chunks {
            Listed::Direct(run) => run.cost(),
            Listed::Lists(lists) => 64 + 80 * lock(lists).ahead.len(),
        };
        128 + 24 * extents + chunks
    }
}

impl Lists {
    /// The list that holds this byte, and its first byte.
    fn list_at(&mut self, at: u64, data_len: u64, reader: &dyn MapReader) -> Result<(BlobId, u64)> {
        while self.end() <= at {
            let (id, height) = self.ahead.pop().ok_or_else(does_not_add_up)?;
            if height > 1 {
                match load_blob(reader, &id)? {
                    Tree::Chunks(below) => {
                        let below = below.iter().rev().map(|id| (*id, height - 1));
                        self.ahead.extend(below);
                    }
                    _ => return Err(no_list(&id)),
                }
                continue;
            }
            let end = self.end().checked_add(reader.run_of(&id)?.len());
            let end = end.ok_or_else(does_not_add_up)?;
            if end > data_len || (self.ahead.is_empty() && end != data_len) {
                return Err(does_not_add_up());
            }
            self.known.push((id, end));
        }
        let found = self.known.partition_point(|(_, end)| *end <= at);
        let start = found
            .checked_sub(1)
            .map_or(0, |before| self.known[before].1);
        let list = self.known.get(found).ok_or_else(does_not_add_up)?;
        Ok((list.0, start))
    }

    fn end(&self) -> u64 {
        self.known.last().map_or(0, |(_, end)| *end)
    }
}

/// The chunks that a list names.
pub fn read_run(reader: &dyn MapReader, list: &BlobId) -> Result<Run> {
    match load_blob(reader, list)? {
        Tree::Chunks(ids) => Run::new(ids, &|id| reader.len_of(id)),
        _ => Err(no_list(list)),
    }
}

fn no_list(id: &BlobId) -> Error {
    Error::damaged(Subject::Blob(*id)).detail("not a list of chunks")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::codec;
    use std::collections::HashMap;

    /// Chunks are as long as the first byte of their ids says.
    #[derive(Default)]
    struct Made(HashMap<BlobId, Vec<u8>>);

    impl TreeReader for Made {
        fn tree(&self, id: &BlobId) -> Result<Arc<Vec<u8>>> {
            let found = self.0.get(id).cloned().map(Arc::new);
            found.ok_or_else(|| Error::unindexed(id))
        }
    }

    impl MapReader for Made {
        fn len_of(&self, id: &BlobId) -> Result<u64> {
            Ok(u64::from(id.0[0]))
        }

        fn run_of(&self, list: &BlobId) -> Result<Arc<Run>> {
            read_run(self, list).map(Arc::new)
        }
    }

    fn id(len: u8, number: u8) -> BlobId {
        let mut id = [number; 32];
        id[0] = len;
        BlobId(id)
    }

    fn list(made: &mut Made, number: u8, ids: &[BlobId]) -> BlobId {
        let list = BlobId([number; 32]);
        made.0
            .insert(list, codec::encode(&Tree::Chunks(ids.to_vec())));
        list
    }

    fn file(size: u64, chunks: Chunks, extents: Option<Vec<(u64, u64)>>) -> FileContent {
        FileContent {
            size,
            chunks,
            extents,
        }
    }

    #[test]
    fn every_byte_lies_in_its_chunk() {
        let mut made = Made::default();
        let direct = Chunks::Direct(vec![id(3, 1), id(5, 2), id(2, 3)]);
        let low = [
            list(&mut made, 101, &[id(3, 1)]),
            list(&mut made, 102, &[id(5, 2), id(2, 3)]),
        ];
        let lists = Chunks::Lists {
            height: 1,
            lists: low.to_vec(),
        };
        let top = Chunks::Lists {
            height: 2,
            lists: vec![list(&mut made, 103, &low)],
        };
        for chunks in [direct, lists, top] {
            let map = FileMap::new(&file(10, chunks, None), &made).unwrap();
            for at in [9, 0, 3, 7, 8, 2] {
                let chunk = map.chunk(at, &made).unwrap().unwrap();
                let expected = match at {
                    0..3 => (id(3, 1), 0, 3),
                    3..8 => (id(5, 2), 3, 8),
                    _ => (id(2, 3), 8, 10),
                };
                assert_eq!((chunk.id, chunk.start, chunk.end), expected, "{at}");
            }
            assert_eq!(map.chunk(10, &made).unwrap(), None);
        }
    }

    #[test]
    fn chunks_must_add_up() {
        let mut made = Made::default();
        let ids = vec![id(3, 1), id(5, 2)];
        let lists = vec![list(&mut made, 101, &ids)];
        for size in [7, 9] {
            let direct = file(size, Chunks::Direct(ids.clone()), None);
            assert!(FileMap::new(&direct, &made).is_err());
            let lists = lists.clone();
            let listed = file(size, Chunks::Lists { height: 1, lists }, None);
            let map = FileMap::new(&listed, &made).unwrap();
            assert!(map.chunk(size - 1, &made).is_err(), "{size}");
        }
    }

    #[test]
    fn holes_lie_between_data() {
        let chunks = Chunks::Direct(vec![id(5, 1)]);
        let extents = Some(vec![(2, 3), (5, 0), (8, 2)]);
        let map = FileMap::new(&file(12, chunks, extents), &Made::default()).unwrap();
        use Piece::{Data, Hole};
        assert_eq!(
            map.pieces(0, 100),
            [Hole(2), Data(0, 3), Hole(3), Data(3, 2), Hole(2)]
        );
        assert_eq!(map.pieces(3, 6), [Data(1, 2), Hole(3), Data(3, 1)]);
        assert_eq!(map.pieces(5, 2), [Hole(2)]);
        assert_eq!(map.pieces(9, 1), [Data(4, 1)]);
        assert_eq!(map.pieces(12, 5), []);
        assert_eq!(map.pieces(u64::MAX, 5), []);
        let seeks = [(0, 2), (2, 2), (4, 4), (5, 8), (9, 9)];
        for (from, data) in seeks {
            assert_eq!(map.seek(from, true), Some(data), "{from}");
        }
        assert_eq!((map.seek(10, true), map.seek(12, false)), (None, None));
        assert_eq!(
            (map.seek(2, false), map.seek(8, false)),
            (Some(5), Some(10))
        );
        let whole = Chunks::Direct(vec![id(5, 1)]);
        let whole = FileMap::new(&file(5, whole, None), &Made::default()).unwrap();
        assert_eq!(
            (whole.seek(1, true), whole.seek(1, false)),
            (Some(1), Some(5))
        );
    }
}
