//! What lies in a place, and of that configuration, keys, checkpoints and what has no name of ours.

use super::{CheckSummary, Finding, Harm};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::announcement::Announcement;
use crate::format::entry::{CHECKPOINT_EVERY, Nonce};
use crate::format::envelope::RecordType;
use crate::format::name::{self, ObjectKind};
use crate::format::{config, key_slot};
use crate::id::{PackId, WriterId};
use crate::ops::repair::{mend, mend_set};
use crate::progress::Interrupt;
use crate::repo::{Repo, pack_object};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All objects of a place, by one listing.
pub struct Inventory {
    /// Packs and their lengths.
    pub packs: HashMap<(ObjectKind, PackId), u64>,
    /// Log entries of class A.
    pub entries: BTreeSet<u64>,
    /// Log entries of class C.
    pub entry_set: BTreeSet<(u64, Nonce)>,
    /// Log segments that take entries.
    pub segments_open: BTreeSet<u64>,
    named: BTreeMap<ObjectKind, BTreeSet<[u8; 32]>>,
    checkpoints: BTreeSet<String>,
    others: Vec<String>,
}

impl Inventory {
    /// Lists everything once.
    pub fn list(repo: &Repo) -> Result<Self> {
        let mut inventory = Self {
            packs: HashMap::new(),
            entries: BTreeSet::new(),
            entry_set: BTreeSet::new(),
            segments_open: BTreeSet::new(),
            named: BTreeMap::new(),
            checkpoints: BTreeSet::new(),
            others: Vec::new(),
        };
        repo.backend().list("", &mut |listed| {
            inventory.add(&listed.name, listed.len);
            Ok(())
        })?;
        let others = &mut inventory.others;
        repo.backend()
            .list_strangers(&mut |path| others.push(path.to_owned()))?;
        inventory.others.sort();
        Ok(inventory)
    }

    fn add(&mut self, object: &str, len: u64) {
        match ObjectKind::parse(object) {
            Some((kind @ (ObjectKind::Data | ObjectKind::Meta), id)) => {
                self.packs.insert((kind, PackId(id)), len);
                return;
            }
            Some((kind, id)) => {
                self.named.entry(kind).or_default().insert(id);
                return;
            }
            None => {}
        }
        if let Some((number, nonce)) = name::parse_entry(object) {
            match nonce {
                None => self.entries.insert(number),
                Some(nonce) => self.entry_set.insert((number, nonce)),
            };
            return;
        }
        match name::parse_numbered(object) {
            Some((number @ 1.., nonce)) if number.is_multiple_of(CHECKPOINT_EVERY) => {
                let place = nonce.map(|nonce| name::checkpoint_of(number, &nonce));
                if place.unwrap_or_else(|| name::checkpoint(number)) == object {
                    self.checkpoints.insert(object.to_owned());
                    return;
                }
            }
            _ => {}
        }
        match name::parse_segment_open(object) {
            Some(segment) => drop(self.segments_open.insert(segment)),
            None if [name::CONFIG, name::REPLICA].contains(&object) => {}
            None => self.others.push(object.to_owned()),
        }
    }

    /// The listed objects of a kind.
    pub fn ids(&self, kind: ObjectKind) -> impl Iterator<Item = &[u8; 32]> {
        self.named.get(&kind).into_iter().flatten()
    }

    fn has_listed(&self, kind: ObjectKind, id: &[u8; 32]) -> bool {
        self.named.get(&kind).is_some_and(|ids| ids.contains(id))
    }

    /// Whether an object is there: was listed, or has come since.
    pub fn has(&self, repo: &Repo, kind: ObjectKind, id: &[u8; 32]) -> Result<bool> {
        Ok(self.has_listed(kind, id) || repo.backend().size(&kind.name(id))?.is_some())
    }

    /// The length of a pack as it was listed, or as it is by now.
    pub fn pack_len(&self, repo: &Repo, kind: BlobType, id: &PackId) -> Result<Option<u64>> {
        let kind = pack_object(kind);
        match self.packs.get(&(kind, *id)) {
            Some(listed) => Ok(Some(*listed)),
            None => repo.backend().size(&kind.name(&id.0)),
        }
    }
}

