//! Groups of snapshots that have something in common.

use super::SnapshotInfo;
use std::collections::BTreeMap;

/// What the snapshots of a group have in common; nothing at all makes one group of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupBy {
    /// The host.
    pub host: bool,
    /// All paths.
    pub paths: bool,
    /// All tags.
    pub tags: bool,
    /// The label.
    pub label: bool,
}

/// What a group has in common; `None` for what does not count. Groups are in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// The host.
    pub host: Option<String>,
    /// The paths, sorted.
    pub paths: Option<Vec<Vec<u8>>>,
    /// The tags, sorted.
    pub tags: Option<Vec<String>>,
    /// The label.
    pub label: Option<String>,
}

/// Snapshots with something in common.
#[derive(Debug, Clone)]
pub struct Group {
    /// What that is.
    pub key: GroupKey,
    /// The snapshots, in the order in which they were given.
    pub snapshots: Vec<SnapshotInfo>,
}

impl GroupBy {
    /// The host and all paths: what a backup goes by unless told otherwise.
    pub const HOST_AND_PATHS: Self = Self {
        host: true,
        paths: true,
        tags: false,
        label: false,
    };

    /// Whether anything counts.
    pub fn any(&self) -> bool {
        self.host || self.paths || self.tags || self.label
    }

    /// The group that a snapshot belongs to.
    pub fn key(&self, info: &SnapshotInfo) -> GroupKey {
        let summary = &info.summary;
        let sorted = |mut tags: Vec<String>| {
            tags.sort();
            tags
        };
        GroupKey {
            host: self.host.then(|| summary.host.clone()),
            paths: self.paths.then(|| summary.paths.clone()),
            tags: self.tags.then(|| sorted(summary.tags.clone())),
            label: self.label.then(|| summary.label.clone()),
        }
    }
}

/// Puts snapshots into groups.
pub fn group(snapshots: Vec<SnapshotInfo>, by: &GroupBy) -> Vec<Group> {
    let mut groups: BTreeMap<GroupKey, Vec<SnapshotInfo>> = BTreeMap::new();
    for info in snapshots {
        groups.entry(by.key(&info)).or_default().push(info);
    }
    let group = |(key, snapshots)| Group { key, snapshots };
    groups.into_iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::snapshot::Summary;
    use crate::id::SnapshotId;

    fn info(number: u8, host: &str, path: &str, tags: &[&str]) -> SnapshotInfo {
        SnapshotInfo {
            id: SnapshotId([number; 32]),
            summary: Summary {
                host: host.into(),
                paths: vec![path.into()],
                tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
                ..Summary::default()
            },
        }
    }

    fn grouped(by: GroupBy) -> Vec<Vec<u8>> {
        let all = vec![
            info(1, "web", "/a", &["x", "y"]),
            info(2, "db", "/a", &[]),
            info(3, "web", "/b", &["y", "x"]),
            info(4, "db", "/a", &["x"]),
        ];
        let numbers = |group: Group| group.snapshots.iter().map(|info| info.id.0[0]).collect();
        group(all, &by).into_iter().map(numbers).collect()
    }

    #[test]
    fn snapshots_with_something_in_common_are_together() {
        let by = |host, paths, tags| GroupBy {
            host,
            paths,
            tags,
            label: false,
        };
        assert_eq!(grouped(by(false, false, false)), [[1, 2, 3, 4]]);
        assert_eq!(grouped(by(true, false, false)), [[2, 4], [1, 3]]);
        assert_eq!(grouped(by(false, true, false)), [&[1, 2, 4][..], &[3]]);
        // The order of tags does not matter.
        assert_eq!(grouped(by(false, false, true)), [&[2][..], &[4], &[1, 3]]);
        assert_eq!(grouped(by(true, true, true)).len(), 4);
        assert!(!by(false, false, false).any() && by(false, false, true).any());
    }

    #[test]
    fn what_does_not_count_is_not_in_the_key() {
        let key = |by: GroupBy| by.key(&info(1, "web", "/a", &["y", "x"]));
        let of_tags = key(GroupBy {
            tags: true,
            ..GroupBy::default()
        });
        assert_eq!((of_tags.host, of_tags.paths), (None, None));
        assert_eq!(of_tags.tags, Some(vec!["x".to_owned(), "y".to_owned()]));
    }
}
