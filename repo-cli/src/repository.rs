//! Which repository is meant, and how it is opened.

use crate::app::App;
use crate::cache;
use crate::credential::{self, CredentialFlags};
use crate::env::Env;
use crate::exit::Failure;
use crate::locks::LockFlags;
use crate::network::NetworkFlags;
use crate::place::{self, Place, place};
use crate::replicas;
use crate::site::{Existing, Site, backend, existing, recognize};
use crate::text::printable;
use crate::{message, process, terminal::Terminal};
use clap::Args;
use repo_core::backend::Backend;
use repo_core::crypto::{DomainKeys, KdfParams};
use repo_core::format::key_slot::{Credential, Label};
use repo_core::log::Unreadable;
use repo_core::repo::{InitOptions, OpenOptions, Recognized, Repo};
use repo_core::{Error, ErrorKind, Subject, time};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How often a user may mistype a password.
const TRIES: u32 = 3;

/// Flags that say where the repository is and what is kept of it on this machine.
#[derive(Args, Debug, Default)]
pub struct RepositoryFlags {
    /// The repository: a directory, or an address such as s3:https://host/bucket/prefix or sftp:user@host:/path [$LARDER_REPOSITORY]
    #[arg(
        short,
        long,
        value_name = "PLACE",
        global = true,
        help_heading = "Repository"
    )]
    pub repo: Option<OsString>,

    /// Read the place from this file [$LARDER_REPOSITORY_FILE]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Repository")]
    pub repository_file: Option<PathBuf>,

    /// Another place that gets all that is written to the repository; may be given more than once [$LARDER_REPLICAS]
    ///
    /// After a command has added something, each replica is brought up to the repository, as `larder sync` does it. One that cannot be
    /// written is named, and the command ends with code 3; the next run, or `larder sync`, catches up. The variable
    /// names several with commas, or newlines, between them.
    #[arg(
        long,
        value_name = "PLACE",
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub replica: Vec<OsString>,

    /// Where the cache is [$LARDER_CACHE_DIR, default ~/.cache/larder]
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub cache_dir: Option<PathBuf>,

    /// Use no cache
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub no_cache: bool,

    /// Remove caches that were not used for 30 days
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub cleanup_cache: bool,

    /// Set an extended option of the place; `larder options` lists them
    #[arg(
        short,
        long,
        value_name = "KEY=VALUE",
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub option: Vec<String>,

    /// How other machines are spoken to.
    #[command(flatten)]
    pub network: NetworkFlags,

    /// Take the repository even if it is older than what this machine has seen of it, which is kept in $LARDER_STATE_DIR
    /// [default ~/.local/state/larder]
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub accept_rollback: bool,

    /// Flags about locks.
    #[command(flatten)]
    pub locks: LockFlags,
}

/// An open repository and what opened it.
pub struct Opened {
    /// The repository.
    pub repo: Repo,
    /// What opened it.
    pub credential: Credential,
}

/// Opens the repository that flags and environment name. A user who was asked may try three times.
pub fn open(app: &App, stdin_is_data: bool) -> Result<Opened, Failure> {
    let place = checked_place(app)?;
    let by = By::of(app);
    let opened = open_in(app, &by, &place, stdin_is_data)?;
    tend_cache(app, &opened.repo);
    replicas::opened(app, &opened.repo)?;
    Ok(opened)
}

/// Opens another repository than the one that flags and environment name. Its cache is kept where all caches are.
pub fn open_other(app: &App, place: &Place, by: &By<'_>) -> Result<Opened, Failure> {
    credential::check(by.credential, by.env)?;
    open_in(app, by, place, false)
}

/// Opens a place of the repository that went its own way, by what opened the repository. Nothing of it is kept on this machine, which knows the other log.
pub fn open_apart(
    app: &App,
    backend: Arc<dyn Backend>,
    credential: &Credential,
) -> Result<Repo, Failure> {
    let options = OpenOptions {
        cache_dir: None,
        state_dir: None,
        ..open_options(app, &By::of(app))?
    };
    Ok(Repo::open(backend, credential, &options)?)
}

