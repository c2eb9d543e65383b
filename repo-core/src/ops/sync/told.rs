//! What anyone can tell of a log without a key: what its entries say in clear, and whether they follow each other.

use super::Job;
use super::listing::{EntryName, Log};
use super::log::{clear_of, deleted_by, read};
use crate::error::Result;
use crate::format::entry::{self, EntryClear, EntryKind, ObjectRef};
use crate::id::EntryHash;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What the entries of a log say in clear. Whether one counts only the sealed part says.
#[derive(Debug, Default)]
pub struct Told {
    /// What is deleted, with the highest number of an entry that says so.
    pub deleted: HashMap<ObjectRef, u64>,
    /// What deletions rest on.
    rests: HashSet<ObjectRef>,
    /// A deletion does not say what it rests on.
    pub unsaid: bool,
    /// An entry lacks, or is not the one that another follows.
    pub broken: bool,
    /// The number of the newest entry that takes others back, without saying in clear which.
    pub void: u64,
    followed: HashSet<EntryHash>,
    hashes: HashSet<EntryHash>,
}

impl Told {
    /// Reads a log back from its end: about a sixteenth of its files, where files repeat others. Memory: 64 bytes for each entry, 80 for each object that one names.
    pub fn read(job: &Job<'_>, goal: &Log) -> Result<Self> {
        let (mut told, mut repeated) = (Self::default(), BTreeMap::new());
        for entry in goal.entries.keys().rev() {
            job.interrupt.check()?;
            if !told.takes_repeated(entry, &mut repeated) {
                told.read_one(job, entry, &mut repeated)?;
            }
        }
        told.broken |= !told.followed.is_subset(&told.hashes);
        Ok(told)
    }

    /// Of a chain what a later file repeats is as good as the file of its own, if it is what the next one follows.
    fn takes_repeated(&mut self, entry: &EntryName, repeated: &mut BTreeMap<u64, Vec<u8>>) -> bool {
        if entry.1.is_some() {
            return false;
        }
        let Some(core) = repeated.remove(&entry.0) else {
            return false;
        };
        let clear = clear_of(entry, &core).filter(|_| self.followed.contains(&entry::hash(&core)));
        let Some(clear) = clear else { return false };
        self.add(clear, &core);
        true
    }

    fn read_one(
        &mut self,
        job: &Job<'_>,
        entry: &EntryName,
        repeated: &mut BTreeMap<u64, Vec<u8>>,
    ) -> Result<()> {
        let file = match read(job.from, entry) {
            Ok(file) => file,
            Err(e) if e.is_lost() => {
                self.broken = true;
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let parts = entry::decode_file(&file).ok();
        let parts = parts.and_then(|(core, others)| Some((clear_of(entry, core)?, core, others)));
        let Some((clear, core, others)) = parts else {
            self.broken = true;
            return Ok(());
        };
        let before = (1..entry.0).rev();
        repeated.extend(before.zip(others.iter().rev().map(|core| core.to_vec())));
        self.add(clear, core);
        Ok(())
    }

    fn add(&mut self, clear: EntryClear, core: &[u8]) {
        self.hashes.insert(entry::hash(core));
        self.followed.extend(&clear.follows);
        let number = clear.number;
        match EntryKind::from_u16(clear.kind) {
            Some(EntryKind::Void) => self.void = self.void.max(number),
            Some(EntryKind::Deleting) => match clear.rests_on() {
                Some(objects) => self.rests.extend(objects),
                None => self.unsaid = true,
            },
            _ => {}
        }
        for object in deleted_by(clear) {
            let newest = self.deleted.entry(object).or_default();
            *newest = number.max(*newest);
        }
    }

    /// Whether `there` holds all that deletions rest on.
    pub fn is_borne_by(&self, there: &HashMap<ObjectRef, u64>) -> bool {
        let is_there =
            |object: &ObjectRef| there.contains_key(object) || self.deleted.contains_key(object);
        self.rests.iter().all(is_there)
    }
}
