//! The records of a version table: a directory, then its names, then the next directory.
//!
//! A directory: its key; how many units, and for each the units above that name it and the trees of this directory that it is a page of. A
//! name: how many versions, and for each the units in which it stands and what is shown of it. Known by: 16 bytes a unit, 16 bytes a version.

use super::bytes::{Bytes, put_bytes, put_number};
use super::file::{Block, Opener, Table};
use super::set::Set;
use crate::error::Result;
use std::ops::Range;

/// What tells two nodes, or two ids, apart: the beginning of a BLAKE3 hash.
pub type Print = [u8; 16];

/// Bytes of a [`Print`].
pub const PRINT_LEN: usize = 16;

const DIRECTORY: u8 = 1;
const NAME: u8 = 2;

/// The key of the root. Keys are names joined by NUL, so that their order is that of a walk.
pub const ROOT: &[u8] = b"";

/// The key of what lies in a directory.
pub fn key_of(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match dir.is_empty() {
        true => name.to_vec(),
        false => [dir, b"\0", name].concat(),
    }
}

/// The key of the directory above, and the name there; `None` for the root.
pub fn above(key: &[u8]) -> Option<(&[u8], &[u8])> {
    if key.is_empty() {
        return None;
    }
    Some(match key.iter().rposition(|&byte| byte == 0) {
        Some(at) => (&key[..at], &key[at + 1..]),
        None => (ROOT, key),
    })
}

/// Whether a directory is one of those above something.
pub fn is_above(dir: &[u8], key: &[u8]) -> bool {
    match dir.is_empty() {
        true => !key.is_empty(),
        false => key.starts_with(dir) && key.get(dir.len()) == Some(&0),
    }
}

/// A unit of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// The units of the directory above that name it as a tree; of the root: the snapshots.
    pub parents: Set,
    /// The trees of the same directory that it is a page of.
    pub within: Set,
}

/// One version of a name.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The units in which it stands, encoded.
    pub units: &'a [u8],
    /// What is shown of it.
    pub shown: &'a [u8],
}

impl Row<'_> {
    /// The units in which it stands.
    pub fn set(&self) -> Result<Set> {
        Set::decode(&mut Bytes::new(self.units))
    }
}

/// Appends a directory.
pub fn put_directory(out: &mut Vec<u8>, key: &[u8], units: &[Unit]) {
    out.push(DIRECTORY);
    put_bytes(out, key);
    let mut body = Vec::new();
    put_number(&mut body, units.len() as u64);
    for unit in units {
        unit.parents.encode(&mut body);
        unit.within.encode(&mut body);
    }
    put_bytes(out, &body);
}

/// Appends a name.
pub fn put_name(out: &mut Vec<u8>, name: &[u8], rows: &[(Set, &[u8])]) {
    out.push(NAME);
    put_bytes(out, name);
    let mut body = Vec::new();
    put_number(&mut body, rows.len() as u64);
    for (units, shown) in rows {
        units.encode(&mut body);
        put_bytes(&mut body, shown);
    }
    put_bytes(out, &body);
}

/// The units of a directory, from its record's body.
pub fn units(body: &[u8]) -> Result<Vec<Unit>> {
    let mut bytes = Bytes::new(body);
    let count = bytes.count(2)?;
    let mut units = Vec::with_capacity(count);
    for _ in 0..count {
        units.push(Unit {
            parents: Set::decode(&mut bytes)?,
            within: Set::decode(&mut bytes)?,
        });
    }
    match bytes.is_empty() {
        true => Ok(units),
        false => Err(bytes.bad()),
    }
}

/// The versions of a name, from its record's body.
pub fn rows(body: &[u8]) -> Result<Vec<Row<'_>>> {
    let mut bytes = Bytes::new(body);
    let count = bytes.count(2)?;
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let mut rest = bytes;
        Set::skip(&mut rest)?;
        let units = bytes.take(bytes.len() - rest.len())?;
        let shown = bytes.bytes()?;
        rows.push(Row { units, shown });
    }
    match bytes.is_empty() {
        true => Ok(rows),
        false => Err(bytes.bad()),
    }
}

