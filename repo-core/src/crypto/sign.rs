//! Ed25519 signatures (RFC 8032).

use super::secret::{Secret, random_array};
use crate::error::{Error, Result, Subject};
use crate::id::WriterId;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// Length of a signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// A key that signs. Its public half names the writer.
#[derive(Clone)]
pub struct Signer(SigningKey);

impl Signer {
    /// The key that grows from a 32-byte seed.
    pub fn from_seed(seed: &Secret) -> Self {
        Self(SigningKey::from_bytes(seed.expose()))
    }

    /// A new key.
    pub fn random() -> Self {
        Self(SigningKey::from_bytes(&random_array()))
    }

    /// The seed, for sealing it into a key slot.
    pub fn seed(&self) -> Secret {
        Secret::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> WriterId {
        WriterId(self.0.verifying_key().to_bytes())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(message).to_bytes()
    }
}

/// Checks a signature strictly (no small-order keys, canonical encodings only). `Damaged` if it is not right.
pub fn verify(writer: &WriterId, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> Result<()> {
    let bad = || Error::damaged(Subject::None).detail("signature does not verify");
    VerifyingKey::from_bytes(&writer.0)
        .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
        .map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_verifies() {
        let signer = Signer::from_seed(&Secret::new([5; 32]));
        let mut signature = signer.sign(b"message");
        verify(&signer.public(), b"message", &signature).unwrap();
        assert!(verify(&signer.public(), b"massage", &signature).is_err());
        assert!(verify(&Signer::random().public(), b"message", &signature).is_err());
        signature[0] ^= 1;
        assert!(verify(&signer.public(), b"message", &signature).is_err());
    }
}
