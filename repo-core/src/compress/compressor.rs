//! Turns the bytes of a block into what is stored.

use super::sample::Sampler;
use super::{Encoding, check_len, internal};
use crate::error::{Error, ErrorKind, Result, Subject};
use zstd::zstd_safe::CParameter::{
    self, ChainLog, ChecksumFlag, CompressionLevel, ContentSizeFlag, DictIdFlag,
    EnableLongDistanceMatching, HashLog, LdmHashRateLog, LdmMinMatch, WindowLog,
};
use zstd::zstd_safe::{CCtx, compress_bound};

/// A block must shrink by one part in so many, else it is stored as it is and costs nothing to read.
const WORTH_PARTS: usize = 64;

/// zstd's level for what [`Sampler::looks_lean`] finds, and for deltas of what is compressed at level 3.
const ZSTD_LEAN: i32 = 1;
const ZSTD_USUAL: i32 = 3;
const ZSTD_DELTA: i32 = 4;

/// The hash table for what [`Sampler::looks_lean`] finds: the smaller, the fewer worthless matches. With 14 as usual
/// for level 1 a pgbench dump is 2 % larger and takes a tenth longer.
const LEAN_HASH_LOG: u32 = 13;

/// The tables of [`Level::Auto`], half and half as large as usual for its level: together 384 KiB, which the nearest
/// cache but one holds beside everything else. Sources of Linux are 0.9 % larger and take a tenth less.
const USUAL_HASH_LOG: u32 = 16;
const USUAL_CHAIN_LOG: u32 = 15;

/// The longest reach of a delta: the window that every reader accepts.
const DELTA_WINDOW_LOG_MAX: u32 = 27;

/// The hash table of a delta of lean data, which must remember a prefix of some MiB: 2 MiB.
const DELTA_LEAN_HASH_LOG: u32 = 19;

/// Long matches in the prefix are looked for from this length on, at one position in 2⁶.
const DELTA_LONG_MATCH: u32 = 48;
const DELTA_LONG_RATE_LOG: u32 = 6;

/// How much work to spend on a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Level {
    /// None: everything is stored as it is.
    Off,
    /// zstd 1.
    Fast,
    /// zstd 3, and 1 for data of which that makes less.
    #[default]
    Auto,
    /// zstd 9, and 1 for data of which that makes less.
    Better,
    /// zstd 19.
    Max,
}

impl Level {
    /// The level as zstd counts; its default, which is not used, for [`Level::Off`].
    fn zstd(self) -> i32 {
        match self {
            Self::Off => 0,
            Self::Fast => ZSTD_LEAN,
            Self::Auto => ZSTD_USUAL,
            Self::Better => 9,
            Self::Max => 19,
        }
    }
}

/// Compresses blocks, one after the other; one for each thread.
pub struct Compressor {
    level: Level,
    context: CCtx<'static>,
    lean: CCtx<'static>,
    sampler: Sampler,
}

impl Compressor {
    /// A compressor of `level`.
    pub fn new(level: Level) -> Result<Self> {
        let mut lean = context(ZSTD_LEAN)?;
        lean.set_parameter(HashLog(LEAN_HASH_LOG))
            .map_err(internal)?;
        let mut usual = context(level.zstd())?;
        if level == Level::Auto {
            set(
                &mut usual,
                [HashLog(USUAL_HASH_LOG), ChainLog(USUAL_CHAIN_LOG)],
            )?;
        }
        Ok(Self {
            level,
            context: usual,
            lean,
            sampler: Sampler::new()?,
        })
    }

    /// The level it was made for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Gives what is to be stored for `plain`, and how: `out`, which is replaced, or `plain` itself.
    ///
    /// Never [`Encoding::Delta`]; [`Encoding::Stored`] when samples say that compressing is not worth the time, and
    /// whenever it did not save one part in 64.
    pub fn compress<'a>(
        &mut self,
        plain: &'a [u8],
        out: &'a mut Vec<u8>,
    ) -> Result<(Encoding, &'a [u8])> {
        check_len(plain.len())?;
        if self.level != Level::Off && !self.sampler.looks_random(plain)? {
            let context = match self.tries_lean() && self.sampler.looks_lean(plain)? {
                true => &mut self.lean,
                false => &mut self.context,
            };
            out.clear();
            out.reserve(compress_bound(plain.len()));
            let len = context.compress2(out, plain).map_err(internal)?;
            if worth(plain.len(), len) {
                return Ok((Encoding::Zstd, out));
            }
        }
        Ok((Encoding::Stored, plain))
    }

    /// Replaces `out` by a delta of `plain` against `prefix`, and says whether it is shorter than `limit` bytes.
    ///
    /// The prefix is what the reader will give: the base blobs, concatenated. `limit` is what the block would take
    /// otherwise; an eighth of `plain` is a good guess. `false` leaves nothing useful in `out`; with [`Level::Off`] there
    /// are no deltas. The two must not overlap in memory, or nothing is found. Takes a context of its own, some MiB, because a borrowed prefix would bind the one that is kept.
    pub fn compress_delta(
        &mut self,
        plain: &[u8],
        prefix: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        check_len(plain.len())?;
        check_len(prefix.len())?;
        if self.level == Level::Off {
            return Ok(false);
        }
        let lean =
            self.level == Level::Fast || self.tries_lean() && self.sampler.looks_lean(plain)?;
        let mut context = delta_context(self.level, lean, plain.len() + prefix.len())?;
        context.ref_prefix(prefix).map_err(internal)?;
        out.clear();
        out.reserve(compress_bound(plain.len()));
        let len = context.compress2(out, plain).map_err(internal)?;
        Ok(len < limit)
    }

    fn tries_lean(&self) -> bool {
        matches!(self.level, Level::Auto | Level::Better)
    }
}

