//! What snapshots hold that is different.

use super::{Share, StatsMode, StatsSummary, Watch};
use crate::error::{Error, Result};
use crate::format::tree::{Chunks, Content, FileContent, Tree};
use crate::id::BlobId;
use crate::index::{Location, Marks, Want};
use crate::progress::Counter;
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use crate::tree::{ChunkRef, for_each_chunk, load_blob};
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Most endings that are told apart.
const ENDINGS_MAX: usize = 100_000;

/// The first half of a hash: two of n things share it with a chance of n² in 2¹²⁹.
type Print = [u8; 16];

struct Counting<'a> {
    repo: &'a Repo,
    mode: StatsMode,
    watch: &'a Watch<'a>,
    /// Blobs that were met: trees, and of raw data chunks too.
    seen: Marks,
    contents: Contents,
    /// Paths that have chunks, and chunks of paths.
    paths: HashSet<Print>,
    chunks: HashSet<Print>,
    /// What is counted by the endings of names instead.
    endings: Option<BTreeMap<Vec<u8>, Share>>,
    summary: &'a mut StatsSummary,
}

/// Counts what is different in all snapshots together, and tells after each how much of it was there.
pub fn count(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    mode: StatsMode,
    watch: &Watch<'_>,
    summary: &mut StatsSummary,
    each: &mut dyn FnMut(&StatsSummary),
) -> Result<()> {
    let mut counting = Counting::new(repo, mode, watch, summary);
    snapshots.iter().try_for_each(|info| {
        counting.trees(info.summary.root)?;
        each(counting.summary);
        Ok(())
    })
}

/// Counts files that differ in content, and their chunks, each once, by the endings of names.
pub fn by_ending(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    watch: &Watch<'_>,
    summary: &mut StatsSummary,
) -> Result<BTreeMap<Vec<u8>, Share>> {
    let mut counting = Counting {
        endings: Some(BTreeMap::new()),
        ..Counting::new(repo, StatsMode::FilesByContents, watch, summary)
    };
    let mut roots = snapshots.iter().map(|info| info.summary.root);
    roots.try_for_each(|root| counting.trees(root))?;
    Ok(counting.endings.unwrap_or_default())
}

/// The ending of a name in small letters; of one without, and of all that come after very many others, nothing.
fn ending(path: &Path, known: &BTreeMap<Vec<u8>, Share>) -> Vec<u8> {
    let ending = path.extension().unwrap_or_default().as_bytes();
    let ending = ending.to_ascii_lowercase();
    match known.len() < ENDINGS_MAX || known.contains_key(&ending) {
        true => ending,
        false => Vec::new(),
    }
}

impl<'a> Counting<'a> {
    fn new(
        repo: &'a Repo,
        mode: StatsMode,
        watch: &'a Watch<'a>,
        summary: &'a mut StatsSummary,
    ) -> Self {
        Self {
            repo,
            mode,
            watch,
            seen: repo.index().marks(),
            contents: Contents::new(repo),
            paths: HashSet::new(),
            chunks: HashSet::new(),
            endings: None,
            summary,
        }
    }

    /// Counts a file of another content than all before, by the ending of its name.
    fn of_ending(&mut self, file: &FileContent, path: &Path) -> Result<()> {
        let (plain, stored) = (self.summary.bytes_plain, self.summary.bytes);
        self.each_chunk(file, path, &mut |counting, chunk| match chunk {
            ChunkRef::Data(id) if counting.seen.insert(&id)? => counting.stored(&id, path),
            _ => Ok(()),
        })?;
        let (plain, stored) = (
            self.summary.bytes_plain - plain,
            self.summary.bytes - stored,
        );
        if let Some(endings) = &mut self.endings {
            let share = endings.entry(ending(path, endings)).or_default();
            share.files += 1;
            share.bytes += file.size;
            share.bytes_unique += plain;
            share.bytes_stored += stored;
        }
        Ok(())
    }

