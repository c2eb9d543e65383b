//! One snapshot on its way into the target: what the walk finds goes into a queue, is read and cut on other threads, and leaves the queue
//! in the same order, so that neighbours become neighbours in blocks.
//!
//! Memory: [`QUEUE_BYTES`] of file content, [`QUEUE_ITEMS_MAX`] nodes, [`FRESH_BYTES`] of trees, what `read` says, and the nodes of a page for each directory on the
//! way to the one at hand.

use super::read::{Blobs, SmallFiles};
use crate::chunk::{Piece, Segments, Sizes};
use crate::crypto::{BlobHasher, BlobType};
use crate::error::{Error, Result};
use crate::format::tree::{Content, Node};
use crate::fs::Owners;
use crate::id::BlobId;
use crate::ops::backup::{Cutters, NamedRange};
use crate::progress::{Counter, Interrupt, Problems, Progress};
use crate::repo::{Pool, Repo, Ticket, Writer};
use crate::tree::{Borders, ChunkList, DirectoryWriter, TreeReader};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Content that may wait in the queue.
const QUEUE_BYTES: u64 = 8 << 20;

/// Items that may wait in the queue.
const QUEUE_ITEMS_MAX: usize = 4096;

/// Trees of one session that are kept for the next snapshot. Little in tests, so that a snapshot reaches it.
const FRESH_BYTES: usize = if cfg!(test) { 64 << 10 } else { 32 << 20 };

/// A buffer of a large file.
const SEGMENT_BYTES: usize = 4 << 20;

/// What is the same for all snapshots.
pub struct Context<'a> {
    /// Where they are.
    pub from: &'a Repo,
    /// Where they go.
    pub to: &'a Repo,
    /// Both cut content alike and give it the same ids.
    pub alike: bool,
    /// Cuts as the target does.
    pub cutters: Cutters,
    /// Reads content.
    pub blobs: Blobs,
    /// Names trees of the target.
    pub trees: BlobHasher,
    /// Splits large directories of the target.
    pub borders: Borders,
    /// Reads what lies on another machine.
    pub far: Option<Pool>,
    /// Told of everything.
    pub problems: &'a Problems<'a>,
    /// Asked between nodes.
    pub interrupt: &'a Interrupt,
    /// Trees of this session.
    pub fresh: RefCell<Fresh>,
}

/// Trees of this session, which cannot be read from the target yet, up to [`FRESH_BYTES`].
#[derive(Default)]
pub struct Fresh {
    trees: HashMap<BlobId, Arc<Vec<u8>>>,
    bytes: usize,
}

impl Fresh {
    /// Whether no more are kept: no snapshot can be walked beside one that is written from now on.
    pub fn is_full(&self) -> bool {
        self.bytes >= FRESH_BYTES
    }

    fn keep(&mut self, id: BlobId, bytes: &[u8]) {
        if !self.is_full() {
            self.bytes += bytes.len() + size_of::<(BlobId, Arc<Vec<u8>>)>();
            self.trees.insert(id, Arc::new(bytes.to_vec()));
        }
    }
}

/// Reads trees of the target, those of this session too.
impl TreeReader for Context<'_> {
    fn tree(&self, id: &BlobId) -> Result<Arc<Vec<u8>>> {
        let fresh = self.fresh.borrow().trees.get(id).cloned();
        fresh.map_or_else(|| self.to.tree(id), Ok)
    }
}

impl Context<'_> {
    /// What reads content.
    pub fn readers(&self) -> &Pool {
        self.far.as_ref().unwrap_or(self.from.pool())
    }

    /// Stores a tree blob of the target.
    pub fn put(&self, writer: &mut Writer<'_>, bytes: &[u8]) -> Result<BlobId> {
        let id = self.trees.id(bytes);
        if writer.add(BlobType::Tree, &id, bytes)? {
            self.fresh.borrow_mut().keep(id, bytes);
        }
        Ok(id)
    }
}

