//! What differs in the text of a file.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::Content;
use crate::fs::read_bounded;
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::vfs::{Found, read_contents};
use similar::{Algorithm, TextDiff as Diff};
use std::path::Path;
use std::time::Duration;

/// The longest text that is compared.
const BYTES_MAX: u64 = 64 << 20;

/// What stands in the first bytes of what is no text.
const NUL_BYTES: usize = 8 << 10;

/// Lines around each difference.
const CONTEXT: usize = 3;

/// From then on a difference is found that may be longer than it could be.
const PATIENCE: Duration = Duration::from_secs(10);

/// A text.
#[derive(Debug, Clone, Copy)]
pub enum TextSide<'a> {
    /// In a snapshot.
    Found(&'a Found),
    /// On the disk.
    Disk(&'a Path),
    /// Nowhere.
    Nothing,
}

/// How two texts differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextDiff {
    /// Not at all.
    Same,
    /// One of them is no text, or longer than 64 MiB.
    Binary,
    /// As a unified diff, with these names in its first lines; bytes of the texts are as they are.
    Unified(Vec<u8>),
}

/// Compares two texts, named so. Memory: both, and 16 bytes or so for each line.
pub fn text_diff(
    repo: &Repo,
    left: (TextSide<'_>, &str),
    right: (TextSide<'_>, &str),
    interrupt: &Interrupt,
) -> Result<TextDiff> {
    let _following = repo.follow();
    let [one, other] = [left.0, right.0].map(|side| text(repo, side, interrupt));
    let (Some(one), Some(other)) = (one?, other?) else {
        return Ok(TextDiff::Binary);
    };
    if one == other {
        return Ok(TextDiff::Same);
    }
    let is_text = |text: &[u8]| !text[..text.len().min(NUL_BYTES)].contains(&0);
    if !is_text(&one) || !is_text(&other) {
        return Ok(TextDiff::Binary);
    }
    let mut config = Diff::configure();
    config.algorithm(Algorithm::Myers).timeout(PATIENCE);
    let diff = config.diff_lines(&one[..], &other[..]);
    let mut unified = Vec::new();
    let mut shown = diff.unified_diff();
    shown.context_radius(CONTEXT).header(left.1, right.1);
    let written = shown.to_writer(&mut unified);
    written.map_err(|cause| Error::io(Subject::None, cause))?;
    Ok(TextDiff::Unified(unified))
}

/// The bytes of one side; `None` if they are too many.
fn text(repo: &Repo, side: TextSide<'_>, interrupt: &Interrupt) -> Result<Option<Vec<u8>>> {
    let found = match side {
        TextSide::Nothing => return Ok(Some(Vec::new())),
        TextSide::Disk(path) => {
            let meta = crate::fs::stat_path(path)?;
            if meta.kind != crate::fs::Kind::File {
                return Err(no_file(path));
            }
            return match meta.size > BYTES_MAX {
                true => Ok(None),
                false => read_bounded(path, BYTES_MAX as usize).map(Some),
            };
        }
        TextSide::Found(found) => found,
    };
    let Some(Content::File(file)) = found.node.as_ref().map(|node| &node.content) else {
        return Err(no_file(&found.path));
    };
    if file.size > BYTES_MAX {
        return Ok(None);
    }
    read_contents(repo, found.clone(), false, interrupt, |contents| {
        let mut bytes = Vec::new();
        while contents.next_entry()?.is_some() {
            contents.whole(file, &mut |some| {
                bytes.extend_from_slice(some);
                Ok(())
            })?;
        }
        Ok(Some(bytes))
    })
}

fn no_file(path: &Path) -> Error {
    Error::new(ErrorKind::InvalidInput, Subject::Path(path.to_path_buf())).detail("is no file")
}
