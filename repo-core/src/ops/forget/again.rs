//! Class C: forgotten snapshots of which something is condemned are brought back as other forms of themselves.
//!
//! What is condemned there can never be relied on again: a prune that has waited for all others may delete it at any time. As long as
//! it is there, it can be read.
//!
//! 1. Blobs that lie only in packs that may go are copied to new ones, which are safe then.
//! 2. For each snapshot another form is stored and committed, checked as a backup that has found all that it holds in packs that stay,
//!    or has stored it.
//! 3. It is put under the terms of the old one.
//!
//! Stopped anywhere, the old ones are forgotten as before. Done again, a form that is there is found by what it says of itself.

use super::TooLate;
use super::held::{Held, unless_lost};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::Action;
use crate::id::{BlobId, SnapshotId};
use crate::index::{Marks, Want};
use crate::log::State;
use crate::ops::derive::{Made, Wanted, make, put_under, write_options};
use crate::ops::forget::tags_that_stay;
use crate::progress::{Interrupt, Progress, Silent};
use crate::repo::{Repo, Writer, Written};
use crate::snapshot::SnapshotInfo;
use std::collections::HashSet;

/// A form of a forgotten snapshot that says the same.
pub fn another_form(state: &State, info: SnapshotInfo) -> Wanted {
    let mut summary = info.summary.clone();
    summary.set_original(&info.first_form());
    summary.tags = tags_that_stay(state, &info);
    Wanted {
        forgotten: Some(state.terms(&info.id)),
        old: info,
        summary,
    }
}

/// What copying came to.
pub enum Copied {
    /// All that the snapshots hold is in packs that stay.
    Whole(Written),
    /// This one cannot be read whole.
    Lost(SnapshotId, TooLate),
}

/// Copies what these snapshots hold, as far as it lies in no pack that stays.
///
/// `Denied` without the right to forget and to commit. Memory: two bits for each blob of the index, 32 bytes for each blob that cannot be
/// read, and what writing takes.
pub fn copy(
    repo: &Repo,
    wanted: &[Wanted],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Copied> {
    refuse_others(repo)?;
    let options = write_options(repo, false, progress, interrupt);
    let mut lost = None;
    let copied = repo.write(options, |writer| {
        let mut held = Held::new(repo, &Silent, interrupt);
        let mut copier = Copier {
            repo,
            writer,
            met: repo.index().marks(),
            lost: HashSet::new(),
        };
        for Wanted { old, summary, .. } in wanted {
            let gone = held.below(summary.root, &mut |blobs| copier.have(blobs))?;
            if gone != TooLate::default() {
                lost = Some((old.id, gone));
                // No more is written.
                return Err(Error::missing(Subject::Snapshot(old.id)));
            }
            copier.writer.end_source()?;
        }
        Ok(())
    });
    match (lost, copied) {
        (Some((id, gone)), _) => Ok(Copied::Lost(id, gone)),
        (None, Ok(((), written))) => Ok(Copied::Whole(written)),
        (None, Err(e)) => Err(e),
    }
}

/// Who may not take a forget back does not do it this way either.
fn refuse_others(repo: &Repo) -> Result<()> {
    let unforget = Action::Unforget {
        snapshots: Vec::new(),
        reprieve: Vec::new(),
    };
    let commit = Action::Commit {
        snapshot: SnapshotId([0; 32]),
        index: Vec::new(),
        reprieve: Vec::new(),
        summary: Vec::new(),
    };
    let (state, me) = (repo.state(), repo.writer());
    match state.may_write(&me, &unforget) && state.may_write(&me, &commit) {
        true => Ok(()),
        false => {
            let place = Subject::Repository(repo.place());
            Err(Error::new(ErrorKind::Denied, place).detail(
                "a prune is about to delete what is wanted again, and to store it anew takes full access",
            ))
        }
    }
}

/// Finds blobs in packs that stay, or brings them there.
struct Copier<'a, 'w> {
    repo: &'a Repo,
    writer: &'a mut Writer<'w>,
    /// Blobs that were looked at.
    met: Marks,
    /// Those of them that cannot be read.
    lost: HashSet<BlobId>,
}

impl Copier<'_, '_> {
    fn have(&mut self, blobs: &[(BlobType, BlobId)]) -> Result<bool> {
        let mut all = true;
        for (kind, id) in blobs {
            all &= self.has(*kind, id)?;
        }
        Ok(all)
    }

    fn has(&mut self, kind: BlobType, id: &BlobId) -> Result<bool> {
        if !self.met.insert(id)? {
            return Ok(!self.lost.contains(id));
        }
        // A pack that is not there is not found a second time.
        while let Some(location) = self.repo.index().lookup(id, Want::Live)? {
            if self.writer.rely_on(&location)? {
                return Ok(true);
            }
        }
        match unless_lost(self.repo.read_blob(kind, id))? {
            Some(plaintext) => {
                self.writer.add(kind, id, &plaintext)?;
                Ok(true)
            }
            None => {
                self.lost.insert(*id);
                Ok(false)
            }
        }
    }
}

/// Commits these, and puts them under their terms. Gives their ids; `None` if something that they rely on is gone by now.
pub fn commit(
    repo: &Repo,
    wanted: &[Wanted],
    written: &Written,
    interrupt: &Interrupt,
) -> Result<Option<Vec<SnapshotId>>> {
    let mut tables = written.tables.clone();
    let mut done = Vec::new();
    for wanted in wanted {
        interrupt.check()?;
        let Made::Done(new) = make(repo, wanted, written, &mut tables)? else {
            return Ok(None);
        };
        settle(repo, wanted, &new)?;
        done.push(new);
    }
    Ok(Some(done))
}

/// Puts another form under the terms of the old one.
pub fn settle(repo: &Repo, wanted: &Wanted, new: &SnapshotId) -> Result<()> {
    put_under(repo, new, wanted.forgotten.unwrap_or_default())
}
