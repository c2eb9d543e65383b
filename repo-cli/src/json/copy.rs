//! What `copy` writes.

use repo_core::id::SnapshotId;
use repo_core::ops::Became;
use serde::Serialize;

/// `copy`: what became of a snapshot. Its copy is null in a dry run, and if something of it is lost.
#[derive(Serialize)]
pub struct CopiedSnapshot {
    pub message_type: &'static str,
    pub action: &'static str,
    pub snapshot_id: String,
    pub copy_id: Option<String>,
}

impl CopiedSnapshot {
    /// Of that one.
    pub fn new(id: &SnapshotId, became: Became) -> Self {
        let (action, copy) = match became {
            Became::Copied(copy) => ("copied", Some(copy)),
            Became::ToCopy => ("to_copy", None),
            Became::There(copy) => ("skipped", Some(copy)),
            Became::Incomplete(_) => ("incomplete", None),
        };
        Self {
            message_type: "snapshot",
            action,
            snapshot_id: id.to_hex(),
            copy_id: copy.map(|id| id.to_hex()),
        }
    }
}

/// How many there were, and what was new in the target.
#[derive(Serialize)]
pub struct CopySummary {
    pub message_type: &'static str,
    pub dry_run: bool,
    pub snapshots_copied: u64,
    pub snapshots_skipped: u64,
    pub snapshots_incomplete: u64,
    pub data_blobs: u64,
    pub tree_blobs: u64,
    pub data_added: u64,
    pub data_added_packed: u64,
}
