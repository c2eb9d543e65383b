//! `larder unforget`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::selection::SelectionFlags;
use crate::text::{counted, printable};
use crate::{json, repository, selection, signals};
use clap::Args;
use repo_core::id::SnapshotId;
use repo_core::ops::{self, Regained, TooLate, Unforgotten};
use repo_core::progress::Silent;
use repo_core::repo::Repo;
use repo_core::snapshot::{self, Filter};
use std::collections::{HashMap, HashSet};

/// Arguments of `unforget`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The beginning of an ID; `larder snapshots --forgotten` lists what can be had again
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    /// All that can be had again, but for those that others have replaced (by tag, rewrite or repair)
    #[arg(long, conflicts_with = "snapshots", help_heading = "Which snapshots")]
    all: bool,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// Makes forgotten snapshots wanted again.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let named = !arguments.snapshots.is_empty();
    match (named, arguments.all || arguments.selection.given()) {
        (false, false) => {
            return Err(Failure::usage(
                "no snapshot is named\nName some by the beginnings of their IDs, choose with --host, --tag, --label or --path, or say --all. \
                 `larder snapshots --forgotten` lists those that there are.",
            ));
        }
        (true, true) => {
            return Err(Failure::usage(
                "snapshots are named, and chosen by --host, --tag, --label or --path\nGive one or the other.",
            ));
        }
        _ => {}
    }
    let filter = arguments.selection.filter(&app.env)?;
    let repo = repository::open(app, false)?.repo;
    match named {
        true => these(app, &repo, &arguments.snapshots),
        false => matching(app, &repo, &filter),
    }
}

/// Brings back those of these names, or none.
fn these(app: &App, repo: &Repo, names: &[String]) -> Result<Exit, Failure> {
    let found = names
        .iter()
        .map(|name| selection::find_forgotten(repo, name));
    let mut ids = found.collect::<Result<Vec<SnapshotId>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    let wanted = match ops::unforget(repo, &ids, &Silent, signals::interrupt())? {
        Unforgotten::Done(wanted) => wanted,
        Unforgotten::TooLate(id, gone) => {
            return Err(Failure::failed(format!(
                "{}\nNothing was changed. `larder snapshots --forgotten` lists what may be had again.",
                too_late(&id, &gone)
            )));
        }
    };
    say(app, &ids, &wanted)?;
    Ok(Exit::Done)
}

/// Brings back all that match, as far as they can be had again; those that cannot are named.
fn matching(app: &App, repo: &Repo, filter: &Filter) -> Result<Exit, Failure> {
    let found = selection::list_forgotten(app, repo, &[], filter)?;
    let found_ids = found.snapshots.iter().map(|info| info.id);
    let old = replaced(repo);
    let (old, mut ids): (Vec<_>, Vec<_>) = found_ids.partition(|id| old.contains(id));
    let mut problems = found.unreadable;
    let wanted = loop {
        let (id, why) = match ops::unforget(repo, &ids, &Silent, signals::interrupt())? {
            Unforgotten::Done(wanted) => break wanted,
            Unforgotten::TooLate(id, gone) => (id, too_late(&id, &gone)),
        };
        app.terminal.warn(&why);
        problems += 1;
        ids.retain(|other| *other != id);
    };
    say(app, &ids, &wanted)?;
    let back = counted(wanted.len() as u64, "snapshot", "snapshots");
    let is = if wanted.len() == 1 { "is" } else { "are" };
    app.terminal.say(&match wanted.is_empty() {
        true => "nothing to bring back".to_owned(),
        false => format!("{back} {is} back"),
    })?;
    if !old.is_empty() {
        app.terminal.say(&match old.len() {
            1 => "1 other was replaced by a newer form; name it to have it besides".to_owned(),
            count => format!(
                "{count} others were replaced by newer forms; name them to have them besides"
            ),
        })?;
    }
    Ok(Exit::with_problems(problems))
}

/// Forgotten snapshots that were made anew, as by `tag`: a newer form is there, or was when they were forgotten.
pub fn replaced(repo: &Repo) -> HashSet<SnapshotId> {
    let state = repo.state();
    if state.forgotten_snapshots().next().is_none() {
        return HashSet::new();
    }
    let forgotten = snapshot::list_forgotten(repo, &Filter::default()).snapshots;
    let live = snapshot::list(repo, &Filter::default()).snapshots;
    // Of each form when it was committed and when it was forgotten.
    let mut forms: HashMap<SnapshotId, Vec<(SnapshotId, u64, u64)>> = HashMap::new();
    for info in forgotten.iter().chain(&live) {
        let committed = state.snapshot(&info.id).map_or(0, |row| row.number);
        let gone = state.forgotten_by(&info.id).unwrap_or(u64::MAX);
        forms
            .entry(info.first_form())
            .or_default()
            .push((info.id, committed, gone));
    }
    let mut replaced = HashSet::new();
    for forms in forms.values() {
        let old = forms.iter().filter(|(_, committed, gone)| {
            let newer = |other: &&(SnapshotId, u64, u64)| other.1 > *committed && other.2 > *gone;
            forms.iter().any(|other| newer(&other))
        });
        replaced.extend(old.map(|(id, _, _)| *id));
    }
    replaced
}

/// Says which are back, and under which IDs.
fn say(app: &App, ids: &[SnapshotId], back: &[Regained]) -> Result<(), Failure> {
    if app.terminal.json() {
        for regained in back.iter().filter(|back| back.id != back.asked) {
            app.terminal.json_line(&json::Changed {
                message_type: "changed",
                old_snapshot_id: regained.asked.to_hex(),
                new_snapshot_id: Some(regained.id.to_hex()),
            })?;
        }
        app.terminal.json_line(&json::Forgotten {
            message_type: "unforgotten",
            snapshots: back.iter().map(|regained| regained.id.to_hex()).collect(),
        })?;
    }
    for id in ids {
        let found = back.iter().find(|regained| regained.asked == *id);
        let short = id.short();
        app.terminal.say(&match found.map(|regained| regained.id) {
            Some(same) if same == *id => format!("snapshot {short} is back"),
            Some(other) => format!("snapshot {short} is there again as {}", other.short()),
            None => format!("snapshot {short} is not forgotten"),
        })?;
    }
    Ok(())
}

fn too_late(id: &SnapshotId, gone: &TooLate) -> String {
    let id = id.short();
    let what = match &gone.first {
        _ if gone.snapshot => "a prune has deleted it".to_owned(),
        Some(first) => {
            let first = printable(&first.display().to_string()).into_owned();
            let items = counted(gone.items, "item", "items");
            format!("data of {items} of it is gone, of {first} for one")
        }
        None => "a prune has deleted it".to_owned(),
    };
    format!("it is too late for snapshot {id}: {what}")
}
