//! `larder restore`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::selection::{self, SelectionFlags};
use crate::text::{bytes, counted, duration, local_time, printable};
use crate::{json, repository};
use clap::Args;
use repo_core::ops::{self, RestoreOptions, RestoreSummary};
use repo_core::snapshot::SnapshotInfo;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `restore`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The beginning of a snapshot's ID, or `latest`; with `:FOLDER` only what is in that folder
    #[arg(value_name = "SNAPSHOT[:FOLDER]")]
    snapshot: OsString,

    /// The directory to write to; it is made if it is not there
    #[arg(short, long, value_name = "DIR")]
    target: PathBuf,

    /// Do not set the owners of files
    #[arg(long)]
    no_owner: bool,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// Restores a snapshot.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    repository::refuse_inside(app, &arguments.target)?;
    let selection::Opened {
        repo,
        info,
        subfolder,
    } = selection::open(app, &arguments.snapshot, &arguments.selection)?;
    let target = &arguments.target;
    app.terminal.say(&heading(&info, target))?;
    let options = RestoreOptions {
        subfolder,
        no_owner: arguments.no_owner,
    };
    let mut reporter = Reporter::new(&app.terminal, &app.env, Work::Restore);
    if options.subfolder.is_none() {
        let totals = &info.summary.totals;
        reporter = reporter.expecting(totals.files, totals.bytes);
    }
    let done = reporter.run(|progress, interrupt| {
        ops::restore(&repo, &info.id, target, &options, progress, interrupt)
    });
    let summary = done.map_err(|failure| selection::explain(&info, failure))?;
    let took = reporter.elapsed();
    match app.terminal.json() {
        true => app.terminal.json_line(&message(&summary, took))?,
        false => say(app, &summary, took)?,
    }
    Ok(Exit::with_problems(summary.problems))
}

fn heading(info: &SnapshotInfo, target: &Path) -> String {
    let paths: Vec<String> = info
        .summary
        .paths
        .iter()
        .map(|path| json::lossy(path))
        .collect();
    let line = format!(
        "restoring snapshot {} of [{}] at {} by {}@{} to {}",
        info.id.short(),
        paths.join(" "),
        local_time(info.summary.time),
        info.summary.user,
        info.summary.host,
        target.display()
    );
    printable(&line).into_owned()
}

fn message(summary: &RestoreSummary, took: Duration) -> json::RestoreSummary {
    json::RestoreSummary {
        message_type: "summary",
        seconds_elapsed: took.as_secs(),
        total_files: summary.nodes,
        files_restored: summary.nodes,
        files_skipped: 0,
        files_deleted: 0,
        total_bytes: summary.bytes,
        bytes_restored: summary.bytes,
        bytes_skipped: 0,
        owners_skipped: summary.owners_skipped,
        error_count: summary.problems,
    }
}

fn say(app: &App, summary: &RestoreSummary, took: Duration) -> Result<(), Failure> {
    app.terminal.say(&format!(
        "Summary: Restored {} files/dirs ({}) in {}",
        summary.nodes,
        bytes(summary.bytes),
        duration(took)
    ))?;
    if summary.owners_skipped > 0 {
        let owners = counted(summary.owners_skipped, "owner was", "owners were");
        app.terminal
            .warn(&format!("{owners} not set: only root may do that"));
    }
    if summary.problems > 0 {
        app.terminal
            .warn("some items could not be restored whole; the lines above name them");
    }
    Ok(())
}
