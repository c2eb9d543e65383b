//! Sentences for people: what happened, to what, and what to do next.

use crate::text::printable;
use repo_core::format::name::{self, ObjectKind};
use repo_core::{Error, ErrorKind, Subject};
use std::io::ErrorKind as Io;

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
        Subject::Object(name) => put_back(name),
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

/// What happened to one item whose name stands elsewhere.
pub fn reason(error: &Error) -> String {
    match error.subject() {
        Subject::None | Subject::Path(_) => clause("", error),
        subject => clause(&printable(&subject.to_string()), error),
    }
}

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

/// Subject and predicate. Without a subject what is left of it still reads as a message.
fn clause(subject: &str, error: &Error) -> String {
    let text = match (error.io_cause(), error.detail_text()) {
        (Some(cause), detail) => refused(subject, error, cause, detail),
        (None, Some(detail)) => said(subject, error, &printable(detail)),
        (None, None) => format!("{subject} {}{}", predicate(error), because(error)),
    };
    text.trim_start().to_owned()
}

/// The operating system refused something. A detail says what, unless the system says the same in its own words.
fn refused(subject: &str, error: &Error, cause: &std::io::Error, detail: Option<&str>) -> String {
    let (cause, full) = (plain_io(cause), is_full(cause));
    let detail = detail.filter(|detail| !full && !cause.contains(detail));
    let at = at(error);
    match (detail, error.kind()) {
        (Some(detail), _) if detail.starts_with("cannot ") => {
            format!("{subject} {detail}{at}: {cause}")
        }
        (Some(detail), _) if subject.is_empty() => format!("cannot {detail}{at}: {cause}"),
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

/// Words that a detail may begin with to be the predicate itself.
const VERBS: [&str; 6] = ["is ", "has ", "does ", "says ", "names ", "asks "];

/// The library says what is wrong.
fn said(subject: &str, error: &Error, detail: &str) -> String {
    let verb = VERBS.iter().any(|verb| detail.starts_with(verb));
    let (predicate, because) = (predicate(error), because(error));
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::NotFound if detail.starts_with("not ") => {
            format!("{subject} is{because}").replacen(": ", " ", 1)
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
        _ if error.io_cause().is_some_and(is_full) || is_read_only(error) => "cannot be written",
        ErrorKind::Unavailable => "cannot be read or written",
        ErrorKind::Denied if error.io_cause().is_none() => "may not be changed",
        ErrorKind::Denied => "may not be read or written",
        ErrorKind::Unsupported if error.io_cause().is_some() => "cannot be read or written",
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
fn because(error: &Error) -> String {
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

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), Io::StorageFull | Io::QuotaExceeded)
}

fn is_read_only(error: &Error) -> bool {
    let kind = error.io_cause().map(std::io::Error::kind);
    kind == Some(Io::ReadOnlyFilesystem)
}

fn of_restic(error: &Error) -> bool {
    error
        .detail_text()
        .is_some_and(|detail| detail.contains("restic"))
}

fn advice(error: &Error) -> Option<&'static str> {
    let about_costs = || match error.subject() {
        Subject::Setting(name) => name == "password cost",
        Subject::Key(_) => true,
        _ => false,
    };
    Some(match error.kind() {
        ErrorKind::NoRepository if error.detail_text().is_some() => {
            "Look whether --repo is right: a repository is a directory."
        }
        ErrorKind::NoRepository => {
            "Look whether --repo is right; `larder init`, or `backup --init`, makes a new one."
        }
        ErrorKind::WrongPassword => {
            "Look whether it is the right repository and the right password or key file."
        }
        ErrorKind::RolledBack => {
            "Someone may have put back an old copy, or hides new backups, or this is an older copy of it. If this is how \
             you want it, run once with --accept-rollback."
        }
        ErrorKind::InvalidInput if about_costs() => {
            "If you trust whoever made this key, allow it with --allow-costly-key."
        }
        ErrorKind::Unavailable if error.io_cause().is_some_and(is_full) => {
            "Nothing that was committed is lost. Make room and run it again; it goes on from there."
        }
        _ if error.detail_text() == Some("use the cache directory") => {
            "Name another one with --cache-dir, or use none with --no-cache."
        }
        ErrorKind::Unavailable if matches!(error.subject(), Subject::Path(_)) => return None,
        ErrorKind::Unavailable => {
            "Nothing that was committed is lost. When it works again, run this again."
        }
        ErrorKind::Denied if error.io_cause().is_none() => {
            "Use a key that may do this: `larder key list` shows their roles."
        }
        ErrorKind::Denied if is_read_only(error) => {
            "Mount it for writing, or choose another place."
        }
        ErrorKind::Denied => "Look at owner and mode, or run as a user who may do this.",
        ErrorKind::Unsupported if of_restic(error) => {
            "Use restic for it, or choose another place for larder."
        }
        ErrorKind::Unsupported if error.io_cause().is_some() => return None,
        ErrorKind::Unsupported => "A newer version of larder may be able to.",
        ErrorKind::Damaged if is_newest_entry(error) => {
            "Put it back from a copy of the repository. If there is none, move it away: `larder check` names what it committed, \
             which is lost then. Everything before it restores as before."
        }
        ErrorKind::Missing if is_segment_mark(error.subject()) => {
            "Put it back from a copy of the repository: without it nothing can be added. Everything restores as before."
        }
        ErrorKind::Missing if error.detail_text() == Some("no index table names it") => {
            "If an index table is lost, as `larder check` says, the next backup enters anew what its packs hold, and nothing is \
             lost."
        }
        ErrorKind::Missing | ErrorKind::Damaged if in_repository(error.subject()) => {
            "`larder check --read-data` says which snapshots and files are touched; the rest restores as before."
        }
        _ => return None,
    })
}

/// Whether it is about the newest entry of the log, behind which nothing can be put.
fn is_newest_entry(error: &Error) -> bool {
    let newest = |detail: &str| detail.starts_with("is the newest one");
    matches!(error.subject(), Subject::Entry(_)) && error.detail_text().is_some_and(newest)
}

fn is_segment_mark(subject: &Subject) -> bool {
    matches!(subject, Subject::Object(object) if name::parse_segment_open(object).is_some())
}

fn in_repository(subject: &Subject) -> bool {
    !matches!(
        subject,
        Subject::None | Subject::Path(_) | Subject::Setting(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use repo_core::id::{KeyId, PackId};

    #[test]
    fn says_what_happened_to_what_and_what_to_do() {
        let place = Subject::Repository("/srv/x".into());
        let none = sentence(&Error::new(ErrorKind::NoRepository, place));
        assert!(
            none.starts_with("repository does not exist: there is none at /srv/x\n"),
            "{none}"
        );
        assert!(none.contains("larder init"));

        let wrong = sentence(&Error::new(ErrorKind::WrongPassword, Subject::None));
        assert!(wrong.starts_with("wrong password or no key found\n"));

        let pack = Error::damaged(Subject::Pack(PackId([0xab; 32])))
            .at(7)
            .detail("bad tag");
        let text = sentence(&pack);
        assert!(text.starts_with(&format!(
            "pack {} is damaged at byte 7: bad tag\n",
            "ab".repeat(32)
        )));
        assert!(text.contains("check --read-data"));
    }

    #[test]
    fn a_full_disk_says_so() {
        let full = std::io::Error::from_raw_os_error(28);
        let text = sentence(&Error::io(Subject::Object("data/00/x".into()), full));
        assert!(text.contains("no space left on device\n"), "{text}");
        assert!(text.contains("Make room"));
    }

    #[test]
    fn the_system_and_the_library_do_not_say_the_same_twice() {
        let about = |code, detail: &'static str| {
            let system = std::io::Error::from_raw_os_error(code);
            let error = Error::io(Subject::Object("data/00/x".into()), system).detail(detail);
            sentence(&error).lines().next().unwrap().to_owned()
        };
        assert_eq!(
            about(28, "no space left"),
            "object data/00/x cannot be written: no space left on device"
        );
        let full = std::io::Error::from_raw_os_error(28);
        let full = Error::io(Subject::Path("/a".into()), full)
            .detail("write")
            .at(7);
        assert_eq!(
            reason(&full),
            "cannot be written at byte 7: no space left on device"
        );
        let read_only = Error::io(
            Subject::Object("x".into()),
            std::io::Error::from_raw_os_error(30),
        );
        assert_eq!(
            reason(&read_only),
            "object x cannot be written: read-only file system"
        );
        let files = about(24, "too many open files");
        assert_eq!(files.matches("too many open files").count(), 1, "{files}");
        assert_eq!(
            about(5, "cannot be synced to disk"),
            "object data/00/x cannot be synced to disk: input/output error"
        );
        assert_eq!(
            about(13, "create directory"),
            "cannot create directory object data/00/x: permission denied"
        );
        let broken = std::io::Error::from_raw_os_error(5);
        let inner = Error::io(Subject::Object("data/00/x".into()), broken);
        let outer = Error::damaged(Subject::Object("data/00/x".into())).because(inner);
        assert_eq!(
            reason(&outer),
            "object data/00/x is damaged: input/output error"
        );
    }

    #[test]
    fn every_sentence_has_one_subject_and_one_predicate() {
        let place = || Subject::Repository("/srv/x".into());
        let says = |kind, subject, detail: &'static str, expected: &str| {
            let text = sentence(&Error::new(kind, subject).detail(detail));
            assert_eq!(text.lines().next(), Some(expected));
        };
        says(
            ErrorKind::Unsupported,
            place(),
            "this is a restic repository",
            "there is a restic repository at /srv/x, which larder can neither read nor write",
        );
        says(
            ErrorKind::Unsupported,
            place(),
            "format version 2, this program reads 1",
            "repository /srv/x is not supported by this version: format version 2, this program reads 1",
        );
        says(
            ErrorKind::InvalidInput,
            Subject::Path("/srv/x".into()),
            "not a directory",
            "/srv/x is not a directory",
        );
        says(
            ErrorKind::InvalidInput,
            place(),
            "is there already",
            "repository /srv/x is there already",
        );
        says(
            ErrorKind::NotFound,
            Subject::Path("/a".into()),
            "not in the snapshot",
            "/a is not in the snapshot",
        );
        says(
            ErrorKind::Damaged,
            Subject::Entry(3),
            "does not decrypt",
            "log entry 3 is damaged: it does not decrypt",
        );
        says(
            ErrorKind::NoRepository,
            place(),
            "is not a directory",
            "repository does not exist: /srv/x is not a directory",
        );
        says(
            ErrorKind::Unavailable,
            Subject::None,
            "changed while it was read",
            "changed while it was read",
        );
        says(
            ErrorKind::Denied,
            place(),
            "this key may not write such a log entry",
            "repository /srv/x may not be changed: this key may not write such a log entry",
        );
    }

    #[test]
    fn what_cannot_be_opened_cannot_be_checked() {
        let slot = Error::damaged(Subject::Key(KeyId([0xab; 32])));
        let gone = Error::missing(Subject::Object("keys".into()));
        let config = Error::damaged(Subject::Object("config".into()));
        for (error, named) in [
            (slot, "put keys/abab"),
            (gone, "Put one back"),
            (config, "Put config back"),
            (Error::missing(Subject::Entry(1)), "Put log/0/1 back"),
        ] {
            let text = cannot_open(&error);
            assert!(text.contains(named), "{text}");
            assert!(!text.contains("--read-data"), "{text}");
        }
        let busy = Error::new(ErrorKind::Unavailable, Subject::Object("config".into()));
        assert_eq!(cannot_open(&busy), sentence(&busy));
    }

    #[test]
    fn an_item_is_named_once() {
        let of = |error: Error| of_item("/srv/a", &error);
        let denied = || std::io::Error::from_raw_os_error(13);
        let path = || Subject::Path("/srv/a".into());
        assert_eq!(
            of(Error::io(path(), denied()).detail("open")),
            "cannot open /srv/a: permission denied"
        );
        assert_eq!(
            of(Error::new(ErrorKind::Unavailable, Subject::None)
                .detail("changed while it was read")),
            "/srv/a cannot be read or written: changed while it was read"
        );
        assert_eq!(
            of(Error::damaged(Subject::Entry(3)).detail("bad tag")),
            "/srv/a: log entry 3 is damaged: bad tag"
        );
    }

    #[test]
    fn denied_is_said_once() {
        let denied = std::io::Error::from_raw_os_error(13);
        let error = Error::io(Subject::Path("/root/x".into()), denied);
        assert_eq!(reason(&error), "permission denied");
    }

    #[test]
    fn costly_keys_name_their_flag() {
        let error = Error::invalid("password cost").detail("m = 9 KiB");
        assert!(sentence(&error).contains("--allow-costly-key"));
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        let text = sentence(&Error::new(
            ErrorKind::NotFound,
            Subject::Path("a\x1b[2Jb".into()),
        ));
        assert!(!text.contains('\x1b'), "{text:?}");
    }
}
