//! Decides from samples how a block is to be compressed.
//!
//! All costs and gains measured on a Zen 4 (EPYC 9004), November 2026, zstd 1.5.7.

use super::internal;
use crate::error::Result;
use zstd::zstd_safe::{CCtx, CParameter, compress_bound};

/// One sample for randomness: long enough for Huffman coding to pay, short enough to be done in microseconds.
const SAMPLE_BYTES: usize = 4 << 10;

/// Every so many bytes of a block one sample is taken, from the middle.
const STRIDE_BYTES: usize = 32 << 10;

/// Shorter blocks are simply compressed.
const SHORTEST: usize = 2 * STRIDE_BYTES;

/// One sample that shrinks by this part decides alone, so that text costs one sample, and a text among pictures is
/// not overlooked.
const CLEAR_GAIN: usize = 8;

/// One part in so many must be saved over all samples.
///
/// Samples show a quarter of what zstd 3 saves on archives and pictures: blocks of wheels that shrink by 2 to 4 % have
/// samples that shrink by 0.4 %. Blocks below this limit shrink by 0.7 % at most, those of random bytes not at all.
const WORTH_PARTS: usize = 512;

/// The trial that tells lean data from rich.
const TRIAL_BYTES: usize = 16 << 10;

/// Data is lean if level 1 makes the trial this part smaller than level 3 does.
const LEAN_GAIN: usize = 18;

/// Shorter blocks would spend too much of their time on a trial.
const TRIAL_FROM: usize = 512 << 10;

/// Compresses samples.
pub(super) struct Sampler {
    fast: CCtx<'static>,
    usual: CCtx<'static>,
    scratch: Vec<u8>,
}

impl Sampler {
    pub(super) fn new() -> Result<Self> {
        let scratch = Vec::with_capacity(compress_bound(TRIAL_BYTES));
        Ok(Self {
            fast: context(1)?,
            usual: context(3)?,
            scratch,
        })
    }

    /// Whether compressing `plain` is unlikely to pay.
    ///
    /// Costs one sample on text, 10 µs, and 11 GB/s of the block on random bytes, of which level 3 would compress 5 GB/s
    /// and level 19 less than 10 MB/s. What repeats at distances above 4 KiB and only there is taken for random.
    pub(super) fn looks_random(&mut self, plain: &[u8]) -> Result<bool> {
        if plain.len() < SHORTEST {
            return Ok(false);
        }
        let (mut seen, mut kept) = (0, 0);
        for stride in plain.chunks_exact(STRIDE_BYTES) {
            let sample = &stride[(STRIDE_BYTES - SAMPLE_BYTES) / 2..][..SAMPLE_BYTES];
            let len = compressed_len(&mut self.fast, sample, &mut self.scratch)?;
            if len <= SAMPLE_BYTES - SAMPLE_BYTES / CLEAR_GAIN {
                return Ok(false);
            }
            seen += SAMPLE_BYTES;
            kept += len.min(SAMPLE_BYTES);
        }
        Ok(seen - kept < seen / WORTH_PARTS)
    }

    /// Whether level 1 makes `plain` smaller than higher levels do.
    ///
    /// That is so where short matches are frequent and worthless, as in dumps of numbers and of hashes in hexadecimal: a
    /// pgbench dump in 2 MiB blocks is 0.80 of its level 3 size at level 1, and 0.97 at level 9. 16 KiB in the middle
    /// tell: level 1 against level 3 is 0.87 to 0.91 there, 0.93 to 0.94 for tables of numbers (0.90 to 0.99 of the
    /// whole, in half the time), and 0.957 or more for prose, logs, JSON, and 1,500 blocks of sources, programs,
    /// libraries and documents but for one in 200. Costs 85 µs.
    pub(super) fn looks_lean(&mut self, plain: &[u8]) -> Result<bool> {
        if plain.len() < TRIAL_FROM {
            return Ok(false);
        }
        let sample = &plain[(plain.len() - TRIAL_BYTES) / 2..][..TRIAL_BYTES];
        let fast = compressed_len(&mut self.fast, sample, &mut self.scratch)?;
        let usual = compressed_len(&mut self.usual, sample, &mut self.scratch)?;
        Ok(fast < usual - usual / LEAN_GAIN)
    }
}

fn context(level: i32) -> Result<CCtx<'static>> {
    let mut context = CCtx::try_create().ok_or_else(super::compressor::out_of_memory)?;
    context
        .set_parameter(CParameter::CompressionLevel(level))
        .map_err(internal)?;
    Ok(context)
}

fn compressed_len(context: &mut CCtx<'_>, sample: &[u8], scratch: &mut Vec<u8>) -> Result<usize> {
    scratch.clear();
    context.compress2(scratch, sample).map_err(internal)
}
