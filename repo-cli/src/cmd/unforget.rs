//! `larder unforget`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::text::{counted, printable};
use crate::{json, repository, selection, signals};
use clap::Args;
use repo_core::id::SnapshotId;
use repo_core::ops::{self, TooLate, Unforgotten};
use repo_core::progress::Silent;

/// Arguments of `unforget`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The beginning of an ID; `larder snapshots --forgotten` lists what can be had again
    #[arg(value_name = "SNAPSHOT", required = true)]
    snapshots: Vec<String>,
}

/// Makes forgotten snapshots wanted again.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let repo = repository::open(app, false)?.repo;
    let found = arguments.snapshots.iter();
    let mut ids = found
        .map(|name| selection::find_forgotten(&repo, name))
        .collect::<Result<Vec<SnapshotId>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    let made = ops::unforget(&repo, &ids, &Silent, signals::interrupt())?;
    let wanted = match made {
        Unforgotten::Done(wanted) => wanted,
        Unforgotten::TooLate(id, gone) => return Err(too_late(&id, &gone)),
        Unforgotten::NeedsCopy(id) => {
            return Err(Failure::failed(format!(
                "a prune is about to delete packs of snapshot {}, and at a place of this class they would have to be copied, \
                 which this version cannot\nNothing was changed.",
                id.short()
            )));
        }
    };
    if app.terminal.json() {
        app.terminal.json_line(&json::Forgotten {
            message_type: "unforgotten",
            snapshots: wanted.iter().map(|id| id.to_hex()).collect(),
        })?;
    }
    for id in &ids {
        app.terminal.say(&match wanted.contains(id) {
            true => format!("snapshot {} is back", id.short()),
            false => format!("snapshot {} is not forgotten", id.short()),
        })?;
    }
    Ok(Exit::Done)
}

fn too_late(id: &SnapshotId, gone: &TooLate) -> Failure {
    let id = id.short();
    let what = match &gone.first {
        _ if gone.snapshot => "a prune has deleted it".to_owned(),
        Some(first) => {
            let first = printable(&first.display().to_string()).into_owned();
            let items = counted(gone.items, "item", "items");
            format!("a prune has deleted data of {items} of it, of {first} for one")
        }
        None => "a prune has deleted it".to_owned(),
    };
    Failure::failed(format!(
        "it is too late for snapshot {id}: {what}\nNothing was changed. `larder snapshots --forgotten` lists what may be had again."
    ))
}
