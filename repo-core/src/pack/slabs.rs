//! Bytes of packs that are being filled, in slabs of one length that are used again and again.
//!
//! A pack in one piece would be asked of the system, page by page, and given back for every pack anew: a fifth of the time
//! of a backup of data that does not shrink.

use std::sync::{Arc, Mutex, PoisonError};

/// The length of a slab. The last one of every block is half empty on average; the system writes 1024 at once.
const SLAB_BYTES: usize = 64 << 10;

/// Slabs that are free. A clone shares them.
///
/// Memory: what was in use at one time at most; it is freed with the last clone and the last [`Parts`] of it.
#[derive(Clone, Default)]
pub struct Slabs(Arc<Mutex<Vec<Vec<u8>>>>);

/// Bytes in parts, in order. Their slabs are free again when it is dropped.
#[derive(Default)]
pub struct Parts {
    /// Where slabs among the parts came from, if any did.
    slabs: Option<Slabs>,
    parts: Vec<Vec<u8>>,
    len: usize,
}

impl Slabs {
    fn take(&self) -> Vec<u8> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| Vec::with_capacity(SLAB_BYTES))
    }

    /// A copy of `bytes`.
    pub fn copy(&self, bytes: &[u8]) -> Parts {
        let part = |chunk: &[u8]| {
            let mut slab = self.take();
            slab.extend_from_slice(chunk);
            slab
        };
        Parts {
            slabs: Some(self.clone()),
            parts: bytes.chunks(SLAB_BYTES).map(part).collect(),
            len: bytes.len(),
        }
    }
}

impl Parts {
    /// How many bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, in parts that follow each other.
    pub fn slices(&self) -> Vec<&[u8]> {
        self.parts.iter().map(Vec::as_slice).collect()
    }

    /// Moves the bytes of `other` behind those that are here; none is copied.
    pub fn append(&mut self, mut other: Self) {
        self.len += other.len;
        self.parts.append(&mut other.parts);
        if self.slabs.is_none() {
            self.slabs = other.slabs.take();
        }
    }
}

impl From<Vec<u8>> for Parts {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            slabs: None,
            len: bytes.len(),
            parts: vec![bytes],
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Some(slabs) = &self.slabs else { return };
        let mut free = slabs.0.lock().unwrap_or_else(PoisonError::into_inner);
        for mut part in self.parts.drain(..) {
            if part.capacity() == SLAB_BYTES {
                part.clear();
                free.push(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_slabs_are_used_again() {
        let slabs = Slabs::default();
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(3 * SLAB_BYTES + 5).collect();
        let mut parts = Parts::from(vec![3]);
        parts.append(slabs.copy(&bytes));
        parts.append(vec![1, 2].into());
        parts.append(slabs.copy(&[]));
        parts.append(slabs.copy(&bytes[..7]));
        assert_eq!(parts.len(), bytes.len() + 10);
        let expected = [&[3], &bytes[..], &[1, 2], &bytes[..7]].concat();
        assert_eq!(parts.slices().concat(), expected);
        drop(parts);
        let free = |slabs: &Slabs| slabs.0.lock().unwrap().len();
        assert_eq!(free(&slabs), 5);
        let again = slabs.copy(&bytes);
        assert_eq!((free(&slabs), again.slices().concat()), (1, bytes));
    }
}
