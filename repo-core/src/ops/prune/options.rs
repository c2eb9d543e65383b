//! How a prune is asked for, and what it tells.

use crate::error::{Error, Result};
use crate::id::SnapshotId;
use std::time::Duration;

/// How much may stay that nobody needs, because freeing it costs more than it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxUnused {
    /// Of what is stored afterwards, in percent: 0 to 100.
    Percent(f64),
    /// Bytes.
    Bytes(u64),
    /// No pack is rewritten; those that hold nothing needed go.
    Unlimited,
}

/// How a prune is done.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// What may stay unused.
    pub max_unused: MaxUnused,
    /// Packs are rewritten while they have no more bytes than this together.
    pub max_repack_bytes: Option<u64>,
    /// Rewrite packs of less than four fifths of the usual size too, if there are several.
    pub repack_small: bool,
    /// The same with this many bytes for a limit.
    pub repack_smaller_than: Option<u64>,
    /// Rewrite packs that hold blocks stored as they are, and try to compress those.
    pub repack_uncompressed: bool,
    /// Rewrite packs of trees only.
    pub trees_only: bool,
    /// How long what is condemned stays before it is deleted. Zero is safe.
    pub grace: Duration,
    /// Objects that no entry names are left alone until they are so old, by the backend's clock.
    pub stray_age: Duration,
    /// Plan only.
    pub dry_run: bool,
    /// In a dry run: as if these were forgotten.
    pub without: Vec<SnapshotId>,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            max_unused: MaxUnused::Percent(5.0),
            max_repack_bytes: None,
            repack_small: false,
            repack_smaller_than: None,
            repack_uncompressed: false,
            trees_only: false,
            grace: Duration::from_secs(7 * 24 * 3600),
            stray_age: Duration::from_secs(48 * 3600),
            dry_run: false,
            without: Vec::new(),
        }
    }
}

impl PruneOptions {
    pub(super) fn check(&self) -> Result<()> {
        if !self.dry_run && !self.without.is_empty() {
            return Err(Error::invalid("prune").detail("only a dry run can leave snapshots out"));
        }
        match self.max_unused {
            MaxUnused::Percent(percent) if !(0.0..=100.0).contains(&percent) => {
                Err(Error::invalid("max unused").detail("must lie between 0% and 100%"))
            }
            _ => Ok(()),
        }
    }
}

/// What a prune is going to do. Bytes are as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunePlan {
    /// Snapshots whose content is kept.
    pub snapshots: u64,
    /// Forgotten snapshots whose objects go.
    pub snapshots_to_go: u64,
    /// Snapshots that no entry commits, old enough to go: what runs left that were stopped at their very end.
    pub uncommitted: Vec<SnapshotId>,
    /// Snapshots that no entry commits and that stay, because an entry was lost that may have committed them.
    pub uncommitted_kept: Vec<SnapshotId>,
    /// Live packs that a table names, and their bytes.
    pub packs: Sum,
    /// What live packs hold for snapshots.
    pub used_bytes: u64,
    /// What blocks of live packs hold for none.
    pub unused_bytes: u64,
    /// Packs of which nothing is needed, or which are lost or cut off and others hold it: with the bytes that are there.
    pub to_condemn: Sum,
    /// Packs of which something is needed, that is written anew.
    pub to_rewrite: Sum,
    /// About how much of those is kept.
    pub rewritten_bytes: u64,
    /// About what the packs take that are written for that, with their directories and padding.
    pub writes_bytes: u64,
    /// What stays unused afterwards.
    pub left_unused_bytes: u64,
    /// Packs that no table names.
    pub strays: Sum,
    /// Condemned or named as deleted by earlier prunes, and removed by this one.
    pub to_delete: Sum,
    /// Condemned by earlier prunes, and not for long enough.
    pub waiting: Sum,
    /// Condemned before, and needed all the same: taken back after the grace if they are whole; if not, nothing is deleted then.
    pub needed_again: Sum,
    /// What this run deletes, as far as it can tell. What it writes is not taken off: [`net_now`](Self::net_now) does that.
    pub frees_now_bytes: u64,
    /// What a prune after the grace deletes.
    pub frees_later_bytes: u64,
    /// Forgotten snapshots that this run deletes, as far as it can tell: they cannot be had again.
    pub snapshots_lost: Vec<SnapshotId>,
    /// Requests to the backend that writing and deleting takes, about.
    pub requests: u64,
}

