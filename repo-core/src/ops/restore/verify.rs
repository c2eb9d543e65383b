//! Reads back what was restored.
//!
//! The tree is walked once more, after everything was written, so that what a later file did to an earlier one is seen too.

use super::context::Context;
use super::execute::on_all_threads;
use super::existing::{data_runs, holds};
use super::layout::minus;
use super::links::heap_bytes;
use super::options::Chosen;
use super::place::{Place, Places, Presence};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, FileContent, Node};
use crate::fs::{TargetDir, read_at};
use crate::id::BlobId;
use crate::progress::{Counter, Progress};
use crate::tree::{ChunkRef, Nodes, for_each_chunk};
use std::fs::File;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Files that are read at a time, by what their nodes take.
const BATCH_BYTES: usize = 8 << 20;

/// Bytes read at a time where a hole must be.
const HOLE_BYTES: usize = 256 << 10;

/// From this size on all threads read one file together.
const LARGE_BYTES: u64 = 32 << 20;

/// Chunks of a file that are looked up before they are read, 48 bytes each.
const CHUNKS_AT_ONCE: usize = 1024;

/// Those of a large file that one thread reads before it looks for other work.
const PART_CHUNKS: usize = 16;

/// Offset in the data, length and id of a chunk.
type Chunk = (u64, u32, BlobId);

/// A file to be read.
struct Job {
    place: Arc<Place>,
    node: Node,
}

/// Compares the content of every file that was restored, or taken to be as it shall be, with the snapshot. What differs is a
/// problem. Files that stay by request, and such that failed, are left out. Memory: 8 MiB of nodes, and of each file in work 48 KiB and a
/// chunk a thread.
pub fn verify(context: &Context<'_>, root: TargetDir, tree: BlobId) -> Result<()> {
    let (places, place) = Places::new(Some(root));
    let root = (place, context.options.selection.root());
    let mut stack: Vec<(Arc<Place>, Chosen, Nodes)> = Vec::new();
    let mut next = Some((root, tree));
    let (mut batch, mut bytes) = (Vec::new(), 0);
    loop {
        context.go_on()?;
        if let Some(((place, chosen), tree)) = next.take() {
            match Nodes::open(context.repo, &tree) {
                Ok(nodes) => stack.push((place, chosen, nodes)),
                Err(error) => unread(context, &place, &error),
            }
        }
        let Some((place, chosen, nodes)) = stack.last_mut() else {
            return read(context, &places, &batch);
        };
        let node = match nodes.next(context.repo) {
            Ok(Some(node)) => node,
            Ok(None) => {
                stack.pop();
                continue;
            }
            Err(error) => {
                unread(context, place, &error);
                continue;
            }
        };
        let chosen = context.options.selection.enter(chosen, &node.name);
        match node.content {
            Content::Dir(Some(tree)) if chosen.below => {
                let below = Place::below(place, &node.name, Some(node.mtime));
                below.is_now(Presence::Existing);
                if !context.others.holds(&below.path()) {
                    next = Some(((below, chosen), tree));
                }
            }
            Content::File(_) if chosen.selected => {
                bytes += size_of::<Job>() + heap_bytes(&node);
                let place = place.clone();
                batch.push(Job { place, node });
            }
            _ => {}
        }
        if bytes >= BATCH_BYTES {
            read(context, &places, &batch)?;
            (bytes, batch) = (0, Vec::new());
        }
    }
}

/// A directory cannot be read now, so that what is in it is not compared; nothing new if it could not be when it was to be restored.
fn unread(context: &Context<'_>, place: &Place, error: &Error) {
    let path = place.path();
    if !context.others.holds(&path) {
        context.problem(&path, error);
    }
}

/// Small files at once, a thread each; then large ones one by one, each by all threads.
fn read(context: &Context<'_>, places: &Places, batch: &[Job]) -> Result<()> {
    let (large, small): (Vec<&Job>, Vec<&Job>) = batch.iter().partition(|job| job.is_large());
    on_all_threads(context, small.len(), &|at| small[at].read(context, places))?;
    large.iter().try_for_each(|job| job.read(context, places))
}

