//! Derives keys, seals and opens bytes; knows nothing of files.
//!
//! Primitives: ChaCha20-Poly1305 (RFC 8439), BLAKE3 keyed and as key derivation, Argon2id (RFC 9106), Ed25519
//! (RFC 8032), HPKE with X25519, HKDF-SHA256 and ChaCha20-Poly1305 (RFC 9180). No secret has a `Debug` that shows it,
//! and all are zeroized when dropped.

mod aead;
mod argon_memory;
mod derive;
mod hpke_seal;
mod keyring;
mod password;
mod secret;
mod sign;

pub use aead::{Cipher, TAG_LEN};
pub use derive::{BlobHasher, BlobType, commitment, contexts, derive, expand};
pub use hpke_seal::{SEALED_KEY_LEN, SealPublic, SealSecret};
pub use keyring::{BundleKey, DomainKeys, KeyKind, Keyring, Role};
pub use password::{KdfParams, PasswordKeys, SALT_LEN};
pub use secret::{KEY_LEN, Secret, fill_random, random_array};
pub use sign::{SIGNATURE_LEN, Signer, verify};
