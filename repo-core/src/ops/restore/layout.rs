//! Where in a file data lies and where holes are.

use crate::error::Result;
use crate::fs::{punch_hole, write_at};
use std::fs::File;
use std::ops::Range;

/// What becomes a hole where zeros are not written: file systems know no smaller ones.
const BLOCK_BYTES: u64 = 4096;

static ZEROS: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];

/// Where in a file a run of its data goes: `(file offset, range of the run)`, split at holes.
pub fn spread(
    extents: Option<&[(u64, u64)]>,
    data_offset: u64,
    len: usize,
) -> Vec<(u64, Range<usize>)> {
    let Some(extents) = extents else {
        return vec![(data_offset, 0..len)];
    };
    let mut runs = Vec::new();
    let (mut before, end) = (0, data_offset + len as u64);
    for (offset, extent_len) in extents {
        let (from, to) = (data_offset.max(before), end.min(before + extent_len));
        if from < to {
            let range = (from - data_offset) as usize..(to - data_offset) as usize;
            runs.push((offset + (from - before), range));
        }
        before += extent_len;
    }
    runs
}

/// What of the runs `(offset, len)` lies in none of `others`. Both ascend and do not overlap.
pub fn minus(runs: &[(u64, u64)], others: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut left = Vec::new();
    let mut others = others.iter().peekable();
    for (offset, len) in runs {
        let (mut at, end) = (*offset, offset + len);
        while let Some((other, other_len)) = others.peek() {
            let other_end = other + other_len;
            if *other >= end {
                break;
            }
            if *other > at {
                left.push((at, other - at));
            }
            at = at.max(other_end).min(end);
            if other_end > end {
                break;
            }
            others.next();
        }
        if at < end {
            left.push((at, end - at));
        }
    }
    left
}

/// How zeros are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zeros {
    /// Like everything else.
    Write,
    /// Not at all, block by block: the file is a hole there already.
    Leave,
    /// As holes, block by block.
    Punch,
}

/// Writes bytes into a file, which is long enough.
pub fn write(file: &File, offset: u64, bytes: &[u8], zeros: Zeros) -> Result<()> {
    if zeros == Zeros::Write {
        return write_at(file, offset, bytes);
    }
    for (is_zero, range) in zero_runs(offset, bytes) {
        let at = offset + range.start as u64;
        match (is_zero, zeros) {
            (false, _) => write_at(file, at, &bytes[range])?,
            (true, Zeros::Punch) => punch_hole(file, at, range.len() as u64)?,
            (true, _) => {}
        }
    }
    Ok(())
}

/// Whether bytes at this offset hold a block of zeros.
pub fn has_zero_block(offset: u64, bytes: &[u8]) -> bool {
    zero_runs(offset, bytes).iter().any(|(is_zero, _)| *is_zero)
}

/// Cuts bytes into runs of whole blocks of zeros, and what lies between.
fn zero_runs(offset: u64, bytes: &[u8]) -> Vec<(bool, Range<usize>)> {
    let mut runs: Vec<(bool, Range<usize>)> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let to_border = BLOCK_BYTES - (offset + at as u64) % BLOCK_BYTES;
        let end = bytes.len().min(at.saturating_add(to_border as usize));
        let is_zero = bytes[at..end] == ZEROS[..];
        match runs.last_mut() {
            Some((last, range)) if *last == is_zero => range.end = end,
            _ => runs.push((is_zero, at..end)),
        }
        at = end;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn data_is_spread_around_holes() {
        let extents = [(10, 5), (100, 20)];
        assert_eq!(spread(Some(&extents), 0, 25), [(10, 0..5), (100, 5..25)]);
        assert_eq!(spread(Some(&extents), 3, 4), [(13, 0..2), (100, 2..4)]);
        assert_eq!(
            spread(Some(&extents), 20, 50),
            [(115, 0..5)],
            "no more than there is"
        );
        assert_eq!(spread(None, 7, 3), [(7, 0..3)]);
    }

    #[test]
    fn only_whole_blocks_of_zeros_are_holes() {
        let mut bytes = vec![0; 3 * 4096];
        assert_eq!(zero_runs(0, &bytes), [(true, 0..3 * 4096)]);
        bytes[5000] = 1;
        let runs = zero_runs(0, &bytes);
        assert_eq!(
            runs,
            [(true, 0..4096), (false, 4096..8192), (true, 8192..12288)]
        );
        let runs = zero_runs(100, &bytes);
        assert_eq!(
            runs,
            [(false, 0..8092), (true, 8092..12188), (false, 12188..12288)]
        );
        assert!(!has_zero_block(1, &[0; 4096]) && !has_zero_block(0, &[0; 4095]));
    }

    /// Runs that ascend and do not touch, and the same as a bitmap of 64 bytes.
    fn runs() -> impl Strategy<Value = Vec<(u64, u64)>> {
        proptest::collection::vec(any::<bool>(), 64).prop_map(|bits| {
            let mut runs: Vec<(u64, u64)> = Vec::new();
            for (at, _) in (0..).zip(&bits).filter(|(_, bit)| **bit) {
                match runs.last_mut() {
                    Some((offset, len)) if *offset + *len == at => *len += 1,
                    _ => runs.push((at, 1)),
                }
            }
            runs
        })
    }

    fn bits(runs: &[(u64, u64)]) -> u64 {
        let run =
            |(offset, len): &(u64, u64)| (*offset..offset + len).map(|at| 1 << at).sum::<u64>();
        runs.iter().map(run).sum()
    }

    proptest! {
        #[test]
        fn minus_is_that_of_sets(one in runs(), other in runs()) {
            let left = minus(&one, &other);
            prop_assert_eq!(bits(&left), bits(&one) & !bits(&other));
            prop_assert!(left.is_sorted_by(|a, b| a.0 + a.1 <= b.0));
        }
    }
}
