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
            // Cut off meanwhile: what follows is not there either, or is not what was there.
            (self.left, self.extents) = (0, [].iter());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_cut_off_ends_there() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"0123456789", 0).unwrap();
        let extents = [(2, 3), (8, 5), (0, 4)];
        let mut reader = ExtentReader::new(&file, &extents);
        let mut data = Vec::new();
        reader.read_to_end(&mut data).unwrap();
        assert_eq!(data, b"23489");
        assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
    }
}
