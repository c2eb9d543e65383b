//! What a restore would write.

use super::{StatsSummary, Watch};
use crate::error::Result;
use crate::format::tree::{Content, Node};
use crate::id::BlobId;
use crate::progress::Counter;
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use crate::tree::Nodes;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Most directories whose totals are kept, 64 MiB: 48 bytes each, in a table that is half empty at worst.
const KNOWN_MAX: usize = 600_000;

/// What lies in a directory and below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Totals {
    entries: u64,
    bytes: u64,
}

impl Totals {
    fn add(&mut self, other: Totals) {
        self.entries += other.entries;
        self.bytes += other.bytes;
    }
}

/// A directory that is being read.
struct Open {
    tree: BlobId,
    path: PathBuf,
    nodes: Nodes,
    totals: Totals,
    /// Names of hard links lie in it or below: what they add depends on what was met before.
    linked: bool,
}

struct Counting<'a> {
    repo: &'a Repo,
    watch: &'a Watch<'a>,
    /// Directories without hard links, which add the same wherever they are met.
    known: HashMap<BlobId, Totals>,
    /// Devices and inodes of the snapshot at hand whose bytes were counted.
    inodes: HashSet<(u64, u64)>,
    summary: &'a mut StatsSummary,
}

/// Counts entries and bytes of each snapshot, and tells of each which they are.
pub fn count(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    watch: &Watch<'_>,
    summary: &mut StatsSummary,
    each: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let _following = repo.follow();
    let mut counting = Counting {
        repo,
        watch,
        known: HashMap::new(),
        inodes: HashSet::new(),
        summary,
    };
    for info in snapshots {
        counting.inodes.clear();
        let totals = counting.tree(&info.summary.root)?;
        counting.summary.files += totals.entries;
        counting.summary.bytes += totals.bytes;
        each(totals.entries, totals.bytes);
    }
    Ok(())
}

impl Counting<'_> {
    fn tree(&mut self, root: &BlobId) -> Result<Totals> {
        if let Some(totals) = self.known.get(root) {
            return Ok(*totals);
        }
        let mut stack: Vec<Open> = Vec::new();
        stack.extend(self.open(root, PathBuf::from("/"))?);
        let mut done = Totals::default();
        while let Some(top) = stack.last_mut() {
            self.watch.interrupt.check()?;
            let next = top.nodes.next(self.repo);
            let Some(node) = self.watch.note(&top.path, next, self.summary)?.flatten() else {
                done = self.close(&mut stack);
                continue;
            };
            self.watch.progress.count(Counter::Nodes, 1);
            top.totals.entries += 1;
            match &node.content {
                Content::Dir(Some(below)) => match self.known.get(below) {
                    Some(totals) => top.totals.add(*totals),
                    None => {
                        let path = top.path.join(OsStr::from_bytes(&node.name));
                        stack.extend(self.open(below, path)?);
                    }
                },
                Content::File(file) => {
                    let first = !is_linked(&node) || self.inodes.insert((node.device, node.inode));
                    top.linked |= is_linked(&node);
                    top.totals.bytes += if first { file.size } else { 0 };
                }
                _ => {}
            }
        }
        Ok(done)
    }

    fn open(&mut self, tree: &BlobId, path: PathBuf) -> Result<Option<Open>> {
        let nodes = Nodes::open(self.repo, tree);
        let nodes = self.watch.note(Path::new(&path), nodes, self.summary)?;
        Ok(nodes.map(|nodes| Open {
            tree: *tree,
            path,
            nodes,
            totals: Totals::default(),
            linked: false,
        }))
    }

    /// The topmost directory is read: adds what is in it to the one above, and gives it.
    fn close(&mut self, stack: &mut Vec<Open>) -> Totals {
        let Some(read) = stack.pop() else {
            return Totals::default();
        };
        if !read.linked && self.known.len() < KNOWN_MAX {
            self.known.insert(read.tree, read.totals);
        }
        if let Some(above) = stack.last_mut() {
            above.totals.add(read.totals);
            above.linked |= read.linked;
        }
        read.totals
    }
}

fn is_linked(node: &Node) -> bool {
    node.links > 1 && node.inode != 0
}
