//! The walk: puts directories and their entries into the queue, in the order of names.

use super::{Compared, Item, Pass};
use crate::error::{ErrorKind, Result};
use crate::format::tree::{Content, Node};
use crate::fs::{Dir, Kind, Metadata, stat_path};
use crate::id::BlobId;
use crate::ops::backup::assemble::{Begun, OldDir};
use crate::ops::backup::roots::Root;
use crate::ops::backup::scan::{Ahead, Listed, OldNodes, list};
use crate::ops::backup::select::Unclear;
use crate::progress::{Note, Progress};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory on the walk's stack.
struct Frame {
    path: Arc<PathBuf>,
    listed: Listed,
    next: usize,
    ahead: Ahead,
}

impl Pass<'_, '_, '_> {
    /// A place of the tree above or at what is backed up.
    pub(super) fn place(
        &mut self,
        name: &[u8],
        meta: &Metadata,
        root: &Root,
        old: Option<BlobId>,
        metadata: Compared,
    ) -> Result<()> {
        let path = root.path();
        match root {
            Root::Whole { .. } => {
                let chosen = self.context.selection.at(path, meta);
                let opened = Dir::open_root(path);
                match opened.and_then(|dir| list(self.context.repo, dir, chosen, old)) {
                    Ok(listed) => self.walk(path, name, meta, listed, metadata),
                    Err(error) => {
                        self.context.problems.problem(path, &error);
                        Ok(())
                    }
                }
            }
            Root::Above { children, .. } => {
                let mut old = old.and_then(|tree| OldNodes::load(self.context.repo, tree).ok());
                let node = self
                    .context
                    .rules
                    .node(name, meta, Vec::new(), Content::Dir(None));
                // Entries beside the wanted ones are left out: such a directory is unchanged only by chance.
                let old_dir = old.as_ref().map(|old| OldDir {
                    tree: old.tree,
                    nodes: old.count,
                });
                self.push(Item::Enter(Begun {
                    node,
                    metadata,
                    old: old_dir,
                    above: true,
                }))?;
                for (name, child) in children {
                    self.child_place(name, child, &mut old)?;
                }
                self.push(Item::Leave)
            }
        }
    }

    fn child_place(&mut self, name: &[u8], child: &Root, old: &mut Option<OldNodes>) -> Result<()> {
        let path = child.path();
        let old_node = old.as_mut().and_then(|old| old.take(name));
        let meta = match stat_place(child) {
            Ok(meta) => meta,
            Err(error) => {
                self.context.problems.problem(path, &error);
                return Ok(());
            }
        };
        if meta.kind != Kind::Dir {
            if self.context.selection.is_too_large(&meta) {
                self.exclude(1);
                return Ok(());
            }
            let above = path.parent().unwrap_or(path);
            let dir = match Dir::open_root(above) {
                Ok(dir) => Arc::new(dir),
                Err(error) => {
                    self.context.problems.problem(path, &error);
                    return Ok(());
                }
            };
            let at = Arc::new(above.to_path_buf());
            return self.entry(&at, &dir, name, meta, old_node);
        }
        let compared = self.context.rules.compare(old_node.as_ref(), &meta);
        let old_tree = old_node.as_ref().and_then(|node| node.content.tree());
        self.place(name, &meta, child, old_tree, compared)
    }

    /// Walks a directory that is backed up whole.
    fn walk(
        &mut self,
        path: &Path,
        name: &[u8],
        meta: &Metadata,
        listed: Listed,
        metadata: Compared,
    ) -> Result<()> {
        let mut stack = vec![self.enter(path.to_path_buf(), name, meta, listed, metadata)?];
        while let Some(frame) = stack.last_mut() {
            self.context.interrupt.check()?;
            let index = frame.next;
            if index == frame.listed.scan.len() {
                self.push(Item::Leave)?;
                stack.pop();
                continue;
            }
            frame.next += 1;
            let Frame { listed, ahead, .. } = frame;
            ahead.fill(self.context.repo, listed, index);
            if let Some(below) = self.visit(frame, index)? {
                stack.push(below);
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        path: PathBuf,
        name: &[u8],
        meta: &Metadata,
        mut listed: Listed,
        metadata: Compared,
    ) -> Result<Frame> {
        let path = Arc::new(path);
        self.context.problems.begin(&path);
        let xattrs = std::mem::take(&mut listed.xattrs.found);
        if let Some(error) = listed.xattrs.failed.take() {
            self.context.problems.problem(&path, &error);
        }
        self.exclude(listed.excluded);
        for Unclear { name, why } in &listed.unclear {
            let path = path.join(name);
            self.context
                .problems
                .note(Note::Unclear { path: &path, why });
        }
        let node = self
            .context
            .rules
            .node(name, meta, xattrs, Content::Dir(None));
        let old = listed.old.as_ref().map(|old| OldDir {
            tree: old.tree,
            nodes: old.count,
        });
        self.push(Item::Enter(Begun {
            node,
            metadata,
            old,
            above: false,
        }))?;
        Ok(Frame {
            path,
            listed,
            next: 0,
            ahead: Ahead::new(&self.ahead),
        })
    }

    /// Handles one entry; gives a frame to go on with if it is a directory.
    fn visit(&mut self, frame: &mut Frame, index: usize) -> Result<Option<Frame>> {
        let Listed {
            dir,
            scan,
            chosen,
            old,
            ..
        } = &mut frame.listed;
        let meta = scan.metadata(dir, index);
        let name = scan.name(index);
        let old_node = old.as_mut().and_then(|old| old.take(name));
        let below = || frame.path.join(OsStr::from_bytes(name));
        let meta = match meta {
            Ok(meta) => meta,
            Err(error) => {
                self.entry_fails(&below(), &error);
                return Ok(None);
            }
        };
        if chosen.leaves_out(&meta) {
            self.exclude(1);
            return Ok(None);
        }
        if meta.kind != Kind::Dir {
            let (path, dir) = (frame.path.clone(), dir.clone());
            self.entry(&path, &dir, name, meta, old_node)?;
            return Ok(None);
        }
        if chosen.stops_at(name, &meta) {
            return self.mount_point(name, &meta, old_node).map(|()| None);
        }
        let listing = match frame.ahead.take(index) {
            Some(ticket) => ticket.wait_or_run()?,
            None => {
                let old_tree = old_node.as_ref().and_then(|node| node.content.tree());
                let chosen = chosen.enter(name, meta.device);
                dir.open_dir(name)
                    .and_then(|dir| list(self.context.repo, dir, chosen, old_tree))
            }
        };
        match listing {
            Ok(listed) => {
                let compared = self.context.rules.compare(old_node.as_ref(), &meta);
                let path = below();
                self.enter(path, name, &meta, listed, compared).map(Some)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.entry_fails(&below(), &error);
                Ok(None)
            }
            Err(error) => {
                self.context.problems.problem(&below(), &error);
                let node = self
                    .context
                    .rules
                    .node(name, &meta, Vec::new(), Content::Dir(None));
                let compared = self.compare_unread(old_node.as_ref(), &meta);
                self.push(Item::Unread { node, compared })?;
                Ok(None)
            }
        }
    }

    /// Whether the parent could not read a directory either, and has the same of it.
    fn compare_unread(&self, old: Option<&Node>, meta: &Metadata) -> Compared {
        let unread = |old: &&Node| old.content == Content::Dir(None) && old.xattrs.is_empty();
        match old.filter(unread) {
            Some(old) => self.context.rules.compare(Some(old), meta),
            None => Compared::New,
        }
    }

    /// A directory of which only the node is backed up, without what would have to be read of it, attributes included.
    fn mount_point(&mut self, name: &[u8], meta: &Metadata, old: Option<Node>) -> Result<()> {
        let rules = self.context.rules;
        let metadata = rules.compare(old.as_ref(), meta);
        let tree = old.as_ref().and_then(|node| node.content.tree());
        let loaded = tree.and_then(|tree| OldNodes::load(self.context.repo, tree).ok());
        self.push(Item::Enter(Begun {
            node: rules.node(name, meta, Vec::new(), Content::Dir(None)),
            metadata,
            old: loaded.map(|old| OldDir {
                tree: old.tree,
                nodes: old.count,
            }),
            above: false,
        }))?;
        self.push(Item::Leave)
    }
}

/// Metadata of a place: of what a link leads to where it is on the way, of the link itself where it is the goal.
pub(super) fn stat_place(root: &Root) -> Result<Metadata> {
    match root {
        Root::Whole { path } => stat_path(path),
        Root::Above { path, .. } => Dir::open_root(path)?.metadata(),
    }
}
