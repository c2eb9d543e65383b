//! A home that hands over to a replica: its log is closed, then mirrored to its end. Who appends looks afterwards whether it was closed.

use super::mirror::Mirror;
use super::world::{Log, World};
use crate::log::mutant::{Rule, off};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
enum At {
    #[default]
    Begin,
    Mirroring,
    Promoted,
}

/// Whether the home takes entries, what was put there, and what of that was reported.
#[derive(Debug, Clone, Copy, Default)]
pub struct HandOver {
    at: At,
    is_closed: bool,
    /// The log with the commit of each backup that has not looked yet.
    put: [Log; 3],
    /// The same of those that reported it.
    reported: [Log; 3],
}

impl HandOver {
    /// Whether the replica is brought up.
    pub fn mirrors(&self) -> bool {
        self.at == At::Mirroring
    }

    /// A backup put its commit, and has to look.
    pub fn was_put(&mut self, who: usize, log: Log) {
        self.put[who] = log;
    }

    /// A backup that put its commit looks whether the log was closed.
    pub fn look(&mut self, who: usize) -> Option<&'static str> {
        let log = std::mem::take(&mut self.put[who]);
        if log == 0 {
            return None;
        }
        if self.is_closed && !off(Rule::HomeLooksAgain) {
            return Some("is-closed");
        }
        self.reported[who] = log;
        Some("report")
    }

    /// Closes the log, and lets it be mirrored; then the replica is the home.
    pub fn step(&mut self, mirror: &Mirror) -> Option<&'static str> {
        match self.at {
            At::Begin => {
                self.is_closed = !off(Rule::HandOverCloses);
                self.at = At::Mirroring;
                Some("close")
            }
            At::Mirroring if mirror.is_done() => {
                (self.at, self.is_closed) = (At::Promoted, true);
                Some("PROMOTE")
            }
            _ => None,
        }
    }

    /// Whether a commit was reported that the new home has not.
    pub fn lacks(&self, world: &World, mirror: &Mirror) -> bool {
        if self.at != At::Promoted {
            return false;
        }
        let line = world.line(0, mirror.log());
        let reported = self.reported.iter();
        reported
            .filter(|log| **log != 0)
            .any(|log| !line.contains(log))
    }

    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&[self.at as u8, u8::from(self.is_closed)]);
        for log in self.put.iter().chain(&self.reported) {
            bytes.extend_from_slice(&log.to_le_bytes());
        }
    }
}
