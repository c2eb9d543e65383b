//! Forgets snapshots, by policy or by id, and takes that back; says how long a snapshot is kept.
//!
//! Everything here is one log entry. Objects stay until a prune deletes them, so what was forgotten can be had again till
//! then. What decides is pure ([`plan::plan`], [`policy::evaluate`]); on a lost race it is asked again on the newer fold.

mod again;
mod calendar;
mod execute;
mod groups;
mod held;
mod plan;
mod policy;
mod quarantine;
mod terms;
#[cfg(test)]
mod tests;
mod times;
mod undo;

pub(super) use execute::tags_that_stay;
pub use execute::{Forget, forget_ids};
pub use groups::Grouping;
pub use plan::{
    Candidate, ForgetOptions, ForgetPlan, Goes, Keeps, Kept, PlannedGroup, Removed, plan,
};
pub use policy::{Count, Period, Policy, Reason, Span, WithinSize};
pub use quarantine::{ACCEPTED, Anomaly, Break, Quarantine, STANDS_S};
pub use terms::{NewTerms, set_terms};
pub use times::{AHEAD_S, BEHIND_S, Claim, Commit, DURATION_S_MAX, Stored, Times};
pub use undo::{Regained, TooLate, Unforgotten, unforget};
