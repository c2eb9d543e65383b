//! Reads files, cuts and names their chunks: the work of the pool's threads.

use crate::chunk::{Chunker, Piece};
use crate::crypto::BlobHasher;
use crate::error::{Error, Result, Subject};
use crate::fs::{Dir, Metadata, Xattr, extents, metadata_of, read_at, xattrs_of};
use crate::id::BlobId;
use rustix::fd::AsFd;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// How often a file is read that changes each time while it is read.
pub const READS_MAX: usize = 3;

/// Most extents that are recorded of a file: their list stands in its node.
const EXTENTS_MAX: usize = 64 << 10;

/// A file that was small when it was listed and is larger than this when it is read is not read whole into memory.
const GROWN_BYTES_MAX: u64 = 64 << 20;

/// Everything a thread needs to cut and name chunks.
pub struct Cutter {
    /// Cuts.
    pub chunker: Chunker,
    /// Names data blobs.
    pub hasher: BlobHasher,
}

/// A chunk of a buffer, and its id.
pub type NamedRange = (BlobId, Range<usize>);

/// A file to be read whole.
pub struct FileJob {
    /// The directory it is in.
    pub dir: Arc<Dir>,
    /// Its name there.
    pub name: Vec<u8>,
    /// Cuts and names its chunks.
    pub cutter: Arc<Cutter>,
}

/// The extended attributes of something, or why they could not be read: it is backed up nevertheless.
pub struct Attributes {
    /// Those that were read.
    pub found: Vec<Xattr>,
    /// Why there are none.
    pub failed: Option<Error>,
}

impl Attributes {
    /// Those of an open file or directory.
    pub fn of(fd: impl AsFd) -> Self {
        Self::from(xattrs_of(fd))
    }
}

impl From<Result<Vec<Xattr>>> for Attributes {
    fn from(read: Result<Vec<Xattr>>) -> Self {
        match read {
            Ok(found) => Self {
                found,
                failed: None,
            },
            Err(error) => Self {
                found: Vec::new(),
                failed: Some(error),
            },
        }
    }
}

/// What became of a file that was to be read whole.
pub enum Outcome {
    /// It was.
    Read(FileRead),
    /// It has grown too large for that.
    Grown(LargeFile),
}

/// What was read of a file.
pub struct FileRead {
    /// Its metadata at the time of reading.
    pub meta: Metadata,
    /// Its extended attributes.
    pub xattrs: Attributes,
    /// Its chunks, as ranges of the buffer it was read into.
    pub chunks: Vec<NamedRange>,
    /// Where data lies, if it has holes.
    pub extents: Option<Vec<(u64, u64)>>,
    /// It changed while it was read, each time: what was kept may never have been its content at one time.
    pub torn: bool,
}

/// A buffer that one file after the other is read into. What lies behind `filled` has no meaning.
pub struct Filling {
    /// The buffer; it grows as needed.
    pub bytes: Vec<u8>,
    filled: usize,
}

impl Filling {
    /// Nothing is in the buffer yet, whatever its bytes are.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, filled: 0 }
    }

    /// Reads `len` bytes of a file from `offset` on, and `more` beyond them if they are there.
    ///
    /// Gives whether all `len` bytes were there.
    fn read(&mut self, file: &File, offset: u64, len: u64, more: usize) -> Result<bool> {
        let too_large =
            || Error::new(crate::ErrorKind::Unavailable, Subject::None).detail("file too large");
        let len = usize::try_from(len).map_err(|_| too_large())?;
        let room = len.checked_add(more).ok_or_else(too_large)?;
        let end = self.filled.checked_add(room).ok_or_else(too_large)?;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let read = read_at(file, offset, len, &mut self.bytes[self.filled..end])?;
        self.filled += read;
        Ok(read >= len)
    }

    /// Reads all data of a file of that metadata; one byte more if it has grown.
    fn read_file(
        &mut self,
        file: &File,
        meta: &Metadata,
        extents: Option<&[(u64, u64)]>,
    ) -> Result<()> {
        let Some(extents) = extents else {
            return self.read(file, 0, meta.size, 1).map(drop);
        };
        for (offset, len) in extents {
            // Cut off meanwhile: what comes next is not what lies there.
            if !self.read(file, *offset, *len, 0)? {
                break;
            }
        }
        Ok(())
    }
}

