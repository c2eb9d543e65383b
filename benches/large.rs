//! Makes repositories that are large in one respect, to measure what grows with it.
//!
//! `cargo bench -p repo-benches --bench large -- snapshots 100000 DIRECTORY` commits so many snapshots of one tree;
//! `… -- blobs 20000000 DIRECTORY` names so many blobs in index tables, nine of ten of them held by one snapshot, in packs that are there
//! and empty. The password is `x`. What is then measured is the program: `larder -r DIRECTORY snapshots --latest 1`,
//! `larder -r DIRECTORY prune --dry-run`.

use repo_benches::made::{CHEAP, commit, make, write};
use repo_core::crypto::BlobType;
use repo_core::format::name::ObjectKind;
use repo_core::format::rows::{Blob, Block, ENCODING_ZSTD, PackEntry};
use repo_core::format::tree::{Chunks, Content, FileContent, Leaf, Node, Tree};
use repo_core::id::{BlobId, PackId};
use repo_core::repo::Written;
use repo_core::time::Timestamp;
use repo_core::{Error, Result};
use std::collections::HashSet;
use std::path::Path;

const BLOBS_PER_PACK: u64 = 256;
const BLOBS_PER_BLOCK: u64 = 24;
const PACKS_PER_TABLE: u64 = 2048;
const BLOB_BYTES: u32 = 64 << 10;
const PACK_BYTES: u64 = 16 << 20;
/// Ids in a list of chunks.
const LIST: u64 = 16 << 10;

/// 32 bytes that look random, the same every time.
fn id(kind: u8, number: u64) -> [u8; 32] {
    *blake3::keyed_hash(&[kind; 32], &number.to_le_bytes()).as_bytes()
}

fn blob_id(number: u64) -> BlobId {
    BlobId(id(1, number))
}

fn node(chunks: Chunks) -> Node {
    Node {
        name: b"file".to_vec(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Timestamp::default(),
        ctime: Timestamp::default(),
        atime: None,
        inode: 1,
        device: 1,
        links: 1,
        xattrs: Vec::new(),
        content: Content::File(FileContent {
            size: 1,
            chunks,
            extents: None,
        }),
        ext: Vec::new(),
    }
}

fn leaf(chunks: Chunks) -> Tree {
    Tree::Leaf(Leaf {
        nodes: vec![node(chunks)],
        ..Leaf::default()
    })
}

fn snapshots(count: u64, place: &Path) -> Result<()> {
    let repo = make(place, CHEAP)?;
    let (root, written) = write(&repo, |put| put(&leaf(Chunks::Direct(Vec::new()))))?;
    commit(&repo, (0, "host0"), root, written)?;
    for number in 1..count {
        commit(
            &repo,
            (number, &format!("host{}", number % 10)),
            root,
            Written::default(),
        )?;
    }
    Ok(())
}

/// A pack of blobs that nobody has ever seen, and an empty file for it.
fn pack(place: &Path, number: u64) -> Result<PackEntry> {
    let first = number * BLOBS_PER_PACK;
    let blocks = BLOBS_PER_PACK.div_ceil(BLOBS_PER_BLOCK);
    let stored = (PACK_BYTES - (64 << 10)) / blocks;
    let id = PackId(id(2, number));
    let path = place.join(ObjectKind::Data.name(&id.0));
    let made = std::fs::create_dir_all(path.parent().expect("in a folder"))
        .and_then(|()| std::fs::File::create(&path))
        .and_then(|file| file.set_len(PACK_BYTES));
    made.map_err(|e| Error::io(repo_core::Subject::Path(path), e))?;
    let in_block = |block: u64| BLOBS_PER_BLOCK.min(BLOBS_PER_PACK - block * BLOBS_PER_BLOCK);
    Ok(PackEntry {
        id,
        len: PACK_BYTES,
        kind: BlobType::Data,
        epoch: 0,
        domain: 0,
        wrap_count: 1,
        wraps: vec![0; 128],
        blocks: (0..blocks)
            .map(|block| Block {
                offset: (block * stored) as u32,
                stored_len: stored as u32,
                raw_len: in_block(block) as u32 * BLOB_BYTES,
                counter: block as u32,
                encoding: ENCODING_ZSTD,
                ..Block::default()
            })
            .collect(),
        blobs: (0..BLOBS_PER_PACK)
            .map(|n| Blob {
                id: blob_id(first + n),
                block: (n / BLOBS_PER_BLOCK) as u32,
                offset: (n % BLOBS_PER_BLOCK) as u32 * BLOB_BYTES,
                len: BLOB_BYTES,
            })
            .collect(),
        bases: Vec::new(),
    })
}

fn blobs(count: u64, place: &Path) -> Result<()> {
    let repo = make(place, CHEAP)?;
    let packs = count / BLOBS_PER_PACK;
    let mut tables = Vec::new();
    for first in (0..packs).step_by(PACKS_PER_TABLE as usize) {
        let last = packs.min(first + PACKS_PER_TABLE);
        let entries: Result<Vec<PackEntry>> = (first..last).map(|n| pack(place, n)).collect();
        tables.push(repo.save_table(entries?)?.0);
    }
    let held: Vec<u64> = (0..packs * BLOBS_PER_PACK)
        .filter(|n| n % 10 != 0)
        .collect();
    let (root, mut written) = write(&repo, |put| {
        let lists = held.chunks(LIST as usize);
        let lists =
            lists.map(|part| put(&Tree::Chunks(part.iter().map(|n| blob_id(*n)).collect())));
        let lists = lists.collect::<Result<Vec<BlobId>>>()?;
        put(&leaf(Chunks::Lists { height: 1, lists }))
    })?;
    written.tables.extend(tables);
    written.hits = HashSet::new();
    commit(&repo, (0, "host0"), root, written)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let [what, count, place] = &arguments[..] else {
        println!("usage: large snapshots|blobs COUNT DIRECTORY");
        return Ok(());
    };
    let count = count.parse().expect("COUNT is a number");
    match what.as_str() {
        "snapshots" => snapshots(count, Path::new(place)),
        "blobs" => blobs(count, Path::new(place)),
        _ => panic!("either snapshots or blobs"),
    }
}
