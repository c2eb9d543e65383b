//! The keys a holder has, by purpose: what a bundle in a key slot opens to.

use super::derive::{BlobHasher, BlobType, contexts, derive};
use super::hpke_seal::{SealPublic, SealSecret};
use super::secret::{KEY_LEN, Secret};
use super::sign::Signer;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::id::{Domain, KeyEpoch, stored_by_number};
use std::collections::BTreeMap;
use zeroize::Zeroize;

/// What a holder of keys may do. Larger is not more: each role is its own set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Everything, signing of roles included.
    Full = 1,
    /// Adds backups; reads none, deletes nothing.
    Writer = 2,
    /// Forgets, condemns and deletes; reads trees, never file content.
    Prune = 3,
    /// Reads everything; may add evidence.
    Read = 4,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Full, Self::Writer, Self::Prune, Self::Read];

    /// The role's name in key slots and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Writer => "writer",
            Self::Prune => "prune",
            Self::Read => "read",
        }
    }

    /// Whether the role holds keys of that kind.
    pub fn holds(self, kind: KeyKind) -> bool {
        use KeyKind::*;
        match kind {
            Root | AdminSeed => self == Self::Full,
            IdData | Chunker | Border => self != Self::Prune,
            // Who reads trees proves each of them to be what its id says.
            IdTree | Index | Log | Config | Psk => true,
            DataWrap | DataSecret => matches!(self, Self::Full | Self::Read),
            MetaWrap | MetaSecret => self != Self::Writer,
            DataPublic | MetaPublic => true,
        }
    }
}

stored_by_number!(Role, Role::ALL);

/// What a key is for. The number stands in bundles and in the derivation from the root secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeyKind {
    /// The root secret of an epoch; everything else of the epoch is derived from it.
    Root = 1,
    /// Names data blobs of a domain.
    IdData = 2,
    /// Names tree blobs of a domain.
    IdTree = 3,
    /// Fills the chunker's gear table of a domain.
    Chunker = 4,
    /// Decides where a large directory of a domain is split.
    Border = 5,
    /// Seals index tables and pack directories.
    Index = 6,
    /// Seals log entries, checkpoints and state tables.
    Log = 7,
    /// Seals the settings in `config`.
    Config = 8,
    /// Mixed into everything sealed to a public key.
    Psk = 9,
    /// Wraps keys of data packs, for holders who write and read.
    DataWrap = 10,
    /// Wraps keys of meta packs, snapshots and evidence, for holders who write and read.
    MetaWrap = 11,
    /// Opens data packs sealed to the public key.
    DataSecret = 12,
    /// Opens meta packs, snapshots and summaries sealed to the public key.
    MetaSecret = 13,
    /// Data packs may be sealed to it.
    DataPublic = 14,
    /// Meta packs, snapshots and summaries may be sealed to it.
    MetaPublic = 15,
    /// Seed of the key that signs `Roles` entries and bundles.
    AdminSeed = 16,
}

stored_by_number!(KeyKind, KeyKind::ALL);

impl KeyKind {
    /// All kinds.
    pub const ALL: [Self; 16] = [
        Self::Root,
        Self::IdData,
        Self::IdTree,
        Self::Chunker,
        Self::Border,
        Self::Index,
        Self::Log,
        Self::Config,
        Self::Psk,
        Self::DataWrap,
        Self::MetaWrap,
        Self::DataSecret,
        Self::MetaSecret,
        Self::DataPublic,
        Self::MetaPublic,
        Self::AdminSeed,
    ];

    const DERIVED_PER_DOMAIN: [Self; 4] = [Self::IdData, Self::IdTree, Self::Chunker, Self::Border];
    const DERIVED_PER_EPOCH: [Self; 8] = [
        Self::Index,
        Self::Log,
        Self::Config,
        Self::Psk,
        Self::DataWrap,
        Self::MetaWrap,
        Self::DataSecret,
        Self::MetaSecret,
    ];
}

/// One key of a bundle.
#[derive(Clone, bincode::Encode, bincode::Decode)]
pub struct BundleKey {
    /// What it is for.
    pub kind: KeyKind,
    /// The domain, for keys of one; 0 otherwise.
    pub domain: Domain,
    /// The epoch it was made in.
    pub epoch: KeyEpoch,
    /// The key.
    pub bytes: [u8; KEY_LEN],
}

impl Drop for BundleKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// The keys of one dedup universe: what cuts content, splits directories and names blobs. Repositories that share them give the
/// same content the same ids.
#[derive(Clone)]
pub struct DomainKeys([(KeyKind, Secret); 4]);

impl std::fmt::Debug for DomainKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DomainKeys(..)")
    }
}

/// The keys a holder has. Keys of a domain are looked up by domain, all others by epoch.
#[derive(Clone, Default)]
pub struct Keyring {
    keys: BTreeMap<(KeyKind, Domain, KeyEpoch), Secret>,
}

