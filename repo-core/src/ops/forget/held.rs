//! Goes through everything that a snapshot holds, and counts what is not whole.

use super::TooLate;
use crate::crypto::BlobType;
use crate::error::Result;
use crate::format::tree::{Content, FileContent, Tree};
use crate::id::BlobId;
use crate::index::Marks;
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::Repo;
use crate::tree::{ChunkRef, for_each_chunk, load_blob};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// So many chunks of a file are looked up at a time.
const BATCH: usize = 1024;

/// Whether all of these blobs can be had. Asked of a tree blob before that is read, and of every file that holds a blob.
pub type Have<'a> = dyn FnMut(&[(BlobType, BlobId)]) -> Result<bool> + 'a;

/// A walk through what snapshots hold, each tree once.
///
/// Memory: one bit for each blob of the index, 32 bytes for each tree that is lost.
pub struct Held<'a> {
    repo: &'a Repo,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    /// Trees that were met.
    seen: Marks,
    /// Those of them that are lost.
    gone: HashSet<BlobId>,
}

impl<'a> Held<'a> {
    /// Nothing was met yet.
    pub fn new(repo: &'a Repo, progress: &'a dyn Progress, interrupt: &'a Interrupt) -> Self {
        Self {
            repo,
            progress,
            interrupt,
            seen: repo.index().marks(),
            gone: HashSet::new(),
        }
    }

    /// Walks through what lies below this root and was not met before; says of what not everything can be had.
    pub fn below(&mut self, root: BlobId, have: &mut Have<'_>) -> Result<TooLate> {
        let mut lost = TooLate::default();
        let mut stack = vec![(root, PathBuf::from("/"))];
        while let Some((id, path)) = stack.pop() {
            self.interrupt.check()?;
            if !self.seen.insert(&id)? {
                if self.gone.contains(&id) {
                    lost.item(&path);
                }
                continue;
            }
            let tree = match have(&[(BlobType::Tree, id)])? {
                true => unless_lost(load_blob(self.repo, &id))?,
                false => None,
            };
            match tree {
                None => {
                    self.gone.insert(id);
                    lost.item(&path);
                }
                Some(Tree::Branch(branch)) => {
                    let pages = branch.pages.into_iter().rev();
                    stack.extend(pages.map(|page| (page.id, path.clone())));
                }
                Some(Tree::Leaf(leaf)) => {
                    for node in leaf.nodes {
                        self.progress.count(Counter::Nodes, 1);
                        let path = path.join(OsStr::from_bytes(&node.name));
                        match node.content {
                            Content::Dir(Some(tree)) => stack.push((tree, path)),
                            Content::File(file) if !self.has_file(&file, have)? => {
                                lost.item(&path);
                            }
                            _ => {}
                        }
                    }
                }
                Some(Tree::Chunks(_)) => {}
            }
        }
        Ok(lost)
    }

    fn has_file(&self, file: &FileContent, have: &mut Have<'_>) -> Result<bool> {
        let (mut batch, mut whole) = (Vec::new(), true);
        let walked = for_each_chunk(self.repo, &file.chunks, &mut |chunk| {
            batch.push(match chunk {
                ChunkRef::Data(id) => (BlobType::Data, id),
                ChunkRef::List(id) => (BlobType::Tree, id),
            });
            // A list is read next: it must be known to be there.
            if batch.len() == BATCH || matches!(chunk, ChunkRef::List(_)) {
                whole = have(&batch)? && whole;
                batch.clear();
            }
            Ok(match whole {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        });
        let read = unless_lost(walked)?.is_some();
        Ok(read && whole && have(&batch)?)
    }
}

impl TooLate {
    fn item(&mut self, path: &Path) {
        self.items += 1;
        self.first.get_or_insert_with(|| path.to_owned());
    }
}

/// What cannot be read for good is lost; any other error stays one.
pub fn unless_lost<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_lost() => Ok(None),
        Err(e) => Err(e),
    }
}
