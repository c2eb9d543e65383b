//! Sync: a place made to hold the same repository as another one, without a key (`docs/design/0012-replicas.md`).
//!
//! After each step a stop is safe:
//! 1. list the log of the source, which is the goal, then what else lies in both places;
//! 2. copy objects that the replica lacks;
//! 3. list the source's log again: if an entry deletes what was listed, begin anew;
//! 4. put the goal's entries in order, then checkpoints of them, and `config` last; no entries if what they delete must stay;
//! 5. delete what the log deletes.

mod checkpoints;
mod configs;
mod deletions;
mod entries;
mod judge;
mod keys;
pub(super) mod listing;
mod log;
pub(super) mod mark;
pub(super) mod relation;
mod rests;
mod summary;
mod told;
pub(super) mod transfer;

use crate::backend::{Backend, Put, put_if_absent_or_same};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::ObjectRef;
use crate::format::name::{self, CONFIG, ObjectKind};
use crate::progress::{Counter, Interrupt, Problems, Progress};
use crate::repo::Repo;
use configs::Theirs;
pub use configs::look;
use entries::Files;
use listing::{EntryName, Log, Objects, object_name};
use log::LogLacks;
use std::path::Path;
use std::sync::OnceLock;
pub use summary::{HeldBack, SyncOptions, SyncSummary};
use told::Told;

/// So often is begun anew because the source was pruned meanwhile.
const ROUNDS_MAX: u32 = 10;

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
    let config = configs::compare(&job)?;
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
#[derive(Default)]
struct Lacking {
    goal: Log,
    source: Objects,
    there: Objects,
    /// The log of the replica.
    log_there: Log,
    log: LogLacks,
    objects: Vec<ObjectRef>,
    /// How many of them lie there and are not what their names say.
    damaged: u64,
    checkpoints: Vec<String>,
    /// How many of them lie there and are damaged.
    checkpoints_damaged: u64,
    /// Removed key slots that are not copied.
    keys_left_out: u64,
    told: OnceLock<Told>,
}

impl Lacking {
    /// Takes what was copied for what lies in the replica, but for what is damaged in the source.
    fn note_arrived(&mut self, damaged: &[ObjectRef]) {
        for object in &self.objects {
            let len = self.source.named[object];
            self.there.named.insert(*object, len);
        }
        for object in damaged {
            self.there.named.remove(object);
        }
    }

    /// Entries that the replica has not at all, in order.
    fn new_entries(&self) -> impl Iterator<Item = &EntryName> {
        let there = &self.log_there.entries;
        let entries = self.log.entries.iter();
        entries.filter(|entry| !there.contains_key(entry))
    }

    /// Leaves the log as it is, but for what is damaged in it. Gives how many entries wait.
    fn hold_new_entries(&mut self) -> u64 {
        let there = &self.log_there.entries;
        let before = self.log.entries.len();
        self.log.entries.retain(|entry| there.contains_key(entry));
        let end = self.log_there.end();
        self.checkpoints
            .retain(|checkpoint| checkpoints::number(checkpoint) <= end);
        (before - self.log.entries.len()) as u64
    }

    /// Files of the replica's log, and `config`, that are damaged.
    fn log_damaged(&self, config: Theirs) -> u64 {
        let config = u64::from(config == Theirs::Damaged);
        self.log.damaged + self.checkpoints_damaged + config
    }

    /// What the goal says in clear, read when it is first asked for.
    fn told(&self, job: &Job<'_>) -> Result<&Told> {
        if let Some(told) = self.told.get() {
            return Ok(told);
        }
        let told = Told::read(job, &self.goal)?;
        Ok(self.told.get_or_init(|| told))
    }
}

