//! Lists a snapshot.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, Node};
use crate::id::{BlobId, SnapshotId};
use crate::repo::Repo;
use crate::tree::{Nodes, find_node};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Calls `each` for the nodes of a snapshot in order of their paths: what `below` names, and what lies below it, all levels
/// if `recursive`. `NotFound` if there is nothing of that path. Memory: one page a level.
pub fn ls(
    repo: &Repo,
    snapshot: &SnapshotId,
    below: &Path,
    recursive: bool,
    each: &mut dyn FnMut(&Path, &Node) -> Result<()>,
) -> Result<()> {
    let mut tree = repo.load_snapshot(snapshot)?.summary.root;
    let mut path = PathBuf::from("/");
    for part in below.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        path.push(name);
        let found = find_node(repo, &tree, name.as_bytes())?;
        let none = || {
            Error::new(ErrorKind::NotFound, Subject::Path(path.clone()))
                .detail("not in the snapshot")
        };
        let node = found.ok_or_else(none)?;
        match node.content {
            Content::Dir(Some(below)) => tree = below,
            _ => return each(&path, &node),
        }
    }
    walk(repo, &tree, &path, recursive, each)
}

fn walk(
    repo: &Repo,
    tree: &BlobId,
    path: &Path,
    recursive: bool,
    each: &mut dyn FnMut(&Path, &Node) -> Result<()>,
) -> Result<()> {
    let mut stack = vec![(path.to_path_buf(), Nodes::open(repo, tree)?)];
    while let Some((path, nodes)) = stack.last_mut() {
        let Some(node) = nodes.next(repo)? else {
            stack.pop();
            continue;
        };
        let below = path.join(OsStr::from_bytes(&node.name));
        each(&below, &node)?;
        if let (true, Content::Dir(Some(tree))) = (recursive, &node.content) {
            stack.push((below, Nodes::open(repo, tree)?));
        }
    }
    Ok(())
}
