//! A source tree, a place in memory and a client, for tests of whole operations.

use crate::backend::{Backend, Limits, Listed, MemoryBackend, Put};
use crate::crypto::{KdfParams, Signer, random_array};
use crate::error::{Error, Result};
use crate::format::entry::{self, Action, Entry};
use crate::format::key_slot::{self, Credential};
use crate::format::name::{self, ObjectKind};
use crate::format::settings::Settings;
use crate::id::SnapshotId;
use crate::ops::{
    BackupOptions, BackupSummary, CheckOptions, CheckSummary, Input, RestoreOptions,
    RestoreSummary, backup, check, restore,
};
use crate::progress::{Counter, Interrupt, Note, Progress};
use crate::repo::{InitOptions, OpenOptions, Repo};
use crate::time::now;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Costs next to nothing.
pub const CHEAP: KdfParams = KdfParams {
    m_kib: 64,
    t: 1,
    p: 1,
};

/// A client with a source tree, and a place. Packs are as small as they may be.
pub struct Bed {
    /// The place itself, past all faults.
    pub place: MemoryBackend,
    /// Whether this client keeps an index and what it read.
    pub cached: bool,
    dir: TempDir,
}

impl Bed {
    /// An empty source and an empty place.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("source")).unwrap();
        Self {
            place: MemoryBackend::new(),
            cached: false,
            dir,
        }
    }

    /// An empty source and a new repository.
    pub fn new() -> Self {
        let bed = Self::empty();
        bed.init(Arc::new(bed.place.clone())).unwrap();
        bed
    }

    /// Makes the repository through `backend`.
    pub fn init(&self, backend: Arc<dyn Backend>) -> Result<Repo> {
        let settings = Settings {
            pack_bytes: 1 << 20,
            block_bytes: 64 << 10,
            ..Settings::default()
        };
        let init = InitOptions {
            kdf: CHEAP,
            settings,
            ..InitOptions::default()
        };
        Repo::init(backend, &password(), &init, &self.options())
    }

    /// Opens the repository, as a new process does.
    pub fn open(&self) -> Repo {
        self.open_on(Arc::new(self.place.clone())).unwrap()
    }

    /// Opens the repository through `backend`.
    pub fn open_on(&self, backend: Arc<dyn Backend>) -> Result<Repo> {
        Repo::open(backend, &password(), &self.options())
    }

    /// Opens the repository through `backend` as a client that was never there, with any key.
    pub fn open_anew(&self, backend: Arc<dyn Backend>, key: &Credential) -> Result<Repo> {
        let options = OpenOptions {
            cache_dir: None,
            state_dir: None,
            ..self.options()
        };
        Repo::open(backend, key, &options)
    }

    /// As `backup --init`: opens the repository, or makes it if there is none.
    pub fn open_or_init(&self, backend: Arc<dyn Backend>) -> Result<Repo> {
        match Repo::exists(backend.as_ref())? {
            true => self.open_on(backend),
            false => self.init(backend),
        }
    }

    /// How this client opens repositories: it remembers what it saw, and keeps no index unless it is to.
    pub fn options(&self) -> OpenOptions {
        let state_dir = Some(self.dir.path().join("state"));
        OpenOptions {
            cache_dir: self.cached.then(|| self.dir.path().join("cache")),
            state_dir,
            threads: 2,
            ..OpenOptions::default()
        }
    }

    /// Where the source is.
    pub fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    /// Writes a file of the source.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.source().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Removes a file of the source.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.source().join(name)).unwrap();
    }

    /// The source as it is now.
    pub fn tree(&self) -> Tree {
        describe(&self.source())
    }

    /// Backs the source up. Panics if an item has a problem.
    pub fn backup(&self, repo: &Repo) -> Result<BackupSummary> {
        let listener = Listener::default();
        let made = self.backup_with(repo, &listener, &Interrupt::new());
        assert_eq!(listener.problems(), [""; 0], "backing up");
        made
    }

    /// Backs the source up, and tells `listener` of it.
    pub fn backup_with(
        &self,
        repo: &Repo,
        listener: &Listener,
        interrupt: &Interrupt,
    ) -> Result<BackupSummary> {
        let options = BackupOptions {
            host: "host".into(),
            ..BackupOptions::default()
        };
        backup(
            repo,
            Input::Paths(vec![self.source()]),
            &options,
            listener,
            interrupt,
        )
    }

    /// Backs the source up with this description.
    pub fn backup_described(&self, repo: &Repo, description: &str) -> Result<BackupSummary> {
        let options = BackupOptions {
            host: "host".into(),
            description: description.into(),
            ..BackupOptions::default()
        };
        quietly(repo, Input::Paths(vec![self.source()]), &options)
    }

    /// Restores what was the source; gives what became of it, and what was said.
    pub fn restore(&self, repo: &Repo, id: &SnapshotId) -> Result<Restored> {
        let target = tempfile::tempdir_in(self.dir.path()).unwrap();
        let options = RestoreOptions {
            subfolder: Some(self.source()),
            ..RestoreOptions::default()
        };
        let listener = Listener::default();
        let summary = restore(
            repo,
            id,
            target.path(),
            &options,
            &listener,
            &Interrupt::new(),
        )?;
        Ok(Restored {
            summary,
            tree: describe(target.path()),
            problems: listener.problems(),
        })
    }

    /// Panics unless a snapshot restores to exactly `tree`.
    pub fn assert_restores(&self, repo: &Repo, id: &SnapshotId, tree: &Tree) {
        let restored = self.restore(repo, id).unwrap();
        assert_eq!(restored.problems, [""; 0], "restoring {}", id.short());
        assert_same(&restored.tree, tree);
    }
}

