//! What the kernel is told of a file.

use fuser::{FileAttr, FileType, INodeNo};
use repo_core::format::tree::{Content, Node};
use repo_core::fs::Kind;
use repo_core::time::Timestamp;
use repo_core::vfs::{Facts, Plain};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What programs are told to read at a time.
const READ_BYTES: u32 = 128 << 10;

/// Who owns what.
#[derive(Debug, Clone, Copy)]
pub struct Owners {
    /// Everything belongs to root.
    pub root: bool,
    /// Who owns what no snapshot describes.
    pub own: (u32, u32),
}

impl Owners {
    /// The attributes of what has this number.
    pub fn attributes(&self, number: u64, facts: &Facts) -> FileAttr {
        let mut attributes = match facts {
            Facts::Plain(plain) => self.of_plain(plain),
            Facts::Node(node) => of_node(node),
        };
        attributes.ino = INodeNo(number);
        if self.root {
            (attributes.uid, attributes.gid) = (0, 0);
        }
        attributes
    }

    fn of_plain(&self, plain: &Plain) -> FileAttr {
        let (uid, gid) = plain.owner.unwrap_or(self.own);
        let time = system_time(plain.time);
        FileAttr {
            size: plain.size,
            perm: plain.mode,
            kind: file_type(plain.kind),
            uid,
            gid,
            ..empty(time)
        }
    }
}

fn empty(time: SystemTime) -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: FileType::Directory,
        perm: 0,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: READ_BYTES,
        flags: 0,
    }
}

fn of_node(node: &Node) -> FileAttr {
    let (size, data) = match &node.content {
        Content::File(file) => {
            let data = file.extents.as_ref().map(|extents| {
                let lens = extents.iter().map(|(_, len)| *len);
                lens.fold(0, u64::saturating_add)
            });
            (file.size, data.unwrap_or(file.size))
        }
        Content::Symlink(target) => (target.len() as u64, 0),
        _ => (0, 0),
    };
    let device = match &node.content {
        Content::BlockDevice(device) | Content::CharDevice(device) => *device,
        _ => 0,
    };
    FileAttr {
        size,
        blocks: data.div_ceil(512),
        atime: system_time(node.atime.unwrap_or(node.mtime)),
        mtime: system_time(node.mtime),
        ctime: system_time(node.ctime),
        kind: file_type(node.content.kind()),
        perm: node.mode & 0o7777,
        nlink: u32::try_from(node.links).unwrap_or(u32::MAX).max(1),
        uid: node.uid,
        gid: node.gid,
        // The kernel's 32 bits of a device are the low ones of those that programs see.
        rdev: device as u32,
        ..empty(system_time(node.ctime))
    }
}

/// What the kernel calls a thing of this sort.
pub fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Dir => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::BlockDevice => FileType::BlockDevice,
        Kind::CharDevice => FileType::CharDevice,
    }
}

/// The seconds of a million years: no file system has more, and what is added to them stays a time.
const SECONDS_MAX: i64 = 1_000_000 * 365 * 24 * 3600;

/// A point in time, or the nearest that a file may have.
fn system_time(time: Timestamp) -> SystemTime {
    let nanos = Duration::from_nanos(time.nanos.into());
    let second = Duration::from_secs(time.seconds.unsigned_abs().min(SECONDS_MAX as u64));
    let at = match time.seconds {
        0.. => UNIX_EPOCH.checked_add(second),
        _ => UNIX_EPOCH.checked_sub(second),
    };
    at.and_then(|at| at.checked_add(nanos))
        .unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_they_were() {
        for (seconds, nanos) in [(0, 0), (5, 7), (-1, 999_999_999), (-2, 0)] {
            let time = Timestamp::new(seconds, nanos);
            assert_eq!(Timestamp::from(system_time(time)), time);
        }
        for seconds in [i64::MIN, i64::MAX] {
            let far = system_time(Timestamp::new(seconds, 0));
            let year = Duration::from_secs(366 * 24 * 3600);
            let bounded = UNIX_EPOCH + 1_000_000 * year;
            assert!(far <= bounded && far >= UNIX_EPOCH - 1_000_000 * year);
        }
    }
}
