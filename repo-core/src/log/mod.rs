//! The commit log: what its entries add up to, and the checks before an entry is appended (`docs/design/0001-commit-log.md`).
//!
//! Pure: no I/O and no clock. `repo` reads entries and index tables, asks here what they mean and what may be appended,
//! and puts the answer into the log. On class A a state grows entry by entry ([`State::apply`]); on class C it is a
//! function of the set of entries, whatever their order ([`State::fold`]).

mod check;
mod checkpoint;
mod effect;
#[cfg(any(test, feature = "testutil"))]
pub mod explorer;
mod mutant;
mod prune;
mod rely;
mod roles;
mod set;
mod state;
mod tail;
#[cfg(any(test, feature = "testutil"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod unreadable;
mod wait;

pub use crate::format::checkpoint::{
    Condemned, Deleted, PackRow, RolesAt, SnapshotRow, TableRow, Tail, Terms, WaitingRow,
};
pub use check::{
    Catalog, CommitCheck, Lost, Reliance, UnforgetCheck, check_commit, check_not_rolled_back,
    check_unforget, decodes,
};
pub use checkpoint::{LoadTable, SaveTable, check_checkpoint};
pub use prune::{
    CondemnPlan, DeletePlan, Inventory, Kept, Needed, Present, Rows, keep, may_append_deleting,
    plan_condemn, plan_delete, plan_holds,
};
pub use rely::{chosen_over, stand_ins};
pub use state::{Outcome, PackState, Removals, Seen, State, VoidReason};
pub use tail::{Found, Prove, ReadEntry, catch_up_for, find_tail, repeated_by};
pub use unreadable::Unreadable;
pub use wait::{Announced, Blockers, condemned_of, deletion_blockers, snapshots_to_spare};
