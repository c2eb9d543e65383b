//! `larder history`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::json::{self, Mode};
use crate::looking::Looking;
use crate::message::plain_io;
use crate::selection::{self, SelectionFlags};
use crate::text::{Table, bytes, changed_words, counted, local_time, printable, rfc3339};
use crate::{repository, signals};
use clap::Args;
use repo_core::ErrorKind;
use repo_core::format::tree::{Content, Node};
use repo_core::ops::{self, Event, HostHistory, Moment};
use repo_core::snapshot::SnapshotInfo;
use std::path::{Path, PathBuf};

/// What is listed, at the end of the help.
const AFTER_HELP: &str = "\
Each line is a version, under the first snapshot that shows it; `snapshots` counts those that do before something else happens.
Snapshots of other paths say nothing of PATH. Of a directory, `content` means that something below it changed: `larder diff` says what.
`larder dump SNAPSHOT PATH` gives a version back.";

/// Arguments of `history`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The file or directory
    #[arg(value_name = "PATH")]
    of: PathBuf,

    /// Show sizes in bytes
    #[arg(long)]
    bytes: bool,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// Shows what became of a path.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let path = std::path::absolute(&arguments.of).map_err(|error| {
        let path = arguments.of.display();
        Failure::usage(format!("{path}: {}", plain_io(&error)))
    })?;
    let filter = arguments.selection.filter(&app.env)?;
    let repo = repository::open(app, false)?.repo;
    let found = selection::list(app, &repo, &[], &filter)?;
    let looking = Looking::new(&app.terminal, "history");
    let done = ops::history(
        &repo,
        &found.snapshots,
        &path,
        &looking,
        signals::interrupt(),
    );
    let (hosts, problems) = done.map_err(|error| match error.kind() {
        ErrorKind::Interrupted => Failure::interrupted(""),
        _ => Failure::from(error),
    })?;
    if hosts.iter().all(|host| host.moments.is_empty()) && problems == 0 {
        return Err(Failure::failed(format!(
            "{} is in no snapshot that fits\n`larder find` searches for names; `larder snapshots` lists what was backed up.",
            printable(&path.to_string_lossy())
        )));
    }
    let shown = Shown {
        path: &path,
        snapshots: &found.snapshots,
        in_bytes: arguments.bytes,
    };
    match app.terminal.json() {
        true => shown.json(app, &hosts)?,
        false => app
            .terminal
            .result(&shown.text(&hosts, app.terminal.quiet()))?,
    }
    Ok(Exit::with_problems(problems + found.unreadable))
}

struct Shown<'a> {
    path: &'a Path,
    snapshots: &'a [SnapshotInfo],
    in_bytes: bool,
}

impl Shown<'_> {
    fn text(&self, hosts: &[HostHistory], quiet: bool) -> String {
        let mut text = String::new();
        let with_host = hosts.len() > 1;
        for host in hosts.iter().filter(|host| !host.moments.is_empty()) {
            if !text.is_empty() {
                text.push('\n');
            }
            if !quiet {
                let path = printable(&self.path.to_string_lossy()).into_owned();
                text.push_str(&match with_host {
                    true => format!("{path} on {}:\n", printable(&host.host)),
                    false => format!("{path}:\n"),
                });
            }
            let head = [
                "Snapshot",
                "Time",
                "Snapshots",
                "Event",
                "Mode",
                "Size",
                "Modified",
                "Changed",
            ];
            let mut table = Table::new(&head).right(2).right(5);
            for moment in &host.moments {
                table.row(self.row(moment));
            }
            text.push_str(&table.render());
            if !quiet {
                let count = versions(std::slice::from_ref(host));
                text.push_str(&format!(
                    "{}\n",
                    counted(count as u64, "version", "versions")
                ));
            }
        }
        text
    }

    fn row(&self, moment: &Moment) -> Vec<String> {
        let info = &self.snapshots[moment.first];
        let (mode, size, modified) = match node(&moment.event) {
            Some(node) => (
                Mode::of(node).to_string(),
                self.size(&moment.event),
                local_time(node.mtime),
            ),
            None => Default::default(),
        };
        let changed = match &moment.event {
            Event::Changed { changed, .. } => changed_words(changed).join(", "),
            _ => String::new(),
        };
        vec![
            info.id.short(),
            local_time(info.summary.time),
            moment.count.to_string(),
            name(&moment.event).to_owned(),
            mode,
            size,
            modified,
            changed,
        ]
    }

    /// The size of a file, and by how much it changed.
    fn size(&self, event: &Event) -> String {
        let Some(node) = node(event).filter(|node| matches!(node.content, Content::File(_))) else {
            return String::new();
        };
        let shown = |count: u64| match self.in_bytes {
            true => count.to_string(),
            false => bytes(count),
        };
        let now = ops::size_of(node);
        let Event::Changed { size_before, .. } = event else {
            return shown(now);
        };
        match now.abs_diff(*size_before) {
            0 => shown(now),
            by if now > *size_before => format!("{} (+{})", shown(now), shown(by)),
            by => format!("{} (-{})", shown(now), shown(by)),
        }
    }

    fn json(&self, app: &App, hosts: &[HostHistory]) -> Result<(), Failure> {
        let mut out = app.terminal.out();
        for host in hosts {
            for moment in &host.moments {
                out.json_line(&self.message(host, moment))?;
            }
        }
        out.json_line(&json::HistorySummary {
            message_type: "summary",
            path: self.path.to_string_lossy().into_owned(),
            versions: versions(hosts),
            snapshots: self.snapshots.len(),
        })?;
        out.finish()
    }

    fn message(&self, host: &HostHistory, moment: &Moment) -> json::Moment {
        let (first, last) = (&self.snapshots[moment.first], &self.snapshots[moment.last]);
        let (changed, size_difference) = match &moment.event {
            Event::Changed {
                node,
                size_before,
                changed,
            } => {
                let now = i128::from(ops::size_of(node));
                let by = i64::try_from(now - i128::from(*size_before)).unwrap_or(0);
                (changed_words(changed), Some(by))
            }
            _ => (Vec::new(), None),
        };
        json::Moment {
            message_type: "version",
            host: host.host.clone(),
            event: name(&moment.event),
            path: self.path.to_string_lossy().into_owned(),
            snapshot: first.id.to_hex(),
            time: rfc3339(first.summary.time, 0),
            last_snapshot: last.id.to_hex(),
            last_time: rfc3339(last.summary.time, 0),
            snapshots: moment.count,
            changed,
            size_difference,
            node: node(&moment.event)
                .map(|node| json::ShownNode::new(self.path, node, Mode::of(node))),
        }
    }
}

fn node(event: &Event) -> Option<&Node> {
    match event {
        Event::Appeared(node) | Event::Changed { node, .. } => Some(node),
        Event::Disappeared => None,
    }
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Appeared(_) => "appeared",
        Event::Changed { .. } => "changed",
        Event::Disappeared => "disappeared",
    }
}

/// How many times it was there and not as before.
fn versions(hosts: &[HostHistory]) -> usize {
    let moments = hosts.iter().flat_map(|host| &host.moments);
    moments
        .filter(|moment| node(&moment.event).is_some())
        .count()
}
