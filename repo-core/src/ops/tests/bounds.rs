//! Records that are authentic and absurd: lengths and counts that no memory holds are refused, and cost nothing else.

use super::damage::findings;
use super::support::*;
use crate::backend::Backend;
use crate::crypto::BlobType;
use crate::error::ErrorKind;
use crate::format::codec;
use crate::format::entry::{Action, EntryClear};
use crate::format::envelope::RecordType;
use crate::format::key_slot::Credential;
use crate::format::name::{self, ObjectKind};
use crate::format::snapshot::{Snapshot, Summary};
use crate::format::table::TableBuilder;
use crate::id::{BlobId, IndexId, SnapshotId};
use crate::progress::{Interrupt, Silent};
use crate::repo::{Repo, WriteOptions};
use std::sync::Arc;

/// A place with one good snapshot.
struct Good {
    bed: Bed,
    id: SnapshotId,
}

impl Good {
    fn new() -> Self {
        let bed = Bed::new();
        bed.write("a", b"a small one");
        bed.write("b/large", &noise(1, 1 << 20));
        let id = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
        Self { bed, id }
    }

    /// What was good is; a check names what is absurd, and a backup goes on.
    fn assert_only(&self, absurd: &str) {
        let repo = self.bed.open();
        self.bed.assert_restores(&repo, &self.id, &self.bed.tree());
        let lines = findings(&check_with(&repo, false).unwrap());
        assert!(
            lines.iter().any(|line| line.contains(absurd)),
            "{absurd}: {lines:?}"
        );
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    fn commit(&self, snapshot: SnapshotId, root: BlobId) {
        let other = Other::new(&self.bed, &self.bed.place);
        let summary = Summary {
            root,
            ..Summary::default()
        };
        other.append(Action::Commit {
            snapshot,
            index: vec![],
            reprieve: vec![],
            summary: other.repo.seal_summary(&summary).unwrap(),
        });
    }

    fn root(&self) -> BlobId {
        let repo = self.bed.open();
        repo.load_snapshot(&self.id).unwrap().summary.root
    }
}

/// What begins like a record and then says that 2^60 items follow, whichever field is read there.
fn absurd() -> Vec<u8> {
    let count = [&[0xfd][..], &(1u64 << 60).to_le_bytes()].concat();
    [vec![0; 32], count.repeat(40)].concat()
}

#[test]
fn a_snapshot_with_absurd_counts() {
    let good = Good::new();
    let repo = good.bed.open();
    let whole = codec::encode(&repo.load_snapshot(&good.id).unwrap());
    for cut in 0..whole.len().min(200) {
        let count = [&[0xfd][..], &u64::MAX.to_le_bytes()].concat();
        let body = [&whole[..cut], &count, &whole[cut..]].concat();
        if let Ok(decoded) = codec::decode::<Snapshot>(&body) {
            panic!("{decoded:?}");
        }
    }
    let body = [&whole[..32], &absurd()].concat();
    let id = repo.save_record(ObjectKind::Snapshot, RecordType::Snapshot, &body);
    let id = SnapshotId(id.unwrap());
    good.commit(id, good.root());
    good.assert_only(&id.to_hex());
    let error = good.bed.restore(&good.bed.open(), &id).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

#[test]
fn an_index_table_with_absurd_counts() {
    let good = Good::new();
    let other = Other::new(&good.bed, &good.bed.place);
    let body = TableBuilder::new().finish();
    for at in (0..body.len().saturating_sub(8)).step_by(4) {
        let mut body = body.clone();
        body[at..at + 8].fill(0xff);
        let id = other
            .repo
            .save_record(ObjectKind::Index, RecordType::Index, &body);
        let table = IndexId(id.unwrap());
        if other.repo.index().add_table(table, &body).is_ok() {
            panic!("bytes {at}.. of a table do not matter");
        }
    }
    let mut body = body;
    body.extend(absurd());
    let id = other
        .repo
        .save_record(ObjectKind::Index, RecordType::Index, &body);
    let table = IndexId(id.unwrap());
    other.append(Action::Publish { index: vec![table] });
    for name in names(&good.bed.place, "index") {
        let is_named = good
            .bed
            .open()
            .state()
            .tables()
            .any(|(id, _)| name.contains(&id.to_hex()));
        assert!(is_named || good.bed.place.remove(&name));
    }
    good.assert_only(&table.to_hex());
}

#[test]
fn a_tree_with_absurd_counts() {
    let good = Good::new();
    let repo = good.bed.open();
    let plain = absurd();
    let id = repo.hasher(BlobType::Tree).unwrap().id(&plain);
    let interrupt = Interrupt::new();
    let options = WriteOptions::new(&Silent, &interrupt);
    let write = |writer: &mut crate::repo::Writer<'_>| writer.add(BlobType::Tree, &id, &plain);
    let (_, written) = repo.write(options, write).unwrap();
    let other = Other::new(&good.bed, &good.bed.place);
    other.append(Action::Publish {
        index: written.tables,
    });
    let mut snapshot = repo.load_snapshot(&good.id).unwrap();
    snapshot.summary.root = id;
    let committed = other.repo.save_snapshot(&snapshot).unwrap();
    other.append(Action::Commit {
        snapshot: committed,
        index: vec![],
        reprieve: vec![],
        summary: other.repo.seal_summary(&snapshot.summary).unwrap(),
    });
    let pack = written.own.iter().next().unwrap();
    good.assert_only(&pack.to_hex());
    let error = good
        .bed
        .restore(&good.bed.open(), &committed)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

#[test]
fn a_log_entry_with_absurd_counts() {
    let good = Good::new();
    let other = Other::new(&good.bed, &good.bed.place);
    let state = other.repo.state();
    let number = state.tail().number + 1;
    let clear = EntryClear {
        kind: 4,
        number,
        nonce: [7; 16],
        follows: state.tail().heads.clone(),
        objects: vec![],
        ext: vec![],
    };
    let clear = codec::encode(&clear);
    let envelopes = other.repo.envelopes();
    let core = envelopes.seal(RecordType::Entry, &clear, &absurd(), Some(&other.signer));
    other.append_core(number, &core.unwrap());
    good.assert_only(&format!("log entry {number}:"));
}

#[test]
fn a_checkpoint_with_absurd_counts() {
    let good = Good::new();
    let other = Other::new(&good.bed, &good.bed.place);
    let body = absurd();
    let sealed =
        other
            .repo
            .envelopes()
            .seal(RecordType::Checkpoint, &[], &body, Some(&other.signer));
    let name = name::checkpoint(16);
    good.bed.place.put(&name, &sealed.unwrap()).unwrap();
    good.assert_only(&name);
}

#[test]
fn a_key_slot_with_absurd_parameters() {
    let good = Good::new();
    let object = names(&good.bed.place, "keys").pop().unwrap();
    let slot = good.bed.place.get(&object).unwrap();
    let slot = String::from_utf8(slot).unwrap();
    // Twice what may be asked for, in many slots: some are tried before the real one.
    for t in 65..85 {
        let absurd = slot
            .replace("\"m_kib\": 64", "\"m_kib\": 2097152")
            .replace("\"t\": 1", &format!("\"t\": {t}"));
        assert_ne!(absurd, slot);
        let id = blake3::hash(absurd.as_bytes());
        let name = ObjectKind::Key.name(id.as_bytes());
        good.bed.place.put(&name, absurd.as_bytes()).unwrap();
    }
    let repo: Repo = good.bed.open();
    good.bed.assert_restores(&repo, &good.id, &good.bed.tree());
    let wrong = Credential::password("wrong");
    let place = Arc::new(good.bed.place.clone());
    let error = good.bed.open_anew(place, &wrong).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    // A slot that is longer than any is not read at all.
    let bed = Bed::new();
    let long = ObjectKind::Key.name(&[7; 32]);
    bed.place.put(&long, &vec![b' '; 8 << 20]).unwrap();
    bed.open();
}
