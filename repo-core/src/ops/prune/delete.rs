//! Deletes what was condemned and is needed by nobody after the grace.

use super::listing::Listing;
use super::rests;
use super::survey::{Survey, expired, forgotten, standing};
use super::tables::{self, Replaced};
use super::{Job, PruneSummary};
use crate::backend::Class;
use crate::error::{ErrorKind, Result};
use crate::format::checkpoint::WaitingRow;
use crate::format::entry::{Action, NAMED_MAX, ObjectRef};
use crate::format::name::ObjectKind;
use crate::id::{EntryHash, PackId, SnapshotId};
use crate::log::{DeletePlan, condemned_of, may_append_deleting, plan_holds, snapshots_to_spare};
use crate::repo::{DeletingProcess, Waited, lock, on_threads};
use crate::time::now;
use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;
use std::time::Duration;

/// How many deletions are under way at once, if the backend can bear it.
const THREADS_MAX: usize = 8;

/// Class C: a process is not taken for dead before, however short the grace.
const DEAD_AFTER_MIN: Duration = Duration::from_secs(24 * 3600);

/// What is to be deleted, computed on one fold.
struct Deletion {
    plan: DeletePlan,
    /// Objects that are no packs.
    objects: Vec<ObjectRef>,
}

/// Appends `Deleting`, removes what it names, and what earlier entries name and is still there.
pub fn execute(
    job: &Job<'_>,
    survey: &Survey,
    listing: &Listing,
    process: Option<&DeletingProcess>,
    summary: &mut PruneSummary,
) -> Result<()> {
    job.repo.refresh()?;
    let named = append(job, survey, listing, process, summary)?;
    job.repo.refresh()?;
    let state = job.repo.state();
    // Earlier prunes named these and were stopped, or refused.
    let left = listing.others.iter().map(|(object, _)| *object);
    let packs = listing.packs.keys().copied();
    let left = left
        .chain(packs)
        .filter(|object| state.may_remove(&object.id));
    let mut remove: BTreeSet<ObjectRef> = left.collect();
    remove.extend(
        named
            .into_iter()
            .filter(|object| state.may_remove(&object.id)),
    );
    remove_all(job, remove, listing, summary)?;
    job.repo.remove_fenced()
}

/// Appends `Deleting` if there is anything to delete; gives the objects that it names.
fn append(
    job: &Job<'_>,
    survey: &Survey,
    listing: &Listing,
    process: Option<&DeletingProcess>,
    summary: &mut PruneSummary,
) -> Result<Vec<ObjectRef>> {
    let mut whole = survey.whole.clone();
    loop {
        let state = job.repo.state();
        let rows = match process {
            Some(process) if state.class() == Class::C => {
                let dead_after = job.options.grace.max(DEAD_AFTER_MIN);
                match job.repo.wait_for_others(process, dead_after)? {
                    Waited::Clear(rows) => rows,
                    Waited::For(processes) => {
                        summary.waits_for = processes;
                        return Ok(Vec::new());
                    }
                }
            }
            _ => Vec::new(),
        };
        // What a table that got lost since the survey names would seem to be needed by nobody.
        job.check_state()?;
        let mut deletion = plan(job, survey, &rows, &mut whole)?;
        loop {
            let replaced = tables::replace(job, survey, &deletion.plan.packs)?;
            if deletion.plan.packs.is_empty() && deletion.objects.is_empty() && replaced.is_empty()
            {
                return Ok(Vec::new());
            }
            match put(job, survey, &deletion, &replaced, listing, process)? {
                Put::Done(objects) => {
                    summary.reprieved += deletion.plan.reprieve.len() as u64;
                    summary.tables_replaced += replaced.drop.len() as u64;
                    summary.snapshots_lost = forgotten(&state, &deletion.objects);
                    return Ok(objects);
                }
                Put::Spared(renewed) => deletion.plan = renewed,
                Put::PlanAnew => break,
            }
        }
        job.repo.refresh()?;
    }
}

/// Plans on the newest fold. What was marked for the survey stays marked; what has come since is added. What is more than an entry names
/// goes with the next prune.
fn plan(
    job: &Job<'_>,
    survey: &Survey,
    rows: &[WaitingRow],
    whole: &mut BTreeSet<PackId>,
) -> Result<Deletion> {
    let state = job.repo.state();
    let now = now();
    let mut candidates = expired(&state, job.options.grace, now);
    let mut spare: Vec<SnapshotId> = Vec::new();
    let is_row = |hash: &EntryHash| rows.iter().any(|row| row.condemn == *hash);
    if state.class() == Class::C {
        let rows: Vec<&WaitingRow> = rows.iter().collect();
        let waited = condemned_of(&state, &rows);
        candidates.retain(|pack| waited.contains(pack));
        spare = snapshots_to_spare(&state, &rows, now);
    }
    candidates = known(job, survey, candidates)?;
    survey.mark_since(job, &state)?;
    let mut plan = survey.plan_proved(job, &state, &candidates, whole)?;
    spare.retain(|id| !state.is_live(id));
    if !spare.is_empty() {
        // What a backup may have taken over of these stays. What is lost of them stops nothing: nobody can need it.
        let marks = survey.marks_with(job, &state, &spare)?;
        (plan, _) = survey.plan_read(job, &state, &marks, &candidates, whole)?;
    }
    let objects = standing(&state).filter(|(_, by)| {
        by.time.is_past(job.options.grace, now) && (state.class() == Class::A || is_row(&by.hash))
    });
    let objects = objects.map(|(object, _)| *object).take(NAMED_MAX).collect();
    plan.packs.truncate(NAMED_MAX);
    Ok(Deletion { plan, objects })
}

