//! One pass over the sources: walk, read, store, assemble.
//!
//! The walk runs on the calling thread and puts *items* into a queue in walk order; what needs a processor (listing
//! ahead, reading, cutting, naming) is done on the pool. Items leave the queue in the same order, so that neighbours in
//! the tree become neighbours in blocks. Memory: [`QUEUE_BYTES`] of file content, or one file of that size, and
//! [`QUEUE_ITEMS_MAX`] nodes; as many times more as there are more batches for readers of their own.

mod context;
mod entry;
mod large;
mod listing;
mod stream;
mod walk;

use super::assemble::{Assembler, Begun, Compared};
use super::batch::SmallFiles;
use super::node::record_sizes;
use super::read::Outcome;
use super::roots::Root;
use crate::chunk::{Piece, Segments, Sizes};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::snapshot::Totals;
use crate::format::tree::{Content, FileContent, Node};
use crate::id::BlobId;
use crate::progress::{Counter, Progress};
use crate::repo::{Pool, Ticket, Writer};
use crate::tree::ChunkList;
use listing::Listing;
use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

pub use context::{Cutters, PassContext};

/// Content that may wait in the queue.
const QUEUE_BYTES: u64 = 8 << 20;

/// Items that may wait in the queue: behind one file that is read, nodes of unchanged ones.
const QUEUE_ITEMS_MAX: usize = 4096;

/// A file from this size on is streamed: read and cut on the walk's thread, named on the pool.
const STREAM_BYTES: u64 = 2 << 20;

/// A file that is being read.
struct Pending {
    dir: Arc<PathBuf>,
    name: Vec<u8>,
    sizes: Sizes,
    compared: Compared,
    /// When the walk came to it, if somebody wants to know.
    begun: Option<Instant>,
}

type Named = Vec<(BlobId, Piece)>;

enum Item {
    Enter(Begun),
    Node {
        node: Node,
        compared: Compared,
    },
    /// A directory that cannot be read.
    Unread {
        node: Node,
        compared: Compared,
    },
    /// A small file: the next one that [`SmallFiles`] gives.
    File {
        file: Pending,
        bytes: u64,
    },
    Pieces {
        named: Ticket<Named>,
        bytes: u64,
    },
    /// A streamed file is complete: its chunks came before it.
    Streamed {
        node: Node,
        compared: Compared,
        /// What the parent has of it, if it is to be compared with that.
        expected: Option<FileContent>,
        begun: Option<Instant>,
    },
    Leave,
    /// What comes behind it lies in no block with what came before.
    Border,
}

/// What a pass gives.
pub struct Done {
    /// The root tree.
    pub root: BlobId,
    /// Numbers.
    pub totals: Totals,
    /// What was backed up is as the parent has it, and nothing was new but the directories above it.
    pub unchanged: bool,
    /// Nothing is in the root.
    pub is_empty: bool,
    /// Entries that were left out.
    pub excluded: u64,
    /// Entries that were gone when they were to be read.
    pub vanished: u64,
}

/// One pass, in progress.
pub struct Pass<'a, 'w, 'r> {
    context: &'a PassContext<'a>,
    writer: &'w mut Writer<'r>,
    queue: VecDeque<Item>,
    queued_bytes: u64,
    small: SmallFiles,
    segments: Segments,
    /// How many listings are under way.
    ahead: Rc<Cell<usize>>,
    assembler: Assembler<'a>,
    streaming: ChunkList,
    /// New bytes of that.
    streamed_added: u64,
    /// Names what is done, if somebody listens.
    listing: Option<Listing<'a>>,
    /// What is pushed is handled at once: it belongs before everything in the queue.
    at_once: bool,
    /// What was streamed last is what the parent has of it.
    as_expected: bool,
    root: Option<BlobId>,
    /// Nothing is in it.
    is_empty: bool,
    /// Entries that were left out.
    excluded: u64,
    /// Entries that were gone when they were to be read.
    vanished: u64,
}

