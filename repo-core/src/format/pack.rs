//! Packs (`docs/format.md`, "Packs"): header, sealed blocks, sealed directory, trailer.

use super::VERSION;
use super::rows::{Blob, Block, PackEntry, Row, Rows};
use crate::crypto::{
    BlobType, Cipher, KEY_LEN, KeyKind, Keyring, SEALED_KEY_LEN, Secret, TAG_LEN, commitment,
    contexts, expand, random_array,
};
use crate::error::{Error, Result, Subject};
use crate::id::{BlobId, Domain, KeyEpoch, PackId, RepositoryId};

const MAGIC: [u8; 4] = *b"LRDP";
const AT_VERSION: usize = 4;
const AT_KIND: usize = AT_VERSION + 1;
const AT_WRAPS: usize = AT_KIND + 1;
const AT_FLAGS: usize = AT_WRAPS + 1;
const AT_EPOCH: usize = AT_FLAGS + 1;
const AT_DOMAIN: usize = AT_EPOCH + 4;
const AT_SALT: usize = AT_DOMAIN + 4;
const SALT_LEN: usize = 32;
const AT_WRAP_BYTES: usize = AT_SALT + SALT_LEN;
/// Length of a pack's header without its wrap table.
pub const HEADER_LEN: usize = AT_WRAP_BYTES + 4;
const _: () = assert!(HEADER_LEN == 52);

const TRAILER_MAGIC: [u8; 4] = *b"LRDT";
/// Length of the trailer: directory length u32, version u8, three zero bytes, magic.
pub const TRAILER_LEN: usize = 12;

/// Packs are padded to multiples of this.
pub const PADDING_STEP: usize = 64 << 10;

pub use super::rows::PACK_BYTES_MAX;

/// Most wraps in a pack: its own, and those of packs that blocks were copied from.
pub const WRAPS_MAX: usize = 255;

const WRAP_SYMMETRIC: u8 = 1;
const WRAP_SEALED: u8 = 2;
const WRAP_HEAD_LEN: usize = 8;
const SYMMETRIC_LEN: usize = SALT_LEN + KEY_LEN + TAG_LEN;

/// The key of blocks, as it stands in a pack and in the index: who can open it, and a commitment to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyWrap {
    /// 1 = symmetric, 2 = sealed to the repository's public key, 3 = reserved.
    pub wrap_type: u8,
    /// The epoch of the key that opens it.
    pub epoch: KeyEpoch,
    /// The sealed key.
    pub bytes: Vec<u8>,
    /// Fits the opened key and no other.
    pub commitment: [u8; KEY_LEN],
}

fn bad(detail: &'static str) -> Error {
    Error::damaged(Subject::None).detail(detail)
}

fn wrap_kinds(kind: BlobType) -> (KeyKind, KeyKind, KeyKind) {
    match kind {
        BlobType::Data => (KeyKind::DataWrap, KeyKind::DataPublic, KeyKind::DataSecret),
        BlobType::Tree => (KeyKind::MetaWrap, KeyKind::MetaPublic, KeyKind::MetaSecret),
    }
}

fn wrap_info(kind: BlobType, repository: &RepositoryId) -> Vec<u8> {
    [&b"larder v1 pack key"[..], &[kind as u8], &repository.0].concat()
}

fn symmetric_key(role: &Secret, salt: &[u8], kind: BlobType, repository: &RepositoryId) -> Secret {
    let mut hasher = blake3::Hasher::new_keyed(role.expose());
    hasher
        .update(salt)
        .update(b"pack key")
        .update(&[kind as u8])
        .update(&repository.0);
    Secret::new(*hasher.finalize().as_bytes())
}

