//! Check: is everything there, and is it right?
//!
//! Without `read_data` every object but data packs is read and proved, and of data packs presence and length. With it, every
//! pack is hashed, every block opened and expanded, every blob id recomputed. Between them nothing that is flipped, cut off,
//! missing or too much anywhere stays unnoticed. Trees are checked where they lie, each block once, not by walking
//! snapshots; only when something is wrong are the snapshots walked, to say which files it touches.

mod affected;
mod log;
mod objects;
mod packs;
mod trees;

use crate::error::{Error, ErrorKind, Result};
use crate::id::SnapshotId;
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use std::path::PathBuf;

/// How a check is made.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// Read, open and hash every block too.
    pub read_data: bool,
}

/// One thing that is wrong with a repository.
#[derive(Debug)]
pub struct Finding {
    /// What is wrong, with which object or blob.
    pub error: Error,
    /// Snapshots and paths that it touches, 200 at most.
    pub affected: Vec<(SnapshotId, PathBuf)>,
    /// How many more it touches.
    pub affected_more: u64,
}

/// How many paths of a finding are named.
pub const AFFECTED_MAX: usize = 200;

impl Finding {
    fn new(error: Error) -> Self {
        Self {
            error,
            affected: Vec::new(),
            affected_more: 0,
        }
    }

    fn touches(&mut self, snapshot: SnapshotId, path: PathBuf) {
        match self.affected.len() < AFFECTED_MAX {
            true => self.affected.push((snapshot, path)),
            false => self.affected_more += 1,
        }
    }
}

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckSummary {
    /// Snapshots checked.
    pub snapshots: u64,
    /// Packs checked.
    pub packs: u64,
    /// Bytes of packs read and proved.
    pub bytes_read: u64,
    /// What is wrong: data is lost or at risk.
    pub findings: Vec<Finding>,
    /// Objects that nothing refers to: harmless, left by interrupted runs.
    pub unreferenced: Vec<String>,
    /// Objects that may be missing without a loss: checkpoints, which save reads, and the slots of keys.
    pub absent: Vec<String>,
}

/// Checks a repository. Damage is a finding, not an error; an error means that the check could not be done.
///
/// Memory: 40 bytes a pack, one pack a thread, and 40 bytes a directory if something is wrong.
pub fn check(
    repo: &Repo,
    options: &CheckOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<CheckSummary> {
    let mut summary = CheckSummary::default();
    let inventory = objects::Inventory::list(repo)?;
    // After the listing, so that all that was listed of the log is folded; what has come since is looked up one by one.
    repo.refresh()?;
    let mut damage = affected::Damage::default();
    objects::check(repo, &inventory, &mut summary, interrupt)?;
    packs::check_presence(repo, &inventory, &mut summary, &mut damage)?;
    packs::check_content(
        repo,
        options,
        progress,
        interrupt,
        &mut summary,
        &mut damage,
    )?;
    damage.unknown(trees::unknown_roots(repo)?);
    if options.read_data {
        packs::check_unreferenced(repo, interrupt, &mut summary)?;
    }
    if !damage.is_empty() {
        affected::name_files(repo, damage, &mut summary, interrupt)?;
    }
    Ok(summary)
}

/// Whether an error tells of damage, so that a check goes on; others end it.
fn is_finding(error: &Error) -> bool {
    error.is_unreadable()
        || matches!(
            error.kind(),
            ErrorKind::Damaged | ErrorKind::Missing | ErrorKind::NotFound | ErrorKind::Unsupported
        )
}
