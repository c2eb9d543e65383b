//! Large files and streams: read and cut on the walk's thread, named and stored by the pool.

use super::{Item, Pass, Pending, changed, file_content};
use crate::chunk::{Piece, Segments, Sizes};
use crate::error::{Error, Result};
use crate::fs::{Dir, metadata_of};
use crate::ops::backup::node::record_sizes;
use crate::ops::backup::read::{Cutter, Kept, LargeFile, READS_MAX, name_pieces};
use crate::ops::backup::sparse::ExtentReader;
use crate::progress::{Counter, Progress};
use crate::tree::ChunkList;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// Pieces of a stream are named in groups of this many bytes.
const NAMING_BYTES: usize = 1 << 20;

/// A buffer of a stream.
pub(super) const SEGMENT_BYTES: usize = 4 << 20;

impl Pass<'_, '_, '_> {
    /// Reads and cuts a large file here, while the pool names and stores its chunks. What goes wrong with the file is its
    /// own problem; what goes wrong with the repository ends the backup.
    pub(super) fn large_file(&mut self, dir: &Arc<Dir>, pending: Pending) -> Result<()> {
        match LargeFile::open(dir, &pending.name) {
            Ok(large) => self.stream_file(large, pending),
            Err(error) => {
                let path = pending.dir.join(OsStr::from_bytes(&pending.name));
                self.entry_fails(&path, &error);
                Ok(())
            }
        }
    }

    /// The same for a file that is open: read again if it changes meanwhile, and kept as it was read last.
    pub(super) fn stream_file(&mut self, mut large: LargeFile, pending: Pending) -> Result<()> {
        let path = pending.dir.join(OsStr::from_bytes(&pending.name));
        let mut reads = 0;
        let kept = loop {
            reads += 1;
            let (read, failed) = self.content(&large, pending.sizes)?;
            let after = match failed {
                Some(error) => Err(error),
                None => metadata_of(&large.file),
            };
            let again = match after {
                Ok(after) => {
                    let kept = Kept::of(large.meta.clone(), large.extents.take(), &after, read);
                    if !kept.torn || reads == READS_MAX {
                        break kept;
                    }
                    large.again()
                }
                Err(error) => Err(error),
            };
            self.forget_streamed()?;
            if let Err(error) = again {
                self.streamed_added = 0;
                self.context.problems.problem(&path, &error);
                return Ok(());
            }
        };
        if kept.torn {
            self.context.problems.problem(&path, &changed());
        }
        if let Some(error) = large.xattrs.failed {
            self.context.problems.problem(&path, &error);
        }
        // Holes are done too.
        let data = kept
            .extents
            .iter()
            .flatten()
            .map(|(_, len)| len)
            .sum::<u64>();
        if kept.extents.is_some() {
            let holes = kept.meta.size.saturating_sub(data);
            self.context.problems.count(Counter::Bytes, holes);
        }
        let content = file_content(kept.meta.size, kept.extents);
        let (rules, found) = (self.context.rules, large.xattrs.found);
        let mut node = rules.node(&pending.name, &kept.meta, found, content);
        record_sizes(&mut node, pending.sizes);
        self.push(Item::Streamed {
            node,
            compared: pending.compared,
            expected: None,
            begun: pending.begun,
        })
    }

    /// Queues the data of a large file; gives how much there was, and what failed.
    fn content(&mut self, large: &LargeFile, sizes: Sizes) -> Result<(u64, Option<Error>)> {
        match &large.extents {
            None => self.pieces(&mut &large.file, sizes, Some(large.meta.size)),
            Some(extents) => {
                let mut data = ExtentReader::new(&large.file, extents);
                self.pieces(&mut data, sizes, None)
            }
        }
    }

    /// Forgets the chunks of the file that is being streamed. What was stored of it may be used by no node.
    fn forget_streamed(&mut self) -> Result<()> {
        while !self.at_once && !self.queue.is_empty() {
            self.take_first()?;
        }
        self.streaming = ChunkList::default();
        Ok(())
    }

    /// Cuts what a reader gives into chunks and queues them for naming; gives how many bytes there were, and the error
    /// of the reader if it ended early. Errors of the repository are the result's own.
    pub(super) fn pieces(
        &mut self,
        reader: &mut dyn Read,
        sizes: Sizes,
        len: Option<u64>,
    ) -> Result<(u64, Option<Error>)> {
        let cutter = self.context.cutters.of(sizes);
        let mut segments = std::mem::replace(&mut self.segments, Segments::new(SEGMENT_BYTES));
        let mut group = Vec::new();
        let mut group_bytes = 0;
        let mut total = 0;
        let mut failed = None;
        for piece in segments.stream(&cutter.chunker, reader, len) {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            group_bytes += piece.len();
            group.push(piece);
            if group_bytes >= NAMING_BYTES {
                total += self.name_group(&cutter, std::mem::take(&mut group), group_bytes)?;
                group_bytes = 0;
            }
        }
        total += self.name_group(&cutter, group, group_bytes)?;
        self.segments = segments;
        Ok((total, failed))
    }

    fn name_group(&mut self, cutter: &Arc<Cutter>, group: Vec<Piece>, bytes: usize) -> Result<u64> {
        self.context.interrupt.check()?;
        let bytes = bytes as u64;
        self.context.problems.count(Counter::Bytes, bytes);
        let cutter = cutter.clone();
        let named = self
            .context
            .repo
            .pool()
            .submit(move || name_pieces(&cutter.hasher, group));
        self.enqueue(Item::Pieces { named, bytes }, bytes)?;
        Ok(bytes)
    }
}
