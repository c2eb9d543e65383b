//! All snapshots as directories of one tree.

use super::generations::Generations;
use super::pages::{Directories, NodeRef, Spot};
use super::shelves::{OnShelf, Shelf};
use super::templates::Templates;
use super::versions::Versions;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::fs::Kind;
use crate::id::{BlobId, SnapshotId};
use crate::repo::{Repo, lock};
use crate::snapshot::{self, Filter, SnapshotInfo};
use crate::time::{Timestamp, now};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

/// How long what is known of the log counts as new.
const FRESH: Duration = Duration::from_secs(2);

/// The directory of the versions of everything.
const VERSIONS: &str = "versions";

/// Versions that were looked at are kept up to about this many bytes, names in directories aside.
const VERSIONS_BYTES: usize = 4 << 20;

/// So many directories that are lost wait to be told, and of so many it is known that they were.
const LOST_MAX: usize = 100;
const KNOWN_LOST_MAX: usize = 10_000;

/// What of a repository is shown, and how.
#[derive(Debug, Clone, Default)]
pub struct ViewOptions {
    /// Which snapshots.
    pub filter: Filter,
    /// Where they stand.
    pub templates: Templates,
}

/// Something in a view.
#[derive(Debug, Clone)]
pub enum Object {
    /// A directory of snapshots, by its path; the empty one is the root.
    Shelf(Arc<[u8]>),
    /// A link to the newest snapshot beside it, by the name that has.
    Link(Arc<[u8]>),
    /// A snapshot, which is the directory that its root tree describes.
    Snapshot(Arc<SnapshotInfo>),
    /// A file, directory or the like of a snapshot.
    Node(Spot),
    /// A directory of the versions of what has this path in snapshots, and of what lies below; empty is the path of them all.
    Versions(Arc<[u8]>),
}

/// What is said of an object that is no node of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    /// What it is: a directory or a symbolic link.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u16,
    /// When it changed last.
    pub time: Timestamp,
    /// The owner, if a snapshot says one.
    pub owner: Option<(u32, u32)>,
    /// The length of a link's target.
    pub size: u64,
}

/// What is known of an object.
#[derive(Debug, Clone)]
pub enum Facts {
    /// It is made by the view.
    Plain(Plain),
    /// A snapshot says it.
    Node(NodeRef),
}

/// An entry of a directory.
#[derive(Debug)]
pub struct Listed<'n> {
    /// From where a list goes on behind it.
    pub next: u64,
    /// Its name.
    pub name: &'n [u8],
    /// What it is.
    pub object: Object,
    /// What is known of it.
    pub facts: Facts,
}

/// All snapshots that are meant, as one tree of directories. Any number of threads may look.
///
/// What it shows of a snapshot never changes; new snapshots appear, and forgotten ones go, at most [`View::fresh_for`] after a shelf is
/// looked at again. Who holds an object of a snapshot that went still reads it while its data is there. Memory: 16 MiB of pages, and
/// some 500 bytes for each snapshot.
pub struct View {
    repo: Repo,
    options: ViewOptions,
    directories: Arc<Directories>,
    shown: RwLock<Arc<Shown>>,
    looked: Mutex<Instant>,
    lost: Mutex<LostDirectories>,
}

/// Directories that were passed over because they are lost.
#[derive(Default)]
struct LostDirectories {
    known: HashSet<BlobId>,
    new: Vec<(PathBuf, Error)>,
}

/// What is shown at one time.
struct Shown {
    root: Shelf,
    infos: Vec<Arc<SnapshotInfo>>,
    versions: Mutex<Generations<Arc<[u8]>, Arc<Versions>>>,
    snapshots: Vec<SnapshotId>,
    unreadable: Vec<SnapshotId>,
    since: Timestamp,
    totals: (u64, u64),
}

