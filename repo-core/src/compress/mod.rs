//! Compresses and expands one block.

use crate::error::{Error, Result, Subject};
use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter};

/// How a block is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// As it is.
    Stored = 0,
    /// One zstd frame.
    Zstd = 1,
    /// Reserved.
    Dictionary = 2,
    /// One zstd frame with a raw prefix.
    Delta = 3,
}

impl TryFrom<u8> for Encoding {
    type Error = u8;
    fn try_from(n: u8) -> Result<Self, u8> {
        [Self::Stored, Self::Zstd, Self::Dictionary, Self::Delta]
            .into_iter()
            .find(|e| *e as u8 == n)
            .ok_or(n)
    }
}

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Level 3.
    #[default]
    Auto,
}

/// Compresses.
pub struct Compressor(CCtx<'static>);
/// Expands.
pub struct Decompressor(DCtx<'static>, Vec<u8>);

fn bad(code: usize) -> Error {
    Error::damaged(Subject::None).detail(zstd::zstd_safe::get_error_name(code))
}

impl Compressor {
    /// New.
    pub fn new(_level: Level) -> Result<Self> {
        let mut c = CCtx::create();
        c.set_parameter(CParameter::CompressionLevel(3))
            .map_err(bad)?;
        Ok(Self(c))
    }
    /// Level.
    pub fn set_level(&mut self, _level: Level) -> Result<()> {
        Ok(())
    }
    /// Compresses.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<Encoding> {
        out.clear();
        out.reserve(zstd::zstd_safe::compress_bound(plain.len()) + 16);
        self.0.compress2(out, plain).map_err(bad)?;
        if out.len() >= plain.len() {
            out.clear();
            out.extend_from_slice(plain);
            return Ok(Encoding::Stored);
        }
        Ok(Encoding::Zstd)
    }
}

impl Decompressor {
    /// New.
    pub fn new() -> Result<Self> {
        let mut d = DCtx::create();
        d.set_parameter(DParameter::WindowLogMax(27)).map_err(bad)?;
        Ok(Self(d, Vec::new()))
    }
    /// Expands.
    pub fn decompress(
        &mut self,
        e: Encoding,
        stored: &[u8],
        raw_len: usize,
        _prefix: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        out.clear();
        match e {
            Encoding::Stored => out.extend_from_slice(stored),
            _ => {
                out.reserve(raw_len);
                self.0.decompress(out, stored).map_err(bad)?;
            }
        }
        if out.len() != raw_len {
            return Err(Error::damaged(Subject::None).detail("length"));
        }
        Ok(())
    }
    /// Verifies.
    pub fn verify(
        &mut self,
        e: Encoding,
        stored: &[u8],
        plain: &[u8],
        prefix: Option<&[u8]>,
    ) -> Result<()> {
        let mut b = std::mem::take(&mut self.1);
        let r = self.decompress(e, stored, plain.len(), prefix, &mut b);
        let same = b == plain;
        self.1 = b;
        r?;
        if same {
            Ok(())
        } else {
            Err(Error::damaged(Subject::None))
        }
    }
}
