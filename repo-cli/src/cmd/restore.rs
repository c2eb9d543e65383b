//! `larder restore`

mod attributes;
mod existing;

use crate::app::App;
use crate::choice::ChoiceFlags;
use crate::exit::{Exit, Failure};
use crate::reporter::{Listing, Reporter, Work};
use crate::selection::{self, SelectionFlags};
use crate::text::{bytes, counted, duration, local_time, printable};
use crate::{json, repository};
use attributes::AttributeFlags;
use clap::Args;
use existing::ExistingFlags;
use repo_core::ops::{self, RestoreOptions, RestoreSummary, Selection};
use repo_core::snapshot::SnapshotInfo;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What restores do with what is there, at the end of the help.
const AFTER_HELP: &str = "\
Run again after an interruption, a restore goes on where it was: content that is there and right is not fetched.
A target that restore makes for SNAPSHOT:FOLDER gets the folder's owner, mode and times; one that was there keeps its own.";

/// Arguments of `restore`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The beginning of a snapshot's ID, or `latest`; with `:FOLDER` only what is in that folder
    #[arg(value_name = "SNAPSHOT[:FOLDER]")]
    snapshot: OsString,

    /// The directory to write to; it is made if it is not there
    #[arg(short, long, value_name = "DIR")]
    target: PathBuf,

    #[command(flatten)]
    existing: ExistingFlags,

    #[command(flatten)]
    choice: ChoiceFlags,

    #[command(flatten)]
    attributes: AttributeFlags,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// Restores a snapshot.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let target = &arguments.target;
    repository::refuse_inside(app, target)?;
    let mut options = RestoreOptions {
        selection: arguments.choice.selection(app)?,
        ..RestoreOptions::default()
    };
    arguments.existing.set(app, target, &mut options)?;
    arguments.attributes.set(&mut options)?;
    let selection::Opened {
        repo,
        info,
        subfolder,
    } = selection::open(app, &arguments.snapshot, &arguments.selection)?;
    app.terminal.say(&heading(&info, target, options.dry_run))?;
    let asked: Vec<PathBuf> = subfolder.iter().cloned().collect();
    options.subfolder = subfolder;
    let reporter = reporter(app, &info, &options);
    let done = reporter.run(|progress, interrupt| {
        ops::restore(&repo, &info.id, target, &options, progress, interrupt)
    });
    let summary = done.map_err(|failure| selection::explain(&repo, &info, &asked, failure))?;
    if summary.problems > 0 && repo.index_is_incomplete() {
        app.terminal.warn(
            "an index table is missing or damaged: `larder repair index` enters anew what the packs hold; run this again then",
        );
    }
    let took = reporter.elapsed();
    match app.terminal.json() {
        true => app.json_summary(&message(&summary, options.dry_run, took))?,
        false => say(app, &summary, &options, target, took)?,
    }
    Ok(Exit::with_problems(summary.problems))
}

fn reporter<'a>(app: &'a App, info: &SnapshotInfo, options: &RestoreOptions) -> Reporter<'a> {
    let listing = match (app.terminal.verbosity(), options.dry_run) {
        (0, _) | (1, false) => Listing::Nothing,
        (1, true) => Listing::Changes,
        _ => Listing::Everything,
    };
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Restore)
        .listing(listing)
        .dry_run(options.dry_run);
    let whole = options.subfolder.is_none() && matches!(options.selection, Selection::All);
    match whole {
        true => {
            let totals = &info.summary.totals;
            reporter.expecting(totals.files, totals.bytes)
        }
        false => reporter,
    }
}

fn heading(info: &SnapshotInfo, target: &Path, dry_run: bool) -> String {
    let paths: Vec<String> = info
        .summary
        .paths
        .iter()
        .map(|path| json::lossy(path))
        .collect();
    let line = format!(
        "restoring snapshot {} of [{}] at {} by {}@{} to {}{}",
        info.id.short(),
        paths.join(" "),
        local_time(info.summary.time),
        info.summary.user,
        info.summary.host,
        target.display(),
        if dry_run {
            " (dry run: nothing is written)"
        } else {
            ""
        }
    );
    printable(&line).into_owned()
}