impl KeyWrap {
    /// Wraps a pack's key with what this holder has: the symmetric key, or else the repository's public key.
    pub fn seal(
        ring: &Keyring,
        repository: &RepositoryId,
        kind: BlobType,
        key: &Secret,
    ) -> Result<Self> {
        let epoch = ring.epoch();
        let (symmetric, public, _) = wrap_kinds(kind);
        let commitment = commitment(key);
        if ring.has(symmetric, epoch) {
            let salt: [u8; SALT_LEN] = random_array();
            let role = ring.epoch_key(symmetric, epoch)?;
            let sealed = Cipher::new(&symmetric_key(role, &salt, kind, repository)).seal_key(key);
            let bytes = [&salt[..], &sealed].concat();
            return Ok(Self {
                wrap_type: WRAP_SYMMETRIC,
                epoch,
                bytes,
                commitment,
            });
        }
        let psk = ring.epoch_key(KeyKind::Psk, epoch)?;
        let public = ring.seal_public(public, epoch)?;
        let bytes = public.seal(Some(psk), &wrap_info(kind, repository), &[], key.expose())?;
        Ok(Self {
            wrap_type: WRAP_SEALED,
            epoch,
            bytes,
            commitment,
        })
    }

    /// The key. `Denied` if this holder cannot open it, `Damaged` if it is not what it commits to.
    pub fn open(
        &self,
        ring: &Keyring,
        repository: &RepositoryId,
        kind: BlobType,
    ) -> Result<Secret> {
        let (symmetric, _, secret) = wrap_kinds(kind);
        let key = match (self.wrap_type, self.bytes.len()) {
            (WRAP_SYMMETRIC, SYMMETRIC_LEN) => {
                let (salt, sealed) = self.bytes.split_at(SALT_LEN);
                let role = ring.epoch_key(symmetric, self.epoch)?;
                Cipher::new(&symmetric_key(role, salt, kind, repository)).open_key(sealed)?
            }
            (WRAP_SEALED, SEALED_KEY_LEN) => {
                let psk = ring.epoch_key(KeyKind::Psk, self.epoch)?;
                let secret = ring.seal_secret(secret, self.epoch)?;
                let key = secret.open(Some(psk), &wrap_info(kind, repository), &[], &self.bytes)?;
                Secret::new(
                    key.try_into()
                        .map_err(|_| bad("a wrapped key has 32 bytes"))?,
                )
            }
            (WRAP_SYMMETRIC | WRAP_SEALED, _) => return Err(bad("key wrap of a wrong length")),
            _ => return Err(Error::unsupported(Subject::None).detail("unknown kind of key wrap")),
        };
        match commitment(&key) == self.commitment {
            true => Ok(key),
            false => Err(bad("key does not fit its commitment")),
        }
    }
}

/// The bytes of a wrap table, as they stand in pack headers and index tables.
pub fn encode_wraps(wraps: &[KeyWrap]) -> Vec<u8> {
    let mut out = Vec::new();
    for wrap in wraps {
        let len = u16::try_from(wrap.bytes.len()).expect("a wrap has at most 80 bytes");
        out.extend_from_slice(&[wrap.wrap_type, 0]);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&wrap.epoch.to_le_bytes());
        out.extend_from_slice(&wrap.commitment);
        out.extend_from_slice(&wrap.bytes);
    }
    out
}

/// Reads a wrap table of exactly these bytes.
pub fn decode_wraps(mut bytes: &[u8]) -> Result<Vec<KeyWrap>> {
    let short = || bad("key wraps are cut short");
    let mut wraps = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes
            .split_first_chunk::<WRAP_HEAD_LEN>()
            .ok_or_else(short)?;
        let (found, rest) = rest.split_first_chunk::<KEY_LEN>().ok_or_else(short)?;
        if head[1] != 0 {
            return Err(Error::unsupported(Subject::None).detail("unknown flags of a key wrap"));
        }
        let len = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let (sealed, rest) = rest.split_at_checked(len).ok_or_else(short)?;
        let epoch = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        wraps.push(KeyWrap {
            wrap_type: head[0],
            epoch,
            bytes: sealed.to_vec(),
            commitment: *found,
        });
        bytes = rest;
    }
    match wraps.len() <= WRAPS_MAX {
        true => Ok(wraps),
        false => Err(bad("too many key wraps")),
    }
}

