//! Small files on their way to a backup, sorted into batches.

use super::read::{FileJob, Filling, Outcome};
use crate::chunk::Piece;
use crate::error::Result;
use crate::ops::batches::{BATCH_BYTES, BATCH_FILES, Batches};
use crate::repo::Pool;
use std::ops::Range;
use std::sync::Arc;

/// Most directories of a batch: each is an open file, of which a process may often have 1,024.
const BATCH_DIRS: usize = 16;

/// Most batches that are being read or wait to be taken, unless there are more readers.
const BATCHES_MIN: usize = 8;

/// Batches beyond those that readers are at, so that each finds another when it is done.
const BATCHES_AHEAD: usize = 4;

/// Reads files ahead.
///
/// Readers of their own are for places that are slow to answer: 3,000 files, 3 ms a read, take 10 s on the two threads of
/// a pool, 12 s with one reader, 3.4 s with four, 1.8 s with sixteen (November 2026, delays injected by strace).
///
/// Memory: the content of what was added and not taken yet, and a buffer of [`BATCH_BYTES`] for every one that pieces
/// are still held of.
pub struct SmallFiles {
    /// Most that are being read or wait to be taken.
    most: usize,
    open: Vec<FileJob>,
    open_bytes: u64,
    open_dirs: usize,
    batches: Batches<Outcome>,
}

impl SmallFiles {
    /// None yet, and `readers` that read them.
    pub fn new(readers: usize) -> Self {
        Self {
            most: BATCHES_MIN.max(readers + BATCHES_AHEAD),
            open: Vec::new(),
            open_bytes: 0,
            open_dirs: 0,
            batches: Batches::new(),
        }
    }

    /// How many times as many as without readers there may be.
    pub fn scale(&self) -> usize {
        self.most.div_ceil(BATCHES_MIN)
    }

    /// Adds a file of about `bytes` bytes; it is read at any time from now on.
    pub fn add(&mut self, readers: &Pool, job: FileJob, bytes: u64) {
        let other_dir = |last: &FileJob| !Arc::ptr_eq(&last.dir, &job.dir);
        let new_dir = self.open.last().is_none_or(other_dir);
        let full = self.open_bytes + bytes > BATCH_BYTES
            || self.open.len() >= BATCH_FILES
            || new_dir && self.open_dirs == BATCH_DIRS;
        if full {
            self.close(readers);
        }
        self.open_dirs += usize::from(new_dir || self.open.is_empty());
        self.open_bytes += bytes;
        self.open.push(job);
    }

    /// Gives the files added last to the pool.
    fn close(&mut self, readers: &Pool) {
        if self.open.is_empty() {
            return;
        }
        let jobs = std::mem::take(&mut self.open);
        (self.open_bytes, self.open_dirs) = (0, 0);
        self.batches.submit(readers, move |buffer| {
            let mut filling = Filling::new(buffer);
            let reads = jobs.into_iter().map(|job| job.run(&mut filling)).collect();
            (filling.bytes, reads)
        });
    }

    /// Whether so much is on its way that the next file should be taken first.
    pub fn is_full(&self) -> bool {
        self.batches.under_way() >= self.most
    }

    /// Whether [`SmallFiles::take`] would return at once.
    pub fn is_ready(&mut self) -> Result<bool> {
        self.batches.is_ready()
    }

    /// Waits for the file that was added first of those not taken yet.
    pub fn take(&mut self, readers: &Pool) -> Result<Result<Outcome>> {
        if self.batches.is_empty() {
            self.close(readers);
        }
        self.batches.take()
    }

    /// A part of the buffer of the file taken last.
    pub fn piece(&self, range: Range<usize>) -> Piece {
        self.batches.piece(range)
    }
}
