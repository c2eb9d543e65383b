//! Reads files from any place in them, through a cache of opened blocks.

use super::ahead::{Cursor, Key, Streams, Walked};
use super::file_map::{Chunk, FileMap, MapReader, Piece, Run, read_run};
use super::generations::Generations;
use super::pages::{Directories, Spot};
use super::view::View;
use crate::crypto::{BlobHasher, BlobType};
use crate::error::{Error, Result, Subject};
use crate::format::tree::{Chunks, FileContent};
use crate::id::BlobId;
use crate::index::Location;
use crate::repo::{Repo, lock};
use crate::tree::{TreeReader, does_not_add_up};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Maps of files, and lists of chunks, are kept up to so many bytes each.
const MAP_BYTES: usize = 8 << 20;

/// A block on its way, or opened.
type Slot = Arc<Mutex<Option<Arc<Opened>>>>;

/// An opened block, and which of its blobs were proved by their ids: the byte at which each begins.
struct Opened {
    plain: Vec<u8>,
    proved: Mutex<HashSet<u32>>,
}

/// Reads files. Any number of threads may; a block that several ask for is opened once, and those that come next in the order of a walk
/// are read ahead on all cores.
///
/// Memory: what the cache may hold, 16 MiB of maps, and a block for each thread that reads.
#[derive(Clone)]
pub struct Reader(Arc<Shared>);

/// What jobs share with the reader.
struct Shared {
    repo: Repo,
    directories: Arc<Directories>,
    hasher: BlobHasher,
    blocks: Mutex<Generations<Key, Slot>>,
    maps: Mutex<Generations<Spot, Arc<FileMap>>>,
    runs: Mutex<Generations<BlobId, Arc<Run>>>,
    streams: Mutex<Streams>,
}

/// A file that is read.
pub struct Reading<'a> {
    /// Where its bytes are.
    pub map: &'a Arc<FileMap>,
    /// Its spot, and then those of the directories that it lies in, from the nearest to the top.
    pub spots: &'a dyn Fn() -> Vec<Spot>,
}

impl TreeReader for Shared {
    fn tree(&self, id: &BlobId) -> Result<Arc<Vec<u8>>> {
        self.repo.tree(id)
    }
}

impl MapReader for Shared {
    fn len_of(&self, id: &BlobId) -> Result<u64> {
        match self.repo.locate(id) {
            Ok(location) => Ok(location.blob_len.into()),
            // A prune may have moved it since the log was read.
            Err(error) if error.is_lost() => {
                Ok(self.repo.read_blob(BlobType::Data, id)?.len() as u64)
            }
            Err(error) => Err(error),
        }
    }

    fn run_of(&self, list: &BlobId) -> Result<Arc<Run>> {
        if let Some(run) = lock(&self.runs).get(list) {
            return Ok(run);
        }
        let run = Arc::new(read_run(self, list)?);
        lock(&self.runs).put(*list, run.clone(), run.cost());
        Ok(run)
    }
}

impl Walked for Shared {
    fn directories(&self) -> &Directories {
        &self.directories
    }

    fn block_of(&self, chunk: &BlobId) -> Result<(Key, Location)> {
        let location = self.repo.locate(chunk)?;
        Ok((self.key(&location)?, location))
    }

    fn map_of(&self, spot: &Spot, file: &FileContent) -> Result<Arc<FileMap>> {
        if let Some(map) = lock(&self.maps).get(spot) {
            return Ok(map);
        }
        let map = Arc::new(FileMap::new(file, self)?);
        lock(&self.maps).put(*spot, map.clone(), map.cost());
        Ok(map)
    }
}

impl Reader {
    /// Reads files of what a view shows; keeps opened blocks up to `cache_bytes`.
    pub fn new(view: &View, cache_bytes: usize) -> Result<Self> {
        let repo = view.repo().clone();
        Ok(Self(Arc::new(Shared {
            hasher: repo.hasher(BlobType::Data)?,
            repo,
            directories: view.directories().clone(),
            blocks: Mutex::new(Generations::new(cache_bytes)),
            maps: Mutex::new(Generations::new(MAP_BYTES)),
            runs: Mutex::new(Generations::new(MAP_BYTES)),
            streams: Mutex::new(Streams::new(cache_bytes)),
        })))
    }

