//! The log, entry by entry. The fold skips what checkpoints and later entries repeat; here every file is read.

use super::is_finding;
use super::objects::{Inventory, Note};
use crate::backend::Class;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::{
    self, CATCH_UP_ENTRIES_MAX, ENTRY_BYTES_MAX, Entry, EntryAt, Nonce, SignedEntry,
};
use crate::format::name;
use crate::id::EntryHash;
use crate::log::{State, Unreadable};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::collections::{BTreeMap, BTreeSet};

/// Proves every entry of the log: its signature, the one it follows, and what it repeats of those before.
pub fn check(
    repo: &Repo,
    inventory: &Inventory,
    note: Note<'_>,
    interrupt: &Interrupt,
) -> Result<()> {
    check_entries(repo, note, interrupt)?;
    check_set(repo, inventory, note)?;
    check_beyond(repo, inventory, note)?;
    check_segments(repo, inventory, note)
}

/// What is known of the entries before the one that is read.
#[derive(Default)]
struct Before {
    /// The hashes of those that a file may repeat.
    hashes: BTreeMap<u64, EntryHash>,
    /// The one right before, if it cannot be read: no damage if a `Void` entry clears what the next one follows.
    unread: Option<Error>,
}

/// The last entry of class A; where class C follows, that is one that begins its set too.
pub fn end_of_chain(state: &State) -> u64 {
    match set_of(state).first() {
        Some((1, _)) => 0,
        Some((first, _)) => *first,
        None => state.tail().number,
    }
}

/// The entries of class C. The set knows the entry before it too, which has no nonce in its name.
pub fn set_of(state: &State) -> BTreeSet<(u64, Nonce)> {
    let entries = state.entries().map(|(number, nonce, _)| (number, nonce));
    entries.filter(|(_, nonce)| *nonce != [0; 16]).collect()
}

/// Class C: the fold has read and proved all entries; here is what it cannot see.
fn check_set(repo: &Repo, inventory: &Inventory, note: Note<'_>) -> Result<()> {
    let state = repo.state();
    let folded = set_of(&state);
    for (number, nonce) in inventory.entry_set.difference(&folded) {
        let object = name::entry_of(*number, nonce);
        if !is_cleared(repo, *number, nonce, &object)? {
            let error = Error::damaged(Subject::Object(object));
            note(Err(error.detail("is no readable part of the log")))?;
        }
    }
    for (entry, why) in state.lost_entries() {
        if why == Unreadable::Missing {
            let error = Error::missing(Subject::Entry(entry.number));
            note(Err(error.detail("others follow it")))?;
        }
    }
    for (number, nonce) in &folded {
        let object = name::entry_of(*number, nonce);
        match repo.backend().get(&object) {
            Ok(file) => {
                let proved = check_set_file(repo, (*number, *nonce), &file);
                note(proved.map_err(|e| e.about(Subject::Object(object))))?;
            }
            Err(e) => note(Err(e))?,
        }
    }
    Ok(())
}

/// Class C: whether a file is that of an entry of the fold, and repeats others as they are; it may repeat some that were cleared.
pub fn check_set_file(repo: &Repo, (number, nonce): (u64, Nonce), file: &[u8]) -> Result<()> {
    let state = repo.state();
    let wrong = |detail: &str| Err(Error::damaged(Subject::None).detail(detail.to_owned()));
    let (core, repeated) = entry::decode_file(file)?;
    if state.folded(number, &nonce) != Some(entry::hash(core)) {
        return wrong("is not the one that was there before");
    }
    for core in repeated {
        let clear = entry::clear(core)?;
        let is_right = match state.folded(clear.number, &clear.nonce) {
            Some(hash) => hash == entry::hash(core),
            None => match Entry::open(repo.envelopes(), core) {
                Ok(_) => true,
                Err(e) => e.kind() == ErrorKind::Unsupported,
            },
        };
        if !is_right {
            return wrong("repeats an earlier one otherwise than it is");
        }
    }
    Ok(())
}

/// Whether a `Void` entry says that what lies there counts for nothing.
fn is_cleared(repo: &Repo, number: u64, nonce: &Nonce, object: &str) -> Result<bool> {
    let file = match repo.backend().get(object) {
        Ok(file) => file,
        Err(e) if is_finding(&e) => return Ok(false),
        Err(e) => return Err(e),
    };
    let hash = entry::hash_of_damaged(nonce, &file);
    Ok(repo.state().is_voided(&EntryAt { number, hash }))
}

fn check_entries(repo: &Repo, note: Note<'_>, interrupt: &Interrupt) -> Result<()> {
    let mut before = Before::default();
    for number in 1..=end_of_chain(&repo.state()) {
        interrupt.check()?;
        let read = read_entry(repo, number, &before);
        let follows = read.as_ref().ok().map(|signed| &signed.entry.follows);
        let at = |hash: &EntryHash| EntryAt {
            number: number - 1,
            hash: *hash,
        };
        let cleared = follows.is_some_and(|f| f.iter().any(|h| repo.state().is_voided(&at(h))));
        if let Some(error) = before.unread.take().filter(|_| !cleared) {
            note(Err(error))?;
        }
        match read {
            Ok(signed) => drop(before.hashes.insert(number, signed.hash)),
            Err(error) if is_finding(&error) => before.unread = Some(error),
            Err(error) => return Err(error),
        }
        before.hashes = before
            .hashes
            .split_off(&number.saturating_sub(CATCH_UP_ENTRIES_MAX));
    }
    before
        .unread
        .take()
        .map_or(Ok(()), |error| note(Err(error)))
}

