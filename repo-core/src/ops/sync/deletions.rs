//! What is deleted in a replica.

use super::listing::{Log, Objects, object_name};
use super::rests;
use super::{HeldBack, Job, Lacking};
use crate::error::Result;
use crate::format::entry::ObjectRef;
use crate::format::name::{self, ObjectKind};
use crate::repo::{Repo, pack_ref};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// So many checkpoints of the source must be newer than one that goes in the replica.
const CHECKPOINTS_KEPT: usize = 4;

/// What goes, and what stays although the source has it no more.
#[derive(Debug, Default)]
pub struct Deletions {
    /// Objects that go.
    pub objects: Vec<ObjectRef>,
    /// Checkpoints and state tables that go.
    pub outdated: Vec<String>,
    /// How many the replica has alone, and no entry deletes.
    pub kept: u64,
    /// How many are deleted and stay for now.
    pub held: u64,
    /// Why.
    pub why: Option<HeldBack>,
}

/// What is to be deleted of what the replica holds beside key slots, now that it has the log. `hold` says why nothing goes, if that is known already.
///
/// With a key: what the fold says. Without one: what an entry names and the source has no more, if all that deletions rest on is there.
pub fn find(job: &Job<'_>, lacking: &Lacking, hold: Option<HeldBack>) -> Result<Deletions> {
    let (source, there) = (&lacking.source.named, &lacking.there.named);
    let is_other =
        |object: &&ObjectRef| !matches!(object.kind, ObjectKind::Key | ObjectKind::State);
    let objects = deleted(job, lacking, &mut there.keys().filter(is_other))?;
    let alone = there
        .keys()
        .filter(|object| object.kind != ObjectKind::State);
    let alone = alone.filter(|object| !source.contains_key(*object)).count();
    let gone = objects
        .iter()
        .filter(|object| !source.contains_key(*object));
    let mut deletions = Deletions {
        kept: (alone - gone.count()) as u64,
        outdated: outdated(&lacking.goal, &lacking.source, &lacking.there),
        objects,
        ..Deletions::default()
    };
    if deletions.objects.is_empty() && hold != Some(HeldBack::Lacks) {
        return Ok(deletions);
    }
    let why = match (hold, job.by) {
        (Some(hold), _) => Some(hold),
        (None, Some(repo)) => (!has_all_needed(repo, there)?).then_some(HeldBack::Lacks),
        (None, None) => unproved(job, lacking, &deletions.objects)?,
    };
    if why.is_some() {
        deletions.held = deletions.objects.len() as u64;
        deletions.objects.clear();
        deletions.outdated.clear();
        deletions.why = why;
    }
    Ok(deletions)
}

/// Those of the replica's objects that are deleted, as far as it is known.
pub fn deleted(
    job: &Job<'_>,
    lacking: &Lacking,
    objects: &mut dyn Iterator<Item = &ObjectRef>,
) -> Result<Vec<ObjectRef>> {
    let mut gone = Vec::new();
    if let Some(repo) = job.by {
        let state = repo.state();
        gone.extend(objects.filter(|object| state.may_remove(&object.id)));
    } else {
        for object in objects.filter(|object| !lacking.source.named.contains_key(*object)) {
            let is_named = lacking.told(job)?.deleted.contains_key(object);
            // A listing may have left it out.
            if is_named && job.from.size(&object_name(object))?.is_none() {
                gone.push(*object);
            }
        }
    }
    gone.sort_unstable();
    Ok(gone)
}

/// Why nothing is deleted by who has no key.
fn unproved(job: &Job<'_>, lacking: &Lacking, gone: &[ObjectRef]) -> Result<Option<HeldBack>> {
    let told = lacking.told(job)?;
    let may_be_void = |object: &ObjectRef| told.deleted.get(object).is_none_or(|n| *n < told.void);
    Ok(match told {
        told if told.broken => Some(HeldBack::Log),
        told if told.unsaid || gone.iter().any(may_be_void) => Some(HeldBack::Unsaid),
        told if !rests::are_there(job, lacking, &told.rests)? => Some(HeldBack::Lacks),
        _ => None,
    })
}

/// Checkpoints that the source has no more and that enough newer ones replace, and once only its own are left also state tables that it has no more:
/// nothing rests on them, and no entry says when they go.
fn outdated(goal: &Log, source: &Objects, there: &Objects) -> Vec<String> {
    let number = |name: &String| name::parse_numbered(name).map_or(0, |(number, _)| number);
    let is_outdated = |name: &String| {
        let newer = source
            .checkpoints
            .keys()
            .filter(|n| number(n) > number(name));
        number(name) <= goal.end() && newer.count() >= CHECKPOINTS_KEPT
    };
    let alone = there.checkpoints.keys();
    let alone: Vec<&String> = alone
        .filter(|c| !source.checkpoints.contains_key(*c))
        .collect();
    let mut gone: Vec<String> = alone
        .iter()
        .copied()
        .filter(|c| is_outdated(c))
        .cloned()
        .collect();
    if gone.len() == alone.len() && !source.checkpoints.is_empty() {
        let tables = there
            .named
            .keys()
            .filter(|object| object.kind == ObjectKind::State);
        let tables = tables.filter(|object| !source.named.contains_key(object));
        gone.extend(tables.map(object_name));
    }
    gone.sort_unstable();
    gone
}

/// Whether the replica has every snapshot, and every pack that the index names: what was deleted may live on in any of them.
pub fn has_all_needed(repo: &Repo, there: &HashMap<ObjectRef, u64>) -> Result<bool> {
    let state = repo.state();
    let mut snapshots = state
        .live_snapshots()
        .map(|(id, _)| ObjectRef::snapshot(id));
    let mut all = !repo.index_is_incomplete() && snapshots.all(|id| there.contains_key(&id));
    repo.index().packs(&mut |pack, _| {
        all &= there.get(&pack_ref(pack.kind, &pack.id)) == Some(&pack.len);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all)
}
