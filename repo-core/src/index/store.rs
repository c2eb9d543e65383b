//! The directory of an index: runs as files that several processes share.
//!
//! A run's file is named by the hash of its header, written under another name, and never changed. Which tables a run
//! holds stands in its directory, so that there is no manifest to agree on: a process takes the runs it finds, lets each
//! table count in the largest run that has it, and removes what it has merged into something larger. Processes that
//! race cost each other work, never correctness: a run that vanishes while another process has it mapped stays readable
//! there, and a table that is in no run any more is loaded from the repository again.

use super::layout::PAGE;
use super::merge::{Merge, Source};
use super::region::{Bytes, Residency};
use super::run::Run;
use crate::crypto::random_array;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::id::to_hex;
use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where an index keeps what is too large for memory.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// In files of this directory, which later processes use again; made if it is not there. It is a cache: nothing is
    /// lost if anything in it is damaged or removed at any time, and what cannot be written there spills into unlinked files
    /// of the system's temporary directory.
    Cache(&'a Path),
    /// In unlinked files of this directory, gone with the process.
    Spill(&'a Path),
}

/// How much memory an index may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Runs up to this size are held in memory, larger ones are mapped. All that are held together are at most a third
    /// larger, as sizes of runs fall by four.
    pub heap_run_bytes_max: u64,
    /// Most bytes of mapped runs that stay in this process's resident memory, about; the rest is the system's file cache.
    pub resident_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            heap_run_bytes_max: 8 << 20,
            resident_bytes_max: 256 << 20,
        }
    }
}

/// The extension of a run's file: another version of the layout gets another one.
const EXTENSION: &str = "run1";
/// The extension of a file that is being written.
const TEMPORARY: &str = "tmp";
/// A file that was being written this long ago is left from a process that died.
const TEMPORARY_AGE_MAX_S: i64 = 24 * 60 * 60;

/// The directory.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    /// Where files without a name go that cannot be in `dir`.
    spill_dir: PathBuf,
    keep: bool,
    heap_run_bytes_max: u64,
    residency: Arc<Residency>,
    trouble: Arc<Trouble>,
}

/// What cannot be done in the directory.
#[derive(Debug, Default)]
struct Trouble {
    /// Nothing is written there any more.
    met: AtomicBool,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// The first error, until somebody asks.
    first: Option<Error>,
    /// Files that should have been removed and are there still: they count for nothing.
    condemned: HashSet<PathBuf>,
}

fn io_at(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |cause| Error::io(Subject::Path(path), cause)
}

impl Store {
    /// Opens a place; makes the directory of a cache, with mode 0700.
    pub(super) fn open(place: Place<'_>, limits: Limits) -> Self {
        let (dir, keep, spill_dir) = match place {
            Place::Cache(dir) => (dir, true, std::env::temp_dir()),
            Place::Spill(dir) => (dir, false, dir.to_path_buf()),
        };
        let store = Self {
            dir: dir.to_path_buf(),
            spill_dir,
            keep,
            heap_run_bytes_max: limits.heap_run_bytes_max,
            residency: Residency::new(limits.resident_bytes_max),
            trouble: Arc::default(),
        };
        if keep {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(dir);
            if let Err(cause) = made {
                store.give_up(io_at(dir)(cause).detail("use the cache directory"));
            }
        }
        store
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        let found = self.trouble.found.lock();
        found.unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing is written to the directory.
    fn give_up(&self, error: Error) {
        if !self.trouble.met.swap(true, Ordering::AcqRel) {
            self.found().first = Some(error);
        }
    }

    fn has_given_up(&self) -> bool {
        self.trouble.met.load(Ordering::Acquire)
    }

    /// Why nothing is written to the directory any more; said once.
    pub(super) fn failure(&self) -> Option<Error> {
        self.found().first.take()
    }

    /// The same directory and memory budget for runs that never get a name.
    pub(super) fn spill(&self) -> Self {
        Self {
            dir: self.dir.clone(),
            spill_dir: self.spill_dir.clone(),
            keep: false,
            heap_run_bytes_max: self.heap_run_bytes_max,
            residency: Arc::clone(&self.residency),
            trouble: Arc::clone(&self.trouble),
        }
    }

    /// Opens the runs whose files are not among `known`. What is damaged is removed, and what a dead process left; what cannot
    /// be read is done without.
    pub(super) fn scan(&self, known: &HashSet<PathBuf>) -> Vec<Run> {
        let mut runs = Vec::new();
        for path in self.files() {
            let extension = path.extension().and_then(|e| e.to_str());
            match extension {
                Some(EXTENSION) if !known.contains(&path) => match self.open_run(&path) {
                    Ok(run) => runs.push(run),
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) if e.kind() == ErrorKind::Damaged => self.remove(&path),
                    Err(e) => self.give_up(e.detail("read")),
                },
                Some(TEMPORARY) if is_old(&path) => self.remove(&path),
                _ => {}
            }
        }
        runs
    }