/// Opens the repository in a place, where one must be.
fn open_in(app: &App, by: &By<'_>, place: &Place, stdin_is_data: bool) -> Result<Opened, Failure> {
    let backend = backend(app, place)?;
    let none = || place.name_in(Error::new(ErrorKind::NoRepository, Subject::None));
    let recognized = recognize(&*backend, place)?.ok_or_else(none)?;
    open_at(app, by, place, (backend, recognized), stdin_is_data)
}

/// What opens a repository.
pub struct By<'a> {
    /// Flags.
    pub credential: &'a CredentialFlags,
    /// Environment.
    pub env: &'a Env,
}

impl<'a> By<'a> {
    fn of(app: &'a App) -> Self {
        Self {
            credential: &app.credential,
            env: &app.env,
        }
    }
}

/// Opens the repository, or makes it if there is none.
pub fn open_or_create(app: &App, stdin_is_data: bool) -> Result<Opened, Failure> {
    let place = checked_place(app)?;
    match existing(app, &place)? {
        Existing::Repository(backend, recognized) => {
            let found = (backend, recognized);
            let opened = open_at(app, &By::of(app), &place, found, stdin_is_data)?;
            replicas::opened(app, &opened.repo)?;
            Ok(opened)
        }
        Existing::Nothing(site) => {
            site.check_vacant(&place)?;
            let credential = credential::first(&app.credential, &app.env, stdin_is_data)?;
            let opened = create_at(app, &place, site, credential, None)?;
            app.terminal.say(&created(&opened, &place))?;
            Ok(opened)
        }
    }
}

/// Makes a repository. `with` is asked for what opens it and for the keys that it shares, only once it is clear that there is
/// none yet.
pub fn create(
    app: &App,
    with: impl FnOnce() -> Result<(Credential, Option<DomainKeys>), Failure>,
) -> Result<(Opened, Place), Failure> {
    let place = checked_place(app)?;
    let site = match existing(app, &place)? {
        Existing::Nothing(site) => site,
        Existing::Repository(..) => {
            return Err(Failure::failed(format!(
                "there is a repository at {place} already\nUse it as it is, or choose another place."
            )));
        }
    };
    site.check_vacant(&place)?;
    let (credential, universe) = with()?;
    let opened = create_at(app, &place, site, credential, universe)?;
    Ok((opened, place))
}

/// Refuses to restore into the repository.
pub fn refuse_inside(app: &App, target: &Path) -> Result<(), Failure> {
    place::refuse_inside(&checked_place(app)?, target)
}

/// Device and inode of what this command works with, the repository before all: nothing must remove that.
pub fn in_use(app: &App) -> Result<Vec<(u64, u64)>, Failure> {
    use std::os::unix::fs::MetadataExt;
    let (flags, env) = (&app.repository, &app.env);
    let file = |flag: &Option<PathBuf>, name: &str| {
        let named = || env.ours(name).map(|file| PathBuf::from(file.value));
        flag.clone().or_else(named)
    };
    let paths = [
        checked_place(app)?.path().map(Path::to_path_buf),
        cache::base(flags, env),
        state_dir(env),
        file(&flags.repository_file, "REPOSITORY_FILE"),
        file(&app.credential.key_file, "KEY_FILE"),
        file(&app.credential.password_file, "PASSWORD_FILE"),
    ];
    let there = paths
        .iter()
        .flatten()
        .filter_map(|path| path.metadata().ok());
    Ok(there.map(|found| (found.dev(), found.ino())).collect())
}

/// Whether it is certain that the place is no repository.
pub fn is_absent(app: &App) -> bool {
    let existing = checked_place(app).and_then(|place| existing(app, &place));
    matches!(existing, Ok(Existing::Nothing(_)))
}

/// A line that says what was made.
pub fn created(opened: &Opened, place: &Place) -> String {
    let id = opened.repo.id().to_hex();
    format!("created larder repository {} at {place}", &id[..10])
}

