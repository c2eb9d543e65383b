//! Reads directories and chunk lists, whatever their shape.

use crate::error::{Error, Result, Subject};
use crate::format::codec::{self, check_ext};
use crate::format::tree::{Chunks, HEIGHT_MAX, Node, Page, Tree};
use crate::id::BlobId;
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// Gives the plaintext of tree blobs.
pub trait TreeReader {
    /// The plaintext of one tree blob, proved to be the one of that id.
    fn tree(&self, id: &BlobId) -> Result<std::sync::Arc<Vec<u8>>>;
}

fn decode(reader: &dyn TreeReader, id: &BlobId) -> Result<Tree> {
    codec::decode(&reader.tree(id)?).map_err(|e| e.about(Subject::Blob(*id)))
}

/// One tree blob by itself. `Damaged` if it does not decode, `Unsupported` if there is something in it that must be understood.
pub fn load_blob(reader: &dyn TreeReader, id: &BlobId) -> Result<Tree> {
    let tree = decode(reader, id)?;
    let checked = match &tree {
        Tree::Leaf(leaf) => {
            let mut nodes = leaf.nodes.iter();
            check_ext(&leaf.ext).and_then(|()| nodes.try_for_each(|node| check_ext(&node.ext)))
        }
        Tree::Branch(branch) => check_ext(&branch.ext),
        Tree::Chunks(_) => Ok(()),
    };
    checked.map_err(|e| e.about(Subject::Blob(*id)))?;
    Ok(tree)
}

/// A part of a directory by itself: its nodes, whose names are such as files have, or its pages. `Damaged` if it is something else.
pub fn load_page(reader: &dyn TreeReader, id: &BlobId) -> Result<Tree> {
    let tree = load_blob(reader, id)?;
    match &tree {
        Tree::Leaf(leaf) => check_names(id, &mut None, &leaf.nodes)?,
        Tree::Branch(_) => {}
        Tree::Chunks(_) => return Err(bad(id, "a list of chunks where a directory must be")),
    }
    Ok(tree)
}

pub(super) fn bad(id: &BlobId, detail: &'static str) -> Error {
    Error::damaged(Subject::Blob(*id)).detail(detail)
}

/// The nodes of a directory, in the order of their names, read leaf by leaf.
///
/// Memory: one leaf, and the pages of one branch a level.
pub struct Nodes {
    id: BlobId,
    /// The branches from the root down, with the height that their pages may have.
    branches: Vec<(u8, std::vec::IntoIter<Page>)>,
    /// A leaf that is the root.
    root: Option<Vec<Node>>,
    leaf: std::vec::IntoIter<Node>,
    last: Option<Vec<u8>>,
    count: u64,
    /// User and group names of the leaf that was read last.
    names: [Vec<(u32, String)>; 2],
}

impl Nodes {
    /// Reads the root of a directory.
    pub fn open(reader: &dyn TreeReader, id: &BlobId) -> Result<Self> {
        let mut nodes = Self {
            id: *id,
            branches: Vec::new(),
            root: None,
            leaf: Vec::new().into_iter(),
            last: None,
            count: 0,
            names: Default::default(),
        };
        nodes.root = nodes.page(reader, id, HEIGHT_MAX)?;
        nodes.count = match (&nodes.root, nodes.branches.last()) {
            (Some(leaf), _) => leaf.len() as u64,
            (None, Some((_, pages))) => pages
                .as_slice()
                .iter()
                .fold(0, |sum, page| sum.saturating_add(page.nodes)),
            (None, None) => 0,
        };
        Ok(nodes)
    }

