//! Small files of our own: a client's state, keys, tables of the system.

use super::name::failed;
use crate::error::{Error, ErrorKind, Result, Subject};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, linkat, openat, renameat, statat, unlinkat};
use rustix::io::{Errno, retry_on_intr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many left-over temporary names are passed over before we give up.
const ATTEMPTS: usize = 1000;

/// Puts `bytes` at `path`, readable for the owner alone, whole or not at all.
///
/// Whoever reads meanwhile, or after a crash at any moment, finds the old content or the new one. On return the new
/// one is on the disk. The directory must exist; a symbolic link at `path` is replaced, not followed. A crash may leave
/// a file `.larder-<process>-<number>` beside it.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut new = NewFile::create(path)?;
    if let Err(cause) = new.file().write_all(bytes) {
        return Err(Error::io(new.subject(), cause).detail("write"));
    }
    new.finish(true)
}

/// A file on its way to its place, readable for the owner alone, under a name `.larder-<process>-<number>` beside that. Dropped before
/// it is finished, it is removed; a crash may leave it.
pub struct NewFile {
    path: PathBuf,
    dir: OwnedFd,
    temporary: Vec<u8>,
    file: File,
    placed: bool,
}

impl NewFile {
    /// Begins a file that will lie at `path`, whose directory must exist.
    pub fn create(path: &Path) -> Result<Self> {
        let subject = || Subject::Path(path.to_path_buf());
        if path.file_name().is_none() {
            return Err(Error::new(ErrorKind::InvalidInput, subject()).detail("names no file"));
        }
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat(CWD, parent.unwrap_or(Path::new(".")), flags, Mode::empty())
            .map_err(|errno| Error::io(subject(), errno.into()).detail("open directory"))?;
        let (temporary, file) = create_temporary(&dir).map_err(|error| error.about(subject()))?;
        Ok(Self {
            path: path.to_path_buf(),
            dir,
            temporary,
            file,
            placed: false,
        })
    }

    /// What is written to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts it in its place; what lies there is replaced if that is meant, and otherwise an error (`InvalidInput`). On return it is on
    /// the disk.
    pub fn finish(mut self, replace: bool) -> Result<()> {
        let failed = |cause| Error::io(self.subject(), cause).detail("write");
        self.file.sync_all().map_err(failed)?;
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        let placed = match replace {
            true => renameat(&self.dir, &self.temporary, &self.dir, name),
            // Unlike a rename that does not replace, this is known to all file systems that have links.
            false => linkat(
                &self.dir,
                &self.temporary,
                &self.dir,
                name,
                AtFlags::empty(),
            ),
        };
        match placed {
            Err(Errno::EXIST) => {
                let there = Error::new(ErrorKind::InvalidInput, self.subject());
                return Err(there.detail("is there already"));
            }
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::MLINK) if !replace => {
                self.rename_to_nothing(name)?;
            }
            placed => placed.map_err(|errno| failed(errno.into()))?,
        }
        self.placed = replace;
        let synced = retry_on_intr(|| fsync(&self.dir));
        synced.map_err(|errno| Error::io(self.subject(), errno.into()).detail("sync directory"))
    }

    /// Puts it in its place, whatever lies there, without waiting for the disk: after a crash it may be empty, or not there.
    pub fn place(mut self) -> Result<()> {
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        let placed = renameat(&self.dir, &self.temporary, &self.dir, name);
        placed.map_err(|errno| Error::io(self.subject(), errno.into()).detail("write"))?;
        self.placed = true;
        Ok(())
    }

    /// Where there are no links: a name that somebody takes meanwhile is lost to him.
    fn rename_to_nothing(&self, name: &[u8]) -> Result<()> {
        if statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            let there = Error::new(ErrorKind::InvalidInput, self.subject());
            return Err(there.detail("is there already"));
        }
        let renamed = renameat(&self.dir, &self.temporary, &self.dir, name);
        renamed.map_err(|errno| Error::io(self.subject(), errno.into()).detail("write"))
    }

    fn subject(&self) -> Subject {
        Subject::Path(self.path.clone())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.placed {
            // A left-over name harms nobody.
            let _ = unlinkat(&self.dir, &self.temporary, AtFlags::empty());
        }
    }
}

fn create_temporary(dir: &OwnedFd) -> Result<(Vec<u8>, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
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
