//! Progress of a long operation: a line that is redrawn on a terminal, JSON for programs, otherwise nothing.
//!
//! One thread wakes up some times a second and shows the counters. It exists only while there is something to show.

use crate::env::Env;
use crate::exit::Failure;
use crate::json;
use crate::message;
use crate::signals;
use crate::terminal::Terminal;
use crate::text::{bytes, counted, printable};
use line::Line;
use repo_core::progress::{Change, Counter, Interrupt, Note, Outcome, Progress, Saved};
use repo_core::{Error, ErrorKind};
use sample::{Counters, Sample, known};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often the line on a terminal is redrawn.
const LINE_INTERVAL: Duration = Duration::from_millis(100);

/// How often programs are told, unless `LARDER_PROGRESS_FPS` or `RESTIC_PROGRESS_FPS` says otherwise.
const JSON_INTERVAL: Duration = Duration::from_secs(1);

/// Most messages a second.
const FPS_MAX: f64 = 60.0;

mod line;
mod sample;
mod saved;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A backup.
    Backup,
    /// A restore.
    Restore,
    /// A check.
    Check,
    /// Counting.
    Stats,
    /// A prune.
    Prune,
    /// Changing what is there.
    Repair,
    /// Copying from another repository.
    Copy,
    /// Copying to another place.
    Sync,
}

impl Work {
    /// restic's word for it in error messages.
    fn during(self) -> &'static str {
        match self {
            Self::Backup => "archival",
            Self::Restore => "restore",
            Self::Check => "check",
            Self::Stats => "stats",
            Self::Prune => "prune",
            Self::Repair => "repair",
            Self::Copy => "copy",
            Self::Sync => "sync",
        }
    }

    /// What becomes of it when it is interrupted.
    pub fn when_interrupted(self) -> &'static str {
        match self {
            Self::Backup => {
                "What was finished stays in the repository; run it again and it goes on from there."
            }
            Self::Copy => {
                "Snapshots that were copied stay, and what was read of others; run it again and it goes on from there."
            }
            Self::Sync => {
                "The place is an older state of the repository, or none yet; run it again and it goes on from there."
            }
            Self::Restore => "What was restored stays in the target; run it again to get the rest.",
            Self::Prune | Self::Repair => {
                "Nothing is lost; run it again and it goes on from there."
            }
            Self::Check => {
                "A check changes nothing. What it had found was not shown yet: run it again, or with \
                 --read-data-subset to read less at a time."
            }
            Self::Stats => "",
        }
    }
}

/// Receives what happens and shows it.
pub struct Reporter<'a> {
    terminal: &'a Terminal,
    work: Work,
    interval: Option<Duration>,
    start: Instant,
    counters: Counters,
    current: Mutex<PathBuf>,
    line: Line,
    listing: Listing,
    dry_run: bool,
}

/// Which items are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listing {
    /// None.
    Nothing,
    /// Those that are changed.
    Changes,
    /// All.
    Everything,
}

impl<'a> Reporter<'a> {
    /// A reporter for this kind of work.
    pub fn new(terminal: &'a Terminal, env: &Env, work: Work) -> Self {
        Self {
            terminal,
            work,
            interval: interval(terminal, env).filter(|_| work != Work::Stats || !terminal.json()),
            start: Instant::now(),
            counters: Counters::default(),
            current: Mutex::default(),
            line: Line::default(),
            listing: Listing::Nothing,
            dry_run: false,
        }
    }

    /// The same, naming items.
    pub fn listing(self, listing: Listing) -> Self {
        Self { listing, ..self }
    }

    /// The same, of work that is not done.
    pub fn dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// Whether anything is shown while the work goes on.
    pub fn shows(&self) -> bool {
        self.interval.is_some()
    }

    /// The same, of work that is known to have this many files and bytes in all.
    pub fn expecting(self, files: u64, bytes: u64) -> Self {
        self.counters.nodes_expected.store(files, Ordering::Relaxed);
        self.counters.bytes_expected.store(bytes, Ordering::Relaxed);
        self.counters.all_expected.store(true, Ordering::Relaxed);
        self
    }

