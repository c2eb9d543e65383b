//! `larder promote`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::place::{self, Place};
use crate::reporter::{Reporter, Work};
use crate::text::{bytes, counted};
use crate::{json, replicas, repository, site};
use clap::Args;
use repo_core::backend::Backend;
use repo_core::ops::{self, Gathered, Promoted};
use repo_core::{Error, ErrorKind, Subject};
use std::sync::Arc;

/// Arguments of `promote`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Makes a replica the home of the repository.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let dry_run = arguments.dry_run;
    let place = place::place(&app.repository, &app.env)?;
    // Who has seen more than the place has gets it from the others, or is told so afterwards.
    let opened = match repository::open(app, false) {
        Ok(opened) => Some(opened.repo),
        Err(failure) if failure.kind() == Some(ErrorKind::RolledBack) => None,
        Err(failure) => return Err(failure),
    };
    if let Some(repo) = &opened {
        ops::may_promote(repo)?;
    }
    let (others, away) = reach_others(app)?;
    let here = site::backend(app, &place)?;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Sync);
    let gathered = reporter
        .run(|progress, interrupt| ops::gather(&*here, &others, dry_run, progress, interrupt))?;
    tell(app, &place, &gathered, dry_run)?;
    let promoted = match dry_run {
        true => None,
        false => {
            let repo = match opened {
                Some(repo) => repo,
                None => repository::open(app, false)?.repo,
            };
            Some(ops::promote(&repo)?)
        }
    };
    tell_promoted(app, &place, promoted.as_ref())?;
    if app.terminal.json() {
        app.json_summary(&json::Promoted::new(&gathered, promoted.as_ref()))?;
    }
    let problems: u64 = gathered.brought.iter().map(|(_, done)| done.problems).sum();
    Ok(Exit::with_problems(problems + away))
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
