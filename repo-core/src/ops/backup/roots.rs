//! What is backed up, as one tree from `/` down.

use crate::error::{Error, ErrorKind, Result, Subject};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A place in the tree above or at what is backed up.
#[derive(Debug, PartialEq, Eq)]
pub enum Root {
    /// A directory of which only these entries are backed up.
    Above(BTreeMap<Vec<u8>, Root>),
    /// Backed up whole.
    Whole,
}

/// Absolute paths, sorted, each once.
pub fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if paths.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, Subject::None).detail("nothing to back up"));
    }
    let mut absolute = paths
        .iter()
        .map(|path| clean(path))
        .collect::<Result<Vec<_>>>()?;
    absolute.sort();
    absolute.dedup();
    Ok(absolute)
}

/// Those of sorted absolute paths that do not lie below another one.
pub fn outermost(absolute: &[PathBuf]) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in absolute {
        if !kept.last().is_some_and(|last| path.starts_with(last)) {
            kept.push(path.clone());
        }
    }
    kept
}

/// Those that are there. Refuses a list of which nothing is: that is a mistake, not a backup of nothing.
pub fn existing(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut there = Vec::new();
    let mut first = None;
    for path in paths {
        match crate::fs::stat_path(path) {
            Ok(_) => there.push(path.clone()),
            Err(error) => first = first.or(Some(error)),
        }
    }
    match first {
        Some(error) if there.is_empty() => Err(error),
        _ => Ok(there),
    }
}

/// What is shown of a path that is too long.
const SHOWN_CHARS: usize = 60;

/// Bytes of the longest path that the system takes.
const PATH_BYTES_MAX: usize = 4096;

/// The absolute path without `.` and `..`; links are left as they are named.
fn clean(path: &Path) -> Result<PathBuf> {
    if path.as_os_str().len() > PATH_BYTES_MAX {
        let shown = path
            .to_string_lossy()
            .chars()
            .take(SHOWN_CHARS)
            .collect::<String>()
            + "…";
        return Err(
            Error::new(ErrorKind::InvalidInput, Subject::Path(shown.into()))
                .detail("longer than the 4096 bytes that a path may have"),
        );
    }
    let absolute = std::path::absolute(path)
        .map_err(|e| Error::io(crate::Subject::Path(path.to_path_buf()), e))?;
    let mut clean = PathBuf::from("/");
    for part in absolute.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(clean)
}

/// The tree that leads from `/` to the normalized `paths`.
pub fn tree(paths: &[PathBuf]) -> Root {
    let mut root = Root::Above(BTreeMap::new());
    for path in paths {
        let names: Vec<&[u8]> = path
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name.as_bytes()),
                _ => None,
            })
            .collect();
        insert(&mut root, &names);
    }
    root
}

fn insert(at: &mut Root, names: &[&[u8]]) {
    match (names.split_first(), at) {
        (None, at) => *at = Root::Whole,
        (Some((first, rest)), Root::Above(children)) => {
            let below = children
                .entry(first.to_vec())
                .or_insert_with(|| Root::Above(BTreeMap::new()));
            insert(below, rest);
        }
        // Below what is backed up whole: nothing to add.
        (Some(_), Root::Whole) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_and_double_paths_count_once() {
        let paths = ["/a/b", "/a/b/c", "/a/./b", "/x/../a/d", "/a/bc"].map(PathBuf::from);
        let all = absolute(&paths).unwrap();
        assert_eq!(all.len(), 4);
        let kept = outermost(&all);
        assert_eq!(kept, ["/a/b", "/a/bc", "/a/d"].map(PathBuf::from));
        let Root::Above(top) = tree(&kept) else {
            panic!("root is above all")
        };
        let Root::Above(a) = &top[&b"a"[..]] else {
            panic!("a is above b")
        };
        assert_eq!(a.len(), 3);
        assert!(a.values().all(|root| *root == Root::Whole));
    }

    #[test]
    fn the_root_itself_is_everything() {
        let kept = outermost(&["/", "/etc"].map(PathBuf::from));
        assert_eq!(kept, [PathBuf::from("/")]);
        assert_eq!(tree(&kept), Root::Whole);
        assert!(absolute(&[]).is_err());
    }
}
