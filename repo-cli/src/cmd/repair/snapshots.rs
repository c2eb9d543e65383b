//! `larder repair snapshots`

use crate::app::App;
use crate::cmd::derived;
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::selection::ChosenFlags;
use crate::{json, repository};
use clap::Args;
use repo_core::ops::{self, RepairSnapshotsOptions, Replace};

/// Arguments of `repair snapshots`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    chosen: ChosenFlags,

    /// Forget the old snapshots once the new ones are there
    #[arg(long)]
    forget: bool,

    /// Put behind the names of files and directories that are not whole; '' for nothing
    #[arg(long, value_name = "TEXT", default_value = ".repaired")]
    suffix: String,

    /// Read all data, instead of only looking whether it is there
    #[arg(long)]
    read_data: bool,

    /// Say what would be changed, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Makes snapshots anew without what is lost.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    if arguments.suffix.contains(['/', '\0']) {
        return Err(Failure::usage(
            "--suffix: no name has a slash in it\nGive another text.",
        ));
    }
    let filter = arguments.chosen.filter(&app.env)?;
    let options = RepairSnapshotsOptions {
        suffix: arguments.suffix.clone(),
        read_data: arguments.read_data,
        replace: Replace {
            forget: arguments.forget,
            dry_run: arguments.dry_run,
        },
    };
    let repo = repository::open(app, false)?.repo;
    let listed = arguments.chosen.list(app, &repo, &filter)?;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Repair);
    let found = reporter.attempt(|progress, interrupt| {
        ops::repair_snapshots(&repo, &listed.snapshots, &options, progress, interrupt)
    });
    let found = found.map_err(derived::failure)?;
    let mut paths = &found.paths[..];
    for lost in &found.lost_in {
        let (here, others) = paths.split_at(lost.paths);
        derived::warn_of_lost(app, Some(&lost.snapshot), here, lost.items);
        paths = others;
    }
    for id in &found.hopeless {
        let id = id.short();
        let what = match (arguments.forget, arguments.dry_run) {
            (true, false) => "it was forgotten, which `larder unforget` takes back",
            (true, true) => "it would be forgotten",
            (false, _) => "it stays as it is; --forget forgets it",
        };
        app.terminal.warn(&format!(
            "snapshot {id}: its root cannot be read, and nothing of it can be kept; {what}"
        ));
    }
    derived::say_each(app, &found.changed, options.replace)?;
    match app.terminal.json() {
        true => app.json_summary(&json::RepairSnapshotsSummary {
            message_type: "summary",
            changed_snapshots: found.changed.len() as u64,
            dry_run: arguments.dry_run,
            hopeless_snapshots: found.hopeless.iter().map(|id| id.to_hex()).collect(),
            items_lost: found.items,
            paths_lost: json::paths(&found.paths),
        })?,
        // What became of those that are hopeless was said.
        false if found.changed.is_empty() && !found.hopeless.is_empty() => {}
        false => derived::say_count(app, found.changed.len(), options.replace, "repaired")?,
    }
    Ok(Exit::with_problems(
        listed.unreadable + found.items + found.hopeless.len() as u64,
    ))
}
