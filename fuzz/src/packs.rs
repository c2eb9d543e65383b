//! Packs: header, key wraps, directory, trailer.

use crate::{Split, envelopes, repository_id};
use repo_core::crypto::{BlobType, Cipher, KeyKind, Role, Secret};
use repo_core::format::pack::{self as format, Header};
use repo_core::format::rows::{Blob, PackEntry, Row};
use repo_core::id::PackId;

/// The rows of a directory as they stand before padding: three counts, blocks, blobs, bases.
pub fn directory_plaintext(entry: &PackEntry) -> Vec<u8> {
    let mut out = Vec::new();
    for count in [entry.blocks.len(), entry.blobs.len(), entry.bases.len()] {
        out.extend_from_slice(&u32::try_from(count).expect("few rows").to_le_bytes());
    }
    entry.blocks.iter().for_each(|block| block.write(&mut out));
    entry.blobs.iter().for_each(|blob| blob.write(&mut out));
    entry.bases.iter().for_each(|base| base.write(&mut out));
    out
}

/// A pack of `header`, `blocks` and any bytes as directory, sealed as `docs/format.md` says under the fixed keys.
pub fn seal_directory(header: &Header, blocks: &[u8], directory: &[u8]) -> Vec<u8> {
    let mut pack = format::encode_header(header);
    pack.extend_from_slice(blocks);
    let aad = pack[..header.len].to_vec();
    let from = pack.len();
    pack.extend_from_slice(directory);
    let role = envelopes(Role::Full)
        .ring()
        .epoch_key(KeyKind::Index, 0)
        .expect("full keys");
    let mut hasher = blake3::Hasher::new_keyed(role.expose());
    hasher
        .update(&header.salt)
        .update(b"directory")
        .update(&repository_id().0);
    let cipher = Cipher::new(&Secret::new(*hasher.finalize().as_bytes()));
    cipher.seal(0, &aad, &mut pack, from);
    let len = u32::try_from(pack.len() - from).expect("inputs are short");
    pack.extend_from_slice(&len.to_le_bytes());
    pack.extend_from_slice(b"\x01\0\0\0LRDT");
    pack
}

/// Whole packs as they are, and authentic packs with any directory.
pub fn pack(data: &[u8]) {
    let ring = envelopes(Role::Full).ring();
    if let Ok(header) = format::decode_header(data) {
        assert_eq!(format::encode_header(&header), data[..header.len]);
    }
    if let Some(trailer) = data.last_chunk::<{ format::TRAILER_LEN }>() {
        let _ = format::decode_trailer(trailer);
    }
    let id = PackId(*blake3::hash(data).as_bytes());
    let _ = format::decode_directory(ring, &repository_id(), id, data);

    let mut split = Split(data);
    let (kind, wrap_count) = (split.byte(), split.byte());
    let wraps = split.piece().to_vec();
    let blocks = vec![0; usize::from(u16::from_le_bytes(split.array()))];
    let header = Header {
        kind: BlobType::from_u8(1 + kind % 2).expect("there are two"),
        epoch: 0,
        domain: 0,
        salt: [9; 32],
        wrap_count,
        len: format::HEADER_LEN + wraps.len(),
        wraps,
    };
    let pack = seal_directory(&header, &blocks, split.0);
    let Ok(entry) = format::decode_directory(ring, &repository_id(), id, &pack) else {
        return;
    };
    entry.check().expect("it was accepted");
    assert_eq!(entry.len, pack.len() as u64);
    let mut again = format::encode_header(&header);
    again.extend_from_slice(&blocks);
    let directory = format::encode_directory(ring, &repository_id(), &header, &entry, again.len());
    again.extend_from_slice(&directory.expect("full keys"));
    assert_eq!(again.len() % format::PADDING_STEP, 0);
    let read = format::decode_directory(ring, &repository_id(), id, &again)
        .expect("it is at least as long as before");
    let sorted = |entry: &PackEntry| {
        let mut blobs: Vec<Blob> = entry.blobs.clone();
        blobs.sort_by_key(|blob| (blob.block, blob.offset));
        PackEntry {
            blobs,
            len: 0,
            ..entry.clone()
        }
    };
    assert_eq!(sorted(&read), sorted(&entry));
}

/// Wrap tables, and opening what they hold with every role's keys.
pub fn wraps(data: &[u8]) {
    let Ok(wraps) = format::decode_wraps(data) else {
        return;
    };
    assert_eq!(format::encode_wraps(&wraps), data, "one table has one form");
    for wrap in wraps.iter().take(4) {
        for kind in [BlobType::Data, BlobType::Tree] {
            for role in [Role::Full, Role::Writer] {
                let _ = wrap.open(envelopes(role).ring(), &repository_id(), kind);
            }
        }
    }
}
