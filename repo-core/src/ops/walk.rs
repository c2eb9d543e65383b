//! Walks what snapshots hold, on all cores: each tree blob is read as often as whoever meets it wants.

use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Chunks, Content, HEIGHT_MAX, Leaf, Tree};
use crate::id::{BlobId, SnapshotId};
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::{Repo, lock, on_threads};
use crate::tree::load_blob;
use std::sync::{Condvar, Mutex, PoisonError};

/// Told of every blob that a snapshot names, from several threads; says of a tree blob whether to read it.
pub type Meet<'a> = dyn Fn(BlobType, &BlobId) -> Result<bool> + Sync + 'a;

/// A walk through all that snapshots hold.
///
/// Memory: 33 bytes for each tree that is known and not read yet.
pub struct Walk<'a> {
    /// Where trees are read.
    pub repo: &'a Repo,
    /// Told of every tree blob that is read.
    pub progress: &'a dyn Progress,
    /// Asked before each.
    pub interrupt: &'a Interrupt,
    /// Goes on past trees that are lost, instead of failing.
    pub past_losses: bool,
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
}

/// Ends the others' waiting for a thread that panics.
struct WaitedFor<'a> {
    queue: &'a Mutex<Queue>,
    woken: &'a Condvar,
}

impl Drop for WaitedFor<'_> {
    fn drop(&mut self) {
        let panicked = || Error::new(ErrorKind::Unavailable, Subject::None);
        lock(self.queue).failed.get_or_insert_with(panicked);
        self.woken.notify_all();
    }
}

impl Walk<'_> {
    /// Walks through everything that a snapshot with that root holds.
    ///
    /// Fails at the first tree that cannot be read, unless it goes past those, and with the first error of `meet`; says of which snapshot.
    pub fn snapshot(&self, id: &SnapshotId, root: &BlobId, meet: &Meet<'_>) -> Result<()> {
        let queue = Mutex::new(Queue {
            items: vec![Item {
                id: *root,
                height: 0,
            }],
            at_work: 0,
            failed: None,
        });
        let woken = Condvar::new();
        on_threads(self.repo.pool().threads(), &|| {
            self.work(&queue, &woken, meet);
            Ok(())
        })?;
        let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        queue.failed.map_or(Ok(()), |e| {
            if e.kind() == ErrorKind::Interrupted {
                return Err(e);
            }
            let detail = format!("snapshot {} cannot be read whole", id.short());
            Err(Error::new(e.kind(), e.subject().clone())
                .detail(detail)
                .because(e))
        })
    }

    /// Reads trees until there are none left, or one fails.
    fn work(&self, queue: &Mutex<Queue>, woken: &Condvar, meet: &Meet<'_>) {
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
            let waited_for = WaitedFor { queue, woken };
            let found = self.item(item, meet);
            std::mem::forget(waited_for);
            held = lock(queue);
            held.at_work -= 1;
            match found {
                Ok(below) => held.items.extend(below),
                Err(e) => held.failed = Some(e),
            }
            woken.notify_all();
        }
    }

    /// Meets a tree blob and the data that it names; gives the tree blobs that it names.
    fn item(&self, item: Item, meet: &Meet<'_>) -> Result<Vec<Item>> {
        self.interrupt.check()?;
        if !meet(BlobType::Tree, &item.id)? {
            return Ok(Vec::new());
        }
        let tree = match load_blob(self.repo, &item.id) {
            Err(e) if self.past_losses && e.is_lost() => return Ok(Vec::new()),
            tree => tree?,
        };
        self.progress.count(Counter::Objects, 1);
        let height = |height| move |id| Item { id, height };
        Ok(match (tree, item.height) {
            (Tree::Leaf(leaf), 0) => below(&leaf, meet)?,
            (Tree::Branch(branch), 0) => branch.pages.iter().map(|p| height(0)(p.id)).collect(),
            (Tree::Chunks(ids), 1) => {
                meet_data(&ids, meet)?;
                Vec::new()
            }
            (Tree::Chunks(ids), above @ 2..) => ids.into_iter().map(height(above - 1)).collect(),
            _ => {
                let error = Error::damaged(Subject::Blob(item.id));
                return Err(error.detail("a tree of another kind than the one that names it says"));
            }
        })
    }
}

/// Meets the data that a part of a directory names; gives the tree blobs that it names.
fn below(leaf: &Leaf, meet: &Meet<'_>) -> Result<Vec<Item>> {
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
                Chunks::Direct(ids) | Chunks::Lists { lists: ids, .. } => meet_data(ids, meet)?,
            },
            _ => {}
        }
    }
    Ok(below)
}

fn meet_data(ids: &[BlobId], meet: &Meet<'_>) -> Result<()> {
    let mut ids = ids.iter();
    ids.try_for_each(|id| meet(BlobType::Data, id).map(drop))
}
