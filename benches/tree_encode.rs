//! How fast directories become tree blobs and nodes again, small and large ones: one core, without hashing.

use repo_benches::{fastest_of, random};
use repo_core::crypto::Secret;
use repo_core::error::{Error, Result, Subject};
use repo_core::format::codec;
use repo_core::format::tree::{Chunks, Content, FileContent, Leaf, Node, Tree};
use repo_core::fs::Owners;
use repo_core::id::BlobId;
use repo_core::time::Timestamp;
use repo_core::tree::{Borders, TreeReader, load_nodes, write_directory};
use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Regular files of two chunks each, as most are small.
fn nodes(count: usize) -> Vec<Node> {
    let ids = random(64 * count);
    let node = |n: usize| {
        let id = |at: usize| BlobId(ids[at..at + 32].try_into().expect("32 bytes"));
        let seconds = 1_790_000_000 + n as i64;
        Node {
            name: format!("a file with number {n:07}.txt").into_bytes(),
            mode: 0o644,
            uid: 1000,
            gid: 1000,
            mtime: Timestamp::new(seconds, 123_456_789),
            ctime: Timestamp::new(seconds, 123_456_789),
            atime: None,
            inode: 1_000_000 + n as u64,
            device: 66_306,
            links: 1,
            xattrs: Vec::new(),
            content: Content::File(FileContent {
                size: 100_000,
                chunks: Chunks::Direct(vec![id(64 * n), id(64 * n + 32)]),
                extents: None,
            }),
            ext: Vec::new(),
        }
    };
    (0..count).map(node).collect()
}

/// Tree blobs in memory, named by their number.
#[derive(Default)]
struct Blobs(HashMap<BlobId, Arc<Vec<u8>>>);

impl Blobs {
    fn put(&mut self, bytes: &[u8]) -> BlobId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(self.0.len() as u64).to_le_bytes());
        self.0.insert(BlobId(id), Arc::new(bytes.to_vec()));
        BlobId(id)
    }
}

impl TreeReader for Blobs {
    fn tree(&self, id: &BlobId) -> Result<Arc<Vec<u8>>> {
        let blob = self.0.get(id).cloned();
        blob.ok_or_else(|| Error::missing(Subject::Blob(*id)))
    }
}

fn show(what: &str, count: usize, bytes: usize, time: Duration) {
    let micros = time.as_secs_f64() * 1e6;
    let each = micros * 1e3 / count as f64;
    let speed = bytes as f64 / micros;
    println!(
        "{count:7} entries, {what:28} {micros:9.1} µs, {each:6.0} ns an entry, {speed:6.0} MB/s"
    );
}

fn measure(count: usize, owners: &Owners, borders: &Borders) -> Result<()> {
    let nodes = nodes(count);
    let leaf = Tree::Leaf(Leaf {
        nodes: nodes.clone(),
        ..Leaf::default()
    });
    let encoded = codec::encode(&leaf);
    let time = fastest_of(|| (), |()| drop(black_box(codec::encode(black_box(&leaf)))));
    show("encoded as one record", count, encoded.len(), time);
    let decode = |()| codec::decode::<Tree>(black_box(&encoded)).expect("as encoded");
    let time = fastest_of(|| (), |()| drop(black_box(decode(()))));
    show("decoded from one record", count, encoded.len(), time);

    let mut blobs = Blobs::default();
    let root = write_directory(nodes.clone(), owners, borders, &mut |bytes| {
        Ok(blobs.put(bytes))
    })?;
    let stored: usize = blobs.0.values().map(|blob| blob.len()).sum();
    let mut failed = None;
    let time = fastest_of(
        || (nodes.clone(), Blobs::default()),
        |(nodes, mut blobs)| {
            let put = &mut |bytes: &[u8]| Ok(blobs.put(bytes));
            failed = write_directory(nodes, owners, borders, put).err();
        },
    );
    failed.map_or(Ok(()), Err)?;
    let pages = blobs.0.len();
    show(&format!("written as {pages} blobs"), count, stored, time);
    let mut read = 0;
    let time = fastest_of(
        || (),
        |()| read = load_nodes(&blobs, &root).map_or(0, |nodes| nodes.len()),
    );
    assert_eq!(read, count);
    show(&format!("read from {pages} blobs"), count, stored, time);
    Ok(())
}

fn main() -> Result<()> {
    let owners = Owners::load(Path::new("/etc"))?;
    let borders = Borders::new(Secret::new([7; 32]));
    [100, 100_000]
        .into_iter()
        .try_for_each(|count| measure(count, &owners, &borders))
}
