//! The entries of one directory, in order, with their metadata.

use super::meta::{Kind, Metadata};
use super::name::failed;
use super::read::Dir;
use crate::error::{Error, Result};
use rustix::fs::{RawDir, SeekFrom, seek};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Of how many entries metadata is held at a time: 4,096 × 128 bytes make half a megabyte.
pub const WINDOW: usize = 4096;

/// Room for what one system call reads, on the stack: about a thousand entries, as in the C library.
const BUFFER_BYTES: usize = 32 * 1024;

/// How many entries of 16 bytes there is room for from the beginning: most directories have fewer.
const FIRST_ENTRIES: usize = 32;

/// The entries of one directory, sorted by the bytes of their names.
///
/// The list takes 16 bytes an entry and the bytes of its name, so a million entries of 20 bytes are 36 MB. Metadata
/// of the entries is asked in windows of at most [`WINDOW`]: all at once in nearly every directory, and as the reader
/// gets there in a huge one.
#[derive(Debug, Default)]
pub struct Scan {
    names: Vec<u8>,
    slots: Vec<Slot>,
    /// Metadata of the entries from `window_start` on; what was taken is `None`.
    window: Vec<Option<Result<Metadata>>>,
    window_start: usize,
}

/// One entry: where its name lies in the list of names, and what the directory itself says about it.
#[derive(Debug, Clone, Copy)]
struct Slot {
    inode: u64,
    start: u32,
    len: u16,
    kind: Option<Kind>,
}

const _: () = assert!(size_of::<Slot>() == 16);

impl Scan {
    /// How many entries there are; `.` and `..` are none.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the directory is empty.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The name of entry `index`, counted from 0. Panics if there is no such entry.
    pub fn name(&self, index: usize) -> &[u8] {
        name_of(&self.names, self.slots[index])
    }

    /// The names in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.slots.iter().map(|slot| name_of(&self.names, *slot))
    }

    /// The number of the entry of that name.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let by_name = |slot: &Slot| name_of(&self.names, *slot).cmp(name);
        self.slots.binary_search_by(by_name).ok()
    }

    /// Keeps the entries of which `keep` says so, given their names and [`Scan::kind_hint`]; the others are never asked about.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], Option<Kind>) -> bool) {
        let Self { names, slots, .. } = self;
        slots.retain(|slot| keep(name_of(names, *slot), slot.kind));
        self.window.clear();
    }

    /// Asks for the metadata of the entries of `dir`, if they are no more than [`WINDOW`].
    pub fn load(&mut self, dir: &Dir) {
        if self.is_complete() {
            self.window = self.ask(dir, 0..self.len());
            self.window_start = 0;
        }
    }

    /// Metadata of entry `index`, if it is here and was not taken.
    pub fn peek(&self, index: usize) -> Option<&Metadata> {
        let at = index.checked_sub(self.window_start)?;
        self.window.get(at)?.as_ref()?.as_ref().ok()
    }

    /// What entry `index` is, as far as the directory itself says so: a hint that costs nothing.
    pub fn kind_hint(&self, index: usize) -> Option<Kind> {
        self.slots[index].kind
    }

    /// Whether metadata of all entries is here already: there are no more than [`WINDOW`].
    pub fn is_complete(&self) -> bool {
        self.slots.len() <= WINDOW
    }

    /// Metadata of entry `index` of `dir`, the directory that was scanned. Panics if there is no such entry.
    ///
    /// It is as old as the scan, or in a huge directory as its window. Asked again for the same entry, or back and
    /// forth between windows, it costs new system calls. `NotFound` if the entry has vanished.
    pub fn metadata(&mut self, dir: &Dir, index: usize) -> Result<Metadata> {
        let here = self.window_start..self.window_start + self.window.len();
        if !here.contains(&index) {
            let start = index - index % WINDOW;
            self.window = self.ask(dir, start..self.slots.len().min(start + WINDOW));
            self.window_start = start;
        }
        match self.window[index - self.window_start].take() {
            Some(metadata) => metadata,
            None => dir.stat_trusted(self.name(index)),
        }
    }

    /// Brings the entries in order, each name once: a directory that is changed meanwhile may give one twice.
    fn sort(&mut self) {
        let Self { names, slots, .. } = self;
        slots.sort_unstable_by(|a, b| name_of(names, *a).cmp(name_of(names, *b)));
        slots.dedup_by(|a, b| name_of(names, *a) == name_of(names, *b));
    }

    /// Asks for metadata in the order of inode numbers, in which it lies on the disk.
    ///
    /// A cold directory of ext4 or XFS gives names in the order of their hashes; asked in that order a disk seeks for
    /// every file (that is why GNU tar, cp and rm sort by inode as well).
    fn ask(&self, dir: &Dir, range: Range<usize>) -> Vec<Option<Result<Metadata>>> {
        let slots = &self.slots[range];
        let mut order: Vec<u32> = (0..).take(slots.len()).collect();
        order.sort_unstable_by_key(|&at| slots[at as usize].inode);
        let mut found = Vec::new();
        found.resize_with(slots.len(), || None);
        for at in order {
            let at = at as usize;
            found[at] = Some(dir.stat_trusted(name_of(&self.names, slots[at])));
        }
        found
    }
}

