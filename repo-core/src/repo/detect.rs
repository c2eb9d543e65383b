//! What lies in a place that is no repository of ours, so that an error can say so.

use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::config;
use crate::format::name::{CONFIG, ObjectKind, parse_numbered, segment_open};
use crate::id::RepositoryId;

/// A repository as it shows itself to who has no key: what [`Repo::recognize`](super::Repo::recognize) has read of it, so that nobody need
/// read it again.
pub struct Recognized {
    /// The bytes of `config`.
    pub(super) config: Vec<u8>,
    /// The repository's id from them.
    pub(super) id: RepositoryId,
}

impl Recognized {
    /// The bytes of `config`.
    pub fn into_config(self) -> Vec<u8> {
        self.config
    }
}

/// The `config` of a place.
///
/// `NoRepository` without a detail if there is none, `Missing` if there is a log all the same, `Unsupported` for a newer version or a
/// restic repository, `Damaged` otherwise.
pub fn recognize(backend: &dyn Backend) -> Result<Recognized> {
    let config = match backend.get(CONFIG) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            log_without_config(backend)?;
            return Err(none(backend));
        }
        Err(e) => return Err(e),
    };
    match config::repository(&config) {
        Ok(id) => Ok(Recognized { config, id }),
        Err(e) if e.kind() == ErrorKind::Damaged && is_restic(backend)? => {
            Err(Error::unsupported(Subject::Repository(backend.place()))
                .detail("this is a restic repository"))
        }
        Err(e) if e.kind() == ErrorKind::Unsupported => {
            Err(e.about(Subject::Repository(backend.place())))
        }
        Err(e) => Err(e.about(Subject::Object(CONFIG.to_owned()))),
    }
}

fn none(backend: &dyn Backend) -> Error {
    Error::new(
        ErrorKind::NoRepository,
        Subject::Repository(backend.place()),
    )
}

/// `Missing` if there are log entries, and so there was a `config`. Called when there is none; one listing.
pub fn log_without_config(backend: &dyn Backend) -> Result<bool> {
    let mut entries = 0u64;
    backend.list("log", &mut |listed| {
        entries += u64::from(parse_numbered(&listed.name).is_some());
        Ok(())
    })?;
    match entries {
        0 => Ok(false),
        _ => Err(Error::missing(Subject::Object(CONFIG.to_owned()))
            .detail("there is the log of a repository without it")),
    }
}

/// Whether nothing lies in a place but what an `init` leaves that was stopped before the first log entry.
pub fn only_begun(backend: &dyn Backend) -> Result<bool> {
    let mut only_begun = true;
    let open = segment_open(1);
    backend.list("", &mut |listed| {
        let name = listed.name.as_str();
        let begun = [CONFIG, &open].contains(&name)
            || name.starts_with("race-")
            || matches!(ObjectKind::parse(name), Some((ObjectKind::Key, _)));
        only_begun &= begun;
        Ok(())
    })?;
    Ok(only_begun)
}

/// restic's key files are JSON with a field `kdf` that says `scrypt`.
fn is_restic(backend: &dyn Backend) -> Result<bool> {
    let mut names = Vec::new();
    backend.list("keys", &mut |listed| {
        names.push((listed.name, listed.len));
        Ok(())
    })?;
    for (name, len) in names.into_iter().take(4) {
        if len > 64 << 10 {
            continue;
        }
        let parsed: Option<serde_json::Value> = serde_json::from_slice(&backend.get(&name)?).ok();
        if parsed.is_some_and(|slot| slot["kdf"] == "scrypt") {
            return Ok(true);
        }
    }
    Ok(false)
}
