//! Writes the trees of a snapshot anew, without some of what is in them. A directory of which nothing changes stays the blob it is.

use crate::crypto::{BlobHasher, BlobType, KeyKind};
use crate::error::Result;
use crate::format::tree::{Content, Node};
use crate::fs::Owners;
use crate::id::BlobId;
use crate::pattern::{List, Reached};
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::{Repo, Writer};
use crate::tree::{Borders, Nodes, write_directory};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What becomes of the nodes of trees.
pub(super) trait Rule {
    /// How far patterns are reached; nothing where the place does not matter.
    type At: Clone;

    /// At the root.
    fn root(&self) -> Self::At;

    /// Below a directory, at this name.
    fn enter(&self, above: &Self::At, name: &[u8]) -> Self::At;

    /// Whether what lies below comes out the same wherever it lies. It is looked at once then.
    fn is_free(&self, at: &Self::At) -> bool;

    /// What becomes of a node at that path; it may change it.
    fn node(&mut self, repo: &Repo, at: &Self::At, path: &Path, node: &mut Node) -> Result<Fate>;

    /// Whether a directory stays of which nothing is left.
    fn keeps_empty(&self, at: &Self::At) -> bool;

    /// Whether this error, met at the directory of that path, means that what it is about is left out; else it ends the work.
    fn passes_over(&mut self, path: &Path, error: &crate::Error) -> bool;

    /// Changes the node of a directory of which not all could be read.
    fn mark_damaged(&self, node: &mut Node);
}

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Same,
    Changed,
    Gone,
}

/// What lies in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Everything but directories.
    pub files: u64,
    pub dirs: u64,
    /// Of regular files.
    pub bytes: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.dirs += other.dirs;
        self.bytes += other.bytes;
    }

    pub fn node(&mut self, node: &Node) {
        match &node.content {
            Content::Dir(_) => self.dirs += 1,
            Content::File(file) => {
                self.files += 1;
                self.bytes += file.size;
            }
            _ => self.files += 1,
        }
    }
}

/// A tree as it came out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shaped {
    pub id: BlobId,
    pub counts: Counts,
    /// Nothing is left in it.
    empty: bool,
    /// Not all of it could be read.
    damaged: bool,
}

/// Writes trees anew by a rule.
///
/// Memory: 100 bytes for each different directory, and the nodes of the directories on the way to the one at hand.
pub(super) struct Reshaper<'a, 'w, R: Rule> {
    repo: &'a Repo,
    writer: &'a mut Writer<'w>,
    hasher: BlobHasher,
    borders: Borders,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    pub rule: R,
    known: HashMap<BlobId, Shaped>,
}

/// A directory at hand.
struct Frame<At> {
    id: BlobId,
    path: PathBuf,
    at: At,
    free: bool,
    nodes: std::vec::IntoIter<Node>,
    owners: Owners,
    kept: Vec<Node>,
    changed: bool,
    damaged: bool,
    counts: Counts,
    /// The directory in it that is looked into, and whether it has changed already.
    open: Option<(Node, bool)>,
}

impl<'a, 'w, R: Rule> Reshaper<'a, 'w, R> {
    pub fn new(
        repo: &'a Repo,
        writer: &'a mut Writer<'w>,
        (progress, interrupt): (&'a dyn Progress, &'a Interrupt),
        rule: R,
    ) -> Result<Self> {
        let domain = repo.settings().domain;
        Ok(Self {
            repo,
            writer,
            hasher: repo.hasher(BlobType::Tree)?,
            borders: Borders::new(repo.ring().domain_key(KeyKind::Border, domain)?.clone()),
            progress,
            interrupt,
            rule,
            known: HashMap::new(),
        })
    }

    /// Writes a snapshot's tree anew. `None` if its root cannot be read and the rule passes over that.
    pub fn tree(&mut self, root: &BlobId) -> Result<Option<Shaped>> {
        let at = self.rule.root();
        if let Some(shaped) = self.known(root, &at) {
            return Ok(Some(shaped));
        }
        let Some(first) = self.open(root, PathBuf::from("/"), at)? else {
            return Ok(None);
        };
        let mut stack = vec![first];
        loop {
            self.interrupt.check()?;
            let top = stack.last_mut().expect("the root is taken last");
            if let Some(node) = top.nodes.next() {
                if let Some(below) = self.node(top, node)? {
                    stack.push(below);
                }
                continue;
            }
            let done = stack.pop().expect("the one at hand");
            let at = done.at.clone();
            let shaped = self.close(done)?;
            match stack.last_mut() {
                Some(above) => self.take(above, &at, shaped),
                None => return Ok(Some(shaped)),
            }
        }
    }

    fn known(&self, id: &BlobId, at: &R::At) -> Option<Shaped> {
        let known = self.known.get(id).filter(|_| self.rule.is_free(at));
        known.copied()
    }

    /// Takes in a node, or gives the directory that is to be looked into first.
    fn node(&mut self, top: &mut Frame<R::At>, mut node: Node) -> Result<Option<Frame<R::At>>> {
        self.progress.count(Counter::Nodes, 1);
        let path = top.path.join(OsStr::from_bytes(&node.name));
        let at = self.rule.enter(&top.at, &node.name);
        let fate = self.rule.node(self.repo, &at, &path, &mut node)?;
        if fate == Fate::Gone {
            top.changed = true;
            return Ok(None);
        }
        let changed = fate == Fate::Changed;
        if let Content::Dir(Some(tree)) = node.content {
            top.open = Some((node, changed));
            if let Some(shaped) = self.known(&tree, &at) {
                self.take(top, &at, shaped);
                return Ok(None);
            }
            if let Some(below) = self.open(&tree, path, at.clone())? {
                return Ok(Some(below));
            }
            let empty = self.write(Vec::new(), &Owners::default())?;
            let shaped = Shaped {
                id: empty,
                counts: Counts::default(),
                empty: true,
                damaged: true,
            };
            self.take(top, &at, shaped);
            return Ok(None);
        }
        top.changed |= changed;
        top.counts.node(&node);
        top.kept.push(node);
        Ok(None)
    }

