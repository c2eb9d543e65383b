//! What both models share: small packs and snapshots whose ids say what they hold, and logs folded once each.

use super::backup::PARENT;
use crate::backend::Class;
use crate::crypto::Role;
use crate::error::Result;
use crate::format::entry::{Action, Entry, Nonce, ObjectRef, SignedEntry};
use crate::format::name::ObjectKind;
use crate::id::{BlobId, EntryHash, IndexId, PackId, SnapshotId};
use crate::log::testing::{ADMIN, Numbered, Packs, first_action, writer_of};
use crate::log::{Catalog, Inventory, PackState, State, Terms, keep, plan_condemn};
use crate::time::Timestamp;
use std::collections::{BTreeSet, HashMap};

const IN_MEMORY: &str = "catalogs in memory do not fail";

/// A set of blobs or of packs: bit `n` for number `n`.
pub type Bits = u16;

/// The numbers in a set.
pub fn numbers(bits: Bits) -> impl Iterator<Item = u8> {
    (0..16).filter(move |n| bits >> n & 1 == 1)
}

/// A pack that does not need to be read: its number, the blobs it holds whole, those on a base, and that base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pack {
    pub no: u8,
    pub whole: u8,
    pub delta: u8,
    pub base: u8,
}

impl Pack {
    pub fn key(self) -> u32 {
        u32::from_be_bytes([self.no, self.whole, self.delta, self.base])
    }

    pub fn id(self) -> PackId {
        let mut id = [0; 32];
        id[..5].copy_from_slice(&[1, self.no, self.whole, self.delta, self.base]);
        PackId(id)
    }

    /// Most packs have an index table of their own.
    pub fn table(self) -> IndexId {
        table_of(&[self])
    }

    pub fn object(self) -> ObjectRef {
        ObjectRef {
            kind: ObjectKind::Data,
            id: self.id().0,
        }
    }

    pub fn table_object(self) -> ObjectRef {
        ObjectRef::table(&self.table())
    }

    pub fn of(id: &[u8; 32]) -> Self {
        Self {
            no: id[1],
            whole: id[2],
            delta: id[3],
            base: id[4],
        }
    }

    fn rows(self) -> Vec<(BlobId, Vec<BlobId>)> {
        let whole = numbers(self.whole.into()).map(|n| (blob(n), vec![]));
        let delta = numbers(self.delta.into()).map(|n| (blob(n), vec![blob(self.base)]));
        whole.chain(delta).collect()
    }
}

/// The table that names these packs.
pub fn table_of(packs: &[Pack]) -> IndexId {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&[2, packs.len() as u8]);
    for (place, pack) in id[2..].chunks_exact_mut(4).zip(packs) {
        place.copy_from_slice(&pack.key().to_be_bytes());
    }
    IndexId(id)
}

/// The packs that a table names.
pub fn packs_of(table: &IndexId) -> impl Iterator<Item = Pack> {
    let count = usize::from(table.0[1]);
    table.0[2..].chunks_exact(4).take(count).map(|key| Pack {
        no: key[0],
        whole: key[1],
        delta: key[2],
        base: key[3],
    })
}

pub fn blob(n: u8) -> BlobId {
    BlobId([n; 32])
}

pub fn blobs(bits: Bits) -> BTreeSet<BlobId> {
    numbers(bits).map(blob).collect()
}

/// A snapshot: whose, at which attempt, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snap {
    pub by: u8,
    pub attempt: u8,
    pub holds: u8,
}

impl Snap {
    pub fn id(self) -> SnapshotId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&[3, self.by, self.attempt, self.holds]);
        SnapshotId(id)
    }

    pub fn of(id: &SnapshotId) -> Self {
        Self {
            by: id.0[1],
            attempt: id.0[2],
            holds: id.0[3],
        }
    }

    pub fn object(self) -> ObjectRef {
        ObjectRef::snapshot(&self.id())
    }

    pub fn key(self) -> u32 {
        u32::from_be_bytes([1, self.by, self.attempt, self.holds])
    }
}

/// A log folded: what it adds up to, in several forms.
pub struct Folded {
    pub state: State,
    pub catalog: Packs,
    /// The packs of tables in force that no `Deleting` names.
    pub readable: Vec<Pack>,
    pub live: Vec<Snap>,
    pub forgotten: Vec<Snap>,
    pub condemned: Vec<Pack>,
    /// Every blob of what a prune takes for kept.
    pub needed: Bits,
    /// Every blob of snapshots that are live or protected.
    promised: Bits,
    /// Class C: whether it depends on the order in which it was folded.
    pub diverges: bool,
    /// Class A: the log before its last entry. Class C: the entries, sorted.
    parent: u32,
    last: Option<u32>,
    set: Vec<u32>,
}

