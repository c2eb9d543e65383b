//! Lists a snapshot.

use crate::error::Result;
use crate::format::tree::{Content, Node};
use crate::id::SnapshotId;
use crate::repo::Repo;
use crate::vfs::{Top, Walk, clean};
use std::path::{Path, PathBuf};

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
    let top = Top::open(repo, snapshot, options.subfolder.as_deref())?;
    let paths: Vec<PathBuf> = options.paths.iter().map(|path| clean(path)).collect();
    for path in &paths {
        top.find(repo, path)?;
    }
    let filter = Filter {
        paths,
        recursive: options.recursive,
    };
    let mut walk = Walk::new(repo, &top.tree, PathBuf::from("/"))?;
    while let Some((path, node)) = walk.next_node()? {
        if filter.lists(&path) {
            each(&path, &node)?;
        }
        if let Content::Dir(Some(tree)) = &node.content
            && filter.enters(&path)
        {
            walk.enter(path, tree)?;
        }
    }
    Ok(())
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
}
