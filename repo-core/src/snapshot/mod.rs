//! Snapshot records: list, select and group.

mod group;
mod past;

pub use group::{Group, GroupBy, GroupKey, group};
pub use past::{DeletedSnapshot, find_deleted, forgotten_at};

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::snapshot::Summary;
use crate::id::SnapshotId;
use crate::repo::Repo;
use std::sync::Arc;

/// Which snapshots are meant. An empty list means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these hosts.
    pub hosts: Vec<String>,
    /// All of these paths must be among the snapshot's.
    pub paths: Vec<Vec<u8>>,
    /// Any of these lists of tags, all tags of which the snapshot must have. An empty tag is that of a snapshot without tags.
    pub tags: Vec<Vec<String>>,
    /// Any of these labels; the empty one is that of snapshots without a label.
    pub labels: Vec<String>,
}

impl Filter {
    /// Whether a snapshot is meant.
    pub fn matches(&self, summary: &Summary) -> bool {
        (self.hosts.is_empty() || self.hosts.contains(&summary.host))
            && self.paths.iter().all(|path| summary.paths.contains(path))
            && (self.labels.is_empty() || self.labels.contains(&summary.label))
            && (self.tags.is_empty() || self.tags.iter().any(|list| has_all(&summary.tags, list)))
    }
}

/// Whether a snapshot with the tags `own` is meant by a list of tags, as restic reads one (`Snapshot.HasTags`): an empty tag,
/// reached before any that is not there, means all snapshots without tags.
fn has_all(own: &[String], list: &[String]) -> bool {
    for tag in list {
        if tag.is_empty() && own.is_empty() {
            return true;
        }
        if !own.contains(tag) {
            return false;
        }
    }
    true
}

/// A snapshot as listings show it.
#[derive(Debug, Clone)]
pub struct SnapshotInfo {
    /// Its id.
    pub id: SnapshotId,
    /// What is known of it.
    pub summary: Summary,
}

impl SnapshotInfo {
    /// The first form of it: the snapshot that it was made from by changing tags or the like, or itself.
    pub fn first_form(&self) -> SnapshotId {
        self.summary.original().unwrap_or(self.id)
    }
}

/// What [`list`] finds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Snapshots that match, oldest first; of the same time in the order in which they were committed, so that what was made of one, as by
    /// `rewrite`, is newer than it.
    pub snapshots: Vec<SnapshotInfo>,
    /// Snapshots of which nothing can be told, and why: whether they match is not known. In order of their ids.
    pub unreadable: Vec<(SnapshotId, Error)>,
}

/// Snapshots that match. Opens no snapshot object: their summaries stand in the log's fold. One that does not open, or is of
/// a newer version, does not hide the others.
pub fn list(repo: &Repo, filter: &Filter) -> Listing {
    opened(repo, repo.live_snapshots(), filter)
}

/// The same for snapshots that were forgotten and that no prune has deleted yet.
pub fn list_forgotten(repo: &Repo, filter: &Filter) -> Listing {
    opened(repo, forgotten(repo), filter)
}

fn forgotten(repo: &Repo) -> Vec<(SnapshotId, Arc<[u8]>)> {
    let state = repo.state();
    let rows = state.forgotten_snapshots();
    rows.map(|(id, row)| (*id, row.summary.clone())).collect()
}

fn opened(repo: &Repo, rows: Vec<(SnapshotId, Arc<[u8]>)>, filter: &Filter) -> Listing {
    let mut found = Listing::default();
    for (id, sealed) in rows {
        match repo.open_summary(&id, &sealed) {
            Ok(summary) if filter.matches(&summary) => {
                found.snapshots.push(SnapshotInfo { id, summary });
            }
            Ok(_) => {}
            Err(e) => found.unreadable.push((id, e.about(Subject::Snapshot(id)))),
        }
    }
    let state = repo.state();
    let number = |info: &SnapshotInfo| state.snapshot(&info.id).map(|row| row.number);
    found
        .snapshots
        .sort_by_cached_key(|info| (info.summary.time, number(info), info.id));
    found
}

