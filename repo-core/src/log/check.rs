//! What is looked at before a `Commit` or an `Unforget` is appended.
//!
//! The rule behind all of it: what a snapshot needs must *decode* from indexed packs that no `Deleting` names. A copy in a
//! block with bases needs a whole copy of each of them as well.

use super::mutant::{Rule, off};
use super::state::{PackState, Seen, State};
use crate::backend::Class;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::ObjectRef;
use crate::id::{BlobId, EntryHash, IndexId, PackId, SnapshotId};
use std::collections::BTreeSet;

/// Where blobs lie, by the index tables in force and those that the caller is about to bring.
pub trait Catalog {
    /// Calls `each` for every copy of a blob: its pack, and the bases of its block, none if it is a whole copy.
    fn copies(&self, blob: &BlobId, each: &mut dyn FnMut(&PackId, &[BlobId])) -> Result<()>;

    /// Whether any of the tables names that pack.
    fn knows(&self, pack: &PackId) -> Result<bool>;
}

/// What a commit rests on, as its backup remembers it.
pub trait Reliance {
    /// Calls `each` for every pack: those of blobs found in the index, those written, and those of all bases.
    fn packs(&self, each: &mut dyn FnMut(&PackId)) -> Result<()>;

    /// Calls `each` for every blob relied on that lies in one of these packs, or whose block has a base there. Each blob may
    /// come several times.
    fn blobs_in(
        &self,
        packs: &BTreeSet<PackId>,
        each: &mut dyn FnMut(&BlobId) -> Result<()>,
    ) -> Result<()>;
}

/// An object that a `Deleting` took for one that nobody needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// An index table that the commit brings; seal and put it again, under its new name.
    Table(IndexId),
    /// The snapshot itself; likewise.
    Snapshot(SnapshotId),
}

/// What is to be done before a commit may be appended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommitCheck {
    /// It rests on these, which are condemned, maybe because they are damaged: whoever commits must prove them.
    pub condemned: Vec<PackId>,
    /// Name these in the entry: the same on class A, empty on class C.
    pub reprieve: Vec<PackId>,
    /// Store these again, whole, from their source; then check again.
    pub heal: Vec<BlobId>,
    /// These parents were forgotten: add what the subtrees they lent hold to the reliance; then check again.
    pub parents: Vec<SnapshotId>,
    /// Put these again; then check again.
    pub lost: Vec<Lost>,
}

impl CommitCheck {
    /// Whether the entry may be appended right after the fold this was computed from.
    pub fn passes(&self) -> bool {
        self.heal.is_empty() && self.parents.is_empty() && self.lost.is_empty()
    }
}

/// The packs that a blob decodes from, of those that `usable` accepts: the first copy found, and one whole copy of each of
/// its bases. The explorer decides by it what a backup may rely on.
pub fn decodes(
    catalog: &dyn Catalog,
    blob: &BlobId,
    usable: &dyn Fn(&PackId) -> bool,
) -> Result<Option<Vec<PackId>>> {
    let none = |_: &PackId| false;
    Ok(cheapest(catalog, blob, usable, &none)?.map(|way| way.packs))
}

/// One way to decode a blob.
struct Way {
    packs: Vec<PackId>,
    /// Those of them that must be reprieved.
    costs: Vec<PackId>,
}

/// The way with the fewest packs to reprieve; of equal ones the first.
fn cheapest(
    catalog: &dyn Catalog,
    blob: &BlobId,
    free: &dyn Fn(&PackId) -> bool,
    dear: &dyn Fn(&PackId) -> bool,
) -> Result<Option<Way>> {
    let mut copies: Vec<(PackId, Vec<BlobId>)> = Vec::new();
    catalog.copies(blob, &mut |pack, bases| {
        if free(pack) || dear(pack) {
            copies.push((*pack, bases.to_vec()));
        }
    })?;
    let mut best: Option<Way> = None;
    for (pack, bases) in copies {
        let mut packs = vec![pack];
        let mut whole = true;
        for base in bases.iter().filter(|_| !off(Rule::Bases)) {
            match whole_copy(catalog, base, free, dear)? {
                Some(pack) => packs.push(pack),
                None => whole = false,
            }
        }
        packs.sort_unstable();
        packs.dedup();
        let costs: Vec<PackId> = packs.iter().filter(|pack| !free(pack)).copied().collect();
        if whole
            && best
                .as_ref()
                .is_none_or(|best| costs.len() < best.costs.len())
        {
            best = Some(Way { packs, costs });
        }
    }
    Ok(best)
}

