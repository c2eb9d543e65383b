//! What the system knows of a file besides its content.

use super::name::{about, failed};
use crate::error::{Error, Result};
use crate::time::Timestamp;
use rustix::fd::AsFd;
use rustix::fs::{FileType, Stat};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes in one of the units that [`Metadata::blocks`] counts.
const BLOCK_BYTES: u64 = 512;

/// What sort of thing a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket of the local domain.
    Socket,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
}

impl Kind {
    /// The kind that the system's type stands for; `None` if it did not say or says what we do not know.
    pub(super) fn from_type(file_type: FileType) -> Option<Self> {
        Some(match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Dir,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::CharacterDevice => Self::CharDevice,
            _ => return None,
        })
    }

    /// The system's type of this kind.
    pub(super) fn file_type(self) -> FileType {
        match self {
            Self::File => FileType::RegularFile,
            Self::Dir => FileType::Directory,
            Self::Symlink => FileType::Symlink,
            Self::Fifo => FileType::Fifo,
            Self::Socket => FileType::Socket,
            Self::BlockDevice => FileType::BlockDevice,
            Self::CharDevice => FileType::CharacterDevice,
        }
    }
}

/// What the system knows of a file besides its name and content. 128 bytes or less, no allocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// What sort of thing it is.
    pub kind: Kind,
    /// Permissions with set-user-id, set-group-id and sticky bit: at most `0o7777`.
    pub mode: u32,
    /// Number of the owner.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Length of the content in bytes.
    pub size: u64,
    /// When the content last changed.
    pub mtime: Timestamp,
    /// When content or metadata last changed; no program can set it.
    pub ctime: Timestamp,
    /// When the content was last read, as far as the file system keeps that.
    pub atime: Timestamp,
    /// Number of the inode, unique within `device`.
    pub inode: u64,
    /// Number of the file system.
    pub device: u64,
    /// How many names the inode has.
    pub links: u64,
    /// For a device: which one, as the kernel encodes it.
    pub rdev: u64,
    /// Allocated space in units of 512 bytes.
    pub blocks: u64,
}

impl Metadata {
    /// What `stat` says about `name`; an unknown type of file is `Unsupported`.
    pub(super) fn new(name: &[u8], stat: &Stat) -> Result<Self> {
        let kind = Kind::from_type(FileType::from_raw_mode(stat.st_mode))
            .ok_or_else(|| Error::unsupported(about(name)).detail("unknown type of file"))?;
        Ok(Self {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: unsigned(stat.st_size),
            mtime: timestamp(stat.st_mtime, stat.st_mtime_nsec),
            ctime: timestamp(stat.st_ctime, stat.st_ctime_nsec),
            atime: timestamp(stat.st_atime, stat.st_atime_nsec),
            inode: stat.st_ino,
            device: stat.st_dev,
            links: unsigned(stat.st_nlink),
            rdev: stat.st_rdev,
            blocks: unsigned(stat.st_blocks),
        })
    }

    /// Whether less space is allocated than the content is long, so that [`super::extents`] may find holes.
    pub fn is_sparse(&self) -> bool {
        self.kind == Kind::File && self.blocks.saturating_mul(BLOCK_BYTES) < self.size
    }
}

/// Fields of `stat` differ in width and sign from one architecture to the next; none is ever negative.
fn unsigned(value: impl TryInto<u64>) -> u64 {
    value.try_into().unwrap_or(0)
}

fn timestamp(seconds: i64, nanos: impl TryInto<u32>) -> Timestamp {
    Timestamp::new(seconds, nanos.try_into().unwrap_or(0))
}

/// Metadata of what `path` names; a symbolic link at its end is not followed.
pub fn stat_path(path: &Path) -> Result<Metadata> {
    let name = path.as_os_str().as_bytes();
    let stat = rustix::fs::lstat(path).map_err(|errno| failed(name, "stat", errno))?;
    Metadata::new(name, &stat)
}

/// Metadata of an open file or directory.
pub fn metadata_of(fd: impl AsFd) -> Result<Metadata> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| failed(b"", "stat", errno))?;
    Metadata::new(b"", &stat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn agrees_with_std() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        std::os::unix::fs::symlink("elsewhere", dir.path().join("link")).unwrap();
        for (name, kind) in [
            ("file", Kind::File),
            ("link", Kind::Symlink),
            (".", Kind::Dir),
        ] {
            let path = dir.path().join(name);
            let ours = stat_path(&path).unwrap();
            let std = std::fs::symlink_metadata(&path).unwrap();
            assert_eq!(ours.kind, kind);
            assert_eq!(ours.mode, std.mode() & 0o7777);
            assert_eq!(
                (ours.uid, ours.gid, ours.size),
                (std.uid(), std.gid(), std.size())
            );
            assert_eq!(
                (ours.inode, ours.device, ours.links),
                (std.ino(), std.dev(), std.nlink())
            );
            assert_eq!((ours.rdev, ours.blocks), (std.rdev(), std.blocks()));
            assert_eq!(
                ours.mtime,
                Timestamp::new(std.mtime(), std.mtime_nsec() as u32)
            );
            assert_eq!(
                ours.ctime,
                Timestamp::new(std.ctime(), std.ctime_nsec() as u32)
            );
        }
        assert_eq!(
            stat_path(&path).unwrap(),
            metadata_of(std::fs::File::open(&path).unwrap()).unwrap()
        );
    }

    #[test]
    fn metadata_is_small() {
        assert!(size_of::<Metadata>() <= 128);
        assert_eq!(size_of::<Option<Result<Metadata>>>(), size_of::<Metadata>());
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let error = stat_path(&dir.path().join("no")).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::NotFound);
    }
}