impl Keyring {
    /// All keys of a new epoch, derived from its root secret, and those of `domains`, which are born in it.
    ///
    /// Each key is `derive_key("larder v1 role key", root ‖ kind u8 ‖ domain u32 ‖ epoch u32)`, little endian.
    pub fn from_root(root: &Secret, epoch: KeyEpoch, domains: &[Domain]) -> Self {
        let mut ring = Self::default();
        ring.insert(KeyKind::Root, 0, epoch, root.clone());
        for kind in KeyKind::DERIVED_PER_EPOCH {
            ring.insert(kind, 0, epoch, role_key(root, kind, 0, epoch));
        }
        for &domain in domains {
            for kind in KeyKind::DERIVED_PER_DOMAIN {
                ring.insert(kind, domain, epoch, role_key(root, kind, domain, epoch));
            }
        }
        for (secret, public) in [
            (KeyKind::DataSecret, KeyKind::DataPublic),
            (KeyKind::MetaSecret, KeyKind::MetaPublic),
        ] {
            let key = SealSecret::new(role_key(root, secret, 0, epoch)).public();
            ring.insert(public, 0, epoch, Secret::new(key.0));
        }
        ring.insert(
            KeyKind::AdminSeed,
            0,
            epoch,
            role_key(root, KeyKind::AdminSeed, 0, epoch),
        );
        ring
    }

    /// A keyring from the keys of a bundle.
    pub fn from_bundle(keys: &[BundleKey]) -> Self {
        let mut ring = Self::default();
        for key in keys {
            ring.insert(key.kind, key.domain, key.epoch, Secret::new(key.bytes));
        }
        ring
    }

    /// The keys that a holder of `role` gets, in a fixed order; keys of domains only for `domains`.
    pub fn bundle(&self, role: Role, domains: &[Domain]) -> Vec<BundleKey> {
        self.keys
            .iter()
            .filter(|((kind, domain, _), _)| {
                let of_domain = KeyKind::DERIVED_PER_DOMAIN.contains(kind);
                role.holds(*kind) && (!of_domain || domains.contains(domain))
            })
            .map(|(&(kind, domain, epoch), key)| BundleKey {
                kind,
                domain,
                epoch,
                bytes: *key.expose(),
            })
            .collect()
    }

    fn insert(&mut self, kind: KeyKind, domain: Domain, epoch: KeyEpoch, key: Secret) {
        self.keys.insert((kind, domain, epoch), key);
    }

    /// The newest epoch that this holder has keys of.
    pub fn epoch(&self) -> KeyEpoch {
        self.keys
            .keys()
            .filter(|(kind, ..)| *kind == KeyKind::Log)
            .map(|key| key.2)
            .max()
            .unwrap_or(0)
    }

    /// The key of that kind and epoch; `Denied` if this holder has none of the kind, `Damaged` if only of other epochs: a slot
    /// has those of all epochs there are.
    pub fn epoch_key(&self, kind: KeyKind, epoch: KeyEpoch) -> Result<&Secret> {
        let is_of_kind = |key: &(KeyKind, Domain, KeyEpoch)| key.0 == kind;
        let error = || match self.keys.keys().any(is_of_kind) {
            true => Error::damaged(Subject::None).detail("names an epoch that no key has"),
            false => lacking(kind),
        };
        self.keys.get(&(kind, 0, epoch)).ok_or_else(error)
    }

    /// The newest key of that kind for a domain; `Denied` if this holder does not have one.
    pub fn domain_key(&self, kind: KeyKind, domain: Domain) -> Result<&Secret> {
        self.keys
            .range((kind, domain, 0)..=(kind, domain, KeyEpoch::MAX))
            .next_back()
            .map(|(_, key)| key)
            .ok_or_else(|| lacking(kind))
    }

    /// Whether this holder has a key of that kind and epoch.
    pub fn has(&self, kind: KeyKind, epoch: KeyEpoch) -> bool {
        self.keys.contains_key(&(kind, 0, epoch))
    }

    /// The keys of a domain, for another repository. `Denied` if this holder does not have all of them.
    pub fn domain_keys(&self, domain: Domain) -> Result<DomainKeys> {
        let [data, tree, chunker, border] = KeyKind::DERIVED_PER_DOMAIN;
        let key = |kind| Ok((kind, self.domain_key(kind, domain)?.clone()));
        Ok(DomainKeys([
            key(data)?,
            key(tree)?,
            key(chunker)?,
            key(border)?,
        ]))
    }

    /// Puts the keys of another repository's domain in the place of those that were derived for `domain` in `epoch`.
    pub fn adopt(&mut self, domain: Domain, epoch: KeyEpoch, keys: &DomainKeys) {
        for (kind, key) in &keys.0 {
            self.insert(*kind, domain, epoch, key.clone());
        }
    }

    /// Names blobs of a domain and type.
    pub fn blob_hasher(&self, domain: Domain, blob_type: BlobType) -> Result<BlobHasher> {
        let kind = match blob_type {
            BlobType::Data => KeyKind::IdData,
            BlobType::Tree => KeyKind::IdTree,
        };
        Ok(BlobHasher::new(self.domain_key(kind, domain)?.clone()))
    }

    /// A public key of the repository that records and packs may be sealed to.
    pub fn seal_public(&self, kind: KeyKind, epoch: KeyEpoch) -> Result<SealPublic> {
        Ok(SealPublic(*self.epoch_key(kind, epoch)?.expose()))
    }

