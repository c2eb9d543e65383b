//! Takes a forget back, as long as everything that the snapshot holds is still there.

use super::again::{Copied, another_form, commit, copy, settle};
use super::held::Held;
use crate::backend::Class;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::Action;
use crate::id::{BlobId, PackId, SnapshotId};
use crate::log::{State, check_unforget};
use crate::ops::derive::{PASSES_MAX, Twins, Wanted, never_stands};
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What became of an [`unforget`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unforgotten {
    /// These are there again; others of those asked for were not forgotten.
    Done(Vec<Regained>),
    /// It is too late for this one, and none is wanted again.
    TooLate(SnapshotId, TooLate),
}

/// A snapshot that is there again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regained {
    /// Which was asked for.
    pub asked: SnapshotId,
    /// Under which id it is there: another one if it had to be stored anew.
    pub id: SnapshotId,
}

/// What is gone of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TooLate {
    /// The snapshot itself.
    pub snapshot: bool,
    /// Files and directories that are not whole any more: nothing else below one of these directories, and what lies in equal ones once.
    pub items: u64,
    /// The first of them.
    pub first: Option<PathBuf>,
}

/// Makes forgotten snapshots wanted again: checks that every blob they hold is in packs that are there and stay, and appends an
/// `Unforget` that reprieves the condemned ones among those, as far as they are what their names say.
///
/// On class C what is condemned cannot be reprieved. If a snapshot needs any of it, or is condemned itself, what is needed is copied, and
/// another form of the snapshot is committed that says what it was made from: tags, time and terms are the same, the id is not. One that
/// an earlier run has committed is found. `Unavailable` if this process is taken for dead meanwhile, or what it relies on is
/// deleted each time it begins again.
///
/// `Damaged`, and nothing is changed, if something is not to be found and an index table is lost. Every tree is read, and what is copied. Checked again if packs were condemned or deleted meanwhile. `NotFound` about one that the log does not know. Memory: two bits for each blob of
/// the index, 32 bytes for each condemned pack and each blob that is lost, and what writing takes.
pub fn unforget(
    repo: &Repo,
    ids: &[SnapshotId],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Unforgotten> {
    let (mut process, mut passes) = (None, 0);
    loop {
        // On class C no deletion goes by a process at work, which must be announced before it folds.
        if process.is_none() {
            process = repo.announce()?;
        }
        repo.refresh()?;
        let job = Job {
            repo,
            ids,
            state: &repo.state(),
            progress,
            interrupt,
        };
        if let Some(done) = job.attempt()? {
            return Ok(done);
        }
        passes += u32::from(process.is_some());
        if passes == PASSES_MAX {
            return Err(never_stands());
        }
    }
}

/// What is to be done on one fold.
#[derive(Default)]
struct Plan {
    /// Packs that are needed again.
    reprieve: BTreeSet<PackId>,
    /// Class C: these come back as other forms.
    anew: Vec<Wanted>,
    /// Class C: and these have come back so.
    there: Vec<(Wanted, SnapshotId)>,
}

/// A try on one fold.
struct Job<'a> {
    repo: &'a Repo,
    ids: &'a [SnapshotId],
    state: &'a State,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

impl Job<'_> {
    /// `None` if it is to be begun again on a newer fold.
    fn attempt(&self) -> Result<Option<Unforgotten>> {
        self.state.refuse_unreadable()?;
        let plan = match self.plan()? {
            Ok(plan) => plan,
            Err((id, gone)) => return self.too_late(id, gone),
        };
        let mut back = BTreeMap::new();
        if !plan.anew.is_empty() {
            let written = match copy(self.repo, &plan.anew, self.progress, self.interrupt)? {
                Copied::Whole(written) => written,
                Copied::Lost(id, gone) => return self.too_late(id, gone),
            };
            let Some(new) = commit(self.repo, &plan.anew, &written, self.interrupt)? else {
                return Ok(None);
            };
            back.extend(plan.anew.iter().map(|wanted| wanted.old.id).zip(new));
        }
        for (wanted, id) in &plan.there {
            settle(self.repo, wanted, id)?;
            back.insert(wanted.old.id, *id);
        }
        let as_they_are = self.ids.iter().filter(|id| !back.contains_key(id));
        let as_they_are: Vec<SnapshotId> = as_they_are.copied().collect();
        let Some(done) = self.append(&as_they_are, &plan.reprieve)? else {
            return Ok(None);
        };
        back.extend(done.into_iter().map(|id| (id, id)));
        let regained = self.ids.iter().filter_map(|asked| {
            let (asked, id) = back.get_key_value(asked)?;
            Some(Regained {
                asked: *asked,
                id: *id,
            })
        });
        Ok(Some(Unforgotten::Done(regained.collect())))
    }

    /// Looks what must be done for each, or what is gone of the first that is not whole.
    fn plan(&self) -> Result<Result<Plan, (SnapshotId, TooLate)>> {
        let (repo, state) = (self.repo, self.state);
        let mut plan = Plan::default();
        let mut twins = None;
        let mut held = Held::new(repo, self.progress, self.interrupt);
        for id in BTreeSet::from_iter(self.ids) {
            let Some(row) = state.snapshot(id) else {
                return self.gone_or_unknown(id).map(|gone| Err((*id, gone)));
            };
            if state.is_live(id) {
                continue;
            }
            let summary = repo.open_summary(id, &row.summary)?;
            let wanted = another_form(state, SnapshotInfo { id: *id, summary });
            if state.class() == Class::C {
                let twins = twins.get_or_insert_with(|| Twins::of(repo));
                if let Some(twin) = twins.find(&wanted) {
                    plan.there.push((wanted, twin));
                    continue;
                }
            }
            if state.class() == Class::C {
                // What another one holds too may have to be copied for both.
                held = Held::new(repo, self.progress, self.interrupt);
            }
            let mut checked = self.check(&mut held, id, wanted.summary.root)?;
            match checked.gone == TooLate::default() {
                false => return Ok(Err((*id, checked.gone))),
                true if checked.anew => plan.anew.push(wanted),
                true => plan.reprieve.append(&mut checked.reprieve),
            }
        }
        plan.reprieve = self.whole(plan.reprieve)?;
        Ok(Ok(plan))
    }

    /// Those of these packs that are what their names say. A damaged one stays condemned, so that nothing new is taken for stored in it; a
    /// prune that needs it deletes nothing.
    fn whole(&self, packs: BTreeSet<PackId>) -> Result<BTreeSet<PackId>> {
        let mut whole = BTreeSet::new();
        for pack in packs {
            self.interrupt.check()?;
            match self.repo.prove_pack(&pack) {
                Ok(()) => drop(whole.insert(pack)),
                Err(e) if e.is_lost() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(whole)
    }

    fn gone_or_unknown(&self, id: &SnapshotId) -> Result<TooLate> {
        match self.state.is_deleted(&id.0) {
            true => Ok(TooLate {
                snapshot: true,
                ..TooLate::default()
            }),
            false => Err(Error::new(ErrorKind::NotFound, Subject::Snapshot(*id))),
        }
    }

    /// Goes through everything that a snapshot holds and none before it, which was whole, and asks the log's own check.
    fn check(&self, held: &mut Held<'_>, id: &SnapshotId, root: BlobId) -> Result<Checked> {
        let (repo, state) = (self.repo, self.state);
        let own = check_unforget(state, &repo.catalog(), &[*id], &[])?;
        let (mut reprieve, mut copies) = (BTreeSet::new(), false);
        let gone = held.below(root, &mut |blobs| {
            let ids = blobs.iter().map(|(_, id)| id);
            let check = check_unforget(state, &repo.catalog(), &[], ids.clone())?;
            reprieve.extend(&check.reprieve);
            copies |= !check.copy.is_empty();
            for blob in ids {
                if repo.packs_of(blob)?.is_empty() {
                    return Ok(false);
                }
            }
            Ok(check.lost.is_empty())
        })?;
        Ok(Checked {
            gone: TooLate {
                snapshot: !own.gone.is_empty(),
                ..gone
            },
            reprieve,
            anew: copies || !own.renew.is_empty(),
        })
    }

    /// That it is too late, unless packs were deleted since the fold: what was in them may have been moved. `Damaged` if a
    /// lost index table may name it.
    fn too_late(&self, id: SnapshotId, gone: TooLate) -> Result<Option<Unforgotten>> {
        self.repo.refresh()?;
        self.repo.refuse_fenced()?;
        if self.repo.state().has_deleted_since(self.state) {
            return Ok(None);
        }
        self.repo.refuse_incomplete_index()?;
        Ok(Some(Unforgotten::TooLate(id, gone)))
    }

    /// Appends the entry to a fold in which no other packs are condemned or deleted than in the one that was checked; `None` if
    /// there are.
    fn append(
        &self,
        ids: &[SnapshotId],
        reprieve: &BTreeSet<PackId>,
    ) -> Result<Option<Vec<SnapshotId>>> {
        if ids.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mut done = None;
        self.repo.append(&mut |state| {
            state.refuse_unreadable()?;
            done = None;
            if !holds(self.state, state) || ids.iter().any(|id| state.snapshot(id).is_none()) {
                return Ok(None);
            }
            let forgotten = ids.iter().filter(|id| !state.is_live(id));
            let snapshots: Vec<SnapshotId> = forgotten.copied().collect();
            done = Some(snapshots.clone());
            Ok((!snapshots.is_empty()).then(|| Action::Unforget {
                snapshots,
                reprieve: reprieve.iter().copied().collect(),
            }))
        })?;
        Ok(done)
    }
}

/// What a look at everything that a snapshot holds gave.
struct Checked {
    gone: TooLate,
    reprieve: BTreeSet<PackId>,
    /// It can be had as another form only.
    anew: bool,
}

/// Whether what was checked on one fold holds on a newer one: what decoded then does so now.
fn holds(checked: &State, now: &State) -> bool {
    let before: BTreeSet<&PackId> = checked.condemned().map(|(pack, _)| pack).collect();
    now.class() == checked.class()
        && now.deleted().count() == checked.deleted().count()
        && now.condemned_objects().eq(checked.condemned_objects())
        && now.condemned().all(|(pack, _)| before.contains(pack))
}
