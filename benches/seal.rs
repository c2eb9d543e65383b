//! How fast blocks are sealed and opened, and whole packs are put together: one core.

use repo_benches::{fastest_of, random, report, show};
use repo_core::Result;
use repo_core::compress::Encoding;
use repo_core::crypto::{BlobType, Cipher, Keyring, Secret};
use repo_core::id::{BlobId, RepositoryId};
use repo_core::pack::{PackBuilder, Parts, PlainBlob, SealedBlock, Slabs};
use std::hint::black_box;

const PACK_BYTES: usize = 16 << 20;
const REPOSITORY: RepositoryId = RepositoryId([2; 32]);

/// Blocks are sealed in place, so that each run seals what the one before left.
fn blocks() {
    let cipher = Cipher::new(&Secret::new([7; 32]));
    for kib in [64, 512, 2048] {
        let len = kib << 10;
        let mut bytes = random(len);
        report(&format!("seal a block of {kib} KiB"), len, || {
            bytes.truncate(len);
            cipher.seal(1, b"LRDP\x01\x01\0\0\0\0", black_box(&mut bytes), 0);
        });
        bytes.truncate(len);
        cipher.seal(1, b"aad", &mut bytes, 0);
        let sealed = bytes;
        let opened = fastest_of(
            || sealed.clone(),
            |mut sealed| {
                let opened = cipher.open_slice(1, b"aad", black_box(&mut sealed));
                assert_eq!(opened.expect("as sealed").len(), len);
            },
        );
        show(&format!("open a block of {kib} KiB"), len, opened);
    }
}

/// A pack of blocks of `block_len` bytes in blobs of `blob_len`, none compressed.
fn pack(ring: &Keyring, slabs: &Slabs, block_len: usize, blob_len: usize) -> Result<Parts> {
    let mut builder = PackBuilder::new(ring, &REPOSITORY, BlobType::Data, 0)?;
    let (plain, mut sealed) = (vec![7; block_len], Vec::new());
    let number = |n: usize| u32::try_from(n).expect("far below 4 GiB");
    for block in 0..PACK_BYTES / block_len {
        let (key, counter) = builder.reserve();
        key.seal(counter, &plain, &mut sealed);
        let blob = |at: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(block as u64).to_le_bytes());
            id[8..16].copy_from_slice(&(at as u64).to_le_bytes());
            PlainBlob {
                id: BlobId(id),
                offset: number(at),
                len: number(blob_len),
            }
        };
        builder.push(SealedBlock {
            bytes: slabs.copy(&sealed),
            encoding: Encoding::Stored,
            raw_len: number(block_len),
            counter,
            blobs: (0..block_len).step_by(blob_len).map(blob).collect(),
            bases: Vec::new(),
        });
    }
    Ok(builder.finish(ring, &REPOSITORY)?.1)
}

fn packs() -> Result<()> {
    let ring = Keyring::from_root(&Secret::new([1; 32]), 0, &[0]);
    for (block, blob) in [(2 << 20, 64 << 10), (2 << 20, 1 << 10)] {
        let slabs = Slabs::default();
        let name = format!("pack, sealed and named, {} KiB blobs", blob >> 10);
        let mut failed = None;
        report(&name, PACK_BYTES, || {
            failed = pack(&ring, &slabs, block, blob).err().or(failed.take());
        });
        failed.map_or(Ok(()), Err)?;
    }
    let data = random(PACK_BYTES);
    report("of that BLAKE3, which names it", PACK_BYTES, || {
        black_box(blake3::hash(black_box(&data)));
    });
    Ok(())
}

fn main() -> Result<()> {
    blocks();
    packs()
}
