//! What stands around every record (`docs/format.md`, "Envelope"): in clear who may open it and how, then the sealed
//! body with its signature.

use super::VERSION;
use crate::crypto::{
    Cipher, KeyKind, Keyring, SIGNATURE_LEN, Secret, Signer, TAG_LEN, contexts, derive,
    fill_random, verify,
};
use crate::error::{Error, Result, Subject};
use crate::id::{ID_LEN, KeyEpoch, RepositoryId, WriterId};

const MAGIC: [u8; 4] = *b"LRDR";
const AT_VERSION: usize = 4;
const AT_TYPE: usize = AT_VERSION + 1;
const AT_FLAGS: usize = AT_TYPE + 1;
const AT_EPOCH: usize = AT_FLAGS + 2;
const AT_SALT: usize = AT_EPOCH + 4;
const SALT_LEN: usize = 32;
const AT_WRAP: usize = AT_SALT + SALT_LEN;
const WRAP_HEAD_LEN: usize = 4;
const FIXED_LEN: usize = AT_WRAP + WRAP_HEAD_LEN;
const SIGNATURE_BLOCK_LEN: usize = 1 + ID_LEN + SIGNATURE_LEN;
const _: () = assert!(FIXED_LEN == 48 && SIGNATURE_BLOCK_LEN == 97);

/// Most bytes that may stand in clear.
const CLEAR_LEN_MAX: usize = 16 << 20;

/// The key comes from the role key and the salt.
const WRAP_SYMMETRIC: u8 = 1;
/// The key is sealed to the repository's public key.
const WRAP_SEALED: u8 = 2;

const SIGNATURE_NONE: u8 = 0;
const SIGNATURE_ED25519: u8 = 1;

/// What kind of record an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordType {
    /// The settings that a repository began with.
    Config = 1,
    /// An entry of the commit log.
    Entry = 2,
    /// The root of a folded state.
    Checkpoint = 3,
    /// A sorted table of a folded state.
    State = 4,
    /// An index table.
    Index = 5,
    /// A snapshot.
    Snapshot = 6,
    /// The result of a check or a drill.
    Evidence = 7,
    /// Class C only: a process at work.
    Announcement = 8,
    /// What listings show of a snapshot, inside a `Commit` entry.
    Summary = 9,
    /// Who a key slot belongs to.
    Label = 10,
}

impl RecordType {
    fn from_u8(number: u8) -> Option<Self> {
        use RecordType::*;
        [
            Config,
            Entry,
            Checkpoint,
            State,
            Index,
            Snapshot,
            Evidence,
            Announcement,
            Summary,
            Label,
        ]
        .into_iter()
        .find(|t| *t as u8 == number)
    }

    /// The symmetric role key that seals it, and the public key that may stand in for it.
    fn keys(self) -> (KeyKind, Option<(KeyKind, KeyKind)>) {
        match self {
            Self::Config => (KeyKind::Config, None),
            Self::Index => (KeyKind::Index, None),
            Self::Snapshot | Self::Evidence | Self::Summary => (
                KeyKind::MetaWrap,
                Some((KeyKind::MetaPublic, KeyKind::MetaSecret)),
            ),
            _ => (KeyKind::Log, None),
        }
    }
}

/// Seals and opens records for one holder of keys.
#[derive(Clone)]
pub struct Envelopes {
    ring: Keyring,
    repository: RepositoryId,
}

/// An opened record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The epoch whose keys sealed it.
    pub epoch: KeyEpoch,
    /// What stands in clear, authenticated.
    pub clear: Vec<u8>,
    /// The record's bytes.
    pub body: Vec<u8>,
    /// Who signed it; the signature is right. `None` if it is not signed.
    pub signer: Option<WriterId>,
}

/// What anyone can see of a record, not authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visible<'a> {
    /// The kind of record.
    pub record_type: RecordType,
    /// The epoch whose keys sealed it.
    pub epoch: KeyEpoch,
    /// What stands in clear.
    pub clear: &'a [u8],
    wrap_type: u8,
    wrap: &'a [u8],
    salt: &'a [u8],
    sealed_from: usize,
}

fn bad(detail: &'static str) -> Error {
    Error::damaged(Subject::None).detail(detail)
}

