//! Repositories that are made of nothing.

use repo_core::Result;
use repo_core::backend::LocalBackend;
use repo_core::crypto::{BlobType, KdfParams};
use repo_core::format::codec;
use repo_core::format::key_slot::Credential;
use repo_core::format::snapshot::{Snapshot, Summary};
use repo_core::format::tree::Tree;
use repo_core::id::BlobId;
use repo_core::progress::{Interrupt, Silent};
use repo_core::repo::{
    CommitOutcome, CommitRequest, InitOptions, OpenOptions, Repo, WriteOptions, Written,
};
use repo_core::time::Timestamp;
use std::path::Path;
use std::sync::Arc;

/// What a password costs that nobody guesses at.
pub const CHEAP: KdfParams = KdfParams {
    m_kib: 64,
    t: 1,
    p: 1,
};

/// Makes a repository in a directory; its password is `x`, and costs `kdf`.
pub fn make(place: &Path, kdf: KdfParams) -> Result<Repo> {
    let backend = Arc::new(LocalBackend::create(place)?);
    let init = InitOptions {
        kdf,
        ..InitOptions::default()
    };
    Repo::init(
        backend,
        &Credential::password("x"),
        &init,
        &OpenOptions::default(),
    )
}

/// Writes tree blobs; gives what `work` gives, and what was written.
pub fn write<T>(
    repo: &Repo,
    work: impl FnOnce(&mut dyn FnMut(&Tree) -> Result<BlobId>) -> Result<T>,
) -> Result<(T, Written)> {
    let interrupt = Interrupt::new();
    let options = WriteOptions::new(&Silent, &interrupt);
    let hasher = repo.hasher(BlobType::Tree)?;
    repo.write(options, |writer| {
        work(&mut |tree| {
            let bytes = codec::encode(tree);
            let id = hasher.id(&bytes);
            writer.add(BlobType::Tree, &id, &bytes)?;
            Ok(id)
        })
    })
}

/// Commits a snapshot of `root`.
pub fn commit(
    repo: &Repo,
    (number, host): (u64, &str),
    root: BlobId,
    written: Written,
) -> Result<()> {
    let summary = Summary {
        root,
        time: Timestamp::new(1_700_000_000 + number as i64 * 600, 0),
        host: host.into(),
        user: "root".into(),
        paths: vec![b"/srv/www".to_vec()],
        tags: vec!["nightly".into()],
        program: "larder".into(),
        ..Summary::default()
    };
    let snapshot = Snapshot {
        summary: summary.clone(),
        domain: 0,
        writer: repo.writer(),
        sequence: number,
        sources: Vec::new(),
        ext: Vec::new(),
    };
    let request = CommitRequest::new(repo.save_snapshot(&snapshot)?, summary, written);
    assert_eq!(repo.commit(&request)?, CommitOutcome::Committed);
    Ok(())
}
