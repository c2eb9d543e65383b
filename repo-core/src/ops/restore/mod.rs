//! Restore: a snapshot, or a part of it, below a directory.
//!
//! The tree is walked in order and planned in *windows*: directories, links and devices are made at once, the chunks of
//! files are looked up. Then the window's blocks are read, each once, neighbours together, and every piece is written
//! by offset, on all threads. Directories get their attributes when everything below them is done. One damaged pack
//! costs the files in it, and those are named.

mod attributes;
mod context;
mod dirs;
mod execute;
mod existing;
mod file;
mod layout;
mod links;
mod options;
mod place;
mod plan;
mod regular;
mod room;
mod special;
mod surplus;
mod verify;
mod window;

pub(super) use existing::holds;
pub use options::{Overwrite, RestoreOptions, Selection, XattrSelection};
pub(super) use verify::first_in_holes;

use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, Node};
use crate::fs::Target;
use crate::id::{BlobId, SnapshotId};
use crate::progress::{Interrupt, Note, Problems, Progress};
use crate::repo::Repo;
use crate::tree::Nodes;
use attributes::Wanted;
use context::{Context, Counts, Others, Refused};
use room::Room;
use std::path::{Component, Path};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a restore did, or in a dry run would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestoreSummary {
    /// Nodes that had to be restored: all that are meant but those that stayed as they were.
    pub nodes_expected: u64,
    /// Plaintext bytes of them.
    pub bytes_expected: u64,
    /// Nodes restored, files among them.
    pub nodes: u64,
    /// Regular files restored.
    pub files: u64,
    /// Plaintext bytes restored: the whole length of files that were changed in part.
    pub bytes: u64,
    /// Nodes that stayed, because they were right or by request.
    pub nodes_skipped: u64,
    /// Plaintext bytes of them.
    pub bytes_skipped: u64,
    /// Nodes removed.
    pub nodes_deleted: u64,
    /// Owners that could not be set for lack of privilege.
    pub owners_skipped: u64,
    /// Extended attributes that the target's file system does not take, or that this user may not set. The first of each
    /// sort was reported.
    pub xattrs_refused: u64,
    /// Files that there was no room for in the target; each was reported.
    pub without_room: u64,
    /// Files read back and found to be right.
    pub files_verified: u64,
    /// Items that could not be restored whole; each was reported.
    pub problems: u64,
}

