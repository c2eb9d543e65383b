//! Walks, looks chunks up, and has their blocks read ahead.

use super::path::Found;
use super::walk::Walk;
use crate::crypto::{BlobHasher, BlobType};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, FileContent, Node};
use crate::id::{BlobId, PackId};
use crate::index::Location;
use crate::progress::Interrupt;
use crate::repo::{BlockCache, Repo, Ticket};
use crate::tree::{ChunkRef, FirstNames, data_len, does_not_add_up, file_key, for_each_chunk};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// Most steps of a batch.
const STEPS_MAX: usize = 4096;

/// Names and attributes of a batch: this many bytes, or one node that has more.
const HELD_BYTES_MAX: usize = 1 << 20;

/// A node on its way, with what its owners were called where the backup was made.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its path below the top.
    pub path: PathBuf,
    /// The node.
    pub node: Node,
    /// The name of its owner.
    pub user: Option<String>,
    /// The name of its group.
    pub group: Option<String>,
    /// The path of the first name of the same file, if this is a further one; then its content does not come again.
    pub first: Option<PathBuf>,
}

/// What comes next.
pub(super) enum Step {
    /// A node.
    Entry(Box<Entry>),
    /// The next chunk of the file that came last.
    Chunk,
}

/// The bytes of one chunk: a part of a block, or a copy from elsewhere.
pub(super) enum Bytes {
    Shared(Arc<Vec<u8>>, Range<usize>),
    Own(Vec<u8>),
}

/// The chunks of a batch, up to the first that cannot be had.
pub(super) type Chunks = Vec<Result<Bytes>>;

/// Steps that need one block together.
pub(super) struct Batch {
    pub steps: Vec<Step>,
    pub chunks: Ticket<Chunks>,
}

/// What goes through the channel.
pub(super) enum Message {
    Batch(Batch),
    /// Nothing follows.
    End,
    /// Nothing follows, because of this.
    Failed(Error),
}

/// The caller wants no more.
pub(super) struct Unwanted;

/// The same error about this path, with what it was about as its cause.
pub(super) fn of_path(path: &Path, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Interrupted => error,
        kind => Error::new(kind, Subject::Path(path.to_path_buf())).because(error),
    }
}

/// A chunk in the block of its batch.
struct Piece {
    id: BlobId,
    range: Range<usize>,
}

/// Gives batches to whoever receives them.
pub(super) struct Planner<'a> {
    pub repo: &'a Repo,
    pub cache: Arc<BlockCache>,
    pub hasher: BlobHasher,
    pub interrupt: &'a Interrupt,
    pub sender: SyncSender<Message>,
    /// Whether further names of a file come without its content.
    pub links: bool,
    names: FirstNames<PathBuf>,
    steps: Vec<Step>,
    held_bytes: usize,
    pieces: Vec<Piece>,
    block: Option<(PackId, Location)>,
}

/// Why planning ends early.
enum Stop {
    Unwanted,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Unwanted> for Stop {
    fn from(_: Unwanted) -> Self {
        Self::Unwanted
    }
}

impl<'a> Planner<'a> {
    /// Begins without anything planned.
    pub fn new(
        repo: &'a Repo,
        (cache, hasher): (Arc<BlockCache>, BlobHasher),
        links: bool,
        interrupt: &'a Interrupt,
        sender: SyncSender<Message>,
    ) -> Self {
        Self {
            repo,
            cache,
            hasher,
            interrupt,
            sender,
            links,
            names: FirstNames::default(),
            steps: Vec::new(),
            held_bytes: 0,
            pieces: Vec::new(),
            block: None,
        }
    }

    /// Plans what was found and all that lies below it, and says how it ends.
    pub fn run(mut self, from: Found) {
        let planned = self.found(from).and_then(|()| Ok(self.flush()?));
        let last = match planned {
            Ok(()) => Message::End,
            Err(Stop::Unwanted) => return,
            Err(Stop::Failed(error)) => {
                // What was planned before it comes first.
                if self.flush().is_err() {
                    return;
                }
                Message::Failed(error)
            }
        };
        // Nobody may wait for it any more.
        let _ = self.sender.send(last);
    }

    fn found(&mut self, from: Found) -> Result<(), Stop> {
        let (path, tree) = (from.path, from.tree);
        if let Some(node) = from.node {
            let owners = (from.user, from.group);
            self.entry(path.clone(), node, owners)?;
        }
        let Some(tree) = tree else {
            return Ok(());
        };
        let opened = Walk::new(self.repo, &tree, path.clone());
        let mut walk = opened.map_err(|error| of_path(&path, error))?;
        loop {
            self.interrupt.check()?;
            let next = walk.next_node();
            let Some((path, node)) = next.map_err(|error| of_path(walk.path(), error))? else {
                return Ok(());
            };
            let below = node.content.tree();
            let name = |name: Option<&str>| name.map(str::to_owned);
            let owners = (name(walk.user(node.uid)), name(walk.group(node.gid)));
            self.entry(path.clone(), node, owners)?;
            if let Some(tree) = below {
                let entered = walk.enter(path.clone(), &tree);
                entered.map_err(|error| of_path(&path, error))?;
            }
        }
    }

