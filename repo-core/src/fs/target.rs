//! The directory that a restore writes to, and everything below it.

use super::apply::{Applied, Attributes, Object, chmod_entry};
use super::meta::{Kind, Metadata, metadata_of};
use super::name::{about, another_file_system, component, failed, unexpected};
use super::read::Dir;
use super::write::write_at;
use super::xattr::{Handle, Xattr};
use crate::error::{Error, ErrorKind, Result, Subject};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    Access, AtFlags, CWD, Mode, OFlags, ResolveFlags, accessat, openat, openat2, statat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};
use std::fs::File;
use std::io::ErrorKind as Io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

const DIR_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Permissions of a file that is not whole yet: for its owner alone, with the sticky bit, which Linux keeps and gives no meaning
/// to. It costs nothing, and tells after a crash what was begun from what somebody put there.
pub const BEGUN_MODE: u32 = 0o1600;

/// The access control list that a new entry gets from its directory, and the one that a new directory hands down.
const INHERITED: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// The root of a restore.
#[derive(Debug)]
pub struct Target {
    root: TargetDir,
}

impl Target {
    /// Opens the directory that the user named, or creates it, and what is missing above it, for the user alone.
    ///
    /// Here alone symbolic links are followed. `Denied` if the file system is mounted for reading only.
    pub fn open(place: &Path) -> Result<Self> {
        let subject = || Subject::Path(place.to_path_buf());
        let create = |recursive| {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(recursive).mode(0o700).create(place)
        };
        let created = match create(false) {
            Err(error) if error.kind() == Io::NotFound => create(true),
            created => created,
        };
        let is_new = match created {
            Ok(()) => true,
            Err(error) if error.kind() == Io::AlreadyExists => false,
            Err(cause) => return Err(Error::io(subject(), cause).detail("create directory")),
        };
        let leads_nowhere = || {
            let detail = "is a symbolic link that leads nowhere";
            Error::new(ErrorKind::InvalidInput, subject()).detail(detail)
        };
        let mut target = Self::open_existing(place)?.ok_or_else(leads_nowhere)?;
        target.root.is_new = is_new;
        match accessat(&target.root, ".", Access::WRITE_OK, AtFlags::empty()) {
            // Said once here instead of for every file. What is forbidden here may be allowed further below.
            Err(Errno::ROFS) => Err(Error::io(subject(), Errno::ROFS.into()).detail("write to")),
            _ => Ok(target),
        }
    }

