//! The standard streams: results on standard output, everything about the run on standard error.

use crate::exit::{self, Failure};
use crate::json;
use crate::text::{printable, wrapped};
use clap::Args;
use repo_core::id::SnapshotId;
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use std::io::{BufWriter, IsTerminal, StdoutLock, Write};
use std::os::fd::AsFd;

/// Flags that say how much is shown, and in which form.
#[derive(Args, Debug, Default, Clone)]
pub struct OutputFlags {
    /// Write JSON for programs instead of text for people
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,

    /// Show results and errors only
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,

    /// Use no colours [$NO_COLOR]
    ///
    /// Help and usage errors are the only texts that have any, and only on a terminal.
    #[arg(long, global = true, hide_short_help = true, help_heading = "Output")]
    pub no_color: bool,

    /// Show more; -vv, or --verbose=2, names every item
    #[arg(
        short, long, value_name = "N", global = true, help_heading = "Output",
        num_args = 0..=1, require_equals = true, default_missing_value = "1"
    )]
    pub verbose: Vec<u8>,
}

impl OutputFlags {
    /// Refuses what wants less and more at once.
    pub fn check(&self) -> Result<(), Failure> {
        match self.quiet && self.verbosity() > 0 {
            true => Err(Failure::usage(
                "--quiet and --verbose cannot be specified at the same time\nGive only one of them.",
            )),
            false => Ok(()),
        }
    }

    fn verbosity(&self) -> u32 {
        self.verbose.iter().map(|&n| u32::from(n)).sum()
    }
}

/// Columns of a terminal that does not say how many it has.
const COLUMNS: u16 = 80;

/// How many columns a stream has, if it is a terminal.
pub fn columns(stream: &(impl AsFd + IsTerminal)) -> Option<usize> {
    let says = || tcgetwinsize(stream).ok().map(|size| size.ws_col);
    stream.is_terminal().then(|| {
        let columns = says().filter(|&columns| columns > 0);
        columns.unwrap_or(COLUMNS).into()
    })
}

/// Lines that end between words, where a terminal shows them.
fn for_people(text: &str, stream: &(impl AsFd + IsTerminal)) -> String {
    match columns(stream) {
        Some(columns) => wrapped(text, columns, 0),
        None => text.to_owned(),
    }
}

/// Where text goes, and how much of it.
#[derive(Clone)]
pub struct Terminal {
    flags: OutputFlags,
}

impl Terminal {
    /// A terminal that keeps to these flags.
    pub fn new(flags: OutputFlags) -> Self {
        Self { flags }
    }

    /// Whether programs read us.
    pub fn json(&self) -> bool {
        self.flags.json
    }

    /// Whether people want results and errors only.
    pub fn quiet(&self) -> bool {
        self.flags.quiet
    }

    /// How much more than usual people want to see.
    pub fn verbosity(&self) -> u32 {
        self.flags.verbosity()
    }

    /// Whether a line may be drawn and redrawn while we work.
    pub fn live(&self) -> bool {
        !self.json() && !self.quiet() && std::io::stderr().is_terminal()
    }

    /// A line about what is done, for people.
    pub fn say(&self, line: &str) -> Result<(), Failure> {
        match self.json() || self.quiet() {
            true => Ok(()),
            false => self.result(&for_people(&format!("{line}\n"), &std::io::stdout())),
        }
    }

    /// The same, for people who want to see more.
    pub fn say_more(&self, line: &str) -> Result<(), Failure> {
        match self.verbosity() {
            0 => Ok(()),
            _ => self.say(line),
        }
    }

    /// What the command was asked for.
    pub fn result(&self, text: &str) -> Result<(), Failure> {
        let mut out = self.out();
        out.text(text)?;
        out.finish()
    }

    /// One JSON document on a line of its own.
    pub fn json_line(&self, message: &impl Serialize) -> Result<(), Failure> {
        self.result(&json::line(message))
    }

    /// Standard output for a long result.
    pub fn out(&self) -> Out {
        let raw = !std::io::stdout().is_terminal();
        Out {
            stream: BufWriter::with_capacity(64 << 10, std::io::stdout().lock()),
            raw,
        }
    }

    /// Something odd that does not stop us.
    pub fn warn(&self, text: &str) {
        self.warn_of(None, text);
    }

    /// The same about a snapshot.
    pub fn warn_of(&self, snapshot: Option<&SnapshotId>, text: &str) {
        self.to_stderr(&match (self.json(), snapshot) {
            (true, _) => json::line(&json::Warning {
                message_type: "warning",
                snapshot_id: snapshot.map(|id| id.to_hex()),
                message: text,
            }),
            (false, Some(id)) => format!("warning: snapshot {}: {text}\n", id.short()),
            (false, None) => format!("warning: {text}\n"),
        });
    }

    /// Why the command failed.
    pub fn fatal(&self, failure: &Failure) {
        if failure.text().is_empty() {
            return;
        }
        let message = format!("Fatal: {}", failure.text());
        self.to_stderr(&match self.json() {
            true => json::line(&json::ExitError {
                message_type: "exit_error",
                code: failure.code(),
                message: &message,
            }),
            false => message + "\n",
        });
    }

    /// The command is done except for some items, which were named. Programs are told once more at the end.
    pub fn partial(&self) {
        if self.json() {
            self.to_stderr(&json::line(&json::ExitError {
                message_type: "exit_error",
                code: exit::PARTIAL,
                message: "Warning: some items could not be done; the messages before this one name them",
            }));
        }
    }

    /// Text, for people in lines that end between words; where standard error cannot be written, nobody could be told so.
    pub fn to_stderr(&self, text: &str) {
        let text = match self.json() {
            true => text,
            false => &for_people(text, &std::io::stderr()),
        };
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// Standard output, buffered; [`Out::finish`] says whether all of it could be written.
pub struct Out {
    stream: BufWriter<StdoutLock<'static>>,
    raw: bool,
}

impl Out {
    /// Writes text.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Writes a name from outside: as it is for a file or a pipe, control characters escaped for a terminal.
    pub fn name(&mut self, name: &[u8]) -> Result<(), Failure> {
        match self.raw {
            true => self.bytes(name),
            false => self.text(&printable(&String::from_utf8_lossy(name))),
        }
    }

    /// Writes one JSON document on a line of its own.
    pub fn json_line(&mut self, message: &impl Serialize) -> Result<(), Failure> {
        self.text(&json::line(message))
    }

    /// Writes what is still buffered.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.stream.flush().map_err(|error| Failure::output(&error))
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream
            .write_all(bytes)
            .map_err(|error| Failure::output(&error))
    }
}
