//! One pass over the sources: walk, read, store, assemble.
//!
//! The walk runs on the calling thread and puts *items* into a queue in walk order; what needs a processor (listing
//! ahead, reading, cutting, naming) is done on the pool. Items leave the queue in the same order, so that neighbours in
//! the tree become neighbours in blocks. Memory: [`QUEUE_BYTES`] of file content, or one file of that size, and
//! [`QUEUE_ITEMS_MAX`] nodes; as many times more as there are more batches for readers of their own.

mod large;
mod listing;
mod stream;
mod walk;

use super::assemble::{Assembler, Begun, Compared, TreeMaker};
use super::batch::Batches;
use super::node::{Rules, record_sizes, sizes_of};
use super::read::{Attributes, Cutter, FileJob, Outcome};
use super::roots::Root;
use super::select::Selection;
use crate::chunk::{Chunker, Gear, Piece, Segments, Sizes};
use crate::crypto::{BlobHasher, BlobType, KeyKind};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::snapshot::Totals;
use crate::format::tree::{Content, FileContent, Node};
use crate::fs::{Dir, Kind, Metadata};
use crate::id::{BlobId, Domain};
use crate::index::Want;
use crate::pattern;
use crate::progress::{Counter, Interrupt, Problems, Progress};
use crate::repo::{Pool, Repo, Ticket, Writer};
use crate::tree::{ChunkList, ChunkRef, for_each_chunk};
use listing::Listing;
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Content that may wait in the queue.
const QUEUE_BYTES: u64 = 8 << 20;

/// Items that may wait in the queue: behind one file that is read, nodes of unchanged ones.
const QUEUE_ITEMS_MAX: usize = 4096;

/// A file from this size on is streamed: read and cut on the walk's thread, named on the pool.
const STREAM_BYTES: u64 = 2 << 20;

/// What a pass needs to know.
pub struct PassContext<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// Told of everything.
    pub problems: &'a Problems<'a>,
    /// Asked between entries.
    pub interrupt: &'a Interrupt,
    /// Makes trees.
    pub maker: &'a TreeMaker,
    /// Makes chunks.
    pub cutters: Cutters,
    /// What is recorded, and what shows that a file changed.
    pub rules: Rules,
    /// What of the paths is taken.
    pub selection: Selection,
    /// Look up every chunk of unchanged files too: the parent may have lost some.
    pub distrust: bool,
    /// Files whose blocks are kept apart.
    pub isolate: Option<&'a pattern::List>,
    /// Reads small files, if the repository's own threads do not.
    pub readers: Option<&'a Pool>,
}

impl PassContext<'_> {
    /// What reads small files.
    fn readers(&self) -> &Pool {
        self.readers.unwrap_or(self.repo.pool())
    }
}

/// Chunkers by size, all with the gear table of one domain.
pub struct Cutters {
    gear: Arc<Gear>,
    hasher: BlobHasher,
    made: std::cell::RefCell<HashMap<Sizes, Arc<Cutter>>>,
}

impl Cutters {
    /// Chunkers of a domain.
    pub fn new(repo: &Repo, domain: Domain) -> Result<Self> {
        let key = repo.ring().domain_key(KeyKind::Chunker, domain)?;
        let gear = Arc::new(Gear::from_key(key.expose()));
        let hasher = repo.ring().blob_hasher(domain, BlobType::Data)?;
        Ok(Self {
            gear,
            hasher,
            made: Default::default(),
        })
    }

    fn of(&self, sizes: Sizes) -> Arc<Cutter> {
        let make = || {
            let chunker = Chunker::new(self.gear.clone(), sizes);
            Arc::new(Cutter {
                chunker,
                hasher: self.hasher.clone(),
            })
        };
        self.made
            .borrow_mut()
            .entry(sizes)
            .or_insert_with(make)
            .clone()
    }
}

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
    /// A small file: the next one that [`Batches`] gives.
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
    /// Entries that were left out.
    pub excluded: u64,
}

/// One pass, in progress.
pub struct Pass<'a, 'w, 'r> {
    context: &'a PassContext<'a>,
    writer: &'w mut Writer<'r>,
    queue: VecDeque<Item>,
    queued_bytes: u64,
    batches: Batches,
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
    /// Entries that were left out.
    excluded: u64,
}

