//! Cuts a byte stream into chunks by content.
//!
//! The algorithm is FastCDC (Xia et al., USENIX ATC 2016 and TPDS 2020) with normalization level 1, and a gear table
//! that is a secret of the domain: who does not know it cannot predict where a file will be cut. That alone does not
//! stop a store that sees the sizes of single chunks from solving for the table (Alexeev et al., eprint 2025/532;
//! Truong et al., eprint 2025/558): blocks and packs hide those sizes, and chunker id 2 is reserved for a chunker that
//! needs no such help.
//!
//! Cut points are part of the format. They equal those of `v2020::cut_gear` in `fastcdc` 5.0.0 with our tables, and
//! `docs/vectors/chunk.txt` fixes them.

mod gear;
mod scan;
mod sizes;
mod stream;

pub use gear::Gear;
pub use sizes::{Sizes, SourceKind, sizes_for};
pub use stream::{Piece, Segments, Stream};

use fastcdc::v2020::{Normalization, select_masks};
use std::sync::Arc;

/// The id under which this chunker is recorded with every source it has cut; 2 is reserved for a PRF-based one.
pub const CHUNKER_ID: u8 = 1;

/// Finds cut points for one gear table and one choice of sizes.
///
/// It keeps no state between calls, so that threads share one freely; a clone shares the table.
#[derive(Clone)]
pub struct Chunker {
    gear: Arc<Gear>,
    sizes: Sizes,
    strict: u64,
    loose: u64,
}

impl Chunker {
    /// A chunker that cuts with `gear` to `sizes`.
    pub fn new(gear: Arc<Gear>, sizes: Sizes) -> Self {
        let (strict, loose) = select_masks(as_usize(sizes.avg()), Normalization::Level1);
        Self {
            gear,
            sizes,
            strict,
            loose,
        }
    }

    /// The sizes it cuts to.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The length of the first chunk of `data`, which must start where a chunk starts.
    ///
    /// `at_end` says that nothing follows `data`; then every non-empty rest is a chunk. `None` means that the cut
    /// lies behind `data`: it is empty, or shorter than the largest chunk and without a cut. A length once returned
    /// stays the same however much data follows. Every chunk but the last of a source is at least `min` long, none
    /// is longer than `max`. Looks at no byte before `min`; 4.3 GB/s at 64 KiB on average on one core of a Zen 4.
    pub fn cut(&self, data: &[u8], at_end: bool) -> Option<usize> {
        let (min, avg, max) = (
            as_usize(self.sizes.min()),
            as_usize(self.sizes.avg()),
            as_usize(self.sizes.max()),
        );
        let whole = data.len() >= max;
        let window = &data[..data.len().min(max)];
        // The last byte of an odd rest is never tested, as in the oracle.
        let end = window.len() & !1;
        if window.len() > min {
            let found = scan::start(&self.gear, window, min, end.min(avg), self.strict)
                .or_else(|| scan::windows(&self.gear, window, min, avg, end, self.loose));
            if found.is_some() {
                return found;
            }
        }
        (whole || at_end && !data.is_empty()).then_some(window.len())
    }
}

fn as_usize(bytes: u32) -> usize {
    usize::try_from(bytes).expect("sizes are at most 16 MiB")
}

#[cfg(test)]
mod tests;
