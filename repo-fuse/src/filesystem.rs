//! Answers the kernel.

use crate::around::{Around, Wish};
use crate::attributes::{Owners, file_type};
use crate::errno::errno;
use crate::inodes::{Inodes, Known, ROOT};
use crate::{Event, MountOptions};
use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use repo_core::format::tree::{Content, FileContent};
use repo_core::repo::lock;
use repo_core::vfs::{Facts, FileMap, NodeRef, Object, Reader, Reading, Spot, View};
use repo_core::{Error, ErrorKind, Result, Subject};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
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
const GENERATION: Generation = Generation(0);

/// The largest name that a file can have.
const NAME_MAX: u32 = 255;

/// The file system.
pub struct Mount {
    view: View,
    reader: Reader,
    inodes: Inodes,
    owners: Owners,
    default_permissions: bool,
    /// The kernel opens files, and directories, by itself.
    opens: [bool; 2],
    point: PathBuf,
    events: SyncSender<Event>,
    around: SyncSender<Wish>,
    said: Mutex<HashMap<u64, Instant>>,
}

impl Mount {
    /// Shows a view at `point`; what goes wrong is sent to `events`.
    pub fn new(
        view: View,
        point: PathBuf,
        options: &MountOptions,
        events: SyncSender<Event>,
    ) -> Result<(Self, Around)> {
        let reader = Reader::new(&view, options.cache_bytes)?;
        let (around, giver) = Around::new(reader.clone());
        let mount = Self {
            reader,
            around,
            inodes: Inodes::new(view.root()),
            view,
            owners: options.owners(),
            default_permissions: options.default_permissions,
            opens: [false; 2],
            point,
            events,
            said: Mutex::default(),
        };
        Ok((mount, giver))
    }

    fn known(&self, number: INodeNo) -> Result<Known> {
        let known = self.inodes.get(number.0);
        known.ok_or_else(|| Error::new(ErrorKind::NotFound, Subject::None))
    }

    /// The node of what has a number; `NotFound` if no snapshot describes it.
    fn node(&self, number: INodeNo) -> Result<NodeRef> {
        let node = self.view.node(&self.known(number)?.object)?;
        node.ok_or_else(|| Error::new(ErrorKind::NotFound, Subject::None))
    }

