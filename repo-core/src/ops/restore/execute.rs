//! Writes one window: what is there is compared, each block that is needed is read once, its pieces go where they belong.

use super::attributes::note;
use super::context::Context;
use super::existing::{Verdict, examine, present};
use super::file::{FilePlan, There};
use super::links::Fate;
use super::place::{Place, Places};
use super::window::{Piece, Window};
use crate::crypto::BlobType;
use crate::error::{Error, Result, Subject};
use crate::index::Location;
use crate::progress::Outcome;
use crate::repo::{lock, on_threads};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Chunks of one file that one thread compares before it looks for other work: 16 MiB or so.
const PART_PIECES: usize = 256;

impl Window {
    /// Writes files, then further names, then attributes of directories. Gives the last file back if more of it follows in
    /// the next window.
    pub fn execute(mut self, context: &Context<'_>, places: &Places) -> Result<Option<FilePlan>> {
        self.compare(context, places)?;
        match context.options.dry_run {
            true => self.pretend(context),
            false => self.write_files(context, places)?,
        }
        let carried = self.files.pop_if(|file| file.goes_on);
        self.links.make(context, places)?;
        for (place, wanted) in &self.dirs {
            leave(context, places, place, wanted);
        }
        Ok(carried.map(FilePlan::carried_on))
    }

    /// Compares files that are there, on all threads, and forgets pieces that need not be fetched.
    fn compare(&mut self, context: &Context<'_>, places: &Places) -> Result<()> {
        let decided = |file: &FilePlan| match file.begun {
            true => !file.goes_into(),
            false => false,
        };
        let there = |file: &FilePlan| matches!(file.there, There::File | There::Trusted);
        let files = (0..).zip(&self.files);
        let numbers: Vec<u32> = files
            .filter(|(_, file)| there(file) && !decided(file))
            .map(|(number, _)| number)
            .collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let window = &*self;
        let known = Mutex::new(window.compare_large(context, places, &numbers)?);
        let verdicts = on_all_threads(context, numbers.len(), &|at| {
            context.go_on()?;
            let number = numbers[at];
            let pieces = &window.pieces[window.pieces_of(number)];
            let file = &window.files[number as usize];
            let present = lock(&known).remove(&number);
            let verdict = examine(context, places, file, pieces, present)?;
            Ok((number, verdict))
        })?;
        self.apply(context, verdicts);
        Ok(())
    }

    /// Compares the large ones of these files, with a part of one for each thread; which chunks each has.
    ///
    /// Memory: a byte for each chunk, and a chunk a thread.
    fn compare_large(
        &self,
        context: &Context<'_>,
        places: &Places,
        numbers: &[u32],
    ) -> Result<HashMap<u32, Vec<bool>>> {
        let mut parts: Vec<(u32, Range<usize>)> = Vec::new();
        for number in numbers {
            let range = self.pieces_of(*number);
            if range.len() > PART_PIECES {
                let starts = range.clone().step_by(PART_PIECES);
                let end = |start: usize| range.end.min(start + PART_PIECES);
                parts.extend(starts.map(|start| (*number, start..end(start))));
            }
        }
        let mut compared = on_all_threads(context, parts.len(), &|at| {
            let (number, range) = &parts[at];
            let file = &self.files[*number as usize];
            let present = present(context, places, file, &self.pieces[range.clone()])?;
            Ok((*number, range.start, present))
        })?;
        compared.sort_by_key(|(_, start, _)| *start);
        let mut known: HashMap<u32, Vec<bool>> = HashMap::new();
        for (number, _, present) in compared {
            known.entry(number).or_default().extend(present);
        }
        Ok(known)
    }

