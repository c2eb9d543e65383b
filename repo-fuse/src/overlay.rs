//! A writable layer over a directory of a mount: the kernel's overlayfs, with what changes in a scratch directory.

use crate::unmount;
use repo_core::{Error, ErrorKind, Result, Subject};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::fs::{DirBuilder, File, FileTimes};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// A directory for one overlay, for its user alone: where the lower layer is mounted, and what changes. It is removed, with all in it,
/// when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in this directory.
    pub fn new(base: &Path) -> Result<Self> {
        let failed = |cause| {
            Error::io(Subject::Path(base.to_path_buf()), cause).detail("make a directory in")
        };
        let base = base.canonicalize().map_err(failed)?;
        let pid = std::process::id();
        let mut names = (0u32..1000).map(|number| format!("larder-overlay.{pid}.{number}"));
        let made = names.find_map(|name| {
            let path = base.join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => None,
                made => Some(made.map(|()| path)),
            }
        });
        let made = made.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()));
        let scratch = Self(made.map_err(failed)?);
        for name in ["lower", "upper", "work"] {
            let made = DirBuilder::new().mode(0o700).create(scratch.0.join(name));
            made.map_err(failed)?;
        }
        Ok(scratch)
    }

    /// Where the view is mounted that lies below.
    pub fn lower(&self) -> PathBuf {
        self.0.join("lower")
    }

    /// Removes it, for a process that ends without waiting.
    pub fn remover(&self) -> impl FnOnce() + Send + 'static {
        let path = self.0.clone();
        move || remove(&path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(scratch: &Path) {
    // What lies below is read-only: if it could not be unmounted, this removes nothing of it.
    let _ = std::fs::remove_dir_all(scratch.join("upper"));
    let _ = std::fs::remove_dir_all(scratch.join("work"));
    let _ = std::fs::remove_dir(scratch.join("lower"));
    let _ = std::fs::remove_dir(scratch);
}

/// A writable layer that is mounted.
pub struct Overlay {
    point: PathBuf,
    device: u64,
}

/// Mounts a writable layer over a directory on `point`; what changes goes to `scratch`. Only root may.
pub fn overlay(lower: &Path, point: &Path, scratch: &Scratch) -> Result<Overlay> {
    let point_of = |cause| Error::io(Subject::Path(point.to_path_buf()), cause);
    let point = point.canonicalize().map_err(point_of)?;
    let refused = |cause: io::Error| {
        Error::new(ErrorKind::Denied, Subject::Path(point.clone()))
            .detail(format!("cannot be overlaid: {cause}"))
    };
    let (upper, work) = (scratch.0.join("upper"), scratch.0.join("work"));
    same_attributes(lower, &upper).map_err(refused)?;
    // By number, as overlayfs takes some letters of paths for its own.
    let open = |path: &Path| -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty()).map_err(|cause| refused(cause.into()))
    };
    let layers = [open(lower)?, open(&upper)?, open(&work)?];
    let [lower, upper, work] = layers.each_ref().map(AsRawFd::as_raw_fd);
    let at = |layer: i32| format!("/proc/self/fd/{layer}");
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        at(lower),
        at(upper),
        at(work)
    );
    let options = CString::new(options).map_err(|_| refused(io::ErrorKind::InvalidInput.into()))?;
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    let mounted = mount(c"larder", &point, c"overlay", flags, options.as_c_str());
    mounted.map_err(|cause| refused(cause.into()))?;
    let device = point.metadata().map_err(refused)?.dev();
    Ok(Overlay { point, device })
}

/// The directory on top decides how the whole looks.
fn same_attributes(lower: &Path, upper: &Path) -> io::Result<()> {
    let found = lower.metadata()?;
    chown(upper, Some(found.uid()), Some(found.gid()))?;
    let mode = std::fs::Permissions::from_mode(found.mode() & 0o7777);
    std::fs::set_permissions(upper, mode)?;
    let times = FileTimes::new().set_modified(found.modified()?);
    File::open(upper)?.set_times(times)
}

impl Overlay {
    /// Whether somebody has unmounted it.
    pub fn is_gone(&self) -> bool {
        let found = self.point.metadata();
        found.is_ok_and(|found| found.dev() != self.device)
    }

    /// Unmounts it, if nobody has. True if something in it was open: nobody finds it any more, and what is open there fails.
    pub fn end(self) -> Result<bool> {
        match self.is_gone() {
            true => Ok(false),
            false => unmount(&self.point),
        }
    }
}
