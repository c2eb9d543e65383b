//! What deletions rest on, and entries that wait because it is nowhere.
//!
//! Behind an entry that deletes nobody reads any more what it names. So where it rests on something that the replica lacks and the source has lost,
//! neither it nor what stands around it is put: what the replica promised before, it keeps.

use super::deletions::has_all_needed;
use super::entries::Files;
use super::listing::EntryName;
use super::log::{self, clear_of};
use super::transfer::is_whole;
use super::{Job, Lacking};
use crate::error::Result;
use crate::format::entry::{self, EntryKind, ObjectRef};
use crate::format::name::ObjectKind;
use std::collections::HashSet;

/// Whether the replica has all of these, but for what is deleted since. What the source has no more is read: nothing else says whether it is
/// whole.
pub fn are_there(job: &Job<'_>, lacking: &Lacking, rests: &HashSet<ObjectRef>) -> Result<bool> {
    let (source, there) = (&lacking.source.named, &lacking.there.named);
    let state = job.by.map(|repo| repo.state());
    for object in rests {
        let is_there = there.contains_key(object);
        if is_there && source.contains_key(object) {
            continue;
        }
        let is_deleted = match &state {
            Some(state) => state.may_remove(&object.id),
            None => lacking.told(job)?.deleted.contains_key(object),
        };
        if is_deleted {
            continue;
        }
        if !is_there || !is_whole(job.to, object)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the new entries must wait, of which some were read already: one deletes, and the replica lacks what it rests on. What does not say
/// that only who has the key can tell.
pub fn must_wait(job: &Job<'_>, lacking: &Lacking, files: &Files) -> Result<bool> {
    let (mut rests, mut unsaid) = (HashSet::new(), false);
    for entry in lacking.new_entries() {
        match new_rests(job, entry, files)? {
            Rests::On(objects) => rests.extend(objects),
            Rests::Unsaid => unsaid = true,
            Rests::Nothing => {}
        }
    }
    if let (true, Some(repo)) = (unsaid, job.by)
        && !has_all_needed(repo, &lacking.there.named)?
    {
        return Ok(true);
    }
    Ok(!are_there(job, lacking, &rests)?)
}

/// What an entry rests on.
enum Rests {
    On(Vec<ObjectRef>),
    Unsaid,
    Nothing,
}

fn new_rests(job: &Job<'_>, entry: &EntryName, files: &Files) -> Result<Rests> {
    let read;
    let file = match files.get(entry) {
        Some((file, _)) => file,
        None => match log::read(job.from, entry) {
            Err(e) if e.is_lost() => return Ok(Rests::Nothing),
            file => {
                read = file?;
                &read
            }
        },
    };
    let core = entry::decode_damaged_file(file).map(|(core, _)| core);
    let Some(clear) = core.ok().and_then(|core| clear_of(entry, core)) else {
        return Ok(Rests::Nothing);
    };
    let state = job.by.map(|repo| repo.state());
    // Who has the key passes over what does not count.
    let goes = |object: &ObjectRef| state.as_ref().is_none_or(|s| s.may_remove(&object.id));
    let deletes = clear.kind == EntryKind::Deleting as u16
        && clear
            .objects
            .iter()
            .any(|o| o.kind != ObjectKind::Key && goes(o));
    Ok(match clear.rests_on() {
        _ if !deletes => Rests::Nothing,
        Some(objects) => Rests::On(objects),
        None => Rests::Unsaid,
    })
}
