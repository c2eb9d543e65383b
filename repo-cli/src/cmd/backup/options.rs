//! Flags of `backup` that say what counts as changed, and what is compared with what.

use crate::selection::parse_group_by;
use clap::Args;
use repo_core::ops::BackupOptions;
use repo_core::snapshot::GroupBy;

/// What is compared, and what is recorded of it.
#[derive(Args, Debug)]
pub struct CompareFlags {
    /// Find the parent among snapshots that have these in common: host, paths, tags, label, separated by commas; '' for the
    /// newest of all
    #[arg(
        short,
        long,
        value_name = "GROUP",
        default_value = "host,paths",
        hide_default_value = true,
        value_parser = parse_group_by,
        help_heading = "What to compare"
    )]
    group_by: GroupBy,

    /// Do not take a file for changed because its ctime is another one
    #[arg(long, help_heading = "What to compare")]
    ignore_ctime: bool,

    /// Do not take a file for changed because its inode or its ctime is another one
    #[arg(long, help_heading = "What to compare")]
    ignore_inode: bool,

    /// Make no snapshot if it would be the same as its parent; directories above the paths do not count
    #[arg(long, help_heading = "What to compare")]
    skip_if_unchanged: bool,

    /// Record when files and directories were read last
    #[arg(long, help_heading = "What to record")]
    with_atime: bool,
}

impl CompareFlags {
    /// Puts them into the options of a backup.
    pub fn apply(&self, options: &mut BackupOptions) {
        options.group_by = Some(self.group_by);
        options.ignore_ctime = self.ignore_ctime;
        options.ignore_inode = self.ignore_inode;
        options.skip_if_unchanged = self.skip_if_unchanged;
        options.with_atime = self.with_atime;
    }
}
