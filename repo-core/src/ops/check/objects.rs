//! Everything but packs: configuration, keys, log, index tables, snapshots, checkpoints, evidence.

use super::{CheckSummary, Finding, is_finding};
use crate::crypto::BlobType;
use crate::error::{Error, Result, Subject};
use crate::format::entry::Nonce;
use crate::format::envelope::RecordType;
use crate::format::name::{self, ObjectKind};
use crate::format::{config, key_slot};
use crate::id::{IndexId, PackId, SnapshotId};
use crate::progress::Interrupt;
use crate::repo::{Repo, pack_object};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All objects of a place, by one listing.
pub struct Inventory {
    /// Packs and their lengths.
    pub packs: HashMap<PackId, (ObjectKind, u64)>,
    named: BTreeMap<ObjectKind, BTreeSet<[u8; 32]>>,
    entries: BTreeSet<u64>,
    /// Class C.
    entry_set: BTreeSet<(u64, Nonce)>,
    checkpoints: BTreeSet<String>,
    segments_open: BTreeSet<u64>,
    others: Vec<String>,
}

impl Inventory {
    /// Lists everything once.
    pub fn list(repo: &Repo) -> Result<Self> {
        let mut inventory = Self {
            packs: HashMap::new(),
            named: BTreeMap::new(),
            entries: BTreeSet::new(),
            entry_set: BTreeSet::new(),
            checkpoints: BTreeSet::new(),
            segments_open: BTreeSet::new(),
            others: Vec::new(),
        };
        repo.backend().list("", &mut |listed| {
            inventory.add(&listed.name, listed.len);
            Ok(())
        })?;
        Ok(inventory)
    }

    fn add(&mut self, object: &str, len: u64) {
        match ObjectKind::parse(object) {
            Some((kind @ (ObjectKind::Data | ObjectKind::Meta), id)) => {
                self.packs.insert(PackId(id), (kind, len));
                return;
            }
            Some((kind, id)) => {
                self.named.entry(kind).or_default().insert(id);
                return;
            }
            None => {}
        }
        match name::parse_numbered(object) {
            Some((number, None)) if name::entry(number) == object => {
                self.entries.insert(number);
                return;
            }
            Some((number, Some(nonce))) if name::entry_of(number, &nonce) == object => {
                self.entry_set.insert((number, nonce));
                return;
            }
            Some((number, None)) if name::checkpoint(number) == object => {
                self.checkpoints.insert(object.to_owned());
                return;
            }
            Some((number, Some(nonce))) if name::checkpoint_of(number, &nonce) == object => {
                self.checkpoints.insert(object.to_owned());
                return;
            }
            _ => {}
        }
        let segment = object
            .strip_prefix("log/")
            .and_then(|rest| rest.strip_suffix("/open"));
        match segment.and_then(|number| number.parse().ok()) {
            Some(segment) => drop(self.segments_open.insert(segment)),
            None if object == name::CONFIG => {}
            None => self.others.push(object.to_owned()),
        }
    }

    fn ids(&self, kind: ObjectKind) -> impl Iterator<Item = &[u8; 32]> {
        self.named.get(&kind).into_iter().flatten()
    }

    /// Whether an object is there: was listed, or has come since.
    fn has(&self, repo: &Repo, kind: ObjectKind, id: &[u8; 32]) -> Result<bool> {
        let listed = self.named.get(&kind).is_some_and(|ids| ids.contains(id));
        Ok(listed || repo.backend().size(&kind.name(id))?.is_some())
    }

    /// Where a pack lies, and its length: as it was listed, or as it is by now.
    pub fn pack(
        &self,
        repo: &Repo,
        kind: BlobType,
        id: &PackId,
    ) -> Result<Option<(ObjectKind, u64)>> {
        match self.packs.get(id) {
            Some(listed) => Ok(Some(*listed)),
            None => {
                let object = pack_object(kind);
                let len = repo.backend().size(&object.name(&id.0))?;
                Ok(len.map(|len| (object, len)))
            }
        }
    }
}

