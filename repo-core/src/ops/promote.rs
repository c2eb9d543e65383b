//! Promote: a replica becomes the home of the repository (`docs/design/0012-replicas.md`, "Another home").

use super::sync::listing::Log;
use super::sync::relation::{self, Relation};
use super::sync::{SyncOptions, SyncSummary, mark, sync};
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::Action;
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use std::sync::Arc;

/// What is wrong with another place whose log is no part of the log here, nor the other way round.
const FORKED: &str = "went its own way: it has log entries that are not in this place, which has some that it has not:";

/// What was brought to a place that is to be the home.
#[derive(Debug, Default)]
pub struct Gathered {
    /// From which places, as people know them, and what.
    pub brought: Vec<(String, SyncSummary)>,
    /// The places that took entries until now.
    pub homes: Vec<String>,
}

/// What a promotion came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promoted {
    /// How often another place was made the home by now.
    pub generation: u64,
    /// The newest entry of the log.
    pub entry: u64,
    /// The place was the home before, and nothing was changed.
    pub was_home: bool,
}

/// Refuses a holder who may not promote: `Denied`.
pub fn may_promote(repo: &Repo) -> Result<()> {
    let promotion = Action::Promote { generation: 0 };
    match repo.state().may_write(&repo.writer(), &promotion) {
        true => Ok(()),
        false => {
            let place = Subject::Repository(repo.place());
            Err(Error::new(ErrorKind::Denied, place).detail("only a full key may promote it"))
        }
    }
}

/// Brings `here` up from `others`, the other places of its repository, as far as they have more of its log, and makes those take no more
/// entries that do: what is reported as stored in one of them until then is in `here` afterwards.
///
/// Nothing is changed if one of them went its own way, or is another repository: `InvalidInput`. No key is needed. A stop leaves `here` what a stop of
/// a sync leaves, and others that take no entries: done again it goes on. With `dry_run` nothing is written, and only entries are counted.
pub fn gather(
    here: &dyn Backend,
    others: &[Arc<dyn Backend>],
    dry_run: bool,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    let relate = |from: &dyn Backend, to| find_relation(from, to, progress, interrupt);
    for (n, other) in others.iter().enumerate() {
        let behind = relate(&**other, here)?;
        // Also one by one each may be ahead of the place here, and two of them not be one repository any more.
        for third in &others[..n] {
            relate(&**other, &**third)?;
        }
        if Log::list(&**other)?.is_home() {
            gathered.homes.push(other.place());
        }
        if let (Relation::Behind(entries), true) = (behind, dry_run) {
            let would = SyncSummary {
                entries,
                ..SyncSummary::default()
            };
            gathered.brought.push((other.place(), would));
        }
    }
    if dry_run {
        return Ok(gathered);
    }
    for other in others {
        let log = Log::list(&**other)?;
        if !log.open.is_empty() {
            mark::take(&**other, &log, true)?;
        }
    }
    for other in others {
        if let Relation::Behind(_) = relate(&**other, here)? {
            let options = SyncOptions::default();
            let done = sync(&**other, here, None, &options, progress, interrupt)?;
            gathered.brought.push((other.place(), done));
        }
    }
    Ok(gathered)
}

/// How the log `here` lies to that of another place. `InvalidInput` if each has something that the other has not.
fn find_relation(
    other: &dyn Backend,
    here: &dyn Backend,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Relation> {
    match relation::find(other, here, progress, interrupt)? {
        Relation::Forked(why) => {
            let place = Subject::Repository(other.place());
            let detail = format!("{FORKED} {}", here.place());
            Err(Error::new(ErrorKind::InvalidInput, place)
                .detail(detail)
                .because(why))
        }
        relation => Ok(relation),
    }
}

/// Makes the place of an open repository its home: its log takes entries from now on, and says that the home has changed.
///
/// Of one that is the home nothing is changed. After a stop the place is a replica or the home, whole in both cases, and says that it is a replica until all is done; done again
/// it goes on. `Denied` without a full key; other errors as of an append.
pub fn promote(repo: &Repo) -> Result<Promoted> {
    repo.refresh()?;
    may_promote(repo)?;
    let place = repo.backend();
    let log = Log::list(place)?;
    let was_home = log.is_home() && !log.is_replica;
    if !was_home {
        mark::open(place, repo.state().tail().number)?;
        repo.append(&mut |state| {
            let generation = state.generation().saturating_add(1);
            Ok(Some(Action::Promote { generation }))
        })?;
        mark::release(place)?;
    }
    let state = repo.state();
    Ok(Promoted {
        generation: state.generation(),
        entry: state.tail().number,
        was_home,
    })
}