fn message(summary: &RestoreSummary, dry_run: bool, took: Duration) -> json::RestoreSummary {
    json::RestoreSummary {
        message_type: "summary",
        seconds_elapsed: took.as_secs(),
        total_files: summary.nodes_expected,
        files_restored: summary.nodes,
        files_skipped: summary.nodes_skipped,
        files_deleted: summary.nodes_deleted,
        total_bytes: summary.bytes_expected,
        bytes_restored: summary.bytes,
        bytes_skipped: summary.bytes_skipped,
        owners_skipped: summary.owners_skipped,
        xattrs_refused: summary.xattrs_refused,
        without_room: summary.without_room,
        error_count: summary.problems,
        dry_run,
        files_verified: summary.files_verified,
    }
}

/// The numbers, worded as restic's.
fn numbers(summary: &RestoreSummary) -> String {
    let whole = summary.nodes == summary.nodes_expected && summary.bytes == summary.bytes_expected;
    let mut text = match whole {
        true => format!("{} files/dirs ({})", summary.nodes, bytes(summary.bytes)),
        false => format!(
            "{} / {} files/dirs ({} / {})",
            summary.nodes,
            summary.nodes_expected,
            bytes(summary.bytes),
            bytes(summary.bytes_expected)
        ),
    };
    text.push_str(" in ");
    text
}

fn say(
    app: &App,
    summary: &RestoreSummary,
    options: &RestoreOptions,
    target: &Path,
    took: Duration,
) -> Result<(), Failure> {
    let verb = match options.dry_run {
        true => "Would restore",
        false => "Restored",
    };
    let mut line = format!("Summary: {verb} {}{}", numbers(summary), duration(took));
    if summary.nodes_skipped > 0 {
        let skipped = bytes(summary.bytes_skipped);
        line.push_str(&format!(
            ", skipped {} files/dirs {skipped}",
            summary.nodes_skipped
        ));
    }
    if summary.nodes_deleted > 0 {
        let would = if options.dry_run {
            "would delete"
        } else {
            "deleted"
        };
        line.push_str(&format!(", {would} {} files/dirs", summary.nodes_deleted));
    }
    app.terminal.say(&line)?;
    if options.verify {
        let files = counted(summary.files_verified, "file", "files");
        let target = printable(&target.to_string_lossy()).into_owned();
        app.terminal
            .say(&format!("finished verifying {files} in {target}"))?;
    }
    if summary.owners_skipped > 0 {
        let owners = counted(summary.owners_skipped, "owner was", "owners were");
        app.terminal
            .warn(&format!("{owners} not set: only root may do that"));
    }
    if summary.xattrs_refused > 0 {
        app.terminal.warn(&format!(
            "{} not set, as its file system or this user may not have them, and only the first of each sort is named; restore to \
             another file system, as root, or without them: --exclude-xattr '*'",
            counted(
                summary.xattrs_refused,
                "extended attribute was",
                "extended attributes were"
            )
        ));
    }
    let nothing = summary.nodes_expected + summary.nodes_skipped + summary.nodes_deleted == 0;
    if nothing && matches!(options.selection, Selection::Include(_)) {
        app.terminal
            .warn("nothing in the snapshot matches --include: `larder ls` shows its paths; case counts, and / begins at its root");
    }
    if summary.without_room > 0 {
        let files = counted(summary.without_room, "file is", "files are");
        app.terminal.warn(&format!(
            "{files} too large for the room in the target: make room and run it again; it goes on from there"
        ));
    }
    if summary.problems > 0 {
        app.terminal
            .warn("some items could not be restored whole; the lines above name them");
    }
    Ok(())
}
