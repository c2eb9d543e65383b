//! The two logs: whether they belong together, and what of an entry anyone can read.

use super::Job;
use super::judge::{Verdict, judge};
use super::listing::{EntryName, Log, name_of};
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::{self, ENTRY_BYTES_MAX, Entry, EntryClear, EntryKind, ObjectRef};
use crate::format::name::ObjectKind;
use crate::progress::Progress;
use std::path::Path;

/// The file of an entry that was listed.
pub fn read(place: &dyn Backend, entry: &EntryName) -> Result<Vec<u8>> {
    let about = |e: Error| match e.kind() {
        ErrorKind::NotFound => Error::missing(Subject::Entry(entry.0)),
        _ => e,
    };
    let file = place.get(&name_of(entry)).map_err(about)?;
    match file.len() > ENTRY_BYTES_MAX {
        true => Err(Error::damaged(Subject::Entry(entry.0)).detail("too large for an entry")),
        false => Ok(file),
    }
}

/// An entry to be copied, and what is wrong with it if that stays so when it is read once more.
pub fn read_proved(job: &Job<'_>, entry: &EntryName) -> Result<(Vec<u8>, Option<Error>)> {
    let file = read(job.from, entry)?;
    if wrong(job, entry, &file).is_none() {
        return Ok((file, None));
    }
    let file = read(job.from, entry)?;
    let wrong = wrong(job, entry, &file);
    Ok((file, wrong))
}

/// Why a file is not the entry that its name says, as far as can be seen: with a key all of it, without one what stands in clear and, of class A,
/// that what it repeats are the entries before it.
pub fn wrong(job: &Job<'_>, (number, nonce): &EntryName, file: &[u8]) -> Option<Error> {
    let about = |e: Error| e.about(Subject::Entry(*number));
    let bad = |detail| Error::damaged(Subject::Entry(*number)).detail(detail);
    let (core, repeated) = match entry::decode_file(file) {
        Ok(parts) => parts,
        Err(e) => return Some(about(e)),
    };
    let clear = match entry::clear(core) {
        Ok(clear) => clear,
        Err(e) => return Some(about(e)),
    };
    if clear.number != *number || nonce.is_some_and(|nonce| nonce != clear.nonce) {
        return Some(bad("is another one than its name says"));
    }
    // Of class C the last one that is repeated need not be one that it follows.
    if nonce.is_none() && !is_chain(&clear, &repeated) {
        return Some(bad("does not follow the ones that it repeats"));
    }
    let envelopes = job.by?.envelopes();
    let opened = Entry::open(envelopes, core).err();
    opened.filter(|e| e.kind() == ErrorKind::Damaged).map(about)
}

/// Whether each follows the one before it, the entry itself last.
fn is_chain(clear: &EntryClear, repeated: &[&[u8]]) -> bool {
    let mut follows = clear.follows.clone();
    repeated.iter().rev().all(|core| {
        let is_followed = follows.contains(&entry::hash(core));
        follows = entry::clear(core).map_or(Vec::new(), |clear| clear.follows);
        is_followed
    })
}

/// What of an entry anyone can read; `None` if it does not come apart or is another one.
pub fn clear_of((number, _): &EntryName, core: &[u8]) -> Option<EntryClear> {
    let clear = entry::clear(core).ok()?;
    (clear.number == *number).then_some(clear)
}

/// What an entry says is deleted, whether it counts or not.
pub fn deleted_by(clear: EntryClear) -> Vec<ObjectRef> {
    let kind = EntryKind::from_u16(clear.kind);
    let deletes = |object: &ObjectRef| match kind {
        Some(EntryKind::Deleting) => true,
        Some(EntryKind::Roles) => object.kind == ObjectKind::Key,
        _ => false,
    };
    let objects = clear.objects.into_iter();
    objects.filter(deletes).collect()
}