/// The snapshot that `name` means: `latest` of those that match `filter` and can be told from others, or the beginning of an
/// id.
///
/// `NotFound` if there is none, `InvalidInput` if several ids begin so.
pub fn find(repo: &Repo, name: &str, filter: &Filter) -> Result<SnapshotInfo> {
    let none = || {
        Error::new(ErrorKind::NotFound, Subject::Setting("snapshot".into()))
            .detail(format!("no snapshot {name:?}"))
    };
    if name == "latest" {
        return list(repo, filter).snapshots.pop().ok_or_else(none);
    }
    of_name(repo, repo.live_snapshots(), name)
}

/// The forgotten snapshot whose id begins so; errors as [`find`].
pub fn find_forgotten(repo: &Repo, name: &str) -> Result<SnapshotInfo> {
    of_name(repo, forgotten(repo), name)
}

fn of_name(repo: &Repo, rows: Vec<(SnapshotId, Arc<[u8]>)>, name: &str) -> Result<SnapshotInfo> {
    let none = || {
        Error::new(ErrorKind::NotFound, Subject::Setting("snapshot".into()))
            .detail(format!("no snapshot {name:?}"))
    };
    if name.is_empty() {
        return Err(none());
    }
    let name_lower = name.to_ascii_lowercase();
    let matching = rows
        .into_iter()
        .filter(|(id, _)| id.to_hex().starts_with(&name_lower));
    let matching: Vec<_> = matching.collect();
    match &matching[..] {
        [] => Err(none()),
        [(id, sealed)] => Ok(SnapshotInfo {
            id: *id,
            summary: repo.open_summary(id, sealed)?,
        }),
        several => {
            let ids: Vec<String> = several.iter().map(|(id, _)| id.to_hex()).collect();
            Err(Error::invalid("snapshot").detail(several_begin_so(name, ids)))
        }
    }
}

/// How many of the snapshots a message names that may be meant.
const CANDIDATES_SHOWN: usize = 5;

/// Says which snapshots may be meant, each by as much of its id as is more than was given.
fn several_begin_so(name: &str, mut ids: Vec<String>) -> String {
    ids.sort();
    let more = ids.len().saturating_sub(CANDIDATES_SHOWN);
    let shown = ids.iter().take(CANDIDATES_SHOWN);
    let mut shown: Vec<&str> = shown
        .map(|id| &id[..id.len().min(name.len() + 8)])
        .collect();
    let more = format!("{more} more");
    if ids.len() > CANDIDATES_SHOWN {
        shown.push(&more);
    }
    let shown = shown.join(", ");
    format!("{} snapshots begin so: {shown}", ids.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What restic 0.19 lists.
    #[test]
    fn lists_of_tags_are_read_as_with_restic() {
        let has = |own: &str, list: &str| {
            let split = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
            let own = if own.is_empty() { vec![] } else { split(own) };
            has_all(&own, &split(list))
        };
        for (own, list, expected) in [
            ("", "", true),
            ("a", "", false),
            ("", ",", true),
            ("a", ",", false),
            ("a", "a", true),
            ("a,b", "b,a", true),
            ("a", "a,b", false),
            ("", "a", false),
            ("a", "a,", false),
            ("", "a,", false),
            ("", ",a", true),
            ("a", ",a", false),
        ] {
            assert_eq!(has(own, list), expected, "{list:?} of {own:?}");
        }
    }

    #[test]
    fn several_snapshots_are_told_apart() {
        let ids = |count: u8| (0..count).map(|n| SnapshotId([n; 32]).to_hex()).collect();
        assert_eq!(
            several_begin_so("0", ids(2)),
            "2 snapshots begin so: 000000000, 010101010"
        );
        let many = several_begin_so("", ids(9));
        assert!(
            many.starts_with("9 snapshots begin so: 00000000, "),
            "{many}"
        );
        assert!(many.ends_with("04040404, 4 more"), "{many}");
    }
}
