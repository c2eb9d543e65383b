//! Other places of the repository, which get what is written to it.

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::place::{self, Place};
use crate::reporter::{Reporter, Work};
use crate::text::{bytes, counted};
use crate::{message, remote, site};
use repo_core::ErrorKind;
use repo_core::backend::{Backend, LocalBackend, MemoryBackend};
use repo_core::ops::{self, SyncOptions, SyncSummary};
use repo_core::repo::Repo;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

/// The variable that names them.
const VARIABLE: &str = "LARDER_REPLICAS";

/// The replicas that flags name, or else the environment.
pub fn named(app: &App) -> Result<Vec<Place>, Failure> {
    let texts = match app.repository.replica.is_empty() {
        false => app.repository.replica.clone(),
        true => app
            .env
            .get(VARIABLE)
            .map_or(Vec::new(), |list| split(&list)),
    };
    places(app, &texts)
}

/// The places that these texts name.
pub fn places(app: &App, texts: &[OsString]) -> Result<Vec<Place>, Failure> {
    let place = |text: &OsString| place::named(text, &app.repository, &app.env);
    texts.iter().map(place).collect()
}

/// The parts of a list: lines, or where there is one line what stands between commas.
fn split(list: &OsStr) -> Vec<OsString> {
    let bytes = list.as_bytes().trim_ascii();
    let by = if bytes.contains(&b'\n') { b'\n' } else { b',' };
    let parts = bytes.split(|byte| *byte == by).map(<[u8]>::trim_ascii);
    let parts = parts.filter(|part| !part.is_empty());
    parts
        .map(|part| OsString::from_vec(part.to_vec()))
        .collect()
}

/// The way to a replica. A directory is made, unless nothing is to be done.
pub fn reach(app: &App, place: &Place, dry_run: bool) -> Result<Arc<dyn Backend>, Failure> {
    match place {
        Place::Local(path) if dry_run => match LocalBackend::open(path) {
            Err(e) if e.kind() == ErrorKind::NoRepository && e.detail_text().is_none() => {
                Ok(Arc::new(MemoryBackend::new()))
            }
            opened => Ok(Arc::new(opened?)),
        },
        Place::Local(path) => {
            LocalBackend::create(path)?;
            site::backend(app, place)
        }
        Place::Remote(remote) => Ok(remote::reach(app, remote)?.backend),
    }
}

/// Notes with which repository a command works.
pub fn opened(app: &App, repo: &Repo) {
    let tail = repo.state().tail().number;
    *app.opened.borrow_mut() = Some((repo.clone(), tail));
}

/// The same of one that it has made.
pub fn created(app: &App, repo: &Repo) {
    *app.opened.borrow_mut() = Some((repo.clone(), 0));
}

/// Brings all replicas up, if the command has added something to the log.
pub fn follow(app: &App) -> Result<Exit, Failure> {
    let Some((repo, before)) = app.opened.borrow_mut().take() else {
        return Ok(Exit::Done);
    };
    if repo.state().tail().number == before {
        return Ok(Exit::Done);
    }
    let mut failed = 0;
    for place in named(app)? {
        let done = reach(app, &place, false).and_then(|to| {
            bring_up(
                app,
                repo.backend(),
                &*to,
                Some(&repo),
                &SyncOptions::default(),
            )
        });
        match done {
            Ok(done) => {
                tell(app, &place, &done, false)?;
                failed += u64::from(done.problems > 0);
            }
            Err(failure) if failure.kind() == Some(ErrorKind::Interrupted) => return Err(failure),
            Err(failure) => {
                fail(
                    app,
                    &place,
                    &failure,
                    "; `larder sync` does it, or the next run",
                );
                failed += 1;
            }
        }
    }
    Ok(Exit::with_problems(failed))
}

/// Makes a place hold what the repository does.
pub fn bring_up(
    app: &App,
    from: &dyn Backend,
    to: &dyn Backend,
    by: Option<&Repo>,
    options: &SyncOptions,
) -> Result<SyncSummary, Failure> {
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Sync);
    reporter.run(|progress, interrupt| ops::sync(from, to, by, options, progress, interrupt))
}

