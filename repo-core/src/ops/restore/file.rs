//! One regular file, from its plan to its place.

use super::attributes::{Wanted, note};
use super::context::Context;
use super::layout::{Zeros, has_zero_block, spread, write};
use super::links::{Fate, FirstName};
use super::place::{Place, Places};
use super::room::is_full;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{FileContent, Node};
use crate::fs::{Applied, Kind, Metadata, TargetDir, apply_to, metadata_of, set_len};
use crate::progress::{Counter, Outcome, Progress};
use crate::repo::lock;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What is there before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// A regular file, whose content has to be compared.
    File,
    /// A regular file of the recorded size and time, which is believed.
    Trusted,
    /// Something that has to go.
    Other,
}

/// Where the parts of a file go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nowhere yet.
    Nowhere,
    /// Into a file that we made.
    Created(Identity),
    /// Into the file that was there.
    Into(Identity),
}

/// Under which name a file lies that takes the place of another one, until it is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Under its own: nothing is there, or parts go into the file that is there.
    None,
    /// Under this one, where nothing is yet; it is not used if parts go into the file that is there.
    New(Vec<u8>),
    /// Under this one, where an interrupted run has begun it.
    Begun(Vec<u8>),
}

impl Part {
    /// The name.
    pub fn name(&self) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::New(name) | Self::Begun(name) => Some(name),
        }
    }
}

/// Device and inode: somebody may put another file in place of ours between two writes.
type Identity = (u64, u64);

/// The identity of an open file.
pub fn identity(found: &Metadata) -> Identity {
    (found.device, found.inode)
}

/// A regular file to be written. Some 300 bytes, and its name, extents and extended attributes.
pub struct FilePlan {
    place: Arc<Place>,
    name: Vec<u8>,
    /// Its attributes.
    pub wanted: Wanted,
    /// Its length.
    pub size: u64,
    /// Where its data lies, if it has holes.
    pub extents: Option<Vec<(u64, u64)>>,
    /// Whether it had several names.
    pub has_links: bool,
    /// What is there.
    pub there: There,
    part: Part,
    /// How many of its chunks this window has, as far as they have to be fetched.
    pub pieces: usize,
    /// Whether chunks follow in the next window.
    pub goes_on: bool,
    /// Whether chunks stood in earlier windows.
    pub begun: bool,
    /// Whether it is as it shall be, and counted.
    pub is_settled: bool,
    /// Of this window's chunks, those that are not written yet.
    left: AtomicUsize,
    failed: AtomicBool,
    /// There is no room for it, and what it took was given back.
    no_room: AtomicBool,
    standing: Mutex<Standing>,
    /// Whether the file that was there had another length, or other holes.
    changed: AtomicBool,
    written: AtomicU64,
    /// If it has further names: what becomes of it counts for them.
    first: Option<Arc<FirstName>>,
}

impl FilePlan {
    /// A file without its chunks.
    pub fn new(
        place: Arc<Place>,
        node: &Node,
        file: &FileContent,
        wanted: Wanted,
        (there, part): (There, Part),
        first: Option<Arc<FirstName>>,
    ) -> Self {
        Self {
            place,
            name: node.name.clone(),
            wanted,
            size: file.size,
            extents: file.extents.clone(),
            has_links: node.links > 1,
            there,
            part,
            pieces: 0,
            goes_on: false,
            begun: false,
            is_settled: false,
            left: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            no_room: AtomicBool::new(false),
            standing: Mutex::new(Standing::Nowhere),
            changed: AtomicBool::new(false),
            written: AtomicU64::new(0),
            first,
        }
    }

    /// What it takes beside itself.
    pub fn heap_bytes(&self) -> usize {
        let extents = self.extents.as_deref().map_or(0, size_of_val);
        self.name.len() + self.wanted.heap_bytes() + extents
    }

    /// The same file in the next window.
    pub fn carried_on(mut self) -> Self {
        (self.begun, self.goes_on, self.pieces) = (true, false, 0);
        self
    }

    /// Where it lies below the target.
    pub fn path(&self) -> PathBuf {
        self.place.path_of(&self.name)
    }

    /// The name of the file that is there, and that parts may go into: its own, or that of what an interrupted run has begun.
    pub fn name_there(&self) -> &[u8] {
        match &self.part {
            Part::Begun(name) => name,
            Part::None | Part::New(_) => &self.name,
        }
    }

    /// The name of a new file, until it is whole.
    fn name_new(&self) -> &[u8] {
        self.part.name().unwrap_or(&self.name)
    }

    /// Whether an interrupted run has begun it beside what has its name.
    pub fn is_part(&self) -> bool {
        matches!(self.part, Part::Begun(_))
    }

    /// Where it lies until it is whole, if that is not its own name.
    pub fn part(&self) -> Option<(&Arc<Place>, &[u8])> {
        self.part.name().map(|name| (&self.place, name))
    }

    /// Gives it its own name, now that it is whole.
    fn put_in_place(&self, dir: &TargetDir, name: &[u8]) -> Result<()> {
        match name == self.name {
            true => Ok(()),
            false => dir.rename_over(name, &self.name),
        }
    }

