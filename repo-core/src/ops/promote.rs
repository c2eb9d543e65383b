//! Promote: a replica becomes the home of the repository (`docs/design/0012-replicas.md`, "Another home").

use super::copy::{Became, CopyOptions, CopySummary, copy_to};
use super::sync::listing::Log;
use super::sync::relation::{self, Relation};
use super::sync::{SyncOptions, SyncSummary, mark, sync};
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::Action;
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use crate::snapshot::{self, Filter, SnapshotInfo};
use std::sync::Arc;

/// What is wrong with another place whose log is no part of the log here, nor the other way round.
const FORKED: &str = "went its own way: it has log entries that the other place has not, and lacks some of that one:";

/// How other places are looked at.
#[derive(Debug, Default, Clone, Copy)]
pub struct GatherOptions {
    /// Leave places alone that went their own way.
    pub merge: bool,
    /// Say what would be done, and write nothing.
    pub dry_run: bool,
}

/// What was brought to a place that is to be the home.
#[derive(Debug, Default)]
pub struct Gathered {
    /// From which places, as people know them, and what.
    pub brought: Vec<(String, SyncSummary)>,
    /// The places that took entries until now.
    pub homes: Vec<String>,
    /// The places that went their own way, by their numbers among the others.
    pub apart: Vec<usize>,
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
/// Nothing is changed if one of them is another repository, or went its own way, unless with `merge`, which leaves it what it is, but that it takes no
/// more entries: `InvalidInput`. No key is needed. A stop leaves `here` what a stop of a sync leaves, and others that take no entries: done again it
/// goes on. With `dry_run` nothing is written, and only entries are counted.
pub fn gather(
    here: &dyn Backend,
    others: &[Arc<dyn Backend>],
    options: GatherOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    let relate = |from: &dyn Backend, to| relation::find(from, to, progress, interrupt);
    let mut joined: Vec<&dyn Backend> = Vec::new();
    for (n, other) in others.iter().enumerate() {
        if Log::list(&**other)?.is_home() {
            gathered.homes.push(other.place());
        }
        match relate(&**other, here)? {
            Relation::Forked(_) if options.merge => {
                gathered.apart.push(n);
                continue;
            }
            Relation::Forked(why) => return Err(forked(&**other, here, why)),
            Relation::Behind(entries) if options.dry_run => {
                let would = SyncSummary {
                    entries,
                    ..SyncSummary::default()
                };
                gathered.brought.push((other.place(), would));
            }
            _ => {}
        }
        // Each may be ahead of the place here, and two of them not be one repository any more.
        for third in &joined {
            if let Relation::Forked(why) = relate(&**other, *third)? {
                return Err(forked(&**other, *third, why));
            }
        }
        joined.push(&**other);
    }
    if options.dry_run {
        return Ok(gathered);
    }
    for other in others {
        let log = Log::list(&**other)?;
        if !log.open.is_empty() {
            mark::take(&**other, &log, true)?;
        }
    }
    for other in joined {
        match relate(other, here)? {
            Relation::Ahead => {}
            Relation::Forked(why) => return Err(forked(other, here, why)),
            Relation::Behind(_) => {
                let done = sync(
                    other,
                    here,
                    None,
                    &SyncOptions::default(),
                    progress,
                    interrupt,
                )?;
                gathered.brought.push((other.place(), done));
            }
        }
    }
    Ok(gathered)
}

/// The error of two places each of which has something that the other has not.
fn forked(other: &dyn Backend, here: &dyn Backend, why: Error) -> Error {
    let place = Subject::Repository(other.place());
    let detail = format!("{FORKED} {}", here.place());
    Error::new(ErrorKind::InvalidInput, place)
        .detail(detail)
        .because(why)
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

/// Brings the snapshots into the home that another place of its repository, which went its own way, has by itself: those that its log has, that are not forgotten
/// there, and that the log of the home never named. They are copied as between two repositories ([`super::copy()`]), with other ids; `told` is told of
/// each. What was forgotten, deleted or changed otherwise there is not done in the home. Done again, it copies what is new. Errors and memory: as of a copy.
pub fn merge(
    from: &Repo,
    to: &Repo,
    told: &mut dyn FnMut(&SnapshotInfo, Became),
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<CopySummary> {
    to.refresh()?;
    let state = to.state();
    let mut own = snapshot::list(from, &Filter::default()).snapshots;
    own.retain(|info| state.snapshot(&info.id).is_none() && !state.is_deleted(&info.id.0));
    let options = CopyOptions::default();
    copy_to(from, to, &own, &options, told, progress, interrupt)
}
