//! Which data packs a check reads that reads a part of them.

use crate::crypto::random_array;
use crate::error::{Error, Result};
use crate::id::PackId;

/// A part of all data packs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Subset {
    /// The packs whose id, read as a number, leaves `part - 1` when divided by `parts`: which part a pack belongs to never
    /// changes, so that checks of part 1 to `parts` read every pack that is there all the while.
    Part {
        /// Counted from 1.
        part: u32,
        /// How many there are.
        parts: u32,
    },
    /// This many of a hundred packs, above 0 and at most 100, taken at random; one at least.
    Percent(f64),
    /// As many packs as hold about this many bytes, more than 0, taken at random; one at least.
    Bytes(u64),
}

impl Subset {
    /// `InvalidInput` if there is no such part.
    pub fn check(&self) -> Result<()> {
        let fits = match *self {
            Self::Part { part, parts } => (1..=parts).contains(&part),
            Self::Percent(percent) => percent > 0.0 && percent <= 100.0,
            Self::Bytes(bytes) => bytes > 0,
        };
        match fits {
            true => Ok(()),
            false => Err(Error::invalid("subset of data").detail(format!("{self:?}"))),
        }
    }

    /// How many of `packs` packs with `bytes` bytes in all are taken at random.
    fn count(&self, packs: u64, bytes: u64) -> u64 {
        let part = match *self {
            Self::Part { .. } => return 0,
            Self::Percent(percent) => percent / 100.0,
            Self::Bytes(wanted) => wanted as f64 / bytes.max(1) as f64,
        };
        // What a division leaves over must not cost a whole pack.
        let count = (packs as f64 * part - 1e-6).ceil() as u64;
        count.clamp(1, packs.max(1))
    }
}

/// Says pack by pack whether it is read. Of all that are asked for, exactly as many are taken as must be, each as likely as
/// any other (selection sampling: Knuth, TAOCP 2, 3.4.2, algorithm S). Needs no memory; a copy takes the same.
#[derive(Clone)]
pub struct Chooser {
    subset: Subset,
    /// Packs that will be asked for still.
    left: u64,
    /// Packs to take of them.
    wanted: u64,
    /// Where the random numbers begin.
    seed: [u8; 32],
}

impl Chooser {
    /// For `packs` packs with `bytes` bytes in all.
    pub fn new(subset: Subset, packs: u64, bytes: u64) -> Self {
        Self {
            subset,
            left: packs,
            wanted: subset.count(packs, bytes),
            seed: random_array(),
        }
    }

    /// Whether this pack is read; to be asked once for each.
    pub fn takes(&mut self, pack: &PackId) -> bool {
        if let Subset::Part { part, parts } = self.subset {
            return part_of(pack, parts) == part;
        }
        let hash = blake3::keyed_hash(&self.seed, &pack.0);
        let random = hash
            .as_bytes()
            .first_chunk()
            .map_or(0, |b| u64::from_le_bytes(*b));
        let taken = random % self.left.max(1) < self.wanted;
        self.left = self.left.saturating_sub(1);
        self.wanted = self.wanted.saturating_sub(u64::from(taken));
        taken
    }
}

/// The part that a pack belongs to, counted from 1. Ids are hashes, so their first 64 bits do for all of them.
fn part_of(pack: &PackId, parts: u32) -> u32 {
    let number = pack.0.first_chunk().map_or(0, |&b| u64::from_be_bytes(b));
    // Less than `parts`, so it fits.
    (number % u64::from(parts.max(1))) as u32 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs(count: u64) -> Vec<PackId> {
        let id = |n: u64| PackId::from(blake3::hash(&n.to_le_bytes()));
        (0..count).map(id).collect()
    }

    fn taken(subset: Subset, packs: &[PackId], bytes: u64) -> Vec<PackId> {
        let mut chooser = Chooser::new(subset, packs.len() as u64, bytes);
        let takes = |pack: &&PackId| chooser.takes(pack);
        packs.iter().filter(takes).copied().collect()
    }

    #[test]
    fn all_parts_together_are_all_packs_once() {
        let all = packs(500);
        for parts in [1, 2, 7, 256, 1000] {
            let mut seen = Vec::new();
            for part in 1..=parts {
                seen.extend(taken(Subset::Part { part, parts }, &all, 0));
            }
            assert_eq!(seen.len(), all.len(), "{parts} parts");
            seen.sort();
            let mut sorted = all.clone();
            sorted.sort();
            assert_eq!(seen, sorted);
        }
    }

    #[test]
    fn a_pack_stays_in_its_part_whatever_else_comes() {
        let subset = Subset::Part { part: 2, parts: 5 };
        let before = taken(subset, &packs(50), 0);
        let after = taken(subset, &packs(90), 0);
        assert!(before.len() > 3 && before.len() < 20, "{}", before.len());
        assert!(after.starts_with(&before));
    }

    #[test]
    fn exactly_as_many_as_asked_for_are_taken_at_random() {
        let all = packs(40);
        let count = |subset, bytes| taken(subset, &all, bytes).len();
        assert_eq!(count(Subset::Percent(25.0), 0), 10);
        assert_eq!(count(Subset::Percent(100.0), 0), 40);
        assert_eq!(count(Subset::Percent(0.001), 0), 1);
        assert_eq!(count(Subset::Percent(26.0), 0), 11);
        assert_eq!(count(Subset::Bytes(1), 4000), 1);
        assert_eq!(count(Subset::Bytes(1000), 4000), 10);
        assert_eq!(count(Subset::Bytes(u64::MAX), 4000), 40);
        assert_eq!(taken(Subset::Percent(50.0), &[], 0).len(), 0);

        // Every pack has its turn: missing one in 200 draws of half of them has a chance of 40 in 2^200.
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            seen.extend(taken(Subset::Percent(50.0), &all, 0));
        }
        assert_eq!(seen.len(), all.len());
    }

    #[test]
    fn there_is_no_part_nought_and_no_more_than_all() {
        let part = |part, parts| Subset::Part { part, parts }.check();
        assert!(part(1, 1).is_ok() && part(7, 7).is_ok());
        for refused in [part(0, 1), part(2, 1), part(0, 0), part(1, 0)] {
            assert!(refused.is_err());
        }
        for (percent, fits) in [(0.0, false), (-1.0, false), (0.1, true), (100.0, true)] {
            assert_eq!(Subset::Percent(percent).check().is_ok(), fits);
        }
        assert!(Subset::Percent(100.1).check().is_err());
        assert!(Subset::Percent(f64::NAN).check().is_err());
        assert!(Subset::Bytes(0).check().is_err() && Subset::Bytes(1).check().is_ok());
    }
}
