//! Bringing an index up to the tables in force, and keeping its runs few.

use super::layout::{Section, Segment};
use super::merge::Source;
use super::run::Run;
use super::shown::Shown;
use super::store::Store;
use super::{Index, Runs, mark, table_error};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::table::TableView;
use crate::id::{ID_LEN, IndexId, PackId};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// Bytes of tables that are held in memory before they become a run.
const BATCH_BYTES: usize = 32 << 20;

/// A run is kept as it is while it is so many times as large as all smaller ones together: then there are at most
/// log₄ of them, and each row is merged about as often.
const TIER: u64 = 4;

/// Runs below this size are taken for that large: merging them costs next to nothing.
const TIER_FLOOR: u64 = 256 << 10;

/// What [`Index::sync`] did.
#[derive(Debug, Default)]
pub struct Synced {
    /// Tables that were loaded; the others were in the cache.
    pub loaded: usize,
    /// Tables in force that could not be had: missing or damaged. The index works without them, incomplete.
    pub failed: Vec<(IndexId, Error)>,
}

impl Index {
    /// Makes exactly the tables `in_force` count, loading those that are not in the cache, in the order of their ids.
    ///
    /// `load` returns a table's body, verified and opened. Its errors of the kinds `Missing`, `NotFound`, `Damaged` and
    /// `Unsupported` are collected; any other ends the sync with the tables in force before, and what was loaded so far
    /// is not loaded again. Lookups go on meanwhile and see either state; `load` may not change the index. Tables that a writer
    /// has added and not committed must be among `in_force` to stay. Memory: 32 MiB and the largest table.
    pub fn sync(
        &self,
        in_force: &BTreeSet<IndexId>,
        load: &mut dyn FnMut(&IndexId) -> Result<Vec<u8>>,
    ) -> Result<Synced> {
        let unusable = self.lock();
        let mut synced = Synced::default();
        loop {
            self.drop_damaged();
            let done = self.sync_once(&unusable, in_force, load, &mut synced);
            // A damaged run cannot be found twice, so this ends.
            if done.is_ok() || !self.is_damaged() {
                return done.map(|()| synced);
            }
        }
    }

    fn sync_once(
        &self,
        unusable: &HashSet<PackId>,
        in_force: &BTreeSet<IndexId>,
        load: &mut dyn FnMut(&IndexId) -> Result<Vec<u8>>,
        synced: &mut Synced,
    ) -> Result<()> {
        let mut runs = self.snapshot();
        let old = runs.len();
        let mut missing = missing(&runs, in_force);
        if !missing.is_empty() {
            let known = runs.iter().filter_map(|shown| shown.run.file().cloned());
            let found = self.store.scan(&known.collect());
            runs.extend(found.into_iter().map(|run| Shown::none(Arc::new(run))));
            missing = self::missing(&runs, in_force);
        }
        let loaded = load_all(&self.store, &missing, load, synced, &mut runs);
        // What was loaded stays, hidden, whatever happens from here on.
        self.runs.set(runs.clone());
        loaded?;
        for new in &runs[old..] {
            apply(&new.run, unusable)?;
        }
        self.runs.set(choose(runs, in_force));
        tidy(&self.runs, &self.store, unusable)
    }

    /// Tables of `in_force` that the index does not have, in the order in which [`Index::sync`] will load them, unless
    /// another process brings them into the cache before.
    pub fn missing(&self, in_force: &BTreeSet<IndexId>) -> Vec<IndexId> {
        missing(&self.runs.read(), in_force)
    }

