//! The memory that Argon2 fills.

use argon2::Block;
use memmap2::{Advice, MmapMut};

/// Blocks of zeros in pages of their own, huge ones where the system has them.
///
/// Zeroing 64 MiB page by page took 40 of the 90 ms in which a password is tried, on one core, before every command
/// (Zen 4, November 2026); in huge pages it takes less than 10.
pub(super) struct Blocks(MmapMut);

impl Blocks {
    /// So many blocks.
    pub(super) fn new(count: usize) -> std::io::Result<Self> {
        let bytes = MmapMut::map_anon(count.saturating_mul(Block::SIZE))?;
        // A hint; systems without huge pages refuse it.
        let _ = bytes.advise(Advice::HugePage);
        Ok(Self(bytes))
    }
}

impl AsMut<[Block]> for Blocks {
    fn as_mut(&mut self) -> &mut [Block] {
        #[expect(unsafe_code, reason = "the crate has no other way to be given memory")]
        // SAFETY: a block is an array of integers, for which all bytes are values. Pages are aligned to more than it
        // needs, so that nothing is left over before and after.
        let (_, blocks, _) = unsafe { self.0.align_to_mut() };
        blocks
    }
}
