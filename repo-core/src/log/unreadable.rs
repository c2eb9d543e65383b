//! Entries that cannot be read: readers step over them, and nobody deletes before the admin key has said that they count for nothing.

use super::state::{State, broken};
use crate::backend::Class;
use crate::error::{Error, Result, Subject};
use crate::format::checkpoint::Tail;
use crate::format::entry::EntryAt;
use crate::id::EntryHash;
use bincode::{Decode, Encode};
use std::collections::BTreeSet;

/// Why an entry could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Unreadable {
    /// It does not open. Readers skip it; prune and forget stop.
    Damaged,
    /// Class C: it is not there, or damaged, and others follow it. Readers do without; nothing but a `Void` is put behind those.
    Missing,
    /// A kind of a later version that must be understood. Nothing may be written.
    Newer,
}

impl State {
    /// Class A: steps over the entry `number`, whose stored core has this hash and cannot be read.
    pub fn note_unreadable(&mut self, number: u64, hash: EntryHash, why: Unreadable) -> Result<()> {
        if self.class == Class::A {
            if number != self.tail.number + 1 {
                return Err(broken(number, "is not the next one"));
            }
            let heads = vec![hash];
            self.tail = Tail { number, heads };
        }
        self.unreadable.insert(EntryAt { number, hash }, why);
        Ok(())
    }

    /// Whether a `Void` entry clears that one.
    pub fn is_voided(&self, entry: &EntryAt) -> bool {
        self.voided.contains(entry)
    }

    /// Whether a `Void` entry clears one of that hash, whatever its number.
    pub fn has_voided_hash(&self, hash: &EntryHash) -> bool {
        self.voided.iter().any(|entry| entry.hash == *hash)
    }

    /// Entries that could not be read and that no `Void` entry clears. Readers skip them; with any of them
    /// [`State::may_prune`] and [`State::may_write`] answer no.
    pub fn unreadable(&self) -> impl Iterator<Item = (u64, Unreadable)> {
        self.lost_entries().map(|(entry, why)| (entry.number, why))
    }

    /// The same with what lies there, by number.
    pub fn unreadable_entries(&self) -> impl Iterator<Item = (&EntryAt, Unreadable)> {
        let rows = self.unreadable.iter().map(|(entry, why)| (entry, *why));
        rows.filter(|(entry, _)| !self.is_voided(entry))
    }

    /// Damaged entries that no `Void` entry clears; those of a newer version are not among them.
    pub fn to_void(&self) -> Vec<EntryAt> {
        let rows = self.unreadable_entries();
        let damaged = rows.filter(|(_, why)| *why != Unreadable::Newer);
        damaged.map(|(entry, _)| *entry).collect()
    }

    /// The same, one of each number: of class C a damaged file and what is missing because of it are one entry.
    pub fn lost_entries(&self) -> impl Iterator<Item = (&EntryAt, Unreadable)> {
        let rows = || self.unreadable_entries();
        let stands_for = move |missing: &EntryAt| {
            let mut others = rows().filter(|(_, why)| *why != Unreadable::Missing);
            others.any(|(entry, _)| entry.number == missing.number)
        };
        rows().filter(move |(entry, why)| *why != Unreadable::Missing || !stands_for(entry))
    }

    /// Whether a `Void` entry clears one of that number.
    pub fn has_voided(&self, number: u64) -> bool {
        self.voided.iter().any(|entry| entry.number == number)
    }

    /// Of how many numbers `Void` entries have cleared something.
    pub fn voided_count(&self) -> usize {
        let numbers: BTreeSet<u64> = self.voided.iter().map(|entry| entry.number).collect();
        numbers.len()
    }

    /// The entry behind which nothing but a `Void` is put: it may say that packs are deleted, and come back. On class A one at
    /// the tail that could not be read, on class C one that others follow.
    pub fn barrier(&self) -> Option<u64> {
        match self.class {
            Class::A => self.ends_unreadable().then_some(self.tail.number),
            Class::C => {
                let mut rows = self.unreadable_entries();
                let missing = rows.find(|(_, why)| *why == Unreadable::Missing);
                missing.map(|(entry, _)| entry.number)
            }
        }
    }

    /// Whether an entry at the tail could not be read.
    pub fn ends_unreadable(&self) -> bool {
        let number = self.tail.number;
        let mut heads = self.tail.heads.iter();
        heads.any(|&hash| self.unreadable.contains_key(&EntryAt { number, hash }))
    }

    /// Whether anything may be appended at all: false once an entry of a later version is there that must be understood.
    pub fn may_append(&self) -> bool {
        !self.unreadable().any(|(_, why)| why == Unreadable::Newer)
    }

    /// Whether snapshots may be forgotten and packs condemned or deleted: false while any entry could not be read.
    pub fn may_prune(&self) -> bool {
        self.unreadable().next().is_none()
    }

    /// Refuses to forget or delete while any entry could not be read, for it may say anything: that a snapshot is protected, or wanted
    /// again. `Unsupported` about one of a later version, else `Damaged` about one that can be cleared.
    pub fn refuse_unreadable(&self) -> Result<()> {
        let newer = |(_, why): &(u64, Unreadable)| *why == Unreadable::Newer;
        match self.unreadable().find(newer).or(self.unreadable().next()) {
            None => Ok(()),
            Some((number, Unreadable::Newer)) => Err(Error::unsupported(Subject::Entry(number))
                .detail("says what must be understood; nothing is forgotten or deleted")),
            Some((number, Unreadable::Damaged | Unreadable::Missing)) => Err(broken(
                number,
                "cannot be read, and while that is so nothing is forgotten or deleted",
            )),
        }
    }
}
