//! A bit for each blob of the index: which were met already.

use super::Index;
use super::layout::Section;
use super::shown::Shown;
use crate::error::Result;
use crate::id::BlobId;
use std::collections::HashSet;

/// A set of blobs. One bit for each row of the index as it was when the set was made, 12.5 MB for 100 million blobs, and 32 bytes,
/// with the table's own room at most 78, for each that the index does not know.
pub struct Marks {
    runs: Vec<(Shown, Vec<u64>)>,
    unknown: HashSet<BlobId>,
}

impl Index {
    /// An empty set of blobs.
    pub fn marks(&self) -> Marks {
        let bits = |shown: Shown| {
            let rows = shown.run.count(Section::Blobs) as usize;
            (shown, vec![0; rows.div_ceil(64)])
        };
        Marks {
            runs: self.snapshot().into_iter().map(bits).collect(),
            unknown: HashSet::new(),
        }
    }
}

impl Marks {
    /// Adds a blob; whether it was not there yet. About a lookup in the index.
    pub fn insert(&mut self, id: &BlobId) -> Result<bool> {
        for (shown, bits) in &mut self.runs {
            let Some(row) = shown.run.first_row(id)? else {
                continue;
            };
            let row_count = shown.run.count(Section::Blobs);
            if row >= row_count || shown.run.blob(row)?.id != *id {
                continue;
            }
            // The first row of the first run that knows it stands for the blob, whatever of the run counts.
            let (word, bit) = (&mut bits[row as usize / 64], 1 << (row % 64));
            let new = *word & bit == 0;
            *word |= bit;
            return Ok(new);
        }
        Ok(self.unknown.insert(*id))
    }
}
