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
use crate::format::rows::{CopyAt, EachBlob};
use crate::id::{BlobId, EvidenceId, IndexId, PackId, SnapshotId};
use std::collections::BTreeSet;

/// A catalog that can be walked through.
pub trait Inventory: Catalog {
    /// Calls `each` for every blob of a pack, with the bases of its block.
    fn blobs(
        &self,
        pack: &PackId,
        each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>,
    ) -> Result<()>;

    /// Calls `each` for every blob in a block with bases, of any pack.
    fn with_bases(&self, each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>) -> Result<()>;
}

/// An inventory in which nothing lies in packs that are lost, or cut off, although tables name them.
pub struct Present<'a> {
    /// With all packs that tables name.
    pub inventory: &'a dyn Inventory,
    /// These are not there, or not whole.
    pub absent: &'a BTreeSet<PackId>,
}

impl Catalog for Present<'_> {
    fn copies(&self, blob: &BlobId, each: &mut dyn FnMut(&PackId, &[BlobId])) -> Result<()> {
        self.inventory.copies(blob, &mut |pack, bases| {
            if !self.absent.contains(pack) {
                each(pack, bases);
            }
        })
    }

    fn knows(&self, pack: &PackId) -> Result<bool> {
        self.inventory.knows(pack)
    }
}

impl Inventory for Present<'_> {
    fn blobs(
        &self,
        pack: &PackId,
        each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>,
    ) -> Result<()> {
        self.inventory.blobs(pack, each)
    }

    fn with_bases(&self, each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>) -> Result<()> {
        self.inventory.with_bases(each)
    }
}

/// All blobs, their packs, blocks and rows numbered.
pub trait Rows {
    /// Numbers of packs are below this.
    fn pack_count(&self) -> u32;

    /// Numbers of blocks are below this.
    fn block_count(&self) -> u32;

    /// Numbers of rows are below this.
    fn row_count(&self) -> u64;

    /// Calls `each` for every pack.
    fn for_each_pack(&self, each: &mut dyn FnMut(u32, &PackId) -> Result<()>) -> Result<()>;

    /// Calls `each` for every blob once, with the row that stands for it and all its copies. Always in the same order.
    fn for_each_blob(&self, each: &mut EachBlob<'_>) -> Result<()>;

    /// Calls `each` for every block that has bases, with these.
    fn for_each_base(&self, each: &mut dyn FnMut(u32, &[BlobId]) -> Result<()>) -> Result<()>;
}

/// The blobs that the snapshots to keep need: what a mark found. Anything unreadable must have stopped it.
pub trait Needed {
    /// Whether a blob is needed.
    fn needs(&self, blob: &BlobId) -> Result<bool>;

    /// The same of a blob for which that row stands.
    fn needs_at(&self, blob: &BlobId, _row: u64) -> Result<bool> {
        self.needs(blob)
    }
}

impl Needed for BTreeSet<BlobId> {
    fn needs(&self, blob: &BlobId) -> Result<bool> {
        Ok(self.contains(blob))
    }
}

/// Which copy of each needed blob is kept.
///
/// Memory: a bit a row, 4 bytes a block, 13 a pack; 40 for each base that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    rows: Vec<u64>,
    blocks: Vec<u32>,
    packs: Vec<u32>,
    states: Vec<PackState>,
    /// Whether any needed blob has several copies, there or not, of which none was condemned before.
    pub(super) has_copies: bool,
    /// Needed blobs of which no pack that is there and stays holds a copy, or as bases no whole one: the repository is damaged, condemn
    /// nothing. 100 at most; what no table names at all is not among them.
    pub lost: Vec<BlobId>,
}

