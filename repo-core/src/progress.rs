//! What a caller may learn while we work: counters, problems, and the wish to stop.

use crate::error::{Error, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What is counted while an operation runs. Counters only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counter {
    /// Files, directories and other nodes that were looked at or written.
    Nodes,
    /// Plaintext bytes read from the source or written to the target.
    Bytes,
    /// Bytes that were new and sent to the backend.
    BytesStored,
    /// Packs that a check has read.
    Objects,
    /// Packs that a check reads in all; told at once, after the [`BytesExpected`](Counter::BytesExpected) of them.
    ObjectsExpected,
    /// Nodes that an operation expects in all; grows while it scans.
    NodesExpected,
    /// Plaintext bytes that an operation expects in all; grows while it scans.
    BytesExpected,
    /// Entries that were left out as asked; what lies below them is not counted.
    Excluded,
    /// Files and others of those expected that a restore leaves as they are.
    NodesSkipped,
    /// The bytes of those.
    BytesSkipped,
    /// Bytes of files in the target that a restore compared with the snapshot before it writes, whether or not they differ.
    BytesCompared,
    /// Bytes that a restore read back after it wrote.
    BytesVerified,
    /// Files, directories and others that a restore removed, or would remove.
    NodesDeleted,
}

/// What became of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A restore made it, or set the attributes of a directory.
    Restored,
    /// A restore changed what was there.
    Updated,
    /// A restore left it as it was, but for its attributes.
    Unchanged,
    /// A restore removed it.
    Deleted,
}

/// How an item of a backup compares with the parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The parent has none of its name and kind.
    New,
    /// It differs from the parent's.
    Modified,
    /// It is as in the parent, but for what may have changed beside its content.
    Unchanged,
}

/// An item that a backup is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved<'a> {
    /// Its path in the snapshot.
    pub path: &'a Path,
    /// It is a directory; all in it came before.
    pub is_dir: bool,
    /// How it compares.
    pub change: Change,
    /// Content of it that was not stored yet, in bytes before compression; of a file.
    pub data_added: u64,
    /// The same of its list of entries; of a directory.
    pub metadata_added: u64,
    /// How long it took, from when the walk came to it.
    pub took: Duration,
}

/// Receives what happens. Called from several threads; must not block for long.
pub trait Progress: Send + Sync {
    /// `by` more of `counter` are done.
    fn count(&self, counter: Counter, by: u64);
    /// Something could not be done for one item, named by its path in the source, snapshot or repository. The
    /// operation goes on, counts it in its summary and does not report full success.
    fn problem(&self, path: &Path, error: &Error);
    /// Work on this path begins.
    fn begin(&self, _path: &Path) {}
    /// A line worth telling a person, such as what an interrupted run left to resume.
    fn note(&self, _note: Note<'_>) {}
    /// Whether [`Progress::saved`] and [`Progress::item`] are listened to: without it nobody puts paths together.
    fn wants_items(&self) -> bool {
        false
    }
    /// A backup is done with one item, or would be.
    fn saved(&self, _item: &Saved<'_>) {}
    /// What a restore made of the item at `path`; `size` is that of regular files.
    fn item(&self, _outcome: Outcome, _path: &Path, _size: Option<u64>) {}
}

/// Events that a person should hear of and that are no problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note<'a> {
    /// Interrupted runs had stored this already: how many packs, and their bytes.
    Resumed {
        /// Packs that they published, or had finished.
        packs: u64,
        /// Their stored bytes.
        bytes: u64,
    },
    /// The parent that a backup compares with, short id, or none.
    Parent(Option<&'a str>),
    /// It is known how much a backup is going to read.
    Scanned {
        /// Everything but directories.
        files: u64,
        /// The content of the regular files.
        bytes: u64,
        /// How long it took to find out.
        took: Duration,
    },
    /// A file that says what is to be left out cannot be followed in everything; what it may mean is backed up.
    Unclear {
        /// The file.
        path: &'a Path,
        /// What is wrong with it.
        why: &'a str,
    },
    /// A restore is done and reads back what it wrote.
    Verifying,
    /// Something is not written because of what it is, and all the rest is.
    LeftOut {
        /// Its path in the snapshot, or in the folder of it that is meant.
        path: &'a Path,
        /// Why.
        what: &'a str,
    },
}

/// Listens to nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn count(&self, _: Counter, _: u64) {}
    fn problem(&self, _: &Path, _: &Error) {}
}

/// Lets someone else ask an operation to stop. Checked between items, in every loop that can take long.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicBool);

impl Interrupt {
    /// Not yet asked to stop.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Asks everyone who listens to stop. Safe in a signal handler.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// An [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) error once asked to stop.
    pub fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(Error::interrupted()),
            false => Ok(()),
        }
    }
}

/// Counts problems, whoever else is told of them.
pub struct Problems<'a> {
    progress: &'a dyn Progress,
    seen: AtomicU64,
}

impl<'a> Problems<'a> {
    /// Passes everything on to `progress`.
    pub fn new(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            seen: AtomicU64::new(0),
        }
    }

    /// How many there were so far.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Progress for Problems<'_> {
    fn count(&self, counter: Counter, by: u64) {
        self.progress.count(counter, by);
    }

    fn problem(&self, path: &Path, error: &Error) {
        self.seen.fetch_add(1, Ordering::Relaxed);
        self.progress.problem(path, error);
    }

    fn begin(&self, path: &Path) {
        self.progress.begin(path);
    }

    fn note(&self, note: Note<'_>) {
        self.progress.note(note);
    }

    fn wants_items(&self) -> bool {
        self.progress.wants_items()
    }

    fn saved(&self, item: &Saved<'_>) {
        self.progress.saved(item);
    }

    fn item(&self, outcome: Outcome, path: &Path, size: Option<u64>) {
        self.progress.item(outcome, path, size);
    }
}
