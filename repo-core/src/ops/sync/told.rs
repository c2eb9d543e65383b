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
    pub rests: HashSet<ObjectRef>,
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
        let holes = goal.holes().into_iter().map(|number| (number, None));
        let mut names: Vec<EntryName> = goal.entries.keys().copied().chain(holes).collect();
        names.sort_unstable();
        for entry in names.iter().rev() {
            job.interrupt.check()?;
            if told.takes_repeated(entry, &mut repeated) {
                continue;
            }
            let is_told = match goal.entries.range(entry..).next() {
                Some((there, _)) if there == entry => {
                    let core = read_one(job, entry, &mut repeated)?;
                    told.takes(entry, core.as_deref())
                }
                // The first file behind a hole may repeat more than others: a sync was stopped there.
                Some((beyond, _)) => {
                    read_one(job, beyond, &mut repeated)?;
                    told.takes_repeated(entry, &mut repeated)
                }
                None => false,
            };
            told.broken |= !is_told;
        }
        told.broken |= !told.followed.is_subset(&told.hashes);
        Ok(told)
    }

    /// Of a chain what a later file repeats is as good as the file of its own, if it is what the next one follows.
    fn takes_repeated(&mut self, entry: &EntryName, repeated: &mut BTreeMap<u64, Vec<u8>>) -> bool {
        if entry.1.is_some() {
            return false;
        }
        let core = repeated.remove(&entry.0);
        let core = core.filter(|core| self.followed.contains(&entry::hash(core)));
        self.takes(entry, core.as_deref())
    }

    fn takes(&mut self, entry: &EntryName, core: Option<&[u8]>) -> bool {
        let Some(core) = core else { return false };
        let clear = clear_of(entry, core);
        let is_it = clear.is_some();
        clear.into_iter().for_each(|clear| self.add(clear, core));
        is_it
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
}

/// The core of an entry by its own file, if there is one. Notes what that repeats.
fn read_one(
    job: &Job<'_>,
    entry: &EntryName,
    repeated: &mut BTreeMap<u64, Vec<u8>>,
) -> Result<Option<Vec<u8>>> {
    let file = match read(job.from, entry) {
        Err(e) if e.is_lost() => return Ok(None),
        file => file?,
    };
    let Ok((core, others)) = entry::decode_file(&file) else {
        return Ok(None);
    };
    if clear_of(entry, core).is_some() {
        let before = (1..entry.0).rev();
        repeated.extend(before.zip(others.iter().rev().map(|core| core.to_vec())));
    }
    Ok(Some(core.to_vec()))
}
