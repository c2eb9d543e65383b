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
mod marks;
mod merge;
mod pending;
mod picture;
mod region;
mod run;
mod search;
mod shown;
mod store;
mod sync;

#[cfg(test)]
mod tests;

pub use location::{Location, PackRef, Want};
pub use marks::Marks;
pub use pending::{Pending, Reserve};
pub use picture::{BlockAt, Picture, PictureMarks};
pub use store::{Limits, Place};
pub use sync::Synced;

use crate::error::{Error, Result, Subject};
use crate::format::rows::{PackEntry, PackInfo};
use crate::id::{BlobId, IndexId, PackId};
use layout::Section;
use run::{Found, Run};
use shown::Shown;
use std::cmp::Reverse;
use std::collections::HashSet;
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
struct Runs(RwLock<Vec<Shown>>);

impl Runs {
    fn read(&self) -> RwLockReadGuard<'_, Vec<Shown>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, mut runs: Vec<Shown>) {
        runs.sort_by_key(|shown| Reverse(shown.run.len()));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = runs;
    }

    /// A copy of a blob: a whole one that is live, else a live one in a block with bases of which `has_base` is true, else
    /// for [`Want::Readable`] any.
    fn lookup(
        &self,
        id: &BlobId,
        want: Want,
        has_base: &dyn Fn(&BlobId) -> Result<bool>,
    ) -> Result<Option<Location>> {
        let (mut best, mut deltas) = (None, Vec::new());
        for shown in self.read().iter() {
            let found = shown.find(id, &mut |found| {
                let usable = shown.run.is_usable(found.block.pack);
                if usable && found.block.base_count > 0 {
                    deltas.push(location(&shown.run, found));
                    return ControlFlow::Continue(());
                }
                if usable || (want == Want::Readable && best.is_none()) {
                    best = Some(location(&shown.run, found));
                }
                match usable {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })?;
            if found.is_break() {
                return Ok(best);
            }
        }
        for delta in deltas {
            let bases = delta.pack.run.bases(&delta.block)?;
            let mut complete = true;
            for base in &bases {
                complete = complete && has_base(base)?;
            }
            if complete {
                return Ok(Some(delta));
            }
            if want == Want::Readable && best.is_none() {
                best = Some(delta);
            }
        }
        Ok(best)
    }

    /// A copy of a blob in a block without bases.
    fn whole_copy(&self, id: &BlobId, want: Want) -> Result<Option<Location>> {
        let mut best = None;
        for shown in self.read().iter() {
            let found = shown.find(id, &mut |found| {
                let usable = shown.run.is_usable(found.block.pack);
                let will_do = usable || (want == Want::Readable && best.is_none());
                if found.block.base_count == 0 && will_do {
                    best = Some(location(&shown.run, found));
                    if usable {
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
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
            store: Store::open(place, limits),
            runs: Runs::default(),
            unusable: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<PackId>> {
        self.unusable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of a blob; `None` if there is none that will do. One in a block with bases is live only if each base has a
    /// whole copy that is.
    ///
    /// One search for each run, about a microsecond in all when the pages are in memory, and as much again for each base
    /// of a block that has some. Allocates nothing for one that has none.
    pub fn lookup(&self, id: &BlobId, want: Want) -> Result<Option<Location>> {
        let has_base = |base: &BlobId| Ok(self.whole_copy(base, Want::Live)?.is_some());
        self.runs.lookup(id, want, &has_base)
    }

    /// A copy of a blob in a block without bases, as the bases of other blocks need it; `None` if there is none that will do.
    pub fn whole_copy(&self, id: &BlobId, want: Want) -> Result<Option<Location>> {
        self.runs.whole_copy(id, want)
    }

    /// Whether any block has bases.
    pub fn has_deltas(&self) -> bool {
        let runs = self.runs.read();
        let mut segments = runs.iter().flat_map(Shown::segments);
        segments.any(|segment| segment.counts[Section::Bases as usize] > 0)
    }

    /// Every copy of a blob, in live packs or not.
    pub fn copies(&self, id: &BlobId) -> Result<Vec<Location>> {
        let mut copies = Vec::new();
        for shown in self.snapshot() {
            let _: ControlFlow<()> = shown.find(id, &mut |found| {
                copies.push(location(&shown.run, found));
                ControlFlow::Continue(())
            })?;
        }
        Ok(copies)
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
        for shown in self.runs.read().iter() {
            if let Some(row) = shown.rows_of_pack(id)?.first() {
                return shown.run.pack(*row).map(Some);
            }
        }
        Ok(None)
    }

    /// Calls `each` with every pack once, sorted by id, and whether something new may refer to it, until it breaks.
    pub fn packs(
        &self,
        each: &mut dyn FnMut(PackInfo, bool) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let runs = self.snapshot();
        let mut before = None;
        shown::packs_by_id(&runs.iter().collect::<Vec<_>>(), &mut |id, i, row| {
            let new = before.replace(id) != Some(id);
            match new {
                true => each(runs[i].run.pack(row)?, runs[i].run.is_usable(row)),
                false => Ok(ControlFlow::Continue(())),
            }
        })
    }

    /// Everything the index says of a pack, as its directory should say it; `None` if no table in force names it. Blobs
    /// are sorted by block and offset.
    ///
    /// The first call for a run sorts its blob rows by pack: one pass over them, or one for each 16 million; 4 bytes a
    /// blob, in an unlinked file if that is more than 8 MiB.
    pub fn pack_entry(&self, id: &PackId) -> Result<Option<PackEntry>> {
        let mut whole: Option<PackEntry> = None;
        for shown in self.snapshot() {
            for row in shown.rows_of_pack(id)? {
                let part = shown.run.pack_entry(row, &self.store)?;
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
        for shown in self.snapshot() {
            let mut each = |found: Found| each(found.blob.id, location(&shown.run, found));
            if shown.for_each_blob(&mut each)?.is_break() {
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
        self.mark_everywhere(id, usable)
    }

    /// Says which packs nothing new may refer to; all others are usable again. As many searches as there are changes.
    pub fn set_unusable(&self, packs: HashSet<PackId>) -> Result<()> {
        let mut unusable = self.lock();
        let before = std::mem::replace(&mut *unusable, packs);
        for id in unusable.difference(&before) {
            self.mark_everywhere(id, false)?;
        }
        for id in before.difference(&unusable) {
            self.mark_everywhere(id, true)?;
        }
        Ok(())
    }

    fn mark_everywhere(&self, id: &PackId, usable: bool) -> Result<()> {
        let runs = self.snapshot();
        runs.iter()
            .try_for_each(|shown| mark(&shown.run, id, usable))
    }

    /// The runs as they are now.
    fn snapshot(&self) -> Vec<Shown> {
        self.runs.read().clone()
    }

    /// Whether a table is in force and in the index.
    pub fn contains_table(&self, id: &IndexId) -> bool {
        let runs = self.runs.read();
        let mut segments = runs.iter().flat_map(Shown::segments);
        segments.any(|segment| segment.origin == id.0)
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        let runs = self.runs.read();
        let mut counts = Counts {
            runs: runs.len(),
            ..Counts::default()
        };
        for shown in runs.iter() {
            counts.bytes += shown.run.len();
            for segment in shown.segments() {
                counts.tables += 1;
                counts.packs += u64::from(segment.counts[Section::Packs as usize]);
                counts.blobs += u64::from(segment.counts[Section::Blobs as usize]);
            }
        }
        counts
    }

    /// Why the cache, or part of it, is not used any more, said once: nothing is lost by that but time.
    pub fn cache_failure(&self) -> Option<Error> {
        self.store.failure()
    }

    /// Reservations and packs of one writer.
    pub fn pending(&self) -> Pending {
        Pending::new(self.store.spill())
    }
}

fn mark(run: &Run, id: &PackId, usable: bool) -> Result<()> {
    for row in run.rows_of_pack(id)? {
        run.set_usable(row, usable);
    }
    Ok(())
}

fn table_error(id: &IndexId) -> impl FnOnce(Error) -> Error {
    let id = *id;
    move |error| error.about(Subject::Index(id))
}
