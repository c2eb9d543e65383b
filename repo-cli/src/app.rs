//! What every command has at hand: flags, environment, terminal.

use crate::cli::Global;
use crate::credential::CredentialFlags;
use crate::env::Env;
use crate::exit::Failure;
use crate::json;
use crate::repository::RepositoryFlags;
use crate::terminal::Terminal;
use crate::writing::WritingFlags;
use repo_core::backend::wrap::{Counting, Operation};
use repo_core::repo::Repo;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// What a command does with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// It adds something: replicas are looked at before it begins, and brought up at its end.
    Adds,
    /// It reads what is asked of it, from wherever that can be had.
    Reads,
    /// It says what lies in this place.
    #[default]
    Inspects,
}

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
    /// What the command is for.
    pub purpose: Cell<Purpose>,
    /// The repository that is worked with.
    pub opened: RefCell<Option<Repo>>,
    /// What places on other machines were asked.
    pub requests: RefCell<Vec<Arc<Counting>>>,
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
            purpose: Cell::default(),
            opened: RefCell::default(),
            requests: RefCell::default(),
        }
    }

    /// Refuses values of flags that make no sense, also where the command has no use for them, and says which flags have no
    /// effect at all.
    pub fn look_at_flags(&self) -> Result<(), Failure> {
        self.writing.check()?;
        self.repository.network.check()?;
        match self.repository.locks.given() {
            Some(have) => self
                .terminal
                .say_more(&format!("{have} no effect: larder has no locks")),
            None => Ok(()),
        }
    }

    /// What a program is told at the end: what the command did, and what a place on another machine was asked for it.
    pub fn json_summary(&self, summary: &impl Serialize) -> Result<(), Failure> {
        self.terminal.json_line(&json::Counted {
            summary,
            requests_made: self.requests(),
        })
    }

    /// The same for people who want to see more.
    pub fn say_requests(&self) -> Result<(), Failure> {
        match self.requests() {
            None => Ok(()),
            Some(made) => self.terminal.say_more(&format!(
                "requests: {} PUT, {} GET, {} HEAD, {} LIST, {} DELETE",
                made.put, made.get, made.head, made.list, made.delete
            )),
        }
    }

    /// What places on other machines were asked; none if there are none.
    fn requests(&self) -> Option<json::Requests> {
        let all = self.requests.borrow();
        let of = |operations: &[Operation]| {
            let counts = all
                .iter()
                .flat_map(|place| operations.iter().map(|one| place.total(*one)));
            counts.map(|count| count.calls).sum()
        };
        (!all.is_empty()).then(|| json::Requests {
            put: of(&[Operation::Put, Operation::PutIfAbsent]),
            get: of(&[Operation::Get, Operation::GetRange]),
            head: of(&[Operation::Size]),
            list: of(&[Operation::List]),
            delete: of(&[Operation::Delete]),
        })
    }
}
