//! Files of the log that say nothing which is not known otherwise: entries that later ones repeat are written again as they were, and
//! checkpoints that cannot be read are removed.

use crate::error::{ErrorKind, Result, Subject};
use crate::format::entry::{self, CHECKPOINT_EVERY, Entry, Nonce};
use crate::format::envelope::RecordType;
use crate::format::name;
use crate::id::EntryHash;
use crate::log::{catch_up_for, repeated_by};
use crate::ops::check::{check_mark, check_set_file, end_of_chain, is_replica, set_of};
use crate::progress::Interrupt;
use crate::repo::{Repeated, Repo};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// What was put right, or can be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Entries whose files were missing or damaged.
    pub entries: Vec<u64>,
    /// Those of which no other file says what they said: nothing was done about them.
    pub lost: Vec<u64>,
    /// The marks of segments without which these take no entries.
    pub marks: Vec<String>,
    /// Checkpoints that could not be read, or belong to no entry: the one that they were made with was cleared or lost.
    pub checkpoints: Vec<String>,
}

/// Puts entries of class A right that can be, or in a dry run says which could be.
///
/// Reads the whole log. Memory: eighteen files of entries.
pub fn mend(repo: &Repo, dry_run: bool, interrupt: &Interrupt) -> Result<Mended> {
    let mut mended = Mended::default();
    let state = repo.state();
    let end = end_of_chain(&state);
    // What the entry behind the last one of a group follows: only that belongs to the log, whatever else proves itself.
    let mut followed = (end == state.tail().number).then(|| state.tail().heads.clone());
    // Where class C follows, the last one lies under a name of its set too.
    let begins = set_of(&state).first().copied();
    let mut spare = match begins.filter(|(number, _)| *number == end) {
        Some((number, nonce)) => read_parts(repo, &name::entry_of(number, &nonce))?,
        None => None,
    };
    let mut beyond = None;
    let firsts: Vec<u64> = (1..=end).step_by(CHECKPOINT_EVERY as usize).collect();
    for first in firsts.into_iter().rev() {
        interrupt.check()?;
        let last = end.min(first + CHECKPOINT_EVERY - 1);
        let mut group = Group::read(repo, first..=last, followed, spare, &mut beyond)?;
        let lost = group.broken.iter().filter(|n| !group.cores.contains_key(n));
        mended.lost.extend(lost);
        for (number, file) in group.to_write() {
            if !dry_run {
                repo.backend().put(&name::entry(number), &file)?;
            }
            mended.entries.push(number);
        }
        spare = group.cores.remove(&(first - 1)).map(Parts::alone);
        followed = group.follows;
    }
    mended.entries.sort_unstable();
    mended.lost.sort_unstable();
    Ok(mended)
}

/// Class C: writes entries again that the files of others repeat, or in a dry run says of which it would.
///
/// Reads the whole log, and twice if a file is not what it should be. Memory: the entries of sixteen numbers, and all lists of members.
pub fn mend_set(
    repo: &Repo,
    dry_run: bool,
    interrupt: &Interrupt,
) -> Result<BTreeSet<(u64, Nonce)>> {
    let state = repo.state();
    let set = set_of(&state);
    let read = |key: &(u64, Nonce)| read_there(repo, &name::entry_of(key.0, &key.1));
    let mut broken = BTreeSet::new();
    for key in &set {
        interrupt.check()?;
        let is_whole = |file: Vec<u8>| check_set_file(repo, *key, &file).is_ok();
        if !read(key)?.is_some_and(is_whole) {
            broken.insert(*key);
        }
    }
    let (mut repeated, mut mended) = (Repeated::default(), BTreeSet::new());
    let from = broken.first().copied();
    // Where class C begins after class A the first one lies under both names.
    let both = match from {
        Some((number, _)) => read_there(repo, &name::entry(number))?.unwrap_or_default(),
        None => Vec::new(),
    };
    repeated.note_file(repo.envelopes(), &both);
    let from = from.map(|(number, _)| (number.saturating_sub(CHECKPOINT_EVERY), [0; 16]));
    for key in from.iter().flat_map(|from| set.range(from..)) {
        interrupt.check()?;
        repeated.note_file(repo.envelopes(), &read(key)?.unwrap_or_default());
        for key in std::mem::take(&mut broken) {
            let hash = state.folded(key.0, &key.1);
            let core = repeated.core(&key);
            let Some(core) = core.filter(|core| hash == Some(entry::hash(core))) else {
                broken.insert(key);
                continue;
            };
            if !dry_run {
                let file = match check_set_file(repo, key, &both) {
                    Ok(()) => both.clone(),
                    Err(_) => entry::encode_file(core, &repeated.catch_up(key.0)),
                };
                repo.backend().put(&name::entry_of(key.0, &key.1), &file)?;
            }
            mended.insert(key);
        }
        repeated.trim(key.0);
    }
    Ok(mended)
}

