//! A mirror without a key: list the log, list and copy packs, look again, put entries, delete. It may stop after any step.

use super::backup::Site;
use super::search::Step;
use super::world::{Bits, Log, Pack, World, numbers};
use crate::format::entry::{Action, SignedEntry};
use crate::format::name::ObjectKind;
use crate::log::mutant::{Rule, off};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
enum At {
    #[default]
    Begin,
    Goal,
    Copying,
    Putting,
    Deleting,
    Done,
}

/// What lies in the replica, and how far its sync is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mirror {
    at: At,
    /// The log there; nothing is a repository yet while it is empty.
    log: Log,
    packs: Bits,
    goal: Log,
    listed: Bits,
    /// Packs to copy, then to delete.
    left: Bits,
    /// Something listed was gone.
    gone: bool,
    /// What the source has lost: it cannot be copied.
    lost: Bits,
    /// The blobs that must stay readable: those of the beginning, once something was lost.
    kept: Bits,
}

impl Mirror {
    /// One that follows from the beginning, or of which nothing is there yet.
    pub fn new(world: &World, site: &Site, is_new: bool) -> Self {
        match is_new {
            true => Self::default(),
            false => Self {
                log: site.log,
                packs: site.packs,
                kept: world.at(site.log).needed,
                ..Self::default()
            },
        }
    }

    /// Whether its sync has ended.
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// The log of the replica.
    pub fn log(&self) -> Log {
        self.log
    }

    /// What becomes of it when the source loses a pack that it has not yet, once at most.
    pub fn losses(self, site: &Site) -> impl Iterator<Item = (u8, Self)> {
        let may = if self.lost == 0 { !self.packs } else { 0 };
        numbers(site.packs & may).map(move |no| {
            let lost = 1 << no;
            (no, Self { lost, ..self })
        })
    }

    /// Whether a blob does not decode that the replica's log promises. What came since the source has lost something may be lost; not what
    /// the replica could read, and was promised still when something was deleted.
    pub fn lacks(&self, world: &World) -> bool {
        let mut blobs = Bits::MAX;
        if self.lost != 0 {
            let deletes = |log: &Log| world.last_of(*log).is_some_and(|e| !named_by(e).is_empty());
            let newest = world.line(0, self.log).into_iter().rfind(deletes);
            let promised = newest.map(|log| world.at(log).promised());
            blobs = self.kept & promised.unwrap_or(Bits::MAX);
        }
        world.at(self.log).lost_among(blobs, self.packs)
    }

    /// One step, if there is one to take.
    pub fn step(&mut self, world: &World, site: &Site) -> Option<Step> {
        let site = &Site {
            packs: site.packs & !self.lost,
            ..*site
        };
        let what = match self.at {
            At::Begin => {
                (self.goal, self.listed) = (site.log, site.packs);
                self.at = At::Goal;
                "list-log"
            }
            At::Goal => {
                match off(Rule::MirrorLogFirst) {
                    true => self.goal = site.log,
                    false => self.listed = site.packs,
                }
                (self.left, self.gone) = (self.listed & !self.packs, false);
                self.at = At::Copying;
                "list"
            }
            At::Copying => self.copy(world, site),
            At::Putting => self.put(world),
            At::Deleting => self.delete(site),
            At::Done => return None,
        };
        Some(Step {
            who: ('m', 0),
            what,
        })
    }

    fn copy(&mut self, world: &World, site: &Site) -> &'static str {
        if let Some(no) = numbers(self.left).next()
            && !off(Rule::MirrorObjectsFirst)
        {
            self.left &= !(1 << no);
            self.packs |= site.packs & 1 << no;
            self.gone |= site.packs >> no & 1 == 0;
            return "copy";
        }
        let deletes = |entry: &SignedEntry| !named_by(entry).is_empty();
        let pruned = world.between(self.goal, site.log).iter().any(deletes);
        if (self.gone || pruned) && !off(Rule::MirrorLooksAgain) {
            self.at = At::Begin;
            return "begin-anew";
        }
        self.at = At::Putting;
        "look-again"
    }

    /// A new replica gets its `config` last, another one the newest entry that deletes before those in front of it.
    fn put(&mut self, world: &World) -> &'static str {
        if self.log == 0 {
            self.log = self.goal;
        }
        if self.lacks_rests(world, self.log) && !off(Rule::MirrorWaits) {
            self.at = At::Done;
            return "wait";
        }
        let line = world.line(self.log, self.goal);
        let deletes = |log: &Log| world.last_of(*log).is_some_and(|e| !named_by(e).is_empty());
        let newest = line.iter().rposition(deletes).unwrap_or(0);
        let next = match off(Rule::MirrorNoStopBetween) {
            true => 0,
            false => newest,
        };
        match line.get(next) {
            Some(log) => {
                self.log = *log;
                "PUT"
            }
            None => {
                self.left = self.deletes(world);
                self.at = At::Deleting;
                "put-all"
            }
        }
    }

    /// Whether something is not there that deletions behind that log rest on: packs that came into force since the one before.
    fn lacks_rests(&self, world: &World, since: Log) -> bool {
        let new = world.line(since, self.goal);
        let (mut rests, mut before) = (0, 0);
        for log in world.line(0, self.goal) {
            if world.last_of(log).is_none_or(|e| named_by(e).is_empty()) {
                continue;
            }
            let packs = world.at(log).readable.iter();
            let in_force = packs.fold(0, |bits: Bits, pack| bits | 1 << pack.no);
            if new.contains(&log) {
                rests |= in_force & !before;
            }
            before = in_force;
        }
        rests & !self.packs & !self.named(world) != 0
    }

    /// What an entry names, whether it counts or not.
    fn named(&self, world: &World) -> Bits {
        let entries = world.between(0, self.goal);
        let named = entries.iter().flat_map(named_by);
        named.fold(0, |bits: Bits, no| bits | 1 << no)
    }

    /// What of that the source has no more, if all that deletions rest on is there.
    fn deletes(&self, world: &World) -> Bits {
        let named = self.named(world);
        if self.lacks_rests(world, 0) {
            return 0;
        }
        match off(Rule::MirrorAbsent) {
            true => self.packs & named,
            false => self.packs & named & !self.listed,
        }
    }

    fn delete(&mut self, site: &Site) -> &'static str {
        let Some(no) = numbers(self.left).next() else {
            *self = Self {
                at: At::Done,
                log: self.log,
                packs: self.packs,
                lost: self.lost,
                kept: self.kept,
                ..Self::default()
            };
            return "done";
        };
        self.left &= !(1 << no);
        if site.packs >> no & 1 == 0 || off(Rule::MirrorAbsent) {
            self.packs &= !(1 << no);
        }
        "rm"
    }

    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.at as u8);
        bytes.push(u8::from(self.gone));
        bytes.extend_from_slice(&self.log.to_le_bytes());
        bytes.extend_from_slice(&self.goal.to_le_bytes());
        for bits in [self.packs, self.listed, self.left, self.lost] {
            bytes.extend_from_slice(&bits.to_le_bytes());
        }
    }
}

/// The numbers of the packs that an entry says are deleted.
fn named_by(entry: &SignedEntry) -> Vec<u8> {
    let Some(Action::Deleting { objects, .. }) = &entry.entry.action else {
        return Vec::new();
    };
    let packs = objects.iter().filter(|o| o.kind == ObjectKind::Data);
    packs.map(|object| Pack::of(&object.id).no).collect()
}