/// All logs met so far; equal ones are one.
pub struct World {
    class: Class,
    logs: Vec<Folded>,
    entries: Vec<SignedEntry>,
    next: HashMap<(u32, Vec<u32>), u32>,
    sets: HashMap<Vec<u32>, u32>,
    by_content: HashMap<(u32, Vec<u32>), u32>,
}

/// An entry to append.
pub struct Draft {
    pub role: Role,
    pub process: Option<u8>,
    pub action: Action,
}

/// The number under which a log is known.
pub type Log = u32;

impl World {
    /// A log of class `class` that holds `Roles` and the snapshot `PARENT`, whose blobs are in the first of these packs.
    /// One table names them; they may be condemned already.
    pub fn new(class: Class, first: &[Pack], condemned: bool) -> (Self, Log) {
        let mut world = Self {
            class,
            logs: Vec::new(),
            entries: Vec::new(),
            next: HashMap::new(),
            sets: HashMap::new(),
            by_content: HashMap::new(),
        };
        let empty = folded(State::new(ADMIN, class), 0, None, Vec::new());
        world.logs.push(empty);
        let commit = Action::Commit {
            snapshot: PARENT.id(),
            index: vec![table_of(first)],
            reprieve: vec![],
            summary: vec![],
        };
        let condemn = Action::Condemn {
            packs: first.iter().map(|pack| pack.id()).collect(),
            objects: vec![],
            index_add: vec![],
            reprieve: vec![],
        };
        let mut actions = vec![first_action(), commit];
        actions.extend(condemned.then_some(condemn));
        let mut log = 0;
        for (key, action) in (0..).zip(actions) {
            log = world.append(log, log, &[key], || Draft {
                role: Role::Full,
                process: None,
                action,
            });
        }
        (world, log)
    }

    /// A log.
    pub fn at(&self, log: Log) -> &Folded {
        &self.logs[log as usize]
    }

    /// Puts an entry, made on the fold `seen`, into `log`. `key` tells drafts of one log apart. On class A the entry follows
    /// the tail of `log`.
    pub fn append(
        &mut self,
        log: Log,
        seen: Log,
        key: &[u32],
        draft: impl FnOnce() -> Draft,
    ) -> Log {
        match self.class {
            Class::A => self.append_next(log, key, draft),
            Class::C => self.append_to_set(log, seen, key, draft),
        }
    }

    fn append_next(&mut self, log: Log, key: &[u32], draft: impl FnOnce() -> Draft) -> Log {
        let place = (log, key.to_vec());
        if let Some(known) = self.next.get(&place) {
            return *known;
        }
        let signed = self.signed(log, key, draft());
        let mut state = self.at(log).state.clone();
        state.apply(&signed).expect("it follows the tail");
        let entry = self.entries.len() as u32;
        self.entries.push(signed);
        let new = self.logs.len() as u32;
        self.logs.push(folded(state, log, Some(entry), Vec::new()));
        self.next.insert(place, new);
        new
    }

    fn append_to_set(
        &mut self,
        log: Log,
        seen: Log,
        key: &[u32],
        draft: impl FnOnce() -> Draft,
    ) -> Log {
        let place = (seen, key.to_vec());
        let entry = match self.by_content.get(&place) {
            Some(known) => *known,
            None => {
                let signed = self.signed(seen, key, draft());
                self.entries.push(signed);
                self.by_content.insert(place, self.entries.len() as u32 - 1);
                self.entries.len() as u32 - 1
            }
        };
        let mut set = self.at(log).set.clone();
        if let Err(at) = set.binary_search(&entry) {
            set.insert(at, entry);
        }
        if let Some(known) = self.sets.get(&set) {
            return *known;
        }
        let entries = set.iter().map(|entry| &self.entries[*entry as usize]);
        let base = State::new(ADMIN, Class::C);
        let state = base
            .fold(entries)
            .expect("nothing is missing")
            .expect("roles came first");
        let diverges = self.diverges(log, entry, &state);
        let new = self.logs.len() as u32;
        self.logs.push(folded(state, log, None, set.clone()));
        self.logs[new as usize].diverges = diverges;
        self.sets.insert(set, new);
        new
    }

    /// Whether who folded `log` before, and takes in one more entry now, gets something else than who folds the whole.
    fn diverges(&self, log: Log, entry: u32, whole: &State) -> bool {
        let entry = &self.entries[entry as usize];
        let mut before = self.at(log).state.clone();
        before.quarantine([]);
        let part = before.fold([entry]).expect("nothing is missing");
        part.is_some_and(|part| whole.in_doubt().is_empty() && part != *whole)
    }

