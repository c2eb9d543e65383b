//! What is said of snapshots that were made from others.

use crate::app::App;
use crate::exit::Failure;
use crate::json;
use crate::text::{bytes, counted, local_time, printable};
use repo_core::format::snapshot::Summary;
use repo_core::id::SnapshotId;
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
        true => app.json_summary(&json::ChangedSummary {
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
        let old = format!("snapshot {} {}", derived.old.short(), of(&derived.before));
        let became = match (derived.new, replace.forget) {
            (Some(new), true) => format!("{old} is now {}", new.short()),
            (Some(new), false) if derived.found => {
                format!("{old}: {} was made of it before", new.short())
            }
            (Some(new), false) => format!("{old}: made {}", new.short()),
            (None, _) if replace.dry_run => format!("{old} would change"),
            (None, _) => format!("{old}: nothing can be kept"),
        };
        let changes = changes(&derived.before, &derived.after);
        app.terminal.say(&match changes.is_empty() {
            true => became,
            false => format!("{became}: {}", changes.join(", ")),
        })?;
    }
    Ok(())
}

/// So many paths of a snapshot are named.
const PATHS_SHOWN: usize = 3;

/// Which snapshot it is, as restic says it.
pub fn of(summary: &Summary) -> String {
    let shown = summary.paths.iter().take(PATHS_SHOWN);
    let mut paths: Vec<String> = shown.map(|path| json::lossy(path)).collect();
    let more = summary.paths.len() - paths.len();
    if more > 0 {
        paths.push(format!("{more} more"));
    }
    let text = format!(
        "of [{}] at {} by {}@{}",
        paths.join(", "),
        local_time(summary.time),
        summary.user,
        summary.host
    );
    printable(&text).into_owned()
}

/// What is said of the new one, where that is another thing.
fn changes(before: &Summary, after: &Summary) -> Vec<String> {
    let named = |what: &str, text: &str| match text.is_empty() {
        true => format!("no {what}"),
        false => format!("{what} {}", printable(text)),
    };
    let mut changes = Vec::new();
    let (was, is) = (&before.totals, &after.totals);
    if (was.files, was.bytes) != (is.files, is.bytes) {
        changes.push(format!(
            "{} of {}, {} of {}",
            is.files,
            counted(was.files, "file", "files"),
            bytes(is.bytes),
            bytes(was.bytes)
        ));
    } else if before.root != after.root {
        changes.push("other directories".to_owned());
    }
    if before.tags != after.tags {
        changes.push(named("tags", &after.tags.join(",")));
    }
    if before.host != after.host {
        changes.push(named("host", &after.host));
    }
    if before.time != after.time {
        changes.push(format!("time {}", local_time(after.time)));
    }
    if before.label != after.label {
        changes.push(named("label", &after.label));
    }
    if before.description != after.description {
        changes.push("another description".to_owned());
    }
    changes
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

/// Names files and directories of which something is lost, and says how many there are besides: `items` in all; of that snapshot, if they
/// are of one.
pub fn warn_of_lost(app: &App, snapshot: Option<&SnapshotId>, paths: &[PathBuf], items: u64) {
    for path in paths {
        let path = path.display().to_string();
        let message = format!("{}: something of it is lost", printable(&path));
        app.terminal.warn_of(snapshot, &message);
    }
    let more = items - paths.len() as u64;
    if more > 0 {
        let items = counted(more, "item", "items");
        app.terminal
            .warn_of(snapshot, &format!("and something of {items} more"));
    }
}
