//! Reads ahead where somebody reads in the order of a walk.

use super::file_map::{FileMap, MapReader};
use super::pages::{Directories, Spot};
use crate::error::Result;
use crate::format::tree::{Chunks, Content, FileContent};
use crate::id::{BlobId, PackId};
use crate::index::Location;
use std::collections::VecDeque;
use std::sync::Arc;

/// So many readers are followed; who reads on after more others have begun is met as a new one.
const STREAMS_MAX: usize = 8;

/// So many blocks are read ahead of one reader.
const AHEAD_MAX: usize = 4;

/// So many chunks and nodes are looked at for the next block.
const STEPS_MAX: usize = 4096;

/// A block: its pack and where it begins there.
pub type Key = (PackId, u32);

/// What a cursor needs to go on.
pub trait Walked: MapReader {
    /// Pages of directories.
    fn directories(&self) -> &Directories;
    /// Where a chunk lies, and its block.
    fn block_of(&self, chunk: &BlobId) -> Result<(Key, Location)>;
    /// The map of a file with many chunks.
    fn map_of(&self, spot: &Spot, file: &FileContent) -> Result<Arc<FileMap>>;
}

/// A place in the content of a snapshot, in the order of a walk.
pub struct Cursor {
    /// The directories from the top down: tree, and the page and place in it that come next.
    directories: Vec<(BlobId, usize, usize)>,
    file: File,
}

/// The file that a cursor is in.
enum File {
    None,
    Short(std::vec::IntoIter<BlobId>),
    Long(Arc<FileMap>, u64),
}

impl Cursor {
    /// Behind byte `at` of the data of a file. First of `spots` is the file's, then come those of the directories that it lies in.
    pub fn new(spots: &[Spot], map: Arc<FileMap>, at: u64) -> Self {
        Self {
            file: File::Long(map, at),
            ..Self::behind(spots)
        }
    }

    /// Behind a file; first of `spots` is the file's, as above.
    pub fn behind(spots: &[Spot]) -> Self {
        let behind = |spot: &Spot| (spot.tree, spot.page as usize, spot.at as usize + 1);
        Self {
            directories: spots.iter().rev().map(behind).collect(),
            file: File::None,
        }
    }

    /// The next block that is not `last`; `None` at the end, or if it is far away.
    fn next_block(&mut self, last: &Key, walked: &dyn Walked) -> Result<Option<(Key, Location)>> {
        for _ in 0..STEPS_MAX {
            let chunk = match &mut self.file {
                File::None => None,
                File::Short(ids) => ids.next(),
                File::Long(map, at) => map.chunk(*at, walked)?.map(|chunk| {
                    *at = chunk.end;
                    chunk.id
                }),
            };
            match chunk {
                Some(chunk) => {
                    let (key, location) = walked.block_of(&chunk)?;
                    if key != *last {
                        return Ok(Some((key, location)));
                    }
                }
                None if self.directories.is_empty() => return Ok(None),
                None => self.next_file(walked)?,
            }
        }
        Ok(None)
    }

    fn next_file(&mut self, walked: &dyn Walked) -> Result<()> {
        self.file = File::None;
        let Some((tree, page, at)) = self.directories.last_mut() else {
            return Ok(());
        };
        let Some(node) = walked.directories().next(tree, *page, *at)? else {
            self.directories.pop();
            return Ok(());
        };
        (*page, *at) = (node.spot.page as usize, node.spot.at as usize + 1);
        match &node.content {
            Content::Dir(Some(tree)) => self.directories.push((*tree, 0, 0)),
            Content::File(file) => {
                self.file = match &file.chunks {
                    Chunks::Direct(ids) => File::Short(ids.clone().into_iter()),
                    Chunks::Lists { .. } => File::Long(walked.map_of(&node.spot, file)?, 0),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Somebody who reads.
struct Stream {
    cursor: Cursor,
    /// The block that is read now.
    current: Key,
    /// Those that come, as far as the cursor has looked.
    ahead: VecDeque<Key>,
    /// How many are read ahead.
    depth: usize,
}

/// Who reads in which order. Memory: pages of directories aside, a few kilobytes.
pub struct Streams {
    streams: VecDeque<Stream>,
    ahead_max: usize,
}

impl Streams {
    /// Nobody reads yet. Of blocks of the usual size as many are read ahead as find room in `cache_bytes`, beside others.
    pub fn new(cache_bytes: usize) -> Self {
        Self {
            streams: VecDeque::new(),
            ahead_max: (cache_bytes >> 24).min(AHEAD_MAX),
        }
    }

    /// Somebody reads a block; `begin` is asked where if nobody was expected there. Gives what is to be read ahead of him.
    ///
    /// Who comes to the block that was expected reads in order: twice as much is read ahead of him as before.
    pub fn touch(
        &mut self,
        key: Key,
        walked: &dyn Walked,
        begin: &mut dyn FnMut() -> Cursor,
    ) -> Vec<Location> {
        if self.streams.iter().any(|stream| stream.current == key) || self.ahead_max == 0 {
            return Vec::new();
        }
        let known = self
            .streams
            .iter()
            .position(|stream| stream.ahead.contains(&key));
        let mut stream = match known.and_then(|known| self.streams.remove(known)) {
            Some(mut stream) => {
                while stream.ahead.pop_front().is_some_and(|passed| passed != key) {}
                stream.depth = (stream.depth * 2).clamp(1, self.ahead_max);
                stream
            }
            None => Stream {
                cursor: begin(),
                current: key,
                ahead: VecDeque::new(),
                depth: 0,
            },
        };
        stream.current = key;
        let (mut wanted, mut last) = (Vec::new(), stream.ahead.back().copied().unwrap_or(key));
        while stream.ahead.len() < stream.depth.max(1) {
            // Whoever reads it meets an error again.
            let Ok(Some((next, location))) = stream.cursor.next_block(&last, walked) else {
                break;
            };
            stream.ahead.push_back(next);
            last = next;
            // Of somebody who has just begun nothing is known but what he would read next.
            if stream.depth > 0 {
                wanted.push(location);
            }
        }
        self.streams.push_back(stream);
        if self.streams.len() > STREAMS_MAX {
            self.streams.pop_front();
        }
        wanted
    }
}
