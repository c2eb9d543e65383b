//! The log on the backend: finds its end, reads what is new, folds it.
//!
//! Class A. Numbers are dense, so the end is found by galloping and never by a listing; a checkpoint near it saves
//! reading what came before.

use super::memory::Memory;
use super::{Shared, lock};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::checkpoint::Checkpoint;
use crate::format::codec;
use crate::format::entry::{self, Entry};
use crate::format::envelope::RecordType;
use crate::format::name::{self, ObjectKind};
use crate::id::{EntryHash, IndexId, PackId, StateId};
use crate::log::{Found, State, check_checkpoint, check_not_rolled_back, find_tail};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

/// A checkpoint is looked for if it saves more reads than this.
const CHECKPOINT_READS_MIN: u64 = 3;

/// How many checkpoints are tried before the log is read from its beginning.
const CHECKPOINT_TRIES: usize = 3;

/// The fold in progress.
pub struct History {
    pub(super) state: State,
    pub(super) memory: Memory,
    /// Stored cores since the last number divisible by 16, for the catch-up of the next entry.
    pub(super) recent: BTreeMap<u64, Vec<u8>>,
    /// The checkpoint this fold came from or last wrote: the next one names its tables again.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Whether the memory was compared with the log.
    pub(super) proved: bool,
}

impl History {
    /// Nothing is folded yet.
    pub fn new(state: State, memory: Memory) -> Self {
        Self {
            state,
            memory,
            recent: BTreeMap::new(),
            checkpoint: None,
            proved: false,
        }
    }

    /// Notes that a backup has begun; says whether an earlier one of this client never ended.
    pub fn begin_run(&self) -> Result<bool> {
        self.memory.begin_run()
    }

    /// Notes that the backup has ended.
    pub fn end_run(&self) {
        self.memory.end_run();
    }

    /// Folds stored cores that follow the tail.
    pub(super) fn fold_cores(&mut self, shared: &Shared, cores: Vec<Vec<u8>>) -> Result<()> {
        let first = self.state.tail().number + 1;
        let open = |core: &[u8]| Entry::open(&shared.envelopes, core);
        self.state.apply_cores(&cores, &open)?;
        self.recent.extend((first..).zip(cores));
        let tail = self.state.tail().number;
        let kept = tail - tail % entry::CHECKPOINT_EVERY;
        self.recent = self.recent.split_off(&kept);
        Ok(())
    }

    /// Reads on from the tail until there is nothing more. In about 2·log2(n / 16) + 5 reads to find the end of n new
    /// entries, and then one for sixteen of them, or a checkpoint.
    pub(super) fn read_on(&mut self, shared: &Shared) -> Result<()> {
        let mut read = |number| shared.read_entry(number);
        let known = self.state.tail().number;
        let mut found = find_tail(known, &mut read)?;
        if found.tail > known {
            if found.reads_from(known + 1) > CHECKPOINT_READS_MIN {
                self.start_from_checkpoint(shared, &found, known)?;
            }
            let from = self.state.tail().number + 1;
            let cores = found.cores(from, found.tail, &mut read)?;
            self.fold_cores(shared, cores)?;
        }
        if !self.proved {
            self.prove(shared)?;
        }
        Ok(())
    }

