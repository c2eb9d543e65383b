//! Entries on their way into a replica.
//!
//! What an entry deletes may be gone from the source, and needed by the states before that entry: the replica must not stop among them. So
//! of a chain the last entry that deletes is put first, with all before it repeated in its file, as every file repeats some: whoever folds the
//! log from then on sees that state, and no earlier one. Then each is put as it is.

use super::judge::{Verdict, judge};
use super::listing::{EntryName, name_of};
use super::log::{self, clear_of, deleted_by};
use super::transfer::threads;
use super::{Job, Lacking};
use crate::backend::{Put, put_if_absent_or_same};
use crate::error::{Error, Result};
use crate::format::entry::{self, CATCH_UP_BYTES_MAX};
use crate::format::name::SEGMENT_ENTRIES;
use crate::progress::Progress;
use crate::repo::on_threads;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// So many bytes of entries are kept until they are put.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Entries that were read, and what is wrong with each.
pub type Files = BTreeMap<EntryName, (Vec<u8>, Option<Error>)>;

/// Puts entries, those that the replica lacks and those whose files are to be written again. Where nothing is a repository yet several at once,
/// else in the order of their numbers. Gives how many are damaged in the source: they are named, and left out until they are put right, or an entry says that they
/// count for nothing.
pub fn put(job: &Job<'_>, lacking: &Lacking, mut files: Files, is_first: bool) -> Result<u64> {
    let entries = &lacking.log.entries;
    let left_out = AtomicU64::new(0);
    let put = |entry, known| -> Result<()> {
        let is_put = put_one(job, lacking, entry, known)?;
        left_out.fetch_add(u64::from(!is_put), Ordering::Relaxed);
        Ok(())
    };
    if is_first {
        let next = AtomicUsize::new(0);
        on_threads(threads(job.from, job.to), &|| {
            while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                job.interrupt.check()?;
                put(entry, None)?;
            }
            Ok(())
        })?;
    } else {
        put_newest_deletion(job, lacking, &files)?;
        for entry in entries {
            job.interrupt.check()?;
            put(entry, files.remove(entry))?;
        }
    }
    Ok(left_out.into_inner())
}

/// The first of these entries, as far as they fit into memory.
pub fn read_some(job: &Job<'_>, lacking: &[EntryName]) -> Result<Files> {
    let (mut files, mut bytes) = (Files::new(), 0);
    for entry in lacking {
        job.interrupt.check()?;
        let (file, wrong) = log::read_proved(job, entry)?;
        bytes += file.len();
        files.insert(*entry, (file, wrong));
        if bytes > KEPT_BYTES_MAX {
            break;
        }
    }
    Ok(files)
}

/// Puts the last entry that deletes something before those in front of it, if its file has room to repeat all that the replica lacks and what
/// stands among these, and all are of one segment of a chain: in another one nobody looks for it.
fn put_newest_deletion(job: &Job<'_>, lacking: &Lacking, files: &Files) -> Result<()> {
    let deletes = |entry: &EntryName| {
        let (file, None) = files.get(entry)? else {
            return None;
        };
        let (core, _) = entry::decode_file(file).ok()?;
        let clear = clear_of(entry, core)?;
        (!deleted_by(clear).is_empty()).then(|| core.to_vec())
    };
    let mut newest = lacking.log.entries.iter().rev();
    let newest = newest.find_map(|entry| Some((*entry, deletes(entry)?)));
    let (Some((newest, core)), Some(first)) = (newest, lacking.new_entries().next()) else {
        return Ok(());
    };
    if *first >= newest || segment(first) != segment(&newest) {
        return Ok(());
    }
    let Some(before) = cores_between(job, lacking, files, *first..newest)? else {
        return Ok(());
    };
    let is_chain = newest.1.is_none() && newest.0 - first.0 == before.len() as u64;
    if is_chain {
        let file = entry::encode_file(&core, &before);
        put_if_absent_or_same(job.to, &name_of(&newest), &file)?;
    }
    Ok(())
}

fn segment((number, _): &EntryName) -> u64 {
    number / SEGMENT_ENTRIES
}

/// The cores of these entries of the goal. `None` if they do not fit into the file of an entry, or one is damaged.
fn cores_between(
    job: &Job<'_>,
    lacking: &Lacking,
    files: &Files,
    entries: Range<EntryName>,
) -> Result<Option<Vec<Vec<u8>>>> {
    let (mut cores, mut bytes) = (Vec::new(), 0);
    for (entry, _) in lacking.goal.entries.range(entries) {
        let read;
        let (file, wrong) = match files.get(entry) {
            Some(known) => known,
            None => {
                read = log::read_proved(job, entry)?;
                &read
            }
        };
        if wrong.is_some() {
            return Ok(None);
        }
        let (core, _) = entry::decode_file(file)?;
        bytes += core.len() + size_of::<u32>();
        if bytes > CATCH_UP_BYTES_MAX {
            return Ok(None);
        }
        cores.push(core.to_vec());
    }
    Ok(Some(cores))
}

/// Puts an entry; whether it is there now. One that is damaged in the source is never put over another file.
fn put_one(
    job: &Job<'_>,
    lacking: &Lacking,
    entry: &EntryName,
    known: Option<(Vec<u8>, Option<Error>)>,
) -> Result<bool> {
    let name = name_of(entry);
    let (file, wrong) = match known {
        Some(known) => known,
        None => log::read_proved(job, entry)?,
    };
    if let Some(wrong) = &wrong
        && entry.0 >= lacking.told(job)?.void
    {
        job.progress.problem(Path::new(&name), wrong);
        return Ok(false);
    }
    if put_if_absent_or_same(job.to, &name, &file)? == Put::Created {
        return Ok(true);
    }
    match judge(job, &lacking.goal, entry, &file, &job.to.get(&name)?)? {
        Verdict::Same => {}
        Verdict::Source => job.to.put(&name, &file)?,
        Verdict::NotSource(_) if wrong.is_some() => {}
        Verdict::NotSource(e) => {
            job.progress.problem(Path::new(&name), &e);
            return Ok(false);
        }
        Verdict::TwoEntries => return Err(log::differs(job.to, entry)),
    }
    Ok(true)
}
