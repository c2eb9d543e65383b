//! What can be done with a repository: a file or folder each.

mod backup;
mod batches;
mod check;
mod copy;
mod derive;
mod diff;
mod dump;
mod find;
mod forget;
mod heal;
mod history;
mod ls;
mod promote;
mod prune;
mod recover;
mod repair;
mod reshape;
mod restore;
mod rewrite;
mod sizes;
mod stats;
mod stored;
mod sync;
mod tag;
#[cfg(test)]
mod tests;
mod walk;

pub use backup::{BackupOptions, BackupSummary, Exclusions, Input, Marker, READERS_MAX, backup};
pub use check::{CheckOptions, CheckSummary, Finding, Harm, Subset, check};
pub use copy::{Became, CopyOptions, CopySummary, copy};
pub use derive::{Derived, Replace};
pub use diff::{
    DiffSummary, Difference, DiskOptions, Modifier, OneSide, TextDiff, TextSide, diff, diff_disk,
    text_diff,
};
pub use dump::{Archive, Dump, DumpSummary};
pub use find::{FoundObject, ObjectIds, Patterns, SizeIs, Version, Wanted, find, find_objects};
pub use forget::{
    ACCEPTED, AHEAD_S, Anomaly, BEHIND_S, Break, Candidate, Claim, Commit, Count, DURATION_S_MAX,
    Forget, ForgetOptions, ForgetPlan, Goes, Grouping, Keeps, Kept, NewTerms, Period, PlannedGroup,
    Policy, Quarantine, Reason, Regained, Removed, STANDS_S, Span, Stored, Times, TooLate,
    Unforgotten, WithinSize, forget_ids, plan, set_terms, unforget,
};
pub use heal::{Healed, heal};
pub use history::{Changed, Event, HostHistory, Moment, history, size_of};
pub use ls::{LsOptions, ls};
pub use promote::{GatherOptions, Gathered, Promoted, gather, may_promote, merge, promote};
pub use prune::{MaxUnused, PruneOptions, PrunePlan, PruneSummary, Sum, prune};
pub use recover::{RECOVERED_TAG, RecoverOptions, Recovered, recover};
pub use repair::{
    LostEntry, LostIn, Mended, REPAIRED_TAG, RepairIndexOptions, RepairIndexSummary,
    RepairLogOptions, RepairLogSummary, RepairSnapshotsOptions, RepairedPack, RepairedSnapshots,
    Uncommitted, WhyNot, repair_index, repair_log, repair_packs, repair_snapshots,
};
pub use restore::{Overwrite, RestoreOptions, RestoreSummary, Selection, XattrSelection, restore};
pub use rewrite::{REWRITE_TAG, RewriteOptions, rewrite};
pub use sizes::{Fit, fit, unique_sizes};
pub use stats::{Share, StatsMode, StatsSummary, stats, stats_by_ending, stats_by_snapshot};
pub use sync::{HeldBack, SyncOptions, SyncSummary, look, sync};
pub use tag::{TagChange, tag};
