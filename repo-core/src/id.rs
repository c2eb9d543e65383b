//! 32-byte ids and their types.
//!
//! An id names something by what it is: an object by the BLAKE3 hash of its stored bytes, a blob by the keyed
//! BLAKE3 hash of its plaintext. Each kind has a type of its own, so that one is never taken for another.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Length of every id in bytes.
pub const ID_LEN: usize = 32;

/// How many hex digits are shown where an id is meant for a person.
pub const SHORT_LEN: usize = 8;

/// A text that is not an id: not 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected 64 hexadecimal digits")
    }
}

impl std::error::Error for NotAnId {}

/// Writes `bytes` as lower-case hex digits.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Reads hex digits of either case; `None` for an odd count or any other character.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| Some((digit(pair[0])? << 4) | digit(pair[1])?))
        .collect()
}

/// Stores an enumeration in records as one byte: the number that its declaration gives each variant, whatever their order.
macro_rules! stored_by_number {
    ($name:ty, $all:expr) => {
        impl bincode::Encode for $name {
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> std::result::Result<(), bincode::error::EncodeError> {
                bincode::Encode::encode(&(*self as u8), encoder)
            }
        }

        impl<C> bincode::Decode<C> for $name {
            fn decode<D: bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> std::result::Result<Self, bincode::error::DecodeError> {
                let number = <u8 as bincode::Decode<C>>::decode(decoder)?;
                let found = $all.into_iter().find(|variant| *variant as u8 == number);
                found.ok_or(bincode::error::DecodeError::Other(
                    "a number that no variant has",
                ))
            }
        }

        bincode::impl_borrow_decode!($name);
    };
}
pub(crate) use stored_by_number;

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default, bincode::Encode, bincode::Decode)]
        pub struct $name(pub [u8; ID_LEN]);

        /// In the order of the bytes; ids are sorted by the million, and their first bytes nearly always decide.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                let first = |id: &Self| u64::from_be_bytes(*id.0.first_chunk().expect("32 bytes"));
                first(self).cmp(&first(other)).then_with(|| self.0.cmp(&other.0))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// Reads an id from a slice of exactly 32 bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes of the id.
            pub fn as_bytes(&self) -> &[u8; ID_LEN] {
                &self.0
            }

            /// All 64 hex digits.
            pub fn to_hex(&self) -> String {
                to_hex(&self.0)
            }

            /// The first hex digits, for people.
            pub fn short(&self) -> String {
                to_hex(&self.0[..SHORT_LEN / 2])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> std::result::Result<Self, NotAnId> {
                from_hex(text).and_then(|bytes| Self::from_slice(&bytes)).ok_or(NotAnId)
            }
        }

        impl From<blake3::Hash> for $name {
            fn from(hash: blake3::Hash) -> Self {
                Self(*hash.as_bytes())
            }
        }
    )*};
}

id_types! {
    /// Names a repository: 32 random bytes, made by `init`.
    RepositoryId;
    /// Names a blob: BLAKE3 of its plaintext, keyed per domain and blob type.
    BlobId;
    /// Names a pack: BLAKE3 of its stored bytes.
    PackId;
    /// Names an index table object: BLAKE3 of its stored bytes.
    IndexId;
    /// Names a snapshot object: BLAKE3 of its stored bytes.
    SnapshotId;
    /// Names a state table of a checkpoint: BLAKE3 of its stored bytes.
    StateId;
    /// Names a piece of evidence: BLAKE3 of its stored bytes.
    EvidenceId;
    /// Names a key slot: BLAKE3 of its stored bytes.
    KeyId;
    /// The BLAKE3 hash of a log entry's stored core.
    EntryHash;
    /// A public Ed25519 key that signs; it names a writer.
    WriterId;
}

impl PackId {
    /// Whether it is the name of these bytes, as a pack is stored.
    pub fn is_of(&self, stored: &[u8]) -> bool {
        Self::from(blake3::hash(stored)) == *self
    }
}

/// One dedup universe: blobs of different domains never share storage.
pub type Domain = u32;

/// Counts the generations of a repository's keys; a new one revokes removed slots for new data.
pub type KeyEpoch = u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trip_and_rejects() {
        let id = BlobId([0xa5; 32]);
        assert_eq!(id.to_hex().parse::<BlobId>().unwrap(), id);
        assert_eq!(id.short(), "a5a5a5a5");
        assert!("a5".parse::<BlobId>().is_err());
        assert!("zz".repeat(32).parse::<BlobId>().is_err());
        assert!(from_hex("abc").is_none());
    }
}
