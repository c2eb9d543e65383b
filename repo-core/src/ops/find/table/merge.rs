//! A version table and what is new make another one.
//!
//! Both come in the order of a walk, so that of the table one record is in memory at a time, and of each directory above it how its units
//! were numbered and are numbered now.

use super::file::{Home, Table, Writer};
use super::fresh::{Fresh, FreshDir, print_of};
use super::records::{
    PRINT_LEN, Print, Records, Unit, above, is_above, put_directory, put_name, rows, units,
};
use super::set::Set;
use crate::error::Result;
use crate::id::SnapshotId;
use crate::progress::Interrupt;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Writes what is in `old` of the snapshots that are `kept`, and all that is in `fresh`, to a table that takes the old one's place if
/// `place`.
pub fn merge(
    home: &Home,
    old: Option<&Table>,
    fresh: &Fresh,
    kept: &dyn Fn(&SnapshotId) -> bool,
    place: bool,
    interrupt: &Interrupt,
) -> Result<Table> {
    let (bottom, snapshots) = number_snapshots(old, fresh, kept);
    let mut merging = Merging {
        old: old.map(|table| Records::open(table, true)).transpose()?,
        out: Writer::create(home)?,
        levels: vec![bottom],
    };
    let mut dirs = fresh.dirs.iter().peekable();
    loop {
        interrupt.check()?;
        let old_key = merging.old.as_ref().and_then(Records::directory);
        let next = match (old_key, dirs.peek()) {
            (None, None) => break,
            (Some(old), Some((new, _))) => old.cmp(new),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
        };
        let key = match next {
            Ordering::Greater => dirs.peek().map(|(key, _)| key.to_vec()),
            _ => old_key.map(<[u8]>::to_vec),
        };
        let new = match next {
            Ordering::Less => None,
            _ => dirs.next().map(|(_, dir)| dir),
        };
        let key = key.unwrap_or_default();
        merging.directory(&key, next != Ordering::Greater, new)?;
    }
    merging.out.finish(snapshots, place)
}

/// A directory above the one at hand; the lowest stands for what has the root: the snapshots.
struct Level {
    key: Option<Vec<u8>>,
    /// The new numbers of the old units.
    old: Vec<Option<u32>>,
    /// Whether those are the old ones.
    same: bool,
    /// What the units are known by, in their new order.
    prints: Vec<Print>,
    by_print: Option<HashMap<Print, u32>>,
}

impl Level {
    fn new(key: Option<Vec<u8>>, old: Vec<Option<u32>>, prints: Vec<Print>) -> Self {
        let same = (0..).zip(&old).all(|(at, new)| *new == Some(at));
        Self {
            key,
            old,
            same,
            prints,
            by_print: None,
        }
    }

    /// The new number of a unit.
    fn number(&mut self, print: &Print) -> Option<u32> {
        let by_print = self
            .by_print
            .get_or_insert_with(|| self.prints.iter().copied().zip(0..).collect());
        by_print.get(print).copied()
    }

    fn renumbered(&self, set: Set) -> Set {
        match self.same {
            true => set,
            false => set.renumbered(&self.old),
        }
    }
}

fn number_snapshots(
    old: Option<&Table>,
    fresh: &Fresh,
    kept: &dyn Fn(&SnapshotId) -> bool,
) -> (Level, Vec<SnapshotId>) {
    let (mut numbers, mut snapshots) = (Vec::new(), Vec::new());
    for id in old.map_or(&[][..], Table::snapshots) {
        numbers.push(kept(id).then_some(snapshots.len() as u32));
        snapshots.extend(kept(id).then_some(*id));
    }
    // The one that was being walked when the last part was merged comes again.
    let known: HashSet<SnapshotId> = snapshots.iter().copied().collect();
    let fresh = fresh.snapshots.iter();
    snapshots.extend(fresh.filter(|id| !known.contains(*id)));
    let prints = snapshots.iter().map(|id| print_of(&id.0)).collect();
    (Level::new(None, numbers, prints), snapshots)
}

struct Merging<'a> {
    old: Option<Records<'a>>,
    out: Writer<'a>,
    levels: Vec<Level>,
}