/// What a block is authenticated with besides its bytes: everything that a copy keeps, not its place.
fn block_aad(kind: BlobType, counter: u32) -> [u8; 10] {
    let mut aad = [0; 10];
    aad[..4].copy_from_slice(&MAGIC);
    aad[AT_VERSION] = VERSION;
    aad[AT_KIND] = kind as u8;
    aad[6..].copy_from_slice(&counter.to_le_bytes());
    aad
}

/// Replaces `sealed` by the ciphertext and tag of one encoded block.
pub fn seal_block(
    cipher: &Cipher,
    kind: BlobType,
    counter: u32,
    encoded: &[u8],
    sealed: &mut Vec<u8>,
) {
    let aad = block_aad(kind, counter);
    cipher.seal_from(u64::from(counter), &aad, encoded, sealed);
}

/// Opens a block in place; gives its encoded bytes.
pub fn open_block<'a>(
    cipher: &Cipher,
    kind: BlobType,
    counter: u32,
    bytes: &'a mut [u8],
) -> Result<&'a [u8]> {
    cipher.open_slice(u64::from(counter), &block_aad(kind, counter), bytes)
}

/// The header of a pack, with its wraps.
pub fn encode_header(header: &Header) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, header.kind as u8, header.wrap_count, 0]);
    out.extend_from_slice(&header.epoch.to_le_bytes());
    out.extend_from_slice(&header.domain.to_le_bytes());
    out.extend_from_slice(&header.salt);
    let len = u32::try_from(header.wraps.len()).expect("at most 255 short wraps");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&header.wraps);
    out
}

/// What a pack's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Data or trees.
    pub kind: BlobType,
    /// The epoch of the key that seals the directory.
    pub epoch: KeyEpoch,
    /// The domain of its blobs.
    pub domain: Domain,
    /// Makes the directory's key.
    pub salt: [u8; SALT_LEN],
    /// Rows of the wrap table.
    pub wrap_count: u8,
    /// The wrap table's bytes.
    pub wraps: Vec<u8>,
    /// Length of the header with its wraps: where the first block begins.
    pub len: usize,
}

/// Reads a pack's header from its first bytes.
pub fn decode_header(bytes: &[u8]) -> Result<Header> {
    let short = || bad("pack is cut short");
    let fixed = bytes.get(..HEADER_LEN).ok_or_else(short)?;
    if fixed[..4] != MAGIC {
        return Err(bad("does not begin like a pack"));
    }
    if fixed[AT_VERSION] != VERSION {
        let detail = format!("pack of format version {}", fixed[AT_VERSION]);
        return Err(Error::unsupported(Subject::None).detail(detail));
    }
    if fixed[AT_FLAGS] != 0 {
        return Err(Error::unsupported(Subject::None).detail("unknown flags"));
    }
    let number = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().expect("four bytes"));
    let len = HEADER_LEN + number(AT_WRAP_BYTES) as usize;
    let wraps = bytes.get(HEADER_LEN..len).ok_or_else(short)?.to_vec();
    if decode_wraps(&wraps)?.len() != usize::from(fixed[AT_WRAPS]) {
        return Err(bad("number of key wraps"));
    }
    Ok(Header {
        kind: BlobType::from_u8(fixed[AT_KIND]).ok_or_else(|| bad("unknown kind of pack"))?,
        epoch: number(AT_EPOCH),
        domain: number(AT_DOMAIN),
        salt: fixed[AT_SALT..AT_WRAP_BYTES].try_into().expect("32 bytes"),
        wrap_count: fixed[AT_WRAPS],
        wraps,
        len,
    })
}