/// The place, once nothing that flags and environment say contradicts itself.
fn checked_place(app: &App) -> Result<Place, Failure> {
    credential::check(&app.credential, &app.env)?;
    key_hint(&app.credential, &app.env)?;
    place(&app.repository, &app.env)
}

fn open_at(
    app: &App,
    by: &By<'_>,
    place: &Place,
    (backend, recognized): (Arc<dyn Backend>, Recognized),
    stdin_is_data: bool,
) -> Result<Opened, Failure> {
    let options = open_options(app, by)?;
    let mut tries = 1;
    loop {
        let given = credential::existing(by.credential, by.env, stdin_is_data)?;
        let backend = backend.clone();
        match Repo::open_recognized(backend, &recognized, &given.credential, &options) {
            Ok(repo) => {
                say_what_is_passed_over(app, &repo);
                say_what_is_not_kept(app, &repo);
                return Ok(Opened {
                    repo,
                    credential: given.credential,
                });
            }
            Err(error)
                if error.kind() == ErrorKind::WrongPassword && given.typed && tries < TRIES =>
            {
                app.terminal.to_stderr("wrong password, try again\n");
                tries += 1;
            }
            Err(error) => return Err(unopened(&options, by, place.name_in(error))),
        }
    }
}

fn unopened(options: &OpenOptions, by: &By<'_>, error: Error) -> Failure {
    let (flag, variable) = match by.env.is_of_other() {
        true => ("--from-key-hint", "LARDER_FROM_KEY_HINT"),
        false => ("--key-hint", "LARDER_KEY_HINT"),
    };
    let of_hint = matches!(error.subject(), Subject::Setting(name) if name == "key hint");
    match &options.key_hint {
        Some(hint) if of_hint => Failure::failed(format!(
            "no key has an ID that begins with {hint}, which {flag} or ${variable} names\n\
             `larder key list` without that shows those that there are."
        )),
        _ => Failure::cannot_open(error),
    }
}

/// The beginning of a key's ID that flags or environment name, in lower case.
fn key_hint(flags: &CredentialFlags, env: &Env) -> Result<Option<String>, Failure> {
    let variable = || {
        env.ours("KEY_HINT")
            .map(|v| (format!("${}", v.name), v.value))
    };
    let flag = flags.key_hint.as_ref();
    let given = flag.map(|hint| ("--key-hint".to_owned(), hint.into()));
    let Some((name, hint)) = given.or_else(variable) else {
        return Ok(None);
    };
    let hint: OsString = hint;
    let digits = hint.as_bytes();
    match !digits.is_empty() && digits.len() <= 64 && digits.iter().all(u8::is_ascii_hexdigit) {
        true => Ok(hint
            .into_string()
            .ok()
            .map(|hint| hint.to_ascii_lowercase())),
        false => Err(Failure::usage(format!(
            "{name} is no beginning of a key's ID: {}\n\
             IDs are up to 64 hexadecimal digits; `larder key list` shows them.",
            printable(&hint.to_string_lossy())
        ))),
    }
}

fn create_at(
    app: &App,
    place: &Place,
    site: Site,
    credential: Credential,
    universe: Option<DomainKeys>,
) -> Result<Opened, Failure> {
    let backend = site.create(app)?;
    let init = InitOptions {
        label: label(None, None),
        universe,
        ..InitOptions::default()
    };
    let repo = Repo::init(
        backend,
        &credential,
        &init,
        &open_options(app, &By::of(app))?,
    )
    .map_err(|error| place.name_in(error))?;
    say_what_is_not_kept(app, &repo);
    replicas::created(app, &repo);
    Ok(Opened { repo, credential })
}

/// What an entry of the log says that cannot be read is not shown; nobody must take the rest for all there is.
fn say_what_is_passed_over(app: &App, repo: &Repo) {
    for (number, why) in repo.state().unreadable() {
        app.passed_over.set(true);
        let why = match why {
            Unreadable::Damaged => "is damaged",
            Unreadable::Missing => "is missing",
            Unreadable::Newer => "was made by a newer version of larder",
        };
        app.terminal.warn(&format!(
            "log entry {number} {why} and is passed over: a snapshot may be missing here; `larder check` says more"
        ));
    }
}