/// The records of a table, one after the other.
pub struct Records<'t> {
    table: &'t Table,
    with_known: bool,
    opener: Opener,
    block: Block,
    next_block: usize,
    /// How much of what the block's records are known by belongs to those that came.
    known_at: usize,
    here: Option<Here>,
}

/// Where the record at hand stands in its block.
struct Here {
    is_directory: bool,
    whole: Range<usize>,
    name: Range<usize>,
    body: Range<usize>,
    known: Range<usize>,
}

impl<'t> Records<'t> {
    /// From the first record on.
    pub fn open(table: &'t Table, with_known: bool) -> Result<Self> {
        let mut records = Self {
            table,
            with_known,
            opener: Opener::new()?,
            block: Block::default(),
            next_block: 0,
            known_at: 0,
            here: None,
        };
        records.read(0)?;
        Ok(records)
    }

    /// Goes on to the next record.
    pub fn advance(&mut self) -> Result<()> {
        match &self.here {
            Some(here) => {
                self.known_at = here.known.end;
                self.read(here.whole.end)
            }
            None => Ok(()),
        }
    }

    fn read(&mut self, mut at: usize) -> Result<()> {
        self.here = None;
        while at == self.block.shown.len() {
            if self.next_block == self.table.blocks() {
                return Ok(());
            }
            let block = (self.table).block(self.next_block, self.with_known, &mut self.opener)?;
            (self.block, self.known_at, at) = (block, 0, 0);
            self.next_block += 1;
        }
        let shown = &self.block.shown;
        let end = shown.len();
        let mut bytes = Bytes::new(&shown[at..]);
        let is_directory = match bytes.byte()? {
            DIRECTORY => true,
            NAME => false,
            _ => return Err(bytes.bad()),
        };
        let name_len = bytes.bytes()?.len();
        let name_end = end - bytes.len();
        let body_len = bytes.bytes()?.len();
        let whole_end = end - bytes.len();
        let body = whole_end - body_len..whole_end;
        let known_len = match self.with_known {
            true => PRINT_LEN * Bytes::new(&shown[body.clone()]).count(2)?,
            false => 0,
        };
        let known = self.known_at..self.known_at + known_len;
        if known.end > self.block.known.len() && self.with_known {
            return Err(bytes.bad());
        }
        self.here = Some(Here {
            is_directory,
            whole: at..whole_end,
            name: name_end - name_len..name_end,
            body,
            known,
        });
        Ok(())
    }

    /// The key of the directory at hand, if it is one.
    pub fn directory(&self) -> Option<&[u8]> {
        let here = self.here.as_ref().filter(|here| here.is_directory)?;
        Some(&self.block.shown[here.name.clone()])
    }

    /// The name at hand, if it is one.
    pub fn name(&self) -> Option<&[u8]> {
        let here = self.here.as_ref().filter(|here| !here.is_directory)?;
        Some(&self.block.shown[here.name.clone()])
    }

    /// The body of the record at hand.
    pub fn body(&self) -> &[u8] {
        let range = self.here.as_ref().map_or(0..0, |here| here.body.clone());
        &self.block.shown[range]
    }

    /// The record at hand as it stands in the block, and what it is known by.
    pub fn whole(&self) -> (&[u8], &[u8]) {
        match &self.here {
            Some(here) => (&self.block.shown[here.whole.clone()], self.known()),
            None => (&[], &[]),
        }
    }

    /// What the units, or versions, of the record at hand are known by.
    pub fn known(&self) -> &[u8] {
        let range = self.here.as_ref().map_or(0..0, |here| here.known.clone());
        &self.block.known[range]
    }

    /// The same, one by one.
    pub fn prints(&self) -> impl Iterator<Item = Print> + '_ {
        self.known()
            .chunks_exact(PRINT_LEN)
            .filter_map(|print| print.try_into().ok())
    }
}