/// Reads and proves configuration, keys, the log and its checkpoints.
pub fn check(
    repo: &Repo,
    inventory: &Inventory,
    summary: &mut CheckSummary,
    interrupt: &Interrupt,
) -> Result<()> {
    check_others(repo, &inventory.others, summary)?;
    summary.note(check_config(repo))?;
    check_keys(repo, inventory, summary)?;
    let state = repo.state();
    let unread: BTreeSet<u64> = state.unreadable().map(|(number, _)| number).collect();
    let (tail, end) = (state.tail().number, super::log::end_of_chain(&state));
    // What later entries repeat is known all the same, and a mark only says that entries may be added.
    let is_harmless = |subject: &Subject| match subject {
        Subject::Entry(number) => *number <= tail && !unread.contains(number),
        Subject::Object(object) => {
            let beyond = |(number, nonce): (u64, Option<Nonce>)| nonce.is_none() && number > end;
            name::parse_segment_open(object).is_some()
                || name::parse_numbered(object).is_some_and(beyond)
        }
        _ => false,
    };
    let mut note = |result: Result<()>| match result {
        Err(e) if is_harmless(e.subject()) => summary.note_harmless(e),
        result => summary.note(result),
    };
    super::log::check(repo, inventory, &mut note, interrupt)?;
    let newest = check_checkpoints(repo, inventory, summary)?;
    excuse_set(repo, newest, summary, interrupt)?;
    excuse_entries(repo, summary, interrupt)?;
    summary.snapshots = repo.state().live_snapshots().count() as u64;
    Ok(())
}

/// Of entries that cannot be read and whose effects are known all the same, those stay findings that can be written again; of the
/// others a checkpoint says all that they said, so that nobody misses them.
fn excuse_entries(repo: &Repo, summary: &mut CheckSummary, interrupt: &Interrupt) -> Result<()> {
    let harmless = |finding: &Finding| match finding.error.subject() {
        Subject::Entry(number) if finding.harm == Harm::None => Some(*number),
        _ => None,
    };
    if summary
        .findings
        .iter()
        .all(|finding| harmless(finding).is_none())
    {
        return Ok(());
    }
    let lost = mend(repo, true, interrupt)?.lost;
    let excused =
        |finding: &mut Finding| harmless(finding).is_some_and(|number| lost.contains(&number));
    for finding in summary.findings.extract_if(.., excused) {
        let number = harmless(&finding).map(name::entry);
        summary.absent.extend(number);
    }
    Ok(())
}

/// The same of class C. `newest` is the number of a checkpoint that lies here and counts: what the fold has of entries up to there
/// without their files, and what no file repeats, it has of that.
fn excuse_set(
    repo: &Repo,
    newest: u64,
    summary: &mut CheckSummary,
    interrupt: &Interrupt,
) -> Result<()> {
    let state = repo.state();
    let entry = |finding: &Finding| match finding.error.subject() {
        Subject::Object(object) if finding.is_of_log() => {
            let (number, nonce) = name::parse_numbered(object)?;
            let nonce = nonce.filter(|nonce| state.folded(number, nonce).is_some())?;
            Some((number, nonce))
        }
        _ => None,
    };
    if summary.findings.iter().all(|f| entry(f).is_none()) {
        return Ok(());
    }
    let repeated = mend_set(repo, true, interrupt)?;
    for finding in &mut summary.findings {
        if entry(finding).is_some_and(|key| repeated.contains(&key)) {
            finding.harm = Harm::None;
        }
    }
    let excused = |finding: &mut Finding| {
        finding.harm != Harm::None && entry(finding).is_some_and(|(number, _)| number <= newest)
    };
    for finding in summary.findings.extract_if(.., excused) {
        let object = entry(&finding).map(|(number, nonce)| name::entry_of(number, &nonce));
        summary.absent.extend(object);
    }
    Ok(())
}

/// As [`CheckSummary::note`].
pub type Note<'a> = &'a mut dyn FnMut(Result<()>) -> Result<()>;

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

/// What lies among the objects under a name that no object of a repository has: harmless, but somebody's. A race of `init` or
/// `check` that was stopped leaves some, and a process of class C that was killed its announcement.
fn check_others(repo: &Repo, others: &[String], summary: &mut CheckSummary) -> Result<()> {
    for object in others {
        let reserved = ["race-", "parity/", "segments/"];
        if reserved.iter().any(|start| object.starts_with(start)) {
            summary.unreferenced.push(object.clone());
        } else if let Some(nonce) = name::parse_announcement(object) {
            let proved = check_announcement(repo, object, &nonce);
            if proved
                .as_ref()
                .is_err_and(|e| e.kind() == ErrorKind::NotFound)
            {
                continue;
            }
            summary.note_surplus(object.clone(), proved)?;
        } else {
            let error = Error::new(ErrorKind::InvalidInput, Subject::Object(object.clone()))
                .detail("does not belong to the repository");
            summary.findings.push(Finding {
                harm: Harm::None,
                ..Finding::new(error)
            });
        }
    }
    Ok(())
}

fn check_announcement(repo: &Repo, object: &str, nonce: &Nonce) -> Result<()> {
    let bytes = repo.backend().get(object)?;
    let (announcement, _) = Announcement::open(repo.envelopes(), &bytes)?;
    match announcement.nonce == *nonce {
        true => Ok(()),
        false => {
            Err(Error::damaged(Subject::None).detail("is the announcement of another process"))
        }
    }
}

