//! The index against a model, its cache against decay and races, reservations against threads.

mod cache;
mod marks;
mod model;
mod pending;
mod picture;
mod searching;

use super::*;
use crate::crypto::BlobType;
use crate::format::rows::{Blob, Block, ENCODING_DELTA, ENCODING_ZSTD};
use crate::format::table::TableBuilder;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn blob_id(number: u32) -> BlobId {
    blake3::hash(&number.to_le_bytes()).into()
}

fn pack_id(number: u32) -> PackId {
    blake3::keyed_hash(&[1; 32], &number.to_le_bytes()).into()
}

/// A pack with one block for each list of blobs; every second block is a delta against the blob before it.
fn pack(number: u32, blocks: &[Vec<u32>]) -> PackEntry {
    let mut entry = PackEntry {
        id: pack_id(number),
        len: 64 << 20,
        kind: BlobType::Data,
        epoch: number % 3,
        domain: number % 2,
        wrap_count: 1 + (number % 2) as u8,
        wraps: number.to_le_bytes()[..(number % 5) as usize % 4].to_vec(),
        blocks: Vec::new(),
        blobs: Vec::new(),
        bases: Vec::new(),
    };
    for (i, numbers) in blocks.iter().enumerate() {
        let unique: BTreeSet<_> = numbers.iter().collect();
        for (at, number) in unique.iter().enumerate() {
            entry.blobs.push(Blob {
                id: blob_id(**number),
                block: i as u32,
                offset: at as u32 * 10,
                len: 10,
            });
        }
        let delta = i % 2 == 1;
        entry.blocks.push(Block {
            offset: 100 * i as u32,
            stored_len: 100,
            raw_len: unique.len() as u32 * 10,
            counter: i as u32,
            first_base: if delta { entry.bases.len() as u32 } else { 0 },
            base_count: delta.into(),
            encoding: if delta { ENCODING_DELTA } else { ENCODING_ZSTD },
            ..Block::default()
        });
        entry.bases.extend(delta.then(|| blob_id(number * 7)));
    }
    entry
}

fn table(packs: &[PackEntry]) -> (IndexId, Vec<u8>) {
    let mut builder = TableBuilder::new();
    packs
        .iter()
        .for_each(|pack| builder.add_pack(pack).unwrap());
    let body = builder.finish();
    (IndexId(*blake3::hash(&body).as_bytes()), body)
}

fn run_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Where the bytes of runs are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Heap,
    Mapped,
    /// Mapped, but released all the time, and single rows are read.
    Read,
}

const MODES: [Mode; 3] = [Mode::Heap, Mode::Mapped, Mode::Read];

fn limits(mode: Mode) -> Limits {
    Limits {
        heap_run_bytes_max: if mode == Mode::Heap { 8 << 20 } else { 0 },
        resident_bytes_max: if mode == Mode::Read { 0 } else { 8 << 20 },
    }
}

fn spill() -> (TempDir, Index) {
    let dir = TempDir::new().unwrap();
    let index = Index::open(Place::Spill(dir.path())).unwrap();
    (dir, index)
}
