//! Two files of one entry, in the source and in the replica, that differ: which of them is right.

use super::Job;
use super::listing::{EntryName, Log};
use super::log::{clear_of, read, wrong};
use crate::error::{Error, Result, Subject};
use crate::format::entry::{self, EntryClear, Nonce};
use crate::id::EntryHash;
use std::ops::Range;

/// Which file of an entry is right.
#[derive(Debug)]
pub enum Verdict {
    /// Both, as far as they say the same.
    Same,
    /// The source's: the replica's is damaged, cut off, or repeats other entries.
    Source,
    /// Not the source's, or nobody can tell: the error to be shown.
    NotSource(Error),
    /// Each: they are two entries, so that the logs have gone different ways.
    TwoEntries,
}

/// Where an envelope has its salt, which no two have in common.
const SALT: Range<usize> = 12..44;

/// Which of two files is right. What follows the entry in the source is read if they cannot tell.
pub fn judge(
    job: &Job<'_>,
    goal: &Log,
    entry: &EntryName,
    source: &[u8],
    replica: &[u8],
) -> Result<Verdict> {
    if source == replica {
        return Ok(Verdict::Same);
    }
    let cores = core(source).zip(core(replica));
    // What does not open with our key may be another repository's.
    if let Some((ours, theirs)) = cores
        && nonce(entry, ours).is_some()
        && nonce(entry, theirs).is_some()
        && !are_one(entry, ours, theirs)
    {
        return Ok(Verdict::TwoEntries);
    }
    if let Some(wrong) = wrong(job, entry, source) {
        return Ok(Verdict::NotSource(wrong));
    }
    if wrong(job, entry, replica).is_some() {
        return Ok(Verdict::Source);
    }
    match cores {
        // Of class C nobody can tell by a file alone whether what it repeats is right.
        Some((ours, theirs)) if ours == theirs && entry.1.is_some() => Ok(Verdict::Same),
        Some((ours, theirs)) if ours == theirs => Ok(Verdict::Source),
        Some((ours, _)) => by_next(job, goal, entry, ours),
        None => Ok(Verdict::NotSource(unclear(job, entry))),
    }
}

fn core(file: &[u8]) -> Option<&[u8]> {
    entry::decode_file(file).ok().map(|(core, _)| core)
}

/// Whether both were one entry before one was damaged.
fn are_one(entry: &EntryName, ours: &[u8], theirs: &[u8]) -> bool {
    ours.get(SALT) == theirs.get(SALT) || nonce(entry, ours) == nonce(entry, theirs)
}

fn nonce(entry: &EntryName, core: &[u8]) -> Option<Nonce> {
    clear_of(entry, core).map(|clear: EntryClear| clear.nonce)
}

fn by_next(job: &Job<'_>, goal: &Log, entry: &EntryName, ours: &[u8]) -> Result<Verdict> {
    let next = (entry.0 + 1, None);
    if entry.1.is_none() && goal.entries.contains_key(&next) {
        let file = read(job.from, &next)?;
        let hash: EntryHash = entry::hash(ours);
        let clear = core(&file).and_then(|core| clear_of(&next, core));
        if clear.is_some_and(|clear| clear.follows.contains(&hash)) {
            return Ok(Verdict::Source);
        }
    }
    Ok(Verdict::NotSource(unclear(job, entry)))
}

fn unclear(job: &Job<'_>, entry: &EntryName) -> Error {
    Error::damaged(Subject::Entry(entry.0)).detail(format!(
        "is damaged here or in {}, and without a key nobody can tell where",
        job.to.place()
    ))
}
