//! Check: is everything there, and is it right?
//!
//! Without `read_data` every object but data packs is read and proved, and of data packs presence and length. With it, every
//! pack is hashed, every block opened and expanded, every blob id recomputed. Between them nothing that is flipped, cut off,
//! missing or too much anywhere stays unnoticed. Trees are checked where they lie, each block once, not by walking
//! snapshots; only when something is wrong are the snapshots walked, to say which files it touches.

mod affected;
mod log;
mod objects;
mod packs;
mod reach;
mod records;
mod subset;
mod surplus;
mod tables;
mod trees;

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::name;
use crate::id::{IndexId, PackId, SnapshotId};
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use std::collections::HashSet;
use std::path::PathBuf;

pub(super) use log::{check_mark, check_set_file, end_of_chain, is_replica, set_of};
pub use subset::Subset;

/// How a check is made.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// Read, open and hash every block too.
    pub read_data: bool,
    /// The same for a part of the data packs; without meaning if all are read.
    pub subset: Option<Subset>,
    /// Read packs only as far as these snapshots reach them, of which each must be there. Records, the log, and whether all packs
    /// are there, are checked all the same. If index tables are lost, all packs of trees are read.
    pub snapshots: Option<Vec<SnapshotId>>,
}

/// One thing that is wrong with a repository.
#[derive(Debug)]
pub struct Finding {
    /// What is wrong, with which object or blob.
    pub error: Error,
    /// Snapshots and paths that it touches, 200 at most.
    pub affected: Vec<(SnapshotId, PathBuf)>,
    /// How many more it touches.
    pub affected_more: u64,
    /// What it means for what was backed up.
    pub harm: Harm,
}

/// What a finding means for what was backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Something is lost or at risk.
    AtRisk,
    /// Nothing is lost: a repair of the index enters anew what cannot be found until then.
    Healable,
    /// None: it is about an object that nothing refers to, or about what nothing reads of a pack.
    None,
}

/// How many paths of a finding are named.
pub const AFFECTED_MAX: usize = 200;

impl Finding {
    fn new(error: Error) -> Self {
        Self {
            error,
            affected: Vec::new(),
            affected_more: 0,
            harm: Harm::AtRisk,
        }
    }

    /// Whether it is about an entry of the log.
    pub fn is_of_log(&self) -> bool {
        match self.error.subject() {
            Subject::Entry(_) => true,
            // Of class C, where a number is not enough.
            Subject::Object(object) => {
                let nonce = name::parse_numbered(object).and_then(|(_, nonce)| nonce);
                nonce.is_some() && !object.starts_with(name::CHECKPOINTS)
            }
            _ => false,
        }
    }

    fn touches(&mut self, snapshot: SnapshotId, path: PathBuf) {
        match self.affected.len() < AFFECTED_MAX {
            true => self.affected.push((snapshot, path)),
            false => self.affected_more += 1,
        }
    }
}

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckSummary {
    /// Snapshots checked, all or those that were asked for.
    pub snapshots: u64,
    /// Packs checked.
    pub packs: u64,
    /// Packs of data among them that were to be looked at, as far as they are there.
    pub data_packs: u64,
    /// Packs of data that were read whole.
    pub data_packs_read: u64,
    /// Bytes of packs read and proved.
    pub bytes_read: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Objects that nothing refers to and that are what they should be: harmless, left by interrupted runs.
    pub unreferenced: Vec<String>,
    /// Which ones of those are whole snapshots, and what is known of each: no entry of the log that can be read commits them.
    pub uncommitted: Vec<(SnapshotId, String)>,
    /// Objects that may be missing without a loss: checkpoints, which save reads, index tables of
    /// which others name by now all that is in them, and packs of which all is in others by now.
    pub absent: Vec<String>,
    /// What is damaged or gone and needed by no snapshot, and a prune deletes: condemned packs and other objects, forgotten snapshots.
    pub condemned: Vec<String>,
}