fn name_of(names: &[u8], slot: Slot) -> &[u8] {
    &names[slot.start as usize..][..usize::from(slot.len)]
}

impl Dir {
    /// Lists the directory, and asks for the metadata of its entries if they are no more than [`WINDOW`].
    ///
    /// What an entry's metadata was asked for in vain is the error of that entry alone. Entries that come or go
    /// meanwhile may or may not be there. One system call for about a thousand entries and one for each of the first
    /// [`WINDOW`]. May be called again.
    pub fn scan(&self) -> Result<Scan> {
        let mut scan = self.names()?;
        scan.load(self);
        Ok(scan)
    }

    /// As [`Dir::scan`], without a question about any entry: [`Scan::load`] asks.
    pub fn names(&self) -> Result<Scan> {
        let mut scan = Scan::default();
        self.list(&mut scan)?;
        scan.sort();
        Ok(scan)
    }

    fn list(&self, scan: &mut Scan) -> Result<()> {
        if self.scanned.swap(true, Ordering::Relaxed) {
            seek(self, SeekFrom::Start(0)).map_err(|errno| failed(b"", "rewind", errno))?;
        }
        scan.names.reserve(FIRST_ENTRIES * 16);
        scan.slots.reserve(FIRST_ENTRIES);
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut entries = RawDir::new(self, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(failed(b"", "read directory", errno)),
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let (Ok(start), Ok(len)) = (u32::try_from(scan.names.len()), name.len().try_into())
            else {
                return Err(Error::unsupported(super::name::about(b""))
                    .detail("more than 4 GiB of names in one directory"));
            };
            let kind = Kind::from_type(entry.file_type());
            scan.names.extend_from_slice(name);
            scan.slots.push(Slot {
                inode: entry.ino(),
                start,
                len,
                kind,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::Path;

    fn std_names(path: &Path) -> Vec<Vec<u8>> {
        let read = std::fs::read_dir(path).unwrap();
        let mut names: Vec<Vec<u8>> = read
            .map(|entry| entry.unwrap().file_name().into_vec())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn sorted_by_bytes_with_the_metadata_of_each() {
        let temp = tempfile::tempdir().unwrap();
        let long = [b'n'; 255];
        let names = [
            &b"b"[..],
            b"a",
            b"B",
            b"a-",
            b"a.b",
            b"\xff\xfe",
            b"\xc3\xa4",
            b"a\n",
            &long,
        ];
        for (size, name) in names.iter().enumerate() {
            std::fs::write(temp.path().join(OsStr::from_bytes(name)), vec![0; size]).unwrap();
        }
        std::fs::create_dir(temp.path().join("dir")).unwrap();
        std::os::unix::fs::symlink("gone", temp.path().join("link")).unwrap();
        let dir = Dir::open_root(temp.path()).unwrap();
        let mut scan = dir.scan().unwrap();
        assert!(scan.is_complete());
        assert_eq!(
            scan.names().map(<[u8]>::to_vec).collect::<Vec<_>>(),
            std_names(temp.path())
        );
        for index in 0..scan.len() {
            let name = OsString::from_vec(scan.name(index).to_vec());
            let metadata = scan.metadata(&dir, index).unwrap();
            assert_eq!(
                metadata,
                crate::fs::stat_path(&temp.path().join(name)).unwrap()
            );
            assert!(
                scan.kind_hint(index)
                    .is_none_or(|kind| kind == metadata.kind)
            );
            assert_eq!(scan.metadata(&dir, index).unwrap(), metadata, "asked again");
        }
    }

    #[test]
    fn a_name_that_is_given_twice_counts_once() {
        let slot = |start, inode| Slot {
            inode,
            start,
            len: 1,
            kind: None,
        };
        let mut scan = Scan {
            names: b"bab".to_vec(),
            slots: vec![slot(0, 1), slot(1, 2), slot(2, 1)],
            ..Scan::default()
        };
        scan.sort();
        assert_eq!(scan.names().collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn what_is_not_wanted_is_not_asked_about() {
        let temp = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(temp.path().join(name), name.repeat(3)).unwrap();
        }
        std::fs::create_dir(temp.path().join("d")).unwrap();
        let dir = Dir::open_root(temp.path()).unwrap();
        let mut scan = dir.names().unwrap();
        assert_eq!((scan.find(b"c"), scan.find(b"x")), (Some(2), None));
        assert!(scan.peek(0).is_none());
        scan.retain(|name, _| name != b"b");
        scan.load(&dir);
        assert_eq!(scan.names().collect::<Vec<_>>(), [b"a", b"c", b"d"]);
        assert_eq!(scan.peek(1).unwrap().size, 3);
        assert_eq!(scan.metadata(&dir, 2).unwrap().kind, Kind::Dir);
        assert!(scan.peek(2).is_none() && scan.peek(3).is_none(), "taken");
        std::fs::remove_file(temp.path().join("b")).unwrap();
        assert_eq!(scan.window.len(), 3);
    }

    #[test]
    fn can_be_repeated_and_sees_changes() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(temp.path()).unwrap();
        assert!(dir.scan().unwrap().is_empty());
        std::fs::write(temp.path().join("a"), b"").unwrap();
        assert_eq!(dir.scan().unwrap().len(), 1);
        let mut scan = dir.scan().unwrap();
        std::fs::remove_file(temp.path().join("a")).unwrap();
        assert!(scan.metadata(&dir, 0).is_ok(), "the scan has it already");
        assert_eq!(
            scan.metadata(&dir, 0).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        std::fs::remove_dir(temp.path()).unwrap();
        assert!(
            dir.scan()
                .map_or_else(|e| e.kind() == ErrorKind::NotFound, |s| s.is_empty())
        );
    }

    #[test]
    fn a_huge_directory_is_read_window_by_window() {
        const COUNT: usize = 20_000;
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("00000"), b"x").unwrap();
        for n in 1..COUNT {
            // Links of a few files, since creating 20,000 inodes is what takes the time here.
            let of = format!("{:05}", n / 1000 * 1000);
            let path = temp.path().join(format!("{n:05}"));
            match n % 1000 {
                0 => std::fs::write(path, vec![0; n / 1000]).unwrap(),
                _ => std::fs::hard_link(temp.path().join(of), path).unwrap(),
            }
        }
        let dir = Dir::open_root(temp.path()).unwrap();
        let mut scan = dir.scan().unwrap();
        assert_eq!(scan.len(), COUNT);
        assert!(!scan.is_complete() && scan.window.is_empty(), "names only");
        for index in 0..COUNT {
            assert_eq!(scan.name(index), format!("{index:05}").as_bytes());
            let size = scan.metadata(&dir, index).unwrap().size;
            assert_eq!(size, if index < 1000 { 1 } else { index as u64 / 1000 });
            assert!(scan.window.len() <= WINDOW);
        }
        assert_eq!(
            scan.metadata(&dir, 5000).unwrap().size,
            5,
            "going back works too"
        );
    }
}
