//! Which pack and block hold which blob.
//!
//! Index tables are merged into a few sorted *runs* of falling size, which are searched in place: in memory while they
//! are small, in mapped files when they are not. A run's directory and two bits for each pack are all that stays in
//! memory, so that 100 million blobs (4.4 GB of rows) take a few megabytes besides the pages the system keeps of the
//! file, and opening reads no rows at all. Which tables are in force is decided by the repository
//! ([`Index::sync`]); the cache may hold more or fewer.

mod by_pack;
mod layout;
mod location;
mod map;
mod merge;
mod pending;
mod region;
mod run;
mod search;
mod store;
mod sync;

#[cfg(test)]
mod tests;

pub use location::{Location, PackRef, Want};
pub use pending::{Pending, Reserve};
pub use store::{Limits, Place};
pub use sync::Synced;

use crate::error::{Error, Result, Subject};
use crate::format::rows::{PackEntry, PackInfo};
use crate::id::{BlobId, IndexId, PackId};
use layout::Section;
use run::{Found, Run};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use store::Store;

/// The index over all tables in force. Shared by all threads of a process; changes are seen by lookups at once.
///
/// Reading returns `Damaged` when the cache turns out to hold other bytes than were written, never a wrong answer:
/// [`Index::sync`] then drops the damaged run and loads its tables again.
#[derive(Debug)]
pub struct Index {
    store: Store,
    runs: Runs,
    /// Held while runs are made or replaced; packs that are not usable, whether a table names them or not.
    unusable: Mutex<HashSet<PackId>>,
}

/// Runs, largest first.
#[derive(Debug, Default)]
struct Runs(RwLock<Vec<Arc<Run>>>);

impl Runs {
    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<Run>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, mut runs: Vec<Arc<Run>>) {
        runs.sort_by_key(|run| Reverse(run.len()));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = runs;
    }

    fn lookup(&self, id: &BlobId, want: Want) -> Result<Option<Location>> {
        let mut best = None;
        for run in self.read().iter() {
            let found = run.find(id, &mut |found| {
                let usable = run.is_usable(found.block.pack);
                if usable || (want == Want::Readable && best.is_none()) {
                    best = Some(location(run, found));
                }
                match usable {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })?;
            if found.is_break() {
                break;
            }
        }
        Ok(best)
    }
}

fn location(run: &Arc<Run>, found: Found) -> Location {
    Location {
        pack: PackRef {
            run: Arc::clone(run),
            row: found.block.pack,
        },
        block: found.block,
        blob_offset: found.blob.offset,
        blob_len: found.blob.len,
    }
}

/// How much an index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs that a lookup of an unknown blob searches.
    pub runs: usize,
    /// Tables in force.
    pub tables: usize,
    /// Rows of packs; a pack that two tables name counts twice.
    pub packs: u64,
    /// Rows of blobs; a blob that lies in two blocks counts twice.
    pub blobs: u64,
    /// Bytes of the runs, in memory or files.
    pub bytes: u64,
}

impl Index {
    /// An index that knows no table yet: [`Index::sync`] or [`Index::add_table`] bring them.
    pub fn open(place: Place<'_>) -> Result<Self> {
        Self::open_with(place, Limits::default())
    }

