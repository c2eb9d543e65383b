//! Gives the kernel what lies around a place that was read in a large file.
//!
//! Whoever reads here and there in an image of a disk or a database has a block of two megabytes opened for four kilobytes. What else
//! is in it goes into the kernel's cache, so that the block need not be opened again; the kernel drops it first when memory is short.

use fuser::{INodeNo, Notifier};
use repo_core::vfs::{FileMap, Reader};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Only of files from this length on: several blocks.
const FILE_BYTES_MIN: u64 = 16 << 20;

/// The kernel takes whole pages.
const PAGE: u64 = 4096;

/// So many wishes wait; who has more does without.
const WISHES_MAX: usize = 2;

/// A place in a file.
pub struct Wish {
    number: u64,
    map: Arc<FileMap>,
    at: u64,
}

/// Gives what is wished for, on a thread of its own: it waits for pages that the kernel waits for the answers about, so it must be none
/// of those that answer.
pub struct Around {
    reader: Reader,
    wishes: Receiver<Wish>,
}

impl Around {
    /// Takes wishes; nothing is given before [`Around::start`].
    pub fn new(reader: Reader) -> (SyncSender<Wish>, Self) {
        let (sender, wishes) = sync_channel(WISHES_MAX);
        (sender, Self { reader, wishes })
    }

    /// Wishes for what lies around this byte, if the file is large and there is time for it.
    pub fn wish(sender: &SyncSender<Wish>, number: u64, map: Arc<FileMap>, at: u64) {
        if map.whole_len().is_some_and(|len| len >= FILE_BYTES_MIN) {
            // Whoever has no time does without.
            let _ = sender.try_send(Wish { number, map, at });
        }
    }

    /// Begins; ends with the last sender.
    pub fn start(self, notifier: Notifier) -> io::Result<()> {
        let named = std::thread::Builder::new().name("mount.around".into());
        named.spawn(move || {
            while let Ok(wish) = self.wishes.recv() {
                self.give(&wish, &notifier);
            }
        })?;
        Ok(())
    }

    fn give(&self, wish: &Wish, notifier: &Notifier) {
        let size = wish.map.whole_len().unwrap_or(0);
        // Whoever reads there meets an error again.
        let Ok(Some((start, bytes))) = self.reader.around(&wish.map, wish.at) else {
            return;
        };
        let end = start + bytes.len() as u64;
        let first = start.next_multiple_of(PAGE);
        let last = if end == size { end } else { end / PAGE * PAGE };
        if first < last {
            let pages = &bytes[(first - start) as usize..(last - start) as usize];
            // The kernel may have forgotten the file meanwhile.
            let _ = notifier.store(INodeNo(wish.number), first, pages);
        }
    }
}
