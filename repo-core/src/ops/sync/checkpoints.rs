//! Checkpoints on their way into a replica, behind the entries that they are of.
//!
//! No name proves one. With a key it is opened, without one it is seen whether it comes apart; nothing rests on checkpoints.

use super::{Job, Lacking};
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::checkpoint::Checkpoint;
use crate::format::codec;
use crate::format::envelope::{self, RecordType};
use crate::format::name;
use crate::progress::Progress;
use std::path::Path;

/// The number of the entry that one is of.
pub fn number(checkpoint: &str) -> u64 {
    name::parse_numbered(checkpoint).map_or(0, |(number, _)| number)
}

/// Those up to the goal that the replica lacks or has damaged, and how many are damaged there. One that differs in length is read, with `read_data` all of them.
pub fn lacking(job: &Job<'_>, lacking: &Lacking) -> Result<(Vec<String>, u64)> {
    let (mut names, mut damaged) = (Vec::new(), 0);
    let end = lacking.goal.end();
    let source = &lacking.source.checkpoints;
    for (name, len) in source.iter().filter(|(name, _)| number(name) <= end) {
        let their_len = lacking.there.checkpoints.get(name);
        if their_len.is_none() {
            names.push(name.clone());
        } else if job.options.read_data || their_len != Some(len) {
            job.interrupt.check()?;
            if is_damaged(job, name)? {
                names.push(name.clone());
                damaged += 1;
            }
        }
    }
    Ok((names, damaged))
}

/// Whether one is damaged in the replica. Names it if it is in the source, or if nobody can tell where.
fn is_damaged(job: &Job<'_>, name: &str) -> Result<bool> {
    let ours = match read(job, job.from, name) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        ours => ours,
    };
    let (ours, theirs) = match (ours, read(job, job.to, name)) {
        (Err(e), _) if e.is_lost() => {
            job.progress.problem(Path::new(name), &e);
            return Ok(false);
        }
        (_, Err(e)) if e.is_lost() => return Ok(true),
        (ours, theirs) => (ours?, theirs?),
    };
    if ours != theirs {
        let detail = format!(
            "is not the same in {}: it is damaged here or there",
            job.to.place()
        );
        let error = Error::damaged(Subject::Object(name.to_owned())).detail(detail);
        job.progress.problem(Path::new(name), &error);
    }
    Ok(false)
}

/// Copies those that the replica lacks, as far as it has the entries that they are of. One that has gone is passed over, one that is damaged is named.
pub fn copy(job: &Job<'_>, lacking: &Lacking) -> Result<()> {
    for name in &lacking.checkpoints {
        job.interrupt.check()?;
        match read(job, job.from, name) {
            Ok(bytes) => job.to.put(name, &bytes)?,
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) if e.is_lost() => job.progress.problem(Path::new(name), &e),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// A checkpoint that is one, as far as can be seen, at the second reading at the latest.
fn read(job: &Job<'_>, place: &dyn Backend, name: &str) -> Result<Vec<u8>> {
    let first = place.get(name)?;
    if wrong(job, name, &first).is_none() {
        return Ok(first);
    }
    let second = place.get(name)?;
    match wrong(job, name, &second) {
        None => Ok(second),
        Some(e) => Err(e.about(Subject::Object(name.to_owned()))),
    }
}

/// Why it is none; nothing if a newer version has written it.
fn wrong(job: &Job<'_>, name: &str, bytes: &[u8]) -> Option<Error> {
    let look = || {
        let Some(repo) = job.by else {
            return envelope::visible(bytes).map(drop);
        };
        let opened = repo.envelopes().open(RecordType::Checkpoint, bytes)?;
        let checkpoint: Checkpoint = codec::decode(&opened.body)?;
        match checkpoint.tail.number == number(name) {
            true => Ok(()),
            false => {
                Err(Error::damaged(Subject::None).detail("is the checkpoint of another number"))
            }
        }
    };
    look()
        .err()
        .filter(|e: &Error| e.kind() == ErrorKind::Damaged)
}
