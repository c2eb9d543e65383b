//! Settings of a repository (`docs/format.md`, "Settings"): sealed in `config`, changed by `Settings` entries.

use super::codec::{Ext, check_ext};
use crate::error::{Error, Result, Subject};
use crate::id::{Domain, KeyEpoch};
use bincode::{Decode, Encode};

/// What every client of a repository does alike.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Settings {
    /// The epoch whose keys new objects are sealed with.
    pub epoch: KeyEpoch,
    /// The domain that backups go to unless told otherwise.
    pub domain: Domain,
    /// A pack is closed at this many bytes.
    pub pack_bytes: u32,
    /// A block is closed at this many plaintext bytes.
    pub block_bytes: u32,
    /// Default zstd level.
    pub level: i32,
    /// How long a condemned pack stays before it is deleted, in seconds.
    pub grace_s: u64,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

impl Default for Settings {
    /// 16 MiB packs, 2 MiB blocks, zstd level 3, seven days.
    fn default() -> Self {
        Self {
            epoch: 0,
            domain: 0,
            pack_bytes: 16 << 20,
            block_bytes: 2 << 20,
            level: 3,
            grace_s: 7 * 24 * 3600,
            ext: Vec::new(),
        }
    }
}

impl Settings {
    /// Smallest and largest pack size that is accepted.
    pub const PACK_BYTES: std::ops::RangeInclusive<u32> = 1 << 20..=256 << 20;
    /// Smallest and largest block size that is accepted.
    pub const BLOCK_BYTES: std::ops::RangeInclusive<u32> = 64 << 10..=16 << 20;

    /// Refuses sizes that would not work, and fields that must be understood.
    pub fn check(&self) -> Result<()> {
        check_ext(&self.ext)?;
        let fits = Self::PACK_BYTES.contains(&self.pack_bytes)
            && Self::BLOCK_BYTES.contains(&self.block_bytes)
            && (-7..=22).contains(&self.level);
        match fits {
            true => Ok(()),
            false => Err(Error::damaged(Subject::None).detail("settings out of bounds")),
        }
    }
}
