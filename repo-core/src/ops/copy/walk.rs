//! Walks a tree of the source beside one that was copied before, and passes over what both have.

use super::pass::{Chunks, Entry, Item, Pass};
use super::read::{Ahead, Located, SmallFile};
use crate::chunk::{Piece, Sizes};
use crate::error::{Error, Result};
use crate::format::tree::{Content, FileContent, Node};
use crate::fs::Owners;
use crate::id::BlobId;
use crate::index::{Location, Want};
use crate::ops::backup::{name_pieces, plain_node, sizes_of};
use crate::ops::stored::still_stored;
use crate::time::Timestamp;
use crate::tree::{ChunkIds, Nodes, TreeReader, data_len};
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// A file with more data than this is read and cut piece by piece.
const SMALL_BYTES: u64 = 2 << 20;

/// Chunks of a large file go to other threads in groups of this many bytes.
const GROUP_BYTES: u64 = 1 << 20;

/// A directory at hand.
struct Frame {
    dir: Arc<PathBuf>,
    nodes: Nodes,
    base: Option<[Side; 2]>,
    /// The names that were handed on.
    known: Owners,
}

/// A directory of the base, whose nodes are asked for in order.
struct Side {
    nodes: Nodes,
    next: Option<Node>,
}

impl Side {
    fn open(repo: &dyn TreeReader, tree: &BlobId) -> Result<Self> {
        Ok(Self {
            nodes: Nodes::open(repo, tree)?,
            next: None,
        })
    }

    /// The node of that name, which comes after all that were asked for before.
    fn find(&mut self, repo: &dyn TreeReader, name: &[u8]) -> Result<Option<Node>> {
        loop {
            let next = match self.next.take() {
                Some(next) => Some(next),
                None => self.nodes.next(repo)?,
            };
            let Some(node) = next else { return Ok(None) };
            match node.name.as_slice().cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(Some(node)),
                Ordering::Greater => {
                    self.next = Some(node);
                    return Ok(None);
                }
            }
        }
    }
}

/// What the source and the target have of a node in the base.
type Pair = [Node; 2];

