//! What is said of single items of a backup, and of what there is in all.

use super::Reporter;
use crate::exit::Failure;
use crate::json;
use crate::text::{bytes, counted, printable};
use repo_core::progress::{Change, Saved};
use std::time::Duration;

/// Names an item, as restic does: a directory with a slash at its end.
pub fn item(reporter: &Reporter<'_>, item: &Saved<'_>) -> Result<(), Failure> {
    let action = match item.change {
        Change::New => "new",
        Change::Modified => "modified",
        Change::Unchanged => "unchanged",
    };
    let mut path = item.path.to_string_lossy().into_owned();
    if item.is_dir {
        path.push('/');
    }
    if reporter.terminal.json() {
        return reporter.terminal.json_line(&json::SavedItem {
            message_type: "verbose_status",
            action,
            item: &path,
            duration: item.took.as_secs_f64(),
            data_size: item.data_added,
            metadata_size: item.metadata_added,
            ..json::SavedItem::default()
        });
    }
    let mut line = format!("{action:<9} {}", printable(&path));
    if item.change != Change::Unchanged {
        let seconds = item.took.as_secs_f64();
        line.push_str(&format!(
            ", saved in {seconds:.3}s ({} added",
            bytes(item.data_added)
        ));
        if item.is_dir {
            line.push_str(&format!(", {} metadata", bytes(item.metadata_added)));
        }
        line.push(')');
    }
    reporter.terminal.say(&line)
}

/// Says how much there is to be read, to who wants to see more.
pub fn scanned(
    reporter: &Reporter<'_>,
    files: u64,
    size: u64,
    took: Duration,
) -> Result<(), Failure> {
    if !reporter.terminal.json() {
        let seconds = took.as_secs_f64();
        let line = format!(
            "scan finished in {seconds:.3}s: {}, {}",
            counted(files, "file", "files"),
            bytes(size)
        );
        return reporter.terminal.say_more(&line);
    }
    if reporter.terminal.verbosity() == 0 {
        return Ok(());
    }
    reporter.terminal.json_line(&json::SavedItem {
        message_type: "verbose_status",
        action: "scan_finished",
        duration: took.as_secs_f64(),
        data_size: size,
        total_files: files,
        ..json::SavedItem::default()
    })
}
