//! A file that is there already: which of its chunks it has, and whether the others may be written into it.
//!
//! Into a file with other names nothing is ever written, nor are its attributes changed: they may lie anywhere. Nor into
//! one of another owner, or one that is open to more users than the snapshot says, who would see what is written. Such a
//! file is replaced by a new one, unless it has everything already. The new one lies beside it until it is whole.

use super::attributes::note;
use super::context::Context;
use super::file::{FilePlan, There, identity};
use super::layout::{Zeros, has_zero_block, minus, spread, write};
use super::place::Places;
use super::window::Piece;
use crate::crypto::BlobHasher;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{
    BEGUN_MODE, Metadata, TargetDir, extents, punch_hole, punch_to_end, read_at, reserve, set_len,
    set_mode, write_at, xattrs_of,
};
use crate::id::BlobId;
use crate::progress::{Counter, Progress};
use crate::repo::lock;
use std::fs::File;

/// What is to be done with a file.
pub enum Verdict {
    /// Nothing: it is as it shall be.
    Unchanged,
    /// These of its chunks are there, and the others may be written into it.
    Into(Vec<bool>),
    /// It is replaced.
    Replace,
}

/// Looks at the file that is there. `pieces` are its chunks of this window, in order; which of them it has, if that is known
/// already. In a dry run nothing is changed.
///
/// Reads what is there once. `Interrupted` when asked to stop; whatever else goes wrong makes it be replaced.
pub fn examine(
    context: &Context<'_>,
    places: &Places,
    file: &FilePlan,
    pieces: &[Piece],
    present: Option<Vec<bool>>,
) -> Result<Verdict> {
    let verdict = file.dir(places).and_then(|dir| {
        Examined {
            context,
            file,
            dir: &dir,
        }
        .verdict(pieces, present)
    });
    match verdict {
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
        Err(_) => Ok(Verdict::Replace),
        verdict => verdict,
    }
}

/// Which of these chunks the file has that is there: of a large one, of which threads compare a part each. None if it cannot
/// be read. `Interrupted` when asked to stop.
pub fn present(
    context: &Context<'_>,
    places: &Places,
    file: &FilePlan,
    pieces: &[Piece],
) -> Result<Vec<bool>> {
    let present = file.dir(places).and_then(|dir| {
        let (handle, found) = dir.open_file_to_read(file.name_there())?;
        let dir = &dir;
        Examined { context, file, dir }.present(&handle, &found, pieces)
    });
    match present {
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
        Err(_) => Ok(vec![false; pieces.len()]),
        present => present,
    }
}

struct Examined<'a> {
    context: &'a Context<'a>,
    file: &'a FilePlan,
    dir: &'a TargetDir,
}

