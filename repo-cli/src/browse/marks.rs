//! What is marked, and how much that is.

use super::work::Counted;
use repo_core::id::SnapshotId;
use repo_core::progress::Interrupt;
use repo_core::snapshot::SnapshotInfo;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A snapshot and a path in it.
pub type Key = (SnapshotId, PathBuf);

/// Something marked.
#[derive(Debug)]
pub struct Mark {
    /// Its snapshot.
    pub info: Arc<SnapshotInfo>,
    /// How much it is, once that is known; whether all of it could be counted.
    pub counted: Option<Counted>,
    /// Ends the count.
    pub interrupt: Arc<Interrupt>,
}

/// How an entry is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It is not.
    Not,
    /// By itself.
    Itself,
    /// With a directory above it.
    Above,
}

/// What is marked, by snapshot and path.
#[derive(Debug, Default)]
pub struct Marks(BTreeMap<Key, Mark>);

/// How much is marked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// How many marks there are.
    pub marks: usize,
    /// Files and bytes of those that were counted; what is below another mark counts once.
    pub counted: Counted,
    /// Whether some are being counted still.
    pub counting: bool,
}

impl Marks {
    /// How an entry is marked.
    pub fn of(&self, id: &SnapshotId, path: &Path) -> Marked {
        let mut above = path.ancestors().skip(1);
        match self.0.contains_key(&(*id, path.to_path_buf())) {
            true => Marked::Itself,
            false if above.any(|above| self.0.contains_key(&(*id, above.to_path_buf()))) => {
                Marked::Above
            }
            false => Marked::Not,
        }
    }

    /// Marks it.
    pub fn add(
        &mut self,
        info: Arc<SnapshotInfo>,
        path: PathBuf,
        counted: Option<Counted>,
    ) -> Arc<Interrupt> {
        let interrupt = Arc::new(Interrupt::new());
        let mark = Mark {
            info: info.clone(),
            counted,
            interrupt: interrupt.clone(),
        };
        self.0.insert((info.id, path), mark);
        interrupt
    }

    /// Takes the mark away.
    pub fn remove(&mut self, key: &Key) {
        if let Some(mark) = self.0.remove(key) {
            mark.interrupt.set();
        }
    }

    /// Takes all marks away.
    pub fn clear(&mut self) {
        let marks = std::mem::take(&mut self.0);
        marks.values().for_each(|mark| mark.interrupt.set());
    }

    /// Says how much one is; nothing if it is not marked any more.
    pub fn count(&mut self, key: &Key, counted: Counted) {
        if let Some(mark) = self.0.get_mut(key) {
            mark.counted = Some(counted);
        }
    }

    /// How much is marked.
    pub fn total(&self) -> Total {
        let mut total = Total {
            marks: self.0.len(),
            ..Total::default()
        };
        for ((id, path), mark) in &self.0 {
            if path
                .parent()
                .is_some_and(|above| self.of(id, above) != Marked::Not)
            {
                continue;
            }
            match mark.counted {
                Some(counted) => total.counted = total.counted.and(counted),
                None => total.counting = true,
            }
        }
        total
    }

    /// The marks, snapshot by snapshot.
    pub fn by_snapshot(&self) -> Vec<(Arc<SnapshotInfo>, Vec<PathBuf>)> {
        let mut found: Vec<(Arc<SnapshotInfo>, Vec<PathBuf>)> = Vec::new();
        for ((id, path), mark) in &self.0 {
            match found.last_mut() {
                Some((info, paths)) if info.id == *id => paths.push(path.clone()),
                _ => found.push((mark.info.clone(), vec![path.clone()])),
            }
        }
        found
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        self.clear();
    }
}
