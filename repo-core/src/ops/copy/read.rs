//! The content of files of the other repository: read block by block on threads of its own, every blob proved by its id.

use super::pass::Context;
use crate::chunk::Piece;
use crate::crypto::{BlobHasher, BlobType};
use crate::error::{Error, Result, Subject};
use crate::id::{BlobId, PackId};
use crate::index::Location;
use crate::ops::backup::{Cutter, NamedRange, cut_whole};
use crate::ops::batches::{BATCH_BYTES, BATCH_FILES, Batches};
use crate::repo::{BlockCache, Pool, Repo, Ticket, blob_in};
use crate::tree::{ChunkIds, does_not_add_up};
use std::collections::VecDeque;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

/// What is read of a large file ahead of what is cut, or one block.
const AHEAD_BYTES: u64 = 8 << 20;

/// Gives blobs of the other repository.
#[derive(Clone)]
pub struct Blobs {
    /// The repository.
    pub repo: Repo,
    /// Blocks that may be asked for again soon.
    pub cache: Arc<BlockCache>,
    /// Names its data blobs.
    pub hasher: BlobHasher,
}

impl Blobs {
    /// Adds the bytes of a blob to `out`. What its block cannot give is read from another copy.
    pub fn add(&self, (id, location): &(BlobId, Location), out: &mut Vec<u8>) -> Result<()> {
        let why = match self.repo.block_in(&self.cache, location) {
            Ok(block) => match blob_in(&block, location) {
                Ok(plain) if self.hasher.id(plain) == *id => {
                    out.extend_from_slice(plain);
                    return Ok(());
                }
                _ => Error::damaged(Subject::Blob(*id)).detail("content is not what its id says"),
            },
            Err(why) => why,
        };
        let copy = self
            .repo
            .read_other_copy(BlobType::Data, id, (location, &why))?;
        out.extend_from_slice(&copy);
        Ok(())
    }
}

/// The blobs of a file one after another, with where they are. `Damaged` if they are not as long together as the file says.
pub struct Located<'a> {
    repo: &'a Repo,
    ids: ChunkIds,
    left: u64,
}

impl<'a> Located<'a> {
    /// Of a file with that many bytes of data.
    pub fn new(repo: &'a Repo, ids: ChunkIds, data_len: u64) -> Self {
        Self {
            repo,
            ids,
            left: data_len,
        }
    }

    /// The next one.
    pub fn next(&mut self) -> Result<Option<(BlobId, Location)>> {
        let Some(id) = self.ids.next(self.repo)? else {
            return match self.left {
                0 => Ok(None),
                _ => Err(does_not_add_up()),
            };
        };
        let location = self.repo.locate(&id)?;
        let left = self.left.checked_sub(location.blob_len.into());
        self.left = left.ok_or_else(does_not_add_up)?;
        Ok(Some((id, location)))
    }
}

/// A small file to be read.
pub struct SmallFile {
    /// Its blobs.
    pub blobs: Vec<(BlobId, Location)>,
    /// Cuts it as the target does.
    pub cutter: Arc<Cutter>,
}

/// Small files, read ahead and given in the order they were asked for. Memory: [`BATCH_BYTES`] for each batch on its way.
pub struct SmallFiles {
    open: Vec<SmallFile>,
    open_bytes: u64,
    batches: Batches<Vec<NamedRange>>,
}

impl SmallFiles {
    /// None yet.
    pub fn new() -> Self {
        Self {
            open: Vec::new(),
            open_bytes: 0,
            batches: Batches::new(),
        }
    }

    /// Adds a file of so many bytes; it is read at any time from now on.
    pub fn add(&mut self, context: &Context<'_>, file: SmallFile, bytes: u64) {
        if self.open_bytes + bytes > BATCH_BYTES || self.open.len() >= BATCH_FILES {
            self.close(context);
        }
        self.open_bytes += bytes;
        self.open.push(file);
    }

    fn close(&mut self, context: &Context<'_>) {
        if self.open.is_empty() {
            return;
        }
        self.open_bytes = 0;
        let (files, blobs) = (std::mem::take(&mut self.open), context.blobs.clone());
        let job = move |buffer| read(files, &blobs, buffer);
        self.batches.submit(context.readers(), job);
    }

    /// How many batches are on their way.
    pub fn under_way(&self) -> usize {
        self.batches.under_way()
    }

    /// Whether [`SmallFiles::take`] would return at once.
    pub fn is_ready(&mut self) -> Result<bool> {
        self.batches.is_ready()
    }

