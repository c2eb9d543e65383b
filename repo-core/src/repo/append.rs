//! Appends to the log.
//!
//! Class A: an entry is put with put-if-absent under the next number; whoever gets there first has it, and the others fold
//! what came, redo their check and try again. No clock, no lock, no listing. Class C: names hold a nonce, so that entries
//! never meet; who appends looks at the log once more after the put.

use super::history::History;
use super::memory::Published;
use super::{Repo, Shared, lock};
use crate::backend::{Class, Put, probe, put_if_absent_or_same};
use crate::crypto::{Signer, random_array};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::{self, Action, Entry, ObjectRef};
use crate::format::name;
use crate::log::State;
use crate::time::now;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What an entry says, and what it rests on if it says that ([`entry::EntryClear::rests_on`]).
pub(crate) type Resting = (Action, Option<Vec<ObjectRef>>);

/// What is wrong with a place whose log takes no entries because it follows that of another place.
pub const IS_REPLICA: &str =
    "is a replica, which gets what it holds from the place that it follows";

/// How often an append is tried against others who are faster.
const TRIES_MAX: u32 = 1000;

impl Shared {
    /// Appends an entry signed by this holder; see [`Shared::append_as`].
    pub(crate) fn append(
        &self,
        make: &mut dyn FnMut(&Arc<State>) -> Result<Option<Action>>,
    ) -> Result<Option<u64>> {
        self.append_as(&self.holder.signer, make)
    }

    /// Says, by the admin key, that damaged entries count for nothing; nothing is appended if there are none.
    ///
    /// `Unavailable` about one that can be read when the whole log is read once more: what counts for nothing is never an entry that a
    /// place, or the way there, has garbled once.
    pub(crate) fn void_unreadable(&self) -> Result<Option<u64>> {
        let admin = self.ring().admin()?;
        // Entries of class C, which a log of class A does not look at, are damaged ones too.
        self.find_out_class()?;
        let again = self.fold_anew()?.to_void();
        self.append_as(&admin, &mut |state| {
            let entries = state.to_void();
            if let Some(entry) = entries.iter().find(|entry| !again.contains(entry)) {
                let passing = Error::new(ErrorKind::Unavailable, Subject::Entry(entry.number));
                return Err(passing.detail("could be read the second time: try again"));
            }
            Ok((!entries.is_empty()).then_some(Action::Void { entries }))
        })
    }

    /// Appends what `make` makes of the newest fold. On class A right after that fold: if others were faster, their
    /// entries are folded and `make` is asked again. `None` from `make` means that nothing is to be appended. Gives the
    /// number.
    ///
    /// An unclear answer of the place is cleared up by reading the entry. `Unavailable` if this process was taken for dead
    /// ([`Shared::is_fenced`]), also when that happened only after the put.
    pub(super) fn append_as(
        &self,
        signer: &Signer,
        make: &mut dyn FnMut(&Arc<State>) -> Result<Option<Action>>,
    ) -> Result<Option<u64>> {
        let mut resting = |state: &_| Ok(make(state)?.map(|action| (action, None)));
        self.append_resting_as(signer, &mut resting)
    }

    /// The same of a `Deleting` that says what it rests on.
    pub(crate) fn append_resting(
        &self,
        make: &mut dyn FnMut(&Arc<State>) -> Result<Option<Resting>>,
    ) -> Result<Option<u64>> {
        self.append_resting_as(&self.holder.signer, make)
    }

    fn append_resting_as(
        &self,
        signer: &Signer,
        make: &mut dyn FnMut(&Arc<State>) -> Result<Option<Resting>>,
    ) -> Result<Option<u64>> {
        let mut history = lock(&self.history);
        for _ in 0..TRIES_MAX {
            history.read_on(self)?;
            self.settle_class(&mut history)?;
            let Some(action) = make(&history.state)? else {
                self.set_state(Arc::clone(&history.state));
                return Ok(None);
            };
            if let Some(number) = self.try_append(&mut history, signer, action)? {
                return Ok(Some(number));
            }
        }
        Err(
            Error::new(ErrorKind::Unavailable, Subject::Repository(self.place()))
                .detail("others append to the log faster than we can"),
        )
    }

