//! Packs that no table names: left by a run that was stopped, once named by a table that is lost, or not of this repository.

use super::objects::Inventory;
use super::{CheckSummary, Finding, Harm, is_finding, with};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::name::ObjectKind;
use crate::format::pack::decode_directory;
use crate::format::rows::PackEntry;
use crate::format::table::{TableBuilder, TableView};
use crate::id::{IndexId, PackId};
use crate::log::PackState;
use crate::progress::Interrupt;
use crate::repo::{Repo, Ticket, pack_object};
use std::collections::{HashSet, VecDeque};

/// Rows that stand in for lost tables are put into the index in portions of this many blobs.
const PORTION_BLOBS: usize = 1 << 20;

/// The packs that only their own directories name, and maybe a table in this client's cache. While a check lasts they are in the
/// index as if a table named them.
#[derive(Default)]
pub struct Surplus {
    /// Looked for if tables are lost: all other packs.
    listed: Option<HashSet<PackId>>,
    only_here: HashSet<PackId>,
    stand_ins: Vec<IndexId>,
    portion: Vec<PackEntry>,
    portion_blobs: usize,
}

/// A listed pack.
struct Listed {
    kind: ObjectKind,
    id: PackId,
    len: u64,
}

impl Listed {
    fn object(&self) -> String {
        self.kind.name(&self.id.0)
    }

    fn blobs(&self) -> BlobType {
        match self.kind {
            ObjectKind::Meta => BlobType::Tree,
            _ => BlobType::Data,
        }
    }
}

impl Surplus {
    /// The packs that hold what no table names.
    pub fn only_here(&self) -> &HashSet<PackId> {
        &self.only_here
    }

    /// Reads the directory of every pack that no table names. One that our keys do not open is no leftover of a run. If tables
    /// are `lost`, those that hold something unknown come into the index.
    pub fn look(
        &mut self,
        repo: &Repo,
        inventory: &Inventory,
        lost: &[(IndexId, Error)],
        summary: &mut CheckSummary,
        interrupt: &Interrupt,
    ) -> Result<()> {
        if !lost.is_empty() {
            self.listed = Some(listed_packs(repo, lost)?);
        }
        let mut jobs: VecDeque<(Listed, Ticket<Result<Option<PackEntry>>>)> = VecDeque::new();
        for listed in self.unnamed(repo, inventory, summary)? {
            interrupt.check()?;
            if jobs.len() > repo.pool().threads()
                && let Some((first, directory)) = jobs.pop_front()
            {
                self.take(repo, &first, directory.wait()?, summary)?;
            }
            let (job_repo, kind) = (repo.clone(), listed.blobs());
            let (id, len) = (listed.id, listed.len);
            let job = move || read_directory(&job_repo, id, kind, len);
            jobs.push_back((listed, repo.pool().submit(job)));
        }
        for (listed, directory) in jobs {
            self.take(repo, &listed, directory.wait()?, summary)?;
        }
        self.put_portion(repo)
    }

    /// The packs that no table names, in the order of their names. Those whose deletion is decided are mentioned and no more.
    fn unnamed(
        &self,
        repo: &Repo,
        inventory: &Inventory,
        summary: &mut CheckSummary,
    ) -> Result<Vec<Listed>> {
        let state = repo.state();
        let mut unnamed = Vec::new();
        for ((kind, id), len) in &inventory.packs {
            let (kind, id, len) = (*kind, *id, *len);
            let listed = Listed { kind, id, len };
            let named = repo.index().pack(&id)?;
            let is_named = match &self.listed {
                Some(packs) => packs.contains(&id),
                None => named.is_some(),
            };
            let in_place = named.is_none_or(|pack| pack_object(pack.kind) == kind);
            if !in_place {
                let object = Subject::Object(listed.object());
                summary.note_harmless(Error::damaged(object).detail("lies in the wrong folder"))?;
            } else if state.is_deleted(&id.0) {
                summary.unreferenced.push(listed.object());
            } else if !is_named {
                unnamed.push(listed);
            }
        }
        unnamed.sort_by_key(Listed::object);
        summary.unreferenced.sort();
        Ok(unnamed)
    }

