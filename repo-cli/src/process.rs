//! What the process is and where it runs: core dumps, host, user, time zone.

use jiff::tz::TimeZone;
use repo_core::fs::Owners;
use repo_core::time::Timestamp;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::path::Path;

/// Forbids core dumps of this process and its children: one would hold the repository's keys.
pub fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Lowering a limit is always allowed; were it not, a missing precaution is no reason to refuse a backup.
    let _ = setrlimit(Resource::Core, none);
}

/// The name of this host.
pub fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The name of the user we run as; its number if it has none.
pub fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let owners = Owners::load(Path::new("/etc")).unwrap_or_default();
    owners
        .user(uid)
        .map_or_else(|| uid.to_string(), str::to_owned)
}

/// Minutes east of UTC at that time, by this machine's time zone.
pub fn utc_offset_min(time: Timestamp) -> i16 {
    let zone = TimeZone::system();
    let seconds =
        jiff::Timestamp::from_second(time.seconds).map_or(0, |time| zone.to_offset(time).seconds());
    i16::try_from(seconds / 60).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_user_have_names() {
        assert!(!host().is_empty());
        assert!(!user().is_empty());
    }
}
