//! Directories of the target, opened as they are needed.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::fs::TargetDir;
use crate::repo::lock;
use std::collections::VecDeque;
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
}

/// A directory of the target: its name in the one above it.
pub struct Place {
    above: Option<Arc<Place>>,
    name: Vec<u8>,
    presence: OnceLock<Presence>,
    handle: Mutex<Option<Arc<TargetDir>>>,
}

impl Place {
    /// The path below the target.
    pub fn path(&self) -> PathBuf {
        let mut path = self
            .above
            .as_ref()
            .map(|above| above.path())
            .unwrap_or_default();
        path.push(OsStr::from_bytes(&self.name));
        path
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

    /// A directory that is not looked at yet.
    pub fn below(above: &Arc<Place>, name: &[u8]) -> Arc<Place> {
        Arc::new(Place {
            above: Some(above.clone()),
            name: name.to_vec(),
            presence: OnceLock::new(),
            handle: Mutex::default(),
        })
    }

    /// Says what is known of it. Once only.
    pub fn is_now(&self, presence: Presence) {
        let known = self.presence.set(presence);
        debug_assert!(known.is_ok(), "a directory is looked at once");
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
            presence: OnceLock::from(presence),
            handle: Mutex::new(root.map(Arc::new)),
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
        let mut handle = lock(&place.handle);
        if let Some(dir) = &*handle {
            return Ok(dir.clone());
        }
        let none = || Error::new(ErrorKind::NotFound, Subject::None).detail("open");
        let above = place.above.as_ref().ok_or_else(none)?;
        let dir = Arc::new(self.open(above)?.open_dir(&place.name)?);
        *handle = Some(dir.clone());
        drop(handle);
        self.remember(place);
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
