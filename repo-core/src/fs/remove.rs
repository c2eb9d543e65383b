//! Removes whole trees without following links, leaving the file system, or opening a descriptor for each level.

use super::name::{about, another_file_system, failed};
use crate::error::{Error, ErrorKind, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, fstat, openat, unlinkat};
use rustix::io::Errno;
use std::mem::MaybeUninit;

const BUFFER_BYTES: usize = 32 * 1024;

/// Device and inode number, which stay the same while a directory is open anywhere or not yet removed.
type Identity = (u64, u64);

/// A directory on the way down, while what is below it is removed.
struct Level {
    name: Vec<u8>,
    identity: Identity,
    /// Subdirectories that are still to be removed.
    subdirs: Vec<Vec<u8>>,
}

/// Removes the entry `name` of `dir` and, if it is a directory, all that is in it.
///
/// Links are removed themselves. A directory on another file system stops it (`Denied`), and so does one that is moved
/// away meanwhile. What was removed until an error stays removed. Nothing there is fine. Two descriptors at a time,
/// whatever the depth; memory is the names of the subdirectories on the way down.
pub(super) fn remove(dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Linux says ISDIR, POSIX allows PERM; the second is also what an immutable file says.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(failed(name, "remove", errno)),
    }
    match unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(Errno::NOTDIR) => return Err(failed(name, "remove", Errno::PERM)),
        Err(errno) => return Err(failed(name, "remove", errno)),
    }
    Tree::enter(dir, name)?.remove(dir)
}

/// The directory where we are, and the way there.
struct Tree {
    here: OwnedFd,
    /// From the top to `here`; never empty while work is left.
    levels: Vec<Level>,
}

impl Tree {
    fn enter(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Self> {
        let (here, identity) = open(dir, name)?;
        let mut subdirs = Vec::new();
        clear(&here, &mut subdirs)?;
        Ok(Self {
            here,
            levels: vec![Level {
                name: name.to_vec(),
                identity,
                subdirs,
            }],
        })
    }

    fn remove(mut self, outside: BorrowedFd<'_>) -> Result<()> {
        while let Some(level) = self.levels.last_mut() {
            match level.subdirs.pop() {
                Some(name) => self.down(name)?,
                None => self.up(outside)?,
            }
        }
        Ok(())
    }

    /// Removes the subdirectory if it is empty, or else goes there.
    fn down(&mut self, name: Vec<u8>) -> Result<()> {
        match unlinkat(&self.here, &name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(Errno::BUSY) => return Err(another_file_system(&name)),
            Err(errno) => return Err(failed(&name, "remove directory", errno)),
        }
        let (below, identity) = open(self.here.as_fd(), &name)?;
        if self
            .levels
            .first()
            .is_some_and(|top| top.identity.0 != identity.0)
        {
            return Err(another_file_system(&name));
        }
        let mut subdirs = Vec::new();
        clear(&below, &mut subdirs)?;
        self.here = below;
        self.levels.push(Level {
            name,
            identity,
            subdirs,
        });
        Ok(())
    }

    /// Leaves the directory, which is empty now, and removes it.
    fn up(&mut self, outside: BorrowedFd<'_>) -> Result<()> {
        let Some(level) = self.levels.pop() else {
            return Ok(());
        };
        let rmdir = |dir: BorrowedFd<'_>| {
            unlinkat(dir, &level.name, AtFlags::REMOVEDIR)
                .map_err(|errno| failed(&level.name, "remove directory", errno))
        };
        let Some(parent) = self.levels.last() else {
            return rmdir(outside);
        };
        let (above, identity) = open(self.here.as_fd(), b"..")?;
        if identity != parent.identity {
            return Err(Error::new(ErrorKind::Unavailable, about(&level.name))
                .detail("moved away while it was removed"));
        }
        rmdir(above.as_fd())?;
        self.here = above;
        Ok(())
    }
}

fn open(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(OwnedFd, Identity)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd =
        openat(dir, name, flags, Mode::empty()).map_err(|errno| failed(name, "open", errno))?;
    let stat = fstat(&fd).map_err(|errno| failed(name, "stat", errno))?;
    Ok((fd, (stat.st_dev, stat.st_ino)))
}

/// Removes all entries that are not directories and collects the names of those that are.
fn clear(dir: &OwnedFd, subdirs: &mut Vec<Vec<u8>>) -> Result<()> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(failed(b"", "read directory", errno)),
        };
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            subdirs.push(name.to_vec());
            continue;
        }
        match unlinkat(dir, entry.file_name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => subdirs.push(name.to_vec()),
            Err(errno) => return Err(failed(name, "remove", errno)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_directory_that_is_moved_away_stops_it() {
        let temp = tempfile::tempdir().unwrap();
        let (at, outside) = (temp.path(), File::open(temp.path()).unwrap());
        std::fs::create_dir_all(at.join("top/sub/deep")).unwrap();
        std::fs::create_dir_all(at.join("elsewhere/sub")).unwrap();
        let mut tree = Tree::enter(outside.as_fd(), b"top").unwrap();
        tree.down(b"sub".to_vec()).unwrap();
        std::fs::rename(at.join("top/sub"), at.join("elsewhere/moved")).unwrap();
        let error = tree.remove(outside.as_fd()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(at.join("elsewhere/sub").exists() && at.join("top").exists());
    }

    #[test]
    fn what_appears_meanwhile_is_not_lost() {
        let temp = tempfile::tempdir().unwrap();
        let (at, outside) = (temp.path(), File::open(temp.path()).unwrap());
        std::fs::create_dir_all(at.join("top/sub")).unwrap();
        let tree = Tree::enter(outside.as_fd(), b"top").unwrap();
        std::fs::write(at.join("top/new"), b"").unwrap();
        assert!(tree.remove(outside.as_fd()).is_err());
        assert!(at.join("top/new").exists() && !at.join("top/sub").exists());
    }
}
