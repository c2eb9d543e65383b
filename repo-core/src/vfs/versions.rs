//! The versions of what has one path in many snapshots.

use super::pages::{Directories, NodeRef};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::codec;
use crate::id::BlobId;
use crate::snapshot::SnapshotInfo;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, OnceLock};

/// All versions of one path, each once, in the order in which snapshots had them first.
///
/// Memory: 150 bytes for each, and the names in all directories that it was, once they are listed.
pub struct Versions {
    /// The name that each has, and what it is.
    entries: Vec<(Vec<u8>, NodeRef)>,
    /// The directories among them that differ: the first snapshot that has each, and its tree.
    directories: Vec<Directory>,
    /// Whether more may have been there, in directories above that are lost.
    is_partial: bool,
    below: OnceLock<Vec<Vec<u8>>>,
}

/// Says how a version is called that this snapshot had first.
pub type NameOf<'a> = &'a dyn Fn(&SnapshotInfo) -> String;

/// A directory, and the first snapshot that has it.
type Directory = (Arc<SnapshotInfo>, BlobId);

/// Hears of a directory that is lost, and why.
pub type Lost<'a> = &'a dyn Fn(&Directory, Error);

/// What went on beside something that is lost: that is told, and an error only if nothing else could be read.
#[derive(Default)]
struct Beside {
    last: Option<(Directory, Error)>,
    read: bool,
}

impl Beside {
    /// What was read of a directory, unless that is lost. Any other error may pass, and is one of all.
    fn take<T>(
        &mut self,
        directory: &Directory,
        read: Result<T>,
        lost: Lost<'_>,
    ) -> Result<Option<T>> {
        match read {
            Ok(read) => {
                self.read = true;
                Ok(Some(read))
            }
            Err(error) if error.is_lost() => {
                if let Some((before, error)) = self.last.replace((directory.clone(), error)) {
                    lost(&before, error);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells of the last; `found` says whether something else was found.
    fn end(self, found: bool, lost: Lost<'_>) -> Result<()> {
        match self.last {
            Some((_, error)) if !found => Err(error),
            Some((directory, error)) => {
                lost(&directory, error);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Versions {
    /// Of what stands above everything: the roots of all snapshots, the oldest first. They have no names as versions.
    pub fn of_roots(snapshots: &[Arc<SnapshotInfo>]) -> Self {
        let mut met = HashSet::new();
        let new = |info: &&Arc<SnapshotInfo>| met.insert(info.summary.root);
        let roots = snapshots.iter().filter(new);
        Self {
            entries: Vec::new(),
            directories: roots
                .map(|info| (info.clone(), info.summary.root))
                .collect(),
            is_partial: false,
            below: OnceLock::new(),
        }
    }

    /// Of what has this name in the directories of another. `None` if nothing ever had it; an error if that cannot be told.
    pub fn below(
        &self,
        name: &[u8],
        directories: &Directories,
        name_of: NameOf<'_>,
        lost: Lost<'_>,
    ) -> Result<Option<Self>> {
        let mut found = Self {
            entries: Vec::new(),
            directories: Vec::new(),
            is_partial: self.is_partial,
            below: OnceLock::new(),
        };
        let (mut met, mut trees, mut names) = (HashSet::new(), HashSet::new(), HashSet::new());
        let mut beside = Beside::default();
        for directory in &self.directories {
            let (info, tree) = directory;
            let node = beside.take(directory, directories.find(tree, name), lost)?;
            let Some(node) = node.flatten() else {
                continue;
            };
            if !met.insert(blake3::hash(&codec::encode(&*node))) {
                continue;
            }
            if let Some(tree) = node.content.tree()
                && trees.insert(tree)
            {
                found.directories.push((info.clone(), tree));
            }
            let name = unlike(&name_of(info), &mut names);
            found.entries.push((name, node));
        }
        let is_found = !found.entries.is_empty();
        found.is_partial |= beside.last.is_some();
        beside.end(is_found, lost)?;
        match is_found || !self.is_partial {
            true => Ok(is_found.then_some(found)),
            false => Err(Error::new(ErrorKind::Missing, Subject::None)
                .detail("may be in a snapshot of which a directory is lost")),
        }
    }

    /// The version of this name.
    pub fn get(&self, name: &[u8]) -> Option<&NodeRef> {
        let mut entries = self.entries.iter();
        let found = entries.find(|(own, _)| own == name);
        found.map(|(_, node)| node)
    }

    /// The versions with their names.
    pub fn entries(&self) -> &[(Vec<u8>, NodeRef)] {
        &self.entries
    }

    /// The names that any of its directories has, but for those of versions. An error if none of them can be read.
    pub fn names(&self, directories: &Directories, lost: Lost<'_>) -> Result<&[Vec<u8>]> {
        if let Some(names) = self.below.get() {
            return Ok(names);
        }
        let (mut names, mut beside) = (BTreeSet::new(), Beside::default());
        for directory in &self.directories {
            let read = self.add_names(&directory.1, directories, &mut names);
            beside.take(directory, read, lost)?;
        }
        let read = beside.read;
        beside.end(read, lost)?;
        Ok(self.below.get_or_init(|| names.into_iter().collect()))
    }

    fn add_names(
        &self,
        tree: &BlobId,
        directories: &Directories,
        names: &mut BTreeSet<Vec<u8>>,
    ) -> Result<()> {
        let (mut page, mut at) = (0, 0);
        while let Some(node) = directories.next(tree, page, at)? {
            (page, at) = (node.spot.page as usize, node.spot.at as usize + 1);
            if self.get(&node.name).is_none() && !names.contains(&node.name) {
                names.insert(node.name.clone());
            }
        }
        Ok(())
    }

    /// About what it takes in memory.
    pub fn cost(&self) -> usize {
        256 + 150 * self.entries.len() + 64 * self.directories.len()
    }
}

/// The name of one version, unlike those of others, without slashes.
fn unlike(name: &str, names: &mut HashSet<Vec<u8>>) -> Vec<u8> {
    let name = name.replace('/', "_");
    let numbered = (1u64..).map(|number| format!("{name}-{number}"));
    for name in std::iter::once(name.clone()).chain(numbered) {
        if names.insert(name.clone().into_bytes()) {
            return name.into_bytes();
        }
    }
    unreachable!("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_versions_differ() {
        let mut names = HashSet::new();
        let mut next = |name| String::from_utf8(unlike(name, &mut names)).unwrap();
        assert_eq!(next("a/b"), "a_b");
        assert_eq!(next("a_b"), "a_b-1");
        assert_eq!(next("a_b"), "a_b-2");
        assert_eq!(next("c"), "c");
    }
}