    fn signed(&self, on: Log, key: &[u32], draft: Draft) -> SignedEntry {
        let tail = self.at(on).state.tail();
        let mut hasher = blake3::Hasher::new();
        for head in &tail.heads {
            hasher.update(&head.0);
        }
        for word in key {
            hasher.update(&word.to_le_bytes());
        }
        let hash: EntryHash = hasher.finalize().into();
        let number = tail.number + 1;
        let signer = match (number, draft.role) {
            (1, _) => ADMIN,
            (_, role) => writer_of(role),
        };
        let entry = Entry {
            number,
            nonce: *hash.0.first_chunk().expect("a hash has 32 bytes"),
            follows: tail.heads.clone(),
            time: Timestamp::new(number as i64, 0),
            process: draft.process.map(nonce),
            action: Some(draft.action),
        };
        SignedEntry {
            entry,
            signer,
            hash,
        }
    }

    /// The log with an entry that protects the first snapshot; `None` once that is forgotten.
    pub fn protect(&mut self, log: Log) -> Option<Log> {
        if !self.at(log).state.is_live(&PARENT.id()) {
            return None;
        }
        let protect = || Draft {
            role: Role::Full,
            process: None,
            action: Action::Terms {
                snapshots: vec![PARENT.id()],
                protected_until: Some(Terms::FOREVER),
                expires: None,
            },
        };
        Some(self.append(log, log, &[9], protect))
    }

    /// Class A: the logs between two of one line, the second among them.
    pub fn line(&self, from: Log, to: Log) -> Vec<Log> {
        let (mut logs, mut log) = (Vec::new(), to);
        while log != from {
            logs.push(log);
            log = self.at(log).parent;
        }
        logs.reverse();
        logs
    }

    /// Class A: the newest entry of a log.
    pub fn last_of(&self, log: Log) -> Option<&SignedEntry> {
        let last = self.at(log).last?;
        Some(&self.entries[last as usize])
    }

    /// Class A: the entries between two logs of one line.
    pub fn between(&self, from: Log, to: Log) -> Vec<SignedEntry> {
        let mut entries = Vec::new();
        let mut log = to;
        while log != from {
            let folded = self.at(log);
            let last = folded.last.expect("the line leads to `from`");
            entries.push(self.entries[last as usize].clone());
            log = folded.parent;
        }
        entries.reverse();
        entries
    }
}

/// The nonce of a process by number.
pub fn nonce(process: u8) -> Nonce {
    [process + 1; 16]
}

fn folded(mut state: State, parent: u32, last: Option<u32>, set: Vec<u32>) -> Folded {
    quarantine(&mut state);
    let packs: BTreeSet<Pack> = state.tables().flat_map(|(id, _)| packs_of(id)).collect();
    let stays = |pack: &&Pack| state.pack_state(&pack.id()) != PackState::Deleting;
    let readable: Vec<Pack> = packs.iter().filter(stays).copied().collect();
    let condemned: Vec<Pack> = state.condemned().map(|(id, _)| Pack::of(&id.0)).collect();
    let live: Vec<Snap> = state.live_snapshots().map(|(id, _)| Snap::of(id)).collect();
    let forgotten = state
        .forgotten_snapshots()
        .map(|(id, _)| Snap::of(id))
        .collect();
    Folded {
        catalog: Packs(packs.iter().map(|pack| (pack.id(), pack.rows())).collect()),
        needed: holds(state.kept_snapshots(LATER).map(|(id, _)| id)),
        promised: holds(promised(&state)),
        diverges: false,
        readable,
        live,
        forgotten,
        condemned,
        state,
        parent,
        last,
        set,
    }
}

/// When prunes look.
pub const LATER: Timestamp = Timestamp {
    seconds: 1000,
    nanos: 0,
};

/// What must stay whole, whatever rule is off.
fn promised(state: &State) -> impl Iterator<Item = &SnapshotId> {
    let protected = state.forgotten_snapshots();
    let protected = protected.filter(|(id, _)| state.is_protected(id, LATER));
    let promised = state.live_snapshots().chain(protected);
    promised.map(|(id, _)| id)
}

fn holds<'a>(snapshots: impl Iterator<Item = &'a SnapshotId>) -> Bits {
    snapshots.fold(0, |bits, id| bits | Bits::from(Snap::of(id).holds))
}

/// What `repo` does with the tables in doubt: packs that no other table names are nobody's source.
fn quarantine(state: &mut State) {
    let doubt: BTreeSet<&IndexId> = state.tables_in_doubt().collect();
    let sound = state.tables().filter(|(id, _)| !doubt.contains(id));
    let sound: BTreeSet<Pack> = sound.flat_map(|(id, _)| packs_of(id)).collect();
    let packs = doubt.iter().flat_map(|id| packs_of(id));
    let packs: Vec<PackId> = packs
        .filter(|pack| !sound.contains(pack))
        .map(Pack::id)
        .collect();
    state.quarantine(packs);
}

