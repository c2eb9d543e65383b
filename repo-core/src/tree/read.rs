//! Reads directories and chunk lists, whatever their shape.

use crate::error::{Error, Result, Subject};
use crate::format::codec::{self, check_ext};
use crate::format::tree::{Chunks, HEIGHT_MAX, Node, Tree};
use crate::id::BlobId;
use std::ops::ControlFlow;

/// Gives the plaintext of tree blobs.
pub trait TreeReader {
    /// The plaintext of one tree blob, proved to be the one of that id.
    fn tree(&self, id: &BlobId) -> Result<std::sync::Arc<Vec<u8>>>;
}

fn decode(reader: &dyn TreeReader, id: &BlobId) -> Result<Tree> {
    codec::decode(&reader.tree(id)?).map_err(|e| e.about(Subject::Blob(*id)))
}

fn bad(id: &BlobId, detail: &'static str) -> Error {
    Error::damaged(Subject::Blob(*id)).detail(detail)
}

/// All nodes of a directory, sorted by name. Memory grows with the directory.
pub fn load_nodes(reader: &dyn TreeReader, id: &BlobId) -> Result<Vec<Node>> {
    let mut nodes: Vec<Node> = Vec::new();
    collect(reader, id, HEIGHT_MAX, &mut |_, page| {
        if nodes.is_empty() {
            nodes = page;
        } else {
            nodes.extend(page);
        }
    })?;
    let valid = |node: &Node| {
        let name = &node.name[..];
        !name.is_empty()
            && name != b"."
            && name != b".."
            && !name.iter().any(|b| matches!(b, 0 | b'/'))
    };
    if !nodes.iter().all(valid) {
        return Err(bad(id, "a name that no file can have"));
    }
    match nodes.is_sorted_by(|a, b| a.name < b.name) {
        true => Ok(nodes),
        false => Err(bad(id, "names are not in order")),
    }
}

/// Walks the pages of a directory in order; `each` gets the blob of every page and the nodes of leaves.
fn collect(
    reader: &dyn TreeReader,
    id: &BlobId,
    height_max: u8,
    each: &mut dyn FnMut(&BlobId, Vec<Node>),
) -> Result<()> {
    match decode(reader, id)? {
        Tree::Leaf(leaf) => {
            let about = |e: Error| e.about(Subject::Blob(*id));
            check_ext(&leaf.ext).map_err(about)?;
            let mut nodes = leaf.nodes.iter();
            nodes.try_for_each(|node| check_ext(&node.ext).map_err(about))?;
            each(id, leaf.nodes);
            Ok(())
        }
        Tree::Branch(branch) => {
            check_ext(&branch.ext).map_err(|e| e.about(Subject::Blob(*id)))?;
            if branch.height == 0 || branch.height > height_max {
                return Err(bad(id, "pages are nested too deep"));
            }
            each(id, Vec::new());
            branch
                .pages
                .iter()
                .try_for_each(|page| collect(reader, &page.id, branch.height - 1, each))
        }
        Tree::Chunks(_) => Err(bad(id, "a list of chunks where a directory must be")),
    }
}

/// Every tree blob that a directory itself is made of, its root first, and its nodes.
pub fn load_pages(reader: &dyn TreeReader, id: &BlobId) -> Result<(Vec<BlobId>, Vec<Node>)> {
    let mut pages = Vec::new();
    let mut nodes = Vec::new();
    collect(reader, id, HEIGHT_MAX, &mut |page, mut found| {
        pages.push(*page);
        nodes.append(&mut found);
    })?;
    Ok((pages, nodes))
}

/// Whether an id of a file's chunks names data, or a list of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkRef {
    /// A data blob.
    Data(BlobId),
    /// A tree blob that lists chunks.
    List(BlobId),
}

/// Calls `each` for the chunks of a file in order, and for each list before what it lists. Memory: one list a level.
pub fn for_each_chunk(
    reader: &dyn TreeReader,
    chunks: &Chunks,
    each: &mut dyn FnMut(ChunkRef) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    match chunks {
        Chunks::Direct(ids) => walk_ids(reader, ids, 0, each),
        Chunks::Lists { height, lists } => {
            let height = (*height).min(HEIGHT_MAX);
            walk_ids(reader, lists, height, each)
        }
    }
}

fn walk_ids(
    reader: &dyn TreeReader,
    ids: &[BlobId],
    height: u8,
    each: &mut dyn FnMut(ChunkRef) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    for id in ids {
        let flow = if height == 0 {
            each(ChunkRef::Data(*id))?
        } else {
            match each(ChunkRef::List(*id))? {
                ControlFlow::Break(()) => ControlFlow::Break(()),
                ControlFlow::Continue(()) => match decode(reader, id)? {
                    Tree::Chunks(below) => walk_ids(reader, &below, height - 1, each)?,
                    _ => return Err(bad(id, "not a list of chunks")),
                },
            }
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}
