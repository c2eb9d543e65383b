//! A file mapped into memory for reading: unsafe code, as but for the memory of Argon2 nowhere in the library.
//!
//! Mapping is unsafe because the compiler takes mapped bytes for constant, while another process could change the file.
//! Only files of the index cache are mapped, which nobody changes once they have their name: they are written under
//! another name, named by their content, and removed by unlinking, which leaves mappings as they are. Who changes or
//! truncates such a file nevertheless can make this process read other bytes than it verified, or end it by SIGBUS, as
//! can a disk that fails while the bytes are read; what is in the repository does not depend on them.

use memmap2::{Advice, Mmap, UncheckedAdvice};
use std::fs::File;
use std::io;

/// A whole file, read-only and shared.
#[derive(Debug)]
pub(super) struct Map(Mmap);

impl Map {
    /// Maps the file as it is now. The map stays when the file is closed or unlinked.
    #[expect(
        unsafe_code,
        reason = "mapping a file is the only way to search it in place; see the module for why it holds"
    )]
    pub(super) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: files of the index cache are never modified once they are complete (see above).
        let map = unsafe { Mmap::map(file) }?;
        map.advise(Advice::Random)?;
        Ok(Self(map))
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes the first `len` bytes out of this process's resident memory; the next touch brings them back from the system's cache
    /// of the file, or from the disk.
    #[expect(
        unsafe_code,
        reason = "memmap2 calls it unsafe because in private or anonymous maps it discards data"
    )]
    pub(super) fn release(&self, len: usize) {
        // SAFETY: the map is a shared map of a file and never written, so its pages can always be read again.
        let _: io::Result<()> = unsafe {
            self.0
                .unchecked_advise_range(UncheckedAdvice::DontNeed, 0, len)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_pages_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let content: Vec<u8> = (0..50_000u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let map = Map::new(&File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(map.bytes(), content);
        map.release(content.len());
        assert_eq!(map.bytes(), content);
    }
}