fn whole_copy(
    catalog: &dyn Catalog,
    blob: &BlobId,
    free: &dyn Fn(&PackId) -> bool,
    dear: &dyn Fn(&PackId) -> bool,
) -> Result<Option<PackId>> {
    let (mut first_free, mut first_dear) = (None, None);
    catalog.copies(blob, &mut |pack, bases| {
        if bases.is_empty() && free(pack) {
            first_free.get_or_insert(*pack);
        } else if bases.is_empty() && dear(pack) {
            first_dear.get_or_insert(*pack);
        }
    })?;
    Ok(first_free.or(first_dear))
}

/// Adds to `reprieve` the condemned packs that one blob needs so that it decodes, besides what live packs hold; or the blob to `lost`, if
/// even that does not help. `condemned` says which condemned packs may be taken.
pub(super) fn spare(
    state: &State,
    catalog: &dyn Catalog,
    blob: &BlobId,
    condemned: &dyn Fn(&PackId) -> bool,
    reprieve: &mut BTreeSet<PackId>,
    lost: &mut Vec<BlobId>,
) -> Result<()> {
    let free = |pack: &PackId| state.pack_state(pack) == PackState::Live || reprieve.contains(pack);
    let dear = |pack: &PackId| state.pack_state(pack) == PackState::Condemned && condemned(pack);
    match cheapest(catalog, blob, &free, &dear)? {
        Some(way) => reprieve.extend(way.costs),
        None => lost.push(*blob),
    }
    Ok(())
}

/// Checks what a commit rests on against a fold; it may be appended right after that fold if the result passes.
///
/// `catalog` holds the tables in force and those the commit brings (`tables`); `parents` are the snapshots that lent
/// whole subtrees without a look inside. On class A condemned packs are reprieved. On class C a pack that was
/// condemned after this process had come to rely on it is left as it is, for no deletion goes by a process at work; other
/// condemned packs are not there.
pub fn check_commit(
    state: &State,
    catalog: &dyn Catalog,
    reliance: &dyn Reliance,
    parents: &[SnapshotId],
    tables: &[IndexId],
    snapshot: Option<&SnapshotId>,
) -> Result<CommitCheck> {
    let mut check = CommitCheck::default();
    if !off(Rule::LentCheck) {
        let forgotten = parents.iter().filter(|parent| !state.is_live(parent));
        check.parents = forgotten.copied().collect();
    }
    if !off(Rule::LostObjects) {
        check.lost = lost_objects(state, tables, snapshot);
    }
    if off(Rule::CommitCheck) {
        return Ok(check);
    }
    let mut relied = BTreeSet::new();
    reliance.packs(&mut |pack| {
        relied.insert(*pack);
    })?;
    let mut doubtful = BTreeSet::new();
    for pack in &relied {
        if state.pack_state(pack) != PackState::Live || !catalog.knows(pack)? {
            doubtful.insert(*pack);
        }
    }
    if doubtful.is_empty() {
        return Ok(check);
    }
    let may_take = |pack: &PackId| {
        state.class() == Class::A || relied.contains(pack) || off(Rule::CondemnedIsGone)
    };
    let (mut reprieve, mut heal) = (BTreeSet::new(), Vec::new());
    reliance.blobs_in(&doubtful, &mut |blob| {
        spare(state, catalog, blob, &may_take, &mut reprieve, &mut heal)
    })?;
    heal.sort_unstable();
    heal.dedup();
    check.heal = heal;
    check.condemned = reprieve.into_iter().collect();
    if state.class() == Class::A {
        check.reprieve = check.condemned.clone();
    }
    Ok(check)
}

