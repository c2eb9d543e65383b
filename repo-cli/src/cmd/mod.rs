//! The commands, one a file.

mod backup;
#[cfg(feature = "browse")]
mod browse;
mod cache;
mod cat;
mod check;
mod copy;
mod derived;
mod diff;
mod dump;
mod features;
mod find;
mod forget;
mod generate;
mod history;
mod init;
mod key;
mod list;
mod ls;
mod mount;
mod options;
mod promote;
mod protect;
mod prune;
mod recover;
mod repair;
mod restore;
mod rewrite;
#[cfg(feature = "serve")]
mod serve;
mod snapshots;
mod stats;
mod sync;
mod tag;
mod unforget;
mod unlock;
mod version;

use crate::app::{App, Purpose};
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
    /// Write a file of a snapshot, or a directory as an archive, to standard output
    Dump(dump::Arguments),
    /// Show snapshots as directories, for any program to look into
    Mount(mount::Arguments),
    /// Walk through snapshots on the terminal: look, compare versions, restore
    #[cfg(feature = "browse")]
    Browse(browse::Arguments),
    /// Show snapshots to browsers and by WebDAV
    #[cfg(feature = "serve")]
    Serve(serve::Arguments),
    /// Show what differs between two snapshots, or a snapshot and the disk
    Diff(diff::Arguments),
    /// Find files and directories in all snapshots
    Find(Box<find::Arguments>),
    /// Show every version of a file or directory: when it came, changed and went
    History(history::Arguments),
    /// Count what snapshots hold, or what that takes
    Stats(stats::Arguments),
    /// Forget snapshots, by a policy or by ID
    ///
    /// A policy is applied to one series of snapshots at a time: those of one host and label; where they have no label, those
    /// of one host and set of paths, whatever the order of the paths (--group-by says otherwise). What no rule keeps is
    /// forgotten. Where a rule would keep more than there is, it keeps the oldest snapshot too.
    ///
    /// Data is not deleted before a prune: until then, `larder unforget` takes it back.
    Forget(Box<forget::Arguments>),
    /// Take a forget back
    ///
    /// This works until a prune has deleted data that only forgotten snapshots need; then it says what is gone, and changes
    /// nothing.
    Unforget(unforget::Arguments),
    /// Change the tags of snapshots
    ///
    /// Each is replaced by a new one, with a new ID, that is the same but for its tags; the old one is forgotten. Without
    /// snapshots and filters all are changed.
    Tag(tag::Arguments),
    /// Make snapshots anew without some files, or with other words
    ///
    /// Host, time, description and label can be changed. The new ones have the tag `rewrite`, unless the old ones are forgotten. Data that no snapshot needs any more is deleted
    /// by a prune. Without snapshots and filters all are rewritten.
    Rewrite(Box<rewrite::Arguments>),
    /// Keep snapshots from being forgotten
    ///
    /// Whatever a policy or a command says, until that time. Only a key with full access can say so, or take it back.
    Protect(protect::ProtectArguments),
    /// Say when snapshots may be forgotten
    ///
    /// From then on they go with the first forget by policy even if a rule would keep them, unless they are protected or the
    /// policy names them by --keep-id or --keep-tag.
    Expire(protect::ExpireArguments),
    /// Free what no snapshot needs
    Prune(prune::Arguments),
    /// Copy snapshots of another repository into this one
    ///
    /// --from-repo names the one that is copied from; without snapshots and filters all of it are copied, and those that were copied
    /// before are passed over. A copy says all that its snapshot says. Content is read, cut and sealed as the repository
    /// that gets it does that; what it has already is stored once. A snapshot of which something is lost is not copied, and named.
    Copy(Box<copy::Arguments>),
    /// Make other places hold the same as the repository
    ///
    /// Without a key, at any time. Each place gets what it lacks, proved by its name, and then the log; what was deleted is deleted there. Whenever it
    /// is stopped, a place is an older state of the repository, or none yet. One that is another repository, or was written to itself, is
    /// refused and stays as it is. Without --to the places are those of --replica and $LARDER_REPLICAS.
    Sync(sync::Arguments),
    /// Make a replica the home of the repository
    ///
    /// To be called with the replica as --repo: after the home was lost, or to move it. The places of --replica and $LARDER_REPLICAS are looked at before: one
    /// that has more of the log gives it, one that is the home until now becomes a replica, and one that went its own way ends the command, with
    /// nothing changed. What is at none of them, and at the lost home only, is not in the new one. Then the places follow the new home.
    Promote(promote::Arguments),
    /// Look for damage in the repository
    Check(check::Arguments),
    /// Put damage right, as far as it can be
    Repair(repair::Arguments),
    /// Make a snapshot of all directories that no snapshot reaches
    ///
    /// Forgotten snapshots are better brought back by `larder unforget`.
    Recover(recover::Arguments),
    /// Make index tables anew that are lost: as `repair index`
    #[command(hide = true)]
    RebuildIndex(repair::IndexArguments),
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

