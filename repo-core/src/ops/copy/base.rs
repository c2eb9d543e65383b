//! What the target has of the source: which snapshots were copied before, and beside which of them another one is copied.

use crate::format::snapshot::{Copied, Summary};
use crate::id::{BlobId, RepositoryId, SnapshotId};
use crate::log::Removals;
use crate::ops::backup::may_lack;
use crate::repo::Repo;
use crate::snapshot::{Filter, SnapshotInfo, list};
use crate::time::Timestamp;
use std::collections::HashMap;

/// Which copy lends what another one has in common with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lender {
    /// A snapshot of the target.
    There(SnapshotId),
    /// One that is to be committed first, by its number in this session.
    Earlier(usize),
}

/// A snapshot of the source, and its copy.
struct Copy {
    of: SnapshotId,
    host: String,
    paths: Vec<Vec<u8>>,
    time: Timestamp,
    /// The roots there and here.
    roots: [BlobId; 2],
    lender: Lender,
    /// All of it is stored still, as far as is known.
    whole: bool,
}

/// A copy that another snapshot is compared with.
pub struct Base {
    /// The root in the source, and in the target.
    pub roots: [BlobId; 2],
    /// Who lends what both have.
    pub lender: Lender,
    /// Whether all of it is stored still, as far as is known.
    pub whole: bool,
}

/// The snapshots of the target. Memory: a summary for each.
pub struct There {
    source: RepositoryId,
    live: Vec<SnapshotInfo>,
    /// By the snapshot of the source.
    copies: HashMap<SnapshotId, SnapshotId>,
    usable: Vec<Copy>,
    /// On that fold.
    pub removals: Removals,
}

impl There {
    /// As the target's fold shows them.
    pub fn of(to: &Repo, source: RepositoryId) -> Self {
        let live = list(to, &Filter::default()).snapshots;
        let mut there = Self {
            source,
            live: Vec::new(),
            copies: HashMap::new(),
            usable: Vec::new(),
            removals: to.state().removals(),
        };
        for info in &live {
            let Some(copied) = there.copied(&info.summary) else {
                continue;
            };
            there.copies.insert(copied.snapshot, info.id);
            if let Some(root) = copied.root {
                there.usable.push(Copy {
                    of: copied.snapshot,
                    host: info.summary.host.clone(),
                    paths: info.summary.paths.clone(),
                    time: info.summary.time,
                    roots: [root, info.summary.root],
                    lender: Lender::There(info.id),
                    whole: !may_lack(to, &there.removals, Some(info)),
                });
            }
        }
        there.live = live;
        there
    }

    fn copied(&self, summary: &Summary) -> Option<Copied> {
        let copied = summary.copied();
        copied.filter(|copied| copied.repository == self.source)
    }

    /// The copy of that snapshot of the source, if there is one: it says so itself, whatever was changed in it since; or it came by way of
    /// a third repository and all words are the same.
    pub fn find(&self, info: &SnapshotInfo) -> Option<SnapshotId> {
        let direct = self.copies.get(&info.id).copied();
        let by_way = || {
            let mut others = self.live.iter();
            let both = |other: &&SnapshotInfo| {
                let of_third = self.copied(&other.summary).is_none();
                let copied = info.summary.copied().or(other.summary.copied());
                of_third && copied.is_some() && same_words(&info.summary, &other.summary)
            };
            others.find(both).map(|other| other.id)
        };
        direct.or_else(by_way)
    }

    /// The copy of a snapshot, by its id in the source.
    pub fn copy_of(&self, id: &SnapshotId) -> Option<SnapshotId> {
        self.copies.get(id).copied()
    }

    /// The copy that has most in common with a snapshot: of its parent, else of what was backed up there by the same host, the same paths
    /// first, the newest first.
    pub fn base(&self, info: &SnapshotInfo) -> Option<Base> {
        let summary = &info.summary;
        let likeness = |copy: &&Copy| {
            let parent = summary.parent == Some(copy.of);
            (parent, copy.paths == summary.paths, copy.time)
        };
        let fits = |copy: &&Copy| copy.host == summary.host || summary.parent == Some(copy.of);
        let best = self.usable.iter().filter(fits).max_by_key(likeness)?;
        Some(Base {
            roots: best.roots,
            lender: best.lender,
            whole: best.whole,
        })
    }

    /// From now on a snapshot that is copied in this session, and will be committed, may be a base.
    pub fn push(&mut self, info: &SnapshotInfo, root: BlobId, number: usize) {
        self.usable.push(Copy {
            of: info.id,
            host: info.summary.host.clone(),
            paths: info.summary.paths.clone(),
            time: info.summary.time,
            roots: [info.summary.root, root],
            lender: Lender::Earlier(number),
            whole: true,
        });
    }

    /// A snapshot was copied.
    pub fn committed(&mut self, of: SnapshotId, copy: SnapshotId) {
        self.copies.insert(of, copy);
    }
}

/// Whether two snapshots say the same of themselves, but for what only means something where they are.
fn same_words(one: &Summary, other: &Summary) -> bool {
    let words = |summary: &Summary| Summary {
        root: BlobId::default(),
        parent: None,
        ext: Vec::new(),
        ..summary.clone()
    };
    words(one) == words(other)
}
