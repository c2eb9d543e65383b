//! How a backup is made.

use super::node::Rules;
use super::select::Exclusions;
use crate::id::SnapshotId;
use crate::snapshot::GroupBy;
use crate::time::Timestamp;

/// How a backup is made.
#[derive(Debug, Clone, Default)]
pub struct BackupOptions {
    /// The host to record.
    pub host: String,
    /// The user to record.
    pub user: String,
    /// The time to record; now if `None`.
    pub time: Option<Timestamp>,
    /// Minutes east of UTC, for showing the time.
    pub utc_offset_min: i16,
    /// Tags.
    pub tags: Vec<String>,
    /// A name for the series.
    pub label: String,
    /// Free text.
    pub description: String,
    /// The program's name and version.
    pub program: String,
    /// The snapshot to compare with; `None` finds the newest of the same group that is not newer than `time`.
    pub parent: Option<SnapshotId>,
    /// What the snapshots of a group have in common; [`GroupBy::HOST_AND_PATHS`] if `None`.
    pub group_by: Option<GroupBy>,
    /// Compare with nothing: read every file.
    pub force: bool,
    /// Say what would be done, store nothing.
    pub dry_run: bool,
    /// A file whose time of the last change of metadata differs may be unchanged: size and time of the last change of content
    /// tell, and the inode.
    pub ignore_ctime: bool,
    /// As `ignore_ctime`, and the inode tells nothing either.
    pub ignore_inode: bool,
    /// Record when things were read last.
    pub with_atime: bool,
    /// What is left out of the paths.
    pub exclude: Exclusions,
    /// Make no snapshot if what is backed up is as the parent has it, for a stream its content. Directories above what is
    /// backed up do not count. Where something had to be stored again, a snapshot is made nevertheless.
    pub skip_if_unchanged: bool,
}

impl BackupOptions {
    /// What of a node is recorded, and what shows that it changed.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            ctime: !self.ignore_ctime && !self.ignore_inode,
            inode: !self.ignore_inode,
            atime: self.with_atime,
        }
    }
}
