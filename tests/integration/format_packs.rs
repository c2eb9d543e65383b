//! Packs as they are stored: header, key wraps, blocks, directory.

use crate::format_vectors::{REPOSITORY, docs, ring_of};
use repo_core::compress::{Decompressor, Encoding};
use repo_core::crypto::{BlobType, Role};
use repo_core::error::ErrorKind;
use repo_core::format::entry::hash;
use repo_core::format::pack::{
    HEADER_LEN, PADDING_STEP, TRAILER_LEN, decode_directory, decode_header, decode_trailer,
    decode_wraps,
};
use repo_core::format::rows::PackEntry;
use repo_core::id::{PackId, RepositoryId};
use repo_core::pack::{BlockReader, PackBuilder, PlainBlob, SealedBlock, open_block_of};

/// Blocks of the packs here: their blobs.
const BLOCKS: [&[&[u8]]; 2] = [&[b"first", b"second blob"], &[b"third"]];

/// A pack in domain 7 that a holder of `role` made.
fn pack(role: Role, kind: BlobType) -> (PackEntry, Vec<u8>) {
    let (keys, full) = (ring_of(role), ring_of(Role::Full));
    let hasher = full.blob_hasher(7, kind).unwrap();
    let mut builder = PackBuilder::new(&keys, &REPOSITORY, kind, 7).unwrap();
    for plaintexts in BLOCKS {
        let (key, counter) = builder.reserve();
        let (mut bytes, mut sealed) = (Vec::new(), Vec::new());
        let mut blobs = Vec::new();
        for plain in plaintexts {
            let (offset, len) = (bytes.len() as u32, plain.len() as u32);
            blobs.push(PlainBlob {
                id: hasher.id(plain),
                offset,
                len,
            });
            bytes.extend_from_slice(plain);
        }
        let raw_len = bytes.len() as u32;
        key.seal(counter, &bytes, &mut sealed);
        let encoding = Encoding::Stored;
        builder.push(SealedBlock {
            bytes: sealed.into(),
            encoding,
            raw_len,
            counter,
            blobs,
            bases: vec![],
        });
    }
    let (entry, bytes) = builder.finish(&keys, &REPOSITORY).unwrap();
    (entry, bytes.slices().concat())
}

const PACKS: [(&str, Role, BlobType); 2] = [
    ("pack-data-by-full.bin", Role::Full, BlobType::Data),
    ("pack-trees-by-writer.bin", Role::Writer, BlobType::Tree),
];

fn read(file: &str) -> Vec<u8> {
    std::fs::read(docs("vectors").join(file)).unwrap()
}

pub fn write_packs() {
    for (file, role, kind) in PACKS {
        std::fs::write(docs("vectors").join(file), pack(role, kind).1).unwrap();
    }
}

/// The header with its wraps, for the example in the document.
pub fn header_by_writer() -> Vec<u8> {
    let (_, mut bytes) = pack(Role::Writer, BlobType::Tree);
    bytes.truncate(decode_header(&bytes).unwrap().len);
    bytes
}

/// All plaintexts, as a holder of `role` reads them.
fn read_all(
    role: Role,
    kind: BlobType,
    entry: &PackEntry,
    pack: &[u8],
) -> repo_core::Result<Vec<Vec<u8>>> {
    let ring = ring_of(role);
    let wraps = decode_wraps(&entry.wraps)?;
    let mut plain = Vec::new();
    for block in &entry.blocks {
        let reader = BlockReader::new(&ring, &REPOSITORY, kind, &wraps[usize::from(block.wrap)])?;
        let from = block.offset as usize;
        let mut stored = pack[from..from + block.stored_len as usize].to_vec();
        let mut out = Vec::new();
        let mut decompressor = Decompressor::new()?;
        open_block_of(
            &reader,
            block,
            &mut stored,
            None,
            &mut decompressor,
            &mut out,
        )?;
        plain.push(out);
    }
    Ok(plain)
}

