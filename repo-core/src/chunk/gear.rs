//! The secret table behind the rolling hash.

use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The context that separates this use of a chunker key from all others.
const CONTEXT: &str = "larder v1 gear table";

const ENTRIES: usize = 256;
const ENTRY_BYTES: usize = 8;

/// The 256 words that a domain's chunker key expands to, and the same shifted left by one (Xia et al. 2020, §3.7).
///
/// 4 KiB, wiped when dropped, and never shown.
pub struct Gear(Box<Tables>);

/// Both tables in one place, so that the loop needs one register for their address.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Tables {
    pub(super) plain: [u64; ENTRIES],
    pub(super) shifted: [u64; ENTRIES],
}

impl Gear {
    /// Expands `key` with BLAKE3 in key derivation mode to 2048 bytes; entry *i* is the little-endian word at 8 *i*.
    pub fn from_key(key: &[u8; 32]) -> Self {
        let mut bytes = Zeroizing::new([0; ENTRIES * ENTRY_BYTES]);
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(key);
        let mut output = hasher.finalize_xof();
        output.fill(&mut *bytes);
        output.zeroize();
        hasher.zeroize();
        let mut tables = Box::new(Tables {
            plain: [0; ENTRIES],
            shifted: [0; ENTRIES],
        });
        let (words, _) = bytes.as_chunks::<ENTRY_BYTES>();
        for (i, word) in words.iter().enumerate() {
            tables.plain[i] = u64::from_le_bytes(*word);
            tables.shifted[i] = tables.plain[i] << 1;
        }
        Self(tables)
    }

    pub(super) fn tables(&self) -> &Tables {
        &self.0
    }
}

impl fmt::Debug for Gear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gear(secret)")
    }
}
