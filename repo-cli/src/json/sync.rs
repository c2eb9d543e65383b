//! What `sync` writes.

use repo_core::ops::SyncSummary as Done;
use serde::Serialize;

/// One place that was brought up.
#[derive(Serialize)]
pub struct Replica<'a> {
    pub message_type: &'static str,
    pub place: &'a str,
    pub entries: u64,
    pub entries_held_back: u64,
    pub objects: u64,
    pub bytes: u64,
    pub objects_damaged: u64,
    pub objects_deleted: u64,
    pub objects_kept: u64,
    pub objects_held_back: u64,
    pub deletions_held_back: bool,
    pub log_files_damaged: u64,
    pub keys_left_out: u64,
    pub problems: u64,
}

impl<'a> Replica<'a> {
    /// What became of the place.
    pub fn new(place: &'a str, done: &Done) -> Self {
        Self {
            message_type: "replica",
            place,
            entries: done.entries,
            entries_held_back: done.entries_held,
            objects: done.objects,
            bytes: done.bytes,
            objects_damaged: done.damaged,
            objects_deleted: done.deleted,
            objects_kept: done.kept,
            objects_held_back: done.held,
            deletions_held_back: done.held_back.is_some(),
            log_files_damaged: done.log_damaged,
            keys_left_out: done.keys_left_out,
            problems: done.problems,
        }
    }
}

/// How many places there were.
#[derive(Serialize)]
pub struct SyncSummary {
    pub message_type: &'static str,
    pub dry_run: bool,
    pub replicas: u64,
    pub replicas_failed: u64,
}
