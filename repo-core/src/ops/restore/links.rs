//! Further names of what has several: linked to the first that could be put in place.

use super::attributes::{Wanted, note};
use super::context::Context;
use super::file::identity;
use super::layout::{Zeros, spread, write};
use super::place::{Place, Places};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Chunks, Content, FileContent, Node};
use crate::fs::{Applied, Kind, apply_to, set_len};
use crate::progress::Outcome;
use crate::repo::lock;
use crate::tree::{ChunkRef, for_each_chunk};
use std::fs::File;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Names that wait for their window, with what they need to be written on their own: this many bytes.
const LINKS_BYTES: usize = 8 << 20;

/// What became of the first name; of two that are told, the later one in this order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Its window is not written yet.
    Planned,
    /// It is there.
    Written,
    /// It would be there, and not as the file that has its name now: of a dry run only.
    WouldBeNew,
    /// It could not be put in its place; the content can be had.
    NotWritten,
    /// The content cannot be had.
    Lost,
}

/// The name that the further names of a file are linked to.
pub struct FirstName(Mutex<Standing>);

#[derive(Clone)]
struct Standing {
    place: Arc<Place>,
    name: Vec<u8>,
    fate: Fate,
}

impl FirstName {
    /// A name, and what became of it so far.
    pub fn new(place: &Arc<Place>, name: &[u8], fate: Fate) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Standing {
            place: place.clone(),
            name: name.to_vec(),
            fate,
        })))
    }

    /// Notes what became of it.
    pub fn becomes(&self, fate: Fate) {
        let mut standing = lock(&self.0);
        standing.fate = standing.fate.max(fate);
    }

    /// Another name has the content: further ones are linked to that.
    fn is_now(&self, place: &Arc<Place>, name: &[u8]) {
        *lock(&self.0) = Standing {
            place: place.clone(),
            name: name.to_vec(),
            fate: Fate::Written,
        };
    }

    /// Whether what has the name `name` in `place` is the first name's file already.
    pub fn is_that_of(&self, places: &Places, place: &Arc<Place>, name: &[u8]) -> bool {
        let first = lock(&self.0).clone();
        let found = |place: &Arc<Place>, name: &[u8]| {
            let found = places.open(place).and_then(|dir| dir.stat(name));
            found.ok().flatten().map(|found| identity(&found))
        };
        let here = found(place, name);
        here.is_some() && here == found(&first.place, &first.name)
    }

    /// Gives what lies under the first name the further name `name` in `place`; says whether it had not got it yet.
    pub fn link_to(&self, places: &Places, place: &Arc<Place>, name: &[u8]) -> Result<bool> {
        let first = lock(&self.0).clone();
        let from = places.open(&first.place)?;
        places.open(place)?.hardlink(&from, &first.name, name)
    }
}

/// A further name of a regular file.
struct Link {
    first: Arc<FirstName>,
    place: Arc<Place>,
    node: Node,
}

/// The further names of one window.
#[derive(Default)]
pub struct Links {
    links: Vec<Link>,
    bytes: usize,
}

impl Links {
    /// Whether they take as much memory as they may: 8 MiB, and the largest node.
    pub fn is_full(&self) -> bool {
        self.bytes >= LINKS_BYTES
    }

    /// Plans a further name.
    pub fn add(&mut self, first: Arc<FirstName>, place: Arc<Place>, node: &Node) {
        self.bytes += size_of::<Link>() + heap_bytes(node);
        let node = node.clone();
        self.links.push(Link { first, place, node });
    }

    /// Makes them. Where the first name could not be written, the next one takes the content, and the others are linked to
    /// that. A name that cannot be linked becomes a file of its own, and a problem. `Interrupted` when asked to stop.
    pub fn make(self, context: &Context<'_>, places: &Places) -> Result<()> {
        for link in self.links {
            match link.make(context, places) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    context.others.add(|| link.path());
                    context.fails(&link.path(), &error, link.size());
                }
            }
        }
        Ok(())
    }
}

impl Link {
    fn path(&self) -> PathBuf {
        self.place.path_of(&self.node.name)
    }

    fn size(&self) -> u64 {
        match &self.node.content {
            Content::File(file) => file.size,
            _ => 0,
        }
    }

