//! `larder repair`

mod index;
mod log;
mod packs;
mod snapshots;

use crate::app::App;
use crate::exit::{Exit, Failure};
use clap::{Args, Subcommand};

pub use index::Arguments as IndexArguments;
pub use index::run as index;

/// Arguments of `repair`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

/// What is repaired.
#[derive(Subcommand, Debug)]
enum What {
    /// Make index tables anew that are lost
    ///
    /// Packs say themselves what they hold. Those that no readable index table names are named anew; those that are not there any
    /// more are taken off the tables.
    Index(index::Arguments),
    /// Make snapshots anew without what is lost of them
    ///
    /// If the files are still there, a backup is better: it stores again what is lost, also for older snapshots. Run `repair index`
    /// first. Files are shortened by what is lost; directories that cannot be read become empty.
    Snapshots(snapshots::Arguments),
    /// Save what can be read of damaged packs
    ///
    /// What can be read goes to new packs; the damaged ones are condemned, and deleted by a prune once nothing needs them.
    Packs(packs::Arguments),
    /// Clear entries of the log that cannot be read, so that forget and prune work again
    ///
    /// What they may have committed is entered again, if it is there and proves itself. Put the entries back from a copy of the
    /// repository instead, if there is one.
    Log(log::Arguments),
}

/// Repairs it.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    match arguments.what {
        What::Index(arguments) => index::run(app, arguments),
        What::Snapshots(arguments) => snapshots::run(app, arguments),
        What::Packs(arguments) => packs::run(app, arguments),
        What::Log(arguments) => log::run(app, arguments),
    }
}
