//! The two ends of a pack, which say what lies between them.

use super::{Shared, pack_object};
use crate::crypto::BlobType;
use crate::error::{Error, Result, Subject};
use crate::format::pack::{PACK_BYTES_MAX, TRAILER_LEN, decode_trailer};
use crate::id::PackId;

/// So much is read of a pack's beginning and of its end, at first.
const END_BYTES: u64 = 128 << 10;

impl Shared {
    /// A pack that lies there in that length, of which only the header and the directory are as they are stored and zeros lie between
    /// them, and how many bytes were read for that.
    ///
    /// `NotFound` if it is not there, `Damaged` if it cannot be a pack. Three reads at most. Memory: the pack's length.
    pub fn read_pack_ends(&self, id: &PackId, kind: BlobType, len: u64) -> Result<(Vec<u8>, u64)> {
        let damaged = |detail: &'static str| Error::damaged(Subject::Pack(*id)).detail(detail);
        let name = pack_object(kind).name(&id.0);
        if len > PACK_BYTES_MAX {
            return Err(damaged("is longer than any pack"));
        }
        if len <= 2 * END_BYTES {
            return Ok((self.backend().get(&name)?, len));
        }
        let mut pack = vec![0; usize::try_from(len).map_err(|_| damaged("is longer than memory"))?];
        let fetch = |from: u64, count: u64| self.backend().get_range(&name, from, count);
        let head = fetch(0, END_BYTES)?;
        let mut tail = fetch(len - END_BYTES, END_BYTES)?;
        let directory = decode_trailer(&tail[tail.len() - TRAILER_LEN..])
            .map_err(|e| e.about(Subject::Pack(*id)))?;
        let from_end = (directory + TRAILER_LEN) as u64;
        if from_end > len {
            return Err(damaged("is cut short"));
        }
        let mut read = 2 * END_BYTES;
        if from_end > END_BYTES {
            tail = fetch(len - from_end, from_end)?;
            read += from_end;
        }
        pack[..head.len()].copy_from_slice(&head);
        let at = pack.len() - tail.len();
        pack[at..].copy_from_slice(&tail);
        Ok((pack, read))
    }
}
