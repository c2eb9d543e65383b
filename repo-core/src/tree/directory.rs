//! Writes a directory as tree blobs.

use crate::crypto::Secret;
use crate::error::Result;
use crate::format::codec;
use crate::format::tree::{Branch, Chunks, Content, Leaf, Node, Page, Tree};
use crate::fs::Owners;
use crate::id::{BlobId, ID_LEN};
use std::collections::BTreeMap;

/// A directory whose encoding is larger than this is split into pages.
pub const LEAF_BYTES: usize = 64 << 10;

/// A name ends a page if this many low bits of its hash are zero: 256 nodes a page on average.
const LEAF_BITS: u32 = 8;

/// A page ends a page of pages if this many more bits of its last name's hash are zero: 64 pages on average.
const BRANCH_BITS: u32 = 6;

/// Decides where a large directory is split, by the keyed hash of a name alone.
#[derive(Clone)]
pub struct Borders(Secret);

impl Borders {
    /// Borders under the border key of a domain.
    pub fn new(key: Secret) -> Self {
        Self(key)
    }

    /// How many levels of pages end after `name`: 0 means none, 1 a page of nodes, 2 a page of pages too.
    pub fn levels(&self, name: &[u8]) -> u32 {
        let hash = blake3::keyed_hash(self.0.expose(), name);
        let low = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight of 32 bytes"));
        match low.trailing_zeros() {
            zeros if zeros < LEAF_BITS => 0,
            zeros => 1 + (zeros - LEAF_BITS) / BRANCH_BITS,
        }
    }
}

/// Writes a directory of sorted `nodes` through `put`, which stores a tree blob and gives its id; gives the root's id.
pub fn write_directory(
    nodes: Vec<Node>,
    owners: &Owners,
    borders: &Borders,
    put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
) -> Result<BlobId> {
    let mut writer = DirectoryWriter::default();
    for node in nodes {
        writer.push(node, owners, borders, put)?;
    }
    writer.finish(owners, borders, put)
}

/// No node is encoded in fewer bytes than these, one for each of its fields, and what [`weight`] adds to them.
const NODE_BYTES_MIN: usize = 13;

/// A page ends, whatever the names, as soon as its nodes weigh so much: a file may carry megabytes of attributes.
const PAGE_WEIGHT: usize = 2 << 20;

/// What a node takes at least in a page: its names, attributes and ids, whose number nobody but the source bounds.
fn weight(node: &Node) -> usize {
    let attributes: usize = node
        .xattrs
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let content = match &node.content {
        Content::Symlink(target) => target.len(),
        Content::File(file) => {
            let ids = match &file.chunks {
                Chunks::Direct(ids) => ids.len(),
                Chunks::Lists { lists, .. } => lists.len(),
            };
            let extents = file.extents.as_ref().map_or(0, Vec::len);
            ids * ID_LEN + 2 * extents
        }
        _ => 0,
    };
    NODE_BYTES_MIN + node.name.len() + attributes + content
}

/// Writes a directory whose nodes come one after the other, in the order of their names.
///
/// Memory: the nodes of a page, or of a directory that may still fit into one blob; the names of all pages.
#[derive(Default)]
pub struct DirectoryWriter {
    /// The leaves that are written.
    pages: Vec<Page>,
    /// The nodes behind them.
    nodes: Vec<Node>,
    /// What these weigh.
    weight: usize,
    /// Whether the directory is too large for one blob for sure: it is written page by page.
    split: bool,
}

impl DirectoryWriter {
    /// Adds a node, whose name is greater than all before.
    pub fn push(
        &mut self,
        node: Node,
        owners: &Owners,
        borders: &Borders,
        put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
    ) -> Result<()> {
        debug_assert!(self.nodes.last().is_none_or(|last| last.name < node.name));
        if self.split {
            return self.push_to_page(node, owners, borders, put);
        }
        self.weight += weight(&node);
        self.nodes.push(node);
        match self.weight > LEAF_BYTES {
            true => self.split(owners, borders, put),
            false => Ok(()),
        }
    }

