//! What `stats --by` says to programs.

use serde::Serialize;

/// The parts of what is stored.
#[derive(Serialize)]
pub struct StatsByPart {
    pub parts: Vec<StatsPart>,
    pub total: StatsShare,
    pub error_count: u64,
}

/// One part.
#[derive(Serialize)]
pub struct StatsPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    #[serde(flatten)]
    pub share: StatsShare,
}

/// What was counted of it.
#[derive(Serialize)]
pub struct StatsShare {
    pub files: u64,
    pub size: u64,
    /// What no part before it had.
    pub new_size: u64,
    pub stored_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplication_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_ratio: Option<f64>,
}
