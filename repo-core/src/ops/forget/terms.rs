//! Says how long snapshots are kept.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::Action;
use crate::id::SnapshotId;
use crate::log::{State, Terms};
use crate::repo::Repo;
use crate::time::Timestamp;

/// What is to be said anew of how long snapshots are kept; `None` leaves what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewTerms {
    /// Until when they must not be forgotten; inner `None` takes their protection back.
    pub protected_until: Option<Option<Timestamp>>,
    /// From when on they need not be kept; inner `None` means never.
    pub expires: Option<Option<Timestamp>>,
}

impl NewTerms {
    fn over(&self, before: Terms) -> (Option<Timestamp>, Option<Timestamp>) {
        (
            self.protected_until.unwrap_or(before.protected_until),
            self.expires.unwrap_or(before.expires),
        )
    }
}

/// Says it of these snapshots: one entry for each different outcome, as what is not said anew stays. Gives those of which
/// that was not so already.
///
/// `NotFound` about one that is not live in the newest fold; `Denied` without full access.
pub fn set_terms(repo: &Repo, ids: &[SnapshotId], new: &NewTerms) -> Result<Vec<SnapshotId>> {
    // On class C no deletion goes by a process at work: what is protected here is not deleted meanwhile.
    let _process = repo.announce()?;
    let mut changed = Vec::new();
    loop {
        let mut said = Vec::new();
        repo.append(&mut |state| {
            state.refuse_unreadable()?;
            let (snapshots, terms) = next(state, ids, new)?;
            said.clone_from(&snapshots);
            Ok((!snapshots.is_empty()).then_some(Action::Terms {
                snapshots,
                protected_until: terms.0,
                expires: terms.1,
            }))
        })?;
        if said.is_empty() {
            return Ok(changed);
        }
        changed.append(&mut said);
    }
}

type Said = (Option<Timestamp>, Option<Timestamp>);

/// The snapshots of which the same is to be said next, and what.
fn next(state: &State, ids: &[SnapshotId], new: &NewTerms) -> Result<(Vec<SnapshotId>, Said)> {
    let mut found: (Vec<SnapshotId>, Said) = Default::default();
    for id in ids {
        if !state.is_live(id) {
            let gone = Error::new(ErrorKind::NotFound, Subject::Snapshot(*id));
            return Err(gone.detail("it is forgotten"));
        }
        let before = state.terms(id);
        let said = new.over(before);
        let same = said == (before.protected_until, before.expires);
        if same || !found.0.is_empty() && said != found.1 || found.0.contains(id) {
            continue;
        }
        found.0.push(*id);
        found.1 = said;
    }
    Ok(found)
}