impl FileJob {
    /// Reads the file behind what is in the buffer; again, if it changes meanwhile. Memory: the file's size.
    pub fn run(self, into: &mut Filling) -> Result<Outcome> {
        let start = into.filled;
        let read = self.read(into, start);
        if !matches!(read, Ok(Outcome::Read(_))) {
            into.filled = start;
        }
        read
    }

    fn read(self, into: &mut Filling, start: usize) -> Result<Outcome> {
        let (file, mut meta) = self.dir.open_file(&self.name)?;
        let mut tries = 0;
        let kept = loop {
            if meta.size > GROWN_BYTES_MAX {
                return Ok(Outcome::Grown(LargeFile::of(file, meta)?));
            }
            into.filled = start;
            let extents = data_extents(&file, &meta)?;
            into.read_file(&file, &meta, extents.as_deref())?;
            let after = metadata_of(&file)?;
            let kept = Kept::of(meta, extents, &after, (into.filled - start) as u64);
            tries += 1;
            if !kept.torn || tries == READS_MAX {
                break kept;
            }
            meta = after;
        };
        let xattrs = Attributes::of(&file);
        let chunks = cut_whole(&self.cutter, &into.bytes[..into.filled], start);
        let Kept {
            meta,
            extents,
            torn,
        } = kept;
        Ok(Outcome::Read(FileRead {
            meta,
            xattrs,
            chunks,
            extents,
            torn,
        }))
    }
}

/// A large file, opened to be streamed.
pub struct LargeFile {
    /// The file.
    pub file: File,
    /// Its metadata before it is read.
    pub meta: Metadata,
    /// Where data lies, if it has holes.
    pub extents: Option<Vec<(u64, u64)>>,
    /// Its extended attributes.
    pub xattrs: Attributes,
}

impl LargeFile {
    /// Opens the file of that name.
    pub fn open(dir: &Dir, name: &[u8]) -> Result<Self> {
        let (file, meta) = dir.open_file(name)?;
        Self::of(file, meta)
    }

    /// An open file of that metadata.
    fn of(file: File, meta: Metadata) -> Result<Self> {
        let extents = data_extents(&file, &meta)?;
        let xattrs = Attributes::of(&file);
        crate::fs::advise_sequential(&file);
        Ok(Self {
            file,
            meta,
            extents,
            xattrs,
        })
    }
}

impl LargeFile {
    /// Makes it ready to be read once more, as it is now.
    pub fn again(&mut self) -> Result<()> {
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(|e| Error::io(Subject::None, e).detail("read again"))?;
        self.meta = metadata_of(&self.file)?;
        self.extents = data_extents(&self.file, &self.meta)?;
        self.xattrs = Attributes::of(&self.file);
        Ok(())
    }
}

/// What is recorded of a file that was read.
pub struct Kept {
    /// Its metadata; the size fits what was read.
    pub meta: Metadata,
    /// Where data lies, if it has holes.
    pub extents: Option<Vec<(u64, u64)>>,
    /// It changed while it was read.
    pub torn: bool,
}

impl Kept {
    /// What is recorded if `read` bytes of data were read while the metadata went from `before` to `after`.
    ///
    /// Of a file that changed, the times from before it was read: the next backup sees that they are not those that it
    /// has now, and reads it again.
    pub fn of(
        before: Metadata,
        extents: Option<Vec<(u64, u64)>>,
        after: &Metadata,
        read: u64,
    ) -> Self {
        let times = |meta: &Metadata| (meta.size, meta.mtime, meta.ctime);
        let Some(extents) = extents else {
            let torn = read != before.size || times(&before) != times(after);
            let size = read;
            return Self {
                meta: Metadata { size, ..before },
                extents: None,
                torn,
            };
        };
        if read == extents.iter().map(|(_, len)| len).sum::<u64>() {
            let torn = times(&before) != times(after);
            return Self {
                meta: before,
                extents: Some(extents),
                torn,
            };
        }
        let (extents, ends) = cut_off(&extents, read);
        // It was cut off somewhere between the data that was there and the data that was not.
        let size = after.size.clamp(*ends.start(), *ends.end());
        Self {
            meta: Metadata { size, ..before },
            extents: Some(extents),
            torn: true,
        }
    }
}

