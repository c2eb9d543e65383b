//! Which repository lies in a place, by its `config`.

use super::Job;
use super::listing::Objects;
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::config;
use crate::format::name::CONFIG;
use crate::repo::Repo;

/// What `config` a replica has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theirs {
    Absent,
    Same,
    Damaged,
}

/// Refuses a place that cannot become a replica of the repository at `from`, or be one, as far as that is seen without a look at its log: `InvalidInput` if it is another
/// repository, or has other things in it. One request, where no repository is one listing more. Nothing is written.
pub fn look(from: &dyn Backend, to: &dyn Backend) -> Result<()> {
    if let Some(theirs) = config_of(to)? {
        let ours = Repo::recognize(from)?.into_config();
        return match ours == theirs {
            true => Ok(()),
            false => Err(differ(from, to, &ours, &theirs)),
        };
    }
    refuse_strangers(to, &mut Objects::list_all(to)?.0)
}

/// The source's `config`, and which one the replica has. One that is damaged is written again by who has the key, with `read_data`.
pub fn compare(job: &Job<'_>) -> Result<(Vec<u8>, Theirs)> {
    let ours = Repo::recognize(job.from)?.into_config();
    let Some(theirs) = config_of(job.to)? else {
        return Ok((ours, Theirs::Absent));
    };
    if ours == theirs {
        return Ok((ours, Theirs::Same));
    }
    match differ(job.from, job.to, &ours, &theirs) {
        e if e.kind() != ErrorKind::Damaged => Err(e),
        _ if job.by.is_some() && job.options.read_data => Ok((ours, Theirs::Damaged)),
        e => Err(e),
    }
}

fn config_of(place: &dyn Backend) -> Result<Option<Vec<u8>>> {
    match place.get(CONFIG) {
        Ok(config) => Ok(Some(config)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The error of two places whose `config` is not the same.
pub fn differ(from: &dyn Backend, to: &dyn Backend, ours: &[u8], theirs: &[u8]) -> Error {
    let (ours, theirs) = (config::repository(ours), config::repository(theirs));
    let is_other = matches!((&ours, &theirs), (Ok(a), Ok(b)) if a != b);
    match is_other {
        true => Error::new(ErrorKind::InvalidInput, Subject::Repository(to.place()))
            .detail("is another repository than the source"),
        false => Error::damaged(Subject::Object(CONFIG.to_owned())).detail(format!(
            "is not the same in {} and in {}: one of them is damaged",
            from.place(),
            to.place()
        )),
    }
}

/// Refuses a place that is no repository and has other things in it.
pub fn refuse_strangers(place: &dyn Backend, there: &mut Objects) -> Result<()> {
    there.look_for_strangers(place)?;
    match &there.stranger {
        None => Ok(()),
        Some(stranger) => {
            let place = Subject::Repository(place.place());
            let detail = format!("is not empty: {stranger} lies there");
            Err(Error::new(ErrorKind::InvalidInput, place).detail(detail))
        }
    }
}