impl Examined<'_> {
    fn verdict(&self, pieces: &[Piece], known: Option<Vec<bool>>) -> Result<Verdict> {
        let (context, file) = (self.context, self.file);
        let opened = self.dir.open_file_to_read(file.name_there());
        if file.there == There::Trusted {
            return self.trusted(opened);
        }
        let (handle, found) = opened?;
        let present = match known {
            Some(present) => present,
            None => self.present(&handle, &found, pieces)?,
        };
        let repairs = self.repairs(&handle, &found, pieces, &present)?;
        let same = file.is_whole() && found.size == file.size && present.iter().all(|it| *it);
        if same && found.links > 1 {
            let shared = repairs.is_empty() && self.may_stay_shared(&handle, &found);
            return Ok(if shared {
                Verdict::Unchanged
            } else {
                Verdict::Replace
            });
        }
        if same && !file.is_part() && repairs.is_empty() {
            self.settle(&handle, &found);
            return Ok(Verdict::Unchanged);
        }
        if !file.wanted.may_go_into(&handle, &found) {
            return Ok(Verdict::Replace);
        }
        match context.options.dry_run {
            true => file.go_into(&found, !repairs.is_empty()),
            false => self.enter(&found, &repairs)?,
        }
        Ok(Verdict::Into(present))
    }

    /// A file whose size and time are right: its attributes alone may not be.
    fn trusted(&self, opened: Result<(File, Metadata)>) -> Result<Verdict> {
        match opened {
            Ok((handle, found)) => self.settle(&handle, &found),
            Err(error) if error.kind() == ErrorKind::Denied && !self.context.options.dry_run => {
                self.settle_unopened()?;
            }
            Err(error) => return Err(error),
        }
        Ok(Verdict::Unchanged)
    }

    fn settle(&self, handle: &File, found: &Metadata) {
        if !self.context.options.dry_run {
            let applied = self.file.wanted.settle(self.context.options, handle, found);
            note(self.context, || self.file.path(), applied);
        }
    }

    fn settle_unopened(&self) -> Result<()> {
        let name = self.file.name_there();
        if let Some(found) = self.dir.stat(name)? {
            let options = self.context.options;
            let applied = self
                .file
                .wanted
                .settle_entry(options, self.dir, name, &found)?;
            note(self.context, || self.file.path(), applied);
        }
        Ok(())
    }

    /// Whether a file with several names may stay one: the snapshot's has several, all its attributes are right, and no other
    /// file of the snapshot has it already.
    fn may_stay_shared(&self, handle: &File, found: &Metadata) -> bool {
        let (wanted, xattrs) = (&self.file.wanted, xattrs_of(handle).unwrap_or_default());
        let lacks = wanted.are_those_of(self.context.options, &xattrs, found);
        let Some(lacks) = lacks.filter(|_| self.file.has_links) else {
            return false;
        };
        let stays = lock(&self.context.claimed).insert(identity(found));
        if stays {
            note(self.context, || self.file.path(), lacks);
        }
        stays
    }

    /// Which chunks the file has where they shall be.
    fn present(&self, handle: &File, found: &Metadata, pieces: &[Piece]) -> Result<Vec<bool>> {
        let (mut buffer, mut present) = (Vec::new(), Vec::with_capacity(pieces.len()));
        let extents = self.file.extents.as_deref();
        for piece in pieces {
            self.context.go_on()?;
            let chunk = (piece.data_offset, piece.blob_len, piece.id);
            let there = piece.data_offset < found.size
                && holds(&self.context.hasher, extents, handle, chunk, &mut buffer)?;
            let len = u64::from(piece.blob_len);
            self.context.problems.count(Counter::BytesCompared, len);
            present.push(there);
        }
        Ok(present)
    }

    /// What has to be changed besides chunks that are not there: data where a hole shall be, and a hole where a chunk of
    /// zeros shall be data.
    fn repairs(
        &self,
        handle: &File,
        found: &Metadata,
        pieces: &[Piece],
        present: &[bool],
    ) -> Result<Repairs> {
        let (file, sparse) = (self.file, self.context.options.sparse);
        let mut repairs = Repairs::default();
        if file.extents.is_none() && !found.is_sparse() && !sparse {
            return Ok(repairs);
        }
        let size = found.size.min(file.size);
        let data = data_runs(handle, size)?;
        if let (Some(recorded), false) = (&file.extents, file.begun) {
            repairs.punch = minus(&data, recorded);
        }
        let mut buffer = Vec::new();
        for (piece, _) in pieces.iter().zip(present).filter(|(_, present)| **present) {
            let ranges = file.spread(piece.data_offset, piece.blob_len as usize);
            let ranges: Vec<(u64, u64)> = ranges
                .iter()
                .map(|(offset, range)| (*offset, range.len() as u64))
                .collect();
            match sparse {
                false => repairs.fill.extend(minus(&ranges, &data)),
                true => {
                    for (offset, len) in minus(&ranges, &minus(&ranges, &data)) {
                        buffer.resize(len as usize, 0);
                        let read = read_at(handle, offset, buffer.len(), &mut buffer)?;
                        if has_zero_block(offset, &buffer[..read]) {
                            repairs.thin.push((offset, len));
                        }
                    }
                }
            }
        }
        Ok(repairs)
    }

    /// Opens the file for writing and makes it as long as it shall be, with its holes.
    fn enter(&self, found: &Metadata, repairs: &Repairs) -> Result<()> {
        let (handle, now) = self.dir.open_existing_file(self.file.name_there())?;
        if identity(&now) != identity(found) || now.links > 1 {
            return Err(Error::new(ErrorKind::Unavailable, crate::Subject::None));
        }
        // A file without recorded holes that has to grow: nothing of it is touched if there is no room.
        let dense = self.file.extents.is_none() && !self.context.options.sparse;
        if dense && found.size < self.file.size {
            reserve(&handle, found.size, self.file.size - found.size)?;
        }
        // Until it is whole; where that cannot be said, it goes without.
        let _ = set_mode(&handle, BEGUN_MODE);
        if found.size != self.file.size {
            set_len(&handle, self.file.size)?;
        }
        repairs.make(&handle, self.file.size)?;
        match self.file.begun {
            false => self.file.go_into(found, !repairs.is_empty()),
            true if !repairs.is_empty() => self.file.is_changed(),
            true => {}
        }
        Ok(())
    }
}

/// Whether a file has a chunk, the one of its data from `data_offset` on, where it shall be.
pub fn holds(
    hasher: &BlobHasher,
    extents: Option<&[(u64, u64)]>,
    handle: &File,
    (data_offset, len, id): (u64, u32, BlobId),
    buffer: &mut Vec<u8>,
) -> Result<bool> {
    buffer.resize(len as usize, 0);
    for (offset, range) in spread(extents, data_offset, buffer.len()) {
        let len = range.len();
        if read_at(handle, offset, len, &mut buffer[range])? < len {
            return Ok(false);
        }
    }
    Ok(hasher.id(buffer) == id)
}

/// The runs `(offset, len)` of a file that are not holes.
pub fn data_runs(handle: &File, size: u64) -> Result<Vec<(u64, u64)>> {
    let data = extents(handle, size)?.into_iter();
    Ok(data.map(|extent| (extent.offset, extent.len)).collect())
}

/// Runs `(offset, len)` of a file whose content is right, and whose holes are not.
#[derive(Default)]
struct Repairs {
    punch: Vec<(u64, u64)>,
    fill: Vec<(u64, u64)>,
    /// Data with blocks of zeros that shall be holes.
    thin: Vec<(u64, u64)>,
}

impl Repairs {
    fn is_empty(&self) -> bool {
        self.punch.is_empty() && self.fill.is_empty() && self.thin.is_empty()
    }

    fn make(&self, handle: &File, size: u64) -> Result<()> {
        for (offset, len) in &self.punch {
            match offset + len == size {
                true => punch_to_end(handle, *offset, size)?,
                false => punch_hole(handle, *offset, *len)?,
            }
        }
        let mut buffer = Vec::new();
        for (offset, len) in &self.fill {
            buffer.clear();
            buffer.resize(*len as usize, 0);
            write_at(handle, *offset, &buffer)?;
        }
        for (offset, len) in &self.thin {
            buffer.resize(*len as usize, 0);
            let read = read_at(handle, *offset, buffer.len(), &mut buffer)?;
            write(handle, *offset, &buffer[..read], Zeros::Punch)?;
        }
        Ok(())
    }
}
