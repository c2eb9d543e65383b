//! A read-only view by path: from a snapshot to what has a path in it, to what lies below, to its bytes.
//!
//! Everything that looks into snapshots stands on it, so that trees and blocks are read the same way everywhere. Callers hold
//! what [`follow`](crate::repo::Shared::follow) gives, so that what a prune moves meanwhile is found again.

mod ahead;
mod contents;
mod file_map;
mod generations;
mod origin;
mod pages;
mod path;
mod plan;
mod reader;
mod shelves;
mod templates;
mod time_layout;
mod versions;
mod view;
mod walk;

pub use contents::{CONTENTS_CACHE_BYTES, Contents, Whole, read_contents, read_contents_by};
pub use file_map::FileMap;
pub use pages::{NodeRef, Spot};
pub use path::{Found, Top, clean};
pub use plan::Entry;
pub use reader::{Reader, Reading};
pub use templates::{PATHS, TIME, Templates};
pub use view::{Facts, Listed, Object, Plain, View, ViewOptions};
pub use walk::Walk;
