//! What `repair` and `recover` write. restic writes no JSON there.

use serde::Serialize;

/// `repair index`.
#[derive(Serialize)]
pub struct RepairIndexSummary {
    pub message_type: &'static str,
    pub dry_run: bool,
    pub tables_read: u64,
    pub tables_lost: Vec<String>,
    pub tables_dropped: u64,
    pub tables_added: u64,
    pub packs_added: u64,
    pub packs_missing: Vec<String>,
    pub packs_damaged: Vec<String>,
    pub held_back: bool,
    pub bytes_read: u64,
}

/// `repair packs`: one pack.
#[derive(Serialize)]
pub struct RepairedPack {
    pub message_type: &'static str,
    pub dry_run: bool,
    pub id: String,
    pub whole: bool,
    pub deleted: bool,
    pub blobs_saved: u64,
    pub bytes_saved: u64,
    pub blobs_lost: u64,
}

/// `repair log`.
#[derive(Serialize)]
pub struct RepairLogSummary {
    pub message_type: &'static str,
    pub dry_run: bool,
    pub entries_written: Vec<u64>,
    pub marks_written: Vec<String>,
    pub checkpoints_removed: Vec<String>,
    pub entries_lost: Vec<u64>,
    pub tables_published: Vec<String>,
    pub snapshots_committed: Vec<String>,
    pub snapshots_left: Vec<String>,
}

/// `recover`.
#[derive(Serialize)]
pub struct RecoverSummary {
    pub message_type: &'static str,
    pub dry_run: bool,
    pub snapshot_id: Option<String>,
    pub roots: u64,
    pub files: u64,
    pub items_lost: u64,
    pub paths_lost: Vec<String>,
    pub unreadable_snapshots: Vec<String>,
}