    /// Waits for the file that was added first of those not taken yet.
    pub fn take(&mut self, context: &Context<'_>) -> Result<Result<Vec<NamedRange>>> {
        if self.batches.is_empty() {
            self.close(context);
        }
        self.batches.take()
    }

    /// A part of the buffer of the file taken last.
    pub fn piece(&self, range: Range<usize>) -> Piece {
        self.batches.piece(range)
    }
}

fn read(
    files: Vec<SmallFile>,
    blobs: &Blobs,
    mut buffer: Vec<u8>,
) -> (Vec<u8>, Vec<Result<Vec<NamedRange>>>) {
    buffer.clear();
    let mut one = |file: SmallFile| {
        let from = buffer.len();
        let all = &mut file.blobs.iter();
        match all.try_for_each(|blob| blobs.add(blob, &mut buffer)) {
            Ok(()) => Ok(cut_whole(&file.cutter, &buffer, from)),
            Err(error) => {
                buffer.truncate(from);
                Err(error)
            }
        }
    };
    let files = files.into_iter().map(&mut one).collect();
    (buffer, files)
}

/// Reads a large file in order, the next blocks ahead on all threads.
///
/// What fails is kept apart, because a reader can only say that something did. Memory: [`AHEAD_BYTES`], or a block.
pub struct Ahead<'a> {
    pool: &'a Pool,
    blobs: &'a Blobs,
    located: Located<'a>,
    /// The first blob of the next run.
    next: Option<(BlobId, Location)>,
    ended: bool,
    runs: VecDeque<(u64, Ticket<Result<Vec<u8>>>)>,
    ahead: u64,
    current: (Vec<u8>, usize),
    /// Why it ended early.
    pub failed: Option<Error>,
}

impl<'a> Ahead<'a> {
    /// Nothing is read yet.
    pub fn new(context: &'a Context<'a>, located: Located<'a>) -> Self {
        Self {
            pool: context.readers(),
            blobs: &context.blobs,
            located,
            next: None,
            ended: false,
            runs: VecDeque::new(),
            ahead: 0,
            current: (Vec::new(), 0),
            failed: None,
        }
    }

    /// Has blobs of one block read, if there are more.
    fn submit(&mut self) -> Result<()> {
        let mut run: Vec<(BlobId, Location)> = Vec::new();
        let mut bytes = 0;
        let mut block: Option<(PackId, u32)> = None;
        loop {
            let next = match self.next.take() {
                Some(next) => Some(next),
                None => self.located.next()?,
            };
            let Some((id, location)) = next else {
                self.ended = true;
                break;
            };
            let pack = self.blobs.repo.index().pack_id_of(&location)?;
            let its = (pack, location.block.offset);
            // One block may stand in a file again and again.
            let most = u64::from(location.block.raw_len);
            if block.is_some_and(|block| block != its) || bytes >= most && !run.is_empty() {
                self.next = Some((id, location));
                break;
            }
            block = Some(its);
            bytes += u64::from(location.blob_len);
            run.push((id, location));
        }
        if run.is_empty() {
            return Ok(());
        }
        let blobs = self.blobs.clone();
        let job = move || {
            let mut out = Vec::new();
            let all = &mut run.iter();
            all.try_for_each(|blob| blobs.add(blob, &mut out))?;
            Ok(out)
        };
        self.ahead += bytes;
        self.runs.push_back((bytes, self.pool.submit(job)));
        Ok(())
    }

    /// The next bytes; none at the end.
    fn advance(&mut self) -> Result<()> {
        while !self.ended && (self.runs.is_empty() || self.ahead < AHEAD_BYTES) {
            self.submit()?;
        }
        if let Some((bytes, run)) = self.runs.pop_front() {
            self.ahead -= bytes;
            self.current = (run.wait()??, 0);
        }
        Ok(())
    }
}

impl Read for Ahead<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.current.1 == self.current.0.len() {
            if let Err(error) = self.advance() {
                self.failed = Some(error);
                return Err(std::io::Error::other("not all of it can be read"));
            }
            if self.ended && self.runs.is_empty() && self.current.1 == self.current.0.len() {
                return Ok(0);
            }
        }
        let (bytes, at) = &mut self.current;
        let len = into.len().min(bytes.len() - *at);
        into[..len].copy_from_slice(&bytes[*at..*at + len]);
        *at += len;
        Ok(len)
    }
}
