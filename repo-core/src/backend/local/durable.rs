//! Syncing: what makes names and bytes survive a crash.

use super::trace::Step;
use super::{LocalBackend, failed, failure, name};
use crate::error::{Error, ErrorKind, Result, Subject};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::path::Path;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Makes `path` and its missing parents with mode 0700 and syncs each into its parent.
pub(super) fn make_all(path: &Path) -> Result<()> {
    let parent_of = |path: &Path| match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new(".").to_owned(),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    };
    let failure = |path: &Path, errno| failure(Subject::Path(path.to_owned()), errno);
    let mut missing = Vec::new();
    let mut at = path.to_owned();
    while let Err(Errno::NOENT) = rustix::fs::stat(&at) {
        missing.push(at.clone());
        let parent = parent_of(&at);
        if parent == at {
            break;
        }
        at = parent;
    }
    for path in missing.iter().rev() {
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failure(path, errno).detail("create directory")),
        }
        let parent = parent_of(path);
        let opened = rustix::fs::open(&parent, DIRECTORY, Mode::empty());
        let parent_fd = opened.map_err(|errno| failure(&parent, errno))?;
        sync_names(&parent_fd).map_err(|errno| failure(&parent, errno))?;
    }
    if missing.is_empty() {
        // Someone else made it, perhaps a moment ago. We may not be allowed to open its parent.
        let parent = parent_of(path);
        if let Ok(parent_fd) = rustix::fs::open(&parent, DIRECTORY, Mode::empty()) {
            sync_names(&parent_fd).map_err(|errno| failure(&parent, errno))?;
        }
    }
    Ok(())
}

/// Syncs a directory. Some network file systems have no such thing and say so; there nothing can be done.
fn sync_names(directory: impl AsFd) -> Result<(), Errno> {
    match rustix::fs::fsync(directory) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
        result => result,
    }
}

impl LocalBackend {
    /// Syncs a file that is not visible yet or that someone else published.
    pub(super) fn sync_file(&self, file: impl AsFd, name: &str) -> Result<()> {
        let synced = self.trace.step(Step::SyncFile(name));
        let synced = synced.and_then(|()| Ok(rustix::fs::fsync(file)?));
        synced.map_err(|cause| self.poison(name, cause))
    }

    /// Syncs the names in a directory.
    pub(super) fn sync_directory(&self, directory: impl AsFd, path: &str) -> Result<()> {
        let synced = self.trace.step(Step::SyncDirectory(path));
        let synced = synced.and_then(|()| Ok(sync_names(directory)?));
        synced.map_err(|cause| self.poison(path, cause))
    }

    fn poison(&self, name: &str, cause: std::io::Error) -> Error {
        self.poisoned.store(true, Ordering::SeqCst);
        let subject = Subject::Object(name.to_owned());
        Error::new(ErrorKind::Unavailable, subject)
            .detail("cannot be synced to disk")
            .because(cause)
    }

    /// Opens the directory `path` (empty: the root) for an object in it, makes it if needed, and sees to it that its
    /// name survives a crash.
    pub(super) fn directory(&self, path: &str) -> Result<OwnedFd> {
        if !path.is_empty() && !self.known().contains(path) {
            self.make_directories(path)?;
        }
        match self.open_directory(path) {
            // Someone removed it as empty since we knew it.
            Err(Errno::NOENT) => {
                self.known().clear();
                self.make_directories(path)?;
                self.open_directory(path)
                    .map_err(|errno| failed(path, errno))
            }
            Err(Errno::NOTDIR) => Err(name::invalid(path, "another object is in the way")),
            result => result.map_err(|errno| failed(path, errno)),
        }
    }

    pub(super) fn open_directory(&self, path: &str) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        rustix::fs::openat(&self.root, path, DIRECTORY, Mode::empty())
    }

    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    fn make_directories(&self, path: &str) -> Result<()> {
        let ends = path
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([path.len()]);
        for path in ends.map(|end| &path[..end]) {
            if !self.known().contains(path) {
                self.make_directory(path)?;
            }
        }
        Ok(())
    }

    /// Makes one directory whose parent is known. One that is there may have been made by another process that has not
    /// synced it yet, so the parent is synced all the same, and then all directories that it showed are known.
    fn make_directory(&self, path: &str) -> Result<()> {
        let (above, last) = name::split(path);
        let parent = match self.open_directory(above) {
            Err(Errno::NOTDIR) => return Err(name::invalid(path, "another object is in the way")),
            result => result.map_err(|errno| failed(above, errno))?,
        };
        self.step(path, Step::MakeDirectory(path))?;
        let mut durable = match rustix::fs::mkdirat(&parent, last, Mode::RWXU) {
            Ok(()) => Vec::new(),
            Err(Errno::EXIST) => {
                subdirectories(&parent, above).map_err(|errno| failed(above, errno))?
            }
            Err(errno) => return Err(failed(path, errno)),
        };
        durable.push(path.to_owned());
        self.sync_directory(&parent, above)?;
        self.known().extend(durable);
        Ok(())
    }
}

/// The directories in `directory` that objects can lie in, by their paths.
fn subdirectories(directory: &OwnedFd, path: &str) -> Result<Vec<String>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let part = entry
            .file_name()
            .to_str()
            .ok()
            .filter(|part| name::is_part(part));
        if let (Some(part), FileType::Directory) = (part, entry.file_type()) {
            found.push(name::join(path, part));
        }
    }
    Ok(found)
}