    fn take(
        &mut self,
        repo: &Repo,
        listed: &Listed,
        directory: Result<Option<PackEntry>>,
        summary: &mut CheckSummary,
    ) -> Result<()> {
        let entry = match directory {
            Ok(Some(entry)) if pack_object(entry.kind) == listed.kind => entry,
            Ok(Some(_)) => {
                let error = Error::damaged(Subject::None).detail("lies in the wrong folder");
                return summary.note_surplus(listed.object(), Err(error));
            }
            // Deleted meanwhile.
            Ok(None) => return Ok(()),
            Err(e) if is_finding(&e) && goes(repo, &listed.id) => {
                summary.condemned.push(listed.object());
                return Ok(());
            }
            Err(e) if is_finding(&e) || e.kind() == ErrorKind::Denied => {
                let error = with(
                    e,
                    "no pack of this repository, or a damaged one; no table names it",
                );
                let harm = match self.listed {
                    Some(_) => Harm::AtRisk,
                    None => Harm::None,
                };
                let error = error.about(Subject::Object(listed.object()));
                summary.findings.push(Finding {
                    harm,
                    ..Finding::new(error)
                });
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let is_known = match &self.listed {
            Some(packs) => is_known(repo, &entry, packs)?,
            None => true,
        };
        if is_known {
            summary.unreferenced.push(listed.object());
            return Ok(());
        }
        self.only_here.insert(entry.id);
        if repo.index().pack(&entry.id)?.is_some() {
            return Ok(());
        }
        self.portion_blobs += entry.blobs.len();
        self.portion.push(entry);
        match self.portion_blobs >= PORTION_BLOBS {
            true => self.put_portion(repo),
            false => Ok(()),
        }
    }

    fn put_portion(&mut self, repo: &Repo) -> Result<()> {
        if self.portion.is_empty() {
            return Ok(());
        }
        let mut table = TableBuilder::new();
        let mut entries = self.portion.drain(..);
        entries.try_for_each(|entry| table.add_pack(&entry))?;
        drop(entries);
        self.portion_blobs = 0;
        let body = table.finish();
        let id = IndexId::from(blake3::hash(&body));
        self.stand_ins.push(id);
        repo.index().add_table(id, &body)
    }

    /// Takes out of the index what was put there.
    pub fn leave(&self, repo: &Repo) {
        let ids = self.stand_ins.iter();
        ids.for_each(|id| repo.index().remove_table(id));
    }
}

/// The packs that tables name which can be had. 40 bytes a pack.
fn listed_packs(repo: &Repo, lost: &[(IndexId, Error)]) -> Result<HashSet<PackId>> {
    let state = repo.state();
    let mut listed = HashSet::new();
    for (id, _) in state.tables() {
        if lost.iter().any(|(lost, _)| lost == id) {
            continue;
        }
        let body = repo.load_table(id)?;
        let table = TableView::parse(&body).map_err(|e| e.about(Subject::Index(*id)))?;
        for row in table.packs.iter() {
            listed.insert(row?.id);
        }
    }
    Ok(listed)
}

/// Whether tables that can be had name all blobs of a pack elsewhere.
fn is_known(repo: &Repo, entry: &PackEntry, listed: &HashSet<PackId>) -> Result<bool> {
    for blob in &entry.blobs {
        let mut known = false;
        for location in repo.index().copies(&blob.id)? {
            known |= listed.contains(&repo.index().pack_id_of(&location)?);
        }
        if !known {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The directory of a pack; `None` if it is gone. Three reads at most.
fn read_directory(repo: &Repo, id: PackId, kind: BlobType, len: u64) -> Result<Option<PackEntry>> {
    match repo.read_pack_ends(&id, kind, len) {
        Ok((pack, _)) => decode_directory(repo.ring(), &repo.id(), id, &pack).map(Some),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Hashes the packs that no table names: one whose content is not what its name says is no leftover of a run.
pub fn check_content(repo: &Repo, interrupt: &Interrupt, summary: &mut CheckSummary) -> Result<()> {
    for object in std::mem::take(&mut summary.unreferenced) {
        let id = match ObjectKind::parse(&object) {
            Some((ObjectKind::Data | ObjectKind::Meta, id)) => id,
            _ => {
                summary.unreferenced.push(object);
                continue;
            }
        };
        interrupt.check()?;
        let proved = repo.backend().get(&object).and_then(|pack| {
            summary.bytes_read += pack.len() as u64;
            match PackId(id).is_of(&pack) {
                true => Ok(()),
                false => {
                    Err(Error::damaged(Subject::None).detail("content is not what its name says"))
                }
            }
        });
        match proved {
            Err(e) if is_finding(&e) && goes(repo, &PackId(id)) => summary.condemned.push(object),
            proved => summary.note_surplus(object, proved)?,
        }
    }
    Ok(())
}

/// Whether an entry of the log says that a pack is to be deleted.
fn goes(repo: &Repo, id: &PackId) -> bool {
    let state = repo.state().pack_state(id);
    matches!(state, PackState::Condemned | PackState::Deleting)
}
