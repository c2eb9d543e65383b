//! The other repository, whose chunker a new one takes over.

use crate::app::App;
use crate::exit::Failure;
use crate::other::OtherFlags;
use clap::Args;
use repo_core::crypto::DomainKeys;

/// Flags about the other repository.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Another repository")]
pub struct FromFlags {
    /// Cut content as another repository does, so that copies between the two, and backups of the same files, share what is the same
    ///
    /// The new repository takes over the keys that cut content and name what it is cut into; everything is still sealed with
    /// keys of its own. Who has keys of one repository can tell of content he has whether the other one names it.
    #[arg(long)]
    copy_chunker_params: bool,

    #[command(flatten)]
    other: OtherFlags,
}

impl FromFlags {
    /// Refuses what makes no sense, before anything is opened. That variables name another repository is no mistake: they
    /// may be set for other commands.
    pub fn check(&self) -> Result<(), Failure> {
        match self.other.is_named() && !self.copy_chunker_params {
            true => Err(Failure::usage(
                "nothing is copied from the other repository\nAdd --copy-chunker-params, or leave out --from-repo.",
            )),
            false => Ok(()),
        }
    }

    /// The keys that the new repository takes over, if it takes over any.
    pub fn universe(self, app: &App) -> Result<Option<DomainKeys>, Failure> {
        if !self.copy_chunker_params {
            return Ok(None);
        }
        let other = self.other.open(app)?.repo;
        Ok(Some(other.ring().domain_keys(other.settings().domain)?))
    }
}
