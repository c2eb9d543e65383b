//! What a restore is asked for: how it treats what is there, which nodes are meant, which attributes.

use crate::format::tree::Node;
use crate::fs::{BEGUN_MODE, Kind, Metadata, Owners};
use crate::pattern::{List, Reached};
use crate::time::Timestamp;
use crate::tree::Nodes;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a restore is made.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Only what lies below this directory of the snapshot, which becomes the target itself (restic's `ID:subfolder`).
    pub subfolder: Option<PathBuf>,
    /// What becomes of files that are there already.
    pub overwrite: Overwrite,
    /// Remove what is selected and not in the snapshot, below every directory that is restored.
    pub delete: bool,
    /// Device and inode of what is never removed, such as the repository.
    pub never_delete: Vec<(u64, u64)>,
    /// Do everything but write.
    pub dry_run: bool,
    /// Make holes of blocks of zeros, also where none were recorded. Holes that were recorded are made anyway.
    pub sparse: bool,
    /// Read back what was restored, and compare.
    pub verify: bool,
    /// Which nodes are meant.
    pub selection: Selection,
    /// Which extended attributes are meant; what is not meant is neither set nor removed.
    pub xattrs: XattrSelection,
    /// Do not set owners.
    pub no_owner: bool,
    /// Where owners get their numbers by their names, if they have one here; by the recorded numbers otherwise.
    pub owners: Option<Arc<Owners>>,
}

impl RestoreOptions {
    /// Gives a node the numbers that its owners have here, if that is asked for.
    pub(super) fn own(&self, nodes: &Nodes, node: &mut Node) {
        let Some(owners) = &self.owners else { return };
        let uid = nodes.user(node.uid).and_then(|name| owners.uid(name));
        let gid = nodes.group(node.gid).and_then(|name| owners.gid(name));
        (node.uid, node.gid) = (uid.unwrap_or(node.uid), gid.unwrap_or(node.gid));
    }
}

/// What becomes of a file, link or other that is there already. Directories are always entered, and get their attributes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// It becomes what the snapshot says; its content is compared, and only what differs is fetched.
    #[default]
    Always,
    /// The same, but a file of the recorded size and time is taken to have the recorded content.
    IfChanged,
    /// The same as `Always` if the snapshot's is newer, by the time of the last change; otherwise it stays.
    IfNewer,
    /// It stays.
    Never,
}

impl Overwrite {
    /// Whether what is there stays in place of what the snapshot has with this time and, if that is no directory, mode.
    ///
    /// A file that a restore has begun and not finished does not: nobody put it there.
    pub(super) fn keeps(self, mtime: Timestamp, mode: Option<u32>, found: &Metadata) -> bool {
        let begun = found.kind == Kind::File && found.mode == BEGUN_MODE;
        match self {
            _ if begun && mode != Some(BEGUN_MODE) => false,
            Self::Always | Self::IfChanged => false,
            Self::IfNewer => mtime <= found.mtime,
            Self::Never => true,
        }
    }

    /// The same of a node that is no directory.
    pub(super) fn keeps_for(self, node: &Node, found: &Metadata) -> bool {
        self.keeps(node.mtime, Some(u32::from(node.mode)), found)
    }
}

/// Which nodes of a snapshot are meant; paths are those in the snapshot, or in its subfolder, and begin with `/`.
#[derive(Debug, Clone, Default)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// Those that one of the lists matches, with the directories on the way there.
    Include(Vec<List>),
    /// Those that none of the lists matches. What lies below a directory that one matches is not looked at.
    Exclude(Vec<List>),
}

/// How far a path leads into the patterns of a [`Selection`].
pub struct Chosen {
    reached: Vec<Reached>,
    /// Whether this very node is meant.
    pub selected: bool,
    /// Whether something below may be.
    pub below: bool,
}

impl Selection {
    /// The root of the tree.
    pub(super) fn root(&self) -> Chosen {
        self.chosen(self.lists().iter().map(List::root).collect())
    }

    /// An entry of a directory.
    pub(super) fn enter(&self, above: &Chosen, name: &[u8]) -> Chosen {
        let lists = self.lists().iter().zip(&above.reached);
        self.chosen(lists.map(|(list, above)| list.enter(above, name)).collect())
    }

    /// The same once more.
    pub(super) fn again(&self, chosen: &Chosen) -> Chosen {
        self.chosen(chosen.reached.clone())
    }

    /// Whether directories may have to be made only for something below them.
    pub(super) fn is_partial(&self) -> bool {
        matches!(self, Self::Include(_))
    }

    fn lists(&self) -> &[List] {
        match self {
            Self::All => &[],
            Self::Include(lists) | Self::Exclude(lists) => lists,
        }
    }

    fn chosen(&self, reached: Vec<Reached>) -> Chosen {
        let matches = reached.iter().any(Reached::matches);
        let (selected, below) = match self {
            Self::All => (true, true),
            Self::Include(_) => (matches, reached.iter().any(Reached::below_may_match)),
            Self::Exclude(_) => (!matches, !matches),
        };
        Chosen {
            reached,
            selected,
            below,
        }
    }
}

/// Which extended attributes are meant, by patterns of their names.
#[derive(Debug, Clone, Default)]
pub enum XattrSelection {
    /// All.
    #[default]
    All,
    /// Those that the list matches.
    Include(List),
    /// Those that it does not match.
    Exclude(List),
}

impl XattrSelection {
    /// Whether an attribute of this name is meant.
    pub(super) fn selects(&self, name: &[u8]) -> bool {
        let matches = |list: &List| list.matches(Path::new(OsStr::from_bytes(name)));
        match self {
            Self::All => true,
            Self::Include(list) => matches(list),
            Self::Exclude(list) => !matches(list),
        }
    }
}
