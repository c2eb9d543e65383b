//! What a log adds up to: the state, and what can be asked of it.

use super::mutant::{Rule, off};
use super::unreadable::Unreadable;
use crate::backend::Class;
use crate::error::{Error, Result, Subject};
use crate::format::checkpoint::{
    Condemned, Deleted, EntryRow, PackRow, RolesAt, SnapshotRow, TableRow, Tail, Terms, WaitingRow,
    WantedRow,
};
use crate::format::entry::{Action, EntryAt, Nonce, ObjectRef, SignedEntry};
use crate::format::settings::Settings;
use crate::id::{EntryHash, EvidenceId, IndexId, PackId, SnapshotId, WriterId};
use crate::time::Timestamp;
use bincode::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};

/// What a client remembers of the newest log it saw, to notice that a place was put back to an older time.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Seen {
    /// The highest number.
    pub number: u64,
    /// The entries there that no other followed; one on class A.
    pub heads: Vec<EntryHash>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It counts.
    Applied,
    /// It is authentic, keeps its number and has no effect.
    Void(VoidReason),
}

/// Why an authentic entry has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoidReason {
    /// Its signer may not write such entries.
    NotAllowed,
    /// Class C: its process was fenced, and a `Deleting` had not seen it.
    Fenced,
    /// A kind of a later version that may be skipped.
    Unknown,
}

/// How much is condemned or deleted, to notice that more is by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removals {
    /// The number of the newest entry that says it of anything; 0 if there is none.
    pub newest: u64,
    count: usize,
}

impl Removals {
    /// Whether more is than there was.
    pub fn exceed(&self, earlier: &Self) -> bool {
        self.newest > earlier.newest || self.count > earlier.count
    }
}

/// The state of a pack as far as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackState {
    /// Neither condemned nor deleted. Whether it is *known* the index says.
    Live,
    /// Class C: known through entries in doubt only. May be read, is nobody's source for deduplication or repacking.
    Quarantined,
    /// Will be deleted unless an entry takes that back.
    Condemned,
    /// Named by a `Deleting`: gone, or about to.
    Deleting,
}

/// What a log adds up to.
///
/// Memory: about 100 bytes for each index table, snapshot (its summary aside) and condemned pack, 60 for each object ever
/// deleted; nothing for a live pack or a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub(super) admin: WriterId,
    pub(super) class: Class,
    pub(super) tail: Tail,
    pub(super) roles: Vec<RolesAt>,
    pub(super) settings: Option<(u64, EntryHash, Settings)>,
    pub(super) generation: u64,
    pub(super) tables: BTreeMap<IndexId, TableRow>,
    pub(super) dropped: BTreeSet<IndexId>,
    pub(super) snapshots: BTreeMap<SnapshotId, SnapshotRow>,
    pub(super) wanted: BTreeMap<SnapshotId, WantedRow>,
    pub(super) terms: BTreeMap<SnapshotId, Terms>,
    pub(super) packs: BTreeMap<PackId, PackRow>,
    pub(super) objects: BTreeMap<ObjectRef, Condemned>,
    pub(super) deleted: BTreeMap<[u8; 32], Deleted>,
    pub(super) evidence: BTreeMap<EvidenceId, u64>,
    pub(super) waiting: BTreeMap<EntryHash, WaitingRow>,
    /// Fenced processes, and their entries that were seen before.
    pub(super) fences: BTreeMap<Nonce, BTreeSet<EntryHash>>,
    /// Fenced processes that a `Deleting` names, and their entries that all such saw.
    pub(super) cut_off: BTreeMap<Nonce, BTreeSet<EntryHash>>,
    pub(super) unreadable: BTreeMap<EntryAt, Unreadable>,
    pub(super) voided: BTreeSet<EntryAt>,
    /// Class C: the entries folded, by what their names show.
    pub(super) entries: BTreeMap<(u64, Nonce), EntryRow>,
    /// Class C: entries that may yet become void.
    pub(super) in_doubt: BTreeSet<EntryHash>,
    pub(super) quarantined: BTreeSet<PackId>,
}

