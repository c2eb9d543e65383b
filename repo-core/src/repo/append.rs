//! Appends to the log. Class A: an entry is put with put-if-absent under the next number; whoever gets there first has
//! it, and the others fold what came, redo their check and try again. No clock, no lock, no listing.

use super::{Repo, Shared, lock};
use crate::backend::{Backend, Class, Put, probe};
use crate::crypto::{Signer, random_array};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::{self, Action, Entry};
use crate::format::name;
use crate::id::IndexId;
use crate::log::{State, catch_up_for};
use crate::time::now;

/// How often an append is tried against others who are faster.
const TRIES_MAX: u32 = 1000;

impl Shared {
    /// Appends an entry signed by this holder; see [`Shared::append_as`].
    pub(super) fn append(
        &self,
        make: &mut dyn FnMut(&State) -> Result<Option<Action>>,
    ) -> Result<Option<u64>> {
        self.append_as(&self.holder.signer, make)
    }

    /// Appends what `make` makes of the newest fold, right after that fold: if others were faster, their entries are
    /// folded and `make` is asked again. `None` from `make` means that nothing is to be appended. Gives the number.
    ///
    /// An unclear answer of the place is cleared up by reading the entry. `Unsupported` on a place that overwrites.
    pub(super) fn append_as(
        &self,
        signer: &Signer,
        make: &mut dyn FnMut(&State) -> Result<Option<Action>>,
    ) -> Result<Option<u64>> {
        let mut history = lock(&self.history);
        for _ in 0..TRIES_MAX {
            history.read_on(self)?;
            if !history.state.may_append() {
                return Err(Error::unsupported(Subject::Repository(self.place()))
                    .detail("a newer version has written to this repository"));
            }
            self.probe_class(&history.state)?;
            let Some(action) = make(&history.state)? else {
                return Ok(None);
            };
            if !history.state.may_write(&signer.public(), &action) {
                let place = Subject::Repository(self.place());
                return Err(Error::new(ErrorKind::Denied, place)
                    .detail("this key may not write such a log entry"));
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
            let recent = &history.recent;
            let catch_up = catch_up_for(number, &|number| recent.get(&number).map(Vec::as_slice));
            let file = entry::encode_file(&core, &catch_up);
            self.open_segment(number)?;
            if self.put_entry(number, &file)? {
                self.check_segment(number)?;
                history.fold_cores(self, vec![core])?;
                history.memory.remember(&history.state.seen())?;
                self.set_state(history.state.clone());
                // The entry stands; a checkpoint only saves others reads.
                let _ = self.save_checkpoint(&mut history);
                return Ok(Some(number));
            }
        }
        Err(
            Error::new(ErrorKind::Unavailable, Subject::Repository(self.place()))
                .detail("others append to the log faster than we can"),
        )
    }

    /// Before the first append in a place: the tail entry's own bytes are put onto its own name. Anything but a refusal
    /// means that this place overwrites, and the log of class A would not be safe there.
    fn probe_class(&self, state: &State) -> Result<()> {
        if self.probed.get().is_some() {
            return Ok(());
        }
        let tail = state.tail().number;
        let class = match (tail, self.read_entry(tail)?) {
            (0, _) | (_, None) => probe::race(self.backend.as_ref(), "")?,
            (_, Some(bytes)) => probe::class(self.backend.as_ref(), &name::entry(tail), &bytes)?,
        };
        refuse_class_c(class, self.backend.as_ref())?;
        // Another thread may have found out the same.
        let _ = self.probed.set(class);
        Ok(())
    }

    /// Puts an entry; whether it is ours that stands there now.
    fn put_entry(&self, number: u64, file: &[u8]) -> Result<bool> {
        let name = name::entry(number);
        match self.backend.put_if_absent(&name, file) {
            Ok(Put::Created) => match self.backend.get(&name)? == file {
                true => Ok(true),
                false => Err(Error::damaged(Subject::Entry(number))
                    .detail("the place does not give back what was just written")),
            },
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
            .put_if_absent(&name::segment_open(number), name::SEGMENT_OPEN)?;
        Ok(())
    }

    /// After an append: a segment that is closed by now takes no entries, so the append has failed.
    fn check_segment(&self, number: u64) -> Result<()> {
        let open = name::segment_open(number);
        match self.backend.size(&open)? {
            Some(_) => Ok(()),
            None => {
                Err(Error::missing(Subject::Object(open)).detail("this part of the log is closed"))
            }
        }
    }
}

/// `Unsupported` for a place that overwrites.
pub(super) fn refuse_class_c(class: Class, backend: &dyn Backend) -> Result<()> {
    match class {
        Class::A => Ok(()),
        Class::C => Err(Error::unsupported(Subject::Repository(backend.place()))
            .detail("this place overwrites objects that it was told to keep (class C)")),
    }
}

impl Repo {
    /// Names a table in the log, so that its packs may be used by whoever comes next.
    pub(super) fn publish(&self, table: IndexId) -> Result<()> {
        self.append(&mut |_| Ok(Some(Action::Publish { index: vec![table] })))?;
        Ok(())
    }
}
