//! States to checkpoints and back.
//!
//! Rows are split into tables where the hash of a row says so, not after so many of them: removing one from the middle
//! changes one table, and new rows come last, because they are in the order of their entries.

use super::state::State;
use super::unreadable::Unreadable;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::checkpoint::{
    Checkpoint, STATE_BYTES_MAX, StateKind, StatePart, StateTable, Tail,
};
use crate::format::codec;
use crate::format::entry::{self, Action, Fenced, Nonce, SignedEntry};
use crate::id::{EntryHash, StateId, WriterId};
use bincode::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};

/// About how many bytes a table gets.
const TABLE_BYTES: u64 = 128 << 10;

/// Rows after the last border go into the checkpoint itself while they have no more bytes than this.
const INLINE_BYTES_MAX: usize = 16 << 10;

/// Puts a state table, encoded, somewhere and gives its name; called for tables only that the checkpoint before lacks.
pub type SaveTable<'a> = dyn FnMut(StateKind, Vec<u8>) -> Result<StateId> + 'a;

/// Gets an encoded state table.
pub type LoadTable<'a> = dyn FnMut(StateKind, &StateId) -> Result<Vec<u8>> + 'a;

struct Writer<'a, 'b> {
    known: BTreeMap<[u8; 32], StateId>,
    save: &'a mut SaveTable<'b>,
    parts: Vec<StatePart>,
}

impl Writer<'_, '_> {
    /// Adds all rows of a kind, sorted by the number of the entry they come from and then by what they are.
    fn part<R: Encode>(&mut self, kind: StateKind, mut rows: Vec<(u64, R)>) -> Result<()> {
        rows.sort_by_key(|(number, _)| *number);
        let rows: Vec<R> = rows.into_iter().map(|(_, row)| row).collect();
        let mut part = StatePart {
            kind,
            rows: rows.len() as u64,
            tables: Vec::new(),
            inline: Vec::new(),
        };
        let (mut from, mut bytes) = (0, 0);
        for (at, row) in rows.iter().enumerate() {
            let encoded = codec::encode(row);
            bytes += encoded.len();
            if is_border(&encoded) || bytes > STATE_BYTES_MAX / 2 {
                part.tables.push(self.table(kind, &rows[from..=at])?);
                (from, bytes) = (at + 1, 0);
            }
        }
        if bytes <= INLINE_BYTES_MAX {
            part.inline = codec::encode(&rows[from..].iter().collect::<Vec<_>>());
        } else {
            part.tables.push(self.table(kind, &rows[from..])?);
            part.inline = codec::encode(&Vec::<R>::new());
        }
        self.parts.push(part);
        Ok(())
    }

    fn table<R: Encode>(&mut self, kind: StateKind, rows: &[R]) -> Result<StateTable> {
        let body = codec::encode(&rows.iter().collect::<Vec<_>>());
        let content = *blake3::hash(&body).as_bytes();
        let id = match self.known.get(&content) {
            Some(id) => *id,
            None => (self.save)(kind, body)?,
        };
        Ok(StateTable { id, content })
    }
}

/// Whether a table ends after this row: once in so many bytes, and the same in every checkpoint.
fn is_border(encoded: &[u8]) -> bool {
    let hash = blake3::hash(encoded);
    let draw = u32::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"));
    u64::from(draw) < ((encoded.len() as u64) << 32) / TABLE_BYTES
}

fn rows_of<R: Decode<()>>(part: &StatePart, load: &mut LoadTable<'_>) -> Result<Vec<R>> {
    let mut rows = Vec::new();
    for table in &part.tables {
        let body = load(part.kind, &table.id)?;
        if *blake3::hash(&body).as_bytes() != table.content {
            let subject = Subject::State(table.id);
            return Err(Error::damaged(subject).detail("not what the checkpoint says"));
        }
        rows.extend(codec::decode::<Vec<R>>(&body)?);
    }
    rows.extend(codec::decode::<Vec<R>>(&part.inline)?);
    match rows.len() as u64 == part.rows {
        true => Ok(rows),
        false => {
            Err(Error::damaged(Subject::None).detail("a checkpoint with another count of rows"))
        }
    }
}

fn fenced_rows(map: &BTreeMap<Nonce, BTreeSet<EntryHash>>) -> Vec<Fenced> {
    let row = |(nonce, seen): (&Nonce, &BTreeSet<EntryHash>)| Fenced {
        nonce: *nonce,
        seen: seen.iter().copied().collect(),
    };
    map.iter().map(row).collect()
}