/// The sealed directory of a pack whose header and blocks have `at` bytes, and the trailer, padded so that the pack's
/// length is a multiple of [`PADDING_STEP`].
///
/// The padding stands inside the sealed directory: where it begins cannot be seen.
pub fn encode_directory(
    ring: &Keyring,
    repository: &RepositoryId,
    header: &Header,
    entry: &PackEntry,
    at: usize,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut sorted: Vec<&Blob> = entry.blobs.iter().collect();
    sorted.sort_by_key(|blob| (blob.block, blob.offset));
    for count in [entry.blocks.len(), entry.blobs.len(), entry.bases.len()] {
        let count = u32::try_from(count).expect("a pack holds fewer than 2^32 rows");
        out.extend_from_slice(&count.to_le_bytes());
    }
    entry.blocks.iter().for_each(|block| block.write(&mut out));
    sorted.iter().for_each(|blob| blob.write(&mut out));
    entry.bases.iter().for_each(|base| base.write(&mut out));
    let unpadded = out.len();
    let end = (at + unpadded + TAG_LEN + TRAILER_LEN).next_multiple_of(PADDING_STEP);
    out.resize(end - at - TAG_LEN - TRAILER_LEN, 0);
    expand(contexts::PADDING, &[&header.salt], &mut out[unpadded..]);
    let aad = encode_header(header);
    directory_cipher(ring, repository, header)?.seal(0, &aad, &mut out, 0);
    let len = u32::try_from(out.len()).map_err(|_| bad("directory is too large"))?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&[VERSION, 0, 0, 0]);
    out.extend_from_slice(&TRAILER_MAGIC);
    Ok(out)
}

fn directory_cipher(ring: &Keyring, repository: &RepositoryId, header: &Header) -> Result<Cipher> {
    let role = ring.epoch_key(KeyKind::Index, header.epoch)?;
    let mut hasher = blake3::Hasher::new_keyed(role.expose());
    hasher
        .update(&header.salt)
        .update(b"directory")
        .update(&repository.0);
    Ok(Cipher::new(&Secret::new(*hasher.finalize().as_bytes())))
}

fn section<'a, R: Row>(rest: &mut &'a [u8], count: usize) -> Result<Rows<'a, R>> {
    let len = count.checked_mul(R::LEN).filter(|len| *len <= rest.len());
    let (section, after) = rest.split_at(len.ok_or_else(|| bad("directory is too short"))?);
    *rest = after;
    Rows::new(section)
}

/// Reads the length of the directory from a pack's last [`TRAILER_LEN`] bytes.
pub fn decode_trailer(trailer: &[u8]) -> Result<usize> {
    match trailer {
        [a, b, c, d, VERSION, 0, 0, 0, magic @ ..] if magic == TRAILER_MAGIC => {
            Ok(u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        _ => Err(bad("does not end like a pack")),
    }
}

/// Reads the directory out of a whole pack: what the index says of it, rebuilt from the pack alone.
pub fn decode_directory(
    ring: &Keyring,
    repository: &RepositoryId,
    id: PackId,
    pack: &[u8],
) -> Result<PackEntry> {
    let header = decode_header(pack)?;
    let body = &pack[header.len..];
    let trailer_at = body
        .len()
        .checked_sub(TRAILER_LEN)
        .ok_or_else(|| bad("pack is cut short"))?;
    let (body, trailer) = body.split_at(trailer_at);
    let from = body
        .len()
        .checked_sub(decode_trailer(trailer)?)
        .ok_or_else(|| bad("directory is larger than its pack"))?;
    let mut sealed = body[from..].to_vec();
    let plain = directory_cipher(ring, repository, &header)?.open_slice(
        0,
        &pack[..header.len],
        &mut sealed,
    )?;
    let (head, rows) = plain
        .split_first_chunk::<12>()
        .ok_or_else(|| bad("directory is too short"))?;
    let count =
        |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes")) as usize;
    let mut rest = rows;
    let blocks = section::<Block>(&mut rest, count(0))?;
    let blobs = section::<Blob>(&mut rest, count(4))?;
    let bases = section::<BlobId>(&mut rest, count(8))?;
    let entry = PackEntry {
        id,
        len: pack.len() as u64,
        kind: header.kind,
        epoch: header.epoch,
        domain: header.domain,
        wrap_count: header.wrap_count,
        wraps: header.wraps,
        blocks: blocks.iter().collect::<Result<_>>()?,
        blobs: blobs.iter().collect::<Result<_>>()?,
        bases: bases.iter().collect::<Result<_>>()?,
    };
    entry.check()?;
    Ok(entry)
}
