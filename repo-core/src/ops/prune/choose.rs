//! Which packs are worth rewriting.

use super::options::{MaxUnused, PruneOptions};
use crate::crypto::BlobType;
use crate::error::Result;
use crate::format::rows::{Block, ENCODING_STORED};
use crate::id::PackId;
use crate::index::Picture;
use crate::log::Kept;
use std::collections::HashSet;

/// Packs of less than this share of the usual size are small.
const SMALL: f64 = 0.8;

/// What is used of each live pack. Memory: 80 bytes a pack.
pub struct Uses {
    packs: Vec<(u32, Use)>,
    /// Blocks with a greater share of dead bytes are written anew, others copied as they are.
    pub dead_share_max: f64,
}

/// What is used of a pack.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    pub id: PackId,
    pub kind: BlobType,
    /// Bytes of the pack.
    pub len: u64,
    /// Bytes of its blocks that hold what is kept.
    pub used: u64,
    /// Bytes of its blocks that hold what is not.
    pub unused: u64,
    /// How many of those are freed by rewriting it.
    pub reclaims: u64,
    /// Whether a block is stored as it is.
    pub has_stored: bool,
}

/// Which share of a block is dead, if so many bytes of its plaintext are kept.
pub fn dead_share(block: &Block, kept: u32) -> f64 {
    1.0 - f64::from(kept) / f64::from(block.raw_len.max(1))
}

impl Uses {
    /// Adds up what is kept, pack by pack. One pass over packs and blocks.
    pub fn count(picture: &Picture, kept: &Kept, options: &PruneOptions) -> Result<Self> {
        let mut at = vec![u32::MAX; picture.pack_count() as usize];
        let mut packs: Vec<(u32, Use)> = Vec::new();
        for number in picture.packs().filter(|number| kept.is_live(*number)) {
            let row = picture.pack_row(number)?;
            at[number as usize] = packs.len() as u32;
            let empty = Use {
                id: row.id,
                kind: row.kind,
                len: row.len,
                used: 0,
                unused: 0,
                reclaims: 0,
                has_stored: false,
            };
            packs.push((number, empty));
        }
        let total: u64 = packs.iter().map(|(_, pack)| pack.len).sum();
        let dead_share_max = match options.max_unused {
            MaxUnused::Percent(percent) => percent / 100.0,
            MaxUnused::Bytes(bytes) => bytes as f64 / total.max(1) as f64,
            MaxUnused::Unlimited => 1.0,
        };
        picture.for_each_block(&mut |number, pack, block| {
            let Some((_, pack)) = packs.get_mut(at[pack as usize] as usize) else {
                return Ok(());
            };
            let live = kept.bytes_in_block(number);
            let stored = u64::from(block.stored_len);
            let used = block.stored_share(live).min(stored);
            pack.used += used;
            pack.unused += stored - used;
            if live == 0 || dead_share(&block, live) > dead_share_max {
                pack.reclaims += stored - used;
            }
            pack.has_stored |= block.encoding == ENCODING_STORED;
            Ok(())
        })?;
        Ok(Self {
            packs,
            dead_share_max,
        })
    }

    /// The packs by their numbers.
    pub fn packs(&self) -> impl Iterator<Item = (u32, &Use)> {
        self.packs.iter().map(|(number, used)| (*number, used))
    }

    /// Which packs to rewrite: those that were asked for, and by falling share of what that frees so many that what stays unused is within
    /// the limit.
    pub fn choose(&self, options: &PruneOptions, pack_bytes: u32) -> HashSet<u32> {
        let mut packs: Vec<&(u32, Use)> = self.packs.iter().collect();
        packs.retain(|(_, pack)| {
            pack.used > 0 && (!options.trees_only || pack.kind == BlobType::Tree)
        });
        let usual = (f64::from(pack_bytes) * SMALL) as u64;
        let limit = options
            .repack_smaller_than
            .or(options.repack_small.then_some(usual));
        let small = |pack: &Use| limit.is_some_and(|limit| pack.len < limit);
        let several = |kind| {
            let small = packs
                .iter()
                .filter(|(_, pack)| pack.kind == kind && small(pack));
            small.count() > 1
        };
        let small_kinds = [BlobType::Data, BlobType::Tree].map(|kind| (kind, several(kind)));
        let asked = |pack: &Use| {
            let joined = small_kinds.contains(&(pack.kind, true)) && small(pack);
            joined || options.repack_uncompressed && pack.has_stored
        };
        let share = |pack: &Use| pack.reclaims as f64 / pack.len.max(1) as f64;
        packs.sort_by(|(_, a), (_, b)| asked(b).cmp(&asked(a)).then(share(b).total_cmp(&share(a))));
        let used: u64 = packs.iter().map(|(_, pack)| pack.used).sum();
        let mut left: u64 = packs.iter().map(|(_, pack)| pack.unused).sum();
        let limit = match options.max_unused {
            MaxUnused::Percent(percent) if percent < 100.0 => {
                used as f64 * percent / (100.0 - percent)
            }
            MaxUnused::Bytes(bytes) => bytes as f64,
            _ => f64::INFINITY,
        };
        let mut room = options.max_repack_bytes.unwrap_or(u64::MAX);
        let mut chosen = HashSet::new();
        for (number, pack) in packs {
            let pays = left as f64 > limit && pack.reclaims > 0;
            if (asked(pack) || pays) && pack.len <= room {
                room -= pack.len;
                left -= pack.reclaims;
                chosen.insert(*number);
            }
        }
        chosen
    }
}
