//! Snapshots (API draft).
use crate::error::Result;
use crate::format::snapshot::Summary;
use crate::id::SnapshotId;
use crate::repo::Repo;

/// Which snapshots are meant. Empty lists mean all; within a list any matches, except that a tag list needs all of its tags.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Hosts.
    pub hosts: Vec<String>,
    /// Every path given must be among the snapshot's.
    pub paths: Vec<Vec<u8>>,
    /// Any of these lists of tags, each of which needs all of its tags.
    pub tags: Vec<Vec<String>>,
}

/// A snapshot as listings show it.
#[derive(Debug, Clone)]
pub struct SnapshotInfo {
    /// Its id.
    pub id: SnapshotId,
    /// What is known of it.
    pub summary: Summary,
}

/// Snapshots that match, oldest first; opens no snapshot object.
pub fn list(_repo: &Repo, _filter: &Filter) -> Result<Vec<SnapshotInfo>> { unimplemented!() }

/// The snapshot that `name` means: `latest` (of those that match `filter`) or the beginning of an id (filter ignored).
/// `NotFound` if there is none, `InvalidInput` if several begin so.
pub fn find(_repo: &Repo, _name: &str, _filter: &Filter) -> Result<SnapshotInfo> { unimplemented!() }