    /// As [`Index::open`], with other limits.
    pub fn open_with(place: Place<'_>, limits: Limits) -> Result<Self> {
        Ok(Self {
            store: Store::open(place, limits)?,
            runs: Runs::default(),
            unusable: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<PackId>> {
        self.unusable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of a blob; `None` if there is none that will do.
    ///
    /// Allocates nothing. One search for each run, about a microsecond in all when the pages are in memory.
    pub fn lookup(&self, id: &BlobId, want: Want) -> Result<Option<Location>> {
        self.runs.lookup(id, want)
    }

    /// Calls `each` with every copy of a blob, in live packs or not, until it breaks.
    pub fn copies(
        &self,
        id: &BlobId,
        each: &mut dyn FnMut(Location) -> ControlFlow<()>,
    ) -> Result<()> {
        let runs: Vec<_> = self.runs.read().clone();
        for run in &runs {
            let mut each = |found| each(location(run, found));
            if run.find(id, &mut each)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The pack that a blob lies in.
    pub fn pack_of(&self, location: &Location) -> Result<PackInfo> {
        location.pack.run.pack(location.pack.row)
    }

    /// The id of the pack that a blob lies in, without its wrap table.
    pub fn pack_id_of(&self, location: &Location) -> Result<PackId> {
        Ok(location.pack.run.pack_row(location.pack.row)?.id)
    }

    /// Whether something new may refer to blobs of that pack.
    pub fn is_live(&self, location: &Location) -> bool {
        location.pack.run.is_usable(location.pack.row)
    }

    /// The bases of a blob's block, in their order; empty if it is no delta block.
    pub fn bases(&self, location: &Location) -> Result<Vec<BlobId>> {
        location.pack.run.bases(&location.block)
    }

    /// A pack by its id; `None` if no table in force names it.
    pub fn pack(&self, id: &PackId) -> Result<Option<PackInfo>> {
        for run in self.runs.read().iter() {
            let mut found = None;
            run.rows_of_pack(id, &mut |row| {
                if run.has_pack(row) && found.is_none() {
                    found = Some(run.pack(row)?);
                }
                Ok(())
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Calls `each` with every pack once, sorted by id, and whether something new may refer to it, until it breaks.
    pub fn packs(
        &self,
        each: &mut dyn FnMut(PackInfo, bool) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let runs: Vec<_> = self.runs.read().clone();
        let mut heads = BinaryHeap::new();
        let mut cursors: Vec<u32> = vec![0; runs.len()];
        for (i, run) in runs.iter().enumerate() {
            if let Some((id, row)) = run.next_pack(&mut cursors[i])? {
                heads.push(Reverse((id, i, row)));
            }
        }
        let mut before = None;
        while let Some(Reverse((id, i, row))) = heads.pop() {
            if before != Some(id) && each(runs[i].pack(row)?, runs[i].is_usable(row))?.is_break() {
                break;
            }
            before = Some(id);
            if let Some((id, row)) = runs[i].next_pack(&mut cursors[i])? {
                heads.push(Reverse((id, i, row)));
            }
        }
        Ok(())
    }

    /// Everything the index says of a pack, as its directory should say it; `None` if no table in force names it. Blobs
    /// are sorted by block and offset.
    ///
    /// The first call for a run sorts its blob rows by pack: one pass over them, or one for each 16 million; 4 bytes a
    /// blob, in an unlinked file if that is more than 8 MiB.
    pub fn pack_entry(&self, id: &PackId) -> Result<Option<PackEntry>> {
        let runs: Vec<_> = self.runs.read().clone();
        let mut whole: Option<PackEntry> = None;
        for run in &runs {
            let mut rows = Vec::new();
            run.rows_of_pack(id, &mut |row| {
                rows.extend(run.has_pack(row).then_some(row));
                Ok(())
            })?;
            for row in rows {
                let part = run.pack_entry(row, &self.store)?;
                match &mut whole {
                    None => whole = Some(part),
                    Some(whole) => by_pack::join(whole, part),
                }
            }
        }
        Ok(whole)
    }

    /// Calls `each` with every copy of every blob until it breaks; sorted by id within each of a few runs.
    pub fn for_each_blob(
        &self,
        each: &mut dyn FnMut(BlobId, Location) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let runs: Vec<_> = self.runs.read().clone();
        for run in &runs {
            let mut visible = |_: u32, found: Found| match run.has_pack(found.block.pack) {
                true => each(found.blob.id, location(run, found)),
                false => Ok(ControlFlow::Continue(())),
            };
            if run.for_each_blob(&mut visible)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Says whether something new may refer to blobs of a pack; true for every pack until it is said otherwise. Holds
    /// for tables that come later too. 40 bytes for each pack that is not usable.
    pub fn set_usable(&self, id: &PackId, usable: bool) -> Result<()> {
        let mut unusable = self.lock();
        match usable {
            true => unusable.remove(id),
            false => unusable.insert(*id),
        };
        for run in self.runs.read().iter() {
            mark(run, id, usable)?;
        }
        Ok(())
    }

    /// Whether a table is in force and in the index.
    pub fn contains_table(&self, id: &IndexId) -> bool {
        self.runs.read().iter().any(|run| {
            let mut segments = run.segments().iter().enumerate();
            segments.any(|(i, segment)| segment.origin == id.0 && run.is_visible(i))
        })
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        let runs = self.runs.read();
        let mut counts = Counts {
            runs: runs.len(),
            ..Counts::default()
        };
        for run in runs.iter() {
            counts.bytes += run.len();
            for (_, segment) in run.visible_segments() {
                counts.tables += 1;
                counts.packs += u64::from(segment.counts[Section::Packs as usize]);
                counts.blobs += u64::from(segment.counts[Section::Blobs as usize]);
            }
        }
        counts
    }

    /// Reservations and packs of one writer.
    pub fn pending(&self) -> Pending {
        Pending::new(self.store.spill())
    }
}

fn mark(run: &Run, id: &PackId, usable: bool) -> Result<()> {
    run.rows_of_pack(id, &mut |row| {
        run.set_usable(row, usable);
        Ok(())
    })
}

fn table_error(id: &IndexId) -> impl FnOnce(Error) -> Error {
    let id = *id;
    move |error| error.about(Subject::Index(id))
}
