//! What is shown: numbers and names for objects of the view.

use crate::around::{Around, Wish};
use crate::attributes::Owners;
use crate::errno::errno;
use crate::inodes::{Inodes, Known, ROOT};
use crate::siblings::{Giver, Siblings};
use crate::{Event, MountOptions};
use fuser::{Errno, Generation, INodeNo};
use repo_core::format::tree::{Content, FileContent};
use repo_core::repo::lock;
use repo_core::vfs::{Facts, FileMap, NodeRef, Object, Reader, View};
use repo_core::{Error, ErrorKind, Result, Subject};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long the kernel may rely on what never changes.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long it may rely on what a new snapshot changes.
const A_MOMENT: Duration = Duration::from_secs(1);

/// What is said of a file is not said again so soon.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// So many files are remembered of which something was said.
const SAID_MAX: usize = 10_000;

/// Numbers are not given to other files while the kernel knows them.
pub(crate) const GENERATION: Generation = Generation(0);

/// The largest name that a file can have.
pub(crate) const NAME_MAX: u32 = 255;

/// The file system.
pub struct Mount {
    pub(crate) view: Arc<View>,
    pub(crate) reader: Reader,
    pub(crate) inodes: Arc<Inodes>,
    pub(crate) owners: Owners,
    pub(crate) default_permissions: bool,
    /// The kernel opens files, and directories, by itself.
    pub(crate) opens: [bool; 2],
    point: PathBuf,
    pub(crate) events: SyncSender<Event>,
    pub(crate) around: SyncSender<Wish>,
    pub(crate) siblings: Arc<Siblings>,
    said: Mutex<HashMap<u64, Instant>>,
}

impl Mount {
    /// Shows a view at `point`; what goes wrong is sent to `events`.
    pub fn new(
        view: View,
        point: PathBuf,
        options: &MountOptions,
        events: SyncSender<Event>,
    ) -> Result<(Self, Around, Giver)> {
        let reader = Reader::new(&view, options.cache_bytes)?;
        let (around, around_giver) = Around::new(reader.clone());
        let inodes = Arc::new(Inodes::new(view.root()));
        let view = Arc::new(view);
        let (siblings, giver) = Siblings::new(view.clone(), inodes.clone(), reader.clone());
        let mount = Self {
            reader,
            around,
            siblings,
            inodes,
            view,
            owners: options.owners(),
            default_permissions: options.default_permissions,
            opens: [false; 2],
            point,
            events,
            said: Mutex::default(),
        };
        Ok((mount, around_giver, giver))
    }

    pub(crate) fn known(&self, number: INodeNo) -> Result<Known> {
        let known = self.inodes.get(number.0);
        known.ok_or_else(|| Error::new(ErrorKind::NotFound, Subject::None))
    }

    /// The node of what has a number; `NotFound` if no snapshot describes it.
    pub(crate) fn node(&self, number: INodeNo) -> Result<NodeRef> {
        let node = self.view.node(&self.known(number)?.object)?;
        node.ok_or_else(|| Error::new(ErrorKind::NotFound, Subject::None))
    }

    /// Tells of an error and gives its number.
    pub(crate) fn failed(&self, number: INodeNo, name: Option<&OsStr>, error: Error) -> Errno {
        let errno = errno(error.kind());
        if error.kind() != ErrorKind::NotFound && self.is_news(number.0) {
            let mut path = self.path(number.0);
            path.extend(name);
            // Whoever does not listen so fast has heard enough.
            let _ = self.events.try_send(Event::Problem(path, error));
        }
        errno
    }

    /// Whether nothing was said of a file lately.
    fn is_news(&self, number: u64) -> bool {
        let mut said = lock(&self.said);
        let now = Instant::now();
        if said.len() >= SAID_MAX {
            said.clear();
        }
        let lately = |at: Instant| now.duration_since(at) < SAID_AGAIN;
        let is_news = !said.get(&number).is_some_and(|at| lately(*at));
        if is_news {
            said.insert(number, now);
        }
        is_news
    }

