//! Restores what is marked.

use super::work::reason;
use crate::message;
use crate::text::printable;
use repo_core::ops::{self, Overwrite, RestoreOptions, RestoreSummary, Selection};
use repo_core::pattern::List;
use repo_core::progress::{Counter, Interrupt, Progress};
use repo_core::repo::Repo;
use repo_core::snapshot::SnapshotInfo;
use repo_core::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// So many problems are kept for the end.
const PROBLEMS_MAX: usize = 1000;

/// What is to be restored.
#[derive(Debug, Clone)]
pub struct Job {
    /// Paths, by their snapshots.
    pub marks: Vec<(Arc<SnapshotInfo>, Vec<PathBuf>)>,
    /// The directory that they are restored below.
    pub target: PathBuf,
    /// What becomes of what is there.
    pub overwrite: Overwrite,
    /// How far it is.
    pub doing: Arc<Doing>,
}

/// How far a restore is. Whoever sets the interrupt ends it.
#[derive(Debug, Default)]
pub struct Doing {
    /// Files and others that are done.
    pub nodes: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Ends it.
    pub interrupt: Interrupt,
    problems: Mutex<Vec<String>>,
}

/// How a restore ended.
#[derive(Debug)]
pub struct Restored {
    /// What was done.
    pub summary: RestoreSummary,
    /// Where.
    pub target: PathBuf,
    /// What could not be restored.
    pub problems: Vec<String>,
    /// Why it ended before its end.
    pub failed: Option<String>,
}

impl Progress for Doing {
    fn count(&self, counter: Counter, by: u64) {
        match counter {
            Counter::Nodes => drop(self.nodes.fetch_add(by, Ordering::Relaxed)),
            Counter::Bytes => drop(self.bytes.fetch_add(by, Ordering::Relaxed)),
            _ => {}
        }
    }

    fn problem(&self, path: &Path, error: &Error) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.len() < PROBLEMS_MAX {
            problems.push(message::of_item(&printable(&path.to_string_lossy()), error));
        }
    }
}

/// Does it.
pub fn restore(repo: &Repo, job: Job) -> Restored {
    let mut summary = RestoreSummary::default();
    let mut failed = None;
    for (info, paths) in &job.marks {
        let target = match job.marks.len() {
            1 => job.target.clone(),
            _ => job.target.join(info.id.short()),
        };
        match restore_one(repo, &job, (info, paths), &target) {
            Ok(one) => add(&mut summary, &one),
            Err(error) => {
                failed = Some(match error.kind() {
                    ErrorKind::Interrupted => "interrupted; what was restored stays".to_owned(),
                    _ => reason(&error),
                });
                break;
            }
        }
    }
    let mut problems = job
        .doing
        .problems
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Restored {
        summary,
        target: job.target,
        problems: std::mem::take(&mut problems),
        failed,
    }
}

fn restore_one(
    repo: &Repo,
    job: &Job,
    (info, paths): (&SnapshotInfo, &[PathBuf]),
    target: &Path,
) -> Result<RestoreSummary> {
    let options = RestoreOptions {
        overwrite: job.overwrite,
        selection: selection(paths)?,
        ..RestoreOptions::default()
    };
    ops::restore(
        repo,
        &info.id,
        target,
        &options,
        &*job.doing,
        &job.doing.interrupt,
    )
}

/// These paths and nothing else.
fn selection(paths: &[PathBuf]) -> Result<Selection> {
    if paths.iter().any(|path| path.parent().is_none()) {
        return Ok(Selection::All);
    }
    let patterns: Vec<OsString> = paths.iter().map(|path| literal(path)).collect();
    Ok(Selection::Include(vec![List::parse(&patterns, false)?]))
}

/// The pattern that matches this absolute path and no other.
fn literal(path: &Path) -> OsString {
    let mut pattern = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b'*' | b'?' | b'[') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    OsString::from_vec(pattern)
}

fn add(all: &mut RestoreSummary, one: &RestoreSummary) {
    all.nodes += one.nodes;
    all.files += one.files;
    all.bytes += one.bytes;
    all.nodes_skipped += one.nodes_skipped;
    all.problems += one.problems;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_itself() {
        for path in [
            "/a*b",
            "/[x]/y?",
            "/back\\slash",
            "/**",
            "/!a",
            "/a b /c",
            "/#x",
            "/{a,b}",
        ] {
            let list = List::parse(&[literal(Path::new(path))], false).unwrap();
            assert!(list.matches(Path::new(path)), "{path}");
            assert!(list.matches(&Path::new(path).join("below")), "{path}");
            let other = path.replace(['*', '?', '['], "z").replace('\\', "");
            assert!(
                other == path || !list.matches(Path::new(&other)),
                "{path} and {other}"
            );
        }
    }
}
