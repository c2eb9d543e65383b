//! Puts directories together from the bottom up, in walk order, and stores them as tree blobs.

use crate::crypto::{BlobHasher, BlobType};
use crate::error::Result;
use crate::format::snapshot::Totals;
use crate::format::tree::{Content, Node};
use crate::fs::Owners;
use crate::id::BlobId;
use crate::repo::Writer;
use crate::tree::{Borders, write_directory};

/// What makes tree blobs.
pub struct TreeMaker {
    /// Names tree blobs.
    pub hasher: BlobHasher,
    /// Splits large directories.
    pub borders: Borders,
    /// Names of users and groups.
    pub owners: Owners,
}

impl TreeMaker {
    /// Stores one tree blob.
    pub fn put(&self, writer: &mut Writer<'_>, bytes: &[u8]) -> Result<BlobId> {
        let id = self.hasher.id(bytes);
        writer.add(BlobType::Tree, &id, bytes)?;
        Ok(id)
    }
}

/// How a node compares with the parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The parent had none of that name and kind.
    New,
    /// It differs from the parent's.
    Changed,
    /// It is the parent's.
    Same,
    /// It is the parent's but for the number of its device.
    Renumbered,
}

/// A directory in the making.
struct Open {
    node: Node,
    metadata: Compared,
    old: Option<OldDir>,
    nodes: Vec<Node>,
    all_same: bool,
}

/// The same directory in the parent.
#[derive(Debug, Clone, Copy)]
pub struct OldDir {
    /// Its tree.
    pub tree: BlobId,
    /// How many nodes it has.
    pub nodes: usize,
}

/// The directories from the root to the current one.
pub struct Assembler<'t> {
    maker: &'t TreeMaker,
    /// Store every directory's tree unless it is stored: the parent may have lost some.
    distrust: bool,
    open: Vec<Open>,
    /// Numbers so far.
    pub totals: Totals,
}

impl<'t> Assembler<'t> {
    /// Nothing is open yet.
    pub fn new(maker: &'t TreeMaker, distrust: bool) -> Self {
        Self {
            maker,
            distrust,
            open: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// A directory begins; `node` is complete but for its content.
    pub fn enter(&mut self, node: Node, metadata: Compared, old: Option<OldDir>) {
        self.open.push(Open {
            node,
            metadata,
            old,
            nodes: Vec::new(),
            all_same: true,
        });
    }

    /// Something that is not a directory.
    pub fn add(&mut self, node: Node, compared: Compared) {
        let totals = &mut self.totals;
        totals.files += 1;
        if let Content::File(file) = &node.content {
            totals.bytes += file.size;
        }
        match compared {
            Compared::New => totals.files_new += 1,
            Compared::Changed => totals.files_changed += 1,
            Compared::Same | Compared::Renumbered => totals.files_unmodified += 1,
        }
        self.attach(node, compared == Compared::Same);
    }

    fn attach(&mut self, node: Node, same: bool) {
        if let Some(parent) = self.open.last_mut() {
            parent.all_same &= same;
            parent.nodes.push(node);
        }
    }

    /// The current directory is complete. An unchanged one keeps the parent's tree and is not even encoded, if the parent
    /// can be trusted. Gives the tree once the root is complete.
    pub fn leave(&mut self, writer: &mut Writer<'_>) -> Result<Option<BlobId>> {
        let Some(dir) = self.open.pop() else {
            return Ok(None);
        };
        let unchanged = dir
            .old
            .filter(|old| dir.all_same && dir.nodes.len() == old.nodes);
        let tree = match unchanged {
            Some(old) if !self.distrust => old.tree,
            _ => write_directory(
                dir.nodes,
                &self.maker.owners,
                &self.maker.borders,
                &mut |bytes| self.maker.put(writer, bytes),
            )?,
        };
        let same = unchanged.is_some() && dir.metadata == Compared::Same;
        self.totals.dirs += 1;
        match (same, dir.old) {
            (true, _) => self.totals.dirs_unmodified += 1,
            (false, Some(_)) => self.totals.dirs_changed += 1,
            (false, None) => self.totals.dirs_new += 1,
        }
        self.attach(
            Node {
                content: Content::Dir(Some(tree)),
                ..dir.node
            },
            same,
        );
        Ok(self.open.is_empty().then_some(tree))
    }
}
