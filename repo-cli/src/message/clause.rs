//! What happened, in one clause: a subject, and what the kind of an error, its detail and its causes say of it.

use crate::text::printable;
use repo_core::backend::Answer;
use repo_core::{Error, ErrorKind};
use std::io::ErrorKind as Io;

/// An error of the operating system without its number.
pub fn plain_io(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => text.to_owned(),
    }
}

/// Subject and predicate. Without a subject what is left of it still reads as a message.
pub(super) fn clause(subject: &str, error: &Error) -> String {
    let text = match (error.io_cause(), error.detail_text()) {
        (Some(cause), detail) => refused(subject, error, cause, detail),
        (None, Some(detail)) => said(subject, error, &printable(detail)),
        (None, None) => format!("{subject} {}{}", predicate(error), because(error)),
    };
    text.trim_start().to_owned()
}

/// The operating system refused something. A detail says what, unless the system says the same in its own words.
fn refused(subject: &str, error: &Error, cause: &std::io::Error, detail: Option<&str>) -> String {
    let (cause, full) = (plain_io(cause), error.is_full());
    let detail = detail.filter(|detail| !full && !cause.contains(detail));
    let at = at(error);
    match (detail, error.kind()) {
        (Some(detail), _) if detail.starts_with("cannot ") => {
            format!("{subject} {detail}{at}: {cause}")
        }
        (Some(detail), _) if subject.is_empty() => {
            format!("cannot {}{at}: {cause}", detail.trim_end_matches(" of"))
        }
        (Some(detail), _) if is_of_subject(detail) => {
            format!("cannot {detail} of {subject}{at}: {cause}")
        }
        (Some(detail), _) => format!("cannot {detail} {subject}{at}: {cause}"),
        (None, ErrorKind::NotFound) => format!("{subject} {}", predicate(error)),
        (None, ErrorKind::Denied | ErrorKind::Unavailable | ErrorKind::Unsupported)
            if subject.is_empty() && !full && !is_read_only(error) =>
        {
            cause
        }
        (None, _) => format!("{subject} {}: {cause}", predicate(error)),
    }
}

/// Whether what could not be done was to be done with something of the subject.
fn is_of_subject(detail: &str) -> bool {
    detail.starts_with("set ") && !detail.ends_with(" of")
}

/// Words that a detail may begin with to be the predicate itself.
const VERBS: [&str; 6] = ["is ", "has ", "does ", "says ", "names ", "asks "];

/// The library says what is wrong.
fn said(subject: &str, error: &Error, detail: &str) -> String {
    let verb = VERBS.iter().any(|verb| detail.starts_with(verb));
    let (predicate, because) = (predicate(error), because(error));
    match error.kind() {
        _ if detail.starts_with("changed ") => format!("{subject}{because}").replacen(": ", " ", 1),
        ErrorKind::InvalidInput | ErrorKind::NotFound if detail.starts_with("not ") => {
            format!("{subject} is{because}").replacen(": ", " ", 1)
        }
        ErrorKind::Missing if detail.starts_with("has the content of ") => {
            format!("{subject}{because}").replacen(": ", " ", 1)
        }
        ErrorKind::InvalidInput if verb => format!("{subject}{because}").replacen(": ", " ", 1),
        ErrorKind::InvalidInput | ErrorKind::Unavailable if subject.is_empty() => {
            because.trim_start_matches(": ").to_owned()
        }
        _ if verb => format!(
            "{subject} {predicate}: it {}",
            because.trim_start_matches(": ")
        ),
        _ => format!("{subject} {predicate}{because}"),
    }
}

/// What the kind says of a subject.
fn predicate(error: &Error) -> String {
    let kind = match error.kind() {
        ErrorKind::NotFound => "does not exist",
        ErrorKind::Missing => "is missing from the repository",
        ErrorKind::Damaged => "is damaged",
        _ if error.is_full() || is_read_only(error) => "cannot be written",
        ErrorKind::Unavailable => "cannot be read or written",
        ErrorKind::Denied if error.io_cause().is_none() && answer(error).is_none() => {
            "may not be changed"
        }
        ErrorKind::Denied => "may not be read or written",
        ErrorKind::Unsupported if error.io_cause().is_some() || answer(error).is_some() => {
            "cannot be read or written"
        }
        ErrorKind::Unsupported => "is not supported by this version",
        ErrorKind::InvalidInput => "is not valid",
        ErrorKind::Interrupted => "was interrupted",
        ErrorKind::NoRepository => "is no repository",
        ErrorKind::WrongPassword => "does not open with this password or key",
        ErrorKind::RolledBack => "is older than before",
        _ => "failed",
    };
    format!("{kind}{}", at(error))
}

fn at(error: &Error) -> String {
    error
        .offset()
        .map_or(String::new(), |offset| format!(" at byte {offset}"))
}

/// The detail and the causes, each after a colon, as far as each says something new.
pub(super) fn because(error: &Error) -> String {
    let mut text = String::new();
    let mut add = |said: &str| {
        if !said.is_empty() && !text.contains(said) {
            text = format!("{text}: {}", printable(said));
        }
    };
    add(error.detail_text().unwrap_or_default());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            add(&plain_io(io));
        } else if let Some(error) = error.downcast_ref::<Error>() {
            // Its subject is that of the error it caused.
            add(error.detail_text().unwrap_or_default());
        } else {
            add(&error.to_string());
        }
        cause = error.source();
    }
    text
}

/// What a place on another machine said, if that is the cause.
pub(super) fn answer(error: &Error) -> Option<&Answer> {
    std::error::Error::source(error)?.downcast_ref()
}

pub(super) fn is_read_only(error: &Error) -> bool {
    let kind = error.io_cause().map(std::io::Error::kind);
    kind == Some(Io::ReadOnlyFilesystem)
}