fn fenced_map(rows: &[Fenced]) -> BTreeMap<Nonce, BTreeSet<EntryHash>> {
    let row = |fenced: &Fenced| (fenced.nonce, fenced.seen.iter().copied().collect());
    rows.iter().map(row).collect()
}

impl State {
    /// The checkpoint of this state. Tables that `previous` names already are not saved again.
    ///
    /// `InvalidInput` while an entry could not be read or is in doubt: a checkpoint must not settle that. On class C fold
    /// without the entries in doubt first; who reads the checkpoint finds them outside of it. Memory: one kind's rows,
    /// encoded one table at a time.
    pub fn to_checkpoint(
        &self,
        previous: Option<&Checkpoint>,
        save: &mut SaveTable<'_>,
    ) -> Result<Checkpoint> {
        if self.unreadable().next().is_some() || !self.in_doubt.is_empty() {
            return Err(Error::invalid("checkpoint").detail("not every entry is settled"));
        }
        let tables = previous
            .into_iter()
            .flat_map(|p| &p.parts)
            .flat_map(|part| &part.tables);
        let mut writer = Writer {
            known: tables.map(|table| (table.content, table.id)).collect(),
            save,
            parts: Vec::new(),
        };
        self.write_parts(&mut writer)?;
        Ok(Checkpoint {
            tail: self.tail.clone(),
            class: self.class,
            roles: self.roles.clone(),
            settings: self.settings.clone(),
            dropped: self.dropped.iter().copied().collect(),
            waiting: self
                .waiting
                .iter()
                .map(|(hash, row)| (*hash, row.clone()))
                .collect(),
            fences: fenced_rows(&self.fences),
            cut_off: fenced_rows(&self.cut_off),
            voided: self.voided.iter().copied().collect(),
            parts: writer.parts,
            ext: Checkpoint::ext_of(self.generation),
        })
    }

    fn write_parts(&self, writer: &mut Writer<'_, '_>) -> Result<()> {
        let rows = self.tables.iter().map(|(id, row)| (row.added, (*id, *row)));
        writer.part(StateKind::Table, rows.collect())?;
        let rows = self
            .snapshots
            .iter()
            .map(|(id, row)| (row.number, (*id, row)));
        writer.part(StateKind::Snapshot, rows.collect())?;
        let rows = self
            .wanted
            .iter()
            .map(|(id, row)| (row.forgot.max(row.kept), (*id, *row)));
        writer.part(StateKind::Wanted, rows.collect())?;
        let number = |by: &Option<_>| by.map_or(0, |by: super::Condemned| by.number);
        let rows = self
            .packs
            .iter()
            .map(|(id, row)| (number(&row.condemned), (*id, *row)));
        writer.part(StateKind::Pack, rows.collect())?;
        let rows = self
            .objects
            .iter()
            .map(|(object, by)| (by.number, (*object, *by)));
        writer.part(StateKind::Object, rows.collect())?;
        let rows = self
            .deleted
            .iter()
            .map(|(id, row)| (row.number, (*id, *row)));
        writer.part(StateKind::Deleted, rows.collect())?;
        let rows = self
            .evidence
            .iter()
            .map(|(id, number)| (*number, (*id, *number)));
        writer.part(StateKind::Evidence, rows.collect())?;
        let rows = self.entries.iter().map(|(key, row)| (key.0, (*key, *row)));
        writer.part(StateKind::Entry, rows.collect())?;
        if self.terms.is_empty() {
            return Ok(());
        }
        let rows = self.terms.iter().map(|(id, row)| (row.number, (*id, *row)));
        writer.part(StateKind::Terms, rows.collect())
    }

    /// The state that a checkpoint holds. Whether it counts is for [`check_checkpoint`].
    ///
    /// `Damaged` if its tables are not what it says; errors of `load` as they come.
    pub fn from_checkpoint(
        admin: WriterId,
        checkpoint: &Checkpoint,
        load: &mut LoadTable<'_>,
    ) -> Result<State> {
        checkpoint.check()?;
        let mut state = State::new(admin, checkpoint.class);
        state.tail = checkpoint.tail.clone();
        state.roles = checkpoint.roles.clone();
        state.settings = checkpoint.settings.clone();
        state.generation = checkpoint.generation()?;
        state.dropped = checkpoint.dropped.iter().copied().collect();
        state.waiting = checkpoint.waiting.iter().cloned().collect();
        state.fences = fenced_map(&checkpoint.fences);
        state.cut_off = fenced_map(&checkpoint.cut_off);
        state.voided = checkpoint.voided.iter().copied().collect();
        for part in &checkpoint.parts {
            match part.kind {
                StateKind::Table => state.tables = rows_of(part, load)?.into_iter().collect(),
                StateKind::Snapshot => state.snapshots = rows_of(part, load)?.into_iter().collect(),
                StateKind::Wanted => state.wanted = rows_of(part, load)?.into_iter().collect(),
                StateKind::Pack => state.packs = rows_of(part, load)?.into_iter().collect(),
                StateKind::Object => state.objects = rows_of(part, load)?.into_iter().collect(),
                StateKind::Deleted => state.deleted = rows_of(part, load)?.into_iter().collect(),
                StateKind::Evidence => state.evidence = rows_of(part, load)?.into_iter().collect(),
                StateKind::Entry => state.entries = rows_of(part, load)?.into_iter().collect(),
                StateKind::Terms => state.terms = rows_of(part, load)?.into_iter().collect(),
            }
        }
        Ok(state)
    }
}

