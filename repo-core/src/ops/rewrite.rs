//! Makes snapshots anew without some files, or with other words about them.

use super::derive::{
    self, Derived, PASSES_MAX, Replace, Wanted, count, never_stands, wanted, write_options,
};
use super::reshape::{Choice, Counts, Reshaper};
use super::restore::Selection;
use crate::error::Result;
use crate::format::snapshot::Summary;
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use crate::time::Timestamp;
use std::path::Path;

/// The tag of snapshots that were made anew beside the old ones.
pub const REWRITE_TAG: &str = "rewrite";

/// What is changed.
#[derive(Debug, Clone, Default)]
pub struct RewriteOptions {
    /// Which files stay.
    pub selection: Selection,
    /// The host is called so from now on.
    pub host: Option<String>,
    /// The backup was made then, and so far is the clock there ahead of UTC, in minutes.
    pub time: Option<(Timestamp, i16)>,
    /// Another description.
    pub description: Option<String>,
    /// Another label.
    pub label: Option<String>,
    /// What becomes of the old ones.
    pub replace: Replace,
}

/// Makes each of these snapshots anew, if that changes anything: the new one says which it was, and unless the old ones are
/// forgotten has the tag [`REWRITE_TAG`]. One of which an inclusion would leave nothing stays as it is. Gives what was changed.
///
/// `Denied` about one that is to be forgotten and is protected; the error of the first tree that cannot be read. Nothing is changed
/// then. All trees of the snapshots are read, those they share once, if files are chosen; no tree otherwise.
pub fn rewrite(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    options: &RewriteOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Derived>> {
    derive::begin(repo, options.replace)?;
    let _process = match options.replace.dry_run {
        true => None,
        false => repo.announce()?,
    };
    for _ in 0..PASSES_MAX {
        repo.refresh()?;
        let (wanted, written) = repo.write(
            write_options(repo, options.replace.dry_run, progress, interrupt),
            |writer| {
                let choice = match &options.selection {
                    Selection::All => Choice::All,
                    Selection::Include(lists) => Choice::Include(lists),
                    Selection::Exclude(lists) => Choice::Exclude(lists),
                };
                let looks = !matches!(choice, Choice::All);
                let mut shaper = Reshaper::new(repo, writer, (progress, interrupt), choice)?;
                let mut wanted = Vec::new();
                for info in snapshots
                    .iter()
                    .filter(|info| repo.state().is_live(&info.id))
                {
                    let mut summary = info.summary.clone();
                    if looks && let Some(shaped) = shaper.tree(&summary.root, Path::new("/"))? {
                        let emptied = shaped.counts == Counts::default();
                        if emptied && matches!(options.selection, Selection::Include(_)) {
                            continue;
                        }
                        count(&mut summary, &shaped);
                    }
                    wanted.extend(changed(repo, info, summary, options));
                }
                Ok(wanted)
            },
        )?;
        if let Some(done) = derive::commit(repo, wanted, &written, options.replace, interrupt)? {
            return Ok(done);
        }
    }
    Err(never_stands())
}

fn changed(
    repo: &Repo,
    info: &SnapshotInfo,
    mut summary: Summary,
    options: &RewriteOptions,
) -> Option<Wanted> {
    let set = |text: &mut String, new: &Option<String>| {
        if let Some(new) = new {
            text.clone_from(new);
        }
    };
    set(&mut summary.host, &options.host);
    set(&mut summary.description, &options.description);
    set(&mut summary.label, &options.label);
    if let Some((time, offset)) = options.time {
        (summary.time, summary.utc_offset_min) = (time, offset);
    }
    if summary == info.summary {
        return None;
    }
    Some(wanted(repo, info, summary, options.replace, REWRITE_TAG))
}
