//! Lays blobs out in blocks, blocks in a pack, and finds them again. Pure: packs are byte vectors here.

mod block;
mod builder;
mod deal;
mod open;

pub use block::{BlockDraft, PlainBlob};
pub use builder::{PackBuilder, PackKey, SealedBlock};
pub use deal::Dealer;
pub use open::{BlockReader, open_block_of};
