//! How a client finds the end of a class A log and reads what it lacks, in few reads and without a listing.
//!
//! Numbers are dense, so their presence can be searched for. An entry file repeats the cores from the last number
//! divisible by [`CHECKPOINT_EVERY`]; therefore probes look at those numbers first, and the file at the end of a group of
//! sixteen mostly brings the whole group.
//!
//! Reads of a client that is `gap` entries behind: 1 if none is new; about 2·log2(gap / 16) + 5 to find the tail; then one
//! for each group of sixteen, or with a checkpoint near the tail no more than two.
//!
//! Files may be damaged, missing, or lie there and be nobody's. So nothing that a file says is believed before its entry is
//! proved, or is the one that a proved entry follows.

use crate::error::{Error, Result, Subject};
use crate::format::entry::{
    CATCH_UP_BYTES_MAX, CATCH_UP_ENTRIES_MAX, CHECKPOINT_EVERY, decode_damaged_file, hash,
};
use crate::id::EntryHash;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Reads an entry file by number; `None` if there is none. A refusal is an error, never `None`.
pub type ReadEntry<'a> = dyn FnMut(u64) -> Result<Option<Vec<u8>>> + 'a;

/// Says what a core follows if it is an authentic entry of that number; `None` if it is not.
pub type Prove<'a> = dyn Fn(u64, &[u8]) -> Result<Option<Vec<EntryHash>>> + 'a;

/// The end of a log and what was read of it so far.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The highest number. [`Found::cores`] lowers it if it turns out that what is there does not belong to the log.
    pub tail: u64,
    /// How many files were asked for.
    pub reads: u64,
    /// What was read of each core: from its own file and from later ones, which may differ if a file was damaged.
    copies: BTreeMap<u64, Vec<Vec<u8>>>,
    /// The numbers whose own files were read.
    files: BTreeSet<u64>,
    /// The numbers that had none.
    absent: BTreeSet<u64>,
    /// The file with the highest number that was read.
    newest: Option<(u64, Vec<u8>)>,
}

impl Found {
    fn probe(&mut self, number: u64, read: &mut ReadEntry<'_>) -> Result<bool> {
        self.reads += 1;
        let Some(file) = read(number)? else {
            self.absent.insert(number);
            return Ok(false);
        };
        self.files.insert(number);
        if self
            .newest
            .as_ref()
            .is_none_or(|(newest, _)| *newest <= number)
        {
            self.newest = Some((number, file.clone()));
        }
        let own = match decode_damaged_file(&file) {
            Ok((core, catch_up)) => {
                self.note_repeated(number, &catch_up);
                core.to_vec()
            }
            // What does not even come apart is for the fold to step over.
            Err(_) => file,
        };
        self.copies.entry(number).or_default().insert(0, own);
        Ok(true)
    }

    /// Takes in the file of an entry as it lies under another name, which counts where its own does not, and makes that the tail if it is
    /// beyond it.
    pub fn note_copy(&mut self, number: u64, file: &[u8]) {
        if let Ok((core, catch_up)) = decode_damaged_file(file) {
            self.copies.entry(number).or_default().push(core.to_vec());
            self.note_repeated(number, &catch_up);
            self.tail = self.tail.max(number);
        }
    }

    fn note_repeated(&mut self, number: u64, catch_up: &[&[u8]]) {
        for (back, core) in catch_up.iter().rev().enumerate() {
            let Some(at) = number.checked_sub(1 + back as u64) else {
                break;
            };
            self.copies.entry(at).or_default().push(core.to_vec());
        }
    }

