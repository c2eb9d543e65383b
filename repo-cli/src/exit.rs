//! Exit codes, and the failures that lead to them.

use crate::message;
use repo_core::{Error, ErrorKind};
use std::process::ExitCode;

/// Done.
pub const DONE: u8 = 0;
/// Failed. A check that finds something wrong counts as failed, as with restic.
pub const FAILED: u8 = 1;
/// The arguments make no sense.
pub const USAGE: u8 = 2;
/// Done except for some items, which were named.
pub const PARTIAL: u8 = 3;
/// There is no repository at that place.
pub const NO_REPOSITORY: u8 = 10;
/// No key slot opens with what was given.
pub const WRONG_PASSWORD: u8 = 12;
/// Interrupted by SIGINT or SIGTERM.
pub const INTERRUPTED: u8 = 130;
/// Nobody reads our output any more: what a shell reports of a program that SIGPIPE ended.
const BROKEN_PIPE: u8 = 141;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All done.
    Done,
    /// Done except for some items, which were named.
    Partial,
}

impl Exit {
    /// [`Exit::Partial`] if there were problems.
    pub fn with_problems(problems: u64) -> Self {
        match problems {
            0 => Self::Done,
            _ => Self::Partial,
        }
    }

    /// [`Exit::Partial`] if either is.
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::Done => other,
            Self::Partial => self,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => DONE.into(),
            Exit::Partial => PARTIAL.into(),
        }
    }
}

/// Why a command failed: an exit code and a sentence for the user, which never holds a secret.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    text: String,
    core: Option<Error>,
}

impl Failure {
    /// The arguments or the environment make no sense.
    pub fn usage(text: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            text: text.into(),
            core: None,
        }
    }

    /// Something went wrong that is no error of the library.
    pub fn failed(text: impl Into<String>) -> Self {
        Self {
            code: FAILED,
            text: text.into(),
            core: None,
        }
    }

    /// The repository cannot be opened.
    pub fn cannot_open(error: Error) -> Self {
        let text = message::cannot_open(&error);
        Self {
            text,
            ..error.into()
        }
    }

    /// Stopped on request; `next` says what becomes of what was begun.
    pub fn interrupted(next: &str) -> Self {
        let text = match next.is_empty() {
            true => "interrupted".to_owned(),
            false => format!("interrupted\n{next}"),
        };
        Self {
            code: INTERRUPTED,
            text,
            core: None,
        }
    }

    /// Stopped at a prompt: whoever did it knows.
    pub fn interrupted_at_prompt() -> Self {
        Self {
            code: INTERRUPTED,
            text: String::new(),
            core: None,
        }
    }

    /// Standard output cannot be written. Silent if its reader went away, as `| head` does.
    pub fn output(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self {
                code: BROKEN_PIPE,
                text: String::new(),
                core: None,
            },
            _ => Self::failed(format!(
                "cannot write to standard output: {}",
                message::plain_io(error)
            )),
        }
    }

    /// The same with this advice instead of what else would be advised.
    pub fn advising(mut self, advice: &str) -> Self {
        self.text = format!("{}\n{advice}", self.happened());
        self
    }

    /// The same, saying first what it is about.
    pub fn of(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// What happened, without what is advised.
    pub fn happened(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// The sentence; empty if there is nothing to say.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is the system that refused something, and not the repository that lacks it.
    pub fn is_of_system(&self) -> bool {
        self.core
            .as_ref()
            .is_some_and(|error| error.io_cause().is_some())
    }

    /// What the library calls it.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.core.as_ref().map(Error::kind)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::NoRepository => NO_REPOSITORY,
            ErrorKind::WrongPassword => WRONG_PASSWORD,
            ErrorKind::Interrupted => INTERRUPTED,
            _ => FAILED,
        };
        Self {
            code,
            text: message::sentence(&error),
            core: Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repo_core::Subject;

    #[test]
    fn kinds_have_their_codes() {
        let code = |kind| Failure::from(Error::new(kind, Subject::None)).code();
        assert_eq!(code(ErrorKind::NoRepository), 10);
        assert_eq!(code(ErrorKind::WrongPassword), 12);
        assert_eq!(code(ErrorKind::Interrupted), 130);
        for kind in [
            ErrorKind::RolledBack,
            ErrorKind::Damaged,
            ErrorKind::InvalidInput,
        ] {
            assert_eq!(code(kind), 1);
        }
    }

    #[test]
    fn a_reader_that_left_is_no_news() {
        let gone = Failure::output(&std::io::ErrorKind::BrokenPipe.into());
        assert!(gone.text().is_empty());
        let full = Failure::output(&std::io::ErrorKind::StorageFull.into());
        assert!(full.text().contains("standard output"));
        assert_eq!(full.code(), FAILED);
    }
}
