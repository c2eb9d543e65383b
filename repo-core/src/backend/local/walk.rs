//! Listing, and sweeping what crashed runs left.

use super::{LocalBackend, failed, file_len, is_absent, name};
use crate::backend::{Listed, NAME_BYTES_MAX, NAME_PARTS_MAX};
use crate::error::Result;
use crate::time::{self, Timestamp};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;

/// What file systems keep at their root.
const LOST_FOUND: &str = "lost+found";

/// A walk over a part of the tree.
struct Walk<'a, 'b, 'c> {
    backend: &'a LocalBackend,
    now: Timestamp,
    /// `None` if only what is strange is wanted: then no file needs to be looked at.
    each: Option<&'b mut dyn FnMut(Listed) -> Result<()>>,
    strange: &'c mut dyn FnMut(&str),
}

impl LocalBackend {
    /// Calls `each` for every object below `prefix`. One directory is open for each part of a name.
    ///
    /// Temporary files that crashed runs left are removed on the way. Only those not written to for 24 hours by the clocks of
    /// this machine and of the disk: a run that is slower than that, or clocks that far apart, make one put fail and lose nothing.
    ///
    /// What cannot be an object by its name, or is no file, goes to `strange`: a file system's own `lost+found` and temporary
    /// files do not. Links are followed, so that somebody may
    /// keep a part of a repository on another disk.
    pub(super) fn walk(
        &self,
        prefix: &str,
        each: Option<&mut dyn FnMut(Listed) -> Result<()>>,
        strange: &mut dyn FnMut(&str),
    ) -> Result<()> {
        match self.open_directory(prefix) {
            Ok(directory) => Walk {
                backend: self,
                now: time::now(),
                each,
                strange,
            }
            .directory(directory, prefix),
            Err(errno) if is_absent(errno) => Ok(()),
            Err(errno) => Err(failed(prefix, errno)),
        }
    }
}

impl Walk<'_, '_, '_> {
    fn directory(&mut self, directory: OwnedFd, path: &str) -> Result<()> {
        let fail = |errno| failed(path, errno);
        let mut entries = Dir::read_from(&directory).map_err(fail)?;
        while let Some(entry) = entries.read() {
            let entry = entry.map_err(fail)?;
            let part = entry.file_name().to_string_lossy();
            if name::is_part(&part) {
                self.entry(&directory, path, &part, entry.file_type())?;
            } else if name::is_temporary(&part) {
                self.temporary(&directory, &part);
            } else if !is_of_the_system(path, &part) {
                (self.strange)(&name::join(path, &part));
            }
        }
        Ok(())
    }

    fn entry(&mut self, directory: &OwnedFd, path: &str, part: &str, kind: FileType) -> Result<()> {
        let name = name::join(path, part);
        if name.len() > NAME_BYTES_MAX || name.split('/').count() > NAME_PARTS_MAX {
            (self.strange)(&name);
            return Ok(());
        }
        if self.each.is_none() && kind == FileType::RegularFile {
            return Ok(());
        }
        let stat = match rustix::fs::statat(directory, part, AtFlags::empty()) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => {
                // Deleted since we read its name, or a link that leads nowhere.
                if rustix::fs::statat(directory, part, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                    (self.strange)(&name);
                }
                return Ok(());
            }
            Err(errno) => return Err(failed(&name, errno)),
        };
        if let Some(len) = file_len(&stat) {
            let modified = Some(modified(&stat));
            let listed = Listed {
                name,
                len,
                modified,
            };
            return self.each.as_mut().map_or(Ok(()), |each| each(listed));
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            (self.strange)(&name);
            return Ok(());
        }
        match self.backend.open_directory(&name) {
            Ok(below) => self.directory(below, &name),
            Err(errno) if is_absent(errno) => Ok(()),
            Err(errno) => Err(failed(&name, errno)),
        }
    }

    /// Removes a stale temporary file. If that fails, the next listing tries again.
    fn temporary(&self, directory: &OwnedFd, part: &str) {
        let stat = rustix::fs::statat(directory, part, AtFlags::SYMLINK_NOFOLLOW);
        let stale = stat.is_ok_and(|stat| {
            file_len(&stat).is_some() && name::is_stale(modified(&stat), self.now)
        });
        if stale {
            let _ = rustix::fs::unlinkat(directory, part, AtFlags::empty());
        }
    }
}

/// Whether a name is one that directories have anyway.
fn is_of_the_system(path: &str, part: &str) -> bool {
    matches!(part, "." | "..") || (path.is_empty() && part == LOST_FOUND)
}

/// The types of these fields differ between architectures.
#[allow(clippy::unnecessary_cast)]
fn modified(stat: &Stat) -> Timestamp {
    Timestamp::new(stat.st_mtime as i64, stat.st_mtime_nsec as u32)
}
