//! Names what a backup is done with, if somebody listens.

use super::Compared;
use crate::format::tree::Node;
use crate::progress::{Change, Progress, Saved};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Instant;

/// Where items leave the queue.
pub struct Listing<'a> {
    progress: &'a dyn Progress,
    /// The directory that is open.
    path: PathBuf,
    /// When each of the open ones was entered.
    entered: Vec<Instant>,
}

impl<'a> Listing<'a> {
    /// Nothing is open yet; `None` if nobody listens.
    pub fn new(progress: &'a dyn Progress) -> Option<Self> {
        progress.wants_items().then(|| Self {
            progress,
            path: PathBuf::new(),
            entered: Vec::new(),
        })
    }

    /// A directory begins.
    pub fn enter(&mut self, node: &Node) {
        match self.entered.is_empty() {
            true => self.path.push("/"),
            false => self.path.push(OsStr::from_bytes(&node.name)),
        }
        self.entered.push(Instant::now());
    }

    /// Something that is not a directory is done, of which so much was new.
    pub fn add(&self, name: &[u8], compared: Compared, data_added: u64, begun: Option<Instant>) {
        self.progress.saved(&Saved {
            path: &self.path.join(OsStr::from_bytes(name)),
            is_dir: false,
            change: change(compared),
            data_added,
            metadata_added: 0,
            took: begun.map(|begun| begun.elapsed()).unwrap_or_default(),
        });
    }

    /// The open directory is done. Of the root nobody hears.
    pub fn leave(&mut self, compared: Compared, metadata_added: u64) {
        let took = self.entered.pop().map(|entered| entered.elapsed());
        if !self.entered.is_empty() {
            self.progress.saved(&Saved {
                path: &self.path,
                is_dir: true,
                change: change(compared),
                data_added: 0,
                metadata_added,
                took: took.unwrap_or_default(),
            });
        }
        self.path.pop();
    }
}

fn change(compared: Compared) -> Change {
    match compared {
        Compared::New => Change::New,
        Compared::Changed => Change::Modified,
        Compared::Same | Compared::Updated => Change::Unchanged,
    }
}
