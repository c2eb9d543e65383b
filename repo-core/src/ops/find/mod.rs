//! Find: what matches, in all snapshots at once.
//!
//! All snapshots are walked side by side: what has the same tree at a path is one, and each tree blob is read once for each path, however
//! many snapshots have it. Where there is a cache, a table in it of all versions is searched instead.

mod history;
mod ids;
mod table;
mod wanted;

pub use ids::{FoundObject, ObjectIds, find_objects};
#[cfg(test)]
pub use table::{Limits, find as find_in_table};
pub use wanted::{Patterns, SizeIs, Wanted};

use crate::error::Result;
use crate::format::tree::{Content, FileContent, Node};
use crate::id::BlobId;
use crate::progress::{Interrupt, Problems, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use history::{Snaps, Visitor, walk};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use wanted::Mark;

/// A version of what matches, and where it is.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its path.
    pub path: PathBuf,
    /// Its node, without extended attributes, chunks and tree.
    pub node: Node,
    /// The first of the snapshots that has it, by its place among those that were searched.
    pub first: usize,
    /// The last of them.
    pub last: usize,
    /// How many of them have it.
    pub count: usize,
}

/// Told of each version.
pub type TellVersion<'a> = dyn FnMut(Version) -> Result<()> + 'a;

/// Finds what is wanted in these snapshots; each distinct version at a path once, those of a directory together, by name. Gives how many
/// directories could not be read; each was reported.
///
/// With a cache, a table of all versions is brought up to date with these snapshots and searched; it is done without if something cannot
/// be read, or kept ([`Shared::cache_failure`](crate::repo::Shared::cache_failure)).
///
/// Memory: with the table what is found, and up to 250 MiB while it grows; otherwise one directory of all versions, and what waits of each
/// above it.
pub fn find(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    wanted: &Wanted,
    tell: &mut TellVersion<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<u64> {
    let _following = repo.follow();
    if let Some(found) = table::find(repo, snapshots, wanted, &Default::default(), interrupt)? {
        found.into_iter().try_for_each(tell)?;
        return Ok(0);
    }
    let problems = Problems::new(progress);
    let mut finding = Finding {
        wanted,
        tell,
        met: BTreeMap::new(),
    };
    walk(repo, snapshots, &mut finding, &problems, interrupt)?;
    Ok(problems.seen())
}

/// What was met in the directory at hand.
struct Finding<'a, 't> {
    wanted: &'a Wanted,
    tell: &'a mut TellVersion<'t>,
    met: BTreeMap<Vec<u8>, Vec<(Node, Snaps)>>,
}

impl Visitor for Finding<'_, '_> {
    type Mark = Mark;

    fn root(&self) -> Mark {
        self.wanted.root()
    }

    fn blob(&mut self, _: &Path, _: &BlobId, _: &Snaps) -> Result<()> {
        Ok(())
    }

    fn node(
        &mut self,
        (path, mark): (&Path, &Mark),
        _: &BlobId,
        node: Node,
        snaps: &Snaps,
    ) -> Result<Option<Mark>> {
        let (matches, mark) = self.wanted.name(path, mark, &node.name);
        let is_dir = node.content.tree().is_some();
        if matches && self.wanted.fits(&node) {
            let versions = self.met.entry(node.name.clone()).or_default();
            match versions.iter_mut().find(|(known, _)| *known == node) {
                Some((_, known)) => *known = known.with(snaps),
                None => versions.push((node, snaps.clone())),
            }
        }
        Ok(mark.filter(|_| is_dir))
    }

    fn left(&mut self, path: &Path) -> Result<()> {
        for (name, versions) in std::mem::take(&mut self.met) {
            for (node, snaps) in versions {
                let (first, last) = snaps.ends();
                (self.tell)(Version {
                    path: path.join(OsStr::from_bytes(&name)),
                    node: small(node),
                    first,
                    last,
                    count: snaps.len(),
                })?;
            }
        }
        Ok(())
    }
}

/// What is shown of a node: without what may be long.
fn small(node: Node) -> Node {
    let content = match node.content {
        Content::File(file) => Content::File(FileContent {
            size: file.size,
            ..FileContent::default()
        }),
        Content::Dir(_) => Content::Dir(None),
        other => other,
    };
    Node {
        content,
        xattrs: Vec::new(),
        ext: Vec::new(),
        ..node
    }
}