    /// How many nodes there are, as the root says.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The node of that name, if it is among those that come; what comes before it is passed over.
    pub fn find(&mut self, reader: &dyn TreeReader, name: &[u8]) -> Result<Option<Node>> {
        while let Some(node) = self.next(reader)? {
            match node.name.as_slice().cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(Some(node)),
                Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    /// The name that the user of this number had where the backup was made; of the node that was given last.
    pub fn user(&self, uid: u32) -> Option<&str> {
        name_of(&self.names[0], uid)
    }

    /// The same for a group.
    pub fn group(&self, gid: u32) -> Option<&str> {
        name_of(&self.names[1], gid)
    }

    /// The next node.
    pub fn next(&mut self, reader: &dyn TreeReader) -> Result<Option<Node>> {
        loop {
            if let Some(node) = self.leaf.next() {
                return Ok(Some(node));
            }
            match self.next_leaf(reader, &mut |_| ())? {
                Some(leaf) => self.leaf = leaf.into_iter(),
                None => return Ok(None),
            }
        }
    }

    /// The nodes of the next leaf; `seen` gets every page that is read for it.
    fn next_leaf(
        &mut self,
        reader: &dyn TreeReader,
        seen: &mut dyn FnMut(BlobId),
    ) -> Result<Option<Vec<Node>>> {
        if let Some(leaf) = self.root.take() {
            return self.checked(leaf).map(Some);
        }
        while let Some((height, pages)) = self.branches.last_mut() {
            let height = *height;
            let Some(page) = pages.next() else {
                self.branches.pop();
                continue;
            };
            seen(page.id);
            if let Some(leaf) = self.page(reader, &page.id, height)? {
                return self.checked(leaf).map(Some);
            }
        }
        Ok(None)
    }

    /// Reads a page: gives a leaf, enters a branch.
    fn page(
        &mut self,
        reader: &dyn TreeReader,
        id: &BlobId,
        height_max: u8,
    ) -> Result<Option<Vec<Node>>> {
        match load_blob(reader, id)? {
            Tree::Leaf(leaf) => {
                self.names = [leaf.users, leaf.groups];
                Ok(Some(leaf.nodes))
            }
            Tree::Branch(branch) => {
                if branch.height == 0 || branch.height > height_max {
                    return Err(bad(id, "pages are nested too deep"));
                }
                let pages = branch.pages.into_iter();
                self.branches.push((branch.height - 1, pages));
                Ok(None)
            }
            Tree::Chunks(_) => Err(bad(id, "a list of chunks where a directory must be")),
        }
    }

    fn checked(&mut self, leaf: Vec<Node>) -> Result<Vec<Node>> {
        check_names(&self.id, &mut self.last, &leaf)?;
        Ok(leaf)
    }
}

/// Sees that the names of a leaf are such as files have, and go on in order after `last`, which becomes the last of them.
pub(super) fn check_names(id: &BlobId, last: &mut Option<Vec<u8>>, leaf: &[Node]) -> Result<()> {
    let valid = |node: &Node| {
        let name = &node.name[..];
        !name.is_empty()
            && name != b"."
            && name != b".."
            && !name.iter().any(|b| matches!(b, 0 | b'/'))
    };
    if !leaf.iter().all(valid) {
        return Err(bad(id, "a name that no file can have"));
    }
    let goes_on = leaf
        .first()
        .is_none_or(|first| Some(&first.name) > last.as_ref());
    if !goes_on || !leaf.is_sorted_by(|a, b| a.name < b.name) {
        return Err(bad(id, "names are not in order"));
    }
    if let Some(node) = leaf.last() {
        *last = Some(node.name.clone());
    }
    Ok(())
}

fn name_of(names: &[(u32, String)], number: u32) -> Option<&str> {
    let found = names.iter().find(|(known, _)| *known == number);
    found.map(|(_, name)| name.as_str())
}

/// The node of that name in a directory. Memory: one page.
pub fn find_node(reader: &dyn TreeReader, id: &BlobId, name: &[u8]) -> Result<Option<Node>> {
    Nodes::open(reader, id)?.find(reader, name)
}

/// All nodes of a directory, sorted by name. Memory grows with the directory.
pub fn load_nodes(reader: &dyn TreeReader, id: &BlobId) -> Result<Vec<Node>> {
    Ok(load_pages(reader, id)?.1)
}

/// Every tree blob that a directory itself is made of, its root first, and its nodes.
pub fn load_pages(reader: &dyn TreeReader, id: &BlobId) -> Result<(Vec<BlobId>, Vec<Node>)> {
    let mut directory = Nodes::open(reader, id)?;
    let mut pages = vec![*id];
    let mut nodes = Vec::new();
    while let Some(mut leaf) = directory.next_leaf(reader, &mut |page| pages.push(page))? {
        match nodes.is_empty() {
            true => nodes = leaf,
            false => nodes.append(&mut leaf),
        }
    }
    Ok((pages, nodes))
}

/// Whether an id of a file's chunks names data, or a list of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkRef {
    /// A data blob.
    Data(BlobId),
    /// A tree blob that lists chunks.
    List(BlobId),
}

/// Calls `each` for the chunks of a file in order, and for each list before what it lists. Memory: one list a level.
pub fn for_each_chunk(
    reader: &dyn TreeReader,
    chunks: &Chunks,
    each: &mut dyn FnMut(ChunkRef) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    match chunks {
        Chunks::Direct(ids) => walk_ids(reader, ids, 0, each),
        Chunks::Lists { height, lists } => {
            let height = (*height).min(HEIGHT_MAX);
            walk_ids(reader, lists, height, each)
        }
    }
}

/// The data blobs of a file, one after another. Memory: one list a level.
pub struct ChunkIds(Vec<(u8, std::vec::IntoIter<BlobId>)>);

impl ChunkIds {
    /// Nothing is read yet.
    pub fn new(chunks: &Chunks) -> Self {
        let (height, ids) = match chunks {
            Chunks::Direct(ids) => (0, ids),
            Chunks::Lists { height, lists } => ((*height).min(HEIGHT_MAX), lists),
        };
        Self(vec![(height, ids.clone().into_iter())])
    }

    /// The next one.
    pub fn next(&mut self, reader: &dyn TreeReader) -> Result<Option<BlobId>> {
        while let Some((height, ids)) = self.0.last_mut() {
            match (*height, ids.next()) {
                (_, None) => drop(self.0.pop()),
                (0, Some(id)) => return Ok(Some(id)),
                (height, Some(id)) => match decode(reader, &id)? {
                    Tree::Chunks(below) => self.0.push((height - 1, below.into_iter())),
                    _ => return Err(bad(&id, "not a list of chunks")),
                },
            }
        }
        Ok(None)
    }
}

fn walk_ids(
    reader: &dyn TreeReader,
    ids: &[BlobId],
    height: u8,
    each: &mut dyn FnMut(ChunkRef) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    for id in ids {
        let flow = if height == 0 {
            each(ChunkRef::Data(*id))?
        } else {
            match each(ChunkRef::List(*id))? {
                ControlFlow::Break(()) => ControlFlow::Break(()),
                ControlFlow::Continue(()) => match decode(reader, id)? {
                    Tree::Chunks(below) => walk_ids(reader, &below, height - 1, each)?,
                    _ => return Err(bad(id, "not a list of chunks")),
                },
            }
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}
