//! Small files, read by the pool in batches, each into one buffer, and given back in the order they were asked for.

use super::read::{FileJob, Filling, Outcome};
use crate::chunk::Piece;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::repo::{Pool, Ticket};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// The largest batch. As large as a block usually is: what is all new is compressed from where it was read.
const BATCH_BYTES: u64 = 2 << 20;

/// Most files of a batch.
const BATCH_FILES: usize = 256;

/// Most directories of a batch: each is an open file, of which a process may often have 1,024.
const BATCH_DIRS: usize = 16;

/// Most batches that are being read or wait to be taken, unless there are more readers.
const BATCHES_MIN: usize = 8;

/// Batches beyond those that readers are at, so that each finds another when it is done.
const BATCHES_AHEAD: usize = 4;

/// A batch that was read.
struct Batch {
    buffer: Arc<Vec<u8>>,
    reads: std::vec::IntoIter<Result<Outcome>>,
}

/// Reads files ahead.
///
/// Readers of their own are for places that are slow to answer: 3,000 files, 3 ms a read, take 10 s on the two threads of
/// a pool, 12 s with one reader, 3.4 s with four, 1.8 s with sixteen (November 2026, delays injected by strace).
///
/// Memory: the content of what was added and not taken yet, and a buffer of [`BATCH_BYTES`] for every one that pieces
/// are still held of.
pub struct Batches {
    /// Most that are being read or wait to be taken.
    most: usize,
    open: Vec<FileJob>,
    open_bytes: u64,
    open_dirs: usize,
    reading: VecDeque<Ticket<Batch>>,
    current: Option<Batch>,
    /// Buffers of batches that were taken; some of them are free again.
    spent: Vec<Arc<Vec<u8>>>,
}

impl Batches {
    /// None yet, and `readers` that read them.
    pub fn new(readers: usize) -> Self {
        Self {
            most: BATCHES_MIN.max(readers + BATCHES_AHEAD),
            open: Vec::new(),
            open_bytes: 0,
            open_dirs: 0,
            reading: VecDeque::new(),
            current: None,
            spent: Vec::new(),
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
        let buffer = self.buffer();
        self.reading
            .push_back(readers.submit(move || read(jobs, buffer)));
    }

    fn buffer(&mut self) -> Vec<u8> {
        let free = |buffer: &mut Arc<Vec<u8>>| Arc::get_mut(buffer).is_some();
        let at = self.spent.iter_mut().position(free);
        at.and_then(|at| Arc::into_inner(self.spent.swap_remove(at)))
            .unwrap_or_default()
    }

    /// Whether so much is on its way that the next file should be taken first.
    pub fn is_full(&self) -> bool {
        self.reading.len() >= self.most
    }

    /// Whether [`Batches::take`] would return at once.
    pub fn is_ready(&mut self) -> Result<bool> {
        let rest = |batch: &Batch| !batch.reads.as_slice().is_empty();
        if self.current.as_ref().is_some_and(rest) {
            return Ok(true);
        }
        match self.reading.front_mut() {
            Some(ticket) => ticket.is_ready(),
            None => Ok(false),
        }
    }

    /// Waits for the file that was added first of those not taken yet.
    pub fn take(&mut self, readers: &Pool) -> Result<Result<Outcome>> {
        loop {
            if let Some(read) = self.current.as_mut().and_then(|batch| batch.reads.next()) {
                return Ok(read);
            }
            self.spent
                .extend(self.current.take().map(|batch| batch.buffer));
            if self.reading.is_empty() {
                self.close(readers);
            }
            let next = self.reading.pop_front().ok_or_else(|| {
                Error::new(ErrorKind::Unavailable, Subject::None).detail("lost track of a file")
            })?;
            self.current = Some(next.wait()?);
        }
    }

    /// A part of the buffer of the file taken last.
    pub fn piece(&self, range: Range<usize>) -> Piece {
        let buffer = self.current.as_ref().map(|batch| batch.buffer.clone());
        Piece::new(buffer.unwrap_or_default(), range)
    }
}

fn read(jobs: Vec<FileJob>, buffer: Vec<u8>) -> Batch {
    let mut filling = Filling::new(buffer);
    let reads: Vec<_> = jobs.into_iter().map(|job| job.run(&mut filling)).collect();
    Batch {
        buffer: Arc::new(filling.bytes),
        reads: reads.into_iter(),
    }
}
