//! What a restore reads back.

use super::support::*;
use crate::error::Error;
use crate::ops::{RestoreOptions, RestoreSummary, restore};
use crate::progress::{Counter, Interrupt, Progress};
use std::collections::HashSet;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::thread::ThreadId;
use std::time::Duration;

/// Remembers which threads read back, and how much.
#[derive(Default)]
struct Readers {
    listener: Listener,
    seen: Mutex<(HashSet<ThreadId>, u64)>,
}

impl Progress for Readers {
    fn count(&self, counter: Counter, by: u64) {
        if counter == Counter::BytesVerified {
            let mut seen = self.seen.lock().unwrap();
            seen.0.insert(std::thread::current().id());
            seen.1 += by;
            drop(seen);
            // So that no thread is done with all before another one has begun.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn problem(&self, path: &Path, error: &Error) {
        self.listener.problem(path, error);
    }
}

#[test]
fn all_threads_read_one_large_file_back() {
    const LEN: usize = 40 << 20;
    let bed = Bed::new();
    bed.write("large", &noise(1, LEN));
    let repo = bed.open();
    let id = bed.backup(&repo).unwrap().snapshot.unwrap();
    let target = tempfile::tempdir().unwrap();
    let verified = |trusting: bool| -> (RestoreSummary, Readers) {
        let options = RestoreOptions {
            subfolder: Some(bed.source()),
            verify: true,
            overwrite: match trusting {
                true => crate::ops::Overwrite::IfChanged,
                false => crate::ops::Overwrite::Always,
            },
            ..RestoreOptions::default()
        };
        let readers = Readers::default();
        let interrupt = Interrupt::new();
        let done = restore(&repo, &id, target.path(), &options, &readers, &interrupt);
        (done.unwrap(), readers)
    };
    let (summary, readers) = verified(false);
    assert_eq!((summary.files_verified, summary.problems), (1, 0));
    let (threads, bytes) = readers.seen.into_inner().unwrap();
    assert_eq!(bytes, LEN as u64);
    assert_eq!(threads.len() > 1, repo.pool().threads() > 1);

    let file = target.path().join("large");
    let mtime = std::fs::metadata(&file).unwrap().modified().unwrap();
    let handle = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    handle.write_all_at(b"other", 30 << 20).unwrap();
    handle.set_modified(mtime).unwrap();
    let (summary, readers) = verified(true);
    assert_eq!((summary.files_verified, summary.problems), (0, 1));
    let said = readers.listener.problems();
    assert!(said[0].contains("not what the snapshot holds"), "{said:?}");
}
