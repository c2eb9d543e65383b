//! How a backup is made.

use super::node::Rules;
use super::select::Exclusions;
use crate::compress::Level;
use crate::error::{Error, Result};
use crate::format::settings::Settings;
use crate::id::SnapshotId;
use crate::pattern;
use crate::snapshot::GroupBy;
use crate::time::Timestamp;
use std::time::Duration;

/// Most files that are read at once. Each of its threads has 2 MiB of content to read, and as many waiting.
pub const READERS_MAX: usize = 256;

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
    /// How hard to compress.
    pub level: Level,
    /// A pack is closed at this many bytes, within [`Settings::PACK_BYTES`](crate::format::settings::Settings::PACK_BYTES);
    /// as the repository's settings say if `None`.
    pub pack_bytes: Option<u32>,
    /// How many small files are read at once, on threads of their own; at most [`READERS_MAX`]. 0 leaves them to the
    /// threads that do everything else.
    pub readers: usize,
    /// Files of which no block holds anything but their own content, so that the length of a block tells nothing of a secret
    /// to whom can write what would lie beside it.
    pub isolate: Option<pattern::List>,
    /// What is left out of the paths.
    pub exclude: Exclusions,
    /// Count what there is to read as soon as the backup has taken so long, for who shows how far it is; `None` never does.
    pub scan_after: Option<Duration>,
    /// Make no snapshot if what is backed up is as the parent has it, for a stream its content. Directories above what is
    /// backed up do not count. Where something had to be stored again, a snapshot is made nevertheless.
    pub skip_if_unchanged: bool,
}

impl BackupOptions {
    /// `InvalidInput` about what is out of bounds.
    pub(super) fn check(&self) -> Result<()> {
        if self.readers > READERS_MAX {
            return Err(Error::invalid("readers").detail("more than 256"));
        }
        match self.pack_bytes {
            Some(bytes) if !Settings::PACK_BYTES.contains(&bytes) => {
                Err(Error::invalid("pack size").detail("not from 1 MiB to 256 MiB"))
            }
            _ => Ok(()),
        }
    }

    /// What of a node is recorded, and what shows that it changed.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            ctime: !self.ignore_ctime && !self.ignore_inode,
            inode: !self.ignore_inode,
            atime: self.with_atime,
        }
    }
}
