//! Which parts of a run count: the segments of tables in force.

use super::layout::{Section, Segment};
use super::run::{Found, Run};
use crate::error::Result;
use crate::id::{BlobId, ID_LEN, PackId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A run with the choice of its segments that count. Never changes, so that who holds it sees one state of the index.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) run: Arc<Run>,
    segments: Arc<[bool]>,
    /// A bit for each pack whose segment does not count.
    hidden: Arc<[u64]>,
}

impl Shown {
    /// Shows the segments for which `choose` is true of their number and where they came from.
    pub(super) fn choose(
        run: Arc<Run>,
        mut choose: impl FnMut(usize, &[u8; ID_LEN]) -> bool,
    ) -> Self {
        let segments = run.segments().iter().enumerate();
        let segments: Arc<[bool]> = segments.map(|(i, s)| choose(i, &s.origin)).collect();
        let packs = run.count(Section::Packs) as usize;
        let mut hidden = vec![0; packs.div_ceil(64)];
        let mut row = 0;
        for (segment, shown) in run.segments().iter().zip(&*segments) {
            let end = row + segment.counts[Section::Packs as usize] as usize;
            if !shown {
                (row..end).for_each(|row| hidden[row / 64] |= 1 << (row % 64));
            }
            row = end;
        }
        Self {
            run,
            segments,
            hidden: hidden.into(),
        }
    }

    /// Shows all segments.
    pub(super) fn all(run: Arc<Run>) -> Self {
        Self::choose(run, |_, _| true)
    }

    /// Shows no segment.
    pub(super) fn none(run: Arc<Run>) -> Self {
        Self::choose(run, |_, _| false)
    }

    /// Shows or hides one segment more.
    pub(super) fn with(&self, segment: usize, shown: bool) -> Self {
        Self::choose(Arc::clone(&self.run), |i, _| match i == segment {
            true => shown,
            false => self.is_shown(i),
        })
    }

    /// Whether a segment counts.
    pub(super) fn is_shown(&self, segment: usize) -> bool {
        self.segments[segment]
    }

    /// The segments that count.
    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        let segments = self.run.segments().iter().zip(&*self.segments);
        segments
            .filter(|(_, shown)| **shown)
            .map(|(segment, _)| segment)
    }

    /// Whether no segment counts.
    pub(super) fn is_empty(&self) -> bool {
        self.segments().next().is_none()
    }

    /// Whether a pack is there and counts.
    pub(super) fn has_pack(&self, row: u32) -> bool {
        let word = self.hidden.get(row as usize / 64);
        word.is_some_and(|word| word >> (row % 64) & 1 == 0)
    }

    /// Calls `each` for every copy of a blob until it breaks.
    pub(super) fn find(
        &self,
        id: &BlobId,
        each: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let Some(first) = self.run.first_row(id)? else {
            return Ok(ControlFlow::Continue(()));
        };
        for row in first..self.run.count(Section::Blobs) {
            let blob = self.run.blob(row)?;
            if blob.id != *id {
                break;
            }
            let block = self.run.block(blob.block)?;
            if self.has_pack(block.pack) && each(Found { blob, block }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Calls `each` for every copy of every blob, sorted by id, until it breaks.
    pub(super) fn for_each_blob(
        &self,
        each: &mut dyn FnMut(Found) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        self.run
            .for_each_blob(&mut |_, found| match self.has_pack(found.block.pack) {
                true => each(found),
                false => Ok(ControlFlow::Continue(())),
            })
    }

    /// The rows of a pack; several if several tables name it.
    pub(super) fn rows_of_pack(&self, id: &PackId) -> Result<Vec<u32>> {
        let mut rows = self.run.rows_of_pack(id)?;
        rows.retain(|row| self.has_pack(*row));
        Ok(rows)
    }

    /// The next pack in the order of ids, with its row; `at` is moved behind it.
    pub(super) fn next_pack(&self, at: &mut u32) -> Result<Option<(PackId, u32)>> {
        while *at < self.run.count(Section::ById) {
            let row = self.run.pack_by_id(*at)?;
            *at += 1;
            if self.has_pack(row) {
                return Ok(Some((self.run.pack_row(row)?.id, row)));
            }
        }
        Ok(None)
    }
}

/// Calls `each` with every pack that counts, its id, the number of its run and its row, in the order of ids and of equal ones in that
/// of runs and rows, until it breaks. A pack that several tables name comes for each.
pub(super) fn packs_by_id(
    runs: &[&Shown],
    each: &mut dyn FnMut(PackId, usize, u32) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut heads = BinaryHeap::new();
    let mut cursors: Vec<u32> = vec![0; runs.len()];
    for (i, shown) in runs.iter().enumerate() {
        if let Some((id, row)) = shown.next_pack(&mut cursors[i])? {
            heads.push(Reverse((id, i, row)));
        }
    }
    while let Some(Reverse((id, i, row))) = heads.pop() {
        if each(id, i, row)?.is_break() {
            break;
        }
        if let Some((id, row)) = runs[i].next_pack(&mut cursors[i])? {
            heads.push(Reverse((id, i, row)));
        }
    }
    Ok(())
}
