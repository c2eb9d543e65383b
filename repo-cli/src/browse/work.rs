//! What the state asks for, and the answers: read from the repository, on threads that may wait for it.

use super::list::Row;
use super::marks::Key;
use super::restore::{Job, Restored, restore};
use crate::text::{changed_words, printable};
use crate::{message, preview};
use repo_core::format::tree::{Content, Node};
use repo_core::fs::Kind;
use repo_core::ops::Changed;
use repo_core::progress::Interrupt;
use repo_core::snapshot::{self, Filter, SnapshotInfo};
use repo_core::vfs::{Facts, NodeRef, Object, Reader, Reading, View, Walk};
use repo_core::{Error, ErrorKind, Result, Subject};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// So much of a file is read for its preview, and so many lines are shown.
const PREVIEW_BYTES: u64 = 16 << 10;
const LINES_MAX: usize = 200;

/// Names that the preview of a directory shows.
const NAMES_MAX: usize = 200;

/// A snapshot and a path in it, from its root.
pub type Item = (Arc<SnapshotInfo>, PathBuf);

/// Something whose rows can be shown.
#[derive(Debug, Clone)]
pub enum Place {
    /// All snapshots.
    Snapshots,
    /// A directory of a snapshot, by its path from the root.
    Dir(Arc<SnapshotInfo>, PathBuf),
    /// The versions of a path in all snapshots of this one's host.
    Versions(Arc<SnapshotInfo>, PathBuf),
}

/// Files and bytes of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Files, and what else is no directory.
    pub files: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Whether some of it could not be read.
    pub partial: bool,
}

impl Counted {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            files: self.files.saturating_add(other.files),
            bytes: self.bytes.saturating_add(other.bytes),
            partial: self.partial || other.partial,
        }
    }
}

/// What the state asks for.
#[derive(Debug)]
pub enum Request {
    /// The rows of a place.
    Rows(u64, Place),
    /// The beginning of what has this path.
    Preview(u64, Arc<SnapshotInfo>, PathBuf),
    /// How much lies below a directory.
    Count(Key, Arc<SnapshotInfo>, Arc<Interrupt>),
    /// Whether something may be restored there.
    Target(PathBuf),
    /// A restore.
    Restore(Job),
}

/// What it gets.
#[derive(Debug)]
pub enum Answer {
    /// Rows, or why there are none.
    Rows(u64, std::result::Result<Vec<Row>, String>),
    /// Lines of a preview.
    Preview(u64, Vec<String>),
    /// How much it is; nothing if the count was ended.
    Counted(Key, Counted),
    /// Whether the directory that is restored to holds something already, or why nothing can be restored there.
    Target(PathBuf, std::result::Result<bool, String>),
    /// How a restore ended.
    Restored(Restored),
}

/// Reads what is shown.
pub struct Library<'a> {
    /// All snapshots.
    pub view: &'a View,
    /// Which of them are meant.
    pub filter: Filter,
    /// Reads files.
    pub reader: Reader,
    /// Ends everything.
    pub interrupt: &'a Interrupt,
}

