//! A repository in memory into which entries, key slots and packs are put by hand.

use repo_core::Result;
use repo_core::backend::{Backend, MemoryBackend, Put};
use repo_core::crypto::{BlobType, KdfParams, Role, Secret, Signer, random_array};
use repo_core::format::entry::{self, Action, Entry, Member};
use repo_core::format::key_slot::{self, Credential, Holder, Label};
use repo_core::format::name::{self, ObjectKind};
use repo_core::format::snapshot::{Snapshot, Summary};
use repo_core::id::{BlobId, SnapshotId};
use repo_core::progress::{Interrupt, Silent};
use repo_core::repo::{
    CommitOutcome, CommitRequest, InitOptions, OpenOptions, Repo, WriteOptions, Written,
};
use repo_core::time::Timestamp;
use std::sync::Arc;

/// A key file's credential takes no time; each role has its own.
fn credential(role: Role) -> Credential {
    Credential::KeyFile(Secret::new([role as u8; 32]))
}

pub fn options() -> OpenOptions {
    OpenOptions {
        threads: 1,
        ..OpenOptions::default()
    }
}

pub struct Place {
    pub backend: Arc<MemoryBackend>,
    pub full: Repo,
}

/// A holder of a role with a repository opened in its name.
pub struct Opened {
    pub repo: Repo,
    pub holder: Holder,
}

impl Place {
    pub fn new() -> Self {
        let backend = Arc::new(MemoryBackend::new());
        let init = InitOptions::default();
        let full = Repo::init(backend.clone(), &credential(Role::Full), &init, &options()).unwrap();
        Self { backend, full }
    }

    /// Puts a slot of `role` and the `Roles` entry that lists it, and opens the repository with it.
    pub fn add(&self, role: Role) -> Opened {
        let full = self.full.envelopes();
        let label = Label::default();
        let params = KdfParams::default();
        let slot = key_slot::create(full, role, &[0], &credential(role), params, &label).unwrap();
        let id = entry::hash(&slot.bytes).0;
        self.backend
            .put(&ObjectKind::Key.name(&id), &slot.bytes)
            .unwrap();
        self.full.refresh().unwrap();
        let mut members = self.full.state().members().to_vec();
        members.push(Member {
            writer: slot.holder.signer.public(),
            seal: slot.holder.seal,
            role,
            domains: vec![0],
            ext: vec![],
        });
        let admin = full.ring().admin().unwrap();
        self.append(
            &admin,
            Action::Roles {
                members,
                removed: vec![],
            },
        );
        Opened {
            repo: self.open(role).unwrap(),
            holder: slot.holder,
        }
    }

    pub fn open(&self, role: Role) -> Result<Repo> {
        Repo::open(self.backend.clone(), &credential(role), &options())
    }

    /// Appends an entry that nobody has checked.
    pub fn append(&self, signer: &Signer, action: Action) -> u64 {
        self.full.refresh().unwrap();
        let state = self.full.state();
        let entry = Entry {
            number: state.tail().number + 1,
            nonce: random_array(),
            follows: state.tail().heads.clone(),
            time: Timestamp::new(1, 0),
            process: None,
            action: Some(action),
        };
        let core = entry.seal(self.full.envelopes(), signer).unwrap();
        let file = entry::encode_file(&core, &[]);
        let put = self
            .backend
            .put_if_absent(&name::entry(entry.number), &file)
            .unwrap();
        assert_eq!(put, Put::Created);
        self.full.refresh().unwrap();
        entry.number
    }
}

/// Blobs of one type.
pub type Blobs<'a> = (BlobType, &'a [&'a [u8]]);

/// Writes blobs, and gives their ids.
pub fn write(repo: &Repo, blobs: &[Blobs<'_>]) -> Result<(Vec<BlobId>, Written)> {
    let interrupt = Interrupt::new();
    let options = WriteOptions::new(&Silent, &interrupt);
    repo.write(options, |writer| {
        let mut ids = Vec::new();
        for (kind, plaintexts) in blobs {
            for plain in *plaintexts {
                let id = repo.hasher(*kind)?.id(plain);
                writer.add(*kind, &id, plain)?;
                ids.push(id);
            }
        }
        Ok(ids)
    })
}

pub fn snapshot(repo: &Repo, root: BlobId) -> Snapshot {
    Snapshot {
        summary: Summary {
            root,
            host: "host".into(),
            ..Summary::default()
        },
        domain: 0,
        writer: repo.writer(),
        sequence: 1,
        sources: vec![],
        ext: vec![],
    }
}

/// Stores a snapshot of what was written and commits it.
pub fn commit(repo: &Repo, root: BlobId, written: Written) -> Result<(SnapshotId, CommitOutcome)> {
    let stored = snapshot(repo, root);
    let snapshot = repo.save_snapshot(&stored)?;
    let request = CommitRequest::new(snapshot, stored.summary, written);
    Ok((snapshot, repo.commit(&request)?))
}
