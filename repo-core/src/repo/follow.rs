//! Reads that find a pack gone look whether a prune has moved what was in it.

use super::{Repo, Shared, lock};
use crate::error::{Result, Subject};
use crate::log::State;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So much that is missing is remembered.
const MISSED_MAX: usize = 10_000;

/// Who reads and who writes by this process, and what is missing for good as far as the log goes.
#[derive(Default)]
pub struct Follow {
    readers: AtomicUsize,
    writers: AtomicUsize,
    missed: Mutex<HashSet<Subject>>,
}

/// Counts somebody for as long as it lives.
pub struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    /// From now on, until what it gives is dropped, reads of blobs whose pack is gone fold the log again and look once more. For
    /// operations that only read: while this process writes, its index must stay as it knows it, and nothing is followed.
    pub fn follow(&self) -> Counted<'_> {
        Counted::new(&self.follow.readers)
    }

    /// Nothing is followed while this lives.
    pub(super) fn writes(&self) -> Counted<'_> {
        Counted::new(&self.follow.writers)
    }
}

impl Repo {
    /// Whether there is a newer fold than `seen`. The place is asked once for what is missing, until the log grows.
    pub(super) fn has_moved_on(&self, seen: &State, missing: &Subject) -> Result<bool> {
        let Follow {
            readers,
            writers,
            missed,
        } = &self.follow;
        if readers.load(Ordering::SeqCst) == 0 || writers.load(Ordering::SeqCst) > 0 {
            return Ok(false);
        }
        let mut missed = lock(missed);
        if self.state().tail() == seen.tail() && !missed.contains(missing) {
            self.refresh()?;
        }
        let moved_on = self.state().tail() != seen.tail();
        if moved_on || missed.len() >= MISSED_MAX {
            missed.clear();
        }
        if !moved_on {
            missed.insert(missing.clone());
        }
        Ok(moved_on)
    }
}
