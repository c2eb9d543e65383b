//! What can be done with a repository: a file or folder each.

mod backup;
mod check;
mod forget;
mod ls;
mod restore;
mod stats;
#[cfg(test)]
mod tests;

pub use backup::{BackupOptions, BackupSummary, Exclusions, Input, Marker, READERS_MAX, backup};
pub use check::{CheckOptions, CheckSummary, Finding, Harm, Subset, check};
pub use forget::{
    AHEAD_S, Anomaly, BEHIND_S, Candidate, Claim, Commit, Count, DURATION_S_MAX, Forget,
    ForgetOptions, ForgetPlan, Goes, Grouping, Keeps, Kept, NewTerms, Period, PlannedGroup, Policy,
    Quarantine, Reason, Removed, Span, Stored, Times, TooLate, Unforgotten, forget_ids, plan,
    set_terms, unforget,
};
pub use ls::{LsOptions, ls};
pub use restore::{Overwrite, RestoreOptions, RestoreSummary, Selection, XattrSelection, restore};
pub use stats::{StatsMode, StatsSummary, stats};
