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

/// What a record takes in memory is at most so many times what it takes encoded.
///
/// Lists of empty strings are the worst: 24 bytes for one. Before it reads a list, `bincode` takes memory for as many items
/// as its length claims, so that the claim is held against the bytes that are there.
const EXPANSION_MAX: usize = 64;

type Config<const LIMIT: usize> = Configuration<LittleEndian, Varint, Limit<LIMIT>>;

const fn config<const LIMIT: usize>() -> Config<LIMIT> {
    bincode::config::standard().with_limit::<LIMIT>()
}

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
    bincode::encode_to_vec(record, config::<RECORD_BYTES_MAX>())
        .expect("records are far smaller than the limit")
}

/// Reads a record. `Damaged` if the bytes are no such record, are followed by others, or claim more than
/// [`RECORD_BYTES_MAX`]. Memory: what the record takes; for bytes that are none, 64 KiB or 512 times as many.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T> {
    let bad = |cause: &dyn std::fmt::Display| {
        Error::damaged(Subject::None)
            .detail("not a valid record")
            .because(cause.to_string())
    };
    // The limit is part of bincode's types: few steps, or every record would be compiled many times.
    const SMALL: usize = 64 << 10;
    const MIDDLE: usize = 1 << 20;
    const LARGE: usize = 8 << 20;
    let decoded = match bytes.len().saturating_mul(EXPANSION_MAX) {
        0..=SMALL => bincode::decode_from_slice(bytes, config::<SMALL>()),
        len if len <= MIDDLE => bincode::decode_from_slice(bytes, config::<MIDDLE>()),
        len if len <= LARGE => bincode::decode_from_slice(bytes, config::<LARGE>()),
        _ => bincode::decode_from_slice(bytes, config::<RECORD_BYTES_MAX>()),
    };
    match decoded {
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
    fn a_claim_is_held_against_what_is_there() {
        // Both claim 30 MiB: one has it.
        let len = 30 << 20;
        let whole = encode(&vec![1u8; len]);
        assert_eq!(decode::<Vec<u8>>(&whole).unwrap().len(), len);
        let error = decode::<Vec<u8>>(&whole[..20]).unwrap_err();
        assert!(format!("{error:?}").contains("LimitExceeded"), "{error:?}");
    }

    #[test]
    fn the_emptiest_items_fit() {
        for count in [10, 1_000, 10_000, 1_000_000] {
            let strings = vec![String::new(); count];
            assert_eq!(decode::<Vec<String>>(&encode(&strings)).unwrap(), strings);
        }
        // Each of its 14 fields takes a byte at least.
        assert!(size_of::<crate::format::tree::Node>() <= 14 * EXPANSION_MAX);
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
