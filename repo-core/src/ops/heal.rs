//! Puts back what the repository has lost and another place gave.

use super::sync::transfer::{is_whole, proved};
use crate::error::{Error, Result};
use crate::format::entry::ObjectRef;
use crate::format::name::ObjectKind;
use crate::repo::Repo;

/// What became of the objects that were had elsewhere.
#[derive(Debug, Default)]
pub struct Healed {
    /// The places that gave any, as people know them, each once.
    pub places: Vec<String>,
    /// So many are whole again.
    pub back: u64,
    /// Names of those that are not, and why.
    pub failed: Vec<(String, Error)>,
}

/// Puts every object back that [`Repo::had_elsewhere`] names, if it is not deleted and is not whole by now. Nothing but what its name
/// says is put. Objects that cannot be put back are no error.
///
/// A prune that deletes one meanwhile makes it an object that the next prune removes. Errors: as of a fold. Memory: one object.
pub fn heal(repo: &Repo) -> Result<Healed> {
    let mut healed = Healed::default();
    let had = repo.had_elsewhere();
    if had.is_empty() {
        return Ok(healed);
    }
    repo.refresh()?;
    for (name, place) in had {
        let Some((kind, id)) = ObjectKind::parse(&name) else {
            continue;
        };
        if repo.state().is_deleted(&id) {
            continue;
        }
        let object = ObjectRef { kind, id };
        let put_back = || match is_whole(repo.backend(), &object)? {
            true => Ok(()),
            false => repo.backend().put(&name, &proved(&*place, &object)?),
        };
        match put_back() {
            Ok(()) => healed.back += 1,
            Err(error) => healed.failed.push((name, error)),
        }
        let place = place.place();
        if !healed.places.contains(&place) {
            healed.places.push(place);
        }
    }
    Ok(healed)
}
