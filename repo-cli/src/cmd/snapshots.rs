//! `larder snapshots`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::selection::{self, SelectionFlags, parse_group_by};
use crate::terminal;
use crate::text::{Table, bytes, counted, local_time, printable, rfc3339, wrapped};
use crate::{json, repository, when};
use clap::Args;
use repo_core::log::{State, Terms};
use repo_core::snapshot::{self, Group, GroupBy, GroupKey, SnapshotInfo};
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
    #[arg(long, value_name = "N", value_parser = parse_latest, help_heading = "Which snapshots")]
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
    let groups = snapshot::group(found.snapshots, &arguments.group_by);
    let groups = groups.into_iter().map(|group| Group {
        snapshots: newest(group.snapshots, arguments.latest),
        ..group
    });
    let groups: Vec<Group> = groups.collect();
    match app.terminal.json() {
        true => print_json(app, &state, &groups, arguments.group_by.any())?,
        false => print(app, &state, &groups, arguments.compact)?,
    }
    Ok(Exit::with_problems(found.unreadable))
}

fn print_json(app: &App, state: &State, groups: &[Group], grouped: bool) -> Result<(), Failure> {
    let message = |info: &SnapshotInfo| {
        let (terms, time) = (state.terms(&info.id), |time| rfc3339(time, 0));
        json::Snapshot {
            protected_until: terms
                .protected_until
                .map(|until| match until == Terms::FOREVER {
                    true => "forever".to_owned(),
                    false => time(until),
                }),
            expires: terms.expires.map(time),
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

fn print(app: &App, state: &State, groups: &[Group], compact: bool) -> Result<(), Failure> {
    let mut out = app.terminal.out();
    let columns = terminal::columns(&std::io::stdout());
    for group in groups {
        let heading = heading(&group.key);
        out.text(&columns.map_or(heading.clone(), |columns| wrapped(&heading, columns, 2)))?;
        if !group.snapshots.is_empty() {
            let terms = terms(state, &group.snapshots);
            out.text(&table(&group.snapshots, compact, columns, terms.as_ref()))?;
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

/// A column of how long snapshots are kept, if that is said of any.
fn terms(state: &State, found: &[SnapshotInfo]) -> Option<Extra> {
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
        let lines: Vec<String> = protected.into_iter().chain(expires).collect();
        lines.join("\n")
    };
    let cells: Vec<String> = found.iter().map(cell).collect();
    cells.iter().any(|cell| !cell.is_empty()).then_some(Extra {
        head: "Terms",
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

/// A column of the table: its heading, and what stands in it.
type Column = (&'static str, Box<dyn Fn(&SnapshotInfo) -> String>);

/// How the table is laid out.
#[derive(Debug, Clone, Copy, Default)]
struct Layout {
    compact: bool,
    /// One tag a line.
    tags_apart: bool,
    /// Columns of a description, if not as many as it takes.
    description: Option<usize>,
    /// The same of paths, which go on after a slash.
    paths: Option<usize>,
}

/// The columns that restic has, and two of ours if there is something in them.
fn columns(found: &[SnapshotInfo], layout: Layout) -> Vec<Column> {
    let mut columns: Vec<Column> = vec![
        ("ID", Box::new(|info| info.id.short())),
        ("Time", Box::new(|info| local_time(info.summary.time))),
        (
            "Host",
            Box::new(|info| printable(&info.summary.host).into_owned()),
        ),
    ];
    if found.iter().any(|info| !info.summary.label.is_empty()) {
        let label = |info: &SnapshotInfo| printable(&info.summary.label).into_owned();
        columns.push(("Label", Box::new(label)));
    }
    columns.push(match layout.compact || layout.tags_apart {
        true => ("Tags", Box::new(|info| lines(&info.summary.tags))),
        false => (
            "Tags",
            Box::new(|info| printable(&info.summary.tags.join(",")).into_owned()),
        ),
    });
    if !layout.compact {
        let paths = move |info: &SnapshotInfo| {
            let text = paths(info);
            layout
                .paths
                .map_or(text.clone(), |columns| folded(&text, columns))
        };
        columns.push(("Paths", Box::new(paths)));
        if found
            .iter()
            .any(|info| !info.summary.description.is_empty())
        {
            let description = move |info: &SnapshotInfo| {
                let text = description(info);
                layout
                    .description
                    .map_or(text.clone(), |columns| wrapped(&text, columns, 0))
            };
            columns.push(("Description", Box::new(description)));
        }
    }
    columns.push(("Size", Box::new(|info| bytes(info.summary.totals.bytes))));
    columns
}

fn description(info: &SnapshotInfo) -> String {
    let lines_of_it = info.summary.description.lines();
    lines(&lines_of_it.map(str::to_owned).collect::<Vec<_>>())
}

fn paths(info: &SnapshotInfo) -> String {
    let paths = info.summary.paths.iter().map(|path| json::lossy(path));
    lines(&paths.collect::<Vec<_>>())
}

/// How many columns cells may have to be narrower by `too_much`.
fn narrower(found: &[SnapshotInfo], cell: fn(&SnapshotInfo) -> String, too_much: usize) -> usize {
    let longest = |info: &SnapshotInfo| {
        let text = cell(info);
        text.lines().map(|line| line.chars().count()).max()
    };
    let longest = found.iter().filter_map(longest).max().unwrap_or(0);
    longest.saturating_sub(too_much).max(COLUMNS_MIN)
}

/// Paths that go on after a slash on the next line, a little to the right, where they are longer than `columns`.
fn folded(paths: &str, columns: usize) -> String {
    let spaced = paths.replace(' ', "\u{1}").replace('/', "/ ");
    let text = wrapped(&spaced, columns, 2);
    text.replace("/ ", "/").replace('\u{1}', " ")
}

fn lines(texts: &[String]) -> String {
    let safe: Vec<_> = texts.iter().map(|text| printable(text)).collect();
    safe.join("\n")
}

fn parse_latest(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| "expected a whole number, as in --latest 3".into())
}

/// A column that is not of a snapshot itself: a cell, safe to show, for each.
pub struct Extra {
    /// Its heading.
    pub head: &'static str,
    /// Its cells.
    pub cells: Vec<String>,
}

/// No column is made narrower than this.
const COLUMNS_MIN: usize = 20;

/// A table of snapshots, with one more column after the tags; if it has no room in so many columns, with one tag a line, then with
/// descriptions, then with paths on several lines.
pub fn table(
    found: &[SnapshotInfo],
    compact: bool,
    columns: Option<usize>,
    extra: Option<&Extra>,
) -> String {
    let room = columns.unwrap_or(usize::MAX);
    let mut layout = Layout {
        compact,
        ..Layout::default()
    };
    let mut table = lay_out(found, layout, extra);
    if table.columns() > room {
        layout.tags_apart = true;
        table = lay_out(found, layout, extra);
    }
    if table.columns() > room {
        layout.description = Some(narrower(found, description, table.columns() - room));
        table = lay_out(found, layout, extra);
    }
    if table.columns() > room {
        layout.paths = Some(narrower(found, paths, table.columns() - room));
        table = lay_out(found, layout, extra);
    }
    table.render()
}

fn lay_out(found: &[SnapshotInfo], layout: Layout, extra: Option<&Extra>) -> Table {
    let columns = columns(found, layout);
    let mut head: Vec<&'static str> = columns.iter().map(|(head, _)| *head).collect();
    let after_tags = 1 + head
        .iter()
        .position(|head| *head == "Tags")
        .expect("always there");
    if let Some(extra) = extra {
        head.insert(after_tags, extra.head);
    }
    let mut table = Table::new(&head).right(head.len() - 1);
    let mut cells = extra.map(|extra| extra.cells.iter());
    for info in found {
        let mut row: Vec<String> = columns.iter().map(|(_, cell)| cell(info)).collect();
        if let Some(cells) = &mut cells {
            row.insert(after_tags, cells.next().cloned().unwrap_or_default());
        }
        table.row(row);
    }
    table
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
    fn the_table_is_safe_to_show_and_has_labels_only_if_there_are_any() {
        let text = table(&[info(1, "web", "")], false, None, None);
        assert!(
            text.contains("01010101") && text.contains("2.000 KiB"),
            "{text}"
        );
        assert!(!text.contains('\x1b') && !text.contains("Label"));
        let mut labelled = info(1, "web", "nightly");
        labelled.summary.description = "one\ntwo\x1b".into();
        let text = table(&[labelled], false, None, None);
        let head = text.lines().next().unwrap();
        let head: Vec<&str> = head.split_whitespace().collect();
        assert_eq!(
            head,
            [
                "ID",
                "Time",
                "Host",
                "Label",
                "Tags",
                "Paths",
                "Description",
                "Size"
            ]
        );
        assert!(
            text.contains("one") && text.contains("two\\u{1b}"),
            "{text}"
        );
        assert!(!table(&[info(1, "web", "")], true, None, None).contains("/a"));
    }

    #[test]
    fn a_table_that_has_no_room_becomes_higher() {
        let mut tagged = info(1, "web", "");
        tagged.summary.tags = vec!["nightly".into(), "database".into(), "offsite".into()];
        let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
        let whole = table(&[tagged.clone()], false, None, None);
        assert!(whole.contains("nightly,database,offsite"));
        assert_eq!(table(&[tagged.clone()], false, Some(200), None), whole);
        let apart = table(&[tagged.clone()], false, Some(70), None);
        assert!(
            widest(&apart) <= 70 && apart.contains("database  "),
            "{apart}"
        );
        tagged.summary.description = "words of a description, which are many ".repeat(4);
        let described = table(&[tagged], false, Some(90), None);
        assert!(widest(&described) <= 90, "{described}");
        assert!(described.contains("which are many"), "{described}");
        let mut deep = info(1, "web", "");
        deep.summary.paths = vec![b"/srv/data base/of a customer/with long names/live".to_vec()];
        let folded = table(&[deep.clone()], false, Some(92), None);
        assert!(widest(&folded) <= 92, "{folded}");
        assert!(
            folded.contains("  /srv/data base/of a customer/")
                && folded.contains("    with long names/live"),
            "{folded}"
        );
        assert_eq!(
            table(&[deep.clone()], false, Some(120), None),
            table(&[deep], false, None, None)
        );
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