impl CheckSummary {
    /// Takes what a check of one thing gave: damage becomes a finding, any other error ends the check.
    fn note(&mut self, result: Result<()>) -> Result<()> {
        match result {
            Ok(()) => Ok(()),
            Err(e) if is_finding(&e) => {
                self.findings.push(Finding::new(e));
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// Notes damage that costs nothing of what was backed up; any other error ends the check.
    fn note_harmless(&mut self, error: Error) -> Result<()> {
        if !is_finding(&error) {
            return Err(error);
        }
        self.findings.push(Finding {
            harm: Harm::None,
            ..Finding::new(error)
        });
        Ok(())
    }

    /// As [`CheckSummary::note`], of an object that nothing refers to: it is named once, as right or as wrong.
    fn note_surplus(&mut self, object: String, proved: Result<()>) -> Result<()> {
        match proved {
            Ok(()) => self.unreferenced.push(object),
            // Deleted meanwhile.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Missing) => {}
            Err(e) if is_finding(&e) => self.findings.push(Finding {
                harm: Harm::None,
                ..Finding::new(with(
                    e.about(Subject::Object(object)),
                    "nothing refers to it",
                ))
            }),
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

/// The error with something more about it.
fn with(error: Error, more: &str) -> Error {
    let detail = match error.detail_text() {
        Some(detail) => format!("{detail}; {more}"),
        None => more.to_owned(),
    };
    error.detail(detail)
}

/// So often is a check begun anew because a prune deleted what it was looking at.
const PASSES_MAX: u32 = 30;

/// Checks a repository. Damage is a finding, not an error; an error means that the check could not be done. `InvalidInput` if
/// there is no such subset, `Unavailable` if prunes keep deleting what is being looked at.
///
/// What a prune deletes meanwhile is no finding: where something is wrong after one, all is looked at once more, but for the
/// data that was read and right.
///
/// What lies only in packs that are condemned is read in any case: a repair condemns damaged ones.
///
/// Memory: 72 bytes a pack, one pack a thread, and 40 bytes a directory and 1,000 findings if something is wrong; if an index table is, 40 bytes a pack
/// and 48 bytes for each blob of those that no other names.
pub fn check(
    repo: &Repo,
    options: &CheckOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<CheckSummary> {
    repo.read_past_cache();
    options.subset.iter().try_for_each(Subset::check)?;
    let mut job = Job {
        repo,
        options,
        progress,
        interrupt,
        proved: HashSet::new(),
        bytes_read: 0,
    };
    for _ in 0..PASSES_MAX {
        let inventory = objects::Inventory::list(repo)?;
        // After the listing, so that all that was listed of the log is folded; what has come since is looked up one by one.
        repo.refresh()?;
        let fold = repo.state();
        let checked = job.pass(&inventory);
        let is_right = match &checked {
            Ok(summary) => summary.findings.is_empty(),
            Err(e) => !is_finding(e),
        };
        if is_right {
            return checked;
        }
        repo.refresh()?;
        if !repo.state().has_deleted_since(&fold) {
            return checked;
        }
    }
    let place = Subject::Repository(repo.place());
    Err(Error::new(ErrorKind::Unavailable, place)
        .detail("prunes keep deleting what is being checked; check it when none is at work"))
}

/// A check, and what it need not do twice.
struct Job<'a> {
    repo: &'a Repo,
    options: &'a CheckOptions,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    /// Packs of data that were read and are right.
    proved: HashSet<PackId>,
    /// In all passes.
    bytes_read: u64,
}

impl Job<'_> {
    /// Looks at everything that the fold names.
    fn pass(&mut self, inventory: &objects::Inventory) -> Result<CheckSummary> {
        let (repo, interrupt) = (self.repo, self.interrupt);
        let mut summary = CheckSummary {
            bytes_read: self.bytes_read,
            ..CheckSummary::default()
        };
        objects::check(repo, inventory, &mut summary, interrupt)?;
        let lost = records::check(repo, inventory, &mut summary, interrupt)?;
        if let Some(chosen) = &self.options.snapshots {
            summary.snapshots = chosen.len() as u64;
        }
        let mut surplus = surplus::Surplus::default();
        let checked = surplus
            .look(repo, inventory, &lost, &mut summary, interrupt)
            .and_then(|()| self.packs(inventory, lost, &surplus, &mut summary));
        surplus.leave(repo);
        self.bytes_read = summary.bytes_read;
        checked?;
        Ok(summary)
    }

    /// Looks at packs and what is in them, and says what it means that tables are lost.
    fn packs(
        &mut self,
        inventory: &objects::Inventory,
        lost: Vec<(IndexId, Error)>,
        surplus: &surplus::Surplus,
        summary: &mut CheckSummary,
    ) -> Result<()> {
        let (repo, options, interrupt) = (self.repo, self.options, self.interrupt);
        let chosen = options.snapshots.as_deref();
        let mut damage = affected::Damage::default();
        packs::check_presence(repo, inventory, summary, &mut damage)?;
        let reached = chosen.map(|chosen| reach::packs_of(repo, chosen, interrupt));
        let scope = packs::Scope {
            reached: reached.transpose()?,
            condemned: reach::condemned_packs(repo, chosen, interrupt)?,
            all_trees: !lost.is_empty(),
        };
        packs::check_content(self, &scope, summary, &mut damage)?;
        damage.unknown(trees::unknown_roots(repo)?);
        if options.read_data && chosen.is_none() {
            surplus::check_content(repo, interrupt, summary)?;
        }
        tables::conclude(repo, lost, surplus, summary, &mut damage);
        let replaced = damage.replaced(repo)?;
        if !damage.is_empty() {
            affected::name_files(repo, chosen, damage, summary, interrupt)?;
        }
        packs::excuse(repo, replaced, &scope, summary)
    }
}

/// Whether an error tells of damage, so that a check goes on; others end it.
fn is_finding(error: &Error) -> bool {
    error.is_lost() || error.kind() == ErrorKind::Unsupported
}
