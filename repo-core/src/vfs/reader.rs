//! Reads files from any place in them, through a cache of opened blocks.

use super::file_map::{Chunk, FileMap, MapReader, Piece, Run, read_run};
use super::generations::Generations;
use super::pages::Spot;
use crate::crypto::{BlobHasher, BlobType};
use crate::error::{Error, Result, Subject};
use crate::format::tree::FileContent;
use crate::id::{BlobId, PackId};
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

type Key = (PackId, u32);

/// An opened block, and which of its blobs were proved by their ids: the byte at which each begins.
struct Opened {
    plain: Vec<u8>,
    proved: Mutex<HashSet<u32>>,
}

/// Reads files. Any number of threads may; a block that several ask for is opened once.
///
/// Memory: what the cache may hold, 16 MiB of maps, and a block for each thread that reads.
pub struct Reader {
    repo: Repo,
    hasher: BlobHasher,
    blocks: Mutex<Generations<Key, Slot>>,
    maps: Mutex<Generations<Spot, Arc<FileMap>>>,
    runs: Mutex<Generations<BlobId, Arc<Run>>>,
}

impl TreeReader for Reader {
    fn tree(&self, id: &BlobId) -> Result<Arc<Vec<u8>>> {
        self.repo.tree(id)
    }
}

impl MapReader for Reader {
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

impl Reader {
    /// Reads files of a repository; keeps opened blocks up to `cache_bytes`.
    pub fn new(repo: Repo, cache_bytes: usize) -> Result<Self> {
        Ok(Self {
            hasher: repo.hasher(BlobType::Data)?,
            repo,
            blocks: Mutex::new(Generations::new(cache_bytes)),
            maps: Mutex::new(Generations::new(MAP_BYTES)),
            runs: Mutex::new(Generations::new(MAP_BYTES)),
        })
    }

    /// Where the bytes of the file at this spot are.
    pub fn map(&self, spot: &Spot, file: &FileContent) -> Result<Arc<FileMap>> {
        if let Some(map) = lock(&self.maps).get(spot) {
            return Ok(map);
        }
        let map = Arc::new(FileMap::new(file, self)?);
        lock(&self.maps).put(*spot, map.clone(), map.cost());
        Ok(map)
    }

    /// Adds up to `len` bytes of a file from `offset` on to `out`: fewer only at its end.
    pub fn read(&self, map: &FileMap, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<()> {
        for piece in map.pieces(offset, len) {
            match piece {
                Piece::Hole(zeros) => out.resize(out.len() + zeros as usize, 0),
                Piece::Data(at, len) => self.data(map, at, at + len, out)?,
            }
        }
        Ok(())
    }

    fn data(&self, map: &FileMap, mut at: u64, end: u64, out: &mut Vec<u8>) -> Result<()> {
        while at < end {
            let chunk = map.chunk(at, self)?.ok_or_else(does_not_add_up)?;
            let until = end.min(chunk.end);
            let range = (at - chunk.start) as usize..(until - chunk.start) as usize;
            self.part(&chunk, range, out)?;
            at = until;
        }
        Ok(())
    }

    /// Adds a part of a chunk to `out`.
    fn part(&self, chunk: &Chunk, range: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        let location = match self.repo.locate(&chunk.id) {
            Ok(location) => location,
            Err(error) if error.is_lost() => {
                let blob = self.repo.read_blob(BlobType::Data, &chunk.id)?;
                return add(&blob, range, out);
            }
            Err(error) => return Err(error),
        };
        let why = match self.block(&location) {
            Ok(block) => match self.proved(&block, &location, &chunk.id) {
                Some(blob) => return add(blob, range, out),
                None => Error::damaged(Subject::Blob(chunk.id))
                    .detail("content is not what its id says"),
            },
            Err(why) => why,
        };
        let bad = (&location, &why);
        let copy = self.repo.read_other_copy(BlobType::Data, &chunk.id, bad)?;
        add(&copy, range, out)
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
    fn block(&self, location: &Location) -> Result<Arc<Opened>> {
        let pack = self.repo.index().pack_id_of(location)?;
        let slot = self.slot((pack, location.block.offset), location);
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

    fn slot(&self, key: Key, location: &Location) -> Slot {
        let mut blocks = lock(&self.blocks);
        blocks.get(&key).unwrap_or_else(|| {
            let slot = Slot::default();
            blocks.put(key, slot.clone(), location.block.raw_len as usize);
            slot
        })
    }
}

fn add(blob: &[u8], range: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
    let part = blob.get(range).ok_or_else(does_not_add_up)?;
    out.extend_from_slice(part);
    Ok(())
}
