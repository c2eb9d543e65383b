//! What new snapshots add to a version table, in memory.

use super::super::small;
use super::file::Table;
use super::records::{Print, ROOT, Records, key_of};
use crate::error::Result;
use crate::format::codec;
use crate::format::tree::{Branch, Node, Tree};
use crate::id::{BlobId, SnapshotId};
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::tree::load_page;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Most units that are remembered as known, 24 bytes or so each.
const SEEN_MAX: usize = 3 << 20;

/// What a version, a unit takes besides what is counted.
const VERSION_BYTES: usize = 160;
const UNIT_BYTES: usize = 144;

/// What was found in snapshots, by the keys of directories.
#[derive(Default)]
pub struct Fresh {
    pub dirs: BTreeMap<Vec<u8>, FreshDir>,
    /// The snapshots, in the order in which they came.
    pub snapshots: Vec<SnapshotId>,
    /// What it takes in memory, about.
    pub bytes: usize,
}

/// What was found in a directory.
#[derive(Default)]
pub struct FreshDir {
    /// In the order in which they came.
    pub units: Vec<FreshUnit>,
    by_print: HashMap<Print, u32>,
    pub names: BTreeMap<Vec<u8>, Vec<FreshVersion>>,
}

/// A unit that something new names.
pub struct FreshUnit {
    pub print: Print,
    /// Units of the directory above; of the root: snapshots.
    pub parents: Vec<Print>,
    /// Trees of the same directory.
    pub within: Vec<Print>,
}

/// A version of a name in a new unit.
pub struct FreshVersion {
    pub print: Print,
    pub shown: Vec<u8>,
    /// By their places among the new units.
    pub units: Vec<u32>,
}

/// What an id is known by: it is a hash itself.
pub fn print_of(id: &[u8; 32]) -> Print {
    std::array::from_fn(|at| id[at])
}

impl FreshDir {
    fn unit(&mut self, print: Print, bytes: &mut usize) -> (u32, &mut FreshUnit) {
        let place = *self.by_print.entry(print).or_insert_with(|| {
            *bytes += UNIT_BYTES;
            self.units.push(FreshUnit {
                print,
                parents: Vec::new(),
                within: Vec::new(),
            });
            self.units.len() as u32 - 1
        });
        (place, &mut self.units[place as usize])
    }
}

impl Fresh {
    /// Nothing, for the rest of the snapshot that came last.
    pub fn rest(&self) -> Self {
        Self {
            snapshots: self.snapshots.last().copied().into_iter().collect(),
            ..Self::default()
        }
    }

    fn dir(&mut self, key: &[u8]) -> (&mut FreshDir, &mut usize) {
        if !self.dirs.contains_key(key) {
            self.bytes += 2 * key.len() + UNIT_BYTES;
            self.dirs.insert(key.to_vec(), FreshDir::default());
        }
        let dir = self.dirs.get_mut(key).expect("was just put there");
        (dir, &mut self.bytes)
    }

    /// `parent` names this tree.
    fn named(&mut self, key: &[u8], tree: &BlobId, parent: Print) {
        let (dir, bytes) = self.dir(key);
        let (_, unit) = dir.unit(print_of(&tree.0), bytes);
        if unit.parents.last() != Some(&parent) {
            unit.parents.push(parent);
            *bytes += size_of::<Print>();
        }
    }

    /// This page belongs to that tree.
    fn within(&mut self, key: &[u8], page: &BlobId, tree: Print) {
        let (dir, bytes) = self.dir(key);
        let (_, unit) = dir.unit(print_of(&page.0), bytes);
        if unit.within.last() != Some(&tree) {
            unit.within.push(tree);
            *bytes += size_of::<Print>();
        }
    }

    /// A node stands in this unit.
    fn node(&mut self, key: &[u8], unit: &BlobId, node: Node) {
        let print = print_of(blake3::hash(&codec::encode(&node)).as_bytes());
        let (dir, bytes) = self.dir(key);
        let (place, _) = dir.unit(print_of(&unit.0), bytes);
        if !dir.names.contains_key(&node.name) {
            *bytes += node.name.len() + VERSION_BYTES;
            dir.names.insert(node.name.clone(), Vec::new());
        }
        let versions = dir.names.get_mut(&node.name).expect("was just put there");
        match versions.iter_mut().find(|known| known.print == print) {
            Some(known) if known.units.last() == Some(&place) => {}
            Some(known) => {
                known.units.push(place);
                *bytes += size_of::<u32>();
            }
            None => {
                let node = Node {
                    name: Vec::new(),
                    ..small(node)
                };
                let shown = codec::encode(&node);
                *bytes += shown.len() + VERSION_BYTES;
                versions.push(FreshVersion {
                    print,
                    shown,
                    units: vec![place],
                });
            }
        }
    }
}

