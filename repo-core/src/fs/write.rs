//! Content of a file that a restore puts in place, by offset.

use super::name::failed;
use crate::error::Result;
use rustix::fs::FallocateFlags;
use rustix::io::{Errno, retry_on_intr};
use std::fs::File;

/// What zeros are written from where holes cannot be punched.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Writes all of `bytes` at `offset`, beyond the end too.
///
/// Does not move the position of `file`, so threads may write different parts of it at once.
pub fn write_at(file: &File, offset: u64, bytes: &[u8]) -> Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let at = offset.saturating_add(done as u64);
        match retry_on_intr(|| rustix::io::pwrite(file, &bytes[done..], at)) {
            Ok(0) => return Err(failed(b"", "write", Errno::IO).at(at)),
            Ok(written) => done += written,
            Err(errno) => return Err(failed(b"", "write", errno).at(at)),
        }
    }
    Ok(())
}

/// Cuts the file off, or lengthens it by a hole, to `len` bytes.
pub fn set_len(file: &File, len: u64) -> Result<()> {
    retry_on_intr(|| rustix::fs::ftruncate(file, len))
        .map_err(|errno| failed(b"", "set length", errno))
}

/// Sets the permissions of an open file.
pub fn set_mode(file: &File, mode: u32) -> Result<()> {
    let mode = rustix::fs::Mode::from_raw_mode(mode & 0o7777);
    rustix::fs::fchmod(file, mode).map_err(|errno| failed(b"", "set mode", errno))
}

/// Makes `len` bytes from `offset` on zero, as a hole where the file system can; they must lie within the file.
///
/// For a restore over a file that is there already, and has something else where the backup has a hole.
pub fn punch_hole(file: &File, offset: u64, len: u64) -> Result<()> {
    if len == 0 {
        return Ok(());
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match retry_on_intr(|| rustix::fs::fallocate(file, flags, offset, len)) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, offset, len),
        Err(errno) => Err(failed(b"", "punch hole", errno).at(offset)),
    }
}

/// Makes sure that there is room for `len` bytes from `offset` on, without a change of the file's length, where the file system can
/// say so.
///
/// For a restore into a file that is there already, and that must not be touched if the rest has no room.
pub fn reserve(file: &File, offset: u64, len: u64) -> Result<()> {
    if len == 0 {
        return Ok(());
    }
    let flags = FallocateFlags::KEEP_SIZE;
    match retry_on_intr(|| rustix::fs::fallocate(file, flags, offset, len)) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(errno) => Err(failed(b"", "write", errno).at(offset)),
    }
}

/// Makes everything from `offset` to the end of the file, at `size`, a hole, as [`punch_hole`] does.
///
/// A block that the file ends in is given back only if the hole goes on behind the end.
pub fn punch_to_end(file: &File, offset: u64, size: u64) -> Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let end = size
        .checked_next_multiple_of(ZEROS.len() as u64)
        .unwrap_or(size);
    match retry_on_intr(|| rustix::fs::fallocate(file, flags, offset, end - offset)) {
        Ok(()) => Ok(()),
        Err(_) => punch_hole(file, offset, size - offset),
    }
}

fn write_zeros(file: &File, offset: u64, len: u64) -> Result<()> {
    let mut done = 0;
    while done < len {
        let step = (len - done).min(ZEROS.len() as u64);
        write_at(file, offset + done, &ZEROS[..step as usize])?;
        done += step;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn writes_anywhere_and_sets_the_length() {
        let file = tempfile::tempfile().unwrap();
        write_at(&file, 5, b"world").unwrap();
        write_at(&file, 0, b"hello").unwrap();
        write_at(&file, 3, b"").unwrap();
        let mut bytes = [0; 10];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"helloworld");
        set_len(&file, 3).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3);
        let read_only = std::fs::File::open("/proc/self/status").unwrap();
        assert!(write_at(&read_only, 0, b"x").is_err());
    }

    #[test]
    fn holes_and_written_zeros_read_the_same() {
        for holes in [true, false] {
            let zero = if holes { punch_hole } else { write_zeros };
            let file = tempfile::tempfile().unwrap();
            write_at(&file, 0, &[1; 300_000]).unwrap();
            zero(&file, 1000, 200_000).unwrap();
            zero(&file, 7, 0).unwrap();
            let mut bytes = vec![9; 300_000];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert!(
                bytes[..1000]
                    .iter()
                    .chain(&bytes[201_000..])
                    .all(|&byte| byte == 1)
            );
            assert!(bytes[1000..201_000].iter().all(|&byte| byte == 0));
            assert_eq!(file.metadata().unwrap().len(), 300_000);
        }
    }

    #[test]
    fn a_hole_at_the_end_is_one_to_the_last_byte() {
        use crate::fs::extents;
        let file = tempfile::tempfile().unwrap();
        write_at(&file, 0, &[1; 100_001]).unwrap();
        punch_to_end(&file, 4096, 100_001).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 100_001);
        let mut bytes = vec![9; 100_001];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes[..4096].iter().all(|byte| *byte == 1));
        assert!(bytes[4096..].iter().all(|byte| *byte == 0));
        punch_to_end(&file, 0, 100_001).unwrap();
        // All, where there are no holes.
        let left = extents(&file, 100_001).unwrap();
        assert!(left.is_empty() || left[0].len == 100_001, "{left:?}");
    }
}
