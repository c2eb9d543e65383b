//! The table that shows snapshots.

use crate::json;
use crate::text::{self, Table, bytes, local_time, printable, wrapped};
use repo_core::snapshot::SnapshotInfo;

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
    /// The same of the column that is not of a snapshot itself.
    extra: Option<usize>,
    /// And of paths, which go on after a slash.
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

/// How many columns cells may have to be narrower by `too_much`, `least` at least.
fn narrower(cells: impl Iterator<Item = String>, too_much: usize, least: usize) -> usize {
    let longest = |cell: String| cell.lines().map(text::columns).max();
    let longest = cells.filter_map(longest).max().unwrap_or(0);
    longest.saturating_sub(too_much).max(least)
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

/// A column that is not of a snapshot itself: a cell, safe to show, for each.
pub struct Extra {
    /// Its heading.
    pub head: &'static str,
    /// Its cells.
    pub cells: Vec<String>,
}

/// No column of paths or descriptions is made narrower than this.
const COLUMNS_MIN: usize = 20;

/// The same of the column that is not of a snapshot itself: its words are short.
const EXTRA_COLUMNS_MIN: usize = 10;

/// A table of snapshots, with one more column after the tags; if it has no room in so many columns, with one tag a line, then with
/// that column, then with descriptions, then with paths on several lines.
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
    if let Some(extra) = extra.filter(|_| table.columns() > room) {
        let cells = extra.cells.iter().cloned();
        let columns = narrower(cells, table.columns() - room, EXTRA_COLUMNS_MIN);
        layout.extra = Some(columns);
        table = lay_out(found, layout, Some(extra));
    }
    if table.columns() > room {
        let cells = found.iter().map(description);
        layout.description = Some(narrower(cells, table.columns() - room, COLUMNS_MIN));
        table = lay_out(found, layout, extra);
    }
    if table.columns() > room {
        let cells = found.iter().map(paths);
        layout.paths = Some(narrower(cells, table.columns() - room, COLUMNS_MIN));
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
    let narrow = |cell: &String| {
        layout
            .extra
            .map_or(cell.clone(), |columns| wrapped(cell, columns, 0))
    };
    let mut cells = extra.map(|extra| extra.cells.iter());
    for info in found {
        let mut row: Vec<String> = columns.iter().map(|(_, cell)| cell(info)).collect();
        if let Some(cells) = &mut cells {
            row.insert(after_tags, cells.next().map(narrow).unwrap_or_default());
        }
        table.row(row);
    }
    table
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use repo_core::format::snapshot::{Summary, Totals};
    use repo_core::id::SnapshotId;
    use repo_core::time::Timestamp;

    /// A snapshot of that number, with a tag and two paths.
    pub fn info(number: u8, host: &str, label: &str) -> SnapshotInfo {
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
    fn a_plan_of_short_paths_fits_a_terminal() {
        let mut going = info(1, "webserver", "");
        going.summary.tags.clear();
        going.summary.paths = vec![b"/srv/www".to_vec()];
        going.summary.totals.bytes = 999 << 20;
        let extra = Extra {
            head: "Reasons",
            cells: vec!["no rule keeps it\nfrees 123.456 MiB".into()],
        };
        let text = table(&[going], false, Some(80), Some(&extra));
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{text}");
        assert!(text.contains("no rule") && text.contains("frees"), "{text}");
    }
}
