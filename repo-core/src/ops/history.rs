//! History: what became of one path from snapshot to snapshot.
//!
//! Only trees on the way to the path are opened, each once, and none in a snapshot whose root is that of the one before.

use crate::error::Result;
use crate::format::tree::{Content, Node};
use crate::id::BlobId;
use crate::progress::{Interrupt, Problems, Progress};
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use crate::vfs::{Top, clean};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::discriminant;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// In what a version differs from the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    /// What it is.
    pub kind: bool,
    /// The content of a file, the target of a link, the number of a device, what lies below a directory.
    pub content: bool,
    /// When its content changed last.
    pub mtime: bool,
    /// Its permission bits.
    pub mode: bool,
    /// Its owner or its group.
    pub owner: bool,
    /// Its extended attributes, ACLs among them.
    pub xattrs: bool,
    /// Something else that is stored of it: another time, how many names it has, where it lay.
    pub other: bool,
}

impl Changed {
    /// In what two nodes differ; `None` if in nothing.
    pub fn between(before: &Node, after: &Node) -> Option<Self> {
        let same_kind = discriminant(&before.content) == discriminant(&after.content);
        let changed = Self {
            kind: !same_kind,
            content: same_kind && before.content != after.content,
            mtime: before.mtime != after.mtime,
            mode: before.mode != after.mode,
            owner: (before.uid, before.gid) != (after.uid, after.gid),
            xattrs: before.xattrs != after.xattrs,
            other: false,
        };
        match (changed == Self::default(), before == after) {
            (true, true) => None,
            (true, false) => Some(Self {
                other: true,
                ..changed
            }),
            (false, _) => Some(changed),
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It is there, and was not before.
    Appeared(Box<Node>),
    /// It is another version than before.
    Changed {
        /// That version.
        node: Box<Node>,
        /// How long it was before; 0 of what is no file.
        size_before: u64,
        /// In what it differs.
        changed: Changed,
    },
    /// It is not there any more.
    Disappeared,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// The first snapshot that shows it, by its place among those that were looked at.
    pub first: usize,
    /// The last of the snapshots up to which nothing else happened.
    pub last: usize,
    /// How many snapshots show it so.
    pub count: usize,
    /// What.
    pub event: Event,
}

/// What became of a path on one host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostHistory {
    /// The host.
    pub host: String,
    /// What happened, the oldest first. None if it was never there.
    pub moments: Vec<Moment>,
}

/// How long a file is; 0 of anything else.
pub fn size_of(node: &Node) -> u64 {
    match &node.content {
        Content::File(file) => file.size,
        _ => 0,
    }
}

/// Follows an absolute path of the disk through these snapshots, the oldest first, for each host by itself, in the order in which hosts come. A
/// snapshot that backed up nothing above or below the path says nothing of it. Also gives how many snapshots could not be looked at;
/// each was reported.
///
/// Memory: the versions.
pub fn history(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    path: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<(Vec<HostHistory>, u64)> {
    let _following = repo.follow();
    let problems = Problems::new(progress);
    let path = clean(path);
    let mut hosts: Vec<Following> = Vec::new();
    for (place, info) in snapshots.iter().enumerate() {
        interrupt.check()?;
        if !concerns(info, &path) {
            continue;
        }
        let host = &info.summary.host;
        let at = hosts.iter().position(|known| known.host == *host);
        let at = at.unwrap_or_else(|| {
            hosts.push(Following::new(host));
            hosts.len() - 1
        });
        let following = &mut hosts[at];
        match following.look(repo, info, &path) {
            Ok(node) => following.note(place, node),
            Err(error) => problems.problem(&path, &error),
        }
    }
    let hosts = hosts.into_iter().map(|following| HostHistory {
        host: following.host,
        moments: following.moments,
    });
    Ok((hosts.collect(), problems.seen()))
}

/// Whether a snapshot backed up the path, something above or something below it.
fn concerns(info: &SnapshotInfo, path: &Path) -> bool {
    let mut sources = info.summary.paths.iter();
    sources.any(|source| {
        let source = Path::new(OsStr::from_bytes(source));
        path.starts_with(source) || source.starts_with(path)
    })
}

/// A host, and what has the path there now.
struct Following {
    host: String,
    now: Option<Node>,
    moments: Vec<Moment>,
    /// What roots had, by the path at which it lies in them.
    known: HashMap<(BlobId, PathBuf), Option<Node>>,
}

impl Following {
    fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            now: None,
            moments: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// What has the path in a snapshot.
    fn look(&mut self, repo: &Repo, info: &SnapshotInfo, path: &Path) -> Result<Option<Node>> {
        let top = Top {
            tree: info.summary.root,
            folder: PathBuf::from("/"),
        };
        let path = top.origin(repo, path, &info.summary.paths)?;
        let key = (top.tree, path);
        if let Some(node) = self.known.get(&key) {
            return Ok(node.clone());
        }
        let node = top
            .find_if_there(repo, &key.1)?
            .and_then(|found| found.node);
        self.known.clear();
        self.known.insert(key, node.clone());
        Ok(node)
    }

    /// What a snapshot shows.
    fn note(&mut self, place: usize, node: Option<Node>) {
        let event = match (&self.now, &node) {
            (None, None) => None,
            (None, Some(node)) => Some(Event::Appeared(Box::new(node.clone()))),
            (Some(_), None) => Some(Event::Disappeared),
            (Some(before), Some(after)) => {
                Changed::between(before, after).map(|changed| Event::Changed {
                    node: Box::new(after.clone()),
                    size_before: size_of(before),
                    changed,
                })
            }
        };
        match (event, self.moments.last_mut()) {
            (Some(event), _) => self.moments.push(Moment {
                first: place,
                last: place,
                count: 1,
                event,
            }),
            (None, Some(moment)) => {
                moment.last = place;
                moment.count += 1;
            }
            (None, None) => {}
        }
        self.now = node;
    }
}
