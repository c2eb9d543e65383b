//! The log on the backend: finds its end, reads what is new, folds it.
//!
//! On class A numbers are dense, so the end is found by galloping and never by a listing, unless the first entry is lost; a
//! checkpoint near it saves reading what came before. What class C needs is in [`super::entry_set`].

use super::entry_set::{EntrySet, Key};
use super::memory::Memory;
use super::{Shared, lock};
use crate::backend::Class;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::checkpoint::Checkpoint;
use crate::format::entry::{self, Action, Entry, SignedEntry};
use crate::format::name;
use crate::id::{EntryHash, IndexId};
use crate::log::{
    Found, Prove, ReadEntry, Seen, State, catch_up_for, check_not_rolled_back, find_tail,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A checkpoint is looked for if it saves more reads than this.
const CHECKPOINT_READS_MIN: u64 = 3;

/// How long what a listing showed of a segment counts, so that an append need not look again.
const SOUND_FOR: Duration = Duration::from_secs(60);

/// How many files beyond a hole are looked at.
const BEYOND_TRIES: usize = 8;

/// How many checkpoints are tried before the log is read from its beginning.
pub(super) const CHECKPOINT_TRIES: usize = 3;

/// The fold in progress.
pub struct History {
    /// Copied before it changes while others look at it.
    pub(super) state: Arc<State>,
    pub(super) memory: Memory,
    /// Stored cores from the last number divisible by 16, for the catch-up of the next entry.
    pub(super) recent: BTreeMap<u64, Vec<u8>>,
    /// The checkpoint this fold came from or last wrote: the next one names its tables again.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Class C: what was read of the set.
    pub(super) set: Option<EntrySet>,
    /// Whether the memory was compared with the log.
    pub(super) proved: bool,
    /// The newest entry's number and file, if it was read.
    pub(super) tail_file: Option<(u64, Vec<u8>)>,
    /// Whether it was looked for entries beyond a hole in the numbers.
    looked_beyond: bool,
    /// A place over a network: what a listing showed of a segment, a moment ago.
    listed: Option<Listed>,
}

/// A segment whose mark was there and that had no entry beyond a hole.
struct Listed {
    segment: u64,
    at: Instant,
}

impl History {
    /// Nothing is folded yet.
    pub fn new(state: State, memory: Memory) -> Self {
        Self {
            state: Arc::new(state),
            memory,
            recent: BTreeMap::new(),
            checkpoint: None,
            set: None,
            proved: false,
            tail_file: None,
            looked_beyond: false,
            listed: None,
        }
    }

    /// Forgets what was read, but not what it was compared with.
    pub(super) fn restart(&mut self) {
        let memory = std::mem::replace(&mut self.memory, Memory::new(None, "", true));
        *self = Self {
            proved: self.proved,
            ..Self::new(State::new(self.state.admin(), Class::A), memory)
        };
    }

    /// Folds stored cores that follow the tail.
    pub(super) fn fold_cores(
        &mut self,
        shared: &Shared,
        cores: Vec<Option<Vec<u8>>>,
    ) -> Result<()> {
        let first = self.state.tail().number + 1;
        let open = |core: &[u8]| Entry::open(&shared.envelopes, core);
        Arc::make_mut(&mut self.state).apply_cores(&cores, &open)?;
        // What cannot be read is not repeated.
        let unreadable: BTreeSet<u64> = self.state.unreadable().map(|(n, _)| n).collect();
        let read = (first..)
            .zip(cores)
            .filter(|(n, _)| !unreadable.contains(n));
        self.recent
            .extend(read.filter_map(|(number, core)| Some((number, core?))));
        let tail = self.state.tail().number;
        let kept = tail - tail % entry::CHECKPOINT_EVERY;
        self.recent = self.recent.split_off(&kept);
        Ok(())
    }

    /// Class A: what the file of the entry of that number, which is to be the next, repeats.
    pub(super) fn catch_up(&self, number: u64) -> Vec<Vec<u8>> {
        catch_up_for(number, &|n| self.recent.get(&n).map(Vec::as_slice))
    }

    /// Reads on from the tail until there is nothing more.
    pub(super) fn read_on(&mut self, shared: &Shared) -> Result<()> {
        let seen = match self.proved || self.memory.accept_rollback {
            true => None,
            false => self.memory.seen()?,
        };
        if self.state.class() == Class::A {
            self.read_chain(shared, seen.as_ref().map_or(0, |seen| seen.number))?;
        }
        if self.state.class() == Class::C {
            self.read_set(shared)?;
        }
        if !self.proved {
            self.prove(shared, seen)?;
        }
        Ok(())
    }

    /// Class A. The first time, with `seen` the newest entry that this client ever saw (0: none), in two reads beside one listing,
    /// if not many entries came since; otherwise in about 2·log2(n / 16) + 5 reads to find the end of n new entries. Then one read for
    /// sixteen of them, or a checkpoint. Ends where a `Class` entry says that class C begins.
    pub(super) fn read_chain(&mut self, shared: &Shared, seen: u64) -> Result<()> {
        let known = self.state.tail().number;
        let mut read = |number| shared.read_entry(number);
        let first = !std::mem::replace(&mut self.looked_beyond, true);
        let listed = match first && seen > known {
            true => Some(shared.list_segment(seen)?),
            false => None,
        };
        let hint = listed
            .as_ref()
            .map_or(known, |listed| listed.end_from(seen));
        let mut found = find_tail(known, hint, &mut read)?;
        if first {
            let segment = match listed {
                Some(listed) if listed.has(found.tail + 1) => listed,
                _ => shared.list_segment(found.tail)?,
            };
            self.listed = segment.listed(found.tail);
            let set = segment.set_from(found.tail);
            if let Some(newest) = shared.newest_beyond(found.tail, segment)? {
                found.tail = newest;
            }
            if let Some((number, file)) = shared.end_of_chain(&set)? {
                found.note_copy(number, &file);
            }
        }
        if found.tail > known {
            let prove = |number, core: &[u8]| shared.prove_entry(number, core);
            self.start_from_checkpoint(shared, &mut found, known, &mut read, &prove)?;
            let from = self.state.tail().number + 1;
            let cores = found.cores(from, &mut read, &prove)?;
            if from == 1
                && let Some(first) = cores.first()
                && !matches!(first, Some(core) if prove(1, core)?.is_some())
            {
                // What lies there under names of class A is nobody's.
                if shared.begins_as_set()? {
                    self.state = Arc::new(State::new(self.state.admin(), Class::C));
                    return Ok(());
                }
                let detail = format!(
                    "entries up to {} are there, and none repeats it",
                    found.tail
                );
                return Err(Error::missing(Subject::Entry(1)).detail(detail));
            }
            self.fold_cores(shared, cores)?;
            self.tail_file = found.into_tail_file();
        }
        if self.state.tail().number == 0 && shared.has_entry_set()? {
            self.state = Arc::new(State::new(self.state.admin(), Class::C));
        }
        Ok(())
    }

    /// Takes the newest checkpoint that counts for the state, if this machine keeps it or it saves reads. One that is missing or
    /// does not count is passed over.
    fn start_from_checkpoint(
        &mut self,
        shared: &Shared,
        found: &mut Found,
        known: u64,
        read: &mut ReadEntry<'_>,
        prove: &Prove<'_>,
    ) -> Result<()> {
        let saves = found.reads_from(known + 1) > CHECKPOINT_READS_MIN;
        for number in found.checkpoints(known).take(CHECKPOINT_TRIES) {
            let object = name::checkpoint(number);
            if !saves && !shared.kept.has(&object) {
                continue;
            }
            let Some(heads) = found.heads_at(number, read, prove)? else {
                continue;
            };
            let core = found.core_of(number, &heads).map(<[u8]>::to_vec);
            match shared.load_checkpoint(&object, Some(heads)) {
                Ok(loaded) => {
                    self.state = Arc::new(loaded.state);
                    self.checkpoint = Some(loaded.checkpoint);
                    self.recent = core.into_iter().map(|core| (number, core)).collect();
                    return Ok(());
                }
                Err(e) if is_passed_over(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Whether the segment of that number was seen, at a place over a network and a moment ago, to take entries and to have no hole.
    pub(super) fn was_sound(&self, shared: &Shared, number: u64) -> bool {
        let is_new = |listed: &Listed| {
            listed.segment == number / name::SEGMENT_ENTRIES && listed.at.elapsed() < SOUND_FOR
        };
        shared.backend.limits().remote && self.listed.as_ref().is_some_and(is_new)
    }

    /// Class A: what the fold itself says of an entry near its end.
    fn chain_heads(&self, number: u64) -> Option<Vec<EntryHash>> {
        let tail = self.state.tail();
        match (self.state.class(), number == tail.number) {
            (Class::C, _) => None,
            (Class::A, true) => Some(tail.heads.clone()),
            (Class::A, false) => self.recent.get(&number).map(|core| vec![entry::hash(core)]),
        }
    }

    /// Compares the log with what this client saw of it before the log was read: what other processes of it append meanwhile,
    /// and remember, is no hole.
    fn prove(&mut self, shared: &Shared, seen: Option<Seen>) -> Result<()> {
        if let Some(seen) = seen {
            let tail = self.state.tail().number;
            if tail < seen.number && shared.read_entry(seen.number)?.is_some() {
                // What came later is there, so this is no older log but one with a hole.
                let detail = format!("entry {} is there beyond it", seen.number);
                return Err(Error::missing(Subject::Entry(tail + 1)).detail(detail));
            }
            // An entry that was seen and cannot be read any more is damage, which every reader is told of, and no older log.
            let is_damaged = self.state.unreadable().any(|(n, _)| n == seen.number);
            let set = self.state.entries().map(|(_, _, hash)| hash);
            let hashes = |number| {
                let chain = match self.chain_heads(number) {
                    Some(heads) => heads,
                    None => shared.chain_hashes(number, &seen.heads)?,
                };
                Ok(chain.into_iter().chain(set).collect())
            };
            if !is_damaged {
                check_not_rolled_back(&seen, &self.state, hashes)?;
            }
        }
        self.proved = true;
        Ok(())
    }
}

/// What a listing showed of a segment.
struct Segment {
    number: u64,
    is_open: bool,
    entries: BTreeSet<u64>,
    /// Those of class C.
    set: BTreeSet<Key>,
}

impl Segment {
    /// Whether an entry lies there, if it is there.
    fn has(&self, entry: u64) -> bool {
        self.number == entry / name::SEGMENT_ENTRIES
    }

    /// What is to be remembered of it if the log ends there.
    fn listed(&self, tail: u64) -> Option<Listed> {
        let is_sound = self.is_open && self.entries.range(tail + 1..).next().is_none();
        is_sound.then(|| Listed {
            segment: self.number,
            at: Instant::now(),
        })
    }

    /// The first entries of class C where class A ends, or behind that.
    fn set_from(&self, tail: u64) -> Vec<Key> {
        let from = self.set.range((tail, [0; 16])..);
        from.take(BEYOND_TRIES).copied().collect()
    }

    /// The end of the run of numbers that goes on after `seen`.
    fn end_from(&self, seen: u64) -> u64 {
        let mut end = seen;
        while self.entries.contains(&(end + 1)) {
            end += 1;
        }
        end
    }
}

pub(super) fn is_passed_over(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::Missing | ErrorKind::Damaged | ErrorKind::Unsupported
    )
}

impl Shared {
    /// The file of an entry of class A; `None` if there is none.
    pub(super) fn read_entry(&self, number: u64) -> Result<Option<Vec<u8>>> {
        self.read_entry_file(&name::entry(number))
    }

    /// The segment in which the entry after `number` lies.
    fn list_segment(&self, number: u64) -> Result<Segment> {
        let next = number.saturating_add(1);
        let mut segment = Segment {
            number: next / name::SEGMENT_ENTRIES,
            is_open: false,
            entries: BTreeSet::new(),
            set: BTreeSet::new(),
        };
        let open = name::segment_open(next);
        self.backend
            .list(&name::segment_folder(next), &mut |listed| {
                segment.is_open |= listed.name == open;
                if let Some((number, nonce)) = name::parse_entry(&listed.name) {
                    match nonce {
                        None => segment.entries.insert(number),
                        Some(nonce) => segment.set.insert((number, nonce)),
                    };
                }
                Ok(())
            })?;
        Ok(segment)
    }

    /// The highest number of an authentic entry of class A above one that is not there. By a listing of the segment, so that
    /// an entry that was lost hides no later ones; what it does not show is not missed by any argument for safety.
    fn newest_beyond(&self, tail: u64, mut segment: Segment) -> Result<Option<u64>> {
        let beyond = segment.entries.split_off(&(tail + 1));
        for number in beyond.into_iter().rev().take(BEYOND_TRIES) {
            if self.is_authentic(number)? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Whether the file of an entry of class A holds one of that number.
    pub(crate) fn is_authentic(&self, number: u64) -> Result<bool> {
        let file = match self.read_entry(number) {
            Err(e) if e.kind() == ErrorKind::Damaged => return Ok(false),
            file => file?.unwrap_or_default(),
        };
        match entry::decode_damaged_file(&file) {
            Ok((core, _)) => Ok(self.prove_entry(number, core)?.is_some()),
            Err(_) => Ok(false),
        }
    }

    /// What a core follows if it is an authentic entry of that number, of whatever kind.
    pub(super) fn prove_entry(&self, number: u64, core: &[u8]) -> Result<Option<Vec<EntryHash>>> {
        match Entry::open(&self.envelopes, core) {
            Ok(SignedEntry { entry, .. }) if entry.number == number && is_of_chain(&entry) => {
                Ok(Some(entry.follows))
            }
            Ok(_) => Ok(None),
            // A kind of a later version; everything else about it was proved.
            Err(e) if *e.subject() == Subject::Entry(number) => {
                Ok(entry::clear(core).ok().map(|clear| clear.follows))
            }
            Err(e) if is_passed_over(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The file of an entry; `None` if there is none.
    pub(super) fn read_entry_file(&self, object: &str) -> Result<Option<Vec<u8>>> {
        match self.backend.get(object) {
            Ok(file) if file.len() > entry::ENTRY_BYTES_MAX => {
                Err(Error::damaged(entry_subject(object)).detail("too large for an entry"))
            }
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Class A: the hash of an entry by its file; if that is none of `wanted`, also the hashes that the entry after it, which
    /// counts only with its signature, says it follows: the file may be damaged, and others repeat it.
    pub(super) fn chain_hashes(&self, number: u64, wanted: &[EntryHash]) -> Result<Vec<EntryHash>> {
        let own = match self.entry_hash(&name::entry(number)) {
            Err(e) if e.kind() == ErrorKind::Damaged => None,
            own => own?,
        };
        let mut hashes: Vec<EntryHash> = own.into_iter().collect();
        if wanted.iter().all(|hash| hashes.contains(hash)) {
            return Ok(hashes);
        }
        if let Some(next) = self.read_entry(number.saturating_add(1))?
            && let Ok((core, _)) = entry::decode_damaged_file(&next)
            && let Ok(signed) = Entry::open(&self.envelopes, core)
            && signed.entry.number.checked_sub(1) == Some(number)
        {
            hashes.extend(signed.entry.follows);
        }
        Ok(hashes)
    }

    pub(super) fn entry_hash(&self, object: &str) -> Result<Option<EntryHash>> {
        let Some(file) = self.read_entry_file(object)? else {
            return Ok(None);
        };
        let (core, _) =
            entry::decode_damaged_file(&file).map_err(|e| e.about(entry_subject(object)))?;
        Ok(Some(entry::hash(core)))
    }

    /// Folds the log to its end. That it cannot be remembered is no error.
    pub(super) fn fold(&self) -> Result<()> {
        let mut history = lock(&self.history);
        let before = history.state.tail().clone();
        let first = !history.proved;
        history.read_on(self)?;
        if history.state.tail().number == 0 {
            return Err(Error::missing(Subject::Entry(1)).detail("the log is empty"));
        }
        let grown = *history.state.tail() != before || first;
        // On class C also what changes no head may come at any time.
        if grown || history.state.class() == Class::C {
            self.set_state(Arc::clone(&history.state));
        }
        // What stands there now may be put right: the damaged bytes are nothing to remember.
        if grown && !history.state.ends_unreadable() {
            let seen = history.state.seen();
            history.memory.remember(&seen);
        }
        Ok(())
    }

    /// Why what was seen of the log, or that a run is under way, could not be remembered; said once. Until it can be, an old
    /// copy put in place of the repository goes unseen.
    pub fn memory_failure(&self) -> Option<Error> {
        lock(&self.history).memory.failure.take()
    }

    /// Makes the tables of the fold count in the index, besides `own` ones that no entry names yet; condemned and
    /// deleted packs are not relied on by anything new. One that is missing or damaged is left out.
    pub(crate) fn sync_index(&self, own: &[IndexId]) -> Result<()> {
        let state = self.state();
        let mut in_force: BTreeSet<IndexId> = state.tables().map(|(id, _)| *id).collect();
        in_force.extend(own);
        let synced = self.index.sync(&in_force, &mut |id| self.load_table(id))?;
        self.incomplete
            .store(!synced.failed.is_empty(), Ordering::Relaxed);
        let mut unusable = self.lost_packs();
        unusable.extend(state.unusable_packs());
        self.index.set_unusable(unusable)
    }
}

/// Whether an entry may lie under a name of class A: those of class C name a process, and only one of them lies under both.
fn is_of_chain(entry: &Entry) -> bool {
    entry.process.is_none() || matches!(entry.action, Some(Action::Class(Class::C)))
}

/// What an error about an entry's file is about.
fn entry_subject(object: &str) -> Subject {
    match name::parse_numbered(object) {
        Some((number, None)) => Subject::Entry(number),
        _ => Subject::Object(object.to_owned()),
    }
}
