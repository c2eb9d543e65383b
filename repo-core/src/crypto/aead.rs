//! ChaCha20-Poly1305 over whole messages, in place.

use super::secret::{KEY_LEN, Secret};
use crate::error::{Error, Result, Subject};
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};

/// Bytes that sealing adds.
pub const TAG_LEN: usize = 16;

/// One key of ChaCha20-Poly1305 (RFC 8439).
///
/// A key and a counter are never used for two plaintexts: keys here are made for one file, or one pack whose blocks
/// are counted, and what is sent again after a failure is the same bytes.
pub struct Cipher(ChaCha20Poly1305);

impl Cipher {
    /// A cipher under `key`.
    pub fn new(key: &Secret) -> Self {
        Self(ChaCha20Poly1305::new(key.expose().into()))
    }

    /// Encrypts `bytes[from..]` in place and appends the tag. The nonce is `counter`, 12 bytes little endian.
    pub fn seal(&self, counter: u64, aad: &[u8], bytes: &mut Vec<u8>, from: usize) {
        let tag = self
            .0
            .encrypt_inout_detached(&nonce(counter), aad, (&mut bytes[from..]).into())
            .expect("a message is far below the cipher's limit of 256 GiB");
        bytes.extend_from_slice(&tag);
    }

    /// Replaces `sealed` by the ciphertext of `plain` and its tag. The nonce is `counter`, 12 bytes little endian.
    pub fn seal_from(&self, counter: u64, aad: &[u8], plain: &[u8], sealed: &mut Vec<u8>) {
        sealed.resize(plain.len() + TAG_LEN, 0);
        let (bytes, place) = sealed.split_at_mut(plain.len());
        let buffers = InOutBuf::new(plain, bytes).expect("both are of one length");
        let tag = self
            .0
            .encrypt_inout_detached(&nonce(counter), aad, buffers)
            .expect("a message is far below the cipher's limit of 256 GiB");
        place.copy_from_slice(&tag);
    }

    /// Decrypts `bytes` in place and takes the tag off; on an error what `bytes` holds is meaningless.
    ///
    /// `Damaged` without a subject if key, counter, `aad` or bytes are not those it was sealed with.
    pub fn open(&self, counter: u64, aad: &[u8], bytes: &mut Vec<u8>) -> Result<()> {
        let opened = self.open_slice(counter, aad, bytes)?.len();
        bytes.truncate(opened);
        Ok(())
    }

    /// As [`Cipher::open`], for bytes that lie inside a larger buffer; gives the plaintext's part of it.
    pub fn open_slice<'a>(
        &self,
        counter: u64,
        aad: &[u8],
        bytes: &'a mut [u8],
    ) -> Result<&'a [u8]> {
        let bad = || Error::damaged(Subject::None).detail("does not decrypt");
        let plain_len = bytes.len().checked_sub(TAG_LEN).ok_or_else(bad)?;
        let (plain, tag) = bytes.split_at_mut(plain_len);
        let tag = Tag::try_from(&*tag).map_err(|_| bad())?;
        self.0
            .decrypt_inout_detached(&nonce(counter), aad, (&mut *plain).into(), &tag)
            .map_err(|_| bad())?;
        Ok(plain)
    }

    /// Seals one 32-byte key under this one: 48 bytes. Counter 0, so this cipher seals nothing else.
    pub fn seal_key(&self, key: &Secret) -> Vec<u8> {
        let mut sealed = key.expose().to_vec();
        sealed.reserve_exact(TAG_LEN);
        self.seal(0, &[], &mut sealed, 0);
        sealed
    }

    /// Opens what [`Cipher::seal_key`] made.
    pub fn open_key(&self, sealed: &[u8]) -> Result<Secret> {
        let mut bytes = <[u8; KEY_LEN + TAG_LEN]>::try_from(sealed)
            .map_err(|_| Error::damaged(Subject::None).detail("a sealed key has 48 bytes"))?;
        let plain = self.open_slice(0, &[], &mut bytes)?;
        Ok(Secret::new(
            plain.try_into().expect("48 bytes less a tag of 16"),
        ))
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&counter.to_le_bytes());
    nonce.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::from_hex;

    #[test]
    fn agrees_with_rfc_8439() {
        // The nonces of the RFC's own vectors are no counters; this one was made with Python's `cryptography` 48.
        let key = Secret::new(std::array::from_fn(|i| i as u8));
        let mut bytes = b"larder".to_vec();
        Cipher::new(&key).seal(7, b"aad", &mut bytes, 0);
        let again = {
            let mut again = bytes.clone();
            Cipher::new(&key).open(7, b"aad", &mut again).unwrap();
            again
        };
        assert_eq!(again, b"larder");
        assert_eq!(bytes.len(), 6 + TAG_LEN);
        assert_eq!(bytes, from_hex(VECTOR).unwrap());
        let mut other = vec![7; 99];
        Cipher::new(&key).seal_from(7, b"aad", b"larder", &mut other);
        assert_eq!(other, bytes);
    }

    const VECTOR: &str = "f019fee59b5efcc6692d9a8444eaab6f6459d9139c88";

    #[test]
    fn refuses_what_was_changed() {
        let cipher = Cipher::new(&Secret::new([1; 32]));
        let mut sealed = vec![9; 100];
        cipher.seal(3, b"a", &mut sealed, 0);
        assert!(cipher.open(4, b"a", &mut sealed.clone()).is_err());
        assert!(cipher.open(3, b"b", &mut sealed.clone()).is_err());
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(cipher.open(3, b"a", &mut flipped).is_err(), "byte {at}");
        }
        assert!(cipher.open(3, b"a", &mut sealed[..10].to_vec()).is_err());
        cipher.open(3, b"a", &mut sealed).unwrap();
        assert_eq!(sealed, vec![9; 100]);
    }

    #[test]
    fn seals_keys() {
        let cipher = Cipher::new(&Secret::new([1; 32]));
        let sealed = cipher.seal_key(&Secret::new([7; 32]));
        assert_eq!(cipher.open_key(&sealed).unwrap().expose(), &[7; 32]);
        assert!(cipher.open_key(&sealed[1..]).is_err());
    }
}
