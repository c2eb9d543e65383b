//! Changes the tags of snapshots: each is replaced by one that is the same but for them.

use super::derive::{self, Derived, Replace, Wanted};
use super::forget::{ACCEPTED, tags_that_stay};
use crate::error::{Error, Result};
use crate::progress::Interrupt;
use crate::repo::{Repo, Written};
use crate::snapshot::SnapshotInfo;

/// What is to be done with tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagChange {
    /// They are these and no others.
    Set(Vec<String>),
    /// Some are added, behind those that are there, and then some are taken away.
    Change {
        /// These are added.
        add: Vec<String>,
        /// These are taken away.
        remove: Vec<String>,
    },
}

impl TagChange {
    fn over(&self, before: &[String]) -> Vec<String> {
        let (mut tags, add, remove) = match self {
            Self::Set(tags) => (Vec::new(), &tags[..], &[][..]),
            Self::Change { add, remove } => (before.to_vec(), &add[..], &remove[..]),
        };
        for tag in add {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        tags.retain(|tag| !remove.contains(tag));
        tags
    }
}

/// Changes the tags of these snapshots, each a [derived](Derived) one from then on that says which it was first; those whose tags
/// are so already are left alone. Gives what was changed. A tag that [accepts](super::ACCEPTED) a break stays only if somebody who may
/// forget gave it, or is giving it now.
///
/// `Denied` about one that is protected, and nothing is changed. Opens no tree.
pub fn tag(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    change: &TagChange,
    dry_run: bool,
    interrupt: &Interrupt,
) -> Result<Vec<Derived>> {
    let replace = Replace {
        forget: true,
        dry_run,
    };
    let state = repo.state();
    let changed = |info: &SnapshotInfo| {
        let stay = tags_that_stay(&state, info);
        let tags = change.over(&stay);
        let accepts = tags.len() > stay.len() && tags.iter().any(|tag| tag == ACCEPTED);
        (tags != info.summary.tags || accepts).then(|| {
            let mut summary = info.summary.clone();
            summary.set_original(&info.first_form());
            summary.tags = tags;
            summary
        })
    };
    let changed = snapshots.iter().filter_map(|info| {
        let (old, summary) = (info.clone(), changed(info)?);
        Some(Wanted {
            old,
            summary,
            forgotten: None,
        })
    });
    let wanted: Vec<Wanted> = changed.collect();
    derive::begin(repo, replace)?;
    derive::refuse_protected(repo, wanted.iter().map(|wanted| &wanted.old.id), replace)?;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let _process = match dry_run {
        true => None,
        false => repo.announce()?,
    };
    repo.refresh()?;
    let done = derive::commit(repo, wanted, &Written::default(), replace, interrupt)?;
    done.ok_or_else(|| -> Error { derive::never_stands() })
}
