//! `larder snapshots`

mod table;

pub use table::{Extra, table};

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::selection::{self, SelectionFlags, parse_group_by};
use crate::terminal;
use crate::text::{counted, local_time, printable, rfc3339, wrapped};
use crate::{json, repository, when};
use clap::Args;
use repo_core::id::SnapshotId;
use repo_core::log::{State, Terms};
use repo_core::snapshot::{self, Group, GroupBy, GroupKey, SnapshotInfo};
use repo_core::time::Timestamp;
use std::collections::HashMap;

/// Arguments of `snapshots`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only these: the beginning of an ID, or `latest`
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    #[command(flatten)]
    selection: SelectionFlags,

    /// Only the newest N of each host and set of paths; all if N is 0
    #[arg(long, value_name = "N", value_parser = parse_latest, allow_negative_numbers = true, help_heading = "Which snapshots")]
    latest: Option<usize>,

    /// Show groups of snapshots with the same host, paths, tags or label: a list of these words, with commas
    #[arg(short, long, value_name = "WORDS", value_parser = parse_group_by, default_value = "", hide_default_value = true)]
    group_by: GroupBy,

    /// Show less of each: no paths, and tags one below the other
    #[arg(short, long)]
    compact: bool,

    /// Those that were forgotten and that `larder unforget` may bring back
    #[arg(long, help_heading = "Which snapshots")]
    forgotten: bool,
}

/// Lists snapshots, oldest first.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let filter = arguments.selection.filter(&app.env)?;
    let repo = repository::open(app, false)?.repo;
    let found = match arguments.forgotten {
        true => selection::list_forgotten(app, &repo, &arguments.snapshots, &filter)?,
        false => selection::list(app, &repo, &arguments.snapshots, &filter)?,
    };
    let state = repo.state();
    let ids: Vec<_> = found.snapshots.iter().map(|info| info.id).collect();
    let known = Known {
        forgotten: match arguments.forgotten {
            true => Some(snapshot::forgotten_at(&repo, &ids)),
            false => None,
        },
        state: &state,
    };
    let groups = snapshot::group(found.snapshots, &arguments.group_by);
    let groups = groups.into_iter().map(|group| Group {
        snapshots: newest(group.snapshots, arguments.latest),
        ..group
    });
    let groups: Vec<Group> = groups.collect();
    match app.terminal.json() {
        true => print_json(app, &known, &groups, arguments.group_by.any())?,
        false => print(app, &known, &groups, arguments.compact)?,
    }
    Ok(Exit::with_problems(found.unreadable))
}

/// What the log knows of snapshots.
struct Known<'a> {
    state: &'a State,
    /// When they were forgotten, if that is what is asked for.
    forgotten: Option<HashMap<SnapshotId, Timestamp>>,
}

impl Known<'_> {
    fn forgotten_at(&self, info: &SnapshotInfo) -> Option<Timestamp> {
        self.forgotten.as_ref()?.get(&info.id).copied()
    }
}

fn print_json(
    app: &App,
    known: &Known<'_>,
    groups: &[Group],
    grouped: bool,
) -> Result<(), Failure> {
    let message = |info: &SnapshotInfo| {
        let (terms, time) = (known.state.terms(&info.id), |time| rfc3339(time, 0));
        json::Snapshot {
            protected_until: terms
                .protected_until
                .map(|until| match until == Terms::FOREVER {
                    true => "forever".to_owned(),
                    false => time(until),
                }),
            expires: terms.expires.map(time),
            forgotten_at: known.forgotten_at(info).map(time),
            ..json::Snapshot::from(info)
        }
    };
    let messages = |group: &Group| group.snapshots.iter().map(message).collect();
    if grouped {
        let all = groups.iter().map(|group| json::SnapshotGroup {
            group_key: (&group.key).into(),
            snapshots: messages(group),
        });
        return app.terminal.json_line(&all.collect::<Vec<_>>());
    }
    let all: Vec<json::Snapshot> = groups.iter().flat_map(messages).collect();
    app.terminal.json_line(&all)
}

