//! Makes snapshots out of others: with other tags, without some files, repaired.
//!
//! 1. Trees are written anew, if that is needed ([`super::reshape`]); packs and tables are safe then.
//! 2. For each snapshot a new one is stored and committed, checked as a backup that the old one lent everything: it must not be
//!    forgotten.
//! 3. The old ones are forgotten in one entry, if that is wanted.
//!
//! Stopped in between, both the old and the new ones are there. Done again, the new ones are found by what they say of
//! themselves, and are not made twice.

use super::forget::{NewTerms, forget_ids, set_terms, tags_that_stay};
use super::reshape::Shaped;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::Action;
use crate::format::snapshot::{Snapshot, Source, SourceKind, Summary};
use crate::id::{IndexId, SnapshotId};
use crate::log::Terms;
use crate::progress::{Interrupt, Progress};
use crate::repo::{CommitOutcome, CommitRequest, Repo, WriteOptions, Written};
use crate::snapshot::{Filter, SnapshotInfo, list};
use crate::time::now;
use std::collections::HashMap;

/// How often it is begun again when something that was relied on is deleted meanwhile.
pub(super) const PASSES_MAX: u32 = 20;

/// What becomes of the snapshots that others are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replace {
    /// They are forgotten once the new ones are there.
    pub forget: bool,
    /// Nothing is done at all.
    pub dry_run: bool,
}

/// A snapshot that was made from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// The other.
    pub old: SnapshotId,
    /// The new one. None in a dry run, and if nothing of the old one can be kept.
    pub new: Option<SnapshotId>,
    /// It was there already: an earlier run was stopped.
    pub found: bool,
    /// What is said of the old one.
    pub before: Summary,
    /// What is said of the new one, or would be.
    pub after: Summary,
}

/// A snapshot to be made.
pub(super) struct Wanted {
    pub old: SnapshotInfo,
    /// What is to be said of the new one.
    pub summary: Summary,
    /// The old one is forgotten and lends nothing: all that the new one holds was looked up. These are the terms that it had.
    pub forgotten: Option<Terms>,
}

/// A snapshot that says what it was made from, and has the tag if that is to stay.
pub(super) fn wanted(
    repo: &Repo,
    info: &SnapshotInfo,
    mut summary: Summary,
    replace: Replace,
    tag: &str,
) -> Wanted {
    summary.set_original(&info.first_form());
    summary.tags = tags_that_stay(&repo.state(), info);
    if !replace.forget && !summary.tags.iter().any(|there| there == tag) {
        summary.tags.push(tag.to_owned());
    }
    Wanted {
        old: info.clone(),
        summary,
        forgotten: None,
    }
}

/// Says in a summary what lies in its new tree, if that is another. What was lost of it are problems: a restore must not take what is
/// not in the snapshot for superfluous.
pub(super) fn count(summary: &mut Summary, shaped: &Shaped) {
    let counts = &shaped.counts;
    if summary.root != shaped.id || counts.lost > 0 {
        summary.set_root(shaped.id);
        summary.totals.files = counts.files;
        summary.totals.dirs = counts.dirs;
        summary.totals.bytes = counts.bytes;
        summary.totals.problems = summary.totals.problems.saturating_add(counts.lost);
    }
}

/// How trees are written that are made from others.
pub(super) fn write_options<'a>(
    repo: &Repo,
    dry_run: bool,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
) -> WriteOptions<'a> {
    WriteOptions {
        domain: repo.settings().domain,
        dry_run,
        ..WriteOptions::new(progress, interrupt)
    }
}

