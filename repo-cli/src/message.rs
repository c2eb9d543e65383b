//! Sentences for people: what happened, to what, and what to do next.

mod advice;
mod clause;
#[cfg(test)]
mod tests;

use crate::json;
use crate::text::printable;
use advice::advice;
use clause::{because, clause};
use repo_core::format::name::{self, ObjectKind};
use repo_core::{Error, ErrorKind, Subject};

pub use clause::plain_io;

/// What happened, and on a further line what to do about it, if something can be done.
pub fn sentence(error: &Error) -> String {
    let happened = happened(error);
    match advice(error) {
        Some(advice) => format!("{happened}\n{advice}"),
        None => happened,
    }
}

/// The same for an error that keeps the repository from being opened, so that no check can look into it either.
pub fn cannot_open(error: &Error) -> String {
    let found = matches!(error.kind(), ErrorKind::Missing | ErrorKind::Damaged);
    let put_back = |name: &str| {
        format!(
            "Without it nothing can open the repository, not even `larder check`. Put {} back from a copy of the \
             repository; leave everything else as it is.",
            printable(name)
        )
    };
    let advice = match error.subject() {
        _ if !found => return sentence(error),
        Subject::Key(id) => format!(
            "Use another password or key file, if there is one, or put {} back from a copy of the repository.",
            ObjectKind::Key.name(&id.0)
        ),
        Subject::Object(name) if name == ObjectKind::Key.folder() => {
            "Nobody can open it without one. Put one back from a copy of the repository; leave everything else as it is."
                .to_owned()
        }
        Subject::Object(name) if name == name::CONFIG && error.kind() == ErrorKind::Missing => format!(
            "If a `larder sync` that makes it was stopped, run it again. {}",
            put_back(name)
        ),
        Subject::Object(name) => put_back(name),
        // Nothing that could be read says what class the place is of.
        Subject::Entry(1) => put_back("log/0/1, or the file whose name begins with log/0/1-,"),
        Subject::Entry(number) => put_back(&name::entry(*number)),
        _ => return sentence(error),
    };
    format!("{}\n{advice}", happened(error))
}

/// What happened to one item of a long operation, with its name.
pub fn of_item(item: &str, error: &Error) -> String {
    match error.subject() {
        Subject::None | Subject::Path(_) => clause(item, error),
        _ => format!("{item}: {}", reason(error)),
    }
}

/// A line about an item of an operation that goes on, for people or programs.
pub fn problem(json: bool, during: &'static str, item: &str, error: &Error) -> String {
    match json {
        true => json::line(&json::Problem {
            message_type: "error",
            error: json::Message {
                message: &reason(error),
            },
            during,
            item,
        }),
        false => format!("error: {}\n", of_item(&printable(item), error)),
    }
}

/// A line about a place that was left as it was, for people or programs.
pub fn place_failed(json: bool, place: &str, happened: &str) -> String {
    match json {
        true => json::line(&json::Problem {
            message_type: "error",
            error: json::Message { message: happened },
            during: "sync",
            item: place,
        }),
        false => format!("error: {}: {happened}\n", printable(place)),
    }
}

/// What happened to one item whose name stands elsewhere.
pub fn reason(error: &Error) -> String {
    match error.subject() {
        Subject::None | Subject::Path(_) => clause("", error),
        subject => clause(&printable(&subject.to_string()), error),
    }
}

fn happened(error: &Error) -> String {
    let subject = match error.subject() {
        Subject::None => String::new(),
        subject => printable(&subject.to_string()).into_owned(),
    };
    match (error.kind(), error.subject()) {
        (ErrorKind::NoRepository, Subject::Repository(place)) => {
            let place = printable(place);
            match error.detail_text() {
                None => format!("repository does not exist: there is none at {place}"),
                Some(detail) => format!("repository does not exist: {place} {detail}"),
            }
        }
        (ErrorKind::NoRepository, _) => format!("repository does not exist{}", because(error)),
        (ErrorKind::WrongPassword, Subject::None) => {
            format!("wrong password or no key found{}", because(error))
        }
        (ErrorKind::WrongPassword, _) => {
            format!(
                "wrong password or no key found for {subject}{}",
                because(error)
            )
        }
        (ErrorKind::Interrupted, _) => "interrupted".into(),
        (ErrorKind::RolledBack, _) => format!(
            "the repository is older than what this machine has seen of it{}",
            because(error)
        ),
        (ErrorKind::Unsupported, Subject::Repository(place)) if of_restic(error) => format!(
            "there is a restic repository at {}, which larder can neither read nor write",
            printable(place)
        ),
        _ => clause(&subject, error),
    }
}

fn of_restic(error: &Error) -> bool {
    error
        .detail_text()
        .is_some_and(|detail| detail.contains("restic"))
}
