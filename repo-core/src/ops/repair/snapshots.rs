//! Makes snapshots anew without what is lost of them.
//!
//! What is lost is what no pack that is there holds. Packs that were condemned count only as far as they can be read: damaged ones
//! are, by [`super::repair_packs`].

use super::is_lost;
use crate::crypto::BlobType;
use crate::error::{Error, Result};
use crate::format::tree::{Chunks, Content, FileContent, Node};
use crate::id::{BlobId, SnapshotId};
use crate::index::Location;
use crate::log::PackState;
use crate::ops::derive::{self, Derived, PASSES_MAX, Replace, never_stands};
use crate::ops::forget::forget_ids;
use crate::ops::reshape::{Fate, Reshaper, Rule};
use crate::ops::rewrite::{count, wanted, write_options};
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use crate::tree::{ChunkRef, for_each_chunk};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The tag of snapshots that were repaired beside the old ones.
pub const REPAIRED_TAG: &str = "repaired";

/// Most paths that are remembered of what was lost.
const PATHS_MAX: usize = 1000;

/// How snapshots are repaired.
#[derive(Debug, Clone, Default)]
pub struct RepairSnapshotsOptions {
    /// Put behind the names of what is not whole, if the name can take it; empty for nothing.
    pub suffix: String,
    /// All data is read, not only looked up.
    pub read_data: bool,
    /// What becomes of the old ones.
    pub replace: Replace,
}

/// What was found.
#[derive(Debug, Default)]
pub struct RepairedSnapshots {
    /// Snapshots that were made anew.
    pub changed: Vec<Derived>,
    /// Snapshots whose root cannot be read: nothing of them can be kept. They are forgotten if the others are.
    pub hopeless: Vec<SnapshotId>,
    /// Files and directories of which something is lost, the first thousand; each once, whatever snapshots it is in.
    pub paths: Vec<PathBuf>,
    /// How many there are.
    pub items: u64,
}

/// Makes each of these snapshots anew that is not whole: files are shortened by what is lost of them, or have holes there if they have
/// holes anyway; directories that cannot be read are empty.
///
/// The new one says which it was, and unless the old ones are forgotten has the tag [`REPAIRED_TAG`]. Errors as of `rewrite`, but for
/// damage.
pub fn repair_snapshots(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    options: &RepairSnapshotsOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RepairedSnapshots> {
    derive::begin(repo, snapshots, options.replace)?;
    let dry_run = options.replace.dry_run;
    let _process = match dry_run {
        true => None,
        false => repo.announce()?,
    };
    for _ in 0..PASSES_MAX {
        repo.refresh()?;
        let mut found = RepairedSnapshots::default();
        let (wanted, written) = repo.write(
            write_options(repo, dry_run, progress, interrupt),
            |writer| {
                let rule = Mending::new(options);
                let mut shaper = Reshaper::new(repo, writer, (progress, interrupt), rule)?;
                let mut all = Vec::new();
                for info in snapshots
                    .iter()
                    .filter(|info| repo.state().is_live(&info.id))
                {
                    let mut summary = info.summary.clone();
                    let object_lost = match repo.load_snapshot(&info.id) {
                        Err(e) if is_lost(&e) => true,
                        loaded => loaded.map(|_| false)?,
                    };
                    match shaper.tree(&summary.root)? {
                        None => found.hopeless.push(info.id),
                        Some(shaped) => {
                            count(&mut summary, shaped.id, &shaped.counts);
                            if object_lost || summary != info.summary {
                                all.push(wanted(info, summary, options.replace, REPAIRED_TAG));
                            }
                        }
                    }
                }
                (found.paths, found.items) = (shaper.rule.paths, shaper.rule.items);
                Ok(all)
            },
        )?;
        let made = derive::commit(repo, wanted, &written, options.replace, interrupt)?;
        if let Some(changed) = made {
            found.changed = changed;
            if options.replace.forget && !dry_run && !found.hopeless.is_empty() {
                forget_ids(repo, &found.hopeless)?;
            }
            return Ok(found);
        }
    }
    Err(never_stands())
}

/// What can be had stays.
pub(in crate::ops) struct Mending<'a> {
    suffix: &'a str,
    read_data: bool,
    pub paths: Vec<PathBuf>,
    pub items: u64,
    /// Whether blobs that cannot be told at once can be had.
    read: HashMap<BlobId, bool>,
}

impl<'a> Mending<'a> {
    pub fn new(options: &'a RepairSnapshotsOptions) -> Self {
        Self {
            suffix: &options.suffix,
            read_data: options.read_data,
            paths: Vec::new(),
            items: 0,
            read: HashMap::new(),
        }
    }

    fn lost(&mut self, path: &Path) {
        self.items += 1;
        if self.paths.len() < PATHS_MAX {
            self.paths.push(path.to_path_buf());
        }
    }

    fn rename(&self, node: &mut Node) {
        // Longer names are no names.
        if node.name.len() + self.suffix.len() <= 255
            && !node.name.ends_with(self.suffix.as_bytes())
        {
            node.name.extend_from_slice(self.suffix.as_bytes());
        }
    }

