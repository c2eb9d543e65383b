//! What a backup takes of the paths it is given.
//!
//! What names tell is decided when a directory is listed, before anything in it is asked about or opened: patterns,
//! markers like `CACHEDIR.TAG`, ignore files. What takes metadata is decided as the walk gets there, from metadata that it
//! has anyway: sizes, and where another file system begins.
//!
//! A path that was given is taken, whatever says that something of its name is left out: it was asked for. So is what
//! leads to it. Only the limit of size holds for it too, and a marker in it.

mod ignores;
mod marker;
mod named;
#[cfg(test)]
mod tests;

use super::roots::absolute;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Dir, Kind, Metadata, Scan};
use crate::pattern::{List, Reached};
use ignores::Ignores;
use named::Named;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use marker::Marker;

/// What is left out of a backup; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Exclusions {
    /// Whatever one of these lists matches, by its absolute path.
    pub patterns: Vec<List>,
    /// What lies in a directory with one of these in it, but for the markers themselves.
    pub markers: Vec<Marker>,
    /// Everything but directories that is larger, in bytes.
    pub larger_than: Option<u64>,
    /// What lies on other file systems than the path it was found below. Of a directory where another one begins, the
    /// directory is kept, without what is in it.
    pub one_file_system: bool,
    /// Names of files that say, as `.gitignore` does for git, what is left out of the directory they lie in and of all below.
    /// The last name counts most, and a file counts more than those above it.
    pub ignore_files: Vec<OsString>,
}

impl Exclusions {
    /// Whether a pattern matches this path, made absolute. A backup does not ask this of paths that it is given.
    pub fn match_path(&self, path: &Path) -> Result<bool> {
        let path = absolute(path)?;
        Ok(self.patterns.iter().any(|list| list.matches(&path)))
    }

    fn is_empty(&self) -> bool {
        self.patterns.iter().all(List::is_empty)
            && self.markers.is_empty()
            && self.larger_than.is_none()
            && !self.one_file_system
            && self.ignore_files.is_empty()
    }
}

/// What is left out of these paths.
#[derive(Debug, Clone, Default)]
pub struct Selection(Option<Arc<Rules>>);

#[derive(Debug)]
struct Rules {
    exclude: Exclusions,
    named: Arc<Named>,
}

/// A file that says what is left out and cannot be followed in everything.
#[derive(Debug, PartialEq, Eq)]
pub struct Unclear {
    /// Its name.
    pub name: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl Selection {
    /// What `exclude` leaves of the absolute paths `named`, those that lie below others included.
    pub fn new(exclude: &Exclusions, named: &[PathBuf]) -> Self {
        if exclude.is_empty() {
            return Self(None);
        }
        Self(Some(Arc::new(Rules {
            exclude: exclude.clone(),
            named: Arc::new(Named::of(named)),
        })))
    }

    /// What is taken of the directory `path`, one of those that were given.
    pub fn at(&self, path: &Path, meta: &Metadata) -> Chosen {
        let Some(rules) = &self.0 else {
            return Chosen(None);
        };
        let lists = rules.exclude.patterns.iter();
        let mut bytes = path.as_os_str().as_bytes().to_vec();
        if bytes.last() != Some(&b'/') {
            bytes.push(b'/');
        }
        Chosen(Some(Box::new(State {
            rules: rules.clone(),
            reached: lists.map(|list| list.reach(path).forgiven()).collect(),
            path: bytes,
            ignores: None,
            named: rules.named.at(path),
            only_named: false,
            marked: false,
            device: meta.device,
        })))
    }

    /// Whether something is larger than what is taken.
    pub fn is_too_large(&self, meta: &Metadata) -> bool {
        self.0
            .as_ref()
            .is_some_and(|rules| rules.is_too_large(meta))
    }
}

impl Rules {
    fn is_too_large(&self, meta: &Metadata) -> bool {
        let max = self.exclude.larger_than;
        meta.kind != Kind::Dir && max.is_some_and(|max| meta.size > max)
    }
}

/// What is taken of one directory. Nothing in memory if it is everything, else a few hundred bytes.
#[derive(Debug, Clone)]
pub struct Chosen(Option<Box<State>>);

#[derive(Debug, Clone)]
struct State {
    rules: Arc<Rules>,
    /// How far the directory leads in each list of patterns.
    reached: Vec<Reached>,
    /// Its absolute path, ended by a slash.
    path: Vec<u8>,
    /// The ignore files that count here.
    ignores: Option<Arc<Ignores>>,
    /// Where the way goes on to paths that were given.
    named: Option<Arc<Named>>,
    /// It is left out, but for the way to those.
    only_named: bool,
    /// Only its markers are taken.
    marked: bool,
    /// The file system that counts.
    device: u64,
}

/// What is taken of a directory, listed.
pub struct Taken {
    /// Its entries that are.
    pub scan: Scan,
    /// What is taken of them.
    pub chosen: Chosen,
    /// How many are not.
    pub excluded: u64,
    /// Files that say so, and cannot be followed in everything.
    pub unclear: Vec<Unclear>,
}

impl Chosen {
    /// Lists the directory. Besides the listing and metadata of what is taken, only markers and ignore files cost anything.
    pub fn take(self, dir: &Dir) -> Result<Taken> {
        let mut scan = dir.names()?;
        let (mut excluded, mut unclear) = (0, Vec::new());
        let chosen = self.0.map(|mut state| {
            state.read_what_it_says(dir, &scan, &mut unclear);
            let mut path = state.path.clone();
            scan.retain(|name, kind| {
                let is_dir = || is_dir(dir, name, kind);
                let stays = state.leads_to_named(name) || !state.excludes(name, &mut path, is_dir);
                excluded += u64::from(!stays);
                stays
            });
            state
        });
        scan.load(dir);
        Ok(Taken {
            scan,
            chosen: Self(chosen),
            excluded,
            unclear,
        })
    }