    fn apply(&mut self, context: &Context<'_>, verdicts: Vec<(u32, Verdict)>) {
        let mut drop = vec![false; self.pieces.len()];
        for (number, verdict) in verdicts {
            let range = self.pieces_of(number);
            let file = &mut self.files[number as usize];
            match verdict {
                Verdict::Unchanged => {
                    drop[range].fill(true);
                    file.begin(0);
                    file.is_settled = true;
                    file.is_unchanged(context);
                }
                Verdict::Into(present) => {
                    let pieces = self.pieces[range.clone()].iter().zip(&present);
                    let missing = pieces.filter(|(_, present)| !**present);
                    let lens = missing.map(|(piece, _)| u64::from(piece.blob_len));
                    file.begin(lens.clone().count());
                    if context.options.dry_run {
                        file.would_write(lens.sum());
                    }
                    drop[range].copy_from_slice(&present);
                }
                // Its chunks were not looked up.
                Verdict::Replace if file.there == There::Trusted => {
                    file.begin(0);
                    file.is_settled = true;
                    context.file_expected(file.size);
                    file.becomes(Fate::NotWritten);
                    file.fails(context, &changed_meanwhile());
                }
                Verdict::Replace => {}
            }
        }
        let mut drop = drop.into_iter();
        self.pieces.retain(|_| !drop.next().unwrap_or(false));
    }

    /// What a dry run says of the files.
    fn pretend(&self, context: &Context<'_>) {
        let files = self.files.iter();
        for file in files.filter(|file| !file.is_settled && !file.goes_on) {
            if file.is_as_before() {
                file.is_unchanged(context);
                continue;
            }
            context.file_expected(file.size);
            context.file_restored(file.outcome(), || file.path(), file.size, file.size);
            file.becomes(match file.goes_into() {
                true => Fate::Written,
                false => Fate::WouldBeNew,
            });
        }
    }

    fn write_files(&mut self, context: &Context<'_>, places: &Places) -> Result<()> {
        // By block in order of first use, which is walk order; within a block by file and offset.
        self.pieces
            .sort_by_key(|piece| (piece.block, piece.file, piece.data_offset));
        for file in &self.files {
            if file.pieces > 0 || file.is_settled || file.goes_on {
                continue;
            }
            context.go_on()?;
            if file.is_decided() || file.has_failed() {
                file.finish(context, places);
            } else {
                file.write_whole(context, places, &[], true);
            }
        }
        let window = &*self;
        let starts = window.block_starts();
        let next = AtomicUsize::new(0);
        let threads = context.repo.pool().threads();
        let left = on_threads(threads, &|| window.work(context, places, &starts, &next))?;
        // Nothing is in work now that may give room back.
        for (block, run) in left.into_iter().flatten() {
            context.go_on()?;
            let mut plain = Vec::new();
            let read = Block::read(context, &self.blocks[block], &mut plain);
            self.write_run(context, places, &read, &self.pieces[run], true);
        }
        Ok(())
    }

    /// Writes block by block; gives the runs of pieces, each with its block, that there was no room for.
    fn work(
        &self,
        context: &Context<'_>,
        places: &Places,
        starts: &[usize],
        next: &AtomicUsize,
    ) -> Result<Vec<(usize, Range<usize>)>> {
        let (mut plain, mut left) = (Vec::new(), Vec::new());
        loop {
            let block = next.fetch_add(1, Ordering::Relaxed);
            if block >= self.blocks.len() {
                return Ok(left);
            }
            let pieces = &self.pieces[starts[block]..starts[block + 1]];
            if pieces.is_empty() {
                continue;
            }
            context.go_on()?;
            let read = Block::read(context, &self.blocks[block], &mut plain);
            let mut at = starts[block];
            for run in pieces.chunk_by(Piece::is_followed_by) {
                if !self.write_run(context, places, &read, run, false) {
                    left.push((block, at..at + run.len()));
                }
                at += run.len();
            }
        }
    }

