//! Class C: who is waited for before anything is deleted, and how the dead are fenced.
//!
//! A place of class C cannot order two appends, so a deletion goes by nobody who is at work. Every process announces itself
//! under `writers/` *before* it folds. After a `Condemn` is visible the processes are listed and a `Waiting` entry names
//! them; who announces itself later folds later, and what is condemned is not there for it.

use super::mutant::{Rule, off};
use super::state::State;
use crate::backend::Class;
use crate::format::checkpoint::WaitingRow;
use crate::format::entry::{Fenced, Nonce};
use crate::id::{EntryHash, PackId, SnapshotId};
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// An announced process as a listing shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Its nonce.
    pub nonce: Nonce,
    /// Whether its announcement is older than the grace, by the backend's clock.
    pub expired: bool,
    /// Whether it condemns and deletes.
    pub deletes: bool,
}

/// Who stands in the way of a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blockers {
    /// These are at work. End, say so, and let the next prune go on.
    pub at_work: Vec<Nonce>,
    /// These are taken for dead: append a `Fence` of them ([`State::fenced_now`]), and fold again.
    pub dead: Vec<Nonce>,
}

impl Blockers {
    /// Whether nobody is in the way.
    pub fn none(&self) -> bool {
        self.at_work.is_empty() && self.dead.is_empty()
    }
}

/// Who stands in the way of deleting what was condemned by the entries that these rows wait for.
///
/// `announced` was listed after the process `me` had announced itself; fold again after it and before planning the
/// deletion. Besides the processes that a row names, every other process that deletes must be gone.
pub fn deletion_blockers<'a>(
    state: &State,
    rows: impl IntoIterator<Item = &'a WaitingRow>,
    announced: &[Announced],
    me: &Nonce,
) -> Blockers {
    let mut blockers = Blockers::default();
    if off(Rule::Wait) {
        return blockers;
    }
    let named: BTreeSet<&Nonce> = rows.into_iter().flat_map(|row| &row.nonces).collect();
    for process in announced {
        let deletes = process.deletes && !off(Rule::OneDeletes);
        let matters = deletes || named.contains(&process.nonce);
        if process.nonce == *me || !matters || state.is_fenced(&process.nonce) {
            continue;
        }
        match process.expired {
            true if off(Rule::Fence) => {}
            true => blockers.dead.push(process.nonce),
            false => blockers.at_work.push(process.nonce),
        }
    }
    blockers
}

/// The packs that the entries condemned which these rows wait for.
pub fn condemned_of(state: &State, rows: &[&WaitingRow]) -> BTreeSet<PackId> {
    let of_rows = |hash: &EntryHash| rows.iter().any(|row| row.condemn == *hash);
    let packs = state.condemned().filter(|(_, by)| of_rows(&by.hash));
    packs.map(|(pack, _)| *pack).collect()
}

/// The snapshots whose blobs a deletion must spare at that time: those that are kept, and on class C those that were forgotten only after the
/// processes were listed, because a backup that began since may have taken subtrees from them unseen.
pub fn snapshots_to_spare(state: &State, rows: &[&WaitingRow], now: Timestamp) -> Vec<SnapshotId> {
    let kept = state.kept_snapshots(now).map(|(id, _)| *id);
    let long_forgotten = |id: &SnapshotId| rows.iter().all(|row| row.forgotten.contains(id));
    let since = state.forgotten_snapshots().map(|(id, _)| *id).filter(|id| {
        state.class() == Class::C && !long_forgotten(id) && !off(Rule::ForgottenSince)
    });
    kept.chain(since).collect()
}

impl State {
    /// Class C: whether a process was fenced. It must begin again under a new nonce.
    pub fn is_fenced(&self, nonce: &Nonce) -> bool {
        self.fences.contains_key(nonce)
    }

    /// What a `Fence` of these processes says: which of their entries this fold holds. Processes that are fenced already are
    /// left out.
    pub fn fenced_now(&self, nonces: &[Nonce]) -> Vec<Fenced> {
        let new = nonces.iter().filter(|nonce| !self.is_fenced(nonce));
        new.map(|nonce| self.seen_of(nonce)).collect()
    }

    /// What a `Deleting` of the process `me` says of all fenced processes.
    pub fn cut_off_now(&self, me: &Nonce) -> Vec<Fenced> {
        let others = self.fences.keys().filter(|nonce| *nonce != me);
        others.map(|nonce| self.seen_of(nonce)).collect()
    }

    fn seen_of(&self, nonce: &Nonce) -> Fenced {
        let theirs = self
            .entries
            .values()
            .filter(|row| row.process == Some(*nonce));
        Fenced {
            nonce: *nonce,
            seen: theirs.map(|row| row.hash).collect(),
        }
    }
}
