//! Which snapshot a backup compares with.

use super::BackupOptions;
use crate::error::Result;
use crate::repo::Repo;
use crate::snapshot::{Filter, SnapshotInfo, list};

/// The given one, or the newest of the same host and one of these sets of paths, passing over what cannot be read; `None` if
/// told to read everything.
pub fn find(
    repo: &Repo,
    series: &[Vec<Vec<u8>>],
    options: &BackupOptions,
) -> Result<Option<SnapshotInfo>> {
    if options.force {
        return Ok(None);
    }
    if let Some(id) = &options.parent {
        return crate::snapshot::find(repo, &id.to_hex(), &Filter::default()).map(Some);
    }
    let filter = Filter {
        hosts: vec![options.host.clone()],
        ..Filter::default()
    };
    let same = |info: &SnapshotInfo| {
        let mut theirs = info.summary.paths.clone();
        theirs.sort();
        series.contains(&theirs)
    };
    let snapshots = list(repo, &filter).snapshots;
    Ok(snapshots.into_iter().rfind(same))
}