impl View {
    /// Shows what the repository knows of snapshots since it was opened. Second: those of which nothing can be told, and why.
    pub fn new(repo: Repo, options: ViewOptions) -> (Self, Vec<(SnapshotId, Error)>) {
        let (shown, unreadable) = Shown::of(&repo, &options);
        let view = Self {
            directories: Arc::new(Directories::new(repo.clone())),
            repo,
            options,
            shown: RwLock::new(Arc::new(shown)),
            looked: Mutex::new(Instant::now()),
            lost: Mutex::default(),
        };
        (view, unreadable)
    }

    /// How long a list of snapshots is taken for new.
    pub fn fresh_for() -> Duration {
        FRESH
    }

    /// The repository.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Looks for new snapshots if the last look is not new any more; at once, if nobody does so right now. Gives those of which nothing
    /// can be told for the first time, and why.
    ///
    /// An error leaves everything as it was.
    pub fn refresh(&self) -> Result<Vec<(SnapshotId, Error)>> {
        let Ok(mut looked) = self.looked.try_lock() else {
            return Ok(Vec::new());
        };
        if looked.elapsed() < FRESH {
            return Ok(Vec::new());
        }
        let refreshed = self.repo.refresh();
        *looked = Instant::now();
        refreshed?;
        let before = self.shown();
        if before.snapshots == live(&self.repo) {
            return Ok(Vec::new());
        }
        let (shown, mut unreadable) = Shown::of(&self.repo, &self.options);
        unreadable.retain(|(id, _)| !before.unreadable.contains(id));
        *self
            .shown
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(shown);
        Ok(unreadable)
    }

    /// Directories that were found lost since this was asked last, while those of other snapshots were shown beside them: where each
    /// is, as `SNAPSHOT:/path`, and why. Each is said once, unless there are many; 100 at most.
    pub fn lost(&self) -> Vec<(PathBuf, Error)> {
        std::mem::take(&mut lock(&self.lost).new)
    }

    fn lose(&self, (info, tree): &(Arc<SnapshotInfo>, BlobId), path: &[u8], error: Error) {
        let mut lost = lock(&self.lost);
        if lost.known.len() >= KNOWN_LOST_MAX {
            lost.known.clear();
        }
        if lost.known.insert(*tree) && lost.new.len() < LOST_MAX {
            let mut place = OsString::from(format!("{}:/", info.id.short()));
            place.push(OsStr::from_bytes(path));
            lost.new.push((place.into(), error));
        }
    }

