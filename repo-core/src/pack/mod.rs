//! Lays blobs out in blocks, blocks in a pack, and finds them again. Pure: packs are bytes in memory here.

mod block;
mod builder;
mod deal;
mod open;
mod slabs;

pub use block::{BlockDraft, PlainBlob};
pub use builder::{CopiedBlock, PackBuilder, PackKey, SealedBlock};
pub use deal::Dealer;
pub use open::{BlockReader, open_block_of};
pub use slabs::{Parts, Slabs};
