//! Two snapshots, or folders or files of them.

use super::sums::Sums;
use super::{DiffSummary, Modifier, Report, Tell, modifier, same_type};
use crate::error::Result;
use crate::format::tree::{Content, Node};
use crate::id::BlobId;
use crate::progress::{Interrupt, Problems, Progress};
use crate::repo::Repo;
use crate::tree::Pairs;
use crate::vfs::Found;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Compares what has a path in one snapshot with what has it in another; at least one of both should be there. `metadata` shows
/// changes of attributes too.
///
/// What cannot be read is a problem, and the rest is compared. Memory: a page a level and side, and 16 bytes for each chunk that
/// is on one side only.
pub fn diff(
    repo: &Repo,
    (left, right): (Option<&Found>, Option<&Found>),
    metadata: bool,
    tell: &mut Tell<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<DiffSummary> {
    let _following = repo.follow();
    let problems = Problems::new(progress);
    let path = left
        .or(right)
        .map_or_else(PathBuf::new, |found| found.path.clone());
    let mut comparing = Comparing {
        repo,
        metadata,
        report: Report {
            tell: &mut |difference| tell(difference),
            problems: &problems,
            summary: DiffSummary::default(),
        },
        sums: Sums::default(),
        stack: Vec::new(),
    };
    let node = |found: Option<&Found>| found.and_then(|found| found.node.clone());
    match (node(left), node(right)) {
        // A root has no node; its tree is all there is of it.
        (None, None) => comparing.enter(
            path,
            left.and_then(|found| found.tree),
            right.and_then(|found| found.tree),
        ),
        (one, other) => comparing.pair(path, one, other)?,
    }
    comparing.run(interrupt)?;
    comparing.sums.count(repo, &mut comparing.report.summary)?;
    Ok(comparing.report.finish())
}

struct Comparing<'a, 'p> {
    repo: &'a Repo,
    metadata: bool,
    report: Report<'a, 'p>,
    sums: Sums,
    stack: Vec<(PathBuf, Pairs)>,
}

impl Comparing<'_, '_> {
    fn run(&mut self, interrupt: &Interrupt) -> Result<()> {
        while let Some((path, pairs)) = self.stack.last_mut() {
            interrupt.check()?;
            let next = match pairs.next(self.repo) {
                Ok(next) => next,
                Err(error) => {
                    // What stands beside what could not be read cannot be told from what is new.
                    self.report.problem(path, &error);
                    None
                }
            };
            match next {
                Some([left, right]) => {
                    let name = left.as_ref().or(right.as_ref()).map(|node| &node.name);
                    let name = name.map_or(&b""[..], |name| name);
                    let path = path.join(OsStr::from_bytes(name));
                    self.pair(path, left, right)?;
                }
                None => {
                    self.sums.trees(pairs.read());
                    self.stack.pop();
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, path: PathBuf, left: Option<BlobId>, right: Option<BlobId>) {
        if left != right {
            self.stack.push((path, Pairs::new(left, right)));
        }
    }

    fn pair(&mut self, path: PathBuf, left: Option<Node>, right: Option<Node>) -> Result<()> {
        match (&left, &right) {
            (Some(one), Some(other)) => {
                let modifier = modifier(one, other, self.metadata);
                if let Some(modifier) = modifier {
                    let is_dir = matches!(other.content, Content::Dir(_));
                    self.report.differs(&path, is_dir, modifier)?;
                }
                if matches!(modifier, Some(Modifier::Content | Modifier::OnlyContent)) {
                    self.report.summary.changed_files += 1;
                    self.sums.files(self.repo, &one.content, &other.content)?;
                } else if !same_type(&one.content, &other.content) {
                    self.sums.file(self.repo, 0, &one.content)?;
                    self.sums.file(self.repo, 1, &other.content)?;
                }
            }
            (Some(one), None) => {
                self.report
                    .one_sided(&path, &one.content, Modifier::Removed)?;
                self.sums.file(self.repo, 0, &one.content)?;
            }
            (None, Some(other)) => {
                self.report
                    .one_sided(&path, &other.content, Modifier::Added)?;
                self.sums.file(self.repo, 1, &other.content)?;
            }
            (None, None) => {}
        }
        let tree = |node: Option<Node>| node?.content.tree();
        self.enter(path, tree(left), tree(right));
        Ok(())
    }
}
