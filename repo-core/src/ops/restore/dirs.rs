//! Directories of the target: made, entered, or not there.

use super::place::{Place, Presence};
use super::plan::Planner;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::fs::Kind;
use std::sync::Arc;

impl Planner<'_> {
    /// Sees to it that a directory is there, and those above it. `false` if one could not be made, which is reported once.
    pub fn ensure(&self, place: &Arc<Place>) -> Result<bool> {
        if let Some(presence) = place.presence() {
            return Ok(presence.is_usable());
        }
        let made = match place.above() {
            Some(above) if self.ensure(above)? => self.make_dir(above, place),
            _ => Ok(Presence::Failed),
        };
        let presence = made.unwrap_or_else(|error| {
            self.context.problem(&place.path(), &error);
            Presence::Failed
        });
        match presence {
            Presence::Kept => self.context.skipped(|| place.path(), None),
            _ => self.context.expected(),
        }
        if !presence.is_usable() {
            self.context.others.add(|| place.path());
        }
        place.is_now(presence);
        Ok(presence.is_usable())
    }

    fn make_dir(&self, above: &Arc<Place>, place: &Arc<Place>) -> Result<Presence> {
        if above.presence() == Some(Presence::Absent) {
            return Ok(Presence::Absent);
        }
        let name = place.name();
        let begun = self.leftover(above, name)?;
        self.discard(above, begun)?;
        let found = self.found(above, name)?;
        let in_the_way = found.filter(|found| found.kind != Kind::Dir);
        let overwrite = self.context.options.overwrite;
        if let (Some(found), Some(mtime)) = (&in_the_way, place.mtime())
            && overwrite.keeps(mtime, None, found)
        {
            self.context.problem(&place.path(), &stays());
            return Ok(Presence::Kept);
        }
        let dir = self.places.open(above)?;
        if self.context.options.dry_run {
            return match dir.open_dir(name) {
                Ok(dir) => {
                    self.places.opened(place, dir);
                    Ok(Presence::Existing)
                }
                Err(_) if in_the_way.is_some() => Ok(Presence::Absent),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Presence::Absent),
                Err(error) => Err(error),
            };
        }
        let dir = dir.create_dir(name)?;
        let is_new = dir.is_new();
        self.places.opened(place, dir);
        Ok(match is_new {
            true => Presence::New,
            false => Presence::Existing,
        })
    }
}

/// What is said of something that stays where a directory belongs.
fn stays() -> Error {
    let why =
        "is no directory and stays, as asked for: what the snapshot has below is not restored";
    Error::new(ErrorKind::InvalidInput, Subject::None).detail(why)
}
