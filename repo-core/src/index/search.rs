//! Search in sorted values when a good guess is at hand.
//!
//! Blob ids are uniformly random, so that the place of an id can be guessed from its first bytes: among n ids the guess
//! is off by at most about √n/2 (the standard deviation of an order statistic). From there we gallop, which is logarithmic
//! in the distance whatever the values are, so that ids made up by an attacker cost no more than a binary search.

use super::layout::print_guess;
use std::convert::Infallible;
use std::ops::Range;

/// The first eight bytes of an id, in its order.
pub(super) fn prefix(id: &[u8]) -> u64 {
    u64::from_be_bytes(*id.first_chunk().expect("an id has 32 bytes"))
}

/// The first index in `0..len` for which `below` is false, or `len`. `below` must be true up to some index and false
/// from there on. Calls it about 2·log₂ of the distance from `guess`; its first error ends the search.
pub(super) fn first_not_below<E>(
    len: usize,
    guess: usize,
    mut below: impl FnMut(usize) -> Result<bool, E>,
) -> Result<usize, E> {
    let guess = guess.min(len);
    let mut step = 1;
    let (mut from, mut to);
    if guess < len && below(guess)? {
        from = guess + 1;
        loop {
            to = from.saturating_add(step).min(len);
            if to == len || !below(to)? {
                break;
            }
            from = to + 1;
            step *= 2;
        }
    } else {
        to = guess;
        loop {
            from = to.saturating_sub(step);
            if from == 0 || below(from - 1)? {
                break;
            }
            to = from - 1;
            step *= 2;
        }
    }
    while from < to {
        let middle = from + (to - from) / 2;
        if below(middle)? {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(from)
}

/// The first of `fences`, which are sorted, that is not below `value`.
pub(super) fn first_fence(fences: &[u64], value: u64) -> usize {
    let guess = (u128::from(value) * fences.len() as u128) >> 64;
    let guess = usize::try_from(guess).expect("less than there are fences");
    let Ok(found) = first_not_below(fences.len(), guess, |at| sure(fences[at] < value));
    found
}

/// The indices in `prints`, which are sorted, of those that equal `print`.
pub(super) fn equal_prints(prints: &[u8], print: u16) -> Range<usize> {
    let prints = prints.as_chunks().0;
    let at = |index: usize| u16::from_le_bytes(prints[index]);
    let (len, guess) = (prints.len(), print_guess(print));
    let Ok(from) = first_not_below(len, guess, |index| sure(at(index) < print));
    let Ok(to) = first_not_below(len, from, |index| sure(at(index) <= print));
    from..to
}

fn sure(answer: bool) -> Result<bool, Infallible> {
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guess_finds_every_value() {
        let values = [1u64, 3, 3, 3, 8, 9, 20, 20, 21];
        for value in 0..23 {
            let expected = values.partition_point(|v| *v < value);
            for guess in 0..12 {
                let Ok(found) = first_not_below(values.len(), guess, |at| sure(values[at] < value));
                assert_eq!(found, expected, "{value} from {guess}");
            }
            assert_eq!(first_fence(&values, value), expected);
        }
        assert_eq!(first_not_below(0, 0, |_| Err(())), Ok(0));
        assert_eq!(first_not_below(1, 0, |_| Err(())), Err(()));
    }

    #[test]
    fn the_worst_guess_costs_two_logarithms() {
        let len = 1 << 20;
        for (target, guess) in [(0, len), (len, 0), (len / 3, 0), (5, len / 2)] {
            let mut calls = 0;
            let Ok(found) = first_not_below(len, guess, |at| {
                calls += 1;
                sure(at < target)
            });
            assert_eq!(found, target);
            assert!(calls <= 42, "{calls} calls");
        }
    }

    #[test]
    fn equal_prints_are_found_wherever_they_are() {
        let prints = [0u16, 5, 5, 5, 700, 60_000, u16::MAX, u16::MAX];
        let bytes: Vec<u8> = prints
            .iter()
            .flat_map(|print| print.to_le_bytes())
            .collect();
        for print in [0, 1, 5, 700, 30_000, 60_000, 60_001, u16::MAX] {
            let from = prints.partition_point(|p| *p < print);
            let to = prints.partition_point(|p| *p <= print);
            assert_eq!(equal_prints(&bytes, print), from..to, "{print}");
        }
        assert_eq!(equal_prints(&[], 7), 0..0);
    }
}
