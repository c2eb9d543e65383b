//! Blocks in encoding 3, made by hand: version 1 reads and checks them, and a later issue writes them.

use crate::format_place::{Place, commit, write};
use repo_core::backend::Backend;
use repo_core::compress::{Compressor, Encoding, Level};
use repo_core::crypto::BlobType;
use repo_core::error::{ErrorKind, Subject};
use repo_core::format::codec;
use repo_core::format::entry::{Action, ObjectRef};
use repo_core::format::name::ObjectKind;
use repo_core::format::rows::PackEntry;
use repo_core::format::tree::{Chunks, Content, FileContent, Leaf, Node, Tree};
use repo_core::id::{BlobId, IndexId, PackId, SnapshotId};
use repo_core::log::PackState;
use repo_core::ops::{
    CheckOptions, CheckSummary, Finding, RestoreOptions, RestoreSummary, check, restore,
};
use repo_core::pack::{PackBuilder, PlainBlob, SealedBlock};
use repo_core::progress::{Interrupt, Silent};
use repo_core::repo::{CommitOutcome, Repo, Written, pack_object};
use repo_core::time::Timestamp;
use std::path::{Path, PathBuf};

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
    let mut builder = PackBuilder::new(repo.ring(), &repo.id(), BlobType::Data, 0).unwrap();
    let (key, counter) = builder.reserve();
    let mut bytes = Vec::new();
    let mut compressor = Compressor::new(Level::Auto).unwrap();
    let shorter = compressor
        .compress_delta(plain, prefix, plain.len() / 8, &mut bytes)
        .unwrap();
    assert!(shorter, "{} bytes of {}", bytes.len(), plain.len());
    let mut sealed = Vec::new();
    key.seal(counter, &bytes, &mut sealed);
    let len = plain.len() as u32;
    builder.push(SealedBlock {
        bytes: sealed.into(),
        encoding: Encoding::Delta,
        raw_len: len,
        counter,
        blobs: vec![PlainBlob { id, offset: 0, len }],
        bases: bases.to_vec(),
    });
    let (entry, bytes) = builder.finish(repo.ring(), &repo.id()).unwrap();
    (entry, bytes.slices().concat())
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
        &CheckOptions {
            read_data,
            ..CheckOptions::default()
        },
        &Silent,
        &Interrupt::new(),
    )
    .unwrap()
}

/// Blobs of data that are stored whole, and where.
struct Whole {
    ids: Vec<BlobId>,
    pack: PackId,
    table: IndexId,
}

fn data(place: &Place, plaintexts: &[&[u8]]) -> Whole {
    let (ids, mut written) = write(&place.full, &[(BlobType::Data, plaintexts)]).unwrap();
    let signer = place.full.ring().admin().unwrap();
    let index = std::mem::take(&mut written.tables);
    let table = index[0];
    place.append(&signer, Action::Publish { index });
    let pack = *written.own.iter().next().unwrap();
    Whole { ids, pack, table }
}

