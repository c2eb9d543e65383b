//! Flags of `backup` that say what counts as changed, what is compared with what, and how files are read and stored.

use crate::env::Env;
use crate::exit::Failure;
use crate::message;
use crate::selection::parse_group_by;
use crate::writing::{given, refused};
use clap::Args;
use repo_core::Error;
use repo_core::ops::{BackupOptions, READERS_MAX};
use repo_core::pattern::List;
use repo_core::snapshot::GroupBy;
use std::ffi::OsString;

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

/// How files are read, and what they share with others.
#[derive(Args, Debug)]
pub struct ReadingFlags {
    /// Read N small files at once, on threads of their own; large ones are read one at a time [$LARDER_READ_CONCURRENCY,
    /// default 0: on the threads that compress]
    #[arg(long, value_name = "N", help_heading = "How to read and store")]
    read_concurrency: Option<OsString>,

    /// Do not count beforehand what there is to read; no percentage and no remaining time is shown then. Nothing is counted in
    /// the first second, nor where no progress is shown
    #[arg(long, help_heading = "How to read and store")]
    no_scan: bool,

    /// Keep the content of files that match this pattern apart from all other content, where it is compressed; may be given
    /// more than once
    #[arg(long, value_name = "PATTERN", help_heading = "How to read and store")]
    isolate: Vec<OsString>,
}

impl ReadingFlags {
    /// Whether it may be counted beforehand what there is to read.
    pub fn scans(&self) -> bool {
        !self.no_scan
    }

    /// Puts them into the options of a backup.
    pub fn apply(&self, env: &Env, options: &mut BackupOptions) -> Result<(), Failure> {
        let name = "READ_CONCURRENCY";
        if let Some((name, value)) = given("--read-concurrency", &self.read_concurrency, env, name)
        {
            let number = value.to_str().and_then(|text| text.parse().ok());
            options.readers = number.filter(|n| *n <= READERS_MAX).ok_or_else(|| {
                let advice = format!("It is a number of files up to {READERS_MAX}.");
                refused(&name, &value, &advice)
            })?;
        }
        if !self.isolate.is_empty() {
            let list = List::parse(&self.isolate, false);
            options.isolate = Some(list.map_err(|error| wrong_pattern(&error))?);
        }
        Ok(())
    }
}

fn wrong_pattern(error: &Error) -> Failure {
    Failure::usage(format!(
        "--isolate: {}\nPatterns are those of --exclude; to take a character for itself put `\\` before it.",
        message::reason(error)
    ))
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