    /// Runs an operation, showing how far it is, until it ends or a signal asks it to stop.
    pub fn run<T>(
        &self,
        operation: impl FnOnce(&dyn Progress, &Interrupt) -> repo_core::Result<T>,
    ) -> Result<T, Failure> {
        self.attempt(operation).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => Failure::interrupted(self.work.when_interrupted()),
            _ => error.into(),
        })
    }

    /// The same, for a caller that has words of its own for what fails.
    pub fn attempt<T>(
        &self,
        operation: impl FnOnce(&dyn Progress, &Interrupt) -> repo_core::Result<T>,
    ) -> repo_core::Result<T> {
        let result = std::thread::scope(|scope| {
            let (running, ended) = channel::<()>();
            if let Some(interval) = self.interval {
                let show = move || self.show_until(&ended, interval);
                // Without the thread the work is done all the same, only unseen.
                let _ = std::thread::Builder::new()
                    .name("progress".into())
                    .spawn_scoped(scope, show);
            }
            let result = operation(self, signals::interrupt());
            drop(running);
            result
        });
        self.line.clear();
        result
    }

    /// How long it has been running.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn show_until(&self, ended: &Receiver<()>, interval: Duration) {
        let mut last = Sample::default();
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(interval) {
            last = self.counters.sample(self.elapsed(), &last);
            self.show(&last);
        }
    }

    fn show(&self, sample: &Sample) {
        if self.terminal.json() {
            // A reader that went away is noticed when the result is written.
            let _ = self.terminal.result(&self.status(sample));
        } else if self.terminal.live() {
            self.line.show(self.text(sample, line::columns()));
        } else {
            self.terminal
                .to_stderr(&(self.text(sample, usize::MAX) + "\n"));
        }
    }

    /// What the line says, in so many columns.
    fn text(&self, sample: &Sample, columns: usize) -> String {
        let words = match self.work {
            Work::Check | Work::Prune | Work::Repair => sample.check_words("pack", "packs"),
            Work::Stats => sample.count_words(),
            Work::Backup | Work::Restore | Work::Copy => sample.data_words(),
            Work::Sync => sample.check_words("object", "objects"),
        };
        words.fit(&self.current().to_string_lossy(), columns)
    }

    fn status(&self, sample: &Sample) -> String {
        let seconds_elapsed = sample.elapsed.as_secs();
        match self.work {
            Work::Backup => {
                let current = self.current();
                let current = [current.to_string_lossy().into_owned()];
                json::line(&json::BackupStatus {
                    message_type: "status",
                    seconds_elapsed,
                    seconds_remaining: sample.remaining().map(|time| time.as_secs()),
                    percent_done: sample.percent(),
                    total_files: known(sample.nodes_expected),
                    files_done: sample.nodes,
                    total_bytes: known(sample.bytes_expected),
                    bytes_done: sample.bytes,
                    error_count: sample.problems,
                    current_files: if current[0].is_empty() { &[] } else { &current },
                })
            }
            Work::Restore => json::line(&json::RestoreStatus {
                message_type: "status",
                seconds_elapsed,
                percent_done: sample.percent(),
                total_files: known(sample.nodes_expected.saturating_sub(sample.nodes_skipped)),
                files_restored: sample.nodes,
                files_skipped: sample.nodes_skipped,
                files_deleted: sample.nodes_deleted,
                total_bytes: known(sample.bytes_expected.saturating_sub(sample.bytes_skipped)),
                bytes_restored: sample.bytes,
                bytes_skipped: sample.bytes_skipped,
                bytes_compared: sample.bytes_compared,
                bytes_verified: sample.bytes_verified,
                error_count: sample.problems,
            }),
            // Of what only counts programs are told the result.
            Work::Stats | Work::Prune | Work::Repair | Work::Copy | Work::Sync => String::new(),
            Work::Check => json::line(&json::CheckStatus {
                message_type: "status",
                seconds_elapsed,
                seconds_remaining: sample.remaining().map(|time| time.as_secs()),
                percent_done: sample.percent(),
                total_objects: known(sample.objects_expected),
                objects_done: sample.objects,
                total_bytes: known(sample.bytes_expected),
                bytes_done: sample.bytes,
            }),
        }
    }

    fn current(&self) -> PathBuf {
        self.current
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone()
    }

    /// Whether a line on the terminal is redrawn while the work goes on.
    pub fn redraws(&self) -> bool {
        self.terminal.live()
    }

    /// Writes lines above the one that is redrawn.
    pub fn above(&self, lines: &str) {
        self.above_line(|| self.terminal.to_stderr(lines));
    }

    /// Has something written above it.
    pub fn above_line<T>(&self, write: impl FnOnce() -> T) -> T {
        self.line.above(write)
    }
}

