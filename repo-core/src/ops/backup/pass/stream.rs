//! One stream, backed up as a file.

use super::{Compared, Done, Item, Pass, file_content};
use crate::chunk::{SourceKind, sizes_for};
use crate::error::Result;
use crate::format::tree::{Content, FileContent};
use crate::id::BlobId;
use crate::ops::backup::assemble::Begun;
use crate::ops::backup::node::plain_node;
use crate::repo::Repo;
use crate::time::Timestamp;
use crate::tree::find_node;
use std::io::Read;
use std::time::Instant;

impl Pass<'_, '_, '_> {
    /// Backs up one stream as the file that `names` lead to from the root; `parent` is the tree to compare with. Directories
    /// on the way, and the file, are as old as the backup.
    pub fn stream(
        mut self,
        names: &[Vec<u8>],
        reader: &mut (dyn Read + Send),
        now: Timestamp,
        parent: Option<BlobId>,
    ) -> Result<Done> {
        let Some((name, above)) = names.split_last() else {
            return self.finish();
        };
        let expected = parent.and_then(|tree| file_in(self.context.repo, tree, names));
        let compares = expected.is_some();
        let root = std::iter::once(&[][..]);
        for name in root.chain(above.iter().map(Vec::as_slice)) {
            self.push(Item::Enter(Begun {
                node: plain_node(name, 0o755, now, Content::Dir(None)),
                metadata: Compared::New,
                old: None,
                above: true,
            }))?;
        }
        let begun = self.listing.as_ref().map(|_| Instant::now());
        let sizes = sizes_for(SourceKind::Stream);
        let (size, failed) = self.pieces(reader, sizes, None)?;
        if let Some(error) = failed {
            return Err(error);
        }
        self.push(Item::Streamed {
            node: plain_node(name, 0o600, now, file_content(size, None)),
            compared: Compared::New,
            expected,
            begun,
        })?;
        for _ in names {
            self.push(Item::Leave)?;
        }
        while !self.queue.is_empty() {
            self.take_first()?;
        }
        self.assembler.unchanged = compares && self.as_expected;
        self.finish()
    }
}

/// The content of the file that `names` lead to in a tree, if it is there and can be read.
fn file_in(repo: &Repo, tree: BlobId, names: &[Vec<u8>]) -> Option<FileContent> {
    let mut tree = Some(tree);
    let mut found = None;
    for name in names {
        let node = find_node(repo, &tree?, name).ok()??;
        (tree, found) = match node.content {
            Content::Dir(tree) => (tree, None),
            Content::File(file) => (None, Some(file)),
            _ => return None,
        };
    }
    found
}
