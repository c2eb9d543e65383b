//! What is neither file nor directory: symbolic links, pipes, sockets, devices.

use super::attributes::{Wanted, note};
use super::file::identity;
use super::links::{Fate, FirstName, no_link};
use super::options::Chosen;
use super::place::Place;
use super::plan::Planner;
use crate::error::Result;
use crate::format::tree::{Content, Node};
use crate::fs::{Kind, Metadata, TargetDir};
use crate::progress::Outcome;
use crate::repo::lock;
use crate::tree::file_key;
use std::sync::Arc;

impl Planner<'_> {
    /// Makes it at once; a further name is linked to the first. What is there already and the same only gets its attributes.
    pub fn special(&mut self, place: &Arc<Place>, node: &Node, chosen: &Chosen) -> Result<()> {
        let (context, path) = (self.context, || place.path_of(&node.name));
        let found = self.found(place, &node.name)?;
        let begun = self.leftover(place, &node.name)?;
        self.discard(place, begun)?;
        if let Some(found) = &found {
            if context.options.overwrite.keeps_for(node, found) {
                context.skipped(path, None);
                return Ok(());
            }
            self.make_way(place, &node.name, found, chosen)?;
        }
        let key = file_key(node);
        let first = key.and_then(|key| self.first_names.met(&key));
        let done = match &first {
            Some(first) => self.link(place, node, first),
            None => match self.stays(place, node, found.as_ref())? {
                true => Ok(false),
                false => self.make(place, node).map(|()| true),
            },
        };
        if let (None, Some(key), Ok(_)) = (first, key, &done) {
            let first = FirstName::new(place, &node.name, Fate::Written);
            self.first_names.add(key, first, node.links);
        }
        match done {
            Ok(false) => context.skipped(path, None),
            Ok(true) => {
                context.expected();
                context.restored(Outcome::Restored, path);
            }
            Err(error) => {
                context.expected();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Gives the first name's a further one; if that cannot be, it is made anew, which is a problem. Whether anything was
    /// done.
    fn link(&self, place: &Arc<Place>, node: &Node, first: &FirstName) -> Result<bool> {
        if self.context.options.dry_run {
            return Ok(!first.is_that_of(self.places, place, &node.name));
        }
        first
            .link_to(self.places, place, &node.name)
            .or_else(|error| {
                self.make(place, node)?;
                self.context
                    .restored(Outcome::Restored, || place.path_of(&node.name));
                Err(no_link(error))
            })
    }

    /// Whether what is there is the same, and gets its attributes then. What has several names must have them already, and stays
    /// for one of the snapshot only: other names of it may lie anywhere.
    fn stays(&self, place: &Arc<Place>, node: &Node, found: Option<&Metadata>) -> Result<bool> {
        let (Some(found), Some(kind)) = (found, kind_of(node)) else {
            return Ok(false);
        };
        if found.kind != kind {
            return Ok(false);
        }
        let dir = self.places.open(place)?;
        let same = match &node.content {
            Content::Symlink(target) => &dir.read_link(&node.name)? == target,
            Content::BlockDevice(rdev) | Content::CharDevice(rdev) => found.rdev == *rdev,
            _ => true,
        };
        if same && found.links > 1 {
            return Ok(self.may_stay_shared(place, &dir, node, found));
        }
        if same && !self.context.options.dry_run {
            let wanted = self.wanted(node, kind);
            let applied = wanted.settle_entry(self.context.options, &dir, &node.name, found)?;
            note(self.context, || place.path_of(&node.name), applied);
        }
        Ok(same)
    }

    fn may_stay_shared(
        &self,
        place: &Place,
        dir: &TargetDir,
        node: &Node,
        found: &Metadata,
    ) -> bool {
        let xattrs = dir.xattrs_of_entry(&node.name).unwrap_or_default();
        let wanted = self.wanted(node, found.kind);
        let lacks = wanted.are_those_of(self.context.options, &xattrs, found);
        let Some(lacks) = lacks.filter(|_| node.links > 1) else {
            return false;
        };
        let stays = lock(&self.context.claimed).insert(identity(found));
        if stays {
            note(self.context, || place.path_of(&node.name), lacks);
        }
        stays
    }

    fn wanted(&self, node: &Node, kind: Kind) -> Wanted {
        Wanted::of(node, self.context.options, kind == Kind::Symlink)
    }

    fn make(&self, place: &Arc<Place>, node: &Node) -> Result<()> {
        let Some(kind) = kind_of(node).filter(|_| !self.context.options.dry_run) else {
            return Ok(());
        };
        let dir = self.places.open(place)?;
        create(&dir, node, kind)?;
        let wanted = self.wanted(node, kind);
        let applied = dir.apply_entry(&node.name, kind, &wanted.attributes())?;
        note(self.context, || place.path_of(&node.name), applied);
        Ok(())
    }
}

fn create(dir: &TargetDir, node: &Node, kind: Kind) -> Result<()> {
    match &node.content {
        Content::Symlink(target) => dir.symlink(target, &node.name),
        Content::BlockDevice(rdev) | Content::CharDevice(rdev) => dir.node(&node.name, kind, *rdev),
        _ => dir.node(&node.name, kind, 0),
    }
}

/// `None` of files and directories.
fn kind_of(node: &Node) -> Option<Kind> {
    match &node.content {
        Content::File(_) | Content::Dir(_) => None,
        Content::Symlink(_) => Some(Kind::Symlink),
        Content::Fifo => Some(Kind::Fifo),
        Content::Socket => Some(Kind::Socket),
        Content::BlockDevice(_) => Some(Kind::BlockDevice),
        Content::CharDevice(_) => Some(Kind::CharDevice),
    }
}
