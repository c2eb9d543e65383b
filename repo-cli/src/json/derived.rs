//! What commands write that make snapshots from others.

use repo_core::ops::Derived;
use serde::Serialize;
use std::path::PathBuf;

/// `tag`, `rewrite`, `repair snapshots`: a snapshot that another was made from. The new one is null in a dry run.
#[derive(Serialize)]
pub struct Changed {
    pub message_type: &'static str,
    pub old_snapshot_id: String,
    pub new_snapshot_id: Option<String>,
}

impl Changed {
    /// Of that one.
    pub fn new(derived: &Derived) -> Self {
        Self {
            message_type: "changed",
            old_snapshot_id: derived.old.to_hex(),
            new_snapshot_id: derived.new.map(|id| id.to_hex()),
        }
    }
}

/// How many there were.
#[derive(Serialize)]
pub struct ChangedSummary {
    pub message_type: &'static str,
    pub changed_snapshots: u64,
    pub dry_run: bool,
}

/// `repair snapshots`: the same, and what is lost.
#[derive(Serialize)]
pub struct RepairSnapshotsSummary {
    pub message_type: &'static str,
    pub changed_snapshots: u64,
    pub dry_run: bool,
    pub hopeless_snapshots: Vec<String>,
    pub items_lost: u64,
    pub paths_lost: Vec<String>,
}

/// Paths as JSON can say them.
pub fn paths(paths: &[PathBuf]) -> Vec<String> {
    let text = paths.iter().map(|path| path.to_string_lossy().into_owned());
    text.collect()
}
