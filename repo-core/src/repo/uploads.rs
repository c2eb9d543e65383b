//! Sends finished packs to the backend, on threads of their own: they wait for disks and networks, not for processors.

use super::Repo;
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::ObjectRef;
use crate::format::name::ObjectKind;
use crate::format::rows::PackEntry;
use crate::id::PackId;
use crate::pack::PackBuilder;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::Scope;

/// Most packs that are uploaded at once. Each is a pack in memory.
const THREADS_MAX: usize = 2;

/// The queue of packs on their way. Memory: one pack a thread, and one waiting.
pub struct Uploads {
    queue: Option<SyncSender<PackBuilder>>,
    done: Receiver<Result<PackEntry>>,
    under_way: usize,
}

/// The folder of packs of a kind of blobs.
pub fn pack_object(kind: BlobType) -> ObjectKind {
    match kind {
        BlobType::Data => ObjectKind::Data,
        BlobType::Tree => ObjectKind::Meta,
    }
}

/// A pack as entries name it.
pub fn pack_ref(kind: BlobType, id: &PackId) -> ObjectRef {
    ObjectRef {
        kind: pack_object(kind),
        id: id.0,
    }
}

impl Uploads {
    /// Starts the threads in `scope`, fewer if the system refuses more than one; they end when the queue is dropped.
    pub fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        repo: &'env Repo,
    ) -> Result<Self> {
        let (queue, packs) = sync_channel::<PackBuilder>(0);
        let (results, done) = channel();
        let packs = Arc::new(Mutex::new(packs));
        for n in 0..repo.backend.limits().connections.clamp(1, THREADS_MAX) {
            let (packs, results) = (packs.clone(), results.clone());
            let started = std::thread::Builder::new()
                .name(format!("larder.upload.{n}"))
                .spawn_scoped(scope, move || upload_all(repo, &packs, &results));
            match started {
                Err(e) if n == 0 => {
                    return Err(Error::io(Subject::None, e).detail("cannot start a thread"));
                }
                _ => {}
            }
        }
        Ok(Self {
            queue: Some(queue),
            done,
            under_way: 0,
        })
    }

    /// Sends a pack; waits while all threads are busy.
    pub fn send(&mut self, pack: PackBuilder) -> Result<()> {
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.send(pack).map_err(|_| gone())?;
        self.under_way += 1;
        Ok(())
    }

    /// A pack that has arrived, if there is one already.
    pub fn arrived(&mut self) -> Option<Result<PackEntry>> {
        let result = self.done.try_recv().ok()?;
        self.under_way -= 1;
        Some(result)
    }

    /// Waits for the next pack to arrive; `None` when none is under way.
    pub fn next(&mut self) -> Option<Result<PackEntry>> {
        if self.under_way == 0 {
            return None;
        }
        self.under_way -= 1;
        Some(self.done.recv().unwrap_or_else(|_| Err(gone())))
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, Subject::None).detail("an upload thread has ended")
}

fn upload_all(
    repo: &Repo,
    packs: &Mutex<Receiver<PackBuilder>>,
    results: &Sender<Result<PackEntry>>,
) {
    loop {
        let next = packs.lock().map(|queue| queue.recv());
        let Ok(Ok(pack)) = next else { return };
        // Whoever waits for the result must get one.
        let result = catch_unwind(AssertUnwindSafe(|| upload(repo, pack)));
        if results
            .send(result.unwrap_or_else(|_| Err(gone())))
            .is_err()
        {
            return;
        }
    }
}

/// Seals the directory, names the pack by its hash and stores it; gives what the index says of it. After any step a stop leaves an orphan at most.
fn upload(repo: &Repo, pack: PackBuilder) -> Result<PackEntry> {
    let (entry, bytes) = pack.finish(repo.ring(), &repo.id())?;
    let name = pack_object(entry.kind).name(&entry.id.0);
    let parts = bytes.slices();
    repo.backend.put_parts(&name, &parts)?;
    if entry.kind == BlobType::Tree {
        repo.kept.put(&name, &parts);
    }
    Ok(entry)
}
