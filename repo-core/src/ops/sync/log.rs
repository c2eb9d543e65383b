//! The two logs: whether they belong together, and what of an entry anyone can read.

use super::Job;
use super::listing::{EntryName, Log, name_of};
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::{self, ENTRY_BYTES_MAX, Entry, EntryClear, EntryKind, ObjectRef};
use crate::format::name::ObjectKind;

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

/// Why a file is not the entry that its name says, as far as can be seen: with a key all of it, without one what stands in clear and, of class A
/// by what it repeats, that it follows the one before.
fn wrong(job: &Job<'_>, (number, nonce): &EntryName, file: &[u8]) -> Option<Error> {
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
    let before = repeated.last().filter(|_| nonce.is_none());
    let before = before.map(|core| entry::hash(core));
    if before.is_some_and(|before| !clear.follows.contains(&before)) {
        return Some(bad("does not follow the one before it"));
    }
    let envelopes = job.by?.envelopes();
    let opened = Entry::open(envelopes, core).err();
    opened.filter(|e| e.kind() == ErrorKind::Damaged).map(about)
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

/// The entries of the goal that the replica lacks, or whose files are other forms of the same. `InvalidInput` if the replica has any other entry:
/// then its log is no earlier state of this one.
pub fn lacking(job: &Job<'_>, goal: &Log, there: &Log) -> Result<Vec<EntryName>> {
    let place = || Subject::Repository(job.to.place());
    let (ours, theirs) = (goal.end(), there.end());
    if theirs > ours {
        let detail = format!("has log entries up to {theirs}, and its source up to {ours}");
        return Err(Error::new(ErrorKind::InvalidInput, place()).detail(detail));
    }
    let newest = there.entries.keys().next_back();
    let new = goal.entries.keys();
    let new = new.filter(|entry| !there.entries.contains_key(entry));
    let mut lacking: Vec<EntryName> = new.copied().collect();
    for (entry, len) in &there.entries {
        let Some(expected) = goal.entries.get(entry) else {
            let detail = format!("has a log entry {} that its source has not", entry.0);
            return Err(Error::new(ErrorKind::InvalidInput, place()).detail(detail));
        };
        if len == expected && Some(entry) != newest {
            continue;
        }
        let (ours, theirs) = (read(job.from, entry)?, read(job.to, entry)?);
        match ours == theirs {
            true => {}
            false if is_form_of(&theirs, &ours) => lacking.push(*entry),
            false => return Err(differs(job.to, entry)),
        }
    }
    lacking.sort_unstable();
    Ok(lacking)
}

/// Whether a file is the beginning of another, as of a write that was cut off, or the same entry that repeats others.
pub fn is_form_of(file: &[u8], other: &[u8]) -> bool {
    let core = |file| entry::decode_file(file).map(|(core, _)| core).ok();
    other.starts_with(file) || core(file).is_some() && core(file) == core(other)
}

/// The error of a replica that has another entry of a name.
pub fn differs(to: &dyn Backend, (number, _): &EntryName) -> Error {
    let detail = format!("has another log entry {number} than its source");
    Error::new(ErrorKind::InvalidInput, Subject::Repository(to.place())).detail(detail)
}