    /// The files of a cache that count.
    fn files(&self) -> Vec<PathBuf> {
        if !self.keep {
            return Vec::new();
        }
        let entries = std::fs::read_dir(&self.dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let absent = |e: &std::io::Error| e.kind() == std::io::ErrorKind::NotFound;
        match entries {
            Ok(entries) => {
                let condemned = &self.found().condemned;
                let paths = entries.iter().map(std::fs::DirEntry::path);
                paths.filter(|path| !condemned.contains(path)).collect()
            }
            Err(e) => {
                if !absent(&e) {
                    self.give_up(io_at(&self.dir)(e).detail("read"));
                }
                Vec::new()
            }
        }
    }

    fn open_run(&self, path: &Path) -> Result<Run> {
        let mut file = File::open(path).map_err(io_at(path))?;
        let len = file.metadata().map_err(io_at(path))?.len();
        let bytes = if len <= self.heap_run_bytes_max {
            let mut bytes = Vec::new();
            let mut limited = (&mut file).take(self.heap_run_bytes_max);
            limited.read_to_end(&mut bytes).map_err(io_at(path))?;
            Bytes::Heap(bytes)
        } else {
            Bytes::map(file).map_err(io_at(path))?
        };
        let header = bytes.as_slice().get(..PAGE);
        let named = header.is_some_and(|header| self.run_path(&blake3::hash(header)) == path);
        if !named {
            let error = Error::damaged(Subject::Path(path.to_path_buf()));
            return Err(error.detail("index cache: another name than its content says"));
        }
        Run::open(bytes, &self.residency, Some(path.to_path_buf()))
    }

    fn run_path(&self, hash: &blake3::Hash) -> PathBuf {
        self.dir.join(format!("{}.{EXTENSION}", hash.to_hex()))
    }

    /// Removes a file of the cache; it may be gone already. One that cannot be removed counts for nothing any more.
    pub(super) fn remove(&self, path: &Path) {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                self.found().condemned.insert(path.to_path_buf());
                self.give_up(io_at(path)(e).detail("remove"));
            }
            _ => {}
        }
    }

    /// Makes one run from `sources`, with all its segments hidden; `None` if it would outgrow its 32-bit counts.
    ///
    /// Memory: at most [`Limits::heap_run_bytes_max`] and what [`Merge::write`] holds.
    pub(super) fn build(&self, sources: &[Source<'_>]) -> Result<Option<Run>> {
        let Some(merge) = Merge::plan(sources) else {
            return Ok(None);
        };
        if self.keep && !self.has_given_up() {
            match self.build_named(&merge) {
                Err(e) if is_of_place(&e) => self.give_up(e),
                done => return done.map(Some),
            }
        }
        if merge.len() > self.heap_run_bytes_max {
            return self
                .somewhere(&|dir| self.build_unlinked(&merge, dir))
                .map(Some);
        }
        let mut out = Cursor::new(Vec::with_capacity(room(&merge)));
        merge.write(&mut out, false)?;
        Run::open(Bytes::Own(out.into_inner()), &self.residency, None).map(Some)
    }

    fn build_named(&self, merge: &Merge<'_>) -> Result<Run> {
        let (mut file, temporary) = temporary(&self.dir)?;
        let failed = |e| self.failed(e, &temporary);
        if merge.len() > self.heap_run_bytes_max {
            let hash = merge.write(&file, true).map_err(failed)?;
            let path = self.publish(&file, &temporary, &hash)?;
            let bytes = Bytes::map(file).map_err(io_at(&path))?;
            return Run::open(bytes, &self.residency, Some(path));
        }
        let mut out = Cursor::new(Vec::with_capacity(room(merge)));
        let hash = merge.write(&mut out, true).map_err(failed)?;
        let bytes = out.into_inner();
        let written = file.write_all(&bytes).map_err(io_at(&temporary));
        written.map_err(failed)?;
        let path = self.publish(&file, &temporary, &hash)?;
        Run::open(Bytes::Own(bytes), &self.residency, Some(path))
    }

    fn build_unlinked(&self, merge: &Merge<'_>, dir: &Path) -> Result<Run> {
        let file = unlinked(dir)?;
        merge.write(&file, true).map_err(|e| match e.kind() {
            ErrorKind::Damaged => e,
            _ => e.about(Subject::Path(dir.to_path_buf())),
        })?;
        let bytes = Bytes::map(file).map_err(io_at(dir))?;
        Run::open(bytes, &self.residency, None)
    }

    /// An unlinked file.
    pub(super) fn unlinked(&self) -> Result<File> {
        self.somewhere(&unlinked)
    }

    /// Does it in the directory, or else where files spill.
    fn somewhere<T>(&self, act: &dyn Fn(&Path) -> Result<T>) -> Result<T> {
        if self.dir != self.spill_dir && !self.has_given_up() {
            match act(&self.dir) {
                Err(e) if is_of_place(&e) => self.give_up(e),
                done => return done,
            }
        }
        act(&self.spill_dir)
    }

    fn failed(&self, error: Error, temporary: &Path) -> Error {
        // The first error says what went wrong; the file is removed by age if it cannot be removed now.
        let _ = std::fs::remove_file(temporary);
        match error.kind() {
            ErrorKind::Damaged => error,
            _ => error.about(Subject::Path(self.dir.clone())),
        }
    }

    /// Gives a complete file its name.
    fn publish(&self, file: &File, temporary: &Path, hash: &blake3::Hash) -> Result<PathBuf> {
        let path = self.run_path(hash);
        let named = file
            .sync_data()
            .and_then(|()| std::fs::rename(temporary, &path));
        match named {
            Ok(()) => Ok(path),
            Err(e) => Err(self.failed(io_at(temporary)(e), temporary)),
        }
    }
}

/// Room for a run that is made in memory, its directory too, so that it does not outgrow its buffer.
fn room(merge: &Merge<'_>) -> usize {
    usize::try_from(merge.len() + merge.len() / 64 + PAGE as u64).unwrap_or(0)
}

/// Whether an error is about where it was to be written, not about what.
fn is_of_place(error: &Error) -> bool {
    error.kind() != ErrorKind::Damaged && error.io_cause().is_some()
}

fn temporary(dir: &Path) -> Result<(File, PathBuf)> {
    let name = format!("{}.{TEMPORARY}", to_hex(&random_array::<16>()));
    let path = dir.join(name);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let file = options.open(&path).map_err(io_at(&path))?;
    Ok((file, path))
}

/// Unlinked at once: whatever happens to this process, nothing is left of it.
fn unlinked(dir: &Path) -> Result<File> {
    let (file, path) = temporary(dir)?;
    std::fs::remove_file(&path).map_err(io_at(&path))?;
    Ok(file)
}

fn is_old(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified());
    modified.is_ok_and(|time| {
        let age = crate::time::now().seconds - crate::time::Timestamp::from(time).seconds;
        age > TEMPORARY_AGE_MAX_S
    })
}
