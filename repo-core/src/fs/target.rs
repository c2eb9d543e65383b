//! The directory that a restore writes to, and everything below it.

use super::apply::{Applied, Attributes, Object};
use super::meta::{Kind, Metadata, metadata_of};
use super::name::{about, component, failed, unexpected};
use super::read::Dir;
use super::write::write_at;
use super::xattr::Handle;
use crate::error::{Error, ErrorKind, Result, Subject};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::{Errno, retry_on_intr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const DIR_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The access control list that a new entry gets from its directory, and the one that a new directory hands down.
const INHERITED: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// What to do with something that already has the name of what is to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the creation fails.
    Refuse,
    /// It is removed, unless it is a directory: those go by [`TargetDir::remove`] only.
    ///
    /// ext4 gives no inode away for some seconds after it was deleted, and searches past all such (`recently_deleted`
    /// in its `ialloc.c`): 0.8 ms a file with 80,000 of them. Many files are better changed in place.
    Replace,
}

/// The root of a restore.
#[derive(Debug)]
pub struct Target {
    place: PathBuf,
    root: TargetDir,
}

impl Target {
    /// Opens the directory that the user named, or creates it, and what is missing above it, for the user alone.
    ///
    /// Here alone symbolic links are followed.
    pub fn open(place: &Path) -> Result<Self> {
        let subject = || Subject::Path(place.to_path_buf());
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(place)
            .map_err(|cause| Error::io(subject(), cause).detail("create directory"))?;
        let fd = openat(
            CWD,
            place,
            DIR_FLAGS.difference(OFlags::NOFOLLOW),
            Mode::empty(),
        )
        .map_err(|errno| Error::io(subject(), errno.into()).detail("open"))?;
        Ok(Self {
            place: place.to_path_buf(),
            root: TargetDir::existing(fd),
        })
    }

    /// The directory itself.
    pub fn root(&self) -> &TargetDir {
        &self.root
    }

    /// The directory itself, for whoever holds on to directories on its own.
    pub fn into_root(self) -> TargetDir {
        self.root
    }

    /// The path that the user named.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Waits until all that was written to this file system is on the disk.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(&self.root)
            .map_err(|errno| failed(self.place.as_os_str().as_bytes(), "sync", errno))
    }
}

/// An open directory below a [`Target`]. One file descriptor.
///
/// Every operation takes the bare name of an entry and follows no symbolic link. What is created belongs to the
/// caller and is closed to all others (files `0600`, directories `0700`) until its attributes are set, whatever access
/// control list the directory hands down. Threads may share it.
#[derive(Debug)]
pub struct TargetDir {
    fd: OwnedFd,
    is_new: bool,
    /// Whether new entries get an access control list from this directory.
    hands_down_acl: bool,
}

impl AsFd for TargetDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl TargetDir {
    fn existing(fd: OwnedFd) -> Self {
        let hands_down_acl = rustix::fs::fgetxattr_query(&fd, INHERITED[1]).is_ok();
        Self {
            fd,
            is_new: false,
            hands_down_acl,
        }
    }

    /// Whether [`TargetDir::create_dir`] has created it, so that it was empty.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Opens the subdirectory `name`; `Unavailable` if it is something else, be it a link to a directory.
    pub fn open_dir(&self, name: &[u8]) -> Result<Self> {
        match self.open_below(component(name)?) {
            Ok(fd) => Ok(Self::existing(fd)),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(unexpected(name, "not a directory")),
            Err(errno) => Err(failed(name, "open", errno)),
        }
    }

