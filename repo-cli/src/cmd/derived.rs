//! What is said of snapshots that were made from others.

use crate::app::App;
use crate::exit::Failure;
use crate::json;
use crate::text::{counted, printable};
use repo_core::ops::{Derived, Replace};
use repo_core::{Error, ErrorKind, Subject};
use std::path::PathBuf;

/// What is called a failure to replace snapshots.
pub fn failure(error: Error) -> Failure {
    match (error.kind(), error.subject()) {
        (ErrorKind::Denied, Subject::Snapshot(id)) => {
            let id = id.short();
            Failure::failed(format!(
                "snapshot {id} is protected and cannot be replaced, and nothing was changed\n`larder protect --remove {id}` takes \
                 that back."
            ))
        }
        (ErrorKind::Interrupted, _) => Failure::interrupted(
            "Snapshots that were replaced are; run it again and it goes on from there.",
        ),
        _ => error.into(),
    }
}

/// Tells of each snapshot, then how many there are. `did` is what was done with them.
pub fn say(app: &App, done: &[Derived], replace: Replace, did: &str) -> Result<(), Failure> {
    say_each(app, done, replace)?;
    match app.terminal.json() {
        true => app.terminal.json_line(&json::ChangedSummary {
            message_type: "summary",
            dry_run: replace.dry_run,
            changed_snapshots: done.len() as u64,
        }),
        false => say_count(app, done.len(), replace, did),
    }
}

/// Tells of each snapshot.
pub fn say_each(app: &App, done: &[Derived], replace: Replace) -> Result<(), Failure> {
    for derived in done {
        if app.terminal.json() {
            app.terminal.json_line(&json::Changed::new(derived))?;
            continue;
        }
        let old = derived.old.short();
        app.terminal.say(&match (derived.new, replace.forget) {
            (Some(new), true) => format!("snapshot {old} is now {}", new.short()),
            (Some(new), false) if derived.found => {
                format!("snapshot {old}: {} was made of it before", new.short())
            }
            (Some(new), false) => format!("snapshot {old}: made {}", new.short()),
            (None, _) if replace.dry_run => format!("snapshot {old} would change"),
            (None, _) => format!("snapshot {old}: nothing can be kept"),
        })?;
    }
    Ok(())
}

/// Tells people how many there are.
pub fn say_count(app: &App, done: usize, replace: Replace, did: &str) -> Result<(), Failure> {
    let count = counted(done as u64, "snapshot", "snapshots");
    app.terminal.say(&match (done, replace.dry_run) {
        (0, true) => "no snapshot would change".to_owned(),
        (0, false) => "no snapshot was changed".to_owned(),
        (_, true) => format!("would change {count}"),
        (_, false) => format!("{did} {count}"),
    })
}

/// Names files and directories of which something is lost, and says how many there are besides: `items` in all.
pub fn warn_of_lost(app: &App, paths: &[PathBuf], items: u64) {
    for path in paths {
        let path = path.display().to_string();
        app.terminal
            .warn(&format!("{}: something of it is lost", printable(&path)));
    }
    let more = items - paths.len() as u64;
    if more > 0 {
        let items = counted(more, "item", "items");
        app.terminal.warn(&format!("and something of {items} more"));
    }
}