    /// How many bytes a data blob has, if it can be had.
    fn len_of(&mut self, repo: &Repo, id: &BlobId) -> Result<Option<u64>> {
        let (mut there, mut doubtful) = (None, None);
        for location in locations(repo, id)? {
            let pack = repo.index().pack_id_of(&location)?;
            let state = repo.state().pack_state(&pack);
            if state == PackState::Deleting || !repo.is_there(&pack)? {
                continue;
            }
            let len = Some(u64::from(location.blob_len));
            match state == PackState::Condemned || location.block.base_count > 0 || self.read_data {
                true => doubtful = len,
                false => there = len,
            }
        }
        if there.is_some() || doubtful.is_none() {
            return Ok(there);
        }
        if let Some(known) = self.read.get(id) {
            return Ok(doubtful.filter(|_| *known));
        }
        let reads = match repo.read_blob(BlobType::Data, id) {
            Ok(_) => true,
            Err(e) if is_lost(&e) => false,
            Err(e) => return Err(e),
        };
        self.read.insert(*id, reads);
        Ok(doubtful.filter(|_| reads))
    }

    /// Leaves out of a file what cannot be had; whether that is anything.
    fn file(&mut self, repo: &Repo, file: &mut FileContent) -> Result<bool> {
        let (mut kept, mut any_lost) = (Vec::new(), false);
        let mut chunks = Vec::new();
        let listed = for_each_chunk(repo, &file.chunks, &mut |chunk| {
            if let ChunkRef::Data(id) = chunk {
                chunks.push(id);
            }
            Ok(ControlFlow::Continue(()))
        });
        match listed {
            Ok(_) => {}
            // What follows it is lost too: nobody knows where it lies.
            Err(e) if is_lost(&e) => any_lost = true,
            Err(e) => return Err(e),
        }
        for id in &chunks {
            let len = self.len_of(repo, id)?;
            any_lost |= len.is_none();
            kept.push((*id, len));
        }
        if any_lost {
            match file.extents.take() {
                Some(extents) => punch(file, &extents, kept, &mut |id| raw_len(repo, id))?,
                None => {
                    let there = kept.iter().filter(|(_, len)| len.is_some());
                    file.size = there.clone().filter_map(|(_, len)| *len).sum();
                    file.chunks = Chunks::Direct(there.map(|(id, _)| *id).collect());
                }
            }
        }
        Ok(any_lost)
    }
}

/// Turns what is lost of a file with holes into more of them; from the first chunk of which nobody knows the length, all of it.
fn punch(
    file: &mut FileContent,
    extents: &[(u64, u64)],
    chunks: Vec<(BlobId, Option<u64>)>,
    len_of: &mut dyn FnMut(&BlobId) -> Result<Option<u64>>,
) -> Result<()> {
    let (mut ids, mut left): (Vec<BlobId>, Vec<(u64, u64)>) = (Vec::new(), Vec::new());
    let mut data = extents.iter().copied();
    let mut current = data.next();
    for (id, there) in chunks {
        let Some(mut len) = there.map_or_else(|| len_of(&id), |len| Ok(Some(len)))? else {
            break;
        };
        while len > 0 {
            let Some((offset, rest)) = current else { break };
            let part = len.min(rest);
            match left.last_mut() {
                Some((from, so_far)) if there.is_some() && *from + *so_far == offset => {
                    *so_far += part;
                }
                _ if there.is_some() => left.push((offset, part)),
                _ => {}
            }
            len -= part;
            current = match rest - part {
                0 => data.next(),
                rest => Some((offset + part, rest)),
            };
        }
        ids.extend(there.map(|_| id));
    }
    file.chunks = Chunks::Direct(ids);
    file.extents = Some(left);
    Ok(())
}

fn locations(repo: &Repo, id: &BlobId) -> Result<Vec<Location>> {
    let mut found = Vec::new();
    repo.index().copies(id, &mut |location| {
        found.push(location);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// How many bytes a blob has, as any table says, whether it can be had or not.
fn raw_len(repo: &Repo, id: &BlobId) -> Result<Option<u64>> {
    let first = locations(repo, id)?.into_iter().next();
    Ok(first.map(|location| u64::from(location.blob_len)))
}

impl Rule for Mending<'_> {
    type At = ();

    fn root(&self) {}

    fn enter(&self, (): &(), _: &[u8]) {}

    fn is_free(&self, (): &()) -> bool {
        true
    }

    fn node(&mut self, repo: &Repo, (): &(), path: &Path, node: &mut Node) -> Result<Fate> {
        let Content::File(file) = &mut node.content else {
            return Ok(Fate::Same);
        };
        if !self.file(repo, file)? {
            return Ok(Fate::Same);
        }
        self.rename(node);
        self.lost(path);
        Ok(Fate::Changed)
    }

    fn keeps_empty(&self, (): &()) -> bool {
        true
    }

    fn passes_over(&mut self, path: &Path, error: &Error) -> bool {
        if is_lost(error) {
            self.lost(path);
        }
        is_lost(error)
    }

    fn mark_damaged(&self, node: &mut Node) {
        self.rename(node);
    }
}