/// A context for a block that reaches back `reach` bytes, its own included.
///
/// Measured on point releases of the kernel (86 MB of changed files, blocks of 1 MiB) and on the changed 282 MB of a
/// pgbench dump (1 MiB with 2 MiB of prefix), one core of a Zen 4, November 2026. Without tables for the whole reach
/// level 3 forgets most of the prefix.
///
/// | parameters | kernel | dump |
/// | --- | --- | --- |
/// | level 3, window only | 1,620 KB, 757 MB/s | – |
/// | level 3, tables of the reach | 401 KB, 352 MB/s | 2,173 KB, 261 MB/s |
/// | level 3, long matches | 314 KB, 600 MB/s | 2,297 KB, 450 MB/s |
/// | level 4, long matches from 48 bytes, rate 6 | **293 KB, 510 MB/s** | 2,094 KB, 277 MB/s |
/// | level 1, table 2¹⁹, long matches | 317 KB, 680 MB/s | **1,969 KB, 457 MB/s** |
fn delta_context<'a>(level: Level, lean: bool, reach: usize) -> Result<CCtx<'a>> {
    let window = reach
        .next_power_of_two()
        .ilog2()
        .clamp(10, DELTA_WINDOW_LOG_MAX);
    let number = match (lean, level) {
        (true, _) => ZSTD_LEAN,
        (false, Level::Auto) => ZSTD_DELTA,
        (false, _) => level.zstd(),
    };
    let mut context = context(number)?;
    set(
        &mut context,
        [WindowLog(window), EnableLongDistanceMatching(true)],
    )?;
    match lean {
        true => set(&mut context, [HashLog(DELTA_LEAN_HASH_LOG.min(window - 2))])?,
        false => set(
            &mut context,
            [
                LdmMinMatch(DELTA_LONG_MATCH),
                LdmHashRateLog(DELTA_LONG_RATE_LOG),
            ],
        )?,
    }
    Ok(context)
}

/// Whether `len` bytes instead of `plain_len` are worth expanding.
fn worth(plain_len: usize, len: usize) -> bool {
    len < plain_len - plain_len / WORTH_PARTS
}

/// A context for blocks.
///
/// The parameters are zstd's own for the level and the length of the block. Sources of Linux 6.1, 1,299 MB in 78,622
/// files, one core of a Zen 4, November 2026, zstd 1.5.7; `tar | zstd -3` makes 204.3 MB of them in 3.6 s, files in one
/// frame without tar 197.3 MB:
///
/// | parameters | 1 MiB blocks | 2 MiB | 4 MiB |
/// | --- | --- | --- | --- |
/// | level 3 (window 21, chain 16, hash 17, match 5) | 207.3 MB, 2.9 s | **202.7 MB, 3.0 s** | 199.9 MB, 3.1 s |
/// | level 3, hash 18, chain 17 | | 202.2 MB, 3.2 s | |
/// | level 3, match 6 | | 205.1 MB, 3.0 s | |
/// | level 4 | | 202.1 MB, 3.4 s | |
/// | level 1 | 227.9 MB, 2.2 s | 225.9 MB, 2.2 s | |
///
/// Larger tables cost a tenth of the time for a quarter of a percent. A pgbench dump, 488 MB in 2 MiB blocks, is 138.5 MB
/// in 1.7 s at level 3; as lean data 109.2 MB in 0.8 s.
fn context<'a>(level: i32) -> Result<CCtx<'a>> {
    let mut context = CCtx::try_create().ok_or_else(out_of_memory)?;
    let parameters = [
        CompressionLevel(level),
        ContentSizeFlag(true),
        ChecksumFlag(false),
        DictIdFlag(false),
    ];
    set(&mut context, parameters)?;
    Ok(context)
}

fn set(context: &mut CCtx<'_>, parameters: impl IntoIterator<Item = CParameter>) -> Result<()> {
    for parameter in parameters {
        context.set_parameter(parameter).map_err(internal)?;
    }
    Ok(())
}

pub(super) fn out_of_memory() -> Error {
    Error::new(ErrorKind::Unavailable, Subject::None).detail("no memory for zstd")
}
