//! Key slots (`docs/format.md`, "Key slots"): `keys/<id>`, JSON, one for each password or key file.
//!
//! A slot protects an X25519 secret of its own with the password or key file. The bundle of the repository's keys is
//! sealed to the public half, so that an admin can seal a new bundle without anyone's password. What the password
//! protects also pins the admin's public key, and the bundle is signed with it: whoever can write to the place cannot
//! put a bundle of their own making under somebody's password.

use super::codec::{self, Ext, check_ext};
use super::envelope::{Envelopes, RecordType};
use crate::crypto::{
    BundleKey, Cipher, KdfParams, KeyKind, Keyring, PasswordKeys, Role, SALT_LEN, SIGNATURE_LEN,
    SealPublic, SealSecret, Secret, Signer, contexts, derive, random_array, verify,
};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::id::{Domain, ID_LEN, RepositoryId, WriterId, from_hex, to_hex};
use crate::time::Timestamp;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// Most key slots of a repository that are looked at.
pub const SLOTS_MAX: usize = 64;

/// Most bytes of a key slot.
pub const SLOT_BYTES_MAX: u64 = 64 << 10;

/// What opens a slot.
#[derive(Clone)]
pub enum Credential {
    /// A password, any bytes.
    Password(Zeroizing<Vec<u8>>),
    /// The 32 bytes of a key file.
    KeyFile(Secret),
}

impl Credential {
    /// A credential from a password.
    pub fn password(password: impl Into<Vec<u8>>) -> Self {
        Self::Password(Zeroizing::new(password.into()))
    }

    fn kind(&self) -> SlotKind {
        match self {
            Self::Password(_) => SlotKind::Password,
            Self::KeyFile(_) => SlotKind::KeyFile,
        }
    }
}

/// What kind of credential opens a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotKind {
    /// Argon2id over a password.
    Password,
    /// 32 random bytes in a file.
    KeyFile,
}

/// The JSON of a key slot. Byte strings are lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Format version, 1.
    pub larder: u8,
    /// The repository's id.
    pub repository: String,
    /// What its holder may do.
    pub role: String,
    /// What opens it.
    pub kind: SlotKind,
    /// Cost of the password's derivation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kdf: Option<KdfParams>,
    /// Salt of the derivation.
    pub salt: String,
    /// Second half of the derivation's output.
    pub commitment: String,
    /// The public X25519 key that the bundle is sealed to.
    pub seal_public: String,
    /// The slot's own secrets under the derivation's first half.
    pub secret: String,
    /// The bundle, sealed to `seal_public`.
    pub bundle: String,
    /// Who it belongs to, sealed to holders of any key.
    pub label: String,
}

impl Slot {
    /// Whether it says that it belongs to that repository; proved only by opening it.
    pub fn is_of(&self, repository: RepositoryId) -> bool {
        self.repository == repository.to_hex()
    }
}

/// Whom a slot belongs to, shown by `key list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Label {
    /// The user's name.
    pub user: String,
    /// The host's name.
    pub host: String,
    /// When it was made.
    pub created: Timestamp,
    /// The writer that signs with this slot.
    pub writer: WriterId,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

/// What the password protects.
#[derive(Encode, Decode)]
struct SlotSecret {
    seal: [u8; 32],
    signing: [u8; 32],
    admin: WriterId,
    ext: Vec<Ext>,
}

impl Drop for SlotSecret {
    fn drop(&mut self) {
        self.seal.zeroize();
        self.signing.zeroize();
    }
}

/// What the bundle holds.
#[derive(Encode, Decode)]
struct Bundle {
    role: Role,
    domains: Vec<Domain>,
    keys: Vec<BundleKey>,
    ext: Vec<Ext>,
}

/// What an opened slot gives.
#[derive(Clone)]
pub struct Holder {
    /// What it may do.
    pub role: Role,
    /// The domains that it may write to.
    pub domains: Vec<Domain>,
    /// The repository's keys that it has.
    pub ring: Keyring,
    /// The key that it signs with.
    pub signer: Signer,
    /// The key that its bundles are sealed to.
    pub seal: SealPublic,
    /// The key that signs `Roles` entries.
    pub admin: WriterId,
}

/// A new slot and what it stands for.
pub struct NewSlot {
    /// The stored bytes.
    pub bytes: Vec<u8>,
    /// The holder that it opens to.
    pub holder: Holder,
}

fn bad(detail: &'static str) -> Error {
    Error::damaged(Subject::None).detail(detail)
}

fn hex_array<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N]> {
    from_hex(text)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| bad(what))
}

/// Makes a slot for `credential` that gives `role` on the keys of `full`, which belongs to an admin.
pub fn create(
    full: &Envelopes,
    role: Role,
    domains: &[Domain],
    credential: &Credential,
    params: KdfParams,
    label: &Label,
) -> Result<NewSlot> {
    let holder = Holder {
        role,
        domains: domains.to_vec(),
        ring: Keyring::from_bundle(&full.ring().bundle(role, domains)),
        signer: Signer::random(),
        seal: SealPublic([0; 32]),
        admin: full.ring().admin()?.public(),
    };
    seal_holder(
        full,
        holder,
        SealSecret::random(),
        credential,
        params,
        label,
    )
}

