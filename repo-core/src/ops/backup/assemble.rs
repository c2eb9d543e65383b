//! Puts directories together from the bottom up, in walk order, and stores them as tree blobs.

use crate::crypto::{BlobHasher, BlobType};
use crate::error::Result;
use crate::format::snapshot::Totals;
use crate::format::tree::{Content, Node};
use crate::fs::Owners;
use crate::id::BlobId;
use crate::repo::Writer;
use crate::tree::{Borders, DirectoryWriter};

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

/// Nodes of a directory that are kept until it is known whether it is unchanged: then it is not even encoded. A larger
/// one is written as it comes, which stores nothing new if it is unchanged.
const KEPT_NODES_MAX: usize = 8192;

/// How a node compares with the parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The parent had none of that name and kind.
    New,
    /// It differs from the parent's.
    Changed,
    /// It is the parent's.
    Same,
    /// Its content is the parent's; something beside it differs.
    Updated,
}

/// A directory in the making.
struct Open {
    node: Node,
    metadata: Compared,
    old: Option<OldDir>,
    /// The first nodes, as long as all are the parent's.
    kept: Vec<Node>,
    written: DirectoryWriter,
    nodes: u64,
    /// New bytes of what was written of it.
    added: u64,
    all_same: bool,
    /// It leads to what is backed up, and is not backed up itself.
    above: bool,
    /// What is backed up below it is as the parent has it.
    same_below: bool,
}

impl Open {
    fn write_kept(&mut self, maker: &TreeMaker, writer: &mut Writer<'_>) -> Result<()> {
        let before = writer.bytes_added();
        let mut put = |bytes: &[u8]| maker.put(writer, bytes);
        for node in std::mem::take(&mut self.kept) {
            self.written
                .push(node, &maker.owners, &maker.borders, &mut put)?;
        }
        self.added += writer.bytes_added() - before;
        Ok(())
    }
}

/// A directory that begins.
pub struct Begun {
    /// Its node, complete but for its content.
    pub node: Node,
    /// How that compares with the parent's.
    pub metadata: Compared,
    /// What the parent has of it.
    pub old: Option<OldDir>,
    /// It leads to what is backed up, and is not backed up itself.
    pub above: bool,
}

/// A directory that is complete.
pub struct Left {
    /// Its tree, if it is the root.
    pub root: Option<BlobId>,
    /// How many entries it has.
    pub nodes: u64,
    /// How it compares with the parent's.
    pub compared: Compared,
    /// Bytes of its tree that were new.
    pub added: u64,
}

/// The same directory in the parent.
#[derive(Debug, Clone, Copy)]
pub struct OldDir {
    /// Its tree.
    pub tree: BlobId,
    /// How many nodes it has.
    pub nodes: u64,
}

/// The directories from the root to the current one.
pub struct Assembler<'t> {
    maker: &'t TreeMaker,
    /// Store every directory's tree unless it is stored: the parent may have lost some.
    distrust: bool,
    open: Vec<Open>,
    /// Numbers so far.
    pub totals: Totals,
    /// What is backed up is as the parent has it, whatever became of the directories above it.
    pub unchanged: bool,
    /// New blobs of directories above what is backed up.
    pub blobs_above: u64,
}

impl<'t> Assembler<'t> {
    /// Nothing is open yet.
    pub fn new(maker: &'t TreeMaker, distrust: bool) -> Self {
        Self {
            maker,
            distrust,
            open: Vec::new(),
            totals: Totals::default(),
            unchanged: false,
            blobs_above: 0,
        }
    }

    /// A directory begins.
    pub fn enter(&mut self, begun: Begun) {
        let Begun {
            node,
            metadata,
            old,
            above,
        } = begun;
        self.open.push(Open {
            node,
            metadata,
            old,
            above,
            same_below: true,
            kept: Vec::new(),
            written: DirectoryWriter::default(),
            nodes: 0,
            added: 0,
            all_same: true,
        });
    }

    /// A directory that cannot be read: it is kept without what is in it, and counted nowhere.
    pub fn add_unread(
        &mut self,
        writer: &mut Writer<'_>,
        node: Node,
        compared: Compared,
    ) -> Result<()> {
        let same = compared == Compared::Same;
        self.attach(writer, node, same, same)
    }

    /// Something that is not a directory.
    pub fn add(&mut self, writer: &mut Writer<'_>, node: Node, compared: Compared) -> Result<()> {
        let totals = &mut self.totals;
        totals.files += 1;
        if let Content::File(file) = &node.content {
            totals.bytes += file.size;
        }
        match compared {
            Compared::New => totals.files_new += 1,
            Compared::Changed => totals.files_changed += 1,
            Compared::Same | Compared::Updated => totals.files_unmodified += 1,
        }
        let same = compared == Compared::Same;
        self.attach(writer, node, same, same)
    }

    fn attach(
        &mut self,
        writer: &mut Writer<'_>,
        node: Node,
        same: bool,
        same_below: bool,
    ) -> Result<()> {
        let Some(parent) = self.open.last_mut() else {
            self.unchanged = same_below;
            return Ok(());
        };
        parent.all_same &= same;
        parent.same_below &= same_below;
        parent.nodes += 1;
        parent.kept.push(node);
        match parent.all_same && parent.kept.len() <= KEPT_NODES_MAX {
            true => Ok(()),
            false => parent.write_kept(self.maker, writer),
        }
    }

    /// The current directory is complete. An unchanged one keeps the parent's tree and is not even encoded, if the parent
    /// can be trusted.
    pub fn leave(&mut self, writer: &mut Writer<'_>) -> Result<Option<Left>> {
        let Some(mut dir) = self.open.pop() else {
            return Ok(None);
        };
        let nodes = dir.nodes;
        let as_many = dir.old.filter(|old| nodes == old.nodes);
        let unchanged = as_many.filter(|_| dir.all_same);
        let blobs = writer.new_blobs();
        let tree = match unchanged {
            Some(old) if !self.distrust => old.tree,
            _ => {
                dir.write_kept(self.maker, writer)?;
                let TreeMaker {
                    owners, borders, ..
                } = self.maker;
                let before = writer.bytes_added();
                let mut put = |bytes: &[u8]| self.maker.put(writer, bytes);
                let tree = dir.written.finish(owners, borders, &mut put)?;
                dir.added += writer.bytes_added() - before;
                tree
            }
        };
        let same = unchanged.is_some() && dir.metadata == Compared::Same;
        let mut same_below = same;
        if dir.above {
            same_below = as_many.is_some() && dir.same_below;
            self.blobs_above += writer.new_blobs() - blobs;
        }
        let totals = &mut self.totals;
        let (compared, count) = match (same, dir.old) {
            (true, _) => (Compared::Same, &mut totals.dirs_unmodified),
            (false, Some(_)) => (Compared::Changed, &mut totals.dirs_changed),
            (false, None) => (Compared::New, &mut totals.dirs_new),
        };
        // The root of all is no directory that anybody backs up.
        if !self.open.is_empty() {
            *count += 1;
            totals.dirs += 1;
        }
        let node = Node {
            content: Content::Dir(Some(tree)),
            ..dir.node
        };
        self.attach(writer, node, same, same_below)?;
        Ok(Some(Left {
            root: self.open.is_empty().then_some(tree),
            nodes,
            compared,
            added: dir.added,
        }))
    }
}
