//! Looks ahead: directories are listed, and the parent's trees read, on the pool while the walk is elsewhere.

use super::read::Attributes;
use super::select::{Chosen, Taken, Unclear};
use crate::error::Result;
use crate::format::tree::Node;
use crate::fs::{Dir, Scan};
use crate::id::BlobId;
use crate::repo::{Repo, Ticket};
use crate::tree::Nodes;
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Subdirectories of one directory that are listed ahead. Each holds a file descriptor and its list of names.
const AHEAD_MAX: usize = 16;

/// Those of all directories from the root to where the walk is.
const AHEAD_ALL_MAX: usize = 64;

/// Entries among which they are looked for: the parent's nodes up to there are in memory.
const AHEAD_ENTRIES: usize = 4096;

/// A directory, listed.
pub struct Listed {
    /// The directory.
    pub dir: Arc<Dir>,
    /// Its entries.
    pub scan: Scan,
    /// What is taken of it.
    pub chosen: Chosen,
    /// Entries that are not.
    pub excluded: u64,
    /// Files that say so, and cannot be followed in everything.
    pub unclear: Vec<Unclear>,
    /// Its own extended attributes.
    pub xattrs: Attributes,
    /// The parent's version of it.
    pub old: Option<OldNodes>,
}

/// The parent's version of a directory, read as the walk gets there.
///
/// A page that cannot be read ends it: its files are read again, which heals them. Memory: the nodes from where the walk
/// is to the subdirectory that is looked at ahead, and one page.
pub struct OldNodes {
    /// Its tree.
    pub tree: BlobId,
    repo: Repo,
    unread: Option<Nodes>,
    read: VecDeque<Node>,
    /// How many there were.
    pub count: u64,
}

impl OldNodes {
    /// Loads the first nodes of a tree.
    pub fn load(repo: &Repo, tree: BlobId) -> Result<Self> {
        let nodes = Nodes::open(repo, &tree)?;
        Ok(Self {
            tree,
            repo: repo.clone(),
            count: nodes.count(),
            unread: Some(nodes),
            read: VecDeque::new(),
        })
    }

    /// Reads nodes until one is not before `name`.
    fn read_to(&mut self, name: &[u8]) {
        while self
            .read
            .back()
            .is_none_or(|last| last.name.as_slice() < name)
        {
            let next = self.unread.as_mut().map(|nodes| nodes.next(&self.repo));
            match next {
                Some(Ok(Some(node))) => self.read.push_back(node),
                _ => {
                    self.unread = None;
                    return;
                }
            }
        }
    }

    /// The tree of the subdirectory of that name; names must be asked for in ascending order.
    pub fn subtree(&mut self, name: &[u8]) -> Option<BlobId> {
        self.read_to(name);
        let at = self
            .read
            .binary_search_by(|node| node.name.as_slice().cmp(name));
        self.read.get(at.ok()?)?.content.tree()
    }

    /// Takes out the node of that name; names must be asked for in ascending order.
    pub fn take(&mut self, name: &[u8]) -> Option<Node> {
        self.read_to(name);
        while self.read.front()?.name.as_slice() < name {
            self.read.pop_front();
        }
        self.read.pop_front_if(|node| node.name == name)
    }
}

/// Lists what is chosen of an open directory, and reads the parent's version. A parent that cannot be read is none: its files
/// are read again, which heals them.
pub fn list(repo: &Repo, dir: Dir, chosen: Chosen, old: Option<BlobId>) -> Result<Listed> {
    let Taken {
        scan,
        chosen,
        excluded,
        unclear,
    } = chosen.take(&dir)?;
    let xattrs = Attributes::of(&dir);
    let old = old.and_then(|tree| OldNodes::load(repo, tree).ok());
    Ok(Listed {
        dir: Arc::new(dir),
        scan,
        chosen,
        excluded,
        unclear,
        xattrs,
        old,
    })
}

/// The listings under way for one directory's subdirectories, in order.
pub struct Ahead {
    tickets: VecDeque<(usize, Ticket<Result<Listed>>)>,
    next: usize,
    /// How many there are in all directories of the walk.
    all: Rc<Cell<usize>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.tickets.len());
    }
}

impl Ahead {
    /// None yet; `all` counts those of all directories of the walk.
    pub fn new(all: &Rc<Cell<usize>>) -> Self {
        Self {
            tickets: VecDeque::new(),
            next: 0,
            all: all.clone(),
        }
    }

    /// Starts listings of subdirectories of a directory from where it left off, as far as allowed, before entry `from`
    /// is looked at.
    pub fn fill(&mut self, repo: &Repo, listed: &mut Listed, from: usize) {
        let Listed {
            dir,
            scan,
            chosen,
            old,
            ..
        } = listed;
        self.next = self.next.max(from);
        let end = scan.len().min(from + AHEAD_ENTRIES);
        let room = || self.all.get() < AHEAD_ALL_MAX;
        while self.tickets.len() < AHEAD_MAX && room() && self.next < end {
            let index = self.next;
            self.next += 1;
            if scan.kind_hint(index) != Some(crate::fs::Kind::Dir) {
                continue;
            }
            let Some(chosen) = chosen.ahead(scan, index) else {
                continue;
            };
            let (name, dir, job_repo) = (scan.name(index).to_vec(), dir.clone(), repo.clone());
            let old = old.as_mut().and_then(|old| old.subtree(&name));
            let job = move || list(&job_repo, dir.open_dir(&name)?, chosen, old);
            self.tickets.push_back((index, repo.pool().submit(job)));
            self.all.set(self.all.get() + 1);
        }
    }

    /// The listing of entry `index`, if it was started.
    pub fn take(&mut self, index: usize) -> Option<Ticket<Result<Listed>>> {
        while self.tickets.front()?.0 <= index {
            self.all.set(self.all.get() - 1);
            let (at, ticket) = self.tickets.pop_front()?;
            if at == index {
                return Some(ticket);
            }
        }
        None
    }
}
