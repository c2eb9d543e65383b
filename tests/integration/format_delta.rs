//! Blocks in encoding 3, made by hand: version 1 reads and checks them, and a later issue writes them.

use crate::format_place::{Place, commit, options, snapshot, write};
use repo_core::backend::Backend;
use repo_core::compress::{Compressor, Encoding, Level};
use repo_core::crypto::BlobType;
use repo_core::error::{ErrorKind, Subject};
use repo_core::format::codec;
use repo_core::format::entry::Action;
use repo_core::format::rows::PackEntry;
use repo_core::format::tree::{Chunks, Content, FileContent, Leaf, Node, Tree};
use repo_core::id::{BlobId, IndexId};
use repo_core::ops::{CheckOptions, CheckSummary, RestoreOptions, check, restore};
use repo_core::pack::{PackBuilder, PlainBlob, SealedBlock};
use repo_core::progress::{Interrupt, Silent};
use repo_core::repo::{Repo, pack_object};
use repo_core::time::Timestamp;

/// Text that has no repetitions of its own.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The version before, in two blobs, and a version that differs from them in a few bytes.
fn versions() -> [Vec<u8>; 3] {
    let (one, two) = (noise(1, 30_000), noise(2, 50_000));
    let mut new = [&one[..], &two].concat();
    new[10_000..10_010].fill(b'x');
    new.extend_from_slice(b"and more");
    [one, two, new]
}

/// A pack whose one block holds `plain` as a delta against the blobs `bases`, whose bytes joined are `prefix`.
fn delta_pack(repo: &Repo, plain: &[u8], bases: &[BlobId], prefix: &[u8]) -> (PackEntry, Vec<u8>) {
    let id = repo.hasher(BlobType::Data).unwrap().id(plain);
    let mut builder =
        PackBuilder::new(repo.ring(), &repo.id(), BlobType::Data, 0, Vec::new()).unwrap();
    let (key, counter) = builder.reserve();
    let mut bytes = Vec::new();
    let mut compressor = Compressor::new(Level::Auto).unwrap();
    let shorter = compressor
        .compress_delta(plain, prefix, plain.len() / 8, &mut bytes)
        .unwrap();
    assert!(shorter, "{} bytes of {}", bytes.len(), plain.len());
    key.seal(counter, &mut bytes);
    let len = plain.len() as u32;
    builder.push(&SealedBlock {
        bytes,
        encoding: Encoding::Delta,
        raw_len: len,
        counter,
        blobs: vec![PlainBlob { id, offset: 0, len }],
        bases: bases.to_vec(),
    });
    builder.finish(repo.ring(), &repo.id()).unwrap()
}

/// Stores a pack and a table of it, and publishes that.
fn put(place: &Place, (entry, bytes): (PackEntry, Vec<u8>)) -> (BlobId, IndexId) {
    let blob = entry.blobs[0].id;
    let name = pack_object(entry.kind).name(&entry.id.0);
    place.backend.put(&name, &bytes).unwrap();
    let (table, _) = place.full.save_table(vec![entry]).unwrap();
    let signer = place.full.ring().admin().unwrap();
    place.append(&signer, Action::Publish { index: vec![table] });
    (blob, table)
}

fn reopened(place: &Place) -> Repo {
    place.open(repo_core::crypto::Role::Full).unwrap()
}

fn checked(repo: &Repo, read_data: bool) -> CheckSummary {
    check(
        repo,
        &CheckOptions { read_data },
        &Silent,
        &Interrupt::new(),
    )
    .unwrap()
}

fn data(place: &Place, plaintexts: &[&[u8]]) -> Vec<BlobId> {
    let (ids, mut written) = write(&place.full, &[(BlobType::Data, plaintexts)]).unwrap();
    let signer = place.full.ring().admin().unwrap();
    let index = std::mem::take(&mut written.tables);
    place.append(&signer, Action::Publish { index });
    ids
}

