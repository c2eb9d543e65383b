//! Writes one window: each block is read once, its pieces go where they belong.

use super::attributes::{Wanted, note};
use super::links::{Fate, FirstName, Links};
use super::place::{Place, Places};
use super::{Counts, RestoreOptions};
use crate::crypto::{BlobHasher, BlobType};
use crate::error::{Error, Result, Subject};
use crate::format::tree::{FileContent, Node};
use crate::fs::{Existing, Kind, TargetDir, apply_to, set_len, write_at};
use crate::id::{BlobId, PackId};
use crate::index::Location;
use crate::progress::{Counter, Interrupt, Problems, Progress};
use crate::repo::{Repo, lock};
use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Pieces of one window: 72 bytes each, so 36 MiB of plan for 32 GiB of chunks of 64 KiB.
const PIECES_MAX: usize = 1 << 19;

/// Files of one window, some 300 bytes each.
const FILES_MAX: usize = 1 << 16;

/// What every thread of a restore needs.
pub struct Context<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// Names data blobs.
    pub hasher: BlobHasher,
    /// How.
    pub options: &'a RestoreOptions,
    /// Told of everything.
    pub problems: &'a Problems<'a>,
    /// Asked before every block.
    pub interrupt: &'a Interrupt,
    /// Counts.
    pub counts: &'a Counts,
}

/// One chunk of one file, and where it goes.
struct Piece {
    block: u32,
    file: u32,
    /// Offset in the file's data, holes left out.
    data_offset: u64,
    id: BlobId,
    blob_offset: u32,
    blob_len: u32,
}

/// A regular file to be written.
pub struct FilePlan {
    place: Arc<Place>,
    name: Vec<u8>,
    wanted: Wanted,
    size: u64,
    extents: Option<Vec<(u64, u64)>>,
    pieces: usize,
    left: AtomicUsize,
    failed: AtomicBool,
    created: Mutex<bool>,
    /// If it has further names: what becomes of it counts for them.
    first: Option<Arc<FirstName>>,
}

impl FilePlan {
    /// A file of `pieces` chunks.
    pub fn new(
        place: Arc<Place>,
        node: &Node,
        file: &FileContent,
        wanted: Wanted,
        pieces: usize,
        first: Option<Arc<FirstName>>,
    ) -> Self {
        Self {
            place,
            name: node.name.clone(),
            wanted,
            size: file.size,
            extents: file.extents.clone(),
            pieces,
            left: AtomicUsize::new(pieces),
            failed: AtomicBool::new(false),
            created: Mutex::new(false),
            first,
        }
    }

    /// Notes what has become of it, for its further names.
    fn becomes(&self, fate: Fate) {
        if let Some(first) = &self.first {
            first.becomes(fate);
        }
    }

    fn path(&self) -> PathBuf {
        self.place.path_of(&self.name)
    }

    fn spread(&self, data_offset: u64, len: usize) -> Vec<(u64, std::ops::Range<usize>)> {
        spread(self.extents.as_deref(), data_offset, len)
    }
}

/// Where in a file a run of its data goes: `(file offset, range of the run)`, split at holes.
pub fn spread(
    extents: Option<&[(u64, u64)]>,
    data_offset: u64,
    len: usize,
) -> Vec<(u64, std::ops::Range<usize>)> {
    let Some(extents) = extents else {
        return vec![(data_offset, 0..len)];
    };
    let mut runs = Vec::new();
    let (mut before, end) = (0, data_offset + len as u64);
    for (offset, extent_len) in extents {
        let (from, to) = (data_offset.max(before), end.min(before + extent_len));
        if from < to {
            let range = (from - data_offset) as usize..(to - data_offset) as usize;
            runs.push((offset + (from - before), range));
        }
        before += extent_len;
    }
    runs
}

/// What is planned and not yet written.
#[derive(Default)]
pub struct Window {
    /// Regular files.
    pub files: Vec<FilePlan>,
    /// Their chunks.
    pub pieces: Vec<PieceSlot>,
    blocks: Vec<Location>,
    block_numbers: HashMap<(PackId, u32), u32>,
    /// Further names of files.
    pub links: Links,
    /// Directories that are complete with this window, deepest first.
    pub dirs: Vec<(Arc<Place>, Wanted)>,
}

/// A piece; opaque outside of this module.
pub struct PieceSlot(Piece);

impl Window {
    /// Whether it is time to write.
    pub fn is_full(&self) -> bool {
        self.pieces.len() >= PIECES_MAX
            || self.files.len() >= FILES_MAX
            || self.dirs.len() >= FILES_MAX
            || self.links.is_full()
    }

