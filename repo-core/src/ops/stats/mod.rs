//! Statistics of snapshots: what they hold, and what that takes.

mod contents;
mod restored;

use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use std::path::Path;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatsMode {
    /// What a restore of each snapshot would write: every entry, and the bytes of every file, those of hard links once.
    #[default]
    RestoreSize,
    /// Files that differ in content, and their bytes.
    FilesByContents,
    /// Chunks of files that differ in content, each once for every path that has it, and their bytes.
    BlobsPerFile,
    /// Blobs of data and trees, each once, and what they take in packs.
    RawData,
}

/// What was counted. What a mode does not count is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatsSummary {
    /// Snapshots that were looked at.
    pub snapshots: u64,
    /// Files, or all entries where a restore is counted.
    pub files: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of files; of [`StatsMode::RawData`] bytes in packs, where a blob takes its share of its block.
    pub bytes: u64,
    /// [`StatsMode::RawData`]: plaintext bytes of all blobs.
    pub bytes_plain: u64,
    /// What could not be read, and so is not counted. Each is told to the progress.
    pub problems: u64,
}

/// Counts what snapshots hold. Each tree is read once, however many snapshots have it.
///
/// Memory, beyond one page a level: [`StatsMode::RestoreSize`] 16 bytes for each hard link of a snapshot, and 64 MiB at most that save
/// reading the same directory again; [`StatsMode::RawData`] one bit for each blob of the index;
/// [`StatsMode::FilesByContents`] two, and 16 bytes for each file of several chunks; [`StatsMode::BlobsPerFile`] the same and 16 bytes
/// for each chunk that it counts. In a table 16 bytes take up to 39.
pub fn stats(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    mode: StatsMode,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<StatsSummary> {
    let watch = Watch {
        progress,
        interrupt,
    };
    let mut summary = StatsSummary::default();
    match mode {
        StatsMode::RestoreSize => restored::count(repo, snapshots, &watch, &mut summary)?,
        _ => contents::count(repo, snapshots, mode, &watch, &mut summary)?,
    }
    summary.snapshots = snapshots.len() as u64;
    Ok(summary)
}

/// Who is told, and who may stop us.
struct Watch<'a> {
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

impl Watch<'_> {
    /// Takes what reading one thing gave: what is damaged or missing is a problem, any other error ends all.
    fn note<T>(
        &self,
        path: &Path,
        result: Result<T>,
        summary: &mut StatsSummary,
    ) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(e) if is_problem(&e) => {
                summary.problems += 1;
                self.progress.problem(path, &e);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }
}

fn is_problem(error: &Error) -> bool {
    use ErrorKind::{Damaged, Missing, NotFound, Unsupported};
    error.is_unreadable() || matches!(error.kind(), Damaged | Missing | NotFound | Unsupported)
}