    fn shown(&self) -> Arc<Shown> {
        let shown = self.shown.read();
        shown
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// The directory that holds everything.
    pub fn root(&self) -> Object {
        Object::Shelf([].into())
    }

    /// Whether what is known of an object, and what it holds, may change.
    pub fn may_change(object: &Object) -> bool {
        matches!(object, Object::Shelf(_) | Object::Versions(_))
    }

    /// What has this name in a directory; `None` if nothing has, or it is no directory.
    pub fn child(&self, directory: &Object, name: &[u8]) -> Result<Option<(Object, Facts)>> {
        if let Object::Shelf(path) = directory {
            let shown = self.shown();
            let entry = shown.root.below(path).and_then(|shelf| shelf.get(name));
            return Ok(entry.map(|entry| shown.on_shelf(path, name, entry)));
        }
        if let Object::Versions(path) = directory {
            return self.version(path, name);
        }
        let Some(tree) = self.tree(directory)? else {
            return Ok(None);
        };
        let found = self.directories.find(&tree, name)?;
        Ok(found.map(|node| (Object::Node(node.spot), Facts::Node(node))))
    }

    /// Shows `each` the entries of a directory, from what [`Listed::next`] said of the last, 0 for all, until it gives `false`.
    pub fn list(
        &self,
        directory: &Object,
        from: u64,
        each: &mut dyn FnMut(Listed<'_>) -> bool,
    ) -> Result<()> {
        match directory {
            Object::Shelf(path) => {
                self.list_shelf(path, from, each);
                return Ok(());
            }
            Object::Versions(path) => return self.list_versions(path, from, each),
            _ => {}
        }
        let Some(tree) = self.tree(directory)? else {
            return Ok(());
        };
        let (mut page, mut at) = ((from >> 32) as usize, from as u32 as usize);
        while let Some(node) = self.directories.next(&tree, page, at)? {
            (page, at) = (node.spot.page as usize, node.spot.at as usize + 1);
            let go_on = each(Listed {
                next: (page as u64) << 32 | at as u64,
                name: &node.name,
                object: Object::Node(node.spot),
                facts: Facts::Node(node.clone()),
            });
            if !go_on {
                break;
            }
        }
        Ok(())
    }

    fn list_shelf(&self, path: &[u8], from: u64, each: &mut dyn FnMut(Listed<'_>) -> bool) {
        let shown = self.shown();
        let Some(shelf) = shown.root.below(path) else {
            return;
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        for (place, (name, entry)) in shelf.entries().enumerate().skip(from) {
            let (object, facts) = shown.on_shelf(path, name, entry);
            let next = place as u64 + 1;
            if !each(Listed {
                next,
                name,
                object,
                facts,
            }) {
                break;
            }
        }
    }

    /// What has this name among the versions of a path: one of them, or the versions of what lies below.
    fn version(&self, path: &[u8], name: &[u8]) -> Result<Option<(Object, Facts)>> {
        let shown = self.shown();
        let Some(versions) = self.versions(&shown, path)? else {
            return Ok(None);
        };
        if let Some(node) = versions.get(name) {
            return Ok(Some((Object::Node(node.spot), Facts::Node(node.clone()))));
        }
        let below = joined(path, name);
        let found = self.versions(&shown, &below)?;
        Ok(found.map(|_| (Object::Versions(below.into()), Facts::Plain(shown.shelf()))))
    }

    fn list_versions(
        &self,
        path: &[u8],
        from: u64,
        each: &mut dyn FnMut(Listed<'_>) -> bool,
    ) -> Result<()> {
        let shown = self.shown();
        let Some(versions) = self.versions(&shown, path)? else {
            return Ok(());
        };
        let entries = versions.entries().iter().map(|(name, node)| {
            let facts = Facts::Node(node.clone());
            (name.as_slice(), Object::Node(node.spot), facts)
        });
        let lost = |directory: &_, error| self.lose(directory, path, error);
        let names = versions.names(&self.directories, &lost)?;
        let below = names.iter().map(|name| {
            let object = Object::Versions(joined(path, name).into());
            (name.as_slice(), object, Facts::Plain(shown.shelf()))
        });
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        for (place, (name, object, facts)) in entries.chain(below).enumerate().skip(from) {
            let next = place as u64 + 1;
            if !each(Listed {
                next,
                name,
                object,
                facts,
            }) {
                break;
            }
        }
        Ok(())
    }

    /// The versions of what has a path, if anything ever had it.
    fn versions(&self, shown: &Shown, path: &[u8]) -> Result<Option<Arc<Versions>>> {
        if let Some(known) = lock(&shown.versions).get(&path.into()) {
            return Ok(Some(known));
        }
        let mut versions = Arc::new(Versions::of_roots(&shown.infos));
        let mut at = Vec::new();
        let names = path.split(|&byte| byte == b'/');
        for name in names.filter(|name| !name.is_empty()) {
            let above = at.clone();
            at = joined(&at, name);
            let known = lock(&shown.versions).get(&at.as_slice().into());
            versions = match known {
                Some(known) => known,
                None => {
                    let name_of = |info: &SnapshotInfo| self.options.templates.time(info);
                    let lost = |directory: &_, error| self.lose(directory, &above, error);
                    let below = versions.below(name, &self.directories, &name_of, &lost)?;
                    let Some(below) = below else { return Ok(None) };
                    let below = Arc::new(below);
                    let cost = below.cost();
                    lock(&shown.versions).put(at.as_slice().into(), below.clone(), cost);
                    below
                }
            };
        }
        Ok(Some(versions))
    }

    /// What is known of an object. `NotFound` of a shelf that is gone.
    pub fn facts(&self, object: &Object) -> Result<Facts> {
        Ok(match object {
            Object::Shelf(path) => {
                let shown = self.shown();
                match shown.root.below(path) {
                    Some(_) => Facts::Plain(shown.shelf()),
                    None => return Err(Error::new(ErrorKind::NotFound, Subject::None)),
                }
            }
            Object::Versions(_) => Facts::Plain(self.shown().shelf()),
            Object::Link(target) => Facts::Plain(self.shown().link(target)),
            Object::Snapshot(info) => Facts::Plain(of_snapshot(info)),
            Object::Node(spot) => Facts::Node(self.directories.node(spot)?),
        })
    }

    /// The node of an object, if a snapshot describes it.
    pub fn node(&self, object: &Object) -> Result<Option<NodeRef>> {
        match object {
            Object::Node(spot) => self.directories.node(spot).map(Some),
            _ => Ok(None),
        }
    }

    /// The tree of a directory of a snapshot, if it is one that could be read.
    fn tree(&self, directory: &Object) -> Result<Option<BlobId>> {
        Ok(match directory {
            Object::Snapshot(info) => Some(info.summary.root),
            Object::Node(spot) => self.directories.node(spot)?.content.tree(),
            Object::Shelf(_) | Object::Link(_) | Object::Versions(_) => None,
        })
    }

    /// Pages of directories, as the view reads them.
    pub(super) fn directories(&self) -> &Arc<Directories> {
        &self.directories
    }

    /// How much all snapshots that are shown hold together: bytes, and files and directories.
    pub fn totals(&self) -> (u64, u64) {
        self.shown().totals
    }
}

impl Shown {
    fn of(repo: &Repo, options: &ViewOptions) -> (Self, Vec<(SnapshotId, Error)>) {
        let snapshots = live(repo);
        let listing = snapshot::list(repo, &options.filter);
        let infos: Vec<_> = listing.snapshots.into_iter().map(Arc::new).collect();
        let shown = Self {
            root: Shelf::of(&infos, &options.templates).with_versions(VERSIONS),
            versions: Mutex::new(Generations::new(VERSIONS_BYTES)),
            snapshots,
            unreadable: listing.unreadable.iter().map(|(id, _)| *id).collect(),
            since: now(),
            totals: infos.iter().fold((0, 0), |(bytes, nodes), info| {
                let of = &info.summary.totals;
                let own = of.files.saturating_add(of.dirs);
                (of.bytes.saturating_add(bytes), own.saturating_add(nodes))
            }),
            infos,
        };
        (shown, listing.unreadable)
    }

    fn on_shelf(&self, path: &[u8], name: &[u8], entry: &OnShelf) -> (Object, Facts) {
        match entry {
            OnShelf::Shelf(_) => {
                let path = joined(path, name);
                (Object::Shelf(path.into()), Facts::Plain(self.shelf()))
            }
            OnShelf::Versions => (Object::Versions([].into()), Facts::Plain(self.shelf())),
            OnShelf::Snapshot(info) => {
                let facts = Facts::Plain(of_snapshot(info));
                (Object::Snapshot(info.clone()), facts)
            }
            OnShelf::Link(target) => {
                let facts = Facts::Plain(self.link(target));
                (Object::Link(target.clone()), facts)
            }
        }
    }

    fn shelf(&self) -> Plain {
        Plain {
            kind: Kind::Dir,
            mode: 0o555,
            time: self.since,
            owner: None,
            size: 0,
        }
    }

    fn link(&self, target: &[u8]) -> Plain {
        Plain {
            kind: Kind::Symlink,
            mode: 0o777,
            time: self.since,
            owner: None,
            size: target.len() as u64,
        }
    }
}

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        [] => name.to_vec(),
        _ => [path, b"/", name].concat(),
    }
}

fn live(repo: &Repo) -> Vec<SnapshotId> {
    let state = repo.state();
    state.live_snapshots().map(|(id, _)| *id).collect()
}

fn of_snapshot(info: &SnapshotInfo) -> Plain {
    Plain {
        kind: Kind::Dir,
        mode: 0o555,
        time: info.summary.time,
        owner: Some((info.summary.uid, info.summary.gid)),
        size: 0,
    }
}

impl Facts {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Plain(plain) => plain.kind,
            Self::Node(node) => node.content.kind(),
        }
    }
}
