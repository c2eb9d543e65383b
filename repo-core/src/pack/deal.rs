//! Which of two open packs the next block goes to.
//!
//! Two packs grow side by side and runs of about eight blocks are dealt at random between them, so that a pack's
//! length says little about any one file (Alexeev, Percival, Zhang, eprint 2025/532). Within a pack blocks stay in walk
//! order, and neighbours stay neighbours.

use crate::crypto::fill_random;

/// Blocks dealt to one pack before the next draw.
const RUN_BLOCKS: u32 = 8;

/// Deals runs of blocks to slot 0 or 1. The first run goes to slot 0, so that a small backup makes one pack.
#[derive(Debug, Default)]
pub struct Dealer {
    slot: usize,
    dealt: u32,
}

impl Dealer {
    /// The slot for the next block.
    pub fn deal(&mut self) -> usize {
        if self.dealt == RUN_BLOCKS {
            let mut coin = [0];
            fill_random(&mut coin);
            self.slot = usize::from(coin[0] & 1);
            self.dealt = 0;
        }
        self.dealt += 1;
        self.slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deals_runs_to_both() {
        let mut dealer = Dealer::default();
        let slots: Vec<usize> = (0..8 * 200).map(|_| dealer.deal()).collect();
        assert!(slots[..8].iter().all(|slot| *slot == 0));
        assert!(
            slots
                .chunks(8)
                .all(|run| run.iter().all(|slot| *slot == run[0]))
        );
        let ones = slots.iter().filter(|slot| **slot == 1).count() / 8;
        assert!((50..150).contains(&ones), "{ones} of 200 runs");
    }
}
