//! From metadata to nodes, and whether a node is as it was.

use crate::format::tree::{Content, Node};
use crate::fs::{Kind, Metadata, Xattr};

/// The node of `name`.
pub fn node_of(name: &[u8], meta: &Metadata, xattrs: Vec<Xattr>, content: Content) -> Node {
    Node {
        name: name.to_vec(),
        mode: (meta.mode & 0o7777) as u16,
        uid: meta.uid,
        gid: meta.gid,
        mtime: meta.mtime,
        ctime: meta.ctime,
        atime: None,
        inode: meta.inode,
        device: meta.device,
        links: meta.links,
        xattrs: xattrs.into_iter().map(|x| (x.name, x.value)).collect(),
        content,
        ext: Vec::new(),
    }
}

/// Whether metadata shows that nothing of `old` has changed, its content included: same kind, size, times, inode,
/// owner and mode. The device is left out: its number may differ from one boot to the next ([`renumber`]).
pub fn is_unchanged(old: &Node, meta: &Metadata) -> bool {
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

/// Gives a node that is as it was the number that its device has now, where it matters: what has several names is told by it
/// and the inode. Says whether it had another one.
///
/// Of all other nodes the old number stays, so that their directories stay as they are after a boot that numbers devices
/// anew (restic came to record it of hard links only, for the same reason).
pub fn renumber(old: &mut Node, meta: &Metadata) -> bool {
    let matters = meta.links > 1 && meta.kind != Kind::Dir;
    let differs = matters && old.device != meta.device;
    if differs {
        old.device = meta.device;
    }
    differs
}
