//! Search in sorted values when a good guess is at hand.
//!
//! Blob ids are uniformly random, so that the place of an id can be guessed from its first bytes: in n rows the guess
//! is off by about √n/2 (the standard deviation of an order statistic). From there we gallop, which is logarithmic in
//! the distance whatever the values are, so that ids made up by an attacker cost no more than a binary search.

use crate::format::rows::{Blob, Row};
use crate::id::ID_LEN;

/// The first eight bytes of an id, in its order.
pub(super) fn prefix(id: &[u8]) -> u64 {
    u64::from_be_bytes(*id.first_chunk().expect("an id has 32 bytes"))
}

/// The first index in `0..len` for which `below` is false, or `len`. `below` must be true up to some index and false
/// from there on. Calls it about 2·log₂ of the distance from `guess`.
pub(super) fn first_not_below(len: usize, guess: usize, below: impl Fn(usize) -> bool) -> usize {
    let guess = guess.min(len);
    let mut step = 1;
    let (mut from, mut to);
    if guess < len && below(guess) {
        from = guess + 1;
        loop {
            to = from.saturating_add(step).min(len);
            if to == len || !below(to) {
                break;
            }
            from = to + 1;
            step *= 2;
        }
    } else {
        to = guess;
        loop {
            from = to.saturating_sub(step);
            if from == 0 || below(from - 1) {
                break;
            }
            to = from - 1;
            step *= 2;
        }
    }
    while from < to {
        let middle = from + (to - from) / 2;
        if below(middle) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    from
}

/// Where `value` would stand among `count` values spread evenly over `low..=high`.
pub(super) fn interpolate(value: u64, low: u64, high: u64, count: usize) -> usize {
    let width = high.saturating_sub(low);
    if width == 0 {
        return 0;
    }
    let part = u128::from(value.saturating_sub(low)) * count as u128 / u128::from(width);
    usize::try_from(part).unwrap_or(count).min(count)
}

/// The first of `fences`, which are sorted, that is not below `value`.
pub(super) fn first_fence(fences: &[u64], value: u64) -> usize {
    let guess = interpolate(value, 0, u64::MAX, fences.len());
    first_not_below(fences.len(), guess, |at| fences[at] < value)
}

/// The first row of `group`, blob rows sorted by id between the prefixes `low` and `high`, whose id is not below `id`.
pub(super) fn first_blob(group: &[u8], low: u64, high: u64, id: &[u8; ID_LEN]) -> usize {
    let count = group.len() / Blob::LEN;
    let value = prefix(id);
    let row = |at: usize| &group[at * Blob::LEN..][..ID_LEN];
    let below = |at: usize| row(at) < id.as_slice();
    let mut guess = interpolate(value, low, high, count);
    // The first guess is off by √n/2 rows; corrected by what stands there, by the fourth root.
    if let Some(last) = count.checked_sub(1) {
        let at = guess.min(last);
        let there = prefix(row(at));
        let off = interpolate(value.abs_diff(there), 0, high.saturating_sub(low), count);
        guess = match there < value {
            true => at + off,
            false => at.saturating_sub(off),
        };
    }
    first_not_below(count, guess, below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn every_guess_finds_every_value() {
        let values = [1u64, 3, 3, 3, 8, 9, 20, 20, 21];
        for value in 0..23 {
            let expected = values.partition_point(|v| *v < value);
            for guess in 0..12 {
                let found = first_not_below(values.len(), guess, |at| values[at] < value);
                assert_eq!(found, expected, "{value} from {guess}");
            }
            assert_eq!(first_fence(&values, value), expected);
        }
        assert_eq!(first_not_below(0, 0, |_| unreachable!()), 0);
    }

    #[test]
    fn the_worst_guess_costs_two_logarithms() {
        let len = 1 << 20;
        for (target, guess) in [(0, len), (len, 0), (len / 3, 0), (5, len / 2)] {
            let calls = Cell::new(0);
            let found = first_not_below(len, guess, |at| {
                calls.set(calls.get() + 1);
                at < target
            });
            assert_eq!(found, target);
            assert!(calls.get() <= 42, "{} calls", calls.get());
        }
    }

    #[test]
    fn blobs_are_found_among_spread_and_crowded_ids() {
        let spread = |i: u32| *blake3::hash(&i.to_le_bytes()).as_bytes();
        let crowded = |i: u32| {
            let mut id = [7; 32];
            id[28..].copy_from_slice(&(i / 2).to_be_bytes());
            id
        };
        for make in [&spread as &dyn Fn(u32) -> [u8; 32], &crowded] {
            let mut ids: Vec<[u8; 32]> = (0..1000).map(make).collect();
            ids.sort_unstable();
            let mut group = Vec::new();
            for id in &ids {
                group.extend_from_slice(id);
                group.extend_from_slice(&[0; 12]);
            }
            let low = prefix(&ids[0]);
            for (i, probe) in ids.iter().chain([&[0; 32], &[255; 32]]).enumerate() {
                let expected = ids.partition_point(|id| id < probe);
                assert_eq!(first_blob(&group, low, u64::MAX, probe), expected, "{i}");
            }
        }
        assert_eq!(first_blob(&[], 0, 0, &[1; 32]), 0);
    }
}
