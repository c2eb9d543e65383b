//! What a directory holds, or one file, as a stream: nodes in order, each with its bytes.

use super::path::Found;
use super::plan::{Batch, Bytes, Chunks, Entry, Message, Planner, Step, of_path};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::FileContent;
use crate::progress::Interrupt;
use crate::repo::{BlockCache, Repo};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Builder;

/// Opened blocks that may come again soon are kept up to this many bytes.
pub const CONTENTS_CACHE_BYTES: usize = 32 << 20;

/// Zeros of a hole that are given at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The nodes and bytes of [`read_contents`], for the taking, in the order of a walk.
pub struct Contents {
    receiver: Receiver<Message>,
    steps: std::iter::Peekable<std::vec::IntoIter<Step>>,
    chunks: std::vec::IntoIter<Result<Bytes>>,
    current: PathBuf,
    ended: bool,
}

/// Reads what was found and, of a directory, all that lies below it, and gives it to `take`. With `links` the content of a file with
/// several names comes once.
///
/// A block of neighbours is read once; the next blocks are read on all cores while `take` is at work. An error is about the path that
/// it concerns, and ends the stream. Memory: a block for each of `2 × threads + 4` batches, 32 MiB, and 200 bytes for each file
/// some names of which are to come.
pub fn read_contents<T>(
    repo: &Repo,
    from: Found,
    links: bool,
    interrupt: &Interrupt,
    take: impl FnOnce(&mut Contents) -> Result<T>,
) -> Result<T> {
    let cache = Arc::new(BlockCache::new(CONTENTS_CACHE_BYTES));
    read_contents_by(repo, cache, (from, links), interrupt, take)
}

/// The same by a cache that others use too, in place of the 32 MiB.
pub fn read_contents_by<T>(
    repo: &Repo,
    cache: Arc<BlockCache>,
    (from, links): (Found, bool),
    interrupt: &Interrupt,
    take: impl FnOnce(&mut Contents) -> Result<T>,
) -> Result<T> {
    let (sender, receiver) = sync_channel(2 * repo.pool().threads() + 4);
    let tools = (cache, repo.hasher(BlobType::Data)?);
    let planner = Planner::new(repo, tools, links, interrupt, sender);
    std::thread::scope(|scope| {
        let thread = Builder::new().name("larder.contents".into());
        let spawned = thread.spawn_scoped(scope, move || planner.run(from));
        spawned.map_err(|cause| Error::io(Subject::None, cause).detail("start a thread"))?;
        let mut contents = Contents {
            receiver,
            steps: Vec::new().into_iter().peekable(),
            chunks: Chunks::new().into_iter(),
            current: PathBuf::from("/"),
            ended: false,
        };
        take(&mut contents)
    })
}

impl Contents {
    /// The next node; what was not taken of the bytes of the one before is passed over. `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        loop {
            match self.steps.next() {
                Some(Step::Entry(entry)) => {
                    self.current.clone_from(&entry.path);
                    return Ok(Some(*entry));
                }
                Some(Step::Chunk) => drop(self.chunk()?),
                None if self.ended => return Ok(None),
                None => self.receive()?,
            }
        }
    }

    /// The bytes of the node given last, in order, holes left out. `each` gets some of them at a time.
    pub fn data(&mut self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        loop {
            match self.steps.peek() {
                Some(Step::Entry(_)) => return Ok(()),
                Some(Step::Chunk) => {
                    self.steps.next();
                    match self.chunk()? {
                        Bytes::Shared(block, range) => each(&block[range])?,
                        Bytes::Own(bytes) => each(&bytes)?,
                    }
                }
                None if self.ended => return Ok(()),
                None => self.receive()?,
            }
        }
    }

    /// The same with zeros where holes are: as many bytes as the file is long.
    pub fn whole(
        &mut self,
        file: &FileContent,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut whole = Whole::new(file);
        self.data(&mut |bytes| whole.data(bytes, each))?;
        whole.end(each)
    }

    /// The path of the node given last.
    pub fn path(&self) -> &Path {
        &self.current
    }

    fn receive(&mut self) -> Result<()> {
        match self.receiver.recv() {
            Ok(Message::Batch(Batch { steps, chunks })) => {
                self.steps = steps.into_iter().peekable();
                self.chunks = chunks.wait()?.into_iter();
                Ok(())
            }
            Ok(Message::End) => {
                self.ended = true;
                Ok(())
            }
            Ok(Message::Failed(error)) => Err(error),
            Err(_) => Err(Error::new(ErrorKind::Unavailable, Subject::None)
                .detail("a worker thread panicked")),
        }
    }

    fn chunk(&mut self) -> Result<Bytes> {
        let next = self.chunks.next().unwrap_or_else(|| {
            Err(Error::damaged(Subject::None).detail("fewer chunks than were asked for"))
        });
        next.map_err(|error| of_path(&self.current, error))
    }
}

