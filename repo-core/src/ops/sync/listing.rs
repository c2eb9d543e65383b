//! What lies in a place: its log, its objects, what is not of a repository.

use crate::backend::Backend;
use crate::error::Result;
use crate::format::entry::{Nonce, ObjectRef};
use crate::format::name::{self, CHECKPOINTS, CONFIG, ObjectKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An entry by its name: its number, and on class C its nonce.
pub type EntryName = (u64, Option<Nonce>);

/// So often is a log listed until what it shows stands still.
const LISTINGS_MAX: u32 = 20;

/// What file systems keep for themselves at the top of theirs.
const OF_FILE_SYSTEMS: &str = "lost+found";

/// The entries of a log, with the lengths of their files, the segments that take entries, and whether it is that of a replica.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Log {
    /// Lengths by name.
    pub entries: BTreeMap<EntryName, u64>,
    /// Segments by number.
    pub open: BTreeSet<u64>,
    /// It says of itself that it is the log of a replica.
    pub is_replica: bool,
}

impl Log {
    /// Lists a log that grows meanwhile: with every entry those that it follows.
    ///
    /// A listing may show an entry and, of two that were put while it went on, not the one before. Where numbers are dense what
    /// lacks is asked for; a set of class C is listed until it stands still up to the highest number that was seen first.
    pub fn list(place: &dyn Backend) -> Result<Self> {
        let mut log = Self::list_once(place)?;
        let end = log.end();
        if log.entries.keys().any(|(_, nonce)| nonce.is_some()) {
            for _ in 0..LISTINGS_MAX {
                let mut again = Self::list_once(place)?;
                again.entries.retain(|(number, _), _| *number <= end);
                if again.entries == log.entries {
                    break;
                }
                log = again;
            }
        }
        let chain = log.entries.keys().filter(|(_, nonce)| nonce.is_none());
        let chain_end = chain.map(|(number, _)| *number).max().unwrap_or(0);
        if chain_end != log.entries.range(..=(chain_end, None)).count() as u64 {
            log.ask_for_holes(place, chain_end)?;
        }
        Ok(log)
    }

    fn list_once(place: &dyn Backend) -> Result<Self> {
        let mut log = Self::default();
        place.list("log", &mut |listed| {
            log.add(&listed.name, listed.len);
            Ok(())
        })?;
        Ok(log)
    }

    /// Looks for entries of a chain that a listing did not show, as far as so many can be missing at all.
    fn ask_for_holes(&mut self, place: &dyn Backend, end: u64) -> Result<()> {
        let mut before = 0;
        let shown: Vec<u64> = self.entries.keys().map(|(number, _)| *number).collect();
        for number in shown.into_iter().filter(|number| *number <= end) {
            for hole in before + 1..number {
                let Some(len) = place.size(&name::entry(hole))? else {
                    break;
                };
                self.entries.insert((hole, None), len);
            }
            before = number;
        }
        Ok(())
    }

    fn add(&mut self, object: &str, len: u64) -> bool {
        if let Some(segment) = name::parse_segment_open(object) {
            self.open.insert(segment);
            return true;
        }
        if object == name::REPLICA {
            self.is_replica = true;
            return true;
        }
        let entry = name::parse_entry(object);
        self.entries.extend(entry.map(|entry| (entry, len)));
        entry.is_some()
    }

    /// Numbers of the chain under which nothing lies, up to the last of it; a thousand at most.
    pub fn holes(&self) -> Vec<u64> {
        let chain = self.entries.keys().filter(|(_, nonce)| nonce.is_none());
        let mut next = 1;
        let holes = chain.flat_map(|(number, _)| std::mem::replace(&mut next, number + 1)..*number);
        holes.take(1000).collect()
    }

    /// Whether it takes entries: that of a home.
    pub fn is_home(&self) -> bool {
        self.open.contains(&(self.end() / name::SEGMENT_ENTRIES))
    }

    /// The highest number; 0 if there is no entry.
    pub fn end(&self) -> u64 {
        self.entries
            .keys()
            .next_back()
            .map_or(0, |(number, _)| *number)
    }
}

/// The name of an entry's file.
pub fn name_of((number, nonce): &EntryName) -> String {
    match nonce {
        Some(nonce) => name::entry_of(*number, nonce),
        None => name::entry(*number),
    }
}

/// Everything in a place but its log.
#[derive(Debug, Default)]
pub struct Objects {
    /// What is named by its hash, with lengths.
    pub named: HashMap<ObjectRef, u64>,
    /// Checkpoints by name, with lengths.
    pub checkpoints: BTreeMap<String, u64>,
    /// Whether there is a `config`.
    pub config: bool,
    /// Something that is not of a repository.
    pub stranger: Option<String>,
}

impl Objects {
    /// Lists a place once, its log too.
    pub fn list_all(place: &dyn Backend) -> Result<(Self, Log)> {
        let (mut objects, mut log) = (Self::default(), Log::default());
        place.list("", &mut |listed| {
            if !log.add(&listed.name, listed.len) {
                objects.add(listed.name, listed.len);
            }
            Ok(())
        })?;
        Ok((objects, log))
    }

    fn add(&mut self, object: String, len: u64) {
        if let Some((kind, id)) = ObjectKind::parse(&object) {
            self.named.insert(ObjectRef { kind, id }, len);
        } else if object.starts_with(CHECKPOINTS) && name::parse_numbered(&object).is_some() {
            self.checkpoints.insert(object, len);
        } else if object == CONFIG {
            self.config = true;
        } else if name::parse_announcement(&object).is_none() && !object.starts_with("race-") {
            self.stranger.get_or_insert(object);
        }
    }

    /// Looks also for what no listing of objects shows.
    pub fn look_for_strangers(&mut self, place: &dyn Backend) -> Result<()> {
        let stranger = &mut self.stranger;
        place.list_strangers(&mut |path| {
            if path != OF_FILE_SYSTEMS {
                stranger.get_or_insert(path.to_owned());
            }
        })
    }
}

/// The name of an object.
pub fn object_name(object: &ObjectRef) -> String {
    object.kind.name(&object.id)
}
