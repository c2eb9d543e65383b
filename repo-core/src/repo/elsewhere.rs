//! Other places of the repository, which give what this one cannot.
//!
//! Only objects that prove themselves are read there: blocks of packs, which are sealed, and records, whose names are hashes. So a
//! place that holds something else gives nothing, and costs a request. What the log says is read from here alone.

use super::{Repo, Shared, lock};
use crate::backend::Backend;
use crate::error::{ErrorKind, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// So many objects are remembered that were had elsewhere.
const HAD_MAX: usize = 100_000;

/// Other places, and what was had from them.
#[derive(Default)]
pub struct Elsewhere {
    places: OnceLock<Vec<Arc<dyn Backend>>>,
    had: Mutex<BTreeMap<String, Arc<dyn Backend>>>,
    /// This one did not answer, and another did.
    is_away: AtomicBool,
}

impl Repo {
    /// From now on what this place has lost or cannot give is read from `places`, in their order; of a remote repository those
    /// that are not remote are asked first. Does nothing the second time.
    ///
    /// Index tables that could not be had are looked for there at once. Errors: as of a fold.
    pub fn read_also(&self, places: Vec<Arc<dyn Backend>>) -> Result<()> {
        let _ = self.elsewhere.places.set(places);
        match self.index_is_incomplete() {
            true => self.refresh(),
            false => Ok(()),
        }
    }

    /// The names of objects that this place did not give, and which gave them; of the first 100,000.
    pub fn had_elsewhere(&self) -> Vec<(String, Arc<dyn Backend>)> {
        let had = lock(&self.elsewhere.had);
        had.iter()
            .map(|(name, place)| (name.clone(), Arc::clone(place)))
            .collect()
    }
}

impl Shared {
    /// What `read`, which proves what it reads, makes of an object here, or else in another place. The error is that of this place.
    pub(super) fn read_anywhere<T>(
        &self,
        name: &str,
        read: &mut dyn FnMut(&dyn Backend) -> Result<T>,
    ) -> Result<T> {
        let Elsewhere {
            places,
            had,
            is_away,
        } = &self.elsewhere;
        let places = places.get().map_or(&[][..], Vec::as_slice);
        let far = !places.is_empty() && self.backend.limits().remote;
        let away = is_away.load(Ordering::Relaxed);
        let is_first = |place: &&Arc<dyn Backend>| away || far && !place.limits().remote;
        for place in places.iter().filter(is_first) {
            if let Ok(read) = read(&**place) {
                return Ok(read);
            }
        }
        let error = match read(&*self.backend) {
            Err(error) if error.kind() != ErrorKind::Interrupted => error,
            answer => return answer,
        };
        for place in places.iter().filter(|place| !is_first(place)) {
            if let Ok(read) = read(&**place) {
                let mut had = lock(had);
                if error.is_lost() && had.len() < HAD_MAX {
                    had.insert(name.to_owned(), Arc::clone(place));
                }
                is_away.fetch_or(!error.is_lost(), Ordering::Relaxed);
                return Ok(read);
            }
        }
        Err(error)
    }
}
