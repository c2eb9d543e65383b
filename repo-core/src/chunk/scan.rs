//! The loops that look for a cut, fast and exactly as `fastcdc::v2020::cut_gear` does.
//!
//! The hash at a byte is the sum of the table's words of that byte and its predecessors, each shifted left by its
//! distance: H ← 2·H + gear[byte]. A mask has no bit above 47, so that whether a byte is a cut depends on 48 bytes and
//! no more. Therefore several places can be searched at once, each after warming up with the 48 bytes before it, and
//! the processor is no longer bound by the latency of one chain of additions, which is what limits the plain loop.
//! Only the first 48 bytes after `min` are different: the hash starts there with nothing, so they have shorter windows.
//!
//! Measured on random bytes and on text that lie in the cache, as they do behind a read, one core of a Zen 4 (EPYC 9004,
//! November 2026, bench `chunk`): at 16, 64 and 256 KiB on average 4.1, 4.3, 4.5 GB/s; the crate's loop 3.1, 3.1, 3.2.

use super::gear::{Gear, Tables};
use std::ops::Range;

/// Bytes that decide about one position, because masks end below bit 48.
pub(super) const WINDOW: usize = 48;

/// Places searched at once: two are slower by 9 %, four no faster.
const LANES: usize = 3;

/// Bytes that one lane searches between warm-ups. Longer lanes waste more behind the cut that is found, shorter ones
/// more on warming up: 48 of 1024 bytes are 5 %.
const LANE_BYTES: usize = 1024;

const STRIDE_BYTES: usize = LANES * LANE_BYTES;

/// The first cut in `data[from..to]`, where the hash starts with nothing at `from`. `to - from` is even.
pub(super) fn start(gear: &Gear, data: &[u8], from: usize, to: usize, mask: u64) -> Option<usize> {
    let warm = to.min(from + WINDOW);
    search(gear.tables(), data, from..warm, mask, 0)
        .or_else(|| windows(gear, data, from, warm, to, mask))
}

/// The first cut in `data[from..to]`, where all windows lie within `data[first..]`. `to - from` is even.
pub(super) fn windows(
    gear: &Gear,
    data: &[u8],
    first: usize,
    from: usize,
    to: usize,
    mask: u64,
) -> Option<usize> {
    if from >= to {
        return None;
    }
    if to - from < STRIDE_BYTES {
        return resume(gear, data, first, from..to, mask);
    }
    let mut at = from;
    while at < to {
        // A rest shorter than a stride: search some positions again, they are known to be no cuts.
        at = at.min(to - STRIDE_BYTES);
        let lanes = std::array::from_fn(|lane| {
            let bytes = &data[at + lane * LANE_BYTES - WINDOW..];
            bytes.first_chunk().expect("a stride lies within data")
        });
        if let Some(searched) = stride(gear.tables(), lanes, mask) {
            // One lane has a cut here, and those before it may have an earlier one further on.
            let rest = |lane| at + lane * LANE_BYTES + searched..at + (lane + 1) * LANE_BYTES;
            return (0..LANES).find_map(|lane| resume(gear, data, first, rest(lane), mask));
        }
        at += STRIDE_BYTES;
    }
    None
}

/// How many bytes of all lanes have no cut before one of them has; `None` if none has any.
///
/// Registers decide the speed: four hashes, two masks, one address for the tables and one for the lanes. That is why
/// it says no more about the cut.
#[inline(never)]
fn stride(tables: &Tables, lanes: [&[u8; WINDOW + LANE_BYTES]; LANES], mask: u64) -> Option<usize> {
    let mut hashes = [0; LANES];
    for i in 0..WINDOW {
        for (hash, bytes) in hashes.iter_mut().zip(lanes) {
            *hash = roll(tables, *hash, bytes[i]);
        }
    }
    for i in (WINDOW..WINDOW + LANE_BYTES).step_by(2) {
        for (hash, bytes) in hashes.iter_mut().zip(lanes) {
            if step(tables, [bytes[i], bytes[i + 1]], hash, mask).is_some() {
                return Some(i - WINDOW);
            }
        }
    }
    None
}

/// The first cut in `within`, the hash taken up from the bytes before it, but none before `first`.
fn resume(
    gear: &Gear,
    data: &[u8],
    first: usize,
    within: Range<usize>,
    mask: u64,
) -> Option<usize> {
    let before = &data[first.max(within.start.saturating_sub(WINDOW))..within.start];
    let hash = before
        .iter()
        .fold(0, |hash, byte| roll(gear.tables(), hash, *byte));
    search(gear.tables(), data, within, mask, hash)
}

/// The first cut in an even number of bytes of `data`, with `hash` that of the byte before them.
#[inline]
fn search(
    tables: &Tables,
    data: &[u8],
    within: Range<usize>,
    mask: u64,
    mut hash: u64,
) -> Option<usize> {
    let (pairs, _) = data[within.clone()].as_chunks();
    let found = pairs
        .iter()
        .enumerate()
        .find_map(|(i, pair)| step(tables, *pair, &mut hash, mask).map(|odd| 2 * i + odd));
    found.map(|at| within.start + at)
}

/// Rolls `hash` over two bytes at the price of one shift, and says which of them is a cut.
#[inline(always)]
fn step(tables: &Tables, pair: [u8; 2], hash: &mut u64, mask: u64) -> Option<usize> {
    *hash = (*hash << 2).wrapping_add(tables.shifted[usize::from(pair[0])]);
    if *hash & mask << 1 == 0 {
        return Some(0);
    }
    *hash = hash.wrapping_add(tables.plain[usize::from(pair[1])]);
    (*hash & mask == 0).then_some(1)
}

#[inline(always)]
fn roll(tables: &Tables, hash: u64, byte: u8) -> u64 {
    (hash << 1).wrapping_add(tables.plain[usize::from(byte)])
}
