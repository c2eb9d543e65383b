//! Makes and opens repositories.

use super::blocks::BlockCache;
use super::detect::{self, Recognized, only_begun};
use super::history::History;
use super::kept::Kept;
use super::memory::Memory;
use super::pool::Pool;
use super::{Repo, Shared, keys};
use crate::backend::{Backend, Class, Put, probe, put_if_absent_or_same};
use crate::crypto::{DomainKeys, KdfParams, Keyring, Role, Secret, random_array};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::config;
use crate::format::entry::{Action, Member};
use crate::format::envelope::Envelopes;
use crate::format::key_slot::{self, Credential, Holder, Label};
use crate::format::name::{CONFIG, ObjectKind};
use crate::format::settings::Settings;
use crate::id::{KeyId, RepositoryId};
use crate::index::{Index, Place};
use crate::log::State;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};

/// Opened blocks of trees are kept up to this many bytes.
const BLOCK_CACHE_BYTES: usize = 16 << 20;

/// How a repository is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Where the index is kept between runs; `None` keeps nothing. What cannot be kept is no error
    /// ([`Index::cache_failure`]).
    pub cache_dir: Option<PathBuf>,
    /// Where this client remembers the newest log entry it saw; `None` remembers nothing. What cannot be written there is no
    /// error ([`Shared::memory_failure`]), what cannot be read is.
    pub state_dir: Option<PathBuf>,
    /// Most that a key slot may ask for; `None` means [`KdfParams::MAX`].
    pub kdf_max: Option<KdfParams>,
    /// The beginning of the id of the key slot to try first.
    pub key_hint: Option<String>,
    /// Take a log that is shorter than, or different from, what this client saw before.
    pub accept_rollback: bool,
    /// Threads for work on the processor; 0 means as many as there are cores.
    pub threads: usize,
}

/// How a repository is made.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// Cost of the first password's derivation.
    pub kdf: KdfParams,
    /// Whom the first key slot belongs to.
    pub label: Label,
    /// Settings to begin with.
    pub settings: Settings,
    /// Keys of another repository's domain for the one that backups go to, so that both give the same content the same ids.
    /// Whoever holds keys of one can then tell of content he has whether an id of the other names it.
    pub universe: Option<DomainKeys>,
}

impl Repo {
    /// Whether there is something in this place that calls itself a repository. `Missing` if there is a log and no
    /// `config`: a repository was there, and another one made in its place would bury it.
    pub fn exists(backend: &dyn Backend) -> Result<bool> {
        Ok(backend.size(CONFIG)?.is_some() || super::detect::log_without_config(backend)?)
    }

    /// What calls itself a repository in this place, if it is one that this version opens, as far as can be seen without a key:
    /// `NoRepository` (with a detail if the place itself is not there), `Unsupported` (a newer version, or a restic repository),
    /// `Missing` (there is a log and no `config`), `Damaged`. One small read; where there is none, also a listing.
    pub fn recognize(backend: &dyn Backend) -> Result<Recognized> {
        detect::recognize(backend)
    }

    /// Makes a repository in an empty place and opens it. `InvalidInput` if there is one already.
    ///
    /// Steps: key slot, `config` (from here on it is a repository, and of several who try one wins), the first log entry.
    /// After a stop before `config` it may be tried again, and after one before the first entry whoever opens the
    /// repository with full access finishes it.
    pub fn init(
        backend: Arc<dyn Backend>,
        credential: &Credential,
        init: &InitOptions,
        open: &OpenOptions,
    ) -> Result<Self> {
        let taken = || {
            Error::new(
                ErrorKind::InvalidInput,
                Subject::Repository(backend.place()),
            )
            .detail("is there already")
        };
        if Self::exists(backend.as_ref())? {
            return Err(taken());
        }
        init.settings.check()?;
        let class = probe::race(backend.as_ref(), "")?;
        let root = Secret::random();
        let (epoch, domain) = (init.settings.epoch, init.settings.domain);
        let mut ring = Keyring::from_root(&root, epoch, &[domain]);
        if let Some(keys) = &init.universe {
            ring.adopt(domain, epoch, keys);
        }
        let envelopes = Envelopes::new(ring, RepositoryId(random_array()));
        let domains = [domain];
        let slot = key_slot::create(
            &envelopes,
            Role::Full,
            &domains,
            credential,
            init.kdf,
            &init.label,
        )?;
        let key = KeyId::from(blake3::hash(&slot.bytes));
        backend.put(&ObjectKind::Key.name(&key.0), &slot.bytes)?;
        let config = config::seal(&envelopes, &init.settings)?;
        if put_if_absent_or_same(backend.as_ref(), CONFIG, &config)? == Put::Exists {
            return Err(taken());
        }
        let repo = Self::assemble(
            backend,
            slot.holder,
            envelopes,
            key,
            init.settings.clone(),
            open,
        )?;
        // Nobody else has it yet.
        let _ = repo.probed.set(class);
        repo.append_first()?;
        repo.refresh()?;
        Ok(repo)
    }

