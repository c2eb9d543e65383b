//! What snapshots take in packs: what only one of them holds, and how many of the newest fit into so many bytes.

use super::walk::Walk;
use crate::crypto::BlobType;
use crate::error::{Error, Result};
use crate::id::BlobId;
use crate::index::{Picture, Want};
use crate::progress::{Interrupt, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Which snapshots fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fit {
    /// How many of them, from the first on.
    pub count: usize,
    /// What these take together, in bytes of packs.
    pub bytes: u64,
}

/// No snapshot has met the blob yet.
const NOBODY: u32 = 0;
/// More than one has.
const SEVERAL: u32 = u32::MAX;

/// For each snapshot, in their order, the bytes in packs of what only it holds of all of these: what its going frees, if it alone goes. A blob takes its share of its block; padding and
/// directories are nobody's.
///
/// Each tree is read twice at most, however many snapshots there are. Fails at the first that cannot be read. Memory: 4 bytes for each blob of
/// the index.
pub fn unique_sizes(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<u64>> {
    let owners = Owners::new(repo)?;
    let unique: Vec<AtomicU64> = snapshots.iter().map(|_| AtomicU64::new(0)).collect();
    for (me, snapshot) in (1..).zip(snapshots) {
        let walk = Walk {
            repo,
            progress,
            interrupt,
            past_losses: false,
        };
        let meet = |_: BlobType, id: &BlobId| {
            let place = owners.place(id)?;
            loop {
                let owner = place.load(Ordering::Acquire);
                let new = match owner {
                    NOBODY => me,
                    SEVERAL => return Ok(false),
                    owner if owner == me => return Ok(false),
                    _ => SEVERAL,
                };
                let swapped =
                    place.compare_exchange(owner, new, Ordering::AcqRel, Ordering::Acquire);
                if swapped.is_err() {
                    continue;
                }
                let bytes = stored_bytes(repo, id)?;
                match new {
                    SEVERAL => unique[owner as usize - 1].fetch_sub(bytes, Ordering::Relaxed),
                    _ => unique[me as usize - 1].fetch_add(bytes, Ordering::Relaxed),
                };
                return Ok(true);
            }
        };
        walk.snapshot(&snapshot.id, &snapshot.summary.root, &meet)?;
    }
    Ok(unique.into_iter().map(AtomicU64::into_inner).collect())
}

/// How many of the snapshots, in their order, take no more than `budget` together, with a share of what packs hold besides blocks
/// (directories, padding) that is the same for all.
///
/// Each tree is read once. Memory: a bit for each blob of the index.
pub fn fit(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    budget: u64,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Fit> {
    let picture = Arc::new(repo.index().picture()?);
    let whole = PackShare::of(&picture)?;
    let marks = picture.marks();
    let taken = AtomicU64::new(0);
    let mut fit = Fit::default();
    for snapshot in snapshots {
        let walk = Walk {
            repo,
            progress,
            interrupt,
            past_losses: false,
        };
        let meet = |_: BlobType, id: &BlobId| match marks.insert(id)? {
            Some(true) => {
                taken.fetch_add(stored_bytes(repo, id)?, Ordering::Relaxed);
                Ok(true)
            }
            Some(false) => Ok(false),
            None => Err(unknown(id)),
        };
        walk.snapshot(&snapshot.id, &snapshot.summary.root, &meet)?;
        let bytes = whole.of_blocks(taken.load(Ordering::Relaxed));
        if bytes > budget {
            break;
        }
        fit = Fit {
            count: fit.count + 1,
            bytes,
        };
    }
    Ok(fit)
}

/// How much packs are larger than the blocks in them.
struct PackShare {
    packs: u64,
    blocks: u64,
}

impl PackShare {
    fn of(picture: &Picture) -> Result<Self> {
        let (mut packs, mut blocks) = (0, 0);
        for number in picture.packs() {
            packs += picture.pack_row(number)?.len;
        }
        picture.for_each_block(&mut |_, _, block| {
            blocks += u64::from(block.stored_len);
            Ok(())
        })?;
        Ok(Self {
            packs: packs.max(blocks),
            blocks: blocks.max(1),
        })
    }

    /// What so many bytes of blocks take in packs.
    fn of_blocks(&self, bytes: u64) -> u64 {
        let bytes = u128::from(bytes) * u128::from(self.packs);
        u64::try_from(bytes.div_ceil(u128::from(self.blocks))).unwrap_or(u64::MAX)
    }
}

/// Which snapshot has met which blob, by the rows of a picture.
struct Owners {
    picture: Picture,
    owners: Vec<AtomicU32>,
}

impl Owners {
    fn new(repo: &Repo) -> Result<Self> {
        let picture = repo.index().picture()?;
        let owners = (0..picture.row_count()).map(|_| AtomicU32::new(NOBODY));
        Ok(Self {
            owners: owners.collect(),
            picture,
        })
    }

    fn place(&self, id: &BlobId) -> Result<&AtomicU32> {
        let row = self.picture.row_of(id)?.ok_or_else(|| unknown(id))?;
        self.owners.get(row as usize).ok_or_else(|| unknown(id))
    }
}

fn unknown(id: &BlobId) -> Error {
    Error::unindexed(id)
}

/// A blob's share of its block as stored.
fn stored_bytes(repo: &Repo, id: &BlobId) -> Result<u64> {
    let location = repo
        .index()
        .lookup(id, Want::Readable)?
        .ok_or_else(|| unknown(id))?;
    Ok(location.block.stored_share(location.blob_len))
}