impl Pass<'_, '_, '_> {
    /// Puts all of a tree into the queue.
    pub(super) fn walk(&mut self, root: &BlobId, base: Option<[BlobId; 2]>) -> Result<()> {
        let top = Arc::new(PathBuf::from("/"));
        let nodes = match Nodes::open(self.context.from, root) {
            Ok(nodes) => nodes,
            Err(error) => return self.lost(&top, error),
        };
        let node = |tree| plain_node(b"", 0o755, Timestamp::default(), Content::Dir(tree));
        let entry = |node| Entry {
            dir: top.clone(),
            node,
            owners: [None, None],
        };
        if let Some([source, target]) = base
            && source == *root
            && !self.distrust
        {
            return self.push(Item::Node(entry(node(Some(target)))));
        }
        self.push(Item::Enter(entry(node(None))))?;
        let mut stack = vec![self.frame(top.clone(), nodes, base)?];
        while let Some(frame) = stack.last_mut() {
            self.context.interrupt.check()?;
            match frame.nodes.next(self.context.from) {
                Ok(Some(node)) => {
                    if let Some(below) = self.node(frame, node)? {
                        stack.push(below);
                    }
                }
                Ok(None) => {
                    stack.pop();
                    self.push(Item::Leave)?;
                }
                // The pages behind it may be whole: the reader goes on with the next.
                Err(error) => self.lost(&frame.dir, error)?,
            }
        }
        Ok(())
    }

    fn frame(&self, dir: Arc<PathBuf>, nodes: Nodes, base: Option<[BlobId; 2]>) -> Result<Frame> {
        let (from, to) = (self.context.from, self.context);
        let open = |[source, target]: [BlobId; 2]| -> Result<[Side; 2]> {
            Ok([Side::open(from, &source)?, Side::open(to, &target)?])
        };
        Ok(Frame {
            dir,
            nodes,
            base: unless_lost(base.map(open).transpose())?.flatten(),
            known: Owners::default(),
        })
    }

    /// What the base has of that name. One that cannot be read is none.
    fn pair(&self, frame: &mut Frame, name: &[u8]) -> Result<Option<Pair>> {
        let (from, to) = (self.context.from, self.context);
        let Some([source, target]) = &mut frame.base else {
            return Ok(None);
        };
        let mut find = || Ok([source.find(from, name)?, target.find(to, name)?]);
        match unless_lost(find())? {
            Some([Some(source), Some(target)]) => Ok(Some([source, target])),
            Some(_) => Ok(None),
            None => {
                frame.base = None;
                Ok(None)
            }
        }
    }

    /// Puts a node into the queue, or gives the directory that is to be looked into first.
    fn node(&mut self, frame: &mut Frame, mut node: Node) -> Result<Option<Frame>> {
        let pair = self.pair(frame, &node.name)?;
        let owners = new_names(frame, &node);
        let dir = frame.dir.clone();
        let Content::Dir(Some(tree)) = node.content else {
            let entry = Entry { dir, node, owners };
            match entry.node.content {
                Content::File(_) => self.file(entry, pair)?,
                _ => self.push(Item::Node(entry))?,
            }
            return Ok(None);
        };
        let base = pair
            .and_then(|[source, target]| Some([source.content.tree()?, target.content.tree()?]));
        if let Some([source, target]) = base
            && source == tree
            && !self.distrust
        {
            node.content = Content::Dir(Some(target));
            self.push(Item::Node(Entry { dir, node, owners }))?;
            return Ok(None);
        }
        let path = Arc::new(dir.join(OsStr::from_bytes(&node.name)));
        match Nodes::open(self.context.from, &tree) {
            Ok(nodes) => {
                self.push(Item::Enter(Entry { dir, node, owners }))?;
                Ok(Some(self.frame(path, nodes, base)?))
            }
            Err(error) => self.lost(&path, error).map(|()| None),
        }
    }

    fn file(&mut self, mut entry: Entry, pair: Option<Pair>) -> Result<()> {
        let Content::File(file) = &entry.node.content else {
            return Ok(());
        };
        let (context, file) = (self.context, file.clone());
        if let Some([source, target]) = pair
            && source.content == entry.node.content
            && matches!(target.content, Content::File(_))
            && (!self.distrust || still_stored(context.to, self.writer, &target.content)?)
        {
            entry.node.content = target.content;
            return self.push(Item::Node(entry));
        }
        if context.alike && still_stored(context.to, self.writer, &entry.node.content)? {
            return self.push(Item::Node(entry));
        }
        let len = match data_len(&file) {
            Ok(len) => len,
            Err(error) => return self.lost(&entry.path(), error),
        };
        match len {
            ..=SMALL_BYTES => self.small_file(entry, &file, len),
            _ if context.alike => self.large_file_alike(entry, &file, len),
            _ => self.large_file(entry, &file, len),
        }
    }

    fn small_file(&mut self, entry: Entry, file: &FileContent, len: u64) -> Result<()> {
        let mut located = Located::new(self.context.from, ChunkIds::new(&file.chunks), len);
        let mut blobs = Vec::new();
        loop {
            match located.next() {
                Ok(Some(blob)) => blobs.push(blob),
                Ok(None) => break,
                Err(error) => return self.lost(&entry.path(), error),
            }
        }
        let cutter = self.context.cutters.of(self.sizes(&entry, file));
        let small = SmallFile { blobs, cutter };
        self.small_files.add(self.context, small, len);
        self.enqueue(Item::Small(entry, len), len)
    }

    /// Cuts a large file anew.
    fn large_file(&mut self, entry: Entry, file: &FileContent, len: u64) -> Result<()> {
        let context = self.context;
        let cutter = context.cutters.of(self.sizes(&entry, file));
        let located = Located::new(context.from, ChunkIds::new(&file.chunks), len);
        let mut ahead = Ahead::new(context, located);
        let mut segments = std::mem::replace(&mut self.segments, crate::chunk::Segments::new(0));
        let mut stream = segments.stream(&cutter.chunker, &mut ahead, Some(len));
        let (mut group, mut bytes, mut ended) = (Vec::new(), 0, false);
        while !ended {
            context.interrupt.check()?;
            match stream.next() {
                Some(Ok(piece)) => {
                    bytes += piece.len() as u64;
                    group.push(piece);
                }
                Some(Err(_)) | None => ended = true,
            }
            if bytes >= GROUP_BYTES || ended {
                let (hasher, pieces) = (cutter.hasher.clone(), std::mem::take(&mut group));
                let job = move || Ok(whole(name_pieces(&hasher, pieces)));
                let chunks = Item::Chunks(context.to.pool().submit(job), bytes);
                self.enqueue(chunks, std::mem::take(&mut bytes))?;
            }
        }
        drop(stream);
        self.segments = segments;
        let failed = ahead.failed.take();
        self.push(Item::Large(entry, failed))
    }

    /// Takes the chunks of a large file as they are, and reads those that the target does not have.
    fn large_file_alike(&mut self, entry: Entry, file: &FileContent, len: u64) -> Result<()> {
        let context = self.context;
        let mut located = Located::new(context.from, ChunkIds::new(&file.chunks), len);
        let (mut group, mut bytes) = (Vec::new(), 0);
        let failed = loop {
            context.interrupt.check()?;
            let next = match located.next() {
                Ok(next) => next,
                Err(error) => break Some(error),
            };
            let ended = next.is_none();
            if let Some((id, location)) = next {
                let there = match context.to.index().lookup(&id, Want::Live)? {
                    Some(there) => self.writer.rely_on(&there)?,
                    None => false,
                };
                if !there {
                    bytes += u64::from(location.blob_len);
                }
                group.push((id, (!there).then_some(location)));
            }
            if bytes >= GROUP_BYTES || group.len() >= GROUP_CHUNKS || ended {
                let (blobs, group) = (context.blobs.clone(), std::mem::take(&mut group));
                let job = move || read_missing(group, &|blob, out| blobs.add(blob, out));
                let chunks = Item::Chunks(context.readers().submit(job), bytes);
                self.enqueue(chunks, std::mem::take(&mut bytes))?;
            }
            if ended {
                break None;
            }
        };
        self.push(Item::Large(entry, failed))
    }

    /// By which sizes a file is cut: as it was, so that later versions of it share what they have in common.
    fn sizes(&self, entry: &Entry, file: &FileContent) -> Sizes {
        let usual = || sizes_of(&entry.node.name, file.size, Some(&entry.node));
        self.stream.unwrap_or_else(usual)
    }
}

