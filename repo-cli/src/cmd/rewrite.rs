//! `larder rewrite`

use super::derived;
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::patterns;
use crate::reporter::{Reporter, Work};
use crate::selection::ChosenFlags;
use crate::{process, repository, when};
use clap::Args;
use repo_core::ops::{self, Replace, RewriteOptions, Selection};
use repo_core::pattern::List;
use repo_core::time::Timestamp;
use std::ffi::OsString;
use std::path::PathBuf;

/// What cannot be given together with `--include` and its kin.
const EXCLUDES: [&str; 4] = ["exclude", "iexclude", "exclude_file", "iexclude_file"];

const WHICH: &str = "Which files";
const WORDS: &str = "What is said of them";

/// Arguments of `rewrite`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    chosen: ChosenFlags,

    /// Leave out what this pattern matches; may be given more than once
    #[arg(short, long, value_name = "PATTERN", value_parser = patterns::parser(), help_heading = WHICH)]
    exclude: Vec<OsString>,

    /// The same, whatever the case of letters
    #[arg(long, value_name = "PATTERN", value_parser = patterns::parser(), help_heading = WHICH)]
    iexclude: Vec<OsString>,

    /// Leave out what a pattern of this file matches, one a line
    #[arg(long, value_name = "FILE", help_heading = WHICH)]
    exclude_file: Vec<PathBuf>,

    /// The same, whatever the case of letters
    #[arg(long, value_name = "FILE", help_heading = WHICH)]
    iexclude_file: Vec<PathBuf>,

    /// Keep only what this pattern matches, and what is in directories that it matches; may be given more than once
    #[arg(short, long, value_name = "PATTERN", value_parser = patterns::parser(), conflicts_with_all = EXCLUDES, help_heading = WHICH)]
    include: Vec<OsString>,

    /// The same, whatever the case of letters
    #[arg(long, value_name = "PATTERN", value_parser = patterns::parser(), conflicts_with_all = EXCLUDES, help_heading = WHICH)]
    iinclude: Vec<OsString>,

    /// Keep only what a pattern of this file matches, one a line
    #[arg(long, value_name = "FILE", conflicts_with_all = EXCLUDES, help_heading = WHICH)]
    include_file: Vec<PathBuf>,

    /// The same, whatever the case of letters
    #[arg(long, value_name = "FILE", conflicts_with_all = EXCLUDES, help_heading = WHICH)]
    iinclude_file: Vec<PathBuf>,

    /// Another host
    #[arg(long, value_name = "HOST", help_heading = WORDS)]
    new_host: Option<String>,

    /// Another time of the backup, as `2024-12-31 13:45:00`
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = WORDS)]
    new_time: Option<NewTime>,

    /// Another description
    #[arg(long, alias = "description", value_name = "TEXT", help_heading = WORDS)]
    new_description: Option<String>,

    /// Another label
    #[arg(long, alias = "label", value_name = "LABEL", help_heading = WORDS)]
    new_label: Option<String>,

    /// Forget the old snapshots once the new ones are there
    #[arg(long)]
    forget: bool,

    /// Say what would be changed, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Accepted without effect: every snapshot has a summary
    #[arg(short = 's', long, hide = true)]
    snapshot_summary: bool,
}

/// Another time; nothing says none, as with restic.
#[derive(Debug, Clone, Copy)]
struct NewTime(Option<Timestamp>);

fn parse_time(text: &str) -> Result<NewTime, String> {
    match text {
        "" => Ok(NewTime(None)),
        _ => Ok(NewTime(Some(when::parse_past(text)?))),
    }
}

/// Makes snapshots anew.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let filter = arguments.chosen.filter(&app.env)?;
    let options = options(app, &arguments)?;
    let repo = repository::open(app, false)?.repo;
    let found = arguments.chosen.list(app, &repo, &filter)?;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Repair);
    let done = reporter.attempt(|progress, interrupt| {
        ops::rewrite(&repo, &found.snapshots, &options, progress, interrupt)
    });
    let done = done.map_err(derived::failure)?;
    derived::say(app, &done, options.replace, "rewrote")?;
    Ok(Exit::with_problems(found.unreadable))
}

fn options(app: &App, arguments: &Arguments) -> Result<RewriteOptions, Failure> {
    let list = |given: &[OsString], files: &[PathBuf], ignore_case| -> Result<_, Failure> {
        Ok(match given.is_empty() && files.is_empty() {
            true => None,
            false => Some(patterns::list(app, given, files, ignore_case)?),
        })
    };
    let excludes: Vec<List> = [
        list(&arguments.exclude, &arguments.exclude_file, false)?,
        list(&arguments.iexclude, &arguments.iexclude_file, true)?,
    ]
    .into_iter()
    .flatten()
    .collect();
    let includes: Vec<List> = [
        list(&arguments.include, &arguments.include_file, false)?,
        list(&arguments.iinclude, &arguments.iinclude_file, true)?,
    ]
    .into_iter()
    .flatten()
    .collect();
    let given = |word: &Option<String>| word.clone().filter(|word| !word.is_empty());
    let options = RewriteOptions {
        selection: match (includes.is_empty(), excludes.is_empty()) {
            (false, _) => Selection::Include(includes),
            (true, false) => Selection::Exclude(excludes),
            (true, true) => Selection::All,
        },
        host: given(&arguments.new_host),
        time: arguments
            .new_time
            .and_then(|NewTime(time)| Some((time?, process::utc_offset_min(time?)))),
        description: given(&arguments.new_description),
        label: given(&arguments.new_label),
        replace: Replace {
            forget: arguments.forget,
            dry_run: arguments.dry_run,
        },
    };
    let words = options.host.is_some()
        || options.time.is_some()
        || options.description.is_some()
        || options.label.is_some();
    if matches!(options.selection, Selection::All) && !words && !arguments.snapshot_summary {
        return Err(Failure::usage(
            "nothing is to be changed\nName files with --exclude or --include, or say something new with --new-host, --new-time, \
             --new-description or --new-label.",
        ));
    }
    Ok(options)
}
