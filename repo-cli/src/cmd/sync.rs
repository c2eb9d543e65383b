//! `larder sync`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::place::{self, Place};
use crate::replicas::{self, bring_up, tell};
use crate::{json, repository, site};
use clap::Args;
use repo_core::backend::Backend;
use repo_core::ops::{SyncOptions, SyncSummary};
use repo_core::repo::Repo;
use repo_core::{Error, ErrorKind, Subject};
use std::ffi::OsString;
use std::sync::Arc;

/// Arguments of `sync`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// A place that is to hold the same as the repository; may be given more than once
    #[arg(long, value_name = "PLACE")]
    to: Vec<OsString>,

    /// Open the repository, and delete in the places only what its log proves to be deleted
    ///
    /// Without a key nobody can tell whether an entry of the log counts. What one names is deleted elsewhere if the repository has it no more; who can
    /// delete in the repository and write to its log could so delete everywhere.
    #[arg(long)]
    prove: bool,

    /// Read everything in the places too, and write again what is damaged there
    #[arg(long)]
    read_data: bool,

    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Makes other places hold the same.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let places = match arguments.to.is_empty() {
        false => replicas::places(app, &arguments.to)?,
        true => replicas::named(app)?,
    };
    if places.is_empty() {
        return Err(Failure::usage(
            "no place was named that is to hold the same\nName it with --to, or set LARDER_REPLICAS.",
        ));
    }
    let options = SyncOptions {
        dry_run: arguments.dry_run,
        read_data: arguments.read_data,
    };
    let home = place::place(&app.repository, &app.env)?;
    places
        .iter()
        .try_for_each(|place| replicas::refuse_home(&home, place))?;
    let source = Source::open(app, arguments.prove)?;
    let mut failures: Vec<(&Place, Failure)> = Vec::new();
    let mut problems = 0;
    for place in &places {
        match source.bring_up(app, place, &options) {
            Ok(done) => {
                if app.terminal.json() {
                    let name = place.to_string();
                    app.terminal.json_line(&json::Replica::new(&name, &done))?;
                }
                tell(app, place, &done, arguments.dry_run)?;
                problems += replicas::problems(&done);
            }
            Err(failure) if failure.kind() == Some(ErrorKind::Interrupted) => return Err(failure),
            Err(failure) => failures.push((place, failure)),
        }
    }
    let failed = failures.len();
    // One that fails alone is how the command ends; of several each is named.
    if places.len() == 1
        && let Some((place, failure)) = failures.pop()
    {
        return Err(in_place(place, failure));
    }
    for (place, failure) in &failures {
        replicas::fail(app, place, failure, "");
    }
    if failed == places.len() {
        return Err(Failure::failed("no place was brought up"));
    }
    if app.terminal.json() {
        app.json_summary(&json::SyncSummary {
            message_type: "summary",
            dry_run: arguments.dry_run,
            replicas: (places.len() - failed) as u64,
            replicas_failed: failed as u64,
        })?;
    }
    Ok(Exit::with_problems(problems + failed as u64))
}

/// An error of a place, which says so if it names only something that lies there.
fn in_place(place: &Place, failure: Failure) -> Failure {
    let place = place.to_string();
    match failure.text().contains(&place) {
        true => failure,
        false => failure.of(&place),
    }
}

/// The repository as a place, and opened if it is to prove what its log says.
struct Source {
    backend: Arc<dyn Backend>,
    repo: Option<Repo>,
}

impl Source {
    fn open(app: &App, prove: bool) -> Result<Self, Failure> {
        let repo = match prove {
            true => Some(repository::open(app, false)?.repo),
            false => None,
        };
        let place = place::place(&app.repository, &app.env)?;
        let backend = site::backend(app, &place).map_err(|failure| match failure.kind() {
            Some(ErrorKind::NoRepository) => no_repository(&place),
            _ => failure,
        })?;
        if site::recognize(&*backend, &place)?.is_none() {
            return Err(no_repository(&place));
        }
        Ok(Self { backend, repo })
    }

    fn bring_up(
        &self,
        app: &App,
        to: &Place,
        options: &SyncOptions,
    ) -> Result<SyncSummary, Failure> {
        let to = replicas::reach(app, to, options.dry_run)?;
        bring_up(app, &*self.backend, &*to, self.repo.as_ref(), options)
    }
}

fn no_repository(place: &Place) -> Failure {
    place
        .name_in(Error::new(ErrorKind::NoRepository, Subject::None))
        .into()
}
