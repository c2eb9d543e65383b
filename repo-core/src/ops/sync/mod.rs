//! Sync: a place made to hold the same repository as another one, without a key (`docs/design/0012-replicas.md`).
//!
//! After each step a stop is safe:
//! 1. list the log of the source, which is the goal, then what else lies in both places;
//! 2. copy objects that the replica lacks, then checkpoints;
//! 3. list the source's log again: if an entry deletes what was listed, begin anew;
//! 4. put the goal's entries in order, and `config` last;
//! 5. delete what the log deletes.

mod configs;
mod deletions;
mod entries;
mod judge;
mod listing;
mod log;
mod told;
mod transfer;

use crate::backend::{Backend, Put, put_if_absent_or_same};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::ObjectRef;
use crate::format::name::{self, CONFIG, ObjectKind, SEGMENT_OPEN};
use crate::progress::{Counter, Interrupt, Problems, Progress};
use crate::repo::Repo;
use configs::Theirs;
pub use configs::look;
use deletions::Deletions;
use listing::{Log, Objects, object_name};
use log::LogLacks;
use std::path::Path;
use std::sync::OnceLock;
use told::Told;

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
    /// Files of the log and `config` that were there and damaged.
    pub log_damaged: u64,
    /// Removed key slots that the source still has, and that were not copied into a repository that lacks them.
    pub keys_left_out: u64,
    /// Objects that are deleted by the log and stay for now.
    pub held: u64,
    /// Why they stay.
    pub held_back: Option<HeldBack>,
}

/// Why nothing is deleted in a replica, key slots aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBack {
    /// An object is damaged in the source, and the replica lacks it: what is deleted may be its last copy.
    Damaged,
    /// The replica lacks an object that the deletions rest on, and the source has lost it.
    Lacks,
    /// An entry of the source's log is damaged or missing.
    Log,
    /// What the deletions rest on, or whether they count, is not said in clear: who has the key can tell.
    Unsaid,
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
    /// Segments that take entries.
    open: Vec<u64>,
    /// How many of them are damaged in the replica.
    marks_damaged: u64,
    source: Objects,
    there: Objects,
    log: LogLacks,
    objects: Vec<ObjectRef>,
    /// How many of them lie there and are not what their names say.
    damaged: u64,
    checkpoints: Vec<String>,
    /// Removed key slots that are not copied.
    keys_left_out: u64,
    told: OnceLock<Told>,
}

impl Lacking {
    /// Takes what was copied for what lies in the replica.
    fn note_arrived(&mut self) {
        for object in &self.objects {
            let len = self.source.named[object];
            self.there.named.insert(*object, len);
        }
    }

    /// Files of the replica's log, and `config`, that are damaged.
    fn log_damaged(&self, config: Theirs) -> u64 {
        self.log.damaged + self.marks_damaged + u64::from(config == Theirs::Damaged)
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
        let arrived = self.bring(&lacking, config, summary);
        // Removed keys wait for nothing: not for objects that are damaged, nor for room.
        let keys = match arrived {
            Ok(None) => Ok(()),
            _ => self.delete_keys(&mut lacking, summary),
        };
        let Some((damaged, left_out)) = arrived? else {
            return Ok(false);
        };
        keys?;
        lacking.note_arrived();
        let hold = match damaged > 0 {
            true => Some(HeldBack::Damaged),
            false => (left_out > 0 || lacking.log.is_doubtful).then_some(HeldBack::Log),
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
        lacking: &Lacking,
        config: &(Vec<u8>, Theirs),
        summary: &mut SyncSummary,
    ) -> Result<Option<(u64, u64)>> {
        summary.damaged += lacking.damaged;
        let copied = transfer::objects(self, &lacking.objects)?;
        summary.objects += copied.objects;
        summary.bytes += copied.bytes;
        transfer::checkpoints(self, lacking.checkpoints.iter())?;
        if copied.gone > 0 || self.is_pruned_since(lacking)? {
            return Ok(None);
        }
        let left_out = self.put_log(lacking, config)?;
        summary.entries += lacking.log.entries.len() as u64 - left_out;
        summary.log_damaged += lacking.log_damaged(config.1);
        Ok(Some((copied.damaged, left_out)))
    }

    fn delete_keys(&self, lacking: &mut Lacking, summary: &mut SyncSummary) -> Result<()> {
        for key in deletions::keys(self, lacking)? {
            self.delete(&object_name(&key), summary)?;
            lacking.there.named.remove(&key);
        }
        Ok(())
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
        let mut open: Vec<u64> = goal.open.difference(&their_log.open).copied().collect();
        let mut marks_damaged = 0;
        if self.options.read_data {
            let both = goal.open.intersection(&their_log.open);
            let wrong = both.filter(|segment| !self.is_mark(**segment));
            let wrong: Vec<u64> = wrong.copied().collect();
            marks_damaged = wrong.len() as u64;
            open.extend(wrong);
        }
        let mut lacking = Lacking {
            goal,
            source,
            there,
            log,
            open,
            marks_damaged,
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
        let checkpoints = lacking.source.checkpoints.iter();
        let is_new = |(name, len): &(&String, &u64)| {
            let number = name::parse_numbered(name).map_or(0, |(number, _)| number);
            lacking.there.checkpoints.get(*name) != Some(len) && number <= lacking.goal.end()
        };
        lacking.checkpoints = checkpoints
            .filter(is_new)
            .map(|(name, _)| name.clone())
            .collect();
        (lacking.objects, lacking.keys_left_out) = (objects, left_out);
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

    /// Whether the replica says as it should that a segment of its log takes entries.
    fn is_mark(&self, segment: u64) -> bool {
        let name = name::segment_open(segment.saturating_mul(name::SEGMENT_ENTRIES));
        self.to.get(&name).is_ok_and(|mark| mark == SEGMENT_OPEN)
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
            entries: lacking.log.entries.len() as u64,
            objects: lacking.objects.len() as u64,
            damaged: lacking.damaged,
            bytes: lacking.objects.iter().map(bytes).sum(),
            log_damaged: lacking.log_damaged(config),
            keys_left_out: lacking.keys_left_out,
            ..SyncSummary::default()
        };
        lacking.note_arrived();
        let keys = deletions::keys(self, &lacking)?;
        for key in &keys {
            lacking.there.named.remove(key);
        }
        let hold = lacking.log.is_doubtful.then_some(HeldBack::Log);
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

    /// Gives how many entries were left out.
    fn put_log(&self, lacking: &Lacking, (config, theirs): &(Vec<u8>, Theirs)) -> Result<u64> {
        for segment in &lacking.open {
            let name = name::segment_open(segment.saturating_mul(name::SEGMENT_ENTRIES));
            if put_if_absent_or_same(self.to, &name, SEGMENT_OPEN)? == Put::Exists
                && self.to.get(&name)? != SEGMENT_OPEN
            {
                self.to.put(&name, SEGMENT_OPEN)?;
            }
        }
        let left_out = entries::put(self, lacking, *theirs == Theirs::Absent)?;
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

impl SyncSummary {
    fn note(&mut self, deletions: &Deletions) {
        (self.kept, self.held) = (deletions.kept, deletions.held);
        self.held_back = deletions.why;
    }
}
