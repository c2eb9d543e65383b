//! Which error number the kernel is given for which kind of error.

use fuser::Errno;
use repo_core::ErrorKind;

/// The error number for a kind of error. A damaged blob is never "no such file".
pub fn errno(kind: ErrorKind) -> Errno {
    match kind {
        ErrorKind::NotFound => Errno::ENOENT,
        ErrorKind::Interrupted => Errno::EINTR,
        ErrorKind::Denied | ErrorKind::WrongPassword => Errno::EACCES,
        ErrorKind::InvalidInput => Errno::EINVAL,
        ErrorKind::Unsupported => Errno::ENOTSUP,
        _ => Errno::EIO,
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
            assert_eq!(errno(kind).code(), 5);
        }
        assert_eq!(errno(ErrorKind::NotFound).code(), 2);
    }
}
