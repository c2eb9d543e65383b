//! How a mount goes away with a process that does not wait for its end.

use repo_core::{Error, Result, Subject};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::mount::UnmountFlags;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A directory before anything is mounted on it.
#[derive(Debug, Clone)]
pub struct Leaving {
    point: PathBuf,
    device: (u32, u32),
}

impl Leaving {
    /// Of a directory that is about to be mounted on.
    pub fn new(point: &Path) -> Result<Self> {
        let of_point = |cause| Error::io(Subject::Path(point.to_path_buf()), cause);
        let point = point.canonicalize().map_err(of_point)?;
        let device = device(&point).map_err(of_point)?;
        Ok(Self { point, device })
    }

    /// Unmounts what was mounted there since, if anything was, whoever uses it. Waits for nobody who answers for that mount.
    pub fn leave(&self) {
        if device(&self.point).is_ok_and(|device| device == self.device) {
            return;
        }
        let detached = rustix::mount::unmount(&self.point, UnmountFlags::DETACH);
        if detached == Err(rustix::io::Errno::PERM) {
            let mut command = Command::new("fusermount3");
            command.args(["-u", "-q", "-z", "--"]).arg(&self.point);
            let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// The device of a directory, as the kernel knows it without asking whoever answers for the file system.
fn device(point: &Path) -> io::Result<(u32, u32)> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let found = statx(CWD, point, flags, StatxFlags::empty())?;
    Ok((found.stx_dev_major, found.stx_dev_minor))
}