/// A directory with one file of one chunk.
fn tree_of(chunk: BlobId, size: u64) -> Vec<u8> {
    let content = FileContent {
        size,
        chunks: Chunks::Direct(vec![chunk]),
        extents: None,
    };
    let node = Node {
        name: b"file".to_vec(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Timestamp::new(1, 0),
        ctime: Timestamp::new(1, 0),
        atime: None,
        inode: 1,
        device: 1,
        links: 1,
        xattrs: vec![],
        content: Content::File(content),
        ext: vec![],
    };
    codec::encode(&Tree::Leaf(Leaf {
        nodes: vec![node],
        ..Leaf::default()
    }))
}

#[test]
fn reading_follows_the_bases() {
    let place = Place::new();
    let [one, two, new] = versions();
    let bases = data(&place, &[&one, &two]);
    let prefix = [&one[..], &two].concat();
    let (blob, _) = put(&place, delta_pack(&place.full, &new, &bases, &prefix));
    let repo = reopened(&place);
    assert_eq!(repo.read_blob(BlobType::Data, &blob).unwrap(), new);
    assert_eq!(checked(&repo, true).findings.len(), 0);
    let size: u64 = place
        .backend
        .objects()
        .values()
        .map(|object| object.len() as u64)
        .sum();
    assert!(size < 2 * new.len() as u64 + 200_000);
}

#[test]
fn a_file_of_deltas_is_committed_and_restored() {
    let place = Place::new();
    let [one, two, new] = versions();
    let bases = data(&place, &[&one, &two]);
    let prefix = [&one[..], &two].concat();
    let (blob, _) = put(&place, delta_pack(&place.full, &new, &bases, &prefix));
    let repo = reopened(&place);
    let tree = tree_of(blob, new.len() as u64);
    let (ids, mut written) = write(&repo, &[(BlobType::Tree, &[&tree])]).unwrap();
    // The file's chunk was found in the pack of the delta.
    let (again, hit) = write(&repo, &[(BlobType::Data, &[&new])]).unwrap();
    assert_eq!((again, hit.bytes_added), (vec![blob], 0));
    written.hits.extend(hit.hits);
    let (id, _) = commit(&repo, ids[0], written).unwrap();
    let target = tempfile::tempdir().unwrap();
    let out = target.path().join("out");
    let quiet = (&Silent, &Interrupt::new());
    let done = restore(
        &repo,
        &id,
        &out,
        &RestoreOptions::default(),
        quiet.0,
        quiet.1,
    )
    .unwrap();
    assert_eq!((done.files, done.problems), (1, 0));
    assert_eq!(std::fs::read(out.join("file")).unwrap(), new);
}

/// The bases are joined in the order that the directory gives.
#[test]
fn the_order_of_bases_counts() {
    let place = Place::new();
    let [one, two, new] = versions();
    let mut bases = data(&place, &[&one, &two]);
    bases.reverse();
    let prefix = [&one[..], &two].concat();
    let (blob, _) = put(&place, delta_pack(&place.full, &new, &bases, &prefix));
    let error = reopened(&place)
        .read_blob(BlobType::Data, &blob)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

/// A base that is there as another delta only is none: a read takes one step and no more.
#[test]
fn a_delta_is_no_base() {
    let place = Place::new();
    let [one, _, _] = versions();
    let (second, third) = ([&one[..], b"2"].concat(), [&one[..], b"3"].concat());
    let first = data(&place, &[&one])[0];
    let (middle, _) = put(&place, delta_pack(&place.full, &second, &[first], &one));
    let (last, table) = put(&place, delta_pack(&place.full, &third, &[middle], &second));
    let repo = reopened(&place);
    assert_eq!(repo.read_blob(BlobType::Data, &middle).unwrap(), second);
    let error = repo.read_blob(BlobType::Data, &last).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing, "{error}");

    let findings = checked(&repo, true).findings;
    assert_eq!(findings.len(), 1, "{findings:?}");

    // What rests on it is stored again rather than committed.
    let state = repo.state();
    assert!(state.has_table(&table));
    let tree = tree_of(last, third.len() as u64);
    let (ids, mut written) = write(&repo, &[(BlobType::Tree, &[&tree])]).unwrap();
    let (_, hit) = write(&repo, &[(BlobType::Data, &[&third])]).unwrap();
    written.hits.extend(hit.hits);
    let stored = repo.save_snapshot(&snapshot(&repo, ids[0])).unwrap();
    let (_, outcome) = commit(&repo, ids[0], written).unwrap();
    assert_eq!(outcome, repo_core::repo::CommitOutcome::Heal);
    assert!(repo.state().snapshot(&stored).is_none());

    // A whole copy of the base makes it good.
    let whole = whole_pack(&repo, &second);
    put(&place, whole);
    let repo = reopened(&place);
    assert_eq!(repo.read_blob(BlobType::Data, &last).unwrap(), third);
    assert_eq!(checked(&repo, true).findings.len(), 0);
}

/// A pack with one blob as it is, although the index knows it already.
fn whole_pack(repo: &Repo, plain: &[u8]) -> (PackEntry, Vec<u8>) {
    let id = repo.hasher(BlobType::Data).unwrap().id(plain);
    let mut builder =
        PackBuilder::new(repo.ring(), &repo.id(), BlobType::Data, 0, Vec::new()).unwrap();
    let (key, counter) = builder.reserve();
    let mut bytes = plain.to_vec();
    key.seal(counter, &mut bytes);
    let len = plain.len() as u32;
    builder.push(&SealedBlock {
        bytes,
        encoding: Encoding::Stored,
        raw_len: len,
        counter,
        blobs: vec![PlainBlob { id, offset: 0, len }],
        bases: vec![],
    });
    builder.finish(repo.ring(), &repo.id()).unwrap()
}

/// Without its base a delta is as lost as the base: reading says which blob is missing, a check finds it without a read of data.
#[test]
fn a_lost_base_is_named() {
    let place = Place::new();
    let [one, two, new] = versions();
    let bases = data(&place, &[&one, &two]);
    let prefix = [&one[..], &two].concat();
    let (blob, table) = put(&place, delta_pack(&place.full, &new, &bases, &prefix));
    let state = place.full.state();
    let others: Vec<IndexId> = state
        .tables()
        .map(|(id, _)| *id)
        .filter(|id| *id != table)
        .collect();
    let signer = place.full.ring().admin().unwrap();
    place.append(
        &signer,
        Action::Deleting {
            objects: vec![],
            index_drop: others,
            index_add: vec![],
            reprieve: vec![],
            fenced: vec![],
        },
    );
    let repo = reopened(&place);
    let error = repo.read_blob(BlobType::Data, &blob).unwrap_err();
    assert_eq!(
        (error.kind(), error.subject()),
        (ErrorKind::Missing, &Subject::Blob(bases[0]))
    );
    for read_data in [false, true] {
        let findings = checked(&repo, read_data).findings;
        assert!(!findings.is_empty(), "read_data {read_data}");
    }
    let _ = options();
}
