//! Directories as tree blobs (`docs/format.md`, "Trees").

use super::codec::{self, Ext};
use crate::chunk::Sizes;
use crate::fs::Kind;
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
    /// Further fields: [`CHUNK_SIZES`], and those of later versions.
    pub ext: Vec<Ext>,
}

/// The number of the field that says by which sizes the content of a file was cut.
pub const CHUNK_SIZES: u16 = 1;

impl Node {
    /// By which sizes the content of a file was cut, if a field says so: it does where they are not those that its name and
    /// length have. A field that makes no sense says nothing: sizes only decide what the next version shares with this one.
    pub fn chunk_sizes(&self) -> Option<Sizes> {
        let field = self.ext.iter().find(|field| field.tag == CHUNK_SIZES)?;
        let (min, avg, max) = codec::decode(&field.bytes).ok()?;
        Sizes::new(min, avg, max).ok()
    }

    /// Says by which sizes the content of a file was cut.
    pub fn set_chunk_sizes(&mut self, sizes: Sizes) {
        self.ext.retain(|field| field.tag != CHUNK_SIZES);
        self.ext.push(Ext {
            tag: CHUNK_SIZES,
            bytes: codec::encode(&(sizes.min(), sizes.avg(), sizes.max())),
        });
    }
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

impl Content {
    /// The tree of a directory that could be read.
    pub fn tree(&self) -> Option<BlobId> {
        match self {
            Self::Dir(tree) => *tree,
            _ => None,
        }
    }

    /// What the system calls a thing of this sort.
    pub fn kind(&self) -> Kind {
        match self {
            Self::File(_) => Kind::File,
            Self::Dir(_) => Kind::Dir,
            Self::Symlink(_) => Kind::Symlink,
            Self::Fifo => Kind::Fifo,
            Self::Socket => Kind::Socket,
            Self::BlockDevice(_) => Kind::BlockDevice,
            Self::CharDevice(_) => Kind::CharDevice,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        Node {
            name: b"n".to_vec(),
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            ctime: Timestamp::default(),
            atime: None,
            inode: 0,
            device: 0,
            links: 1,
            xattrs: Vec::new(),
            content: Content::File(FileContent::default()),
            ext: Vec::new(),
        }
    }

    #[test]
    fn chunk_sizes_are_a_field_of_their_own() {
        let (first, second) = (Sizes::new(64, 1024, 4096), Sizes::new(128, 2048, 8192));
        let (first, second) = (first.unwrap(), second.unwrap());
        let mut node = node();
        assert_eq!(node.chunk_sizes(), None);
        let other = Ext {
            tag: 7,
            bytes: vec![1],
        };
        node.ext.push(other.clone());
        node.set_chunk_sizes(first);
        node.set_chunk_sizes(second);
        assert_eq!(node.chunk_sizes(), Some(second));
        assert_eq!((node.ext.len(), &node.ext[0]), (2, &other));
    }

    #[test]
    fn sizes_that_make_no_sense_say_nothing() {
        let mut node = node();
        for bytes in [
            vec![],
            codec::encode(&(0u32, 0u32, 0u32)),
            codec::encode(&(64u32, u32::MAX, u32::MAX)),
            codec::encode(&(64u32, 1024u32, 4096u32, 1u32)),
        ] {
            let tag = CHUNK_SIZES;
            node.ext = vec![Ext { tag, bytes }];
            assert_eq!(node.chunk_sizes(), None);
        }
    }
}
