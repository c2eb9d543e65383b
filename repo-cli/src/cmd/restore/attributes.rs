//! Owners and extended attributes.

use crate::exit::Failure;
use crate::patterns;
use clap::Args;
use repo_core::fs::Owners;
use repo_core::ops::{RestoreOptions, XattrSelection};
use repo_core::pattern::List;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

/// Flags for what files have besides their content.
#[derive(Args, Debug)]
#[command(next_help_heading = "Attributes")]
pub struct AttributeFlags {
    /// Do not set the owners of files
    #[arg(long)]
    no_owner: bool,

    /// Set owners by their names, as far as this machine has them, and not by their numbers; in access control lists
    /// numbers count
    #[arg(long, conflicts_with = "no_owner")]
    ownership_by_name: bool,

    /// Only extended attributes with names that this pattern matches, as in 'user.*'; may be given more than once
    #[arg(
        long, value_name = "PATTERN", value_parser = patterns::parser(), conflicts_with = "exclude_xattr"
    )]
    include_xattr: Vec<OsString>,

    /// No extended attributes with names that this pattern matches; may be given more than once
    #[arg(long, value_name = "PATTERN", value_parser = patterns::parser())]
    exclude_xattr: Vec<OsString>,
}

impl AttributeFlags {
    /// Sets the options that they mean.
    pub fn set(&self, options: &mut RestoreOptions) -> Result<(), Failure> {
        options.no_owner = self.no_owner;
        if self.ownership_by_name {
            options.owners = Some(Arc::new(Owners::load(Path::new("/etc"))?));
        }
        options.xattrs = match (&self.include_xattr[..], &self.exclude_xattr[..]) {
            ([], []) => XattrSelection::All,
            (include, []) => XattrSelection::Include(List::parse(include, false)?),
            (_, exclude) => XattrSelection::Exclude(List::parse(exclude, false)?),
        };
        Ok(())
    }
}