    /// Appends to the fold as it is; `None` if somebody else was faster.
    fn try_append(
        &self,
        history: &mut History,
        signer: &Signer,
        (action, rests_on): Resting,
    ) -> Result<Option<u64>> {
        if !history.state.may_append() {
            return Err(Error::unsupported(Subject::Repository(self.place()))
                .detail("a newer version has written to this repository"));
        }
        // That a place is of class C says nothing of packs, and is to be said before the rest.
        if !matches!(action, Action::Void { .. } | Action::Class(Class::C)) {
            refuse_behind(&history.state)?;
        }
        if !history.state.may_write(&signer.public(), &action) {
            let place = Subject::Repository(self.place());
            return Err(Error::new(ErrorKind::Denied, place)
                .detail("this key may not write such a log entry"));
        }
        let class = match action {
            // Whoever declares it does not trust the names of class A any more.
            Action::Class(Class::C) => Class::C,
            _ => history.state.class(),
        };
        let number = history.state.tail().number + 1;
        let nonce = random_array();
        let entry = Entry {
            number,
            nonce,
            follows: history.state.tail().heads.clone(),
            time: now(),
            process: self
                .process_nonce(&history.state)?
                .or_else(|| (class == Class::C).then_some(nonce)),
            action: Some(action),
        };
        let core = entry.seal_resting(&self.envelopes, signer, rests_on.as_ref())?;
        self.open_segment(number, class)?;
        let was_sound = history.was_sound(self, number);
        if !was_sound && !self.takes_entries.swap(false, Ordering::Relaxed) {
            self.check_segment(number)?;
        }
        match class {
            Class::A => {
                if !was_sound
                    && self.backend.size(&name::entry(number + 1))?.is_some()
                    && (self.read_entry(number)?.is_some() || self.is_authentic(number + 1)?)
                {
                    return self.next_is_there(number);
                }
                let file = entry::encode_file(&core, &history.catch_up(number));
                if !self.put_entry(&name::entry(number), number, &file)? {
                    return Ok(None);
                }
                self.check_segment(number)?;
                history.fold_cores(self, vec![Some(core)])?;
            }
            Class::C => self.add_to_set(history, &entry, &core)?,
        }
        self.has_appended.store(true, Ordering::Relaxed);
        // The entry stands: nothing from here on is a failure of it. A checkpoint only saves others reads.
        self.set_state(Arc::clone(&history.state));
        history.memory.remember(&history.state.seen());
        let _ = self.save_checkpoint(history, &entry.nonce);
        Ok(Some(number))
    }

    /// The number after the one that we would take is taken: others were faster, or ours was lost from the middle of the
    /// log and must not be given away again.
    fn next_is_there(&self, number: u64) -> Result<Option<u64>> {
        match self.read_entry(number)? {
            Some(_) => Ok(None),
            None => Err(Error::missing(Subject::Entry(number))
                .detail("later ones are there, so that nothing may be appended in its place")),
        }
    }

    /// Class C: puts the entry, and looks at the log once more. It must be there then, and its process not be fenced.
    fn add_to_set(&self, history: &mut History, entry: &Entry, core: &[u8]) -> Result<()> {
        let object = name::entry_of(entry.number, &entry.nonce);
        let repeated = match &history.set {
            Some(set) => set.repeated.catch_up(entry.number),
            // The one that ends the chain: what is before it is of class A.
            None => history.catch_up(entry.number),
        };
        let file = entry::encode_file(core, &repeated);
        if !self.put_entry(&object, entry.number, &file)? {
            return Err(Error::damaged(Subject::Object(object)).detail("somebody else's entry"));
        }
        if history.state.class() == Class::A {
            // Where the chain ends. Whoever else finds out at the same time may overwrite it, with the same meaning.
            put_if_absent_or_same(&*self.backend, &name::entry(entry.number), &file)?;
        }
        self.check_segment(entry.number)?;
        history.read_on(self)?;
        if history.state.folded(entry.number, &entry.nonce).is_none() {
            return Err(Error::missing(Subject::Object(object))
                .detail("the place does not list what was just written"));
        }
        self.process_nonce(&history.state).map(drop)
    }

    /// Finds out what kind of place this is, and says so in the log, folded before, if it is weaker than the log says.
    pub(super) fn find_out_class(&self) -> Result<()> {
        let mut history = lock(&self.history);
        self.settle_class(&mut history)?;
        self.set_state(Arc::clone(&history.state));
        Ok(())
    }

    fn settle_class(&self, history: &mut History) -> Result<()> {
        while history.state.class() == Class::A && self.place_class(history)? == Class::C {
            if history.state.tail().number == 0 {
                history.state = Arc::new(State::new(history.state.admin(), Class::C));
                return Ok(());
            }
            let action = Action::Class(Class::C);
            self.try_append(history, &self.holder.signer, (action, None))?;
        }
        Ok(())
    }

