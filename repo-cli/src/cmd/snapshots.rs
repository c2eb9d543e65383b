//! `larder snapshots`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::selection::{self, SelectionFlags};
use crate::text::{Table, bytes, counted, local_time, printable};
use crate::{json, message, repository};
use clap::Args;
use repo_core::repo::Repo;
use repo_core::snapshot::{self, Filter, Listing, SnapshotInfo};
use std::collections::HashMap;

/// Arguments of `snapshots`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only these: the beginning of an ID, or `latest`
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    #[command(flatten)]
    selection: SelectionFlags,

    /// Only the newest N of each host and set of paths
    #[arg(long, value_name = "N", help_heading = "Which snapshots")]
    latest: Option<usize>,
}

/// Lists snapshots, oldest first.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let filter = arguments.selection.filter(&app.env)?;
    let repo = repository::open(app, false)?.repo;
    let listing = match arguments.snapshots.is_empty() {
        true => snapshot::list(&repo, &filter),
        false => Listing {
            snapshots: named(&repo, &arguments.snapshots, &filter)?,
            ..Listing::default()
        },
    };
    for (_, error) in &listing.unreadable {
        app.terminal
            .warn(&format!("{}, and not listed", message::reason(error)));
    }
    let exit = Exit::with_problems(listing.unreadable.len() as u64);
    let mut found = listing.snapshots;
    if let Some(count) = arguments.latest {
        found = newest(found, count);
    }
    if app.terminal.json() {
        let list: Vec<json::Snapshot> = found.iter().map(json::Snapshot::from).collect();
        app.terminal.json_line(&list)?;
        return Ok(exit);
    }
    let mut out = app.terminal.out();
    if !found.is_empty() {
        out.text(&table(&found))?;
    }
    out.text(&format!(
        "{}\n",
        counted(found.len() as u64, "snapshot", "snapshots")
    ))?;
    out.finish()?;
    Ok(exit)
}

fn named(repo: &Repo, names: &[String], filter: &Filter) -> Result<Vec<SnapshotInfo>, Failure> {
    let mut found: Vec<SnapshotInfo> = names
        .iter()
        .map(|name| selection::find(repo, name, filter))
        .collect::<Result<_, _>>()?;
    found.sort_by_key(|info| (info.summary.time, info.id));
    found.dedup_by_key(|info| info.id);
    Ok(found)
}

/// The newest `count` of each host and set of paths; `found` goes from old to new.
fn newest(found: Vec<SnapshotInfo>, count: usize) -> Vec<SnapshotInfo> {
    let mut seen: HashMap<(String, Vec<Vec<u8>>), usize> = HashMap::new();
    let mut kept: Vec<SnapshotInfo> = Vec::new();
    for info in found.into_iter().rev() {
        let series = (info.summary.host.clone(), info.summary.paths.clone());
        let before = seen.entry(series).or_default();
        *before += 1;
        if *before <= count {
            kept.push(info);
        }
    }
    kept.reverse();
    kept
}

fn table(found: &[SnapshotInfo]) -> String {
    let with_labels = found.iter().any(|info| !info.summary.label.is_empty());
    let mut head = vec!["ID", "Time", "Host", "Tags", "Paths", "Size"];
    if with_labels {
        head.insert(3, "Label");
    }
    let mut table = Table::new(&head).right(head.len() - 1);
    for info in found {
        let summary = &info.summary;
        let lines = |texts: Vec<String>| {
            texts
                .iter()
                .map(|text| printable(text).into_owned())
                .collect::<Vec<_>>()
                .join("\n")
        };
        let mut row = vec![
            info.id.short(),
            local_time(summary.time),
            printable(&summary.host).into_owned(),
            lines(summary.tags.clone()),
            lines(summary.paths.iter().map(|path| json::lossy(path)).collect()),
            bytes(summary.totals.bytes),
        ];
        if with_labels {
            row.insert(3, printable(&summary.label).into_owned());
        }
        table.row(row);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use repo_core::format::snapshot::{Summary, Totals};
    use repo_core::id::SnapshotId;
    use repo_core::time::Timestamp;

    fn info(number: u8, host: &str, label: &str) -> SnapshotInfo {
        let summary = Summary {
            time: Timestamp::new(i64::from(number), 0),
            host: host.into(),
            label: label.into(),
            tags: vec!["t\x1b".into()],
            paths: vec![b"/a".to_vec(), b"/b".to_vec()],
            totals: Totals {
                bytes: 2048,
                ..Totals::default()
            },
            ..Summary::default()
        };
        SnapshotInfo {
            id: SnapshotId([number; 32]),
            summary,
        }
    }

    #[test]
    fn newest_of_each_series() {
        let all = vec![
            info(1, "web", ""),
            info(2, "db", ""),
            info(3, "web", ""),
            info(4, "web", ""),
        ];
        let numbers = |count| -> Vec<u8> {
            newest(all.clone(), count)
                .iter()
                .map(|info| info.id.0[0])
                .collect()
        };
        assert_eq!(numbers(1), [2, 4]);
        assert_eq!(numbers(2), [2, 3, 4]);
        assert_eq!(numbers(9), [1, 2, 3, 4]);
    }

    #[test]
    fn the_table_is_safe_to_show_and_has_labels_only_if_there_are_any() {
        let text = table(&[info(1, "web", "")]);
        assert!(
            text.contains("01010101") && text.contains("2.000 KiB"),
            "{text}"
        );
        assert!(!text.contains('\x1b') && !text.contains("Label"));
        assert!(table(&[info(1, "web", "nightly")]).contains("Label"));
    }
}
