//! Restore: a snapshot, or a part of it, below a directory.
//!
//! The tree is walked in order and planned in *windows*: directories, links and devices are made at once, the chunks of
//! files are looked up. Then the window's blocks are read, each once, neighbours together, and every piece is written
//! by offset, on all threads. Directories get their attributes when everything below them is done. One damaged pack
//! costs the files in it, and those are named.

mod attributes;
mod execute;
mod links;
mod place;
mod plan;

use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::Content;
use crate::fs::Target;
use crate::id::{BlobId, SnapshotId};
use crate::progress::{Interrupt, Problems, Progress};
use crate::repo::Repo;
use crate::tree::find_node;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How a restore is made.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Only what lies below this directory of the snapshot, which becomes the target itself (restic's `ID:subfolder`).
    pub subfolder: Option<PathBuf>,
    /// Do not set owners.
    pub no_owner: bool,
}

/// What a restore did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestoreSummary {
    /// Nodes written, files among them.
    pub nodes: u64,
    /// Regular files written.
    pub files: u64,
    /// Plaintext bytes written.
    pub bytes: u64,
    /// Owners that could not be set for lack of privilege.
    pub owners_skipped: u64,
    /// Items that could not be restored whole; each was reported.
    pub problems: u64,
}

/// Counts from all threads.
#[derive(Default)]
struct Counts {
    nodes: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    owners_skipped: AtomicU64,
}

/// Restores a snapshot below `target`, which is made if it is not there. Nothing outside of it is ever written, whatever
/// links lie in the snapshot or in the target.
///
/// What exists is replaced; a directory is kept and filled. Items that fail are problems, reported and counted.
/// `Interrupted` when asked to stop.
pub fn restore(
    repo: &Repo,
    snapshot: &SnapshotId,
    target: &Path,
    options: &RestoreOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RestoreSummary> {
    let root = repo.load_snapshot(snapshot)?.summary.root;
    let root = subtree(repo, root, options.subfolder.as_deref())?;
    let target = Target::open(target)?;
    let problems = Problems::new(progress);
    let counts = Counts::default();
    let context = execute::Context {
        repo,
        hasher: repo.hasher(BlobType::Data)?,
        options,
        problems: &problems,
        interrupt,
        counts: &counts,
    };
    plan::restore_tree(&context, target, root)?;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Ok(RestoreSummary {
        nodes: read(&counts.nodes),
        files: read(&counts.files),
        bytes: read(&counts.bytes),
        owners_skipped: read(&counts.owners_skipped),
        problems: problems.seen(),
    })
}

/// The tree at `path` of a snapshot's tree.
fn subtree(repo: &Repo, root: BlobId, path: Option<&Path>) -> Result<BlobId> {
    use std::os::unix::ffi::OsStrExt;
    let mut tree = root;
    for part in path.unwrap_or(Path::new("")).components() {
        let Component::Normal(name) = part else {
            continue;
        };
        let node = find_node(repo, &tree, name.as_bytes())?;
        let path = || Subject::Path(path.unwrap_or(Path::new("")).to_path_buf());
        tree = match node.map(|node| node.content) {
            Some(Content::Dir(Some(tree))) => tree,
            Some(_) => {
                return Err(Error::new(ErrorKind::InvalidInput, path()).detail("not a directory"));
            }
            None => {
                return Err(Error::new(ErrorKind::NotFound, path()).detail("not in the snapshot"));
            }
        };
    }
    Ok(tree)
}