/// Reads what stands in clear. `Unsupported` for a newer version, `Damaged` if it is no record.
pub fn visible(bytes: &[u8]) -> Result<Visible<'_>> {
    let fixed = bytes
        .get(..FIXED_LEN)
        .ok_or_else(|| bad("too short for a record"))?;
    if fixed[..4] != MAGIC {
        return Err(bad("does not begin like a record"));
    }
    if fixed[AT_VERSION] < VERSION {
        return Err(bad("a format version that there never was"));
    }
    if fixed[AT_VERSION] > VERSION {
        return Err(Error::unsupported(Subject::None).detail(format!(
            "format version {}, this program reads {VERSION}",
            fixed[AT_VERSION]
        )));
    }
    let record_type =
        RecordType::from_u8(fixed[AT_TYPE]).ok_or_else(|| bad("unknown type of record"))?;
    if fixed[AT_FLAGS..AT_EPOCH] != [0, 0] || fixed[AT_WRAP + 1] != 0 {
        return Err(Error::unsupported(Subject::None).detail("unknown flags"));
    }
    let epoch = u32::from_le_bytes(fixed[AT_EPOCH..AT_SALT].try_into().expect("four bytes"));
    let salt = &fixed[AT_SALT..AT_WRAP];
    let wrap_type = fixed[AT_WRAP];
    let wrap_len = usize::from(u16::from_le_bytes(
        fixed[AT_WRAP + 2..].try_into().expect("two bytes"),
    ));
    let rest = &bytes[FIXED_LEN..];
    let (wrap, rest) = rest
        .split_at_checked(wrap_len)
        .ok_or_else(|| bad("ends inside its key wrap"))?;
    let (clear_len, rest) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| bad("ends before its body"))?;
    let clear_len = u32::from_le_bytes(*clear_len) as usize;
    if clear_len > CLEAR_LEN_MAX {
        return Err(bad("too much in clear"));
    }
    let clear = rest
        .get(..clear_len)
        .ok_or_else(|| bad("ends before its body"))?;
    let sealed_from = FIXED_LEN + wrap_len + 4 + clear_len;
    Ok(Visible {
        record_type,
        epoch,
        clear,
        wrap_type,
        wrap,
        salt,
        sealed_from,
    })
}

impl Envelopes {
    /// Seals and opens with the keys of `ring`.
    pub fn new(ring: Keyring, repository: RepositoryId) -> Self {
        Self { ring, repository }
    }

    /// The keys.
    pub fn ring(&self) -> &Keyring {
        &self.ring
    }

    /// The repository these records belong to.
    pub fn repository(&self) -> RepositoryId {
        self.repository
    }

