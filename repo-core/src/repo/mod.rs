//! Opens a repository (API draft: bodies come with the merge).
use crate::backend::Backend;
use crate::crypto::{KdfParams, Role};
use crate::error::Result;
use crate::format::key_slot::{Credential, Label, SlotKind};
use crate::format::settings::Settings;
use crate::id::{KeyId, RepositoryId};
use std::path::PathBuf;
use std::sync::Arc;

/// How a repository is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Where index runs are kept between runs; `None` keeps nothing.
    pub cache_dir: Option<PathBuf>,
    /// Where this client remembers the newest log entry it saw; `None` remembers nothing.
    pub state_dir: Option<PathBuf>,
    /// Most that a key slot may ask for; `None` means [`KdfParams::MAX`].
    pub kdf_max: Option<KdfParams>,
    /// The beginning of the id of the key slot to try first.
    pub key_hint: Option<String>,
    /// Take a log that is shorter than, or different from, what this client saw before.
    pub accept_rollback: bool,
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
}

/// A key slot as `key list` shows it.
#[derive(Debug, Clone)]
pub struct KeyInfo {
    /// The slot.
    pub id: KeyId,
    /// What opens it.
    pub kind: SlotKind,
    /// What its holder may do.
    pub role: Role,
    /// Whom it belongs to; `None` if the label does not open.
    pub label: Option<Label>,
    /// Whether this process opened the repository with it.
    pub current: bool,
}

/// An open repository.
pub struct Repo {}

impl Repo {
    /// Makes a repository in an empty place and opens it. `InvalidInput` if there is one already.
    pub fn init(_backend: Arc<dyn Backend>, _credential: &Credential, _init: &InitOptions, _open: &OpenOptions) -> Result<Self> { unimplemented!() }
    /// Opens a repository. `NoRepository`, `WrongPassword`, `Unsupported` (newer version, or a restic repository), `RolledBack`.
    pub fn open(_backend: Arc<dyn Backend>, _credential: &Credential, _options: &OpenOptions) -> Result<Self> { unimplemented!() }
    /// Whether there is a repository in this place.
    pub fn exists(_backend: &dyn Backend) -> Result<bool> { unimplemented!() }
    /// Its id.
    pub fn id(&self) -> RepositoryId { unimplemented!() }
    /// Its settings.
    pub fn settings(&self) -> Settings { unimplemented!() }
    /// Its key slots.
    pub fn keys(&self) -> Result<Vec<KeyInfo>> { unimplemented!() }
    /// Adds a key slot of role full.
    pub fn key_add(&self, _credential: &Credential, _kdf: KdfParams, _label: &Label) -> Result<KeyId> { unimplemented!() }
    /// Removes a key slot; never the one in use, never the last one.
    pub fn key_remove(&self, _id: &KeyId) -> Result<()> { unimplemented!() }
    /// Gives the slot in use another credential; the old slot is removed.
    pub fn key_passwd(&self, _old: &Credential, _new: &Credential, _kdf: KdfParams) -> Result<KeyId> { unimplemented!() }
}