    /// Opens the directory that the user named, if it is there. Symbolic links are followed; `InvalidInput` if something
    /// else has that name.
    pub fn open_existing(place: &Path) -> Result<Option<Self>> {
        let subject = || Subject::Path(place.to_path_buf());
        let flags = DIR_FLAGS.difference(OFlags::NOFOLLOW);
        match retry_on_intr(|| openat(CWD, place, flags, Mode::empty())) {
            Ok(fd) => Ok(Some(Self {
                root: TargetDir::existing(fd),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR) => {
                Err(Error::new(ErrorKind::InvalidInput, subject()).detail("not a directory"))
            }
            Err(errno) => Err(Error::io(subject(), errno.into()).detail("open")),
        }
    }

    /// The directory itself.
    pub fn root(&self) -> &TargetDir {
        &self.root
    }

    /// The directory itself, for whoever holds on to directories on its own.
    pub fn into_root(self) -> TargetDir {
        self.root
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

    /// Whether [`TargetDir::create_dir`] or [`Target::open`] has created it, so that it was empty.
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

    /// The same, but `Denied` if something is mounted there, another file system or a part of this one.
    pub fn open_dir_of_same_mount(&self, name: &[u8]) -> Result<Self> {
        let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        let open = || openat2(&self.fd, name, DIR_FLAGS, Mode::empty(), resolve);
        component(name)?;
        match retry_on_intr(open) {
            Ok(fd) => Ok(Self::existing(fd)),
            Err(Errno::XDEV) => Err(another_file_system(name)),
            // Before Linux 5.6, or forbidden: the device tells most of it.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {
                let dir = self.open_dir(name)?;
                match metadata_of(&dir)?.device == metadata_of(&self.fd)?.device {
                    true => Ok(dir),
                    false => Err(another_file_system(name)),
                }
            }
            Err(Errno::NOTDIR | Errno::LOOP) => Err(unexpected(name, "not a directory")),
            Err(errno) => Err(failed(name, "open", errno)),
        }
    }

    /// Creates the subdirectory `name`, or opens it if it is there.
    ///
    /// Anything else of that name is replaced once the directory is there; a link to a directory is such a thing. One that
    /// is there and ours is opened to us for writing; its attributes are to be set in the end.
    pub fn create_dir(&self, name: &[u8]) -> Result<Self> {
        component(name)?;
        match rustix::fs::mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) => return self.enter_new(name),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(name, "create directory", errno)),
        }
        match self
            .open_below(name)
            .or_else(|errno| self.open_ours(name, errno))
        {
            Ok(fd) => {
                let dir = Self::existing(fd);
                dir.let_us_in();
                return Ok(dir);
            }
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            Err(errno) => return Err(failed(name, "open", errno)),
        }
        self.dir_in_place_of(name)?;
        self.enter_new(name)
    }

    fn open_below(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        retry_on_intr(|| openat(&self.fd, name, DIR_FLAGS, Mode::empty()))
    }

    /// Opens a directory of ours that we locked ourselves out of.
    fn open_ours(&self, name: &[u8], errno: Errno) -> Result<OwnedFd, Errno> {
        let found = match errno {
            Errno::ACCESS => statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?,
            errno => return Err(errno),
        };
        let mode = Mode::from_raw_mode(found.st_mode & 0o7777) | Mode::RWXU;
        match chmod_entry(self.as_fd(), name, Kind::Dir, mode) {
            Ok(()) => self.open_below(name),
            Err(_) => Err(errno),
        }
    }

    /// Lets us create and remove entries where the owner, who we are, may not.
    ///
    /// If that is refused, so will be what follows, and that is reported.
    fn let_us_in(&self) {
        let user = rustix::process::geteuid();
        if user.is_root() {
            return;
        }
        if let Ok(found) = rustix::fs::fstat(&self.fd)
            && found.st_uid == user.as_raw()
            && found.st_mode & 0o700 != 0o700
        {
            let mode = Mode::from_raw_mode(found.st_mode & 0o7777) | Mode::RWXU;
            let _ = rustix::fs::fchmod(&self.fd, mode);
        }
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

    /// What the symbolic link `name` points to, as it stands there.
    pub fn read_link(&self, name: &[u8]) -> Result<Vec<u8>> {
        match rustix::fs::readlinkat(&self.fd, component(name)?, Vec::new()) {
            Ok(target) => Ok(target.into_bytes()),
            Err(Errno::INVAL) => Err(unexpected(name, "not a symbolic link")),
            Err(errno) => Err(failed(name, "read link", errno)),
        }
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

    /// Creates the file `name`, empty and open for reading and writing, with [`BEGUN_MODE`] until it gets its own.
    ///
    /// A file that is replaced is never written into: other names of it keep its content. Its own name has nothing then:
    /// who wants to keep it until the new one is whole creates that under one of its [`super::part_names`] first.
    pub fn create_file(&self, name: &[u8]) -> Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(BEGUN_MODE);
        let fd = self.create(name, |name| openat(&self.fd, name, flags, mode))?;
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

    /// Opens the regular file `name` for reading, with its metadata as of now.
    ///
    /// `Unavailable` if it is something else. The time of access stays untouched where the system lets us.
    pub fn open_file_to_read(&self, name: &[u8]) -> Result<(File, Metadata)> {
        super::read::open_file(self.as_fd(), component(name)?)
    }

    /// The extended attributes of the entry `name` itself, sorted by name.
    pub fn xattrs_of_entry(&self, name: &[u8]) -> Result<Vec<Xattr>> {
        Handle::entry(self.as_fd(), component(name)?).read_all(name)
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
    ) -> Result<Applied> {
        let file = self.create_file(name)?;
        if let Err(error) = write_at(&file, 0, content) {
            // What matters is the first error.
            let _ = self.unlink(name);
            return Err(error.about(about(name)));
        }
        Ok(Object::Open(file.as_fd(), Kind::File).apply(name, attributes))
    }

    /// Creates the symbolic link `name` that points to `target`, whatever that is.
    pub fn symlink(&self, target: &[u8], name: &[u8]) -> Result<()> {
        self.create(name, |name| rustix::fs::symlinkat(target, &self.fd, name))
    }

    /// Gives the entry `from_name` of `from` the further name `name` here; a link gets it itself.
    ///
    /// Done already if both are the same file; says whether it was not.
    pub fn hardlink(&self, from: &Self, from_name: &[u8], name: &[u8]) -> Result<bool> {
        let (from_name, name) = (component(from_name)?, component(name)?);
        let link =
            |name: &[u8]| rustix::fs::linkat(from, from_name, &self.fd, name, AtFlags::empty());
        match link(name) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(name, "create", errno)),
        }
        let identity = |found: Option<Metadata>| found.map(|it| (it.device, it.inode));
        if identity(from.stat(from_name)?) == identity(self.stat(name)?) {
            return Ok(false);
        }
        self.create(name, link).map(|()| true)
    }

    /// Creates the pipe, socket or device `name`; `rdev` says which device and counts for those only.
    ///
    /// Devices are for root: `Denied` otherwise. Other kinds are `InvalidInput`.
    pub fn node(&self, name: &[u8], kind: Kind, rdev: u64) -> Result<()> {
        let rdev = match kind {
            Kind::Fifo | Kind::Socket => 0,
            Kind::BlockDevice | Kind::CharDevice => rdev,
            Kind::File | Kind::Dir | Kind::Symlink => {
                return Err(Error::new(ErrorKind::InvalidInput, about(name)).detail("not a node"));
            }
        };
        let mode = Mode::RUSR | Mode::WUSR;
        self.create(name, |name| {
            rustix::fs::mknodat(&self.fd, name, kind.file_type(), mode, rdev)
        })?;
        self.take_acl_from(&Handle::entry(self.as_fd(), name), name)
    }

    /// Removes the directory `name` if it is empty; says whether it was.
    pub fn remove_empty_dir(&self, name: &[u8]) -> Result<bool> {
        match unlinkat(&self.fd, component(name)?, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(failed(name, "remove directory", errno)),
        }
    }

    /// Removes the entry `name`, which is no directory; nothing there is fine.
    pub fn remove_entry(&self, name: &[u8]) -> Result<()> {
        match unlinkat(&self.fd, component(name)?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed(name, "remove", errno)),
        }
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
}

const NOT_A_FILE: &str = "not a regular file";
