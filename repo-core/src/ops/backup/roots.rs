//! What is backed up, as one tree. As tar does it, and restic, a path lies in the tree as it was given: an absolute one from `/`
//! down, a relative one from where the backup was started, without what leads up from there; of `.` the content is the root.

use crate::error::{Error, ErrorKind, Result, Subject};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A place in the tree above or at what is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// A directory of which only these entries are backed up.
    Above {
        /// Where it is; of the tree's own root that says nothing.
        path: PathBuf,
        /// The entries.
        children: BTreeMap<Vec<u8>, Root>,
    },
    /// Backed up whole.
    Whole {
        /// Where it is.
        path: PathBuf,
    },
}

impl Root {
    /// The absolute path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Above { path, .. } | Self::Whole { path } => path,
        }
    }

    fn above(path: &Path) -> Self {
        Self::Above {
            path: path.to_path_buf(),
            children: BTreeMap::new(),
        }
    }
}

/// A path to back up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Absolute, without `.` and `..`, which follow no links; links are left as they are named.
    path: PathBuf,
    /// How many of its last names lead to it in the tree.
    depth: usize,
}

/// The paths, sorted, each once.
pub fn asked(paths: &[PathBuf]) -> Result<Vec<Asked>> {
    if paths.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, Subject::None).detail("nothing to back up"));
    }
    let asked = |path: &PathBuf| {
        let absolute = absolute(path)?;
        Ok(Asked {
            depth: clean(path).components().count() - 1,
            path: absolute,
        })
    };
    let mut all = paths.iter().map(asked).collect::<Result<Vec<_>>>()?;
    all.sort();
    all.dedup();
    Ok(all)
}