/// Puts the marks of segments that are missing or damaged, or in a dry run says which it would. A later version may have retired segments:
/// where one has written that this one does not understand, none. A replica has none.
pub fn mend_marks(repo: &Repo, dry_run: bool) -> Result<Vec<String>> {
    let (state, mut mended) = (repo.state(), Vec::new());
    if !state.may_append() || is_replica(repo)? {
        return Ok(mended);
    }
    for segment in 0..=state.tail().number / name::SEGMENT_ENTRIES {
        match check_mark(repo, segment) {
            Ok(()) => continue,
            Err(e) if e.is_lost() => {}
            Err(e) => return Err(e),
        }
        let object = name::segment_open(segment * name::SEGMENT_ENTRIES);
        if !dry_run {
            repo.backend().put(&object, name::SEGMENT_OPEN)?;
        }
        mended.push(object);
    }
    Ok(mended)
}

/// Removes checkpoints that do not open, or in a dry run says which it would.
///
/// One that opens stays, whatever is wrong with what it rests on: it may be all that says what the log came to; unless that is an entry
/// which was cleared, or nothing in the log is lost any more (`settled`) and the entry that it was made with is not there: the newest
/// one was lost without a trace but this.
pub fn remove_checkpoints(
    repo: &Repo,
    dry_run: bool,
    settled: bool,
    interrupt: &Interrupt,
) -> Result<Vec<String>> {
    let (mut checkpoints, mut removed) = (Vec::new(), Vec::new());
    repo.backend().list(name::CHECKPOINTS, &mut |found| {
        checkpoints.push(found.name);
        Ok(())
    })?;
    checkpoints.sort_unstable();
    for object in checkpoints {
        interrupt.check()?;
        let bytes = match repo.backend().get(&object) {
            Ok(bytes) => bytes,
            // A prune removes those that later ones replace.
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        if repo
            .envelopes()
            .open(RecordType::Checkpoint, &bytes)
            .is_ok()
            && !rests_on_cleared(repo, &object)
            && !(settled && is_of_no_entry(repo, &object))
        {
            continue;
        }
        if !dry_run {
            repo.backend().delete(&object)?;
        }
        removed.push(object);
    }
    Ok(removed)
}

/// Whether a checkpoint counts no more because the entry that it was made with was cleared.
fn rests_on_cleared(repo: &Repo, object: &str) -> bool {
    let number = name::parse_numbered(object).map(|(number, _)| number);
    number.is_some_and(|number| repo.state().has_voided(number))
        && matches!(repo.check_checkpoint(object), Err(e) if e.is_lost())
}

/// Whether a checkpoint, and not what it names, is none of this log.
fn is_of_no_entry(repo: &Repo, object: &str) -> bool {
    let itself = Subject::Object(object.to_owned());
    matches!(repo.check_checkpoint(object), Err(e) if e.kind() == ErrorKind::Damaged && *e.subject() == itself)
}

/// Entries that repeat those before them.
struct Group {
    /// The cores of entries, from their own files or from later ones; also of the one before the first, which all of them repeat.
    cores: BTreeMap<u64, Vec<u8>>,
    /// Files that are not what they should be.
    broken: Vec<u64>,
    /// What the first one follows, if it is known.
    follows: Option<Vec<EntryHash>>,
}

/// A file of an entry, taken apart.
struct Parts {
    core: Vec<u8>,
    repeated: Vec<Vec<u8>>,
    /// It comes apart to its end.
    to_end: bool,
}

impl Parts {
    fn alone(core: Vec<u8>) -> Self {
        Self {
            core,
            repeated: Vec::new(),
            to_end: true,
        }
    }

    /// What the file of entry `by` says of one that is no later.
    fn core_of(&self, by: u64, number: u64) -> Option<&Vec<u8>> {
        match usize::try_from(by - number).ok()? {
            0 => Some(&self.core),
            back => self.repeated.get(self.repeated.len().checked_sub(back)?),
        }
    }
}

impl Group {
    /// From the last to the first: of each the core that the one behind it follows, from its own file or from what later ones repeat;
    /// where that is not known, what its own file says. `followed` is what the entry behind the last one follows, and `spare` another
    /// file of the last one. `beyond` is the first file behind the last one, which may repeat more than others, and becomes the first of these.
    fn read(
        repo: &Repo,
        numbers: RangeInclusive<u64>,
        followed: Option<Vec<EntryHash>>,
        spare: Option<Parts>,
        beyond: &mut Option<(u64, Parts)>,
    ) -> Result<Self> {
        let (first, last) = (*numbers.start(), *numbers.end());
        let mut files: BTreeMap<u64, Parts> = beyond.take().into_iter().collect();
        let from = repeated_by(first).start;
        for number in from..=last {
            if let Some(parts) = read_parts(repo, &name::entry(number))? {
                files.insert(number, parts);
            }
        }
        let prove = |number: u64, core: &[u8]| {
            let opened = Entry::open(repo.envelopes(), core).ok();
            let opened = opened.filter(|signed| signed.entry.number == number);
            opened.map(|signed| signed.entry.follows)
        };
        let (mut cores, mut followed, mut follows) = (BTreeMap::new(), followed, None);
        for number in (from..=last).rev() {
            let own = files.get(&number).map(|parts| &parts.core);
            let spare = spare.as_ref().and_then(|parts| parts.core_of(last, number));
            let later = files.range(number + 1..);
            let repeats = later.filter_map(|(by, parts)| parts.core_of(*by, number));
            let wanted = followed.take();
            if number < first {
                follows.clone_from(&wanted);
            }
            let belongs = |core: &&Vec<u8>| match &wanted {
                Some(heads) => heads.contains(&entry::hash(core)),
                None => own == Some(*core) || number == last && spare == Some(*core),
            };
            let own = own.into_iter().chain(spare);
            let mut candidates = own.chain(repeats).filter(belongs);
            let found = candidates.find_map(|core| Some((core.clone(), prove(number, core)?)));
            if let Some((core, follows)) = found {
                cores.insert(number, core);
                followed = Some(follows);
            }
        }
        let is_whole = |number: &u64| {
            files.get(number).is_some_and(|parts| {
                let repeated = parts.repeated.iter().rev().zip((from..*number).rev());
                let mut all = repeated.chain([(&parts.core, *number)]);
                parts.to_end
                    && cores.contains_key(number)
                    && all.all(|(core, at)| cores.get(&at).is_none_or(|known| known == core))
            })
        };
        let broken = numbers.filter(|number| !is_whole(number)).collect();
        *beyond = files.split_off(&first).pop_first();
        Ok(Self {
            cores,
            broken,
            follows,
        })
    }

    /// Broken files as they should be, as far as that is known.
    fn to_write(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        self.broken.iter().filter_map(|number| {
            let core = self.cores.get(number)?;
            let core_of = |number| self.cores.get(&number).map(Vec::as_slice);
            let repeated = catch_up_for(*number, &core_of);
            Some((*number, entry::encode_file(core, &repeated)))
        })
    }
}

/// `None` if it is not there, or cannot be read.
fn read_there(repo: &Repo, object: &str) -> Result<Option<Vec<u8>>> {
    match repo.backend().get(object) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.is_lost() => Ok(None),
        Err(e) => Err(e),
    }
}

/// `None` if the file is not there, or has not even a core.
fn read_parts(repo: &Repo, object: &str) -> Result<Option<Parts>> {
    let file = read_there(repo, object)?.unwrap_or_default();
    let Ok((core, repeated)) = entry::decode_damaged_file(&file) else {
        return Ok(None);
    };
    Ok(Some(Parts {
        to_end: entry::decode_file(&file).is_ok(),
        core: core.to_vec(),
        repeated: repeated.iter().map(|core| core.to_vec()).collect(),
    }))
}
