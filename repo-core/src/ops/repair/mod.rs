//! Puts right what can be put right, without making anything worse: what is replaced stays until its replacement is there, and what
//! is not known to be lost is left alone.

mod entries;
mod index;
mod log;
mod packs;
mod snapshots;

pub use entries::Mended;
pub(super) use entries::mend;
pub use index::{RepairIndexOptions, RepairIndexSummary, repair_index};
pub use log::{LostEntry, RepairLogOptions, RepairLogSummary, Uncommitted, WhyNot, repair_log};
pub use packs::{RepairedPack, repair_packs};
pub(super) use snapshots::Mending;
pub use snapshots::{REPAIRED_TAG, RepairSnapshotsOptions, RepairedSnapshots, repair_snapshots};

use crate::error::{Error, ErrorKind};

/// Whether what an error is about is gone or wrong for good, as far as anybody can tell; any other may pass.
pub(super) fn is_lost(error: &Error) -> bool {
    use ErrorKind::{Damaged, Missing, NotFound};
    error.is_unreadable() || matches!(error.kind(), Damaged | Missing | NotFound)
}