/// The absolute paths, sorted, each once.
pub fn absolute_paths(asked: &[Asked]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = asked.iter().map(|asked| asked.path.clone()).collect();
    paths.dedup();
    paths
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
///
/// `InvalidInput` if a `..` follows a symbolic link: for the system that leads to where the link points, and the path that is
/// left without it somewhere else.
pub fn absolute(path: &Path) -> Result<PathBuf> {
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
    let link = backs_out_of(&absolute, |at| {
        crate::fs::stat_path(at).is_ok_and(|found| found.kind == crate::fs::Kind::Symlink)
    });
    match link {
        None => Ok(clean(&absolute)),
        Some(link) => {
            let subject = Subject::Path(path.to_path_buf());
            let why = format!(
                "has a `..` behind the symbolic link {}; give the path that is meant without it",
                link.display()
            );
            Err(Error::new(ErrorKind::InvalidInput, subject).detail(why))
        }
    }
}

/// The first symbolic link that a `..` of this absolute path follows.
fn backs_out_of(path: &Path, is_link: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let mut at = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => at.push(name),
            Component::ParentDir if is_link(&at) => return Some(at),
            Component::ParentDir => {
                at.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    None
}

/// The path from `/` on, without `.`, and without `..` and what that takes back.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// The tree that leads to all of them. `InvalidInput` if two would lie at the same place in it.
pub fn tree(asked: &[Asked]) -> Result<Root> {
    let mut root = Root::above(Path::new("/"));
    // Those that lie high in the tree first: what is below them is in it then.
    let mut asked: Vec<&Asked> = asked.iter().collect();
    asked.sort_by_key(|asked| asked.depth);
    for Asked { path, depth } in asked {
        let mut way: Vec<&Path> = path.ancestors().take(depth + 1).collect();
        way.reverse();
        insert(&mut root, &way)?;
    }
    Ok(root)
}

/// Puts in what the last path of `way` names; the first one is that of `at`.
fn insert(at: &mut Root, way: &[&Path]) -> Result<()> {
    let Some((here, rest)) = way.split_first() else {
        return Ok(());
    };
    match (at, rest) {
        (Root::Whole { path }, _) if path == here => Ok(()),
        (at, []) if !matches!(at, Root::Whole { .. }) => {
            *at = Root::Whole {
                path: here.to_path_buf(),
            };
            Ok(())
        }
        (Root::Above { children, .. }, [next, ..]) => {
            let name = next.file_name().unwrap_or_default().as_bytes().to_vec();
            let below = children.entry(name).or_insert_with(|| Root::above(next));
            match below.path() == *next {
                true => insert(below, rest),
                false => Err(same_place(below.path(), next)),
            }
        }
        (at, _) => Err(same_place(at.path(), way.last().unwrap_or(here))),
    }
}

fn same_place(one: &Path, other: &Path) -> Error {
    let error = Error::new(ErrorKind::InvalidInput, Subject::Path(other.to_path_buf()));
    error.detail(format!(
        "would lie at the same place in the snapshot as {}; give both from / on",
        one.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_of<const N: usize>(paths: [&str; N]) -> Vec<Asked> {
        asked(&paths.map(PathBuf::from)).unwrap()
    }

    /// The places in the tree that are backed up whole, and where they are.
    fn places(root: &Root, at: &str, found: &mut Vec<(String, String)>) {
        match root {
            Root::Whole { path } => found.push((at.into(), path.to_str().unwrap().into())),
            Root::Above { children, .. } => {
                for (name, child) in children {
                    let name = str::from_utf8(name).unwrap();
                    places(child, &format!("{at}/{name}"), found);
                }
            }
        }
    }

    fn tree_of<const N: usize>(paths: [&str; N]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        places(&tree(&asked_of(paths)).unwrap(), "", &mut found);
        found
    }

    #[test]
    fn nested_and_double_paths_count_once() {
        let all = asked_of(["/a/b", "/a/b/c", "/a/./b", "/x/../a/d", "/a/bc"]);
        assert_eq!(all.len(), 4);
        let kept = outermost(&absolute_paths(&all));
        assert_eq!(kept, ["/a/b", "/a/bc", "/a/d"].map(PathBuf::from));
        let same = ["/a/b", "/a/bc", "/a/d"].map(|path| (path.into(), path.into()));
        assert_eq!(
            tree_of(["/a/b", "/a/b/c", "/a/./b", "/x/../a/d", "/a/bc"]),
            same
        );
    }

    #[test]
    fn a_path_that_backs_out_of_a_link_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        std::fs::create_dir_all(at("elsewhere/sub")).unwrap();
        std::os::unix::fs::symlink("elsewhere/sub", at("link")).unwrap();
        for wrong in ["link/../file", "elsewhere/../link/..", "link/sub/../../x"] {
            let error = absolute(&at(wrong)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
            assert!(error.detail_text().unwrap().contains("/link;"), "{error}");
            assert!(asked(&[at(wrong)]).is_err());
        }
        for (path, clean) in [
            ("elsewhere/../file", "file"),
            ("link/sub/../x", "link/x"),
            ("link/.", "link"),
            ("none/../x", "x"),
        ] {
            assert_eq!(absolute(&at(path)).unwrap(), at(clean));
        }
    }

    #[test]
    fn the_root_itself_is_everything() {
        let all = asked_of(["/", "/etc"]);
        assert_eq!(outermost(&absolute_paths(&all)), [PathBuf::from("/")]);
        assert_eq!(tree_of(["/", "/etc"]), [(String::new(), "/".into())]);
        assert!(asked(&[]).is_err());
    }

    #[test]
    fn relative_paths_lie_in_the_tree_as_they_are_given() {
        let here = std::env::current_dir().unwrap();
        let at = |path: &Path| path.to_str().unwrap().to_owned();
        let above = here.parent().unwrap();
        assert_eq!(
            tree_of(["src/a", "./src/b/../c", "../other", "/etc"]),
            [
                ("/etc".into(), "/etc".into()),
                ("/other".into(), at(&above.join("other"))),
                ("/src/a".into(), at(&here.join("src/a"))),
                ("/src/c".into(), at(&here.join("src/c"))),
            ]
        );
        assert_eq!(tree_of([".", "src"]), [(String::new(), at(&here))]);
        assert_eq!(tree_of([".."]), [(String::new(), at(above))]);
    }

    #[test]
    fn what_would_lie_at_one_place_is_refused() {
        for paths in [["x", "../x"], [".", ".."], [".", "/etc"], ["x/y", "../x"]] {
            let error = tree(&asked_of(paths)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{paths:?}");
        }
    }
}
