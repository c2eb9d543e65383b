//! The version table: every version of every path, and which snapshots have it, in one sealed file of the cache.
//!
//! Nothing of it is needed: it is made of the snapshots, and made anew when it is damaged or gone. Processes share it: it is only ever
//! replaced as a whole. `docs/design/0010-history.md` says why it is as it is.

mod bytes;
mod file;
mod fresh;
mod merge;
mod records;
mod scan;
mod set;

use super::{Version, Wanted};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::id::SnapshotId;
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use file::{Home, Table, Writer};
use fresh::{Fresh, Seen, collect};
use merge::merge;
use std::collections::HashSet;

/// How much room it may take.
pub struct Limits {
    /// What is collected is merged into the table when it takes so much memory.
    pub fresh_bytes_max: usize,
    /// Most bytes of the file, about.
    pub file_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fresh_bytes_max: 64 << 20,
            file_bytes_max: 1 << 30,
        }
    }
}

/// A table that turns out to be damaged is made anew once.
const TRIES: usize = 2;

/// Finds what is wanted in these snapshots; `None` if that has to be done without the table. `Interrupted` is the only error.
pub fn find(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    wanted: &Wanted,
    limits: &Limits,
    interrupt: &Interrupt,
) -> Result<Option<Vec<Version>>> {
    let Some(home) = Home::of(repo, limits.file_bytes_max) else {
        return Ok(None);
    };
    let searching = Searching {
        repo,
        home: &home,
        fresh_bytes_max: limits.fresh_bytes_max,
        interrupt,
    };
    for _ in 0..TRIES {
        let error = match searching.find(snapshots, wanted) {
            Err(error) if error.kind() != ErrorKind::Interrupted => error,
            done => return done,
        };
        match (is_of_table(&home, &error), error.kind()) {
            (true, ErrorKind::Damaged) => home.remove(),
            (true, ErrorKind::Unsupported) => {
                // What is not refused now is refused the next time.
                let _ = Writer::refuse(&home, snapshots.len() as u64);
                return Ok(None);
            }
            (true, _) => {
                repo.cache_failed(error);
                return Ok(None);
            }
            // The search by itself meets it too, and says what cannot be read.
            (false, _) => return Ok(None),
        }
    }
    Ok(None)
}

/// Whether an error is about the table, or where it lies, not about the repository.
fn is_of_table(home: &Home, error: &Error) -> bool {
    matches!(error.subject(), Subject::Path(path) if path.starts_with(home.dir()))
}

struct Searching<'a> {
    repo: &'a Repo,
    home: &'a Home,
    fresh_bytes_max: usize,
    interrupt: &'a Interrupt,
}

impl Searching<'_> {
    fn find(&self, snapshots: &[SnapshotInfo], wanted: &Wanted) -> Result<Option<Vec<Version>>> {
        let Some(table) = self.current(snapshots, wanted)? else {
            return Ok(None);
        };
        let found = scan::scan(&table, snapshots, wanted, self.interrupt);
        found.map(Some).map_err(|error| self.about(error))
    }

    /// What is wrong in the table is an error about it.
    fn about(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Interrupted => error,
            _ => error.about(Subject::Path(self.home.dir().to_path_buf())),
        }
    }

    /// The table with all of these snapshots in it, if it pays to have it.
    fn current(&self, snapshots: &[SnapshotInfo], wanted: &Wanted) -> Result<Option<Table>> {
        let old = Table::open(self.home).map_err(|error| self.about(error))?;
        let old = match old {
            Some(old) => match old.refused() {
                Some(many) if snapshots.len() as u64 > many / 2 => return Ok(None),
                Some(_) => None,
                None => Some(old),
            },
            None => None,
        };
        let known = old.as_ref().map_or(&[][..], Table::snapshots);
        let known: HashSet<&SnapshotId> = known.iter().collect();
        let is_missing = |info: &&SnapshotInfo| !known.contains(&info.id);
        let missing: Vec<&SnapshotInfo> = snapshots.iter().filter(is_missing).collect();
        match (missing.is_empty(), wanted.is_anywhere()) {
            (true, _) => Ok(old),
            (false, true) => self.add(old, missing).map(Some),
            (false, false) => Ok(None),
        }
    }

    /// Adds snapshots to a table, and leaves out those that were forgotten.
    fn add(&self, old: Option<Table>, mut missing: Vec<&SnapshotInfo>) -> Result<Table> {
        let live = self.repo.live_snapshots();
        let live: HashSet<SnapshotId> = live.into_iter().map(|(id, _)| id).collect();
        let is_live = |id: &SnapshotId| live.contains(id);
        let (home, interrupt) = (self.home, self.interrupt);
        let mut table = old;
        if let Some(old) = &table
            && !old.snapshots().iter().all(is_live)
        {
            // First, so that nothing counts as known that is about to go.
            let without = merge(
                home,
                Some(old),
                &Fresh::default(),
                &is_live,
                false,
                interrupt,
            );
            table = Some(without.map_err(|error| self.about(error))?);
        }
        let seen = table.as_ref().map(Seen::of).transpose();
        let mut seen = seen.map_err(|error| self.about(error))?.unwrap_or_default();
        let mut fresh = Fresh::default();
        // Snapshots that resemble each other one after the other make short sets.
        missing.sort_by(|a, b| {
            let series =
                |info: &SnapshotInfo| (info.summary.host.clone(), info.summary.paths.clone());
            series(a).cmp(&series(b))
        });
        let merged = |table: &Option<Table>, fresh: &Fresh, place| {
            let done = merge(home, table.as_ref(), fresh, &|_| true, place, interrupt);
            done.map_err(|error| self.about(error))
        };
        for info in missing {
            let mut spill = |fresh: &mut Fresh| {
                if fresh.bytes > self.fresh_bytes_max {
                    let rest = fresh.rest();
                    let full = std::mem::replace(fresh, rest);
                    table = Some(merged(&table, &full, false)?);
                }
                Ok(())
            };
            let snapshot = (info.id, info.summary.root);
            collect(
                self.repo,
                snapshot,
                (&mut fresh, &mut seen),
                &mut spill,
                interrupt,
            )?;
        }
        merged(&table, &fresh, true)
    }
}
