//! The secret table behind the rolling hash.

use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The context that separates this use of a chunker key from all others.
const CONTEXT: &str = "larder v1 gear table";

const ENTRIES: usize = 256;
const ENTRY_BYTES: usize = 8;

/// The 256 words that a domain's chunker key expands to, and the same shifted left by one (Xia et al. 2020, §3.7).
///
/// 4 KiB, wiped when dropped; compared with nothing and never shown.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Gear {
    pub(super) plain: Box<[u64; ENTRIES]>,
    pub(super) shifted: Box<[u64; ENTRIES]>,
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
        let mut gear = Self {
            plain: Box::new([0; ENTRIES]),
            shifted: Box::new([0; ENTRIES]),
        };
        let (words, _) = bytes.as_chunks::<ENTRY_BYTES>();
        for ((plain, shifted), word) in gear
            .plain
            .iter_mut()
            .zip(gear.shifted.iter_mut())
            .zip(words)
        {
            *plain = u64::from_le_bytes(*word);
            *shifted = *plain << 1;
        }
        gear
    }
}

impl fmt::Debug for Gear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gear(secret)")
    }
}
