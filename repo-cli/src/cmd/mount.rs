//! `larder mount`

mod overlay;

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::looking::{self, Looking};
use crate::message;
use crate::selection::SelectionFlags;
use crate::text::printable;
use crate::{allocator, repository, signals, size};
use clap::Args;
use repo_core::vfs::{PATHS, TIME, Templates, ViewOptions};
use repo_core::{Error, ErrorKind, Subject};
use repo_fuse::{Leaving, MountOptions};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is where, at the end of the help.
const AFTER_HELP: &str = "\
Snapshots stand below ids, snapshots, hosts, tags and labels, by their ID or time, with a link `latest` to the newest of those that stand
there by time. New snapshots appear while it is mounted. It ends with Ctrl-C, SIGTERM, SIGHUP, or when somebody unmounts
DIR.

In a template of paths %i and %I stand for the short and the whole ID, %u for the user, %h for the host, %t for each tag, %l for the
label, %T for the time, %% for a percent sign. A template of times shows how Monday, 2 January 2006, 15:04:05 would look, as with restic.

With --overlay DIR shows one snapshot, or a folder of it, and can be written to: a server can be started on last night's state at once. What
changes lies in a scratch directory and is gone when the mount ends; the snapshot stays as it is. Only root can do this.

Who is not root needs fusermount3 (on Debian: apt install fuse3).";

/// Arguments of `mount`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The directory that shows the snapshots while they are mounted
    #[arg(value_name = "DIR")]
    point: PathBuf,

    /// With --overlay: the beginning of a snapshot's ID, or `latest`, and perhaps a folder in it [default: latest]
    #[arg(value_name = "SNAPSHOT[:FOLDER]", requires = "overlay")]
    snapshot: Option<OsString>,

    /// Show one snapshot that can be written to; what changes is gone at the end
    #[arg(long, conflicts_with_all = ["path_template", "time_template", "allow_other", "no_default_permissions", "owner_root"])]
    overlay: bool,

    /// With --overlay: make the directory for what changes in this one [default: the temporary directory]
    #[arg(long, value_name = "DIR", requires = "overlay")]
    scratch: Option<PathBuf>,

    /// Let other users look, as far as permissions of files let them
    #[arg(long)]
    allow_other: bool,

    /// With --allow-other: let them read everything, whatever the permissions
    #[arg(long)]
    no_default_permissions: bool,

    /// Show root as the owner of everything
    #[arg(long)]
    owner_root: bool,

    /// Where snapshots stand; may be given more than once [default: ids/%i, snapshots/%T, hosts/%h/%T, tags/%t/%T, labels/%l/%T]
    #[arg(long, value_name = "TEMPLATE")]
    path_template: Vec<String>,

    /// How times are written
    #[arg(long, value_name = "TEMPLATE", default_value = TIME)]
    time_template: String,

    /// Keep so much of what was read at hand, in memory
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size::parse)]
    cache_size: u64,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// Shows snapshots until somebody ends it.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    allocator::share_heaps();
    let point = &arguments.point;
    repository::refuse_inside(app, point)?;
    refuse_what_is_no_directory(point)?;
    if arguments.overlay {
        return overlay::run(app, &arguments);
    }
    let view_options = ViewOptions {
        filter: arguments.selection.filter(&app.env)?,
        templates: templates(&arguments)?,
    };
    let repo = repository::open(app, false)?.repo;
    let _following = repo.follow();
    let view = looking::view(app, &repo, view_options);
    let interrupt = signals::interrupt();
    let leaving = Leaving::new(point)?;
    signals::before_exit(move || leaving.leave());
    let mounted = repo_fuse::mount(view, point, &options(&arguments));
    let mounted = mounted.map_err(|error| refused(&error))?;
    let shown = mounted.point().to_string_lossy().into_owned();
    let shown = printable(&shown);
    app.terminal.say(&format!(
        "the snapshots are mounted on {shown}\nCtrl-C ends it, or `umount {shown}`."
    ))?;
    let over = || interrupt.check().is_err();
    mounted.wait(&over, &Looking::new(&app.terminal, "mount"));
    if mounted.end()? {
        say_in_use(app, &shown);
    }
    Ok(Exit::Done)
}

fn say_in_use(app: &App, shown: &str) {
    app.terminal.warn(&format!(
        "{shown} was still in use: it is unmounted, and what is open there fails"
    ));
}

fn templates(arguments: &Arguments) -> Result<Templates, Failure> {
    let given = arguments.path_template.iter().map(String::as_str);
    let paths: Vec<&str> = match arguments.path_template.is_empty() {
        true => PATHS.to_vec(),
        false => given.collect(),
    };
    let read = Templates::new(paths, &arguments.time_template);
    read.map_err(|error| Failure::usage(message::reason(&error)))
}

fn options(arguments: &Arguments) -> MountOptions {
    MountOptions {
        allow_other: arguments.allow_other,
        default_permissions: arguments.allow_other && !arguments.no_default_permissions,
        owner_root: arguments.owner_root,
        cache_bytes: usize::try_from(arguments.cache_size).unwrap_or(usize::MAX),
        ..MountOptions::default()
    }
}

/// Refuses a place before anything is opened.
fn refuse_what_is_no_directory(point: &Path) -> Result<(), Failure> {
    let shown = printable(&point.to_string_lossy()).into_owned();
    match point.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Failure::failed(format!(
            "{shown} is no directory\nName an empty directory to mount on."
        ))),
        Err(cause) => {
            let error = Error::io(Subject::Path(point.to_path_buf()), cause);
            Err(Failure::from(error).advising("Name an empty directory to mount on."))
        }
    }
}

fn refused(error: &Error) -> Failure {
    let reason = match error.subject() {
        Subject::Path(path) => message::of_item(&printable(&path.to_string_lossy()), error),
        _ => message::reason(error),
    };
    let advice = match error.kind() {
        ErrorKind::Unsupported => {
            "Without FUSE `larder restore`, `dump`, `ls` and `find` give the same files."
        }
        _ if !is_root() => {
            "Who is not root can mount on directories of his own; --allow-other needs `user_allow_other` in /etc/fuse.conf."
        }
        _ => "Whether something may be mounted there, the system says.",
    };
    Failure::failed(format!("{reason}\n{advice}"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