    /// A secret key of the repository that opens what was sealed to its public half.
    pub fn seal_secret(&self, kind: KeyKind, epoch: KeyEpoch) -> Result<SealSecret> {
        Ok(SealSecret::new(self.epoch_key(kind, epoch)?.clone()))
    }

    /// The key that signs roles and bundles; it stays the same over all epochs. `Denied` without full access.
    pub fn admin(&self) -> Result<Signer> {
        self.keys
            .range((KeyKind::AdminSeed, 0, 0)..=(KeyKind::AdminSeed, 0, KeyEpoch::MAX))
            .next()
            .map(|(_, seed)| Signer::from_seed(seed))
            .ok_or_else(|| lacking(KeyKind::AdminSeed))
    }
}

fn role_key(root: &Secret, kind: KeyKind, domain: Domain, epoch: KeyEpoch) -> Secret {
    let purpose = [
        &[kind as u8][..],
        &domain.to_le_bytes(),
        &epoch.to_le_bytes(),
    ]
    .concat();
    derive(contexts::ROLE_KEY, &[root.expose(), &purpose])
}

fn lacking(kind: KeyKind) -> Error {
    Error::new(ErrorKind::Denied, Subject::None)
        .detail(format!("this key's role does not hold {kind:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(role: Role) -> Vec<KeyKind> {
        let ring = Keyring::from_root(&Secret::new([1; 32]), 0, &[0]);
        ring.bundle(role, &[0]).iter().map(|key| key.kind).collect()
    }

    #[test]
    fn a_writer_reads_nothing_and_a_pruner_no_content() {
        let writer = kinds(Role::Writer);
        for kind in [
            KeyKind::DataSecret,
            KeyKind::DataWrap,
            KeyKind::MetaSecret,
            KeyKind::MetaWrap,
        ] {
            assert!(!writer.contains(&kind), "{kind:?}");
        }
        let prune = kinds(Role::Prune);
        assert!(prune.contains(&KeyKind::MetaSecret) && !prune.contains(&KeyKind::DataSecret));
        assert!(!prune.contains(&KeyKind::DataWrap) && !prune.contains(&KeyKind::IdData));
        assert!(prune.contains(&KeyKind::IdTree));
        for role in [Role::Writer, Role::Prune, Role::Read] {
            assert!(
                !kinds(role).contains(&KeyKind::Root) && !kinds(role).contains(&KeyKind::AdminSeed)
            );
        }
        assert_eq!(kinds(Role::Full).len(), 16);
    }

    #[test]
    fn a_bundle_makes_the_same_keyring() {
        let ring = Keyring::from_root(&Secret::new([1; 32]), 3, &[0, 7]);
        let again = Keyring::from_bundle(&ring.bundle(Role::Full, &[0, 7]));
        assert_eq!(again.epoch(), 3);
        for domain in [0, 7] {
            let id = |ring: &Keyring| ring.blob_hasher(domain, BlobType::Data).unwrap().id(b"x");
            assert_eq!(id(&ring), id(&again));
        }
        assert_eq!(
            ring.admin().unwrap().public(),
            again.admin().unwrap().public()
        );
        let few = Keyring::from_bundle(&ring.bundle(Role::Writer, &[7]));
        assert!(few.blob_hasher(0, BlobType::Data).is_err());
        assert!(few.admin().is_err());
    }

    #[test]
    fn a_universe_can_be_shared_and_nothing_else_with_it() {
        let ring = |byte| Keyring::from_root(&Secret::new([byte; 32]), 0, &[0]);
        let (one, mut other) = (ring(1), ring(2));
        other.adopt(0, 0, &one.domain_keys(0).unwrap());
        for kind in KeyKind::ALL {
            let key = |ring: &Keyring| *ring.domain_key(kind, 0).unwrap().expose();
            let shared = KeyKind::DERIVED_PER_DOMAIN.contains(&kind);
            assert_eq!(key(&one) == key(&other), shared, "{kind:?}");
        }
        let again = Keyring::from_bundle(&other.bundle(Role::Full, &[0]));
        let id = |ring: &Keyring| ring.blob_hasher(0, BlobType::Tree).unwrap().id(b"x");
        assert_eq!(id(&one), id(&again));
        let prune = Keyring::from_bundle(&one.bundle(Role::Prune, &[0]));
        assert!(prune.domain_keys(0).is_err());
        assert_eq!(
            format!("{:?}", one.domain_keys(0).unwrap()),
            "DomainKeys(..)"
        );
    }

    #[test]
    fn public_halves_fit() {
        let ring = Keyring::from_root(&Secret::random(), 0, &[0]);
        let sealed = ring
            .seal_public(KeyKind::MetaPublic, 0)
            .unwrap()
            .seal(None, b"", b"", b"x")
            .unwrap();
        let opened = ring
            .seal_secret(KeyKind::MetaSecret, 0)
            .unwrap()
            .open(None, b"", b"", &sealed);
        assert_eq!(opened.unwrap(), b"x");
    }
}