    /// The path of what has a number, as far as it is known.
    fn path(&self, mut number: u64) -> PathBuf {
        let mut names = Vec::new();
        while number != ROOT {
            let Some(known) = self.inodes.get(number) else {
                break;
            };
            let node = self.view.node(&known.object).ok().flatten();
            let name = match (&known.name, &node) {
                (Some(name), _) => name.to_vec(),
                (None, Some(node)) => node.name.clone(),
                (None, None) => b"?".to_vec(),
            };
            names.push(OsString::from_vec(name));
            number = known.parent;
        }
        let mut path = self.point.clone();
        path.extend(names.iter().rev());
        path
    }

    /// Looks for new snapshots where they would be seen.
    fn refresh(&self, object: &Object) {
        if !View::may_change(object) {
            return;
        }
        match self.view.refresh() {
            Ok(unreadable) => {
                for (_, error) in unreadable {
                    let _ = self.events.try_send(Event::Unreadable(error));
                }
            }
            Err(error) if self.is_news(0) => {
                let _ = self.events.try_send(Event::Stale(error));
            }
            Err(_) => {}
        }
    }

    /// How long the kernel may rely on the name of an entry of this directory, and on what is known of the entry.
    pub(crate) fn lifetimes(directory: &Object, entry: &Object) -> [Duration; 2] {
        [directory, entry].map(|object| match View::may_change(object) {
            true => A_MOMENT,
            false => FOR_EVER,
        })
    }

    pub(crate) fn look_up(
        &self,
        parent: INodeNo,
        name: &OsStr,
    ) -> Result<Option<(u64, Facts, [Duration; 2])>> {
        let directory = self.known(parent)?;
        self.refresh(&directory.object);
        let found = self.view.child(&directory.object, name.as_bytes());
        self.tell_lost();
        let Some((object, facts)) = found? else {
            return Ok(None);
        };
        let lifetimes = Self::lifetimes(&directory.object, &object);
        let directory = (parent.0, &directory);
        let number = self
            .inodes
            .enter(directory, name.as_bytes(), object, &facts);
        Ok(Some((number, facts, lifetimes)))
    }

    pub(crate) fn facts(&self, number: INodeNo) -> Result<(Facts, Duration)> {
        let known = self.known(number)?;
        self.refresh(&known.object);
        let facts = self.view.facts(&known.object)?;
        let [lifetime, _] = Self::lifetimes(&known.object, &known.object);
        Ok((facts, lifetime))
    }

    /// The map of a regular file.
    pub(crate) fn map(&self, number: INodeNo) -> Result<Arc<FileMap>> {
        let node = self.node(number)?;
        self.reader.map(&node.spot, content(&node)?)
    }

    /// Gives entries of a directory, `.` and `..` before the others, until `add` is full: what has the number, an entry, and where to
    /// go on.
    pub(crate) fn entries(
        &self,
        number: INodeNo,
        offset: u64,
        add: &mut dyn FnMut((u64, &Known), Entry<'_>) -> bool,
    ) -> Result<()> {
        let directory = self.known(number)?;
        if offset == 0 {
            self.refresh(&directory.object);
        }
        for (dots, (name, of)) in [(&b"."[..], number.0), (b"..", directory.parent)]
            .into_iter()
            .enumerate()
            .skip(usize::try_from(offset).unwrap_or(usize::MAX))
        {
            let entry = Entry::Dots(name, of);
            if !add((dots as u64 + 1, &directory), entry) {
                return Ok(());
            }
        }
        let from = offset.saturating_sub(DOTS);
        let listed = self.view.list(&directory.object, from, &mut |listed| {
            let entry = Entry::Child(listed.name, listed.object, listed.facts);
            add((listed.next + DOTS, &directory), entry)
        });
        self.tell_lost();
        listed
    }

    /// Tells of what was lost beside what was found.
    fn tell_lost(&self) {
        for (place, error) in self.view.lost() {
            let _ = self.events.try_send(Event::Problem(place, error));
        }
    }
}

/// `.` and `..`.
const DOTS: u64 = 2;

/// An entry of a directory.
pub(crate) enum Entry<'n> {
    /// The directory itself or the one above, and its number.
    Dots(&'n [u8], u64),
    /// What stands in it.
    Child(&'n [u8], Object, Facts),
}

fn content(node: &NodeRef) -> Result<&FileContent> {
    match &node.content {
        Content::File(file) => Ok(file),
        _ => Err(Error::invalid("file").detail("is no regular file")),
    }
}
