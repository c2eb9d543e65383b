//! Reads what a policy needs out of the log's fold, and appends what comes of it.

use super::plan::{Candidate, ForgetOptions, ForgetPlan, plan};
use super::quarantine::ACCEPTED;
use super::times::{Commit, Stored, Times};
use crate::crypto::Role;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::checkpoint::SnapshotRow;
use crate::format::entry::{Action, NAMED_MAX};
use crate::format::name;
use crate::format::snapshot::Summary;
use crate::id::SnapshotId;
use crate::log::State;
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use crate::time::now;
use std::collections::{BTreeSet, HashMap};

/// A forget by policy: [`Forget::plan`] it as often as wanted, then [`Forget::execute`] it.
///
/// Memory: the summaries of all live snapshots, opened once.
pub struct Forget<'a> {
    repo: &'a Repo,
    options: &'a ForgetOptions,
    opened: HashMap<SnapshotId, Summary>,
    stored: Stored,
}

impl<'a> Forget<'a> {
    /// Looks up when the backend stored the entries that commit live snapshots: one listing for every 4096 numbers with any.
    /// None if claimed times are trusted.
    pub fn new(repo: &'a Repo, options: &'a ForgetOptions) -> Result<Self> {
        let stored = match options.trust_times {
            true => Stored::new(),
            false => stored_times(repo, &repo.state())?,
        };
        Ok(Self {
            repo,
            options,
            opened: HashMap::new(),
            stored,
        })
    }

    /// What would become of the snapshots, by the log as it was last folded.
    pub fn plan(&mut self) -> Result<ForgetPlan> {
        self.plan_on(&self.repo.state())
    }

    /// Appends a `Forget` of what goes, if anything does, right after the fold it was planned on; planned again whenever
    /// others were faster. What is more than an entry names goes by further ones. Gives the plan that stands.
    ///
    /// `InvalidInput` if the policy keeps nothing of a series and may not; `Damaged` or `Unsupported` while entries of the
    /// log cannot be read, for they may say anything. Nothing is forgotten then.
    pub fn execute(&mut self) -> Result<ForgetPlan> {
        let mut done = None;
        let repo = self.repo;
        repo.append(&mut |state| {
            let planned = self.plan_on(state)?;
            if planned.emptied().is_some() && !self.options.allow_empty {
                return Err(Error::invalid("policy").detail("keeps nothing of a series"));
            }
            let removed = planned.removed().map(|r| r.info.id);
            let snapshots: Vec<SnapshotId> = removed.take(NAMED_MAX).collect();
            done = Some(planned);
            Ok((!snapshots.is_empty()).then_some(Action::Forget { snapshots }))
        })?;
        let done = done.expect("an append asks at least once");
        let removed = done.removed().map(|r| r.info.id);
        let rest: Vec<SnapshotId> = removed.skip(NAMED_MAX).collect();
        forget_ids(repo, &rest)?;
        Ok(done)
    }

    fn plan_on(&mut self, state: &State) -> Result<ForgetPlan> {
        state.refuse_unreadable()?;
        let options = self.options;
        let mut unreadable = Vec::new();
        let mut candidates = Vec::new();
        for (id, row) in state.live_snapshots() {
            let summary = match self.summary(id, row) {
                Ok(summary) => summary.clone(),
                Err(e) => {
                    unreadable.push((*id, e.about(Subject::Snapshot(*id))));
                    continue;
                }
            };
            if options.filter.matches(&summary) {
                candidates.push(Candidate {
                    commit: commit(row),
                    terms: state.terms(id),
                    parent: summary.parent_form(),
                    vouched: is_vouched(state, row, &summary),
                    info: SnapshotInfo { id: *id, summary },
                });
            }
        }
        let now = now();
        let times = (!options.trust_times).then(|| {
            let rows = state.live_snapshots().chain(state.forgotten_snapshots());
            Times::new(rows.map(|(_, row)| commit(row)), self.stored.clone(), now)
        });
        Ok(ForgetPlan {
            groups: plan(candidates, options, times.as_ref(), now),
            unreadable,
        })
    }

    fn summary(&mut self, id: &SnapshotId, row: &SnapshotRow) -> Result<&Summary> {
        use std::collections::hash_map::Entry;
        Ok(match self.opened.entry(*id) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => free.insert(self.repo.open_summary(id, &row.summary)?),
        })
    }
}

/// Whether what a snapshot says of itself was put there by somebody who may forget, as `tag` and `rewrite` do: then there is no
/// need to push any out by times that are made up.
fn is_vouched(state: &State, row: &SnapshotRow, summary: &Summary) -> bool {
    let role = state.member(&row.writer).map(|member| member.role);
    summary.original().is_some() && matches!(role, Some(Role::Full))
}

/// The tags that another form of a snapshot keeps. A writer can have given its snapshot the tag that [accepts](ACCEPTED) a break:
/// that does not come to count because somebody who may forget changes something else about it.
pub fn tags_that_stay(state: &State, info: &SnapshotInfo) -> Vec<String> {
    let row = state.snapshot(&info.id);
    let vouched = row.is_some_and(|row| is_vouched(state, row, &info.summary));
    let stays = |tag: &&String| vouched || *tag != ACCEPTED;
    info.summary.tags.iter().filter(stays).cloned().collect()
}

fn commit(row: &SnapshotRow) -> Commit {
    Commit {
        number: row.number,
        time: row.time,
    }
}

/// When the backend stored the log's entries, in the segments that hold commits of live snapshots and in the first.
fn stored_times(repo: &Repo, state: &State) -> Result<Stored> {
    let segment = |number: u64| number / name::SEGMENT_ENTRIES;
    let live = state.live_snapshots().map(|(_, row)| segment(row.number));
    let segments: BTreeSet<u64> = live.chain([0]).collect();
    let mut stored = Stored::new();
    for segment in segments {
        let folder = name::segment_folder(segment * name::SEGMENT_ENTRIES);
        repo.backend().list(&folder, &mut |listed| {
            let number = name::parse_numbered(&listed.name).map(|(number, _)| number);
            if let (Some(number), Some(time)) = (number, listed.modified) {
                let (first, last) = stored.entry(number).or_insert((time, time));
                (*first, *last) = (time.min(*first), time.max(*last));
            }
            Ok(())
        })?;
    }
    Ok(stored)
}

/// Forgets these snapshots, protected ones excepted: `Denied`, about the first of them, and none is forgotten. Gives those
/// that were not forgotten already.
pub fn forget_ids(repo: &Repo, ids: &[SnapshotId]) -> Result<Vec<SnapshotId>> {
    let mut forgotten = Vec::new();
    for part in ids.chunks(NAMED_MAX) {
        let mut live: Vec<SnapshotId> = Vec::new();
        repo.append(&mut |state| {
            state.refuse_unreadable()?;
            let now = now();
            let mut all = ids.iter().filter(|id| state.is_live(id));
            if let Some(id) = all.find(|id| state.is_protected(id, now)) {
                let protected = Error::new(ErrorKind::Denied, Subject::Snapshot(*id));
                return Err(protected.detail("it is protected"));
            }
            live = part
                .iter()
                .filter(|id| state.is_live(id))
                .copied()
                .collect();
            let snapshots = live.clone();
            Ok((!snapshots.is_empty()).then_some(Action::Forget { snapshots }))
        })?;
        forgotten.append(&mut live);
    }
    Ok(forgotten)
}