    /// All trees from one root. One that was met before holds nothing that was not: blob by blob, so that of a large directory
    /// that changed only pages that did are read.
    fn trees(&mut self, root: BlobId) -> Result<()> {
        let mut stack = vec![(root, PathBuf::from("/"))];
        while let Some((id, path)) = stack.pop() {
            self.watch.interrupt.check()?;
            if !self.seen.insert(&id)? {
                continue;
            }
            if self.mode == StatsMode::RawData {
                self.stored(&id, &path)?;
            }
            let tree = load_blob(self.repo, &id);
            match self.watch.note(&path, tree, self.summary)? {
                Some(Tree::Branch(branch)) => {
                    let pages = branch.pages.into_iter().rev();
                    stack.extend(pages.map(|page| (page.id, path.clone())));
                }
                Some(Tree::Leaf(leaf)) => {
                    let mut below = Vec::new();
                    for node in leaf.nodes {
                        self.watch.progress.count(Counter::Nodes, 1);
                        let path = path.join(OsStr::from_bytes(&node.name));
                        match node.content {
                            Content::Dir(Some(tree)) => below.push((tree, path)),
                            Content::File(file) => self.file(&file, &path)?,
                            _ => {}
                        }
                    }
                    stack.extend(below.into_iter().rev());
                }
                // A list of chunks is met with its file.
                Some(Tree::Chunks(_)) | None => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &FileContent, path: &Path) -> Result<()> {
        match self.mode {
            StatsMode::RawData => self.each_chunk(file, path, &mut |counting, chunk| {
                let (ChunkRef::Data(id) | ChunkRef::List(id)) = chunk;
                match counting.seen.insert(&id)? {
                    true => counting.stored(&id, path),
                    false => Ok(()),
                }
            }),
            _ if !self.contents.insert(file)? => Ok(()),
            _ if self.endings.is_some() => self.of_ending(file, path),
            StatsMode::BlobsPerFile => {
                self.each_chunk(file, path, &mut |counting, chunk| match chunk {
                    ChunkRef::Data(id) => counting.of_path(&id, path),
                    ChunkRef::List(_) => Ok(()),
                })
            }
            _ => {
                self.summary.files += 1;
                self.summary.bytes += file.size;
                Ok(())
            }
        }
    }

    fn each_chunk(
        &mut self,
        file: &FileContent,
        path: &Path,
        each: &mut dyn FnMut(&mut Self, ChunkRef) -> Result<()>,
    ) -> Result<()> {
        let repo = self.repo;
        let walked = for_each_chunk(repo, &file.chunks, &mut |chunk| {
            each(self, chunk)?;
            Ok(ControlFlow::Continue(()))
        });
        self.watch.note(path, walked, self.summary)?;
        Ok(())
    }

    /// Counts a blob with what it takes in its pack.
    fn stored(&mut self, id: &BlobId, path: &Path) -> Result<()> {
        let Some(location) = self.locate(id, path)? else {
            return Ok(());
        };
        self.summary.blobs += 1;
        self.summary.bytes_plain += u64::from(location.blob_len);
        self.summary.bytes += location.block.stored_share(location.blob_len);
        Ok(())
    }

    /// Counts a chunk of a path, unless that was done.
    fn of_path(&mut self, id: &BlobId, path: &Path) -> Result<()> {
        let path_bytes = path.as_os_str().as_bytes();
        self.summary.files += u64::from(self.paths.insert(print(&[path_bytes])));
        if !self.chunks.insert(print(&[&id.0, path_bytes])) {
            return Ok(());
        }
        if let Some(location) = self.locate(id, path)? {
            self.summary.blobs += 1;
            self.summary.bytes += u64::from(location.blob_len);
        }
        Ok(())
    }

    fn locate(&mut self, id: &BlobId, path: &Path) -> Result<Option<Location>> {
        let found = self.repo.index().lookup(id, Want::Readable)?;
        let none = || Error::unindexed(id);
        self.watch.note(path, found.ok_or_else(none), self.summary)
    }
}

fn print(parts: &[&[u8]]) -> Print {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut print = Print::default();
    hasher.finalize_xof().fill(&mut print);
    print
}

/// Contents of files that were met.
struct Contents {
    empty: bool,
    /// Files of one chunk, by that.
    single: Marks,
    /// All others.
    others: HashSet<Print>,
}

impl Contents {
    fn new(repo: &Repo) -> Self {
        Self {
            empty: false,
            single: repo.index().marks(),
            others: HashSet::new(),
        }
    }

    /// Adds what a file holds; whether it was not there yet.
    fn insert(&mut self, file: &FileContent) -> Result<bool> {
        match (&file.chunks, &file.extents) {
            (Chunks::Direct(ids), None) if ids.is_empty() => {
                Ok(!std::mem::replace(&mut self.empty, true))
            }
            (Chunks::Direct(ids), None) if ids.len() == 1 => self.single.insert(&ids[0]),
            (chunks, extents) => Ok(self.others.insert(content(file.size, chunks, extents))),
        }
    }
}

/// A print of size, holes and chunks. Equal lists of chunks have equal ids.
fn content(size: u64, chunks: &Chunks, extents: &Option<Vec<(u64, u64)>>) -> Print {
    let (height, ids) = match chunks {
        Chunks::Direct(ids) => (0, ids),
        Chunks::Lists { height, lists } => (*height, lists),
    };
    let extent_count = extents.as_ref().map_or(u64::MAX, |all| all.len() as u64);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&size.to_le_bytes()).update(&[height]);
    hasher.update(&extent_count.to_le_bytes());
    for (offset, len) in extents.iter().flatten() {
        hasher
            .update(&offset.to_le_bytes())
            .update(&len.to_le_bytes());
    }
    for id in ids {
        hasher.update(&id.0);
    }
    let mut print = Print::default();
    hasher.finalize_xof().fill(&mut print);
    print
}
