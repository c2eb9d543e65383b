//! Publishing an object: temporary file, write, sync, name, sync.

use super::trace::Step;
use super::{LocalBackend, failed, is_absent, name, not_found};
use crate::backend::{OBJECT_BYTES_MAX, Put, len_of, random};
use crate::error::{Error, ErrorKind, Result, Subject};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::io::IoSlice;
use std::sync::atomic::Ordering;

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// How many bytes of an object are compared at once with those that should be there.
const COMPARE_BYTES: usize = 1 << 20;

/// Most parts of one write: what Linux allows (`IOV_MAX`).
const WRITE_PARTS_MAX: usize = 1024;

/// A synced temporary file in the directory of its object.
struct Staged<'a> {
    directory: &'a OwnedFd,
    file: OwnedFd,
    /// Its name, until a rename takes it away.
    temporary: Option<String>,
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // What stays is swept a day later.
            let _ = rustix::fs::unlinkat(self.directory, temporary.as_str(), AtFlags::empty());
        }
    }
}

/// Ways to give a file its name without replacing another, best first. A process finds out once what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Publish {
    /// `renameat2` with `RENAME_NOREPLACE`.
    Rename = 0,
    /// `linkat`, where the file system knows no such rename (NFS).
    Link = 1,
    /// A plain rename, where it knows neither (some FUSE file systems): class C, as the probe of the class will see.
    Replace = 2,
}

impl Publish {
    fn from_raw(raw: u8) -> Self {
        match raw {
            0 => Self::Rename,
            1 => Self::Link,
            _ => Self::Replace,
        }
    }
}

impl LocalBackend {
    /// Stores an object unless one of that name is there; either way what is there survives a crash on return.
    pub(super) fn publish(&self, name: &str, parts: &[&[u8]]) -> Result<Put> {
        self.check_write(name, parts)?;
        let (path, _) = name::split(name);
        let directory = self.directory(path)?;
        let staged = self.stage(&directory, name, parts)?;
        let outcome = match self.give_name(staged, name) {
            Ok(()) => Put::Created,
            Err(Errno::EXIST) => {
                // Its writer may not have come this far yet, or may have been a lesser program.
                self.sync_existing(name)?;
                Put::Exists
            }
            Err(errno) => return Err(refused(name, errno)),
        };
        self.sync_directory(&directory, path)?;
        Ok(outcome)
    }

    /// Stores an object in place of the one that has its name.
    pub(super) fn replace(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        self.check_write(name, parts)?;
        let (path, last) = name::split(name);
        let directory = self.directory(path)?;
        let staged = self.stage(&directory, name, parts)?;
        self.step(name, Step::Replace(name))?;
        rename(staged, last, RenameFlags::empty()).map_err(|(_, errno)| refused(name, errno))?;
        self.sync_directory(&directory, path)
    }

    /// Removes an object and syncs its directory. One that is absent, or no file, is no error.
    pub(super) fn unlink(&self, name: &str) -> Result<()> {
        let (path, last) = name::split(name);
        let directory = match self.open_directory(path) {
            Ok(directory) => directory,
            Err(errno) if is_absent(errno) => return Ok(()),
            Err(errno) => return Err(failed(name, errno)),
        };
        self.step(name, Step::Unlink(name))?;
        match rustix::fs::unlinkat(&directory, last, AtFlags::empty()) {
            Ok(()) => self.sync_directory(&directory, path),
            Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
            Err(errno) => Err(failed(name, errno)),
        }
    }