#[test]
fn stored_packs_open() {
    for (name, _, kind) in PACKS {
        let bytes = &read(name);
        assert_eq!(bytes.len(), PADDING_STEP, "{name}");
        let id = PackId(hash(bytes).0);
        for role in Role::ALL {
            // Everyone holds the index key.
            let entry = decode_directory(&ring_of(role), &REPOSITORY, id, bytes).unwrap();
            assert_eq!(
                (entry.kind, entry.domain, entry.epoch, entry.wrap_count),
                (kind, 7, 0, 1)
            );
            assert_eq!(
                entry.blocks.iter().map(|b| b.counter).collect::<Vec<_>>(),
                [0, 1]
            );
            let hasher = ring_of(Role::Full).blob_hasher(7, kind).unwrap();
            let ids: Vec<_> = BLOCKS
                .concat()
                .iter()
                .map(|plain| hasher.id(plain))
                .collect();
            assert_eq!(entry.blobs.iter().map(|b| b.id).collect::<Vec<_>>(), ids);
            let plain = read_all(role, kind, &entry, bytes);
            let may = matches!(role, Role::Full | Role::Read)
                || role == Role::Prune && kind == BlobType::Tree;
            match may {
                true => assert_eq!(
                    plain.unwrap(),
                    BLOCKS.map(<[&[u8]]>::concat),
                    "{name} {role:?}"
                ),
                false => assert_eq!(
                    plain.unwrap_err().kind(),
                    ErrorKind::Denied,
                    "{name} {role:?}"
                ),
            }
        }
    }
}

/// The tables of the document, read by offset.
#[test]
fn packs_are_as_described() {
    for (name, role, kind) in PACKS {
        let bytes = &read(name);
        let u16_at =
            |at: usize| usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()));
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(
            &bytes[..8],
            [b"LRDP", &[1, kind as u8, 1, 0][..]].concat(),
            "{name}"
        );
        assert_eq!((u32_at(8), u32_at(12), u32_at(48)), (0, 7, 120), "{name}");
        let wrap_type = if role == Role::Writer { 2 } else { 1 };
        assert_eq!(
            (bytes[HEADER_LEN], bytes[HEADER_LEN + 1]),
            (wrap_type, 0),
            "{name}"
        );
        assert_eq!(
            (u16_at(HEADER_LEN + 2), u32_at(HEADER_LEN + 4)),
            (80, 0),
            "{name}"
        );
        let first_block = 52 + 120;
        let directory = u32_at(bytes.len() - TRAILER_LEN) as usize;
        assert_eq!(&bytes[bytes.len() - 8..], b"\x01\0\0\0LRDT", "{name}");
        let blocks: usize = BLOCKS.iter().map(|block| block.concat().len() + 16).sum();
        assert_eq!(
            first_block + blocks + directory + TRAILER_LEN,
            bytes.len(),
            "{name}"
        );
        assert_eq!(
            decode_trailer(&bytes[bytes.len() - TRAILER_LEN..]).unwrap(),
            directory
        );
    }
}

/// A pack that was changed anywhere is not taken for the one it was, whatever its name says.
#[test]
fn a_changed_pack_does_not_open() {
    let (entry, bytes) = pack(Role::Full, BlobType::Data);
    let full = ring_of(Role::Full);
    let whole = |bytes: &[u8]| -> repo_core::Result<()> {
        let found = decode_directory(&full, &REPOSITORY, entry.id, bytes)?;
        read_all(Role::Full, BlobType::Data, &found, bytes)?;
        Ok(())
    };
    whole(&bytes).unwrap();
    for at in (0..300).chain(bytes.len() - 100..bytes.len()) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(whole(&changed).is_err(), "byte {at}");
    }
    for len in [0, 1, 51, 52, 171, bytes.len() - 1] {
        assert!(whole(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert!(decode_directory(&full, &RepositoryId([9; 32]), entry.id, &bytes).is_err());
}