    /// Seals a record under the newest epoch, signed if there is a signer. `Denied` if this holder has no key that
    /// may seal such a record.
    pub fn seal(
        &self,
        record_type: RecordType,
        clear: &[u8],
        body: &[u8],
        signer: Option<&Signer>,
    ) -> Result<Vec<u8>> {
        // Nobody could open it.
        if clear.len() > CLEAR_LEN_MAX {
            return Err(Error::invalid("record").detail("says too much in clear"));
        }
        let epoch = self.ring.epoch();
        let mut salt = [0; SALT_LEN];
        fill_random(&mut salt);
        let (wrap_type, wrap, key) = self.new_key(record_type, epoch, &salt)?;
        let clear_len = u32::try_from(clear.len()).expect("callers keep far below the limit");
        let wrap_len = u16::try_from(wrap.len()).expect("a wrap has at most 80 bytes");
        let mut out = Vec::with_capacity(
            FIXED_LEN + wrap.len() + 4 + clear.len() + body.len() + SIGNATURE_BLOCK_LEN + TAG_LEN,
        );
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, record_type as u8, 0, 0]);
        out.extend_from_slice(&epoch.to_le_bytes());
        out.extend_from_slice(&salt);
        out.extend_from_slice(&[wrap_type, 0]);
        out.extend_from_slice(&wrap_len.to_le_bytes());
        out.extend_from_slice(&wrap);
        out.extend_from_slice(&clear_len.to_le_bytes());
        out.extend_from_slice(clear);
        let sealed_from = out.len();
        let signature = signer.map(|signer| {
            (
                signer.public(),
                signer.sign(&signed_message(&self.repository, &out, body)),
            )
        });
        out.extend_from_slice(body);
        match signature {
            Some((writer, signature)) => {
                out.push(SIGNATURE_ED25519);
                out.extend_from_slice(&writer.0);
                out.extend_from_slice(&signature);
            }
            None => {
                out.push(SIGNATURE_NONE);
                out.extend_from_slice(&[0; SIGNATURE_BLOCK_LEN - 1]);
            }
        }
        let (header, _) = out.split_at(sealed_from);
        let aad = header.to_vec();
        Cipher::new(&key).seal(0, &aad, &mut out, sealed_from);
        Ok(out)
    }

    /// Opens a record of the expected type and checks its signature.
    ///
    /// `Damaged` if it is another type, was changed, or its signature is wrong; `Unsupported` for a newer version;
    /// `Denied` if this holder lacks the key.
    pub fn open(&self, record_type: RecordType, bytes: &[u8]) -> Result<Opened> {
        let visible = visible(bytes)?;
        if visible.record_type != record_type {
            return Err(bad("another type of record than its name says"));
        }
        let key = self.key_of(&visible)?;
        let (header, sealed) = bytes.split_at(visible.sealed_from);
        let mut body = sealed.to_vec();
        Cipher::new(&key).open(0, header, &mut body)?;
        let body_len = body
            .len()
            .checked_sub(SIGNATURE_BLOCK_LEN)
            .ok_or_else(|| bad("no signature block"))?;
        let signature = body.split_off(body_len);
        let signer = self.check_signature(&signature, header, &body)?;
        Ok(Opened {
            epoch: visible.epoch,
            clear: visible.clear.to_vec(),
            body,
            signer,
        })
    }

    fn check_signature(
        &self,
        block: &[u8],
        header: &[u8],
        body: &[u8],
    ) -> Result<Option<WriterId>> {
        let (alg, rest) = block.split_first().expect("97 bytes");
        let (writer, signature) = rest.split_at(ID_LEN);
        match *alg {
            SIGNATURE_NONE => Ok(None),
            SIGNATURE_ED25519 => {
                let writer = WriterId::from_slice(writer).expect("32 bytes");
                let signature = signature.try_into().expect("64 bytes");
                verify(
                    &writer,
                    &signed_message(&self.repository, header, body),
                    signature,
                )?;
                Ok(Some(writer))
            }
            _ => Err(Error::unsupported(Subject::None).detail("unknown kind of signature")),
        }
    }

    /// The file key from a role key: keyed BLAKE3 over salt, type and repository id.
    fn derived_key(&self, role_key: &Secret, record_type: RecordType, salt: &[u8]) -> Secret {
        let mut hasher = blake3::Hasher::new_keyed(role_key.expose());
        hasher
            .update(salt)
            .update(&[record_type as u8])
            .update(&self.repository.0);
        Secret::new(*hasher.finalize().as_bytes())
    }

    fn info(&self, record_type: RecordType) -> Vec<u8> {
        [
            &b"larder v1 record"[..],
            &[record_type as u8],
            &self.repository.0,
        ]
        .concat()
    }

    fn new_key(
        &self,
        record_type: RecordType,
        epoch: KeyEpoch,
        salt: &[u8],
    ) -> Result<(u8, Vec<u8>, Secret)> {
        let (symmetric, public) = record_type.keys();
        match public {
            Some((public, _)) if !self.ring.has(symmetric, epoch) => {
                let key = Secret::random();
                let psk = self.ring.epoch_key(KeyKind::Psk, epoch)?;
                let public = self.ring.seal_public(public, epoch)?;
                let wrap = public.seal(Some(psk), &self.info(record_type), salt, key.expose())?;
                Ok((WRAP_SEALED, wrap, key))
            }
            _ => {
                let role_key = self.ring.epoch_key(symmetric, epoch)?;
                Ok((
                    WRAP_SYMMETRIC,
                    Vec::new(),
                    self.derived_key(role_key, record_type, salt),
                ))
            }
        }
    }

    fn key_of(&self, visible: &Visible<'_>) -> Result<Secret> {
        let (symmetric, public) = visible.record_type.keys();
        match (visible.wrap_type, public) {
            (WRAP_SYMMETRIC, _) if visible.wrap.is_empty() => {
                let role_key = self.ring.epoch_key(symmetric, visible.epoch)?;
                Ok(self.derived_key(role_key, visible.record_type, visible.salt))
            }
            (WRAP_SEALED, Some((_, secret))) => {
                let psk = self.ring.epoch_key(KeyKind::Psk, visible.epoch)?;
                let secret = self.ring.seal_secret(secret, visible.epoch)?;
                let info = self.info(visible.record_type);
                let key = secret.open(Some(psk), &info, visible.salt, visible.wrap)?;
                let key = key
                    .try_into()
                    .map_err(|_| bad("a wrapped key has 32 bytes"))?;
                Ok(Secret::new(key))
            }
            (WRAP_SYMMETRIC | WRAP_SEALED, _) => Err(bad("a key wrap that does not fit its type")),
            _ => Err(Error::unsupported(Subject::None).detail("unknown kind of key wrap")),
        }
    }
}

