//! Makes snapshots anew without what is lost of them.
//!
//! What is lost is what no pack that is there holds. Packs that were condemned count only as far as they can be read: damaged ones
//! are, by [`super::repair_packs`].

use crate::crypto::BlobType;
use crate::error::{Error, Result};
use crate::format::tree::{Chunks, Content, FileContent, Node};
use crate::id::{BlobId, SnapshotId};
use crate::log::PackState;
use crate::ops::derive::{
    self, Derived, PASSES_MAX, Replace, count, never_stands, wanted, write_options,
};
use crate::ops::forget::forget_ids;
use crate::ops::reshape::{Fate, Put, Reshaper, Rule};
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use crate::tree::{ChunkList, ChunkRef, for_each_chunk};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The tag of snapshots that were repaired beside the old ones.
pub const REPAIRED_TAG: &str = "repaired";

/// Most paths that are remembered of what was lost.
const PATHS_MAX: usize = 1000;

/// So many parts of a file with holes are told apart, 20 bytes each at most: a node has to fit into a blob. What lies behind them is
/// one hole then.
const EXTENTS_MAX: usize = 1 << 20;

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
    /// Which snapshots they were found in first, in the order of `paths`.
    pub lost_in: Vec<LostIn>,
}

/// How much is lost of a snapshot that was not found in one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostIn {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// How many paths are remembered.
    pub paths: usize,
    /// How many there are.
    pub items: u64,
}

