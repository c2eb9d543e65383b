//! Sealed objects of a place over a network, kept on this machine under the names that they have there.
//!
//! Nothing here is needed: files may be missing, damaged, or gone at the place; whoever reads one proves it as what comes from the
//! place. Several processes share a directory: files are written under another name and never changed.

use super::lock;
use crate::error::{Error, Result, Subject};
use crate::fs::{NewFile, read_bounded};
use crate::id::{from_hex, to_hex};
use crate::time;
use std::fs::{DirBuilder, File, Metadata};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// Most bytes that are kept of one repository.
const BYTES_MAX: u64 = 1 << 30;

/// The longest file that is kept: a pack.
const FILE_BYTES_MAX: usize = 64 << 20;

/// A file that was used is marked so, if the mark is older than this.
const MARK_AGE_MIN: Duration = Duration::from_secs(3600);

/// The file that says which key slot opened the repository last.
const LAST_KEY: &str = "key";

/// The directory; nothing is kept without one.
pub struct Kept {
    dir: Option<PathBuf>,
    bytes_max: u64,
    /// Nothing is read any more.
    past: AtomicBool,
    written: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    /// Bytes of all files, once they were counted.
    bytes: Option<u64>,
    /// Nothing is written any more; the error until somebody asks.
    failed: bool,
    failure: Option<Error>,
}

impl Kept {
    /// What is kept below `dir`, which is made when it is first written to.
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self {
            dir,
            bytes_max: BYTES_MAX,
            past: AtomicBool::new(false),
            written: Mutex::default(),
        }
    }

    /// From now on nothing is read here.
    pub fn read_past(&self) {
        self.past.store(true, Ordering::Relaxed);
    }

    /// Why something could not be kept, the first time, until somebody asks.
    pub fn failure(&self) -> Option<Error> {
        lock(&self.written).failure.take()
    }

    /// Remembers why something could not be kept, until somebody asks.
    pub fn failed(&self, error: Error) {
        let error = error.detail("use the cache directory");
        lock(&self.written).failure.get_or_insert(error);
    }

    /// Whether anything is kept at all.
    pub fn keeps(&self) -> bool {
        self.dir.is_some()
    }

    /// Whether something is kept under a name.
    pub fn has(&self, name: &str) -> bool {
        self.readable().is_some_and(|dir| dir.join(name).is_file())
    }

    /// What is kept under a name, not proved.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.readable()?.join(name);
        let bytes = read_bounded(&path, FILE_BYTES_MAX).ok()?;
        mark_used(&File::open(&path).ok()?);
        Some(bytes)
    }

    /// A block's bytes, not proved: from its own file or from the whole pack.
    pub fn block(&self, pack: &str, offset: u32, len: u32) -> Option<Vec<u8>> {
        let dir = self.readable()?;
        let whole = || part_of(&dir.join(pack), u64::from(offset), len);
        let own = || part_of(&dir.join(block_name(pack, offset)), 0, len);
        whole().or_else(own)
    }

    /// Keeps bytes in parts under a name.
    pub fn put(&self, name: &str, parts: &[&[u8]]) {
        let Some(dir) = &self.dir else { return };
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let mut written = lock(&self.written);
        if written.failed || len > FILE_BYTES_MAX {
            return;
        }
        let done =
            write(&dir.join(name), parts).and_then(|()| self.make_room(dir, len, &mut written));
        if let Err(error) = done {
            written.failed = true;
            written.failure = Some(error.detail("use the cache directory"));
        }
    }

    /// Keeps a block.
    pub fn put_block(&self, pack: &str, offset: u32, bytes: &[u8]) {
        self.put(&block_name(pack, offset), &[bytes]);
    }

    /// The id of the key slot that opened the repository last.
    pub fn last_key(&self) -> Option<[u8; 32]> {
        let text = self.get(LAST_KEY)?;
        from_hex(std::str::from_utf8(&text).ok()?)?.try_into().ok()
    }

    /// Remembers that.
    pub fn put_last_key(&self, id: &[u8; 32]) {
        if self.last_key().as_ref() != Some(id) {
            self.put(LAST_KEY, &[to_hex(id).as_bytes()]);
        }
    }

    fn readable(&self) -> Option<&Path> {
        match self.past.load(Ordering::Relaxed) {
            true => None,
            false => self.dir.as_deref(),
        }
    }

    /// Removes what was used longest ago once all files together are too large.
    fn make_room(&self, dir: &Path, len: usize, written: &mut Written) -> Result<()> {
        let bytes = match written.bytes {
            Some(bytes) => bytes + len as u64,
            None => files(dir)?.iter().map(|(_, file)| file.len()).sum(),
        };
        written.bytes = Some(bytes);
        if bytes <= self.bytes_max {
            return Ok(());
        }
        let mut files = files(dir)?;
        files.sort_by_key(|(_, file)| file.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        let mut left: u64 = files.iter().map(|(_, file)| file.len()).sum();
        for (path, file) in files {
            if left <= self.bytes_max / 4 * 3 {
                break;
            }
            // Another process may have been faster.
            let _ = std::fs::remove_file(path);
            left -= file.len();
        }
        written.bytes = Some(left);
        Ok(())
    }
}

