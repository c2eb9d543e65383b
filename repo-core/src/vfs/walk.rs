//! What lies below a directory.

use crate::error::Result;
use crate::format::tree::Node;
use crate::id::BlobId;
use crate::repo::Repo;
use crate::tree::Nodes;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Nodes in the order of a walk: a directory, what lies in it by the bytes of the names, each with what lies below.
///
/// Nothing is entered unless the caller says so. Memory: one page a level.
pub struct Walk<'r> {
    repo: &'r Repo,
    stack: Vec<(PathBuf, Nodes)>,
}

impl<'r> Walk<'r> {
    /// Begins with the directory of this tree, which has this path.
    pub fn new(repo: &'r Repo, tree: &BlobId, path: PathBuf) -> Result<Self> {
        let mut walk = Self {
            repo,
            stack: Vec::new(),
        };
        walk.enter(path, tree)?;
        Ok(walk)
    }

    /// The next node and its path. After an error, which is about the directory at [`Walk::path`], the walk may go on with its next
    /// page.
    pub fn next_node(&mut self) -> Result<Option<(PathBuf, Node)>> {
        while let Some((path, nodes)) = self.stack.last_mut() {
            if let Some(node) = nodes.next(self.repo)? {
                let path = path.join(OsStr::from_bytes(&node.name));
                return Ok(Some((path, node)));
            }
            self.stack.pop();
        }
        Ok(None)
    }

    /// Goes on with what lies in the directory of this path and tree.
    pub fn enter(&mut self, path: PathBuf, tree: &BlobId) -> Result<()> {
        let nodes = Nodes::open(self.repo, tree)?;
        self.stack.push((path, nodes));
        Ok(())
    }

    /// The directory that the walk is in.
    pub fn path(&self) -> &Path {
        self.stack.last().map_or(Path::new("/"), |(path, _)| path)
    }

    /// What the owner of this number was called where the backup was made; of the node given last, before its directory is entered.
    pub fn user(&self, uid: u32) -> Option<&str> {
        self.stack.last().and_then(|(_, nodes)| nodes.user(uid))
    }

    /// The same of a group.
    pub fn group(&self, gid: u32) -> Option<&str> {
        self.stack.last().and_then(|(_, nodes)| nodes.group(gid))
    }
}