impl Job {
    fn is_large(&self) -> bool {
        matches!(&self.node.content, Content::File(file) if file.size >= LARGE_BYTES)
    }

    fn read(&self, context: &Context<'_>, places: &Places) -> Result<()> {
        let path = self.place.path_of(&self.node.name);
        let Content::File(file) = &self.node.content else {
            return Ok(());
        };
        if context.others.holds(&path) {
            return Ok(());
        }
        match self.compare(context, places, file) {
            Ok(()) => {
                context
                    .counts
                    .files_verified
                    .fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => context.problem(&path, &error),
        }
        Ok(())
    }

    fn compare(&self, context: &Context<'_>, places: &Places, file: &FileContent) -> Result<()> {
        let dir = places.open(&self.place)?;
        let (handle, found) = dir.open_file_to_read(&self.node.name)?;
        if found.size != file.size {
            return Err(differs().detail(format!(
                "read back: {} bytes instead of {}",
                found.size, file.size
            )));
        }
        let extents = file.extents.as_deref();
        let (mut offset, mut chunks) = (0, Vec::new());
        let are_there = |chunks: &[Chunk]| match self.is_large() {
            false => hold(context, extents, &handle, chunks),
            true => {
                let parts: Vec<&[Chunk]> = chunks.chunks(PART_CHUNKS).collect();
                let part = |at: usize| hold(context, extents, &handle, parts[at]);
                on_all_threads(context, parts.len(), &part).map(drop)
            }
        };
        let flow = for_each_chunk(context.repo, &file.chunks, &mut |chunk| {
            let ChunkRef::Data(id) = chunk else {
                return Ok(ControlFlow::Continue(()));
            };
            let len = context.repo.locate(&id)?.blob_len;
            chunks.push((offset, len, id));
            offset += u64::from(len);
            if chunks.len() == CHUNKS_AT_ONCE {
                are_there(&chunks)?;
                chunks.clear();
            }
            Ok(ControlFlow::Continue(()))
        })?;
        debug_assert!(flow.is_continue());
        are_there(&chunks)?;
        match extents {
            Some(extents) => holes_are_empty(&handle, file.size, extents),
            None => Ok(()),
        }
    }
}

/// Sees that a file has these chunks where they shall be.
fn hold(
    context: &Context<'_>,
    extents: Option<&[(u64, u64)]>,
    handle: &File,
    chunks: &[Chunk],
) -> Result<()> {
    let mut buffer = Vec::new();
    for chunk in chunks {
        context.go_on()?;
        if !holds(&context.hasher, extents, handle, *chunk, &mut buffer)? {
            let at = super::layout::spread(extents, chunk.0, 1);
            return Err(differs().at(at.first().map_or(chunk.0, |(at, _)| *at)));
        }
        let counted = u64::from(chunk.1);
        context.problems.count(Counter::BytesVerified, counted);
    }
    Ok(())
}

fn holes_are_empty(handle: &File, size: u64, extents: &[(u64, u64)]) -> Result<()> {
    match first_in_holes(handle, size, extents)? {
        None => Ok(()),
        Some(at) => Err(differs().at(at)),
    }
}

/// Where a file has something else than zeros in a hole that it shall have.
pub fn first_in_holes(handle: &File, size: u64, extents: &[(u64, u64)]) -> Result<Option<u64>> {
    let mut buffer = Vec::new();
    for (offset, len) in minus(&data_runs(handle, size)?, extents) {
        let mut done = 0;
        while done < len {
            buffer.resize((len - done).min(HOLE_BYTES as u64) as usize, 0);
            let read = read_at(handle, offset + done, buffer.len(), &mut buffer)?;
            if read < buffer.len() || buffer.iter().any(|byte| *byte != 0) {
                return Ok(Some(offset + done));
            }
            done += buffer.len() as u64;
        }
    }
    Ok(None)
}

fn differs() -> Error {
    Error::damaged(Subject::None).detail("read back: not what the snapshot holds")
}