fn lost_objects(state: &State, tables: &[IndexId], snapshot: Option<&SnapshotId>) -> Vec<Lost> {
    let tables = tables
        .iter()
        .filter(|id| state.is_deleted(&id.0))
        .map(|id| Lost::Table(*id));
    let snapshot = snapshot
        .filter(|id| state.is_deleted(&id.0))
        .map(|id| Lost::Snapshot(*id));
    tables.chain(snapshot).collect()
}

/// What is to be done before forgotten snapshots may be wanted again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnforgetCheck {
    /// Name these in the entry. Empty on class C.
    pub reprieve: Vec<PackId>,
    /// Class C: these lie in condemned packs only, which may go at any time. Copy them to a new one, and commit another form of the
    /// snapshot that rests on it.
    pub copy: Vec<BlobId>,
    /// Class C: these are condemned themselves, and may go at any time. Commit another form of them.
    pub renew: Vec<SnapshotId>,
    /// It is too late: the log does not know these, or not any more.
    pub gone: Vec<SnapshotId>,
    /// It is too late: no pack that stays holds these.
    pub lost: Vec<BlobId>,
}

impl UnforgetCheck {
    /// Whether the entry may be appended right after the fold this was computed from.
    pub fn passes(&self) -> bool {
        let stays = self.copy.is_empty() && self.renew.is_empty();
        stays && self.gone.is_empty() && self.lost.is_empty()
    }
}

/// Checks against a fold whether forgotten snapshots may be wanted again; `needed` is every blob they hold.
pub fn check_unforget<'a>(
    state: &State,
    catalog: &dyn Catalog,
    snapshots: &[SnapshotId],
    needed: impl IntoIterator<Item = &'a BlobId>,
) -> Result<UnforgetCheck> {
    let mut check = UnforgetCheck::default();
    if off(Rule::UnforgetCheck) {
        return Ok(check);
    }
    for id in snapshots {
        let object = ObjectRef::snapshot(id);
        let condemned = state
            .condemned_objects()
            .any(|(condemned, _)| *condemned == object);
        if state.snapshot(id).is_none() {
            check.gone.push(*id);
        } else if state.class() == Class::C && condemned {
            check.renew.push(*id);
        }
    }
    let mut reprieve = BTreeSet::new();
    for blob in needed {
        if state.class() == Class::C {
            reprieve.clear();
        }
        spare(
            state,
            catalog,
            blob,
            &|_| true,
            &mut reprieve,
            &mut check.lost,
        )?;
        if state.class() == Class::C && !reprieve.is_empty() {
            check.copy.push(*blob);
        }
    }
    if state.class() == Class::A {
        check.reprieve = reprieve.into_iter().collect();
    }
    Ok(check)
}

/// Refuses a log that does not hold what this client saw of it before: `RolledBack`.
///
/// `hash_at` gives the hashes of the entries of a number, read from the log or known from folding; on class A that is
/// one, on class C all of that number and above that the caller knows.
pub fn check_not_rolled_back(
    seen: &Seen,
    state: &State,
    hash_at: impl FnOnce(u64) -> Result<Vec<EntryHash>>,
) -> Result<()> {
    let rolled_back = |how: &'static str| {
        Error::new(ErrorKind::RolledBack, Subject::Entry(seen.number)).detail(how)
    };
    if seen.number == 0 {
        return Ok(());
    }
    if state.tail().number < seen.number {
        return Err(rolled_back("the log is shorter than it was"));
    }
    if state.tail().number == seen.number && state.tail().heads == seen.heads {
        return Ok(());
    }
    let there = hash_at(seen.number)?;
    match seen.heads.iter().all(|head| there.contains(head)) {
        true => Ok(()),
        false => Err(rolled_back("the log is another one than it was")),
    }
}
