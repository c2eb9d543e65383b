//! Lists a snapshot.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, Node};
use crate::id::{BlobId, SnapshotId};
use crate::repo::Repo;
use crate::tree::{Nodes, find_node};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// What of a snapshot is listed.
#[derive(Debug, Clone, Default)]
pub struct LsOptions {
    /// The folder that is listed as if it were the whole snapshot.
    pub subfolder: Option<PathBuf>,
    /// List these paths and what lies directly below them; without any, everything.
    pub paths: Vec<PathBuf>,
    /// List all that lies below the paths.
    pub recursive: bool,
}

/// Calls `each` for nodes of a snapshot in order of their paths, each once, with its path in the snapshot or in the subfolder.
///
/// `NotFound`, before anything is listed, if there is nothing of one of the paths. Memory: one page a level.
pub fn ls(
    repo: &Repo,
    snapshot: &SnapshotId,
    options: &LsOptions,
    each: &mut dyn FnMut(&Path, &Node) -> Result<()>,
) -> Result<()> {
    let _following = repo.follow();
    let root = repo.load_snapshot(snapshot)?.summary.root;
    let top = match &options.subfolder {
        Some(folder) => lookup(repo, &root, Path::new("/"), &clean(folder))?,
        None => Some(root),
    };
    let folder = clean(options.subfolder.as_deref().unwrap_or(Path::new("")));
    let Some(top) = top else {
        let file = Error::new(ErrorKind::NotFound, Subject::Path(folder));
        return Err(file.detail("is no folder that could be read"));
    };
    let paths: Vec<PathBuf> = options.paths.iter().map(|path| clean(path)).collect();
    for path in &paths {
        lookup(repo, &top, &folder, path)?;
    }
    let filter = Filter {
        paths,
        recursive: options.recursive,
    };
    walk(repo, &top, &filter, each)
}

/// Whether a snapshot has anything at that path.
pub fn holds(repo: &Repo, snapshot: &SnapshotId, path: &Path) -> Result<bool> {
    let _following = repo.follow();
    let root = repo.load_snapshot(snapshot)?.summary.root;
    match lookup(repo, &root, Path::new("/"), &clean(path)) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true),
    }
}

/// The path from the root, without `.` and `..` in it.
fn clean(path: &Path) -> PathBuf {
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

/// The tree at `path` below the tree `top`, which is the one of `folder`; `None` if there is something else than a directory.
/// `NotFound` if there is nothing.
fn lookup(repo: &Repo, top: &BlobId, folder: &Path, path: &Path) -> Result<Option<BlobId>> {
    let (mut tree, mut at) = (Some(*top), folder.to_path_buf());
    for part in path.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        at.push(name);
        let node = match &tree {
            Some(tree) => find_node(repo, tree, name.as_bytes())?,
            None => None,
        };
        let none = || {
            Error::new(ErrorKind::NotFound, Subject::Path(at.clone())).detail("not in the snapshot")
        };
        tree = match node.ok_or_else(none)?.content {
            Content::Dir(below) => below,
            _ => None,
        };
    }
    Ok(tree)
}

/// Which nodes of a walk are listed.
struct Filter {
    paths: Vec<PathBuf>,
    recursive: bool,
}

impl Filter {
    /// Whether the node at `path` is one of the paths, or lies below one.
    fn lists(&self, path: &Path) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|wanted| path.starts_with(wanted))
    }

    /// Whether something below the directory at `path` is listed.
    fn enters(&self, path: &Path) -> bool {
        self.paths.is_empty()
            || self.paths.iter().any(|wanted| wanted.starts_with(path))
            || self.recursive && self.lists(path)
    }
}

fn walk(
    repo: &Repo,
    tree: &BlobId,
    filter: &Filter,
    each: &mut dyn FnMut(&Path, &Node) -> Result<()>,
) -> Result<()> {
    let mut stack = vec![(PathBuf::from("/"), Nodes::open(repo, tree)?)];
    while let Some((path, nodes)) = stack.last_mut() {
        let Some(node) = nodes.next(repo)? else {
            stack.pop();
            continue;
        };
        let below = path.join(OsStr::from_bytes(&node.name));
        if filter.lists(&below) {
            each(&below, &node)?;
        }
        if let Content::Dir(Some(tree)) = &node.content
            && filter.enters(&below)
        {
            stack.push((below, Nodes::open(repo, tree)?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(paths: &[&str], recursive: bool) -> Filter {
        Filter {
            paths: paths.iter().map(|path| clean(Path::new(path))).collect(),
            recursive,
        }
    }

    /// What is listed of a small tree, as a walk does it.
    fn listed(paths: &[&str], recursive: bool) -> Vec<&'static str> {
        let tree = ["/a", "/a/b", "/a/b/c", "/a/b/c/d", "/a/x", "/ab", "/e"];
        let filter = filter(paths, recursive);
        let reached = |path: &&str| {
            let mut above = Path::new(path).ancestors().skip(1);
            above.all(|above| above == Path::new("/") || filter.enters(above))
        };
        let listed = |path: &&str| filter.lists(Path::new(path));
        tree.into_iter().filter(reached).filter(listed).collect()
    }

    #[test]
    fn paths_are_listed_with_what_lies_directly_below() {
        assert_eq!(listed(&[], false).len(), 7);
        assert_eq!(listed(&["/a"], false), ["/a", "/a/b", "/a/x"]);
        assert_eq!(
            listed(&["/a"], true),
            ["/a", "/a/b", "/a/b/c", "/a/b/c/d", "/a/x"]
        );
        assert_eq!(listed(&["/a/b", "/e"], false), ["/a/b", "/a/b/c", "/e"]);
        assert_eq!(listed(&["/a", "/a/b/c"], false).len(), 5);
        assert_eq!(listed(&["/"], false), ["/a", "/ab", "/e"]);
    }

    #[test]
    fn paths_are_cleaned() {
        assert_eq!(clean(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(clean(Path::new("a//b/")), Path::new("/a/b"));
        assert_eq!(clean(Path::new("/../..")), Path::new("/"));
    }
}
