//! Open directories and files as a backup reads them.

use super::meta::{Kind, Metadata, metadata_of};
use super::name::{about, component, failed, unexpected};
use super::xattr::{Handle, Xattr, xattrs_of};
use crate::error::{ErrorKind, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};
use rustix::io::{Errno, retry_on_intr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// An open directory. One file descriptor; the limit of a process is often 1,024 of them.
///
/// Every operation takes the bare name of an entry and follows no symbolic link. Threads may share it, but only one
/// at a time may call [`Dir::scan`], because the kernel keeps one position a descriptor.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    /// Whether the position is no longer at the start.
    pub(super) scanned: AtomicBool,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Dir {
    /// Opens the directory that the user named; here alone symbolic links are followed.
    pub fn open_root(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let name = path.as_os_str().as_bytes();
        let fd = open_quietly(CWD, name, flags).map_err(|errno| failed(name, "open", errno))?;
        Ok(Self {
            fd,
            scanned: AtomicBool::new(false),
        })
    }

    /// Opens a directory once more that is open for writing, with a position of its own.
    pub(super) fn reopen(dir: impl AsFd) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open_quietly(dir, b".", flags).map_err(|errno| failed(b".", "open", errno))?;
        Ok(Self {
            fd,
            scanned: AtomicBool::new(false),
        })
    }

    /// Opens the subdirectory `name`.
    ///
    /// `Unavailable` if it is (no longer) a directory, be it even a link to one.
    pub fn open_dir(&self, name: &[u8]) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match open_quietly(&self.fd, component(name)?, flags) {
            Ok(fd) => Ok(Self {
                fd,
                scanned: AtomicBool::new(false),
            }),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(unexpected(
                name,
                "changed meanwhile: it is no directory any more",
            )),
            Err(errno) => Err(failed(name, "open", errno)),
        }
    }

    /// Opens the regular file `name` for reading, with its metadata as of now.
    ///
    /// `Unavailable` if it is (no longer) a regular file. Never waits for the other end of a pipe. The time of
    /// access stays untouched where the system lets us: for root and for the owner.
    pub fn open_file(&self, name: &[u8]) -> Result<(File, Metadata)> {
        open_file(self.as_fd(), component(name)?)
    }

    /// Metadata of the entry `name`; of a symbolic link itself, not of what it points to.
    pub fn stat(&self, name: &[u8]) -> Result<Metadata> {
        self.stat_trusted(component(name)?)
    }

    /// As [`Dir::stat`], for a name that the kernel gave us.
    #[inline]
    pub(super) fn stat_trusted(&self, name: &[u8]) -> Result<Metadata> {
        let stat = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| failed(name, "stat", errno))?;
        Metadata::new(name, &stat)
    }

    /// Metadata of this directory.
    pub fn metadata(&self) -> Result<Metadata> {
        metadata_of(&self.fd)
    }

    /// What the symbolic link `name` points to, as it stands there.
    pub fn read_link(&self, name: &[u8]) -> Result<Vec<u8>> {
        match rustix::fs::readlinkat(&self.fd, component(name)?, Vec::new()) {
            Ok(target) => Ok(target.into_bytes()),
            Err(Errno::INVAL) => Err(unexpected(
                name,
                "changed meanwhile: it is no symbolic link any more",
            )),
            Err(errno) => Err(failed(name, "read link", errno)),
        }
    }

    /// The extended attributes of the entry `name`, sorted by name, if it still is of that kind.
    ///
    /// Files and directories are opened for it; whoever has them open already asks [`xattrs_of`]. All else, and what
    /// may not be opened, goes through `/proc`; a system without it has none for those.
    pub fn xattrs(&self, name: &[u8], kind: Kind) -> Result<Vec<Xattr>> {
        let opened = match kind {
            Kind::File => self.open_file(name).and_then(|(file, _)| xattrs_of(&file)),
            Kind::Dir => self.open_dir(name).and_then(|dir| xattrs_of(&dir)),
            _ => return self.xattrs_by_proc(name),
        };
        match opened {
            Err(error) if error.kind() == ErrorKind::Denied => self.xattrs_by_proc(name),
            other => other.map_err(|error| error.about(about(name))),
        }
    }

    fn xattrs_by_proc(&self, name: &[u8]) -> Result<Vec<Xattr>> {
        match Handle::entry(self.as_fd(), component(name)?).read_all(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.stat_trusted(name)?;
                Ok(Vec::new())
            }
            other => other,
        }
    }
}

