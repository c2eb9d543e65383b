//! Sync: a place made to hold the same repository as another one, without a key (`docs/design/0012-replicas.md`).
//!
//! After each step a stop is safe:
//! 1. list the log of the source, which is the goal, then what else lies in both places;
//! 2. copy objects that the replica lacks, then checkpoints;
//! 3. list the source's log again: if an entry deletes what was listed, begin anew;
//! 4. put the goal's entries in order, and `config` last;
//! 5. delete what the log deletes.

mod deletions;
mod entries;
mod listing;
mod log;
mod transfer;

use crate::backend::{Backend, Put, put_if_absent_or_same};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::config;
use crate::format::entry::ObjectRef;
use crate::format::name::{self, CONFIG, SEGMENT_OPEN};
use crate::progress::{Counter, Interrupt, Problems, Progress};
use crate::repo::Repo;
use deletions::Deletions;
use listing::{EntryName, Log, Objects, object_name};
use std::path::Path;

/// So often is begun anew because the source was pruned meanwhile.
const ROUNDS_MAX: u32 = 10;

/// How a sync is made.
#[derive(Debug, Default, Clone, Copy)]
pub struct SyncOptions {
    /// Say what would be done, and write nothing.
    pub dry_run: bool,
    /// Read all objects of the replica too, and copy again what is not what its name says.
    pub read_data: bool,
}

/// What a sync did, or would do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SyncSummary {
    /// Log entries that were new.
    pub entries: u64,
    /// Objects that were new, checkpoints aside.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them were there and damaged.
    pub damaged: u64,
    /// Objects that were deleted.
    pub deleted: u64,
    /// Objects that the replica has and the source has not, although no entry deletes them: perhaps the source has lost them.
    pub kept: u64,
    /// Objects and entries that are damaged in the source, and deletions that were refused; each was told to who watches.
    pub problems: u64,
    /// Nothing was deleted, because the replica lacks something that the source has or should have.
    pub held_back: bool,
}

/// What all steps need.
pub(super) struct Job<'a> {
    from: &'a dyn Backend,
    to: &'a dyn Backend,
    /// Who can tell what counts.
    by: Option<&'a Repo>,
    options: &'a SyncOptions,
    progress: &'a Problems<'a>,
    interrupt: &'a Interrupt,
}

