//! Turns what is stored of a block into its bytes.

use super::compressor::out_of_memory;
use super::{Encoding, check_len, damaged, frame};
use crate::error::{Error, Result, Subject};
use zstd::zstd_safe::{DCtx, get_error_name};

/// Expands blocks, one after the other; one for each thread.
pub struct Decompressor {
    context: DCtx<'static>,
    scratch: Vec<u8>,
}

impl Decompressor {
    /// A decompressor; about 160 KB, and the largest block it has verified.
    pub fn new() -> Result<Self> {
        Ok(Self {
            context: create()?,
            scratch: Vec::new(),
        })
    }

    /// Replaces `out` by the `raw_len` bytes that `stored` stands for.
    ///
    /// Damaged unless it is exactly that: another length, anything behind the frame, a window above 128 MiB are refused.
    /// `raw_len` is bounded by 64 MiB here and should be by what the caller knows; `out` grows to it and no further.
    /// `prefix` must be what a delta was made with, and `None` for all others.
    pub fn decompress(
        &mut self,
        encoding: Encoding,
        stored: &[u8],
        raw_len: usize,
        prefix: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        check_len(raw_len)?;
        check_prefix(encoding, prefix)?;
        out.clear();
        match (encoding, prefix) {
            (Encoding::Stored, _) if stored.len() == raw_len => out.extend_from_slice(stored),
            (Encoding::Stored, _) => return Err(damaged("a stored block of another length")),
            (Encoding::Dictionary, _) => {
                return Err(Error::unsupported(Subject::None).detail("a block with a dictionary"));
            }
            (Encoding::Zstd | Encoding::Delta, None) => {
                expand(&mut self.context, stored, raw_len, out)?;
            }
            (Encoding::Zstd | Encoding::Delta, Some(prefix)) => {
                let mut context = create()?;
                context.ref_prefix(prefix).map_err(super::internal)?;
                expand(&mut context, stored, raw_len, out)?;
            }
        }
        Ok(())
    }

    /// Damaged unless `stored` expands to `plain` again.
    ///
    /// To be called with every block before it is sealed: a defect of the compressor or of memory is found while the
    /// original is still there. Costs one expansion into a buffer that is kept, and a comparison.
    pub fn verify(
        &mut self,
        encoding: Encoding,
        stored: &[u8],
        plain: &[u8],
        prefix: Option<&[u8]>,
    ) -> Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let same = match encoding {
            Encoding::Stored => check_prefix(encoding, prefix).map(|()| stored == plain),
            _ => self
                .decompress(encoding, stored, plain.len(), prefix, &mut scratch)
                .map(|()| scratch == plain),
        };
        self.scratch = scratch;
        match same? {
            true => Ok(()),
            false => Err(damaged("a block does not expand to what was compressed")),
        }
    }
}

fn create<'a>() -> Result<DCtx<'a>> {
    DCtx::try_create().ok_or_else(out_of_memory)
}

/// A prefix belongs to a delta, and a delta needs one.
fn check_prefix(encoding: Encoding, prefix: Option<&[u8]>) -> Result<()> {
    check_len(prefix.map_or(0, <[u8]>::len))?;
    match prefix.is_some() == (encoding == Encoding::Delta) {
        true => Ok(()),
        false => Err(Error::invalid("prefix of a block")),
    }
}

fn expand(context: &mut DCtx<'_>, stored: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()> {
    frame::check(stored, raw_len)?;
    out.reserve_exact(raw_len);
    let len = context
        .decompress(out, stored)
        .map_err(|code| Error::damaged(Subject::None).detail(get_error_name(code)))?;
    match len == raw_len {
        true => Ok(()),
        false => Err(damaged("a zstd frame of another length")),
    }
}