/// Reads an entry and compares it with those before it, as far as they could be read.
fn read_entry(repo: &Repo, number: u64, before: &Before) -> Result<SignedEntry> {
    let about = |e: Error| e.about(Subject::Entry(number));
    let wrong = |detail: &str| about(Error::damaged(Subject::None).detail(detail.to_owned()));
    let missing = |e: Error| match e.kind() {
        ErrorKind::NotFound => Error::missing(Subject::Entry(number)),
        _ => about(e),
    };
    let file = repo.backend().get(&name::entry(number)).map_err(missing)?;
    if file.len() > ENTRY_BYTES_MAX {
        return Err(wrong("too large for an entry"));
    }
    let (core, repeated) = entry::decode_file(&file).map_err(about)?;
    let signed = Entry::open(repo.envelopes(), core).map_err(about)?;
    if signed.entry.number != number {
        return Err(wrong("is the entry of another number"));
    }
    let last = number - 1;
    if let Some(hash) = before.hashes.get(&last)
        && signed.entry.follows != [*hash]
    {
        return Err(wrong("does not follow the one before it"));
    }
    let tail = repo.state();
    let last_one = tail.class() == Class::A && number == tail.tail().number;
    if last_one && tail.tail().heads != [signed.hash] {
        return Err(wrong("is not the one that was there before"));
    }
    for (core, at) in repeated.iter().rev().zip((1..number).rev()) {
        if before
            .hashes
            .get(&at)
            .is_some_and(|hash| *hash != entry::hash(core))
        {
            return Err(wrong("repeats an earlier one otherwise than it is"));
        }
    }
    // A sync repeats more than who appends.
    match repeated.len() as u64 <= CATCH_UP_ENTRIES_MAX {
        true => Ok(signed),
        false => Err(wrong("repeats more than it may")),
    }
}

/// Files beyond a hole in the numbers: entries, or what does not belong there. One that was appended since the fold is there
/// by now.
fn check_beyond(repo: &Repo, inventory: &Inventory, note: Note<'_>) -> Result<()> {
    let next = end_of_chain(&repo.state()) + 1;
    if next > 1 && repo.backend().size(&name::entry(next))?.is_some() {
        return Ok(());
    }
    let mut last = None;
    for number in inventory.entries.range(next..) {
        match repo.is_authentic(*number)? {
            true => last = Some(number),
            false => {
                let detail = match next {
                    1 => "is no part of this log",
                    _ => "no part of the log, which ends before it",
                };
                let error = Error::damaged(Subject::Object(name::entry(*number)));
                note(Err(error.detail(detail)))?;
            }
        }
    }
    match last {
        Some(last) => {
            let detail = format!("entries up to {last} are there beyond it");
            note(Err(Error::missing(Subject::Entry(next)).detail(detail)))
        }
        None => Ok(()),
    }
}

/// The marks of the segments that take entries. That of the next one is put before its first entry; a replica has none.
fn check_segments(repo: &Repo, inventory: &Inventory, note: Note<'_>) -> Result<()> {
    if is_replica(repo)? {
        return Ok(());
    }
    let tail = repo.state().tail().number;
    let last = tail / name::SEGMENT_ENTRIES;
    for segment in 0..=last {
        note(check_mark(repo, segment))?;
    }
    let next = (tail + 1) / name::SEGMENT_ENTRIES;
    for segment in inventory.segments_open.range(last + 1..) {
        let begun = inventory
            .entries
            .range(tail + 1..)
            .any(|n| n / name::SEGMENT_ENTRIES == *segment);
        if *segment != next && !begun {
            let object = name::segment_open(segment * name::SEGMENT_ENTRIES);
            let error = Error::damaged(Subject::Object(object));
            note(Err(error.detail("this part of the log is not begun")))?;
        }
    }
    Ok(())
}

/// Whether the place says of itself that it is a replica.
pub fn is_replica(repo: &Repo) -> Result<bool> {
    Ok(repo.backend().size(name::REPLICA)?.is_some())
}

/// Whether the mark of a segment lies there as it must.
pub fn check_mark(repo: &Repo, segment: u64) -> Result<()> {
    let object = name::segment_open(segment * name::SEGMENT_ENTRIES);
    let about = |e: Error| e.about(Subject::Object(object.clone()));
    match repo.backend().get(&object) {
        Ok(bytes) if bytes == name::SEGMENT_OPEN => Ok(()),
        Ok(_) => Err(about(
            Error::damaged(Subject::None).detail("is not what it must be"),
        )),
        Err(e) if e.kind() == ErrorKind::NotFound => Err(Error::missing(Subject::Object(object))),
        Err(e) => Err(e),
    }
}
