//! Operations (API draft).
use crate::error::Result;
use crate::format::snapshot::Totals;
use crate::format::tree::Node;
use crate::id::SnapshotId;
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use crate::time::Timestamp;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where a backup's data comes from.
pub enum Input<'a> {
    /// Files and directories.
    Paths(Vec<PathBuf>),
    /// One stream, kept as a file of this name (absolute path in the snapshot, `/` is put before it).
    Stream {
        /// Its name.
        name: String,
        /// Its bytes.
        reader: &'a mut (dyn Read + Send),
    },
}

/// How a backup is made.
#[derive(Debug, Clone, Default)]
pub struct BackupOptions {
    /// The host to record.
    pub host: String,
    /// The user to record.
    pub user: String,
    /// The time to record; now if `None`.
    pub time: Option<Timestamp>,
    /// Minutes east of UTC, for showing the time.
    pub utc_offset_min: i16,
    /// Tags.
    pub tags: Vec<String>,
    /// A name for the series.
    pub label: String,
    /// Free text.
    pub description: String,
    /// The program's name and version.
    pub program: String,
    /// The snapshot to compare with; `None` finds the newest of the same host and paths.
    pub parent: Option<SnapshotId>,
    /// Compare with nothing: read every file.
    pub force: bool,
    /// Say what would be done, store nothing.
    pub dry_run: bool,
}

/// What a backup did.
#[derive(Debug, Clone)]
pub struct BackupSummary {
    /// The snapshot; `None` for a dry run.
    pub snapshot: Option<SnapshotId>,
    /// The parent it was compared with.
    pub parent: Option<SnapshotId>,
    /// Numbers, problems among them.
    pub totals: Totals,
}

/// Backs up. `Interrupted` when asked to stop: finished packs stay and are used by the next run.
pub fn backup(_repo: &Repo, _input: Input<'_>, _options: &BackupOptions, _progress: &dyn Progress, _interrupt: &Interrupt) -> Result<BackupSummary> { unimplemented!() }

/// How a restore is made.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Only what lies below this path of the snapshot, which becomes the target's root (restic's `ID:subfolder`).
    pub subfolder: Option<PathBuf>,
    /// Do not set owners.
    pub no_owner: bool,
}

/// What a restore did.
#[derive(Debug, Clone, Default)]
pub struct RestoreSummary {
    /// Nodes written.
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

/// Restores a snapshot below `target`, which is made if it is not there.
pub fn restore(_repo: &Repo, _snapshot: &SnapshotId, _target: &Path, _options: &RestoreOptions, _progress: &dyn Progress, _interrupt: &Interrupt) -> Result<RestoreSummary> { unimplemented!() }

/// How a check is made.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// Read, open and hash every block too.
    pub read_data: bool,
}

/// What is wrong with a repository.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The object or blob.
    pub error: std::sync::Arc<crate::error::Error>,
    /// Snapshots and files that it touches: (snapshot, path), at most some hundred.
    pub affected: Vec<(SnapshotId, PathBuf)>,
    /// How many more it touches.
    pub affected_more: u64,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct CheckSummary {
    /// Snapshots checked.
    pub snapshots: u64,
    /// Packs checked.
    pub packs: u64,
    /// Bytes read and verified.
    pub bytes_read: u64,
    /// What is wrong: data is lost or at risk; exit code 1.
    pub findings: Vec<Finding>,
    /// Objects that nothing refers to: harmless, left by interrupted runs.
    pub unreferenced: Vec<String>,
}

/// Checks a repository.
pub fn check(_repo: &Repo, _options: &CheckOptions, _progress: &dyn Progress, _interrupt: &Interrupt) -> Result<CheckSummary> { unimplemented!() }

/// Calls `each` for the nodes of a snapshot in order of their paths, from `below` on down (all levels if `recursive`).
pub fn ls(_repo: &Repo, _snapshot: &SnapshotId, _below: &Path, _recursive: bool, _each: &mut dyn FnMut(&Path, &Node) -> Result<()>) -> Result<()> { unimplemented!() }