    /// Reads a directory, or what of it can be read.
    fn open(&mut self, id: &BlobId, path: PathBuf, at: R::At) -> Result<Option<Frame<R::At>>> {
        let mut read = match Nodes::open(self.repo, id) {
            Ok(read) => read,
            Err(e) if self.rule.passes_over(&path, &e) => return Ok(None),
            Err(e) => return Err(e),
        };
        self.progress.count(Counter::Objects, 1);
        let (mut owners, mut nodes, mut damaged) = (Owners::default(), Vec::new(), false);
        loop {
            match read.next(self.repo) {
                Ok(Some(node)) => {
                    if let Some(name) = read.user(node.uid) {
                        owners.know_user(node.uid, name);
                    }
                    if let Some(name) = read.group(node.gid) {
                        owners.know_group(node.gid, name);
                    }
                    nodes.push(node);
                }
                Ok(None) => break,
                // The pages behind it may be whole: the reader goes on with the next.
                Err(e) if self.rule.passes_over(&path, &e) => damaged = true,
                Err(e) => return Err(e),
            }
        }
        Ok(Some(Frame {
            id: *id,
            path,
            free: self.rule.is_free(&at),
            at,
            nodes: nodes.into_iter(),
            owners,
            kept: Vec::new(),
            changed: damaged,
            damaged,
            counts: Counts::default(),
            open: None,
        }))
    }

    fn close(&mut self, done: Frame<R::At>) -> Result<Shaped> {
        let empty = done.kept.is_empty();
        let id = match done.changed {
            true => {
                let mut kept = done.kept;
                kept.sort_by(|a, b| a.name.cmp(&b.name));
                self.write(kept, &done.owners)?
            }
            false => done.id,
        };
        let shaped = Shaped {
            id,
            counts: done.counts,
            empty,
            damaged: done.damaged,
        };
        if done.free {
            self.known.insert(done.id, shaped);
        }
        Ok(shaped)
    }

    fn write(&mut self, nodes: Vec<Node>, owners: &Owners) -> Result<BlobId> {
        let (hasher, writer) = (&self.hasher, &mut *self.writer);
        write_directory(nodes, owners, &self.borders, &mut |bytes| {
            let id = hasher.id(bytes);
            writer.add(BlobType::Tree, &id, bytes)?;
            Ok(id)
        })
    }

    /// Takes the directory that was looked into for the node that names it.
    fn take(&self, above: &mut Frame<R::At>, at: &R::At, shaped: Shaped) {
        let (mut node, mut changed) = above.open.take().expect("the one that was looked into");
        if shaped.empty && !self.rule.keeps_empty(at) {
            above.changed = true;
            return;
        }
        changed |= node.content != Content::Dir(Some(shaped.id));
        node.content = Content::Dir(Some(shaped.id));
        if shaped.damaged {
            self.rule.mark_damaged(&mut node);
            changed = true;
        }
        above.changed |= changed;
        above.counts.add(&shaped.counts);
        above.counts.node(&node);
        above.kept.push(node);
    }
}

/// Files are chosen by the patterns of lists.
pub(super) enum Choice<'a> {
    /// Nothing is left out.
    All,
    /// What any of them matches is left out.
    Exclude(&'a [List]),
    /// Only what any of them matches stays, and the way to it.
    Include(&'a [List]),
}

impl Choice<'_> {
    fn lists(&self) -> &[List] {
        match self {
            Self::All => &[],
            Self::Exclude(lists) | Self::Include(lists) => lists,
        }
    }
}

impl Rule for Choice<'_> {
    type At = Vec<Reached>;

    fn root(&self) -> Self::At {
        self.lists().iter().map(List::root).collect()
    }

    fn enter(&self, above: &Self::At, name: &[u8]) -> Self::At {
        let lists = self.lists().iter().zip(above);
        lists.map(|(list, above)| list.enter(above, name)).collect()
    }

    fn is_free(&self, at: &Self::At) -> bool {
        match self {
            Self::All => true,
            Self::Exclude(_) => !at.iter().any(Reached::below_may_match),
            Self::Include(_) => at.iter().any(Reached::all_below_match),
        }
    }

    fn node(&mut self, _: &Repo, at: &Self::At, _: &Path, node: &mut Node) -> Result<Fate> {
        let matches = at.iter().any(Reached::matches);
        let gone = match self {
            Self::All => false,
            Self::Exclude(_) => matches,
            Self::Include(_) if matches!(node.content, Content::Dir(Some(_))) => {
                !matches && !at.iter().any(Reached::below_may_match)
            }
            Self::Include(_) => !matches,
        };
        Ok(if gone { Fate::Gone } else { Fate::Same })
    }

    fn keeps_empty(&self, at: &Self::At) -> bool {
        !matches!(self, Self::Include(_)) || at.iter().any(Reached::matches)
    }

    fn passes_over(&mut self, _: &Path, _: &crate::Error) -> bool {
        false
    }

    fn mark_damaged(&self, _: &mut Node) {}
}
