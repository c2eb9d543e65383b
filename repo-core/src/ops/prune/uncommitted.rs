//! Snapshots that lie there, that no entry commits, and that are too young to go: a backup at work, or whom a repair of the log named
//! them to, may commit them yet. What they hold stays as long as they do.

use super::Job;
use super::listing::Listing;
use super::survey::mark_below;
use crate::backend::Class;
use crate::error::Result;
use crate::format::name::ObjectKind;
use crate::id::{PackId, SnapshotId};
use crate::index::PictureMarks;
use crate::log::State;
use crate::ops::repair::packs_below;
use crate::time::now;
use std::collections::BTreeSet;

/// Marks what those hold that are whole: nobody may commit the others, and they shall stop nothing.
///
/// On class C only once an entry was lost: there processes announce themselves, and what one that is taken for dead stored counts for
/// nothing. Of each twice the walk through its trees. `absent` are packs that the log knows and that are not there.
pub fn mark_uncommitted(
    job: &Job<'_>,
    state: &State,
    listing: &Listing,
    marks: &PictureMarks,
    absent: &BTreeSet<PackId>,
) -> Result<()> {
    if state.class() == Class::C && state.voided_count() == 0 {
        return Ok(());
    }
    let now = now();
    for (object, stored) in &listing.others {
        let id = SnapshotId(object.id);
        if object.kind != ObjectKind::Snapshot
            || state.snapshot(&id).is_some()
            || state.is_deleted(&id.0)
            || stored.is_older(job.options.stray_age, now)
        {
            continue;
        }
        let root = match job.repo.load_signed_snapshot(&id) {
            Ok((snapshot, _)) => snapshot.summary.root,
            Err(e) if e.is_lost() => continue,
            Err(e) => return Err(e),
        };
        let packs = packs_below(job.repo, &id, &root, (job.progress, job.interrupt))?;
        if packs.is_some_and(|packs| packs.iter().all(|pack| !absent.contains(pack))) {
            mark_below(job, marks, &id, &root, true)?;
        }
    }
    Ok(())
}
