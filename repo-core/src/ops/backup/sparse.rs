//! Reads the data of a file with holes, one extent after another.

use std::fs::File;
use std::io::{Read, Result};
use std::os::unix::fs::FileExt;

/// The data of a file without its holes.
pub struct ExtentReader<'a> {
    file: &'a File,
    extents: std::slice::Iter<'a, (u64, u64)>,
    at: u64,
    left: u64,
}

impl<'a> ExtentReader<'a> {
    /// Reads `extents`, `(offset, len)` in order.
    pub fn new(file: &'a File, extents: &'a [(u64, u64)]) -> Self {
        Self {
            file,
            extents: extents.iter(),
            at: 0,
            left: 0,
        }
    }
}

impl Read for ExtentReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        while self.left == 0 {
            match self.extents.next() {
                Some((offset, len)) => (self.at, self.left) = (*offset, *len),
                None => return Ok(0),
            }
        }
        let want = into
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut into[..want], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        if read == 0 {
            // Cut off meanwhile: what follows is not there either.
            self.left = 0;
        }
        Ok(read)
    }
}
