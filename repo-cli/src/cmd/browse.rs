//! `larder browse`

use crate::app::App;
use crate::browse::{self, Item, Library};
use crate::exit::{Exit, Failure};
use crate::message::plain_io;
use crate::selection::{self, SelectionFlags};
use crate::{looking, repository, signals};
use clap::Args;
use repo_core::progress::Interrupt;
use repo_core::repo::Repo;
use repo_core::vfs::{Reader, Top, ViewOptions};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keys, at the end of the help.
const AFTER_HELP: &str = "\
Arrows or h j k l walk, Enter opens, Backspace goes back, Space marks, / filters names, v shows the versions of an entry, p previews,
r restores what is marked below a directory that is asked for, ? shows all keys, q leaves.
What was marked in several snapshots is restored to a directory for each, named by its ID.";

/// Opened blocks that are kept for previews.
const CACHE_BYTES: usize = 32 << 20;

/// Arguments of `browse`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Begin in this snapshot: the beginning of its ID, or `latest`, and perhaps a folder in it
    #[arg(value_name = "SNAPSHOT[:FOLDER]")]
    snapshot: Option<OsString>,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// Shows snapshots on the terminal.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::failed(
            "browse needs a terminal for its keys and its screen\nIn scripts `larder ls`, `find`, `dump` and `restore` give the same files.",
        ));
    }
    let filter = arguments.selection.filter(&app.env)?;
    let (repo, start) = open(app, &arguments)?;
    let _following = repo.follow();
    let view_options = ViewOptions {
        filter: filter.clone(),
        ..ViewOptions::default()
    };
    let view = looking::view(app, &repo, view_options);
    let interrupt = signals::interrupt();
    let library = Library {
        reader: Reader::new(&view, CACHE_BYTES)?,
        view: &view,
        filter,
        interrupt,
    };
    signals::before_exit(browse::leave);
    let shown = browse::browse(&library, start, &|path| target(app, path));
    let problems = shown.map_err(|error| {
        Failure::failed(format!("the terminal cannot be used: {}", plain_io(&error)))
    })?;
    ended(app, interrupt, &problems)
}

/// The repository, and where to begin.
fn open(app: &App, arguments: &Arguments) -> Result<(Repo, Option<Item>), Failure> {
    let Some(named) = &arguments.snapshot else {
        return Ok((repository::open(app, false)?.repo, None));
    };
    let selection::Opened {
        repo,
        info,
        subfolder,
    } = selection::open(app, named, &arguments.selection)?;
    let asked: Vec<PathBuf> = subfolder.iter().cloned().collect();
    let top = Top::open(&repo, &info.id, subfolder.as_deref());
    let top = top.map_err(|error| selection::explain(&repo, &info, &asked, error.into()))?;
    Ok((repo, Some((Arc::new(info), top.folder))))
}

/// Looks whether something may be restored to a directory, and with which path: `~/` is the home.
fn target(app: &App, path: &Path) -> (PathBuf, Result<bool, String>) {
    let home = app.env.get("HOME").map(PathBuf::from);
    let path = match (path.strip_prefix("~"), home) {
        (Ok(below), Some(home)) => home.join(below),
        _ => path.to_path_buf(),
    };
    let found = holds_something(app, &path);
    (path, found)
}

fn holds_something(app: &App, path: &Path) -> Result<bool, String> {
    repository::refuse_inside(app, path).map_err(|why| why.happened().to_owned())?;
    match std::fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(plain_io(&error)),
    }
}

fn ended(app: &App, interrupt: &Interrupt, problems: &[String]) -> Result<Exit, Failure> {
    for problem in problems {
        app.terminal.to_stderr(&format!("error: {problem}\n"));
    }
    interrupt.check().map_err(|_| Failure::interrupted(""))?;
    Ok(Exit::with_problems(problems.len() as u64))
}
