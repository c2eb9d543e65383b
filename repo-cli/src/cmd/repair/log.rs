//! `larder repair log`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::text::{counted, local_time, printable};
use crate::{json, repository};
use clap::Args;
use repo_core::id::SnapshotId;
use repo_core::ops::{self, Mended, RepairLogOptions, RepairLogSummary, Uncommitted, WhyNot};
use repo_core::repo::Repo;

/// Arguments of `repair log`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Commit these snapshots too, which no entry commits: their whole IDs
    #[arg(value_name = "SNAPSHOT", value_parser = parse)]
    snapshots: Vec<SnapshotId>,

    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

fn parse(text: &str) -> Result<SnapshotId, String> {
    text.parse()
        .map_err(|_| "is not the whole ID of a snapshot".to_owned())
}

/// Clears entries that cannot be read.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let options = RepairLogOptions {
        snapshots: arguments.snapshots,
        dry_run: arguments.dry_run,
    };
    let repo = repository::open(app, false)?.repo;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Repair);
    let done = reporter
        .run(|progress, interrupt| ops::repair_log(&repo, &options, progress, interrupt))?;
    let newer = done.entries.iter().filter(|entry| entry.newer).count() as u64;
    if newer == 0 {
        // What was passed over when the log was first read counts for nothing now, or would.
        app.passed_over.set(false);
    }
    let left = done.snapshots.iter().filter(|found| found.outcome.is_err());
    let absent = absent(&repo, &done, &options);
    let problems = newer + (left.count() + absent.len()) as u64;
    for id in absent {
        app.terminal.warn(&format!(
            "snapshot {id}: does not lie there uncommitted; a prune may have deleted it"
        ));
    }
    match app.terminal.json() {
        true => app.json_summary(&message(&done, &options))?,
        false => say(app, &done, &options)?,
    }
    Ok(Exit::with_problems(problems))
}

/// Snapshots that were asked for, that no entry commits, and that are not there.
fn absent(repo: &Repo, done: &RepairLogSummary, options: &RepairLogOptions) -> Vec<SnapshotId> {
    let found = |id: &SnapshotId| done.snapshots.iter().any(|found| found.id == *id);
    let asked = options.snapshots.iter();
    let absent = asked.filter(|id| !found(id) && repo.state().snapshot(id).is_none());
    absent.copied().collect()
}

fn say(app: &App, done: &RepairLogSummary, options: &RepairLogOptions) -> Result<(), Failure> {
    let would = if options.dry_run { "would be " } else { "" };
    for number in &done.mended.entries {
        app.terminal.say(&format!(
            "log entry {number} is damaged or gone, and later ones repeat it: {would}written again"
        ))?;
    }
    for object in &done.mended.marks {
        app.terminal.say(&format!(
            "{object} is damaged or gone, without which nothing can be added: {would}written again"
        ))?;
    }
    for object in &done.mended.checkpoints {
        app.terminal.say(&format!(
            "{object} cannot be read or belongs to no entry, and only saved reading: {would}removed"
        ))?;
    }
    for entry in &done.entries {
        let claims = match &entry.claims {
            Some(kind) => format!(", which says it is {}", meaning(kind)),
            None => String::new(),
        };
        let what = match entry.newer {
            true => "of a newer version: left alone".to_owned(),
            false => format!("cannot be read: {would}cleared"),
        };
        app.terminal
            .say(&format!("log entry {}{claims}: {what}", entry.number))?;
    }
    if !done.tables.is_empty() {
        let tables = counted(done.tables.len() as u64, "index table", "index tables");
        app.terminal.say(&format!("{tables} {would}published"))?;
    }
    for found in &done.snapshots {
        app.terminal.say(&line(found, would))?;
    }
    let Mended {
        entries,
        marks,
        checkpoints,
        ..
    } = &done.mended;
    let mended = entries.len() + marks.len() + checkpoints.len();
    let found = mended + done.entries.len() + done.tables.len() + done.snapshots.len();
    if found == 0 {
        return app
            .terminal
            .say("all that the log says can be read: nothing to do");
    }
    if !done.entries.is_empty() {
        app.terminal.say(
            "Whether they forgot, protected or deleted something, or changed keys, nobody knows: look at `larder snapshots`, \
             `larder key list` and `larder check`. If a copy of the repository has these entries, put them back now, before anything else is written: later they may delete what is used again.",
        )?;
    }
    Ok(())
}

/// What an entry of that kind does, in the words of users.
fn meaning(kind: &str) -> &str {
    match kind {
        "Roles" => "a change of keys",
        "Settings" => "a change of settings",
        "Class" => "what was found out about the place",
        "Publish" => "what a backup at work had stored so far",
        "Commit" => "a backup, or a snapshot made anew",
        "Forget" => "a forget",
        "Unforget" => "an unforget",
        "Condemn" => "a prune that condemned packs",
        "Deleting" => "a prune that deleted",
        "Evidence" => "the result of a check",
        "Waiting" => "a prune that waited for others at work",
        "Fence" => "the end of a process that had died",
        "Void" => "the clearing of another entry",
        "Terms" => "a protect or an expire",
        "Promote" => "the promotion of a replica",
        _ => "of a kind unknown here",
    }
}

fn line(found: &Uncommitted, would: &str) -> String {
    let id = found.id.to_hex();
    let which = found.summary.as_ref().map_or(String::new(), |summary| {
        let host = printable(&summary.host).into_owned();
        format!(" of host {host}, made {}", local_time(summary.time))
    });
    let what = match found.outcome {
        Ok(new) if new == found.id => format!("{would}committed"),
        Ok(new) => format!("{would}committed as {}", new.short()),
        Err(WhyNot::NotAsked) => {
            "in no entry; it may have been forgotten: name it to commit it".to_owned()
        }
        Err(WhyNot::Later) => {
            "in no entry, and stored after the lost one, perhaps by a backup that is at work: name it to commit it".to_owned()
        }
        Err(WhyNot::NotWhole) => "in no entry, and something of it is not there: `larder repair index` may find it".to_owned(),
        Err(WhyNot::NotProved) => "in no entry, and nobody who may has signed it: name it if you know it".to_owned(),
        Err(WhyNot::Forgotten) => "in no entry that can be read, but forgotten by one".to_owned(),
    };
    format!("snapshot {id}{which}: {what}")
}

fn message(done: &RepairLogSummary, options: &RepairLogOptions) -> json::RepairLogSummary {
    let ids = |wanted: fn(&Uncommitted) -> bool| {
        let found = done.snapshots.iter().filter(|found| wanted(found));
        found.map(|found| found.id.to_hex()).collect()
    };
    json::RepairLogSummary {
        message_type: "summary",
        dry_run: options.dry_run,
        entries_written: done.mended.entries.clone(),
        marks_written: done.mended.marks.clone(),
        checkpoints_removed: done.mended.checkpoints.clone(),
        entries_lost: done.entries.iter().map(|entry| entry.number).collect(),
        tables_published: done.tables.iter().map(|id| id.to_hex()).collect(),
        snapshots_committed: ids(|found| found.outcome.is_ok()),
        snapshots_left: ids(|found| found.outcome.is_err()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repo_core::format::entry::EntryKind;

    #[test]
    fn every_kind_of_entry_has_words() {
        let names = EntryKind::ALL.map(|kind| format!("{kind:?}"));
        let words = names.iter().map(|name| meaning(name));
        let mut words: Vec<&str> = words.collect();
        assert!(!words.contains(&meaning("")), "{words:?}");
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), names.len());
    }
}