    /// Plans one chunk.
    pub fn add_piece(
        &mut self,
        file: u32,
        id: BlobId,
        data_offset: u64,
        pack: PackId,
        location: Location,
    ) {
        let next = self.blocks.len() as u32;
        let block = *self
            .block_numbers
            .entry((pack, location.block.offset))
            .or_insert(next);
        let (blob_offset, blob_len) = (location.blob_offset, location.blob_len);
        if block == next {
            self.blocks.push(location);
        }
        self.pieces.push(PieceSlot(Piece {
            block,
            file,
            data_offset,
            id,
            blob_offset,
            blob_len,
        }));
    }

    /// Writes files, then further names, then attributes of directories.
    pub fn execute(mut self, context: &Context<'_>, places: &Places) -> Result<()> {
        // By block in order of first use, which is walk order; within a block by file and offset.
        self.pieces
            .sort_by_key(|PieceSlot(piece)| (piece.block, piece.file, piece.data_offset));
        let next = AtomicUsize::new(0);
        let window = &self;
        let empty: Vec<&FilePlan> = window
            .files
            .iter()
            .filter(|file| file.pieces == 0)
            .collect();
        for file in empty {
            window.whole_file(context, places, file, &[]);
        }
        let starts = window.block_starts();
        let threads = context.repo.pool().threads();
        let results: Vec<Result<()>> = std::thread::scope(|scope| {
            let work = || window.work(context, places, &starts, &next);
            let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let own = work();
            let joined = workers.into_iter().map(|worker| {
                worker.join().unwrap_or_else(|_| {
                    let kind = crate::ErrorKind::Unavailable;
                    Err(Error::new(kind, Subject::None).detail("a worker thread panicked"))
                })
            });
            std::iter::once(own).chain(joined).collect()
        });
        results.into_iter().collect::<Result<()>>()?;
        self.finish(context, places)
    }

    /// Where each block's pieces begin in `pieces`, and the end of all.
    fn block_starts(&self) -> Vec<usize> {
        let mut starts: Vec<usize> = vec![0; self.blocks.len() + 1];
        for PieceSlot(piece) in &self.pieces {
            starts[piece.block as usize + 1] += 1;
        }
        for block in 0..self.blocks.len() {
            starts[block + 1] += starts[block];
        }
        starts
    }

    fn work(
        &self,
        context: &Context<'_>,
        places: &Places,
        starts: &[usize],
        next: &AtomicUsize,
    ) -> Result<()> {
        let mut plain = Vec::new();
        loop {
            let block = next.fetch_add(1, Ordering::Relaxed);
            if block >= self.blocks.len() {
                return Ok(());
            }
            context.interrupt.check()?;
            let pieces = &self.pieces[starts[block]..starts[block + 1]];
            let read = context.repo.read_block(&self.blocks[block], &mut plain);
            for run in pieces.chunk_by(|PieceSlot(a), PieceSlot(b)| a.is_followed_by(b)) {
                self.write_run(context, places, read.as_ref().map(|()| &plain), run);
            }
        }
    }

    /// Writes pieces that follow each other in one file and lie in one block.
    fn write_run(
        &self,
        context: &Context<'_>,
        places: &Places,
        block: Result<&Vec<u8>, &Error>,
        run: &[PieceSlot],
    ) {
        let file = &self.files[run[0].0.file as usize];
        let data = self.data_of(context, block, run);
        if data.is_err() {
            file.becomes(Fate::Lost);
        }
        let result = data.and_then(|data| {
            if run.len() == file.pieces {
                self.whole_file(context, places, file, &data);
                return Ok(());
            }
            let written = self.part_of_file(places, file, run[0].0.data_offset, &data);
            let count = |()| context.problems.count(Counter::Bytes, data.len() as u64);
            written
                .map(count)
                .inspect_err(|_| file.becomes(Fate::NotWritten))
        });
        if let Err(error) = &result
            && !file.failed.swap(true, Ordering::Relaxed)
        {
            context.problems.problem(&file.path(), error);
        }
        if run.len() < file.pieces || result.is_err() {
            self.count_down(context, places, file, run.len());
        }
    }

