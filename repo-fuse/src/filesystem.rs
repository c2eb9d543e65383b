//! Answers the kernel.

use crate::Event;
use crate::around::Around;
use crate::attributes::file_type;
use crate::shown::{Entry, GENERATION, Mount, NAME_MAX};
use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry,
    ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use repo_core::format::tree::Content;
use repo_core::vfs::{Object, Reading};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

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
                spots: &|| self.inodes.spots(number.0),
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
                if offset == 0 {
                    self.siblings.was_read(number.0);
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
