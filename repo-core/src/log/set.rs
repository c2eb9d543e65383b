//! The fold of a set of entries, as class C needs it: the same state whatever order they are listed in.
//!
//! Numbers are Lamport clocks there: an entry's number is one more than the highest that its writer had seen, so entries of
//! one number are concurrent, and all stand. Which entries of a fenced process count is settled first, by all `Fence` and
//! `Deleting` entries of the set; more of them can only make more entries void, never fewer.

use super::mutant::{Rule, off};
use super::state::{Outcome, State, VoidReason, broken};
use super::unreadable::Unreadable;
use crate::backend::Class;
use crate::error::{Error, Result, Subject};
use crate::format::checkpoint::{EntryRow, Tail};
use crate::format::entry::{Action, EntryAt, Nonce, SignedEntry};
use crate::id::EntryHash;
use std::collections::{BTreeMap, BTreeSet};

impl State {
    /// Folds a set of entries on top of this state, in whatever order they come.
    ///
    /// Entries that were folded already are skipped. `None` if this state cannot take them in: it has entries in doubt, or
    /// one came late that changes what was folded before. Fold from an older checkpoint then, or from the beginning.
    /// `Missing` if the first entry is neither here nor in the set, `Damaged` if a chain of class A is broken. Time and
    /// memory: linear in the set and in the state.
    pub fn fold<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a SignedEntry>,
    ) -> Result<Option<State>> {
        if !self.in_doubt.is_empty() && !off(Rule::FoldAnew) {
            return Ok(None);
        }
        let mut sorted: Vec<&SignedEntry> = entries.into_iter().collect();
        sorted.sort_unstable_by_key(|signed| (signed.entry.number, signed.hash));
        sorted.dedup_by_key(|signed| signed.hash);
        let mut state = self.clone();
        let mut rest = &sorted[..];
        while let Some(first) = rest.first() {
            match state.class {
                Class::A => {
                    let known = first.entry.number <= state.tail.number;
                    if !known && !state.is_stray(first) {
                        state.apply(first)?;
                    }
                    rest = &rest[1..];
                }
                Class::C => match state.fold_set(rest)? {
                    Some(taken) => rest = &rest[taken..],
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(state))
    }

    /// An entry of the class C time that nobody had seen when the place was declared class A.
    fn is_stray(&self, signed: &SignedEntry) -> bool {
        signed.entry.process.is_some() && self.tail.heads != signed.entry.follows
    }

    /// From a `Class(C)` entry on, entries are a set, and that entry is its first. The one before it is known to the set
    /// too, because several processes may find out at once that a place is of class C.
    pub(super) fn begin_set(&mut self, before: &Tail, signed: &SignedEntry) {
        for head in &before.heads {
            let at = EntryAt {
                number: before.number,
                hash: *head,
            };
            // What could not be read there is followed by now, and nothing else may be.
            if let Some(why @ Unreadable::Damaged) = self.unreadable.get_mut(&at) {
                *why = Unreadable::Missing;
            }
            let row = EntryRow {
                hash: *head,
                process: None,
            };
            self.entries.insert((before.number, [0; 16]), row);
        }
        self.remember(signed);
    }

    /// Remembers that an entry was folded.
    fn remember(&mut self, signed: &SignedEntry) {
        let row = EntryRow {
            hash: signed.hash,
            process: signed.entry.process,
        };
        self.entries
            .insert((signed.entry.number, signed.entry.nonce), row);
    }

    /// Folds the entries of class C up to the one that ends it; how many that were.
    fn fold_set(&mut self, sorted: &[&SignedEntry]) -> Result<Option<usize>> {
        let fresh = |s: &&SignedEntry| self.folded(s.entry.number, &s.entry.nonce).is_none();
        let mut set: Vec<&SignedEntry> = sorted.iter().copied().filter(fresh).collect();
        let ends = |s: &&SignedEntry| {
            let becomes_a = matches!(s.entry.action, Some(Action::Class(Class::A)));
            becomes_a && s.signer == self.admin
        };
        let last = set.iter().position(ends);
        if let Some(last) = last {
            set.truncate(last + 1);
            keep_followed(&mut set);
        }
        let taken = match last {
            Some(_) => {
                let end = set.last().expect("it holds the entry that ends it").hash;
                let place = sorted.iter().position(|s| s.hash == end);
                place.expect("the set is taken from it") + 1
            }
            None => sorted.len(),
        };
        let late = |s: &&SignedEntry| {
            let structural = matches!(
                s.entry.action,
                Some(Action::Roles { .. } | Action::Class(Class::A))
            );
            structural && s.entry.number <= self.tail.number
        };
        if set.iter().any(late) {
            return Ok(None);
        }
        let missing = self.check_follows(&set)?;
        let missing = missing
            .into_iter()
            .map(|entry| (entry, Unreadable::Missing));
        self.unreadable.extend(missing);
        let before = self.standing();
        self.settle(&set);
        if !self.standing().is_superset(&before) && !off(Rule::FoldAnew) {
            return Ok(None);
        }
        for signed in &set {
            let taken_in = matches!(signed.entry.action, Some(Action::Roles { .. }));
            if self.verdict(signed) == Outcome::Applied && !taken_in {
                self.take_effect(signed);
            }
            self.advance(signed);
        }
        self.drop_idle_waiting();
        Ok(Some(taken))
    }

    /// Every entry that one follows was folded or is in the set, and has a lower number, or is missing: gives those, each taken
    /// for the one right before. Without the first one, which says who may write, nothing counts.
    fn check_follows(&self, set: &[&SignedEntry]) -> Result<BTreeSet<EntryAt>> {
        let known = self
            .entries
            .iter()
            .map(|((number, _), row)| (row.hash, *number));
        let new = set.iter().map(|s| (s.hash, s.entry.number));
        let heads = self.tail.heads.iter().map(|hash| (*hash, self.tail.number));
        let mut numbers: BTreeMap<EntryHash, u64> = heads.chain(known).chain(new).collect();
        numbers.extend(
            self.unreadable
                .keys()
                .map(|entry| (entry.hash, entry.number)),
        );
        let mut missing = BTreeSet::new();
        for signed in set {
            let number = signed.entry.number;
            self.check_first(signed)?;
            let mut highest = 0;
            for hash in &signed.entry.follows {
                if !numbers.contains_key(hash) && number > 2 {
                    let entry = EntryAt {
                        number: number - 1,
                        hash: *hash,
                    };
                    numbers.insert(entry.hash, entry.number);
                    missing.insert(entry);
                }
                let before = numbers.get(hash).copied().ok_or_else(|| {
                    let first = Error::missing(Subject::Entry(number.saturating_sub(1)));
                    first.detail("later ones are there, and none repeats it")
                })?;
                highest = highest.max(before);
            }
            if number != highest + 1 {
                return Err(broken(
                    number,
                    "has a number that does not fit what it follows",
                ));
            }
        }
        Ok(missing)
    }

    /// Finds out which processes are fenced and what of theirs stands, before anything else takes effect.
    fn settle(&mut self, set: &[&SignedEntry]) {
        self.settle_roles(set);
        let allowed: Vec<&&SignedEntry> = set
            .iter()
            .filter(|s| self.judge(s) == Outcome::Applied)
            .collect();
        for signed in allowed {
            match &signed.entry.action {
                Some(Action::Fence { .. }) => self.take_effect(signed),
                Some(Action::Deleting { fenced, .. }) => self.cut_off(fenced),
                _ => {}
            }
        }
        for signed in set {
            let fenced = signed
                .entry
                .process
                .is_some_and(|nonce| self.fences.contains_key(&nonce));
            let (process, hash) = (signed.entry.process, &signed.hash);
            if fenced && rests_on_packs(signed) && !self.was_seen(process, hash) {
                self.in_doubt.insert(signed.hash);
            }
        }
    }

    /// Takes the lists of members in first; within the set they count for entries of higher numbers.
    fn settle_roles(&mut self, set: &[&SignedEntry]) {
        for signed in set {
            let roles = matches!(signed.entry.action, Some(Action::Roles { .. }));
            if roles && self.judge(signed) == Outcome::Applied {
                self.take_effect(signed);
            }
        }
    }

    /// Whether the entry counts.
    fn verdict(&mut self, signed: &SignedEntry) -> Outcome {
        let judged = self.judge(signed);
        if judged != Outcome::Applied {
            return judged;
        }
        let cut_off = self.is_cut_off(signed.entry.process, &signed.hash);
        if rests_on_packs(signed) && cut_off && !off(Rule::FenceVoid) {
            self.in_doubt.remove(&signed.hash);
            return Outcome::Void(VoidReason::Fenced);
        }
        Outcome::Applied
    }

    /// Whether a `Fence` of that process names the entry, or every `Deleting` that names the process saw it.
    ///
    /// Then no other can have missed it: who deletes waits for all others who do, or fences them, and folds after that.
    fn was_seen(&self, process: Option<Nonce>, hash: &EntryHash) -> bool {
        let holds = |seen: &BTreeSet<EntryHash>| seen.contains(hash);
        let nonce = process.unwrap_or_default();
        self.fences.get(&nonce).is_some_and(holds) || self.cut_off.get(&nonce).is_some_and(holds)
    }

    /// Whether some `Deleting` had not seen this entry of a process that was fenced before.
    fn is_cut_off(&self, process: Option<Nonce>, hash: &EntryHash) -> bool {
        let named = process.is_some_and(|nonce| self.cut_off.contains_key(&nonce));
        named && !self.was_seen(process, hash)
    }

    /// The folded entries that no `Deleting` had missed.
    fn standing(&self) -> BTreeSet<EntryHash> {
        let stands = |row: &&EntryRow| !self.is_cut_off(row.process, &row.hash);
        let rows = self.entries.values().filter(stands);
        rows.map(|row| row.hash).collect()
    }

    fn advance(&mut self, signed: &SignedEntry) {
        let entry = &signed.entry;
        self.remember(signed);
        let mut heads = std::mem::take(&mut self.tail.heads);
        heads.retain(|head| !entry.follows.contains(head));
        heads.push(signed.hash);
        heads.sort_unstable();
        self.tail = Tail {
            number: self.tail.number.max(entry.number),
            heads,
        };
        if self.class == Class::A {
            self.tail.heads = vec![signed.hash];
        }
    }

    /// Forgets who was waited for where nothing is condemned by that entry any more. One that is not folded yet, because it
    /// is in doubt, may still come.
    fn drop_idle_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let packs = self.packs.values().filter_map(|row| row.standing());
        let in_use: BTreeSet<EntryHash> = packs
            .chain(self.objects.values())
            .map(|by| by.hash)
            .collect();
        let folded: BTreeSet<EntryHash> = self.entries.values().map(|row| row.hash).collect();
        let idle = |condemn: &EntryHash| folded.contains(condemn) && !in_use.contains(condemn);
        self.waiting.retain(|_, row| !idle(&row.condemn));
    }
}

/// Leaves only what the last entry follows, directly or not: it was declared to be all there is.
fn keep_followed(set: &mut Vec<&SignedEntry>) {
    let mut followed: BTreeSet<EntryHash> = set.last().map(|last| last.hash).into_iter().collect();
    for signed in set.iter().rev() {
        if followed.contains(&signed.hash) {
            followed.extend(&signed.entry.follows);
        }
    }
    set.retain(|signed| followed.contains(&signed.hash));
}

/// Whether an entry says that objects are there that a deletion may have missed or taken.
fn rests_on_packs(signed: &SignedEntry) -> bool {
    use Action as A;
    matches!(
        signed.entry.action,
        Some(
            A::Publish { .. }
                | A::Commit { .. }
                | A::Unforget { .. }
                | A::Condemn { .. }
                | A::Deleting { .. }
        )
    )
}
