//! What to do about an error.

use super::clause::{answer, is_read_only};
use super::of_restic;
use repo_core::backend::WEB_PAGE;
use repo_core::format::name;
use repo_core::{Error, ErrorKind, Subject};

/// What to do about it, if something can be done.
pub(super) fn advice(error: &Error) -> Option<&'static str> {
    let about_costs = || match error.subject() {
        Subject::Setting(name) => name == "password cost",
        Subject::Key(_) => true,
        _ => false,
    };
    Some(match error.kind() {
        ErrorKind::NoRepository if is_of_bucket(error) => {
            "Look whether --repo is right, or make the bucket first: larder makes none."
        }
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
             you want it, run once with --accept-rollback; if files of the log were lost, with `larder --accept-rollback repair log`."
        }
        ErrorKind::InvalidInput if about_costs() => {
            "If you trust whoever made this key, allow it with --allow-costly-key."
        }
        ErrorKind::Unavailable
            if error.is_full() && matches!(error.subject(), Subject::Path(_)) =>
        {
            "Make room there and run it again; it goes on from there."
        }
        ErrorKind::Unavailable if error.is_full() => {
            "Nothing that was committed is lost. Make room and run it again; it goes on from there."
        }
        _ if error.detail_text() == Some("use the cache directory") => {
            "Name another one with --cache-dir, or use none with --no-cache."
        }
        ErrorKind::NotFound | ErrorKind::Unavailable if of_target(error) => {
            "Choose another directory."
        }
        ErrorKind::InvalidInput if of_target(error) => "Choose another directory.",
        ErrorKind::InvalidInput if is_to_replica(error) => {
            "Name the place that it follows. If that is lost, or is to be one no more, `larder promote` makes this one the home of the repository."
        }
        ErrorKind::InvalidInput if is_of_fork(error) => {
            "Nothing was changed. Look at both with `larder snapshots`. With --merge what only that place has is copied into the new home; without the place among the replicas it is left alone."
        }
        ErrorKind::InvalidInput if is_of_replica(error) => of_replica(error),
        ErrorKind::InvalidInput if error.detail_text() == Some("is no folder in the snapshot") => {
            "Restore the folder that it lies in, and name it with --include."
        }
        ErrorKind::Denied | ErrorKind::Unsupported if answer(error).is_some() => of_answer(error),
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
            "Put it back from a copy of the repository. If there is none, `larder repair log` clears it, and enters again what it \
             committed if that is there. Everything before it restores as before."
        }
        ErrorKind::Damaged if matches!(error.subject(), Subject::Entry(_)) => {
            "Put it back from a copy of the repository. If there is none, `larder repair log` clears it."
        }
        ErrorKind::Missing if is_segment_mark(error.subject()) => {
            "`larder repair log` writes it again. Without it nothing can be added; everything restores as before."
        }
        ErrorKind::Missing if error.is_unindexed() => {
            "If an index table is lost, as `larder check` says, `larder repair index` enters anew what its packs hold, and \
             nothing is lost."
        }
        ErrorKind::Damaged if is_of_two_configs(error) => {
            "Nothing was changed. If the repository opens, its own is right: `larder sync --prove --read-data` writes it again in the other place."
        }
        ErrorKind::Missing | ErrorKind::Damaged if in_repository(error.subject()) => {
            "`larder check --read-data` says which snapshots and files are touched, and what to do; the rest restores as before."
        }
        _ => return None,
    })
}

/// Whether something was to be added to a replica.
fn is_to_replica(error: &Error) -> bool {
    let detail = error.detail_text().unwrap_or_default();
    matches!(error.subject(), Subject::Repository(_)) && detail.starts_with("is a replica")
}

/// Whether another place of the repository has a log that is not this one's.
fn is_of_fork(error: &Error) -> bool {
    let detail = error.detail_text().unwrap_or_default();
    matches!(error.subject(), Subject::Repository(_)) && detail.starts_with("went its own way")
}

/// Whether a place cannot be made to hold what its source does.
fn is_of_replica(error: &Error) -> bool {
    let detail = error.detail_text().unwrap_or_default();
    matches!(error.subject(), Subject::Repository(_))
        && (detail.contains("its source")
            || detail.contains("the source")
            || detail.starts_with("is not empty"))
}

fn of_replica(error: &Error) -> &'static str {
    let detail = error.detail_text().unwrap_or_default();
    if detail.starts_with("has another log entry") {
        "Something was written to it by itself, or its source was put back to an older time. Nothing was changed: look at both with \
         `larder snapshots`. `larder promote --merge`, with the right one as --repo and the other one as --replica, copies what only the other one has."
    } else if detail.contains("log entr") {
        "Something was written to it by itself, or its source has lost the end of its log. Nothing was changed: look at both with \
         `larder snapshots`. If the place is right, `larder sync -r PLACE --to REPOSITORY --prove` brings the repository up to it; do not empty it before."
    } else {
        "Nothing was changed. A copy needs a place of its own: choose another one."
    }
}

fn is_of_two_configs(error: &Error) -> bool {
    let both = |detail: &str| detail.starts_with("is not the same in");
    matches!(error.subject(), Subject::Object(name) if name == name::CONFIG)
        && error.detail_text().is_some_and(both)
}

fn is_of_bucket(error: &Error) -> bool {
    error.detail_text() == Some("names a bucket that is not there")
}

/// What to do about the refusal of a place on another machine.
fn of_answer(error: &Error) -> &'static str {
    let Some(answer) = answer(error) else {
        return "";
    };
    match answer.code() {
        "RequestTimeTooSkewed" => "Set the clock of this machine.",
        "ExpiredToken" | "TokenRefreshRequired" => "Get new credentials; these have expired.",
        "AuthorizationHeaderMalformed"
        | "PermanentRedirect"
        | "IllegalLocationConstraintException" => {
            "Name the region of the bucket with -o s3.region=REGION, or set AWS_REGION."
        }
        "InvalidObjectState" => "It lies in an archive: have it brought back first.",
        "NotImplemented" => "This place cannot do what larder needs.",
        _ if answer.text() == WEB_PAGE => {
            "A proxy or a login page stands between, or --repo names a web site: look at HTTPS_PROXY and at the address."
        }
        _ => {
            "Look whether these are the right credentials, and what they may do at this place; docs/places.md says where they come \
             from."
        }
    }
}

/// Whether something is no directory, or cannot become one, that was named to be written to.
fn of_target(error: &Error) -> bool {
    let details = [
        "create directory",
        "not a directory",
        "is a symbolic link that leads nowhere",
    ];
    let detail = error.detail_text().unwrap_or_default();
    matches!(error.subject(), Subject::Path(_)) && details.contains(&detail)
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