/// Proves the key slots. Nobody signs with those that an `init` or a change of keys leaves that was stopped early. A writer
/// whose slot is not there is one that nobody can sign as.
fn check_keys(repo: &Repo, inventory: &Inventory, summary: &mut CheckSummary) -> Result<()> {
    let state = repo.state();
    let mut without: BTreeSet<WriterId> = state.members().iter().map(|m| m.writer).collect();
    let mut all_read = true;
    for id in inventory.ids(ObjectKind::Key) {
        let proved = check_key(repo, id);
        match proved {
            Ok(Some(writer)) if state.members().iter().any(|m| m.writer == writer) => {
                without.remove(&writer);
            }
            Ok(_) => summary.unreferenced.push(ObjectKind::Key.name(id)),
            Err(e) => {
                all_read = false;
                summary.note_harmless(e)?;
            }
        }
    }
    if all_read {
        let lost = without.iter().map(|writer| slot_missing(repo, writer));
        summary.findings.extend(lost);
    }
    Ok(())
}

/// The log names writers and not slots; whose it was is seen by what was written with it.
fn slot_missing(repo: &Repo, writer: &WriterId) -> Finding {
    let state = repo.state();
    let by_it = state
        .live_snapshots()
        .filter(|(_, row)| row.writer == *writer);
    let hosts: BTreeSet<String> = by_it
        .filter_map(|(id, row)| Some(repo.open_summary(id, &row.summary).ok()?.host))
        .collect();
    let hosts: Vec<String> = hosts.into_iter().collect();
    let detail = match hosts.is_empty() {
        true => "its password or key file opens the repository no more, or never did, if it was \
                 being added; it wrote no snapshot"
            .to_owned(),
        false => format!(
            "its password or key file opens the repository no more; it wrote the snapshots of {}",
            hosts.join(", ")
        ),
    };
    let object = format!("{}/ of the writer {writer}", ObjectKind::Key.folder());
    Finding {
        harm: Harm::None,
        ..Finding::new(Error::missing(Subject::Object(object)).detail(detail))
    }
}

/// Proves a key slot and gives who signs with it; `None` if it is of no repository, or of another.
fn check_key(repo: &Repo, id: &[u8; 32]) -> Result<Option<WriterId>> {
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
        return Ok(None);
    }
    let label = key_slot::label(repo.envelopes(), &slot).map_err(about)?;
    Ok(Some(label.writer))
}

/// Proves the checkpoints with their state tables, and gives the number of the newest that counts. Those that stand in none are what a
/// run leaves that was stopped early.
fn check_checkpoints(
    repo: &Repo,
    inventory: &Inventory,
    summary: &mut CheckSummary,
) -> Result<u64> {
    let mut newest = 0;
    let mut named = BTreeSet::new();
    let mut all_read = true;
    let tail = repo.state().tail().number;
    let is_beyond = |object: &str| name::parse_numbered(object).is_some_and(|(n, _)| n > tail);
    for object in &inventory.checkpoints {
        match repo.check_checkpoint(object) {
            Ok(tables) => {
                let number = name::parse_numbered(object).map(|(number, _)| number);
                newest = newest.max(number.unwrap_or(0));
                named.extend(tables.into_iter().map(|id| id.0));
            }
            // A prune has removed it meanwhile.
            Err(_) if repo.backend().size(object)?.is_none() => {}
            Err(e) => {
                all_read = false;
                // An entry that a checkpoint rests on is a finding of the log.
                if is_beyond(object) {
                    summary.note_surplus(object.clone(), Err(e))?;
                    continue;
                }
                match e.subject() {
                    Subject::Entry(_) => {}
                    // Named below.
                    Subject::State(id) if inventory.has_listed(ObjectKind::State, &id.0) => {
                        named.insert(id.0);
                    }
                    _ => summary.note_harmless(e)?,
                }
            }
        }
    }
    for id in inventory.ids(ObjectKind::State) {
        let loaded = repo.load_record(ObjectKind::State, id, RecordType::State);
        let is_gone = matches!(&loaded, Err(e) if e.kind() == ErrorKind::Missing);
        if is_gone && !named.contains(id) {
            continue;
        }
        match named.contains(id) || (loaded.is_err() && !all_read) {
            true => loaded.map(drop).or_else(|e| summary.note_harmless(e))?,
            false => summary.note_surplus(ObjectKind::State.name(id), loaded.map(drop))?,
        }
    }
    let last = super::log::end_of_chain(&repo.state());
    // Older ones prunes remove.
    let numbered = |object: &String| name::parse_numbered(object).map(|(number, _)| number);
    let oldest = inventory.checkpoints.iter().filter_map(numbered).min();
    let first = oldest.unwrap_or(1).div_ceil(CHECKPOINT_EVERY);
    let numbers = (first..=last / CHECKPOINT_EVERY).map(|n| name::checkpoint(n * CHECKPOINT_EVERY));
    summary
        .absent
        .extend(numbers.filter(|object| !inventory.checkpoints.contains(object)));
    Ok(newest)
}