/// Puts zeros between the bytes of a file where its holes are.
pub struct Whole<'f> {
    extents: Option<std::slice::Iter<'f, (u64, u64)>>,
    size: u64,
    /// The next byte of the file.
    at: u64,
    /// Bytes of data before the next hole.
    left: u64,
}

impl<'f> Whole<'f> {
    /// Of a file the holes of which are possible.
    pub fn new(file: &'f FileContent) -> Self {
        Self {
            extents: file.extents.as_ref().map(|extents| extents.iter()),
            size: file.size,
            at: 0,
            left: 0,
        }
    }

    /// Gives the next bytes of data, and the holes before them.
    pub fn data(
        &mut self,
        mut bytes: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let Some(extents) = &mut self.extents else {
            self.at += bytes.len() as u64;
            return each(bytes);
        };
        while !bytes.is_empty() {
            if self.left == 0 {
                // What lies beyond the last of them was refused when the chunks were added up.
                let (offset, len) = extents.next().copied().unwrap_or((self.size, u64::MAX));
                zeros(offset.saturating_sub(self.at), each)?;
                (self.at, self.left) = (offset, len);
                continue;
            }
            let take = bytes
                .len()
                .min(usize::try_from(self.left).unwrap_or(usize::MAX));
            each(&bytes[..take])?;
            bytes = &bytes[take..];
            self.at += take as u64;
            self.left -= take as u64;
        }
        Ok(())
    }

    /// Gives the hole at the end.
    pub fn end(self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        zeros(self.size.saturating_sub(self.at), each)
    }
}

fn zeros(mut len: u64, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    while len > 0 {
        let take = len.min(ZEROS.len() as u64) as usize;
        each(&ZEROS[..take])?;
        len -= take as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(size: u64, extents: &[(u64, u64)], pieces: &[&[u8]]) -> Vec<u8> {
        let file = FileContent {
            size,
            extents: Some(extents.to_vec()),
            ..FileContent::default()
        };
        let mut found = Vec::new();
        let mut each = |bytes: &[u8]| {
            found.extend_from_slice(bytes);
            Ok(())
        };
        let mut whole = Whole::new(&file);
        for piece in pieces {
            whole.data(piece, &mut each).unwrap();
        }
        whole.end(&mut each).unwrap();
        found
    }

    #[test]
    fn holes_are_zeros() {
        assert_eq!(expanded(6, &[(2, 3)], &[b"abc"]), b"\0\0abc\0");
        assert_eq!(expanded(6, &[(2, 3)], &[b"a", b"bc"]), b"\0\0abc\0");
        assert_eq!(
            expanded(5, &[(0, 1), (1, 0), (3, 2)], &[b"ab", b"c"]),
            b"a\0\0bc"
        );
        assert_eq!(expanded(100_000, &[], &[]), vec![0; 100_000]);
        assert_eq!(expanded(0, &[], &[]), b"");
    }
}
