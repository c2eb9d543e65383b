//! Files of the log that say nothing which is not known otherwise: entries that later ones repeat are written again as they were, and
//! checkpoints that cannot be read are removed.

use crate::error::Result;
use crate::format::entry::{self, CHECKPOINT_EVERY, Entry};
use crate::format::envelope::RecordType;
use crate::format::name;
use crate::log::catch_up_for;
use crate::ops::check::end_of_chain;
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::collections::BTreeMap;

/// What was put right, or can be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Entries whose files were missing or damaged.
    pub entries: Vec<u64>,
    /// Those of which no other file says what they said: nothing was done about them.
    pub lost: Vec<u64>,
    /// Checkpoints that could not be read.
    pub checkpoints: Vec<String>,
}

/// Puts right what can be, or in a dry run says what could be. Of class A only entries; those of class C are repeated by none.
///
/// Reads the whole log. Memory: sixteen entries.
pub fn mend(repo: &Repo, dry_run: bool, interrupt: &Interrupt) -> Result<Mended> {
    let mut mended = Mended::default();
    let end = end_of_chain(&repo.state());
    for first in (1..=end).step_by(CHECKPOINT_EVERY as usize) {
        interrupt.check()?;
        let group = Group::read(repo, first, end.min(first + CHECKPOINT_EVERY - 1))?;
        let lost = group.broken.iter().filter(|n| !group.cores.contains_key(n));
        mended.lost.extend(lost);
        for (number, file) in group.to_write() {
            if !dry_run {
                repo.backend().put(&name::entry(number), &file)?;
            }
            mended.entries.push(number);
        }
    }
    let mut checkpoints = Vec::new();
    repo.backend().list(name::CHECKPOINTS, &mut |found| {
        checkpoints.push(found.name);
        Ok(())
    })?;
    checkpoints.sort_unstable();
    for object in checkpoints {
        interrupt.check()?;
        // One that opens stays, whatever is wrong with what it rests on: it may be all that says what the log came to.
        let bytes = repo.backend().get(&object)?;
        if repo
            .envelopes()
            .open(RecordType::Checkpoint, &bytes)
            .is_ok()
        {
            continue;
        }
        if !dry_run {
            repo.backend().delete(&object)?;
        }
        mended.checkpoints.push(object);
    }
    Ok(mended)
}

/// Entries that repeat those before them.
struct Group {
    /// The cores of entries, from their own files or from later ones.
    cores: BTreeMap<u64, Vec<u8>>,
    /// Files that are not what they should be.
    broken: Vec<u64>,
}

impl Group {
    fn read(repo: &Repo, first: u64, last: u64) -> Result<Self> {
        let prove = |number: u64, core: &[u8]| {
            let opened = Entry::open(repo.envelopes(), core).ok();
            opened.filter(|signed| signed.entry.number == number)
        };
        let (mut files, mut cores) = (BTreeMap::new(), BTreeMap::new());
        let mut follows = BTreeMap::new();
        for number in first..=last {
            let file = match repo.backend().get(&name::entry(number)) {
                Ok(file) => file,
                Err(e) if e.is_lost() => continue,
                Err(e) => return Err(e),
            };
            let Ok((core, repeated)) = entry::decode_file(&file) else {
                continue;
            };
            let Some(signed) = prove(number, core) else {
                continue;
            };
            follows.insert(number - 1, signed.entry.follows);
            cores.insert(number, core.to_vec());
            let repeated: Vec<Vec<u8>> = repeated.iter().map(|core| core.to_vec()).collect();
            files.insert(number, repeated);
        }
        // What a file repeats counts where the entry itself cannot be read and the next one says that it follows this.
        for (number, repeated) in files.iter().rev() {
            for (core, at) in repeated.iter().rev().zip((first..*number).rev()) {
                let is_followed = |heads: &Vec<_>| heads == &[entry::hash(core)];
                if !cores.contains_key(&at) && follows.get(&at).is_some_and(is_followed) {
                    let Some(signed) = prove(at, core) else {
                        continue;
                    };
                    follows.insert(at - 1, signed.entry.follows);
                    cores.insert(at, core.clone());
                }
            }
        }
        let is_whole = |number: &u64| {
            files.get(number).is_some_and(|repeated| {
                let mut repeated = repeated.iter().rev().zip((first..*number).rev());
                repeated.all(|(core, at)| cores.get(&at).is_none_or(|known| known == core))
            })
        };
        let broken = (first..=last).filter(|number| !is_whole(number)).collect();
        Ok(Self { cores, broken })
    }

    /// Broken files as they should be, as far as that is known.
    fn to_write(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        self.broken.iter().filter_map(|number| {
            let core = self.cores.get(number)?;
            let core_of = |number| self.cores.get(&number).map(Vec::as_slice);
            let repeated = catch_up_for(*number, &core_of);
            Some((*number, entry::encode_file(core, &repeated)))
        })
    }
}
