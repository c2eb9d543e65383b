//! Puts the read-only view of `repo-core` behind the kernel's FUSE interface.
//!
//! Today it holds the one thing that is settled: which error number the kernel is given for which kind of error.
//! The mount itself is not written yet, and `larder` has no `mount` command until it is.

use repo_core::ErrorKind;

/// Error numbers of Linux, as the kernel expects them from a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Errno {
    /// No such file or directory.
    Enoent = 2,
    /// Interrupted.
    Eintr = 4,
    /// Input/output error: something must be there and is not, or is wrong.
    Eio = 5,
    /// Permission denied.
    Eacces = 13,
    /// Invalid argument.
    Einval = 22,
    /// Operation not supported.
    Enotsup = 95,
}

/// The error number for a kind of error. A damaged blob is never "no such file".
pub fn errno(kind: ErrorKind) -> Errno {
    match kind {
        ErrorKind::NotFound => Errno::Enoent,
        ErrorKind::Interrupted => Errno::Eintr,
        ErrorKind::Denied | ErrorKind::WrongPassword => Errno::Eacces,
        ErrorKind::InvalidInput => Errno::Einval,
        ErrorKind::Unsupported => Errno::Enotsup,
        _ => Errno::Eio,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_an_input_output_error() {
        for kind in [
            ErrorKind::Missing,
            ErrorKind::Damaged,
            ErrorKind::Unavailable,
        ] {
            assert_eq!(errno(kind), Errno::Eio);
        }
        assert_eq!(errno(ErrorKind::NotFound), Errno::Enoent);
    }
}
