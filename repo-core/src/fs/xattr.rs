//! Extended attributes; access control lists are among them, as `system.posix_acl_access` and `…_default`.
//!
//! What hangs on an open file or directory is asked through its descriptor. Links, pipes, sockets and devices cannot
//! be opened for that; they are reached through `/proc/self/fd/<directory>/<name>`, which resolves to the open
//! directory itself and so follows nothing and has no limit of depth.

use super::name::failed;
use crate::error::{Error, Result};
use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// How many bytes of names and values a file may have; a file with more is an error, not a surprise in memory.
pub const XATTRS_BYTES_MAX: usize = 16 << 20;

/// The kernel's own bound for a list of names and for one value (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const CALL_BYTES_MAX: usize = 65_536;

/// What the first try has room for. Most files have no attributes at all, most others a short label.
const FIRST_TRY_BYTES: usize = 1024;

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// The name with its namespace, such as `user.comment`.
    pub name: Vec<u8>,
    /// The value, which may be any bytes.
    pub value: Vec<u8>,
}

/// The extended attributes of an open file or directory, sorted by name.
///
/// None where the file system has none. One system call for a file without any, two and one for each attribute
/// otherwise. At most [`XATTRS_BYTES_MAX`].
pub fn xattrs_of(fd: impl AsFd) -> Result<Vec<Xattr>> {
    Handle::Open(fd.as_fd()).read_all(b"")
}

/// What attributes hang on, and how we get at it.
pub(super) enum Handle<'a> {
    /// An open file or directory.
    Open(BorrowedFd<'a>),
    /// An entry of an open directory, by its path in `/proc`.
    Entry(Vec<u8>),
}

impl Handle<'_> {
    /// The entry `name` of the open directory `dir`.
    pub(super) fn entry(dir: BorrowedFd<'_>, name: &[u8]) -> Self {
        let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        Self::Entry(path)
    }

    /// All attributes, sorted by name; `subject` is only for errors.
    ///
    /// An attribute that is removed meanwhile is left out.
    pub(super) fn read_all(&self, subject: &[u8]) -> Result<Vec<Xattr>> {
        let names = self.names(subject)?;
        let mut found = Vec::new();
        let mut bytes = 0;
        for name in names
            .split(|&byte| byte == 0)
            .filter(|name| !name.is_empty())
        {
            let Some(value) = self.value(name, subject)? else {
                continue;
            };
            bytes += name.len() + value.len();
            if bytes > XATTRS_BYTES_MAX {
                return Err(Error::unsupported(super::name::about(subject))
                    .detail("more than 16 MiB of extended attributes"));
            }
            found.push(Xattr {
                name: name.to_vec(),
                value,
            });
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The names, each ended by NUL.
    pub(super) fn names(&self, subject: &[u8]) -> Result<Vec<u8>> {
        let mut first = [0; FIRST_TRY_BYTES];
        match self.list(&mut first) {
            Ok(len) => return Ok(first[..len].to_vec()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
            Err(Errno::RANGE) => {}
            Err(errno) => return Err(failed(subject, "list extended attributes", errno)),
        }
        let mut names = vec![0; CALL_BYTES_MAX];
        let len = self
            .list(&mut names)
            .map_err(|errno| failed(subject, "list extended attributes", errno))?;
        names.truncate(len);
        Ok(names)
    }

    fn list(&self, into: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(fd) => rustix::fs::flistxattr(fd, into),
            Self::Entry(path) => rustix::fs::llistxattr(path, into),
        }
    }

    /// The value of one attribute; `None` if it is not there.
    fn value(&self, name: &[u8], subject: &[u8]) -> Result<Option<Vec<u8>>> {
        for room in [FIRST_TRY_BYTES, CALL_BYTES_MAX] {
            let mut value = Vec::with_capacity(room);
            let result = match self {
                Self::Open(fd) => rustix::fs::fgetxattr(fd, name, spare_capacity(&mut value)),
                Self::Entry(path) => rustix::fs::lgetxattr(path, name, spare_capacity(&mut value)),
            };
            match result {
                Ok(_) => {
                    value.shrink_to_fit();
                    return Ok(Some(value));
                }
                Err(Errno::NODATA) => return Ok(None),
                Err(Errno::RANGE) if room < CALL_BYTES_MAX => {}
                Err(errno) => return Err(failed(subject, "read extended attribute", errno)),
            }
        }
        Ok(None)
    }

    /// Sets one attribute, whether it is there or not.
    pub(super) fn set(&self, xattr: &Xattr) -> Result<(), Errno> {
        let Xattr { name, value } = xattr;
        match self {
            Self::Open(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Self::Entry(path) => rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()),
        }
    }

    /// Removes one attribute; none of that name is fine.
    pub(super) fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        let result = match self {
            Self::Open(fd) => rustix::fs::fremovexattr(fd, name),
            Self::Entry(path) => rustix::fs::lremovexattr(path, name),
        };
        match result {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xattr(name: &str, value: &[u8]) -> Xattr {
        Xattr {
            name: name.into(),
            value: value.to_vec(),
        }
    }

    #[test]
    fn long_lists_and_values_come_back_sorted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let handle = Handle::Open(file.as_fd());
        let mut wanted = vec![xattr("user.b", &[0; 2000]), xattr("user.empty", b"")];
        if handle.set(&wanted[0]) == Err(Errno::OPNOTSUPP) {
            return;
        }
        handle.set(&wanted[1]).unwrap();
        // Names of more than a kilobyte, so that the second try is needed; ext4 has room for about four.
        for digit in 0..6 {
            let more = xattr(&format!("user.{}{digit}", "a".repeat(200)), b"\0\xff");
            if handle.set(&more).is_err() {
                break;
            }
            wanted.push(more);
        }
        wanted.sort();
        let ours = |found: Vec<Xattr>| -> Vec<Xattr> {
            found
                .into_iter()
                .filter(|xattr| xattr.name.starts_with(b"user."))
                .collect()
        };
        assert_eq!(ours(xattrs_of(&file).unwrap()), wanted);
        let dir = std::fs::File::open(file.path().parent().unwrap()).unwrap();
        let name = file.path().file_name().unwrap().as_encoded_bytes();
        let by_name = Handle::entry(dir.as_fd(), name).read_all(name).unwrap();
        assert_eq!(ours(by_name), wanted, "the way over /proc sees the same");
        handle.remove(b"user.b").unwrap();
        handle.remove(b"user.b").unwrap();
        assert!(
            xattrs_of(&file)
                .unwrap()
                .iter()
                .all(|xattr| xattr.name != b"user.b")
        );
    }

    #[test]
    fn a_file_system_without_attributes_has_none() {
        let file = std::fs::File::open("/proc/self/status").unwrap();
        assert!(xattrs_of(&file).unwrap().is_empty());
    }
}
