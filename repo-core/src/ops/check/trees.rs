//! One tree blob: does it decode, and is what it refers to in the index?

use crate::error::Result;
use crate::format::codec;
use crate::format::tree::{Chunks, Content, Tree};
use crate::id::BlobId;
use crate::index::{Index, Want};
use crate::repo::Repo;

/// What was found in a tree blob.
pub enum TreeCheck {
    /// All is there.
    Right,
    /// No table names these, or as bases none names them whole.
    Unknown(Vec<BlobId>),
}

/// The roots of snapshots that no table names. All other trees are named by some tree.
pub fn unknown_roots(repo: &Repo) -> Result<Vec<BlobId>> {
    let mut unknown = Vec::new();
    let state = repo.state();
    for (id, row) in state.live_snapshots() {
        // One that does not open is a finding of its own.
        if let Ok(summary) = repo.open_summary(id, &row.summary)
            && repo
                .index()
                .lookup(&summary.root, Want::Readable)?
                .is_none()
        {
            unknown.push(summary.root);
        }
    }
    Ok(unknown)
}

/// Checks one tree blob by itself: since all tree blobs are, whole trees are.
pub fn check_tree(index: &Index, bytes: &[u8]) -> Result<TreeCheck> {
    let mut unknown = Vec::new();
    let mut look = |id: &BlobId| -> Result<()> {
        let Some(location) = index.lookup(id, Want::Readable)? else {
            unknown.push(*id);
            return Ok(());
        };
        for base in index.bases(&location)? {
            if index.whole_copy(&base, Want::Readable)?.is_none() {
                unknown.push(base);
            }
        }
        Ok(())
    };
    match codec::decode(bytes)? {
        Tree::Branch(branch) => branch.pages.iter().try_for_each(|page| look(&page.id))?,
        Tree::Chunks(ids) => ids.iter().try_for_each(&mut look)?,
        Tree::Leaf(leaf) => {
            for node in &leaf.nodes {
                match &node.content {
                    Content::Dir(Some(tree)) => look(tree)?,
                    Content::File(file) => match &file.chunks {
                        Chunks::Direct(ids) | Chunks::Lists { lists: ids, .. } => {
                            ids.iter().try_for_each(&mut look)?;
                        }
                    },
                    _ => {}
                }
            }
        }
    }
    Ok(match unknown.is_empty() {
        true => TreeCheck::Right,
        false => TreeCheck::Unknown(unknown),
    })
}
