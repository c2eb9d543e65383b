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

/// A file to be read.
struct Job {
    place: Arc<Place>,
    node: Node,
}

/// Compares the content of every file that was restored, or taken to be as it shall be, with the snapshot. What differs is a
/// problem. Files that stay by request, and such that failed, are left out. Memory: 8 MiB of nodes, and a chunk a thread.
pub fn verify(context: &Context<'_>, root: TargetDir, tree: BlobId) -> Result<()> {
    let (places, place) = Places::new(Some(root));
    let root = (place, context.options.selection.root());
    let mut stack: Vec<(Arc<Place>, Chosen, Nodes)> = Vec::new();
    let mut next = Some((root, tree));
    let (mut batch, mut bytes) = (Vec::new(), 0);
    loop {
        context.interrupt.check()?;
        if let Some(((place, chosen), tree)) = next.take() {
            // What could not be read was reported when it was to be restored.
            stack.extend(
                Nodes::open(context.repo, &tree)
                    .ok()
                    .map(|nodes| (place, chosen, nodes)),
            );
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
            Err(_) => continue,
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

fn read(context: &Context<'_>, places: &Places, batch: &[Job]) -> Result<()> {
    on_all_threads(context, batch.len(), &|at| {
        let Job { place, node } = &batch[at];
        let path = place.path_of(&node.name);
        let Content::File(file) = &node.content else {
            return Ok(());
        };
        if context.others.holds(&path) {
            return Ok(());
        }
        match compare(context, places, place, node, file) {
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
    })?;
    Ok(())
}

fn compare(
    context: &Context<'_>,
    places: &Places,
    place: &Arc<Place>,
    node: &Node,
    file: &FileContent,
) -> Result<()> {
    let (handle, found) = places.open(place)?.open_file_to_read(&node.name)?;
    if found.size != file.size {
        return Err(differs().detail(format!(
            "read back: {} bytes instead of {}",
            found.size, file.size
        )));
    }
    let (mut offset, mut buffer) = (0, Vec::new());
    let extents = file.extents.as_deref();
    let flow = for_each_chunk(context.repo, &file.chunks, &mut |chunk| {
        let ChunkRef::Data(id) = chunk else {
            return Ok(ControlFlow::Continue(()));
        };
        context.interrupt.check()?;
        let len = context.repo.locate(&id)?.blob_len;
        if !holds(context, extents, &handle, (offset, len, id), &mut buffer)? {
            let at = super::layout::spread(extents, offset, 1);
            return Err(differs().at(at.first().map_or(offset, |(at, _)| *at)));
        }
        offset += u64::from(len);
        context
            .problems
            .count(Counter::BytesVerified, u64::from(len));
        Ok(ControlFlow::Continue(()))
    })?;
    debug_assert!(flow.is_continue());
    match extents {
        Some(extents) => holes_are_empty(&handle, file.size, extents),
        None => Ok(()),
    }
}

fn holes_are_empty(handle: &File, size: u64, extents: &[(u64, u64)]) -> Result<()> {
    let mut buffer = Vec::new();
    for (offset, len) in minus(&data_runs(handle, size)?, extents) {
        let mut done = 0;
        while done < len {
            buffer.resize((len - done).min(HOLE_BYTES as u64) as usize, 0);
            let read = read_at(handle, offset + done, buffer.len(), &mut buffer)?;
            if read < buffer.len() || buffer.iter().any(|byte| *byte != 0) {
                return Err(differs().at(offset + done));
            }
            done += buffer.len() as u64;
        }
    }
    Ok(())
}

fn differs() -> Error {
    Error::damaged(Subject::None).detail("read back: not what the snapshot holds")
}
