//! What this client remembers of a repository between runs: the newest log entry it saw, and which runs did not end
//! ([`super::running`]).
//!
//! It lies in the client's state directory, not in the cache: losing it loses the protection against a place that is put
//! back to an older time.

use super::running::Running;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::codec;
use crate::fs::{read_bounded, write_private};
use crate::id::IndexId;
use crate::log::Seen;
use bincode::{Decode, Encode};
use std::path::{Path, PathBuf};

const BYTES_MAX: usize = 1 << 20;

/// A table that a run put into the log before its snapshot: what it holds is stored, and no snapshot may use it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Published {
    /// The table.
    pub table: IndexId,
    /// Its packs.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Where the memory lies; remembers nothing without a place.
pub struct Memory {
    dir: Option<PathBuf>,
    /// Take the log as it is, once.
    pub accept_rollback: bool,
    /// The backup under way.
    running: Option<Running>,
    /// Why something could not be written, the first time, until somebody asks.
    pub failure: Option<Error>,
    failed: bool,
}

impl Memory {
    /// The memory of repository `id` below `state_dir`.
    pub fn new(state_dir: Option<&Path>, id: &str, accept_rollback: bool) -> Self {
        Self {
            dir: state_dir.map(|dir| dir.join(id)),
            accept_rollback,
            running: None,
            failure: None,
            failed: false,
        }
    }

    /// What was seen; nothing the first time. `Damaged` if the file is not what was written, another error if it cannot be
    /// read.
    pub fn seen(&self) -> Result<Option<Seen>> {
        let Some(path) = self.path("seen") else {
            return Ok(None);
        };
        match read_bounded(&path, BYTES_MAX) {
            Ok(bytes) => codec::decode(&bytes)
                .map(Some)
                .map_err(|e| e.about(Subject::Path(path))),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Remembers. That it cannot is no error, but [`Memory::failure`]: what was done or read stays so.
    pub fn remember(&mut self, seen: &Seen) {
        let done = self.write("seen", &codec::encode(seen));
        self.note(done);
    }

    fn note(&mut self, done: Result<()>) {
        if let Err(error) = done
            && !std::mem::replace(&mut self.failed, true)
        {
            self.failure = Some(error);
        }
    }

    /// Notes that a backup has begun. If earlier ones of this client never ended, says what they had published. That it cannot
    /// be noted is no error, but [`Memory::failure`].
    pub fn begin_run(&mut self) -> Option<Vec<Published>> {
        // A run that begins again leaves what it had published to itself.
        drop(self.running.take());
        let begun = match &self.dir {
            Some(dir) => create(dir).and_then(|()| Running::begin(dir)),
            None => return None,
        };
        match begun {
            Ok((running, left)) => {
                self.running = Some(running);
                left
            }
            Err(error) => {
                self.note(Err(error));
                None
            }
        }
    }

    /// Notes what the backup under way is about to publish.
    pub fn publishes(&mut self, table: Published) {
        if let Some(running) = &mut self.running {
            running.publishes(table);
        }
    }

    /// Notes that the backup has ended.
    pub fn end_run(&mut self) {
        if let Some(running) = self.running.take() {
            running.end();
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(name))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        create(dir)?;
        write_private(&dir.join(name), bytes)
    }
}

fn create(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| Error::io(Subject::Path(dir.to_path_buf()), e).detail("create directory"))
}

/// Whether an error says that there is no such file, for want of a directory too.
fn is_absent(error: &Error) -> bool {
    let io = error.io_cause().map(std::io::Error::kind);
    error.kind() == ErrorKind::NotFound || io == Some(std::io::ErrorKind::NotADirectory)
}
