//! Where something lies that takes the place of what has its name, until it is whole.
//!
//! It lies in the same directory under a name of its own, which follows from the one it will get. So a full disk costs
//! nothing that was there, and who comes after an interruption finds what was begun.

use super::meta::{Kind, Metadata};
use super::name::{component, failed};
use super::target::{BEGUN_MODE, TargetDir};
use crate::error::Result;
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, Mode, RawDir, mkdirat, renameat, unlinkat};
use rustix::io::{Errno, retry_on_intr};
use std::collections::HashSet;
use std::mem::MaybeUninit;

/// How such names begin; 32 hexadecimal digits follow.
const PREFIX: &[u8] = b".larder-part-";

/// Digits of the hash of the name that it will get: 128 bits, met by no other name.
const HASH_CHARS: usize = 32;

/// Most names that are remembered of one directory: no restore leaves more than it has files in work.
const PARTS_MAX: usize = 1 << 16;

/// Room for what one system call reads.
const BUFFER_BYTES: usize = 32 * 1024;

/// How many names there are for what gets one: something else may have the first.
const TURNS: u32 = 4;

/// The names under which what will be called `name` lies until it is whole: the first that is free, four in all.
pub fn part_names(name: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut base = blake3::Hasher::new();
    base.update(name);
    (0..TURNS).map(move |turn| {
        let hash = base.clone().update(&turn.to_le_bytes()).finalize();
        [PREFIX, &hash.to_hex().as_bytes()[..HASH_CHARS]].concat()
    })
}

/// Whether a name has the form of those that [`part_names`] gives.
pub fn is_part_name(name: &[u8]) -> bool {
    let hash = name.strip_prefix(PREFIX);
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    hash.is_some_and(|hash| hash.len() == HASH_CHARS && hash.iter().all(is_digit))
}

impl TargetDir {
    /// The names in this directory that have the form of [`part_names`], 65,536 at most. One pass over the directory.
    pub fn parts(&self) -> Result<HashSet<Vec<u8>>> {
        let dir = self.read()?;
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut entries = RawDir::new(&dir, &mut buffer);
        let mut parts = HashSet::new();
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) => {
                    let name = entry.file_name().to_bytes();
                    if is_part_name(name) && parts.len() < PARTS_MAX {
                        parts.insert(name.to_vec());
                    }
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(b"", "read directory", errno)),
            }
        }
        Ok(parts)
    }

    /// Gives the entry `from` the name `name`, in place of what has it. A directory gives way if it is empty, in a second step
    /// that no system call does together with the first.
    pub fn rename_over(&self, from: &[u8], name: &[u8]) -> Result<()> {
        let (from, name) = (component(from)?, component(name)?);
        let rename = || retry_on_intr(|| renameat(self.as_fd(), from, self.as_fd(), name));
        let renamed = match rename() {
            Err(Errno::ISDIR) => {
                unlinkat(self.as_fd(), name, AtFlags::REMOVEDIR).and_then(|()| rename())
            }
            renamed => renamed,
        };
        renamed.map_err(|errno| failed(name, "replace", errno))
    }

    /// Removes what an interrupted restore left at such a name; a directory only if it is empty. Nothing there is fine.
    pub fn remove_part(&self, part: &[u8]) -> Result<()> {
        match self.stat(part)? {
            None => Ok(()),
            Some(found) if found.kind == Kind::Dir => self.remove_empty_dir(part).map(drop),
            Some(_) => self.remove_entry(part),
        }
    }

    /// Puts a new directory in place of what has that name, once there is one: no system call does it in one step.
    pub(super) fn dir_in_place_of(&self, name: &[u8]) -> Result<()> {
        let make = |part: &[u8]| mkdirat(self.as_fd(), part, Mode::RWXU);
        let (part, ()) =
            part_of(name, make).map_err(|errno| failed(name, "create directory", errno))?;
        let placed = self
            .unlink(name)
            .and_then(|()| self.rename_over(&part, name));
        placed.inspect_err(|_| drop(self.remove_empty_dir(&part)))
    }

    /// Creates what has no name yet, or beside what has it, and lets it take that place.
    pub(super) fn create<T>(
        &self,
        name: &[u8],
        make: impl Fn(&[u8]) -> Result<T, Errno>,
    ) -> Result<T> {
        let create = |name: &[u8]| retry_on_intr(|| make(name));
        let refused = |errno| failed(name, "create", errno);
        match create(component(name)?) {
            Err(Errno::EXIST) => {}
            made => return made.map_err(refused),
        }
        let (part, made) = part_of(name, create).map_err(refused)?;
        match self.rename_over(&part, name) {
            Ok(()) => Ok(made),
            Err(error) => {
                // What matters is the first error.
                let _ = self.unlink(&part);
                Err(error)
            }
        }
    }

    pub(super) fn unlink(&self, name: &[u8]) -> Result<()> {
        match unlinkat(self.as_fd(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed(name, "replace", errno)),
        }
    }
}

/// Makes something under the first part name of `name` that nothing has.
fn part_of<T>(
    name: &[u8],
    make: impl Fn(&[u8]) -> Result<T, Errno>,
) -> Result<(Vec<u8>, T), Errno> {
    let mut refused = Errno::EXIST;
    for part in part_names(name) {
        match make(&part) {
            Ok(made) => return Ok((part, made)),
            Err(Errno::EXIST) => {}
            Err(errno) => {
                refused = errno;
                break;
            }
        }
    }
    Err(refused)
}

/// Whether a file is one that a restore by this user has begun and not finished, so that it may go on in it.
pub fn is_begun_by_us(found: &Metadata) -> bool {
    let ours = found.uid == rustix::process::geteuid().as_raw();
    found.kind == Kind::File && found.mode == BEGUN_MODE && found.links == 1 && ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_parts_of_its_own() {
        let all: Vec<Vec<u8>> = part_names(b"a").chain(part_names(b"b")).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 8);
        assert!(
            part_names(b"a").eq(all[..4].iter().cloned()),
            "the same each time"
        );
        assert!(all.iter().all(|name| is_part_name(name)));
        assert!(part_names(&[b'n'; 255]).all(|part| part.len() < 64));
        let upper = all[0].to_ascii_uppercase();
        let longer = [&all[0][..], b"0"].concat();
        for other in [&b"a"[..], PREFIX, &upper, &longer] {
            assert!(!is_part_name(other), "{other:?}");
        }
    }
}