    /// Creates the subdirectory `name`, or opens it if it is there.
    ///
    /// Anything else of that name is an error or replaced, as `existing` says; a link to a directory is such a thing.
    pub fn create_dir(&self, name: &[u8], existing: Existing) -> Result<Self> {
        component(name)?;
        match rustix::fs::mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) => return self.enter_new(name),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(name, "create directory", errno)),
        }
        match self.open_below(name) {
            Ok(fd) => return Ok(Self::existing(fd)),
            Err(Errno::NOTDIR | Errno::LOOP) if existing == Existing::Replace => {}
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(unexpected(name, "not a directory")),
            Err(errno) => return Err(failed(name, "open", errno)),
        }
        self.unlink(name)?;
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU)
            .map_err(|errno| failed(name, "create directory", errno))?;
        self.enter_new(name)
    }

    fn open_below(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        retry_on_intr(|| openat(&self.fd, name, DIR_FLAGS, Mode::empty()))
    }

    fn enter_new(&self, name: &[u8]) -> Result<Self> {
        let fd = self
            .open_below(name)
            .map_err(|errno| failed(name, "open", errno))?;
        self.take_acl_from(&Handle::Open(fd.as_fd()), name)?;
        Ok(Self {
            fd,
            is_new: true,
            hands_down_acl: false,
        })
    }

    /// Frees a new entry from the access control list that it got from this directory.
    ///
    /// With it the mode that is set later would open the file to those whom the list names.
    fn take_acl_from(&self, new: &Handle<'_>, name: &[u8]) -> Result<()> {
        if self.hands_down_acl {
            for acl in INHERITED {
                new.remove(acl)
                    .map_err(|errno| failed(name, "remove inherited access control list", errno))?;
            }
        }
        Ok(())
    }

    /// Opens the directory for listing and reading.
    pub fn read(&self) -> Result<Dir> {
        Dir::reopen(self)
    }

    /// Metadata of the entry `name` itself, `None` if there is none.
    pub fn stat(&self, name: &[u8]) -> Result<Option<Metadata>> {
        match statat(&self.fd, component(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Metadata::new(name, &stat).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed(name, "stat", errno)),
        }
    }

    /// Whether there is an entry `name`, even a link that leads nowhere.
    pub fn exists(&self, name: &[u8]) -> Result<bool> {
        self.stat(name).map(|found| found.is_some())
    }

    /// Creates the file `name`, empty and open for reading and writing.
    ///
    /// A file that is replaced is never written into: other names of it keep its content.
    pub fn create_file(&self, name: &[u8], existing: Existing) -> Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = self.create(name, existing, || openat(&self.fd, name, flags, mode))?;
        self.take_acl_from(&Handle::Open(fd.as_fd()), name)?;
        Ok(fd.into())
    }

    /// Opens the regular file `name` for reading and writing, with its metadata as of now.
    ///
    /// `Unavailable` if it is something else. With more than one link, what is written shows under all its names.
    pub fn open_existing_file(&self, name: &[u8]) -> Result<(File, Metadata)> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        component(name)?;
        let opened = retry_on_intr(|| openat(&self.fd, name, flags, Mode::empty()));
        let fd = match opened {
            Ok(fd) => fd,
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => {
                return Err(unexpected(name, NOT_A_FILE));
            }
            Err(errno) => return Err(failed(name, "open", errno)),
        };
        let metadata = metadata_of(&fd).map_err(|error| error.about(about(name)))?;
        if metadata.kind != Kind::File {
            return Err(unexpected(name, NOT_A_FILE));
        }
        Ok((fd.into(), metadata))
    }

    /// Puts a whole small file in place: content and attributes.
    ///
    /// Six system calls, for opening, content, owner, mode, times and closing, and one for each extended attribute.
    /// If the content cannot be written, no file is left.
    pub fn put_file(
        &self,
        name: &[u8],
        content: &[u8],
        attributes: &Attributes<'_>,
        existing: Existing,
    ) -> Result<Applied> {
        let file = self.create_file(name, existing)?;
        if let Err(error) = write_at(&file, 0, content) {
            // What matters is the first error.
            let _ = self.unlink(name);
            return Err(error.about(about(name)));
        }
        Ok(Object::Open(file.as_fd(), Kind::File).apply(name, attributes))
    }

    /// Creates the symbolic link `name` that points to `target`, whatever that is.
    pub fn symlink(&self, target: &[u8], name: &[u8], existing: Existing) -> Result<()> {
        self.create(name, existing, || {
            rustix::fs::symlinkat(target, &self.fd, name)
        })
    }

    /// Gives the entry `from_name` of `from` the further name `name` here; a link gets it itself.
    ///
    /// Done already if both are the same file.
    pub fn hardlink(
        &self,
        from: &Self,
        from_name: &[u8],
        name: &[u8],
        existing: Existing,
    ) -> Result<()> {
        let (from_name, name) = (component(from_name)?, component(name)?);
        let link = || rustix::fs::linkat(from, from_name, &self.fd, name, AtFlags::empty());
        match link() {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) if existing == Existing::Replace => {}
            Err(errno) => return Err(failed(name, "create", errno)),
        }
        let identity = |found: Option<Metadata>| found.map(|it| (it.device, it.inode));
        if identity(from.stat(from_name)?) == identity(self.stat(name)?) {
            return Ok(());
        }
        self.create(name, existing, link)
    }

    /// Creates the pipe, socket or device `name`; `rdev` says which device and counts for those only.
    ///
    /// Devices are for root: `Denied` otherwise. Other kinds are `InvalidInput`.
    pub fn node(&self, name: &[u8], kind: Kind, rdev: u64, existing: Existing) -> Result<()> {
        let rdev = match kind {
            Kind::Fifo | Kind::Socket => 0,
            Kind::BlockDevice | Kind::CharDevice => rdev,
            Kind::File | Kind::Dir | Kind::Symlink => {
                return Err(Error::new(ErrorKind::InvalidInput, about(name)).detail("not a node"));
            }
        };
        let mode = Mode::RUSR | Mode::WUSR;
        self.create(name, existing, || {
            rustix::fs::mknodat(&self.fd, name, kind.file_type(), mode, rdev)
        })?;
        self.take_acl_from(&Handle::entry(self.as_fd(), name), name)
    }

    /// Removes the entry `name` and, if it is a directory, all that is in it; nothing there is fine.
    ///
    /// Links are removed themselves. A directory on another file system stops it (`Denied`), and so does one that is
    /// moved away meanwhile (`Unavailable`). What was removed until an error stays removed. Two descriptors at a time,
    /// whatever the depth.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        super::remove::remove(self.as_fd(), component(name)?)
    }

    /// Sets attributes of this directory; after its entries are done, for they change its times.
    pub fn apply(&self, attributes: &Attributes<'_>) -> Applied {
        Object::Open(self.as_fd(), Kind::Dir).apply(b"", attributes)
    }

    /// Sets attributes of the entry `name`, which is of that kind, without opening it.
    ///
    /// For links, pipes, sockets and devices; whoever has a file open takes [`super::apply_to`].
    pub fn apply_entry(
        &self,
        name: &[u8],
        kind: Kind,
        attributes: &Attributes<'_>,
    ) -> Result<Applied> {
        Ok(Object::Entry(self.as_fd(), component(name)?, kind).apply(name, attributes))
    }

    /// Creates what has no name yet, or takes the name from what has it.
    fn create<T>(
        &self,
        name: &[u8],
        existing: Existing,
        make: impl Fn() -> Result<T, Errno>,
    ) -> Result<T> {
        component(name)?;
        let mut made = retry_on_intr(&make);
        if existing == Existing::Replace && matches!(made, Err(Errno::EXIST)) {
            self.unlink(name)?;
            made = retry_on_intr(&make);
        }
        made.map_err(|errno| failed(name, "create", errno))
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed(name, "replace", errno)),
        }
    }
}

const NOT_A_FILE: &str = "not a regular file";
