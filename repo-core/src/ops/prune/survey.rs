//! What is needed, what is there, and what follows from it.

use super::choose::Uses;
use super::listing::Listing;
use super::mark::{Walking, mark_below, mark_new};
use super::options::PrunePlan;
use super::uncommitted::mark_uncommitted;
use super::{Job, is_absence};
use crate::error::{Error, Result, Subject};
use crate::format::checkpoint::Condemned;
use crate::format::entry::ObjectRef;
use crate::format::name::ObjectKind;
use crate::format::pack::PADDING_STEP;
use crate::id::{BlobId, PackId, SnapshotId};
use crate::index::{Picture, PictureMarks};
use crate::log::{
    Catalog, CondemnPlan, DeletePlan, Kept, PackState, Present, State, chosen_over, keep,
    plan_condemn, plan_delete, stand_ins,
};
use crate::repo::{PictureRows, Repo, pack_object};
use crate::time::{Timestamp, now};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Everything that a prune decided on one fold.
pub struct Survey {
    pub state: Arc<State>,
    pub picture: Arc<Picture>,
    pub marks: PictureMarks,
    /// The snapshots whose content is marked.
    pub marked: HashSet<SnapshotId>,
    /// Packs that the log knows, and that are not there, or not whole, as far as that was looked at.
    pub absent: BTreeSet<PackId>,
    /// Packs that are what their names say: they were read, or written by this prune.
    pub whole: BTreeSet<PackId>,
    pub kept: Kept,
    pub condemn: CondemnPlan,
    /// Objects that are no packs, to be condemned: those of forgotten snapshots, and strays.
    pub objects: Vec<ObjectRef>,
    /// Snapshots that no entry commits, and that stay.
    uncommitted: BTreeSet<SnapshotId>,
    /// From which share of dead bytes on a block is written anew.
    pub dead_share_max: f64,
    pub plan: PrunePlan,
}

impl Survey {
    /// Marks what live snapshots hold, and decides what goes. Fails if anything needed cannot be read or is not there.
    pub fn make(job: &Job<'_>, listing: &Listing) -> Result<Self> {
        let repo = job.repo;
        let state = repo.state();
        let picture = Arc::new(repo.index().picture()?);
        let marks = picture.marks();
        let mut marked = HashSet::new();
        mark_new(job, &state, &marks, &mut marked, Walking::Picture)?;
        let rows = PictureRows(&picture);
        let mut absent = absent(repo, &state, &picture, listing)?;
        let mut whole = BTreeSet::new();
        let stay = mark_uncommitted(job, &state, listing, &marks, &absent, &mut whole)?;
        let strays = strays(job, &state, listing)?;
        let (kept, uses, condemn) = loop {
            let kept = keep(&state, &rows, &marks, &absent)?;
            if let Some(blob) = kept.lost.first() {
                return Err(lost(repo, blob, &absent, listing)?);
            }
            let uses = Uses::count(&picture, &kept, job.options)?;
            let rewrite = uses.choose(job.options, repo.settings().pack_bytes);
            let rewrite = |pack| rewrite.contains(&pack);
            let condemn = plan_condemn(&state, &rows, &kept, &rewrite, &strays)?;
            if job.options.dry_run {
                break (kept, uses, condemn);
            }
            let chosen = chosen_over(&rows, &kept, &condemn.condemn)?;
            let damaged = damaged(job, chosen, &mut whole)?;
            if damaged.is_empty() {
                break (kept, uses, condemn);
            }
            // Not for what they say they hold shall anything go.
            absent.extend(damaged);
        };
        let mut survey = Self {
            plan: PrunePlan::default(),
            objects: objects(job, &state, listing, &stay),
            uncommitted: stay,
            dead_share_max: uses.dead_share_max,
            state,
            picture,
            marks,
            marked,
            absent,
            whole,
            kept,
            condemn,
        };
        survey.plan = survey.numbers(job, &uses, listing)?;
        Ok(survey)
    }

    /// Marks what has been committed, or is wanted again, since.
    pub fn mark_since(&self, job: &Job<'_>, state: &State) -> Result<()> {
        let mut marked = self.marked.clone();
        mark_new(job, state, &self.marks, &mut marked, Walking::Newer)
    }

    /// Marks with all that is marked what these forgotten snapshots hold, as far as it can be read.
    pub fn marks_with(
        &self,
        job: &Job<'_>,
        state: &State,
        forgotten: &[SnapshotId],
    ) -> Result<PictureMarks> {
        let marks = self.marks.copy();
        for id in forgotten {
            if let Some(row) = state.snapshot(id) {
                let root = job.repo.open_summary(id, &row.summary)?.root;
                mark_below(job, &marks, id, &root, Walking::PastLosses)?;
            }
        }
        Ok(marks)
    }