impl State {
    /// The state of an empty log whose first entry the key `admin` must sign.
    pub fn new(admin: WriterId, class: Class) -> Self {
        Self {
            admin,
            class,
            tail: Tail::default(),
            roles: Vec::new(),
            settings: None,
            generation: 0,
            tables: BTreeMap::new(),
            dropped: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            wanted: BTreeMap::new(),
            terms: BTreeMap::new(),
            packs: BTreeMap::new(),
            objects: BTreeMap::new(),
            deleted: BTreeMap::new(),
            evidence: BTreeMap::new(),
            waiting: BTreeMap::new(),
            fences: BTreeMap::new(),
            cut_off: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            voided: BTreeSet::new(),
            entries: BTreeMap::new(),
            in_doubt: BTreeSet::new(),
            quarantined: BTreeSet::new(),
        }
    }

    /// Folds the next entry of a class A log.
    ///
    /// `Damaged` if it does not follow the tail, or is the first and no `Roles` of the admin key; `InvalidInput` on class
    /// C, where the whole set is folded. The state is unchanged then.
    pub fn apply(&mut self, signed: &SignedEntry) -> Result<Outcome> {
        if self.class != Class::A {
            return Err(Error::invalid("class").detail("entries of class C are folded as a set"));
        }
        let entry = &signed.entry;
        self.check_chain(entry.number, &entry.follows)?;
        self.check_first(signed)?;
        let outcome = self.judge(signed);
        let tail = Tail {
            number: entry.number,
            heads: vec![signed.hash],
        };
        let before = std::mem::replace(&mut self.tail, tail);
        if outcome == Outcome::Applied {
            self.take_effect(signed);
        }
        if self.class == Class::C {
            self.begin_set(&before, signed);
        }
        Ok(outcome)
    }

    fn check_chain(&self, number: u64, follows: &[EntryHash]) -> Result<()> {
        if number != self.tail.number + 1 {
            return Err(broken(number, "is not the next one"));
        }
        if follows != self.tail.heads {
            return Err(broken(number, "does not follow the one before it"));
        }
        Ok(())
    }

    /// The first entry says who may write, and only the admin key may say it.
    pub(super) fn check_first(&self, signed: &SignedEntry) -> Result<()> {
        let roles = matches!(signed.entry.action, Some(Action::Roles { .. }));
        match signed.entry.number > 1 || roles && signed.signer == self.admin {
            true => Ok(()),
            false => Err(broken(
                signed.entry.number,
                "is the first and says not who may write, or is not signed by the admin key",
            )),
        }
    }

    /// Whether the entry's signer may write it.
    pub(super) fn judge(&self, signed: &SignedEntry) -> Outcome {
        match &signed.entry.action {
            None => Outcome::Void(VoidReason::Unknown),
            Some(action) if self.may_write_at(&signed.signer, action, signed.entry.number) => {
                Outcome::Applied
            }
            Some(_) => Outcome::Void(VoidReason::NotAllowed),
        }
    }

    /// How often another place was made the home.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The class of the place from the tail on.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The key that signs `Roles`.
    pub fn admin(&self) -> WriterId {
        self.admin
    }

    /// Where the log ends.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// What to remember for [`super::check_not_rolled_back`].
    pub fn seen(&self) -> Seen {
        Seen {
            number: self.tail.number,
            heads: self.tail.heads.clone(),
        }
    }