/// Most chunks of a group.
const GROUP_CHUNKS: usize = 4096;

fn whole(named: Vec<(BlobId, Piece)>) -> Chunks {
    let whole = |(id, piece)| (id, Some(piece));
    named.into_iter().map(whole).collect()
}

type Add<'a> = dyn Fn(&(BlobId, Location), &mut Vec<u8>) -> Result<()> + 'a;

fn read_missing(group: Vec<(BlobId, Option<Location>)>, add: &Add<'_>) -> Result<Chunks> {
    let read = |(id, location): (BlobId, Option<Location>)| -> Result<(BlobId, Option<Piece>)> {
        let Some(location) = location else {
            return Ok((id, None));
        };
        let mut bytes = Vec::with_capacity(location.blob_len as usize);
        add(&(id, location), &mut bytes)?;
        Ok((id, Some(bytes.into())))
    };
    group.into_iter().map(read).collect()
}

/// None of what is lost.
fn unless_lost<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if Error::is_lost(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names of owner and group that were not handed on for this directory yet.
fn new_names(frame: &mut Frame, node: &Node) -> [Option<String>; 2] {
    let (nodes, known) = (&frame.nodes, &mut frame.known);
    let user = nodes
        .user(node.uid)
        .filter(|_| known.user(node.uid).is_none());
    let group = nodes
        .group(node.gid)
        .filter(|_| known.group(node.gid).is_none());
    if let Some(name) = user {
        known.know_user(node.uid, name);
    }
    if let Some(name) = group {
        known.know_group(node.gid, name);
    }
    [user.map(str::to_owned), group.map(str::to_owned)]
}
