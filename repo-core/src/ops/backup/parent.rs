//! Which snapshot a backup compares with.

use super::BackupOptions;
use crate::error::Result;
use crate::repo::Repo;
use crate::snapshot::{Filter, GroupBy, SnapshotInfo, list};
use std::collections::BTreeSet;

/// The given one, or the newest of the same group, which may have one of these sets of paths, passing over what cannot be
/// read; `None` if told to read everything. If a time is given, it is not newer than that.
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
    let snapshots = list(repo, &Filter::default()).snapshots;
    Ok(snapshots
        .into_iter()
        .rfind(|info| is_of_group(info, series, options)))
}

fn is_of_group(info: &SnapshotInfo, series: &[Vec<Vec<u8>>], options: &BackupOptions) -> bool {
    let by = options.group_by.unwrap_or(GroupBy::HOST_AND_PATHS);
    let theirs = &info.summary;
    let same_paths = || {
        let mut paths = theirs.paths.clone();
        paths.sort();
        series.contains(&paths)
    };
    let set = |tags: &[String]| tags.iter().cloned().collect::<BTreeSet<_>>();
    options.time.is_none_or(|time| theirs.time <= time)
        && (!by.host || theirs.host == options.host)
        && (!by.label || theirs.label == options.label)
        && (!by.tags || set(&theirs.tags) == set(&options.tags))
        && (!by.paths || same_paths())
}
