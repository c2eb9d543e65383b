//! What lies on the backend.

use crate::error::Result;
use crate::format::entry::ObjectRef;
use crate::format::name::{self, ObjectKind};
use crate::id::{PackId, StateId};
use crate::repo::Repo;
use crate::time::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// Objects that a prune may have to do with, as listed before the fold. Memory: about 60 bytes an object.
#[derive(Default)]
pub struct Listing {
    /// Packs by the folder that they lie in, which may be the wrong one.
    pub packs: HashMap<ObjectRef, Stored>,
    /// Index tables, snapshots, evidence and keys.
    pub others: Vec<(ObjectRef, Stored)>,
    pub checkpoints: Vec<(u64, String, Stored)>,
    pub states: Vec<(StateId, Stored)>,
}

/// What is known of an object.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    pub len: u64,
    pub modified: Option<Timestamp>,
}

impl Stored {
    /// Whether it was written so long ago; not if nobody knows when.
    pub fn is_older(&self, age: Duration, now: Timestamp) -> bool {
        self.modified
            .is_some_and(|modified| modified.is_past(age, now))
    }
}

impl Listing {
    /// What lies under the name of a pack, in either folder.
    pub fn of_pack(&self, id: &PackId) -> impl Iterator<Item = (ObjectRef, Stored)> {
        let objects = [ObjectKind::Data, ObjectKind::Meta].map(|kind| ObjectRef { kind, id: id.0 });
        let objects = objects.into_iter();
        objects.filter_map(|object| Some((object, *self.packs.get(&object)?)))
    }

    /// How many bytes.
    pub fn len_of_pack(&self, id: &PackId) -> u64 {
        self.of_pack(id).map(|(_, stored)| stored.len).sum()
    }

    /// Lists everything but the log.
    pub fn of(repo: &Repo) -> Result<Self> {
        let mut listing = Self::default();
        for kind in [
            ObjectKind::Data,
            ObjectKind::Meta,
            ObjectKind::Index,
            ObjectKind::Snapshot,
            ObjectKind::Evidence,
            ObjectKind::State,
            ObjectKind::Key,
        ] {
            repo.backend().list(kind.folder(), &mut |object| {
                let Some((kind, id)) = ObjectKind::parse(&object.name) else {
                    return Ok(());
                };
                let stored = Stored {
                    len: object.len,
                    modified: object.modified,
                };
                let object = ObjectRef { kind, id };
                match kind {
                    ObjectKind::Data | ObjectKind::Meta => {
                        listing.packs.insert(object, stored);
                    }
                    ObjectKind::State => listing.states.push((StateId(id), stored)),
                    _ => listing.others.push((object, stored)),
                }
                Ok(())
            })?;
        }
        repo.backend().list("checkpoints", &mut |object| {
            if let Some((number, _)) = name::parse_numbered(&object.name) {
                let stored = Stored {
                    len: object.len,
                    modified: object.modified,
                };
                listing.checkpoints.push((number, object.name, stored));
            }
            Ok(())
        })?;
        Ok(listing)
    }
}
