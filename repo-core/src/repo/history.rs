//! The log on the backend: reads it to its end, appends to it.
//!
//! Class A. An entry is put with put-if-absent under the next number; whoever gets there first has it, and the others
//! fold what came, redo their check and try again. No clock, no lock, no listing.

use super::memory::Memory;
use super::{Repo, Shared, lock};
use crate::backend::{Class, Put};
use crate::crypto::{Signer, random_array};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::{self, Action, Entry};
use crate::format::name;
use crate::id::{EntryHash, IndexId};
use crate::log::{State, Unreadable, check_not_rolled_back};
use crate::time::now;
use std::collections::BTreeSet;

/// How often an append is tried against others who are faster, or a place that does not answer.
const TRIES_MAX: u32 = 1000;

/// The fold in progress.
pub struct History {
    state: State,
    memory: Memory,
    /// Hash of every entry folded, by number from 1.
    hashes: Vec<EntryHash>,
    /// Stored cores since the last number divisible by 16, for the catch-up of the next entry.
    recent: Vec<Vec<u8>>,
    /// Whether the memory was compared with the log.
    proved: bool,
}

impl History {
    /// Nothing is folded yet.
    pub fn new(state: State, memory: Memory) -> Self {
        Self {
            state,
            memory,
            hashes: Vec::new(),
            recent: Vec::new(),
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

    fn keep_recent(&mut self, number: u64, core: &[u8]) {
        if number.is_multiple_of(entry::CHECKPOINT_EVERY) {
            self.recent.clear();
        }
        self.recent.push(core.to_vec());
    }

    fn catch_up(&self) -> Vec<Vec<u8>> {
        let mut bytes = 0;
        let fits = self.recent.iter().rev().take_while(|core| {
            bytes += core.len() + 4;
            bytes <= entry::CATCH_UP_BYTES_MAX
        });
        let mut kept: Vec<_> = fits.cloned().collect();
        kept.reverse();
        kept
    }

    /// Folds one entry file.
    fn fold_file(&mut self, shared: &Shared, number: u64, file: &[u8]) -> Result<()> {
        let about = |e: Error| e.about(Subject::Entry(number));
        let (core, _) = entry::decode_file(file).map_err(about)?;
        let hash = entry::hash(core);
        match Entry::open(&shared.envelopes, core) {
            Ok(signed) => {
                self.state.apply(&signed).map_err(about)?;
            }
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                self.state
                    .note_unreadable(number, hash, Unreadable::Newer)?;
            }
            Err(e) if e.kind() == ErrorKind::Damaged => {
                self.state
                    .note_unreadable(number, hash, Unreadable::Damaged)?;
            }
            Err(e) => return Err(about(e)),
        }
        self.hashes.push(hash);
        self.keep_recent(number, core);
        Ok(())
    }

    /// Reads on from the tail until there is nothing more.
    fn read_on(&mut self, shared: &Shared) -> Result<()> {
        loop {
            let number = self.state.tail().number + 1;
            match shared.backend.get(&name::entry(number)) {
                Ok(file) => self.fold_file(shared, number, &file)?,
                Err(e) if e.kind() == ErrorKind::NotFound => break,
                Err(e) => return Err(e),
            }
        }
        if !self.proved {
            self.prove()?;
        }
        Ok(())
    }

    /// Compares the log with what this client saw of it before.
    fn prove(&mut self) -> Result<()> {
        if !self.memory.accept_rollback
            && let Some(seen) = self.memory.seen()?
        {
            let hash_at = |number: u64| {
                let at = usize::try_from(number)
                    .ok()
                    .and_then(|number| number.checked_sub(1));
                Ok(at
                    .and_then(|at| self.hashes.get(at))
                    .copied()
                    .into_iter()
                    .collect())
            };
            check_not_rolled_back(&seen, &self.state, hash_at)?;
        }
        self.proved = true;
        Ok(())
    }
}

impl Shared {
    /// Folds the log to its end.
    pub(super) fn fold(&self) -> Result<()> {
        let mut history = lock(&self.history);
        self.fold_locked(&mut history)
    }

    fn fold_locked(&self, history: &mut History) -> Result<()> {
        let before = history.state.tail().number;
        let first = !history.proved;
        history.read_on(self)?;
        if history.state.tail().number == 0 && before == 0 && first {
            return Err(Error::missing(Subject::Entry(1)).detail("the log is empty"));
        }
        if history.state.tail().number > before || first {
            history.memory.remember(&history.state.seen())?;
            self.set_state(history.state.clone());
        }
        Ok(())
    }