/// Reads and proves every object that is no pack.
pub fn check(
    repo: &Repo,
    inventory: &Inventory,
    summary: &mut CheckSummary,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut note = |result: Result<()>| match result {
        Ok(()) => Ok(()),
        Err(e) if is_finding(&e) => {
            summary.findings.push(Finding::new(e));
            Ok(())
        }
        Err(e) => Err(e),
    };
    let mut strays = inventory.others.clone();
    note(check_config(repo))?;
    for id in inventory.ids(ObjectKind::Key) {
        note(check_key(repo, id, &mut strays))?;
    }
    check_log(repo, inventory, &mut note)?;
    for object in &inventory.checkpoints {
        note(repo.check_checkpoint(object))?;
    }
    for id in inventory.ids(ObjectKind::Evidence) {
        note(
            repo.load_record(ObjectKind::Evidence, id, RecordType::Evidence)
                .map(drop),
        )?;
    }
    for id in inventory.ids(ObjectKind::State) {
        note(
            repo.load_record(ObjectKind::State, id, RecordType::State)
                .map(drop),
        )?;
    }
    check_tables(repo, inventory, &mut note, interrupt)?;
    check_snapshots(repo, inventory, &mut note, interrupt)?;
    summary.snapshots = repo.state().live_snapshots().count() as u64;
    list_unreferenced(repo, inventory, summary);
    summary.unreferenced.extend(strays);
    Ok(())
}

type Note<'a> = &'a mut dyn FnMut(Result<()>) -> Result<()>;

fn check_config(repo: &Repo) -> Result<()> {
    let about = |e: Error| e.about(Subject::Object(name::CONFIG.to_owned()));
    let bytes = repo.backend().get(name::CONFIG)?;
    config::open(repo.envelopes(), &bytes).map_err(about)?;
    match config::repository(&bytes).map_err(about)? == repo.id() {
        true => Ok(()),
        false => Err(about(
            Error::damaged(Subject::None).detail("another repository's config"),
        )),
    }
}

/// Proves a key slot. One of no repository, which an `init` leaves that was stopped early, is a stray.
fn check_key(repo: &Repo, id: &[u8; 32], strays: &mut Vec<String>) -> Result<()> {
    let object = ObjectKind::Key.name(id);
    let about = |e: Error| e.about(Subject::Object(object.clone()));
    let bytes = repo.backend().get(&object)?;
    if blake3::hash(&bytes) != blake3::Hash::from_bytes(*id) {
        return Err(about(
            Error::damaged(Subject::None).detail("content is not what its name says"),
        ));
    }
    let slot = key_slot::parse(&bytes).map_err(about)?;
    if !slot.is_of(repo.id()) {
        strays.push(object);
        return Ok(());
    }
    key_slot::label(repo.envelopes(), &slot)
        .map(drop)
        .map_err(about)
}

