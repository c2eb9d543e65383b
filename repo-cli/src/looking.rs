//! What is told while a command only looks: problems and warnings, and no line that is redrawn, as results are on their way to
//! standard output.

use crate::app::App;
use crate::message;
use crate::terminal::Terminal;
use crate::text::printable;
use repo_core::Error;
use repo_core::id::SnapshotId;
use repo_core::progress::{Counter, Note, Progress};
use repo_core::repo::Repo;
use repo_core::vfs::{View, ViewOptions};
use std::path::Path;

/// The snapshots of a repository as folders; those that cannot be read are warned of.
pub fn view(app: &App, repo: &Repo, options: ViewOptions) -> View {
    let (view, unreadable) = View::new(repo.clone(), options);
    warn_unreadable(&app.terminal, &unreadable);
    view
}

/// Warns of snapshots that are not shown.
pub fn warn_unreadable(terminal: &Terminal, unreadable: &[(SnapshotId, Error)]) {
    for (_, error) in unreadable {
        terminal.warn(&format!("{}, and not shown", message::reason(error)));
    }
}

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
