//! `larder promote`

use crate::app::App;
use crate::cmd::copy;
use crate::exit::{Exit, Failure};
use crate::place::{self, Place};
use crate::reporter::{Reporter, Work};
use crate::repository::Opened;
use crate::text::{bytes, counted};
use crate::{json, replicas, repository, site};
use clap::Args;
use repo_core::backend::Backend;
use repo_core::ops::{self, Became, GatherOptions, Gathered, Promoted};
use repo_core::snapshot::SnapshotInfo;
use repo_core::{Error, ErrorKind, Subject};
use std::sync::Arc;

/// Arguments of `promote`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Bring over what places have by themselves that went their own way
    ///
    /// Snapshots that such a place has, and the new home never had, are copied, with new IDs. What else was done there is not done in the new home. The place
    /// stays what it is, but that it takes nothing any more.
    #[arg(long)]
    merge: bool,
}

/// Makes a replica the home of the repository.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let options = GatherOptions {
        merge: arguments.merge,
        dry_run: arguments.dry_run,
    };
    let place = place::place(&app.repository, &app.env)?;
    // Who has seen more than the place has gets it from the others, or is told so afterwards.
    let opened = match repository::open(app, false) {
        Ok(opened) => Some(opened),
        Err(failure) if failure.kind() == Some(ErrorKind::RolledBack) => None,
        Err(failure) => return Err(failure),
    };
    if let Some(opened) = &opened {
        ops::may_promote(&opened.repo)?;
    }
    let (others, away) = reach_others(app)?;
    let here = site::backend(app, &place)?;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Sync);
    let gathered = reporter
        .run(|progress, interrupt| ops::gather(&*here, &others, options, progress, interrupt))?;
    tell(app, &place, &gathered, options.dry_run)?;
    let apart = gathered.apart.iter().map(|n| &others[*n]);
    let mut problems = away;
    let mut promoted = None;
    if options.dry_run {
        apart.clone().try_for_each(|other| {
            let text = format!("{} went its own way, and would be merged", other.place());
            app.terminal.say(&text)
        })?;
    } else {
        let opened = match opened {
            Some(opened) => opened,
            None => repository::open(app, false)?,
        };
        promoted = Some(ops::promote(&opened.repo)?);
        for other in apart {
            problems += merge(app, other, &opened)?;
        }
    }
    tell_promoted(app, &place, promoted.as_ref())?;
    if app.terminal.json() {
        app.json_summary(&json::Promoted::new(&gathered, promoted.as_ref()))?;
    }
    let brought = gathered.brought.iter();
    problems += brought.map(|(_, done)| done.problems).sum::<u64>();
    Ok(Exit::with_problems(problems))
}

/// Brings over what a place has that went its own way. Gives how many of its snapshots could not be.
fn merge(app: &App, other: &Arc<dyn Backend>, home: &Opened) -> Result<u64, Failure> {
    let theirs = repository::open_apart(app, Arc::clone(other), &home.credential)?;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Copy);
    let mut told = Ok(());
    let done = reporter.run(|progress, interrupt| {
        let mut tell = |info: &SnapshotInfo, became: Became| {
            if told.is_ok() {
                told = copy::say(app, info, became);
            }
        };
        ops::merge(&theirs, &home.repo, &mut tell, progress, interrupt)
    })?;
    told?;
    let snapshots = counted(done.copied, "snapshot", "snapshots");
    app.terminal.say(&format!(
        "copied {snapshots} of {}, which went its own way; to make it a replica, remove config, log and checkpoints there, and sync to it",
        other.place()
    ))?;
    Ok(done.incomplete)
}

/// The ways to the other places of the repository, and how many cannot be reached, or have none: each of those is named.
fn reach_others(app: &App) -> Result<(Vec<Arc<dyn Backend>>, u64), Failure> {
    let (mut others, mut away) = (Vec::new(), 0);
    for other in replicas::named(app)? {
        let reached =
            replicas::reach(app, &other, true).and_then(|backend| {
                match site::recognize(&*backend, &other)? {
                    Some(_) => Ok(backend),
                    None => Err(other
                        .name_in(Error::new(ErrorKind::NoRepository, Subject::None))
                        .into()),
                }
            });
        match reached {
            Ok(backend) => others.push(backend),
            Err(failure) if failure.kind() == Some(ErrorKind::Interrupted) => return Err(failure),
            Err(failure) => {
                away += 1;
                app.terminal.warn(&format!(
                    "{other} was not compared: {}; what only it has is not in the new home",
                    failure.happened()
                ));
            }
        }
    }
    Ok((others, away))
}

fn tell(app: &App, place: &Place, gathered: &Gathered, dry_run: bool) -> Result<(), Failure> {
    for (from, done) in &gathered.brought {
        let entries = counted(done.entries, "log entry", "log entries");
        let text = match dry_run {
            true => format!("{place} would get {entries} from {from}"),
            false => format!(
                "{place} got {}, {}, and {entries} from {from}",
                counted(done.objects, "object", "objects"),
                bytes(done.bytes)
            ),
        };
        app.terminal.say(&text)?;
    }
    for home in &gathered.homes {
        app.terminal.say(&match dry_run {
            true => format!("{home}, the home until now, would become a replica"),
            false => format!("{home} is no home any more, but a replica"),
        })?;
    }
    Ok(())
}

fn tell_promoted(app: &App, place: &Place, promoted: Option<&Promoted>) -> Result<(), Failure> {
    let text = match promoted {
        None => format!("{place} would become the home of the repository"),
        Some(promoted) if promoted.was_home => {
            format!("{place} is the home of the repository already")
        }
        Some(promoted) => format!(
            "{place} is the home of the repository from now on: generation {}, log entry {}",
            promoted.generation, promoted.entry
        ),
    };
    app.terminal.say(&text)
}
