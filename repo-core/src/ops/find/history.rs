//! All snapshots side by side.

use crate::error::Result;
use crate::format::tree::{Node, Tree};
use crate::id::BlobId;
use crate::progress::{Interrupt, Problems, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use crate::tree::load_page;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Some of the snapshots, by their places, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snaps(Rc<[u32]>);

impl Snaps {
    /// Those at these places, in any order and more than once.
    pub fn of(mut places: Vec<u32>) -> Self {
        places.sort_unstable();
        places.dedup();
        Self(places.into())
    }

    /// Their places.
    pub fn places(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// These and others.
    pub fn with(&self, others: &Self) -> Self {
        if Rc::ptr_eq(&self.0, &others.0) || self.0 == others.0 {
            return self.clone();
        }
        Self::of(self.places().chain(others.places()).collect())
    }

    /// The first and the last.
    pub fn ends(&self) -> (usize, usize) {
        let end = |place: Option<&u32>| place.map_or(0, |place| *place as usize);
        (end(self.0.first()), end(self.0.last()))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Blobs, and which snapshots have each.
type Bucket = HashMap<BlobId, Snaps>;

fn add(bucket: &mut Bucket, id: BlobId, snaps: &Snaps) {
    let known = bucket.entry(id).or_insert_with(|| snaps.clone());
    *known = known.with(snaps);
}

/// Who looks.
pub trait Visitor {
    /// What is known of a directory before it is entered.
    type Mark: Clone;

    /// What is known of the root.
    fn root(&self) -> Self::Mark;

    /// A tree blob of the directory at this path is read.
    fn blob(&mut self, path: &Path, id: &BlobId, snaps: &Snaps) -> Result<()>;

    /// A node of the directory at this path, in this tree blob of it; a mark if it is to be entered. A node may come more than once,
    /// if it stands in several blobs.
    fn node(
        &mut self,
        dir: (&Path, &Self::Mark),
        tree: &BlobId,
        node: Node,
        snaps: &Snaps,
    ) -> Result<Option<Self::Mark>>;

    /// All versions of this directory have been looked at, and nothing below it.
    fn left(&mut self, path: &Path) -> Result<()>;
}

/// A path at which directories lie.
struct Place<M> {
    path: PathBuf,
    mark: M,
    trees: Bucket,
}

/// Shows everything in these snapshots to a visitor. A tree blob that cannot be read is a problem.
pub fn walk<V: Visitor>(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    visitor: &mut V,
    problems: &Problems<'_>,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut trees = Bucket::new();
    for (place, info) in (0..).zip(snapshots) {
        let snaps = Snaps(Rc::new([place]));
        add(&mut trees, info.summary.root, &snaps);
    }
    let mut stack = vec![Place {
        path: PathBuf::from("/"),
        mark: visitor.root(),
        trees,
    }];
    while let Some(place) = stack.pop() {
        let mut below: Below<V::Mark> = BTreeMap::new();
        let mut level = place.trees;
        // The pages of all versions together: what they share is read once.
        while !level.is_empty() {
            let mut pages = Bucket::new();
            for (id, snaps) in sorted(level) {
                interrupt.check()?;
                let tree = match load_page(repo, &id) {
                    Ok(tree) => tree,
                    Err(error) => {
                        problems.problem(&place.path, &error);
                        continue;
                    }
                };
                visitor.blob(&place.path, &id, &snaps)?;
                match tree {
                    Tree::Leaf(leaf) => {
                        let dir = (&*place.path, &place.mark);
                        for node in leaf.nodes {
                            entry(visitor, dir, &id, (node, &snaps), &mut below)?;
                        }
                    }
                    Tree::Branch(branch) => {
                        for page in &branch.pages {
                            add(&mut pages, page.id, &snaps);
                        }
                    }
                    Tree::Chunks(_) => {}
                }
            }
            level = pages;
        }
        visitor.left(&place.path)?;
        for (name, (mark, trees)) in below.into_iter().rev() {
            stack.push(Place {
                path: place.path.join(OsStr::from_bytes(&name)),
                mark,
                trees,
            });
        }
    }
    Ok(())
}

/// What is below a place, by name.
type Below<M> = BTreeMap<Vec<u8>, (M, Bucket)>;

/// Shows a node, and notes its tree if it is to be entered.
fn entry<V: Visitor>(
    visitor: &mut V,
    dir: (&Path, &V::Mark),
    blob: &BlobId,
    (node, snaps): (Node, &Snaps),
    below: &mut Below<V::Mark>,
) -> Result<()> {
    let tree = node.content.tree();
    let name = tree.map(|_| node.name.clone());
    let mark = visitor.node(dir, blob, node, snaps)?;
    if let (Some(mark), Some(tree), Some(name)) = (mark, tree, name) {
        let (_, bucket) = below.entry(name).or_insert_with(|| (mark, Bucket::new()));
        add(bucket, tree, snaps);
    }
    Ok(())
}

/// By the last snapshot that has each, so that neighbours in packs come one after another.
fn sorted(bucket: Bucket) -> Vec<(BlobId, Snaps)> {
    let mut all: Vec<_> = bucket.into_iter().collect();
    all.sort_unstable_by_key(|(id, snaps)| (snaps.ends(), *id));
    all
}