/// A node on its way.
pub struct Entry {
    /// Where it lies.
    pub dir: Arc<PathBuf>,
    /// The node; of a file with its old content until the new one is known.
    pub node: Node,
    /// What its owner and group were called, if its directory does not know yet.
    pub owners: [Option<String>; 2],
}

impl Entry {
    /// Its path in the snapshot.
    pub fn path(&self) -> PathBuf {
        self.dir.join(OsStr::from_bytes(&self.node.name))
    }
}

/// Chunks of a large file; of those that the target has the id alone.
pub type Chunks = Vec<(BlobId, Option<Piece>)>;

pub enum Item {
    Enter(Entry),
    /// Complete.
    Node(Entry),
    /// The next file that [`SmallFiles`] gives.
    Small(Entry, u64),
    Chunks(Ticket<Result<Chunks>>, u64),
    /// A large file is complete, or ended early: its chunks came before it.
    Large(Entry, Option<Error>),
    Leave,
}

/// A directory in the making.
struct Open {
    entry: Entry,
    owners: Owners,
    written: DirectoryWriter,
}

/// One snapshot, in progress.
pub struct Pass<'a, 'w, 'r> {
    pub context: &'a Context<'a>,
    pub writer: &'w mut Writer<'r>,
    /// By these all of it is cut: it is a stream.
    pub stream: Option<Sizes>,
    /// Look everything up that the base would vouch for.
    pub distrust: bool,
    queue: VecDeque<Item>,
    queued_bytes: u64,
    pub small_files: SmallFiles,
    pub segments: Segments,
    open: Vec<Open>,
    list: ChunkList,
    /// Why the file whose chunks come cannot be read.
    broken: Option<Error>,
    root: Option<BlobId>,
}

impl<'a, 'w, 'r> Pass<'a, 'w, 'r> {
    /// A pass that has not begun.
    pub fn new(
        context: &'a Context<'a>,
        writer: &'w mut Writer<'r>,
        stream: Option<Sizes>,
        distrust: bool,
    ) -> Self {
        Self {
            context,
            writer,
            stream,
            distrust,
            queue: VecDeque::new(),
            queued_bytes: 0,
            small_files: SmallFiles::new(),
            segments: Segments::new(SEGMENT_BYTES),
            open: Vec::new(),
            list: ChunkList::default(),
            broken: None,
            root: None,
        }
    }

    /// Copies a tree; `base` is the root of another in the source and of its copy. Gives the root of the copy, which lacks what was told of
    /// as a problem, or none if nothing of it can be read.
    pub fn run(mut self, root: &BlobId, base: Option<[BlobId; 2]>) -> Result<Option<BlobId>> {
        self.walk(root, base)?;
        while !self.queue.is_empty() {
            self.take_first()?;
        }
        Ok(self.root)
    }

    /// Something of the snapshot is lost in the source: told, and left out. What is wrong otherwise ends the work.
    pub fn lost(&self, path: &std::path::Path, error: Error) -> Result<()> {
        match error.is_lost() {
            true => {
                self.context.problems.problem(path, &error);
                Ok(())
            }
            false => Err(error),
        }
    }

    pub fn push(&mut self, item: Item) -> Result<()> {
        self.enqueue(item, 0)
    }

