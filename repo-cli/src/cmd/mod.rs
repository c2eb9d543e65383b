//! The commands, one a file.

mod backup;
mod cache;
mod cat;
mod check;
mod features;
mod generate;
mod init;
mod key;
mod list;
mod ls;
mod options;
mod restore;
mod snapshots;
mod stats;
mod unlock;
mod version;

use crate::app::App;
use crate::exit::{Exit, Failure};
use clap::Subcommand;

pub use stats::compression;

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a new repository
    Init(init::Arguments),
    /// Back up files, directories or standard input
    Backup(Box<backup::Arguments>),
    /// List snapshots
    Snapshots(snapshots::Arguments),
    /// List the files of a snapshot
    Ls(ls::Arguments),
    /// Write the files of a snapshot into a directory
    Restore(restore::Arguments),
    /// Count what snapshots hold, or what that takes
    Stats(stats::Arguments),
    /// Look for damage in the repository
    Check(check::Arguments),
    /// List, add, change and remove passwords and key files
    Key(key::Arguments),
    /// List what a repository is made of
    List(list::Arguments),
    /// Show what a repository is made of
    Cat(cat::Arguments),
    /// List and remove caches of this machine
    Cache(cache::Arguments),
    /// Write completions for shells, and man pages
    Generate(generate::Arguments),
    /// List extended options
    Options,
    /// List feature flags: there are none
    #[command(hide = true)]
    Features,
    /// Do nothing: larder has no locks
    #[command(hide = true)]
    Unlock(unlock::Arguments),
    /// Show the version
    Version,
}

/// Does it.
pub fn run(app: &App, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => init::run(app, arguments),
        Command::Backup(arguments) => backup::run(app, *arguments),
        Command::Snapshots(arguments) => snapshots::run(app, arguments),
        Command::Ls(arguments) => ls::run(app, arguments),
        Command::Restore(arguments) => restore::run(app, arguments),
        Command::Stats(arguments) => stats::run(app, arguments),
        Command::Check(arguments) => check::run(app, arguments),
        Command::Key(arguments) => key::run(app, arguments),
        Command::List(arguments) => list::run(app, arguments),
        Command::Cat(arguments) => cat::run(app, arguments),
        Command::Cache(arguments) => cache::run(app, arguments),
        Command::Generate(arguments) => generate::run(app, arguments),
        Command::Options => options::run(app),
        Command::Features => features::run(app),
        Command::Unlock(arguments) => unlock::run(app, arguments),
        Command::Version => version::run(app),
    }
}