/// What says that `whole` is not there any more.
fn gone(whole: &Whole) -> Action {
    Action::Deleting {
        objects: vec![ObjectRef {
            kind: ObjectKind::Data,
            id: whole.pack.0,
        }],
        index_drop: vec![whole.table],
        index_add: vec![],
        reprieve: vec![],
        fenced: vec![],
    }
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

/// Writes a tree with that one chunk, which is stored already; nothing is committed yet.
fn write_file(repo: &Repo, chunk: BlobId, plain: &[u8]) -> (BlobId, Written) {
    let tree = tree_of(chunk, plain.len() as u64);
    let (ids, mut written) = write(repo, &[(BlobType::Tree, &[&tree])]).unwrap();
    let (again, hit) = write(repo, &[(BlobType::Data, &[plain])]).unwrap();
    assert_eq!((again, hit.bytes_added), (vec![chunk], 0));
    written.hits.extend(hit.hits);
    (ids[0], written)
}

/// A repository with a snapshot of one file, whose chunk is a delta.
struct Committed {
    place: Place,
    whole: Whole,
    new: Vec<u8>,
    snapshot: SnapshotId,
}

fn committed() -> Committed {
    let place = Place::new();
    let [one, two, new] = versions();
    let whole = data(&place, &[&one, &two]);
    let prefix = [&one[..], &two].concat();
    let (blob, _) = put(&place, delta_pack(&place.full, &new, &whole.ids, &prefix));
    let repo = reopened(&place);
    let (root, written) = write_file(&repo, blob, &new);
    assert!(
        written.hits.contains(&whole.pack),
        "its bases are relied on"
    );
    let (snapshot, outcome) = commit(&repo, root, written).unwrap();
    assert_eq!(outcome, CommitOutcome::Committed);
    Committed {
        place,
        whole,
        new,
        snapshot,
    }
}

fn restored(repo: &Repo, snapshot: &SnapshotId, target: &Path) -> RestoreSummary {
    let options = RestoreOptions::default();
    let interrupt = Interrupt::new();
    restore(repo, snapshot, target, &options, &Silent, &interrupt).unwrap()
}

#[test]
fn reading_follows_the_bases() {
    let place = Place::new();
    let [one, two, new] = versions();
    let bases = data(&place, &[&one, &two]).ids;
    let prefix = [&one[..], &two].concat();
    let (entry, bytes) = delta_pack(&place.full, &new, &bases, &prefix);
    assert!(u64::from(entry.blocks[0].stored_len) < new.len() as u64 / 100);
    let (blob, _) = put(&place, (entry, bytes));
    let repo = reopened(&place);
    assert_eq!(repo.read_blob(BlobType::Data, &blob).unwrap(), new);
    assert_eq!(checked(&repo, true).findings.len(), 0);
}

#[test]
fn a_file_of_deltas_is_committed_and_restored() {
    let made = committed();
    let repo = reopened(&made.place);
    for read_data in [false, true] {
        assert_eq!(checked(&repo, read_data).findings.len(), 0);
    }
    let target = tempfile::tempdir().unwrap();
    let out = target.path().join("out");
    let done = restored(&repo, &made.snapshot, &out);
    assert_eq!((done.files, done.problems), (1, 0));
    assert_eq!(std::fs::read(out.join("file")).unwrap(), made.new);
}

/// The bases are joined in the order that the directory gives; with a wrong one a check names the block and the file.
#[test]
fn wrong_bases_are_damage() {
    let place = Place::new();
    let [one, two, new] = versions();
    let mut bases = data(&place, &[&one, &two]).ids;
    bases.reverse();
    let prefix = [&one[..], &two].concat();
    let (entry, bytes) = delta_pack(&place.full, &new, &bases, &prefix);
    let pack = entry.id;
    let (blob, _) = put(&place, (entry, bytes));
    let repo = reopened(&place);
    let error = repo.read_blob(BlobType::Data, &blob).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    let (root, written) = write_file(&repo, blob, &new);
    let (snapshot, _) = commit(&repo, root, written).unwrap();
    let repo = reopened(&place);
    assert_eq!(checked(&repo, false).findings.len(), 0, "data is not read");
    let findings = checked(&repo, true).findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].error.kind(), ErrorKind::Damaged);
    assert_eq!(*findings[0].error.subject(), Subject::Pack(pack));
    assert_eq!(findings[0].affected, [(snapshot, PathBuf::from("/file"))]);
}

/// A base that is there as another delta only is none: a read takes one step and no more.
#[test]
fn a_delta_is_no_base() {
    let place = Place::new();
    let [one, _, _] = versions();
    let (second, third) = ([&one[..], b"2"].concat(), [&one[..], b"3"].concat());
    let first = data(&place, &[&one]).ids[0];
    let (middle, _) = put(&place, delta_pack(&place.full, &second, &[first], &one));
    let (last, _) = put(&place, delta_pack(&place.full, &third, &[middle], &second));
    let repo = reopened(&place);
    assert_eq!(repo.read_blob(BlobType::Data, &middle).unwrap(), second);
    let error = repo.read_blob(BlobType::Data, &last).unwrap_err();
    assert_eq!(
        (error.kind(), error.subject()),
        (ErrorKind::Missing, &Subject::Blob(middle))
    );
    let findings = checked(&repo, true).findings;
    assert_eq!(findings.len(), 1, "{findings:?}");

    // Nothing new relies on it.
    let (_, again) = write(&repo, &[(BlobType::Data, &[&third])]).unwrap();
    assert_eq!(again.bytes_added, third.len() as u64);

    // A whole copy of the base makes it good.
    put(&place, whole_pack(&repo, &second));
    let repo = reopened(&place);
    assert_eq!(repo.read_blob(BlobType::Data, &last).unwrap(), third);
    assert_eq!(checked(&repo, true).findings.len(), 0);
    let (_, again) = write(&repo, &[(BlobType::Data, &[&third])]).unwrap();
    assert_eq!(again.bytes_added, 0);
}

/// A pack with one blob as it is, although the index knows it already.
fn whole_pack(repo: &Repo, plain: &[u8]) -> (PackEntry, Vec<u8>) {
    let id = repo.hasher(BlobType::Data).unwrap().id(plain);
    let mut builder = PackBuilder::new(repo.ring(), &repo.id(), BlobType::Data, 0).unwrap();
    let (key, counter) = builder.reserve();
    let mut sealed = Vec::new();
    key.seal(counter, plain, &mut sealed);
    let len = plain.len() as u32;
    builder.push(SealedBlock {
        bytes: sealed.into(),
        encoding: Encoding::Stored,
        raw_len: len,
        counter,
        blobs: vec![PlainBlob { id, offset: 0, len }],
        bases: vec![],
    });
    let (entry, bytes) = builder.finish(repo.ring(), &repo.id()).unwrap();
    (entry, bytes.slices().concat())
}

