//! Compresses and expands one block.
//!
//! A block is stored as it is or as one zstd frame (RFC 8878) of a strict form: with its content size, without checksum,
//! without dictionary id, with nothing behind it. The seal around a block detects damage, and the ids of its blobs prove
//! its content, so that a checksum inside would only cost. A *delta* frame has the bytes of older blobs before its
//! window, which the reader must give back in the same order.

mod compressor;
mod decompressor;
mod frame;
mod sample;

pub use compressor::{Compressor, Level};
pub use decompressor::Decompressor;

use crate::error::{Error, Result, Subject};

/// The largest block, and the largest prefix of a delta, that is compressed or expanded: 64 MiB.
///
/// It bounds the memory that a damaged or hostile length can ask for; chunks are at most 16 MiB.
pub const RAW_LEN_MAX: usize = 64 << 20;

/// How the bytes of a block are stored; the number stands in pack directories and in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// As they are.
    Stored = 0,
    /// One zstd frame.
    Zstd = 1,
    /// Reserved: one zstd frame with a dictionary that is a blob. This version reads none.
    Dictionary = 2,
    /// One zstd frame with the bytes of base blobs as raw prefix.
    Delta = 3,
}

impl From<Encoding> for u8 {
    fn from(encoding: Encoding) -> u8 {
        encoding as u8
    }
}

impl TryFrom<u8> for Encoding {
    type Error = Error;

    /// Unsupported for a number this version does not know.
    fn try_from(number: u8) -> Result<Self> {
        match number {
            0 => Ok(Self::Stored),
            1 => Ok(Self::Zstd),
            2 => Ok(Self::Dictionary),
            3 => Ok(Self::Delta),
            _ => {
                Err(Error::unsupported(Subject::None)
                    .detail(format!("encoding {number} of a block")))
            }
        }
    }
}

/// What zstd says about a failure that is not the fault of stored bytes.
fn internal(code: zstd::zstd_safe::ErrorCode) -> Error {
    Error::unsupported(Subject::None).detail(zstd::zstd_safe::get_error_name(code))
}

fn damaged(detail: &'static str) -> Error {
    Error::damaged(Subject::None).detail(detail)
}

fn check_len(len: usize) -> Result<()> {
    match len <= RAW_LEN_MAX {
        true => Ok(()),
        false => Err(Error::invalid("block length").detail(format!("{len} bytes"))),
    }
}

#[cfg(test)]
mod tests;
