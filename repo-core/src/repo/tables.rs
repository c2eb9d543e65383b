//! Index tables that are made of what is known of packs already, as by a prune or a repair.

use super::Shared;
use crate::error::Result;
use crate::format::rows::PackEntry;
use crate::id::IndexId;

/// A table is full with so many blobs: 12 MB.
const FULL_BLOBS: usize = 256 << 10;

/// Puts packs into tables, and stores each that is full. They count once an entry of the log names them. Memory: one table.
pub struct Tables<'a> {
    shared: &'a Shared,
    entries: Vec<PackEntry>,
    blobs: usize,
    stored: Vec<IndexId>,
}

impl<'a> Tables<'a> {
    /// None so far.
    pub fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            entries: Vec::new(),
            blobs: 0,
            stored: Vec::new(),
        }
    }

    /// Names one pack more. A pack with more blobs than fit has a table of its own.
    pub fn add(&mut self, entry: PackEntry) -> Result<()> {
        if self.blobs + entry.blobs.len() > FULL_BLOBS {
            self.store()?;
        }
        self.blobs += entry.blobs.len();
        self.entries.push(entry);
        Ok(())
    }

    /// Stores what is left, and gives all tables.
    pub fn finish(mut self) -> Result<Vec<IndexId>> {
        self.store()?;
        Ok(self.stored)
    }

    fn store(&mut self) -> Result<()> {
        self.blobs = 0;
        if !self.entries.is_empty() {
            let entries = std::mem::take(&mut self.entries);
            self.stored.push(self.shared.save_table(entries)?.0);
        }
        Ok(())
    }
}
