//! Looks ahead: directories are listed, and the parent's trees read, on the pool while the walk is elsewhere.

use crate::error::Result;
use crate::format::tree::{Content, Node};
use crate::fs::{Dir, Scan, Xattr, xattrs_of};
use crate::id::BlobId;
use crate::repo::{Repo, Ticket};
use crate::tree::load_nodes;
use std::collections::VecDeque;
use std::sync::Arc;

/// Subdirectories of one directory that are listed ahead. Each holds a file descriptor and its list of names.
const AHEAD_MAX: usize = 16;

/// A directory, listed.
pub struct Listed {
    /// The directory.
    pub dir: Arc<Dir>,
    /// Its entries.
    pub scan: Scan,
    /// Its own extended attributes.
    pub xattrs: Vec<Xattr>,
    /// The parent's version of it.
    pub old: Option<OldNodes>,
}

/// The parent's version of a directory.
pub struct OldNodes {
    /// Its tree.
    pub tree: BlobId,
    /// Its nodes, taken out one by one in order.
    nodes: std::iter::Peekable<std::vec::IntoIter<Node>>,
    trees: std::collections::BTreeMap<Vec<u8>, BlobId>,
    /// How many there were.
    pub count: usize,
}

impl OldNodes {
    /// Loads the nodes of a tree.
    pub fn load(repo: &Repo, tree: BlobId) -> Result<Self> {
        let nodes = load_nodes(repo, &tree)?;
        let tree_of = |node: &Node| match &node.content {
            Content::Dir(Some(tree)) => Some((node.name.clone(), *tree)),
            _ => None,
        };
        let trees = nodes.iter().filter_map(tree_of).collect();
        Ok(Self {
            tree,
            count: nodes.len(),
            trees,
            nodes: nodes.into_iter().peekable(),
        })
    }

    /// The tree of the subdirectory of that name.
    pub fn subtree(&self, name: &[u8]) -> Option<BlobId> {
        self.trees.get(name).copied()
    }

    /// Takes out the node of that name; names must be asked for in ascending order.
    pub fn take(&mut self, name: &[u8]) -> Option<Node> {
        while self.nodes.peek()?.name.as_slice() < name {
            self.nodes.next();
        }
        self.nodes.next_if(|node| node.name == name)
    }
}

/// Opens and lists a directory, and reads the parent's version. A parent that cannot be read is none: its files are
/// read again, which heals them.
pub fn list(repo: &Repo, dir: Dir, old: Option<BlobId>) -> Result<Listed> {
    let scan = dir.scan()?;
    let xattrs = xattrs_of(&dir)?;
    let old = old.and_then(|tree| OldNodes::load(repo, tree).ok());
    Ok(Listed {
        dir: Arc::new(dir),
        scan,
        xattrs,
        old,
    })
}

/// The listings under way for one directory's subdirectories, in order.
#[derive(Default)]
pub struct Ahead {
    tickets: VecDeque<(usize, Ticket<Result<Listed>>)>,
    next: usize,
}

impl Ahead {
    /// Starts listings of subdirectories from where it left off, as far as allowed; `old` is the parent's
    /// version of the directory.
    pub fn fill(
        &mut self,
        repo: &Repo,
        dir: &Arc<Dir>,
        scan: &Scan,
        from: usize,
        old: Option<&OldNodes>,
    ) {
        self.next = self.next.max(from);
        while self.tickets.len() < AHEAD_MAX && self.next < scan.len() {
            let index = self.next;
            self.next += 1;
            if scan.kind_hint(index) != Some(crate::fs::Kind::Dir) {
                continue;
            }
            let (name, dir, job_repo) = (scan.name(index).to_vec(), dir.clone(), repo.clone());
            let old = old.and_then(|old| old.subtree(&name));
            let job = move || list(&job_repo, dir.open_dir(&name)?, old);
            self.tickets.push_back((index, repo.pool().submit(job)));
        }
    }

    /// The listing of entry `index`, if it was started.
    pub fn take(&mut self, index: usize) -> Option<Ticket<Result<Listed>>> {
        while self.tickets.front()?.0 < index {
            self.tickets.pop_front();
        }
        self.tickets
            .pop_front_if(|first| first.0 == index)
            .map(|(_, ticket)| ticket)
    }
}
