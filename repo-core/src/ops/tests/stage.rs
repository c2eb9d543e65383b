//! A snapshot that is restored to the same target again and again, and what becomes of every item.

use super::support::*;
use crate::backend::wrap::{Counting, Operation};
use crate::id::SnapshotId;
use crate::ops::restore::restore_by;
use crate::ops::{RestoreOptions, RestoreSummary};
use crate::progress::{Counter, Interrupt, Outcome, Progress};
use crate::repo::Repo;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Remembers what became of every item.
#[derive(Default)]
pub struct Items {
    problems: Mutex<Vec<String>>,
    items: Mutex<Vec<(Outcome, String)>>,
    counted: Mutex<Vec<(Counter, u64)>>,
}

impl Items {
    /// The items of one outcome, sorted.
    pub fn of(&self, outcome: Outcome) -> Vec<String> {
        let items = self.items.lock().unwrap();
        let found = items.iter().filter(|(one, _)| *one == outcome);
        let mut found: Vec<String> = found.map(|(_, path)| path.clone()).collect();
        found.sort();
        found
    }

    /// How much was counted of this.
    pub fn counted(&self, counter: Counter) -> u64 {
        let counted = self.counted.lock().unwrap();
        let of = counted.iter().filter(|(one, _)| *one == counter);
        of.map(|(_, by)| by).sum()
    }

    /// The problems so far, a line each.
    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap().clone()
    }
}

impl Progress for Items {
    fn count(&self, counter: Counter, by: u64) {
        self.counted.lock().unwrap().push((counter, by));
    }

    fn problem(&self, path: &Path, error: &crate::Error) {
        let line = format!("{}: {error}", path.display());
        self.problems.lock().unwrap().push(line);
    }

    fn wants_items(&self) -> bool {
        true
    }

    fn item(&self, outcome: Outcome, path: &Path, _: Option<u64>) {
        let path = path.display().to_string();
        self.items.lock().unwrap().push((outcome, path));
    }
}

/// A snapshot, and a target that it is restored to again and again.
pub struct Stage {
    /// Where it comes from.
    pub bed: Bed,
    /// The repository.
    pub repo: Repo,
    /// The snapshot.
    pub id: SnapshotId,
    /// Where it goes.
    pub target: TempDir,
    counting: Arc<Counting>,
}

/// What a restore did.
pub struct Done {
    /// Its numbers.
    pub summary: RestoreSummary,
    /// What became of every item.
    pub items: Items,
}

impl Stage {
    /// The snapshot of a bed, restored once.
    pub fn of(bed: Bed) -> Self {
        let stage = Self::empty(bed);
        let done = stage.restore(&RestoreOptions::default());
        assert_eq!(done.items.problems(), [""; 0]);
        stage
    }

    /// The snapshot of a bed, and an empty target.
    pub fn empty(bed: Bed) -> Self {
        let counting = Arc::new(Counting::new(Arc::new(bed.place.clone())));
        let repo = bed.open_on(counting.clone()).unwrap();
        let id = bed.backup(&repo).unwrap().snapshot.unwrap();
        Self {
            bed,
            repo,
            id,
            target: tempfile::tempdir().unwrap(),
            counting,
        }
    }

    /// Restores what was the source.
    pub fn restore(&self, options: &RestoreOptions) -> Done {
        self.restore_by(options, 1 << 19)
    }

    /// The same with windows of so many pieces.
    pub fn restore_by(&self, options: &RestoreOptions, pieces_max: usize) -> Done {
        let options = RestoreOptions {
            subfolder: Some(self.bed.source()),
            ..options.clone()
        };
        let items = Items::default();
        let part = (&self.id, pieces_max);
        let never = Interrupt::new();
        let summary = restore_by(
            &self.repo,
            part,
            self.target.path(),
            &options,
            &items,
            &never,
        );
        let summary = summary.unwrap();
        Done { summary, items }
    }

    /// The same, asked to stop after so many bytes.
    pub fn restore_stopped(&self, options: &RestoreOptions, bytes: u64) {
        let options = RestoreOptions {
            subfolder: Some(self.bed.source()),
            ..options.clone()
        };
        let stop = Interrupt::new();
        let stopper = StopAfter(&stop, Mutex::new(bytes));
        let part = (&self.id, 1 << 19);
        let target = self.target.path();
        let stopped = restore_by(&self.repo, part, target, &options, &stopper, &stop);
        assert_eq!(stopped.unwrap_err().kind(), crate::ErrorKind::Interrupted);
    }

    /// A path in the target.
    pub fn at(&self, name: &str) -> PathBuf {
        self.target.path().join(name)
    }

    /// How many blocks of data are read while `work` is done.
    pub fn reads_of(&self, work: impl FnOnce()) -> u64 {
        let count = || self.counting.of(Operation::GetRange, "data").calls;
        let before = count();
        work();
        count() - before
    }

    /// Panics unless the target is as the source was.
    pub fn assert_restored(&self) {
        assert_same(&describe(self.target.path()), &self.bed.tree());
    }
}

/// Asks to stop after so many bytes.
struct StopAfter<'a>(&'a Interrupt, Mutex<u64>);

impl Progress for StopAfter<'_> {
    fn count(&self, counter: Counter, by: u64) {
        let mut left = self.1.lock().unwrap();
        if counter == Counter::Bytes {
            *left = left.saturating_sub(by);
            if *left == 0 {
                self.0.set();
            }
        }
    }

    fn problem(&self, path: &Path, error: &crate::Error) {
        panic!("{}: {error}", path.display());
    }
}

/// The number of an inode.
pub fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// Some directories, a large file, small ones, a link, a pipe.
pub fn bed() -> Bed {
    let bed = Bed::new();
    bed.write("dir/large", &noise(1, 3 << 20));
    bed.write("dir/small", b"small");
    bed.write("dir/sub/other", b"other");
    bed.write("empty", b"");
    symlink("dir/small", bed.source().join("link")).unwrap();
    make_fifo(&bed.source().join("pipe"));
    bed
}

/// Makes a pipe.
pub fn make_fifo(path: &Path) {
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, fifo, 0o600.into(), 0).unwrap();
}

/// Sets the time of the last change.
pub fn touch(path: &Path, seconds: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}
