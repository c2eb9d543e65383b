//! What every command has at hand: flags, environment, terminal.

use crate::cli::Global;
use crate::credential::CredentialFlags;
use crate::env::Env;
use crate::exit::Failure;
use crate::repository::RepositoryFlags;
use crate::terminal::Terminal;
use crate::writing::WritingFlags;
use std::cell::Cell;

/// What every command has at hand.
pub struct App {
    /// Where the repository is.
    pub repository: RepositoryFlags,
    /// What opens it.
    pub credential: CredentialFlags,
    /// How packs are made.
    pub writing: WritingFlags,
    /// The environment.
    pub env: Env,
    /// The standard streams.
    pub terminal: Terminal,
    /// Entries of the log were passed over because they cannot be read: what is shown may lack something.
    pub passed_over: Cell<bool>,
}

impl App {
    /// Flags and environment of a run.
    pub fn new(global: Global, env: Env) -> Self {
        Self {
            repository: global.repository,
            credential: global.credential,
            writing: global.writing,
            env,
            terminal: Terminal::new(global.output),
            passed_over: Cell::new(false),
        }
    }

    /// Refuses values of flags that make no sense, also where the command has no use for them, and says which flags have no
    /// effect at all.
    pub fn look_at_flags(&self) -> Result<(), Failure> {
        self.writing.check()?;
        match self.repository.locks.given() {
            Some(have) => self
                .terminal
                .say_more(&format!("{have} no effect: larder has no locks")),
            None => Ok(()),
        }
    }
}