impl Kept {
    /// Whether the copy at that row is kept.
    pub fn has_row(&self, row: u64) -> bool {
        let word = self.rows.get((row / 64) as usize);
        word.is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// How many bytes of plaintext are kept in a block.
    pub fn bytes_in_block(&self, block: u32) -> u32 {
        self.blocks.get(block as usize).copied().unwrap_or(0)
    }

    /// How many blobs are kept in a pack.
    pub fn blobs_in_pack(&self, pack: u32) -> u32 {
        self.packs.get(pack as usize).copied().unwrap_or(0)
    }

    /// Whether a pack was live and there: others are no matter of choice.
    pub fn is_live(&self, pack: u32) -> bool {
        self.states.get(pack as usize) == Some(&PackState::Live)
    }

    fn is_condemned(&self, pack: u32) -> bool {
        self.states.get(pack as usize) == Some(&PackState::Condemned)
    }

    fn keep(&mut self, copy: &CopyAt) {
        let (word, bit) = (
            &mut self.rows[(copy.row / 64) as usize],
            1 << (copy.row % 64),
        );
        if *word & bit == 0 {
            *word |= bit;
            let block = &mut self.blocks[copy.block as usize];
            *block = block.saturating_add(copy.len);
            let pack = &mut self.packs[copy.pack as usize];
            *pack = pack.saturating_add(1);
        }
    }

    /// The live copies of a blob.
    fn live_copies(&self, copies: &[CopyAt]) -> Vec<CopyAt> {
        let live = copies.iter().filter(|copy| self.is_live(copy.pack));
        live.copied().collect()
    }
}

/// Chooses which copy of each needed blob to keep, of those in live packs: the only one, else one in the pack of which the greatest
/// share is needed, so that a prune that was stopped after it had written copies goes on from them; of equal packs the one in which
/// most is kept anyhow. A kept block with bases makes these needed, whole. Nothing is kept in a pack of `absent`, whatever the log says of it.
///
/// What has no live copy and a condemned one is left to [`plan_delete`]. Walks through all blobs twice, or four times if any block
/// has bases.
pub fn keep(
    state: &State,
    rows: &dyn Rows,
    needed: &dyn Needed,
    absent: &BTreeSet<PackId>,
) -> Result<Kept> {
    let mut states = vec![PackState::Deleting; rows.pack_count() as usize];
    rows.for_each_pack(&mut |pack, id| {
        if !absent.contains(id) {
            states[pack as usize] = state.pack_state(id);
        }
        Ok(())
    })?;
    let mut kept = Kept {
        rows: vec![0; rows.row_count().div_ceil(64) as usize],
        blocks: vec![0; rows.block_count() as usize],
        packs: vec![0; rows.pack_count() as usize],
        states,
        has_copies: false,
        lost: Vec::new(),
    };
    let bases = bases_needed(rows, needed, &kept)?;
    let mut lost = Vec::new();
    let (mut choices, mut has_copies) = (false, false);
    let mut shares = vec![Share::default(); rows.pack_count() as usize];
    rows.for_each_blob(&mut |blob, row, copies| {
        let base = !bases.is_empty() && bases.contains(blob);
        let is_needed = base || needed.needs_at(blob, row)?;
        for copy in copies {
            shares[copy.pack as usize].count(is_needed);
        }
        if !is_needed {
            return Ok(());
        }
        let standing = copies.iter().filter(|copy| !kept.is_condemned(copy.pack));
        has_copies |= standing.count() > 1;
        let fits = |copy: &&CopyAt| !base || copy.whole;
        let there = |copy: &&CopyAt| fits(copy) && kept.is_live(copy.pack);
        let mut candidates = copies.iter().filter(there);
        match (candidates.next(), candidates.next()) {
            (Some(only), None) => kept.keep(only),
            (Some(_), Some(_)) => choices = true,
            (None, _)
                if copies
                    .iter()
                    .any(|copy| fits(&copy) && kept.is_condemned(copy.pack)) => {}
            (None, _) if lost.len() < LOST_MAX => lost.push(*blob),
            (None, _) => {}
        }
        Ok(())
    })?;
    (kept.lost, kept.has_copies) = (lost, has_copies);
    if choices {
        let sure = kept.packs.clone();
        rows.for_each_blob(&mut |blob, row, copies| {
            let base = !bases.is_empty() && bases.contains(blob);
            if copies.len() < 2 || !base && !needed.needs_at(blob, row)? {
                return Ok(());
            }
            let mut candidates = kept.live_copies(copies);
            candidates.retain(|copy| !base || copy.whole);
            // Of equal ones the first.
            let best = candidates.iter().rev().max_by_key(|copy| {
                let pack = copy.pack as usize;
                (shares[pack].per_million(), sure[pack])
            });
            if let Some(best) = best {
                kept.keep(best);
            }
            Ok(())
        })?;
    }
    Ok(kept)
}

/// How much of a pack is needed, whether other packs hold it too or not.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    needed: u32,
    all: u32,
}