    /// The cores from `from` to the tail, in order. Reads the files it needs.
    ///
    /// Where an entry's file differs from what later ones repeat of it, the copy counts that the next entry follows: a damaged
    /// or missing file is no loss while a later one repeats it. `None` for an entry of which there is no right copy although
    /// a proved one comes after it. A damaged one at the end is given as it is. Above a number that has no file there must be
    /// a proved entry; otherwise the log ends before it.
    pub fn cores(
        &mut self,
        from: u64,
        read: &mut ReadEntry<'_>,
        prove: &Prove<'_>,
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let mut cores = Vec::new();
        let mut any_proved = false;
        let mut followed: Option<Vec<EntryHash>> = None;
        for number in (from..=self.tail).rev() {
            let found = match &followed {
                Some(followed) => self.followed_core(number, followed, read)?,
                None => self.proved_core(number, read, prove)?,
            };
            if let Some(core) = found {
                any_proved = true;
                // One that does not open is followed if a repair has cleared it. What it says of those before it counts for nothing.
                followed = prove(number, &core)?;
                cores.push(Some(core));
                continue;
            }
            let is_known = followed.take().is_some();
            let own = self.own_core(number, read)?;
            if own.is_none() && !any_proved {
                cores.clear();
                self.tail = number - 1;
            } else {
                cores.push(own.filter(|_| !is_known));
            }
        }
        cores.reverse();
        Ok(cores)
    }

    /// What the entry after `number` follows, or the hash of the entry itself if it is the tail: what the log went through there.
    /// `None` if that cannot be said. May lower the tail, as [`Found::cores`].
    pub fn heads_at(
        &mut self,
        number: u64,
        read: &mut ReadEntry<'_>,
        prove: &Prove<'_>,
    ) -> Result<Option<Vec<EntryHash>>> {
        if number < self.tail {
            let next = self.cores(number + 1, read, prove)?.into_iter().next();
            if let Some(next) = next {
                return next.map_or(Ok(None), |core| prove(number + 1, &core));
            }
        }
        if number != self.tail {
            return Ok(None);
        }
        let core = self.proved_core(number, read, prove)?;
        Ok(core.map(|core| vec![hash(&core)]))
    }

    /// A core that was read of an entry of one of these hashes.
    pub fn core_of(&self, number: u64, hashes: &[EntryHash]) -> Option<&[u8]> {
        let is_it = |core: &&Vec<u8>| hashes.contains(&hash(core));
        self.copies_of(number).iter().find(is_it).map(Vec::as_slice)
    }

    /// The file of the tail, if it was read.
    pub fn into_tail_file(self) -> Option<(u64, Vec<u8>)> {
        self.newest.filter(|(number, _)| *number == self.tail)
    }

    /// The copy that a proved entry follows. Where the files that are read anyway have none, all that may repeat it are.
    fn followed_core(
        &mut self,
        number: u64,
        followed: &[EntryHash],
        read: &mut ReadEntry<'_>,
    ) -> Result<Option<Vec<u8>>> {
        let group_end = number.next_multiple_of(CHECKPOINT_EVERY).min(self.tail);
        let last = number - number % CHECKPOINT_EVERY + CHECKPOINT_EVERY;
        let others = (number + 1..=last.min(self.tail)).map(Some);
        for file in [None, Some(group_end), Some(number)]
            .into_iter()
            .chain(others)
        {
            if let Some(file) = file.filter(|file| !self.files.contains(file)) {
                self.probe(file, read)?;
            }
            let right = |core: &&Vec<u8>| followed.contains(&hash(core));
            if let Some(core) = self.copies_of(number).iter().find(right) {
                return Ok(Some(core.clone()));
            }
        }
        self.read_first_beyond(number, read)?;
        Ok(self.core_of(number, followed).map(<[u8]>::to_vec))
    }

    /// Reads the first file behind an entry that has none: where a sync was stopped, that repeats all before it that the place lacks.
    fn read_first_beyond(&mut self, number: u64, read: &mut ReadEntry<'_>) -> Result<()> {
        let last = self.tail.min(number.saturating_add(CATCH_UP_ENTRIES_MAX));
        for beyond in number + 1..=last {
            if self.files.contains(&beyond)
                || !self.absent.contains(&beyond) && self.probe(beyond, read)?
            {
                break;
            }
        }
        Ok(())
    }

    /// The first copy that is an entry of this number.
    fn proved_core(
        &mut self,
        number: u64,
        read: &mut ReadEntry<'_>,
        prove: &Prove<'_>,
    ) -> Result<Option<Vec<u8>>> {
        if !self.files.contains(&number) {
            self.probe(number, read)?;
        }
        for core in self.copies_of(number) {
            if prove(number, core)?.is_some() {
                return Ok(Some(core.clone()));
            }
        }
        Ok(None)
    }

