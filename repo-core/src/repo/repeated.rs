//! Class C: what the file of an entry repeats of others, so that no entry is lost with its file.
//!
//! That are the lists of members, without which nothing is believed, and the entries of the last sixteen numbers.

use super::entry_set::Key;
use crate::format::entry::{
    self, Action, CATCH_UP_BYTES_MAX, CHECKPOINT_EVERY, Entry, SignedEntry,
};
use crate::format::envelope::Envelopes;
use std::collections::BTreeMap;

/// Entries with their cores. Memory, once it is trimmed: those of the last sixteen numbers and all lists of members.
#[derive(Default)]
pub struct Repeated {
    entries: BTreeMap<Key, (SignedEntry, Vec<u8>)>,
}

impl Repeated {
    /// Takes in the file of an entry, if it proves itself, and what it repeats.
    pub fn note_file(&mut self, envelopes: &Envelopes, file: &[u8]) {
        if let Ok((core, _)) = entry::decode_damaged_file(file)
            && let Ok(signed) = Entry::open(envelopes, core)
        {
            self.note_entry(envelopes, &signed, file);
        }
    }

    /// Takes in an entry that was read from a file, and of what that repeats whatever proves itself.
    pub fn note_entry(&mut self, envelopes: &Envelopes, signed: &SignedEntry, file: &[u8]) {
        let Ok((core, repeated)) = entry::decode_damaged_file(file) else {
            return;
        };
        self.insert(signed.clone(), core);
        for core in repeated {
            let key = entry::clear(core).map(|clear| (clear.number, clear.nonce));
            if key.is_ok_and(|key| self.core(&key).is_none())
                && let Ok(signed) = Entry::open(envelopes, core)
            {
                self.insert(signed, core);
            }
        }
    }

    /// Takes in an entry, unless it is one of class A.
    fn insert(&mut self, signed: SignedEntry, core: &[u8]) {
        let key = (signed.entry.number, signed.entry.nonce);
        if signed.entry.process.is_some() {
            self.entries.insert(key, (signed, core.to_vec()));
        }
    }

    /// All that was taken in and not trimmed.
    pub fn entries(&self) -> impl Iterator<Item = (&Key, &SignedEntry)> {
        self.entries.iter().map(|(key, (signed, _))| (key, signed))
    }

    /// The core of an entry.
    pub fn core(&self, key: &Key) -> Option<&[u8]> {
        self.entries.get(key).map(|(_, core)| core.as_slice())
    }

    /// Forgets an entry that was cleared.
    pub fn remove(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    /// Leaves what the file of an entry behind `number` may repeat.
    pub fn trim(&mut self, number: u64) {
        let is_new = |other: u64| other + CHECKPOINT_EVERY > number;
        self.entries
            .retain(|(number, _), (signed, _)| is_new(*number) || is_roles(signed));
    }

    /// What the file of an entry of that number repeats, in order: of lists of members the first and then the newest, as many as take half of
    /// the room, and of the other entries the newest.
    pub fn catch_up(&self, number: u64) -> Vec<Vec<u8>> {
        let all = self
            .entries
            .range(..(number, [0; 16]))
            .map(|(key, (signed, core))| (key, signed, core));
        let (roles, others): (Vec<_>, Vec<_>) = all.partition(|(_, signed, _)| is_roles(signed));
        let roles = roles.iter().take(1).chain(roles.iter().skip(1).rev());
        let mut taken = BTreeMap::new();
        let mut fill = |key: &Key, core: &Vec<u8>, left: &mut usize| {
            let bytes = core.len() + size_of::<u32>();
            if bytes <= *left {
                *left -= bytes;
                taken.insert(*key, core.clone());
            }
        };
        let mut left = CATCH_UP_BYTES_MAX / 2;
        roles.for_each(|(key, _, core)| fill(key, core, &mut left));
        left += CATCH_UP_BYTES_MAX / 2;
        let newest = others.iter().rev();
        newest.for_each(|(key, _, core)| fill(key, core, &mut left));
        taken.into_values().collect()
    }
}

fn is_roles(signed: &SignedEntry) -> bool {
    matches!(signed.entry.action, Some(Action::Roles { .. }))
}
