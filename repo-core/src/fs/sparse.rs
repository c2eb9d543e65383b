//! Which parts of a file are data and which are holes.

use super::name::failed;
use crate::error::Result;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// How many extents are told apart at most (1 MiB of memory); what follows counts as one extent of data.
pub const EXTENTS_MAX: usize = 65_536;

/// A run of bytes of a file that are data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// How many bytes it has; never 0.
    pub len: u64,
}

/// The data of the first `size` bytes of an open file, in order and without overlap; between them are only zeros.
///
/// Two system calls an extent, so ask only where [`super::Metadata::is_sparse`] says that it is worth it. One extent
/// over everything where the file system cannot tell. Leaves the position of `fd` at the start. A file that was cut off
/// meanwhile looks as if it ended in a hole: who needs to know compares [`super::metadata_of`] before and after.
pub fn extents(fd: impl AsFd, size: u64) -> Result<Vec<Extent>> {
    extents_up_to(EXTENTS_MAX, fd.as_fd(), size)
}

fn extents_up_to(count_max: usize, fd: BorrowedFd<'_>, size: u64) -> Result<Vec<Extent>> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < size {
        if found.len() + 1 == count_max {
            found.push(Extent {
                offset,
                len: size - offset,
            });
            break;
        }
        let start = match seek(fd, SeekFrom::Data(offset)) {
            Ok(start) => start.max(offset),
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                found.push(Extent {
                    offset,
                    len: size - offset,
                });
                break;
            }
            Err(errno) => return Err(failed(b"", "seek data", errno)),
        };
        if start >= size {
            break;
        }
        let end = match seek(fd, SeekFrom::Hole(start)) {
            Ok(end) if end > start => end.min(size),
            Ok(_) | Err(Errno::NXIO) => size,
            Err(errno) => return Err(failed(b"", "seek hole", errno)),
        };
        found.push(Extent {
            offset: start,
            len: end - start,
        });
        offset = end;
    }
    seek(fd, SeekFrom::Start(0)).map_err(|errno| failed(b"", "seek", errno))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    const MIB: u64 = 1 << 20;

    #[test]
    fn holes_are_left_out() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 * MIB).unwrap();
        file.write_all_at(&[1; 4096], 2 * MIB).unwrap();
        file.write_all_at(&[2; 4096], 8 * MIB).unwrap();
        let metadata = crate::fs::metadata_of(&file).unwrap();
        assert!(metadata.is_sparse());
        let found = extents(&file, metadata.size).unwrap();
        let covers = |at| {
            found
                .iter()
                .any(|e| (e.offset..e.offset + e.len).contains(&at))
        };
        assert!(covers(2 * MIB) && covers(2 * MIB + 4095) && covers(8 * MIB));
        assert!(!covers(0) && !covers(5 * MIB) && !covers(10 * MIB - 1));
        assert!(found.is_sorted_by(|a, b| a.offset + a.len <= b.offset));
        let clipped = extents(&file, 2 * MIB + 100).unwrap();
        assert_eq!(
            clipped,
            [Extent {
                offset: 2 * MIB,
                len: 100
            }]
        );
    }

    #[test]
    fn full_empty_and_hollow_files() {
        let file = tempfile::tempfile().unwrap();
        assert!(extents(&file, 0).unwrap().is_empty());
        file.set_len(MIB).unwrap();
        assert!(extents(&file, MIB).unwrap().is_empty());
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 5000], 0).unwrap();
        assert_eq!(
            extents(&file, 5000).unwrap(),
            [Extent {
                offset: 0,
                len: 5000
            }]
        );
        let shrunk = extents(&file, 9000).unwrap();
        assert_eq!(
            shrunk,
            [Extent {
                offset: 0,
                len: 5000
            }],
            "what is beyond the end is no data"
        );
    }

    #[test]
    fn a_file_without_answer_is_one_extent() {
        let file = std::fs::File::open("/proc/self/status").unwrap();
        assert_eq!(
            extents(&file, 100).unwrap(),
            [Extent {
                offset: 0,
                len: 100
            }]
        );
    }

    #[test]
    fn from_some_extent_on_all_counts_as_data() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(9 * MIB).unwrap();
        for at in [1, 3, 5, 7] {
            file.write_all_at(&[1], at * MIB).unwrap();
        }
        let all = extents(&file, 9 * MIB).unwrap();
        let some = extents_up_to(2, file.as_fd(), 9 * MIB).unwrap();
        assert_eq!((all.len(), some.len()), (4, 2));
        assert_eq!(some[0], all[0]);
        let rest = some[1];
        assert!(rest.offset <= 3 * MIB && rest.offset + rest.len == 9 * MIB);
    }
}