/// The candidates that the picture shows, so that all in them can be marked, and those that no table names.
fn known(job: &Job<'_>, survey: &Survey, candidates: BTreeSet<PackId>) -> Result<BTreeSet<PackId>> {
    let mut shown = HashSet::new();
    for number in survey.picture.packs() {
        let id = survey.picture.pack_row(number)?.id;
        if candidates.contains(&id) {
            shown.insert(id);
        }
    }
    let mut known = BTreeSet::new();
    for id in candidates {
        if shown.contains(&id) || job.repo.index().pack(&id)?.is_none() {
            known.insert(id);
        }
    }
    Ok(known)
}

enum Put {
    Done(Vec<ObjectRef>),
    /// Others took packs back meanwhile; nothing else has changed.
    Spared(DeletePlan),
    PlanAnew,
}

/// Appends `Deleting`. On class A it stands right after the fold that the plan was made on, or after one that changed nothing of it.
fn put(
    job: &Job<'_>,
    survey: &Survey,
    deletion: &Deletion,
    replaced: &Replaced,
    listing: &Listing,
    process: Option<&DeletingProcess>,
) -> Result<Put> {
    // As the tables say; one that none names lies somewhere.
    let kind = |pack: &PackId| {
        let mut listed = listing.of_pack(pack).map(|(object, _)| object.kind);
        let named = replaced.kinds.get(pack).copied();
        named.or_else(|| listed.next()).unwrap_or(ObjectKind::Data)
    };
    let mut objects: Vec<ObjectRef> = deletion.objects.clone();
    objects.extend(deletion.plan.packs.iter().map(|pack| ObjectRef {
        kind: kind(pack),
        id: pack.0,
    }));
    objects.extend(replaced.drop.iter().map(ObjectRef::table));
    let mut outcome = Put::PlanAnew;
    let appended = job.repo.append_resting(&mut |state| {
        job.interrupt.check()?;
        if !may_append_deleting(&deletion.plan.planned_on, state) {
            let between = job.repo.entries_after(&deletion.plan.planned_on, state)?;
            let condemned: BTreeSet<&ObjectRef> =
                standing(state).map(|(object, _)| object).collect();
            let wanted = deletion
                .objects
                .iter()
                .any(|object| !condemned.contains(object));
            if wanted || !between.is_some_and(|between| plan_holds(&between)) {
                outcome = Put::PlanAnew;
                return Ok(None);
            }
            let renewed = deletion.plan.clone().renew(state);
            if renewed.packs != deletion.plan.packs {
                outcome = Put::Spared(renewed);
                return Ok(None);
            }
        }
        let rests_on = rests::on(job.repo, survey, state, &objects, replaced)?;
        let deleting = Action::Deleting {
            objects: objects.clone(),
            index_drop: replaced.drop.clone(),
            index_add: replaced.add.clone(),
            reprieve: deletion.plan.reprieve.clone(),
            fenced: process.map_or(Vec::new(), |process| state.cut_off_now(&process.nonce())),
        };
        Ok(Some((deleting, rests_on)))
    })?;
    Ok(match appended {
        Some(_) => Put::Done(objects),
        None => outcome,
    })
}

/// Removes objects that the log says are deleted. What the backend refuses is told, and goes with a later prune.
fn remove_all(
    job: &Job<'_>,
    objects: BTreeSet<ObjectRef>,
    listing: &Listing,
    summary: &mut PruneSummary,
) -> Result<()> {
    let backend = job.repo.backend();
    let threads = backend.limits().connections.clamp(1, THREADS_MAX);
    let queue = Mutex::new(objects.into_iter());
    let results = Mutex::new((Vec::new(), Vec::new()));
    on_threads(threads, &|| {
        loop {
            let next = lock(&queue).next();
            let Some(object) = next.filter(|_| job.interrupt.check().is_ok()) else {
                return Ok(());
            };
            let name = object.kind.name(&object.id);
            match backend.delete(&name) {
                Ok(()) => lock(&results).0.push(object),
                Err(e) => lock(&results).1.push((object, name, e)),
            }
        }
    })?;
    job.interrupt.check()?;
    let (removed, refused) = results.into_inner().unwrap_or_else(|e| e.into_inner());
    summary.objects_removed += removed.len() as u64;
    let len = |object: &ObjectRef| listing.packs.get(object).map(|pack| pack.len);
    for len in removed.iter().filter_map(len) {
        summary.deleted.add(len);
    }
    for (object, name, error) in refused {
        if error.kind() == ErrorKind::Interrupted {
            return Err(error);
        }
        if let Some(len) = len(&object) {
            summary.kept_by_place.add(len);
        }
        summary.refuse(name, &error);
    }
    summary.refused.sort();
    Ok(())
}
