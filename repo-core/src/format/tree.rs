//! Directories as tree blobs (`docs/format.md`, "Trees").

use super::codec::Ext;
use crate::id::BlobId;
use crate::time::Timestamp;
use bincode::{Decode, Encode};

/// One tree blob: a directory's nodes, or the pages that they are spread over.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Tree {
    /// Nodes, sorted by the bytes of their names.
    Leaf(Leaf),
    /// Pages of a large directory, in order.
    Branch(Branch),
    /// Chunks of a large file, or lists of them.
    Chunks(Vec<BlobId>),
}

/// Nodes of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Leaf {
    /// User names of the owners that occur, sorted by number.
    pub users: Vec<(u32, String)>,
    /// Group names of the owners that occur, sorted by number.
    pub groups: Vec<(u32, String)>,
    /// The nodes, sorted by the bytes of their names; no name twice.
    pub nodes: Vec<Node>,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

/// Pages of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Branch {
    /// How far above the leaves: 1 or more.
    pub height: u8,
    /// The pages, in order of their names.
    pub pages: Vec<Page>,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Page {
    /// The last name in it.
    pub last: Vec<u8>,
    /// Its blob.
    pub id: BlobId,
    /// How many nodes it holds.
    pub nodes: u64,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Node {
    /// Its name, any bytes but `/` and NUL.
    pub name: Vec<u8>,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When the content changed last.
    pub mtime: Timestamp,
    /// When content or metadata changed last; only for finding out what changed.
    pub ctime: Timestamp,
    /// When it was read last, if that was asked for.
    pub atime: Option<Timestamp>,
    /// The inode; only for finding out what changed, and which names are one file.
    pub inode: u64,
    /// The device it lay on.
    pub device: u64,
    /// How many names the file had.
    pub links: u64,
    /// Extended attributes, ACLs among them, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// What it is.
    pub content: Content,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

/// What a node is, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Content {
    /// A regular file.
    File(FileContent),
    /// A directory; `None` if it could not be read.
    Dir(Option<BlobId>),
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A block device and its number.
    BlockDevice(u64),
    /// A character device and its number.
    CharDevice(u64),
}

/// The content of a regular file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct FileContent {
    /// Its length in bytes, holes included.
    pub size: u64,
    /// The chunks of its data, in order. Where holes are recorded, holes are left out.
    pub chunks: Chunks,
    /// Where data lies, `(offset, len)` ascending, if the file has holes; `None` if it is all data.
    pub extents: Option<Vec<(u64, u64)>>,
}

/// The chunks of a file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Chunks {
    /// Data blobs, in order.
    Direct(Vec<BlobId>),
    /// Tree blobs of the variant [`Tree::Chunks`], in order, that hold the ids one level below.
    Lists {
        /// How far above the chunks: 1 means that the lists hold ids of data blobs.
        height: u8,
        /// The lists.
        lists: Vec<BlobId>,
    },
}

impl Default for Chunks {
    fn default() -> Self {
        Self::Direct(Vec::new())
    }
}

/// Most levels of pages or lists above what they hold; far more than any size needs.
pub const HEIGHT_MAX: u8 = 8;