    /// What may be deleted of condemned packs, on that fold and with what is marked by now, as far as the log knows it.
    fn plan_delete(
        &self,
        job: &Job<'_>,
        state: &State,
        condemned: &BTreeSet<PackId>,
    ) -> Result<DeletePlan> {
        let present = Present {
            inventory: &job.repo.catalog(),
            absent: &self.absent,
        };
        plan_delete(state, &present, &self.marks, condemned)
    }

    /// The same, and the packs that would be taken back were read, for they may have been condemned because they are damaged; and those
    /// that hold what is needed of packs that go, for one of these may be the last good copy (not in a dry run). Then another copy has to
    /// do. `Damaged` or `Missing` about what is needed and lies nowhere else. `whole` are packs that need not be read, and those that
    /// were come to them.
    pub fn plan_proved(
        &self,
        job: &Job<'_>,
        state: &State,
        condemned: &BTreeSet<PackId>,
        whole: &mut BTreeSet<PackId>,
    ) -> Result<DeletePlan> {
        let (plan, damaged) = self.plan_read(job, state, &self.marks, condemned, whole)?;
        if let Some(pack) = damaged.filter(|_| !plan.lost.is_empty()) {
            let error = Error::damaged(Subject::Pack(pack));
            return Err(error.detail("snapshots need what it holds; nothing was deleted"));
        }
        if let Some(lost) = plan.lost.first() {
            let detail = "is needed and cannot be decoded; nothing was deleted";
            return Err(Error::missing(Subject::Blob(*lost)).detail(detail));
        }
        Ok(plan)
    }

    /// The same with other marks, whatever of that is lost; and the first pack that was found damaged.
    pub fn plan_read(
        &self,
        job: &Job<'_>,
        state: &State,
        marks: &PictureMarks,
        condemned: &BTreeSet<PackId>,
        whole: &mut BTreeSet<PackId>,
    ) -> Result<(DeletePlan, Option<PackId>)> {
        let (mut absent, mut first) = (self.absent.clone(), None);
        loop {
            let present = Present {
                inventory: &job.repo.catalog(),
                absent: &absent,
            };
            let plan = plan_delete(state, &present, marks, condemned)?;
            let mut relied = plan.reprieve.clone();
            if !job.options.dry_run {
                relied.extend(stand_ins(state, &present, marks, &plan, whole)?);
            }
            let damaged = damaged(job, relied, whole)?;
            if damaged.is_empty() {
                return Ok((plan, first));
            }
            first = first.or(damaged.first().copied());
            absent.extend(damaged);
        }
    }

    fn numbers(&self, job: &Job<'_>, uses: &Uses, listing: &Listing) -> Result<PrunePlan> {
        let mut plan = PrunePlan {
            snapshots: self.marked.len() as u64,
            ..PrunePlan::default()
        };
        let snapshots = self
            .objects
            .iter()
            .filter(|o| o.kind == ObjectKind::Snapshot);
        let snapshots = snapshots.map(|object| SnapshotId(object.id));
        let (forgotten, uncommitted): (Vec<_>, Vec<_>) =
            snapshots.partition(|id| self.state.snapshot(id).is_some());
        plan.snapshots_to_go = forgotten.len() as u64;
        plan.uncommitted = uncommitted;
        if self.state.voided_count() > 0 {
            plan.uncommitted_kept = self.uncommitted.iter().copied().collect();
        }
        let known = |id: &PackId| listing.len_of_pack(id);
        for (number, used) in uses.packs() {
            plan.packs.add(used.len);
            plan.used_bytes += used.used;
            plan.unused_bytes += used.unused;
            if self.condemn.repack.contains(&number) {
                plan.to_rewrite.add(used.len);
                plan.rewritten_bytes += used.used + (used.unused - used.reclaims);
                plan.left_unused_bytes += used.unused - used.reclaims;
            } else if self.kept.blobs_in_pack(number) == 0 {
                plan.to_condemn.add(used.len);
            } else {
                plan.left_unused_bytes += used.unused;
            }
        }
        // Of one that is not whole goes what is there.
        let condemn = self.condemn.condemn.iter();
        for id in condemn.clone().filter(|id| self.absent.contains(*id)) {
            plan.packs.add(known(id));
            plan.to_condemn.add(known(id));
        }
        let indexed = plan.to_condemn.count + plan.to_rewrite.count;
        let strays = self.condemn.condemn.len() as u64 - indexed;
        if strays > 0 {
            let indexed: HashSet<PackId> = uses.packs().map(|(_, used)| used.id).collect();
            for id in condemn.filter(|id| !indexed.contains(*id) && !self.absent.contains(*id)) {
                plan.strays.add(known(id));
            }
        }
        self.earlier(job, listing, &mut plan)?;
        let goes = plan.to_condemn.bytes + plan.to_rewrite.bytes + plan.strays.bytes;
        let later = goes + plan.waiting.bytes;
        (plan.frees_now_bytes, plan.frees_later_bytes) = match job.options.grace.is_zero() {
            true => (plan.to_delete.bytes + later, 0),
            false => (plan.to_delete.bytes, later),
        };
        plan.writes_bytes = self.writes(uses)?;
        plan.snapshots_lost = self.snapshots_lost(job);
        let pack_bytes = u64::from(job.repo.settings().pack_bytes).max(1);
        let writes = plan.rewritten_bytes.div_ceil(pack_bytes) + 3;
        plan.requests = plan.to_rewrite.count + writes + plan.to_delete.count;
        if job.options.grace.is_zero() {
            plan.requests += self.condemn.condemn.len() as u64;
        }
        Ok(plan)
    }

