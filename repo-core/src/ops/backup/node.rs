//! From metadata to nodes, and whether a node is as it was.

use super::assemble::Compared;
use crate::chunk::{Sizes, SourceKind, sizes_for};
use crate::format::tree::{Content, Node};
use crate::fs::{Kind, Metadata, Xattr};
use crate::time::Timestamp;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What of a node is recorded, and what is trusted to show that it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A content is another one if the time of the last change of metadata is.
    pub ctime: bool,
    /// A content is another one if the number of the inode is.
    pub inode: bool,
    /// Record when it was read last.
    pub atime: bool,
}

impl Rules {
    /// The node of `name`.
    pub fn node(self, name: &[u8], meta: &Metadata, xattrs: Vec<Xattr>, content: Content) -> Node {
        Node {
            name: name.to_vec(),
            mode: (meta.mode & 0o7777) as u16,
            uid: meta.uid,
            gid: meta.gid,
            mtime: meta.mtime,
            ctime: meta.ctime,
            atime: self.atime_of(meta),
            inode: meta.inode,
            device: meta.device,
            links: meta.links,
            xattrs: xattrs.into_iter().map(|x| (x.name, x.value)).collect(),
            content,
            ext: Vec::new(),
        }
    }

    /// How something compares with the parent's node of it.
    pub fn compare(self, old: Option<&Node>, meta: &Metadata) -> Compared {
        match old {
            None => Compared::New,
            Some(old) if !is_unchanged(old, meta) => Compared::Changed,
            // The node of a directory is made anew, so that what is recorded of it has to be the same too.
            Some(old) if meta.kind == Kind::Dir && old.atime != self.atime_of(meta) => {
                Compared::Changed
            }
            Some(_) => Compared::Same,
        }
    }

    /// Whether a file of which [`is_unchanged`] is false has the content of `old`, as far as what is trusted shows: only
    /// what is not trusted, and metadata beside it, are not as they were.
    pub fn has_same_content(self, old: &Node, meta: &Metadata) -> bool {
        let Content::File(file) = &old.content else {
            return false;
        };
        meta.kind == Kind::File
            && !(self.ctime && self.inode)
            && file.size == meta.size
            && old.mtime == meta.mtime
            && (!self.ctime || old.ctime == meta.ctime)
            && (!self.inode || old.inode == meta.inode)
    }

    /// Gives a node that is as it was what may have changed nevertheless, and says whether it has: when it was read last, if
    /// that is recorded; and the number of its device where it matters, because what has several names is told by it and
    /// the inode.
    ///
    /// Of all other nodes the old number stays, so that their directories stay as they are after a boot that numbers devices
    /// anew (restic came to record it of hard links only, for the same reason).
    pub fn refresh(self, old: &mut Node, meta: &Metadata) -> bool {
        let matters = meta.links > 1 && meta.kind != Kind::Dir;
        let renumbered = matters && old.device != meta.device;
        if renumbered {
            old.device = meta.device;
        }
        let atime = self.atime_of(meta);
        let read = std::mem::replace(&mut old.atime, atime) != atime;
        renumbered || read
    }

    fn atime_of(self, meta: &Metadata) -> Option<Timestamp> {
        self.atime.then_some(meta.atime)
    }
}

/// The sizes by which the content of a file of this name and length is cut: those of the parent's version, so that a file
/// which grows across a border shares what it had. A version shorter than a chunk shares nothing, and decides nothing.
pub fn sizes_of(name: &[u8], len: u64, old: Option<&Node>) -> Sizes {
    let kept = old.and_then(|old| match &old.content {
        Content::File(file) => {
            let usual = || usual_sizes(name, file.size);
            let sizes = old.chunk_sizes().unwrap_or_else(usual);
            Some(sizes).filter(|sizes| file.size >= u64::from(sizes.avg()))
        }
        _ => None,
    });
    kept.unwrap_or_else(|| usual_sizes(name, len))
}

/// Records sizes that are not those which the file's name and length have.
pub fn record_sizes(node: &mut Node, sizes: Sizes) {
    if let Content::File(file) = &node.content
        && sizes != usual_sizes(&node.name, file.size)
    {
        node.set_chunk_sizes(sizes);
    }
}

fn usual_sizes(name: &[u8], len: u64) -> Sizes {
    sizes_for(SourceKind::of_file(Path::new(OsStr::from_bytes(name)), len))
}

/// Whether metadata shows that nothing of `old` has changed, its content included: same kind, size, times, inode,
/// owner and mode. The device is left out: its number may differ from one boot to the next ([`Rules::refresh`]).
fn is_unchanged(old: &Node, meta: &Metadata) -> bool {
    let same_content = match (&old.content, meta.kind) {
        (Content::File(file), Kind::File) => file.size == meta.size,
        (Content::Dir(_), Kind::Dir)
        | (Content::Symlink(_), Kind::Symlink)
        | (Content::Fifo, Kind::Fifo)
        | (Content::Socket, Kind::Socket) => true,
        (Content::BlockDevice(rdev), Kind::BlockDevice)
        | (Content::CharDevice(rdev), Kind::CharDevice) => *rdev == meta.rdev,
        _ => false,
    };
    same_content
        && old.mtime == meta.mtime
        && old.ctime == meta.ctime
        && old.inode == meta.inode
        && old.uid == meta.uid
        && old.gid == meta.gid
        && u32::from(old.mode) == meta.mode & 0o7777
        // A directory's count of links follows from its entries.
        && (old.links == meta.links || meta.kind == Kind::Dir)
}

/// A node of something that lies on no disk: it belongs to who we are.
pub fn plain_node(name: &[u8], mode: u16, time: Timestamp, content: Content) -> Node {
    Node {
        name: name.to_vec(),
        mode,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        mtime: time,
        ctime: time,
        atime: None,
        inode: 0,
        device: 0,
        links: 1,
        xattrs: Vec::new(),
        content,
        ext: Vec::new(),
    }
}
