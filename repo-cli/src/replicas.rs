//! Other places of the repository, which get what is written to it.

use crate::app::{App, Purpose};
use crate::exit::{Exit, Failure};
use crate::place::{self, Place};
use crate::reporter::{Reporter, Work};
use crate::text::{bytes, counted};
use crate::{healing, message, remote, site};
use repo_core::backend::{Backend, LocalBackend, MemoryBackend};
use repo_core::ops::{self, HeldBack, SyncOptions, SyncSummary};
use repo_core::repo::Repo;
use repo_core::{Error, ErrorKind, Subject};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

/// The variable that names them.
const VARIABLE: &str = "LARDER_REPLICAS";

/// The replicas that flags name, or else the environment. An error says which of them. The variable may name all places of a repository: the one that is
/// worked with is no replica of itself.
pub fn named(app: &App) -> Result<Vec<Place>, Failure> {
    let of = |failure: Failure| failure.of(origin(app));
    if !app.repository.replica.is_empty() {
        return places(app, &app.repository.replica).map_err(of);
    }
    let list = app
        .env
        .get(VARIABLE)
        .map_or(Vec::new(), |list| split(&list));
    let mut named = places(app, &list).map_err(of)?;
    if !named.is_empty()
        && let Ok(home) = place::place(&app.repository, &app.env)
    {
        named.retain(|place| !place::same(place, &home));
    }
    Ok(named)
}

/// What names the replicas.
fn origin(app: &App) -> &'static str {
    match app.repository.replica.is_empty() {
        false => "--replica",
        true => VARIABLE,
    }
}

/// The places that these texts name.
pub fn places(app: &App, texts: &[OsString]) -> Result<Vec<Place>, Failure> {
    let place = |text: &OsString| place::named(text, &app.repository, &app.env);
    texts.iter().map(place).collect()
}

/// Refuses names of replicas that make no sense, before a command begins; of one that adds something also those of the repository itself, and of what lies in it or around it.
pub fn look_at_names(app: &App, purpose: Purpose) -> Result<(), Failure> {
    app.purpose.set(purpose);
    let places = named(app)?;
    if places.is_empty() || purpose != Purpose::Adds {
        return Ok(());
    }
    // Which repository is meant the command itself says better.
    let Ok(home) = place::place(&app.repository, &app.env) else {
        return Ok(());
    };
    let refused = places
        .iter()
        .try_for_each(|place| refuse_home(&home, place));
    refused.map_err(|failure| failure.of(origin(app)))
}

