use super::*;
use crate::crypto::Secret;
use crate::error::{Error, Result, Subject};
use crate::format::codec;
use crate::format::tree::{Chunks, Content, Leaf, Node, Tree};
use crate::fs::Owners;
use crate::id::BlobId;
use crate::time::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

#[derive(Default)]
struct Blobs(RefCell<BTreeMap<BlobId, Vec<u8>>>);

impl Blobs {
    fn put(&self, bytes: &[u8]) -> Result<BlobId> {
        let id = BlobId(*blake3::hash(bytes).as_bytes());
        self.0.borrow_mut().insert(id, bytes.to_vec());
        Ok(id)
    }
}

impl TreeReader for Blobs {
    fn tree(&self, id: &BlobId) -> Result<Arc<Vec<u8>>> {
        let found = self.0.borrow().get(id).cloned();
        found
            .map(Arc::new)
            .ok_or_else(|| Error::missing(Subject::Blob(*id)))
    }
}

fn node(name: &str, inode: u64) -> Node {
    Node {
        name: name.as_bytes().to_vec(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Timestamp::new(1, 2),
        ctime: Timestamp::new(3, 4),
        atime: None,
        inode,
        device: 1,
        links: 1,
        xattrs: vec![],
        content: Content::Fifo,
        ext: vec![],
    }
}

fn nodes(count: u64) -> Vec<Node> {
    (0..count)
        .map(|n| node(&format!("file-{n:08}"), n))
        .collect()
}

fn write(blobs: &Blobs, nodes: Vec<Node>) -> BlobId {
    let borders = Borders::new(Secret::new([7; 32]));
    write_directory(nodes, &Owners::default(), &borders, &mut |bytes| {
        blobs.put(bytes)
    })
    .unwrap()
}

#[test]
fn small_and_large_directories_come_back() {
    for count in [0, 1, 2, 500, 5_000, 60_000] {
        let blobs = Blobs::default();
        let root = write(&blobs, nodes(count));
        assert_eq!(load_nodes(&blobs, &root).unwrap(), nodes(count));
        let (pages, _) = load_pages(&blobs, &root).unwrap();
        assert_eq!(pages.len(), blobs.0.borrow().len(), "{count} nodes");
    }
}

/// The smallest nodes there are: if they were taken for larger, a directory of them would be split too early.
#[test]
fn a_directory_that_fits_is_one_blob() {
    let pipes = |count: u32| -> Vec<Node> {
        let mut nodes: Vec<_> = (0..count)
            .map(|n| Node {
                mode: 0,
                mtime: Timestamp::new(0, 0),
                ctime: Timestamp::new(0, 0),
                ..node(&format!("{n:x}"), 0)
            })
            .collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes
    };
    let nodes = pipes(4_096);
    let mut seen = [false; 2];
    for count in (2_500..nodes.len()).step_by(7) {
        let blobs = Blobs::default();
        let root = write(&blobs, nodes[..count].to_vec());
        let whole = codec::encode(&Tree::Leaf(Leaf {
            users: Vec::new(),
            groups: Vec::new(),
            nodes: nodes[..count].to_vec(),
            ext: Vec::new(),
        }));
        let fits = whole.len() <= LEAF_BYTES;
        assert_eq!(
            blobs.0.borrow().len() == 1,
            fits,
            "{count} in {} bytes",
            whole.len()
        );
        assert_eq!(load_nodes(&blobs, &root).unwrap(), nodes[..count]);
        seen[usize::from(fits)] = true;
    }
    assert_eq!(seen, [true; 2]);
}

/// Nobody but the owner of a file bounds its attributes; a directory of them must not outgrow what a blob may be.
#[test]
fn pages_of_heavy_nodes_are_bounded() {
    let blobs = Blobs::default();
    let heavy = |n: u64| Node {
        xattrs: vec![(b"user.heavy".to_vec(), vec![n as u8; 700 << 10])],
        ..node(&format!("file-{n:08}"), n)
    };
    let nodes: Vec<Node> = (0..100).map(heavy).collect();
    let root = write(&blobs, nodes.clone());
    assert_eq!(load_nodes(&blobs, &root).unwrap(), nodes);
    let largest = blobs.0.borrow().values().map(Vec::len).max();
    assert!(largest < Some(3 << 20), "{largest:?}");
}

#[test]
fn one_change_in_a_large_directory_rewrites_few_blobs() {
    let blobs = Blobs::default();
    write(&blobs, nodes(60_000));
    let before = blobs.0.borrow().len();
    let mut changed = nodes(60_000);
    changed[30_000].inode = 1;
    changed.remove(10_000);
    changed.insert(40_000, node("file-00040000a", 5));
    changed.sort_by(|a, b| a.name.cmp(&b.name));
    write(&blobs, changed);
    let added = blobs.0.borrow().len() - before;
    assert!((3..=9).contains(&added), "{added} blobs were written anew");
}

#[test]
fn borders_depend_on_name_and_key_alone() {
    let borders = |key| Borders::new(Secret::new([key; 32]));
    let ends = |key: u8| -> Vec<u32> {
        let borders = borders(key);
        (0..100_000)
            .filter(|n: &u32| borders.levels(format!("name {n}").as_bytes()) > 0)
            .collect()
    };
    let golden = ends(1);
    assert_eq!(golden, ends(1));
    assert_ne!(golden, ends(2));
    assert!(
        (250..550).contains(&golden.len()),
        "{} borders",
        golden.len()
    );
}

#[test]
fn disorder_and_bad_names_are_refused() {
    use crate::format::codec;
    use crate::format::tree::{Leaf, Tree};
    let blobs = Blobs::default();
    for bad in [
        vec![node("b", 1), node("a", 2)],
        vec![node("a", 1), node("a", 2)],
        vec![node("..", 1)],
        vec![node("a/b", 1)],
        vec![node("", 1)],
    ] {
        let leaf = Leaf {
            nodes: bad,
            ..Leaf::default()
        };
        let id = blobs.put(&codec::encode(&Tree::Leaf(leaf))).unwrap();
        assert!(load_nodes(&blobs, &id).is_err());
    }
}

fn listed(blobs: &Blobs, chunks: &Chunks) -> Vec<BlobId> {
    let mut found = Vec::new();
    let flow = for_each_chunk(blobs, chunks, &mut |chunk| {
        if let ChunkRef::Data(id) = chunk {
            found.push(id);
        }
        Ok(ControlFlow::Continue(()))
    });
    assert!(flow.unwrap().is_continue());
    found
}

#[test]
fn chunk_lists_come_back_and_share() {
    let id = |n: u32| BlobId(*blake3::hash(&n.to_le_bytes()).as_bytes());
    for count in [0, 1, 512, 513, 20_000, 600_000u32] {
        let blobs = Blobs::default();
        let write = |ids: &mut dyn Iterator<Item = BlobId>| {
            let mut list = ChunkList::default();
            ids.for_each(|id| list.push(id, &mut |bytes| blobs.put(bytes)).unwrap());
            list.finish(&mut |bytes| blobs.put(bytes)).unwrap()
        };
        let chunks = write(&mut (0..count).map(id));
        assert_eq!(
            listed(&blobs, &chunks),
            (0..count).map(id).collect::<Vec<_>>()
        );
        if count == 600_000 {
            assert!(matches!(chunks, Chunks::Lists { height: 1 | 2, .. }));
            let before = blobs.0.borrow().len();
            write(&mut (0..count).map(|n| id(if n == 300_000 { 0 } else { n })));
            let added = blobs.0.borrow().len() - before;
            assert!((1..=3).contains(&added), "{added} lists were written anew");
        }
    }
}

#[test]
fn a_file_that_repeats_one_chunk_has_bounded_lists() {
    let blobs = Blobs::default();
    let mut list = ChunkList::default();
    for _ in 0..100_000 {
        list.push(BlobId([1; 32]), &mut |bytes| blobs.put(bytes))
            .unwrap();
    }
    let chunks = list.finish(&mut |bytes| blobs.put(bytes)).unwrap();
    assert_eq!(listed(&blobs, &chunks).len(), 100_000);
    assert!(blobs.0.borrow().values().all(|list| list.len() < 300 << 10));
}

/// What differs, as [`Pairs`] shows it, and how many blobs were read.
fn differing(blobs: &Blobs, left: Option<BlobId>, right: Option<BlobId>) -> (Vec<String>, usize) {
    let mut pairs = Pairs::new(left, right);
    let mut found = Vec::new();
    while let Some([left, right]) = pairs.next(blobs).unwrap() {
        if left != right {
            let sign = match (&left, &right) {
                (Some(_), None) => '-',
                (None, _) => '+',
                (Some(_), Some(_)) => 'M',
            };
            let name = left.or(right).unwrap().name;
            found.push(format!("{sign}{}", String::from_utf8_lossy(&name)));
        }
    }
    let read = pairs.read().map(<[BlobId]>::len);
    (found, read[0] + read[1])
}

#[test]
fn directories_side_by_side_show_what_differs_and_read_no_more() {
    for count in [0, 3, 500, 5_000, 60_000] {
        let blobs = Blobs::default();
        let before = write(&blobs, nodes(count));
        assert_eq!(differing(&blobs, Some(before), Some(before)), (vec![], 0));
        let mut changed = nodes(count);
        let mut expected = Vec::new();
        if count > 100 {
            changed[100].inode += 1;
            expected.push("Mfile-00000100".to_owned());
            changed.remove(count as usize / 2);
            expected.push(format!("-file-{:08}", count / 2));
        }
        changed.push(node("z", 1));
        expected.push("+z".to_owned());
        let after = write(&blobs, changed.clone());
        let (found, read) = differing(&blobs, Some(before), Some(after));
        assert_eq!(found, expected, "of {count}");
        // A change costs a path of pages on each side, and not the directory.
        assert!(read <= 24, "{read} blobs were read of {count} nodes");
        let (all, _) = differing(&blobs, None, Some(after));
        assert_eq!(all.len(), changed.len());
        assert_eq!(differing(&blobs, Some(after), None).0.len(), changed.len());
    }
}

#[test]
fn any_two_directories_are_compared_name_by_name() {
    let blobs = Blobs::default();
    let some = |keep: &dyn Fn(u64) -> bool| -> Vec<Node> {
        nodes(20_000)
            .into_iter()
            .filter(|node| keep(node.inode))
            .collect()
    };
    let cases: [&dyn Fn(u64) -> bool; 5] = [
        &|_| true,
        &|n| n % 2 == 0,
        &|n| n < 300,
        &|n| n > 19_000,
        &|n| n / 1_000 % 2 == 1,
    ];
    for left in cases {
        for right in cases {
            let trees = [some(left), some(right)].map(|nodes| Some(write(&blobs, nodes)));
            let (found, _) = differing(&blobs, trees[0], trees[1]);
            let expected = (0..20_000).filter(|n| left(*n) != right(*n));
            let expected: Vec<String> = expected
                .map(|n| format!("{}file-{n:08}", if left(n) { '-' } else { '+' }))
                .collect();
            assert_eq!(found, expected);
        }
    }
}
