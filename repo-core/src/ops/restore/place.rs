//! Directories of the target, opened as they are needed.

use crate::error::Result;
use crate::fs::TargetDir;
use crate::repo::lock;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Directories that are kept open.
const OPEN_MAX: usize = 256;

/// A directory of the target: its name in the one above it.
pub struct Place {
    above: Option<Arc<Place>>,
    name: Vec<u8>,
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
}

/// Opens directories through those above them, the last few hundred kept open.
pub struct Places {
    recent: Mutex<VecDeque<Arc<Place>>>,
}

impl Places {
    /// The place of the target's root, which stays open.
    pub fn new(root: TargetDir) -> (Self, Arc<Place>) {
        let handle = Mutex::new(Some(Arc::new(root)));
        let root = Arc::new(Place {
            above: None,
            name: Vec::new(),
            handle,
        });
        (
            Self {
                recent: Mutex::default(),
            },
            root,
        )
    }

    /// A directory that was just made or opened.
    pub fn add(&self, above: &Arc<Place>, name: &[u8], dir: TargetDir) -> Arc<Place> {
        let handle = Mutex::new(Some(Arc::new(dir)));
        let place = Arc::new(Place {
            above: Some(above.clone()),
            name: name.to_vec(),
            handle,
        });
        self.remember(&place);
        place
    }

    /// The open directory.
    pub fn open(&self, place: &Arc<Place>) -> Result<Arc<TargetDir>> {
        let mut handle = lock(&place.handle);
        if let Some(dir) = &*handle {
            return Ok(dir.clone());
        }
        let above = place.above.as_ref().expect("the root stays open");
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
