//! What every thread of a restore needs, and what is counted and told.

use super::options::RestoreOptions;
use super::room::{Room, is_full};
use crate::crypto::BlobHasher;
use crate::error::{Error, Result};
use crate::fs::RefusedXattr;
use crate::progress::{Counter, Interrupt, Outcome, Problems, Progress};
use crate::repo::{Repo, lock};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What every thread of a restore needs.
pub struct Context<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// The target, as the user named it.
    pub target: &'a Path,
    /// Names data blobs.
    pub hasher: BlobHasher,
    /// How.
    pub options: &'a RestoreOptions,
    /// Told of everything.
    pub problems: &'a Problems<'a>,
    /// Asked before every block.
    pub interrupt: &'a Interrupt,
    /// Counts.
    pub counts: &'a Counts,
    /// Files that hold what the restore did not put there.
    pub others: &'a Others,
    /// Which extended attributes cannot be set.
    pub refused: &'a Refused,
    /// What the target has room for.
    pub room: &'a Room,
    /// Files with several names that stayed as they were.
    pub claimed: Mutex<HashSet<(u64, u64)>>,
    /// Most pieces of one window.
    pub pieces_max: usize,
}

/// Counts from all threads.
#[derive(Default)]
pub struct Counts {
    /// Nodes that had to be restored.
    pub nodes_expected: AtomicU64,
    /// Bytes of them.
    pub bytes_expected: AtomicU64,
    /// Nodes restored.
    pub nodes: AtomicU64,
    /// Regular files among them.
    pub files: AtomicU64,
    /// Bytes restored.
    pub bytes: AtomicU64,
    /// Nodes left as they are.
    pub nodes_skipped: AtomicU64,
    /// Bytes of them.
    pub bytes_skipped: AtomicU64,
    /// What was removed.
    pub nodes_deleted: AtomicU64,
    /// Owners that could not be set.
    pub owners_skipped: AtomicU64,
    /// Extended attributes that were refused.
    pub xattrs_refused: AtomicU64,
    /// Files that there was no room for.
    pub without_room: AtomicU64,
    /// Files read back and found to be right.
    pub files_verified: AtomicU64,
}

/// Regular files that were kept or could not be restored, so that reading them back says nothing. 16 bytes or so each, and
/// only if files are going to be read back.
pub struct Others {
    wanted: bool,
    random: RandomState,
    files: Mutex<HashSet<u64>>,
}

impl Others {
    /// Remembers none yet, and none at all unless they are `wanted`.
    pub fn new(wanted: bool) -> Self {
        Self {
            wanted,
            random: RandomState::new(),
            files: Mutex::default(),
        }
    }

    /// Remembers one.
    pub fn add(&self, path: impl FnOnce() -> PathBuf) {
        if self.wanted {
            lock(&self.files).insert(self.random.hash_one(path()));
        }
    }

    /// Whether it is one of them.
    pub fn holds(&self, path: &Path) -> bool {
        lock(&self.files).contains(&self.random.hash_one(path))
    }
}

/// Sorts of extended attributes that were refused, by namespace and error: what is true of one file is of all.
pub type Refused = Mutex<HashSet<(Vec<u8>, i32)>>;

impl Context<'_> {
    /// Asked before everything that takes long: `Interrupted` when asked to stop, and where nothing fits any more.
    pub fn go_on(&self) -> Result<()> {
        self.interrupt.check()?;
        match self.room.is_none() {
            true => Err(Error::interrupted()),
            false => Ok(()),
        }
    }

    /// Reports a problem with one item, which takes no room to speak of.
    pub fn problem(&self, path: &Path, error: &Error) {
        self.fails(path, error, 0);
    }

    /// Reports a problem with one item of so many bytes. If the target is full, that may be the end instead.
    pub fn fails(&self, path: &Path, error: &Error, bytes: u64) {
        if self.room.lacks(&self.target.join(path), bytes, error) {
            return;
        }
        if is_full(error) {
            self.counts.without_room.fetch_add(1, Ordering::Relaxed);
        }
        self.tells(path, error);
    }

    /// Reports something about one item, by its path below the target. The target itself is named by its whole path.
    pub fn tells(&self, path: &Path, error: &Error) {
        if !path.as_os_str().is_empty() {
            return self.problems.problem(path, error);
        }
        let whole = std::path::absolute(self.target);
        let target = whole.as_deref().unwrap_or(self.target);
        self.problems.problem(target, error);
    }

    /// Counts an extended attribute that was refused; the first of each sort is a problem.
    pub fn refused(&self, path: &Path, refused: &RefusedXattr) {
        self.counts.xattrs_refused.fetch_add(1, Ordering::Relaxed);
        if lock(self.refused).insert(refused.sort()) {
            self.tells(path, &refused.error);
        }
    }

    /// Counts something without content, or without content of its own, that has to be restored.
    pub fn expected(&self) {
        self.counts.nodes_expected.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what was counted as expected and is in its place now.
    pub fn restored(&self, outcome: Outcome, path: impl FnOnce() -> PathBuf) {
        self.counts.nodes.fetch_add(1, Ordering::Relaxed);
        self.tell(outcome, path, None);
    }

    /// Counts a regular file that has to be restored.
    pub fn file_expected(&self, size: u64) {
        self.expected();
        self.counts
            .bytes_expected
            .fetch_add(size, Ordering::Relaxed);
    }

    /// Counts a regular file that is in its place now; `left` bytes of it are not counted as progress yet.
    pub fn file_restored(
        &self,
        outcome: Outcome,
        path: impl FnOnce() -> PathBuf,
        size: u64,
        left: u64,
    ) {
        self.counts.nodes.fetch_add(1, Ordering::Relaxed);
        self.counts.files.fetch_add(1, Ordering::Relaxed);
        self.counts.bytes.fetch_add(size, Ordering::Relaxed);
        self.problems.count(Counter::Nodes, 1);
        self.problems.count(Counter::Bytes, left);
        self.tell(outcome, path, Some(size));
    }

    /// Counts a further name of a regular file, which was expected.
    pub fn link_restored(&self, outcome: Outcome, path: impl FnOnce() -> PathBuf) {
        self.counts.nodes.fetch_add(1, Ordering::Relaxed);
        self.problems.count(Counter::Nodes, 1);
        self.tell(outcome, path, None);
    }

    /// Counts what stays as it is.
    pub fn skipped(&self, path: impl FnOnce() -> PathBuf, size: Option<u64>) {
        let bytes = size.unwrap_or(0);
        self.counts.nodes_skipped.fetch_add(1, Ordering::Relaxed);
        self.counts
            .bytes_skipped
            .fetch_add(bytes, Ordering::Relaxed);
        if size.is_some() {
            self.problems.count(Counter::NodesSkipped, 1);
            self.problems.count(Counter::BytesSkipped, bytes);
        }
        self.tell(Outcome::Unchanged, path, size);
    }

    /// Counts what was removed.
    pub fn deleted(&self, path: impl FnOnce() -> PathBuf) {
        self.counts.nodes_deleted.fetch_add(1, Ordering::Relaxed);
        self.problems.count(Counter::NodesDeleted, 1);
        self.tell(Outcome::Deleted, path, None);
    }

    fn tell(&self, outcome: Outcome, path: impl FnOnce() -> PathBuf, size: Option<u64>) {
        if self.problems.wants_items() {
            let path = Path::new("/").join(path());
            self.problems.item(outcome, &path, size);
        }
    }
}