fn print(app: &App, known: &Known<'_>, groups: &[Group], compact: bool) -> Result<(), Failure> {
    let mut out = app.terminal.out();
    let columns = terminal::columns(&std::io::stdout());
    for group in groups {
        let heading = heading(&group.key);
        out.text(&columns.map_or(heading.clone(), |columns| wrapped(&heading, columns, 2)))?;
        if !group.snapshots.is_empty() {
            let extra = match known.forgotten {
                Some(_) => Some(forgotten(known, &group.snapshots)),
                None => notes(known.state, &group.snapshots),
            };
            out.text(&table(&group.snapshots, compact, columns, extra.as_ref()))?;
        }
        out.text(&count(group.snapshots.len()))?;
    }
    if groups.is_empty() {
        out.text(&count(0))?;
    }
    out.finish()
}

fn count(snapshots: usize) -> String {
    counted(snapshots as u64, "snapshot", "snapshots") + "\n"
}

/// A column of when snapshots were forgotten.
fn forgotten(known: &Known<'_>, found: &[SnapshotInfo]) -> Extra {
    let cell = |info| known.forgotten_at(info).map_or(String::new(), local_time);
    Extra {
        head: "Forgotten",
        cells: found.iter().map(cell).collect(),
    }
}

/// A column of how long snapshots are kept and whether something is not in them, if that is said of any.
fn notes(state: &State, found: &[SnapshotInfo]) -> Option<Extra> {
    let cell = |info: &SnapshotInfo| {
        let terms = state.terms(&info.id);
        let protected = terms
            .protected_until
            .map(|until| match when::shown(until).as_str() {
                "forever" => "protected".to_owned(),
                time => format!("protected until {time}"),
            });
        let expires = terms
            .expires
            .map(|at| format!("expires {}", when::shown(at)));
        let problems = info.summary.totals.problems;
        let problems = (problems > 0).then(|| counted(problems, "problem", "problems"));
        let lines = protected.into_iter().chain(expires).chain(problems);
        lines.collect::<Vec<String>>().join("\n")
    };
    let cells: Vec<String> = found.iter().map(cell).collect();
    cells.iter().any(|cell| !cell.is_empty()).then_some(Extra {
        head: "Notes",
        cells,
    })
}

/// What the snapshots of a group have in common; nothing where that is nothing.
pub fn heading(key: &GroupKey) -> String {
    let list = |texts: Vec<String>| format!("[{}]", texts.join(", "));
    let mut parts = Vec::new();
    if let Some(host) = &key.host {
        parts.push(format!("host [{host}]"));
    }
    if let Some(tags) = key.tags.as_ref().filter(|tags| !tags.is_empty()) {
        parts.push(format!("tags {}", list(tags.clone())));
    }
    if let Some(paths) = &key.paths {
        let paths = paths.iter().map(|path| json::lossy(path)).collect();
        parts.push(format!("paths {}", list(paths)));
    }
    if let Some(label) = key.label.as_ref().filter(|label| !label.is_empty()) {
        parts.push(format!("label [{label}]"));
    }
    match parts.is_empty() {
        true => String::new(),
        false => printable(&format!("snapshots for ({}):", parts.join(", "))).into_owned() + "\n",
    }
}

/// The newest `count` of each host and set of paths; `found` goes from old to new. All if `count` is 0, as with restic.
fn newest(found: Vec<SnapshotInfo>, count: Option<usize>) -> Vec<SnapshotInfo> {
    let Some(count) = count.filter(|&count| count > 0) else {
        return found;
    };
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

fn parse_latest(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| "expected a whole number, as in --latest 3".into())
}

#[cfg(test)]
mod tests {
    use super::table::tests::info;
    use super::*;

    #[test]
    fn newest_of_each_series() {
        let all = vec![
            info(1, "web", ""),
            info(2, "db", ""),
            info(3, "web", ""),
            info(4, "web", ""),
        ];
        let numbers = |count| -> Vec<u8> {
            newest(all.clone(), Some(count))
                .iter()
                .map(|info| info.id.0[0])
                .collect()
        };
        assert_eq!(numbers(1), [2, 4]);
        assert_eq!(numbers(2), [2, 3, 4]);
        assert_eq!(numbers(9), [1, 2, 3, 4]);
        assert_eq!(numbers(0), [1, 2, 3, 4]);
    }

    #[test]
    fn groups_say_what_they_have_in_common() {
        let heading = |words| {
            let by = parse_group_by(words).unwrap();
            heading(&by.key(&info(1, "web", "")))
        };
        assert_eq!(heading(""), "");
        assert_eq!(
            heading("host,paths,tags"),
            "snapshots for (host [web], tags [t\\u{1b}], paths [/a, /b]):\n"
        );
        assert_eq!(heading("label"), "");
    }
}
