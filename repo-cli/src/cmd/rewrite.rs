//! `larder rewrite`

use super::derived;
use crate::app::App;
use crate::choice::ChoiceFlags;
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::selection::ChosenFlags;
use crate::{process, repository, when};
use clap::Args;
use repo_core::ops::{self, Replace, RewriteOptions, Selection};
use repo_core::time::Timestamp;

const WORDS: &str = "What is said of them";

/// Arguments of `rewrite`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    chosen: ChosenFlags,

    /// Forget the old snapshots once the new ones are there
    #[arg(long)]
    forget: bool,

    /// Say what would be changed, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Accepted without effect: every snapshot has a summary
    #[arg(short = 's', long, hide = true)]
    snapshot_summary: bool,

    #[command(flatten)]
    files: ChoiceFlags,

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
    #[arg(long, value_name = "LABEL", help_heading = WORDS)]
    new_label: Option<String>,
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
    if let Some((time, _)) = options.time.filter(|_| !done.is_empty()) {
        when::warn_of_future(app, time);
    }
    Ok(Exit::with_problems(found.unreadable))
}

fn options(app: &App, arguments: &Arguments) -> Result<RewriteOptions, Failure> {
    let given = |word: &Option<String>| word.clone().filter(|word| !word.is_empty());
    let options = RewriteOptions {
        selection: arguments.files.selection(app)?,
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
