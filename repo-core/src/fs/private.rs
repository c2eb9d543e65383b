//! Small files of our own: a client's state, keys, tables of the system.

use super::name::failed;
use crate::error::{Error, ErrorKind, Result, Subject};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, openat, renameat, unlinkat};
use rustix::io::{Errno, retry_on_intr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many left-over temporary names are passed over before we give up.
const ATTEMPTS: usize = 1000;

/// Puts `bytes` at `path`, readable for the owner alone, whole or not at all.
///
/// Whoever reads meanwhile, or after a crash at any moment, finds the old content or the new one. On return the new
/// one is on the disk. The directory must exist; a symbolic link at `path` is replaced, not followed. A crash may leave
/// a file `.larder-<process>-<number>` beside it.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let subject = || Subject::Path(path.to_path_buf());
    let name = path
        .file_name()
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, subject()).detail("names no file"))?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, parent.unwrap_or(Path::new(".")), flags, Mode::empty())
        .map_err(|errno| Error::io(subject(), errno.into()).detail("open directory"))?;
    let (temporary, mut file) = create_temporary(&dir).map_err(|error| error.about(subject()))?;
    let mut put = || -> std::io::Result<()> {
        file.write_all(bytes)?;
        file.sync_all()?;
        renameat(&dir, &temporary, &dir, name.as_bytes())?;
        Ok(())
    };
    if let Err(cause) = put() {
        // What matters is the first error; the left-over name harms nobody.
        let _ = unlinkat(&dir, &temporary, AtFlags::empty());
        return Err(Error::io(subject(), cause).detail("write"));
    }
    retry_on_intr(|| fsync(&dir))
        .map_err(|errno| Error::io(subject(), errno.into()).detail("sync directory"))
}

fn create_temporary(dir: &OwnedFd) -> Result<(Vec<u8>, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    let mut result = Err(failed(b"", "create", Errno::EXIST));
    for _ in 0..ATTEMPTS {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".larder-{}-{number}", std::process::id()).into_bytes();
        match retry_on_intr(|| openat(dir.as_fd(), &name, flags, mode)) {
            Ok(fd) => return Ok((name, fd.into())),
            Err(Errno::EXIST) => {}
            Err(errno) => {
                result = Err(failed(b"", "create", errno));
                break;
            }
        }
    }
    result
}

/// Reads a whole file that the user or the system names, if it has no more than `bytes_max` bytes.
///
/// A longer one is `InvalidInput`. Links are followed, and a pipe is read to its end, so that a shell's `<(…)` works.
pub fn read_bounded(path: &Path, bytes_max: usize) -> Result<Vec<u8>> {
    let failed = |cause| Error::io(Subject::Path(path.to_path_buf()), cause).detail("read");
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let limit = (bytes_max as u64).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > bytes_max {
        return Err(
            Error::new(ErrorKind::InvalidInput, Subject::Path(path.to_path_buf()))
                .detail(format!("longer than {bytes_max} bytes")),
        );
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn replaces_whole_files_and_links_and_leaves_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("state");
        let victim = temp.path().join("victim");
        std::fs::write(&victim, b"untouched").unwrap();
        symlink(&victim, &path).unwrap();
        for content in [&b"first"[..], b"", &[7; 100_000]] {
            write_private(&path, content).unwrap();
            assert_eq!(read_bounded(&path, 100_000).unwrap(), content);
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            assert!(metadata.is_file());
            assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
        }
        assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_failed_write_keeps_the_old_and_cleans_up() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        let error = write_private(&path, b"x").unwrap_err();
        assert_eq!(error.subject(), &Subject::Path(path.clone()));
        assert!(path.is_dir());
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
        assert_eq!(
            write_private(&path.join(".."), b"").unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        let nowhere = temp.path().join("no/file");
        assert_eq!(
            write_private(&nowhere, b"").unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }

    #[test]
    fn reading_is_bounded() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
        assert_eq!(
            read_bounded(&path, 4).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            read_bounded(Path::new("/dev/zero"), 9).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}