/// Refuses a checkpoint that does not count: `Damaged`.
///
/// It counts if `entries`, read from the log, are its heads, so that the log went through this state; and if its signer may
/// write checkpoints by `roles`, the newest `Roles` entry it names, read from the log and signed by the admin key.
pub fn check_checkpoint(
    checkpoint: &Checkpoint,
    signer: &WriterId,
    admin: &WriterId,
    entries: &[EntryHash],
    roles: &SignedEntry,
) -> Result<()> {
    let refuse = |why: &'static str| {
        Err(Error::damaged(Subject::Object("checkpoint".to_string())).detail(why))
    };
    let Tail { heads, .. } = &checkpoint.tail;
    if heads.is_empty() || !heads.iter().all(|head| entries.contains(head)) {
        return refuse("the log does not hold the entries it was folded from");
    }
    let Some(Action::Roles { members, .. }) = &roles.entry.action else {
        return refuse("names an entry for its members that is none");
    };
    let named = checkpoint.roles.last();
    let same = named.is_some_and(|named| {
        let kept = named
            .members
            .iter()
            .all(|member| members.iter().any(|m| m.writer == member.writer));
        let alone = named.hashes.len() > 1 || named.members == *members;
        named.number == roles.entry.number && named.hashes.contains(&roles.hash) && kept && alone
    });
    if !same || roles.signer != *admin {
        return refuse("names other members than the log does");
    }
    let mut state = State::new(*admin, checkpoint.class);
    state.roles = checkpoint.roles.clone();
    match state.may_checkpoint(signer) {
        true => Ok(()),
        false => refuse("its signer may not write checkpoints"),
    }
}

impl State {
    /// Class A: folds stored cores in order, beginning with the one after the tail, and steps over those that do not open, are
    /// of another number, or are missing (`None`).
    ///
    /// `open` is [`crate::format::entry::Entry::open`]. What cannot be read is known by the hash that the next one follows.
    /// Gives the entries that could be read. `Damaged` if the chain is broken; what came before it is folded then.
    pub fn apply_cores(
        &mut self,
        cores: &[Option<Vec<u8>>],
        open: &dyn Fn(&[u8]) -> Result<SignedEntry>,
    ) -> Result<Vec<SignedEntry>> {
        let first = self.tail.number + 1;
        let numbered = (first..).zip(cores);
        let mut opened = numbered
            .map(|(number, core)| (number, core, open_at(number, core.as_deref(), open)))
            .peekable();
        let mut entries = Vec::new();
        while let Some((number, core, this)) = opened.next() {
            match this {
                Ok(signed) => {
                    self.apply(&signed)?;
                    entries.push(signed);
                }
                Err(error) => {
                    let why = match error.kind() {
                        ErrorKind::Unsupported => Unreadable::Newer,
                        ErrorKind::Damaged | ErrorKind::Missing => Unreadable::Damaged,
                        _ => return Err(error),
                    };
                    let next = opened.peek().and_then(|(_, _, next)| next.as_ref().ok());
                    let named = next.and_then(|next| next.entry.follows.first().copied());
                    let hash = named.unwrap_or_else(|| match core {
                        Some(core) => entry::hash(core),
                        None => entry::hash(&number.to_le_bytes()),
                    });
                    self.note_unreadable(number, hash, why)?;
                }
            }
        }
        Ok(entries)
    }
}

/// Opens the core of an entry; `Damaged` if it is that of another one.
fn open_at(
    number: u64,
    core: Option<&[u8]>,
    open: &dyn Fn(&[u8]) -> Result<SignedEntry>,
) -> Result<SignedEntry> {
    let core = core.ok_or_else(|| Error::missing(Subject::Entry(number)))?;
    let signed = open(core)?;
    match signed.entry.number == number {
        true => Ok(signed),
        false => Err(Error::damaged(Subject::Entry(number)).detail("is another one")),
    }
}