const NOT_A_FILE: &str = "changed meanwhile: it is no regular file any more";

/// Opens the regular file `name`, a name of one entry, for reading; see [`Dir::open_file`].
pub(super) fn open_file(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(File, Metadata)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = match open_quietly(dir, name, flags) {
        Ok(fd) => fd,
        Err(Errno::LOOP | Errno::NXIO) => return Err(unexpected(name, NOT_A_FILE)),
        Err(errno) => return Err(failed(name, "open", errno)),
    };
    let metadata = metadata_of(&fd).map_err(|error| error.about(about(name)))?;
    if metadata.kind != Kind::File {
        return Err(unexpected(name, NOT_A_FILE));
    }
    Ok((fd.into(), metadata))
}

/// Opens without leaving a time of access, or else with it: only root and the owner may ask for that.
fn open_quietly(dir: impl AsFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let dir = dir.as_fd();
    let open = |flags| retry_on_intr(|| openat(dir, name, flags, Mode::empty()));
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        other => other,
    }
}

/// Reads bytes of `file` from `offset` on to the start of `into` until there are `enough` of them, or the file ends;
/// gives how many, which may be all that `into` takes.
///
/// With one byte more of room than a file is long it takes one call to the system to have all of it, where reading to
/// its end takes two, and a file that has grown gives itself away. Does not move the position of `file`, so threads may
/// share it.
pub fn read_at(file: &File, offset: u64, enough: usize, into: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < enough {
        let at = offset.saturating_add(done as u64);
        match retry_on_intr(|| rustix::io::pread(file, &mut into[done..], at)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(errno) => return Err(failed(b"", "read", errno).at(at)),
        }
    }
    Ok(done)
}

