//! Class C: a process at work announces itself before it folds the log, because there a deletion goes by nobody who is at
//! work (`docs/design/0001-commit-log.md`; [`crate::log::deletion_blockers`]).

use super::{Shared, lock};
use crate::backend::{Backend, Class};
use crate::crypto::random_array;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::announcement::Announcement;
use crate::format::entry::Nonce;
use crate::format::name;
use crate::log::State;
use crate::time::now;
use std::sync::Arc;

/// An announced process. The announcement is taken back when the last run that uses it ends; one that stays behind
/// after a crash makes prunes wait for the grace, and does no other harm.
pub struct Process {
    nonce: Nonce,
    backend: Arc<dyn Backend>,
}

impl Process {
    /// Under which it is announced.
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.backend.delete(&name::announcement(&self.nonce));
    }
}

impl Shared {
    /// On class C announces this process, unless it is and nobody has taken it for dead; the log must be folded before, and
    /// once more after it.
    /// `None` on class A.
    pub(crate) fn announce(&self) -> Result<Option<Arc<Process>>> {
        self.announce_as(false)
    }

    /// As [`Shared::announce`]; a process that `deletes` is announced anew, whatever else runs in this one.
    pub(super) fn announce_as(&self, deletes: bool) -> Result<Option<Arc<Process>>> {
        self.find_out_class()?;
        let state = self.state();
        if state.class() == Class::A {
            return Ok(None);
        }
        let mut current = lock(&self.process);
        let usable = |process: &Arc<Process>| !state.is_fenced(&process.nonce);
        if let Some(process) = current.upgrade().filter(usable).filter(|_| !deletes) {
            return Ok(Some(process));
        }
        let nonce = random_array();
        let announcement = Announcement {
            nonce,
            deletes,
            time: now(),
            host: String::new(),
            program: format!("larder {}", env!("CARGO_PKG_VERSION")),
            ext: Vec::new(),
        };
        let bytes = announcement.seal(&self.envelopes, &self.holder.signer)?;
        self.backend.put(&name::announcement(&nonce), &bytes)?;
        let process = Arc::new(Process {
            nonce,
            backend: self.backend.clone(),
        });
        *current = Arc::downgrade(&process);
        Ok(Some(process))
    }

    /// The nonce that entries of this process carry. `Unavailable` once the process was taken for dead.
    pub(super) fn process_nonce(&self, state: &State) -> Result<Option<Nonce>> {
        let process = lock(&self.process).upgrade();
        match process {
            Some(process) if state.is_fenced(&process.nonce) => {
                Err(Error::new(ErrorKind::Unavailable, Subject::None)
                    .detail("this process was taken for dead, having been at work for so long"))
            }
            process => Ok(process.map(|process| process.nonce)),
        }
    }

    /// Whether this process was taken for dead. What it relied on may be gone: it must begin again.
    pub fn is_fenced(&self) -> bool {
        self.refuse_fenced().is_err()
    }

    /// `Unavailable` if this process was taken for dead, as far as the log was folded.
    pub fn refuse_fenced(&self) -> Result<()> {
        self.process_nonce(&lock(&self.history).state).map(drop)
    }
}