/// Whether any of these entries may delete something: also one that cannot be read.
pub fn any_deletes<'a>(
    place: &dyn Backend,
    mut entries: impl Iterator<Item = &'a EntryName>,
) -> Result<bool> {
    entries.try_fold(false, |any, entry| {
        if any {
            return Ok(true);
        }
        let file = read(place, entry)?;
        let core = entry::decode_file(&file).map(|(core, _)| core);
        let clear = core.ok().and_then(|core| clear_of(entry, core));
        Ok(clear.is_none_or(|clear| !deleted_by(clear).is_empty()))
    })
}

/// What of the goal's log the replica lacks.
#[derive(Debug, Default)]
pub struct LogLacks {
    /// Entries that are to be put, also those whose files are to be written again.
    pub entries: Vec<EntryName>,
    /// How many of them are damaged in the replica.
    pub damaged: u64,
    /// An entry is damaged in the source, or may be.
    pub is_doubtful: bool,
}

/// The entries of the goal that the replica lacks, or whose files are other forms of the same. `InvalidInput` if the replica has any other entry:
/// then its log is no earlier state of this one. `None` if the source has grown meanwhile, so that it must be listed again. With `read_data` each file is compared.
pub fn lacking(job: &Job<'_>, goal: &Log, there: &Log) -> Result<Option<LogLacks>> {
    let strange = there.entries.keys();
    let strange = strange
        .rev()
        .find(|entry| !goal.entries.contains_key(entry));
    if let Some((number, _)) = strange {
        // Somebody else may have brought it up to what has come since.
        if Log::list(job.from)?.entries != goal.entries {
            return Ok(None);
        }
        return Err(ahead(job, *number, goal.end()));
    }
    let newest = there.entries.keys().next_back();
    let new = goal.entries.keys();
    let new = new.filter(|entry| !there.entries.contains_key(entry));
    let mut lacks = LogLacks {
        entries: new.copied().collect(),
        ..LogLacks::default()
    };
    for (entry, len) in &there.entries {
        let is_alike = goal.entries.get(entry) == Some(len) && Some(entry) != newest;
        if !is_alike || job.options.read_data {
            job.interrupt.check()?;
            compare(job, goal, entry, &mut lacks)?;
        }
    }
    lacks.entries.sort_unstable();
    Ok(Some(lacks))
}

fn compare(job: &Job<'_>, goal: &Log, entry: &EntryName, lacks: &mut LogLacks) -> Result<()> {
    let theirs = match read(job.to, entry) {
        Err(e) if e.is_lost() => Vec::new(),
        theirs => theirs?,
    };
    let ours = match read(job.from, entry) {
        Err(e) if e.is_lost() => {
            doubt(job, entry, &e, lacks);
            return Ok(());
        }
        ours => ours?,
    };
    let verdict = match judge(job, goal, entry, &ours, &theirs)? {
        // What was garbled on its way only is not damaged.
        Verdict::NotSource(_) => judge(job, goal, entry, &read(job.from, entry)?, &theirs)?,
        verdict => verdict,
    };
    match verdict {
        Verdict::Same => {}
        Verdict::Source => {
            lacks.damaged += u64::from(wrong(job, entry, &theirs).is_some());
            lacks.entries.push(*entry);
        }
        Verdict::NotSource(e) => doubt(job, entry, &e, lacks),
        Verdict::TwoEntries => return Err(differs(job.to, entry)),
    }
    Ok(())
}

fn doubt(job: &Job<'_>, entry: &EntryName, error: &Error, lacks: &mut LogLacks) {
    job.progress.problem(Path::new(&name_of(entry)), error);
    lacks.is_doubtful = true;
}

/// The error of a replica that has an entry which its source has not.
fn ahead(job: &Job<'_>, number: u64, end: u64) -> Error {
    let detail = match number > end {
        true => format!("has log entries up to {number}, and its source up to {end}"),
        false => format!("has a log entry {number} that its source has not"),
    };
    Error::new(ErrorKind::InvalidInput, Subject::Repository(job.to.place())).detail(detail)
}

/// The error of a replica that has another entry of a name.
pub fn differs(to: &dyn Backend, (number, _): &EntryName) -> Error {
    let detail = format!("has another log entry {number} than its source");
    Error::new(ErrorKind::InvalidInput, Subject::Repository(to.place())).detail(detail)
}
