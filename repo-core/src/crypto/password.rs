//! Keys from passwords: Argon2id (RFC 9106), 64 bytes out, half of it a commitment.

use super::argon_memory::Blocks;
use super::secret::{KEY_LEN, Secret};
use crate::error::{Error, ErrorKind, Result, Subject};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Length of the salt in bytes.
pub const SALT_LEN: usize = 32;

/// Cost of deriving a key from a password, as it stands in a key slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KdfParams {
    /// Memory in KiB.
    pub m_kib: u32,
    /// Passes over the memory.
    pub t: u32,
    /// Lanes.
    pub p: u32,
}

impl Default for KdfParams {
    /// The second recommended choice of RFC 9106: 64 MiB, 3 passes, 4 lanes.
    fn default() -> Self {
        Self {
            m_kib: 64 << 10,
            t: 3,
            p: 4,
        }
    }
}

impl KdfParams {
    /// What is accepted from a stored slot without being asked to: a hostile one must not exhaust the machine.
    pub const MAX: Self = Self {
        m_kib: 1 << 20,
        t: 64,
        p: 64,
    };

    /// What is accepted at all, even when asked to: 64 GiB, 1024 passes, 255 lanes.
    pub const MAX_ALLOWED: Self = Self {
        m_kib: 64 << 20,
        t: 1024,
        p: 255,
    };

    /// `InvalidInput` if anything is above `max`, or is nothing Argon2 can work with.
    pub fn check(&self, max: &Self) -> Result<()> {
        let sane = self.p >= 1 && self.t >= 1 && self.m_kib >= 8 * self.p;
        if sane && self.m_kib <= max.m_kib && self.t <= max.t && self.p <= max.p {
            return Ok(());
        }
        let text = format!(
            "asks for m = {} KiB, t = {}, p = {}, which is too much or too little",
            self.m_kib, self.t, self.p
        );
        Err(Error::new(
            ErrorKind::InvalidInput,
            Subject::Setting("password cost".into()),
        )
        .detail(text))
    }
}

/// What a password gives: a key that wraps, and a value that says whether it is the right one.
pub struct PasswordKeys {
    /// Wraps the slot's secret.
    pub wrap: Secret,
    /// Stored in clear and compared before anything is opened with `wrap`.
    pub commitment: [u8; KEY_LEN],
}

impl PasswordKeys {
    /// Runs Argon2id, lanes in parallel; takes `m_kib` KiB of memory. The caller has checked `params`.
    pub fn derive(password: &[u8], salt: &[u8; SALT_LEN], params: &KdfParams) -> Result<Self> {
        let invalid = |e: argon2::Error| Error::invalid("password cost").because(e.to_string());
        let mut out = Zeroizing::new([0; 2 * KEY_LEN]);
        let params =
            Params::new(params.m_kib, params.t, params.p, Some(out.len())).map_err(invalid)?;
        let memory = Blocks::new(params.block_count())
            .map_err(|e| Error::io(Subject::None, e).detail("no memory for the password's cost"))?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(password, salt, out.as_mut(), memory)
            .map_err(invalid)?;
        Ok(Self::split(&out))
    }

    /// The same two values from a key file's 32 random bytes, which need no stretching.
    pub fn from_key_file(key: &Secret, salt: &[u8; SALT_LEN]) -> Self {
        let mut out = Zeroizing::new([0; 2 * KEY_LEN]);
        super::expand(
            super::contexts::KEY_FILE,
            &[key.expose(), salt],
            out.as_mut(),
        );
        Self::split(&out)
    }

    fn split(out: &[u8; 2 * KEY_LEN]) -> Self {
        let (wrap, commitment) = out.split_at(KEY_LEN);
        Self {
            wrap: Secret::new(wrap.try_into().expect("half of 64 bytes")),
            commitment: commitment.try_into().expect("half of 64 bytes"),
        }
    }

    /// Whether `stored` is this commitment, in constant time.
    pub fn commits_to(&self, stored: &[u8; KEY_LEN]) -> bool {
        blake3::Hash::from_bytes(self.commitment) == blake3::Hash::from_bytes(*stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_what_a_slot_may_ask_for() {
        KdfParams::default().check(&KdfParams::MAX).unwrap();
        for bad in [
            KdfParams {
                m_kib: (1 << 20) + 1,
                t: 1,
                p: 1,
            },
            KdfParams {
                m_kib: 64,
                t: 65,
                p: 1,
            },
            KdfParams {
                m_kib: 65536,
                t: 1,
                p: 65,
            },
            KdfParams {
                m_kib: 8,
                t: 1,
                p: 2,
            },
            KdfParams {
                m_kib: 8,
                t: 0,
                p: 1,
            },
            KdfParams {
                m_kib: 8,
                t: 1,
                p: 0,
            },
        ] {
            assert!(bad.check(&KdfParams::MAX).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn password_and_salt_decide() {
        let cheap = KdfParams {
            m_kib: 64,
            t: 1,
            p: 1,
        };
        let a = PasswordKeys::derive(b"a", &[1; 32], &cheap).unwrap();
        let b = PasswordKeys::derive(b"b", &[1; 32], &cheap).unwrap();
        let c = PasswordKeys::derive(b"a", &[2; 32], &cheap).unwrap();
        assert!(a.commits_to(&a.commitment));
        assert!(!a.commits_to(&b.commitment) && !a.commits_to(&c.commitment));
        assert_ne!(a.wrap.expose(), &a.commitment);
    }
}
