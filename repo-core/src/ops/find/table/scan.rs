//! Searches a version table.

use super::super::Version;
use super::super::history::Snaps;
use super::super::wanted::{Mark, Wanted};
use super::file::Table;
use super::records::{Records, Row, Unit, above, is_above, rows, units};
use super::set::Set;
use crate::error::Result;
use crate::format::codec;
use crate::format::tree::Node;
use crate::id::SnapshotId;
use crate::progress::Interrupt;
use crate::snapshot::SnapshotInfo;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Finds what is wanted in these snapshots, all of which are in the table. Memory: what is found, and the units of the directories above
/// the one at hand.
pub fn scan(
    table: &Table,
    snapshots: &[SnapshotInfo],
    wanted: &Wanted,
    interrupt: &Interrupt,
) -> Result<Vec<Version>> {
    let places: HashMap<SnapshotId, u32> = snapshots.iter().map(|info| info.id).zip(0..).collect();
    let mut scanning = Scanning {
        wanted,
        tree: Above {
            places: (table.snapshots().iter())
                .map(|id| places.get(id).copied())
                .collect(),
            levels: Vec::new(),
        },
        last: None,
        found: Vec::new(),
    };
    let mut records = Records::open(table, false)?;
    let mut enters = false;
    loop {
        if let Some(key) = records.directory() {
            interrupt.check()?;
            enters = scanning.enter(key, records.body())?;
        } else if let Some(name) = records.name() {
            if enters {
                scanning.name(name, records.body())?;
            }
        } else {
            return Ok(scanning.found);
        }
        records.advance()?;
    }
}

/// A directory above what is looked at, or that itself.
struct Level {
    key: Vec<u8>,
    path: PathBuf,
    mark: Mark,
    /// Its record's body; its units once they are needed, each with the snapshots that have it once that is.
    body: Vec<u8>,
    units: Option<Vec<(Unit, Option<Snaps>)>>,
}

/// The way down to what is looked at.
struct Above {
    /// Of each snapshot of the table: its place among those that are searched.
    places: Vec<Option<u32>>,
    levels: Vec<Level>,
}

impl Above {
    fn unit(&mut self, depth: usize, unit: u32) -> Result<Option<&mut (Unit, Option<Snaps>)>> {
        let level = &mut self.levels[depth];
        let known = match &mut level.units {
            Some(known) => known,
            none => {
                let units = units(&level.body)?.into_iter();
                none.insert(units.map(|unit| (unit, None)).collect())
            }
        };
        Ok(known.get_mut(unit as usize))
    }

    /// Which of the snapshots that are searched have a unit.
    fn snaps(&mut self, depth: usize, unit: u32) -> Result<Snaps> {
        let (parents, within) = match self.unit(depth, unit)? {
            Some((_, Some(snaps))) => return Ok(snaps.clone()),
            Some((unit, None)) => (unit.parents.clone(), unit.within.clone()),
            None => return Ok(Snaps::of(Vec::new())),
        };
        let mut all = Vec::new();
        self.add_parents(depth, &parents, &mut all)?;
        for tree in within.iter() {
            let parents = self
                .unit(depth, tree)?
                .map(|(unit, _)| unit.parents.clone());
            self.add_parents(depth, &parents.unwrap_or_default(), &mut all)?;
        }
        let snaps = Snaps::of(all);
        if let Some((_, known)) = self.unit(depth, unit)? {
            *known = Some(snaps.clone());
        }
        Ok(snaps)
    }

    fn add_parents(&mut self, depth: usize, parents: &Set, all: &mut Vec<u32>) -> Result<()> {
        for parent in parents.iter() {
            match depth {
                0 => all.extend(self.places.get(parent as usize).copied().flatten()),
                _ => all.extend(self.snaps(depth - 1, parent)?.places()),
            }
        }
        Ok(())
    }
}

struct Scanning<'a> {
    wanted: &'a Wanted,
    tree: Above,
    /// What was found out last in this directory: versions one after the other mostly have the same.
    last: Option<(Vec<u8>, Snaps)>,
    found: Vec<Version>,
}

impl Scanning<'_> {
    /// Comes to a directory; whether something in it may be wanted.
    fn enter(&mut self, key: &[u8], body: &[u8]) -> Result<bool> {
        let above = above(key);
        let levels = &mut self.tree.levels;
        while levels
            .last()
            .is_some_and(|level| !is_above(&level.key, key))
        {
            levels.pop();
        }
        self.last = None;
        let (path, mark) = match (levels.last(), above) {
            (_, None) => (PathBuf::from("/"), Some(self.wanted.root())),
            (Some(level), Some((dir, name))) if level.key == dir => {
                let (_, mark) = self.wanted.name(&level.path, &level.mark, name);
                (level.path.join(OsStr::from_bytes(name)), mark)
            }
            // Below a directory that was not entered.
            _ => return Ok(false),
        };
        let Some(mark) = mark else { return Ok(false) };
        levels.push(Level {
            key: key.to_vec(),
            path,
            mark,
            body: body.to_vec(),
            units: None,
        });
        Ok(true)
    }

    fn name(&mut self, name: &[u8], body: &[u8]) -> Result<()> {
        let Some(level) = self.tree.levels.last() else {
            return Ok(());
        };
        let (matches, _) = self.wanted.name(&level.path, &level.mark, name);
        if !matches {
            return Ok(());
        }
        let path = level.path.join(OsStr::from_bytes(name));
        let rows = rows(body)?;
        rows.iter()
            .try_for_each(|row| self.version(&path, name, row))
    }

    fn version(&mut self, path: &Path, name: &[u8], row: &Row<'_>) -> Result<()> {
        let snaps = match &self.last {
            Some((units, snaps)) if units == row.units => snaps.clone(),
            _ => {
                let depth = self.tree.levels.len() - 1;
                let mut all = Vec::new();
                for unit in row.set()?.iter() {
                    all.extend(self.tree.snaps(depth, unit)?.places());
                }
                let snaps = Snaps::of(all);
                self.last = Some((row.units.to_vec(), snaps.clone()));
                snaps
            }
        };
        if snaps.len() == 0 {
            return Ok(());
        }
        let mut node: Node = codec::decode(row.shown)?;
        node.name = name.to_vec();
        if self.wanted.fits(&node) {
            let (first, last) = snaps.ends();
            self.found.push(Version {
                path: path.to_path_buf(),
                node,
                first,
                last,
                count: snaps.len(),
            });
        }
        Ok(())
    }
}