/// Says what became of a place.
pub fn tell(app: &App, place: &Place, done: &SyncSummary, dry_run: bool) -> Result<(), Failure> {
    if done.kept > 0 {
        let objects = counted(done.kept, "object", "objects");
        app.terminal.warn(&format!(
            "{place} has {objects} that the repository has not, and no entry of the log deletes: `larder check` says whether they are missing"
        ));
    }
    if done.held_back {
        app.terminal.warn(&format!(
            "nothing was deleted in {place}, because it lacks something that is damaged or missing in the repository"
        ));
    }
    if done.damaged > 0 {
        let objects = counted(done.damaged, "object", "objects");
        app.terminal.warn(&format!("{place} has {objects} damaged"));
    }
    let objects = counted(done.objects, "object", "objects");
    let entries = counted(done.entries, "log entry", "log entries");
    let (gets, deletes) = match dry_run {
        true => ("would get", "would delete"),
        false => ("got", "deleted"),
    };
    let text = match (done.objects, done.entries, done.deleted) {
        (0, 0, 0) => format!("{place} was up to date"),
        (_, _, 0) => format!(
            "{place} {gets} {objects}, {}, and {entries}",
            bytes(done.bytes)
        ),
        (_, _, deleted) => format!(
            "{place} {gets} {objects}, {}, and {entries}; {deletes} {}",
            bytes(done.bytes),
            counted(deleted, "object", "objects")
        ),
    };
    app.terminal.say(&text)
}

/// Compares all replicas with the repository, and with `read_data` what is in them. Gives how many are not as they should be.
pub fn compare(app: &App, repo: &Repo, read_data: bool) -> Result<u64, Failure> {
    let places = named(app)?;
    if places.is_empty() {
        return Err(Failure::usage(
            "no replica was named\nName it with --replica, or set LARDER_REPLICAS.",
        ));
    }
    let options = SyncOptions {
        dry_run: true,
        read_data,
    };
    let mut wrong = 0;
    for place in places {
        let done = reach(app, &place, true)
            .and_then(|to| bring_up(app, repo.backend(), &*to, Some(repo), &options));
        match done {
            Ok(done) if (done.objects, done.entries) == (0, 0) => {
                app.terminal
                    .say(&format!("replica {place}: no errors were found"))?;
            }
            Ok(done) => {
                wrong += 1;
                let objects = counted(done.objects - done.damaged, "object", "objects");
                let entries = counted(done.entries, "log entry", "log entries");
                let damaged = counted(done.damaged, "object", "objects");
                let happened = format!(
                    "lacks {objects} and {entries}, and has {damaged} damaged; `larder sync --read-data` puts it right"
                );
                say_of(app, &place, &happened);
            }
            Err(failure) if failure.kind() == Some(ErrorKind::Interrupted) => return Err(failure),
            Err(failure) => {
                wrong += 1;
                say_of(
                    app,
                    &place,
                    failure.text().lines().next().unwrap_or_default(),
                );
            }
        }
    }
    Ok(wrong)
}

/// Names a place that could not be brought up; `next` says what becomes of it.
pub fn fail(app: &App, place: &Place, failure: &Failure, next: &str) {
    let happened = failure.text().lines().next().unwrap_or_default();
    say_of(app, place, &format!("was not brought up: {happened}{next}"));
}

fn say_of(app: &App, place: &Place, happened: &str) {
    let line = message::place_failed(app.terminal.json(), &place.to_string(), happened);
    app.terminal.to_stderr(&line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_lines_or_commas() {
        let parts = |list: &str| {
            let parts = split(list.as_ref()).into_iter();
            parts
                .map(|part| part.into_string().expect("text"))
                .collect::<Vec<_>>()
        };
        assert_eq!(parts("/a, s3:b/c ,"), ["/a", "s3:b/c"]);
        assert_eq!(parts("/with, comma\n\n/b\n"), ["/with, comma", "/b"]);
        assert_eq!(parts("/with, comma\n"), ["/with", "comma"]);
        assert!(parts(" ").is_empty());
    }
}
