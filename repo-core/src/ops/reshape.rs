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
use std::collections::{HashMap, HashSet};
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

    /// What becomes of a node at that path; it may change all of it but its name. Tree blobs that it needs for that go to `put`.
    fn node(
        &mut self,
        repo: &Repo,
        at: &Self::At,
        path: &Path,
        node: &mut Node,
        put: &mut Put<'_>,
    ) -> Result<Fate>;

    /// Whether a directory stays of which nothing is left.
    fn keeps_empty(&self, at: &Self::At) -> bool;

    /// Whether this error means that what it is about is left out; else it ends the work.
    fn passes_over(&self, error: &crate::Error) -> bool;

    /// Told of a directory in the tree of which not all can be read, once wherever it lies.
    fn lost(&mut self, path: &Path);

    /// Put behind the names of what is not whole; empty for nothing.
    fn suffix(&self) -> &[u8];
}

/// Stores a tree blob and gives its id.
pub(super) type Put<'a> = dyn FnMut(&[u8]) -> Result<BlobId> + 'a;

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Same,
    /// Something of it is lost: it was changed, and its name will say so.
    Damaged,
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
    /// Files and directories of which something is lost.
    pub lost: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.dirs += other.dirs;
        self.bytes += other.bytes;
        self.lost += other.lost;
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
/// Memory: 120 to 240 bytes for each different directory, 35 to 75 for each that cannot be read, and the nodes of the directories on the way to the one at hand.
pub(super) struct Reshaper<'a, 'w, R: Rule> {
    repo: &'a Repo,
    writer: &'a mut Writer<'w>,
    hasher: BlobHasher,
    borders: Borders,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    pub rule: R,
    known: HashMap<BlobId, Shaped>,
    /// Directories that cannot be read at all, and whether the rule was told of them.
    lost: HashMap<BlobId, bool>,
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
    /// Which of these are not whole.
    damaged_nodes: Vec<usize>,
    changed: bool,
    damaged: bool,
    counts: Counts,
    /// The directory in it that is looked into.
    open: Option<Node>,
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
            lost: HashMap::new(),
        })
    }

    /// Writes a directory anew that lies at that path, with all below it. `None` if it cannot be read at all and the rule passes over
    /// that; the rule is not told of it.
    pub fn tree(&mut self, root: &BlobId, path: &Path) -> Result<Option<Shaped>> {
        let at = self.rule.root();
        if let Some(shaped) = self.known(root, &at) {
            return Ok(Some(shaped));
        }
        let Some(first) = self.open(root, path, at)? else {
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
        let (hasher, writer) = (&self.hasher, &mut *self.writer);
        let put = &mut |bytes: &[u8]| put_tree(hasher, writer, bytes);
        let fate = self.rule.node(self.repo, &at, &path, &mut node, put)?;
        if fate == Fate::Gone {
            top.changed = true;
            return Ok(None);
        }
        if let Content::Dir(Some(tree)) = node.content {
            top.open = Some(node);
            if let Some(shaped) = self.known(&tree, &at) {
                self.take(top, &at, shaped);
                return Ok(None);
            }
            if let Some(below) = self.open(&tree, &path, at.clone())? {
                return Ok(Some(below));
            }
            if self.lost.insert(tree, true) != Some(true) {
                self.rule.lost(&path);
            }
            let counts = Counts {
                lost: 1,
                ..Counts::default()
            };
            let shaped = Shaped {
                id: self.write(Vec::new(), &Owners::default())?,
                counts,
                empty: true,
                damaged: true,
            };
            self.take(top, &at, shaped);
            return Ok(None);
        }
        if fate == Fate::Damaged {
            top.counts.lost += 1;
            top.damaged_nodes.push(top.kept.len());
            top.changed = true;
        }
        top.counts.node(&node);
        top.kept.push(node);
        Ok(None)
    }

    /// Reads a directory, or what of it can be read.
    fn open(&mut self, id: &BlobId, path: &Path, at: R::At) -> Result<Option<Frame<R::At>>> {
        if self.lost.contains_key(id) {
            return Ok(None);
        }
        let mut read = match Nodes::open(self.repo, id) {
            Ok(read) => read,
            Err(e) if self.rule.passes_over(&e) => {
                self.lost.insert(*id, false);
                return Ok(None);
            }
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
                Err(e) if self.rule.passes_over(&e) => damaged = true,
                Err(e) => return Err(e),
            }
        }
        if damaged {
            self.rule.lost(path);
        }
        Ok(Some(Frame {
            id: *id,
            path: path.to_path_buf(),
            free: self.rule.is_free(&at),
            at,
            nodes: nodes.into_iter(),
            owners,
            kept: Vec::new(),
            damaged_nodes: Vec::new(),
            changed: damaged,
            damaged,
            counts: Counts {
                lost: u64::from(damaged),
                ..Counts::default()
            },
            open: None,
        }))
    }

    fn close(&mut self, done: Frame<R::At>) -> Result<Shaped> {
        let empty = done.kept.is_empty();
        let id = match done.changed {
            true => {
                let mut kept = done.kept;
                mark(&mut kept, &done.damaged_nodes, self.rule.suffix());
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
            put_tree(hasher, writer, bytes)
        })
    }

    /// Takes the directory that was looked into for the node that names it.
    fn take(&self, above: &mut Frame<R::At>, at: &R::At, shaped: Shaped) {
        let mut node = above.open.take().expect("the one that was looked into");
        if shaped.empty && !self.rule.keeps_empty(at) {
            above.changed = true;
            return;
        }
        above.changed |= node.content != Content::Dir(Some(shaped.id));
        node.content = Content::Dir(Some(shaped.id));
        if shaped.damaged {
            above.damaged_nodes.push(above.kept.len());
            above.changed = true;
        }
        above.counts.add(&shaped.counts);
        above.counts.node(&node);
        above.kept.push(node);
    }
}

fn put_tree(hasher: &BlobHasher, writer: &mut Writer<'_>, bytes: &[u8]) -> Result<BlobId> {
    let id = hasher.id(bytes);
    writer.add(BlobType::Tree, &id, bytes)?;
    Ok(id)
}

/// Longer names are no names.
const NAME_BYTES_MAX: usize = 255;

/// Puts `suffix` behind the names of some nodes of a directory, and a number before it where another has that name. Names that end so
/// already stay, and those that would be too long.
fn mark(nodes: &mut [Node], which: &[usize], suffix: &[u8]) {
    if which.is_empty() || suffix.is_empty() {
        return;
    }
    let mut taken: HashSet<Vec<u8>> = nodes.iter().map(|node| node.name.clone()).collect();
    for at in which {
        let name = &mut nodes[*at].name;
        if name.ends_with(suffix) {
            continue;
        }
        let numbered = |number: u64| match number {
            1 => [name, suffix].concat(),
            _ => [name, format!(".{number}").as_bytes(), suffix].concat(),
        };
        // As many are tried as have such names.
        let free = (1..).map(numbered).find(|name| !taken.contains(name));
        if let Some(free) = free.filter(|free| free.len() <= NAME_BYTES_MAX) {
            taken.insert(free.clone());
            *name = free;
        }
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

    fn node(
        &mut self,
        _: &Repo,
        at: &Self::At,
        _: &Path,
        node: &mut Node,
        _: &mut Put<'_>,
    ) -> Result<Fate> {
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

    fn passes_over(&self, _: &crate::Error) -> bool {
        false
    }

    fn lost(&mut self, _: &Path) {}

    fn suffix(&self) -> &[u8] {
        &[]
    }
}
