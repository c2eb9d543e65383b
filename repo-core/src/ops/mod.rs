//! What can be done with a repository: a file or folder each.

mod backup;
mod check;
mod forget;
mod ls;
mod prune;
mod restore;
mod sizes;
mod stats;
#[cfg(test)]
mod tests;
mod walk;

pub use backup::{BackupOptions, BackupSummary, Exclusions, Input, Marker, READERS_MAX, backup};
pub use check::{CheckOptions, CheckSummary, Finding, Harm, Subset, check};
pub use forget::{
    AHEAD_S, Anomaly, BEHIND_S, Candidate, Claim, Commit, Count, DURATION_S_MAX, Forget,
    ForgetOptions, ForgetPlan, Goes, Grouping, Keeps, Kept, NewTerms, Period, PlannedGroup, Policy,
    Quarantine, Reason, Removed, Span, Stored, Times, TooLate, Unforgotten, WithinSize, forget_ids,
    plan, set_terms, unforget,
};
pub use ls::{LsOptions, ls};
pub use prune::{MaxUnused, PruneOptions, PrunePlan, PruneSummary, Sum, prune};
pub use restore::{Overwrite, RestoreOptions, RestoreSummary, Selection, XattrSelection, restore};
pub use sizes::{Fit, fit, unique_sizes};
pub use stats::{StatsMode, StatsSummary, stats};
