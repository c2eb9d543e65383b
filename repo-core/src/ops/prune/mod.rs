//! Prune: frees what no snapshot needs any more (`docs/design/0003-retention.md`).
//!
//! First a plan, of which nothing depends on the clock but the grace; then what the plan says, in an order in which a stop at any
//! moment loses nothing and the next prune goes on: copies, `Condemn`, `Deleting`, removal.

mod checkpoints;
mod choose;
mod condemn;
mod delete;
mod listing;
mod mark;
mod options;
mod repack;
mod rests;
mod survey;
mod tables;
mod uncommitted;

pub use options::{MaxUnused, PruneOptions, PrunePlan, PruneSummary, Sum};
#[cfg(test)]
pub use repack::{BLOCKS_MAX, HELD_MOST};

use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use listing::Listing;
use survey::Survey;

/// How often a prune begins again because another one took away what it was reading.
const TRIES: u32 = 20;

/// Who asks for a prune, and who may stop it.
struct Job<'a> {
    repo: &'a Repo,
    options: &'a PruneOptions,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

/// Plans a prune, and does what the plan says unless it is a dry run.
///
/// Safe beside anything that writes, and at any interruption. Refuses, and deletes nothing: `Missing` or `Damaged` if any snapshot cannot be
/// read whole, what it needs lies in no pack that is there and whole, or an index table is lost; `Damaged`, or `Unsupported` of one of a newer
/// version, while a log entry cannot be read.
///
/// Where there is no room to rewrite packs, what needs no rewriting is deleted first; if that frees nothing, or not enough, it fails all the same.
///
/// Memory: for each pack 50 bytes, for each block 9, for each blob two bits; three packs and 32 MiB, besides what is
/// being written, while some are rewritten.
pub fn prune(
    repo: &Repo,
    options: &PruneOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<PruneSummary> {
    options.check()?;
    let job = Job {
        repo,
        options,
        progress,
        interrupt,
    };
    match job.run() {
        Err(full) if full.is_full() && options.max_repack_bytes != Some(0) => job.make_room(full),
        done => done,
    }
}

fn is_absence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Missing | ErrorKind::NotFound)
}

impl Job<'_> {
    fn run(&self) -> Result<PruneSummary> {
        let mut tries = 1;
        loop {
            let before = self.repo.state().tail().clone();
            match self.attempt() {
                // What was read is gone: by a deletion that came meanwhile, or it is lost.
                Err(e) if tries < TRIES && is_absence(&e) => {
                    self.repo.refresh()?;
                    if *self.repo.state().tail() == before {
                        return Err(e);
                    }
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    /// Deletes what can go without rewriting anything, and begins again if that made room.
    fn make_room(&self, full: Error) -> Result<PruneSummary> {
        let options = PruneOptions {
            max_repack_bytes: Some(0),
            ..self.options.clone()
        };
        let without_rewriting = Job {
            options: &options,
            ..*self
        };
        let first = without_rewriting.run()?;
        if first.objects_removed == 0 {
            return Err(full);
        }
        let mut summary = self.run()?;
        summary.take_in(first);
        Ok(summary)
    }

    fn attempt(&self) -> Result<PruneSummary> {
        let process = match self.options.dry_run {
            true => None,
            false => self.repo.announce_deleting()?,
        };
        // Before the fold, so that what was listed and is named by any entry is known to be.
        let listing = Listing::of(self.repo)?;
        self.repo.refresh()?;
        self.check_state()?;
        let mut survey = Survey::make(self, &listing)?;
        let mut summary = PruneSummary {
            plan: survey.plan.clone(),
            ..PruneSummary::default()
        };
        if self.options.dry_run {
            return Ok(summary);
        }
        let written = condemn::execute(self, &survey, &mut summary)?;
        survey.whole.extend(written);
        delete::execute(self, &survey, &listing, process.as_ref(), &mut summary)?;
        checkpoints::remove(self, &listing, &mut summary)?;
        Ok(summary)
    }

    /// Refuses to decide anything on half of the truth.
    fn check_state(&self) -> Result<()> {
        self.repo.state().refuse_unreadable()?;
        if !self.options.dry_run {
            self.repo.refuse_to_append()?;
        }
        self.repo.refuse_incomplete_index()
    }
}
