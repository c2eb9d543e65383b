//! Directories and chunk lists.

use crate::Split;
use crate::records::again;
use repo_core::crypto::Secret;
use repo_core::error::{Error, Result, Subject};
use repo_core::format::tree::{Chunks, Content, Tree};
use repo_core::fs::Owners;
use repo_core::id::BlobId;
use repo_core::tree::{
    Borders, TreeReader, for_each_chunk, load_nodes, load_pages, write_directory,
};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Blobs that a hostile store of trees would be asked for before this target gives up.
const READS_MAX: u32 = 1000;

/// Tree blobs by the first byte of their id, so that the bytes of an input can name each other.
struct Forged<'a> {
    blobs: Vec<&'a [u8]>,
    reads: Cell<u32>,
}

impl TreeReader for Forged<'_> {
    fn tree(&self, id: &BlobId) -> Result<Arc<Vec<u8>>> {
        self.reads.set(self.reads.get() + 1);
        let blob = self
            .blobs
            .get(usize::from(id.0[0]))
            .filter(|_| self.reads.get() < READS_MAX);
        blob.map(|blob| Arc::new(blob.to_vec()))
            .ok_or_else(|| Error::missing(Subject::Blob(*id)))
    }
}

/// Tree blobs by their hash, as a repository has them.
#[derive(Default)]
struct Kept(RefCell<HashMap<BlobId, Arc<Vec<u8>>>>);

impl Kept {
    fn put(&self, bytes: &[u8]) -> Result<BlobId> {
        let id = BlobId::from(blake3::hash(bytes));
        self.0.borrow_mut().insert(id, Arc::new(bytes.to_vec()));
        Ok(id)
    }
}

impl TreeReader for Kept {
    fn tree(&self, id: &BlobId) -> Result<Arc<Vec<u8>>> {
        self.0
            .borrow()
            .get(id)
            .cloned()
            .ok_or_else(|| Error::missing(Subject::Blob(*id)))
    }
}

/// One tree blob, and directories and chunk lists over several that name each other.
pub fn tree(data: &[u8]) {
    if let Some(Tree::Leaf(leaf)) = again::<Tree>(data) {
        for node in &leaf.nodes {
            if let Content::File(file) = &node.content {
                walk(
                    &Forged {
                        blobs: vec![data],
                        reads: Cell::new(0),
                    },
                    &file.chunks,
                );
            }
        }
    }
    let mut split = Split(data);
    let mut blobs = Vec::new();
    while !split.0.is_empty() && blobs.len() < 256 {
        blobs.push(split.piece());
    }
    let forged = Forged {
        blobs,
        reads: Cell::new(0),
    };
    let _ = load_pages(&forged, &BlobId::default());
    forged.reads.set(0);
    let Ok(nodes) = load_nodes(&forged, &BlobId::default()) else {
        return;
    };
    for node in &nodes {
        assert!(!node.name.is_empty() && !node.name.contains(&b'/') && !node.name.contains(&0));
        if let Content::File(file) = &node.content {
            forged.reads.set(0);
            walk(&forged, &file.chunks);
        }
    }
    let kept = Kept::default();
    let borders = Borders::new(Secret::new([4; 32]));
    let root = write_directory(nodes.clone(), &Owners::default(), &borders, &mut |b| {
        kept.put(b)
    })
    .expect("putting does not fail");
    assert_eq!(load_nodes(&kept, &root).expect("just written"), nodes);
}

fn walk(reader: &dyn TreeReader, chunks: &Chunks) {
    let _ = for_each_chunk(reader, chunks, &mut |_| Ok(ControlFlow::Continue(())));
}
