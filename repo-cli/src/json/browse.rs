//! What looking into snapshots says to programs.

use super::ShownNode;
use repo_core::ops::OneSide;
use serde::Serialize;

/// `dump --target`: what was written.
#[derive(Serialize)]
pub struct DumpSummary<'a> {
    pub message_type: &'static str,
    pub target: &'a str,
    pub total_files: u64,
    pub total_bytes: u64,
    pub left_out: u64,
}

/// `diff`: what became of one path.
#[derive(Serialize)]
pub struct Change<'a> {
    pub message_type: &'static str,
    pub path: &'a str,
    pub modifier: &'static str,
}

/// `diff`: the end. Beside the disk `target_snapshot` is empty.
#[derive(Serialize)]
pub struct DiffStatistics<'a> {
    pub message_type: &'static str,
    pub source_snapshot: &'a str,
    pub target_snapshot: &'a str,
    pub changed_files: u64,
    pub added: DiffSide,
    pub removed: DiffSide,
}

/// What is on one side only.
#[derive(Serialize)]
pub struct DiffSide {
    pub files: u64,
    pub dirs: u64,
    pub others: u64,
    pub data_blobs: u64,
    pub tree_blobs: u64,
    pub bytes: u64,
}

impl From<&OneSide> for DiffSide {
    fn from(side: &OneSide) -> Self {
        Self {
            files: side.files,
            dirs: side.dirs,
            others: side.others,
            data_blobs: side.data_blobs,
            tree_blobs: side.tree_blobs,
            bytes: side.bytes,
        }
    }
}

/// `diff --content`: what differs in a file. Bytes that are no UTF-8 are replaced.
#[derive(Serialize)]
pub struct ContentDiff<'a> {
    pub message_type: &'static str,
    pub path: &'a str,
    pub same: bool,
    pub binary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<&'a str>,
}

/// `find`: what was found in one snapshot, and in none later.
#[derive(Serialize)]
pub struct Matches {
    pub matches: Vec<Match>,
    pub hits: usize,
    pub snapshot: String,
}

/// A version of what was found.
#[derive(Serialize)]
pub struct Match {
    #[serde(flatten)]
    pub node: ShownNode,
    /// The first snapshot that has it.
    pub first_snapshot: String,
    pub first_time: String,
    /// How many have it.
    pub snapshots: usize,
}

/// `find --blob`, `--tree`, `--pack`: what needs one of them.
#[derive(Serialize)]
pub struct FoundObject {
    pub object_type: &'static str,
    pub id: String,
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_tree: Option<String>,
    pub snapshot: String,
    pub time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack: Option<String>,
    pub first_snapshot: String,
    pub first_time: String,
    pub snapshots: usize,
}
