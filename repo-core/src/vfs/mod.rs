//! A read-only view by path: from a snapshot to what has a path in it, to what lies below, to its bytes.
//!
//! Everything that looks into snapshots stands on it, so that trees and blocks are read the same way everywhere. Callers hold
//! what [`follow`](crate::repo::Shared::follow) gives, so that what a prune moves meanwhile is found again.

mod contents;
mod origin;
mod path;
mod plan;
mod walk;

pub use contents::{Contents, Whole, read_contents};
pub use path::{Found, Top, clean};
pub use plan::Entry;
pub use walk::Walk;
