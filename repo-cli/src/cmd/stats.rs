//! `larder stats`

mod parts;
mod picture;

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::selection::{self, SelectionFlags};
use crate::text::bytes;
use crate::{json, repository};
use clap::{Args, ValueEnum};
use repo_core::ops::{self, StatsMode, StatsSummary};
use std::path::PathBuf;

/// Arguments of `stats`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only these: the beginning of an ID, or `latest`; without any, all
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    /// What is counted
    #[arg(long, value_name = "MODE", default_value = "restore-size")]
    mode: Mode,

    /// Count the parts of all that is stored, side by side
    #[arg(long, value_name = "PART", conflicts_with = "mode")]
    by: Option<By>,

    /// Write a picture of the parts to this file
    #[arg(long, value_name = "FILE", requires = "by")]
    svg: Option<PathBuf>,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// restic's words for what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// What restoring each snapshot would write: entries, and bytes of files, those of hard links once
    RestoreSize,
    /// Files that differ in content, and their bytes
    FilesByContents,
    /// Chunks of files that differ in content, each once for every path that has it
    BlobsPerFile,
    /// Blobs, each once, and what they take in the repository
    RawData,
}

/// What parts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Snapshots, the oldest first: what each holds, and what it added
    Snapshot,
    /// Extensions of files: files that differ in content
    #[value(alias = "type")]
    Extension,
}

impl Mode {
    fn name(self) -> String {
        let value = self.to_possible_value().expect("no mode is hidden");
        value.get_name().to_owned()
    }
}

impl From<Mode> for StatsMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::RestoreSize => Self::RestoreSize,
            Mode::FilesByContents => Self::FilesByContents,
            Mode::BlobsPerFile => Self::BlobsPerFile,
            Mode::RawData => Self::RawData,
        }
    }
}

/// Counts what snapshots hold, or what that takes.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let filter = arguments.selection.filter(&app.env)?;
    let repo = repository::open(app, false)?.repo;
    let found = selection::list(app, &repo, &arguments.snapshots, &filter)?;
    if let Some(by) = arguments.by {
        return parts::run(app, &repo, &arguments, (by, &found));
    }
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Stats);
    let mode = arguments.mode.into();
    let summary = reporter.run(|progress, interrupt| {
        ops::stats(&repo, &found.snapshots, mode, progress, interrupt)
    })?;
    match app.terminal.json() {
        true => app.json_summary(&json::Stats::from(&summary))?,
        false => app.terminal.result(&text(arguments.mode, &summary))?,
    }
    if summary.problems > 0 {
        app.terminal
            .warn("what could not be read is not counted; the lines above name it");
    }
    Ok(Exit::with_problems(found.unreadable + summary.problems))
}

/// Numbers in a column, under restic's names.
fn text(mode: Mode, summary: &StatsSummary) -> String {
    let mut text = format!("Stats in {} mode:\n", mode.name());
    let mut line = |name: &str, value: String| {
        text.push_str(&format!("{name:>24}:  {value}\n"));
    };
    line("Snapshots processed", summary.snapshots.to_string());
    if matches!(mode, Mode::RawData | Mode::BlobsPerFile) {
        line("Total Blob Count", summary.blobs.to_string());
    }
    if mode != Mode::RawData {
        line("Total File Count", summary.files.to_string());
    } else {
        line("Total Uncompressed Size", bytes(summary.bytes_plain));
    }
    line("Total Size", bytes(summary.bytes));
    if let Some((ratio, saving)) = compression(summary) {
        line("Compression Ratio", format!("{ratio:.2}x"));
        line("Compression Space Saving", format!("{saving:.2}%"));
    }
    text
}

/// How much smaller compression made what was counted: the quotient, and how many of a hundred bytes it saved.
pub fn compression(summary: &StatsSummary) -> Option<(f64, f64)> {
    let (stored, plain) = (summary.bytes as f64, summary.bytes_plain as f64);
    match summary.bytes_plain > 0 && summary.bytes > 0 {
        true => Some((plain / stored, (1.0 - stored / plain) * 100.0)),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: StatsSummary = StatsSummary {
        snapshots: 3,
        files: 0,
        blobs: 8,
        bytes: 1024,
        bytes_plain: 4096,
        problems: 0,
    };

    #[test]
    fn numbers_stand_in_a_column() {
        let raw = text(Mode::RawData, &RAW);
        let expected = "\
Stats in raw-data mode:
     Snapshots processed:  3
        Total Blob Count:  8
 Total Uncompressed Size:  4.000 KiB
              Total Size:  1.000 KiB
       Compression Ratio:  4.00x
Compression Space Saving:  75.00%
";
        assert_eq!(raw, expected);
        let restore = StatsSummary {
            files: 7,
            bytes_plain: 0,
            ..RAW
        };
        let restore = text(Mode::RestoreSize, &restore);
        assert!(
            restore.contains("        Total File Count:  7\n"),
            "{restore}"
        );
        assert!(!restore.contains("Blob") && !restore.contains("Compression"));
    }

    #[test]
    fn nothing_is_not_compressed() {
        assert_eq!(compression(&StatsSummary::default()), None);
        assert_eq!(compression(&RAW), Some((4.0, 75.0)));
        let message = json::line(&json::Stats::from(&StatsSummary::default()));
        assert_eq!(message, "{\"total_size\":0,\"snapshots_count\":0}\n");
    }
}
