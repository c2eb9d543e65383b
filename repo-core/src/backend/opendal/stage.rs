//! Places that show what is half written: an object is written under a temporary name beside it, and then takes its own.

use super::{Answered, OpenDalBackend};
use crate::backend::{name, random};
use crate::error::Result;
use crate::time;
use ::opendal::{Buffer, Entry};

impl OpenDalBackend {
    /// Whether this place shows what is half written.
    fn shows_parts(&self) -> bool {
        self.service == "sftp"
    }

    /// Whether a path is that of a temporary file.
    pub(super) fn is_temporary(&self, path: &str) -> bool {
        self.shows_parts() && name::is_temporary(name::split(path).1)
    }

    /// The path under which an object is written before it has its own; `None` where a write is seen whole or not at all.
    pub(super) fn staging(&self, path: &str) -> Result<Option<String>> {
        if !self.shows_parts() {
            return Ok(None);
        }
        let (folder, _) = name::split(path);
        let temporary = name::temporary(random::fresh()?);
        Ok(Some(name::join(folder, &temporary)))
    }

    /// Writes an object by way of `temporary`. What a refusal leaves of that is removed; what a crash leaves is swept a day later.
    ///
    /// A server that cannot rename onto what is there (without `posix-rename@openssh.com`) is made to write in place.
    pub(super) async fn write_staged(
        &self,
        temporary: &str,
        path: &str,
        bytes: Buffer,
    ) -> Answered<()> {
        let written = self.operator.write(temporary, bytes.clone()).await;
        let renamed = match written {
            Ok(_) => self.operator.rename(temporary, path).await,
            Err(e) => Err(e),
        };
        let Err(error) = renamed else { return Ok(()) };
        let is_there = self.operator.exists(path).await.unwrap_or(false);
        // Best effort: it is swept otherwise. A server that does this has answered, and refuses for no reason that it can name.
        let removed = self.operator.delete(temporary).await;
        let refused = removed.is_ok() && error.kind() == ::opendal::ErrorKind::Unexpected;
        match is_there && refused {
            true => self.operator.write(path, bytes).await.map(drop),
            false => Err(error),
        }
    }

    /// Removes temporary files of a listing that crashed runs left. If that fails, the next listing tries again.
    pub(super) fn sweep(&self, listed: &[Entry]) {
        let now = time::now();
        for entry in listed {
            let modified = entry.metadata().last_modified().map(super::modified);
            if modified.is_some_and(|modified| name::is_stale(modified, now)) {
                let _ = self.wait("", 0, self.operator.delete(entry.path()));
            }
        }
    }
}
