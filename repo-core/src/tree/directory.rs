//! Writes a directory as tree blobs.

use crate::crypto::Secret;
use crate::error::Result;
use crate::format::codec;
use crate::format::tree::{Branch, Leaf, Node, Page, Tree};
use crate::fs::Owners;
use crate::id::BlobId;
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
///
/// Takes memory for the encoded pages that are not yet put, at most one page a level.
pub fn write_directory(
    nodes: Vec<Node>,
    owners: &Owners,
    borders: &Borders,
    put: &mut dyn FnMut(&[u8]) -> Result<BlobId>,
) -> Result<BlobId> {
    debug_assert!(nodes.is_sorted_by(|a, b| a.name < b.name));
    let count = nodes.len();
    let whole = leaf(nodes, owners);
    let bytes = codec::encode(&whole);
    let Tree::Leaf(Leaf { nodes, .. }) = whole else {
        unreachable!("just made a leaf")
    };
    if bytes.len() <= LEAF_BYTES || count < 2 {
        return put(&bytes);
    }
    drop(bytes);
    let mut pages = Vec::new();
    let mut page = Vec::new();
    for node in nodes {
        let ends = borders.levels(&node.name) >= 1;
        page.push(node);
        if ends {
            pages.push(put_leaf(std::mem::take(&mut page), owners, put)?);
        }
    }
    if !page.is_empty() {
        pages.push(put_leaf(page, owners, put)?);
    }
    join_pages(pages, borders, put)
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