    /// Where the bytes of the file at this spot are.
    pub fn map(&self, spot: &Spot, file: &FileContent) -> Result<Arc<FileMap>> {
        self.0.map_of(spot, file)
    }

    /// Adds up to `len` bytes of a file from `offset` on to `out`: fewer only at its end. Gives a byte of its data that was read in a
    /// block where nobody was expected, if there is one.
    pub fn read(
        &self,
        reading: &Reading<'_>,
        offset: u64,
        len: u64,
        out: &mut Vec<u8>,
    ) -> Result<Option<u64>> {
        let mut unexpected = None;
        for piece in reading.map.pieces(offset, len) {
            match piece {
                Piece::Hole(zeros) => out.resize(out.len() + zeros as usize, 0),
                Piece::Data(at, len) => {
                    let found = self.data(reading, at, at + len, out)?;
                    unexpected = unexpected.or(found);
                }
            }
        }
        Ok(unexpected)
    }

    /// Shows `take` the bytes of a file that is one chunk, without a copy of them; `None` of any other. First of `spots` is the file's,
    /// then come those of the directories that it lies in.
    ///
    /// Unlike [`Reader::read`] this looks for no other copy of what is damaged.
    pub fn whole<T>(
        &self,
        file: &FileContent,
        spots: &dyn Fn() -> Vec<Spot>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>> {
        let (Chunks::Direct(ids), None) = (&file.chunks, &file.extents) else {
            return Ok(None);
        };
        let [id] = ids.as_slice() else {
            return Ok(None);
        };
        let shared = &self.0;
        let (key, location) = shared.block_of(id)?;
        if u64::from(location.blob_len) != file.size {
            return Err(does_not_add_up());
        }
        self.read_ahead(key, &mut || Cursor::behind(&spots()));
        let block = shared.block(key, &location)?;
        let blob = shared.proved(&block, &location, id);
        let blob = blob.ok_or_else(|| not_its_content(id))?;
        Ok(Some(take(blob)))
    }

    /// The bytes of a file without holes around this one that lie in the same block, and where they begin. `None` of a file with holes.
    pub fn around(&self, map: &Arc<FileMap>, at: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let shared = &self.0;
        let chunk = map.chunk(at, &**shared)?;
        let (Some(_), Some(chunk)) = (map.whole_len(), chunk) else {
            return Ok(None);
        };
        let (key, location) = shared.block_of(&chunk.id)?;
        let in_block = |at: Option<u64>| -> Result<Option<Chunk>> {
            let Some(chunk) = at.map(|at| map.chunk(at, &**shared)).transpose()?.flatten() else {
                return Ok(None);
            };
            let (other, _) = shared.block_of(&chunk.id)?;
            Ok((other == key).then_some(chunk))
        };
        // A file may have the same block again and again: no more of it than the block is long.
        let most = u64::from(location.block.raw_len);
        let (mut start, mut end) = (chunk.start, chunk.end);
        while let Some(before) =
            in_block(start.checked_sub(1))?.filter(|chunk| end - chunk.start <= most)
        {
            start = before.start;
        }
        while let Some(behind) = in_block(Some(end))?.filter(|chunk| chunk.end - start <= most) {
            end = behind.end;
        }
        let mut bytes = Vec::with_capacity((end - start) as usize);
        let reading = Reading {
            map,
            spots: &Vec::new,
        };
        self.data(&reading, start, end, &mut bytes)?;
        Ok(Some((start, bytes)))
    }

    /// Adds these bytes of the data of a file. Gives the first that was read in a block where nobody was expected.
    fn data(
        &self,
        reading: &Reading<'_>,
        mut at: u64,
        end: u64,
        out: &mut Vec<u8>,
    ) -> Result<Option<u64>> {
        let mut unexpected = None;
        while at < end {
            let chunk = reading.map.chunk(at, &*self.0)?;
            let chunk = chunk.ok_or_else(does_not_add_up)?;
            let until = end.min(chunk.end);
            let range = (at - chunk.start) as usize..(until - chunk.start) as usize;
            if self.part(reading, &chunk, range, out)? {
                unexpected.get_or_insert(at);
            }
            at = until;
        }
        Ok(unexpected)
    }

    /// Adds a part of a chunk to `out`. True if nobody was expected in its block.
    fn part(
        &self,
        reading: &Reading<'_>,
        chunk: &Chunk,
        range: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let shared = &self.0;
        let (key, location) = match shared.block_of(&chunk.id) {
            Ok(found) => found,
            Err(error) if error.is_lost() => {
                let blob = shared.repo.read_blob(BlobType::Data, &chunk.id)?;
                add(&blob, range, out)?;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let mut unexpected = false;
        self.read_ahead(key, &mut || {
            unexpected = true;
            Cursor::new(&(reading.spots)(), reading.map.clone(), chunk.end)
        });
        let why = match shared.block(key, &location) {
            Ok(block) => match shared.proved(&block, &location, &chunk.id) {
                Some(blob) => {
                    add(blob, range, out)?;
                    return Ok(unexpected);
                }
                None => not_its_content(&chunk.id),
            },
            Err(why) => why,
        };
        let bad = (&location, &why);
        let copy = shared
            .repo
            .read_other_copy(BlobType::Data, &chunk.id, bad)?;
        add(&copy, range, out)?;
        Ok(false)
    }

    /// Has the pool read what follows this block, if somebody reads in order.
    fn read_ahead(&self, key: Key, begin: &mut dyn FnMut() -> Cursor) {
        // Who would have to wait reads what he wants instead.
        let Ok(mut streams) = self.0.streams.try_lock() else {
            return;
        };
        for location in streams.touch(key, &*self.0, begin) {
            let shared = self.0.clone();
            let job = move || {
                let key = shared.key(&location)?;
                // Whoever wants it meets an error again.
                shared.block(key, &location).map(drop)
            };
            drop(self.0.repo.pool().submit(job));
        }
    }
}

impl Shared {
    fn key(&self, location: &Location) -> Result<Key> {
        let pack = self.repo.index().pack_id_of(location)?;
        Ok((pack, location.block.offset))
    }

    /// The bytes of a blob in its block, if they are what its id says.
    fn proved<'b>(&self, block: &'b Opened, location: &Location, id: &BlobId) -> Option<&'b [u8]> {
        let from = location.blob_offset;
        let plain = block.plain.get(from as usize..)?;
        let blob = plain.get(..location.blob_len as usize)?;
        if !lock(&block.proved).contains(&from) {
            if self.hasher.id(blob) != *id {
                return None;
            }
            lock(&block.proved).insert(from);
        }
        Some(blob)
    }

    /// An opened block, from the cache or from its pack.
    fn block(&self, key: Key, location: &Location) -> Result<Arc<Opened>> {
        let slot = self.slot(key, location.block.raw_len as usize);
        let mut slot = lock(&slot);
        if let Some(block) = &*slot {
            return Ok(block.clone());
        }
        let mut plain = Vec::new();
        self.repo.read_block(location, &mut plain)?;
        let block = Arc::new(Opened {
            plain,
            proved: Mutex::default(),
        });
        *slot = Some(block.clone());
        Ok(block)
    }

    fn slot(&self, key: Key, len: usize) -> Slot {
        let mut blocks = lock(&self.blocks);
        blocks.get(&key).unwrap_or_else(|| {
            let slot = Slot::default();
            blocks.put(key, slot.clone(), len);
            slot
        })
    }
}

fn not_its_content(id: &BlobId) -> Error {
    Error::damaged(Subject::Blob(*id)).detail("content is not what its id says")
}

fn add(blob: &[u8], range: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
    let part = blob.get(range).ok_or_else(does_not_add_up)?;
    out.extend_from_slice(part);
    Ok(())
}
