//! Secret bytes and where randomness comes from.

use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Length of every symmetric key, X25519 key and Ed25519 seed in bytes.
pub const KEY_LEN: usize = 32;

/// A 32-byte secret: zeroized on drop, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; KEY_LEN]);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// 32 bytes from the operating system.
    pub fn random() -> Self {
        Self(random_array())
    }

    /// The bytes, for a primitive that needs them.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Fills `bytes` from the operating system's random source.
///
/// # Panics
/// If the operating system has no randomness to give: nothing safe could be done then.
pub fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

/// `N` bytes from the operating system's random source.
pub fn random_array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill_random(&mut bytes);
    bytes
}
