//! What every command has at hand: flags, environment, terminal.

use crate::cli::Global;
use crate::credential::CredentialFlags;
use crate::env::Env;
use crate::repository::RepositoryFlags;
use crate::terminal::Terminal;

/// What every command has at hand.
pub struct App {
    /// Where the repository is.
    pub repository: RepositoryFlags,
    /// What opens it.
    pub credential: CredentialFlags,
    /// The environment.
    pub env: Env,
    /// The standard streams.
    pub terminal: Terminal,
}

impl App {
    /// Flags and environment of a run.
    pub fn new(global: Global, env: Env) -> Self {
        Self {
            repository: global.repository,
            credential: global.credential,
            env,
            terminal: Terminal::new(global.output),
        }
    }
}