    /// Takes the newest checkpoint that counts for the state. One that is missing or does not count is passed over.
    fn start_from_checkpoint(&mut self, shared: &Shared, found: &Found, known: u64) -> Result<()> {
        for number in found.checkpoints(known).take(CHECKPOINT_TRIES) {
            match shared.load_checkpoint(number) {
                Ok((state, checkpoint)) => {
                    self.state = state;
                    self.checkpoint = Some(checkpoint);
                    self.recent.clear();
                    return Ok(());
                }
                Err(e) if is_passed_over(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Compares the log with what this client saw of it before.
    fn prove(&mut self, shared: &Shared) -> Result<()> {
        if !self.memory.accept_rollback
            && let Some(seen) = self.memory.seen()?
        {
            let tail = self.state.tail().number;
            if tail < seen.number && shared.read_entry(seen.number)?.is_some() {
                // What came later is there, so this is no older log but one with a hole.
                let detail = format!("entry {} is there beyond it", seen.number);
                return Err(Error::missing(Subject::Entry(tail + 1)).detail(detail));
            }
            let hash_at = |number| Ok(shared.entry_hash(number)?.into_iter().collect());
            check_not_rolled_back(&seen, &self.state, hash_at)?;
        }
        self.proved = true;
        Ok(())
    }
}

fn is_passed_over(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::Missing | ErrorKind::Damaged | ErrorKind::Unsupported
    )
}

impl Shared {
    /// The file of an entry; `None` if there is none.
    pub(super) fn read_entry(&self, number: u64) -> Result<Option<Vec<u8>>> {
        match self.backend.get(&name::entry(number)) {
            Ok(file) if file.len() > entry::ENTRY_BYTES_MAX => {
                Err(Error::damaged(Subject::Entry(number)).detail("too large for an entry"))
            }
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn entry_hash(&self, number: u64) -> Result<Option<EntryHash>> {
        let Some(file) = self.read_entry(number)? else {
            return Ok(None);
        };
        let (core, _) = entry::decode_file(&file).map_err(|e| e.about(Subject::Entry(number)))?;
        Ok(Some(entry::hash(core)))
    }

    /// Loads a checkpoint, proves that the log went through it and that its signer may write such, and unfolds it.
    fn load_checkpoint(&self, number: u64) -> Result<(State, Checkpoint)> {
        let object = name::checkpoint(number);
        let about = |e: Error| e.about(Subject::Object(object.clone()));
        let bytes = self.backend.get(&object)?;
        let opened = self
            .envelopes
            .open(RecordType::Checkpoint, &bytes)
            .map_err(about)?;
        let checkpoint: Checkpoint = codec::decode(&opened.body).map_err(about)?;
        let unsigned = || about(Error::damaged(Subject::None).detail("is not signed"));
        let signer = opened.signer.ok_or_else(unsigned)?;
        let roles_at = checkpoint.roles.last().map_or(0, |roles| roles.number);
        let missing = || Error::missing(Subject::Entry(roles_at));
        let roles_file = self.read_entry(roles_at)?.ok_or_else(missing)?;
        let (roles_core, _) = entry::decode_file(&roles_file).map_err(about)?;
        let roles = Entry::open(&self.envelopes, roles_core).map_err(about)?;
        let heads: Vec<EntryHash> = self.entry_hash(number)?.into_iter().collect();
        let admin = self.holder.admin;
        check_checkpoint(&checkpoint, &signer, &admin, &heads, &roles).map_err(about)?;
        let state = State::from_checkpoint(admin, &checkpoint, &mut |_, id| {
            Ok(self
                .load_record(ObjectKind::State, &id.0, RecordType::State)?
                .body)
        })
        // A state table that is missing or damaged is named itself.
        .map_err(|e| match e.subject() {
            Subject::None => about(e),
            _ => e,
        })?;
        Ok((state, checkpoint))
    }

    /// Reads and proves a checkpoint and its state tables, and names those.
    pub fn check_checkpoint(&self, number: u64) -> Result<Vec<StateId>> {
        let (_, checkpoint) = self.load_checkpoint(number)?;
        let tables = checkpoint.parts.iter().flat_map(|part| &part.tables);
        Ok(tables.map(|table| table.id).collect())
    }

    /// Writes a checkpoint of the fold, once its number is divisible by sixteen. That it cannot be written costs others
    /// reads and nothing else.
    pub(super) fn save_checkpoint(&self, history: &mut History) -> Result<()> {
        let number = history.state.tail().number;
        if !number.is_multiple_of(entry::CHECKPOINT_EVERY) {
            return Ok(());
        }
        let signer = Some(&self.holder.signer);
        let checkpoint =
            history
                .state
                .to_checkpoint(history.checkpoint.as_ref(), &mut |_, body| {
                    self.save_record(ObjectKind::State, RecordType::State, &body)
                        .map(StateId)
                })?;
        let body = codec::encode(&checkpoint);
        let bytes = self
            .envelopes
            .seal(RecordType::Checkpoint, &[], &body, signer)?;
        self.backend
            .put_if_absent(&name::checkpoint(number), &bytes)?;
        history.checkpoint = Some(checkpoint);
        Ok(())
    }

    /// Folds the log to its end.
    pub(super) fn fold(&self) -> Result<()> {
        let mut history = lock(&self.history);
        let before = history.state.tail().number;
        let first = !history.proved;
        history.read_on(self)?;
        if history.state.tail().number == 0 {
            return Err(Error::missing(Subject::Entry(1)).detail("the log is empty"));
        }
        if history.state.tail().number > before || first {
            history.memory.remember(&history.state.seen())?;
            self.set_state(history.state.clone());
        }
        Ok(())
    }

    /// Makes the tables of the fold count in the index, besides `own` ones that no entry names yet; condemned and
    /// deleted packs are not relied on by anything new. One that is missing or damaged is left out.
    pub(super) fn sync_index(&self, own: &[IndexId]) -> Result<()> {
        let state = self.state();
        let mut in_force: BTreeSet<IndexId> = state.tables().map(|(id, _)| *id).collect();
        in_force.extend(own);
        let synced = self.index.sync(&in_force, &mut |id| self.load_table(id))?;
        self.incomplete
            .store(!synced.failed.is_empty(), Ordering::Relaxed);
        for (pack, _) in state.condemned() {
            self.index.set_usable(pack, false)?;
        }
        for (object, _) in state.deleted() {
            self.index.set_usable(&PackId(object.id), false)?;
        }
        Ok(())
    }
}