    /// The settings that the newest `Settings` entry says, if there is one.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref().map(|(_, _, settings)| settings)
    }

    /// The index tables in force.
    pub fn tables(&self) -> impl Iterator<Item = (&IndexId, &TableRow)> {
        self.tables.iter()
    }

    /// A table in force.
    pub fn table(&self, id: &IndexId) -> Option<&TableRow> {
        self.tables.get(id)
    }

    /// Whether a table is in force.
    pub fn has_table(&self, id: &IndexId) -> bool {
        self.tables.contains_key(id)
    }

    /// Committed snapshots that are not forgotten.
    pub fn live_snapshots(&self) -> impl Iterator<Item = (&SnapshotId, &SnapshotRow)> {
        self.snapshots
            .iter()
            .filter(|(id, _)| !self.is_forgotten(id))
    }

    /// Snapshots that were forgotten and whose objects no `Deleting` names yet.
    pub fn forgotten_snapshots(&self) -> impl Iterator<Item = (&SnapshotId, &SnapshotRow)> {
        self.snapshots
            .iter()
            .filter(|(id, _)| self.is_forgotten(id))
    }

    /// A committed snapshot, forgotten or not, that no `Deleting` names.
    pub fn snapshot(&self, id: &SnapshotId) -> Option<&SnapshotRow> {
        self.snapshots.get(id)
    }

    /// Whether a snapshot is committed and not forgotten.
    pub fn is_live(&self, id: &SnapshotId) -> bool {
        self.snapshots.contains_key(id) && !self.is_forgotten(id)
    }

    /// The newest entry that forgot a snapshot, by number, unless that was taken back.
    pub fn forgotten_by(&self, id: &SnapshotId) -> Option<u64> {
        let wanted = self.wanted.get(id).filter(|_| self.is_forgotten(id))?;
        Some(wanted.forgot)
    }

    fn is_forgotten(&self, id: &SnapshotId) -> bool {
        self.wanted
            .get(id)
            .is_some_and(|wanted| wanted.forgot > wanted.kept)
    }

    /// How long a snapshot is kept, as far as any entry says.
    pub fn terms(&self, id: &SnapshotId) -> Terms {
        self.terms.get(id).copied().unwrap_or_default()
    }

    /// Snapshots of which nothing may be deleted at that time: those that are not forgotten, and those that are protected. Who may
    /// forget must not thereby get rid of what is protected.
    pub fn kept_snapshots(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (&SnapshotId, &SnapshotRow)> {
        let protected = move |id| self.is_protected(id, now) && !off(Rule::Protected);
        self.snapshots
            .iter()
            .filter(move |(id, _)| !self.is_forgotten(id) || protected(id))
    }

    /// Whether a snapshot must be kept at that time, whatever entry forgot it.
    pub fn is_protected(&self, id: &SnapshotId, now: Timestamp) -> bool {
        self.terms(id).is_protected(now)
    }

    /// What the log says of a pack.
    pub fn pack_state(&self, id: &PackId) -> PackState {
        if self.deleted.contains_key(&id.0) {
            PackState::Deleting
        } else if self.condemned_by(id).is_some() {
            PackState::Condemned
        } else if self.quarantined.contains(id) {
            PackState::Quarantined
        } else {
            PackState::Live
        }
    }

    /// The entry that condemned a pack, unless that was taken back.
    pub fn condemned_by(&self, id: &PackId) -> Option<&Condemned> {
        self.packs.get(id).and_then(PackRow::standing)
    }

    /// All condemned packs.
    pub fn condemned(&self) -> impl Iterator<Item = (&PackId, &Condemned)> {
        self.packs
            .iter()
            .filter_map(|(id, row)| Some((id, row.standing()?)))
    }

    /// Condemned objects that are no packs, and that no entry wants by now.
    pub fn condemned_objects(&self) -> impl Iterator<Item = (&ObjectRef, &Condemned)> {
        self.objects
            .iter()
            .filter(|(object, _)| !self.wants(object))
    }

    /// Whether an entry says that an object is deleted.
    pub fn is_deleted(&self, id: &[u8; 32]) -> bool {
        self.deleted.contains_key(id)
    }

    /// Whether an entry says that something is deleted of which `earlier` does not.
    pub fn has_deleted_since(&self, earlier: &Self) -> bool {
        let mut deleted = self.deleted.keys();
        deleted.any(|id| !earlier.deleted.contains_key(id))
    }

    /// What is condemned and not wanted again, or deleted.
    pub fn removals(&self) -> Removals {
        let condemned = self.condemned().map(|(_, by)| by.number);
        let deleted = self.deleted.values().map(|row| row.number);
        let mut removals = Removals::default();
        for number in condemned.chain(deleted) {
            removals.newest = removals.newest.max(number);
            removals.count += 1;
        }
        removals
    }

    /// Whether an object that an entry says is deleted may be removed by anyone, at any time: not while only entries in
    /// doubt say so.
    pub fn may_remove(&self, id: &[u8; 32]) -> bool {
        let row = self.deleted.get(id);
        row.is_some_and(|row| row.sound || off(Rule::SoundSweep))
    }

    /// Every object that an entry says is deleted; see [`State::may_remove`].
    pub fn deleted(&self) -> impl Iterator<Item = (ObjectRef, &Deleted)> {
        self.deleted.iter().map(|(id, row)| {
            let object = ObjectRef {
                kind: row.kind,
                id: *id,
            };
            (object, row)
        })
    }

    /// Results of checks and drills, with the numbers of their entries.
    pub fn evidence(&self) -> impl Iterator<Item = (&EvidenceId, u64)> {
        self.evidence.iter().map(|(id, number)| (id, *number))
    }

    /// Class C: which deletions wait for whom, by `Waiting` entry.
    pub fn waiting(&self) -> impl Iterator<Item = (&EntryHash, &WaitingRow)> {
        self.waiting.iter()
    }

    /// Class C: tables that only entries in doubt name. The caller reads them and hands the packs that no other table
    /// names to [`State::quarantine`].
    pub fn tables_in_doubt(&self) -> impl Iterator<Item = &IndexId> {
        self.tables
            .iter()
            .filter(|(_, row)| !row.sound)
            .map(|(id, _)| id)
    }

    /// Class C: these packs are nobody's source, because they are known through entries in doubt only.
    pub fn quarantine(&mut self, packs: impl IntoIterator<Item = PackId>) {
        if off(Rule::Quarantine) {
            return;
        }
        self.quarantined = packs.into_iter().collect();
    }

    /// Packs that nothing new may rely on: condemned, deleted, or known through entries in doubt only.
    pub fn unusable_packs(&self) -> impl Iterator<Item = PackId> {
        let condemned = self.condemned().map(|(pack, _)| *pack);
        let deleted = self.deleted.keys().map(|id| PackId(*id));
        condemned
            .chain(deleted)
            .chain(self.quarantined.iter().copied())
    }

    /// Class C: entries of fenced processes that stand now and may yet become void. A checkpoint is made without them.
    pub fn in_doubt(&self) -> &BTreeSet<EntryHash> {
        &self.in_doubt
    }

    /// Class C: whether an entry in doubt may be what commits that snapshot.
    pub fn is_in_doubt(&self, id: &SnapshotId) -> bool {
        let number = self.snapshots.get(id).map(|row| row.number);
        let mut rows = self
            .entries
            .iter()
            .filter(|((at, _), _)| Some(*at) == number);
        rows.any(|(_, row)| self.in_doubt.contains(&row.hash))
    }

    /// Class C: whether the entry of that name was folded, and its hash.
    pub fn folded(&self, number: u64, nonce: &Nonce) -> Option<EntryHash> {
        self.entries.get(&(number, *nonce)).map(|row| row.hash)
    }

    /// Class C: every entry of the set, by number and nonce, with its hash.
    pub fn entries(&self) -> impl Iterator<Item = (u64, Nonce, EntryHash)> {
        let rows = self.entries.iter();
        rows.map(|((number, nonce), row)| (*number, *nonce, row.hash))
    }
}

pub(super) fn broken(number: u64, how: &'static str) -> Error {
    Error::damaged(Subject::Entry(number)).detail(how)
}
