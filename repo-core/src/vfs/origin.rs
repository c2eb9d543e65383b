//! Where in a snapshot the disk is.

use super::path::{Found, Top};
use crate::error::{ErrorKind, Result};
use crate::repo::Repo;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl Top {
    /// Which path of the whole snapshot this absolute path of the disk has, or would have, as one of `sources`, which were backed up,
    /// or below one.
    ///
    /// What was given as a relative path lies in the snapshot without what led to it: of the ends of its path that are there the
    /// longest counts, and of `.` it is the root. What lies below no source has its own path.
    pub fn origin(&self, repo: &Repo, path: &Path, sources: &[Vec<u8>]) -> Result<PathBuf> {
        let sources = sources
            .iter()
            .map(|source| Path::new(OsStr::from_bytes(source)));
        let mut above: Vec<&Path> = sources.filter(|source| path.starts_with(source)).collect();
        above.sort_by_key(|source| source.components().count());
        let Some(source) = above.last() else {
            return Ok(path.to_path_buf());
        };
        let below = path.strip_prefix(source).unwrap_or(Path::new(""));
        let mut rest = source.strip_prefix("/").unwrap_or(source);
        while self.find_if_there(repo, rest)?.is_none() {
            let mut parts = rest.components();
            parts.next();
            rest = parts.as_path();
        }
        Ok(Path::new("/").join(rest).join(below))
    }

    /// Where on the disk lies what has this path in the snapshot, if it is one of `sources` or lies below one.
    pub fn on_disk(
        &self,
        repo: &Repo,
        path: &Path,
        sources: &[Vec<u8>],
    ) -> Result<Option<PathBuf>> {
        let mut nearest: Option<(usize, PathBuf)> = None;
        for source in sources {
            let source = Path::new(OsStr::from_bytes(source));
            let top = self.origin(repo, source, sources)?;
            let depth = top.components().count();
            if let Ok(below) = path.strip_prefix(&top)
                && nearest.as_ref().is_none_or(|(other, _)| *other < depth)
            {
                nearest = Some((depth, source.join(below)));
            }
        }
        Ok(nearest.map(|(_, path)| path))
    }

    /// What has this path below the top, if anything has.
    pub fn find_if_there(&self, repo: &Repo, path: &Path) -> Result<Option<Found>> {
        match self.find(repo, path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