/// Refuses the repository itself, by whatever name, and what lies in it or around it.
pub fn refuse_home(home: &Place, place: &Place) -> Result<(), Failure> {
    match (place::overlap(home, place), home == place) {
        (false, _) => Ok(()),
        (true, true) => Err(Failure::usage(format!(
            "{place} is the repository itself\nName another place."
        ))),
        (true, false) => Err(Failure::usage(format!(
            "{place} is the repository itself, or lies in it or around it\nName another place."
        ))),
    }
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
            Err(e)
                if e.kind() == ErrorKind::NoRepository && path.is_symlink() && !path.exists() =>
            {
                let error = Error::new(ErrorKind::InvalidInput, Subject::Path(path.clone()));
                Err(error.detail("is a symbolic link that leads nowhere").into())
            }
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

/// Notes with which repository a command works. If it is one that adds something, its replicas are looked at before: one that is another repository, or has other things in
/// it, would be refused when all is done. One that cannot be reached is no reason not to begin. One that reads may read from them.
pub fn opened(app: &App, repo: &Repo) -> Result<(), Failure> {
    if app.purpose.get() == Purpose::Reads {
        healing::read_also(app, repo)?;
    }
    if app.purpose.get() == Purpose::Adds {
        for place in named(app)? {
            let look = |to: Arc<dyn Backend>| Ok(ops::look(repo.backend(), &*to)?);
            if let Err(failure) = reach(app, &place, true).and_then(look)
                && let Some(ErrorKind::InvalidInput | ErrorKind::Damaged) = failure.kind()
            {
                return Err(failure.of(&format!("{} {place}", origin(app))));
            }
        }
    }
    *app.opened.borrow_mut() = Some(repo.clone());
    Ok(())
}

/// The same of one that it has made.
pub fn created(app: &App, repo: &Repo) {
    *app.opened.borrow_mut() = Some(repo.clone());
}

/// Brings all replicas up, if the command has added something to the log. What it had from them because the repository has lost it is put back.
pub fn follow(app: &App) -> Result<Exit, Failure> {
    let Some(repo) = app.opened.borrow_mut().take() else {
        return Ok(Exit::Done);
    };
    if !repo.has_appended() {
        return healing::heal(app, &repo);
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
                failed += problems(&done);
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

/// How much of a place is not as it should be by now.
pub fn problems(done: &SyncSummary) -> u64 {
    done.problems + u64::from(done.held_back.is_some())
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
    if done.entries_held > 0 {
        let entries = counted(done.entries_held, "log entry", "log entries");
        app.terminal.warn(&format!(
            "{place} stays what it was, {entries} behind: what they delete rests on something that the repository has lost; `larder check` says more"
        ));
    }
    if let Some(why) = done.held_back.filter(|_| done.held > 0) {
        let objects = counted(
            done.held,
            "object that is deleted stays",
            "objects that are deleted stay",
        );
        app.terminal
            .warn(&format!("{objects} in {place}: {}", why_held(why)));
    }
    if done.was_home {
        app.terminal.warn(&format!("{place} took backups of its own until now; it is a replica from now on, as the source is the home"));
    }
    if done.keys_left_out > 0 {
        let keys = counted(done.keys_left_out, "removed key", "removed keys");
        app.terminal.warn(&format!("{keys} of {place} stayed away, though the source still has it; with --prove it would be known whether it counts as removed"));
    }
    if done.log_damaged > 0 {
        let files = counted(done.log_damaged, "file", "files");
        app.terminal
            .warn(&format!("{files} of the log or config of {place} damaged"));
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

fn why_held(why: HeldBack) -> &'static str {
    match why {
        HeldBack::Damaged => {
            "an object that it lacks is damaged in the repository, and they may be the last copy; `larder check --read-data` says more"
        }
        HeldBack::Lacks => {
            "it lacks what the deletion rests on, and the repository has lost it, so that they may be the last copy; `larder check` says more"
        }
        HeldBack::Log => {
            "a log entry of the repository is damaged or missing, so that nobody can tell what it deletes; `larder check` says more"
        }
        HeldBack::Unsaid => {
            "only with the key it can be told whether they may go; `larder sync --prove` deletes them"
        }
    }
}

/// The replicas that are to be compared, one at least.
pub fn to_compare(app: &App) -> Result<Vec<Place>, Failure> {
    let places = named(app)?;
    match places.is_empty() {
        false => Ok(places),
        true => Err(Failure::usage(
            "no replica was named\nName it with --replica, or set LARDER_REPLICAS.",
        )),
    }
}

/// Compares replicas with the repository, and with `read_data` what is in them. Gives how many are not as they should be.
pub fn compare(
    app: &App,
    repo: &Repo,
    places: Vec<Place>,
    read_data: bool,
) -> Result<u64, Failure> {
    let options = SyncOptions {
        dry_run: true,
        read_data,
    };
    let mut wrong = 0;
    for place in places {
        let done = reach(app, &place, true)
            .and_then(|to| bring_up(app, repo.backend(), &*to, Some(repo), &options));
        match done {
            Ok(done)
                if (done.objects, done.entries + done.entries_held) == (0, 0)
                    && (done.log_damaged, done.problems) == (0, 0) =>
            {
                app.terminal
                    .say(&format!("replica {place}: no errors were found"))?;
            }
            Ok(done) => {
                wrong += 1;
                let objects = counted(done.objects - done.damaged, "object", "objects");
                let entries = done.entries + done.entries_held;
                let entries = counted(entries, "log entry", "log entries");
                let damaged = counted(done.damaged + done.log_damaged, "object", "objects");
                let happened = format!(
                    "lacks {objects} and {entries}, and has {damaged} damaged; `larder sync --read-data` puts it right"
                );
                say_of(app, &place, &happened);
            }
            Err(failure) if failure.kind() == Some(ErrorKind::Interrupted) => return Err(failure),
            Err(failure) => {
                wrong += 1;
                say_of(app, &place, failure.happened());
            }
        }
    }
    Ok(wrong)
}

/// Names a place that could not be brought up; `next` says what becomes of it.
pub fn fail(app: &App, place: &Place, failure: &Failure, next: &str) {
    let happened = failure.happened();
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
