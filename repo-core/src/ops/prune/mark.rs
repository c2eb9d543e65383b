//! Marks what snapshots hold.

use super::Job;
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, SnapshotId};
use crate::index::PictureMarks;
use crate::log::State;
use crate::ops::walk::Walk;
use crate::repo::lock;
use crate::time::now;
use std::collections::HashSet;
use std::sync::Mutex;

/// Marks the live snapshots that are not among those marked, and adds them.
pub fn mark_new(
    job: &Job<'_>,
    state: &State,
    marks: &PictureMarks,
    marked: &mut HashSet<SnapshotId>,
    walking: Walking,
) -> Result<()> {
    for (id, row) in state.kept_snapshots(now()) {
        if !job.options.without.contains(id) && marked.insert(*id) {
            let root = job.repo.open_summary(id, &row.summary)?.root;
            mark_below(job, marks, id, &root, walking)?;
        }
    }
    Ok(())
}

/// What may be met on a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walking {
    /// What the picture shows; all else is missing.
    Picture,
    /// Also what came into the index after the picture was taken: that is not marked.
    Newer,
    /// The same, and what is lost.
    PastLosses,
}

/// Marks what a snapshot with that root holds.
pub fn mark_below(
    job: &Job<'_>,
    marks: &PictureMarks,
    id: &SnapshotId,
    root: &BlobId,
    walking: Walking,
) -> Result<()> {
    let walk = Walk {
        repo: job.repo,
        progress: job.progress,
        interrupt: job.interrupt,
        past_losses: walking == Walking::PastLosses,
    };
    let unknown = Mutex::new(HashSet::new());
    let meet = |kind, id: &BlobId| match marks.insert(id)? {
        Some(new) => Ok(new),
        None if walking == Walking::Picture => Err(Error::unindexed(id)),
        None => Ok(kind == BlobType::Tree && lock(&unknown).insert(*id)),
    };
    walk.snapshot(id, root, &meet).map_err(|e| match e.kind() {
        ErrorKind::Interrupted => e,
        _ => {
            let detail = "a snapshot cannot be read whole, so that it is not known what it needs; nothing was deleted";
            Error::new(e.kind(), e.subject().clone()).detail(detail).because(e)
        }
    })
}
