//! When snapshots were forgotten and deleted, out of the entries that say so.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::{self, Action, ENTRY_BYTES_MAX, Entry};
use crate::format::name::{self, ObjectKind};
use crate::id::SnapshotId;
use crate::repo::Repo;
use crate::time::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// When these snapshots were forgotten, by the clock of whoever did; those are missing that are not forgotten, or whose entry
/// cannot be read. One read for each entry, which may have forgotten many.
pub fn forgotten_at(repo: &Repo, ids: &[SnapshotId]) -> HashMap<SnapshotId, Timestamp> {
    let state = repo.state();
    let mut by_entry: BTreeMap<u64, Vec<SnapshotId>> = BTreeMap::new();
    for id in ids {
        if let Some(number) = state.forgotten_by(id) {
            by_entry.entry(number).or_default().push(*id);
        }
    }
    let mut found = HashMap::new();
    for (number, ids) in by_entry {
        for (time, action) in entries(repo, number).unwrap_or_default() {
            if let Action::Forget { snapshots } = action {
                let these = ids.iter().filter(|id| snapshots.contains(id));
                found.extend(these.map(|id| (*id, time)));
            }
        }
    }
    found
}

/// A snapshot that a prune has deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedSnapshot {
    /// Which.
    pub id: SnapshotId,
    /// When, by the clock of whoever did; `None` if the entry cannot be read.
    pub time: Option<Timestamp>,
}

/// The deleted snapshot whose id begins so; the first of them if there are several.
pub fn find_deleted(repo: &Repo, name: &str) -> Option<DeletedSnapshot> {
    let name = name.to_ascii_lowercase();
    let state = repo.state();
    let (id, number) = state
        .deleted()
        .filter(|(object, _)| object.kind == ObjectKind::Snapshot && !name.is_empty())
        .map(|(object, row)| (SnapshotId(object.id), row.number))
        .find(|(id, _)| id.to_hex().starts_with(&name))?;
    let entries = entries(repo, number).unwrap_or_default();
    let deleting = |action: &Action| match action {
        Action::Deleting { objects, .. } => objects.iter().any(|object| object.id == id.0),
        _ => false,
    };
    let time = entries.iter().find(|(_, action)| deleting(action));
    Some(DeletedSnapshot {
        id,
        time: time.map(|(time, _)| *time),
    })
}

/// The times of the entries of a number, and what they say: one, or those that were concurrent on class C. Their signatures are
/// proved; the fold has judged whether they count.
fn entries(repo: &Repo, number: u64) -> Result<Vec<(Timestamp, Action)>> {
    let mut files = Vec::new();
    match repo.backend().get(&name::entry(number)) {
        Ok(file) => files.push(file),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut names = Vec::new();
            repo.backend()
                .list(&name::segment_folder(number), &mut |listed| {
                    let found = name::parse_entry(&listed.name);
                    if found.is_some_and(|(found, _)| found == number) {
                        names.push(listed.name);
                    }
                    Ok(())
                })?;
            for name in names {
                files.push(repo.backend().get(&name)?);
            }
        }
        Err(error) => return Err(error),
    }
    let read = files.iter().map(|file| {
        if file.len() > ENTRY_BYTES_MAX {
            return Err(Error::damaged(Subject::Entry(number)).detail("too large for an entry"));
        }
        let (core, _) = entry::decode_damaged_file(file)?;
        let entry = Entry::open(repo.envelopes(), core)?.entry;
        Ok(entry.action.map(|action| (entry.time, action)))
    });
    read.filter_map(Result::transpose).collect()
}
