//! Puts the read-only view of `repo-core` behind the kernel's FUSE interface.

mod around;
mod attributes;
mod errno;
mod filesystem;
mod inodes;
mod leaving;
mod overlay;
mod shown;
mod siblings;

pub use leaving::Leaving;
pub use overlay::{Overlay, Scratch, overlay};

use attributes::Owners;
use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use repo_core::progress::Progress;
use repo_core::vfs::View;
use repo_core::{Error, ErrorKind, Result, Subject};
use shown::Mount;
use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// What is to be told waits in a queue of this length; what comes when it is full is not told.
const EVENTS_MAX: usize = 256;

/// How long it may take until a wish to stop is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a mount that is still in use is given to answer what was asked before it ended.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How a view is mounted.
#[derive(Debug, Clone)]
pub struct MountOptions {
    /// Other users may look.
    pub allow_other: bool,
    /// Permissions and access control lists of files count, as the kernel reads them.
    pub default_permissions: bool,
    /// Everything belongs to root.
    pub owner_root: bool,
    /// Opened blocks are kept up to this many bytes.
    pub cache_bytes: usize,
    /// Threads that answer the kernel.
    pub threads: usize,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            allow_other: false,
            default_permissions: false,
            owner_root: false,
            cache_bytes: 64 << 20,
            threads: 4,
        }
    }
}

impl MountOptions {
    fn owners(&self) -> Owners {
        let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
        Owners {
            root: self.owner_root,
            own: (uid.as_raw(), gid.as_raw()),
        }
    }

    fn config(&self, name: &str) -> Config {
        let mut config = Config::default();
        config.mount_options = vec![
            // Commas separate options.
            MountOption::FSName(name.replace([',', '\\', '\n'], "_")),
            MountOption::Subtype("larder".into()),
            MountOption::RO,
            MountOption::NoAtime,
        ];
        if self.default_permissions {
            config.mount_options.push(MountOption::DefaultPermissions);
        }
        config.acl = match self.allow_other {
            true => SessionACL::All,
            false => SessionACL::Owner,
        };
        config.n_threads = Some(self.threads.max(1));
        config.clone_fd = true;
        config
    }
}

/// What a mount has to tell.
enum Event {
    /// Something at this path cannot be read.
    Problem(PathBuf, Error),
    /// A snapshot of which nothing can be told.
    Unreadable(Error),
    /// New snapshots cannot be looked for.
    Stale(Error),
    /// It was unmounted.
    Ended,
}

/// A view that the kernel shows. Dropping it unmounts it.
pub struct Mounted {
    session: BackgroundSession,
    events: Receiver<Event>,
    point: PathBuf,
    ended: Cell<bool>,
}

/// Mounts a view on a directory: as root by itself, else by `fusermount3`. On return it can be looked at.
///
/// `Unsupported` about `/dev/fuse` or `fusermount3` if that is missing. The caller holds what
/// [`follow`](repo_core::repo::Shared::follow) gives until the mount ends.
pub fn mount(view: View, point: &Path, options: &MountOptions) -> Result<Mounted> {
    let of_point = |cause| Error::io(Subject::Path(point.to_path_buf()), cause);
    let point = point.canonicalize().map_err(of_point)?;
    let config = options.config(&view.repo().place());
    let (sender, events) = sync_channel(EVENTS_MAX);
    let (filesystem, around, giver) = Mount::new(view, point.clone(), options, sender)?;
    let session = Session::new(filesystem, &point, &config);
    let session = session
        .and_then(|session| {
            around.start(session.notifier())?;
            giver.start(session.notifier())?;
            session.spawn()
        })
        .map_err(|cause| refused(&point, cause))?;
    Ok(Mounted {
        session,
        events,
        point,
        ended: Cell::new(false),
    })
}

/// Why a mount was refused.
fn refused(point: &Path, cause: io::Error) -> Error {
    let missing = |name: &str, detail: &'static str| {
        Error::unsupported(Subject::Path(name.into())).detail(detail)
    };
    match cause.kind() {
        io::ErrorKind::NotFound if !Path::new("/dev/fuse").exists() => {
            missing("/dev/fuse", "is missing: this system has no FUSE")
        }
        io::ErrorKind::NotFound => missing("fusermount3", "is missing: who is not root needs it"),
        _ => {
            let said = cause.to_string();
            let said = said.lines().next().unwrap_or_default().trim().to_owned();
            Error::new(ErrorKind::Denied, Subject::Path(point.to_path_buf()))
                .detail(format!("cannot be mounted on: {said}"))
        }
    }
}

impl Mounted {
    /// The directory that it is mounted on, without links in its path.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// Waits until somebody has unmounted it, or `over` says so, which is asked ten times a second. Problems go to `progress` by the path
    /// that they have under the mount.
    pub fn wait(&self, over: &dyn Fn() -> bool, progress: &dyn Progress) {
        while !over() {
            match self.events.recv_timeout(LOOK_EVERY) {
                Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => {
                    return self.ended.set(true);
                }
                Ok(event) => self.tell(event, progress),
                Err(RecvTimeoutError::Timeout) if self.session.guard.is_finished() => {
                    return self.ended.set(true);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn tell(&self, event: Event, progress: &dyn Progress) {
        match event {
            Event::Problem(path, error) => progress.problem(&path, &error),
            Event::Unreadable(error) | Event::Stale(error) => {
                progress.problem(&self.point, &error);
            }
            Event::Ended => {}
        }
    }

    /// Unmounts it, if nobody has. True if something in it was open: nobody finds it any more, and what is open there fails once the
    /// process ends.
    pub fn end(self) -> Result<bool> {
        let failed = |cause| {
            Error::io(Subject::Path(self.point.clone()), cause).detail("serve the mount on")
        };
        if self.ended.get() {
            self.session.join().map_err(failed)?;
            return Ok(false);
        }
        match unmount(&self.point) {
            Err(error) if !may_not(&error) => return Err(error),
            // What is mounted there now, if anything, is not ours.
            Ok(true) => std::mem::forget(self.session),
            // Who is not root unmounts by `fusermount3`, as this does.
            _ => drop(self.session),
        }
        let begun = Instant::now();
        while let Some(left) = LAST_ANSWERS.checked_sub(begun.elapsed()) {
            match self.events.recv_timeout(left) {
                Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
        Ok(true)
    }
}

fn may_not(error: &Error) -> bool {
    let cause = error.io_cause().map(io::Error::kind);
    cause == Some(io::ErrorKind::PermissionDenied)
}

/// Unmounts what is mounted there. True if something in it was open: then it is detached.
fn unmount(point: &Path) -> Result<bool> {
    use rustix::mount::{UnmountFlags, unmount};
    let failed = |cause: rustix::io::Errno| {
        Error::io(Subject::Path(point.to_path_buf()), cause.into()).detail("unmount")
    };
    match unmount(point, UnmountFlags::empty()) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::BUSY) => {
            unmount(point, UnmountFlags::DETACH).map_err(failed)?;
            Ok(true)
        }
        Err(cause) => Err(failed(cause)),
    }
}
