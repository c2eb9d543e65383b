//! Directories of the target, opened as they are needed.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::fs::{TargetDir, part_names};
use crate::repo::lock;
use crate::time::Timestamp;
use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

/// Directories that are kept open.
const OPEN_MAX: usize = 256;

/// What is known of a directory of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// We made it: nothing is in it but what we put there.
    New,
    /// It was there.
    Existing,
    /// It is not there, and nothing is written: a dry run.
    Absent,
    /// It could not be made, which was reported.
    Failed,
    /// Something else stays in its place by request, which was reported.
    Kept,
}

impl Presence {
    /// Whether something may be restored in it.
    pub fn is_usable(self) -> bool {
        !matches!(self, Self::Failed | Self::Kept)
    }
}

/// A directory of the target: its name in the one above it.
pub struct Place {
    above: Option<Arc<Place>>,
    name: Vec<u8>,
    /// When the snapshot's changed last, if it is one of the snapshot.
    mtime: Option<Timestamp>,
    presence: OnceLock<Presence>,
    handle: Mutex<Option<Arc<TargetDir>>>,
    parts: Mutex<Parts>,
}

/// Names of what is not whole, in one directory.
#[derive(Default)]
struct Parts {
    /// What was there before; `None` until somebody asks for it.
    left: Option<HashSet<Vec<u8>>>,
    /// What the snapshot itself has of such names.
    taken: HashSet<Vec<u8>>,
}

impl Place {
    /// The path below the target.
    pub fn path(&self) -> PathBuf {
        let (mut names, mut at) = (vec![&self.name], self);
        while let Some(above) = &at.above {
            names.push(&above.name);
            at = above;
        }
        let names = names.into_iter().rev();
        names.map(|name| OsStr::from_bytes(name)).collect()
    }

    /// The path of an entry of this directory.
    pub fn path_of(&self, name: &[u8]) -> PathBuf {
        self.path().join(OsStr::from_bytes(name))
    }

    /// The directory above, unless it is the target itself.
    pub fn above(&self) -> Option<&Arc<Place>> {
        self.above.as_ref()
    }

    /// Its name in the directory above.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What is known of it; `None` until somebody asks for it.
    pub fn presence(&self) -> Option<Presence> {
        self.presence.get().copied()
    }

    /// Whether there is nothing in it to be looked at.
    pub fn is_fresh(&self) -> bool {
        matches!(self.presence(), Some(Presence::New | Presence::Absent))
    }

    /// When the snapshot's changed last; `None` of what is not in the snapshot, and of the target itself.
    pub fn mtime(&self) -> Option<Timestamp> {
        self.mtime
    }

    /// A directory that is not looked at yet, and that the snapshot has with this time, if it has it.
    pub fn below(above: &Arc<Place>, name: &[u8], mtime: Option<Timestamp>) -> Arc<Place> {
        Arc::new(Place {
            above: Some(above.clone()),
            name: name.to_vec(),
            mtime,
            presence: OnceLock::new(),
            handle: Mutex::default(),
            parts: Mutex::default(),
        })
    }

    /// What an interrupted run left of the entry `name`, each told once. Reads the directory the first time; of one that
    /// cannot be read nothing is told.
    pub fn take_leftovers(&self, dir: &TargetDir, name: &[u8]) -> Vec<Vec<u8>> {
        let mut parts = lock(&self.parts);
        let Parts { left, taken } = &mut *parts;
        let left = left.get_or_insert_with(|| {
            let mut left = dir.parts().unwrap_or_default();
            left.retain(|part| !taken.contains(part));
            left
        });
        if left.is_empty() {
            return Vec::new();
        }
        part_names(name).filter(|part| left.remove(part)).collect()
    }

    /// The snapshot has an entry of this name, so that it is none that an interrupted run left.
    pub fn is_taken(&self, name: &[u8]) {
        let mut parts = lock(&self.parts);
        if let Some(left) = &mut parts.left {
            left.remove(name);
        }
        parts.taken.insert(name.to_vec());
    }

    /// A name for what will be called `name` when it is whole.
    pub fn part_for(&self, name: &[u8]) -> Vec<u8> {
        let parts = lock(&self.parts);
        let free = part_names(name).find(|part| !parts.taken.contains(part));
        free.unwrap_or_else(|| name.to_vec())
    }

    /// Says what is known of it. Once only.
    pub fn is_now(&self, presence: Presence) {
        let known = self.presence.set(presence);
        debug_assert!(known.is_ok(), "a directory is looked at once");
    }
}

/// One by one: a snapshot may be deeper than a thread's stack bears.
impl Drop for Place {
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some(mut place) = above.and_then(Arc::into_inner) {
            above = place.above.take();
        }
    }
}

/// Opens directories through those above them, the last few hundred kept open.
pub struct Places {
    recent: Mutex<VecDeque<Arc<Place>>>,
}

impl Places {
    /// The place of the target's root, which stays open. In a dry run it need not be there.
    pub fn new(root: Option<TargetDir>) -> (Self, Arc<Place>) {
        let presence = match &root {
            Some(root) if root.is_new() => Presence::New,
            Some(_) => Presence::Existing,
            None => Presence::Absent,
        };
        let root = Arc::new(Place {
            above: None,
            name: Vec::new(),
            mtime: None,
            presence: OnceLock::from(presence),
            handle: Mutex::new(root.map(Arc::new)),
            parts: Mutex::default(),
        });
        (
            Self {
                recent: Mutex::default(),
            },
            root,
        )
    }

    /// Takes in a directory that was just made or opened.
    pub fn opened(&self, place: &Arc<Place>, dir: TargetDir) -> Arc<TargetDir> {
        let dir = Arc::new(dir);
        *lock(&place.handle) = Some(dir.clone());
        self.remember(place);
        dir
    }

    /// The open directory.
    pub fn open(&self, place: &Arc<Place>) -> Result<Arc<TargetDir>> {
        let none = || Error::new(ErrorKind::NotFound, Subject::None).detail("open");
        let (mut closed, mut at) = (Vec::new(), place);
        let mut dir = loop {
            if let Some(dir) = &*lock(&at.handle) {
                break dir.clone();
            }
            closed.push(at);
            at = at.above.as_ref().ok_or_else(none)?;
        };
        for place in closed.into_iter().rev() {
            dir = self.opened(place, dir.open_dir(&place.name)?);
        }
        Ok(dir)
    }

    fn remember(&self, place: &Arc<Place>) {
        let mut recent = lock(&self.recent);
        recent.push_back(place.clone());
        let dropped = if recent.len() > OPEN_MAX {
            recent.pop_front()
        } else {
            None
        };
        drop(recent);
        if let Some(dropped) = dropped {
            *lock(&dropped.handle) = None;
        }
    }
}