impl Folded {
    /// What a deletion of these packs does to the tables: those that name nothing else, to delete; those to drop, and
    /// those to put in their place.
    pub fn without(&self, gone: &[Pack]) -> (Vec<IndexId>, Vec<IndexId>, Vec<IndexId>) {
        let (mut delete, mut drop, mut add) = (Vec::new(), Vec::new(), Vec::new());
        for (id, _) in self.state.tables() {
            let stays: Vec<Pack> = packs_of(id).filter(|pack| !gone.contains(pack)).collect();
            if stays.is_empty() {
                delete.push(*id);
            } else if stays.len() < packs_of(id).count() {
                drop.push(*id);
                add.push(table_of(&stays));
            }
        }
        (delete, drop, add)
    }

    /// The catalog as prune `who` sees it.
    pub fn seen_by(&self, who: u8) -> With<'_> {
        With {
            catalog: &self.catalog,
            own: &[],
            backwards: who % 2 == 1,
        }
    }

    /// What prune `who` condemns, having all packs rewritten of which not everything is kept, and the blobs that it copies.
    pub fn to_condemn(&self, who: u8, orphans: &[PackId]) -> (Vec<PackId>, Vec<BlobId>) {
        let rows = Numbered {
            packs: &self.catalog,
            backwards: who % 2 == 1,
        };
        let packs: Vec<&Vec<_>> = self.catalog.0.values().collect();
        let kept = keep(&self.state, &rows, &blobs(self.needed), &BTreeSet::new());
        let kept = kept.expect(IN_MEMORY);
        let partly = |pack: u32| (kept.blobs_in_pack(pack) as usize) < packs[pack as usize].len();
        let plan = plan_condemn(&self.state, &rows, &kept, &partly, orphans).expect(IN_MEMORY);
        let copied = rows.copied(&kept, &plan);
        (plan.condemn, copied)
    }

    /// Whether a table in force names that pack.
    pub fn knows(&self, pack: Pack) -> bool {
        self.catalog.0.contains_key(&pack.id())
    }

    /// Whether anything that was promised does not decode from packs in `there` whose tables are in `tables`.
    pub fn lost(&self, there: Bits, tables: Bits) -> bool {
        self.lost_of(self.promised, there, tables)
    }

    /// Every blob that was promised.
    pub fn promised(&self) -> Bits {
        self.promised
    }

    /// The same of some blobs only, wherever their tables are.
    pub fn lost_among(&self, blobs: Bits, there: Bits) -> bool {
        self.lost_of(self.promised & blobs, there, Bits::MAX)
    }

    /// Whether any of these blobs does not decode.
    pub fn lost_of(&self, needed: Bits, there: Bits, tables: Bits) -> bool {
        let present = |pack: &&Pack| (there & tables) >> pack.no & 1 == 1;
        let packs = || self.readable.iter().filter(present);
        let whole = packs().fold(0, |bits, pack| bits | pack.whole);
        let on_base = |pack: &Pack| {
            if whole >> pack.base & 1 == 1 {
                pack.delta
            } else {
                0
            }
        };
        let decodes = packs().fold(whole, |bits, pack| bits | on_base(pack));
        needed & !Bits::from(decodes) != 0
    }
}

/// A catalog as a process sees it: with the packs that it is about to bring, and some list copies the other way round.
pub struct With<'a> {
    pub catalog: &'a Packs,
    pub own: &'a [Pack],
    pub backwards: bool,
}

impl Catalog for With<'_> {
    fn copies(&self, blob: &BlobId, each: &mut dyn FnMut(&PackId, &[BlobId])) -> Result<()> {
        let mut found: Vec<(PackId, Vec<BlobId>)> = Vec::new();
        self.catalog
            .copies(blob, &mut |pack, bases| found.push((*pack, bases.to_vec())))?;
        let new = |pack: &&Pack| !self.catalog.0.contains_key(&pack.id());
        for pack in self.own.iter().filter(new) {
            let rows = pack.rows().into_iter().filter(|(id, _)| id == blob);
            found.extend(rows.map(|(_, bases)| (pack.id(), bases)));
        }
        if self.backwards {
            found.reverse();
        }
        found.iter().for_each(|(pack, bases)| each(pack, bases));
        Ok(())
    }

    fn knows(&self, pack: &PackId) -> Result<bool> {
        Ok(self.own.iter().any(|own| own.id() == *pack) || self.catalog.knows(pack)?)
    }
}

/// For prunes, which look into what is indexed only.
impl Inventory for With<'_> {
    fn blobs(
        &self,
        pack: &PackId,
        each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>,
    ) -> Result<()> {
        self.catalog.blobs(pack, each)
    }

    fn with_bases(&self, each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>) -> Result<()> {
        self.catalog.with_bases(each)
    }
}