impl Command {
    /// What it does with a repository.
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Init(_)
            | Self::Backup(_)
            | Self::Forget(_)
            | Self::Unforget(_)
            | Self::Tag(_)
            | Self::Rewrite(_)
            | Self::Protect(_)
            | Self::Expire(_)
            | Self::Prune(_)
            | Self::Copy(_)
            | Self::Repair(_)
            | Self::Recover(_)
            | Self::RebuildIndex(_)
            | Self::Key(_) => Purpose::Adds,
            Self::Diff(_)
            | Self::Dump(_)
            | Self::Find(_)
            | Self::History(_)
            | Self::Ls(_)
            | Self::Mount(_)
            | Self::Restore(_)
            | Self::Snapshots(_)
            | Self::Stats(_) => Purpose::Reads,
            #[cfg(feature = "browse")]
            Self::Browse(_) => Purpose::Reads,
            #[cfg(feature = "serve")]
            Self::Serve(_) => Purpose::Reads,
            _ => Purpose::Inspects,
        }
    }
}

/// Does it.
pub fn run(app: &App, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => init::run(app, arguments),
        Command::Backup(arguments) => backup::run(app, *arguments),
        Command::Snapshots(arguments) => snapshots::run(app, arguments),
        Command::Ls(arguments) => ls::run(app, arguments),
        Command::Restore(arguments) => restore::run(app, arguments),
        Command::Dump(arguments) => dump::run(app, arguments),
        Command::Mount(arguments) => mount::run(app, arguments),
        #[cfg(feature = "browse")]
        Command::Browse(arguments) => browse::run(app, arguments),
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::run(app, arguments),
        Command::Diff(arguments) => diff::run(app, arguments),
        Command::Find(arguments) => find::run(app, *arguments),
        Command::History(arguments) => history::run(app, arguments),
        Command::Stats(arguments) => stats::run(app, arguments),
        Command::Forget(arguments) => forget::run(app, *arguments),
        Command::Unforget(arguments) => unforget::run(app, arguments),
        Command::Tag(arguments) => tag::run(app, arguments),
        Command::Rewrite(arguments) => rewrite::run(app, *arguments),
        Command::Protect(arguments) => protect::protect(app, arguments),
        Command::Expire(arguments) => protect::expire(app, arguments),
        Command::Prune(arguments) => prune::run(app, arguments),
        Command::Copy(arguments) => copy::run(app, *arguments),
        Command::Sync(arguments) => sync::run(app, arguments),
        Command::Promote(arguments) => promote::run(app, arguments),
        Command::Check(arguments) => check::run(app, arguments),
        Command::Repair(arguments) => repair::run(app, arguments),
        Command::Recover(arguments) => recover::run(app, arguments),
        Command::RebuildIndex(arguments) => repair::index(app, arguments),
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