/// Makes each of these snapshots anew that is not whole: files are shortened by what is lost of them, or have holes there if they have
/// holes anyway; directories that cannot be read are empty.
///
/// The new one says which it was, and unless the old ones are forgotten has the tag [`REPAIRED_TAG`]. What is lost of it counts as
/// problems of it, so that no restore takes for superfluous what it has not got. Errors as of `rewrite`, but for damage; `Damaged` while an
/// index table is lost, `Unavailable` if old ones are to be forgotten and there are no packs, or no snapshots, as if a disk were not mounted.
///
/// Memory: as a rewrite; 35 to 80 bytes for each data blob that is read to see whether it can be: all with `read_data`, else those in
/// condemned packs, in packs of a wrong length and in blocks with bases.
pub fn repair_snapshots(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    options: &RepairSnapshotsOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RepairedSnapshots> {
    repo.read_past_cache();
    derive::begin(repo, options.replace)?;
    let dry_run = options.replace.dry_run;
    let _process = match dry_run {
        true => None,
        false => repo.announce()?,
    };
    for _ in 0..PASSES_MAX {
        repo.refresh()?;
        // What only a lost table names is not lost.
        repo.refuse_incomplete_index()?;
        if options.replace.forget {
            repo.refuse_empty_folders()?;
        }
        let fold = repo.state();
        let mut found = RepairedSnapshots::default();
        let (wanted, written) = repo.write(
            write_options(repo, dry_run, progress, interrupt),
            |writer| {
                let rule = Mending::new(options, interrupt);
                let mut shaper = Reshaper::new(repo, writer, (progress, interrupt), rule)?;
                let mut all = Vec::new();
                for info in snapshots
                    .iter()
                    .filter(|info| repo.state().is_live(&info.id))
                {
                    let mut summary = info.summary.clone();
                    let object_lost = match repo.load_snapshot(&info.id) {
                        Err(e) if e.is_lost() => true,
                        loaded => loaded.map(|_| false)?,
                    };
                    let (paths, items) = (shaper.rule.paths.len(), shaper.rule.items);
                    let shaped = shaper.tree(&summary.root, Path::new("/"))?;
                    if shaper.rule.items > items {
                        found.lost_in.push(LostIn {
                            snapshot: info.id,
                            paths: shaper.rule.paths.len() - paths,
                            items: shaper.rule.items - items,
                        });
                    }
                    match shaped {
                        None => found.hopeless.push(info.id),
                        Some(shaped) => {
                            count(&mut summary, &shaped);
                            if object_lost || summary != info.summary {
                                let replace = options.replace;
                                all.push(wanted(repo, info, summary, replace, REPAIRED_TAG));
                            }
                        }
                    }
                }
                (found.paths, found.items) = (shaper.rule.paths, shaper.rule.items);
                Ok(all)
            },
        )?;
        // What was taken for lost may have been moved by a prune.
        if !wanted.is_empty() || !found.hopeless.is_empty() {
            repo.refresh()?;
            if repo.state().has_deleted_since(&fold) {
                continue;
            }
        }
        derive::refuse_protected(repo, &found.hopeless, options.replace)?;
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
    interrupt: &'a Interrupt,
    pub paths: Vec<PathBuf>,
    pub items: u64,
    /// Whether blobs that cannot be told at once can be had.
    read: HashMap<BlobId, bool>,
}

impl<'a> Mending<'a> {
    pub fn new(options: &'a RepairSnapshotsOptions, interrupt: &'a Interrupt) -> Self {
        Self {
            suffix: &options.suffix,
            read_data: options.read_data,
            interrupt,
            paths: Vec::new(),
            items: 0,
            read: HashMap::new(),
        }
    }

    /// How many bytes a data blob has, if it can be had.
    fn len_of(&mut self, repo: &Repo, id: &BlobId) -> Result<Option<u64>> {
        let (mut there, mut doubtful) = (None, None);
        for location in repo.index().copies(id)? {
            let pack = repo.index().pack_id_of(&location)?;
            let state = repo.state().pack_state(&pack);
            if state == PackState::Deleting || repo.is_gone(&pack)? {
                continue;
            }
            let len = Some(u64::from(location.blob_len));
            let in_doubt = state == PackState::Condemned
                || location.block.base_count > 0
                || !repo.is_there(&pack)?;
            match in_doubt || self.read_data {
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
        self.interrupt.check()?;
        let reads = match repo.read_blob(BlobType::Data, id) {
            Ok(_) => true,
            Err(e) if e.is_lost() => false,
            Err(e) => return Err(e),
        };
        self.read.insert(*id, reads);
        Ok(doubtful.filter(|_| reads))
    }

    /// Whether all of a file can be had.
    fn is_whole(&mut self, repo: &Repo, file: &FileContent) -> Result<bool> {
        let mut whole = true;
        let listed = for_each_data(repo, &file.chunks, &mut |id| {
            whole = self.len_of(repo, &id)?.is_some();
            Ok(match whole {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        Ok(whole && listed)
    }

    /// What can be had of a file, without holes.
    fn shortened(
        &mut self,
        repo: &Repo,
        file: &FileContent,
        put: &mut Put<'_>,
    ) -> Result<FileContent> {
        let (mut list, mut size) = (ChunkList::default(), 0);
        for_each_data(repo, &file.chunks, &mut |id| {
            if let Some(len) = self.len_of(repo, &id)? {
                size += len;
                list.push(id, put)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(FileContent {
            size,
            chunks: list.finish(put)?,
            extents: None,
        })
    }

    /// A file with holes, and more of them where something of it cannot be had; from the first chunk of which nobody knows the length,
    /// all of it.
    fn punched(
        &mut self,
        repo: &Repo,
        file: &FileContent,
        extents: &[(u64, u64)],
        put: &mut Put<'_>,
    ) -> Result<FileContent> {
        let (mut list, mut extents) = (ChunkList::default(), Extents::of(extents));
        for_each_data(repo, &file.chunks, &mut |id| {
            let there = self.len_of(repo, &id)?;
            let known = match there {
                Some(len) => Some(len),
                None => raw_len(repo, &id)?,
            };
            let Some(len) = known.filter(|_| extents.left.len() < EXTENTS_MAX) else {
                return Ok(ControlFlow::Break(()));
            };
            extents.take(len, there.is_some());
            if there.is_some() {
                list.push(id, put)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(FileContent {
            size: file.size,
            chunks: list.finish(put)?,
            extents: Some(extents.left),
        })
    }
}

/// Calls `each` for the data blobs of a file in order, until it breaks or a list of them cannot be had: nobody knows where what
/// follows lies. Whether all lists could be had that were asked for.
fn for_each_data(
    repo: &Repo,
    chunks: &Chunks,
    each: &mut dyn FnMut(BlobId) -> Result<ControlFlow<()>>,
) -> Result<bool> {
    let mut failed = None;
    let listed = for_each_chunk(repo, chunks, &mut |chunk| {
        let ChunkRef::Data(id) = chunk else {
            return Ok(ControlFlow::Continue(()));
        };
        Ok(each(id).unwrap_or_else(|e| {
            failed = Some(e);
            ControlFlow::Break(())
        }))
    });
    if let Some(e) = failed {
        return Err(e);
    }
    match listed {
        Ok(_) => Ok(true),
        Err(e) if e.is_lost() => Ok(false),
        Err(e) => Err(e),
    }
}

/// The parts of a file with holes that are data, less what is lost.
struct Extents<'a> {
    before: std::slice::Iter<'a, (u64, u64)>,
    /// What is left of the one at hand.
    current: Option<(u64, u64)>,
    left: Vec<(u64, u64)>,
}

impl<'a> Extents<'a> {
    fn of(extents: &'a [(u64, u64)]) -> Self {
        let mut before = extents.iter();
        Self {
            current: before.next().copied(),
            before,
            left: Vec::new(),
        }
    }

    /// Steps over the next `len` bytes of data, that are there or not.
    fn take(&mut self, mut len: u64, there: bool) {
        while len > 0 {
            let Some((offset, rest)) = self.current else {
                break;
            };
            let part = len.min(rest);
            match self.left.last_mut() {
                Some((from, so_far)) if there && from.saturating_add(*so_far) == offset => {
                    *so_far += part
                }
                _ if there => self.left.push((offset, part)),
                _ => {}
            }
            len -= part;
            self.current = match rest - part {
                0 => self.before.next().copied(),
                rest => Some((offset.saturating_add(part), rest)),
            };
        }
    }
}

/// How many bytes a blob has, as any table says, whether it can be had or not.
fn raw_len(repo: &Repo, id: &BlobId) -> Result<Option<u64>> {
    let first = repo.index().copies(id)?.into_iter().next();
    Ok(first.map(|location| u64::from(location.blob_len)))
}

impl Rule for Mending<'_> {
    type At = ();

    fn root(&self) {}

    fn enter(&self, (): &(), _: &[u8]) {}

    fn is_free(&self, (): &()) -> bool {
        true
    }

    fn node(
        &mut self,
        repo: &Repo,
        (): &(),
        path: &Path,
        node: &mut Node,
        put: &mut Put<'_>,
    ) -> Result<Fate> {
        let Content::File(file) = &mut node.content else {
            return Ok(Fate::Same);
        };
        if self.is_whole(repo, file)? {
            return Ok(Fate::Same);
        }
        *file = match &file.extents {
            Some(extents) => self.punched(repo, file, extents, put)?,
            None => self.shortened(repo, file, put)?,
        };
        self.lost(path);
        Ok(Fate::Damaged)
    }

    fn keeps_empty(&self, (): &()) -> bool {
        true
    }

    fn passes_over(&self, error: &Error) -> bool {
        error.is_lost()
    }

    fn lost(&mut self, path: &Path) {
        self.items += 1;
        if self.paths.len() < PATHS_MAX {
            self.paths.push(path.to_path_buf());
        }
    }

    fn suffix(&self) -> &[u8] {
        self.suffix.as_bytes()
    }
}
