//! Whether the backups of this client ended, and what those that did not had published.
//!
//! Each keeps a file `running-<random>` in the state directory of the repository, locked for as long as it lives, and removes
//! it when it has ended. One that nobody locks is of a run that was stopped. Several may be under way at once.

use super::memory::Published;
use crate::crypto::random_array;
use crate::error::{Error, Result, Subject};
use crate::format::codec;
use crate::id::to_hex;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const BYTES_MAX: u64 = 1 << 20;

/// Most tables of a run that are remembered: 50 bytes each, and each stands for half a gigabyte, or a minute.
const PUBLISHED_MAX: usize = 16 << 10;

const PREFIX: &str = "running-";

/// The file of a backup under way.
pub struct Running {
    path: PathBuf,
    file: File,
    /// What this run has published, and those before it that did not end.
    published: Vec<Published>,
}

impl Running {
    /// Notes in `dir`, which must be there, that a backup has begun. If earlier ones never ended, says what they had published.
    ///
    /// The file of this run takes over what theirs say before they are removed, so a stop at any point forgets nothing.
    pub fn begin(dir: &Path) -> Result<(Self, Option<Vec<Published>>)> {
        let dead = dead_files(dir)?;
        let mut left = Vec::new();
        for (_, file) in &dead {
            left.extend(published_in(file));
        }
        left.truncate(PUBLISHED_MAX);
        let mut running = Self::create(dir)?;
        running.published = left.clone();
        running.save()?;
        for (path, _) in &dead {
            std::fs::remove_file(path).map_err(|e| failed(path, e))?;
        }
        Ok((running, (!dead.is_empty()).then_some(left)))
    }

    /// Locked before it has its name, so that nobody takes it for a dead one.
    fn create(dir: &Path) -> Result<Self> {
        let name = to_hex(&random_array::<8>());
        let path = dir.join(format!("{PREFIX}{name}"));
        let unnamed = dir.join(format!(".{PREFIX}{name}"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&unnamed).map_err(|e| failed(&unnamed, e))?;
        let named = flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(std::io::Error::from)
            .and_then(|()| std::fs::rename(&unnamed, &path));
        match named {
            Ok(()) => Ok(Self {
                path,
                file,
                published: Vec::new(),
            }),
            Err(e) => {
                // What matters is the first error.
                let _ = std::fs::remove_file(&unnamed);
                Err(failed(&path, e))
            }
        }
    }

    /// Notes what is about to be published. That it cannot be noted only costs a word next time.
    pub fn publishes(&mut self, table: Published) {
        if self.published.len() < PUBLISHED_MAX {
            self.published.push(table);
            let _ = self.save();
        }
    }

    /// Notes that the backup has ended. That it cannot be noted only costs a look next time.
    pub fn end(self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn save(&mut self) -> Result<()> {
        let bytes = codec::encode(&self.published);
        self.file
            .rewind()
            .and_then(|()| self.file.set_len(0))
            .and_then(|()| self.file.write_all(&bytes))
            .and_then(|()| self.file.sync_data())
            .map_err(|e| failed(&self.path, e))
    }
}

/// The files of runs that were stopped, locked.
fn dead_files(dir: &Path) -> Result<Vec<(PathBuf, File)>> {
    let mut dead = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| failed(dir, e))? {
        let entry = entry.map_err(|e| failed(dir, e))?;
        let of_run = |name: &str| name.strip_prefix('.').unwrap_or(name).starts_with(PREFIX);
        if !entry.file_name().to_str().is_some_and(of_run) {
            continue;
        }
        let path = entry.path();
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            file => file.map_err(|e| failed(&path, e))?,
        };
        // Somebody may have removed it meanwhile, having taken over what it says.
        let is_free = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if is_free && file.metadata().is_ok_and(|meta| meta.nlink() > 0) {
            dead.push((path, file));
        }
    }
    Ok(dead)
}

/// Whatever it says, it is there: what cannot be read only costs a word.
fn published_in(mut file: &File) -> Vec<Published> {
    let mut bytes = Vec::new();
    match (&mut file).take(BYTES_MAX).read_to_end(&mut bytes) {
        Ok(_) => codec::decode(&bytes).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

fn failed(path: &Path, cause: std::io::Error) -> Error {
    Error::io(Subject::Path(path.to_path_buf()), cause).detail("note a run under way")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::IndexId;

    fn table(number: u8) -> Published {
        Published {
            table: IndexId([number; 32]),
            packs: 1,
            bytes: 2,
        }
    }

    #[test]
    fn what_was_stopped_is_remembered_until_a_run_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (mut first, left) = Running::begin(dir.path()).unwrap();
        assert_eq!(left, None);
        first.publishes(table(1));
        drop(first);
        let (mut second, left) = Running::begin(dir.path()).unwrap();
        assert_eq!(left, Some(vec![table(1)]));
        second.publishes(table(2));
        drop(second);
        let (third, left) = Running::begin(dir.path()).unwrap();
        assert_eq!(left, Some(vec![table(1), table(2)]));
        third.end();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(Running::begin(dir.path()).unwrap().1, None);
    }

    #[test]
    fn runs_at_once_are_not_taken_for_stopped_ones() {
        let dir = tempfile::tempdir().unwrap();
        let (mut one, _) = Running::begin(dir.path()).unwrap();
        one.publishes(table(1));
        let (two, left) = Running::begin(dir.path()).unwrap();
        assert_eq!(left, None);
        one.end();
        drop(two);
        assert_eq!(Running::begin(dir.path()).unwrap().1, Some(Vec::new()));
    }

    #[test]
    fn a_file_that_says_nothing_readable_still_says_that_a_run_was_stopped() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("running-x"), [255; 100]).unwrap();
        assert_eq!(Running::begin(dir.path()).unwrap().1, Some(Vec::new()));
    }
}
