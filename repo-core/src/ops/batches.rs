//! Small files, read by a pool in batches, each into one buffer, and given back in the order they were asked for.

use crate::chunk::Piece;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::repo::{Pool, Ticket};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// The largest batch. As large as a block usually is: what is all new is compressed from where it was read.
pub const BATCH_BYTES: u64 = 2 << 20;

/// Most files of a batch.
pub const BATCH_FILES: usize = 256;

/// A batch that was read: what became of each file, in order.
struct Batch<T> {
    buffer: Arc<Vec<u8>>,
    files: std::vec::IntoIter<Result<T>>,
}

/// Batches on their way, and the one whose files are being taken.
///
/// Memory: the content of what was submitted and not taken yet, and a buffer for every batch that pieces are still held of.
pub struct Batches<T> {
    reading: VecDeque<Ticket<Batch<T>>>,
    current: Option<Batch<T>>,
    /// Buffers of batches that were taken; some of them are free again.
    spent: Vec<Arc<Vec<u8>>>,
}

impl<T: Send + 'static> Batches<T> {
    /// None yet.
    pub fn new() -> Self {
        Self {
            reading: VecDeque::new(),
            current: None,
            spent: Vec::new(),
        }
    }

    /// Has a batch of at least one file read. The job gets a buffer in which anything may be, and gives it back with what it read.
    pub fn submit(
        &mut self,
        readers: &Pool,
        read: impl FnOnce(Vec<u8>) -> (Vec<u8>, Vec<Result<T>>) + Send + 'static,
    ) {
        let buffer = self.buffer();
        self.reading.push_back(readers.submit(move || {
            let (buffer, files) = read(buffer);
            Batch {
                buffer: Arc::new(buffer),
                files: files.into_iter(),
            }
        }));
    }

    fn buffer(&mut self) -> Vec<u8> {
        let free = |buffer: &mut Arc<Vec<u8>>| Arc::get_mut(buffer).is_some();
        let at = self.spent.iter_mut().position(free);
        at.and_then(|at| Arc::into_inner(self.spent.swap_remove(at)))
            .unwrap_or_default()
    }

    /// How many are being read or wait to be taken, without the one that files are taken of.
    pub fn under_way(&self) -> usize {
        self.reading.len()
    }

    /// Whether there is no file to be taken, now or later.
    pub fn is_empty(&self) -> bool {
        self.reading.is_empty() && !self.is_begun()
    }

    fn is_begun(&self) -> bool {
        let rest = |batch: &Batch<T>| !batch.files.as_slice().is_empty();
        self.current.as_ref().is_some_and(rest)
    }

    /// Whether [`Batches::take`] would return at once.
    pub fn is_ready(&mut self) -> Result<bool> {
        if self.is_begun() {
            return Ok(true);
        }
        match self.reading.front_mut() {
            Some(ticket) => ticket.is_ready(),
            None => Ok(false),
        }
    }

    /// Waits for the file that was submitted first of those not taken yet.
    pub fn take(&mut self) -> Result<Result<T>> {
        loop {
            if let Some(file) = self.current.as_mut().and_then(|batch| batch.files.next()) {
                return Ok(file);
            }
            self.spent
                .extend(self.current.take().map(|batch| batch.buffer));
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
