//! Sealing to a public key: HPKE (RFC 9180), mode base or psk, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20-Poly1305.
//!
//! With the repository's pre-shared key mixed in, somebody who breaks X25519 but holds no key of the repository still
//! reads nothing.

use super::secret::{KEY_LEN, Secret};
use crate::error::{Error, Result, Subject};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable};

type X25519 = X25519HkdfSha256;

/// What stands before the ciphertext: an encapsulated key of 32 bytes.
const ENCAPPED_LEN: usize = 32;

/// Length of a 32-byte key sealed to a public key.
pub const SEALED_KEY_LEN: usize = ENCAPPED_LEN + KEY_LEN + 16;

const PSK_ID: &[u8] = b"larder v1 psk";

/// A public X25519 key that anyone may seal to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct SealPublic(pub [u8; KEY_LEN]);

/// The secret half, which opens.
#[derive(Clone)]
pub struct SealSecret(Secret);

impl SealSecret {
    /// A new key.
    pub fn random() -> Self {
        Self(Secret::random())
    }

    /// A key from its 32 bytes.
    pub fn new(bytes: Secret) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, for sealing them into a slot or bundle.
    pub fn expose(&self) -> &Secret {
        &self.0
    }

    /// The public half.
    pub fn public(&self) -> SealPublic {
        SealPublic(X25519::sk_to_pk(&self.private()).to_bytes().into())
    }

    fn private(&self) -> <X25519 as Kem>::PrivateKey {
        <X25519 as Kem>::PrivateKey::from_bytes(self.0.expose())
            .expect("any 32 bytes are an X25519 key")
    }

    /// Opens what [`SealPublic::seal`] made with the same `psk`, `info` and `aad`; `Damaged` otherwise.
    pub fn open(
        &self,
        psk: Option<&Secret>,
        info: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>> {
        let bad = || Error::damaged(Subject::None).detail("does not open with this key");
        let (encapped, ciphertext) = sealed.split_at_checked(ENCAPPED_LEN).ok_or_else(bad)?;
        let encapped = <X25519 as Kem>::EncappedKey::from_bytes(encapped).map_err(|_| bad())?;
        let mode = match psk {
            Some(psk) => OpModeR::Psk(psk_bundle(psk)),
            None => OpModeR::Base,
        };
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519>(
            &mode,
            &self.private(),
            &encapped,
            info,
            ciphertext,
            aad,
        )
        .map_err(|_| bad())
    }
}

impl SealPublic {
    /// Seals `plaintext`: 32 bytes encapsulated key, then ciphertext and tag. `Damaged` if this is no usable key.
    pub fn seal(
        &self,
        psk: Option<&Secret>,
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>> {
        let bad = || Error::damaged(Subject::None).detail("not a usable X25519 key");
        let public = <X25519 as Kem>::PublicKey::from_bytes(&self.0).map_err(|_| bad())?;
        let mode = match psk {
            Some(psk) => OpModeS::Psk(psk_bundle(psk)),
            None => OpModeS::Base,
        };
        let (encapped, ciphertext) =
            hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519>(
                &mode, &public, info, plaintext, aad,
            )
            .map_err(|_| bad())?;
        let mut sealed = encapped.to_bytes().to_vec();
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }
}

fn psk_bundle(psk: &Secret) -> PskBundle<'_> {
    PskBundle::new(psk.expose(), PSK_ID).expect("neither part is empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_to_a_public_key() {
        let secret = SealSecret::new(Secret::new([3; 32]));
        let psk = Secret::new([4; 32]);
        let sealed = secret
            .public()
            .seal(Some(&psk), b"info", b"aad", &[9; 32])
            .unwrap();
        assert_eq!(sealed.len(), SEALED_KEY_LEN);
        assert_eq!(
            secret.open(Some(&psk), b"info", b"aad", &sealed).unwrap(),
            [9; 32]
        );
        assert!(secret.open(None, b"info", b"aad", &sealed).is_err());
        assert!(secret.open(Some(&psk), b"other", b"aad", &sealed).is_err());
        assert!(secret.open(Some(&psk), b"info", b"other", &sealed).is_err());
        assert!(
            SealSecret::random()
                .open(Some(&psk), b"info", b"aad", &sealed)
                .is_err()
        );
        assert!(
            secret
                .open(Some(&psk), b"info", b"aad", &sealed[..20])
                .is_err()
        );
    }
}
