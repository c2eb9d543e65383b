//! What there is room for in the target.

use crate::error::{Error, Subject};
use crate::repo::lock;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where there is no room for so much, there is none for anything.
const NOTHING_BYTES: u64 = 64 << 10;

/// What was learned of the room in the target. It only becomes less: what somebody else frees meanwhile is for the next run.
pub struct Room {
    /// The least that did not fit, in bytes.
    lacked: AtomicU64,
    /// Which error the system gave for that.
    code: Mutex<Option<i32>>,
    ended: AtomicBool,
    end: Mutex<Option<Error>>,
}

impl Room {
    /// As if there were room for everything.
    pub fn new() -> Self {
        Self {
            lacked: AtomicU64::new(u64::MAX),
            code: Mutex::default(),
            ended: AtomicBool::new(false),
            end: Mutex::default(),
        }
    }

    /// Says without trying that there is no room for so many bytes, because fewer did not fit: who tried would fetch them in
    /// vain, and take from others the room that there is.
    pub fn refuse(&self, bytes: u64) -> Result<(), Error> {
        match *lock(&self.code) {
            Some(code) if bytes >= self.lacked.load(Ordering::Relaxed) => {
                Err(error_of(code, Subject::None))
            }
            _ => Ok(()),
        }
    }

    /// Something of so many bytes, which is to lie at `path`, did not fit, if that is what `error` says. If there is no room for
    /// anything any more, that is the end, and `true`: the one error that [`Room::take_end`] gives stands for all.
    pub fn lacks(&self, path: &Path, bytes: u64, error: &Error) -> bool {
        let Some(code) = full_code(error) else {
            return false;
        };
        *lock(&self.code) = Some(code);
        self.lacked.fetch_min(bytes.max(1), Ordering::Relaxed);
        if bytes > NOTHING_BYTES {
            return false;
        }
        let error = error_of(code, Subject::Path(path.to_path_buf()));
        lock(&self.end).get_or_insert(error);
        self.ended.store(true, Ordering::Relaxed);
        true
    }

    /// Whether there is no room for anything any more.
    pub fn is_none(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Why the restore ends, if it does.
    pub fn take_end(&self) -> Option<Error> {
        lock(&self.end).take()
    }
}

/// Whether an error says that the target is full.
pub fn is_full(error: &Error) -> bool {
    full_code(error).is_some()
}

fn full_code(error: &Error) -> Option<i32> {
    let ours = match error.subject() {
        Subject::None => true,
        // Names of entries; what is read from elsewhere has a path from the root on.
        Subject::Path(path) => path.is_relative(),
        _ => false,
    };
    let cause = error.io_cause().filter(|_| ours && error.is_full());
    cause?.raw_os_error()
}

fn error_of(code: i32, subject: Subject) -> Error {
    Error::io(subject, io::Error::from_raw_os_error(code)).detail("write")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn what_is_larger_than_what_did_not_fit_is_not_tried() {
        let room = Room::new();
        let at = Path::new("/target/file");
        let full = |errno: Errno| Error::io(Subject::None, errno.into());
        assert!(!room.lacks(at, 0, &full(Errno::IO)));
        assert!(room.refuse(u64::MAX).is_ok());
        assert!(!room.lacks(at, 1 << 20, &full(Errno::NOSPC)));
        assert!(room.refuse((1 << 20) - 1).is_ok() && !room.is_none());
        assert!(is_full(&room.refuse(1 << 20).unwrap_err()));
        assert!(room.take_end().is_none());
        let elsewhere = full(Errno::NOSPC).about(Subject::Path("/cache".into()));
        assert!(!room.lacks(at, 0, &elsewhere));
        assert!(room.lacks(at, 7, &full(Errno::DQUOT)) && room.is_none());
        let end = room.take_end().unwrap();
        assert_eq!(end.subject(), &Subject::Path(at.into()));
    }
}
