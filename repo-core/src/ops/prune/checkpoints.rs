//! Checkpoints that later ones replace, and state tables that no checkpoint names: they save reads, nothing rests on them.

use super::listing::Listing;
use super::{Job, PruneSummary};
use crate::error::Result;
use crate::format::name::ObjectKind;
use crate::time::now;
use std::collections::HashSet;

/// So many of the newest checkpoints are kept.
const KEPT: usize = 4;

/// With more young ones than this a prune leaves the state tables to a later one.
const LOOKED_AT_MAX: usize = 64;

/// Removes old checkpoints, provided that the newest can be read, and state tables that none of the others names.
pub fn remove(job: &Job<'_>, listing: &Listing, summary: &mut PruneSummary) -> Result<()> {
    let now = now();
    let age = job.options.stray_age;
    let mut checkpoints: Vec<_> = listing.checkpoints.iter().collect();
    checkpoints.sort_by_key(|(number, ..)| std::cmp::Reverse(*number));
    let old = |(place, (_, _, stored)): &(usize, &&(u64, String, _))| {
        let stored: &super::listing::Stored = stored;
        *place >= KEPT && stored.is_older(age, now)
    };
    let go: HashSet<&str> = checkpoints
        .iter()
        .enumerate()
        .filter(old)
        .map(|(_, (_, name, _))| name.as_str())
        .collect();
    let kept: Vec<&str> = checkpoints
        .iter()
        .map(|(_, name, _)| name.as_str())
        .filter(|name| !go.contains(name))
        .collect();
    if kept.len() > LOOKED_AT_MAX {
        return Ok(());
    }
    let mut named = HashSet::new();
    for name in &kept {
        match job.repo.check_checkpoint(name) {
            Ok(tables) => named.extend(tables),
            // Something is wrong with it, or it is new and its tables are not listed: nothing is taken from it.
            Err(_) => return Ok(()),
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    let tables = listing
        .states
        .iter()
        .filter(|(id, stored)| !named.contains(id) && stored.is_older(age, now));
    let tables = tables.map(|(id, _)| ObjectKind::State.name(&id.0));
    for name in go.into_iter().map(str::to_owned).chain(tables) {
        job.interrupt.check()?;
        match job.repo.backend().delete(&name) {
            Ok(()) => summary.objects_removed += 1,
            Err(e) => summary.refuse(name, &e),
        }
    }
    Ok(())
}
