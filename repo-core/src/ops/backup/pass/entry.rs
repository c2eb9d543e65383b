//! What becomes of one entry of a directory that is no directory itself.

use super::{Compared, Item, Pass, Pending, STREAM_BYTES};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, Node};
use crate::fs::{Dir, Kind, Metadata};
use crate::ops::backup::node::{Rules, sizes_of};
use crate::ops::backup::read::{Attributes, FileJob};
use crate::ops::stored::still_stored;
use crate::progress::{Counter, Progress};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

impl Pass<'_, '_, '_> {
    /// Handles anything that is not a directory.
    pub(super) fn entry(
        &mut self,
        at: &Arc<PathBuf>,
        dir: &Arc<Dir>,
        name: &[u8],
        meta: Metadata,
        mut old: Option<Node>,
    ) -> Result<()> {
        self.context.problems.count(Counter::Nodes, 1);
        let compared = self.context.rules.compare(old.as_ref(), &meta);
        if let Some(item) = self.unread(at, dir, &mut old, &meta, compared)? {
            let bytes = if meta.kind == Kind::File {
                meta.size
            } else {
                0
            };
            self.context.problems.count(Counter::Bytes, bytes);
            return self.push(item);
        }
        let compared = if compared == Compared::Same {
            Compared::Changed
        } else {
            compared
        };
        if meta.kind == Kind::File {
            return self.file(
                dir,
                &meta,
                Pending {
                    dir: at.clone(),
                    name: name.to_vec(),
                    sizes: sizes_of(name, meta.size, old.as_ref()),
                    compared,
                    begun: self.listing.as_ref().map(|_| Instant::now()),
                },
            );
        }
        let path = || at.join(OsStr::from_bytes(name));
        match special(self.context.rules, dir, name, &meta) {
            Ok((node, attributes)) => {
                if let Some(error) = attributes {
                    self.context.problems.problem(&path(), &error);
                }
                self.push(Item::Node { node, compared })
            }
            Err(error) => {
                self.entry_fails(&path(), &error);
                Ok(())
            }
        }
    }

    /// Reads a file.
    fn file(&mut self, dir: &Arc<Dir>, meta: &Metadata, file: Pending) -> Result<()> {
        let path = || file.dir.join(OsStr::from_bytes(&file.name));
        let isolate = self.context.isolate;
        let apart = isolate.is_some_and(|list| list.matches(&path()));
        if apart {
            self.push(Item::Border)?;
        }
        match meta.size >= STREAM_BYTES {
            true => self.large_file(dir, file),
            false => self.small_file(dir, meta, file),
        }?;
        match apart {
            true => self.push(Item::Border),
            false => Ok(()),
        }
    }

    /// What becomes of something that need not be read, because it is the parent's node `old`, which is taken then, or has its
    /// content.
    fn unread(
        &mut self,
        at: &Path,
        dir: &Dir,
        old: &mut Option<Node>,
        meta: &Metadata,
        compared: Compared,
    ) -> Result<Option<Item>> {
        let rules = self.context.rules;
        let same = compared == Compared::Same;
        let unread = |old: &Node| same || rules.has_same_content(old, meta);
        let Some(mut node) = old.take_if(|old| unread(old)) else {
            return Ok(None);
        };
        if self.context.distrust && !still_stored(self.context.repo, self.writer, &node.content)? {
            *old = Some(node);
            return Ok(None);
        }
        if same {
            let compared = match rules.refresh(&mut node, meta) {
                true => Compared::Updated,
                false => Compared::Same,
            };
            return Ok(Some(Item::Node { node, compared }));
        }
        let attributes = Attributes::from(dir.xattrs(&node.name, meta.kind));
        if let Some(error) = attributes.failed {
            let path = at.join(OsStr::from_bytes(&node.name));
            self.context.problems.problem(&path, &error);
        }
        let Node {
            name, content, ext, ..
        } = node;
        let mut node = rules.node(&name, meta, attributes.found, content);
        node.ext = ext;
        let compared = Compared::Updated;
        Ok(Some(Item::Node { node, compared }))
    }

    fn small_file(&mut self, dir: &Arc<Dir>, meta: &Metadata, file: Pending) -> Result<()> {
        let job = FileJob {
            dir: dir.clone(),
            name: file.name.clone(),
            cutter: self.context.cutters.of(file.sizes),
        };
        let bytes = meta.size;
        self.small.add(self.context.readers(), job, bytes);
        self.enqueue(Item::File { file, bytes }, bytes)
    }
}

/// Links, pipes, sockets and devices; and why their attributes could not be read.
fn special(rules: Rules, dir: &Dir, name: &[u8], meta: &Metadata) -> Result<(Node, Option<Error>)> {
    let content = match meta.kind {
        Kind::Symlink => Content::Symlink(dir.read_link(name)?),
        Kind::Fifo => Content::Fifo,
        Kind::Socket => Content::Socket,
        Kind::BlockDevice => Content::BlockDevice(meta.rdev),
        Kind::CharDevice => Content::CharDevice(meta.rdev),
        Kind::File | Kind::Dir => {
            return Err(
                Error::new(ErrorKind::InvalidInput, Subject::None).detail("not a special file")
            );
        }
    };
    let xattrs = Attributes::from(dir.xattrs(name, meta.kind));
    let node = rules.node(name, meta, xattrs.found, content);
    Ok((node, xattrs.failed))
}
