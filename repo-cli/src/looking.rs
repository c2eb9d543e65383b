//! What is told while a command only looks: problems and warnings, and no line that is redrawn, as results are on their way to
//! standard output.

use crate::message;
use crate::terminal::Terminal;
use crate::text::printable;
use repo_core::Error;
use repo_core::progress::{Counter, Note, Progress};
use std::path::Path;

/// Tells people and programs of what cannot be looked at.
pub struct Looking<'a> {
    terminal: &'a Terminal,
    during: &'static str,
}

impl<'a> Looking<'a> {
    /// Of this command, by its name.
    pub fn new(terminal: &'a Terminal, during: &'static str) -> Self {
        Self { terminal, during }
    }
}

impl Progress for Looking<'_> {
    fn count(&self, _: Counter, _: u64) {}

    fn problem(&self, path: &Path, error: &Error) {
        let item = path.to_string_lossy();
        let line = message::problem(self.terminal.json(), self.during, &item, error);
        self.terminal.to_stderr(&line);
    }

    fn note(&self, note: Note<'_>) {
        if let Note::LeftOut { path, what } = note {
            let text = format!("{} is left out: {what}", path.display());
            self.terminal.warn(&printable(&text));
        }
    }
}