/// Makes `to` hold what `from` does.
///
/// At every moment `to` is an older whole state of the repository, or until the end of the first sync none. With `by`, an open repository at `from`, entries are proved and
/// what they delete is what the fold says; without, what they name and `from` has no more.
///
/// What is damaged in `from` is a problem, named and counted, and not copied. `NoRepository` if there is none at `from`, `InvalidInput` if `to` is another
/// repository, or other things, or has log entries that `from` has not. `Unavailable` if `from` is pruned all the time.
///
/// Memory: 100 bytes for each object of both, one object for each connection, eight at most.
pub fn sync(
    from: &dyn Backend,
    to: &dyn Backend,
    by: Option<&Repo>,
    options: &SyncOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<SyncSummary> {
    let problems = Problems::new(progress);
    let job = Job {
        from,
        to,
        by,
        options,
        progress: &problems,
        interrupt,
    };
    let config = job.same_config()?;
    let mut summary = SyncSummary::default();
    for _ in 0..ROUNDS_MAX {
        interrupt.check()?;
        if job.round(&config, &mut summary)? {
            summary.problems = problems.seen();
            return Ok(summary);
        }
    }
    let place = Subject::Repository(from.place());
    Err(Error::new(ErrorKind::Unavailable, place)
        .detail("prunes keep deleting what is being copied; run it when none is at work"))
}

/// What the replica lacks.
struct Lacking {
    goal: Log,
    /// Segments that take entries.
    open: Vec<u64>,
    source: Objects,
    there: Objects,
    entries: Vec<EntryName>,
    objects: Vec<ObjectRef>,
    /// How many of them lie there and are not what their names say.
    damaged: u64,
    checkpoints: Vec<String>,
}

impl Job<'_> {
    /// The source's `config`, and whether the replica has it.
    fn same_config(&self) -> Result<(Vec<u8>, bool)> {
        let ours = Repo::recognize(self.from)?.into_config();
        let theirs = match self.to.get(CONFIG) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok((ours, false)),
            theirs => theirs?,
        };
        match theirs == ours {
            true => Ok((ours, true)),
            false => Err(self.other_config(&ours, &theirs)),
        }
    }

    fn other_config(&self, ours: &[u8], theirs: &[u8]) -> Error {
        let is_ours = matches!((config::repository(ours), config::repository(theirs)), (Ok(a), Ok(b)) if a == b);
        match is_ours || config::repository(theirs).is_err() {
            true => Error::damaged(Subject::Object(CONFIG.to_owned())).detail(format!(
                "is not in {} what it is in its source",
                self.to.place()
            )),
            false => Error::new(
                ErrorKind::InvalidInput,
                Subject::Repository(self.to.place()),
            )
            .detail("is another repository than the source"),
        }
    }

    /// Goes through all steps once. `false` if it must begin anew.
    fn round(&self, config: &(Vec<u8>, bool), summary: &mut SyncSummary) -> Result<bool> {
        if let Some(repo) = self.by {
            repo.refresh()?;
        }
        let mut lacking = self.compare(config.1)?;
        if self.options.dry_run {
            return self.foretell(&lacking, summary).map(|()| true);
        }
        summary.damaged += lacking.damaged;
        let copied = transfer::objects(self, &lacking.objects)?;
        summary.objects += copied.objects;
        summary.bytes += copied.bytes;
        transfer::checkpoints(self, lacking.checkpoints.iter())?;
        if copied.gone > 0 || self.is_pruned_since(&lacking)? {
            return Ok(false);
        }
        self.put_log(&lacking, config)?;
        summary.entries += lacking.entries.len() as u64;
        if copied.damaged > 0 {
            summary.held_back = true;
            return Ok(true);
        }
        for object in &lacking.objects {
            let len = lacking.source.named[object];
            lacking.there.named.insert(*object, len);
        }
        self.delete(&lacking, summary)?;
        Ok(true)
    }

    fn compare(&self, is_repository: bool) -> Result<Lacking> {
        let goal = Log::list(self.from)?;
        let (source, _) = Objects::list_all(self.from)?;
        let (mut there, their_log) = Objects::list_all(self.to)?;
        if !is_repository {
            there.look_for_strangers(self.to)?;
            if let Some(stranger) = &there.stranger {
                let place = Subject::Repository(self.to.place());
                let detail = format!("is not empty: {stranger} lies there");
                return Err(Error::new(ErrorKind::InvalidInput, place).detail(detail));
            }
        }
        let entries = log::lacking(self, &goal, &their_log)?;
        let state = self.by.map(|repo| repo.state());
        let is_deleted = |object: &ObjectRef| {
            let state = state.as_ref();
            state.is_some_and(|state| state.may_remove(&object.id))
        };
        let lacks = |(object, len): &(&ObjectRef, &u64)| {
            there.named.get(object) != Some(len) && !is_deleted(object)
        };
        let mut objects: Vec<_> = source.named.iter().filter(lacks).map(|(o, _)| *o).collect();
        let whole = objects.len();
        if self.options.read_data {
            let both = source
                .named
                .keys()
                .filter(|o| there.named.get(*o) == source.named.get(*o));
            let both: Vec<_> = both.filter(|o| !is_deleted(o)).copied().collect();
            objects.extend(transfer::not_as_named(self, &both)?);
        }
        let damaged = (objects.len() - whole) as u64;
        objects.sort_unstable();
        let is_new = |(name, len): &(&String, &u64)| {
            let number = name::parse_numbered(name).map_or(0, |(number, _)| number);
            there.checkpoints.get(*name) != Some(len) && number <= goal.end()
        };
        let checkpoints = source.checkpoints.iter().filter(is_new);
        Ok(Lacking {
            checkpoints: checkpoints.map(|(name, _)| name.clone()).collect(),
            open: goal.open.difference(&their_log.open).copied().collect(),
            goal,
            entries,
            objects,
            damaged,
            source,
            there,
        })
        .inspect(|lacking: &Lacking| self.expect(lacking))
    }

    fn expect(&self, lacking: &Lacking) {
        let bytes = lacking
            .objects
            .iter()
            .map(|o| lacking.source.named[o])
            .sum();
        self.progress.count(Counter::BytesExpected, bytes);
        let count = lacking.objects.len() as u64;
        self.progress.count(Counter::ObjectsExpected, count);
    }

    /// What would be done.
    fn foretell(&self, lacking: &Lacking, summary: &mut SyncSummary) -> Result<()> {
        let Deletions {
            objects,
            outdated,
            kept,
        } = deletions::find(self, &lacking.goal, &lacking.source, &lacking.there)?;
        *summary = SyncSummary {
            entries: lacking.entries.len() as u64,
            objects: lacking.objects.len() as u64,
            damaged: lacking.damaged,
            bytes: lacking
                .objects
                .iter()
                .map(|o| lacking.source.named[o])
                .sum(),
            deleted: (objects.len() + outdated.len()) as u64,
            kept,
            ..SyncSummary::default()
        };
        Ok(())
    }

    /// Whether something may have been deleted since the goal was listed that a fold of it needs. Where no entry is to be put it does not matter.
    fn is_pruned_since(&self, lacking: &Lacking) -> Result<bool> {
        if lacking.entries.is_empty() {
            return Ok(false);
        }
        let again = Log::list(self.from)?;
        let new = again.entries.keys();
        let new = new.filter(|entry| !lacking.goal.entries.contains_key(entry));
        log::any_deletes(self.from, new)
    }

    fn put_log(&self, lacking: &Lacking, (config, is_there): &(Vec<u8>, bool)) -> Result<()> {
        for segment in &lacking.open {
            let first = segment.saturating_mul(name::SEGMENT_ENTRIES);
            put_if_absent_or_same(self.to, &name::segment_open(first), SEGMENT_OPEN)?;
        }
        entries::put(self, &lacking.entries, !is_there)?;
        if !is_there && put_if_absent_or_same(self.to, CONFIG, config)? == Put::Exists {
            let theirs = self.to.get(CONFIG)?;
            if theirs != *config {
                return Err(self.other_config(config, &theirs));
            }
        }
        Ok(())
    }

    fn delete(&self, lacking: &Lacking, summary: &mut SyncSummary) -> Result<()> {
        let deletions = deletions::find(self, &lacking.goal, &lacking.source, &lacking.there)?;
        summary.kept = deletions.kept;
        if !deletions.objects.is_empty() && !deletions::has_all_packs(self, &lacking.there)? {
            summary.held_back = true;
            return Ok(());
        }
        let objects = deletions.objects.iter().map(object_name);
        for name in objects.chain(deletions.outdated.iter().cloned()) {
            self.interrupt.check()?;
            match self.to.delete(&name) {
                Ok(()) => summary.deleted += 1,
                // An append-only replica: who prunes it has other credentials.
                Err(e) if e.kind() == ErrorKind::Denied => {
                    self.progress.problem(Path::new(&name), &e);
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
