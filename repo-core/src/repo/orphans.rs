//! Finished packs that no table names: an interrupted run left them, or their table is lost. The next run takes them over.

use super::process::Process;
use super::{Repo, Writer, lock, pack_object};
use crate::crypto::BlobType;
use crate::error::{ErrorKind, Result};
use crate::format::name::ObjectKind;
use crate::format::pack::{PACK_BYTES_MAX, decode_directory};
use crate::id::PackId;
use crate::log::PackState;
use crate::progress::{Note, Progress};
use std::sync::Arc;

/// A backup under way, so that the next one knows whether this one ended.
pub struct Run<'a> {
    repo: &'a Repo,
    look: bool,
    noted: bool,
    /// Class C: others see by it that this process is at work.
    _process: Option<Arc<Process>>,
}

impl Repo {
    /// Begins a backup, and brings the fold and the index up to date: on class C what a run relies on must have been folded
    /// after it announced itself. Orphans are looked for if the last run of this client never ended, if nothing was
    /// ever committed, or if an index table is lost: then what only that one named is named again.
    pub fn begin_run(&self, dry_run: bool) -> Result<Run<'_>> {
        self.refresh()?;
        if dry_run {
            return Ok(Run {
                repo: self,
                look: false,
                noted: false,
                _process: None,
            });
        }
        let process = self.announce()?;
        if process.is_some() {
            self.refresh()?;
        }
        let left = lock(&self.history).begin_run()?;
        let state = self.state();
        let first = state.live_snapshots().next().is_none();
        Ok(Run {
            repo: self,
            look: left || first || self.index_is_incomplete(),
            noted: true,
            _process: process,
        })
    }
}

impl Run<'_> {
    /// Takes over packs that lie on the backend and stand in no table, if there is reason to look for some.
    ///
    /// Each is read and proved whole by its name; what is not whole is left for a prune. Memory: one pack.
    pub fn take_over_orphans(
        &self,
        repo: &Repo,
        writer: &mut Writer<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        if !self.look {
            return Ok(());
        }
        let (mut packs, mut bytes) = (0, 0);
        for kind in [BlobType::Data, BlobType::Tree] {
            for id in orphans(repo, kind)? {
                let pack = match repo.backend().get(&pack_object(kind).name(&id.0)) {
                    Ok(pack) => pack,
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    Err(e) => return Err(e),
                };
                let whole = PackId::from(blake3::hash(&pack)) == id;
                let entry = decode_directory(repo.ring(), &repo.id(), id, &pack);
                if let (true, Ok(entry)) = (whole, entry) {
                    packs += 1;
                    bytes += entry.len;
                    writer.take_over(entry)?;
                }
            }
        }
        if packs > 0 {
            progress.note(Note::Resumed { packs, bytes });
        }
        Ok(())
    }

    /// The backup has ended well.
    pub fn end(self) {
        if self.noted {
            lock(&self.repo.history).end_run();
        }
    }
}

/// Packs that lie on the backend, that no table names and no entry condemns or deletes.
fn orphans(repo: &Repo, kind: BlobType) -> Result<Vec<PackId>> {
    let state = repo.state();
    let mut listed = Vec::new();
    repo.backend()
        .list(pack_object(kind).folder(), &mut |object| {
            if let Some((ObjectKind::Data | ObjectKind::Meta, id)) = ObjectKind::parse(&object.name)
                && object.len <= PACK_BYTES_MAX
                && state.pack_state(&PackId(id)) == PackState::Live
            {
                listed.push(PackId(id));
            }
            Ok(())
        })?;
    let mut orphans = Vec::new();
    for id in listed {
        if repo.index().pack(&id)?.is_none() {
            orphans.push(id);
        }
    }
    Ok(orphans)
}