    /// Before the first append in a place: the tail entry's own bytes are put onto its own name. Anything but a refusal
    /// means that this place overwrites, and the log of class A would not be safe there.
    fn place_class(&self, history: &History) -> Result<Class> {
        if let Some(class) = self.probed.get() {
            return Ok(*class);
        }
        let tail = history.state.tail().number;
        let file = match &history.tail_file {
            Some((number, file)) if *number == tail => Some(file.clone()),
            _ => self.read_entry(tail)?,
        };
        let class = match (tail, file) {
            (0, _) | (_, None) => probe::race(self.backend.as_ref(), "")?,
            (_, Some(file)) => probe::class(self.backend.as_ref(), &name::entry(tail), &file)?,
        };
        // Another thread may have found out the same.
        Ok(*self.probed.get_or_init(|| class))
    }

    /// Puts an entry; whether it is ours that stands there now. That it cannot be read back for a moment does not take
    /// back that it was created.
    fn put_entry(&self, object: &str, number: u64, file: &[u8]) -> Result<bool> {
        match self.backend.put_if_absent(object, file) {
            Ok(Put::Created) => match self.backend.get(object) {
                Ok(there) if there == file => Ok(true),
                Ok(_) => Err(Error::damaged(Subject::Entry(number))
                    .detail("the place does not give back what was just written")),
                Err(e) if e.kind() == ErrorKind::Unavailable => Ok(true),
                Err(e) => Err(e),
            },
            Ok(Put::Exists) => Ok(self.backend.get(object)? == file),
            Err(e) if e.kind() == ErrorKind::Unavailable => match self.backend.get(object) {
                Ok(there) => Ok(there == file),
                Err(_) => Err(e),
            },
            Err(e) => Err(e),
        }
    }

    /// Before a segment's first entry: says that it takes entries. On class A also makes sure that the last entry of the
    /// segment before is durable, which lies in another directory.
    fn open_segment(&self, number: u64, class: Class) -> Result<()> {
        let first = number == 1 || number.is_multiple_of(name::SEGMENT_ENTRIES);
        if !first {
            return Ok(());
        }
        if number > 1 {
            // Else the next segment would open where none takes entries.
            self.check_segment(number - 1)?;
        }
        if number > 1 && class == Class::A {
            let before = name::entry(number - 1);
            let bytes = self.backend.get(&before)?;
            put_if_absent_or_same(&*self.backend, &before, &bytes)?;
        }
        let open = name::segment_open(number);
        put_if_absent_or_same(&*self.backend, &open, name::SEGMENT_OPEN)?;
        Ok(())
    }

    /// Before an append and after it: a segment that is closed by then takes no entries, so the append has failed.
    fn check_segment(&self, number: u64) -> Result<()> {
        let open = name::segment_open(number);
        match self.backend.size(&open)? {
            Some(_) => Ok(()),
            None if self.backend.size(name::REPLICA)?.is_some() => {
                let place = Subject::Repository(self.place());
                Err(Error::new(ErrorKind::InvalidInput, place).detail(IS_REPLICA))
            }
            None => {
                Err(Error::missing(Subject::Object(open)).detail("this part of the log is closed"))
            }
        }
    }
}

/// What an entry says that cannot be read may be anything, such as that packs are deleted, and its right bytes may come back:
/// nothing is put behind it.
pub(super) fn refuse_behind(state: &State) -> Result<()> {
    let detail = match state.class() {
        Class::A => "is the newest one, so that nothing can follow it",
        Class::C => "is missing, so that nothing can follow those behind it",
    };
    match state.barrier() {
        Some(number) => Err(Error::damaged(Subject::Entry(number)).detail(detail)),
        None => Ok(()),
    }
}

impl Shared {
    /// Refuses a log to which nothing can be appended, because of an entry that cannot be read or because it is that of a replica: before
    /// work is done that would be lost.
    pub(crate) fn refuse_to_append(&self) -> Result<()> {
        let state = self.state();
        refuse_behind(&state)?;
        let tail = state.tail().number;
        if tail > 0 && !lock(&self.history).was_sound(self, tail + 1) {
            self.check_segment(tail)?;
            self.takes_entries.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Repo {
    /// Names a table in the log, so that its packs may be used by whoever comes next. Remembers it first: what never came
    /// into the log is not counted, and what did is not forgotten.
    pub(super) fn publish(&self, published: Published) -> Result<()> {
        lock(&self.history).memory.publishes(published);
        let index = vec![published.table];
        self.append(&mut |_| {
            Ok(Some(Action::Publish {
                index: index.clone(),
            }))
        })?;
        Ok(())
    }
}