    /// Makes the tables of the fold count in the index, besides `own` ones that no entry names yet; condemned and
    /// deleted packs are not relied on by anything new.
    pub(super) fn sync_index(&self, own: &[IndexId]) -> Result<()> {
        let state = self.state();
        let mut in_force: BTreeSet<IndexId> = state.tables().map(|(id, _)| *id).collect();
        in_force.extend(own);
        let synced = self.index.sync(&in_force, &mut |id| self.load_table(id))?;
        if let Some((_, error)) = synced.failed.into_iter().next() {
            return Err(error);
        }
        for (pack, _) in state.condemned() {
            self.index.set_usable(pack, false)?;
        }
        for (object, _) in state.deleted() {
            self.index
                .set_usable(&crate::id::PackId(object.id), false)?;
        }
        Ok(())
    }

    /// Appends an entry signed by this holder; see [`Shared::append_as`].
    pub(super) fn append(
        &self,
        make: &mut dyn FnMut(&State) -> Result<Option<Action>>,
    ) -> Result<Option<u64>> {
        self.append_as(&self.holder.signer, Class::A, make)
    }

    /// Appends what `make` makes of the newest fold, right after that fold: if others were faster, their entries are
    /// folded and `make` is asked again. `None` from `make` means that nothing is to be appended. Gives the number.
    ///
    /// An unclear answer of the place is cleared up by reading the entry and comparing its nonce.
    pub(super) fn append_as(
        &self,
        signer: &Signer,
        class: Class,
        make: &mut dyn FnMut(&State) -> Result<Option<Action>>,
    ) -> Result<Option<u64>> {
        if class != Class::A {
            return Err(Error::unsupported(Subject::Repository(self.place()))
                .detail("this place cannot refuse to overwrite an object"));
        }
        let mut history = lock(&self.history);
        for _ in 0..TRIES_MAX {
            history.read_on(self)?;
            if !history.state.may_append() {
                return Err(Error::unsupported(Subject::Repository(self.place()))
                    .detail("a newer version has written to this repository"));
            }
            let Some(action) = make(&history.state)? else {
                return Ok(None);
            };
            if !history.state.may_write(&signer.public(), &action) {
                return Err(
                    Error::new(ErrorKind::Denied, Subject::Repository(self.place()))
                        .detail("this key may not write such a log entry"),
                );
            }
            let number = history.state.tail().number + 1;
            let entry = Entry {
                number,
                nonce: random_array(),
                follows: history.state.tail().heads.clone(),
                time: now(),
                process: None,
                action: Some(action),
            };
            let core = entry.seal(&self.envelopes, signer)?;
            let file = entry::encode_file(&core, &history.catch_up());
            self.open_segment(number)?;
            if self.put_entry(number, &file)? {
                self.check_segment(number)?;
                history.fold_file(self, number, &file)?;
                history.memory.remember(&history.state.seen())?;
                self.set_state(history.state.clone());
                return Ok(Some(number));
            }
        }
        Err(
            Error::new(ErrorKind::Unavailable, Subject::Repository(self.place()))
                .detail("others append to the log faster than we can"),
        )
    }

    /// Puts an entry; whether it is ours that stands there now.
    fn put_entry(&self, number: u64, file: &[u8]) -> Result<bool> {
        let name = name::entry(number);
        let answer = self.backend.put_if_absent(&name, file);
        match answer {
            Ok(Put::Created) => Ok(true),
            Ok(Put::Exists) => Ok(self.backend.get(&name)? == file),
            Err(e) if e.kind() == ErrorKind::Unavailable => match self.backend.get(&name) {
                Ok(there) => Ok(there == file),
                Err(_) => Err(e),
            },
            Err(e) => Err(e),
        }
    }

    /// Before a segment's first entry: says that it takes entries, and makes sure that the last entry of the segment
    /// before is durable, which lies in another directory.
    fn open_segment(&self, number: u64) -> Result<()> {
        let first = number == 1 || number.is_multiple_of(name::SEGMENT_ENTRIES);
        if !first {
            return Ok(());
        }
        if number > 1 {
            let before = name::entry(number - 1);
            let bytes = self.backend.get(&before)?;
            self.backend.put_if_absent(&before, &bytes)?;
        }
        self.backend
            .put_if_absent(&name::segment_open(number), b"open\n")?;
        Ok(())
    }

    /// After an append: a segment that is closed by now takes no entries, so the append has failed.
    fn check_segment(&self, number: u64) -> Result<()> {
        match self.backend.size(&name::segment_open(number))? {
            Some(_) => Ok(()),
            None => Err(Error::missing(Subject::Object(name::segment_open(number)))
                .detail("this part of the log is closed")),
        }
    }
}

impl Repo {
    /// Names a table in the log, so that its packs may be used by whoever comes next.
    pub(super) fn publish(&self, table: IndexId) -> Result<()> {
        self.append(&mut |_| Ok(Some(Action::Publish { index: vec![table] })))?;
        Ok(())
    }
}