    /// Adds a table by its body. `Damaged` if it is no valid table. A table that is there already is not added again.
    pub fn add_table(&self, id: IndexId, body: &[u8]) -> Result<()> {
        let unusable = self.lock();
        if self.contains_table(&id) {
            return Ok(());
        }
        let mut runs = self.snapshot();
        let segment = |shown: &Shown| shown.run.segment_of(&id.0);
        match runs
            .iter_mut()
            .find_map(|shown| Some((segment(shown)?, shown)))
        {
            Some((segment, shown)) => *shown = shown.with(segment, true),
            None => {
                let view = TableView::parse(body).map_err(table_error(&id))?;
                let source = Source::Table { origin: id.0, view };
                let run = build(&self.store, &[source])?;
                apply(&run, &unusable)?;
                runs.push(Shown::all(Arc::new(run)));
            }
        }
        self.runs.set(runs);
        match tidy(&self.runs, &self.store, &unusable) {
            // The table is there; the next sync puts the cache right.
            Err(_) if self.is_damaged() => Ok(()),
            done => done,
        }
    }

    /// Takes a table out of the index; the cache may go on holding it.
    pub fn remove_table(&self, id: &IndexId) {
        let _unusable = self.lock();
        let hide = |shown: Shown| match shown.run.segment_of(&id.0) {
            Some(segment) => shown.with(segment, false),
            None => shown,
        };
        self.runs
            .set(self.snapshot().into_iter().map(hide).collect());
    }

    /// Takes these tables out of the index and out of the cache: the next [`Index::sync`] loads them again, and others that lay
    /// beside them, or says that they cannot be had.
    #[cfg(test)]
    pub fn forget_tables(&self, ids: &[IndexId]) -> Result<()> {
        let _unusable = self.lock();
        let has = |shown: &Shown| ids.iter().any(|id| shown.run.segment_of(&id.0).is_some());
        let (with, without): (Vec<_>, Vec<_>) = self.snapshot().into_iter().partition(has);
        for file in with.iter().filter_map(|shown| shown.run.file()) {
            self.store.remove(file);
        }
        self.runs.set(without);
        Ok(())
    }

    /// Whether some run has turned out to be damaged: until the next [`Index::sync`], lookups may fail.
    pub fn is_damaged(&self) -> bool {
        self.runs.read().iter().any(|shown| shown.run.is_damaged())
    }

    /// Forgets the runs that turned out to be damaged and removes their files.
    fn drop_damaged(&self) {
        let (damaged, sound): (Vec<_>, Vec<_>) = self
            .snapshot()
            .into_iter()
            .partition(|shown| shown.run.is_damaged());
        for file in damaged.iter().filter_map(|shown| shown.run.file()) {
            self.store.remove(file);
        }
        if !damaged.is_empty() {
            self.runs.set(sound);
        }
    }
}

/// Merges runs until their sizes fall steeply, leaving out what is hidden, and removes what nobody needs.
pub(super) fn tidy(runs: &Runs, store: &Store, unusable: &HashSet<PackId>) -> Result<()> {
    let before: Vec<_> = runs.read().clone();
    let (mut old, mut new): (Vec<_>, Vec<_>) = before.into_iter().partition(Shown::is_empty);
    for group in to_merge(&mut new) {
        let sources: Vec<_> = group.iter().map(Source::Run).collect();
        match store.build(&sources)? {
            Some(run) => {
                apply(&run, unusable)?;
                new.push(Shown::all(Arc::new(run)));
                old.extend(group);
            }
            // Too many rows for one run: they stay as they are.
            None => new.extend(group),
        }
    }
    let file = |shown: &Shown| shown.run.file().cloned();
    let files: HashSet<_> = new.iter().filter_map(file).collect();
    runs.set(new);
    for file in old.iter().filter_map(file) {
        if !files.contains(&file) {
            store.remove(&file);
        }
    }
    Ok(())
}

/// Takes out of `runs`, which are sorted by falling size, what should become one run each.
fn to_merge(runs: &mut Vec<Shown>) -> Vec<Vec<Shown>> {
    let sizes: Vec<_> = runs.iter().map(|shown| shown.run.len()).collect();
    let small = match keep(&sizes) {
        keep if keep + 1 < runs.len() => runs.split_off(keep),
        _ => Vec::new(),
    };
    let sparse = runs.extract_if(.., |shown| is_sparse(shown));
    let mut groups: Vec<_> = sparse.map(|shown| vec![shown]).collect();
    groups.extend((!small.is_empty()).then_some(small));
    groups
}

