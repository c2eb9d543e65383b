//! `larder repair snapshots`

use crate::app::App;
use crate::cmd::derived;
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::repository;
use crate::selection::{self, SelectionFlags};
use crate::text::{counted, printable};
use clap::Args;
use repo_core::ops::{self, RepairSnapshotsOptions, Replace};

/// Arguments of `repair snapshots`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The beginning of an ID, or `latest`; all that match if none is named
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    #[command(flatten)]
    selection: SelectionFlags,

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
    let filter = arguments.selection.filter(&app.env)?;
    let options = RepairSnapshotsOptions {
        suffix: arguments.suffix.clone(),
        read_data: arguments.read_data,
        replace: Replace {
            forget: arguments.forget,
            dry_run: arguments.dry_run,
        },
    };
    let repo = repository::open(app, false)?.repo;
    let listed = selection::list(app, &repo, &arguments.snapshots, &filter)?;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Repair);
    let found = reporter.run(|progress, interrupt| {
        Ok(ops::repair_snapshots(
            &repo,
            &listed.snapshots,
            &options,
            progress,
            interrupt,
        ))
    })?;
    let found = found.map_err(derived::failure)?;
    for path in &found.paths {
        let path = path.display().to_string();
        app.terminal
            .warn(&format!("{}: something of it is lost", printable(&path)));
    }
    let more = found.items - found.paths.len() as u64;
    if more > 0 {
        let items = counted(more, "item", "items");
        app.terminal.warn(&format!("and something of {items} more"));
    }
    for id in &found.hopeless {
        let id = id.short();
        let what = match (arguments.forget, arguments.dry_run) {
            (true, false) => "it was forgotten",
            (true, true) => "it would be forgotten",
            (false, _) => "it stays as it is; --forget forgets it",
        };
        app.terminal.warn(&format!(
            "snapshot {id}: its root cannot be read, and nothing of it can be kept; {what}"
        ));
    }
    derived::say(app, &found.changed, options.replace, "repaired")?;
    Ok(Exit::with_problems(listed.unreadable))
}
