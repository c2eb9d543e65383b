//! `larder repair index`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::message::reason;
use crate::reporter::{Reporter, Work};
use crate::text::{bytes, counted};
use crate::{json, repository};
use clap::Args;
use repo_core::ops::{self, RepairIndexOptions, RepairIndexSummary};

/// Arguments of `repair index`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Read every pack whole and prove it, also those that index tables name
    #[arg(long)]
    read_all_packs: bool,

    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Repairs the index.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let repo = repository::open(app, false)?.repo;
    let options = RepairIndexOptions {
        read_all_packs: arguments.read_all_packs,
        dry_run: arguments.dry_run,
    };
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Repair);
    let done = reporter
        .run(|progress, interrupt| ops::repair_index(&repo, &options, progress, interrupt))?;
    for (_, error) in &done.tables_lost {
        app.terminal.warn(&reason(error));
    }
    for (pack, error) in &done.packs_damaged {
        let reason = reason(error);
        app.terminal.warn(&match repo.index().pack(pack)? {
            Some(_) => format!("{reason}; `larder repair packs` saves what can be read of it"),
            None => {
                format!("{reason}, and no index table says what is in it: put it back from a copy")
            }
        });
    }
    for pack in &done.packs_gone {
        app.terminal.warn(&format!("pack {pack}: missing"));
    }
    if done.held_back {
        app.terminal.warn(
            "an entry of the log cannot be read, and while that is so nothing is taken out of the index; see `larder repair log`",
        );
    }
    match app.terminal.json() {
        true => app.json_summary(&message(&done, &options))?,
        false => app.terminal.say(&text(&done, &options))?,
    }
    Ok(Exit::with_problems(
        done.packs_damaged.len() as u64 + done.packs_gone.len() as u64 + u64::from(done.held_back),
    ))
}

fn text(done: &RepairIndexSummary, options: &RepairIndexOptions) -> String {
    if done.packs_added + done.tables_dropped == 0 {
        let whole = done.packs_gone.is_empty() && done.packs_damaged.is_empty();
        return match done.held_back || !whole {
            true => "nothing was changed".to_owned(),
            false => "the index names every pack: nothing to do".to_owned(),
        };
    }
    let is = |count| match (options.dry_run, count) {
        (true, _) => "would be",
        (false, 1) => "is",
        (false, _) => "are",
    };
    let mut parts = Vec::new();
    if done.packs_added > 0 {
        let packs = counted(done.packs_added, "pack", "packs");
        parts.push(format!("{packs} {} named anew", is(done.packs_added)));
    }
    if done.tables_dropped > 0 {
        let tables = counted(done.tables_dropped, "index table", "index tables");
        let lost = match done.tables_lost.len() {
            0 => String::new(),
            lost => format!(" ({lost} of them lost)"),
        };
        parts.push(format!(
            "{tables} {} dropped{lost}",
            is(done.tables_dropped)
        ));
    }
    parts.push(format!("{} of packs read", bytes(done.bytes_read)));
    parts.join("; ")
}

fn message(done: &RepairIndexSummary, options: &RepairIndexOptions) -> json::RepairIndexSummary {
    json::RepairIndexSummary {
        message_type: "summary",
        dry_run: options.dry_run,
        tables_read: done.tables_read,
        tables_lost: done.tables_lost.iter().map(|(id, _)| id.to_hex()).collect(),
        tables_dropped: done.tables_dropped,
        tables_added: done.tables_added,
        packs_added: done.packs_added,
        packs_missing: done.packs_gone.iter().map(|id| id.to_hex()).collect(),
        packs_damaged: done
            .packs_damaged
            .iter()
            .map(|(id, _)| id.to_hex())
            .collect(),
        held_back: done.held_back,
        bytes_read: done.bytes_read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_is_is_told() {
        let said = |packs_added, tables_dropped, dry_run| {
            let done = RepairIndexSummary {
                packs_added,
                tables_dropped,
                bytes_read: 2048,
                ..RepairIndexSummary::default()
            };
            let options = RepairIndexOptions {
                dry_run,
                ..RepairIndexOptions::default()
            };
            text(&done, &options)
        };
        assert_eq!(
            said(0, 1, true),
            "1 index table would be dropped; 2.000 KiB of packs read"
        );
        assert_eq!(
            said(2, 1, false),
            "2 packs are named anew; 1 index table is dropped; 2.000 KiB of packs read"
        );
        assert_eq!(
            said(1, 0, false),
            "1 pack is named anew; 2.000 KiB of packs read"
        );
    }
}