impl Merging<'_> {
    /// Writes a directory that is in the old table, or has something new, or both.
    fn directory(&mut self, key: &[u8], in_old: bool, new: Option<&FreshDir>) -> Result<()> {
        let above = above(key).map(|(dir, _)| dir);
        let is_above = |level: &Level| level.key.as_deref().is_none_or(|dir| is_above(dir, key));
        while !is_above(self.level()) {
            self.levels.pop();
        }
        if self.level().key.as_deref() != above {
            // No snapshot has it any more, as none has the directory above it.
            return self.pass_over();
        }
        let old = self.old.as_ref().filter(|_| in_old);
        let old_units = old.map_or(Ok(Vec::new()), |old| units(old.body()))?;
        let old_count = old_units.len();
        let mut prints: Vec<Print> = old.map_or(Vec::new(), |old| old.prints().collect());
        let mut all: Vec<Unit> = old_units.into_iter().map(|unit| self.under(unit)).collect();
        let places = match new {
            Some(new) => self.add_units(new, &mut all, &mut prints),
            None => Vec::new(),
        };
        let is_live = |unit: &Unit| {
            let tree = |tree: u32| all.get(tree as usize);
            let mut within = unit.within.iter().filter_map(tree);
            !unit.parents.is_empty() || within.any(|tree| !tree.parents.is_empty())
        };
        let mut count = 0;
        let numbers: Vec<Option<u32>> = all
            .iter()
            .map(|unit| {
                let number = is_live(unit).then_some(count);
                count += u32::from(number.is_some());
                number
            })
            .collect();
        if count == 0 {
            return self.pass_over();
        }
        let places: Vec<Option<u32>> = places.iter().map(|at| numbers[*at]).collect();
        let live = |at: &usize| numbers[*at].is_some();
        let kept: Vec<usize> = (0..all.len()).filter(live).collect();
        let prints: Vec<Print> = kept.iter().map(|at| prints[*at]).collect();
        let level = Level::new(Some(key.to_vec()), numbers[..old_count].to_vec(), prints);
        if level.same && self.level().same && new.is_none() {
            self.copy_record()?;
        } else {
            let shown: Vec<Unit> = kept
                .iter()
                .map(|at| Unit {
                    parents: std::mem::take(&mut all[*at].parents),
                    within: all[*at].within.renumbered(&numbers),
                })
                .collect();
            let mut record = Vec::new();
            put_directory(&mut record, key, &shown);
            self.out.put(&record, level.prints.as_flattened())?;
            if in_old {
                self.advance()?;
            }
        }
        let none = BTreeMap::new();
        let new_names = new.map_or(&none, |new| &new.names);
        self.names(&level, in_old, new_names, &places)?;
        self.levels.push(level);
        Ok(())
    }

    /// The directory above the one at hand.
    fn level(&self) -> &Level {
        self.levels.last().expect("the lowest one stays")
    }

    fn advance(&mut self) -> Result<()> {
        self.old.as_mut().map_or(Ok(()), Records::advance)
    }

    /// The name at hand in the old table.
    fn old_name(&self) -> Option<&[u8]> {
        self.old.as_ref().and_then(Records::name)
    }

    fn pass_over(&mut self) -> Result<()> {
        self.advance()?;
        while self.old_name().is_some() {
            self.advance()?;
        }
        Ok(())
    }

    fn copy_record(&mut self) -> Result<()> {
        if let Some(old) = &self.old {
            let (shown, known) = old.whole();
            self.out.put(shown, known)?;
        }
        self.advance()
    }

    /// A unit of the old table, with what names it as it is numbered now.
    fn under(&self, unit: Unit) -> Unit {
        Unit {
            parents: self.level().renumbered(unit.parents),
            ..unit
        }
    }

    /// Adds new units to those of the old table; gives the place of each.
    fn add_units(
        &mut self,
        new: &FreshDir,
        all: &mut Vec<Unit>,
        prints: &mut Vec<Print>,
    ) -> Vec<usize> {
        let mut known: HashMap<Print, usize> = prints.iter().copied().zip(0..).collect();
        let mut place_of = |print: &Print, all: &mut Vec<Unit>| {
            *known.entry(*print).or_insert_with(|| {
                prints.push(*print);
                all.push(Unit::default());
                all.len() - 1
            })
        };
        let level = self.levels.last_mut().expect("the lowest one stays");
        let mut places = Vec::with_capacity(new.units.len());
        for unit in &new.units {
            let place = place_of(&unit.print, all);
            places.push(place);
            for parent in &unit.parents {
                if let Some(number) = level.number(parent) {
                    all[place].parents.insert(number);
                }
            }
            for tree in &unit.within {
                let tree = place_of(tree, all);
                all[place].within.insert(tree as u32);
            }
        }
        places
    }

    /// Writes the names of a directory: those of the old table and the new ones.
    fn names(
        &mut self,
        level: &Level,
        in_old: bool,
        new: &BTreeMap<Vec<u8>, Vec<super::fresh::FreshVersion>>,
        places: &[Option<u32>],
    ) -> Result<()> {
        let mut new = new.iter().peekable();
        loop {
            let old = self.old_name().filter(|_| in_old);
            let next = match (old, new.peek()) {
                (None, None) => return Ok(()),
                (Some(old), Some((name, _))) => old.cmp(name),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            };
            if next == Ordering::Less && level.same {
                self.copy_record()?;
                continue;
            }
            let fresh = match next {
                Ordering::Less => None,
                _ => new.next(),
            };
            let record = match &self.old {
                Some(old) if next != Ordering::Greater => Some(old),
                _ => None,
            };
            let mut line = Line::default();
            let name = match (record.and_then(Records::name), fresh) {
                (Some(name), _) => name,
                (None, Some((name, _))) => name,
                (None, None) => return Ok(()),
            };
            if let Some(record) = record {
                line.add_old(record, level)?;
            }
            for version in fresh.map_or(&[][..], |(_, versions)| versions) {
                let units = version.units.iter();
                let units: Set = units.filter_map(|at| places[*at as usize]).collect();
                line.add(version.print, units, &version.shown);
            }
            line.write(name, &mut self.out)?;
            if next != Ordering::Greater {
                self.advance()?;
            }
        }
    }
}

/// The versions of one name.
#[derive(Default)]
struct Line<'a> {
    rows: Vec<(Set, &'a [u8])>,
    prints: Vec<Print>,
}

impl<'a> Line<'a> {
    fn add_old(&mut self, record: &'a Records<'_>, level: &Level) -> Result<()> {
        let rows = rows(record.body())?;
        for (row, print) in rows.iter().zip(record.prints()) {
            let units = level.renumbered(row.set()?);
            if !units.is_empty() {
                self.rows.push((units, row.shown));
                self.prints.push(print);
            }
        }
        Ok(())
    }

    fn add(&mut self, print: Print, units: Set, shown: &'a [u8]) {
        match self.prints.iter().position(|known| *known == print) {
            Some(at) => self.rows[at].0.extend(&units),
            None => {
                self.rows.push((units, shown));
                self.prints.push(print);
            }
        }
    }

    fn write(&self, name: &[u8], out: &mut Writer<'_>) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut record = Vec::with_capacity(name.len() + self.rows.len() * (64 + PRINT_LEN));
        put_name(&mut record, name, &self.rows);
        out.put(&record, self.prints.as_flattened())
    }
}
