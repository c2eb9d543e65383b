//! Statistics of snapshots: what they hold, and what that takes.

mod contents;
mod restored;

use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use std::collections::BTreeMap;
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
        StatsMode::RestoreSize => {
            restored::count(repo, snapshots, &watch, &mut summary, &mut |_, _| ())?;
        }
        _ => contents::count(repo, snapshots, mode, &watch, &mut summary, &mut |_| ())?,
    }
    summary.snapshots = snapshots.len() as u64;
    Ok(summary)
}

/// One part of what snapshots hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Files, or entries of a snapshot.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What of them no other part has that was counted before: plaintext bytes of blobs.
    pub bytes_unique: u64,
    /// What these take in packs.
    pub bytes_stored: u64,
}

impl Share {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.bytes_unique += other.bytes_unique;
        self.bytes_stored += other.bytes_stored;
    }
}

/// Counts for each snapshot what a restore would write, and the blobs, of trees too, that none before it in the list has. Also gives what
/// could not be read. Memory: as [`stats`].
pub fn stats_by_snapshot(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<(Vec<Share>, u64)> {
    let watch = Watch {
        progress,
        interrupt,
    };
    // What cannot be read is told once: when blobs are counted.
    let silent = Watch {
        progress: &crate::progress::Silent,
        interrupt,
    };
    let mut shares = Vec::with_capacity(snapshots.len());
    let mut restored = StatsSummary::default();
    restored::count(
        repo,
        snapshots,
        &silent,
        &mut restored,
        &mut |files, bytes| {
            shares.push(Share {
                files,
                bytes,
                ..Share::default()
            });
        },
    )?;
    let mut raw = StatsSummary::default();
    let mut before = StatsSummary::default();
    let mut rest = shares.iter_mut();
    let each = &mut |now: &StatsSummary| {
        if let Some(share) = rest.next() {
            share.bytes_unique = now.bytes_plain - before.bytes_plain;
            share.bytes_stored = now.bytes - before.bytes;
            before = *now;
        }
    };
    contents::count(repo, snapshots, StatsMode::RawData, &watch, &mut raw, each)?;
    Ok((shares, raw.problems))
}

/// Counts by the endings of names, in small letters: files that differ in content, and their chunks, each once. Files without an ending
/// have the empty one. Also gives what could not be read. Memory: as [`stats`] of [`StatsMode::FilesByContents`].
pub fn stats_by_ending(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<(BTreeMap<Vec<u8>, Share>, u64)> {
    let watch = Watch {
        progress,
        interrupt,
    };
    let mut summary = StatsSummary::default();
    let endings = contents::by_ending(repo, snapshots, &watch, &mut summary)?;
    Ok((endings, summary.problems))
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
