//! What becomes of what is in the target already.

use crate::app::App;
use crate::exit::Failure;
use crate::repository;
use clap::{Args, ValueEnum};
use repo_core::ops::{Overwrite, RestoreOptions, Selection};
use std::path::Path;

/// Flags for targets that are not empty, and for how content is written.
#[derive(Args, Debug)]
pub struct ExistingFlags {
    /// Which files that are there become what the snapshot says; their content is compared first
    #[arg(long, value_name = "WHEN", default_value = "always")]
    overwrite: When,

    /// Remove from the target what is not in the snapshot; look with --dry-run -v first
    #[arg(long)]
    delete: bool,

    /// Show what would be done, write nothing; -v names what would be changed
    #[arg(long)]
    dry_run: bool,

    /// Read back what was restored, and compare
    #[arg(long, conflicts_with = "dry_run")]
    verify: bool,

    /// Make holes of zeros also where the original had none
    #[arg(long)]
    sparse: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    /// All
    Always,
    /// All, but those of the recorded size and time are taken to have the recorded content
    IfChanged,
    /// Those that are older than the snapshot's
    IfNewer,
    /// None
    Never,
}

impl From<When> for Overwrite {
    fn from(when: When) -> Self {
        match when {
            When::Always => Self::Always,
            When::IfChanged => Self::IfChanged,
            When::IfNewer => Self::IfNewer,
            When::Never => Self::Never,
        }
    }
}

impl ExistingFlags {
    /// Sets the options that they mean; which nodes are meant must be known. Refuses to empty a whole machine.
    pub fn set(
        &self,
        app: &App,
        target: &Path,
        options: &mut RestoreOptions,
    ) -> Result<(), Failure> {
        if self.delete {
            let all = matches!(options.selection, Selection::All);
            let root = target
                .canonicalize()
                .is_ok_and(|target| target == Path::new("/"));
            if all && root {
                return Err(Failure::usage(
                    "--delete with the target / would remove everything that is not in the snapshot\n\
                     Say by --include or --exclude what is meant.",
                ));
            }
            options.never_delete = repository::in_use(app)?;
        }
        options.overwrite = self.overwrite.into();
        options.delete = self.delete;
        options.dry_run = self.dry_run;
        options.verify = self.verify;
        options.sparse = self.sparse;
        Ok(())
    }
}