impl<'a, 'w, 'r> Pass<'a, 'w, 'r> {
    /// A pass that has not begun.
    pub fn new(context: &'a PassContext<'a>, writer: &'w mut Writer<'r>) -> Self {
        Self {
            context,
            writer,
            queue: VecDeque::new(),
            queued_bytes: 0,
            batches: Batches::new(context.readers.map_or(0, Pool::threads)),
            segments: Segments::new(large::SEGMENT_BYTES),
            ahead: Rc::default(),
            assembler: Assembler::new(context.maker, context.distrust),
            streaming: ChunkList::default(),
            streamed_added: 0,
            listing: Listing::new(context.problems),
            at_once: false,
            as_expected: false,
            root: None,
            excluded: 0,
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
            excluded: self.excluded,
            unchanged: unchanged && self.writer.new_blobs() == blobs_above,
        })
    }

    /// Handles anything that is not a directory.
    fn entry(
        &mut self,
        at: &Arc<PathBuf>,
        dir: &Arc<Dir>,
        name: &[u8],
        meta: Metadata,
        mut old: Option<Node>,
    ) -> Result<()> {
        self.context.problems.count(Counter::Nodes, 1);
        let compared = self.context.rules.compare(old.as_ref(), &meta);
        if let Some(item) = self.unread(at, dir, &mut old, &meta, compared)? {
            let bytes = if meta.kind == Kind::File {
                meta.size
            } else {
                0
            };
            self.context.problems.count(Counter::Bytes, bytes);
            return self.push(item);
        }
        let compared = if compared == Compared::Same {
            Compared::Changed
        } else {
            compared
        };
        if meta.kind == Kind::File {
            return self.file(
                dir,
                &meta,
                Pending {
                    dir: at.clone(),
                    name: name.to_vec(),
                    sizes: sizes_of(name, meta.size, old.as_ref()),
                    compared,
                    begun: self.listing.as_ref().map(|_| Instant::now()),
                },
            );
        }
        let path = || at.join(OsStr::from_bytes(name));
        match special(self.context.rules, dir, name, &meta) {
            Ok((node, attributes)) => {
                if let Some(error) = attributes {
                    self.context.problems.problem(&path(), &error);
                }
                self.push(Item::Node { node, compared })
            }
            Err(error) => {
                self.context.problems.problem(&path(), &error);
                Ok(())
            }
        }
    }

    /// Reads a file.
    fn file(&mut self, dir: &Arc<Dir>, meta: &Metadata, file: Pending) -> Result<()> {
        let path = || file.dir.join(OsStr::from_bytes(&file.name));
        let isolate = self.context.isolate;
        let apart = isolate.is_some_and(|list| list.matches(&path()));
        if apart {
            self.push(Item::Border)?;
        }
        match meta.size >= STREAM_BYTES {
            true => self.large_file(dir, file),
            false => self.small_file(dir, meta, file),
        }?;
        match apart {
            true => self.push(Item::Border),
            false => Ok(()),
        }
    }

    /// What becomes of something that need not be read, because it is the parent's node `old`, which is taken then, or has its
    /// content.
    fn unread(
        &mut self,
        at: &Path,
        dir: &Dir,
        old: &mut Option<Node>,
        meta: &Metadata,
        compared: Compared,
    ) -> Result<Option<Item>> {
        let rules = self.context.rules;
        let same = compared == Compared::Same;
        let unread = |old: &Node| same || rules.has_same_content(old, meta);
        let Some(mut node) = old.take_if(|old| unread(old)) else {
            return Ok(None);
        };
        if self.context.distrust && !self.still_stored(&node)? {
            *old = Some(node);
            return Ok(None);
        }
        if same {
            let compared = match rules.refresh(&mut node, meta) {
                true => Compared::Updated,
                false => Compared::Same,
            };
            return Ok(Some(Item::Node { node, compared }));
        }
        let attributes = Attributes::from(dir.xattrs(&node.name, meta.kind));
        if let Some(error) = attributes.failed {
            let path = at.join(OsStr::from_bytes(&node.name));
            self.context.problems.problem(&path, &error);
        }
        let Node {
            name, content, ext, ..
        } = node;
        let mut node = rules.node(&name, meta, attributes.found, content);
        node.ext = ext;
        let compared = Compared::Updated;
        Ok(Some(Item::Node { node, compared }))
    }

    /// Whether every chunk of a file lies in a pack that may be relied on; they are relied on then.
    fn still_stored(&mut self, node: &Node) -> Result<bool> {
        let Content::File(file) = &node.content else {
            return Ok(true);
        };
        let index = self.context.repo.index();
        let walked = for_each_chunk(self.context.repo, &file.chunks, &mut |chunk| {
            let (ChunkRef::Data(id) | ChunkRef::List(id)) = chunk;
            let relied_on = match index.lookup(&id, Want::Live)? {
                Some(location) => self.writer.rely_on(&location)?,
                None => false,
            };
            Ok(match relied_on {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        });
        Ok(walked.is_ok_and(|flow| flow.is_continue()))
    }

    fn small_file(&mut self, dir: &Arc<Dir>, meta: &Metadata, file: Pending) -> Result<()> {
        let job = FileJob {
            dir: dir.clone(),
            name: file.name.clone(),
            cutter: self.context.cutters.of(file.sizes),
        };
        let bytes = meta.size;
        self.batches.add(self.context.readers(), job, bytes);
        self.enqueue(Item::File { file, bytes }, bytes)
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
        let scale = self.batches.scale();
        self.queued_bytes > QUEUE_BYTES * scale as u64
            || self.queue.len() > QUEUE_ITEMS_MAX * scale
            || self.batches.is_full()
    }

    fn first_is_ready(&mut self) -> Result<bool> {
        match self.queue.front_mut() {
            None => Ok(false),
            Some(Item::File { .. }) => self.batches.is_ready(),
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
            Item::File { file, bytes } => {
                self.queued_bytes -= bytes;
                let read = self.batches.take(self.context.readers())?;
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
                self.context.problems.problem(&path(), &error);
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
            if writer.add_piece(BlobType::Data, &id, self.batches.piece(range))? {
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

/// Links, pipes, sockets and devices; and why their attributes could not be read.
fn special(rules: Rules, dir: &Dir, name: &[u8], meta: &Metadata) -> Result<(Node, Option<Error>)> {
    let content = match meta.kind {
        Kind::Symlink => Content::Symlink(dir.read_link(name)?),
        Kind::Fifo => Content::Fifo,
        Kind::Socket => Content::Socket,
        Kind::BlockDevice => Content::BlockDevice(meta.rdev),
        Kind::CharDevice => Content::CharDevice(meta.rdev),
        Kind::File | Kind::Dir => {
            return Err(
                Error::new(ErrorKind::InvalidInput, Subject::None).detail("not a special file")
            );
        }
    };
    let xattrs = Attributes::from(dir.xattrs(name, meta.kind));
    let node = rules.node(name, meta, xattrs.found, content);
    Ok((node, xattrs.failed))
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
        .detail("has changed each time it was read; what was read last is kept")
}
