//! What can be done with a repository: a file or folder each.

mod backup;
mod check;
mod ls;
mod restore;
#[cfg(test)]
mod tests;

pub use backup::{BackupOptions, BackupSummary, Input, backup};
pub use check::{CheckOptions, CheckSummary, Finding, Harm, check};
pub use ls::ls;
pub use restore::{Overwrite, RestoreOptions, RestoreSummary, Selection, XattrSelection, restore};
