//! Two files of one entry, in the source and in the replica, that differ: which of them is right.

use super::Job;
use super::listing::{EntryName, Log};
use super::log::{clear_of, read, wrong};
use crate::error::{Error, Result, Subject};
use crate::format::entry::{self, EntryClear};
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
    Ok(
        match (wrong(job, entry, source), wrong(job, entry, replica)) {
            (None, Some(_)) => Verdict::Source,
            (Some(wrong), _) => Verdict::NotSource(wrong),
            (None, None) => {
                let (Some(ours), Some(theirs)) = (core(source), core(replica)) else {
                    return Ok(Verdict::NotSource(unclear(job, entry)));
                };
                match ours == theirs {
                    // Of class C nobody can tell by a file alone whether what it repeats is right.
                    true if entry.1.is_some() => Verdict::Same,
                    true => Verdict::Source,
                    false if !are_one(entry, ours, theirs) => Verdict::TwoEntries,
                    false => by_next(job, goal, entry, ours)?,
                }
            }
        },
    )
}

fn core(file: &[u8]) -> Option<&[u8]> {
    entry::decode_file(file).ok().map(|(core, _)| core)
}

/// Whether both were one entry before one was damaged.
fn are_one(entry: &EntryName, ours: &[u8], theirs: &[u8]) -> bool {
    let nonce = |core| clear_of(entry, core).map(|clear: EntryClear| clear.nonce);
    ours.get(SALT) == theirs.get(SALT) || nonce(ours) == nonce(theirs)
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