impl Share {
    fn count(&mut self, is_needed: bool) {
        self.all = self.all.saturating_add(1);
        self.needed = self.needed.saturating_add(is_needed.into());
    }

    fn per_million(self) -> u64 {
        u64::from(self.needed) * 1_000_000 / u64::from(self.all.max(1))
    }
}

/// Most blobs that are named as lost.
const LOST_MAX: usize = 100;

/// The bases of live blocks that hold anything needed.
fn bases_needed(rows: &dyn Rows, needed: &dyn Needed, kept: &Kept) -> Result<BTreeSet<BlobId>> {
    let mut bases = BTreeSet::new();
    if off(Rule::Bases) {
        return Ok(bases);
    }
    let mut any = false;
    rows.for_each_base(&mut |_, _| {
        any = true;
        Ok(())
    })?;
    if !any {
        return Ok(bases);
    }
    let mut blocks = BTreeSet::new();
    rows.for_each_blob(&mut |blob, row, copies| {
        let deltas = copies
            .iter()
            .filter(|copy| !copy.whole && kept.is_live(copy.pack));
        let deltas: Vec<u32> = deltas.map(|copy| copy.block).collect();
        if !deltas.is_empty() && needed.needs_at(blob, row)? {
            blocks.extend(deltas);
        }
        Ok(())
    })?;
    rows.for_each_base(&mut |block, of| {
        if blocks.contains(&block) {
            bases.extend(of);
        }
        Ok(())
    })?;
    Ok(bases)
}

/// What to condemn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CondemnPlan {
    /// These packs, once the copies are there.
    pub condemn: Vec<PackId>,
    /// What is kept of these is to be written, whole, to new packs, whose tables come in with the same entry.
    pub repack: BTreeSet<u32>,
}

/// Plans to condemn every live pack of which nothing is kept, there or not, those that are to be rewritten, and `orphans`: packs that no
/// table names. Whatever is chosen, nothing is lost.
pub fn plan_condemn(
    state: &State,
    rows: &dyn Rows,
    kept: &Kept,
    rewrite: &dyn Fn(u32) -> bool,
    orphans: &[PackId],
) -> Result<CondemnPlan> {
    let mut plan = CondemnPlan::default();
    rows.for_each_pack(&mut |pack, id| {
        let used = kept.blobs_in_pack(pack) > 0;
        if state.pack_state(id) == PackState::Live && (!used || rewrite(pack)) {
            plan.condemn.push(*id);
            if used {
                plan.repack.insert(pack);
            }
        }
        Ok(())
    })?;
    let new = |pack: &&PackId| state.pack_state(pack) == PackState::Live;
    plan.condemn.extend(orphans.iter().filter(new));
    plan.condemn.sort_unstable();
    plan.condemn.dedup();
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
            inventory.blobs(pack, &mut |blob, _| match needed.needs(blob)? {
                true => spare(state, inventory, blob, &|_| true, &mut reprieve, &mut lost),
                false => Ok(()),
            })?;
        }
        inventory.with_bases(&mut |blob, _| match needed.needs(blob)? {
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

/// Whether a `Deleting` that was planned on that fold may be appended now. On class A only right after it; on class C, where the process
/// folds once more after its put, at any time.
pub fn may_append_deleting(planned_on: &Tail, now: &State) -> bool {
    now.class() == Class::C || off(Rule::DeletingCas) || planned_on == now.tail()
}

impl State {
    /// Whether any entry wants an object that is no pack to be there; state tables are wanted by checkpoints, not here. What
    /// is not wanted is an orphan: a `Condemn` may name it, and a `Deleting` what was named so and is not wanted still. On class A a
    /// `Deleting` at once would be safe too, for a commit looks whether what it brings is deleted.
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
