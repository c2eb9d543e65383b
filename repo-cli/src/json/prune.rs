//! What `prune` writes.

use serde::Serialize;

/// `prune`: what was planned, and what was done.
#[derive(Serialize)]
pub struct PruneSummary {
    pub message_type: &'static str,
    pub dry_run: bool,
    pub snapshots: u64,
    /// Snapshots that no entry commits, and that go.
    pub snapshots_uncommitted: Vec<String>,
    /// Snapshots that no entry commits, and that stay because one was lost that may have.
    pub snapshots_uncommitted_kept: Vec<String>,
    pub packs_total: u64,
    pub bytes_total: u64,
    pub bytes_used: u64,
    pub bytes_unused: u64,
    pub packs_to_condemn: u64,
    pub bytes_to_condemn: u64,
    pub packs_to_rewrite: u64,
    pub bytes_to_rewrite: u64,
    pub bytes_kept_of_rewritten: u64,
    pub bytes_left_unused: u64,
    pub packs_stray: u64,
    pub bytes_stray: u64,
    pub packs_waiting: u64,
    pub bytes_waiting: u64,
    /// Condemned before, and needed all the same.
    pub packs_needed_again: u64,
    pub bytes_needed_again: u64,
    pub packs_to_delete: u64,
    pub bytes_to_delete: u64,
    /// What this run deletes, and what a prune after the grace does; what is written is not taken off.
    pub bytes_freed_now: u64,
    pub bytes_freed_later: u64,
    /// About what is written, and by how much the repository shrinks now, and with a prune after the grace: negative if it grows.
    pub bytes_to_write: u64,
    pub bytes_net_now: i64,
    pub bytes_net_later: i64,
    pub bytes_to_read: u64,
    pub requests: u64,
    pub packs_written: u64,
    pub bytes_written: u64,
    pub packs_condemned: u64,
    pub packs_deleted: u64,
    pub bytes_deleted: u64,
    /// Packs that the place did not let go.
    pub packs_refused: u64,
    pub bytes_refused: u64,
    /// By how much the repository has shrunk: negative if it has grown.
    pub bytes_net: i64,
    pub packs_reprieved: u64,
    pub objects_removed: u64,
    pub objects_refused: u64,
    /// Forgotten snapshots that cannot be had again from now on, or could not if this were no dry run.
    pub snapshots_lost: Vec<String>,
    pub waits_for_processes: u64,
}