    /// What was condemned before: has to wait, is needed again, goes, or should have gone.
    fn earlier(&self, job: &Job<'_>, listing: &Listing, plan: &mut PrunePlan) -> Result<()> {
        let known = |id: &PackId| listing.len_of_pack(id);
        let expired = expired(&self.state, job.options.grace, now());
        let condemned: BTreeSet<PackId> = self.state.condemned().map(|(id, _)| *id).collect();
        let whole = self.plan_delete(job, &self.state, &condemned)?;
        for id in &condemned {
            match whole.reprieve.binary_search(id).is_ok() {
                true => plan.needed_again.add(known(id)),
                false if !expired.contains(id) => plan.waiting.add(known(id)),
                false => {}
            }
        }
        let delete = match (job.options.dry_run, expired == condemned) {
            (true, _) => self.plan_proved(job, &self.state, &expired, &mut BTreeSet::new())?,
            (false, true) => whole,
            (false, false) => self.plan_delete(job, &self.state, &expired)?,
        };
        for id in &delete.packs {
            plan.to_delete.add(known(id));
        }
        // Earlier prunes were stopped before these were gone, or not allowed to remove them.
        for (object, stored) in &listing.packs {
            if self.state.may_remove(&object.id) {
                plan.to_delete.add(stored.len);
            }
        }
        Ok(())
    }

    /// About what is written for packs that are rewritten: what is kept of them with rows for it in a directory, padded for each domain and
    /// kind by itself.
    fn writes(&self, uses: &Uses) -> Result<u64> {
        let mut by_kind: HashMap<_, u64> = HashMap::new();
        for (number, used) in uses.packs() {
            if self.condemn.repack.contains(&number) {
                let blocks = used.used + (used.unused - used.reclaims);
                let kept = blocks + u64::from(self.kept.blobs_in_pack(number)) * ROW_BYTES;
                let domain = self.picture.pack_row(number)?.domain;
                *by_kind.entry((domain, used.kind as u8)).or_default() += kept;
            }
        }
        let padded = by_kind
            .values()
            .map(|kept| kept.next_multiple_of(PADDING_STEP as u64));
        Ok(padded.sum())
    }

    /// Forgotten snapshots that were condemned for longer than the grace; without one also those that are condemned now, and those that a
    /// dry run takes for forgotten.
    fn snapshots_lost(&self, job: &Job<'_>) -> Vec<SnapshotId> {
        let (grace, now) = (job.options.grace, now());
        let expired = standing(&self.state).filter(|(_, by)| by.time.is_past(grace, now));
        let mut objects: Vec<&ObjectRef> = expired.map(|(object, _)| object).collect();
        if grace.is_zero() {
            objects.extend(&self.objects);
        }
        let mut lost = forgotten(&self.state, objects);
        if grace.is_zero() {
            lost.extend(&job.options.without);
        }
        lost.sort_unstable();
        lost.dedup();
        lost
    }
}

/// Those of these packs that are not what their names say; adds the others to `whole`, and reads none of them again.
pub fn damaged(
    job: &Job<'_>,
    packs: Vec<PackId>,
    whole: &mut BTreeSet<PackId>,
) -> Result<Vec<PackId>> {
    let mut damaged = Vec::new();
    for pack in packs {
        job.interrupt.check()?;
        if whole.contains(&pack) {
            continue;
        }
        match job.repo.prove_pack(&pack) {
            Ok(()) => drop(whole.insert(pack)),
            // One that is not there any more was deleted meanwhile, or will be missed by the next run.
            Err(e) if e.is_lost() && !is_absence(&e) => damaged.push(pack),
            Err(e) => return Err(e),
        }
    }
    Ok(damaged)
}

/// What a blob takes in the directory of its pack: an id, lengths, and its part of the rows of blocks.
const ROW_BYTES: u64 = 40;

