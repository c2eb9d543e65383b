//! What may be condemned, and what may be deleted.
//!
//! Both are decided by the same question as everywhere: does what is needed still decode from what stays? `Condemn` may rest
//! on an old fold, because the question is asked again before `Deleting`; `Deleting` stands right after the fold it was
//! computed from.

use super::check::{Catalog, spare};
use super::mutant::{Rule, off};
use super::state::{PackState, State};
use crate::backend::Class;
use crate::error::Result;
use crate::format::checkpoint::Tail;
use crate::format::entry::{Action, ObjectRef, SignedEntry};
use crate::format::name::ObjectKind;
use crate::id::{BlobId, EvidenceId, IndexId, PackId, SnapshotId};
use std::collections::BTreeSet;

/// A catalog that can be walked through.
pub trait Inventory: Catalog {
    /// Calls `each` for every pack, in ascending order.
    fn packs(&self, each: &mut dyn FnMut(&PackId) -> Result<()>) -> Result<()>;

    /// Calls `each` for every blob of a pack, with the bases of its block.
    fn blobs(
        &self,
        pack: &PackId,
        each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>,
    ) -> Result<()>;

    /// Calls `each` for every blob in a block with bases, of any pack.
    fn with_bases(&self, each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>) -> Result<()>;
}

/// The blobs that the snapshots to keep need: what a mark found. Anything unreadable must have stopped it.
pub trait Needed {
    /// Whether a blob is needed.
    fn needs(&self, blob: &BlobId) -> bool;
}

impl Needed for BTreeSet<BlobId> {
    fn needs(&self, blob: &BlobId) -> bool {
        self.contains(blob)
    }
}

/// What to condemn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CondemnPlan {
    /// These packs, once the copies are there.
    pub condemn: Vec<PackId>,
    /// Write these, whole, to new packs, and bring their tables in with the same entry.
    pub copy: Vec<BlobId>,
}

/// Plans to condemn every live pack that holds anything nobody needs: what of it is needed is copied.
///
/// `orphans` are packs that no table names and that may be condemned too. A needed blob in a block with bases makes
/// them needed, whole. Memory: 40 bytes for each needed blob and base.
pub fn plan_condemn(
    state: &State,
    inventory: &dyn Inventory,
    needed: &dyn Needed,
    orphans: &[PackId],
) -> Result<CondemnPlan> {
    let mut bases_needed = BTreeSet::new();
    inventory.with_bases(&mut |blob, bases| {
        if needed.needs(blob) && !off(Rule::Bases) {
            bases_needed.extend(bases.iter().copied());
        }
        Ok(())
    })?;
    let mut plan = CondemnPlan::default();
    let (mut kept, mut kept_whole) = (BTreeSet::new(), BTreeSet::new());
    inventory.packs(&mut |pack| {
        if state.pack_state(pack) != PackState::Live {
            return Ok(());
        }
        let (mut wanted, mut all) = (Vec::new(), true);
        inventory.blobs(pack, &mut |blob, bases| {
            let whole = bases.is_empty();
            let first = needed.needs(blob) && !kept.contains(blob);
            let base = whole && bases_needed.contains(blob) && !kept_whole.contains(blob);
            match first || base {
                true => wanted.push((*blob, whole)),
                false => all = false,
            }
            Ok(())
        })?;
        if !all {
            plan.condemn.push(*pack);
            plan.copy.extend(wanted.iter().map(|(blob, _)| *blob));
        }
        for (blob, whole) in wanted {
            kept.insert(blob);
            if whole || !all {
                kept_whole.insert(blob);
            }
        }
        Ok(())
    })?;
    let new = |pack: &&PackId| state.pack_state(pack) == PackState::Live;
    plan.condemn.extend(orphans.iter().filter(new));
    plan.condemn.sort_unstable();
    plan.condemn.dedup();
    plan.copy.sort_unstable();
    plan.copy.dedup();
    Ok(plan)
}

