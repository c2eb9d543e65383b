//! What is asked of a sync, and what it says of itself.

use super::deletions::Deletions;

/// How a sync is made.
#[derive(Debug, Default, Clone, Copy)]
pub struct SyncOptions {
    /// Say what would be done, and write nothing.
    pub dry_run: bool,
    /// Read all objects of the replica too, and copy again what is not what its name says.
    pub read_data: bool,
}

/// What a sync did, or would do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SyncSummary {
    /// Log entries that were new.
    pub entries: u64,
    /// Objects that were new, checkpoints aside.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them were there and damaged.
    pub damaged: u64,
    /// Objects that were deleted.
    pub deleted: u64,
    /// Objects that the replica has and the source has not, although no entry deletes them: perhaps the source has lost them.
    pub kept: u64,
    /// Objects and entries that are damaged in the source, and deletions that were refused; each was told to who watches.
    pub problems: u64,
    /// Files of the log and `config` that were there and damaged.
    pub log_damaged: u64,
    /// Removed key slots that the source still has, and that were not copied into a repository that lacks them.
    pub keys_left_out: u64,
    /// Objects that are deleted by the log and stay for now.
    pub held: u64,
    /// Why they stay.
    pub held_back: Option<HeldBack>,
    /// The replica took entries of its own until now.
    pub was_home: bool,
    /// Entries that were not put, for what they delete cannot go: the replica stays what it was.
    pub entries_held: u64,
}

/// Why nothing is deleted in a replica, key slots aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBack {
    /// An object is damaged in the source, and the replica lacks it: what is deleted may be its last copy.
    Damaged,
    /// The replica lacks an object that the deletions rest on, and the source has lost it.
    Lacks,
    /// An entry of the source's log is damaged or missing.
    Log,
    /// What the deletions rest on, or whether they count, is not said in clear: who has the key can tell.
    Unsaid,
}

impl SyncSummary {
    /// Takes in what goes and what stays.
    pub(super) fn note(&mut self, deletions: &Deletions) {
        (self.kept, self.held) = (deletions.kept, deletions.held);
        self.held_back = deletions.why;
    }
}
