//! What stands in a block before it is sealed.

use crate::Split;
use repo_core::compress::{Compressor, Decompressor, Encoding, Level};

/// A claim up to this is tried; what a reader allows is larger, and only costs time here.
const RAW_LEN_MAX: u32 = 1 << 20;

/// Expands any bytes under any encoding and any claim, with and without a prefix; then compresses them and back.
pub fn block(data: &[u8]) {
    let mut split = Split(data);
    let encoding = split.byte();
    let claim = split.number() % RAW_LEN_MAX;
    let prefix = split.piece();
    let stored = split.0;
    let mut decompressor = Decompressor::new().expect("memory");
    let mut out = Vec::new();
    if let Ok(encoding) = Encoding::try_from(encoding) {
        for claim in [claim as usize, stored.len()] {
            for prefix in [None, Some(prefix)] {
                let done = decompressor.decompress(encoding, stored, claim, prefix, &mut out);
                if done.is_ok() {
                    assert_eq!(out.len(), claim);
                }
                if done.is_ok() && encoding == Encoding::Stored {
                    assert_eq!(out, stored);
                }
            }
        }
    }
    let mut packed = Vec::new();
    let mut compressor = Compressor::new(Level::default()).expect("memory");
    let (encoding, packed) = compressor
        .compress(stored, &mut packed)
        .expect("compressing fails only without memory");
    decompressor
        .verify(encoding, packed, stored, None)
        .expect("what was compressed expands");
    assert!(packed.len() <= stored.len());
    let mut other = stored.to_vec();
    other.push(0);
    assert!(decompressor.verify(encoding, packed, &other, None).is_err());
}
