//! Where large directories and long chunk lists are split.

use crate::format_vectors::{Named, assert_exact, named, ring};
use repo_core::crypto::{BlobHasher, BlobType, KeyKind};
use repo_core::format::codec;
use repo_core::format::tree::{Chunks, Content, Node, Tree};
use repo_core::fs::Owners;
use repo_core::id::BlobId;
use repo_core::time::Timestamp;
use repo_core::tree::{Borders, ChunkList, write_directory};
use std::collections::BTreeMap;

fn borders(domain: u32) -> Borders {
    Borders::new(ring().domain_key(KeyKind::Border, domain).unwrap().clone())
}

fn names(count: u32) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|n| format!("file-{n:06}").into_bytes())
}

/// The levels of the first thousand names, one byte each.
fn levels(domain: u32) -> Vec<u8> {
    names(1000)
        .map(|name| borders(domain).levels(&name) as u8)
        .collect()
}

fn node(name: Vec<u8>) -> Node {
    Node {
        name,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Timestamp::new(1, 2),
        ctime: Timestamp::new(3, 4),
        atime: None,
        inode: 5,
        device: 6,
        links: 1,
        xattrs: vec![],
        content: Content::Fifo,
        ext: vec![],
    }
}

/// Blobs in the order they were put, by their ids.
#[derive(Default)]
struct Blobs {
    by_id: BTreeMap<BlobId, Vec<u8>>,
}

impl Blobs {
    fn put(&mut self, bytes: &[u8]) -> repo_core::Result<BlobId> {
        let id = ring().blob_hasher(0, BlobType::Tree).unwrap().id(bytes);
        self.by_id.insert(id, bytes.to_vec());
        Ok(id)
    }

    fn tree(&self, id: &BlobId) -> Tree {
        codec::decode(&self.by_id[id]).unwrap()
    }

    /// How many nodes each leaf has, and how many pages each branch, a line a blob: `height:count`.
    fn shape(&self, id: &BlobId, out: &mut String) {
        match self.tree(id) {
            Tree::Leaf(leaf) => out.push_str(&format!("0:{} ", leaf.nodes.len())),
            Tree::Branch(branch) => {
                branch
                    .pages
                    .iter()
                    .for_each(|page| self.shape(&page.id, out));
                out.push_str(&format!("{}:{} ", branch.height, branch.pages.len()));
            }
            Tree::Chunks(_) => panic!("a list of chunks in a directory"),
        }
    }
}

fn directory(count: u32) -> (BlobId, String) {
    let mut blobs = Blobs::default();
    let nodes = names(count).map(node).collect();
    let owners = Owners::default();
    let root = write_directory(nodes, &owners, &borders(0), &mut |b| blobs.put(b)).unwrap();
    let mut shape = String::new();
    blobs.shape(&root, &mut shape);
    (root, shape)
}

/// Lengths of the lists of a file of `count` chunks, lowest level first, then what its node holds.
fn chunk_lists(count: u64) -> String {
    let mut blobs = Blobs::default();
    let mut lengths = String::new();
    let mut list = ChunkList::default();
    let hasher = ring().blob_hasher(0, BlobType::Data).unwrap();
    let mut put = |bytes: &[u8]| {
        let Tree::Chunks(ids) = codec::decode(bytes)? else {
            panic!("not a list of chunks")
        };
        lengths.push_str(&format!("{} ", ids.len()));
        blobs.put(bytes)
    };
    for n in 0..count {
        list.push(hasher.id(&n.to_le_bytes()), &mut put).unwrap();
    }
    let last = match list.finish(&mut put).unwrap() {
        Chunks::Direct(ids) => format!("direct {}", ids.len()),
        Chunks::Lists { height, lists } => format!("height {height} {}", lists.len()),
    };
    lengths + &last
}

pub fn exact() -> Named {
    let mut made = vec![
        named("levels-domain-0", levels(0)),
        named("levels-domain-7", levels(7)),
    ];
    for count in [0, 1, 1000, 60_000] {
        let (root, shape) = directory(count);
        made.push(named(&format!("directory-{count}-root"), root.0));
        made.push(named(&format!("directory-{count}-shape"), shape));
    }
    for count in [0, 512, 513, 20_000] {
        made.push(named(&format!("chunk-lists-{count}"), chunk_lists(count)));
    }
    made
}

#[test]
fn trees_are_split_as_ever() {
    assert_exact("trees.txt", &exact());
}

/// The text of the document: borders found without the code that writes directories.
#[test]
fn borders_are_as_described() {
    let zeros: Vec<u32> = names(60_000).map(|name| trailing_zeros(&name)).collect();
    let mut expected = String::new();
    let (mut nodes, mut pages) = (0, [0; 3]);
    let last = zeros.len() - 1;
    for (n, zeros) in zeros.into_iter().enumerate() {
        nodes += 1;
        if zeros >= 8 || n == last {
            expected.push_str(&format!("0:{} ", std::mem::take(&mut nodes)));
            pages[0] += 1;
        }
        for height in 1..3 {
            if pages[height - 1] > 0 && (zeros >= 8 + 6 * height as u32 || n == last) {
                expected.push_str(&format!(
                    "{height}:{} ",
                    std::mem::take(&mut pages[height - 1])
                ));
                pages[height] += 1;
            }
        }
    }
    assert_eq!(
        directory(60_000).1,
        expected,
        "three levels hold sixty thousand names"
    );
}

/// A blob id is a keyed hash like any other.
fn trailing_zeros(name: &[u8]) -> u32 {
    let key = ring().domain_key(KeyKind::Border, 0).unwrap().clone();
    let hash = BlobHasher::new(key).id(name);
    u64::from_le_bytes(*hash.0.first_chunk().unwrap()).trailing_zeros()
}
