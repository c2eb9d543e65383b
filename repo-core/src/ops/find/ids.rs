//! Which files and directories need a blob, or anything in a pack.

use super::history::{Snaps, Visitor, walk};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, Node};
use crate::id::{BlobId, PackId};
use crate::index::Want;
use crate::progress::{Interrupt, Problems, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use crate::tree::{ChunkRef, for_each_chunk};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Blobs that are looked for.
#[derive(Debug, Clone, Default)]
pub struct ObjectIds {
    /// Beginnings of ids of data blobs, in hex.
    pub data: Vec<String>,
    /// The same of tree blobs.
    pub trees: Vec<String>,
    /// Whole ids, as the packs that were named hold them.
    known: HashSet<BlobId>,
}

impl ObjectIds {
    /// Adds all blobs of the packs whose ids begin so. `NotFound` if no table names one.
    pub fn add_packs(&mut self, repo: &Repo, beginnings: &[String]) -> Result<()> {
        for beginning in beginnings {
            let mut packs: Vec<PackId> = Vec::new();
            repo.index().packs(&mut |info, _| {
                if info.id.to_hex().starts_with(beginning) {
                    packs.push(info.id);
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if packs.is_empty() {
                let detail = format!("no pack has an ID that begins with {beginning}");
                return Err(Error::new(ErrorKind::NotFound, Subject::None).detail(detail));
            }
            for pack in packs {
                let Some(entry) = repo.index().pack_entry(&pack)? else {
                    continue;
                };
                self.known.extend(entry.blobs.iter().map(|blob| blob.id));
            }
        }
        Ok(())
    }

    fn wants(&self, kind: BlobType, id: &BlobId) -> bool {
        let beginnings = match kind {
            BlobType::Data => &self.data,
            BlobType::Tree => &self.trees,
        };
        if self.known.contains(id) {
            return true;
        }
        !beginnings.is_empty() && {
            let id = id.to_hex();
            beginnings.iter().any(|beginning| id.starts_with(beginning))
        }
    }
}

/// A blob that was looked for, and what needs it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundObject {
    /// The file, or the directory that the tree is of, or a part of.
    pub path: PathBuf,
    /// Which.
    pub id: BlobId,
    /// Whether it is a tree blob.
    pub is_tree: bool,
    /// Of a chunk, or a list of chunks: the tree blob that names the file.
    pub parent: Option<BlobId>,
    /// A pack that has it.
    pub pack: Option<PackId>,
    /// The first of the snapshots that need it there, by its place.
    pub first: usize,
    /// The last of them.
    pub last: usize,
    /// How many do.
    pub count: usize,
}

/// Finds what needs these blobs in these snapshots; each blob once at a path and in a tree blob. Gives how many directories could not be read.
///
/// Memory: as [`find`](super::find()), and what was found in one directory.
pub fn find_objects(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    ids: &ObjectIds,
    tell: &mut dyn FnMut(&FoundObject) -> Result<()>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<u64> {
    let _following = repo.follow();
    let problems = Problems::new(progress);
    let mut finding = Finding {
        repo,
        ids,
        tell,
        problems: &problems,
        met: BTreeMap::new(),
    };
    walk(repo, snapshots, &mut finding, &problems, interrupt)?;
    Ok(problems.seen())
}

/// Path, blob, whether it is a tree, what names it.
type Key = (PathBuf, BlobId, bool, Option<BlobId>);

struct Finding<'a> {
    repo: &'a Repo,
    ids: &'a ObjectIds,
    tell: &'a mut dyn FnMut(&FoundObject) -> Result<()>,
    problems: &'a Problems<'a>,
    met: BTreeMap<Key, Snaps>,
}

impl Finding<'_> {
    fn met(&mut self, key: Key, snaps: &Snaps) {
        let known = self.met.entry(key).or_insert_with(|| snaps.clone());
        *known = known.with(snaps);
    }

    fn chunks(&self, node: &Node) -> Result<BTreeSet<(BlobId, bool)>> {
        let mut found = BTreeSet::new();
        let Content::File(file) = &node.content else {
            return Ok(found);
        };
        let _: ControlFlow<()> = for_each_chunk(self.repo, &file.chunks, &mut |chunk| {
            let (kind, id) = match chunk {
                ChunkRef::Data(id) => (BlobType::Data, id),
                ChunkRef::List(id) => (BlobType::Tree, id),
            };
            if self.ids.wants(kind, &id) {
                found.insert((id, kind == BlobType::Tree));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

impl Visitor for Finding<'_> {
    type Mark = ();

    fn root(&self) {}

    fn blob(&mut self, path: &Path, id: &BlobId, snaps: &Snaps) -> Result<()> {
        if self.ids.wants(BlobType::Tree, id) {
            self.met((path.to_path_buf(), *id, true, None), snaps);
        }
        Ok(())
    }

    fn node(
        &mut self,
        (path, ()): (&Path, &()),
        tree: &BlobId,
        node: Node,
        snaps: &Snaps,
    ) -> Result<Option<()>> {
        let path = path.join(OsStr::from_bytes(&node.name));
        match self.chunks(&node) {
            Ok(chunks) => {
                for (id, is_tree) in chunks {
                    self.met((path.clone(), id, is_tree, Some(*tree)), snaps);
                }
            }
            Err(error) => self.problems.problem(&path, &error),
        }
        Ok(Some(()))
    }

    fn left(&mut self, _: &Path) -> Result<()> {
        for ((path, id, is_tree, parent), snaps) in std::mem::take(&mut self.met) {
            let location = self.repo.index().lookup(&id, Want::Readable)?;
            let pack = location
                .map(|at| self.repo.index().pack_id_of(&at))
                .transpose()?;
            let (first, last) = snaps.ends();
            (self.tell)(&FoundObject {
                path,
                id,
                is_tree,
                parent,
                pack,
                first,
                last,
                count: snaps.len(),
            })?;
        }
        Ok(())
    }
}