impl Job<'_> {
    /// Goes through all steps once. `false` if it must begin anew.
    fn round(&self, config: &(Vec<u8>, Theirs), summary: &mut SyncSummary) -> Result<bool> {
        if let Some(repo) = self.by {
            repo.refresh()?;
        }
        let Some(mut lacking) = self.compare(config.1)? else {
            return Ok(false);
        };
        summary.keys_left_out = lacking.keys_left_out;
        if self.options.dry_run {
            return self.foretell(lacking, config.1, summary).map(|()| true);
        }
        let arrived = self.bring(&mut lacking, config, summary);
        // Removed keys wait for nothing: not for objects that are damaged, nor for room.
        let keys = match arrived {
            Ok(None) => Ok(()),
            _ => keys::delete(self, &mut lacking, summary),
        };
        let Some((damaged, left_out)) = arrived? else {
            return Ok(false);
        };
        keys?;
        let hold = match (damaged > 0, summary.entries_held > 0) {
            (true, _) => Some(HeldBack::Damaged),
            (_, true) => Some(HeldBack::Lacks),
            _ => (left_out > 0 || lacking.log.is_doubtful).then_some(HeldBack::Log),
        };
        let deletions = deletions::find(self, &lacking, hold)?;
        summary.note(&deletions);
        let objects = deletions.objects.iter().map(object_name);
        for name in objects.chain(deletions.outdated) {
            self.delete(&name, summary)?;
        }
        Ok(true)
    }

    /// Brings objects, then the log. Gives how many objects and how many entries are damaged in the source; `None` if it must begin anew.
    fn bring(
        &self,
        lacking: &mut Lacking,
        config: &(Vec<u8>, Theirs),
        summary: &mut SyncSummary,
    ) -> Result<Option<(u64, u64)>> {
        self.make_replica(lacking, config.1, summary)?;
        summary.damaged += lacking.damaged;
        let copied = transfer::objects(self, &lacking.objects)?;
        summary.objects += copied.objects;
        summary.bytes += copied.bytes;
        if copied.gone > 0 || self.is_pruned_since(lacking)? {
            return Ok(None);
        }
        lacking.note_arrived(&copied.damaged);
        let files = self.read_or_hold(lacking, config.1, summary)?;
        let left_out = self.put_log(lacking, config, files)?;
        summary.entries += lacking.log.entries.len() as u64 - left_out;
        summary.log_damaged += lacking.log_damaged(config.1);
        Ok(Some((copied.damaged.len() as u64, left_out)))
    }

    /// Entries for a place that is a repository, as far as they fit into memory. Takes back the new ones if they must wait.
    fn read_or_hold(
        &self,
        lacking: &mut Lacking,
        config: Theirs,
        summary: &mut SyncSummary,
    ) -> Result<Files> {
        if config == Theirs::Absent {
            return Ok(Files::new());
        }
        let files = entries::read_some(self, &lacking.log.entries)?;
        summary.entries_held = match rests::must_wait(self, lacking, &files)? {
            true => lacking.hold_new_entries(),
            false => 0,
        };
        Ok(files)
    }

    fn compare(&self, config: Theirs) -> Result<Option<Lacking>> {
        let goal = Log::list(self.from)?;
        let (source, _) = Objects::list_all(self.from)?;
        let (mut there, their_log) = Objects::list_all(self.to)?;
        if config == Theirs::Absent {
            configs::refuse_strangers(self.to, &mut there)?;
        }
        let Some(log) = log::lacking(self, &goal, &their_log)? else {
            return Ok(None);
        };
        let mut lacking = Lacking {
            goal,
            source,
            there,
            log_there: their_log,
            log,
            ..Lacking::default()
        };
        self.report_holes(&mut lacking)?;
        self.compare_objects(&mut lacking, config)?;
        self.expect(&lacking);
        Ok(Some(lacking))
    }

    /// Which objects the replica lacks. A removed key does not come back into a repository that lacks it; a place that is none yet gets what the source has: somebody
    /// who may no more than add to the log must not be able to keep all keys out of a copy.
    fn compare_objects(&self, lacking: &mut Lacking, config: Theirs) -> Result<()> {
        let (source, there) = (&lacking.source.named, &lacking.there.named);
        let state = self.by.map(|repo| repo.state());
        let is_deleted = |object: &ObjectRef| {
            let state = state.as_ref();
            state.is_some_and(|state| state.may_remove(&object.id))
        };
        let (mut objects, mut left_out) = (Vec::new(), 0);
        for (object, len) in source {
            if there.get(object) == Some(len) {
                continue;
            }
            let is_key = object.kind == ObjectKind::Key;
            let is_removed = match self.by {
                Some(_) => is_deleted(object),
                None if !is_key || config == Theirs::Absent => false,
                None => lacking.told(self)?.deleted.contains_key(object),
            };
            left_out += u64::from(is_removed && is_key && self.by.is_none());
            if !is_removed {
                objects.push(*object);
            }
        }
        let whole = objects.len();
        if self.options.read_data {
            let both = source.iter().filter(|(o, len)| there.get(*o) == Some(*len));
            let both = both.map(|(object, _)| *object);
            let both: Vec<_> = both.filter(|object| !is_deleted(object)).collect();
            objects.extend(transfer::not_as_named(self, &both)?);
        }
        lacking.damaged = (objects.len() - whole) as u64;
        objects.sort_unstable();
        (lacking.objects, lacking.keys_left_out) = (objects, left_out);
        (lacking.checkpoints, lacking.checkpoints_damaged) = checkpoints::lacking(self, lacking)?;
        Ok(())
    }

    /// Names entries that the source's log lacks, unless a later one says that they count for nothing: the replica will lack them too.
    fn report_holes(&self, lacking: &mut Lacking) -> Result<()> {
        let holes = lacking.goal.holes();
        if holes.is_empty() {
            return Ok(());
        }
        let void = lacking.told(self)?.void;
        for number in holes.into_iter().filter(|number| *number > void) {
            let error = Error::missing(Subject::Entry(number));
            self.progress
                .problem(Path::new(&name::entry(number)), &error);
            lacking.log.is_doubtful = true;
        }
        Ok(())
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
    fn foretell(
        &self,
        mut lacking: Lacking,
        config: Theirs,
        summary: &mut SyncSummary,
    ) -> Result<()> {
        let bytes = |object: &ObjectRef| lacking.source.named[object];
        *summary = SyncSummary {
            objects: lacking.objects.len() as u64,
            damaged: lacking.damaged,
            bytes: lacking.objects.iter().map(bytes).sum(),
            keys_left_out: lacking.keys_left_out,
            ..SyncSummary::default()
        };
        lacking.note_arrived(&[]);
        self.read_or_hold(&mut lacking, config, summary)?;
        summary.entries = lacking.log.entries.len() as u64;
        summary.log_damaged = lacking.log_damaged(config);
        let keys = keys::removed(self, &lacking)?;
        for key in &keys {
            lacking.there.named.remove(key);
        }
        let hold = match summary.entries_held > 0 {
            true => Some(HeldBack::Lacks),
            false => lacking.log.is_doubtful.then_some(HeldBack::Log),
        };
        let found = deletions::find(self, &lacking, hold)?;
        summary.note(&found);
        summary.deleted = (keys.len() + found.objects.len() + found.outdated.len()) as u64;
        Ok(())
    }

    /// Whether something may have been deleted since the goal was listed that a fold of it needs. Where no entry is to be put it does not matter.
    fn is_pruned_since(&self, lacking: &Lacking) -> Result<bool> {
        if lacking.log.entries.is_empty() {
            return Ok(false);
        }
        let again = Log::list(self.from)?;
        let new = again.entries.keys();
        let new = new.filter(|entry| !lacking.goal.entries.contains_key(entry));
        log::any_deletes(self.from, new)
    }

    /// Makes a new place a replica, and one that took entries by itself until now, if the source is the home. A home that gets something from a replica stays one.
    fn make_replica(
        &self,
        lacking: &Lacking,
        theirs: Theirs,
        summary: &mut SyncSummary,
    ) -> Result<()> {
        let from_home = lacking.goal.is_home();
        if theirs == Theirs::Absent || from_home {
            summary.was_home |= mark::take(self.to, &lacking.log_there, from_home)?;
        }
        Ok(())
    }

    /// Gives how many entries were left out.
    fn put_log(
        &self,
        lacking: &Lacking,
        (config, theirs): &(Vec<u8>, Theirs),
        files: Files,
    ) -> Result<u64> {
        let is_first = *theirs == Theirs::Absent;
        let left_out = entries::put(self, lacking, files, is_first)?;
        checkpoints::copy(self, lacking)?;
        match theirs {
            Theirs::Same => {}
            Theirs::Damaged => self.to.put(CONFIG, config)?,
            Theirs::Absent => {
                if put_if_absent_or_same(self.to, CONFIG, config)? == Put::Exists {
                    let theirs = self.to.get(CONFIG)?;
                    if theirs != *config {
                        return Err(configs::differ(self.from, self.to, config, &theirs));
                    }
                }
            }
        }
        Ok(left_out)
    }

    fn delete(&self, name: &str, summary: &mut SyncSummary) -> Result<()> {
        self.interrupt.check()?;
        match self.to.delete(name) {
            Ok(()) => summary.deleted += 1,
            // An append-only replica: who prunes it has other credentials.
            Err(e) if e.kind() == ErrorKind::Denied => {
                let there = Path::new(&self.to.place()).join(name);
                self.progress.problem(&there, &e);
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }
}