impl<'a, 'w, 'r> Pass<'a, 'w, 'r> {
    /// A pass that has not begun.
    pub fn new(context: &'a PassContext<'a>, writer: &'w mut Writer<'r>) -> Self {
        Self {
            context,
            writer,
            queue: VecDeque::new(),
            queued_bytes: 0,
            small: SmallFiles::new(context.readers.map_or(0, Pool::threads)),
            segments: Segments::new(large::SEGMENT_BYTES),
            ahead: Rc::default(),
            assembler: Assembler::new(context.maker, context.distrust),
            streaming: ChunkList::default(),
            streamed_added: 0,
            listing: Listing::new(context.problems),
            at_once: false,
            as_expected: false,
            root: None,
            is_empty: false,
            excluded: 0,
            vanished: 0,
        }
    }

    /// Backs up files below `root`; `parent` is the tree to compare with.
    pub fn files(mut self, root: &Root, parent: Option<BlobId>) -> Result<Done> {
        let meta = walk::stat_place(root)?;
        // Of the root itself nothing is recorded that could differ.
        self.place(b"", &meta, root, parent, Compared::Same)?;
        self.finish()
    }

    /// Counts entries that are left out.
    fn exclude(&mut self, count: u64) {
        self.excluded += count;
        self.context.problems.count(Counter::Excluded, count);
    }

    /// An entry that its directory was listed with cannot be read. If it is gone by now that is no problem: who comes a moment later does
    /// not find it either.
    fn entry_fails(&mut self, path: &Path, error: &Error) {
        match error.kind() {
            ErrorKind::NotFound => self.vanished += 1,
            _ => self.context.problems.problem(path, error),
        }
    }

    fn finish(mut self) -> Result<Done> {
        while !self.queue.is_empty() {
            self.take_first()?;
        }
        let no_root = || {
            Error::new(ErrorKind::InvalidInput, Subject::None).detail("nothing could be backed up")
        };
        let Assembler {
            totals,
            unchanged,
            blobs_above,
            ..
        } = self.assembler;
        Ok(Done {
            root: self.root.ok_or_else(no_root)?,
            totals,
            is_empty: self.is_empty,
            excluded: self.excluded,
            vanished: self.vanished,
            unchanged: unchanged && self.writer.new_blobs() == blobs_above,
        })
    }

    /// Puts an item into the queue.
    fn push(&mut self, item: Item) -> Result<()> {
        self.enqueue(item, 0)
    }

