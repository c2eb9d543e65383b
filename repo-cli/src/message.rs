//! Sentences for people: what happened, to what, and what to do next.

use crate::text::printable;
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

/// What happened to one item whose name stands before it.
pub fn reason(error: &Error) -> String {
    let why = why(error);
    match error.subject() {
        Subject::None | Subject::Path(_) => why,
        subject => format!("{} {why}", printable(&subject.to_string())),
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
    match error.kind() {
        ErrorKind::NoRepository => match error.subject() {
            Subject::Repository(place) => {
                format!(
                    "repository does not exist: there is none at {}",
                    printable(place)
                )
            }
            _ => format!("repository does not exist{}", detail(error)),
        },
        ErrorKind::WrongPassword => format!("wrong password or no key found{}", detail(error)),
        ErrorKind::Interrupted => "interrupted".into(),
        ErrorKind::RolledBack => format!(
            "the repository is older than what this machine has seen of it{}",
            detail(error)
        ),
        _ => match error.subject() {
            Subject::None => why(error),
            subject => format!("{}: {}", printable(&subject.to_string()), why(error)),
        },
    }
}

/// The kind, the detail and the cause, as far as each says something new.
fn why(error: &Error) -> String {
    let kind = match error.kind() {
        ErrorKind::NotFound => "does not exist",
        ErrorKind::Missing => "is missing from the repository",
        ErrorKind::Damaged => "is damaged",
        ErrorKind::Unavailable => "cannot be read or written",
        ErrorKind::Denied => "permission denied",
        ErrorKind::Unsupported => "is not supported by this version",
        ErrorKind::InvalidInput => "is not valid",
        ErrorKind::Interrupted => "interrupted",
        ErrorKind::NoRepository => "is no repository",
        ErrorKind::WrongPassword => "wrong password or key",
        ErrorKind::RolledBack => "is older than before",
        _ => "failed",
    };
    let at = error
        .offset()
        .map_or(String::new(), |offset| format!(" at byte {offset}"));
    format!("{kind}{at}{}", detail(error))
}

fn detail(error: &Error) -> String {
    let mut text = String::new();
    if let Some(detail) = error.detail_text() {
        text = format!(": {}", printable(detail));
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = match error.downcast_ref::<std::io::Error>() {
            Some(io) => plain_io(io),
            None => error.to_string(),
        };
        if !text.contains(&said) && !matches!(said.as_str(), "permission denied") {
            text = format!("{text}: {}", printable(&said));
        }
        cause = error.source();
    }
    text
}

fn advice(error: &Error) -> Option<&'static str> {
    let about_costs = || match error.subject() {
        Subject::Setting(name) => name == "password cost",
        Subject::Key(_) => true,
        _ => false,
    };
    let of_restic = || {
        error
            .detail_text()
            .is_some_and(|detail| detail.contains("restic"))
    };
    Some(match error.kind() {
        ErrorKind::NoRepository => {
            "Look whether --repo is right; `larder init`, or `backup --init`, makes a new one."
        }
        ErrorKind::WrongPassword => {
            "Look whether it is the right repository and the right password or key file."
        }
        ErrorKind::RolledBack => {
            "Someone may have put back an old copy, or hides new backups. If this is how you want it, \
             run once with --accept-rollback."
        }
        ErrorKind::InvalidInput if about_costs() => {
            "If you trust whoever made this key, allow it with --allow-costly-key."
        }
        ErrorKind::Unavailable => match error.io_cause().map(std::io::Error::kind) {
            Some(Io::StorageFull | Io::QuotaExceeded) => {
                "Nothing that was committed is lost. Make room and run it again; it goes on from there."
            }
            _ => "Nothing that was committed is lost. When it works again, run this again.",
        },
        ErrorKind::Denied => "Look at owner and mode, or run as a user who may do this.",
        ErrorKind::Unsupported if of_restic() => {
            "Use restic for it, or choose another place: larder reads its own format only."
        }
        ErrorKind::Unsupported => "A newer version of larder may be able to.",
        ErrorKind::Missing | ErrorKind::Damaged if in_repository(error.subject()) => {
            "`larder check --read-data` says which snapshots and files are touched; the rest restores as before."
        }
        _ => return None,
    })
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
    use repo_core::id::PackId;

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
            "pack {}: is damaged at byte 7: bad tag\n",
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