    /// Puts an item into the queue, whose content has so many bytes, and takes out what is ready.
    pub fn enqueue(&mut self, item: Item, bytes: u64) -> Result<()> {
        self.queued_bytes += bytes;
        self.queue.push_back(item);
        while self.is_full() || self.first_is_ready()? {
            self.take_first()?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.queued_bytes > QUEUE_BYTES
            || self.queue.len() > QUEUE_ITEMS_MAX
            || self.small_files.under_way() > 2 * self.context.readers().threads() + 4
    }

    fn first_is_ready(&mut self) -> Result<bool> {
        match self.queue.front_mut() {
            None => Ok(false),
            Some(Item::Small(..)) => self.small_files.is_ready(),
            Some(Item::Chunks(named, _)) => named.is_ready(),
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
            Item::Enter(entry) => self.open.push(Open {
                entry,
                owners: Owners::default(),
                written: DirectoryWriter::default(),
            }),
            Item::Node(entry) => self.attach(entry)?,
            Item::Small(entry, bytes) => {
                self.queued_bytes -= bytes;
                match self.small_files.take(self.context)? {
                    Ok(chunks) => self.small(entry, chunks)?,
                    Err(error) => self.lost(&entry.path(), error)?,
                }
            }
            Item::Chunks(named, bytes) => {
                self.queued_bytes -= bytes;
                match named.wait()? {
                    Ok(chunks) => self.chunks(chunks)?,
                    Err(error) => drop(self.broken.get_or_insert(error)),
                }
            }
            Item::Large(entry, failed) => self.large(entry, failed)?,
            Item::Leave => self.leave()?,
        }
        Ok(())
    }

    fn small(&mut self, mut entry: Entry, chunks: Vec<NamedRange>) -> Result<()> {
        let (context, writer) = (self.context, &mut *self.writer);
        let mut list = ChunkList::default();
        for (id, range) in chunks {
            context.problems.count(Counter::Bytes, range.len() as u64);
            writer.add_piece(BlobType::Data, &id, self.small_files.piece(range))?;
            list.push(id, &mut |bytes| context.put(writer, bytes))?;
        }
        set_chunks(&mut entry, list, &mut |bytes| context.put(writer, bytes))?;
        self.attach(entry)
    }

    fn chunks(&mut self, chunks: Chunks) -> Result<()> {
        let (context, writer) = (self.context, &mut *self.writer);
        for (id, piece) in chunks {
            if let Some(piece) = piece {
                context.problems.count(Counter::Bytes, piece.len() as u64);
                writer.add_piece(BlobType::Data, &id, piece)?;
            }
            self.list
                .push(id, &mut |bytes| context.put(writer, bytes))?;
        }
        Ok(())
    }

    fn large(&mut self, mut entry: Entry, failed: Option<Error>) -> Result<()> {
        let list = std::mem::take(&mut self.list);
        if let Some(error) = self.broken.take().or(failed) {
            return self.lost(&entry.path(), error);
        }
        let (context, writer) = (self.context, &mut *self.writer);
        set_chunks(&mut entry, list, &mut |bytes| context.put(writer, bytes))?;
        self.attach(entry)
    }

    /// Puts a node into the directory at hand.
    fn attach(&mut self, entry: Entry) -> Result<()> {
        let (context, writer) = (self.context, &mut *self.writer);
        context.problems.count(Counter::Nodes, 1);
        let Some(Open {
            owners, written, ..
        }) = self.open.last_mut()
        else {
            self.root = entry.node.content.tree();
            return Ok(());
        };
        let [user, group] = entry.owners;
        if let Some(user) = user {
            owners.know_user(entry.node.uid, &user);
        }
        if let Some(group) = group {
            owners.know_group(entry.node.gid, &group);
        }
        let put = &mut |bytes: &[u8]| context.put(writer, bytes);
        written.push(entry.node, owners, &context.borders, put)
    }

    fn leave(&mut self) -> Result<()> {
        let Some(mut dir) = self.open.pop() else {
            return Ok(());
        };
        let (context, writer) = (self.context, &mut *self.writer);
        let put = &mut |bytes: &[u8]| context.put(writer, bytes);
        let tree = dir.written.finish(&dir.owners, &context.borders, put)?;
        dir.entry.node.content = Content::Dir(Some(tree));
        self.attach(dir.entry)
    }
}

/// Says which chunks a file has in the target.
fn set_chunks(
    entry: &mut Entry,
    list: ChunkList,
    put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
) -> Result<()> {
    let chunks = list.finish(put)?;
    if let Content::File(file) = &mut entry.node.content {
        file.chunks = chunks;
    }
    Ok(())
}
