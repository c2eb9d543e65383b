//! The log of a place of class C: a set of entries that a listing shows.
//!
//! Entries never overwrite each other there, because every name holds a nonce. Whoever finds that a place of class A has
//! become one of class C says so by an entry, and puts it under the name of class A as well: there the chain ends for whoever
//! gallops.

use super::Shared;
use super::checkpoints::Loaded;
use super::history::{CHECKPOINT_TRIES, History, is_passed_over};
use super::memory::Memory;
use super::repeated::Repeated;
use crate::backend::Class;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::{self, Action, Entry, EntryAt, Nonce, SignedEntry};
use crate::format::name;
use crate::format::table::TableView;
use crate::id::{EntryHash, PackId, WriterId};
use crate::log::{State, Unreadable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The number and the nonce in an entry's name.
pub type Key = (u64, Nonce);

/// What was read of the set. Memory: the entries since the checkpoint that it began with.
pub struct EntrySet {
    base: State,
    entries: BTreeMap<Key, SignedEntry>,
    unreadable: BTreeMap<Key, (EntryHash, Unreadable)>,
    /// What the next entry's file repeats.
    pub(super) repeated: Repeated,
    /// What `Void` entries of the admin key name.
    cleared: BTreeSet<EntryAt>,
}

impl EntrySet {
    /// What is known of it from `files` of entries that were read for it.
    fn on(base: State, files: &[Vec<u8>], shared: &Shared) -> Self {
        let mut repeated = Repeated::default();
        for file in files {
            repeated.note_file(&shared.envelopes, file);
        }
        Self {
            base,
            entries: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            repeated,
            cleared: BTreeSet::new(),
        }
    }

    fn knows(&self, (number, nonce): &Key) -> bool {
        self.base.folded(*number, nonce).is_some()
            || self.entries.contains_key(&(*number, *nonce))
            || self.unreadable.contains_key(&(*number, *nonce))
    }

    /// Reads what is new of the listed entries, and takes those that are lost from the files that repeat them.
    fn read(&mut self, shared: &Shared, listed: &BTreeSet<Key>) -> Result<()> {
        let new: Vec<Key> = listed
            .iter()
            .filter(|key| !self.knows(key))
            .copied()
            .collect();
        for key in new {
            match shared.open_set_entry(&key)? {
                Ok((signed, file)) => {
                    self.repeated.note_entry(&shared.envelopes, &signed, &file);
                    self.clear(shared, &signed)?;
                    self.entries.insert(key, signed);
                    self.take_repeated();
                    self.repeated.trim(key.0);
                }
                Err(unreadable) => drop(self.unreadable.insert(key, unreadable)),
            }
        }
        Ok(())
    }

    /// Takes in what is repeated and could not be read from its own file, unless it was cleared: whoever wrote the file that repeats it had
    /// read it.
    fn take_repeated(&mut self) {
        for (key, signed) in self.repeated.entries() {
            let is_known = self.base.folded(key.0, &key.1).is_some();
            if !is_known && !self.entries.contains_key(key) && !self.was_cleared(key, &signed.hash)
            {
                self.unreadable.remove(key);
                self.entries.insert(*key, signed.clone());
            }
        }
    }

    /// Whether an entry of that hash was cleared: itself, as one that was missing, or what lies under its name.
    fn was_cleared(&self, key: &Key, hash: &EntryHash) -> bool {
        let found = self.unreadable.get(key).map(|(found, _)| found);
        let of_hash = |hash: &EntryHash| {
            let at = EntryAt {
                number: key.0,
                hash: *hash,
            };
            self.base.is_voided(&at) || self.cleared.contains(&at)
        };
        let missing = self.cleared.iter().any(|at| at.hash == *hash);
        missing || self.base.has_voided_hash(hash) || found.is_some_and(of_hash)
    }

    /// Takes out what a `Void` of the admin key names and was known here, from its file when that was whole or from others: it counts for
    /// nobody any more, unless it lies there whole again.
    fn clear(&mut self, shared: &Shared, void: &SignedEntry) -> Result<()> {
        let Some(Action::Void { entries }) = &void.entry.action else {
            return Ok(());
        };
        if void.signer != self.base.admin() {
            return Ok(());
        }
        self.cleared.extend(entries);
        let numbers: BTreeSet<u64> = entries.iter().map(|at| at.number).collect();
        let hashes: BTreeSet<EntryHash> = entries.iter().map(|at| at.hash).collect();
        let may_be = |(key, signed): (&Key, &SignedEntry)| {
            (numbers.contains(&key.0) || hashes.contains(&signed.hash)).then_some(*key)
        };
        let known: Vec<Key> = self.entries.iter().filter_map(may_be).collect();
        for key in known {
            match shared.open_set_entry(&key) {
                Ok(Ok(_)) => continue,
                Ok(Err((hash, why))) if hashes.contains(&hash) => {
                    self.unreadable.insert(key, (hash, why));
                }
                Err(e) if e.is_lost() => {
                    let hash = self.entries.get(&key).map(|signed| signed.hash);
                    if !hash.is_some_and(|hash| hashes.contains(&hash)) {
                        continue;
                    }
                }
                Ok(Err(_)) => continue,
                Err(e) => return Err(e),
            }
            self.entries.remove(&key);
            self.repeated.remove(&key);
        }
        Ok(())
    }

    /// Folds everything read. `None` if an entry came so late that the fold must begin earlier.
    fn fold(&self) -> Result<Option<State>> {
        let mut base = self.base.clone();
        for ((number, _), (hash, why)) in &self.unreadable {
            base.note_unreadable(*number, *hash, *why)?;
        }
        base.fold(self.entries.values())
    }
}

/// An entry and its file, or what it is known by and why it cannot be read.
type SetEntry = std::result::Result<(SignedEntry, Vec<u8>), (EntryHash, Unreadable)>;

impl History {
    /// Lists the set, reads what is new and folds it.
    pub(super) fn read_set(&mut self, shared: &Shared) -> Result<()> {
        let listed = shared.list_entry_set()?;
        if let Some(set) = &self.set
            && listed.iter().all(|key| set.knows(key))
        {
            return Ok(());
        }
        let mut set = match self.set.take() {
            Some(set) => set,
            None => match shared.newest_set_checkpoint()? {
                Some(loaded) => {
                    self.checkpoint = Some(loaded.checkpoint);
                    EntrySet::on(loaded.state, &loaded.files, shared)
                }
                None => shared.empty_set(self.state.admin())?,
            },
        };
        set.read(shared, &listed)?;
        let mut folded = set.fold()?;
        if folded.is_none() {
            set = shared.empty_set(self.state.admin())?;
            set.read(shared, &listed)?;
            folded = set.fold()?;
        }
        let late = || Error::damaged(Subject::Object("log".into())).detail("does not fold");
        let mut state = folded.ok_or_else(late)?;
        let doubtful = shared.packs_in_doubt(&state);
        state.quarantine(doubtful);
        self.state = Arc::new(state);
        self.set = Some(set);
        Ok(())
    }
}

impl Shared {
    /// Whether there is a log of class C, which begins with no entry of class A. One listing.
    pub(super) fn has_entry_set(&self) -> Result<bool> {
        Ok(!self.list_entry_set()?.is_empty())
    }

    fn list_entry_set(&self) -> Result<BTreeSet<Key>> {
        let mut found = BTreeSet::new();
        self.backend.list("log", &mut |listed| {
            if let Some((number, Some(nonce))) = name::parse_entry(&listed.name) {
                found.insert((number, nonce));
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether the log begins with an entry of class C: its file is there, or the first that is repeats it.
    pub(super) fn begins_as_set(&self) -> Result<bool> {
        let Some(first) = self.list_entry_set()?.first().copied() else {
            return Ok(false);
        };
        let mut repeated = Repeated::default();
        let file = self.read_entry_file(&name::entry_of(first.0, &first.1))?;
        repeated.note_file(&self.envelopes, &file.unwrap_or_default());
        let begins = repeated.entries().any(|((number, _), _)| *number == 1);
        Ok(first.0 == 1 || begins)
    }

    /// Class A ends with an entry that lies under two names: its number, and its file as one of these of class C has it, or if they only
    /// repeat it without what it repeats itself.
    pub(super) fn end_of_chain(&self, set: &[Key]) -> Result<Option<(u64, Vec<u8>)>> {
        let ends = |entry: &Entry| matches!(entry.action, Some(Action::Class(Class::C)));
        let mut repeated = Repeated::default();
        for (number, nonce) in set {
            let file = self.read_entry_file(&name::entry_of(*number, nonce))?;
            let file = file.unwrap_or_default();
            repeated.note_file(&self.envelopes, &file);
            let found = repeated.entries().find(|(_, signed)| ends(&signed.entry));
            if let Some((key, _)) = found {
                let alone = || repeated.core(key).map(|core| entry::encode_file(core, &[]));
                let file = match *key == (*number, *nonce) {
                    true => Some(file),
                    false => alone(),
                };
                return Ok(file.map(|file| (key.0, file)));
            }
        }
        Ok(None)
    }

    /// An entry and its file, or why it cannot be read: also one that is not what its name says.
    fn open_set_entry(&self, (number, nonce): &Key) -> Result<SetEntry> {
        let object = name::entry_of(*number, nonce);
        let missing = || Error::missing(Subject::Object(object.clone()));
        let file = self.read_entry_file(&object)?.ok_or_else(missing)?;
        let damaged = || (entry::hash_of_damaged(nonce, &file), Unreadable::Damaged);
        let core = match entry::decode_damaged_file(&file) {
            Ok((core, _)) => core,
            Err(_) => return Ok(Err(damaged())),
        };
        let signed = match Entry::open(&self.envelopes, core) {
            Ok(signed) => signed,
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                return Ok(Err((entry::hash(core), Unreadable::Newer)));
            }
            Err(e) if e.kind() == ErrorKind::Damaged => {
                return Ok(Err(damaged()));
            }
            Err(e) => return Err(e),
        };
        match (signed.entry.number, signed.entry.nonce) == (*number, *nonce) {
            true => Ok(Ok((signed, file))),
            // Somebody put another one there.
            false => Ok(Err(damaged())),
        }
    }

    /// The newest checkpoint that counts. One that is missing or does not count is passed over.
    fn newest_set_checkpoint(&self) -> Result<Option<Loaded>> {
        let mut found = BTreeSet::new();
        self.backend.list("checkpoints", &mut |listed| {
            if let Some((number, Some(nonce))) = name::parse_numbered(&listed.name) {
                found.insert((number, nonce));
            }
            Ok(())
        })?;
        for (number, nonce) in found.iter().rev().take(CHECKPOINT_TRIES) {
            match self.load_checkpoint(&name::checkpoint_of(*number, nonce), None) {
                Ok(loaded) => return Ok(Some(loaded)),
                Err(e) if is_passed_over(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// What the log comes to when all of it is read once more.
    pub(super) fn fold_anew(&self) -> Result<Arc<State>> {
        let nothing = Memory::new(None, "", true);
        let first = State::new(self.holder.admin, Class::A);
        let mut anew = History::new(first, nothing);
        anew.read_on(self)?;
        Ok(anew.state)
    }

    /// The set when the place became one of class C: what the chain of class A says up to there, or nothing.
    fn empty_set(&self, admin: WriterId) -> Result<EntrySet> {
        let nothing = Memory::new(None, "", false);
        let mut chain = History::new(State::new(admin, Class::A), nothing);
        chain.read_chain(self, 0)?;
        if chain.state.class() == Class::A {
            return Ok(EntrySet::on(State::new(admin, Class::C), &[], self));
        }
        // The set begins with the entry that ends the chain.
        let last = chain.recent.remove(&chain.state.tail().number);
        let file = last.map(|core| entry::encode_file(&core, &[]));
        let state = Arc::unwrap_or_clone(chain.state);
        Ok(EntrySet::on(state, file.as_slice(), self))
    }

    /// The packs of tables that only entries in doubt name. A table that cannot be had is in no index either.
    fn packs_in_doubt(&self, state: &State) -> BTreeSet<PackId> {
        let mut packs = BTreeSet::new();
        for table in state.tables_in_doubt() {
            if let Ok(body) = self.load_table(table)
                && let Ok(view) = TableView::parse(&body)
            {
                packs.extend(view.packs.iter().flatten().map(|pack| pack.id));
            }
        }
        packs
    }
}