    /// Tells of an error and gives its number.
    fn failed(&self, number: INodeNo, name: Option<&OsStr>, error: Error) -> Errno {
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

    /// The spot of what has a number, and those of the directories above, up to that of a snapshot.
    fn spots(&self, mut number: u64) -> Vec<Spot> {
        let mut spots = Vec::new();
        while let Some(known) = self.inodes.get(number)
            && let Object::Node(spot) = known.object
        {
            spots.push(spot);
            number = known.parent;
        }
        spots
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
    fn lifetimes(directory: &Object, entry: &Object) -> [Duration; 2] {
        [directory, entry].map(|object| match View::may_change(object) {
            true => A_MOMENT,
            false => FOR_EVER,
        })
    }

    fn look_up(
        &self,
        parent: INodeNo,
        name: &OsStr,
    ) -> Result<Option<(u64, Facts, [Duration; 2])>> {
        let directory = self.known(parent)?;
        self.refresh(&directory.object);
        let found = self.view.child(&directory.object, name.as_bytes())?;
        let Some((object, facts)) = found else {
            return Ok(None);
        };
        let lifetimes = Self::lifetimes(&directory.object, &object);
        let directory = (parent.0, &directory);
        let number = self
            .inodes
            .enter(directory, name.as_bytes(), object, &facts);
        Ok(Some((number, facts, lifetimes)))
    }

    fn facts(&self, number: INodeNo) -> Result<(Facts, Duration)> {
        let known = self.known(number)?;
        self.refresh(&known.object);
        let facts = self.view.facts(&known.object)?;
        let [lifetime, _] = Self::lifetimes(&known.object, &known.object);
        Ok((facts, lifetime))
    }

    /// The map of a regular file.
    fn map(&self, number: INodeNo) -> Result<Arc<FileMap>> {
        let node = self.node(number)?;
        self.reader.map(&node.spot, content(&node)?)
    }

    /// Gives entries of a directory, `.` and `..` before the others, until `add` is full: what has the number, an entry, and where to
    /// go on.
    fn entries(
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
        self.view.list(&directory.object, from, &mut |listed| {
            let entry = Entry::Child(listed.name, listed.object, listed.facts);
            add((listed.next + DOTS, &directory), entry)
        })
    }
}

/// `.` and `..`.
const DOTS: u64 = 2;

/// An entry of a directory.
enum Entry<'n> {
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

impl Filesystem for Mount {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let mut wanted = InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_AUTO_INVAL_DATA
            | InitFlags::FUSE_NO_OPEN_SUPPORT
            | InitFlags::FUSE_NO_OPENDIR_SUPPORT;
        if self.default_permissions {
            wanted |= InitFlags::FUSE_POSIX_ACL;
        }
        let can = |flag| config.capabilities().contains(flag);
        self.opens = [
            can(InitFlags::FUSE_NO_OPEN_SUPPORT),
            can(InitFlags::FUSE_NO_OPENDIR_SUPPORT),
        ];
        // Older kernels do without what they do not have.
        if let Err(unknown) = config.add_capabilities(wanted) {
            let _ = config.add_capabilities(wanted - unknown);
        }
        Ok(())
    }

    fn destroy(&mut self) {
        let _ = self.events.try_send(Event::Ended);
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.look_up(parent, name) {
            Ok(Some((number, facts, [name, known]))) => {
                let attributes = self.owners.attributes(number, &facts);
                reply.entry_with_ttls(&known, &name, &attributes, GENERATION);
            }
            Ok(None) => reply.error(Errno::ENOENT),
            Err(error) => reply.error(self.failed(parent, Some(name), error)),
        }
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.inodes.forget(number.0, times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.facts(number) {
            Ok((facts, lifetime)) => {
                reply.attr(&lifetime, &self.owners.attributes(number.0, &facts));
            }
            Err(error) => reply.error(self.failed(number, None, error)),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        let known = match self.known(number) {
            Ok(known) => known,
            Err(error) => return reply.error(self.failed(number, None, error)),
        };
        if let Object::Link(target) = &known.object {
            return reply.data(target);
        }
        match self.node(number) {
            Ok(node) => match &node.content {
                Content::Symlink(target) => reply.data(target),
                _ => reply.error(Errno::EINVAL),
            },
            Err(error) => reply.error(self.failed(number, None, error)),
        }
    }

    /// The kernel opens files by itself and does not ask again: what a file holds never changes.
    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.opens {
            [true, _] => reply.error(Errno::ENOSYS),
            [false, _] => reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE),
        }
    }

    /// The same; it caches what directories hold until their time changes.
    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let cached = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR;
        match self.opens {
            [_, true] => reply.error(Errno::ENOSYS),
            [_, false] => reply.opened(FileHandle(0), cached),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut bytes = Vec::new();
        let read = self.map(number).and_then(|map| {
            let reading = Reading {
                map: &map,
                spots: &|| self.spots(number.0),
            };
            let unexpected = self
                .reader
                .read(&reading, offset, size.into(), &mut bytes)?;
            Ok((map, unexpected))
        });
        match read {
            Ok((map, unexpected)) => {
                // Not before the answer: the kernel waits for it with the page that it is about.
                reply.data(&bytes);
                if let Some(at) = unexpected {
                    Around::wish(&self.around, number.0, map, at);
                }
            }
            Err(error) => reply.error(self.failed(number, None, error)),
        }
    }

    fn lseek(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let data = match whence {
            SEEK_DATA => true,
            SEEK_HOLE => false,
            _ => return reply.error(Errno::EINVAL),
        };
        let Ok(from) = u64::try_from(offset) else {
            return reply.error(Errno::ENXIO);
        };
        match self.map(number).map(|map| map.seek(from, data)) {
            Ok(Some(found)) => reply.offset(i64::try_from(found).unwrap_or(i64::MAX)),
            Ok(None) => reply.error(Errno::ENXIO),
            Err(error) => reply.error(self.failed(number, None, error)),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut any = false;
        let listed = self.entries(number, offset, &mut |(next, directory), entry| {
            let full = match entry {
                Entry::Dots(name, of) => {
                    let kind = fuser::FileType::Directory;
                    reply.add(INodeNo(of), next, kind, OsStr::from_bytes(name))
                }
                Entry::Child(name, object, facts) => {
                    let parent = (number.0, directory);
                    let of = self.inodes.number(parent, name, &object, &facts);
                    let kind = file_type(facts.kind());
                    reply.add(INodeNo(of), next, kind, OsStr::from_bytes(name))
                }
            };
            any |= !full;
            !full
        });
        match listed {
            // What was listed before it is told; the next question meets the error again.
            Err(error) if !any => reply.error(self.failed(number, None, error)),
            _ => reply.ok(),
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let mut any = false;
        let listed = self.entries(number, offset, &mut |(next, directory), entry| {
            let full = match entry {
                Entry::Dots(name, of) => {
                    let Ok((facts, _)) = self.facts(INodeNo(of)) else {
                        return true;
                    };
                    let attributes = self.owners.attributes(of, &facts);
                    let (name, lifetime) = (OsStr::from_bytes(name), Duration::ZERO);
                    reply.add(INodeNo(of), next, name, &lifetime, &attributes, GENERATION)
                }
                Entry::Child(name, object, facts) => {
                    let lifetimes = Self::lifetimes(&directory.object, &object);
                    let lifetime = lifetimes[0].min(lifetimes[1]);
                    let of = self
                        .inodes
                        .enter((number.0, directory), name, object, &facts);
                    let attributes = self.owners.attributes(of, &facts);
                    let name = OsStr::from_bytes(name);
                    let full =
                        reply.add(INodeNo(of), next, name, &lifetime, &attributes, GENERATION);
                    if full {
                        self.inodes.forget(of, 1);
                    }
                    full
                }
            };
            any |= !full;
            !full
        });
        match listed {
            Err(error) if !any => reply.error(self.failed(number, None, error)),
            _ => reply.ok(),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (bytes, nodes) = self.view.totals();
        let block = 4096;
        let blocks = bytes.div_ceil(block.into());
        reply.statfs(blocks, 0, 0, nodes, 0, block, NAME_MAX, block);
    }

    fn getxattr(&self, _: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let node = match self
            .known(number)
            .and_then(|known| self.view.node(&known.object))
        {
            Ok(node) => node,
            Err(error) => return reply.error(self.failed(number, None, error)),
        };
        let found = node.as_ref().and_then(|node| {
            let mut all = node.xattrs.iter();
            all.find(|(own, _)| own == name.as_bytes())
        });
        match found {
            Some((_, value)) => attribute(value, size, reply),
            None => reply.error(Errno::ENODATA),
        }
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        match self
            .known(number)
            .and_then(|known| self.view.node(&known.object))
        {
            Ok(node) => {
                let mut names = Vec::new();
                for (name, _) in node.iter().flat_map(|node| node.xattrs.iter()) {
                    names.extend_from_slice(name);
                    names.push(0);
                }
                attribute(&names, size, reply);
            }
            Err(error) => reply.error(self.failed(number, None, error)),
        }
    }
}

/// Answers with the length or the bytes, as asked.
fn attribute(bytes: &[u8], size: u32, reply: ReplyXattr) {
    match (u32::try_from(bytes.len()), size) {
        (Ok(len), 0) => reply.size(len),
        (Ok(len), _) if len <= size => reply.data(bytes),
        _ => reply.error(Errno::ERANGE),
    }
}

const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;
