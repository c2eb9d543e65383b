//! From a path to what has it.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, Node};
use crate::id::{BlobId, SnapshotId};
use crate::repo::Repo;
use crate::tree::Nodes;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The path from the root, without `.` and `..` in it.
pub fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

/// A snapshot, or a folder of it that is looked at as if it were all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Top {
    /// Its tree.
    pub tree: BlobId,
    /// Its path in the snapshot; `/` is all.
    pub folder: PathBuf,
}

/// What has a path.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its path below the top, cleaned.
    pub path: PathBuf,
    /// Its node; none of the top itself.
    pub node: Option<Node>,
    /// What its owner was called where the backup was made.
    pub user: Option<String>,
    /// The same of its group.
    pub group: Option<String>,
    /// Its tree, if it is a directory that could be read.
    pub tree: Option<BlobId>,
}

impl Found {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        let node = self.node.as_ref().map(|node| &node.content);
        matches!(node, None | Some(Content::Dir(_)))
    }
}

impl Top {
    /// Opens a snapshot, or a folder in it. `NotFound` if there is no such folder.
    pub fn open(repo: &Repo, snapshot: &SnapshotId, folder: Option<&Path>) -> Result<Self> {
        let whole = Self {
            tree: repo.load_snapshot(snapshot)?.summary.root,
            folder: PathBuf::from("/"),
        };
        let Some(folder) = folder else {
            return Ok(whole);
        };
        let found = whole.find(repo, folder)?;
        match found.tree {
            Some(tree) => Ok(Self {
                tree,
                folder: found.path,
            }),
            None => Err(Error::new(ErrorKind::NotFound, Subject::Path(found.path))
                .detail("is no folder that could be read")),
        }
    }

    /// What has this path below the top; `NotFound`, about the first part of the path that is not there, if nothing has.
    pub fn find(&self, repo: &Repo, path: &Path) -> Result<Found> {
        let path = clean(path);
        let mut found = Found {
            path: PathBuf::from("/"),
            node: None,
            user: None,
            group: None,
            tree: Some(self.tree),
        };
        for part in path.components() {
            let Component::Normal(name) = part else {
                continue;
            };
            let at = found.path.join(name);
            let below = match &found.tree {
                Some(tree) => named(repo, tree, name.as_bytes(), &at)?,
                None => None,
            };
            found = below.ok_or_else(|| {
                let at = self.in_snapshot(&at);
                Error::new(ErrorKind::NotFound, Subject::Path(at)).detail("not in the snapshot")
            })?;
        }
        Ok(found)
    }

    /// The path in the snapshot of what has `path` below the top.
    pub fn in_snapshot(&self, path: &Path) -> PathBuf {
        self.folder.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// What has this name in a directory.
fn named(repo: &Repo, tree: &BlobId, name: &[u8], path: &Path) -> Result<Option<Found>> {
    let mut nodes = Nodes::open(repo, tree)?;
    Ok(nodes.find(repo, name)?.map(|node| Found {
        path: path.to_path_buf(),
        user: nodes.user(node.uid).map(str::to_owned),
        group: nodes.group(node.gid).map(str::to_owned),
        tree: node.content.tree(),
        node: Some(node),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        assert_eq!(clean(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(clean(Path::new("a//b/")), Path::new("/a/b"));
        assert_eq!(clean(Path::new("/../..")), Path::new("/"));
    }

    #[test]
    fn paths_below_a_folder_have_one_in_the_snapshot() {
        let top = Top {
            tree: BlobId([0; 32]),
            folder: "/srv/www".into(),
        };
        assert_eq!(top.in_snapshot(Path::new("/a")), Path::new("/srv/www/a"));
        assert_eq!(top.in_snapshot(Path::new("/")), Path::new("/srv/www/"));
    }
}
