//! `larder recover`

use crate::app::App;
use crate::cmd::derived;
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::text::counted;
use crate::{json, process, repository};
use clap::Args;
use repo_core::ops::{self, RecoverOptions};
use repo_core::time;

/// Arguments of `recover`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Say what would be found, and make no snapshot
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Makes a snapshot of what no snapshot reaches.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let host = app.env.ours("HOST");
    let host = host.and_then(|host| host.value.into_string().ok());
    let options = RecoverOptions {
        host: host
            .filter(|host| !host.is_empty())
            .unwrap_or_else(process::host),
        user: process::user(),
        program: format!("larder {}", env!("CARGO_PKG_VERSION")),
        utc_offset_min: process::utc_offset_min(time::now()),
        dry_run: arguments.dry_run,
    };
    let repo = repository::open(app, false)?.repo;
    let forgotten = repo.state().forgotten_snapshots().count() as u64;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Repair);
    let found =
        reporter.run(|progress, interrupt| ops::recover(&repo, &options, progress, interrupt))?;
    for id in &found.unreadable {
        app.terminal.warn(&format!(
            "snapshot {} cannot be read whole: what only it reaches is among what was found",
            id.short()
        ));
    }
    derived::warn_of_lost(app, None, &found.paths, found.items_lost);
    let exit = Exit::with_problems(found.items_lost + found.unreadable.len() as u64);
    if app.terminal.json() {
        app.json_summary(&json::RecoverSummary {
            message_type: "summary",
            dry_run: options.dry_run,
            snapshot_id: found.snapshot.map(|id| id.to_hex()),
            roots: found.roots,
            files: found.files,
            items_lost: found.items_lost,
            paths_lost: json::paths(&found.paths),
            unreadable_snapshots: found.unreadable.iter().map(|id| id.to_hex()).collect(),
        })?;
        return Ok(exit);
    }
    if found.roots == 0 {
        app.terminal
            .say("snapshots reach every directory: nothing to recover")?;
        return Ok(exit);
    }
    let roots = counted(found.roots, "directory", "directories");
    let files = counted(found.files, "file", "files");
    app.terminal.say(&match found.snapshot {
        Some(id) => format!(
            "snapshot {} has {roots} that nothing named, with {files}",
            id.short()
        ),
        None => format!("found {roots} that nothing names, with {files}"),
    })?;
    if forgotten > 0 {
        let snapshots = counted(forgotten, "forgotten snapshot", "forgotten snapshots");
        app.terminal.say(&format!(
            "{snapshots} may be among it: `larder unforget` brings them back as they were"
        ))?;
    }
    Ok(exit)
}
