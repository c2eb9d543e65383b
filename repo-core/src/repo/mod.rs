//! Opens a repository, reads blobs, writes blobs, folds and appends to the commit log.
//!
//! Only here do backend, keys, packs, index and log meet.

mod append;
mod blocks;
mod catalog;
mod checkpoints;
mod codec;
mod commit;
mod deleting;
mod detect;
mod elsewhere;
mod ends;
mod entry_set;
mod follow;
mod history;
mod kept;
mod keys;
mod memory;
mod open;
mod orphans;
mod pool;
mod presence;
mod process;
mod records;
mod repeated;
mod running;
mod tables;
mod threads;
mod uploads;
mod writer;

pub use blocks::{BlockCache, blob_in, lock};
pub(crate) use catalog::PictureRows;
pub use commit::{CommitOutcome, CommitRequest};
pub use deleting::{DeletingProcess, Waited};
pub use detect::Recognized;
pub use keys::{Changed, KeyFailure, KeyInfo, NewOwner};
pub use open::{InitOptions, OpenOptions};
pub use orphans::{Resumed, Run};
pub use pool::{Pool, Ticket};
pub(crate) use repeated::Repeated;
pub(crate) use tables::Tables;
pub(crate) use threads::on_threads;
pub use uploads::{pack_object, pack_ref};
pub use writer::{WriteOptions, Writer, Written};

use crate::backend::{Backend, Class};
use crate::crypto::{BlobHasher, BlobType, Keyring};
use crate::error::{Error, Result, Subject};
use crate::format::envelope::Envelopes;
use crate::format::key_slot::Holder;
use crate::format::settings::Settings;
use crate::id::{KeyId, PackId, RepositoryId, SnapshotId, WriterId};
use crate::index::Index;
use crate::log::State;
use crate::pack::BlockReader;
use history::History;
use kept::Kept;
use presence::Presence;
use process::Process;
use std::collections::HashMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};

/// An open repository. Clones share everything; any thread may use one.
#[derive(Clone)]
pub struct Repo(Arc<Shared>);

/// What all clones share.
pub struct Shared {
    backend: Arc<dyn Backend>,
    envelopes: Envelopes,
    holder: Holder,
    key: KeyId,
    first_settings: Settings,
    history: Mutex<History>,
    state: RwLock<Arc<State>>,
    index: Index,
    /// Sealed objects on this machine.
    kept: Kept,
    /// What else this machine keeps of the repository lies here.
    cache_dir: Option<PathBuf>,
    blocks: BlockCache,
    readers: Mutex<HashMap<(PackId, u8), Arc<BlockReader>>>,
    follow: follow::Follow,
    elsewhere: elsewhere::Elsewhere,
    pool: Pool,
    /// Which packs were looked for, and which are lost.
    presence: Mutex<Presence>,
    /// Tables in force could not be had the last time.
    incomplete: AtomicBool,
    /// What kind of place this is, once it was found out.
    probed: OnceLock<Class>,
    /// Whether this process has added to the log.
    has_appended: AtomicBool,
    /// It was seen that the log takes entries, and nothing appended since.
    takes_entries: AtomicBool,
    /// Class C: this process, while it is at work.
    process: Mutex<Weak<Process>>,
}

impl Deref for Repo {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// The repository's id.
    pub fn id(&self) -> RepositoryId {
        self.envelopes.repository()
    }

    /// Where it lies, for people.
    pub fn place(&self) -> String {
        self.backend.place()
    }

    /// The keys that this process holds.
    pub fn ring(&self) -> &Keyring {
        self.envelopes.ring()
    }

    /// The place itself, for operations that look at objects as files.
    pub fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// From now on everything is read at the place itself, and nothing that this machine keeps of it: for operations that say
    /// whether the repository is whole.
    pub fn read_past_cache(&self) {
        self.kept.read_past();
    }

    /// Why something could not be kept on this machine, the first time, until somebody asks.
    pub fn cache_failure(&self) -> Option<Error> {
        self.index.cache_failure().or_else(|| self.kept.failure())
    }

    /// The directory in the cache for what this machine keeps of the repository; it may not be there.
    pub(crate) fn cache_dir(&self) -> Option<&Path> {
        self.cache_dir.as_deref()
    }

    /// Remembers why something could not be kept.
    pub(crate) fn cache_failed(&self, error: Error) {
        self.kept.failed(error);
    }

    /// Seals and opens records.
    pub fn envelopes(&self) -> &Envelopes {
        &self.envelopes
    }

    /// Who signs what this process appends.
    pub fn writer(&self) -> WriterId {
        self.holder.signer.public()
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        self.state()
            .settings()
            .unwrap_or(&self.first_settings)
            .clone()
    }

    /// Threads for work on the processor.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Which pack and block hold which blob.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Whether this process has added anything to the log.
    pub fn has_appended(&self) -> bool {
        self.has_appended.load(Ordering::Relaxed)
    }

    /// Whether tables in force are missing or damaged, so that the index lacks what only they name. Everything else can be
    /// read; a check names them.
    pub fn index_is_incomplete(&self) -> bool {
        self.incomplete.load(Ordering::Relaxed)
    }

    /// Refuses to decide what is lost, or may go, while tables in force are.
    pub(crate) fn refuse_incomplete_index(&self) -> Result<()> {
        if !self.index_is_incomplete() {
            return Ok(());
        }
        let place = Subject::Repository(self.place());
        Err(Error::damaged(place).detail(
            "an index table is missing or damaged, so that it is not known what is lost or may go; nothing was deleted; \
             `larder repair index` enters anew what its packs hold",
        ))
    }

    /// The log's fold as this process last saw it.
    pub fn state(&self) -> Arc<State> {
        self.state
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn set_state(&self, state: Arc<State>) {
        *self
            .state
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = state;
    }

    /// Names blobs of a type, in the domain in use.
    pub fn hasher(&self, kind: BlobType) -> Result<BlobHasher> {
        self.ring().blob_hasher(self.first_settings.domain, kind)
    }

    /// Snapshots that were committed and not forgotten, with their sealed summaries.
    pub fn live_snapshots(&self) -> Vec<(SnapshotId, Arc<[u8]>)> {
        self.state()
            .live_snapshots()
            .map(|(id, row)| (*id, row.summary.clone()))
            .collect()
    }

    /// The how-manieth snapshot of this writer the next one is, counted from 1.
    pub fn next_sequence(&self) -> u64 {
        let (state, me) = (self.state(), self.writer());
        let all = state.live_snapshots().chain(state.forgotten_snapshots());
        1 + all.filter(|(_, row)| row.writer == me).count() as u64
    }
}