/// Which units are in the table or were collected: by what path and id together are known by.
#[derive(Default)]
pub struct Seen(HashSet<Print>);

impl Seen {
    /// Those of a table. Reads all of it.
    pub fn of(table: &Table) -> Result<Self> {
        let mut seen = Self::default();
        let mut records = Records::open(table, true)?;
        loop {
            match (records.directory(), records.name()) {
                (Some(key), _) if seen.0.len() < SEEN_MAX => {
                    let prints: Vec<Print> = records.prints().collect();
                    let all = prints.iter().map(|print| place_of(key, print));
                    seen.0.extend(all);
                }
                (None, None) => return Ok(seen),
                _ => {}
            }
            records.advance()?;
        }
    }

    /// Whether it is new; from now on it is not.
    fn is_new(&mut self, key: &[u8], id: &BlobId) -> bool {
        if self.0.len() >= SEEN_MAX {
            // The rest of the snapshots find again what they share.
            self.0.clear();
        }
        self.0.insert(place_of(key, &print_of(&id.0)))
    }
}

fn place_of(key: &[u8], print: &Print) -> Print {
    let mut hasher = blake3::Hasher::new();
    hasher.update(print).update(key);
    print_of(hasher.finalize().as_bytes())
}

/// What is collected so far may be put into the table: is asked after each tree blob.
pub type Spill<'a> = dyn FnMut(&mut Fresh) -> Result<()> + 'a;

/// Collects what is new in a snapshot. Opens a tree only if it is not known at its path. Any error means that not all was collected.
pub fn collect(
    repo: &Repo,
    (id, root): (SnapshotId, BlobId),
    (fresh, seen): (&mut Fresh, &mut Seen),
    spill: &mut Spill<'_>,
    interrupt: &Interrupt,
) -> Result<()> {
    fresh.snapshots.push(id);
    let mut collecting = Collecting {
        repo,
        fresh,
        seen,
        stack: vec![(ROOT.to_vec(), root, print_of(&id.0))],
    };
    while let Some((key, tree, parent)) = collecting.stack.pop() {
        interrupt.check()?;
        collecting.fresh.named(&key, &tree, parent);
        if collecting.seen.is_new(&key, &tree) {
            collecting.tree(&key, &tree, spill)?;
        }
    }
    Ok(())
}

struct Collecting<'a> {
    repo: &'a Repo,
    fresh: &'a mut Fresh,
    seen: &'a mut Seen,
    /// Directories to be entered: key, tree, and the unit that names it.
    stack: Vec<(Vec<u8>, BlobId, Print)>,
}

impl Collecting<'_> {
    fn tree(&mut self, key: &[u8], tree: &BlobId, spill: &mut Spill<'_>) -> Result<()> {
        let mut below = Vec::new();
        let mut pages = vec![*tree];
        while let Some(page) = pages.pop() {
            match load_page(self.repo, &page)? {
                Tree::Leaf(leaf) => {
                    for node in leaf.nodes {
                        if let Some(child) = node.content.tree() {
                            below.push((key_of(key, &node.name), child, print_of(&page.0)));
                        }
                        self.fresh.node(key, &page, node);
                    }
                    spill(self.fresh)?;
                }
                Tree::Branch(branch) => self.pages(key, tree, branch, &mut pages),
                Tree::Chunks(_) => {}
            }
        }
        // Entered in the order of names, in which they were stored.
        below.sort_unstable_by(|a, b| b.cmp(a));
        self.stack.append(&mut below);
        Ok(())
    }

    /// Notes the pages of a tree, and which have to be read: a page of pages always, as those belong to this tree too.
    fn pages(&mut self, key: &[u8], tree: &BlobId, branch: Branch, pages: &mut Vec<BlobId>) {
        let of_leaves = branch.height <= 1;
        for page in branch.pages.iter().rev() {
            self.fresh.within(key, &page.id, print_of(&tree.0));
            if !of_leaves || self.seen.is_new(key, &page.id) {
                pages.push(page.id);
            }
        }
    }
}