/// Brings the fold up to date. Fails if nothing can be appended to the log, or old snapshots are to be forgotten and this key may not, or
/// while an entry of the log cannot be read.
pub(super) fn begin(repo: &Repo, replace: Replace) -> Result<()> {
    repo.refresh()?;
    if !replace.dry_run {
        repo.refuse_to_append()?;
    }
    if !replace.forget {
        return Ok(());
    }
    let state = repo.state();
    state.refuse_unreadable()?;
    let snapshots = Vec::new();
    if !state.may_write(&repo.writer(), &Action::Forget { snapshots }) {
        let place = Subject::Repository(repo.place());
        return Err(Error::new(ErrorKind::Denied, place)
            .detail("this key may not forget the snapshots that are to be replaced"));
    }
    Ok(())
}

/// `Denied` about the first of these that is protected, if they are to be forgotten.
pub(super) fn refuse_protected<'a>(
    repo: &Repo,
    olds: impl IntoIterator<Item = &'a SnapshotId>,
    replace: Replace,
) -> Result<()> {
    let (state, now) = (repo.state(), now());
    let mut olds = olds.into_iter();
    match olds.find(|old| replace.forget && state.is_protected(old, now)) {
        Some(old) => {
            let protected = Error::new(ErrorKind::Denied, Subject::Snapshot(*old));
            Err(protected.detail("it is protected"))
        }
        None => Ok(()),
    }
}

/// Live snapshots that say what they were made from, by that; not those of which an entry in doubt says that they are.
pub(super) struct Twins(HashMap<SnapshotId, Vec<SnapshotInfo>>);

impl Twins {
    pub fn of(repo: &Repo) -> Self {
        let (state, mut twins) = (repo.state(), HashMap::<_, Vec<_>>::new());
        for info in list(repo, &Filter::default()).snapshots {
            if let Some(original) = info.summary.original()
                && !state.is_in_doubt(&info.id)
            {
                twins.entry(original).or_default().push(info);
            }
        }
        Self(twins)
    }

    /// One that is as the wanted one is to be.
    pub fn find(&self, wanted: &Wanted) -> Option<SnapshotId> {
        let twins = self.0.get(&wanted.summary.original()?)?.iter();
        let mut same = twins.filter(|twin| twin.summary == wanted.summary);
        same.find(|twin| twin.id != wanted.old.id)
            .map(|twin| twin.id)
    }
}

/// Commits the wanted snapshots, and forgets what they were made from if that is to be: `Denied`, and nothing is done, if one of these is
/// protected. `None` if what they rely on is gone by now:
/// to be begun again. Snapshots that were forgotten meanwhile are left out.
pub(super) fn commit(
    repo: &Repo,
    wanted: Vec<Wanted>,
    written: &Written,
    replace: Replace,
    interrupt: &Interrupt,
) -> Result<Option<Vec<Derived>>> {
    refuse_protected(repo, wanted.iter().map(|wanted| &wanted.old.id), replace)?;
    let twins = Twins::of(repo);
    let mut done = Vec::new();
    if replace.dry_run {
        done.extend(wanted.iter().map(|wanted| Derived {
            old: wanted.old.id,
            new: None,
            found: twins.find(wanted).is_some(),
            before: wanted.old.summary.clone(),
            after: wanted.summary.clone(),
        }));
        return Ok(Some(done));
    }
    let mut tables = written.tables.clone();
    let mut failed = None;
    let mut healed = true;
    for wanted in &wanted {
        let found = twins.find(wanted);
        let made = match found {
            Some(twin) => Ok(Made::Done(twin)),
            None => interrupt
                .check()
                .and_then(|()| make(repo, wanted, written, &mut tables)),
        };
        match made.and_then(|made| terms(repo, wanted, made)) {
            Ok(Made::Done(new)) => done.push(Derived {
                old: wanted.old.id,
                new: Some(new),
                found: found.is_some(),
                before: wanted.old.summary.clone(),
                after: wanted.summary.clone(),
            }),
            Ok(Made::Forgotten) => {}
            Ok(Made::Heal) => {
                healed = false;
                break;
            }
            Err(e) => {
                failed = Some(e);
                break;
            }
        }
    }
    // Also what was done before a failure is brought to its end.
    let olds: Vec<SnapshotId> = done.iter().map(|derived| derived.old).collect();
    if replace.forget && !olds.is_empty() && healed {
        let forgotten = forget_ids(repo, &olds);
        failed = failed.or(forgotten.err());
    }
    match failed {
        Some(e) => Err(e),
        None => Ok(healed.then_some(done)),
    }
}