impl Library<'_> {
    /// Answers; a count that was ended, and what is not asked of a repository, has no answer.
    pub fn answer(&self, request: Request) -> Option<Answer> {
        Some(match request {
            Request::Rows(number, place) => Answer::Rows(number, self.rows(&place)),
            Request::Preview(number, info, path) => {
                Answer::Preview(number, self.preview(&info, &path))
            }
            Request::Count(key, info, interrupt) => {
                let counted = self.count(&key, &info, &interrupt)?;
                Answer::Counted(key, counted)
            }
            Request::Restore(job) => Answer::Restored(restore(self.view.repo(), job)),
            Request::Target(_) => return None,
        })
    }

    /// Rows of a place.
    pub fn rows(&self, place: &Place) -> std::result::Result<Vec<Row>, String> {
        let rows = match place {
            Place::Snapshots => self.snapshots(),
            Place::Dir(info, path) => self.directory(info, path),
            Place::Versions(info, path) => self.versions(info, path),
        };
        rows.map_err(|error| reason(&error))
    }

    /// The newest first.
    fn snapshots(&self) -> Result<Vec<Row>> {
        self.view.refresh()?;
        let row = |info: SnapshotInfo| {
            let summary = &info.summary;
            let words = [&summary.host, &summary.user, &summary.label];
            let words = words.into_iter().chain(&summary.tags).cloned();
            let paths = summary
                .paths
                .iter()
                .map(|path| String::from_utf8_lossy(path).into_owned());
            let name: Vec<String> = [info.id.short()]
                .into_iter()
                .chain(words)
                .chain(paths)
                .collect();
            Row {
                name: name.join(" ").into(),
                kind: Some(Kind::Dir),
                size: summary.totals.bytes,
                time: summary.time,
                note: None,
                info: Some(Arc::new(info)),
            }
        };
        let found = snapshot::list(self.view.repo(), &self.filter);
        Ok(found.snapshots.into_iter().rev().map(row).collect())
    }

    fn directory(&self, info: &Arc<SnapshotInfo>, path: &Path) -> Result<Vec<Row>> {
        let (object, facts) = self.find(info, path)?.ok_or_else(|| not_there(path))?;
        readable(&facts, path)?;
        let (mut rows, mut stopped) = (Vec::new(), Ok(()));
        self.view.list(&object, 0, &mut |listed| {
            if let Facts::Node(node) = &listed.facts {
                rows.push(entry(node));
            }
            stopped = self.interrupt.check();
            stopped.is_ok()
        })?;
        stopped.map(|()| rows)
    }

    /// What has a path in a snapshot.
    fn find(&self, info: &Arc<SnapshotInfo>, path: &Path) -> Result<Option<(Object, Facts)>> {
        let top = Object::Snapshot(info.clone());
        let mut found = (top.clone(), self.view.facts(&top)?);
        for part in path.components() {
            let Component::Normal(name) = part else {
                continue;
            };
            match self.view.child(&found.0, name.as_bytes())? {
                Some(below) => found = below,
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    fn node(&self, info: &Arc<SnapshotInfo>, path: &Path) -> Result<Option<NodeRef>> {
        Ok(match self.find(info, path)? {
            Some((_, Facts::Node(node))) => Some(node),
            _ => None,
        })
    }

    /// The versions of a path, the newest first; where it is gone a row says so.
    fn versions(&self, of: &Arc<SnapshotInfo>, path: &Path) -> Result<Vec<Row>> {
        self.view.refresh()?;
        let all = snapshot::list(self.view.repo(), &self.filter).snapshots;
        let own = all
            .into_iter()
            .filter(|info| info.summary.host == of.summary.host);
        let (mut rows, mut before, mut root): (Vec<Row>, Option<NodeRef>, _) =
            (Vec::new(), None, None);
        for info in own {
            self.interrupt.check()?;
            if root.replace(info.summary.root) == Some(info.summary.root) {
                continue;
            }
            let info = Arc::new(info);
            let node = match self.node(&info, path) {
                // What others have is shown beside it.
                Err(error) if error.is_lost() => {
                    rows.push(gone(info, &reason(&error)));
                    continue;
                }
                node => node?,
            };
            if let Some(row) = version(info, before.as_deref(), node.as_ref()) {
                rows.push(row);
            }
            before = node;
        }
        rows.reverse();
        Ok(rows)
    }

    /// The first lines of what has a path; also why there are none.
    pub fn preview(&self, info: &Arc<SnapshotInfo>, path: &Path) -> Vec<String> {
        self.try_preview(info, path)
            .unwrap_or_else(|error| vec![reason(&error)])
    }

    fn try_preview(&self, info: &Arc<SnapshotInfo>, path: &Path) -> Result<Vec<String>> {
        let (object, facts) = self.find(info, path)?.ok_or_else(|| not_there(path))?;
        let Facts::Node(node) = &facts else {
            return self.names(&object);
        };
        Ok(match &node.content {
            Content::File(file) => {
                let map = self.reader.map(&node.spot, file)?;
                let reading = Reading {
                    map: &map,
                    spots: &Vec::new,
                };
                let mut bytes = Vec::new();
                self.reader.read(&reading, 0, PREVIEW_BYTES, &mut bytes)?;
                preview::lines(&bytes, file.size <= PREVIEW_BYTES, LINES_MAX)
            }
            Content::Dir(Some(_)) => self.names(&object)?,
            Content::Dir(None) => vec!["could not be read when it was backed up".to_owned()],
            Content::Symlink(target) => vec![format!(
                "-> {}",
                printable(&String::from_utf8_lossy(target))
            )],
            Content::Fifo => vec!["a named pipe".to_owned()],
            Content::Socket => vec!["a socket".to_owned()],
            Content::BlockDevice(_) | Content::CharDevice(_) => vec!["a device".to_owned()],
        })
    }

    fn names(&self, directory: &Object) -> Result<Vec<String>> {
        let mut names = Vec::new();
        self.view.list(directory, 0, &mut |listed| {
            let slash = if listed.facts.kind() == Kind::Dir {
                "/"
            } else {
                ""
            };
            names.push(format!(
                "{}{slash}",
                printable(&String::from_utf8_lossy(listed.name))
            ));
            names.len() < NAMES_MAX
        })?;
        if names.is_empty() {
            names.push("(empty)".to_owned());
        }
        Ok(names)
    }

    /// How much lies at and below a path; `None` if `interrupt` or the end came first.
    pub fn count(
        &self,
        (_, path): &Key,
        info: &Arc<SnapshotInfo>,
        interrupt: &Interrupt,
    ) -> Option<Counted> {
        let partial = Counted {
            partial: true,
            ..Counted::default()
        };
        let tree = match self.node(info, path) {
            Ok(Some(node)) => node.content.tree(),
            Ok(None) => Some(info.summary.root),
            Err(_) => None,
        };
        let Some(tree) = tree else {
            return Some(partial);
        };
        let Ok(mut walk) = Walk::new(self.view.repo(), &tree, path.clone()) else {
            return Some(partial);
        };
        let mut counted = Counted::default();
        loop {
            interrupt
                .check()
                .and_then(|()| self.interrupt.check())
                .ok()?;
            let (at, node) = match walk.next_node() {
                Ok(Some(next)) => next,
                Ok(None) => return Some(counted),
                Err(_) => {
                    counted.partial = true;
                    continue;
                }
            };
            match &node.content {
                Content::Dir(Some(tree)) => counted.partial |= walk.enter(at, tree).is_err(),
                Content::Dir(None) => counted.partial = true,
                _ => {
                    counted.files += 1;
                    counted.bytes = counted.bytes.saturating_add(repo_core::ops::size_of(&node));
                }
            }
        }
    }
}

/// A sentence without a name: the line that it stands in says what it is about.
pub fn reason(error: &Error) -> String {
    match error.subject() {
        Subject::Path(path) => message::of_item(&printable(&path.to_string_lossy()), error),
        _ => message::reason(error),
    }
}

fn not_there(path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, Subject::Path(path.to_path_buf())).detail("not in the snapshot")
}

fn readable(facts: &Facts, path: &Path) -> Result<()> {
    let Facts::Node(node) = facts else {
        return Ok(());
    };
    let what = match &node.content {
        Content::Dir(Some(_)) => return Ok(()),
        Content::Dir(None) => "is a directory that could not be read when it was backed up",
        _ => "is no directory",
    };
    Err(Error::new(ErrorKind::InvalidInput, Subject::Path(path.to_path_buf())).detail(what))
}

fn entry(node: &Node) -> Row {
    let note = match &node.content {
        Content::Symlink(target) => Some(format!("-> {}", String::from_utf8_lossy(target)).into()),
        _ => None,
    };
    Row {
        name: node.name.clone(),
        kind: Some(node.content.kind()),
        size: repo_core::ops::size_of(node),
        time: node.mtime,
        info: None,
        note,
    }
}

/// A row for what a snapshot shows otherwise than the one before.
fn version(info: Arc<SnapshotInfo>, before: Option<&Node>, node: Option<&NodeRef>) -> Option<Row> {
    let note = match (before, node) {
        (None, None) => return None,
        (None, Some(_)) => "new".to_owned(),
        (Some(_), None) => return Some(gone(info, "is not there")),
        (Some(before), Some(node)) => changed_words(&Changed::between(before, node)?).join(" "),
    };
    Some(Row {
        name: info.id.short().into(),
        note: Some(note.into()),
        info: Some(info),
        ..entry(node?)
    })
}

/// A snapshot that has no version to show, and why.
fn gone(info: Arc<SnapshotInfo>, why: &str) -> Row {
    Row {
        name: info.id.short().into(),
        kind: None,
        size: 0,
        time: info.summary.time,
        note: Some(why.into()),
        info: Some(info),
    }
}

/// The path of an entry of a directory.
pub fn below(path: &Path, name: &[u8]) -> PathBuf {
    path.join(OsStr::from_bytes(name))
}