    /// What is taken of the subdirectory `name`, which is on this device.
    pub fn enter(&self, name: &[u8], device: u64) -> Self {
        Self(
            self.0
                .as_ref()
                .map(|state| Box::new(state.enter(name, device))),
        )
    }

    /// The same of entry `index`, if it is certain before the walk gets there that it is walked.
    pub fn ahead(&self, scan: &Scan, index: usize) -> Option<Self> {
        let Some(state) = self.0.as_ref() else {
            return Some(Self(None));
        };
        if !state.rules.exclude.one_file_system {
            return Some(self.enter(scan.name(index), state.device));
        }
        let meta = scan.peek(index)?;
        let name = scan.name(index);
        (!self.stops_at(name, meta)).then(|| self.enter(name, meta.device))
    }

    /// Whether an entry is left out for what it is.
    pub fn leaves_out(&self, meta: &Metadata) -> bool {
        self.0
            .as_ref()
            .is_some_and(|state| state.rules.is_too_large(meta))
    }

    /// Whether the directory `name` is taken without what is in it.
    pub fn stops_at(&self, name: &[u8], meta: &Metadata) -> bool {
        self.0
            .as_ref()
            .is_some_and(|state| state.is_elsewhere(name, meta.device))
    }
}

impl State {
    /// Looks for markers and reads ignore files.
    fn read_what_it_says(&mut self, dir: &Dir, scan: &Scan, unclear: &mut Vec<Unclear>) {
        if self.only_named {
            return;
        }
        let rules = self.rules.clone();
        let mut tell = |name: &[u8], why: String| {
            let name = PathBuf::from(OsString::from_vec(name.to_vec()));
            unclear.push(Unclear { name, why });
        };
        for marker in &rules.exclude.markers {
            if scan.find(marker.name_bytes()).is_some() {
                match marker.counts(dir) {
                    Ok(counts) => self.marked |= counts,
                    Err(why) => tell(marker.name_bytes(), why),
                }
            }
        }
        if self.marked {
            return;
        }
        for name in rules
            .exclude
            .ignore_files
            .iter()
            .map(|name| name.as_bytes())
        {
            if scan.find(name).is_some() {
                let (ignores, said) = Ignores::read(dir, name, self.path.len(), &self.ignores);
                self.ignores = ignores.map(Arc::new).or(self.ignores.take());
                said.into_iter().for_each(|why| tell(name, why));
            }
        }
    }

    fn leads_to_named(&self, name: &[u8]) -> bool {
        self.named
            .as_ref()
            .is_some_and(|named| named.child(name).is_some())
    }

    /// Whether the entry `name` is left out, as far as names tell. `path` is that of the directory, and is again afterwards.
    fn excludes(&self, name: &[u8], path: &mut Vec<u8>, is_dir: impl FnOnce() -> bool) -> bool {
        if self.only_named {
            return true;
        }
        let markers = &self.rules.exclude.markers;
        if self.marked {
            return !markers.iter().any(|marker| marker.name_bytes() == name);
        }
        let mut lists = self.rules.exclude.patterns.iter().zip(&self.reached);
        if lists.any(|(list, reached)| list.enter(reached, name).matches()) {
            return true;
        }
        self.ignores.as_ref().is_some_and(|ignores| {
            let len = path.len();
            path.extend_from_slice(name);
            let ignored = ignores.leave_out(path, is_dir());
            path.truncate(len);
            ignored
        })
    }

    /// Whether the directory `name` lies on a file system that does not count, and no way leads through it.
    ///
    /// Of files the device tells nothing: overlayfs gives those of lower layers numbers of their own. So a file that is
    /// mounted alone is taken, which restic does not.
    fn is_elsewhere(&self, name: &[u8], device: u64) -> bool {
        self.rules.exclude.one_file_system && device != self.device && !self.leads_to_named(name)
    }

    fn enter(&self, name: &[u8], device: u64) -> Self {
        let lists = self.rules.exclude.patterns.iter().zip(&self.reached);
        let mut reached: Vec<Reached> = lists
            .map(|(list, reached)| list.enter(reached, name))
            .collect();
        let named = self.named.as_ref().and_then(|named| named.child(name));
        let given = named.as_ref().is_some_and(|named| named.is_given());
        if given {
            reached = reached.into_iter().map(Reached::forgiven).collect();
        }
        let only_named = named.is_some()
            && !given
            && (self.excludes(name, &mut self.path.clone(), || true)
                || self.rules.exclude.one_file_system && device != self.device);
        Self {
            rules: self.rules.clone(),
            reached,
            path: [&self.path, name, b"/"].concat(),
            ignores: self.ignores.clone(),
            named,
            only_named,
            marked: false,
            device: match given {
                true => device,
                false => self.device,
            },
        }
    }
}

/// Whether an entry is a directory. Asks for it only where the file system's directories do not say so.
fn is_dir(dir: &Dir, name: &[u8], kind: Option<Kind>) -> bool {
    match kind {
        Some(kind) => kind == Kind::Dir,
        None => dir.stat(name).is_ok_and(|meta| meta.kind == Kind::Dir),
    }
}

/// Of what is opened by its name alone nothing was known that could have changed.
fn never_a_file(error: Error) -> Error {
    match error.kind() == ErrorKind::Unavailable && error.io_cause().is_none() {
        true => error.detail("not a regular file"),
        false => error,
    }
}