/// The extents that the first `read` bytes of their data fill, and where a file may end that has just these.
fn cut_off(extents: &[(u64, u64)], read: u64) -> (Vec<(u64, u64)>, RangeInclusive<u64>) {
    let (mut left, mut end) = (read, 0);
    let mut kept = Vec::new();
    for (offset, len) in extents {
        match left {
            0 => return (kept, end..=*offset),
            left if left < *len => {
                kept.push((*offset, left));
                return (kept, offset + left..=offset + left);
            }
            _ => kept.push((*offset, *len)),
        }
        (left, end) = (left - len, offset + len);
    }
    (kept, end..=end)
}

/// Where data lies in a file with holes; `None` if it has none.
pub fn data_extents(file: &File, meta: &Metadata) -> Result<Option<Vec<(u64, u64)>>> {
    if !meta.is_sparse() {
        return Ok(None);
    }
    let found = extents(file, meta.size)?;
    let all = found
        .iter()
        .map(|extent| (extent.offset, extent.len))
        .collect();
    Ok(match found.as_slice() {
        [one] if one.offset == 0 && one.len == meta.size => None,
        _ => Some(without_small_holes(all, EXTENTS_MAX)),
    })
}

/// At most `max` extents: the smallest holes are taken for data, which is zeros there.
fn without_small_holes(extents: Vec<(u64, u64)>, max: usize) -> Vec<(u64, u64)> {
    if extents.len() <= max {
        return extents;
    }
    let end = |(offset, len): (u64, u64)| offset + len;
    let mut holes: Vec<_> = (1..extents.len())
        .map(|n| (extents[n].0 - end(extents[n - 1]), n))
        .collect();
    holes.sort_unstable();
    let closed: HashSet<usize> = holes[..extents.len() - max]
        .iter()
        .map(|(_, n)| *n)
        .collect();
    let mut kept: Vec<(u64, u64)> = Vec::with_capacity(max);
    for (n, extent) in extents.into_iter().enumerate() {
        match kept.last_mut() {
            Some(last) if closed.contains(&n) => last.1 = end(extent) - last.0,
            _ => kept.push(extent),
        }
    }
    kept
}

/// Cuts the whole content `data[from..]`, and names its chunks.
pub fn cut_whole(cutter: &Cutter, data: &[u8], mut from: usize) -> Vec<NamedRange> {
    let mut chunks = Vec::new();
    while let Some(len) = cutter.chunker.cut(&data[from..], true) {
        chunks.push((cutter.hasher.id(&data[from..from + len]), from..from + len));
        from += len;
        if from == data.len() {
            break;
        }
    }
    chunks
}