impl PrunePlan {
    /// By how many bytes of packs the repository shrinks by this run; negative if it grows.
    pub fn net_now(&self) -> i64 {
        net(self.frees_now_bytes, self.writes_bytes)
    }

    /// The same by this run and a prune after the grace together.
    pub fn net_later(&self) -> i64 {
        let freed = self.frees_now_bytes.saturating_add(self.frees_later_bytes);
        net(freed, self.writes_bytes)
    }
}

/// What is left of so many bytes freed if so many are written.
fn net(freed: u64, written: u64) -> i64 {
    let signed = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
    signed(freed) - signed(written)
}

/// How many, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Sum {
    /// One more.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What a prune did.
#[derive(Debug, Clone, Default)]
pub struct PruneSummary {
    /// What it planned.
    pub plan: PrunePlan,
    /// Packs written, and their bytes.
    pub written: Sum,
    /// Packs condemned, and their bytes.
    pub condemned: Sum,
    /// Packs removed from the backend, and their bytes.
    pub deleted: Sum,
    /// Packs that the backend did not let go, and their bytes; named in `refused` too.
    pub kept_by_place: Sum,
    /// Forgotten snapshots that cannot be had again from now on.
    pub snapshots_lost: Vec<SnapshotId>,
    /// Packs that were condemned and are needed after all.
    pub reprieved: u64,
    /// Index tables that others replaced.
    pub tables_replaced: u64,
    /// Objects removed from the backend.
    pub objects_removed: u64,
    /// Objects that the backend did not let go, the first with the reason: they go with a later prune.
    pub refused: Vec<(String, String)>,
    /// Class C: processes at work that a deletion waits for. The next prune goes on.
    pub waits_for: u64,
}

impl PruneSummary {
    /// By how many bytes of packs the repository has shrunk; negative if it has grown.
    pub fn net(&self) -> i64 {
        net(self.deleted.bytes, self.written.bytes)
    }

    /// Whether anything was done, or tried.
    pub fn did_anything(&self) -> bool {
        let sums = [
            self.written,
            self.condemned,
            self.deleted,
            self.kept_by_place,
        ];
        let others = [
            self.reprieved,
            self.tables_replaced,
            self.objects_removed,
            self.refused.len() as u64,
        ];
        sums.iter().any(|sum| sum.count > 0) || others.iter().any(|count| *count > 0)
    }

    /// Notes what the backend did not let go, and why in words that do not name it again.
    pub(super) fn refuse(&mut self, name: String, error: &Error) {
        let (why, subject) = (error.to_string(), format!("{}: ", error.subject()));
        let why = why.strip_prefix(&subject).unwrap_or(&why).to_owned();
        self.refused.push((name, why));
    }

    /// Adds what an earlier pass did; the plan stays that of the last one.
    pub(super) fn take_in(&mut self, earlier: Self) {
        for (sum, more) in [
            (&mut self.written, earlier.written),
            (&mut self.condemned, earlier.condemned),
            (&mut self.deleted, earlier.deleted),
            (&mut self.kept_by_place, earlier.kept_by_place),
        ] {
            sum.count += more.count;
            sum.bytes += more.bytes;
        }
        self.reprieved += earlier.reprieved;
        self.tables_replaced += earlier.tables_replaced;
        self.objects_removed += earlier.objects_removed;
        self.snapshots_lost.extend(earlier.snapshots_lost);
    }
}