    fn enqueue(&mut self, item: Item, bytes: u64) -> Result<()> {
        self.queued_bytes += bytes;
        if self.at_once {
            return self.handle(item);
        }
        self.queue.push_back(item);
        while self.is_full() || self.first_is_ready()? {
            self.take_first()?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let scale = self.small.scale();
        self.queued_bytes > QUEUE_BYTES * scale as u64
            || self.queue.len() > QUEUE_ITEMS_MAX * scale
            || self.small.is_full()
    }

    fn first_is_ready(&mut self) -> Result<bool> {
        match self.queue.front_mut() {
            None => Ok(false),
            Some(Item::File { .. }) => self.small.is_ready(),
            Some(Item::Pieces { named, .. }) => named.is_ready(),
            Some(_) => Ok(true),
        }
    }

    fn take_first(&mut self) -> Result<()> {
        match self.queue.pop_front() {
            Some(item) => self.handle(item),
            None => Ok(()),
        }
    }

    fn handle(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Enter(begun) => {
                if let Some(listing) = &mut self.listing {
                    listing.enter(&begun.node);
                }
                self.assembler.enter(begun);
            }
            Item::Node { node, compared } => {
                if let Some(listing) = &self.listing {
                    listing.add(&node.name, compared, 0, None);
                }
                self.assembler.add(self.writer, node, compared)?;
            }
            Item::Unread { node, compared } => {
                self.assembler.add_unread(self.writer, node, compared)?;
            }
            Item::File { file, bytes } => {
                self.queued_bytes -= bytes;
                let read = self.small.take(self.context.readers())?;
                self.take_file(file, read)?;
            }
            Item::Pieces { named, bytes } => {
                self.queued_bytes -= bytes;
                for (id, piece) in named.wait()? {
                    let len = piece.len() as u64;
                    if self.writer.add_piece(BlobType::Data, &id, piece)? {
                        self.streamed_added += len;
                    }
                    let (maker, writer) = (self.context.maker, &mut *self.writer);
                    self.streaming
                        .push(id, &mut |bytes| maker.put(writer, bytes))?;
                }
            }
            Item::Streamed {
                mut node,
                compared,
                expected,
                begun,
            } => {
                let added = std::mem::take(&mut self.streamed_added);
                if let Some(listing) = &self.listing {
                    listing.add(&node.name, compared, added, begun);
                }
                let list = std::mem::take(&mut self.streaming);
                let (maker, writer) = (self.context.maker, &mut *self.writer);
                let chunks = list.finish(&mut |bytes| maker.put(writer, bytes))?;
                if let Content::File(file) = &mut node.content {
                    file.chunks = chunks;
                    self.as_expected = expected.as_ref() == Some(file);
                }
                self.assembler.add(self.writer, node, compared)?;
            }
            Item::Border => self.writer.end_source()?,
            Item::Leave => {
                if let Some(left) = self.assembler.leave(self.writer)? {
                    self.root = left.root;
                    self.is_empty = left.nodes == 0;
                    if let Some(listing) = &mut self.listing {
                        listing.leave(left.compared, left.added);
                    }
                }
            }
        }
        Ok(())
    }

    /// Stores what was read of a file.
    fn take_file(&mut self, file: Pending, read: Result<Outcome>) -> Result<()> {
        let path = || file.dir.join(OsStr::from_bytes(&file.name));
        let read = match read {
            Ok(Outcome::Read(read)) => read,
            Ok(Outcome::Grown(large)) => {
                self.at_once = true;
                self.stream_file(large, file)?;
                self.at_once = false;
                return Ok(());
            }
            Err(error) => {
                self.entry_fails(&path(), &error);
                return Ok(());
            }
        };
        if read.torn {
            self.context.problems.problem(&path(), &changed());
        }
        let mut list = ChunkList::default();
        let (maker, writer) = (self.context.maker, &mut *self.writer);
        let mut added = 0;
        for (id, range) in read.chunks {
            let len = range.len() as u64;
            if writer.add_piece(BlobType::Data, &id, self.small.piece(range))? {
                added += len;
            }
            list.push(id, &mut |bytes| maker.put(writer, bytes))?;
        }
        let chunks = list.finish(&mut |bytes| maker.put(writer, bytes))?;
        self.context.problems.count(Counter::Bytes, read.meta.size);
        let content = FileContent {
            size: read.meta.size,
            chunks,
            extents: read.extents,
        };
        if let Some(error) = read.xattrs.failed {
            self.context.problems.problem(&path(), &error);
        }
        let xattrs = read.xattrs.found;
        if let Some(listing) = &self.listing {
            listing.add(&file.name, file.compared, added, file.begun);
        }
        let rules = self.context.rules;
        let mut node = rules.node(&file.name, &read.meta, xattrs, Content::File(content));
        record_sizes(&mut node, file.sizes);
        self.assembler.add(self.writer, node, file.compared)
    }
}

fn file_content(size: u64, extents: Option<Vec<(u64, u64)>>) -> Content {
    Content::File(FileContent {
        size,
        extents,
        ..FileContent::default()
    })
}

fn changed() -> Error {
    Error::new(ErrorKind::Unavailable, Subject::None)
        .detail("changed while it was backed up, each time it was read: what was read last is kept")
}
