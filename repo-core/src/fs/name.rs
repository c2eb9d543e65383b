//! Names of directory entries, and errors about them.

use crate::error::{Error, ErrorKind, Result, Subject};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Lets only a name through that means one entry of one directory.
///
/// An empty name, `.`, `..` and names with `/` or NUL are `InvalidInput`: a repository or a peer may name anything.
pub(super) fn component(name: &[u8]) -> Result<&[u8]> {
    let elsewhere = matches!(name, b"" | b"." | b"..");
    if elsewhere || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(Error::new(ErrorKind::InvalidInput, about(name)).detail("not a file name"));
    }
    Ok(name)
}

/// The entry `name` as the subject of an error; of what is only known as open, nothing in particular.
pub(super) fn about(name: &[u8]) -> Subject {
    if name.is_empty() {
        return Subject::None;
    }
    Subject::Path(PathBuf::from(OsStr::from_bytes(name)))
}

/// What the system said when it was asked to do `what` with `name`.
pub(super) fn failed(name: &[u8], what: &'static str, errno: Errno) -> Error {
    Error::io(about(name), errno.into()).detail(what)
}

/// An entry that is no longer, or never was, what the caller took it for.
pub(super) fn unexpected(name: &[u8], what: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, about(name)).detail(what)
}

/// A mount point, which the system calls busy when it is removed, or a subvolume.
pub(super) fn another_file_system(name: &[u8]) -> Error {
    Error::new(ErrorKind::Denied, about(name)).detail("another file system")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_components_pass() {
        for name in [&b""[..], b".", b"..", b"/", b"a/b", b"../a", b"a\0b"] {
            assert_eq!(
                component(name).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{name:?}"
            );
        }
        for name in [&b"..."[..], b".a", b" ", b"\xff\xfe", b"a\nb"] {
            assert_eq!(component(name).unwrap(), name);
        }
    }
}
