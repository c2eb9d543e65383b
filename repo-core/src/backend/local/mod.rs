//! A directory on a local file system as a backend that survives power loss.
//!
//! An object is written to a temporary file `tmp-<hex>` in the same directory, synced, renamed without replacing another,
//! and then its directory is synced. Every directory is synced into its parent before an object in it counts as stored,
//! whoever made it. After a failed sync the backend is *poisoned*: every later call fails, reads too, because the page
//! cache may show what the disk does not have and a second sync would report success (Rebello et al., "Can Applications
//! Recover from fsync Failures?", USENIX ATC 2020).

mod durable;
mod trace;
mod walk;
mod write;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

use super::{Backend, Limits, Listed, OBJECT_BYTES_MAX, Put, name};
use crate::error::{Error, ErrorKind, Result, Subject};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use trace::Trace;

/// Calls at once. Threads that sync at the same time share the commits of a file system's journal.
const CONNECTIONS: usize = 16;

/// Linux reads ahead 128 KiB by default, so a smaller gap is read anyway.
const GAP_BYTES: u64 = 128 << 10;

/// A repository in a directory. Class A wherever the file system can link, or rename without replacing.
///
/// Files are made with mode 0600, directories with 0700. Memory: the names of the directories in use, some 500.
pub struct LocalBackend {
    path: PathBuf,
    root: OwnedFd,
    /// Directories, relative to the root, whose names survive a crash all the way up to it.
    known: Mutex<HashSet<String>>,
    poisoned: AtomicBool,
    /// A [`write::Publish`]: how files get their names here, as far as we know.
    publish: AtomicU8,
    /// That way has once created or refused, so it works.
    proven: AtomicBool,
    trace: Trace,
}

impl LocalBackend {
    /// Opens a directory that is there. `NoRepository` if there is none at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = || Subject::Repository(path.display().to_string());
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(root) => Ok(Self {
                path: path.to_owned(),
                root,
                known: Mutex::default(),
                poisoned: AtomicBool::new(false),
                publish: AtomicU8::new(write::Publish::Rename as u8),
                proven: AtomicBool::new(false),
                trace: Trace::default(),
            }),
            Err(Errno::NOENT) => Err(Error::new(ErrorKind::NoRepository, place())),
            Err(Errno::NOTDIR) => {
                Err(Error::new(ErrorKind::NoRepository, place()).detail("is not a directory"))
            }
            Err(errno) => Err(failure(place(), errno)),
        }
    }

    /// Makes the directory, with parents as far as they are missing, and opens it; one that is there is opened.
    ///
    /// On return every directory that was made survives a crash.
    pub fn create(path: &Path) -> Result<Self> {
        durable::make_all(path)?;
        Self::open(path).map_err(|error| match error.kind() {
            ErrorKind::NoRepository => {
                let subject = Subject::Path(path.to_owned());
                Error::new(ErrorKind::InvalidInput, subject).detail("not a directory")
            }
            _ => error,
        })
    }

    /// Opens a file for reading, with what is known of it. `NotFound` unless it is a regular file.
    fn find(&self, name: &str) -> Result<(OwnedFd, u64)> {
        name::check_name(name)?;
        self.check_poison()?;
        // Without NONBLOCK, opening a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match rustix::fs::openat(&self.root, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(errno) if is_absent(errno) => return Err(not_found(name)),
            Err(errno) => return Err(failed(name, errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|errno| failed(name, errno))?;
        Ok((file, file_len(&stat).ok_or_else(|| not_found(name))?))
    }

    /// Shows a step to whoever watches, who may make it fail.
    fn step(&self, name: &str, step: trace::Step<'_>) -> Result<()> {
        self.trace
            .step(step)
            .map_err(|cause| match cause.raw_os_error() {
                Some(code) => failed(name, Errno::from_raw_os_error(code)),
                None => Error::io(Subject::Object(name.to_owned()), cause),
            })
    }

    fn check_poison(&self) -> Result<()> {
        match self.poisoned.load(Ordering::SeqCst) {
            true => Err(
                Error::new(ErrorKind::Unavailable, Subject::Repository(self.place())).detail(
                    "an earlier write may not have reached the disk; nothing is done after that",
                ),
            ),
            false => Ok(()),
        }
    }
}

impl Backend for LocalBackend {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn limits(&self) -> Limits {
        Limits {
            connections: CONNECTIONS,
            gap_bytes: GAP_BYTES,
            remote: false,
            races: 1,
        }
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        let (file, len) = self.find(name)?;
        if len > OBJECT_BYTES_MAX {
            return Err(
                Error::damaged(Subject::Object(name.to_owned())).detail("longer than any object")
            );
        }
        read_exact(&file, name, 0, len)
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        let (file, file_len) = self.find(name)?;
        match offset.checked_add(len) {
            Some(end) if end <= file_len => read_exact(&file, name, offset, len),
            _ => Err(super::too_short(name, file_len)),
        }
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        match self.publish(name, parts)? {
            Put::Exists if !self.holds(name, parts)? => self.replace(name, parts),
            _ => Ok(()),
        }
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        self.publish(name, &[bytes])
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        name::check_prefix(prefix)?;
        self.check_poison()?;
        self.walk(prefix, Some(each), &mut |_| {})
    }

    fn list_strangers(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.check_poison()?;
        self.walk("", None, each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        name::check_name(name)?;
        self.check_poison()?;
        self.unlink(name)
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        name::check_name(name)?;
        self.check_poison()?;
        match rustix::fs::statat(&self.root, name, rustix::fs::AtFlags::empty()) {
            Ok(stat) => Ok(file_len(&stat)),
            Err(errno) if is_absent(errno) => Ok(None),
            Err(errno) => Err(failed(name, errno)),
        }
    }
}

/// Exactly `len` bytes, which the file has by its own account; a sparse file may still end in an error of memory.
fn read_exact(file: &OwnedFd, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
    let no_memory = || {
        Error::new(ErrorKind::Unavailable, Subject::Object(name.to_owned()))
            .detail("no memory to hold it")
    };
    let wanted = usize::try_from(len).map_err(|_| no_memory())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(wanted).map_err(|_| no_memory())?;
    while bytes.len() < wanted {
        let at = offset + bytes.len() as u64;
        let spare = rustix::buffer::spare_capacity(&mut bytes);
        match rustix::io::pread(file, spare, at) {
            Ok(0) => return Err(super::too_short(name, at)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(name, errno).at(at)),
        }
    }
    // The vector may have got more room than was asked for, and the file may have grown.
    bytes.truncate(wanted);
    Ok(bytes)
}

/// The length of a regular file; nothing else is an object.
fn file_len(stat: &Stat) -> Option<u64> {
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    u64::try_from(stat.st_size).ok().filter(|_| regular)
}

/// Whether an error of opening says that nothing is there, and only that. A name below an object has nothing there.
fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR)
}

fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, Subject::Object(name.to_owned()))
}

/// An error of the operating system about an object or a directory in the repository.
fn failed(name: &str, errno: Errno) -> Error {
    failure(Subject::Object(name.to_owned()), errno)
}

fn failure(subject: Subject, errno: Errno) -> Error {
    let error = Error::io(subject, errno.into());
    match errno {
        Errno::NOSPC => error.detail("no space left"),
        Errno::DQUOT => error.detail("no space left within the quota"),
        Errno::MFILE | Errno::NFILE => error.detail("too many open files"),
        _ => error,
    }
}