/// Seals a holder's secrets anew under another credential: the same writer, another password. Needs no admin if the
/// old slot's bundle is kept, which is signed for the same public key.
pub fn change_credential(
    envelopes: &Envelopes,
    old: &[u8],
    credential: &Credential,
    new: &Credential,
    params: KdfParams,
) -> Result<Vec<u8>> {
    let mut slot = parse(old)?;
    let secret = open_secret(
        &slot,
        envelopes.repository(),
        credential,
        &KdfParams::MAX_ALLOWED,
    )?;
    protect(&mut slot, envelopes.repository(), &secret, new, params)?;
    Ok(to_bytes(&slot))
}

/// Gives a slot another label. Whoever holds any key can do that; nothing but what `key list` shows rests on it, but for the
/// writer, which stays whose it was if the caller leaves it.
pub fn change_label(envelopes: &Envelopes, old: &[u8], label: &Label) -> Result<Vec<u8>> {
    let mut slot = parse(old)?;
    slot.label = seal_label(envelopes, label)?;
    Ok(to_bytes(&slot))
}

fn seal_label(envelopes: &Envelopes, label: &Label) -> Result<String> {
    let sealed = envelopes.seal(RecordType::Label, &[], &codec::encode(label), None)?;
    Ok(to_hex(&sealed))
}

fn seal_holder(
    full: &Envelopes,
    mut holder: Holder,
    seal: SealSecret,
    credential: &Credential,
    params: KdfParams,
    label: &Label,
) -> Result<NewSlot> {
    let repository = full.repository();
    holder.seal = seal.public();
    let bundle = codec::encode(&Bundle {
        role: holder.role,
        domains: holder.domains.clone(),
        keys: full.ring().bundle(holder.role, &holder.domains),
        ext: Vec::new(),
    });
    let mut bundle = Zeroizing::new(bundle);
    let signature = full
        .ring()
        .admin()?
        .sign(&bundle_message(&repository, &holder.seal, &bundle));
    bundle.extend_from_slice(&signature);
    let sealed = holder
        .seal
        .seal(None, &bundle_info(&repository), &holder.seal.0, &bundle)?;
    let label = Label {
        writer: holder.signer.public(),
        ..label.clone()
    };
    let mut slot = Slot {
        larder: super::VERSION,
        repository: repository.to_hex(),
        role: holder.role.name().to_owned(),
        kind: credential.kind(),
        kdf: None,
        salt: String::new(),
        commitment: String::new(),
        seal_public: to_hex(&holder.seal.0),
        secret: String::new(),
        bundle: to_hex(&sealed),
        label: seal_label(full, &label)?,
    };
    let secret = SlotSecret {
        seal: *seal.expose().expose(),
        signing: *holder.signer.seed().expose(),
        admin: holder.admin,
        ext: Vec::new(),
    };
    protect(&mut slot, repository, &secret, credential, params)?;
    Ok(NewSlot {
        bytes: to_bytes(&slot),
        holder,
    })
}

/// Fills in what depends on the credential: cost, salt, commitment, sealed secret.
fn protect(
    slot: &mut Slot,
    repository: RepositoryId,
    secret: &SlotSecret,
    credential: &Credential,
    params: KdfParams,
) -> Result<()> {
    let salt: [u8; SALT_LEN] = random_array();
    slot.kind = credential.kind();
    slot.kdf = matches!(credential, Credential::Password(_)).then_some(params);
    slot.salt = to_hex(&salt);
    let keys = stretch(slot, credential)?;
    slot.commitment = to_hex(&keys.commitment);
    let mut bytes = Zeroizing::new(codec::encode(secret));
    Cipher::new(&keys.wrap).seal(0, &aad(slot, repository)?, &mut bytes, 0);
    slot.secret = to_hex(&bytes);
    Ok(())
}

fn stretch(slot: &Slot, credential: &Credential) -> Result<PasswordKeys> {
    let salt = hex_array(&slot.salt, "key slot: salt")?;
    match (credential, &slot.kdf) {
        (Credential::Password(password), Some(params)) => {
            PasswordKeys::derive(password, &salt, params)
        }
        (Credential::KeyFile(key), None) => Ok(PasswordKeys::from_key_file(key, &salt)),
        _ => Err(Error::new(ErrorKind::WrongPassword, Subject::None)),
    }
}

/// What the sealed secret is bound to: everything of the slot that an attacker might exchange, in a fixed form.
fn aad(slot: &Slot, repository: RepositoryId) -> Result<Vec<u8>> {
    let role = role_of(slot)?;
    let params = slot.kdf.unwrap_or(KdfParams {
        m_kib: 0,
        t: 0,
        p: 0,
    });
    let mut aad = Vec::with_capacity(ID_LEN * 3 + 14);
    aad.extend_from_slice(&repository.0);
    aad.extend_from_slice(&[role as u8, slot.kind as u8]);
    for number in [params.m_kib, params.t, params.p] {
        aad.extend_from_slice(&number.to_le_bytes());
    }
    aad.extend_from_slice(&hex_array::<SALT_LEN>(&slot.salt, "key slot: salt")?);
    aad.extend_from_slice(&hex_array::<32>(&slot.seal_public, "key slot: public key")?);
    Ok(aad)
}

