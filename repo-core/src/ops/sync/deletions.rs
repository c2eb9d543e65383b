//! What is deleted in a replica.

use super::Job;
use super::listing::{Log, Objects, object_name};
use super::log::{clear_of, deleted_by, read};
use crate::error::Result;
use crate::format::entry::{self, ObjectRef};
use crate::format::name::{self, ObjectKind};
use crate::repo::pack_object;
use std::collections::{BTreeMap, HashSet};
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
}

/// What is to be deleted of what the replica holds, now that it has the log `goal`.
///
/// With a key: what the fold says. Without one: what an entry names and the source has no more. The log is read back from its end as far as needed.
pub fn find(job: &Job<'_>, goal: &Log, source: &Objects, there: &Objects) -> Result<Deletions> {
    let is_table = |object: &&ObjectRef| object.kind == ObjectKind::State;
    let mut deletions = Deletions {
        outdated: outdated(goal, source, there),
        ..Deletions::default()
    };
    let alone = there.named.keys().filter(|o| !source.named.contains_key(o));
    let mut alone: HashSet<ObjectRef> = alone.filter(|o| !is_table(o)).copied().collect();
    match job.by {
        Some(repo) => {
            let state = repo.state();
            let gone = |object: &&ObjectRef| state.may_remove(&object.id);
            let named = there.named.keys().filter(|o| !is_table(o));
            deletions.objects = named.filter(gone).copied().collect();
            for object in &deletions.objects {
                alone.remove(object);
            }
        }
        None => {
            for object in named_in(job, goal, &mut alone)? {
                // A listing may have left it out.
                match job.from.size(&object_name(&object))? {
                    None => deletions.objects.push(object),
                    Some(_) => deletions.kept += 1,
                }
            }
        }
    }
    deletions.objects.sort_unstable();
    deletions.kept += alone.len() as u64;
    Ok(deletions)
}

/// Those of `alone` that entries name, taken out of it. From the newest entry back, until all are accounted for.
fn named_in(job: &Job<'_>, goal: &Log, alone: &mut HashSet<ObjectRef>) -> Result<Vec<ObjectRef>> {
    let mut repeated: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut named = Vec::new();
    for entry in goal.entries.keys().rev() {
        if alone.is_empty() {
            break;
        }
        job.interrupt.check()?;
        let known = match entry.1 {
            None => repeated.remove(&entry.0),
            Some(_) => None,
        };
        let mut clear = known.and_then(|core| clear_of(entry, &core));
        if clear.is_none() {
            let file = read(job.from, entry)?;
            let Ok((core, others)) = entry::decode_file(&file) else {
                continue;
            };
            clear = clear_of(entry, core);
            let before = (1..entry.0).rev();
            repeated.extend(before.zip(others.iter().rev().map(|core| core.to_vec())));
        }
        let objects = clear.map(deleted_by).unwrap_or_default();
        named.extend(objects.into_iter().filter(|object| alone.remove(object)));
    }
    Ok(named)
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

/// Whether the replica has every pack that the index names, as far as there is a key: what was deleted may live on in any of them.
pub fn has_all_packs(job: &Job<'_>, there: &Objects) -> Result<bool> {
    let Some(repo) = job.by else { return Ok(true) };
    let mut all = !repo.index_is_incomplete();
    repo.index().packs(&mut |pack, _| {
        let object = ObjectRef {
            kind: pack_object(pack.kind),
            id: pack.id.0,
        };
        all &= there.named.get(&object) == Some(&pack.len);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all)
}
