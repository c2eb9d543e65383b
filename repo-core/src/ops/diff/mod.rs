//! Diff: what differs between two snapshots, or between a snapshot and the disk.
//!
//! What has the same id is the same, and is not opened: directories, pages of large ones, lists of chunks.

mod disk;
mod sums;
mod text;
mod trees;

pub use disk::{DiskOptions, diff_disk};
pub use text::{TextDiff, TextSide, text_diff};
pub use trees::diff;

use crate::error::{Error, Result};
use crate::format::tree::{Content, Node};
use crate::progress::{Problems, Progress};
use std::mem::discriminant;
use std::path::Path;

/// How something differs, in restic's letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modifier {
    /// It is on the right only.
    Added,
    /// It is on the left only.
    Removed,
    /// The content of a file.
    Content,
    /// The content of a file, and nothing else: neither its size nor any of its times.
    OnlyContent,
    /// What it is: a file is a link now, or the like.
    Type,
    /// The same, and its attributes.
    TypeAndMetadata,
    /// Its attributes.
    Metadata,
}

impl Modifier {
    /// The letters.
    pub fn letters(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Removed => "-",
            Self::Content => "M",
            Self::OnlyContent => "M?",
            Self::Type => "T",
            Self::TypeAndMetadata => "TU",
            Self::Metadata => "U",
        }
    }
}

/// Something that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference<'a> {
    /// Its path.
    pub path: &'a Path,
    /// Whether it is a directory, on the right if it is there.
    pub is_dir: bool,
    /// How.
    pub modifier: Modifier,
}

/// What is on one side only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OneSide {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// Links, pipes, sockets and devices.
    pub others: u64,
    /// Chunks of files that were compared.
    pub data_blobs: u64,
    /// Tree blobs of directories that were compared.
    pub tree_blobs: u64,
    /// Bytes of these before compression; beside the disk, of files.
    pub bytes: u64,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiffSummary {
    /// Files with another content.
    pub changed_files: u64,
    /// What is on the right only.
    pub added: OneSide,
    /// What is on the left only.
    pub removed: OneSide,
    /// What could not be compared; each was reported.
    pub problems: u64,
}

/// Told of each difference, in order of the paths.
pub type Tell<'a> = dyn FnMut(&Difference<'_>) -> Result<()> + 'a;

/// Tells and counts.
struct Report<'a, 'p> {
    tell: &'a mut Tell<'a>,
    problems: &'a Problems<'p>,
    summary: DiffSummary,
}

impl Report<'_, '_> {
    fn differs(&mut self, path: &Path, is_dir: bool, modifier: Modifier) -> Result<()> {
        (self.tell)(&Difference {
            path,
            is_dir,
            modifier,
        })
    }

    /// Something that is on one side only.
    fn one_sided(&mut self, path: &Path, content: &Content, modifier: Modifier) -> Result<()> {
        let side = match modifier {
            Modifier::Removed => &mut self.summary.removed,
            _ => &mut self.summary.added,
        };
        match content {
            Content::File(_) => side.files += 1,
            Content::Dir(_) => side.dirs += 1,
            _ => side.others += 1,
        }
        self.differs(path, matches!(content, Content::Dir(_)), modifier)
    }

    fn problem(&self, path: &Path, error: &Error) {
        self.problems.problem(path, error);
    }

    fn finish(mut self) -> DiffSummary {
        self.summary.problems = self.problems.seen();
        self.summary
    }
}

/// Whether two nodes are of the same sort.
fn same_type(left: &Content, right: &Content) -> bool {
    discriminant(left) == discriminant(right)
}

/// How two nodes of one name differ, as restic says it: of files that differ in content nothing more is said.
fn modifier(left: &Node, right: &Node, metadata: bool) -> Option<Modifier> {
    let changed = metadata && left != right;
    if !same_type(&left.content, &right.content) {
        return Some(match changed {
            true => Modifier::TypeAndMetadata,
            false => Modifier::Type,
        });
    }
    match (&left.content, &right.content) {
        (Content::File(one), Content::File(other)) if one != other => {
            let same = Node {
                content: right.content.clone(),
                ..left.clone()
            };
            Some(match same == *right && one.size == other.size {
                true => Modifier::OnlyContent,
                false => Modifier::Content,
            })
        }
        _ => changed.then_some(Modifier::Metadata),
    }
}
