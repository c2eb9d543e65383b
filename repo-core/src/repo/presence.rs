//! Whether the packs that something new relies on are where they should be.

use super::{Repo, Shared, lock, pack_object};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::name::ObjectKind;
use crate::id::{BlobId, PackId};
use crate::index::{Location, Want};
use crate::log::PackState;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

/// What was found out about packs.
#[derive(Default)]
pub(super) struct Presence(HashMap<PackId, Standing>);

/// What the backend has under the name of a pack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    There,
    /// Of another length or content than the index says: some of it can be read, perhaps all.
    Damaged,
    Gone,
}

impl Shared {
    /// Whether a pack is there, in the length that the index says; the backend is asked once for each. True of packs
    /// that the index does not know.
    ///
    /// Nothing new is found in a lost pack from then on: what it held is stored again where it is met, and read from
    /// other packs where there is a copy.
    pub fn is_there(&self, pack: &PackId) -> Result<bool> {
        Ok(self.standing(pack)? == Standing::There)
    }

    /// Whether nothing is there under the name of a pack; asked as [`Shared::is_there`] does.
    pub fn is_gone(&self, pack: &PackId) -> Result<bool> {
        Ok(self.standing(pack)? == Standing::Gone)
    }

    fn standing(&self, pack: &PackId) -> Result<Standing> {
        if let Some(known) = lock(&self.presence).0.get(pack) {
            return Ok(*known);
        }
        let Some(info) = self.index().pack(pack)? else {
            return Ok(Standing::There);
        };
        let name = pack_object(info.kind).name(&pack.0);
        let found = match self.backend().size(&name)? {
            Some(len) if len == info.len => Standing::There,
            Some(_) => Standing::Damaged,
            None => Standing::Gone,
        };
        lock(&self.presence).0.insert(*pack, found);
        if found != Standing::There {
            self.index().set_usable(pack, false)?;
        }
        Ok(found)
    }

    /// Refuses a pack whose content is not what its name says. Before one that was condemned is relied on again: that may be because it is
    /// damaged, and then nothing new may be taken for stored in it. From then on it counts as not there. Reads it whole; true of packs that
    /// the index does not know.
    pub fn prove_pack(&self, pack: &PackId) -> Result<()> {
        let Some(info) = self.index().pack(pack)? else {
            return Ok(());
        };
        let name = pack_object(info.kind).name(&pack.0);
        let (error, found) = match self.backend().get(&name) {
            Ok(bytes) if pack.is_of(&bytes) => return Ok(()),
            Ok(_) => (Error::damaged(Subject::Pack(*pack)), Standing::Damaged),
            Err(e) if e.is_lost() => (Error::missing(Subject::Pack(*pack)), Standing::Gone),
            Err(e) => return Err(e),
        };
        lock(&self.presence).0.insert(*pack, found);
        self.index().set_usable(pack, false)?;
        Err(error)
    }

    /// Where a blob lies: in a pack that is there, if there is one. `Missing` if the index knows no copy.
    pub fn locate(&self, id: &BlobId) -> Result<Location> {
        let found = self.first_there(&|| self.index().lookup(id, Want::Readable))?;
        let (location, _) = found.ok_or_else(|| Error::unindexed(id))?;
        Ok(location)
    }

    /// What `look` finds in the index, and the pack: one that is there, if there is one. What is found not to be there it finds last.
    fn first_there(
        &self,
        look: &dyn Fn() -> Result<Option<Location>>,
    ) -> Result<Option<(Location, PackId)>> {
        let mut before = None;
        while let Some(location) = look()? {
            let pack = self.index().pack_id_of(&location)?;
            // A lost pack comes again only if there is no other.
            if self.is_there(&pack)? || before == Some(pack) {
                return Ok(Some((location, pack)));
            }
            before = Some(pack);
        }
        Ok(None)
    }

    /// The packs of a copy of a blob that can be had, and of whole copies of its bases: live ones, if there are any. None if there is
    /// no copy. Asks the backend as [`Shared::is_there`] does.
    pub fn packs_of(&self, blob: &BlobId) -> Result<Vec<PackId>> {
        let (mut best, mut best_is_live) = (Vec::new(), false);
        for location in self.index().copies(blob)? {
            let mut packs = vec![self.index().pack_id_of(&location)?];
            let mut there = true;
            for base in self.index().bases(&location)? {
                match self.whole_copy_of(&base)? {
                    Some(pack) => packs.push(pack),
                    None => there = false,
                }
            }
            let mut live = true;
            for pack in &packs {
                let state = self.state().pack_state(pack);
                there = there && state != PackState::Deleting && self.is_there(pack)?;
                live &= state == PackState::Live;
            }
            if there && (best.is_empty() || live && !best_is_live) {
                (best, best_is_live) = (packs, live);
            }
        }
        Ok(best)
    }

    /// The pack of a copy of a blob in a block without bases: one that is there, if there is one.
    fn whole_copy_of(&self, id: &BlobId) -> Result<Option<PackId>> {
        let found = self.first_there(&|| self.index().whole_copy(id, Want::Readable))?;
        Ok(found.map(|(_, pack)| pack))
    }

    /// Whether any object of a kind is there.
    fn has_any(&self, kind: ObjectKind) -> Result<bool> {
        let mut any = false;
        let listed = self.backend().list(kind.folder(), &mut |object| {
            any = ObjectKind::parse(&object.name).is_some_and(|(other, _)| other == kind);
            match any {
                true => Err(Error::new(ErrorKind::Interrupted, Subject::None)),
                false => Ok(()),
            }
        });
        if !any {
            listed?;
        }
        Ok(any)
    }

    /// The packs that turned out not to be there.
    pub(super) fn lost_packs(&self) -> HashSet<PackId> {
        let presence = lock(&self.presence);
        let lost = presence.0.iter();
        let lost = lost.filter(|(_, standing)| **standing != Standing::There);
        lost.map(|(pack, _)| *pack).collect()
    }
}

impl Repo {
    /// Refuses to take for lost what may be away for the moment: `Unavailable` if there is no object at all of a kind that there should be,
    /// packs or snapshots. It is lost where anything is stored again, as by a backup. A page of a listing each.
    pub(crate) fn refuse_empty_folders(&self) -> Result<()> {
        let mut kinds = Vec::new();
        self.index().packs(&mut |pack, _| {
            let kind = pack_object(pack.kind);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
            Ok(match kinds.len() {
                2 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        })?;
        kinds.extend((!self.live_snapshots().is_empty()).then_some(ObjectKind::Snapshot));
        for kind in kinds {
            if !self.has_any(kind)? {
                let detail = format!(
                    "nothing is there of {}/, as if a disk were not mounted; nothing was forgotten",
                    kind.folder()
                );
                let place = Subject::Repository(self.place());
                return Err(Error::new(ErrorKind::Unavailable, place).detail(detail));
            }
        }
        Ok(())
    }
}