    fn make(&self, context: &Context<'_>, places: &Places) -> Result<()> {
        if context.options.dry_run {
            self.pretend(context, places);
            return Ok(());
        }
        let first = lock(&self.first.0).clone();
        let linked = match first.fate {
            Fate::Planned | Fate::Written | Fate::WouldBeNew => {
                self.first.link_to(places, &self.place, &self.node.name)
            }
            Fate::NotWritten => {
                self.write(context, places)?;
                self.first.is_now(&self.place, &self.node.name);
                return Ok(());
            }
            Fate::Lost => {
                context.expected();
                let other = first.place.path_of(&first.name);
                let detail = format!("has the content of /{}, which is lost", other.display());
                return Err(Error::missing(Subject::None).detail(detail));
            }
        };
        match linked {
            Ok(true) => {
                context.expected();
                context.link_restored(Outcome::Restored, || self.path());
                Ok(())
            }
            Ok(false) => {
                context.skipped(|| self.path(), Some(0));
                Ok(())
            }
            Err(error) => {
                self.write(context, places)?;
                Err(no_link(error))
            }
        }
    }

    fn pretend(&self, context: &Context<'_>, places: &Places) {
        let stays = lock(&self.first.0).fate != Fate::WouldBeNew;
        if stays && self.first.is_that_of(places, &self.place, &self.node.name) {
            return context.skipped(|| self.path(), Some(0));
        }
        context.expected();
        context.link_restored(Outcome::Restored, || self.path());
    }

    /// Writes the content under this name too: chunk by chunk, for it is seldom needed.
    fn write(&self, context: &Context<'_>, places: &Places) -> Result<()> {
        let Content::File(file) = &self.node.content else {
            return Ok(());
        };
        context.file_expected(file.size);
        match self.write_file(context, places, file) {
            Ok(applied) => {
                note(context, || self.path(), applied);
                context.file_restored(Outcome::Restored, || self.path(), file.size, file.size);
                Ok(())
            }
            Err(error) => {
                context.others.add(|| self.path());
                if matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Missing) {
                    self.first.becomes(Fate::Lost);
                }
                Err(error)
            }
        }
    }

    fn write_file(
        &self,
        context: &Context<'_>,
        places: &Places,
        file: &FileContent,
    ) -> Result<Applied> {
        context.room.refuse(file.size)?;
        let dir = places.open(&self.place)?;
        let part = self.place.part_for(&self.node.name);
        let handle = dir.create_file(&part)?;
        let wanted = Wanted::of(&self.node, context.options, false);
        let written = write_content(context, file, &handle).and_then(|()| {
            let applied = apply_to(&handle, Kind::File, &wanted.attributes());
            dir.rename_over(&part, &self.node.name).map(|()| applied)
        });
        // What matters is the first error.
        written.inspect_err(|_| drop(dir.remove_entry(&part)))
    }
}

fn write_content(context: &Context<'_>, file: &FileContent, handle: &File) -> Result<()> {
    set_len(handle, file.size)?;
    let zeros = match context.options.sparse {
        true => Zeros::Leave,
        false => Zeros::Write,
    };
    let mut data_offset = 0;
    let flow = for_each_chunk(context.repo, &file.chunks, &mut |chunk| {
        let ChunkRef::Data(id) = chunk else {
            return Ok(ControlFlow::Continue(()));
        };
        context.go_on()?;
        let data = context.repo.read_blob(BlobType::Data, &id)?;
        for (offset, range) in spread(file.extents.as_deref(), data_offset, data.len()) {
            write(handle, offset, &data[range], zeros)?;
        }
        data_offset += data.len() as u64;
        Ok(ControlFlow::Continue(()))
    })?;
    debug_assert!(flow.is_continue());
    Ok(())
}

/// The problem that a name is not the file that it was, but one of its own.
pub fn no_link(error: Error) -> Error {
    Error::new(error.kind(), Subject::None)
        .detail("restored, but not as the same file as its other names")
        .because(error)
}

/// About what a node takes besides itself.
pub fn heap_bytes(node: &Node) -> usize {
    let xattrs = node
        .xattrs
        .iter()
        .map(|(name, value)| name.len() + value.len());
    let content = match &node.content {
        Content::File(file) => {
            let (Chunks::Direct(ids) | Chunks::Lists { lists: ids, .. }) = &file.chunks;
            size_of_val(ids.as_slice()) + file.extents.as_deref().map_or(0, size_of_val)
        }
        _ => 0,
    };
    node.name.len() + xattrs.sum::<usize>() + content
}