/// The fold has read and proved every entry up to the tail; here is what it cannot see.
fn check_log(repo: &Repo, inventory: &Inventory, note: Note<'_>) -> Result<()> {
    let state = repo.state();
    let tail = state.tail().number;
    for (number, why) in state.unreadable() {
        let error = Error::damaged(Subject::Entry(number));
        note(Err(error.detail(format!("cannot be read ({why:?})"))))?;
    }
    let set = |(number, nonce, _): &(u64, Nonce, _)| *nonce != [0; 16] && *number > 0;
    let set: BTreeSet<(u64, Nonce)> = state
        .entries()
        .filter(set)
        .map(|(n, c, _)| (n, c))
        .collect();
    // On class C the chain of class A ends with the entry that the set begins with, if it was begun at all.
    let chain = match set.first() {
        Some((1, _)) => 0,
        Some((first, _)) => *first,
        None => tail,
    };
    for number in 1..=chain {
        if !inventory.entries.contains(&number) {
            note(Err(Error::missing(Subject::Entry(number))))?;
        }
    }
    if let Some(first) = inventory.entries.range(chain + 1..).next() {
        let detail = format!("entries up to {first} are there beyond it");
        note(Err(Error::missing(Subject::Entry(chain + 1)).detail(detail)))?;
    }
    for (number, nonce) in inventory.entry_set.difference(&set) {
        let object = Subject::Object(name::entry_of(*number, nonce));
        note(Err(Error::damaged(object).detail("is no part of the log")))?;
    }
    for (number, nonce) in set.difference(&inventory.entry_set) {
        let object = name::entry_of(*number, nonce);
        if repo.backend().size(&object)?.is_none() {
            note(Err(Error::missing(Subject::Object(object))))?;
        }
    }
    for segment in 0..=tail / name::SEGMENT_ENTRIES {
        if !inventory.segments_open.contains(&segment) {
            let object = name::segment_open(segment * name::SEGMENT_ENTRIES);
            note(Err(Error::missing(Subject::Object(object))))?;
        }
    }
    Ok(())
}

fn check_tables(
    repo: &Repo,
    inventory: &Inventory,
    note: Note<'_>,
    interrupt: &Interrupt,
) -> Result<()> {
    let state = repo.state();
    for (id, _) in state.tables() {
        interrupt.check()?;
        match inventory.has(repo, ObjectKind::Index, &id.0)? {
            true => note(repo.load_table(id).map(drop))?,
            false => note(Err(Error::missing(Subject::Index(*id))))?,
        }
    }
    for id in inventory.ids(ObjectKind::Index).map(|id| IndexId(*id)) {
        if !state.has_table(&id) {
            note(repo.load_table(&id).map(drop))?;
        }
    }
    Ok(())
}

fn check_snapshots(
    repo: &Repo,
    inventory: &Inventory,
    note: Note<'_>,
    interrupt: &Interrupt,
) -> Result<()> {
    let state = repo.state();
    for (id, row) in state.live_snapshots() {
        interrupt.check()?;
        if !inventory.has(repo, ObjectKind::Snapshot, &id.0)? {
            note(Err(Error::missing(Subject::Snapshot(*id))))?;
            continue;
        }
        note(check_snapshot(repo, id, &row.summary))?;
    }
    for id in inventory
        .ids(ObjectKind::Snapshot)
        .map(|id| SnapshotId(*id))
    {
        if !state.is_live(&id) {
            note(repo.load_snapshot(&id).map(drop))?;
        }
    }
    Ok(())
}

/// The snapshot opens, and what listings show of it is what it says.
fn check_snapshot(repo: &Repo, id: &SnapshotId, sealed: &[u8]) -> Result<()> {
    let snapshot = repo.load_snapshot(id)?;
    match repo.open_summary(id, sealed)? == snapshot.summary {
        true => Ok(()),
        false => Err(Error::damaged(Subject::Snapshot(*id)).detail("the log says otherwise of it")),
    }
}

fn list_unreferenced(repo: &Repo, inventory: &Inventory, summary: &mut CheckSummary) {
    let state = repo.state();
    let known = |kind: ObjectKind, id: &[u8; 32]| match kind {
        ObjectKind::Index => state.has_table(&IndexId(*id)),
        ObjectKind::Snapshot => {
            let id = SnapshotId(*id);
            state.is_live(&id)
                || state
                    .forgotten_snapshots()
                    .any(|(forgotten, _)| *forgotten == id)
        }
        ObjectKind::Evidence => state.evidence().any(|(evidence, _)| evidence.0 == *id),
        _ => true,
    };
    for (kind, ids) in &inventory.named {
        let unknown = ids
            .iter()
            .filter(|id| !known(*kind, id))
            .map(|id| kind.name(id));
        summary.unreferenced.extend(unknown);
    }
}
