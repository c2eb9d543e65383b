//! Which times a snapshot may claim: what the log's order and the backend's own times bear out.
//!
//! A snapshot's time is what its writer says. Whoever can write could claim times that push real snapshots out of every
//! day, week and month that a policy keeps (restic #22057). What cannot be forged after the fact is the order of the log,
//! and what a writer cannot forge at all is when the backend stored the entry.

use crate::time::Timestamp;
use std::collections::BTreeMap;

/// A snapshot may claim to be so many seconds later than it was stored: clocks differ.
pub const AHEAD_S: i64 = 3600;

/// A snapshot may claim to have been begun so many seconds before it was stored, its duration aside.
pub const BEHIND_S: i64 = 6 * 3600;

/// What a snapshot says of its duration counts up to so many seconds: it is as easily forged as its time.
pub const DURATION_S_MAX: i64 = 3 * 86_400;

/// How a claimed time compares with what the log and the backend say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Claim {
    /// They bear it out.
    #[default]
    Plausible,
    /// It lies before: the snapshot was backdated, or its writer's clock was slow.
    Early,
    /// It lies behind, or in the future.
    Late,
}

/// One commit as the log's fold knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The entry's number.
    pub number: u64,
    /// Its time, by the writer's clock.
    pub time: Timestamp,
}

/// When entries of a number were stored, by the backend's clock: the first of them and the last.
pub type Stored = BTreeMap<u64, (Timestamp, Timestamp)>;

/// Between which points in time entries were stored.
pub struct Times {
    /// By number: no earlier, and no later.
    bounds: BTreeMap<u64, (Timestamp, Timestamp)>,
    stored: Stored,
    now: Timestamp,
}

impl Times {
    /// Bounds for these commits, in whatever order they come.
    ///
    /// An entry was stored before every later one, so no later than the backend stored any of those. It was stored after
    /// every earlier one, and those not before the times that they give, as far as these can be true. Memory: 60 bytes a
    /// commit.
    pub fn new(commits: impl IntoIterator<Item = Commit>, stored: Stored, now: Timestamp) -> Self {
        // Of several entries of one number, which are concurrent, the earliest time says least.
        let mut times: BTreeMap<u64, Timestamp> = BTreeMap::new();
        for commit in commits {
            let time = times.entry(commit.number).or_insert(commit.time);
            *time = commit.time.min(*time);
        }
        let mut latest = now;
        let mut bounds: BTreeMap<u64, (Timestamp, Timestamp)> = BTreeMap::new();
        let mut later = stored.iter().rev().peekable();
        for (number, time) in times.iter().rev() {
            while let Some((_, (_, last))) = later.next_if(|(stored, _)| *stored >= number) {
                latest = latest.min(*last);
            }
            bounds.insert(*number, (*time, latest));
        }
        let mut earliest = Timestamp::new(i64::MIN, 0);
        for (time, latest) in bounds.values_mut() {
            earliest = earliest.max((*time).min(*latest));
            *time = earliest;
        }
        Self {
            bounds,
            stored,
            now,
        }
    }

    /// Judges the time that a snapshot claims, which took `duration_ms` and was committed by this entry.
    pub fn judge(&self, commit: &Commit, claimed: Timestamp, duration_ms: u64) -> Claim {
        let (_, latest) = self.bounds(commit);
        let latest = latest.min(commit.time);
        if claimed > later(latest, AHEAD_S) || claimed > self.now {
            return Claim::Late;
        }
        let earliest = self.earliest(commit, claimed);
        let duration = i64::try_from(duration_ms / 1000).unwrap_or(i64::MAX);
        match later(claimed, BEHIND_S + duration.min(DURATION_S_MAX)) < earliest {
            true => Claim::Early,
            false => Claim::Plausible,
        }
    }

    /// When a snapshot was made that claims that time, as far as it is borne out: no earlier than what stood in the log then.
    pub fn made(&self, commit: &Commit, claimed: Timestamp) -> Timestamp {
        claimed.max(self.earliest(commit, claimed))
    }

    fn bounds(&self, commit: &Commit) -> (Timestamp, Timestamp) {
        let bounds = self.bounds.get(&commit.number).copied();
        bounds.unwrap_or_else(|| (commit.time.min(self.now), self.now))
    }

    /// No earlier than that the entry was stored that commits a snapshot which claims that time.
    fn earliest(&self, commit: &Commit, claimed: Timestamp) -> Timestamp {
        let (earliest, _) = self.bounds(commit);
        // Whoever copies a repository stores its entries anew. What is claimed to be from before that cannot be told by the
        // backend's times.
        let began = self.stored.values().next().map(|(first, _)| *first);
        match (began, self.stored.get(&commit.number)) {
            (Some(began), Some((first, _))) if began <= later(claimed, AHEAD_S) => {
                earliest.max(*first)
            }
            _ => earliest,
        }
    }
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::new(time.seconds.saturating_add(seconds), time.nanos)
}