/// The forgotten snapshots among objects.
pub fn forgotten<'a>(
    state: &State,
    objects: impl IntoIterator<Item = &'a ObjectRef>,
) -> Vec<SnapshotId> {
    let snapshots = objects
        .into_iter()
        .filter(|object| object.kind == ObjectKind::Snapshot);
    let ids = snapshots.map(|object| SnapshotId(object.id));
    ids.filter(|id| state.snapshot(id).is_some()).collect()
}

/// Packs that tables name and no entry deletes, and that are not there in their full length: what is needed of them must lie elsewhere.
fn absent(
    repo: &Repo,
    state: &State,
    picture: &Picture,
    listing: &Listing,
) -> Result<BTreeSet<PackId>> {
    let mut absent = BTreeSet::new();
    for number in picture.packs() {
        let row = picture.pack_row(number)?;
        if state.pack_state(&row.id) == PackState::Deleting {
            continue;
        }
        let (kind, id) = (pack_object(row.kind), row.id.0);
        let listed = listing.packs.get(&ObjectRef { kind, id });
        // It may have come since.
        if listed.map(|stored| stored.len) != Some(row.len)
            && repo.backend().size(&kind.name(&id))? != Some(row.len)
        {
            absent.insert(row.id);
        }
    }
    Ok(absent)
}

/// Why nothing can be done while that blob, which is needed, lies in no pack that stays.
fn lost(repo: &Repo, blob: &BlobId, absent: &BTreeSet<PackId>, listing: &Listing) -> Result<Error> {
    let mut lost = None;
    repo.catalog().copies(blob, &mut |pack, _| {
        if absent.contains(pack) {
            lost = Some(*pack);
        }
    })?;
    Ok(match lost {
        Some(pack) => {
            let kind = repo.index().pack(&pack)?.map(|info| pack_object(info.kind));
            let mut there = listing.of_pack(&pack);
            let error = match there.any(|(object, _)| Some(object.kind) == kind) {
                true => Error::damaged(Subject::Pack(pack)),
                false => Error::missing(Subject::Pack(pack)),
            };
            error.detail("snapshots need what it holds; nothing was deleted")
        }
        None => Error::missing(Subject::Blob(*blob))
            .detail("is needed and lies in no pack that stays; nothing was deleted"),
    })
}

/// Packs that are there, that no table names and no entry condemns or deletes, and that are old enough.
fn strays(job: &Job<'_>, state: &State, listing: &Listing) -> Result<Vec<PackId>> {
    let now = now();
    let mut strays = Vec::new();
    for (object, stored) in &listing.packs {
        let id = PackId(object.id);
        if state.pack_state(&id) == PackState::Live
            && stored.is_older(job.options.stray_age, now)
            && job.repo.index().pack(&id)?.is_none()
        {
            strays.push(id);
        }
    }
    Ok(strays)
}

/// Objects besides packs that no entry wants, and that are not condemned for that yet: those of forgotten snapshots at once, others
/// when they are old enough, but for the snapshots that `stay`.
fn objects(
    job: &Job<'_>,
    state: &State,
    listing: &Listing,
    stay: &BTreeSet<SnapshotId>,
) -> Vec<ObjectRef> {
    let now = now();
    let condemned: BTreeSet<&ObjectRef> = standing(state).map(|(object, _)| object).collect();
    let unwanted = listing.others.iter().filter(|(object, stored)| {
        let forgotten =
            object.kind == ObjectKind::Snapshot && state.snapshot(&SnapshotId(object.id)).is_some();
        !state.wants(object)
            && !state.is_deleted(&object.id)
            && !condemned.contains(object)
            && !state.is_protected(&SnapshotId(object.id), now)
            && !stay.contains(&SnapshotId(object.id))
            && (forgotten || stored.is_older(job.options.stray_age, now))
    });
    unwanted.map(|(object, _)| *object).collect()
}

/// Condemned objects that are no packs, wanted by no entry since.
pub fn standing(state: &State) -> impl Iterator<Item = (&ObjectRef, &Condemned)> {
    let now = now();
    let unprotected = state.condemned_objects().filter(move |(object, _)| {
        object.kind != ObjectKind::Snapshot || !state.is_protected(&SnapshotId(object.id), now)
    });
    unprotected.filter(|(object, by)| {
        let forgotten = state.forgotten_by(&SnapshotId(object.id));
        object.kind != ObjectKind::Snapshot || forgotten.is_none_or(|number| number < by.number)
    })
}

/// Which condemned packs have been so for longer than the grace.
pub fn expired(state: &State, grace: std::time::Duration, now: Timestamp) -> BTreeSet<PackId> {
    let condemned = state.condemned();
    let expired = condemned.filter(|(_, by)| by.time.is_past(grace, now));
    expired.map(|(id, _)| *id).collect()
}