/// What could not be written on this machine costs time, or protection, and is no reason to stop.
pub fn say_what_is_not_kept(app: &App, repo: &Repo) {
    if let Some(error) = repo.cache_failure() {
        app.terminal.warn(&format!(
            "no cache is used: {}; set LARDER_CACHE_DIR, or use --no-cache",
            message::reason(&error)
        ));
    }
    if let Some(error) = repo.memory_failure() {
        app.terminal.warn(&format!(
            "an old copy put in place of the repository would go unseen: {}; set LARDER_STATE_DIR",
            message::reason(&error)
        ));
    }
}

/// Notes that the repository's cache was used, and removes old ones if that was asked for.
fn tend_cache(app: &App, repo: &Repo) {
    let Some(base) = cache::base(&app.repository, &app.env) else {
        return;
    };
    cache::note_use(&base, &repo.id().to_hex());
    if app.repository.cleanup_cache {
        let removed = cache::remove_old(&base, cache::MAX_AGE_DAYS, |_| ());
        if let Err(error) = removed {
            app.terminal.warn(&format!(
                "old caches cannot be removed: {}",
                message::plain_io(&error)
            ));
        }
    }
}

/// Whom a new key slot belongs to: us, now, unless told otherwise.
pub fn label(user: Option<String>, host: Option<String>) -> Label {
    Label {
        user: user.unwrap_or_else(process::user),
        host: host.unwrap_or_else(process::host),
        created: time::now(),
        ..Label::default()
    }
}

fn open_options(app: &App, by: &By<'_>) -> Result<OpenOptions, Failure> {
    let (cache_dir, state_dir) = directories(&app.repository, &app.env, &app.terminal);
    Ok(OpenOptions {
        threads: 0,
        cache_dir,
        state_dir,
        kdf_max: by
            .credential
            .allow_costly_key
            .then_some(KdfParams::MAX_ALLOWED),
        key_hint: key_hint(by.credential, by.env)?,
        accept_rollback: app.repository.accept_rollback,
    })
}

fn state_dir(env: &Env) -> Option<PathBuf> {
    let named = env.get("LARDER_STATE_DIR").map(PathBuf::from);
    named.or_else(|| env.directory("XDG_STATE_HOME", ".local/state"))
}

/// Where the cache and the state are; neither without a home directory, and the user hears of it.
fn directories(
    flags: &RepositoryFlags,
    env: &Env,
    terminal: &Terminal,
) -> (Option<PathBuf>, Option<PathBuf>) {
    let (cache, state) = (cache::base(flags, env), state_dir(env));
    let lost = match (cache.is_none() && !flags.no_cache, state.is_none()) {
        (true, true) => {
            "no cache is used, and an old copy put in place of the repository would go unseen"
        }
        (true, false) => "no cache is used",
        (false, true) => "an old copy put in place of the repository would go unseen",
        (false, false) => "",
    };
    if !lost.is_empty() {
        terminal.warn(&format!(
            "$HOME is not set, so {lost}; set HOME, or LARDER_CACHE_DIR and LARDER_STATE_DIR"
        ));
    }
    (cache, state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_home_nothing_is_kept() {
        let terminal = Terminal::new(Default::default());
        let flags = RepositoryFlags::default();
        let both = |variables: &[_]| directories(&flags, &Env::fixed(variables), &terminal);
        assert_eq!(both(&[]), (None, None));
        let home = both(&[("HOME", "/h"), ("LARDER_STATE_DIR", "/s")]);
        assert_eq!(home, (Some("/h/.cache/larder".into()), Some("/s".into())));
        let restic = both(&[("HOME", "/h"), ("RESTIC_CACHE_DIR", "/c")]);
        assert_eq!(restic.0, Some("/c".into()));
        let off = RepositoryFlags {
            no_cache: true,
            ..Default::default()
        };
        let off = directories(&off, &Env::fixed(&[("HOME", "/h")]), &terminal);
        assert_eq!(off, (None, Some("/h/.local/state/larder".into())));
    }
}
