//! Blobs on their way: reserved by one thread of a writer, in a pack that no table names yet.

use super::layout::Section;
use super::location::{Location, Want};
use super::merge::Source;
use super::shown::Shown;
use super::store::Store;
use super::sync::{build, tidy};
use super::{Index, Runs, table_error};
use crate::error::Result;
use crate::format::rows::PackEntry;
use crate::format::table::{TableBuilder, TableView};
use crate::id::{BlobId, IndexId};
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reserved ids are spread over so many locks.
const SHARDS: usize = 16;

/// The answer to a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserve {
    /// It is stored in a live pack, or in one that this writer has written.
    Stored(Location),
    /// Another caller of this writer has reserved it and not written it yet.
    OnItsWay,
    /// The caller has it now and must write it.
    New,
}

/// A hasher for ids, which are hashes already: takes their last eight bytes, as the first one chooses the shard.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*last);
        }
    }
}

type IdSet = HashSet<BlobId, BuildHasherDefault<IdHasher>>;

/// What one writer has reserved and written since the last table it added. Shared by its threads; dropped, everything
/// in it is forgotten.
///
/// Memory: about 40 to 75 bytes for each id that is reserved and not written yet; packs that are written lie in runs like
/// those of the index, and beyond 8 MiB in unlinked files.
#[derive(Debug)]
pub struct Pending {
    shards: [Mutex<IdSet>; SHARDS],
    store: Store,
    runs: Runs,
    /// Held while runs are made or replaced.
    work: Mutex<()>,
    /// Counts how often blobs moved from one place to another.
    moves: AtomicU64,
}

impl Pending {
    pub(super) fn new(store: Store) -> Self {
        Self {
            shards: Default::default(),
            store,
            runs: Runs::default(),
            work: Mutex::default(),
            moves: AtomicU64::new(0),
        }
    }

    fn shard(&self, id: &BlobId) -> MutexGuard<'_, IdSet> {
        let shard = &self.shards[usize::from(id.0[0]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a blob for the caller unless it is stored or on its way.
    ///
    /// Of any number of concurrent callers exactly one gets [`Reserve::New`]; it must write the blob, in a pack that is
    /// then given to [`Pending::add_pack`], or [`Pending::release`] it. Only live packs of the index count as stored.
    pub fn reserve(&self, index: &Index, id: &BlobId) -> Result<Reserve> {
        let moves = self.moves.load(Ordering::SeqCst);
        if let Some(location) = self.lookup(index, id, Want::Live)? {
            return Ok(Reserve::Stored(location));
        }
        let mut shard = self.shard(id);
        if shard.contains(id) {
            return Ok(Reserve::OnItsWay);
        }
        // Since the lookup it may have been written: then something has moved before its reservation ended.
        if moves != self.moves.load(Ordering::SeqCst)
            && let Some(location) = self.lookup(index, id, Want::Live)?
        {
            return Ok(Reserve::Stored(location));
        }
        shard.insert(*id);
        Ok(Reserve::New)
    }

    /// Gives up a reservation: the next caller gets it.
    pub fn release(&self, id: &BlobId) {
        self.shard(id).remove(id);
    }

    /// How many blobs are reserved and not in a pack yet.
    pub fn reserved(&self) -> usize {
        let len = |shard: &Mutex<IdSet>| shard.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.shards.iter().map(len).sum()
    }

    /// A copy of a blob, in the index or in a pack of this writer.
    pub fn lookup(&self, index: &Index, id: &BlobId, want: Want) -> Result<Option<Location>> {
        let has_base = |base: &BlobId| Ok(self.whole_copy(index, base)?.is_some());
        if let Some(location) = self.runs.lookup(id, want, &has_base)? {
            return Ok(Some(location));
        }
        index.runs.lookup(id, want, &has_base)
    }

    /// A copy of a blob in a block without bases, in a live pack of the index or in one of this writer.
    pub fn whole_copy(&self, index: &Index, id: &BlobId) -> Result<Option<Location>> {
        match self.runs.whole_copy(id, Want::Live)? {
            Some(location) => Ok(Some(location)),
            None => index.whole_copy(id, Want::Live),
        }
    }

    /// Adds a pack that is written and in no table yet: its blobs are stored now, their reservations end. `Damaged` if
    /// the entry does not fit together.
    pub fn add_pack(&self, entry: &PackEntry) -> Result<()> {
        let mut table = TableBuilder::new();
        table.add_pack(entry)?;
        let body = table.finish();
        let view = TableView::parse(&body)?;
        let origin = entry.id.0;
        {
            let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            let run = build(&self.store, &[Source::Table { origin, view }])?;
            let mut runs: Vec<_> = self.runs.read().clone();
            runs.push(Shown::all(Arc::new(run)));
            self.runs.set(runs);
            tidy(&self.runs, &self.store, &HashSet::new())?;
        }
        self.moves.fetch_add(1, Ordering::SeqCst);
        entry.blobs.iter().for_each(|blob| self.release(&blob.id));
        Ok(())
    }

    /// Adds a table to the index that names packs of this writer, which are forgotten here.
    pub fn add_table(&self, index: &Index, id: IndexId, body: &[u8]) -> Result<()> {
        index.add_table(id, body)?;
        self.moves.fetch_add(1, Ordering::SeqCst);
        let view = TableView::parse(body).map_err(table_error(&id))?;
        let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let mut named = HashSet::new();
        for pack in view.packs.iter() {
            named.insert(pack?.id.0);
        }
        let forget = |shown: &Shown| {
            Shown::choose(Arc::clone(&shown.run), |i, origin| {
                shown.is_shown(i) && !named.contains(origin)
            })
        };
        let runs = self.runs.read().iter().map(forget).collect();
        self.runs.set(runs);
        tidy(&self.runs, &self.store, &HashSet::new())
    }

    /// How many packs are in no table yet.
    pub fn packs(&self) -> usize {
        let runs = self.runs.read();
        let segments = runs.iter().flat_map(Shown::segments);
        segments
            .map(|segment| segment.counts[Section::Packs as usize] as usize)
            .sum()
    }
}
