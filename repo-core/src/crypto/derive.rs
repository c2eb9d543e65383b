//! Keyed BLAKE3 and its key derivation: every context string of the format stands here.

use super::secret::{KEY_LEN, Secret};
use crate::id::{BlobId, stored_by_number};

/// Contexts for `blake3::derive_key`, as `docs/format.md` lists them. Each is used for one purpose only.
pub mod contexts {
    /// Keys that `init` and a new epoch derive from the epoch's root secret, followed by the key's purpose.
    pub const ROLE_KEY: &str = "larder v1 role key";
    /// The commitment to a pack's key.
    pub const PACK_COMMITMENT: &str = "larder v1 pack key commitment";
    /// The message that is signed for a record.
    pub const SIGNATURE: &str = "larder v1 record signature";
    /// The message that an admin signs for a bundle.
    pub const BUNDLE: &str = "larder v1 bundle signature";
    /// The padding of a pack's directory.
    pub const PADDING: &str = "larder v1 pack padding";
    /// The key of a version table, which never leaves the machine that made it.
    pub const VERSION_TABLE: &str = "larder v1 version table";
    /// The key that seals a slot opened by a key file, and its commitment.
    pub const KEY_FILE: &str = "larder v1 key file";
}

/// Which kind of blob: its content is file data or a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BlobType {
    /// A chunk of a file or stream.
    Data = 1,
    /// A directory or a page of one.
    Tree = 2,
}

impl BlobType {
    /// All types.
    pub const ALL: [Self; 2] = [Self::Data, Self::Tree];

    /// The type that is stored as this number.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

stored_by_number!(BlobType, BlobType::ALL);

/// `blake3::derive_key` over the parts, one after another.
pub fn derive(context: &str, parts: &[&[u8]]) -> Secret {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    Secret::new(*hasher.finalize().as_bytes())
}

/// Any number of bytes derived from the parts (BLAKE3's extendable output).
pub fn expand(context: &str, parts: &[&[u8]], out: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize_xof().fill(out);
}

/// A public value that only one key has: whoever opens with another key notices (key commitment; Len, Grubbs,
/// Ristenpart, USENIX Security 2021).
pub fn commitment(key: &Secret) -> [u8; KEY_LEN] {
    blake3::derive_key(contexts::PACK_COMMITMENT, key.expose())
}

/// Names blobs of one domain and type.
#[derive(Clone)]
pub struct BlobHasher(Secret);

impl BlobHasher {
    /// A hasher under the id key of a domain and blob type.
    pub fn new(key: Secret) -> Self {
        Self(key)
    }

    /// The id of a blob: BLAKE3 of its plaintext, keyed.
    pub fn id(&self, plaintext: &[u8]) -> BlobId {
        blake3::keyed_hash(self.0.expose(), plaintext).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivations_differ_by_context_and_parts() {
        let a = derive(contexts::ROLE_KEY, &[b"root", b"1"]);
        let b = derive(contexts::PADDING, &[b"root", b"1"]);
        let c = derive(contexts::ROLE_KEY, &[b"root", b"2"]);
        assert_ne!(a.expose(), b.expose());
        assert_ne!(a.expose(), c.expose());
        let mut out = [0; 64];
        expand(contexts::ROLE_KEY, &[b"root", b"1"], &mut out);
        assert_eq!(&out[..32], a.expose());
    }
}
