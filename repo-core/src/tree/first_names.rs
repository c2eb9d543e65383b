//! Names of one file find each other.

use crate::format::codec;
use crate::format::tree::{Content, Node};
use std::collections::HashMap;

/// What the names of one file have in common: device, inode, and a hash of what it holds. Numbers of devices change, so that
/// the first two alone may be those of two files.
pub type FileKey = (u64, u64, [u8; 32]);

/// `None` of what has one name only, and of directories.
pub fn file_key(node: &Node) -> Option<FileKey> {
    let content = || blake3::hash(&codec::encode(&(&node.content, node.mtime)));
    let is_dir = matches!(node.content, Content::Dir(_));
    let several = node.links > 1 && node.inode != 0 && !is_dir;
    several.then(|| (node.device, node.inode, *content().as_bytes()))
}

/// What is known of the first names of what has several, each until the last of its names was met. Memory: some 60 bytes each, and that.
pub struct FirstNames<T>(HashMap<FileKey, (T, u64)>);

impl<T> Default for FirstNames<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> FirstNames<T> {
    /// The first name of a file of which another name is met.
    pub fn met(&mut self, key: &FileKey) -> Option<T> {
        let (first, left) = self.0.get_mut(key)?;
        let first = first.clone();
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.0.remove(key);
        }
        Some(first)
    }

    /// Notes the first name of a file with so many.
    pub fn add(&mut self, key: FileKey, first: T, names: u64) {
        self.0.insert(key, (first, names.saturating_sub(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tree::{Chunks, FileContent};
    use crate::id::BlobId;
    use crate::time::Timestamp;

    /// A name of a file with two names, always of the same device and inode.
    fn named(name: &[u8], second: i64, chunk: u8) -> Node {
        let file = FileContent {
            size: 1,
            chunks: Chunks::Direct(vec![BlobId([chunk; 32])]),
            ..FileContent::default()
        };
        let time = Timestamp::new(second, 0);
        Node {
            name: name.to_vec(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: time,
            ctime: time,
            atime: None,
            inode: 2,
            device: 1,
            links: 2,
            xattrs: Vec::new(),
            content: Content::File(file),
            ext: Vec::new(),
        }
    }

    #[test]
    fn names_are_of_one_file_only_if_they_hold_the_same() {
        let key = |name: &[u8], second, chunk| file_key(&named(name, second, chunk)).unwrap();
        let first = key(b"one", 5, 7);
        assert_eq!(key(b"other", 5, 7), first);
        assert_ne!(key(b"other", 5, 8), first, "another content");
        assert_ne!(key(b"other", 6, 7), first, "another time");
        let single = Node {
            links: 1,
            ..named(b"one", 5, 7)
        };
        assert_eq!(file_key(&single), None);
    }

    #[test]
    fn names_of_one_file_lead_to_the_first_until_all_were_met() {
        let mut names = FirstNames::default();
        let mut first = |path: &'static str, inode, links, second| {
            let node = Node {
                inode,
                links,
                ..named(b"n", second, 7)
            };
            let key = file_key(&node)?;
            let first = names.met(&key);
            if first.is_none() {
                names.add(key, path, links);
            }
            first
        };
        assert_eq!(first("/a", 7, 3, 1), None);
        assert_eq!(first("/b", 7, 3, 1), Some("/a"));
        // Of another time it is another file, whatever its number.
        assert_eq!(first("/other", 7, 3, 2), None);
        assert_eq!(first("/c", 7, 3, 1), Some("/a"));
        assert_eq!(first("/d", 7, 3, 1), None);
        assert_eq!(first("/e", 8, 1, 1), None);
        assert_eq!(first("/f", 0, 2, 1), None);
        assert_eq!(first("/g", 0, 2, 1), None);
    }
}