    /// The bytes of a run of pieces, each proved by its id. What its block cannot give is read from another copy.
    fn data_of<'b>(
        &self,
        context: &Context<'_>,
        block: Result<&'b Vec<u8>, &Error>,
        run: &[PieceSlot],
    ) -> Result<std::borrow::Cow<'b, [u8]>> {
        let neighbours = run.windows(2).all(|pair| {
            let (a, b) = (&pair[0].0, &pair[1].0);
            a.blob_offset + a.blob_len == b.blob_offset
        });
        let mut data = Vec::new();
        if let Ok(block) = block {
            let ids_fit = run.iter().all(|PieceSlot(piece)| {
                let plain = block.get(piece.range());
                plain.is_some_and(|plain| context.hasher.id(plain) == piece.id)
            });
            if ids_fit && neighbours {
                let from = run[0].0.range().start;
                let to = run[run.len() - 1].0.range().end;
                return Ok(std::borrow::Cow::Borrowed(&block[from..to]));
            }
            if ids_fit {
                run.iter()
                    .for_each(|PieceSlot(piece)| data.extend_from_slice(&block[piece.range()]));
                return Ok(data.into());
            }
        }
        for PieceSlot(piece) in run {
            data.extend_from_slice(&context.repo.read_blob(BlobType::Data, &piece.id)?);
        }
        Ok(data.into())
    }

    /// Writes a file whose data is all at hand.
    fn whole_file(&self, context: &Context<'_>, places: &Places, file: &FilePlan, data: &[u8]) {
        let write = |dir: &TargetDir| match &file.extents {
            None => dir.put_file(
                &file.name,
                data,
                &file.wanted.attributes(),
                Existing::Replace,
            ),
            Some(_) => {
                let handle = dir.create_file(&file.name, Existing::Replace)?;
                set_len(&handle, file.size)?;
                for (offset, range) in file.spread(0, data.len()) {
                    write_at(&handle, offset, &data[range])?;
                }
                Ok(apply_to(&handle, Kind::File, &file.wanted.attributes()))
            }
        };
        match places.open(&file.place).and_then(|dir| write(&dir)) {
            Ok(applied) => {
                note(context, || file.path(), applied);
                count_file(context, file.size, file.size);
                file.becomes(Fate::Written);
            }
            Err(error) => {
                file.becomes(Fate::NotWritten);
                context.problems.problem(&file.path(), &error);
            }
        }
    }

    /// Writes a part of a file that is spread over several blocks.
    fn part_of_file(
        &self,
        places: &Places,
        file: &FilePlan,
        data_offset: u64,
        data: &[u8],
    ) -> Result<()> {
        let dir = places.open(&file.place)?;
        let handle = open_part(&dir, file)?;
        for (offset, range) in file.spread(data_offset, data.len()) {
            write_at(&handle, offset, &data[range])?;
        }
        Ok(())
    }

    /// After the last part: attributes, or no file at all if a part could not be had.
    fn count_down(&self, context: &Context<'_>, places: &Places, file: &FilePlan, pieces: usize) {
        if file.left.fetch_sub(pieces, Ordering::AcqRel) != pieces {
            return;
        }
        let finish = || -> Result<()> {
            let dir = places.open(&file.place)?;
            if file.failed.load(Ordering::Relaxed) {
                return if *lock(&file.created) {
                    dir.remove(&file.name)
                } else {
                    Ok(())
                };
            }
            let (handle, _) = dir.open_existing_file(&file.name)?;
            note(
                context,
                || file.path(),
                apply_to(&handle, Kind::File, &file.wanted.attributes()),
            );
            // Of the data each part was counted.
            let lens = file.extents.as_deref().unwrap_or_default().iter();
            let data = lens.map(|(_, len)| len).sum();
            let holes = file
                .extents
                .as_ref()
                .map_or(0, |_| file.size.saturating_sub(data));
            count_file(context, file.size, holes);
            file.becomes(Fate::Written);
            Ok(())
        };
        if let Err(error) = finish() {
            file.becomes(Fate::NotWritten);
            context.problems.problem(&file.path(), &error);
        }
    }

    fn finish(self, context: &Context<'_>, places: &Places) -> Result<()> {
        self.links.make(context, places)?;
        for (place, wanted) in self.dirs {
            match places.open(&place) {
                Ok(dir) => {
                    note(context, || place.path(), dir.apply(&wanted.attributes()));
                    context.counts.nodes.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => context.problems.problem(&place.path(), &error),
            }
        }
        Ok(())
    }
}

impl Piece {
    /// Whether another one is the next of the same file. In a block it may not be: what lies between may have been stored
    /// before, for another file.
    fn is_followed_by(&self, next: &Self) -> bool {
        self.file == next.file && self.data_offset + u64::from(self.blob_len) == next.data_offset
    }

    fn range(&self) -> std::ops::Range<usize> {
        let from = self.blob_offset as usize;
        from..from + self.blob_len as usize
    }
}

fn open_part(dir: &TargetDir, file: &FilePlan) -> Result<File> {
    let mut created = lock(&file.created);
    if *created {
        return Ok(dir.open_existing_file(&file.name)?.0);
    }
    let handle = dir.create_file(&file.name, Existing::Replace)?;
    *created = true;
    set_len(&handle, file.size)?;
    Ok(handle)
}

/// Counts a regular file of that size, which is in its place; `left` bytes of it are not counted as progress yet.
pub fn count_file(context: &Context<'_>, size: u64, left: u64) {
    context.counts.nodes.fetch_add(1, Ordering::Relaxed);
    context.counts.files.fetch_add(1, Ordering::Relaxed);
    context.counts.bytes.fetch_add(size, Ordering::Relaxed);
    context.problems.count(Counter::Nodes, 1);
    context.problems.count(Counter::Bytes, left);
}
