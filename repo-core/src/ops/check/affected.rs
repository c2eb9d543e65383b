//! Which files and snapshots damage touches: walks the snapshots, only when something is wrong.

use super::{CheckSummary, Finding};
use crate::error::{Error, Result};
use crate::format::tree::{Content, Node};
use crate::id::{BlobId, PackId, SnapshotId};
use crate::index::Location;
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::tree::{ChunkRef, TreeReader, for_each_chunk, load_pages};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// So many blobs that no table names have a finding each.
const UNKNOWN_MAX: usize = 1000;

/// What is known to be damaged, and the findings that say so.
#[derive(Default)]
pub struct Damage {
    packs: HashMap<PackId, usize>,
    blocks: HashMap<(PackId, u32), usize>,
    unknown: HashSet<BlobId>,
    /// Packs that no table names any more, and the finding that says so.
    unlisted: (HashSet<PackId>, usize),
}

/// What became of a blob; the best first.
enum Fate {
    Fine,
    /// It is there, and no table names it any more, as that finding says.
    Unlisted(usize),
    /// Damaged with that finding.
    Lost(usize),
    /// This, itself or a base of it, is in no table.
    Unknown(BlobId),
}

impl Fate {
    fn rank(&self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Unlisted(_) => 1,
            Self::Lost(_) => 2,
            Self::Unknown(_) => 3,
        }
    }
}

impl Damage {
    /// Whether nothing is wrong that could touch files.
    pub fn is_empty(&self) -> bool {
        let unlisted = self.unlisted.0.is_empty();
        unlisted && self.packs.is_empty() && self.blocks.is_empty() && self.unknown.is_empty()
    }

    /// Whether trees refer to blobs that nothing names.
    pub fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// Whether one of these packs is damaged.
    pub fn is_in(&self, packs: &HashSet<PackId>) -> bool {
        let lost = self.packs.keys();
        let blocks = self.blocks.keys().map(|(pack, _)| pack);
        lost.chain(blocks).any(|pack| packs.contains(pack))
    }

    /// Packs are named by their own directories only.
    pub fn unlisted(&mut self, packs: &HashSet<PackId>, finding: usize) {
        self.unlisted = (packs.clone(), finding);
    }

    /// A pack is missing or cut off.
    pub fn pack_lost(&mut self, pack: PackId, finding: usize) {
        self.packs.insert(pack, finding);
    }

    /// Missing packs of which every blob is in another pack as well, with the finding about each.
    pub fn replaced(&self, repo: &Repo) -> Result<Vec<(PackId, usize)>> {
        let mut replaced = Vec::new();
        for (pack, finding) in &self.packs {
            let Some(entry) = repo.index().pack_entry(pack)? else {
                continue;
            };
            let mut whole = true;
            for blob in &entry.blobs {
                whole = whole && matches!(self.fate(repo, &blob.id)?, Fate::Fine);
            }
            if whole {
                replaced.push((*pack, *finding));
            }
        }
        Ok(replaced)
    }

    /// The packs that are missing or cut off.
    pub fn lost_packs(&self) -> HashSet<PackId> {
        self.packs.keys().copied().collect()
    }

    /// Blocks of a pack cannot be read.
    pub fn blocks_bad(&mut self, pack: PackId, offsets: &[u32], finding: usize) {
        self.blocks
            .extend(offsets.iter().map(|offset| ((pack, *offset), finding)));
    }

    /// Trees refer to blobs that no table names.
    pub fn unknown(&mut self, blobs: Vec<BlobId>) {
        self.unknown.extend(blobs);
    }

    fn fate(&self, repo: &Repo, id: &BlobId) -> Result<Fate> {
        self.best_fate(repo, id, &|_| true)
    }

    /// The fate of the best of the `wanted` copies.
    fn best_fate(
        &self,
        repo: &Repo,
        id: &BlobId,
        wanted: &dyn Fn(&Location) -> bool,
    ) -> Result<Fate> {
        let mut best = Fate::Unknown(*id);
        for location in repo.index().copies(id)?.into_iter().filter(wanted) {
            let fate = self.copy_fate(repo, &location)?;
            if fate.rank() < best.rank() || matches!(best, Fate::Unknown(_)) {
                best = fate;
            }
        }
        Ok(best)
    }

    /// A copy is as lost as its block, or as the first lost base of that.
    fn copy_fate(&self, repo: &Repo, location: &Location) -> Result<Fate> {
        let pack = repo.index().pack_id_of(location)?;
        let block = (pack, location.block.offset);
        if let Some(finding) = self.packs.get(&pack).or_else(|| self.blocks.get(&block)) {
            return Ok(Fate::Lost(*finding));
        }
        let mut worst = match self.unlisted.0.contains(&pack) {
            true => Fate::Unlisted(self.unlisted.1),
            false => Fate::Fine,
        };
        let is_whole = |location: &Location| location.block.base_count == 0;
        for base in repo.index().bases(location)? {
            let fate = self.best_fate(repo, &base, &is_whole)?;
            if fate.rank() > worst.rank() {
                worst = fate;
            }
        }
        Ok(worst)
    }
}

/// Walks all snapshots, or those that are `chosen`, each directory once, and notes with each finding what it touches.
pub fn name_files(
    repo: &Repo,
    chosen: Option<&[SnapshotId]>,
    damage: Damage,
    summary: &mut CheckSummary,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut walk = Walk {
        repo,
        damage,
        summary,
        unknown: HashMap::new(),
        seen: HashSet::new(),
        touched: 0,
    };
    let state = repo.state();
    let is_chosen = |id: &SnapshotId| chosen.is_none_or(|chosen| chosen.contains(id));
    for (id, row) in state.live_snapshots().filter(|(id, _)| is_chosen(id)) {
        let root = match repo.open_summary(id, &row.summary) {
            Ok(summary) => summary.root,
            Err(_) => continue,
        };
        walk.snapshot(*id, root, interrupt)?;
    }
    Ok(())
}