/// Names the pieces of a stream.
pub fn name_pieces(hasher: &BlobHasher, pieces: Vec<Piece>) -> Vec<(BlobId, Piece)> {
    pieces
        .into_iter()
        .map(|piece| (hasher.id(&piece), piece))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_file_that_became_very_large_is_not_read_into_memory() {
        let place = tempfile::tempdir().unwrap();
        let file = File::create(place.path().join("file")).unwrap();
        file.set_len(GROWN_BYTES_MAX + 1).unwrap();
        let sizes = crate::chunk::sizes_for(crate::chunk::SourceKind::Stream);
        let gear = Arc::new(crate::chunk::Gear::from_key(&[1; 32]));
        let ring = crate::crypto::Keyring::from_root(&crate::crypto::Secret::new([1; 32]), 0, &[0]);
        let job = FileJob {
            dir: Arc::new(Dir::open_root(place.path()).unwrap()),
            name: b"file".to_vec(),
            cutter: Arc::new(Cutter {
                chunker: Chunker::new(gear, sizes),
                hasher: ring.blob_hasher(0, crate::crypto::BlobType::Data).unwrap(),
            }),
        };
        let mut into = Filling::new(Vec::new());
        let Outcome::Grown(large) = job.run(&mut into).unwrap() else {
            panic!("it was read");
        };
        assert_eq!(large.meta.size, GROWN_BYTES_MAX + 1);
        assert_eq!(large.extents, Some(vec![]), "all of it is a hole");
        assert!(into.bytes.is_empty());
    }

    fn at(second: i64, size: u64) -> Metadata {
        let root = crate::fs::stat_path(std::path::Path::new("/")).unwrap();
        let (mtime, ctime) = (Timestamp::new(second, 0), Timestamp::new(second, 0));
        Metadata {
            size,
            mtime,
            ctime,
            ..root
        }
    }

    #[test]
    fn a_file_that_did_not_change_is_recorded_as_it_is() {
        let kept = Kept::of(at(1, 10), None, &at(1, 10), 10);
        assert!(!kept.torn);
        let holes = Kept::of(at(1, 10), Some(vec![(0, 2), (8, 1)]), &at(1, 10), 3);
        assert!(!holes.torn && holes.extents.is_some() && holes.meta.size == 10);
    }

    #[test]
    fn a_file_that_changed_is_read_again_by_the_next_backup() {
        for (after, read) in [
            (at(2, 10), 10),
            (at(2, 12), 11),
            (at(1, 10), 7),
            (at(1, 10), 11),
        ] {
            let kept = Kept::of(at(1, 10), None, &after, read);
            assert!(kept.torn && kept.meta.size == read);
            let seen = (kept.meta.size, kept.meta.mtime, kept.meta.ctime);
            assert_ne!(seen, (after.size, after.mtime, after.ctime));
        }
        let holes = Kept::of(at(1, 10), Some(vec![(0, 2), (8, 1)]), &at(1, 10), 2);
        assert!(holes.torn && holes.meta.size == 8);
        assert_eq!(holes.extents, Some(vec![(0, 2)]));
    }

    #[test]
    fn a_file_that_was_cut_off_keeps_the_holes_before_that() {
        let before = vec![(4, 6), (20, 10), (40, 5)];
        for (now, read, extents, size) in [
            (27, 13, vec![(4, 6), (20, 7)], 27),
            (35, 16, vec![(4, 6), (20, 10)], 35),
            (30, 16, vec![(4, 6), (20, 10)], 30),
            (15, 6, vec![(4, 6)], 15),
            (2, 0, vec![], 2),
            (0, 0, vec![], 0),
            // It has grown again since.
            (99, 13, vec![(4, 6), (20, 7)], 27),
            (99, 16, vec![(4, 6), (20, 10)], 40),
        ] {
            let kept = Kept::of(at(1, 50), Some(before.clone()), &at(2, now), read);
            assert!(kept.torn, "{now}");
            assert_eq!(kept.extents, Some(extents), "{now}");
            assert_eq!(kept.meta.size, size, "{now}");
            assert_eq!(kept.meta.mtime, at(1, 50).mtime, "{now}");
        }
    }

    #[test]
    fn the_smallest_holes_are_closed() {
        let extents = vec![(10, 5), (20, 5), (26, 4), (100, 1), (104, 6), (200, 1)];
        assert_eq!(without_small_holes(extents.clone(), 6), extents);
        let fewer = without_small_holes(extents.clone(), 4);
        assert_eq!(fewer, [(10, 5), (20, 10), (100, 10), (200, 1)]);
        assert_eq!(without_small_holes(extents, 1), [(10, 191)]);
    }

    #[test]
    fn nothing_is_read_beyond_where_a_file_was_cut_off() {
        use std::os::unix::fs::FileExt;
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[1; 100], 0).unwrap();
        file.write_all_at(&[2; 10], 100).unwrap();
        let meta = metadata_of(&file).unwrap();
        let mut into = Filling::new(Vec::new());
        // The first is longer than what is there; the second is there again.
        let extents = [(60, 70), (100, 10)];
        into.read_file(&file, &meta, Some(&extents)).unwrap();
        let read = &into.bytes[..into.filled];
        assert_eq!(read, [[1; 40].as_slice(), &[2; 10]].concat());
    }
}