/// A backup that nobody watches.
pub fn quietly(repo: &Repo, input: Input<'_>, options: &BackupOptions) -> Result<BackupSummary> {
    backup(
        repo,
        input,
        options,
        &Listener::default(),
        &Interrupt::new(),
    )
}

/// Somebody else with full access, who appends entries that nobody has checked.
pub struct Other<'a> {
    /// Where.
    pub place: &'a MemoryBackend,
    /// The repository as they have it open.
    pub repo: Repo,
    /// Their key.
    pub signer: Signer,
}

impl<'a> Other<'a> {
    /// Opens the repository in their name.
    pub fn new(bed: &Bed, place: &'a MemoryBackend) -> Self {
        let repo = bed.open_anew(Arc::new(place.clone()), &password()).unwrap();
        let slot = place.get(&ObjectKind::Key.name(&repo.key().0)).unwrap();
        let slot = key_slot::parse(&slot).unwrap();
        let holder = key_slot::open(&slot, repo.id(), &password(), &KdfParams::MAX).unwrap();
        Self {
            place,
            repo,
            signer: holder.signer,
        }
    }

    /// Appends an entry.
    pub fn append(&self, action: Action) {
        self.repo.refresh().unwrap();
        let state = self.repo.state();
        let entry = Entry {
            number: state.tail().number + 1,
            nonce: random_array(),
            follows: state.tail().heads.clone(),
            time: now(),
            process: None,
            action: Some(action),
        };
        let core = entry.seal(self.repo.envelopes(), &self.signer).unwrap();
        self.append_core(entry.number, &core);
    }

    /// Appends a sealed core.
    pub fn append_core(&self, number: u64, core: &[u8]) {
        let file = entry::encode_file(core, &[]);
        let put = self.place.put_if_absent(&name::entry(number), &file);
        assert_eq!(put.unwrap(), Put::Created);
        self.repo.refresh().unwrap();
    }
}

/// What [`Meanwhile`] calls a listing.
pub const LISTING: &str = "a listing";

/// A place at which something happens once, right before the first object of a kind is put there, or where the kind is [`LISTING`] before it is listed.
pub struct Meanwhile<'a> {
    place: MemoryBackend,
    kind: &'static str,
    times: Mutex<u32>,
    event: Box<dyn Fn(&MemoryBackend) + Send + Sync + 'a>,
}

impl<'a> Meanwhile<'a> {
    /// Lets `event` happen before each of the first `times` puts of a kind.
    pub fn before(
        place: &MemoryBackend,
        kind: &'static str,
        times: u32,
        event: impl Fn(&MemoryBackend) + Send + Sync + 'a,
    ) -> Self {
        Self {
            place: place.clone(),
            kind,
            times: Mutex::new(times),
            event: Box::new(event),
        }
    }

    fn happen(&self, name: &str) {
        let mut times = self.times.lock().unwrap();
        if *times > 0 && name.starts_with(self.kind) {
            *times -= 1;
            (self.event)(&self.place);
        }
    }
}