fn block_name(pack: &str, offset: u32) -> String {
    format!("{pack}-{offset}")
}

/// Exactly so many bytes of a file.
fn part_of(path: &Path, offset: u64, len: u32) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    mark_used(&file);
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut bytes = Vec::new();
    file.take(len.into()).read_to_end(&mut bytes).ok()?;
    (bytes.len() == len as usize).then_some(bytes)
}

/// What was used lately is kept longest.
fn mark_used(file: &File) {
    let seconds = u64::try_from(time::now().seconds).unwrap_or(0);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let age = file.metadata().and_then(|file| file.modified());
    if age.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > MARK_AGE_MIN)) {
        // Only the order of going depends on it.
        let _ = file.set_modified(now);
    }
}

fn write(path: &Path, parts: &[&[u8]]) -> Result<()> {
    let failed = |cause| Error::io(Subject::Path(path.to_path_buf()), cause);
    if let Some(parent) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(parent).map_err(failed)?;
    }
    let mut new = NewFile::create(path)?;
    let done = parts.iter().try_for_each(|part| new.file().write_all(part));
    done.map_err(failed)?;
    new.place()
}

/// All files below. What goes away meanwhile is left out.
fn files(dir: &Path) -> Result<Vec<(PathBuf, Metadata)>> {
    let (mut found, mut left) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(dir) = left.pop() {
        let entries = std::fs::read_dir(&dir);
        let entries = entries.map_err(|cause| Error::io(Subject::Path(dir), cause))?;
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => left.push(entry.path()),
                Ok(meta) if meta.is_file() => found.push((entry.path(), meta)),
                _ => {}
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bytes_max: u64) -> (tempfile::TempDir, Kept) {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept {
            bytes_max,
            ..Kept::new(Some(dir.path().join("objects")))
        };
        (dir, kept)
    }

    #[test]
    fn gives_back_what_was_put_until_told_to_read_past() {
        let (_dir, kept) = kept(1000);
        kept.put("snapshots/aa", &[b"one", b"two"]);
        kept.put("meta/ab/pack", &[b"0123456789"]);
        kept.put_block("meta/ab/other", 7, b"block");
        assert_eq!(kept.get("snapshots/aa").unwrap(), b"onetwo");
        assert_eq!(kept.get("snapshots/bb"), None);
        assert_eq!(kept.block("meta/ab/pack", 3, 4).unwrap(), b"3456");
        assert_eq!(kept.block("meta/ab/pack", 3, 8), None);
        assert_eq!(kept.block("meta/ab/other", 7, 5).unwrap(), b"block");
        assert_eq!(kept.block("meta/ab/other", 8, 5), None);
        kept.read_past();
        assert_eq!(kept.get("snapshots/aa"), None);
        assert_eq!(kept.block("meta/ab/pack", 3, 4), None);
    }

    #[test]
    fn what_was_used_longest_ago_goes_when_there_is_too_much() {
        let (_dir, kept) = kept(100);
        let old = SystemTime::UNIX_EPOCH + MARK_AGE_MIN;
        for name in ["a", "b", "c", "d"] {
            kept.put(name, &[&[0; 25]]);
            let file = File::open(kept.dir.as_ref().unwrap().join(name)).unwrap();
            file.set_modified(old).unwrap();
        }
        assert!(kept.get("a").is_some());
        kept.put("e", &[&[0; 25]]);
        let there = ["a", "b", "c", "d", "e"].map(|name| kept.get(name).is_some());
        assert_eq!(there.iter().filter(|there| **there).count(), 3);
        assert!(there[0] && there[4]);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_said_once_and_costs_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let kept = Kept::new(Some(file));
        kept.put("a", &[b"1"]);
        kept.put("b", &[b"1"]);
        assert!(kept.failure().is_some());
        assert!(kept.failure().is_none());
        assert_eq!(kept.get("a"), None);
        Kept::new(None).put("a", &[b"1"]);
    }
}