/// The one finding about `subject`, and that it touches the file of the snapshot.
fn assert_named<'f>(
    findings: &'f [Finding],
    subject: &Subject,
    snapshot: SnapshotId,
) -> &'f Finding {
    let mut about = findings.iter().filter(|f| f.error.subject() == subject);
    let finding = about
        .next()
        .unwrap_or_else(|| panic!("{subject}: {findings:?}"));
    assert!(about.next().is_none(), "{findings:?}");
    assert_eq!(finding.error.kind(), ErrorKind::Missing);
    let touched: Vec<_> = findings.iter().flat_map(|f| &f.affected).collect();
    assert_eq!(
        touched,
        [&(snapshot, PathBuf::from("/file"))],
        "{findings:?}"
    );
    finding
}

/// Without its base a delta is as lost as the base: reading and a check say which blob is missing, a check without reading
/// data finds it too, and says what it touches.
#[test]
fn a_base_in_no_table_is_named() {
    let made = committed();
    let signer = made.place.full.ring().admin().unwrap();
    made.place.append(&signer, gone(&made.whole));
    let repo = reopened(&made.place);
    let base = Subject::Blob(made.whole.ids[0]);
    let blob = repo.hasher(BlobType::Data).unwrap().id(&made.new);
    let error = repo.read_blob(BlobType::Data, &blob).unwrap_err();
    assert_eq!((error.kind(), error.subject()), (ErrorKind::Missing, &base));
    for read_data in [false, true] {
        let findings = checked(&repo, read_data).findings;
        let finding = assert_named(&findings, &base, made.snapshot);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(finding.affected.len(), 1);
    }
    let target = tempfile::tempdir().unwrap();
    let done = restored(&repo, &made.snapshot, &target.path().join("out"));
    assert_eq!((done.files, done.problems), (0, 1));
}

/// The pack of the bases is not there, although everybody counts on it.
#[test]
fn a_lost_pack_of_bases_is_named() {
    let made = committed();
    let name = ObjectKind::Data.name(&made.whole.pack.0);
    made.place.backend.delete(&name).unwrap();
    let repo = reopened(&made.place);
    let pack = Subject::Pack(made.whole.pack);
    let findings = checked(&repo, false).findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_named(&findings, &pack, made.snapshot);
    assert_named(&checked(&repo, true).findings, &pack, made.snapshot);
}

/// Between the last look and the commit the bases were condemned: the commit takes that back. Nothing new relies on a block
/// whose bases are condemned.
#[test]
fn a_commit_reprieves_its_bases() {
    let place = Place::new();
    let [one, two, new] = versions();
    let whole = data(&place, &[&one, &two]);
    let prefix = [&one[..], &two].concat();
    let (blob, _) = put(&place, delta_pack(&place.full, &new, &whole.ids, &prefix));
    let repo = reopened(&place);
    let (root, written) = write_file(&repo, blob, &new);
    let signer = place.full.ring().admin().unwrap();
    place.append(
        &signer,
        Action::Condemn {
            packs: vec![whole.pack],
            objects: vec![],
            index_add: vec![],
            reprieve: vec![],
        },
    );
    let careful = reopened(&place);
    assert_eq!(
        careful.state().pack_state(&whole.pack),
        PackState::Condemned
    );
    let (_, outcome) = commit(&repo, root, written).unwrap();
    assert_eq!(outcome, CommitOutcome::Committed);
    assert_eq!(repo.state().pack_state(&whole.pack), PackState::Live);
    let (_, again) = write(&careful, &[(BlobType::Data, &[&new])]).unwrap();
    assert_eq!(again.bytes_added, new.len() as u64);
}

/// Between the last look and the commit the bases were deleted: the commit is refused, and the next look stores the blob whole.
#[test]
fn a_commit_heals_lost_bases() {
    let place = Place::new();
    let [one, two, new] = versions();
    let whole = data(&place, &[&one, &two]);
    let prefix = [&one[..], &two].concat();
    let (blob, _) = put(&place, delta_pack(&place.full, &new, &whole.ids, &prefix));
    let repo = reopened(&place);
    let (root, mut written) = write_file(&repo, blob, &new);
    let tables = written.tables.clone();
    let signer = place.full.ring().admin().unwrap();
    place.append(&signer, gone(&whole));
    let own = written.own.clone();
    let stored = std::mem::take(&mut written);
    let (_, outcome) = commit(&repo, root, stored).unwrap();
    assert_eq!(outcome, CommitOutcome::Heal);
    let (_, mut healed) = write(&repo, &[(BlobType::Data, &[&new])]).unwrap();
    assert_eq!(healed.bytes_added, new.len() as u64);
    healed.tables.extend(tables);
    healed.own.extend(own);
    let (snapshot, outcome) = commit(&repo, root, healed).unwrap();
    assert_eq!(outcome, CommitOutcome::Committed);
    let target = tempfile::tempdir().unwrap();
    let done = restored(&repo, &snapshot, &target.path().join("out"));
    assert_eq!((done.files, done.problems), (1, 0));
}