/// What is signed: a hash over repository, everything in clear, and the body.
fn signed_message(repository: &RepositoryId, header: &[u8], body: &[u8]) -> [u8; 32] {
    let header_len = (header.len() as u64).to_le_bytes();
    *derive(
        contexts::SIGNATURE,
        &[&repository.0, &header_len, header, body],
    )
    .expose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Role;
    use crate::error::ErrorKind;

    fn envelopes(role: Role) -> Envelopes {
        let ring = Keyring::from_root(&Secret::new([1; 32]), 0, &[0]);
        Envelopes::new(
            Keyring::from_bundle(&ring.bundle(role, &[0])),
            RepositoryId([2; 32]),
        )
    }

    #[test]
    fn what_could_not_be_opened_is_not_sealed() {
        let all = envelopes(Role::Full);
        let seal = |len| all.seal(RecordType::Entry, &vec![0; len], b"", None);
        let most = seal(CLEAR_LEN_MAX).unwrap();
        assert!(all.open(RecordType::Entry, &most).is_ok());
        let more = seal(CLEAR_LEN_MAX + 1).unwrap_err();
        assert_eq!(more.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn round_trip_signed_and_not() {
        let all = envelopes(Role::Full);
        let signer = Signer::from_seed(&Secret::new([3; 32]));
        for signer in [None, Some(&signer)] {
            let sealed = all
                .seal(RecordType::Entry, b"clear", b"body", signer)
                .unwrap();
            let opened = all.open(RecordType::Entry, &sealed).unwrap();
            assert_eq!(
                (&opened.clear[..], &opened.body[..]),
                (&b"clear"[..], &b"body"[..])
            );
            assert_eq!(opened.signer, signer.map(Signer::public));
            assert!(all.open(RecordType::Index, &sealed).is_err());
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let all = envelopes(Role::Full);
        let sealed = all.seal(RecordType::Snapshot, b"c", b"body", None).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x40;
            assert!(
                all.open(RecordType::Snapshot, &changed).is_err(),
                "byte {at}"
            );
            assert!(
                all.open(RecordType::Snapshot, &sealed[..at]).is_err(),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn a_writer_seals_what_it_cannot_read() {
        let writer = envelopes(Role::Writer);
        let sealed = writer
            .seal(RecordType::Snapshot, b"", b"body", None)
            .unwrap();
        assert_eq!(
            writer
                .open(RecordType::Snapshot, &sealed)
                .unwrap_err()
                .kind(),
            ErrorKind::Denied
        );
        for role in [Role::Full, Role::Prune, Role::Read] {
            assert_eq!(
                envelopes(role)
                    .open(RecordType::Snapshot, &sealed)
                    .unwrap()
                    .body,
                b"body"
            );
        }
    }

    #[test]
    fn another_repository_opens_nothing() {
        let all = envelopes(Role::Full);
        let sealed = all.seal(RecordType::Index, b"", b"body", None).unwrap();
        let other = Envelopes::new(all.ring().clone(), RepositoryId([9; 32]));
        assert!(other.open(RecordType::Index, &sealed).is_err());
    }

    #[test]
    fn a_newer_version_is_said_to_be_one() {
        let all = envelopes(Role::Full);
        let mut sealed = all.seal(RecordType::Index, b"", b"body", None).unwrap();
        sealed[AT_VERSION] = 2;
        let error = all.open(RecordType::Index, &sealed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
