//! Directories of snapshots for access by name and by place, with the pages that were read last.

use super::generations::Generations;
use crate::error::{Error, Result, Subject};
use crate::format::tree::{Content, HEIGHT_MAX, Node, Page, Tree};
use crate::id::BlobId;
use crate::repo::{Repo, lock};
use crate::tree::load_page;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

/// Decoded pages are kept up to about this many bytes.
const CACHE_BYTES: usize = 16 << 20;

/// Where a node stands: its directory's tree, the page in it and the node in that. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spot {
    /// The tree of the directory.
    pub tree: BlobId,
    /// The page, counted from 0.
    pub page: u32,
    /// The node in the page, counted from 0.
    pub at: u32,
}

/// A node in its page.
#[derive(Debug, Clone)]
pub struct NodeRef {
    nodes: Arc<Vec<Node>>,
    at: usize,
    /// Where it stands.
    pub spot: Spot,
}

impl Deref for NodeRef {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.nodes[self.at]
    }
}

/// What a tree blob holds.
#[derive(Clone)]
enum Held {
    Nodes(Arc<Vec<Node>>),
    /// The pages of a large directory: the last name and the blob of each.
    Pages(Arc<Vec<(Vec<u8>, BlobId)>>),
}

/// Reads directories. Memory: 16 MiB, and the page that is read.
pub struct Directories {
    repo: Repo,
    cache: Mutex<Generations<BlobId, Held>>,
}

impl Directories {
    /// Of this repository.
    pub fn new(repo: Repo) -> Self {
        Self {
            repo,
            cache: Mutex::new(Generations::new(CACHE_BYTES)),
        }
    }

    /// The node of a name in a directory, if there is one.
    pub fn find(&self, tree: &BlobId, name: &[u8]) -> Result<Option<NodeRef>> {
        let page = match self.held(tree)? {
            Held::Nodes(_) => 0,
            Held::Pages(pages) => pages.partition_point(|(last, _)| last.as_slice() < name),
        };
        let Some(nodes) = self.page(tree, page)? else {
            return Ok(None);
        };
        let found = nodes.binary_search_by(|node| node.name.as_slice().cmp(name));
        Ok(found.ok().map(|at| node_ref(nodes, (tree, page, at))))
    }

    /// The node at a spot. `Damaged` if there is none.
    pub fn node(&self, spot: &Spot) -> Result<NodeRef> {
        let nodes = self.page(&spot.tree, spot.page as usize)?;
        let nodes = nodes.filter(|nodes| (spot.at as usize) < nodes.len());
        let nodes = nodes.ok_or_else(|| {
            Error::damaged(Subject::Blob(spot.tree)).detail("has fewer nodes than before")
        })?;
        let (page, at) = (spot.page as usize, spot.at as usize);
        Ok(node_ref(nodes, (&spot.tree, page, at)))
    }

    /// The first node of a directory that stands at `page` and `at` or behind, if there is one.
    pub fn next(&self, tree: &BlobId, mut page: usize, mut at: usize) -> Result<Option<NodeRef>> {
        while let Some(nodes) = self.page(tree, page)? {
            if at < nodes.len() {
                return Ok(Some(node_ref(nodes, (tree, page, at))));
            }
            (page, at) = (page + 1, 0);
        }
        Ok(None)
    }

    /// The nodes of a page of a directory, if it has so many pages.
    fn page(&self, tree: &BlobId, page: usize) -> Result<Option<Arc<Vec<Node>>>> {
        let pages = match self.held(tree)? {
            Held::Nodes(nodes) => return Ok((page == 0).then_some(nodes)),
            Held::Pages(pages) => pages,
        };
        let Some((last, id)) = pages.get(page) else {
            return Ok(None);
        };
        let above = |nodes: &[Node]| match page.checked_sub(1) {
            Some(before) => nodes.first().is_none_or(|node| node.name > pages[before].0),
            None => true,
        };
        match self.held(id)? {
            Held::Nodes(nodes)
                if nodes.last().is_some_and(|node| node.name == *last) && above(&nodes) =>
            {
                Ok(Some(nodes))
            }
            _ => Err(Error::damaged(Subject::Blob(*id)).detail("is not the page that it must be")),
        }
    }

    fn held(&self, id: &BlobId) -> Result<Held> {
        if let Some(held) = lock(&self.cache).get(id) {
            return Ok(held);
        }
        let (held, cost) = match load_page(&self.repo, id)? {
            Tree::Leaf(leaf) => {
                let cost = leaf.nodes.iter().map(cost).sum();
                (Held::Nodes(Arc::new(leaf.nodes)), cost)
            }
            Tree::Branch(branch) => {
                let mut pages = Vec::new();
                self.flatten(branch.pages, branch.height, HEIGHT_MAX, &mut pages)?;
                let cost = pages.iter().map(|(last, _)| 64 + last.len()).sum();
                (Held::Pages(Arc::new(pages)), cost)
            }
            Tree::Chunks(_) => return Err(misplaced(id)),
        };
        lock(&self.cache).put(*id, held.clone(), cost);
        Ok(held)
    }

    /// The pages with nodes below a branch of this height.
    fn flatten(
        &self,
        below: Vec<Page>,
        height: u8,
        height_max: u8,
        pages: &mut Vec<(Vec<u8>, BlobId)>,
    ) -> Result<()> {
        for page in below {
            if height == 0 || height > height_max {
                return Err(misplaced(&page.id));
            }
            // A branch may stand where a page could; only one of height 1 is known to have pages with nodes.
            match height {
                1 => pages.push((page.last, page.id)),
                _ => match load_page(&self.repo, &page.id)? {
                    Tree::Branch(branch) => {
                        self.flatten(branch.pages, branch.height, height - 1, pages)?;
                    }
                    _ => pages.push((page.last, page.id)),
                },
            }
        }
        Ok(())
    }
}

fn misplaced(id: &BlobId) -> Error {
    Error::damaged(Subject::Blob(*id)).detail("is no page of a directory")
}

fn node_ref(nodes: Arc<Vec<Node>>, (tree, page, at): (&BlobId, usize, usize)) -> NodeRef {
    let spot = Spot {
        tree: *tree,
        page: page as u32,
        at: at as u32,
    };
    NodeRef { nodes, at, spot }
}

/// About what a node takes in memory.
fn cost(node: &Node) -> usize {
    let attributes = node.xattrs.iter();
    let attributes: usize = attributes
        .map(|(name, value)| 48 + name.len() + value.len())
        .sum();
    let content = match &node.content {
        Content::File(file) => match &file.chunks {
            crate::format::tree::Chunks::Direct(ids) => 32 * ids.len(),
            crate::format::tree::Chunks::Lists { lists, .. } => 32 * lists.len(),
        },
        Content::Symlink(target) => target.len(),
        _ => 0,
    };
    size_of::<Node>() + node.name.len() + attributes + content
}
