//! Makes sealed blocks of plain ones: the work of the pool's threads when blobs are written.

use crate::compress::{Compressor, Decompressor, Encoding, Level};
use crate::error::Result;
use crate::pack::{PackKey, Parts, Slabs};
use std::cell::RefCell;

/// What a thread needs to make sealed blocks, and keeps from block to block.
struct Codec {
    /// Made for the level that was asked for last.
    compressor: Option<Compressor>,
    decompressor: Decompressor,
    encoded: Vec<u8>,
    sealed: Vec<u8>,
}

thread_local! {
    static CODEC: RefCell<Option<Codec>> = const { RefCell::new(None) };
}

impl Codec {
    fn new() -> Result<Self> {
        Ok(Self {
            compressor: None,
            decompressor: Decompressor::new()?,
            encoded: Vec::new(),
            sealed: Vec::new(),
        })
    }
}

/// Compresses a block, expands it again and compares, as no bug in a compressor may reach a backup, and seals it.
pub fn encode_and_seal(
    level: Level,
    plain: &[u8],
    key: &PackKey,
    counter: u32,
    slabs: &Slabs,
) -> Result<(Encoding, Parts)> {
    CODEC.with_borrow_mut(|kept| {
        let codec = match kept {
            Some(codec) => codec,
            None => kept.insert(Codec::new()?),
        };
        let (encoding, encoded) = match level {
            // Leaves the compressor to the blocks of trees.
            Level::Off => (Encoding::Stored, plain),
            level => {
                let compressor = match &mut codec.compressor {
                    Some(compressor) if compressor.level() == level => compressor,
                    other => other.insert(Compressor::new(level)?),
                };
                compressor.compress(plain, &mut codec.encoded)?
            }
        };
        // What is stored as it is needs no proof that it can be expanded.
        if encoding != Encoding::Stored {
            codec.decompressor.verify(encoding, encoded, plain, None)?;
        }
        key.seal(counter, encoded, &mut codec.sealed);
        Ok((encoding, slabs.copy(&codec.sealed)))
    })
}
