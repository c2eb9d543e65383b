//! The protocol explored: every interleaving of small sets of processes, over the real fold and the real checks.
//!
//! Packs, blobs and snapshots are small numbers, entries are never sealed, and nothing is read or written. What decides is
//! what decides in a real repository: `State::apply` and `State::fold`, `check_commit`, `check_unforget`, `plan_condemn`,
//! `plan_delete`, `may_append_deleting`, `deletion_blockers`. The order of steps is the models' own; `repo` and `ops` must
//! keep to it, and the models are where to look it up.
//!
//! Looked for: a blob or snapshot object lost that a live snapshot needs (I1), also in a replica by its own log; something deleted that no entry
//! names (I2); on class C a commit that was reported done and is void.

mod backup;
mod class_a;
mod class_c;
mod hand_over;
mod mirror;
mod prune_a;
mod prune_c;
mod search;
mod setups;
#[cfg(test)]
mod tests;
mod unforget_c;
mod world;

pub use crate::log::mutant::Rule;
pub use search::{Limits, Report, Step};
pub use setups::{Setup, deep_setups, explore, setups};