impl Progress for Reporter<'_> {
    fn count(&self, counter: Counter, by: u64) {
        let counters = &self.counters;
        let counter = match counter {
            Counter::Nodes => &counters.nodes,
            Counter::Bytes => &counters.bytes,
            Counter::Objects => &counters.objects,
            Counter::ObjectsExpected => {
                counters.all_expected.store(true, Ordering::Relaxed);
                &counters.objects_expected
            }
            // What a restore has planned so far says nothing about all of it.
            Counter::NodesExpected | Counter::BytesExpected if self.work == Work::Restore => return,
            Counter::NodesExpected => &counters.nodes_expected,
            Counter::BytesExpected => &counters.bytes_expected,
            Counter::NodesSkipped => &counters.nodes_skipped,
            Counter::BytesSkipped => &counters.bytes_skipped,
            Counter::NodesDeleted => &counters.nodes_deleted,
            Counter::BytesCompared => &counters.bytes_compared,
            Counter::BytesVerified => &counters.bytes_verified,
            _ => return,
        };
        counter.fetch_add(by, Ordering::Relaxed);
    }

    fn problem(&self, path: &Path, error: &Error) {
        self.counters.problems.fetch_add(1, Ordering::Relaxed);
        // What is below the target is named as in the snapshot.
        let path = match self.work {
            Work::Restore => &Path::new("/").join(path),
            _ => path,
        };
        let item = path.to_string_lossy();
        let (json, during) = (self.terminal.json(), self.work.during());
        self.above(&message::problem(json, during, &item, error));
    }

    fn begin(&self, path: &Path) {
        if self.interval.is_none() {
            return;
        }
        // Nobody minds if a name is missed; a worker that had to wait for the line would.
        if let Ok(mut current) = self.current.try_lock() {
            current.as_mut_os_string().clear();
            current.push(path);
        }
    }

    fn note(&self, note: Note<'_>) {
        if let Note::Scanned { files, bytes, took } = note {
            self.counters.all_expected.store(true, Ordering::Relaxed);
            let _ = self.line.above(|| saved::scanned(self, files, bytes, took));
            return;
        }
        let text = match note {
            Note::Parent(Some(id)) => format!("using parent snapshot {id}"),
            Note::Parent(None) => "no parent snapshot found, will read all files".into(),
            Note::Resumed { packs, bytes: size } => format!(
                "resumes: {} in {} were stored already by an interrupted {}",
                bytes(size),
                counted(packs, "pack", "packs"),
                match self.work {
                    Work::Copy => "run",
                    _ => "backup",
                }
            ),
            Note::Verifying => "verifying files in the target".into(),
            Note::Unclear { path, why } => {
                let path = path.to_string_lossy();
                let text = format!("{path}: {why}; nothing is left out for that");
                self.line.above(|| self.terminal.warn(&printable(&text)));
                return;
            }
            _ => return,
        };
        // A reader that went away is noticed when the result is written.
        let _ = self.line.above(|| self.terminal.say(&text));
    }

    fn wants_items(&self) -> bool {
        self.listing > Listing::Nothing
    }

    fn saved(&self, item: &Saved<'_>) {
        // The line is not drawn anew for what nobody is told of.
        if item.change == Change::Unchanged && self.listing < Listing::Everything {
            return;
        }
        // A reader that went away is noticed when the result is written.
        let _ = self.line.above(|| saved::item(self, item));
    }

    fn item(&self, outcome: Outcome, path: &Path, size: Option<u64>) {
        // Programs are told the same of a dry run, as with restic.
        let (action, would) = match outcome {
            Outcome::Restored => ("restored", "would restore"),
            Outcome::Updated => ("updated", "would update"),
            Outcome::Unchanged if self.listing < Listing::Everything => return,
            Outcome::Unchanged => ("unchanged", "unchanged"),
            Outcome::Deleted => ("deleted", "would delete"),
            _ => return,
        };
        let item = path.to_string_lossy();
        // A reader that went away is noticed when the result is written.
        let _ = self.line.above(|| match self.terminal.json() {
            true => self.terminal.json_line(&json::RestoredItem {
                message_type: "verbose_status",
                action,
                item: &item,
                size: size.unwrap_or(0),
            }),
            false => {
                let size = size.map_or(String::new(), |size| format!(" with size {}", bytes(size)));
                let item = printable(&item);
                let line = match self.dry_run {
                    true => format!("{would:<13} {item}{size}"),
                    false => format!("{action:<9} {item}{size}"),
                };
                self.terminal.say(&line)
            }
        });
    }
}

/// How often to show something; `None` for never.
fn interval(terminal: &Terminal, env: &Env) -> Option<Duration> {
    let wanted = env
        .ours("PROGRESS_FPS")
        .and_then(|variable| variable.value.to_str()?.parse().ok());
    match wanted {
        _ if terminal.quiet() => None,
        Some(fps) if fps > 0.0 => Some(Duration::from_secs_f64(1.0 / f64::min(fps, FPS_MAX))),
        _ if terminal.json() => Some(JSON_INTERVAL),
        _ if terminal.live() => Some(LINE_INTERVAL),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