    /// What lies in the entry's own file, whatever it is.
    fn own_core(&mut self, number: u64, read: &mut ReadEntry<'_>) -> Result<Option<Vec<u8>>> {
        if !self.files.contains(&number) {
            self.probe(number, read)?;
        }
        let first = self.copies_of(number).first().cloned();
        Ok(first.filter(|_| self.files.contains(&number)))
    }

    fn copies_of(&self, number: u64) -> &[Vec<u8>] {
        self.copies.get(&number).map_or(&[], Vec::as_slice)
    }

    /// About how many reads [`Found::cores`] needs from `from` to the tail.
    pub fn reads_from(&self, from: u64) -> u64 {
        let group = |number: u64| number.div_ceil(CHECKPOINT_EVERY);
        let missing = (from..=self.tail).filter(|number| !self.copies.contains_key(number));
        let groups: BTreeSet<u64> = missing.map(group).collect();
        groups.len() as u64
    }

    /// The numbers at which a checkpoint may stand that saves reads, newest first.
    pub fn checkpoints(&self, known: u64) -> impl Iterator<Item = u64> + use<> {
        let newest = self.tail - self.tail % CHECKPOINT_EVERY;
        (0..=newest / CHECKPOINT_EVERY)
            .rev()
            .map(|n| n * CHECKPOINT_EVERY)
            .take_while(move |number| *number > known)
    }
}

/// Finds the tail of a log of which entry `known` was seen (0: none). If entry `hint` is there, which may be a guess, it is
/// looked for above that. `Damaged` if the place has every number.
pub fn find_tail(known: u64, hint: u64, read: &mut ReadEntry<'_>) -> Result<Found> {
    let mut found = Found::default();
    found.tail = match hint > known && found.probe(hint, read)? {
        true => hint,
        false => known,
    };
    let next = found.tail.checked_add(1).ok_or_else(endless)?;
    if !found.probe(next, read)? {
        return Ok(found);
    }
    // `there` is there; gallop over the ends of groups until one is absent.
    let mut there = next;
    let group_end = |number: u64| number.checked_next_multiple_of(CHECKPOINT_EVERY);
    let mut absent = there
        .checked_add(1)
        .and_then(group_end)
        .ok_or_else(endless)?;
    let mut step = CHECKPOINT_EVERY;
    while found.probe(absent, read)? {
        there = absent;
        absent = absent.checked_add(step).ok_or_else(endless)?;
        step *= 2;
    }
    while absent - there > 1 {
        let middle = middle_of(there, absent);
        match found.probe(middle, read)? {
            true => there = middle,
            false => absent = middle,
        }
    }
    found.tail = there;
    Ok(found)
}

fn endless() -> Error {
    Error::damaged(Subject::Object("log".to_string()))
        .detail("the place has an entry of every number")
}

/// A number between the two, the end of a group if there is one.
fn middle_of(there: u64, absent: u64) -> u64 {
    let middle = there + (absent - there) / 2;
    let group_end = middle.next_multiple_of(CHECKPOINT_EVERY);
    match group_end < absent {
        true => group_end,
        false if group_end - CHECKPOINT_EVERY > there => group_end - CHECKPOINT_EVERY,
        false => middle,
    }
}

/// The numbers whose entries the file of entry `number` repeats: from the last below it that is divisible by [`CHECKPOINT_EVERY`].
pub fn repeated_by(number: u64) -> Range<u64> {
    let last = number.saturating_sub(1) / CHECKPOINT_EVERY * CHECKPOINT_EVERY;
    last.max(1)..number
}

/// What the file of entry `number` repeats: the cores of [`repeated_by`], the oldest left out if they do not fit; in order.
pub fn catch_up_for<'a>(number: u64, core_of: &dyn Fn(u64) -> Option<&'a [u8]>) -> Vec<Vec<u8>> {
    let mut cores = Vec::new();
    let mut bytes = 0;
    for before in repeated_by(number).rev() {
        let Some(core) = core_of(before) else { break };
        bytes += core.len() + size_of::<u32>();
        if bytes > CATCH_UP_BYTES_MAX {
            break;
        }
        cores.push(core.to_vec());
    }
    cores.reverse();
    cores
}