    fn push_to_page(
        &mut self,
        node: Node,
        owners: &Owners,
        borders: &Borders,
        put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
    ) -> Result<()> {
        self.weight += weight(&node);
        let ends = self.weight >= PAGE_WEIGHT || borders.levels(&node.name) >= 1;
        self.nodes.push(node);
        match ends {
            true => self.end_page(owners, put),
            false => Ok(()),
        }
    }

    /// Writes the pages that end among the nodes kept so far.
    fn split(
        &mut self,
        owners: &Owners,
        borders: &Borders,
        put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
    ) -> Result<()> {
        (self.split, self.weight) = (true, 0);
        for node in std::mem::take(&mut self.nodes) {
            self.push_to_page(node, owners, borders, put)?;
        }
        Ok(())
    }

    fn end_page(
        &mut self,
        owners: &Owners,
        put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
    ) -> Result<()> {
        self.weight = 0;
        let page = put_leaf(std::mem::take(&mut self.nodes), owners, put)?;
        self.pages.push(page);
        Ok(())
    }

    /// Writes what is left; gives the root's id.
    pub fn finish(
        mut self,
        owners: &Owners,
        borders: &Borders,
        put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
    ) -> Result<BlobId> {
        if !self.split {
            let whole = leaf(std::mem::take(&mut self.nodes), owners);
            let bytes = codec::encode(&whole);
            let Tree::Leaf(Leaf { nodes, .. }) = whole else {
                unreachable!("just made a leaf")
            };
            if bytes.len() <= LEAF_BYTES || nodes.len() < 2 {
                return put(&bytes);
            }
            self.nodes = nodes;
            self.split(owners, borders, put)?;
        }
        if !self.nodes.is_empty() {
            self.end_page(owners, put)?;
        }
        join_pages(self.pages, borders, put)
    }
}

fn leaf(nodes: Vec<Node>, owners: &Owners) -> Tree {
    let names = |ids: &mut dyn Iterator<Item = u32>, name: &dyn Fn(u32) -> Option<String>| {
        let found: BTreeMap<u32, String> = ids.filter_map(|id| Some((id, name(id)?))).collect();
        found.into_iter().collect()
    };
    let users = names(&mut nodes.iter().map(|n| n.uid), &|id| {
        owners.user(id).map(str::to_owned)
    });
    let groups = names(&mut nodes.iter().map(|n| n.gid), &|id| {
        owners.group(id).map(str::to_owned)
    });
    Tree::Leaf(Leaf {
        users,
        groups,
        nodes,
        ext: Vec::new(),
    })
}

fn put_leaf(
    nodes: Vec<Node>,
    owners: &Owners,
    put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
) -> Result<Page> {
    let last = nodes
        .last()
        .map(|node| node.name.clone())
        .unwrap_or_default();
    let count = nodes.len() as u64;
    let id = put(&codec::encode(&leaf(nodes, owners)))?;
    Ok(Page {
        last,
        id,
        nodes: count,
    })
}

/// Joins pages into branches until one blob holds them all.
fn join_pages(
    mut pages: Vec<Page>,
    borders: &Borders,
    put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
) -> Result<BlobId> {
    for height in 1..=crate::format::tree::HEIGHT_MAX {
        if pages.len() == 1 {
            return Ok(pages[0].id);
        }
        let top = height == crate::format::tree::HEIGHT_MAX;
        let mut above = Vec::new();
        let mut branch = Vec::new();
        for page in pages {
            let ends = !top && borders.levels(&page.last) > u32::from(height);
            branch.push(page);
            if ends {
                above.push(put_branch(height, std::mem::take(&mut branch), put)?);
            }
        }
        if !branch.is_empty() {
            above.push(put_branch(height, branch, put)?);
        }
        pages = above;
    }
    Ok(pages[0].id)
}

fn put_branch(
    height: u8,
    pages: Vec<Page>,
    put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
) -> Result<Page> {
    let last = pages
        .last()
        .map(|page| page.last.clone())
        .unwrap_or_default();
    let nodes = pages.iter().map(|page| page.nodes).sum();
    let id = put(&codec::encode(&Tree::Branch(Branch {
        height,
        pages,
        ext: Vec::new(),
    })))?;
    Ok(Page { last, id, nodes })
}