    fn entry(
        &mut self,
        path: PathBuf,
        node: Node,
        (user, group): (Option<String>, Option<String>),
    ) -> Result<(), Stop> {
        let first = match self.links {
            true => self.first_name(&path, &node),
            false => None,
        };
        let content = match &node.content {
            Content::File(file) if first.is_none() => Some(file.clone()),
            _ => None,
        };
        let xattrs = node.xattrs.iter();
        let xattrs: usize = xattrs.map(|(name, value)| name.len() + value.len()).sum();
        self.held_bytes += size_of::<Entry>() + path.as_os_str().len() + xattrs;
        self.steps.push(Step::Entry(Box::new(Entry {
            path: path.clone(),
            node,
            user,
            group,
            first,
        })));
        if self.steps.len() >= STEPS_MAX || self.held_bytes >= HELD_BYTES_MAX {
            self.flush()?;
        }
        match content {
            None => Ok(()),
            Some(file) => self.chunks(&file).map_err(|stop| match stop {
                Stop::Failed(error) => Stop::Failed(of_path(&path, error)),
                Stop::Unwanted => stop,
            }),
        }
    }

    /// The path of the first name of the same file; notes this one if there is none.
    fn first_name(&mut self, path: &Path, node: &Node) -> Option<PathBuf> {
        let key = file_key(node)?;
        let first = self.names.met(&key);
        if first.is_none() {
            self.names.add(key, path.to_path_buf(), node.links);
        }
        first
    }

    fn chunks(&mut self, file: &FileContent) -> Result<(), Stop> {
        let (expected, mut sum, mut unwanted) = (data_len(file)?, 0, false);
        let repo = self.repo;
        let flow = for_each_chunk(repo, &file.chunks, &mut |chunk| {
            self.interrupt.check()?;
            let ChunkRef::Data(id) = chunk else {
                return Ok(ControlFlow::Continue(()));
            };
            let location = repo.locate(&id)?;
            sum += u64::from(location.blob_len);
            if sum > expected {
                return Err(does_not_add_up());
            }
            Ok(match self.chunk(id, location)? {
                Ok(()) => ControlFlow::Continue(()),
                Err(Unwanted) => {
                    unwanted = true;
                    ControlFlow::Break(())
                }
            })
        })?;
        match flow.is_break() && unwanted {
            true => Err(Stop::Unwanted),
            false if sum == expected => Ok(()),
            false => Err(does_not_add_up().into()),
        }
    }

    fn chunk(&mut self, id: BlobId, location: Location) -> Result<Result<(), Unwanted>> {
        let pack = self.repo.index().pack_id_of(&location)?;
        let same = |(there, known): &(PackId, Location)| {
            *there == pack && known.block.offset == location.block.offset
        };
        let other = self.block.as_ref().is_some_and(|block| !same(block));
        if (other || self.steps.len() >= STEPS_MAX) && self.flush().is_err() {
            return Ok(Err(Unwanted));
        }
        let from = location.blob_offset as usize;
        self.pieces.push(Piece {
            id,
            range: from..from + location.blob_len as usize,
        });
        self.steps.push(Step::Chunk);
        self.block.get_or_insert((pack, location));
        Ok(Ok(()))
    }

    /// Has the block read, and sends what is planned.
    fn flush(&mut self) -> Result<(), Unwanted> {
        self.held_bytes = 0;
        if self.steps.is_empty() {
            return Ok(());
        }
        let steps = std::mem::take(&mut self.steps);
        let pieces = std::mem::take(&mut self.pieces);
        let chunks = match self.block.take() {
            None => Ticket::ready(Chunks::new()),
            Some((_, location)) => {
                let job = Job {
                    repo: self.repo.clone(),
                    cache: self.cache.clone(),
                    hasher: self.hasher.clone(),
                    location,
                    pieces,
                };
                self.repo.pool().submit(move || job.read())
            }
        };
        let sent = self.sender.send(Message::Batch(Batch { steps, chunks }));
        sent.map_err(|_| Unwanted)
    }
}

/// Reads one block.
struct Job {
    repo: Repo,
    cache: Arc<BlockCache>,
    hasher: BlobHasher,
    location: Location,
    pieces: Vec<Piece>,
}

impl Job {
    fn read(self) -> Chunks {
        let block = self.repo.block_in(&self.cache, &self.location);
        let mut chunks = Chunks::new();
        for piece in &self.pieces {
            let chunk = self.chunk(&block, piece);
            let failed = chunk.is_err();
            chunks.push(chunk);
            if failed {
                break;
            }
        }
        chunks
    }

    /// The bytes of one chunk, proved by its id. What the block cannot give is read from another copy.
    fn chunk(&self, block: &Result<Arc<Vec<u8>>>, piece: &Piece) -> Result<Bytes> {
        let wrong;
        let why = match block {
            Ok(block) => {
                let plain = block.get(piece.range.clone());
                if plain.is_some_and(|plain| self.hasher.id(plain) == piece.id) {
                    return Ok(Bytes::Shared(block.clone(), piece.range.clone()));
                }
                wrong = Error::damaged(Subject::Blob(piece.id))
                    .detail("content is not what its id says");
                &wrong
            }
            Err(why) => why,
        };
        let bad = (&self.location, why);
        let copy = self.repo.read_other_copy(BlobType::Data, &piece.id, bad);
        copy.map(Bytes::Own)
    }
}
