//! What lies in the target and not in the snapshot.
//!
//! It is removed only below directories that are restored, and of which every node of the snapshot could be read. Only what
//! the selection means goes: what `--exclude` spares stays, with the directories that hold it. No link is followed, no other
//! file system is entered, nor the same one where it is mounted a second time.

use super::context::Context;
use super::options::Chosen;
use super::place::{Place, Places, Presence};
use super::plan::Frame;
use super::window::Window;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::fs::{Kind, Metadata, Scan, is_part_name, metadata_of};
use crate::tree::Nodes;
use std::sync::Arc;

/// Removes what is not in the snapshot.
pub struct Surplus<'a> {
    context: &'a Context<'a>,
    places: &'a Places,
    window: &'a Window,
}

/// A directory that is going to be removed, while that is done with its entries.
struct Level {
    place: Arc<Place>,
    chosen: Chosen,
    entries: Scan,
    next: usize,
    /// Something in it stays, so it stays itself.
    stays: bool,
}

/// What becomes of an entry.
enum Step {
    Gone,
    Stays,
    Into(Level),
}

impl<'a> Surplus<'a> {
    /// For one restore; what the files of `window` are written to stays.
    pub fn new(context: &'a Context<'a>, places: &'a Places, window: &'a Window) -> Self {
        Self {
            context,
            places,
            window,
        }
    }

    /// Removes what a directory has and its tree has not. Problems are reported; `Interrupted` when asked to stop.
    ///
    /// Memory: the names of the directory, and of those on the way down that are removed.
    pub fn remove(&self, frame: &Frame) -> Result<()> {
        match self.surplus_of(frame) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.context.problem(&frame.place.path(), &error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn surplus_of(&self, frame: &Frame) -> Result<()> {
        let Some(tree) = &frame.tree else {
            return Ok(());
        };
        let entries = self.places.open(&frame.place)?.read()?.names()?;
        let mut nodes = Nodes::open(self.context.repo, tree)?;
        let mut node = nodes.next(self.context.repo)?;
        for name in entries.names() {
            while node
                .as_ref()
                .is_some_and(|node| node.name.as_slice() < name)
            {
                node = nodes.next(self.context.repo)?;
            }
            let in_work = || is_part_name(name) && self.window.has_part(&frame.place, name);
            if node.as_ref().is_none_or(|node| node.name != name) && !in_work() {
                let chosen = self.context.options.selection.enter(&frame.chosen, name);
                self.remove_entry(&frame.place, name, &chosen)?;
            }
        }
        Ok(())
    }

    /// Removes an entry of a directory with all that is in it, as far as it is meant; says whether all of it is gone. In a
    /// dry run nothing is. Problems are reported; `Interrupted` when asked to stop.
    pub fn remove_entry(&self, place: &Arc<Place>, name: &[u8], chosen: &Chosen) -> Result<bool> {
        let chosen = self.context.options.selection.again(chosen);
        let mut levels = Vec::new();
        let mut step = self.step(place, name, None, chosen)?;
        loop {
            match step {
                Step::Into(level) => levels.push(level),
                Step::Gone if levels.is_empty() => return Ok(true),
                Step::Stays if levels.is_empty() => return Ok(false),
                Step::Gone => {}
                Step::Stays => levels.iter_mut().for_each(|level| level.stays = true),
            }
            let level = levels.last_mut().expect("left when it is empty");
            step = match level.next < level.entries.len() {
                true => {
                    level.next += 1;
                    let at = level.next - 1;
                    let (name, hint) = (level.entries.name(at), level.entries.kind_hint(at));
                    let chosen = self.context.options.selection.enter(&level.chosen, name);
                    self.step(&level.place, name, hint, chosen)?
                }
                false => {
                    let level = levels.pop().expect("just looked at");
                    self.remove_emptied(&level)
                }
            };
        }
    }

    /// Removes what is no directory, or goes into it.
    fn step(
        &self,
        place: &Arc<Place>,
        name: &[u8],
        hint: Option<Kind>,
        chosen: Chosen,
    ) -> Result<Step> {
        self.context.go_on()?;
        if !chosen.selected {
            return Ok(Step::Stays);
        }
        let step = match hint {
            Some(kind) if kind != Kind::Dir => self.remove_file(place, name),
            _ => self.enter(place, name, chosen),
        };
        Ok(step.unwrap_or_else(|error| {
            self.context.problem(&place.path_of(name), &error);
            Step::Stays
        }))
    }

    fn remove_file(&self, place: &Arc<Place>, name: &[u8]) -> Result<Step> {
        let (dir, options) = (self.places.open(place)?, self.context.options);
        if !options.never_delete.is_empty()
            && let Some(found) = dir.stat(name)?
        {
            self.spare(&found)?;
        }
        if !options.dry_run {
            dir.remove_entry(name)?;
        }
        self.context.deleted(|| place.path_of(name));
        Ok(Step::Gone)
    }

    /// Refuses to remove what must stay.
    fn spare(&self, found: &Metadata) -> Result<()> {
        let spared = &self.context.options.never_delete;
        match spared.contains(&(found.device, found.inode)) {
            false => Ok(()),
            true => Err(Error::new(ErrorKind::InvalidInput, Subject::None)
                .detail("is not removed: this command works with it")),
        }
    }

    fn enter(&self, place: &Arc<Place>, name: &[u8], chosen: Chosen) -> Result<Step> {
        let dir = self.places.open(place)?;
        match dir.stat(name)? {
            None => return Ok(Step::Gone),
            Some(found) if found.kind != Kind::Dir => return self.remove_file(place, name),
            Some(_) => {}
        }
        let below = dir.open_dir_of_same_mount(name)?;
        self.spare(&metadata_of(&below)?)?;
        let entries = below.read()?.names()?;
        let place = Place::below(place, name, None);
        place.is_now(Presence::Existing);
        self.places.opened(&place, below);
        Ok(Step::Into(Level {
            place,
            chosen,
            entries,
            next: 0,
            stays: false,
        }))
    }

    /// Removes a directory whose entries are done with.
    fn remove_emptied(&self, level: &Level) -> Step {
        if level.stays {
            return Step::Stays;
        }
        let place = &level.place;
        let removed = match (self.context.options.dry_run, place.above()) {
            (false, Some(above)) => {
                let removed = self.places.open(above);
                removed.and_then(|above| above.remove_empty_dir(place.name()))
            }
            _ => Ok(true),
        };
        match removed {
            Ok(true) => {
                self.context.deleted(|| place.path());
                Step::Gone
            }
            Ok(false) => {
                let error = Error::new(ErrorKind::Unavailable, Subject::None)
                    .detail("something came into it while it was removed");
                self.context.problem(&place.path(), &error);
                Step::Stays
            }
            Err(error) => {
                self.context.problem(&place.path(), &error);
                Step::Stays
            }
        }
    }
}
