//! What `history` says to programs.

use super::ShownNode;
use serde::Serialize;

/// Something that happened to a path.
#[derive(Serialize)]
pub struct Moment {
    pub message_type: &'static str,
    pub host: String,
    /// `appeared`, `changed` or `disappeared`.
    pub event: &'static str,
    pub path: String,
    /// The first snapshot that shows it.
    pub snapshot: String,
    pub time: String,
    /// The last one before something else happened.
    pub last_snapshot: String,
    pub last_time: String,
    /// How many show it.
    pub snapshots: usize,
    /// In what it changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<&'static str>,
    /// By how many bytes a file, or what was one, is longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_difference: Option<i64>,
    /// What it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<ShownNode>,
}

/// The end.
#[derive(Serialize)]
pub struct HistorySummary {
    pub message_type: &'static str,
    pub path: String,
    pub versions: usize,
    pub snapshots: usize,
}
