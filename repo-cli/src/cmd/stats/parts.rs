//! `larder stats --by`: parts of what snapshots hold, side by side.

use super::picture::{Bar, bars, over_time};
use super::{Arguments, By};
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::message::plain_io;
use crate::reporter::{Reporter, Work};
use crate::selection::Found;
use crate::text::{Table, bytes, counted, local_time, printable, rfc3339};
use repo_core::ops::{self, Share};
use repo_core::repo::Repo;
use repo_core::snapshot::SnapshotInfo;
use std::cmp::Reverse;
use std::path::Path;

/// How many endings a table shows, and a picture.
const ENDINGS_SHOWN: usize = 25;

/// What is counted, and how it is called.
enum Parts<'a> {
    Snapshots(Vec<(&'a SnapshotInfo, Share)>),
    /// What takes most first.
    Endings(Vec<(String, Share)>),
}

/// Counts and shows parts.
pub fn run(
    app: &App,
    repo: &Repo,
    arguments: &Arguments,
    (by, found): (By, &Found),
) -> Result<Exit, Failure> {
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Stats);
    let snapshots = &found.snapshots;
    let (parts, problems) = reporter.run(|progress, interrupt| {
        Ok(match by {
            By::Snapshot => {
                let (shares, problems) =
                    ops::stats_by_snapshot(repo, snapshots, progress, interrupt)?;
                (
                    Parts::Snapshots(snapshots.iter().zip(shares).collect()),
                    problems,
                )
            }
            By::Extension => {
                let (shares, problems) =
                    ops::stats_by_ending(repo, snapshots, progress, interrupt)?;
                let name = |ending: Vec<u8>| String::from_utf8_lossy(&ending).into_owned();
                let mut endings: Vec<(String, Share)> = shares
                    .into_iter()
                    .map(|(ending, share)| (name(ending), share))
                    .collect();
                endings.sort_by_key(|(_, share)| Reverse(share.bytes_stored));
                (Parts::Endings(endings), problems)
            }
        })
    })?;
    if let Some(path) = &arguments.svg {
        draw(path, &parts)?;
    }
    match app.terminal.json() {
        true => app.terminal.json_line(&message(&parts, problems))?,
        false => app.terminal.result(&text(&parts))?,
    }
    if problems > 0 {
        app.terminal
            .warn("what could not be read is not counted; the lines above name it");
    }
    Ok(Exit::with_problems(found.unreadable + problems))
}

impl Parts<'_> {
    fn total(&self) -> Share {
        let mut total = Share::default();
        match self {
            Self::Snapshots(all) => all.iter().for_each(|(_, share)| total.add(share)),
            Self::Endings(all) => all.iter().for_each(|(_, share)| total.add(share)),
        }
        total
    }
}

/// How many times smaller: nothing is said of nothing.
fn ratio(whole: u64, part: u64) -> Option<f64> {
    (whole > 0 && part > 0).then(|| whole as f64 / part as f64)
}

fn numbers(share: &Share) -> [String; 6] {
    let times = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.2}x"));
    [
        share.files.to_string(),
        bytes(share.bytes),
        bytes(share.bytes_unique),
        bytes(share.bytes_stored),
        times(ratio(share.bytes, share.bytes_unique)),
        times(ratio(share.bytes_unique, share.bytes_stored)),
    ]
}

const HEAD: [&str; 6] = ["Files", "Size", "New", "Stored", "Dedup", "Compression"];

fn row(first: Vec<String>, share: &Share) -> Vec<String> {
    first.into_iter().chain(numbers(share)).collect()
}

fn text(parts: &Parts<'_>) -> String {
    let total = parts.total();
    let head = |first: &[&'static str]| [first, &HEAD].concat();
    match parts {
        Parts::Snapshots(all) => {
            let mut table = Table::new(&head(&["Snapshot", "Time", "Host"]));
            for column in 3..9 {
                table = table.right(column);
            }
            for (info, share) in all {
                let summary = &info.summary;
                let host = printable(&summary.host).into_owned();
                table.row(row(
                    vec![info.id.short(), local_time(summary.time), host],
                    share,
                ));
            }
            table.row(row(
                vec!["total".to_owned(), String::new(), String::new()],
                &total,
            ));
            table.render()
        }
        Parts::Endings(all) => {
            let mut table = Table::new(&head(&["Extension"]));
            for column in 1..7 {
                table = table.right(column);
            }
            for (ending, share) in shown(all) {
                table.row(row(vec![ending], &share));
            }
            table.row(row(vec!["total".to_owned()], &total));
            table.render()
        }
    }
}

/// The endings that take most, and all others together.
fn shown(all: &[(String, Share)]) -> Vec<(String, Share)> {
    let (first, others) = all.split_at(all.len().min(ENDINGS_SHOWN));
    let name = |ending: &str| match ending {
        "" => "(none)".to_owned(),
        ending => printable(ending).into_owned(),
    };
    let mut shown: Vec<(String, Share)> = first
        .iter()
        .map(|(ending, share)| (name(ending), *share))
        .collect();
    if !others.is_empty() {
        let mut rest = Share::default();
        others.iter().for_each(|(_, share)| rest.add(share));
        let count = counted(others.len() as u64, "other", "others");
        shown.push((format!("({count})"), rest));
    }
    shown
}

fn message(parts: &Parts<'_>, problems: u64) -> json::StatsByPart {
    let share = |share: &Share| json::StatsShare {
        files: share.files,
        size: share.bytes,
        new_size: share.bytes_unique,
        stored_size: share.bytes_stored,
        deduplication_ratio: ratio(share.bytes, share.bytes_unique),
        compression_ratio: ratio(share.bytes_unique, share.bytes_stored),
    };
    let part = |share: json::StatsShare| json::StatsPart {
        snapshot: None,
        time: None,
        host: None,
        extension: None,
        share,
    };
    let shown = match parts {
        Parts::Snapshots(all) => all
            .iter()
            .map(|(info, own)| json::StatsPart {
                snapshot: Some(info.id.to_hex()),
                time: Some(rfc3339(info.summary.time, info.summary.utc_offset_min)),
                host: Some(info.summary.host.clone()),
                ..part(share(own))
            })
            .collect(),
        Parts::Endings(all) => all
            .iter()
            .map(|(ending, own)| json::StatsPart {
                extension: Some(ending.clone()),
                ..part(share(own))
            })
            .collect(),
    };
    json::StatsByPart {
        parts: shown,
        total: share(&parts.total()),
        error_count: problems,
    }
}

/// Writes the picture.
fn draw(path: &Path, parts: &Parts<'_>) -> Result<(), Failure> {
    let picture = match parts {
        Parts::Snapshots(all) => {
            let mut stored = 0;
            let points = all.iter().map(|(info, share)| {
                stored += share.bytes_stored;
                (info.summary.time, share.bytes, stored)
            });
            over_time(&points.collect::<Vec<_>>())
        }
        Parts::Endings(all) => {
            let shown = shown(all);
            let bar = |(name, share): &(String, Share)| Bar {
                name: name.clone(),
                whole: share.bytes,
                part: share.bytes_stored,
            };
            bars(&shown.iter().map(bar).collect::<Vec<_>>())
        }
    };
    std::fs::write(path, picture).map_err(|error| {
        let path = path.to_string_lossy();
        Failure::failed(format!(
            "the picture cannot be written to {}: {}\nName a file in a directory that is there and can be written to.",
            printable(&path),
            plain_io(&error)
        ))
    })
}
