//! The one place that encodes and decodes records (`docs/format.md`, "Records").
//!
//! `bincode` 2.0.1, standard configuration: little endian, variable-length integers, lengths as variable-length u64,
//! fields in order and nothing else. The crate is no longer maintained (RUSTSEC-2025-0141); the bytes are described in
//! our own words, pinned by golden vectors and compared with `wincode` in the tests, so that it can be replaced.
//! Stored bytes are hashed, never re-encoded values: decoding is not injective.

use crate::error::{Error, Result, Subject};
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

/// Most bytes that one decoded record may take in memory.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

type Config = Configuration<LittleEndian, Varint, Limit<RECORD_BYTES_MAX>>;

const CONFIG: Config = bincode::config::standard().with_limit::<RECORD_BYTES_MAX>();

/// A field that a later version added: a number and bytes.
///
/// If the number's highest bit is set, a program that does not know it must not go on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Ext {
    /// Which field.
    pub tag: u16,
    /// Its value.
    pub bytes: Vec<u8>,
}

/// The bit of a tag or kind that means: who does not know this must not go on.
pub const MUST_UNDERSTAND: u16 = 0x8000;

/// Refuses fields that must be understood and are not; version 1 knows none.
pub fn check_ext(ext: &[Ext]) -> Result<()> {
    match ext.iter().find(|field| field.tag & MUST_UNDERSTAND != 0) {
        Some(field) => Err(Error::unsupported(Subject::None).detail(format!(
            "field {:#06x} was written by a newer version",
            field.tag
        ))),
        None => Ok(()),
    }
}

/// The bytes of a record.
///
/// # Panics
/// If the record is larger than [`RECORD_BYTES_MAX`]; writers keep far below it.
pub fn encode<T: Encode>(record: &T) -> Vec<u8> {
    bincode::encode_to_vec(record, CONFIG).expect("records are far smaller than the limit")
}

/// Reads a record. `Damaged` if the bytes are no such record, are followed by others, or claim more than
/// [`RECORD_BYTES_MAX`].
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T> {
    let bad = |cause: &dyn std::fmt::Display| {
        Error::damaged(Subject::None)
            .detail("not a valid record")
            .because(cause.to_string())
    };
    match bincode::decode_from_slice(bytes, CONFIG) {
        Ok((record, used)) if used == bytes.len() => Ok(record),
        Ok((_, used)) => Err(bad(&format!("{} bytes follow it", bytes.len() - used))),
        Err(e) => Err(bad(&e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_documented() {
        let record = (
            7u8,
            250u32,
            251u32,
            70_000u64,
            -2i64,
            Some(1u8),
            None::<u8>,
            "ab".to_string(),
        );
        let bytes = encode(&record);
        #[rustfmt::skip]
        let expected = [
            7, 250, 251, 251, 0, 252, 0x70, 0x11, 1, 0, 3, 1, 1, 0, 2, b'a', b'b',
        ];
        assert_eq!(bytes, expected);
        type Record = (u8, u32, u32, u64, i64, Option<u8>, Option<u8>, String);
        assert_eq!(decode::<Record>(&bytes).unwrap(), record);
    }

    #[test]
    fn refuses_trailing_bytes_and_claims() {
        assert!(decode::<u8>(&[1, 2]).is_err());
        assert!(decode::<Vec<u64>>(&[253, 0, 0, 0, 0, 1, 0, 0, 0]).is_err());
        assert!(decode::<Vec<u8>>(&[5, 1]).is_err());
    }

    #[test]
    fn must_understand_is_refused() {
        check_ext(&[Ext {
            tag: 0x7fff,
            bytes: vec![],
        }])
        .unwrap();
        assert!(
            check_ext(&[Ext {
                tag: 0x8000,
                bytes: vec![]
            }])
            .is_err()
        );
    }
}