pub(super) enum Made {
    Done(SnapshotId),
    /// The one that lends everything was forgotten meanwhile.
    Forgotten,
    Heal,
}

/// Stores a snapshot and commits it. The first that is committed names the new tables.
pub(super) fn make(
    repo: &Repo,
    wanted: &Wanted,
    written: &Written,
    tables: &mut Vec<IndexId>,
) -> Result<Made> {
    let old = wanted.old.id;
    let snapshot = repo.save_snapshot(&record(repo, wanted)?)?;
    let request = CommitRequest {
        snapshot,
        summary: wanted.summary.clone(),
        tables: tables.clone(),
        hits: written.hits.clone(),
        own: written.own.clone(),
        lender: wanted.forgotten.is_none().then_some(old),
        lent_on: None,
    };
    Ok(match repo.commit(&request)? {
        CommitOutcome::Committed => {
            tables.clear();
            Made::Done(snapshot)
        }
        CommitOutcome::Heal if request.lender.is_some() && !repo.state().is_live(&old) => {
            Made::Forgotten
        }
        CommitOutcome::Heal | CommitOutcome::Damaged(_) => Made::Heal,
    })
}

/// What the old one says, and the new summary. An old one that cannot be read any more is made up for by its summary, which the log
/// holds too.
fn record(repo: &Repo, wanted: &Wanted) -> Result<Snapshot> {
    let old = match repo.load_snapshot(&wanted.old.id) {
        Ok(old) => Some(old),
        Err(e) if matches!(e.kind(), ErrorKind::Missing | ErrorKind::Damaged) => None,
        Err(e) => return Err(e),
    };
    let (summary, before) = (wanted.summary.clone(), &wanted.old.summary);
    let mut sources = match old {
        Some(old) => old.sources,
        None => vec![plain_source(before)],
    };
    if let [source] = &mut sources[..]
        && source.totals == before.totals
    {
        source.totals = summary.totals;
    }
    Ok(Snapshot {
        domain: repo.settings().domain,
        writer: repo.writer(),
        sequence: repo.next_sequence(),
        sources,
        summary,
        ext: Vec::new(),
    })
}

/// A source of files of which no more is known than the snapshot's summary says.
pub(super) fn plain_source(summary: &Summary) -> Source {
    Source {
        kind: SourceKind::Files,
        name: summary.paths.first().cloned().unwrap_or_default(),
        chunker: 1,
        totals: summary.totals,
        dump: None,
        ext: Vec::new(),
    }
}

/// The new snapshot expires when the old one does.
fn terms(repo: &Repo, wanted: &Wanted, made: Made) -> Result<Made> {
    if let Made::Done(new) = &made {
        let old = Terms {
            protected_until: None,
            ..repo.state().terms(&wanted.old.id)
        };
        put_under(repo, new, old)?;
    }
    Ok(made)
}

/// Says these terms of a snapshot, as far as they say anything.
pub(super) fn put_under(repo: &Repo, id: &SnapshotId, terms: Terms) -> Result<()> {
    let new = NewTerms {
        protected_until: terms.protected_until.map(Some),
        expires: terms.expires.map(Some),
    };
    if new != NewTerms::default() {
        set_terms(repo, &[*id], &new)?;
    }
    Ok(())
}

/// What is said when what was relied on is deleted again and again.
pub(super) fn never_stands() -> Error {
    Error::new(ErrorKind::Unavailable, Subject::None)
        .detail("what it relies on was deleted meanwhile, each time it was done again")
}
