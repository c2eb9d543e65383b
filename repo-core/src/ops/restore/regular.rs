//! Regular files: what is there, what an interrupted run left of them, and where they are written.

use super::attributes::Wanted;
use super::file::{FilePlan, Part, There};
use super::links::{Fate, FirstName};
use super::options::{Chosen, Overwrite};
use super::place::Place;
use super::plan::Planner;
use crate::error::Result;
use crate::format::tree::{FileContent, Node};
use crate::fs::{Kind, Metadata, is_begun_by_us};
use crate::progress::{Counter, Progress};
use crate::tree::{FileKey, file_key};
use std::sync::Arc;

impl Planner<'_> {
    /// Plans what has to be done for it.
    pub fn file(
        &mut self,
        place: &Arc<Place>,
        node: &Node,
        file: &FileContent,
        chosen: &Chosen,
    ) -> Result<()> {
        let found = self.found(place, &node.name)?;
        let begun = self.leftover(place, &node.name)?;
        let key = file_key(node);
        let first = key.and_then(|key| self.first_names.met(&key));
        if let Some(found) = &found {
            if self.context.options.overwrite.keeps_for(node, found) {
                self.keep(place, node, file, found, key.filter(|_| first.is_none()));
                return self.discard(place, begun);
            }
            self.make_way(place, &node.name, found, chosen)?;
        }
        if let Some(first) = first {
            self.window.links.add(first, place.clone(), node);
            return self.discard(place, begun);
        }
        let first = key.map(|key| {
            let first = FirstName::new(place, &node.name, Fate::Planned);
            self.first_names.add(key, first.clone(), node.links);
            first
        });
        let there = match found {
            Some(found) => self.there(node, file, &found),
            None => There::Nothing,
        };
        let there = self.part(place, node, there, begun)?;
        self.context
            .problems
            .count(Counter::BytesExpected, file.size);
        let wanted = Wanted::of(node, self.context.options, false);
        let plan = FilePlan::new(place.clone(), node, file, wanted, there, first);
        self.plan(plan, file)
    }

    fn there(&self, node: &Node, file: &FileContent, found: &Metadata) -> There {
        let trusts = self.context.options.overwrite == Overwrite::IfChanged;
        let looks_the_same = found.size == file.size && found.mtime == node.mtime;
        match found.kind {
            Kind::File if trusts && looks_the_same && found.links == 1 => There::Trusted,
            Kind::File => There::File,
            _ => There::Other,
        }
    }

    /// A file that stays although it may be another one.
    fn keep(
        &mut self,
        place: &Arc<Place>,
        node: &Node,
        file: &FileContent,
        found: &Metadata,
        key: Option<FileKey>,
    ) {
        let path = || place.path_of(&node.name);
        self.context.others.add(path);
        self.context.skipped(path, Some(file.size));
        if let Some(key) = key {
            let looks_the_same =
                found.kind == Kind::File && (found.size, found.mtime) == (file.size, node.mtime);
            // Further names that are not there are not linked to what may be something else.
            let fate = match looks_the_same {
                true => Fate::Written,
                false => Fate::NotWritten,
            };
            let first = FirstName::new(place, &node.name, fate);
            self.first_names.add(key, first, node.links);
        }
    }

    /// What an interrupted run has begun under another name to take this one, if it can be gone on with. What else it left
    /// of this name is removed. In a dry run nothing is looked for.
    pub fn leftover(&self, place: &Arc<Place>, name: &[u8]) -> Result<Option<Vec<u8>>> {
        if place.is_fresh() || self.context.options.dry_run {
            return Ok(None);
        }
        let dir = self.places.open(place)?;
        let mut begun = None;
        for part in place.take_leftovers(&dir, name) {
            match dir.stat(&part)? {
                Some(found) if begun.is_none() && is_begun_by_us(&found) => begun = Some(part),
                _ => self.discard(place, Some(part))?,
            }
        }
        Ok(begun)
    }

    /// Removes what an interrupted run left. That it cannot be is a problem of its own.
    pub fn discard(&self, place: &Arc<Place>, part: Option<Vec<u8>>) -> Result<()> {
        if let Some(part) = part
            && let Err(error) = self.places.open(place)?.remove_part(&part)
        {
            self.context.problem(&place.path_of(&part), &error);
        }
        Ok(())
    }

    /// Where a file is written until it is whole, and with what it is compared.
    fn part(
        &mut self,
        place: &Arc<Place>,
        node: &Node,
        there: There,
        begun: Option<Vec<u8>>,
    ) -> Result<(There, Part)> {
        let part = match (there, begun) {
            (There::Trusted, begun) => {
                self.discard(place, begun)?;
                Part::None
            }
            (_, Some(begun)) => Part::Begun(begun),
            (There::Nothing, None) => Part::None,
            (There::File | There::Other, None) => Part::New(place.part_for(&node.name)),
        };
        let there = match part {
            Part::Begun(_) => There::File,
            _ => there,
        };
        Ok((there, part))
    }
}
