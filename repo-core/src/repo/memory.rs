//! What this client remembers of a repository between runs: the newest log entry it saw, and whether a run ended.
//!
//! It lies in the client's state directory, not in the cache: losing it loses the protection against a place that is put
//! back to an older time.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::codec;
use crate::fs::{read_bounded, write_private};
use crate::log::Seen;
use std::path::{Path, PathBuf};

const BYTES_MAX: usize = 1 << 20;

/// Where the memory lies; remembers nothing without a place.
pub struct Memory {
    dir: Option<PathBuf>,
    /// Take the log as it is, once.
    pub accept_rollback: bool,
}

impl Memory {
    /// The memory of repository `id` below `state_dir`.
    pub fn new(state_dir: Option<&Path>, id: &str, accept_rollback: bool) -> Self {
        Self {
            dir: state_dir.map(|dir| dir.join(id)),
            accept_rollback,
        }
    }

    /// What was seen; nothing the first time. `Damaged` if the file is not what was written.
    pub fn seen(&self) -> Result<Option<Seen>> {
        let Some(path) = self.path("seen") else {
            return Ok(None);
        };
        match read_bounded(&path, BYTES_MAX) {
            Ok(bytes) => codec::decode(&bytes)
                .map(Some)
                .map_err(|e| e.about(Subject::Path(path))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Remembers.
    pub fn remember(&self, seen: &Seen) -> Result<()> {
        self.write("seen", &codec::encode(seen))
    }

    /// Notes that a backup has begun; says whether an earlier one of this client never ended.
    pub fn begin_run(&self) -> Result<bool> {
        let Some(path) = self.path("running") else {
            return Ok(false);
        };
        let left = path.exists();
        self.write("running", b"")?;
        Ok(left)
    }

    /// Notes that the backup has ended. That it cannot be noted only costs a look next time.
    pub fn end_run(&self) {
        if let Some(path) = self.path("running") {
            let _ = std::fs::remove_file(path);
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(name))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        let Some(dir) = &self.dir else { return Ok(()) };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|e| Error::io(Subject::Path(dir.clone()), e))?;
        write_private(&dir.join(name), bytes)
    }
}
