//! How the logs of two places of one repository lie to each other.

use super::listing::Log;
use super::{Job, SyncOptions, configs, log};
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::progress::{Interrupt, Problems, Progress};

/// So often is looked again because a log grows.
const LOOKS_MAX: u32 = 20;

/// How the log of a place lies to that of another one.
#[derive(Debug)]
pub enum Relation {
    /// The place lacks so many entries that the other one has.
    Behind(u64),
    /// It has all of them, and perhaps more.
    Ahead,
    /// Each has some that the other has not, and why that is known.
    Forked(Error),
}

/// How the log of `to` lies to that of `from`. `InvalidInput` if they are two repositories; `Unavailable` if the logs grow all the time.
pub fn find(
    from: &dyn Backend,
    to: &dyn Backend,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Relation> {
    let (options, progress) = (SyncOptions::default(), Problems::new(progress));
    let job = |from, to| Job {
        from,
        to,
        by: None,
        options: &options,
        progress: &progress,
        interrupt,
    };
    configs::compare(&job(from, to))?;
    for _ in 0..LOOKS_MAX {
        let (theirs, ours) = (Log::list(from)?, Log::list(to)?);
        let why = match log::lacking(&job(from, to), &theirs, &ours) {
            Ok(None) => continue,
            Ok(Some(lacks)) => {
                let is_new = |entry: &&_| !ours.entries.contains_key(*entry);
                return Ok(match lacks.entries.iter().filter(is_new).count() {
                    0 => Relation::Ahead,
                    new => Relation::Behind(new as u64),
                });
            }
            Err(e) if e.kind() == ErrorKind::InvalidInput => e,
            Err(e) => return Err(e),
        };
        return match log::lacking(&job(to, from), &ours, &theirs) {
            Ok(None) => continue,
            Ok(Some(_)) => Ok(Relation::Ahead),
            Err(e) if e.kind() == ErrorKind::InvalidInput => Ok(Relation::Forked(why)),
            Err(e) => Err(e),
        };
    }
    let place = Subject::Repository(from.place());
    Err(Error::new(ErrorKind::Unavailable, place).detail("its log grows all the time"))
}