    /// The first entry says who may write; only the admin key may say it. Somebody else may have said it meanwhile.
    fn append_first(&self) -> Result<()> {
        let member = Member {
            writer: self.writer(),
            seal: self.holder.seal,
            role: self.holder.role,
            domains: self.holder.domains.clone(),
            ext: Vec::new(),
        };
        let roles = Action::Roles {
            members: vec![member],
            removed: Vec::new(),
        };
        let admin = self.ring().admin()?;
        let first = |state: &State| (state.tail().number == 0).then(|| roles.clone());
        self.append_as(&admin, &mut |state| Ok(first(state)))?;
        Ok(())
    }

    /// Folds the log and loads the index; before that, finishes an `init` that was stopped before the first log entry.
    fn refresh_first(&self) -> Result<()> {
        match self.refresh() {
            Err(e) if is_empty_log(&e) && only_begun(self.backend())? => {
                // Who has no full access cannot say who may write; for them the repository stays incomplete.
                self.append_first().map_err(|_| e)?;
                self.refresh()
            }
            done => done,
        }
    }

    /// Opens a repository: finds a key slot that `credential` opens, folds the log, loads what is new of the index.
    ///
    /// `NoRepository`, `WrongPassword`, `Unsupported` (a newer version, or a restic repository), `RolledBack` (the log
    /// is not what this client saw before), `Damaged`, `InvalidInput` (a slot asks for more than `kdf_max`).
    pub fn open(
        backend: Arc<dyn Backend>,
        credential: &Credential,
        options: &OpenOptions,
    ) -> Result<Self> {
        let recognized = Self::recognize(backend.as_ref())?;
        Self::open_recognized(backend, &recognized, credential, options)
    }

    /// The same for a repository that was recognized in this place before.
    pub fn open_recognized(
        backend: Arc<dyn Backend>,
        recognized: &Recognized,
        credential: &Credential,
        options: &OpenOptions,
    ) -> Result<Self> {
        let id = recognized.id;
        let kept = kept(backend.as_ref(), &id, options);
        let last = kept.last_key().map(KeyId);
        let (key, holder) = keys::open_any(backend.as_ref(), id, credential, options, last)?;
        kept.put_last_key(&key.0);
        let envelopes = Envelopes::new(holder.ring.clone(), id);
        let settings = config::open(&envelopes, &recognized.config)
            .map_err(|e| e.about(Subject::Object(CONFIG.to_owned())))?;
        let repo = Self::assemble(backend, holder, envelopes, key, settings, options)?;
        repo.refresh_first()?;
        Ok(repo)
    }

    fn assemble(
        backend: Arc<dyn Backend>,
        holder: Holder,
        envelopes: Envelopes,
        key: KeyId,
        first_settings: Settings,
        options: &OpenOptions,
    ) -> Result<Self> {
        let id = envelopes.repository().to_hex();
        let cache_dir = options.cache_dir.as_ref().map(|dir| dir.join(&id));
        let cache = cache_dir.as_ref().map(|dir| dir.join("index"));
        let kept = kept(backend.as_ref(), &envelopes.repository(), options);
        let spill = std::env::temp_dir();
        let index = Index::open(match &cache {
            Some(dir) => Place::Cache(dir),
            None => Place::Spill(&spill),
        });
        let index = index.map_err(|e| match (e.io_cause(), &cache) {
            (Some(_), Some(_)) => e.detail("use the cache directory"),
            (Some(_), None) => e.detail("use the temporary directory"),
            (None, _) => e,
        })?;
        let memory = Memory::new(options.state_dir.as_deref(), &id, options.accept_rollback);
        let state = State::new(holder.admin, Class::A);
        Ok(Self(Arc::new(Shared {
            pool: Pool::new(options.threads)?,
            backend,
            envelopes,
            key,
            first_settings,
            history: Mutex::new(History::new(state.clone(), memory)),
            state: RwLock::new(Arc::new(state)),
            holder,
            index,
            kept,
            cache_dir,
            blocks: BlockCache::new(BLOCK_CACHE_BYTES),
            readers: Mutex::new(HashMap::new()),
            follow: Default::default(),
            elsewhere: Default::default(),
            incomplete: AtomicBool::new(false),
            presence: Mutex::default(),
            probed: OnceLock::new(),
            has_appended: AtomicBool::new(false),
            takes_entries: AtomicBool::new(false),
            process: Mutex::new(Weak::new()),
        })))
    }
}

/// What this machine keeps of a repository: nothing of a local place, which is as fast itself.
fn kept(backend: &dyn Backend, id: &RepositoryId, options: &OpenOptions) -> Kept {
    let dir = options.cache_dir.as_ref();
    let dir = dir.filter(|_| backend.limits().remote);
    Kept::new(dir.map(|dir| dir.join(id.to_hex()).join("objects")))
}

/// Whether an error says that there is no log entry at all.
fn is_empty_log(error: &Error) -> bool {
    error.kind() == ErrorKind::Missing && *error.subject() == Subject::Entry(1)
}

/// An error that a credential fits no slot.
pub fn wrong_password(backend: &dyn Backend) -> Error {
    Error::new(
        ErrorKind::WrongPassword,
        Subject::Repository(backend.place()),
    )
}
