//! Snapshots that lie there and that no entry commits, as far as nothing of them is lost: a backup at work, or whom a repair of the log
//! named them to, may commit them yet. What they hold stays as long as they do.

use super::Job;
use super::listing::Listing;
use super::mark::{Walking, mark_below};
use super::survey::damaged;
use crate::backend::Class;
use crate::error::Result;
use crate::format::name::ObjectKind;
use crate::id::{PackId, SnapshotId};
use crate::index::PictureMarks;
use crate::log::{PackState, State};
use crate::ops::repair::packs_below;
use crate::snapshot::{Filter, list};
use crate::time::now;
use std::collections::BTreeSet;

/// Finds those that stay and marks what they hold: young ones, and all once an entry of the log was lost, which may have committed
/// them. Not what is forgotten or was committed in another form; and nobody may commit one that is not whole, so that it shall stop nothing.
///
/// On class C only once an entry was lost: there processes announce themselves, and what one that is taken for dead stored counts for
/// nothing. Of each twice the walk through its trees. `absent` are packs that the log knows and that are not there; condemned ones are
/// read, once each, and those that are right come to `whole`.
pub fn mark_uncommitted(
    job: &Job<'_>,
    state: &State,
    listing: &Listing,
    marks: &PictureMarks,
    absent: &BTreeSet<PackId>,
    whole: &mut BTreeSet<PackId>,
) -> Result<BTreeSet<SnapshotId>> {
    let mut stay = BTreeSet::new();
    let was_lost = state.voided_count() > 0;
    if state.class() == Class::C && !was_lost {
        return Ok(stay);
    }
    let now = now();
    let snapshots = listing.others.iter();
    let snapshots = snapshots.filter(|(object, _)| object.kind == ObjectKind::Snapshot);
    let snapshots = snapshots.map(|(object, stored)| (SnapshotId(object.id), stored));
    let uncommitted = snapshots.filter(|(id, stored)| {
        state.snapshot(id).is_none()
            && state.forgotten_by(id).is_none()
            && !state.is_deleted(&id.0)
            && (was_lost || !stored.is_older(job.options.stray_age, now))
    });
    let mut made_anew = None;
    for (id, _) in uncommitted {
        if made_anew
            .get_or_insert_with(|| originals(job))
            .contains(&id)
        {
            continue;
        }
        let root = match job.repo.load_signed_snapshot(&id) {
            Ok((snapshot, _)) => snapshot.summary.root,
            Err(e) if e.is_lost() => continue,
            Err(e) => return Err(e),
        };
        let is_whole = loop {
            let packs = packs_below(job.repo, &id, &root, (job.progress, job.interrupt))?;
            let Some(packs) = packs.filter(|packs| !packs.iter().any(|pack| absent.contains(pack)))
            else {
                break false;
            };
            let condemned = |pack: &PackId| state.pack_state(pack) == PackState::Condemned;
            // A damaged one counts as not there from then on: maybe others hold the same.
            let condemned = packs.into_iter().filter(condemned).collect();
            if damaged(job, condemned, whole)?.is_empty() {
                break true;
            }
        };
        if is_whole {
            mark_below(job, marks, &id, &root, Walking::Newer)?;
            stay.insert(id);
        }
    }
    Ok(stay)
}

/// The snapshots of which live ones are other forms.
fn originals(job: &Job<'_>) -> BTreeSet<SnapshotId> {
    let live = list(job.repo, &Filter::default()).snapshots;
    let originals = live.iter().filter_map(|info| info.summary.original());
    originals.collect()
}