    /// Its directory.
    pub fn dir(&self, places: &Places) -> Result<Arc<TargetDir>> {
        places.open(&self.place)
    }

    /// Whether all of it stands in one window.
    pub fn is_whole(&self) -> bool {
        !self.goes_on && !self.begun
    }

    /// Whether parts go into the file that was there.
    pub fn goes_into(&self) -> bool {
        matches!(*lock(&self.standing), Standing::Into(_))
    }

    /// Whether it is decided where parts go.
    pub fn is_decided(&self) -> bool {
        *lock(&self.standing) != Standing::Nowhere
    }

    /// From now on parts go into the file that was there, of which the holes are `repaired`, or need not be.
    pub fn go_into(&self, found: &Metadata, repaired: bool) {
        *lock(&self.standing) = Standing::Into(identity(found));
        if repaired || found.size != self.size {
            self.is_changed();
        }
    }

    /// The file that was there is not as it was, whether or not parts of it are written.
    pub fn is_changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Where in the file a run of its data goes.
    pub fn spread(&self, data_offset: u64, len: usize) -> Vec<(u64, Range<usize>)> {
        spread(self.extents.as_deref(), data_offset, len)
    }

    /// Begins to count the chunks of this window down.
    pub fn begin(&mut self, pieces: usize) {
        self.pieces = pieces;
        *self.left.get_mut() = pieces;
    }

    /// Notes what has become of it, for its further names.
    pub fn becomes(&self, fate: Fate) {
        if let Some(first) = &self.first {
            first.becomes(fate);
        }
    }