    /// Writes pieces that follow each other in one file and lie in one block. Says whether that is done, as
    /// [`FilePlan::write_whole`] does.
    fn write_run(
        &self,
        context: &Context<'_>,
        places: &Places,
        block: &Block<'_>,
        run: &[Piece],
        last: bool,
    ) -> bool {
        let file = &self.files[run[0].file as usize];
        if file.lacks_room() {
            file.count_down(context, places, run.len());
            return true;
        }
        let data = block.data_of(context, run);
        if data.is_err() {
            file.becomes(Fate::Lost);
        }
        if let Ok(data) = &data
            && run.len() == file.pieces
            && file.is_whole()
            && !file.goes_into()
        {
            return file.write_whole(context, places, data, last);
        }
        let written = data.and_then(|data| {
            let written = file.write_part(context, places, run[0].data_offset, &data);
            written.inspect_err(|_| file.becomes(Fate::NotWritten))
        });
        if let Err(error) = written {
            file.part_fails(context, places, &error);
        }
        file.count_down(context, places, run.len());
        true
    }
}

/// A block that was read, or why it could not be.
struct Block<'b> {
    location: &'b Location,
    plain: Result<&'b [u8]>,
}

impl<'b> Block<'b> {
    fn read(context: &Context<'_>, location: &'b Location, plain: &'b mut Vec<u8>) -> Self {
        let read = context.repo.read_block(location, plain);
        Self {
            location,
            plain: read.map(|()| plain.as_slice()),
        }
    }

    /// The bytes of a run of pieces, each proved by its id. What the block cannot give is read from another copy.
    fn data_of(&self, context: &Context<'_>, run: &[Piece]) -> Result<Cow<'b, [u8]>> {
        let neighbours = run
            .windows(2)
            .all(|pair| pair[0].blob_offset + pair[0].blob_len == pair[1].blob_offset);
        let mut data = Vec::new();
        if let Ok(block) = self.plain {
            let ids_fit = run.iter().all(|piece| {
                let plain = block.get(piece.range());
                plain.is_some_and(|plain| context.hasher.id(plain) == piece.id)
            });
            if ids_fit && neighbours {
                let from = run[0].range().start;
                let to = run[run.len() - 1].range().end;
                return Ok(Cow::Borrowed(&block[from..to]));
            }
            if ids_fit {
                run.iter()
                    .for_each(|piece| data.extend_from_slice(&block[piece.range()]));
                return Ok(data.into());
            }
        }
        let wrong = || Error::damaged(Subject::None).detail("content is not what its id says");
        for piece in run {
            let copy = match &self.plain {
                Ok(_) => self.other_copy(context, piece, &wrong().about(Subject::Blob(piece.id))),
                Err(why) => self.other_copy(context, piece, why),
            };
            data.extend_from_slice(&copy?);
        }
        Ok(data.into())
    }

    fn other_copy(&self, context: &Context<'_>, piece: &Piece, why: &Error) -> Result<Vec<u8>> {
        let bad = (self.location, why);
        context.repo.read_other_copy(BlobType::Data, &piece.id, bad)
    }
}

fn changed_meanwhile() -> Error {
    Error::new(crate::ErrorKind::Unavailable, Subject::None).detail("changed while it was restored")
}

/// Gives a directory its attributes, now that everything in it is done.
fn leave(
    context: &Context<'_>,
    places: &Places,
    place: &Arc<Place>,
    wanted: &super::attributes::Wanted,
) {
    let settled = match context.options.dry_run {
        true => Ok(()),
        false => places.open(place).and_then(|dir| {
            let applied = match place.is_fresh() {
                true => dir.apply(&wanted.attributes()),
                false => {
                    let found = crate::fs::metadata_of(&*dir)?;
                    wanted.settle(context.options, &*dir, &found)
                }
            };
            note(context, || place.path(), applied);
            Ok(())
        }),
    };
    match settled {
        // The target itself is the user's, and counted nowhere.
        Ok(()) if place.above().is_none() => {}
        Ok(()) => context.restored(Outcome::Restored, || place.path()),
        Err(error) => context.problem(&place.path(), &error),
    }
}

/// Does `work` for each number below `count`, on all threads, and gives what it gave, in no order.
pub fn on_all_threads<T: Send>(
    context: &Context<'_>,
    count: usize,
    work: &(dyn Fn(usize) -> Result<T> + Sync),
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let done = on_threads(context.repo.pool().threads(), &|| {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return Ok(done);
            }
            done.push(work(at)?);
        }
    })?;
    Ok(done.into_iter().flatten().collect())
}
