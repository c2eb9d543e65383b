//! What is backed up: paths, a stream, or what a command writes.

use super::roots::{self, Root};
use super::select::{Exclusions, Selection};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::snapshot::{Dump, SourceKind};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Longest name of a file that a restore can make on Linux.
const NAME_BYTES_MAX: usize = 255;

/// Longest path of a stream, with all its directories.
const STREAM_PATH_BYTES_MAX: usize = 4096;

/// Where a backup's data comes from.
pub enum Input<'a> {
    /// Files and directories.
    Paths(Vec<PathBuf>),
    /// One stream, kept as a file.
    Stream {
        /// The file, from the root of the snapshot on: names of at most 255 bytes, no `..`, 4,096 bytes in all.
        name: PathBuf,
        /// Its bytes. An error at its end makes no snapshot.
        reader: &'a mut (dyn Read + Send),
        /// For the output of a command: the program, without arguments, which may hold secrets.
        program: Option<String>,
    },
}

impl Input<'_> {
    /// `InvalidInput` if no stream can have this name; the detail says why.
    pub fn check_stream_name(name: &Path) -> Result<()> {
        stream_names(name).map(drop)
    }
}

/// What is backed up, prepared once for all passes.
pub enum Prepared<'a> {
    /// Files and directories.
    Files {
        /// Normalized.
        asked: Vec<PathBuf>,
        /// Those of them that are there.
        there: Vec<PathBuf>,
        /// The tree that leads to them.
        root: Root,
        /// What is left out of them.
        selection: Selection,
    },
    /// A stream.
    Stream {
        /// What leads to its file from the root on; at least one.
        names: Vec<Vec<u8>>,
        /// Its bytes.
        reader: &'a mut (dyn Read + Send),
        /// What wrote them.
        program: Option<String>,
    },
}

impl<'a> Prepared<'a> {
    /// Looks at the paths; refuses what cannot be backed up.
    pub fn new(input: Input<'a>, exclude: &Exclusions) -> Result<Self> {
        Ok(match input {
            Input::Paths(paths) => {
                let given = roots::asked(&paths)?;
                let root = roots::tree(&given)?;
                let all = roots::absolute_paths(&given);
                let asked = roots::outermost(&all);
                let there = roots::existing(&asked)?;
                let selection = Selection::new(exclude, &all);
                Self::Files {
                    asked,
                    there,
                    root,
                    selection,
                }
            }
            Input::Stream {
                name,
                reader,
                program,
            } => Self::Stream {
                names: stream_names(&name)?,
                reader,
                program,
            },
        })
    }
}

impl Prepared<'_> {
    /// Whether another pass would see the same data.
    pub fn can_be_read_again(&self) -> bool {
        matches!(self, Self::Files { .. })
    }

    /// What of the paths is taken.
    pub fn selection(&self) -> Selection {
        match self {
            Self::Files { selection, .. } => selection.clone(),
            Self::Stream { .. } => Selection::default(),
        }
    }

    /// The paths that a snapshot names: what is not there is a problem, and in no snapshot.
    pub fn paths(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Files { there, .. } => bytes_of(there),
            Self::Stream { names, .. } => vec![
                names
                    .iter()
                    .flat_map(|name| [b"/", &name[..]].concat())
                    .collect(),
            ],
        }
    }

    /// The paths by which a backup knows earlier ones of its kind: those it names, and those it was asked for.
    pub fn series(&self) -> [Vec<Vec<u8>>; 2] {
        let named = self.paths();
        let asked = match self {
            Self::Files { asked, .. } => bytes_of(asked),
            Self::Stream { .. } => named.clone(),
        };
        [named, asked]
    }

    /// What it is recorded as.
    pub fn kind(&self) -> (SourceKind, Option<Dump>) {
        match self {
            Self::Files { .. } => (SourceKind::Files, None),
            Self::Stream { program: None, .. } => (SourceKind::Stream, None),
            Self::Stream {
                program: Some(program),
                ..
            } => (
                SourceKind::Command,
                Some(Dump {
                    engine: String::new(),
                    server_version: String::new(),
                    command: vec![program.clone()],
                    // Else there would be no snapshot.
                    exit_status: 0,
                    tables: Vec::new(),
                }),
            ),
        }
    }
}

/// The names that lead to the file of a stream. A slash in front, and what means nothing in a path, is left out.
fn stream_names(path: &Path) -> Result<Vec<Vec<u8>>> {
    let bytes = path.as_os_str().as_bytes();
    let bad = |detail: &'static str| {
        Err(Error::new(ErrorKind::InvalidInput, Subject::Path(path.to_path_buf())).detail(detail))
    };
    let parts = bytes.split(|byte| *byte == b'/');
    let names: Vec<Vec<u8>> = parts
        .clone()
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
        .collect();
    if names.is_empty() {
        return bad("names no file");
    }
    if bytes.contains(&0) {
        return bad("has a zero byte in it");
    }
    if names.iter().any(|name| name == b"..") {
        return bad("has `..` in it");
    }
    let last = bytes.rsplit(|byte| *byte == b'/').next();
    if last.is_some_and(|last| last.is_empty() || last == b".") {
        return bad("names a directory");
    }
    if names.iter().any(|name| name.len() > NAME_BYTES_MAX) {
        return bad("has a name longer than 255 bytes");
    }
    match bytes.len() > STREAM_PATH_BYTES_MAX {
        true => bad("is longer than 4096 bytes"),
        false => Ok(names),
    }
}

fn bytes_of(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    let bytes = |path: &PathBuf| path.as_os_str().as_bytes().to_vec();
    paths.iter().map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Option<Vec<String>> {
        let names = stream_names(Path::new(path)).ok()?;
        let text = |name: Vec<u8>| String::from_utf8(name).unwrap();
        Some(names.into_iter().map(text).collect())
    }

    #[test]
    fn a_stream_may_lie_in_directories() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        for (path, expected) in [
            ("db.sql", &["db.sql"][..]),
            ("/db.sql", &["db.sql"]),
            ("/dir/sub/name", &["dir", "sub", "name"]),
            ("dir//./sub/...", &["dir", "sub", "..."]),
            (&longest, &[&longest]),
        ] {
            assert_eq!(names(path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn names_that_are_no_file_are_refused() {
        let longer = "x".repeat(NAME_BYTES_MAX + 1);
        let deep = "ab/".repeat(STREAM_PATH_BYTES_MAX / 3) + "name";
        for path in [
            "", "/", "//", ".", "..", "a/", "a/.", "a/..", "../a", "a/../b", "a\0b", &longer, &deep,
        ] {
            assert_eq!(names(path), None, "{path:?}");
        }
    }
}