impl Backend for Meanwhile<'_> {
    fn place(&self) -> String {
        self.place.place()
    }

    fn limits(&self) -> Limits {
        self.place.limits()
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        self.place.get(name)
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        self.place.get_range(name, offset, len)
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        self.happen(name);
        self.place.put_parts(name, parts)
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        self.happen(name);
        self.place.put_if_absent(name, bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        if self.kind == LISTING {
            self.happen(LISTING);
        }
        self.place.list(prefix, each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.place.delete(name)
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        self.place.size(name)
    }
}

/// What a restore gave.
pub struct Restored {
    /// Its numbers.
    pub summary: RestoreSummary,
    /// What lies in the target now.
    pub tree: Tree,
    /// What could not be done.
    pub problems: Vec<String>,
}

/// The password of all repositories here.
pub fn password() -> Credential {
    Credential::password("secret")
}

/// A check with all data read.
pub fn check_all(repo: &Repo) -> CheckSummary {
    check_with(repo, true).unwrap()
}

/// A check, with or without all data read.
pub fn check_with(repo: &Repo, read_data: bool) -> Result<CheckSummary> {
    let options = CheckOptions {
        read_data,
        ..CheckOptions::default()
    };
    check(repo, &options, &Listener::default(), &Interrupt::new())
}

/// Panics unless a check with all data read finds nothing.
pub fn assert_clean(repo: &Repo) {
    let found = check_all(repo);
    let errors: Vec<String> = found.findings.iter().map(|f| f.error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
}

/// Bytes that no compressor makes smaller, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    };
    std::iter::repeat_with(&mut next)
        .flatten()
        .take(len)
        .collect()
}

/// A tree by path: mode, time, and content or what else there is.
pub type Tree = BTreeMap<PathBuf, (u32, i64, Vec<u8>)>;

/// Reads a tree.
pub fn describe(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut stack = vec![PathBuf::new()];
    while let Some(path) = stack.pop() {
        let full = root.join(&path);
        let meta = std::fs::symlink_metadata(&full).unwrap();
        let content = if meta.is_dir() {
            let entries = std::fs::read_dir(&full).unwrap();
            stack.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
            Vec::new()
        } else if meta.is_symlink() {
            let target = std::fs::read_link(&full).unwrap();
            target.into_os_string().into_encoded_bytes()
        } else if meta.is_file() {
            std::fs::read(&full).unwrap()
        } else {
            Vec::new()
        };
        // The target itself is the caller's.
        if !path.as_os_str().is_empty() {
            let time = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
            tree.insert(path, (meta.mode(), time, content));
        }
    }
    tree
}

/// Compares two trees; says briefly how they differ.
pub fn assert_same(one: &Tree, other: &Tree) {
    let paths: BTreeSet<&PathBuf> = one.keys().chain(other.keys()).collect();
    let differ: Vec<_> = paths
        .into_iter()
        .filter(|path| one.get(*path) != other.get(*path))
        .collect();
    let brief = |tree: &Tree, path: &Path| {
        tree.get(path)
            .map(|(mode, time, bytes)| (*mode, *time, bytes.len()))
    };
    let brief = differ
        .iter()
        .map(|path| (path, brief(one, path), brief(other, path)));
    assert!(
        differ.is_empty(),
        "these differ: {:?}",
        brief.collect::<Vec<_>>()
    );
}

/// How many copies the index has of every blob.
pub fn copies(repo: &Repo) -> BTreeMap<crate::id::BlobId, usize> {
    let mut copies = BTreeMap::new();
    repo.index()
        .for_each_blob(&mut |id, _| {
            *copies.entry(id).or_insert(0) += 1;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    copies
}

/// The names of all objects of a kind.
pub fn names(place: &MemoryBackend, kind: &str) -> Vec<String> {
    let prefix = format!("{kind}/");
    place
        .objects()
        .into_keys()
        .filter(|name| name.starts_with(&prefix))
        .collect()
}

/// Remembers problems and what was resumed.
#[derive(Default)]
pub struct Listener {
    problems: Mutex<Vec<String>>,
    resumed: Mutex<u64>,
}

impl Listener {
    /// The problems so far, a line each.
    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap().clone()
    }

    /// How many packs of interrupted runs were taken over.
    pub fn resumed(&self) -> u64 {
        *self.resumed.lock().unwrap()
    }
}

impl Progress for Listener {
    fn count(&self, _: Counter, _: u64) {}

    fn problem(&self, path: &Path, error: &Error) {
        self.problems
            .lock()
            .unwrap()
            .push(format!("{}: {error}", path.display()));
    }

    fn note(&self, note: Note<'_>) {
        if let Note::Resumed { packs, .. } = note {
            *self.resumed.lock().unwrap() += packs;
        }
    }
}