/// What to delete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeletePlan {
    /// The fold it was computed from.
    pub planned_on: Tail,
    /// These packs.
    pub packs: Vec<PackId>,
    /// These are needed after all.
    pub reprieve: Vec<PackId>,
    /// These are needed and decode from nothing, with or without a deletion: the repository is damaged, delete nothing.
    pub lost: Vec<BlobId>,
}

/// Plans to delete those of the condemned packs `candidates` that nothing needs.
///
/// Asks of every needed blob in a candidate, and of every needed blob in a block with bases, whether it decodes without
/// the candidates; otherwise keeps the fewest of them that it decodes from. Time: a lookup for each of those. Memory: the
/// result.
pub fn plan_delete(
    state: &State,
    inventory: &dyn Inventory,
    needed: &dyn Needed,
    candidates: &BTreeSet<PackId>,
) -> Result<DeletePlan> {
    let mut reprieve = BTreeSet::new();
    let mut lost = Vec::new();
    let condemned = |pack: &PackId| state.pack_state(pack) == PackState::Condemned;
    let candidates = || candidates.iter().filter(|pack| condemned(pack));
    if !off(Rule::DeleteCheck) {
        for pack in candidates() {
            inventory.blobs(pack, &mut |blob, _| match needed.needs(blob) {
                true => spare(state, inventory, blob, &|_| true, &mut reprieve, &mut lost),
                false => Ok(()),
            })?;
        }
        inventory.with_bases(&mut |blob, _| match needed.needs(blob) {
            true => spare(state, inventory, blob, &|_| true, &mut reprieve, &mut lost),
            false => Ok(()),
        })?;
    }
    lost.sort_unstable();
    lost.dedup();
    Ok(DeletePlan {
        planned_on: state.tail().clone(),
        packs: candidates()
            .filter(|pack| !reprieve.contains(pack))
            .copied()
            .collect(),
        reprieve: reprieve.into_iter().collect(),
        lost,
    })
}

/// Whether a plan to delete holds after these entries, but for what they took back ([`DeletePlan::renew`]); otherwise plan
/// from the beginning, for copies that it counts on may be going.
///
/// Nothing new has to be marked: a `Commit` or `Unforget` takes back what it needs of what is condemned.
pub fn plan_holds(between: &[SignedEntry]) -> bool {
    let harmless = |signed: &SignedEntry| {
        matches!(
            signed.entry.action,
            Some(
                Action::Commit { .. }
                    | Action::Publish { .. }
                    | Action::Forget { .. }
                    | Action::Unforget { .. }
                    | Action::Evidence { .. }
                    | Action::Settings(_)
            )
        )
    };
    between.iter().all(harmless) || off(Rule::RaceLost)
}

impl DeletePlan {
    /// The plan on the newer fold `state`: without the packs that were taken back since.
    pub fn renew(mut self, state: &State) -> DeletePlan {
        let condemned = |pack: &PackId| state.pack_state(pack) == PackState::Condemned;
        self.packs.retain(condemned);
        self.reprieve.retain(condemned);
        self.planned_on = state.tail().clone();
        self
    }
}

/// Whether a `Deleting` that was planned on that fold may be appended now. On class A only right after it; on class C the
/// process folds once more after its put instead.
pub fn may_append_deleting(planned_on: &Tail, now: &State) -> bool {
    now.class() == Class::C || off(Rule::DeletingCas) || planned_on == now.tail()
}

impl State {
    /// Whether any entry wants an object that is no pack to be there; state tables are wanted by checkpoints, not here. What
    /// is not wanted is an orphan: on class A a `Deleting` may name it at once, on class C a `Condemn` first.
    pub fn wants(&self, object: &ObjectRef) -> bool {
        match object.kind {
            ObjectKind::Index => self.has_table(&IndexId(object.id)),
            ObjectKind::Snapshot => self.is_live(&SnapshotId(object.id)),
            ObjectKind::Evidence => self.evidence.contains_key(&EvidenceId(object.id)),
            ObjectKind::Data | ObjectKind::Meta | ObjectKind::Key => true,
            ObjectKind::State => false,
        }
    }
}
