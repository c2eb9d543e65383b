//! Puts right what can be put right, without making anything worse: what is replaced stays until its replacement is there, and what
//! is not known to be lost is left alone.

mod entries;
mod index;
mod log;
mod packs;
mod snapshots;

pub use entries::Mended;
pub(super) use entries::{mend, mend_set};
pub use index::{RepairIndexOptions, RepairIndexSummary, repair_index};
pub use log::{LostEntry, RepairLogOptions, RepairLogSummary, Uncommitted, WhyNot, repair_log};
pub use packs::{RepairedPack, repair_packs};
pub(super) use snapshots::Mending;
pub use snapshots::{
    LostIn, REPAIRED_TAG, RepairSnapshotsOptions, RepairedSnapshots, repair_snapshots,
};

use super::walk::Walk;
use crate::error::Result;
use crate::id::{BlobId, PackId, SnapshotId};
use crate::progress::{Interrupt, Progress};
use crate::repo::{Repo, lock};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The packs that hold everything of a snapshot with that root, bases included; `None` if anything is not there, or a tree of it cannot
/// be read. Memory: a bit for each blob of the index.
pub(super) fn packs_below(
    repo: &Repo,
    id: &SnapshotId,
    root: &BlobId,
    (progress, interrupt): (&dyn Progress, &Interrupt),
) -> Result<Option<HashSet<PackId>>> {
    let walk = Walk {
        repo,
        progress,
        interrupt,
        past_losses: false,
    };
    let found = Mutex::new((repo.index().marks(), HashSet::new(), true));
    let walked = walk.snapshot(id, root, &|_, blob| {
        if !lock(&found).0.insert(blob)? {
            return Ok(false);
        }
        let packs = repo.packs_of(blob)?;
        let mut found = lock(&found);
        found.2 &= !packs.is_empty();
        found.1.extend(packs);
        Ok(true)
    });
    match walked {
        Ok(()) => {}
        Err(e) if e.is_lost() => return Ok(None),
        Err(e) => return Err(e),
    }
    let (_, packs, whole) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(whole.then_some(packs))
}
