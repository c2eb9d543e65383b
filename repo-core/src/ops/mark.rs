//! Marks every blob that snapshots hold: each tree is read once, on all cores.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Chunks, Content, HEIGHT_MAX, Leaf, Tree};
use crate::id::{BlobId, SnapshotId};
use crate::index::PictureMarks;
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::{Repo, lock};
use crate::tree::load_blob;
use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// Marks what snapshots hold.
///
/// Memory: 33 bytes for each tree that is known and not read yet.
pub struct Marking<'a> {
    /// Where trees are read.
    pub repo: &'a Repo,
    /// Filled.
    pub marks: &'a PictureMarks,
    /// Blobs that came into the index after the picture was taken are met without a mark; otherwise they are missing.
    pub newer: bool,
    /// Told of every tree blob that is read.
    pub progress: &'a dyn Progress,
    /// Asked before each.
    pub interrupt: &'a Interrupt,
}

/// A tree blob to be read: a directory or a part of one at height 0, or a list of chunks so high above them.
#[derive(Clone, Copy)]
struct Item {
    id: BlobId,
    height: u8,
}

/// What the threads share.
struct Queue {
    items: Vec<Item>,
    at_work: usize,
    failed: Option<Error>,
    /// Trees that the picture does not know.
    newer: HashSet<BlobId>,
}

impl Marking<'_> {
    /// Marks everything that a snapshot with that root holds.
    ///
    /// Fails at the first tree that cannot be read, and at the first blob that no table names: then nothing may be taken for
    /// unneeded. The error says which snapshot.
    pub fn snapshot(&self, id: &SnapshotId, root: &BlobId) -> Result<()> {
        let queue = Mutex::new(Queue {
            items: vec![Item {
                id: *root,
                height: 0,
            }],
            at_work: 0,
            failed: None,
            newer: HashSet::new(),
        });
        let woken = Condvar::new();
        std::thread::scope(|scope| {
            for _ in 1..self.repo.pool().threads() {
                scope.spawn(|| self.work(&queue, &woken));
            }
            self.work(&queue, &woken);
        });
        let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        queue.failed.map_or(Ok(()), |e| {
            if e.kind() == ErrorKind::Interrupted {
                return Err(e);
            }
            let detail = format!(
                "snapshot {} cannot be read whole, so that it is not known what it needs; nothing was deleted",
                id.short()
            );
            Err(Error::new(e.kind(), e.subject().clone())
                .detail(detail)
                .because(e))
        })
    }

    /// Reads trees until there are none left, or one fails.
    fn work(&self, queue: &Mutex<Queue>, woken: &Condvar) {
        let mut held = lock(queue);
        loop {
            let item = loop {
                if held.failed.is_some() || held.items.is_empty() && held.at_work == 0 {
                    woken.notify_all();
                    return;
                }
                match held.items.pop() {
                    Some(item) => break item,
                    None => held = woken.wait(held).unwrap_or_else(PoisonError::into_inner),
                }
            };
            held.at_work += 1;
            drop(held);
            let found = self.item(item, queue);
            held = lock(queue);
            held.at_work -= 1;
            match found {
                Ok(below) => held.items.extend(below),
                Err(e) => held.failed = Some(e),
            }
            woken.notify_all();
        }
    }

    /// Marks a tree blob and the data that it names; gives the tree blobs that it names.
    fn item(&self, item: Item, queue: &Mutex<Queue>) -> Result<Vec<Item>> {
        self.interrupt.check()?;
        let new = match self.marks.insert(&item.id)? {
            Some(new) => new,
            None if self.newer => lock(queue).newer.insert(item.id),
            None => return Err(unknown(&item.id)),
        };
        if !new {
            return Ok(Vec::new());
        }
        let tree = load_blob(self.repo, &item.id)?;
        self.progress.count(Counter::Objects, 1);
        let height = |height| move |id| Item { id, height };
        Ok(match (tree, item.height) {
            (Tree::Leaf(leaf), 0) => self.leaf(&leaf)?,
            (Tree::Branch(branch), 0) => branch.pages.iter().map(|p| height(0)(p.id)).collect(),
            (Tree::Chunks(ids), 1) => {
                ids.iter().try_for_each(|id| self.data(id))?;
                Vec::new()
            }
            (Tree::Chunks(ids), above @ 2..) => ids.into_iter().map(height(above - 1)).collect(),
            _ => {
                let error = Error::damaged(Subject::Blob(item.id));
                return Err(error.detail("a tree of another kind than the one that names it says"));
            }
        })
    }

    fn leaf(&self, leaf: &Leaf) -> Result<Vec<Item>> {
        let mut below = Vec::new();
        for node in &leaf.nodes {
            match &node.content {
                Content::Dir(Some(tree)) => below.push(Item {
                    id: *tree,
                    height: 0,
                }),
                Content::File(file) => match &file.chunks {
                    Chunks::Lists { height, lists } if *height > 0 => {
                        let height = (*height).min(HEIGHT_MAX);
                        below.extend(lists.iter().map(|id| Item { id: *id, height }));
                    }
                    Chunks::Direct(ids) | Chunks::Lists { lists: ids, .. } => {
                        ids.iter().try_for_each(|id| self.data(id))?;
                    }
                },
                _ => {}
            }
        }
        Ok(below)
    }

    fn data(&self, id: &BlobId) -> Result<()> {
        match self.marks.insert(id)? {
            None if !self.newer => Err(unknown(id)),
            _ => Ok(()),
        }
    }
}

fn unknown(id: &BlobId) -> Error {
    Error::missing(Subject::Blob(*id)).detail("no index table names it")
}
