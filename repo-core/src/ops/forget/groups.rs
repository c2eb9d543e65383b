//! Series of snapshots: what a policy is applied to, one at a time.

use crate::snapshot::{GroupBy, GroupKey, SnapshotInfo};

/// Which snapshots are of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grouping {
    /// Those of one host and label; without a label, those of one host and set of paths.
    #[default]
    Series,
    /// Those with this in common.
    By(GroupBy),
}

impl Grouping {
    /// The series that a snapshot belongs to. The order of paths and of tags does not matter, nor that one comes twice.
    pub fn key(&self, info: &SnapshotInfo) -> GroupKey {
        let by = match self {
            Self::By(by) => *by,
            Self::Series => GroupBy {
                host: true,
                paths: info.summary.label.is_empty(),
                tags: false,
                label: !info.summary.label.is_empty(),
            },
        };
        let mut key = by.key(info);
        if let Some(paths) = &mut key.paths {
            paths.sort_unstable();
            paths.dedup();
        }
        if let Some(tags) = &mut key.tags {
            tags.dedup();
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::snapshot::Summary;
    use crate::id::SnapshotId;

    fn key(grouping: Grouping, label: &str, paths: &[&str]) -> GroupKey {
        let summary = Summary {
            host: "web".into(),
            label: label.into(),
            paths: paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
            ..Summary::default()
        };
        grouping.key(&SnapshotInfo {
            id: SnapshotId([1; 32]),
            summary,
        })
    }

    #[test]
    fn a_label_counts_for_more_than_paths() {
        let series = |label, paths: &[&str]| key(Grouping::Series, label, paths);
        assert_eq!(series("job", &["/a"]), series("job", &["/b", "/c"]));
        assert_ne!(series("job", &["/a"]), series("", &["/a"]));
        assert_ne!(series("", &["/a"]), series("", &["/a", "/b"]));
        assert_eq!(series("", &["/a", "/b"]), series("", &["/b", "/a", "/b"]));
    }

    #[test]
    fn what_is_asked_for_counts_alone() {
        let by = |label, paths: &[&str]| key(Grouping::By(GroupBy::HOST_AND_PATHS), label, paths);
        assert_eq!(by("job", &["/b", "/a"]), by("", &["/a", "/b"]));
        assert_ne!(by("job", &["/a"]), by("job", &["/b"]));
        let none = |label, paths: &[&str]| key(Grouping::By(GroupBy::default()), label, paths);
        assert_eq!(none("job", &["/a"]), none("", &["/b"]));
    }
}