    /// It cannot be restored whole: says so once.
    pub fn fails(&self, context: &Context<'_>, error: &Error) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            context.fails(&self.path(), error, self.bytes());
            context.others.add(|| self.path());
        }
    }

    /// How much room it takes.
    fn bytes(&self) -> u64 {
        match &self.extents {
            Some(extents) => extents.iter().map(|(_, len)| len).sum(),
            None => self.size,
        }
    }

    /// A part of it cannot be written: says so, and if that is for lack of room gives back at once what the others took.
    pub fn part_fails(&self, context: &Context<'_>, places: &Places, error: &Error) {
        self.fails(context, error);
        if is_full(error) {
            self.no_room.store(true, Ordering::Relaxed);
            // Whoever counts the last part down does it again, and says what goes wrong.
            let _ = self.dir(places).and_then(|dir| self.give_up(&dir));
        }
    }

    /// Whether there was no room for a part of it, so that no other one is to be written.
    pub fn lacks_room(&self) -> bool {
        self.no_room.load(Ordering::Relaxed)
    }

    /// Whether that was said.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// What it is called when it is done.
    pub fn outcome(&self) -> Outcome {
        match self.there {
            There::Nothing | There::Other => Outcome::Restored,
            There::File | There::Trusted => Outcome::Updated,
        }
    }

    /// Counts a file that is as it shall be, and was so before.
    pub fn is_unchanged(&self, context: &Context<'_>) {
        context.skipped(|| self.path(), Some(self.size));
        self.becomes(Fate::Written);
    }

    /// Writes a file whose data is all at hand. Says whether that is done: not if there was no room, which there may be once
    /// a larger file is given up; `last` says that there will not be more.
    pub fn write_whole(
        &self,
        context: &Context<'_>,
        places: &Places,
        data: &[u8],
        last: bool,
    ) -> bool {
        let room = context.room.refuse(self.bytes());
        let written = room
            .and_then(|()| self.dir(places))
            .and_then(|dir| self.put(context, &dir, data));
        if !last && written.as_ref().is_err_and(is_full) {
            return false;
        }
        context.file_expected(self.size);
        match written {
            Ok(applied) => {
                note(context, || self.path(), applied);
                context.file_restored(self.outcome(), || self.path(), self.size, self.size);
                self.becomes(Fate::Written);
            }
            Err(error) => {
                self.becomes(Fate::NotWritten);
                self.fails(context, &error);
            }
        }
        true
    }

    fn put(&self, context: &Context<'_>, dir: &TargetDir, data: &[u8]) -> Result<Applied> {
        let sparse = context.options.sparse && has_zero_block(0, data);
        let (name, attributes) = (self.name_new(), self.wanted.attributes());
        if self.is_part() {
            dir.remove_part(name)?;
        }
        // What matters is the first error.
        let remove = || drop(dir.remove_entry(name));
        let applied = match self.extents.is_none() && !sparse {
            true => dir.put_file(name, data, &attributes)?,
            false => {
                let handle = dir.create_file(name)?;
                let filled = self.fill(context, &handle, data);
                filled.inspect_err(|_| remove())?;
                apply_to(&handle, Kind::File, &attributes)
            }
        };
        let placed = self.put_in_place(dir, name);
        placed.inspect_err(|_| remove()).map(|()| applied)
    }

    fn fill(&self, context: &Context<'_>, handle: &File, data: &[u8]) -> Result<()> {
        set_len(handle, self.size)?;
        for (offset, range) in self.spread(0, data.len()) {
            write(handle, offset, &data[range], zeros(context, false))?;
        }
        Ok(())
    }

    /// Writes a part of a file, whose other parts come from elsewhere, or are there.
    pub fn write_part(
        &self,
        context: &Context<'_>,
        places: &Places,
        data_offset: u64,
        data: &[u8],
    ) -> Result<()> {
        let dir = self.dir(places)?;
        let (handle, into) = self.open_part(context, &dir)?;
        for (offset, range) in self.spread(data_offset, data.len()) {
            write(&handle, offset, &data[range], zeros(context, into))?;
        }
        let len = data.len() as u64;
        self.written.fetch_add(len, Ordering::Relaxed);
        context.problems.count(Counter::Bytes, len);
        Ok(())
    }

    /// The file that parts go to, and whether it was there before.
    fn open_part(&self, context: &Context<'_>, dir: &TargetDir) -> Result<(File, bool)> {
        let mut standing = lock(&self.standing);
        let (expected, into) = match *standing {
            Standing::Created(identity) => (identity, false),
            Standing::Into(identity) => (identity, true),
            Standing::Nowhere => {
                context.room.refuse(self.bytes())?;
                if self.is_part() {
                    dir.remove_part(self.name_new())?;
                }
                let handle = dir.create_file(self.name_new())?;
                *standing = Standing::Created(identity(&metadata_of(&handle)?));
                set_len(&handle, self.size)?;
                return Ok((handle, false));
            }
        };
        let (handle, found) = dir.open_existing_file(self.name_of(into))?;
        match identity(&found) == expected {
            true => Ok((handle, into)),
            false => Err(was_replaced()),
        }
    }

    /// The name of the file that parts go to.
    fn name_of(&self, into: bool) -> &[u8] {
        match into {
            true => self.name_there(),
            false => self.name_new(),
        }
    }

    /// Notes that some of this window's chunks are done; after the last one of all the file is finished.
    pub fn count_down(&self, context: &Context<'_>, places: &Places, pieces: usize) {
        let last = self.left.fetch_sub(pieces, Ordering::AcqRel) == pieces;
        if last && !self.goes_on {
            self.finish(context, places);
        }
    }

    /// After the last part: attributes, or no file at all if a part could not be had. A file that was there stays.
    pub fn finish(&self, context: &Context<'_>, places: &Places) {
        let failed = self.has_failed();
        let finished = self.dir(places).and_then(|dir| match failed {
            true => self.give_up(&dir),
            false => self.settle(context, &dir).map(|()| true),
        });
        match finished {
            Ok(true) if self.is_as_before() => self.is_unchanged(context),
            Ok(true) => {
                context.file_expected(self.size);
                let left = self
                    .size
                    .saturating_sub(self.written.load(Ordering::Relaxed));
                context.file_restored(self.outcome(), || self.path(), self.size, left);
                self.becomes(Fate::Written);
            }
            Ok(false) => context.file_expected(self.size),
            Err(error) => {
                context.file_expected(self.size);
                self.becomes(Fate::NotWritten);
                self.fails(context, &error);
            }
        }
    }

    /// Counts what a dry run does not write.
    pub fn would_write(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether it is the file that was there, and nothing was written into it.
    pub fn is_as_before(&self) -> bool {
        self.goes_into()
            && !self.is_part()
            && self.written.load(Ordering::Relaxed) == 0
            && !self.changed.load(Ordering::Relaxed)
    }

    fn give_up(&self, dir: &TargetDir) -> Result<bool> {
        match *lock(&self.standing) {
            Standing::Created(_) => dir.remove_entry(self.name_new()).map(|()| false),
            Standing::Into(_) if self.is_part() => {
                dir.remove_entry(self.name_there()).map(|()| false)
            }
            Standing::Into(expected) => {
                // It keeps the permissions of one that was begun: the next run finishes it, whatever is kept else.
                let (_, found) = dir.open_existing_file(&self.name)?;
                match identity(&found) == expected {
                    true => Ok(false),
                    false => Err(was_replaced()),
                }
            }
            Standing::Nowhere => Ok(false),
        }
    }

    fn settle(&self, context: &Context<'_>, dir: &TargetDir) -> Result<()> {
        let (handle, into) = self.open_part(context, dir)?;
        let applied = match into {
            false => apply_to(&handle, Kind::File, &self.wanted.attributes()),
            true => {
                let found = metadata_of(&handle)?;
                self.wanted.settle(context.options, &handle, &found)
            }
        };
        note(context, || self.path(), applied);
        self.put_in_place(dir, self.name_of(into))
    }
}

fn zeros(context: &Context<'_>, into: bool) -> Zeros {
    match (context.options.sparse, into) {
        (false, _) => Zeros::Write,
        (true, false) => Zeros::Leave,
        (true, true) => Zeros::Punch,
    }
}

fn was_replaced() -> Error {
    Error::new(ErrorKind::Unavailable, Subject::None).detail("replaced by somebody else meanwhile")
}
