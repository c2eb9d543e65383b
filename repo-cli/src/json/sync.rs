//! What `sync` writes.

use repo_core::ops::{self, Gathered, SyncSummary as Done};
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
    pub was_home: bool,
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
            was_home: done.was_home,
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

/// What a promotion came to.
#[derive(Serialize)]
pub struct Promoted<'a> {
    pub message_type: &'static str,
    pub dry_run: bool,
    pub was_home: Option<bool>,
    pub generation: Option<u64>,
    pub entry: Option<u64>,
    pub entries_brought: u64,
    pub homes_before: &'a [String],
}

impl<'a> Promoted<'a> {
    /// What was brought, and what the place is by now; nothing in a dry run.
    pub fn new(gathered: &'a Gathered, promoted: Option<&ops::Promoted>) -> Self {
        Self {
            message_type: "summary",
            dry_run: promoted.is_none(),
            was_home: promoted.map(|done| done.was_home),
            generation: promoted.map(|done| done.generation),
            entry: promoted.map(|done| done.entry),
            entries_brought: gathered.brought.iter().map(|(_, done)| done.entries).sum(),
            homes_before: &gathered.homes,
        }
    }
}
