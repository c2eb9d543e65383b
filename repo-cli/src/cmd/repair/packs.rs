//! `larder repair packs`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::text::{bytes, counted};
use crate::{json, repository};
use clap::Args;
use repo_core::id::PackId;
use repo_core::ops::{self, RepairedPack};

/// Arguments of `repair packs`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The whole ID of a pack, as `larder check` names it
    #[arg(value_name = "ID", required = true, value_parser = parse)]
    packs: Vec<PackId>,

    /// Say what could be saved, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

fn parse(text: &str) -> Result<PackId, String> {
    text.parse()
        .map_err(|_| "is not the whole ID of a pack".to_owned())
}

/// Saves what can be read of packs.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let mut packs = arguments.packs;
    packs.sort_unstable();
    packs.dedup();
    let repo = repository::open(app, false)?.repo;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Repair);
    let done = reporter.run(|progress, interrupt| {
        ops::repair_packs(&repo, &packs, arguments.dry_run, progress, interrupt)
    })?;
    for pack in &done {
        if app.terminal.json() {
            app.terminal.json_line(&json::RepairedPack {
                message_type: "pack",
                dry_run: arguments.dry_run,
                id: pack.id.to_hex(),
                whole: pack.whole,
                deleted: pack.deleted,
                blobs_saved: pack.saved,
                bytes_saved: pack.bytes_saved,
                blobs_lost: pack.lost,
            })?;
            continue;
        }
        app.terminal.say(&said(pack, arguments.dry_run))?;
    }
    let lost = done.iter().map(|pack| pack.lost).sum();
    if lost > 0 {
        app.terminal.warn(
            "a backup stores again what the sources still hold; `larder repair snapshots --forget` makes do without the rest",
        );
    }
    Ok(Exit::with_problems(lost))
}

fn said(pack: &RepairedPack, dry_run: bool) -> String {
    let id = pack.id;
    if pack.deleted {
        return format!("pack {id} was deleted by a prune: nothing needs it");
    }
    if pack.whole {
        return format!("pack {id} is whole, and stays");
    }
    format!(
        "pack {id}: {}, {}, {}saved; {} lost; it {} condemned",
        counted(pack.saved, "blob", "blobs"),
        bytes(pack.bytes_saved),
        if dry_run { "would be " } else { "" },
        pack.lost,
        if dry_run { "would be" } else { "is" },
    )
}