/// Restores a snapshot below `target`, which is made if it is not there. Nothing outside of it is ever written, whatever
/// links lie in the snapshot or in the target.
///
/// What exists becomes what the snapshot says, as [`RestoreOptions`] asks for it; run again after an interruption, it goes on
/// where it was. Of a snapshot that was made with problems nothing is taken for too much: `delete` removes nothing then, and that is
/// a problem too. A target that is made here for a subfolder gets the attributes of that; one that was there keeps its own.
/// Items that fail are problems, reported and counted. A file that is too large for the room that is left is one, and takes
/// none of it; if nothing fits any more, that ends the restore (`Unavailable`, about what did not fit).
/// `Interrupted` when asked to stop.
pub fn restore(
    repo: &Repo,
    snapshot: &SnapshotId,
    target: &Path,
    options: &RestoreOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RestoreSummary> {
    let part = (snapshot, window::PIECES_MAX);
    restore_by(repo, part, target, options, progress, interrupt)
}

/// The same with windows of at most this many pieces.
pub(super) fn restore_by(
    repo: &Repo,
    (snapshot, pieces_max): (&SnapshotId, usize),
    target: &Path,
    options: &RestoreOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RestoreSummary> {
    let _following = repo.follow();
    let problems = Problems::new(progress);
    let made = repo.load_snapshot(snapshot)?.summary;
    let spares = options.delete && made.totals.problems > 0;
    let options = &RestoreOptions {
        delete: options.delete && !spares,
        ..options.clone()
    };
    let root = made.root;
    let (root, node) = subtree(repo, root, options)?;
    let opened = match options.dry_run {
        true => Target::open_existing(target)?,
        false => Some(Target::open(target)?),
    };
    if spares {
        problems.problem(target, &nothing_removed(made.totals.problems));
    }
    let counts = Counts::default();
    let context = Context {
        repo,
        target,
        hasher: repo.hasher(BlobType::Data)?,
        options,
        problems: &problems,
        interrupt,
        counts: &counts,
        others: &Others::new(options.verify),
        refused: &Refused::default(),
        room: &Room::new(),
        claimed: Default::default(),
        pieces_max,
    };
    let is_new = opened.as_ref().is_some_and(|target| target.root().is_new());
    let wanted = node.filter(|_| is_new);
    let wanted = wanted.map(|node| Wanted::of(&node, options, false));
    let restored = plan::restore_tree(&context, opened.map(Target::into_root), root, wanted);
    if let Some(error) = context.room.take_end() {
        return Err(error);
    }
    restored?;
    if options.verify && !options.dry_run {
        progress.note(Note::Verifying);
        if let Some(target) = Target::open_existing(target)? {
            verify::verify(&context, target.into_root(), root)?;
        }
    }
    Ok(summary(&counts, problems.seen()))
}

/// What a backup could not read is not in its snapshot, and may be nowhere else than in the target.
fn nothing_removed(problems: u64) -> Error {
    let problems = match problems {
        1 => "a problem".to_owned(),
        several => format!("{several} problems"),
    };
    Error::new(ErrorKind::InvalidInput, Subject::None).detail(format!(
        "is left with what the snapshot has not got: that was made with {problems}, and what could not be read then \
         is not in it"
    ))
}

fn summary(counts: &Counts, problems: u64) -> RestoreSummary {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    RestoreSummary {
        nodes_expected: read(&counts.nodes_expected),
        bytes_expected: read(&counts.bytes_expected),
        nodes: read(&counts.nodes),
        files: read(&counts.files),
        bytes: read(&counts.bytes),
        nodes_skipped: read(&counts.nodes_skipped),
        bytes_skipped: read(&counts.bytes_skipped),
        nodes_deleted: read(&counts.nodes_deleted),
        owners_skipped: read(&counts.owners_skipped),
        xattrs_refused: read(&counts.xattrs_refused),
        without_room: read(&counts.without_room),
        files_verified: read(&counts.files_verified),
        problems,
    }
}

/// The tree of the subfolder that is meant, and its node; of the whole snapshot if none is.
fn subtree(repo: &Repo, root: BlobId, options: &RestoreOptions) -> Result<(BlobId, Option<Node>)> {
    use std::os::unix::ffi::OsStrExt;
    let whole = options.subfolder.as_deref().unwrap_or(Path::new(""));
    let path = || Subject::Path(whole.to_path_buf());
    let (mut tree, mut last) = (root, None);
    for part in whole.components() {
        let name = match part {
            Component::Normal(name) => name,
            Component::ParentDir => {
                let error = Error::new(ErrorKind::InvalidInput, path());
                return Err(error.detail("has .. in it, which a snapshot does not know"));
            }
            _ => continue,
        };
        let node = find_node(repo, &tree, name.as_bytes(), options)?;
        tree = match node.as_ref().map(|node| &node.content) {
            Some(Content::Dir(Some(tree))) => *tree,
            Some(_) => {
                return Err(Error::new(ErrorKind::InvalidInput, path())
                    .detail("is no folder in the snapshot"));
            }
            None => {
                return Err(Error::new(ErrorKind::NotFound, path()).detail("not in the snapshot"));
            }
        };
        last = node;
    }
    Ok((tree, last))
}

/// The node of that name in a directory, with the owners that it shall have.
fn find_node(
    repo: &Repo,
    tree: &BlobId,
    name: &[u8],
    options: &RestoreOptions,
) -> Result<Option<Node>> {
    let mut nodes = Nodes::open(repo, tree)?;
    while let Some(mut node) = nodes.next(repo)? {
        match node.name.as_slice().cmp(name) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => {
                options.own(&nodes, &mut node);
                return Ok(Some(node));
            }
            std::cmp::Ordering::Greater => break,
        }
    }
    Ok(None)
}