/// Tells the system that `file` is going to be read from start to end, so that it reads ahead further.
///
/// A hint: it cannot fail.
pub fn advise_sequential(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::FileType;
    use std::os::unix::fs::{OpenOptionsExt, symlink};

    fn with_dir(test: impl FnOnce(&Path, Dir)) {
        let temp = tempfile::tempdir().unwrap();
        test(temp.path(), Dir::open_root(temp.path()).unwrap());
    }

    #[test]
    fn the_root_may_be_a_link_but_nothing_below() {
        with_dir(|path, dir| {
            std::fs::create_dir(path.join("real")).unwrap();
            std::fs::write(path.join("real/file"), b"x").unwrap();
            symlink("real", path.join("dirlink")).unwrap();
            symlink("real/file", path.join("filelink")).unwrap();
            let root = Dir::open_root(&path.join("dirlink")).unwrap();
            assert_eq!(root.stat(b"file").unwrap().size, 1);
            assert_eq!(
                dir.open_dir(b"dirlink").unwrap_err().kind(),
                ErrorKind::Unavailable
            );
            assert_eq!(
                dir.open_file(b"filelink").unwrap_err().kind(),
                ErrorKind::Unavailable
            );
            assert_eq!(dir.stat(b"dirlink").unwrap().kind, Kind::Symlink);
            assert_eq!(dir.read_link(b"filelink").unwrap(), b"real/file");
            assert_eq!(dir.metadata().unwrap(), crate::fs::stat_path(path).unwrap());
        });
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        with_dir(|path, dir| {
            std::fs::create_dir(path.join("a")).unwrap();
            for name in [&b"a/.."[..], b"..", b".", b"", b"a/b", b"a\0"] {
                let kinds = [
                    dir.open_dir(name).unwrap_err().kind(),
                    dir.open_file(name).unwrap_err().kind(),
                    dir.stat(name).unwrap_err().kind(),
                    dir.read_link(name).unwrap_err().kind(),
                    dir.xattrs(name, Kind::Symlink).unwrap_err().kind(),
                ];
                assert_eq!(kinds, [ErrorKind::InvalidInput; 5], "{name:?}");
            }
        });
    }

    #[test]
    fn what_is_no_regular_file_is_never_read() {
        with_dir(|path, dir| {
            let mode = Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(&dir, b"pipe".as_slice(), FileType::Fifo, mode, 0).unwrap();
            let _socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
            std::fs::create_dir(path.join("dir")).unwrap();
            for (name, kind) in [
                ("pipe", Kind::Fifo),
                ("socket", Kind::Socket),
                ("dir", Kind::Dir),
            ] {
                assert_eq!(dir.stat(name.as_bytes()).unwrap().kind, kind);
                let error = dir.open_file(name.as_bytes()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}");
                assert_eq!(error.subject(), &about(name.as_bytes()));
                assert!(dir.xattrs(name.as_bytes(), kind).is_ok());
            }
            assert_eq!(
                dir.open_dir(b"pipe").unwrap_err().kind(),
                ErrorKind::Unavailable
            );
            assert_eq!(
                dir.read_link(b"dir").unwrap_err().kind(),
                ErrorKind::Unavailable
            );
            assert_eq!(
                dir.open_file(b"none").unwrap_err().kind(),
                ErrorKind::NotFound
            );
        });
    }

    #[test]
    fn hard_links_share_an_inode_and_long_names_work() {
        with_dir(|path, dir| {
            let long = [b'\xe4'; 255];
            std::fs::write(path.join("a"), b"same").unwrap();
            let linked = path.join(std::ffi::OsStr::from_bytes(&long));
            std::fs::hard_link(path.join("a"), linked).unwrap();
            let (one, other) = (dir.stat(b"a").unwrap(), dir.stat(&long).unwrap());
            assert_eq!(one, other);
            assert_eq!(one.links, 2);
            assert_eq!(dir.open_file(&long).unwrap().1, one);
            assert!(dir.stat(&[b'a'; 256]).is_err());
        });
    }

    #[test]
    fn reading_leaves_no_trace() {
        with_dir(|path, dir| {
            let file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path.join("file"))
                .unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, b"0123456789", 0).unwrap();
            // Long ago, so that `relatime` would update it.
            let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
            file.set_times(std::fs::FileTimes::new().set_accessed(old))
                .unwrap();
            let before = dir.stat(b"file").unwrap();
            let mut bytes = [0; 10];
            let read = read_at(&dir.open_file(b"file").unwrap().0, 0, 10, &mut bytes).unwrap();
            assert_eq!((read, dir.stat(b"file").unwrap()), (10, before));
        });
    }

    #[test]
    fn read_at_gives_what_is_there() {
        with_dir(|path, dir| {
            let content: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
            std::fs::write(path.join("file"), &content).unwrap();
            let (file, _) = dir.open_file(b"file").unwrap();
            advise_sequential(&file);
            let mut into = vec![1; 100_001];
            assert_eq!(read_at(&file, 0, 100_000, &mut into).unwrap(), 100_000);
            assert_eq!((&into[..100_000], into[100_000]), (&content[..], 1));
            assert_eq!(read_at(&file, 10, 1000, &mut into[..1000]).unwrap(), 1000);
            assert_eq!(into[..1000], content[10..1010]);
            assert_eq!(read_at(&file, 99_990, 1000, &mut into).unwrap(), 10);
            assert_eq!(into[..10], content[99_990..]);
            assert_eq!(read_at(&file, 100_000, 1, &mut into).unwrap(), 0);
            assert_eq!(read_at(&file, 0, 0, &mut []).unwrap(), 0);
        });
    }

    #[test]
    fn attributes_of_links_and_unreadable_files() {
        with_dir(|path, dir| {
            std::fs::write(path.join("file"), b"x").unwrap();
            symlink("file", path.join("link")).unwrap();
            let wanted = Xattr {
                name: b"user.note".to_vec(),
                value: b"hello".to_vec(),
            };
            if Handle::entry(dir.as_fd(), b"file").set(&wanted) == Err(Errno::OPNOTSUPP) {
                return;
            }
            let user = |found: Vec<Xattr>| -> Vec<Xattr> {
                found
                    .into_iter()
                    .filter(|xattr| xattr.name.starts_with(b"user."))
                    .collect()
            };
            assert_eq!(user(dir.xattrs(b"file", Kind::File).unwrap()), [wanted]);
            assert!(
                user(dir.xattrs(b"link", Kind::Symlink).unwrap()).is_empty(),
                "not followed"
            );
            let error = dir.xattrs(b"none", Kind::Symlink).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o000);
            std::fs::set_permissions(path.join("file"), private).unwrap();
            // As root it is read, as anybody else the value is denied; never a silent loss.
            match dir.xattrs(b"file", Kind::File) {
                Ok(found) => assert_eq!(user(found).len(), 1),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Denied),
            }
        });
    }
}