/// How many of the runs of these falling sizes stay as they are.
fn keep(sizes: &[u64]) -> usize {
    let mut keep = sizes.len();
    let mut smaller = 0;
    for (i, size) in sizes.iter().enumerate().rev() {
        let size = (*size).max(TIER_FLOOR);
        if size < TIER * smaller {
            keep = i;
        }
        smaller += size;
    }
    keep
}

/// Whether more than half of a run's blobs are hidden.
fn is_sparse(shown: &Shown) -> bool {
    let blobs = |segment: &Segment| u64::from(segment.counts[Section::Blobs as usize]);
    2 * shown.segments().map(blobs).sum::<u64>() < u64::from(shown.run.count(Section::Blobs))
}

fn missing(runs: &[Shown], in_force: &BTreeSet<IndexId>) -> Vec<IndexId> {
    let segments = runs.iter().flat_map(|shown| shown.run.segments());
    let present: HashSet<_> = segments.map(|segment| segment.origin).collect();
    let missing = in_force.iter().filter(|id| !present.contains(&id.0));
    missing.copied().collect()
}

/// Lets each table in force count in the largest run that has it, and nothing else.
fn choose(mut runs: Vec<Shown>, in_force: &BTreeSet<IndexId>) -> Vec<Shown> {
    runs.sort_by_key(|shown| Reverse(shown.run.len()));
    let mut seen = HashSet::new();
    let mut counts =
        |_, origin: &[u8; ID_LEN]| in_force.contains(&IndexId(*origin)) && seen.insert(*origin);
    runs.into_iter()
        .map(|shown| Shown::choose(shown.run, &mut counts))
        .collect()
}

/// Marks the unusable packs of a run that is not in use yet.
fn apply(run: &Run, unusable: &HashSet<PackId>) -> Result<()> {
    unusable.iter().try_for_each(|id| mark(run, id, false))
}

pub(super) fn build(store: &Store, sources: &[Source<'_>]) -> Result<Run> {
    store.build(sources)?.ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, Subject::None)
            .detail("an index table with more rows than one run holds")
    })
}

/// Loads tables and makes hidden runs of them, [`BATCH_BYTES`] at a time.
fn load_all(
    store: &Store,
    ids: &[IndexId],
    load: &mut dyn FnMut(&IndexId) -> Result<Vec<u8>>,
    synced: &mut Synced,
    runs: &mut Vec<Shown>,
) -> Result<()> {
    let mut batch: Vec<(IndexId, Vec<u8>)> = Vec::new();
    let mut bytes = 0;
    let mut outcome = Ok(());
    for id in ids {
        let body = load(id).and_then(|body| {
            TableView::parse(&body).map_err(table_error(id))?;
            Ok(body)
        });
        match body {
            Ok(body) => {
                bytes += body.len();
                batch.push((*id, body));
            }
            Err(e) if is_of_table(e.kind()) => synced.failed.push((*id, e)),
            Err(e) => {
                outcome = Err(e);
                break;
            }
        }
        if bytes >= BATCH_BYTES {
            synced.loaded += batch.len();
            runs.push(Shown::none(Arc::new(build_batch(store, &batch)?)));
            batch.clear();
            bytes = 0;
        }
    }
    if !batch.is_empty() {
        synced.loaded += batch.len();
        runs.push(Shown::none(Arc::new(build_batch(store, &batch)?)));
    }
    outcome
}

/// Whether an error is about one table rather than about the place or the run.
fn is_of_table(kind: ErrorKind) -> bool {
    use ErrorKind::{Damaged, Missing, NotFound, Unsupported};
    matches!(kind, Damaged | Missing | NotFound | Unsupported)
}

fn build_batch(store: &Store, batch: &[(IndexId, Vec<u8>)]) -> Result<Run> {
    let sources: Vec<_> = batch
        .iter()
        .map(|(id, body)| {
            let view = TableView::parse(body)?;
            Ok(Source::Table { origin: id.0, view })
        })
        .collect::<Result<_>>()?;
    build(store, &sources)
}