/// What the slot's holder may do, as the slot says; proved only by opening it.
pub fn role_of(slot: &Slot) -> Result<Role> {
    let role = Role::ALL.into_iter().find(|role| role.name() == slot.role);
    role.ok_or_else(|| Error::unsupported(Subject::None).detail("key slot of an unknown role"))
}

fn bundle_message(repository: &RepositoryId, seal: &SealPublic, bundle: &[u8]) -> [u8; 32] {
    *derive(contexts::BUNDLE, &[&repository.0, &seal.0, bundle]).expose()
}

fn bundle_info(repository: &RepositoryId) -> Vec<u8> {
    [&b"larder v1 bundle"[..], &repository.0].concat()
}

fn to_bytes(slot: &Slot) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(slot).expect("strings and numbers are valid JSON");
    bytes.push(b'\n');
    bytes
}

/// Reads the JSON of a slot. `Unsupported` for a newer version, `Damaged` otherwise.
pub fn parse(bytes: &[u8]) -> Result<Slot> {
    #[derive(Deserialize)]
    struct Version {
        larder: u32,
    }
    if bytes.len() as u64 > SLOT_BYTES_MAX {
        return Err(bad("key slot is too large"));
    }
    let broken = |e: serde_json::Error| bad("not a key slot").because(e.to_string());
    let version: Version = serde_json::from_slice(bytes).map_err(broken)?;
    if version.larder != u32::from(super::VERSION) {
        let detail = format!("key slot of format version {}", version.larder);
        return Err(Error::unsupported(Subject::None).detail(detail));
    }
    serde_json::from_slice(bytes).map_err(broken)
}

fn open_secret(
    slot: &Slot,
    repository: RepositoryId,
    credential: &Credential,
    max: &KdfParams,
) -> Result<SlotSecret> {
    if !slot.is_of(repository) {
        return Err(bad("key slot of another repository"));
    }
    if let Some(params) = &slot.kdf {
        params.check(max)?;
    }
    let keys = stretch(slot, credential)?;
    let stored = hex_array(&slot.commitment, "key slot: commitment")?;
    if !keys.commits_to(&stored) {
        return Err(Error::new(ErrorKind::WrongPassword, Subject::None));
    }
    let mut sealed = from_hex(&slot.secret).ok_or_else(|| bad("key slot: secret"))?;
    Cipher::new(&keys.wrap).open(0, &aad(slot, repository)?, &mut sealed)?;
    let secret: SlotSecret = codec::decode(&Zeroizing::new(sealed))?;
    check_ext(&secret.ext)?;
    Ok(secret)
}

/// Opens a slot. Takes as much memory as its cost says, at most `max`.
///
/// `WrongPassword` if the credential is of another slot; `Damaged` if the slot was changed; `InvalidInput` if it asks
/// for more than `max`.
pub fn open(
    slot: &Slot,
    repository: RepositoryId,
    credential: &Credential,
    max: &KdfParams,
) -> Result<Holder> {
    let secret = open_secret(slot, repository, credential, max)?;
    let seal = SealSecret::new(Secret::new(secret.seal));
    let public = seal.public();
    let sealed = from_hex(&slot.bundle).ok_or_else(|| bad("key slot: bundle"))?;
    let opened = Zeroizing::new(seal.open(None, &bundle_info(&repository), &public.0, &sealed)?);
    let (bundle, signature) = opened
        .split_last_chunk::<SIGNATURE_LEN>()
        .ok_or_else(|| bad("key slot: bundle is too short"))?;
    verify(
        &secret.admin,
        &bundle_message(&repository, &public, bundle),
        signature,
    )?;
    let bundle: Bundle = codec::decode(bundle)?;
    check_ext(&bundle.ext)?;
    if bundle.role != role_of(slot)? {
        return Err(bad("key slot: another role than its bundle's"));
    }
    Ok(Holder {
        role: bundle.role,
        domains: bundle.domains.clone(),
        ring: Keyring::from_bundle(&bundle.keys),
        signer: Signer::from_seed(&Secret::new(secret.signing)),
        seal: public,
        admin: secret.admin,
    })
}

/// Whom a slot belongs to; any holder of the repository's keys may look.
pub fn label(envelopes: &Envelopes, slot: &Slot) -> Result<Label> {
    let sealed = from_hex(&slot.label).ok_or_else(|| bad("key slot: label"))?;
    let label: Label = codec::decode(&envelopes.open(RecordType::Label, &sealed)?.body)?;
    check_ext(&label.ext)?;
    Ok(label)
}

/// Whether holders of this epoch can open what is sealed now.
pub fn has_epoch(holder: &Holder, epoch: u32) -> bool {
    holder.ring.has(KeyKind::Log, epoch)
}

#[cfg(test)]
mod tests;
