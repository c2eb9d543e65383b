//! Cuts what a reader gives, in shared buffers that other threads may hold on to.

use super::Chunker;
use crate::error::{Error, Result, Subject};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Finished buffers that are watched for reuse.
pub(super) const RETIRED_MAX: usize = 4;

/// One chunk, as a range of the buffer it was read into; a clone shares the buffer.
///
/// It keeps its whole buffer, `segment_bytes` at most, in memory until the last piece of it is dropped.
#[derive(Clone)]
pub struct Piece {
    buffer: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Piece {
    /// A part of `buffer`.
    pub fn new(buffer: Arc<Vec<u8>>, range: Range<usize>) -> Self {
        Self { buffer, range }
    }

    /// Takes `next` in, if this [is followed](Self::is_followed_by) by it; says whether it did.
    pub fn join(&mut self, next: &Self) -> bool {
        let follows = self.is_followed_by(next);
        if follows {
            self.range.end = next.range.end;
        }
        follows
    }

    /// Whether `next` begins in the same buffer where this ends.
    pub fn is_followed_by(&self, next: &Self) -> bool {
        Arc::ptr_eq(&self.buffer, &next.buffer) && self.range.end == next.range.start
    }

    /// The buffer and where in it the chunk lies.
    pub fn into_parts(self) -> (Arc<Vec<u8>>, Range<usize>) {
        (self.buffer, self.range)
    }
}

impl From<Vec<u8>> for Piece {
    fn from(whole: Vec<u8>) -> Self {
        let range = 0..whole.len();
        Self {
            buffer: Arc::new(whole),
            range,
        }
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }
}

/// The buffers of one reading thread, reused from source to source.
///
/// Holds at most five buffers of `segment_bytes` itself: the current one and four finished ones, which are filled
/// again once nobody holds a piece of them. A consumer that queues pieces in order, *q* bytes of them, keeps
/// *q* + 2 · `segment_bytes` in memory on top.
pub struct Segments {
    segment_bytes: usize,
    retired: VecDeque<Arc<Vec<u8>>>,
}

impl Segments {
    /// Buffers of `segment_bytes`, 4–8 MiB being a good choice, and at least four times the largest chunk in use.
    pub fn new(segment_bytes: usize) -> Self {
        Self {
            segment_bytes,
            retired: VecDeque::new(),
        }
    }

    /// Cuts everything `reader` gives.
    ///
    /// `len_hint` is the length of the source where that is known: a source that fits into half a segment gets a
    /// buffer of its own size. A wrong hint costs memory or time, never bytes.
    pub fn stream<'a, R: Read>(
        &'a mut self,
        chunker: &'a Chunker,
        reader: R,
        len_hint: Option<u64>,
    ) -> Stream<'a, R> {
        let max = super::as_usize(chunker.sizes().max());
        let segment_bytes = self.segment_bytes.max(4 * max);
        // One more byte shows the end of the source in the same segment.
        let whole = len_hint.and_then(|len| usize::try_from(len.checked_add(1)?).ok());
        let first_bytes = whole
            .filter(|len| *len <= segment_bytes / 2)
            .unwrap_or(segment_bytes);
        let (current, filled, at) = (Arc::default(), 0, 0);
        let (segments, state) = (self, State::Reading);
        Stream {
            segments,
            chunker,
            reader,
            segment_bytes,
            first_bytes,
            current,
            filled,
            at,
            state,
        }
    }

    /// A buffer of `len` bytes with any content, one of the finished ones if nobody else holds it.
    fn buffer(&mut self, len: usize) -> Arc<Vec<u8>> {
        let free =
            |buffer: &mut Arc<Vec<u8>>| buffer.len() == len && Arc::get_mut(buffer).is_some();
        match self
            .retired
            .iter_mut()
            .position(free)
            .and_then(|i| self.retired.remove(i))
        {
            Some(buffer) => buffer,
            None => Arc::new(vec![0; len]),
        }
    }

    fn retire(&mut self, buffer: Arc<Vec<u8>>, segment_bytes: usize) {
        if buffer.len() == segment_bytes {
            if self.retired.len() == RETIRED_MAX {
                self.retired.pop_front();
            }
            self.retired.push_back(buffer);
        }
    }
}

#[derive(PartialEq)]
enum State {
    Reading,
    AtEnd,
    Failed,
}

/// The chunks of one source, in order.
///
/// Cut points depend on the bytes alone, not on how the reader hands them out nor on the size of segments. Only the
/// bytes behind the last cut of a segment, less than the largest chunk, are copied once. After an error it ends.
pub struct Stream<'a, R> {
    segments: &'a mut Segments,
    chunker: &'a Chunker,
    reader: R,
    segment_bytes: usize,
    first_bytes: usize,
    current: Arc<Vec<u8>>,
    filled: usize,
    at: usize,
    state: State,
}

impl<R: Read> Stream<'_, R> {
    /// Moves what is left to the front of another buffer and fills that, or reaches the end of the source.
    fn refill(&mut self) -> Result<()> {
        let len = match self.current.is_empty() {
            true => self.first_bytes,
            false => self.segment_bytes,
        };
        let mut next = self.segments.buffer(len);
        let bytes = Arc::get_mut(&mut next).expect("a buffer is handed out to one holder");
        let mut filled = self.filled - self.at;
        bytes[..filled].copy_from_slice(&self.current[self.at..self.filled]);
        while filled < bytes.len() && self.state == State::Reading {
            match self.reader.read(&mut bytes[filled..]) {
                Ok(0) => self.state = State::AtEnd,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(Subject::None, error)),
            }
        }
        let finished = std::mem::replace(&mut self.current, next);
        self.segments.retire(finished, self.segment_bytes);
        (self.filled, self.at) = (filled, 0);
        Ok(())
    }
}

impl<R: Read> Iterator for Stream<'_, R> {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Result<Piece>> {
        loop {
            let at_end = match self.state {
                State::Reading => false,
                State::AtEnd => true,
                State::Failed => return None,
            };
            if let Some(len) = self
                .chunker
                .cut(&self.current[self.at..self.filled], at_end)
            {
                let range = self.at..self.at + len;
                self.at = range.end;
                return Some(Ok(Piece {
                    buffer: Arc::clone(&self.current),
                    range,
                }));
            }
            if at_end {
                return None;
            }
            if let Err(error) = self.refill() {
                self.state = State::Failed;
                return Some(Err(error));
            }
        }
    }
}

impl<R> Drop for Stream<'_, R> {
    fn drop(&mut self) {
        let current = std::mem::take(&mut self.current);
        self.segments.retire(current, self.segment_bytes);
    }
}