    /// Whether `name` holds exactly these bytes. An object that is there and cannot be read does not.
    pub(super) fn holds(&self, name: &str, parts: &[&[u8]]) -> Result<bool> {
        let (file, len) = match self.find(name) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if len != len_of(parts) as u64 {
            return Ok(false);
        }
        let mut offset = 0;
        for expected in parts.iter().flat_map(|part| part.chunks(COMPARE_BYTES)) {
            match super::read_exact(&file, name, offset, expected.len() as u64) {
                Ok(found) if found == expected => offset += expected.len() as u64,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Checks that a write may begin.
    fn check_write(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        name::check_name(name)?;
        if len_of(parts) as u64 > OBJECT_BYTES_MAX {
            return Err(name::invalid(name, "the object is too long"));
        }
        self.check_poison()
    }

    /// Writes and syncs a temporary file.
    ///
    /// It has a name, although `O_TMPFILE` would leave nothing behind after a crash: btrfs does not log a file without
    /// a name when it is synced, so a sync of the directory after `linkat` may leave an empty file after power loss
    /// (`btrfs_log_inode_parent`, the comment on tmpfiles).
    fn stage<'a>(&self, directory: &'a OwnedFd, name: &str, parts: &[&[u8]]) -> Result<Staged<'a>> {
        let temporary = name::temporary(random::fresh()?);
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL;
        let file = rustix::fs::openat(directory, temporary.as_str(), flags, FILE_MODE);
        let file = file.map_err(|errno| refused(name, errno))?;
        let staged = Staged {
            directory,
            file,
            temporary: Some(temporary),
        };
        self.step(name, Step::Write(name))?;
        write_all(&staged.file, parts).map_err(|errno| refused(name, errno))?;
        self.sync_file(&staged.file, name)?;
        Ok(staged)
    }

    /// Gives a temporary file its name, unless another has it (`EXIST`).
    ///
    /// A process steps down to a lesser way only before it ever succeeded with a better one, so that no chance error
    /// makes it overwrite.
    fn give_name(&self, mut staged: Staged<'_>, name: &str) -> Result<(), Errno> {
        let (_, last) = name::split(name);
        loop {
            let way = Publish::from_raw(self.publish.load(Ordering::SeqCst));
            let errno = match self.attempt(way, staged, name, last) {
                Ok(()) => {
                    // A plain rename proves nothing about the ways above it.
                    self.proven
                        .fetch_or(way != Publish::Replace, Ordering::SeqCst);
                    return Ok(());
                }
                Err((kept, errno)) => {
                    staged = kept;
                    errno
                }
            };
            if errno == Errno::EXIST {
                self.proven.store(true, Ordering::SeqCst);
            }
            let last_way = way == Publish::Replace || self.proven.load(Ordering::SeqCst);
            if last_way || !is_unknown(errno) {
                return Err(errno);
            }
            self.publish.fetch_max(way as u8 + 1, Ordering::SeqCst);
        }
    }

    fn attempt<'a>(
        &self,
        way: Publish,
        staged: Staged<'a>,
        name: &str,
        last: &str,
    ) -> Result<(), (Staged<'a>, Errno)> {
        if let Err(cause) = self.trace.step(Step::Publish(name, way)) {
            return Err((staged, Errno::from_io_error(&cause).unwrap_or(Errno::IO)));
        }
        match way {
            Publish::Rename => rename(staged, last, RenameFlags::NOREPLACE),
            Publish::Link => link(&staged, last).map_err(|errno| (staged, errno)),
            Publish::Replace => rename(staged, last, RenameFlags::empty()),
        }
    }

    /// Syncs an object that someone else published. It may be deleted meanwhile. `InvalidInput` if the name belongs to
    /// a directory.
    fn sync_existing(&self, name: &str) -> Result<()> {
        match self.find(name) {
            Ok((file, _)) => self.sync_file(&file, name),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Err(_) => match rustix::fs::statat(&self.root, name, AtFlags::empty()) {
                Ok(stat) if super::file_len(&stat).is_none() => Err(name::invalid(
                    name,
                    "something that is no object is in the way",
                )),
                _ => Ok(()),
            },
        }
    }
}

/// Writes all parts, one behind the other, at the start of a new file.
fn write_all(file: &OwnedFd, parts: &[&[u8]]) -> Result<(), Errno> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut left = &mut slices[..];
    // Parts without bytes are none.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match rustix::io::writev(file, &left[..left.len().min(WRITE_PARTS_MAX)]) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Renames a temporary file to its name; gives it back if that fails.
fn rename<'a>(
    mut staged: Staged<'a>,
    last: &str,
    flags: RenameFlags,
) -> Result<(), (Staged<'a>, Errno)> {
    let Some(temporary) = staged.temporary.take() else {
        return Err((staged, Errno::NOENT));
    };
    let directory = staged.directory;
    let renamed = match flags.is_empty() {
        true => rustix::fs::renameat(directory, temporary.as_str(), directory, last),
        false => rustix::fs::renameat_with(directory, temporary.as_str(), directory, last, flags),
    };
    renamed.map_err(|errno| {
        staged.temporary = Some(temporary);
        (staged, errno)
    })
}

/// Links a temporary file to its name. The temporary name goes away with `staged`.
fn link(staged: &Staged<'_>, last: &str) -> Result<(), Errno> {
    let temporary = staged.temporary.as_deref().ok_or(Errno::NOENT)?;
    let linked = rustix::fs::linkat(
        staged.directory,
        temporary,
        staged.directory,
        last,
        AtFlags::empty(),
    );
    match linked {
        // Over NFS the answer to a request sent twice is that of the second one; the count of links tells the truth.
        Err(_) if rustix::fs::fstat(&staged.file).is_ok_and(|stat| stat.st_nlink == 2) => Ok(()),
        result => result,
    }
}

/// Whether an error says that the file system does not know such a request.
fn is_unknown(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::MLINK
    )
}

/// An error of a write. That something it needs has vanished does not mean that the object is absent.
fn refused(name: &str, errno: Errno) -> Error {
    match errno {
        Errno::NOENT => {
            let error = Error::new(ErrorKind::Unavailable, Subject::Object(name.to_owned()));
            error
                .detail("its directory was removed meanwhile")
                .because(not_found(name))
        }
        Errno::ISDIR | Errno::NOTDIR | Errno::NOTEMPTY => {
            name::invalid(name, "something that is no object is in the way")
        }
        _ => failed(name, errno),
    }
}
