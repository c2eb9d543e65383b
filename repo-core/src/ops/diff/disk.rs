//! A snapshot and the disk.

use super::{DiffSummary, Modifier, Report, Tell};
use crate::crypto::{BlobHasher, BlobType};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, FileContent, Node};
use crate::fs::{Dir, Kind, Metadata, Xattr, advise_sequential, xattrs_of};
use crate::id::BlobId;
use crate::ops::restore::{first_in_holes, holds};
use crate::pattern::{List, Reached};
use crate::progress::{Interrupt, Problems, Progress};
use crate::repo::Repo;
use crate::tree::{ChunkRef, Nodes, for_each_chunk};
use crate::vfs::Found;
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

/// How a snapshot is compared with the disk.
#[derive(Debug, Clone, Default)]
pub struct DiskOptions {
    /// Show changes of attributes too: mode, owner, time, extended attributes, targets of links, numbers of devices.
    pub metadata: bool,
    /// Read files of the same size and times too.
    pub all_content: bool,
    /// What is on the disk and matches these patterns is not looked at, and neither is what the snapshot has there.
    pub excludes: Option<List>,
    /// Other file systems than that of each path are not entered.
    pub one_file_system: bool,
}

/// Compares what has a path in a snapshot, if anything has, with what lies at `path` on the disk, which need not be there. `NotFound` if
/// there is neither. The disk is the right side; differences are named by their paths there.
///
/// A file is read where its size is the same and a time is not, and compared with the ids of its chunks: nothing is fetched from the
/// repository. What cannot be read is a problem. Memory: a page and the names of a directory a level.
pub fn diff_disk(
    repo: &Repo,
    (found, path): (Option<&Found>, &Path),
    options: &DiskOptions,
    tell: &mut Tell<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<DiffSummary> {
    let _following = repo.follow();
    let problems = Problems::new(progress);
    let mut comparing = Comparing {
        repo,
        hasher: repo.hasher(BlobType::Data)?,
        options,
        interrupt,
        report: Report {
            tell: &mut |difference| tell(difference),
            problems: &problems,
            summary: DiffSummary::default(),
        },
        stack: Vec::new(),
        device: None,
    };
    comparing.top(found, path)?;
    comparing.run()?;
    Ok(comparing.report.finish())
}

/// A directory that is being compared.
struct Frame {
    path: PathBuf,
    /// None of one that is not there.
    dir: Option<Dir>,
    names: Peekable<IntoIter<Vec<u8>>>,
    nodes: Option<Nodes>,
    node: Option<Node>,
    reached: Option<Reached>,
}

struct Comparing<'a, 'p> {
    repo: &'a Repo,
    hasher: BlobHasher,
    options: &'a DiskOptions,
    interrupt: &'a Interrupt,
    report: Report<'a, 'p>,
    stack: Vec<Frame>,
    /// The file system of the path.
    device: Option<u64>,
}

impl Comparing<'_, '_> {
    fn top(&mut self, found: Option<&Found>, path: &Path) -> Result<()> {
        let reached = self.options.excludes.as_ref().map(|list| list.reach(path));
        let there = match crate::fs::stat_path(path) {
            Ok(there) => Some(there),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        self.device = there.as_ref().map(|there| there.device);
        if let Some(there) = there.as_ref().filter(|there| there.kind == Kind::Dir)
            && let Some(found) = found.filter(|found| found.is_dir())
        {
            let dir = Dir::open_root(path)?;
            if let Some(node) = found.node.as_ref().filter(|_| self.options.metadata)
                && self.differs(node, there, &xattrs_of(&dir), None)
            {
                self.report.differs(path, true, Modifier::Metadata)?;
            }
            let entered = self.enter(path.to_path_buf(), Some(dir), found.tree, reached);
            self.stack.extend(entered);
            return Ok(());
        }
        let subject = || Subject::Path(path.to_path_buf());
        let node = found.and_then(|found| found.node.clone());
        let parent = match (&there, path.parent(), &node) {
            (Some(_), Some(parent), _) => Some(Dir::open_root(parent)?),
            (None, _, Some(_)) => None,
            _ => {
                return Err(
                    Error::new(ErrorKind::NotFound, subject()).detail("not in the snapshot")
                );
            }
        };
        let name = path.file_name().unwrap_or_default().as_bytes();
        let at = parent.as_ref().map(|parent| (parent, name));
        let entered = self.entry(path.to_path_buf(), node, at, reached)?;
        self.stack.extend(entered);
        Ok(())
    }

    /// What stands in a directory; none of one that cannot be read.
    fn enter(
        &mut self,
        path: PathBuf,
        dir: Option<Dir>,
        tree: Option<BlobId>,
        reached: Option<Reached>,
    ) -> Option<Frame> {
        let mut names = Vec::new();
        if let Some(dir) = &dir {
            match dir.names() {
                Ok(scan) => names.extend(scan.names().map(<[u8]>::to_vec)),
                Err(error) => {
                    // What cannot be listed is not gone.
                    self.report.problem(&path, &error);
                    return None;
                }
            }
        }
        let nodes = match tree.map(|tree| Nodes::open(self.repo, &tree)).transpose() {
            Ok(nodes) => nodes,
            Err(error) => {
                self.report.problem(&path, &error);
                return None;
            }
        };
        let mut frame = Frame {
            path,
            dir,
            names: names.into_iter().peekable(),
            nodes,
            node: None,
            reached,
        };
        if let Err(error) = frame.advance(self.repo) {
            self.report.problem(&frame.path, &error);
            return None;
        }
        Some(frame)
    }

    fn run(&mut self) -> Result<()> {
        while let Some(frame) = self.stack.last_mut() {
            self.interrupt.check()?;
            let order = match (&frame.node, frame.names.peek()) {
                (Some(node), Some(name)) => node.name.cmp(name),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => {
                    self.stack.pop();
                    continue;
                }
            };
            let name = match order {
                Ordering::Less => None,
                _ => frame.names.next(),
            };
            let node = match order {
                Ordering::Greater => None,
                _ => {
                    let node = frame.node.take();
                    if let Err(error) = frame.advance(self.repo) {
                        self.report.problem(&frame.path, &error);
                        self.stack.pop();
                        continue;
                    }
                    node
                }
            };
            self.next(node, name)?;
        }
        Ok(())
    }

    /// An entry of the directory at hand.
    fn next(&mut self, node: Option<Node>, name: Option<Vec<u8>>) -> Result<()> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let own = node.as_ref().map(|node| &node.name).or(name.as_ref());
        let own = own.map_or(&b""[..], |name| name);
        let path = frame.path.join(OsStr::from_bytes(own));
        let list = self.options.excludes.as_ref();
        let reached = list.zip(frame.reached.as_ref());
        let reached = reached.map(|(list, above)| list.enter(above, own));
        let at = frame.dir.as_ref().zip(name.as_deref());
        let entered = self.entry(path, node, at, reached)?;
        self.stack.push(frame);
        self.stack.extend(entered);
        Ok(())
    }

    /// Compares an entry; the directory that is to be looked into then.
    fn entry(
        &mut self,
        path: PathBuf,
        node: Option<Node>,
        at: Option<(&Dir, &[u8])>,
        reached: Option<Reached>,
    ) -> Result<Option<Frame>> {
        if reached.as_ref().is_some_and(Reached::matches) {
            return Ok(None);
        }
        let found = match at.map(|(dir, name)| dir.stat(name)).transpose() {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                self.report.problem(&path, &error);
                return Ok(None);
            }
        };
        match (&node, &found) {
            (Some(one), None) => {
                self.report
                    .one_sided(&path, &one.content, Modifier::Removed)?;
                let bytes = file_len(&one.content);
                self.report.summary.removed.bytes += bytes;
            }
            (None, Some(there)) => {
                self.report
                    .one_sided(&path, &content_of(there.kind), Modifier::Added)?;
                if there.kind == Kind::File {
                    self.report.summary.added.bytes += there.size;
                }
            }
            (Some(one), Some(there)) => self.both(&path, one, there, at)?,
            (None, None) => return Ok(None),
        }
        let is_dir = found.as_ref().is_some_and(|there| there.kind == Kind::Dir);
        let elsewhere = self.options.one_file_system
            && is_dir
            && found.as_ref().map(|there| there.device) != self.device;
        if elsewhere {
            return Ok(None);
        }
        let dir = match at
            .filter(|_| is_dir)
            .map(|(dir, name)| dir.open_dir(name))
            .transpose()
        {
            Ok(dir) => dir,
            Err(error) => {
                self.report.problem(&path, &error);
                return Ok(None);
            }
        };
        match (dir, node.as_ref().and_then(|node| node.content.tree())) {
            (None, None) => Ok(None),
            (dir, tree) => Ok(self.enter(path, dir, tree, reached)),
        }
    }

    /// What has a name on both sides.
    fn both(
        &mut self,
        path: &Path,
        node: &Node,
        there: &Metadata,
        at: Option<(&Dir, &[u8])>,
    ) -> Result<()> {
        let is_dir = there.kind == Kind::Dir;
        if node.content.kind() != there.kind {
            return self.report.differs(path, is_dir, Modifier::Type);
        }
        if let (Content::File(file), Some((dir, name))) = (&node.content, at) {
            let changed = match self.content_changed(node, file, there, dir, name) {
                Ok(changed) => changed,
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    self.report.problem(path, &error);
                    return Ok(());
                }
            };
            if changed {
                self.report.summary.changed_files += 1;
                self.report.summary.added.bytes += there.size;
                self.report.summary.removed.bytes += file.size;
                let modifier = match file.size == there.size && node.mtime == there.mtime {
                    true => Modifier::OnlyContent,
                    false => Modifier::Content,
                };
                return self.report.differs(path, is_dir, modifier);
            }
        }
        let Some((dir, name)) = at.filter(|_| self.options.metadata) else {
            return Ok(());
        };
        let target = match there.kind {
            Kind::Symlink => dir.read_link(name).ok(),
            _ => None,
        };
        let xattrs = dir.xattrs(name, there.kind);
        match self.differs(node, there, &xattrs, target.as_deref()) {
            true => self.report.differs(path, is_dir, Modifier::Metadata),
            false => Ok(()),
        }
    }

    /// Whether attributes differ that a restore would set.
    fn differs(
        &self,
        node: &Node,
        there: &Metadata,
        xattrs: &Result<Vec<Xattr>>,
        target: Option<&[u8]>,
    ) -> bool {
        let known = node
            .xattrs
            .iter()
            .map(|(name, value)| (&name[..], &value[..]));
        let same_xattrs = xattrs.as_ref().is_ok_and(|xattrs| {
            let there = xattrs
                .iter()
                .map(|xattr| (&xattr.name[..], &xattr.value[..]));
            known.eq(there)
        });
        let same_content = match &node.content {
            Content::Symlink(known) => target == Some(known),
            Content::BlockDevice(number) | Content::CharDevice(number) => *number == there.rdev,
            _ => true,
        };
        let mode = node.content.kind() == Kind::Symlink || u32::from(node.mode) == there.mode;
        let owner = (node.uid, node.gid) == (there.uid, there.gid);
        !(mode && owner && node.mtime == there.mtime && same_xattrs && same_content)
    }

    fn content_changed(
        &self,
        node: &Node,
        file: &FileContent,
        there: &Metadata,
        dir: &Dir,
        name: &[u8],
    ) -> Result<bool> {
        if file.size != there.size {
            return Ok(true);
        }
        let same_times = node.mtime == there.mtime && node.ctime == there.ctime;
        if same_times && !self.options.all_content {
            return Ok(false);
        }
        let (handle, _) = dir.open_file(name)?;
        advise_sequential(&handle);
        let extents = file.extents.as_deref();
        let (mut offset, mut buffer, mut same) = (0, Vec::new(), true);
        let flow = for_each_chunk(self.repo, &file.chunks, &mut |chunk| {
            self.interrupt.check()?;
            let ChunkRef::Data(id) = chunk else {
                return Ok(ControlFlow::Continue(()));
            };
            let len = self.repo.locate(&id)?.blob_len;
            same = holds(
                &self.hasher,
                extents,
                &handle,
                (offset, len, id),
                &mut buffer,
            )?;
            offset += u64::from(len);
            Ok(match same {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        if flow.is_break() || !same {
            return Ok(true);
        }
        match extents {
            Some(extents) => Ok(first_in_holes(&handle, file.size, extents)?.is_some()),
            None => Ok(false),
        }
    }
}

impl Frame {
    /// Takes the next node of the snapshot.
    fn advance(&mut self, repo: &Repo) -> Result<()> {
        self.node = match &mut self.nodes {
            Some(nodes) => nodes.next(repo)?,
            None => None,
        };
        Ok(())
    }
}

fn file_len(content: &Content) -> u64 {
    match content {
        Content::File(file) => file.size,
        _ => 0,
    }
}

/// What a snapshot would call it, without what it holds.
fn content_of(kind: Kind) -> Content {
    match kind {
        Kind::File => Content::File(FileContent::default()),
        Kind::Dir => Content::Dir(None),
        Kind::Symlink => Content::Symlink(Vec::new()),
        Kind::Fifo => Content::Fifo,
        Kind::Socket => Content::Socket,
        Kind::BlockDevice => Content::BlockDevice(0),
        Kind::CharDevice => Content::CharDevice(0),
    }
}