/// Reads trees and knows which blob it was asked for last: of a directory in several pages, the one that failed.
struct Noting<'a> {
    repo: &'a Repo,
    last: Cell<BlobId>,
}

impl TreeReader for Noting<'_> {
    fn tree(&self, id: &BlobId) -> Result<Arc<Vec<u8>>> {
        self.last.set(*id);
        self.repo.tree(id)
    }
}

struct Walk<'a> {
    repo: &'a Repo,
    damage: Damage,
    summary: &'a mut CheckSummary,
    /// Findings for blobs that no table names.
    unknown: HashMap<BlobId, usize>,
    /// Directories that are known to be whole.
    seen: HashSet<BlobId>,
    /// How many paths were noted so far.
    touched: u64,
}

/// A directory to look into, or one in which all was looked at, and what was noted before.
enum Step {
    Enter(BlobId, PathBuf),
    Leave(BlobId, u64),
}

impl Walk<'_> {
    fn snapshot(&mut self, id: SnapshotId, root: BlobId, interrupt: &Interrupt) -> Result<()> {
        let mut stack = vec![Step::Enter(root, PathBuf::from("/"))];
        while let Some(step) = stack.pop() {
            interrupt.check()?;
            let (tree, path) = match step {
                Step::Enter(tree, path) => (tree, path),
                // A directory below which nothing is wrong need not be looked at again for other snapshots; one in which
                // something is wrong is named with each of them.
                Step::Leave(tree, touched) => {
                    if self.touched == touched {
                        self.seen.insert(tree);
                    }
                    continue;
                }
            };
            if self.seen.contains(&tree) {
                continue;
            }
            stack.push(Step::Leave(tree, self.touched));
            for node in self.directory(id, &tree, &path)? {
                let path = path.join(OsStr::from_bytes(&node.name));
                match &node.content {
                    Content::Dir(Some(tree)) => stack.push(Step::Enter(*tree, path)),
                    Content::File(_) => self.file(id, &node, path)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The nodes of a directory; none, and noted, if it cannot be read.
    fn directory(
        &mut self,
        id: SnapshotId,
        tree: &BlobId,
        path: &std::path::Path,
    ) -> Result<Vec<Node>> {
        let reader = Noting {
            repo: self.repo,
            last: Cell::new(*tree),
        };
        match load_pages(&reader, tree) {
            Ok((pages, nodes)) => {
                self.unlisted_pages(id, &pages, path)?;
                Ok(nodes)
            }
            Err(error) if super::is_finding(&error) => {
                self.touch(id, &reader.last.get(), path.to_path_buf())?;
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Notes a directory that can be read here and that nobody else finds.
    fn unlisted_pages(
        &mut self,
        id: SnapshotId,
        pages: &[BlobId],
        path: &std::path::Path,
    ) -> Result<()> {
        for page in pages {
            if let Fate::Unlisted(_) = self.damage.fate(self.repo, page)? {
                return self.touch(id, page, path.to_path_buf());
            }
        }
        Ok(())
    }

    fn file(&mut self, id: SnapshotId, node: &Node, path: PathBuf) -> Result<()> {
        let Content::File(file) = &node.content else {
            return Ok(());
        };
        let mut first_bad = None;
        let (repo, damage) = (self.repo, &self.damage);
        let walked = for_each_chunk(repo, &file.chunks, &mut |chunk| {
            let (ChunkRef::Data(blob) | ChunkRef::List(blob)) = chunk;
            match damage.fate(repo, &blob)? {
                Fate::Fine => Ok(ControlFlow::Continue(())),
                _ => {
                    first_bad = Some(blob);
                    Ok(ControlFlow::Break(()))
                }
            }
        });
        match (first_bad, walked) {
            (Some(blob), _) => self.touch(id, &blob, path),
            (None, Err(e)) if !super::is_finding(&e) => Err(e),
            (None, Err(_)) => self.touch(id, &BlobId::default(), path),
            (None, Ok(_)) => Ok(()),
        }
    }

    fn touch(&mut self, id: SnapshotId, blob: &BlobId, path: PathBuf) -> Result<()> {
        let finding = match self.damage.fate(self.repo, blob)? {
            Fate::Lost(finding) | Fate::Unlisted(finding) => finding,
            Fate::Fine => self.unknown(*blob),
            Fate::Unknown(unknown) => self.unknown(unknown),
        };
        self.touched += 1;
        self.summary.findings[finding].touches(id, path);
        Ok(())
    }

    /// The finding that no table names a blob. Those behind the first thousand share one.
    fn unknown(&mut self, blob: BlobId) -> usize {
        let findings = &mut self.summary.findings;
        if let Some(known) = self.unknown.get(&blob) {
            return *known;
        }
        let (key, error) = match self.unknown.len() < UNKNOWN_MAX {
            true => (blob, Error::unindexed(&blob)),
            false => (
                BlobId::default(),
                Error::unindexed(&blob)
                    .detail("no index table names it, nor more than can be listed"),
            ),
        };
        *self.unknown.entry(key).or_insert_with(|| {
            findings.push(Finding::new(error));
            findings.len() - 1
        })
    }
}
