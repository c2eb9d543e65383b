//! Every record as it is encoded, and as it is stored.

use crate::format_example_values::sized_node;
use crate::format_values::{
    actions, announcement, branch, checkpoint, deleted_row, entry, entry_row, evidence, label,
    leaf, object_row, pack_row, settings, snapshot, snapshot_row, summary, table_row, terms_row,
    wanted_row,
};
use crate::format_vectors::{Named, assert_exact, envelopes, named, read, signer};
use repo_core::crypto::Role;
use repo_core::error::ErrorKind;
use repo_core::format::announcement::Announcement;
use repo_core::format::codec;
use repo_core::format::config;
use repo_core::format::entry::{Entry, EntryKind};
use repo_core::format::envelope::RecordType;
use repo_core::format::key_slot::Label;
use repo_core::format::name::ObjectKind;
use repo_core::format::settings::Settings;
use repo_core::format::snapshot::Summary;
use repo_core::format::tree::{Leaf, Tree};
use repo_core::id::{BlobId, EvidenceId};

/// The record's bytes, after they have been read back.
macro_rules! record {
    ($name:expr, $value:expr) => {{
        let value = $value;
        let bytes = codec::encode(&value);
        let [made, read] = [value, codec::decode(&bytes).unwrap()];
        assert_eq!(made, read, "{}", $name);
        named($name, bytes)
    }};
}

/// A directory with a file that says by which sizes it was cut.
fn sized_leaf() -> Tree {
    Tree::Leaf(Leaf {
        nodes: vec![sized_node()],
        ..Leaf::default()
    })
}

pub fn exact() -> Named {
    let mut made = vec![
        record!("settings-default", Settings::default()),
        record!("settings", settings()),
        record!("label", label()),
        record!("summary-empty", Summary::default()),
        record!("summary", summary()),
        record!("snapshot", snapshot()),
        record!("evidence", evidence()),
        record!("announcement", announcement()),
        record!("tree-leaf", leaf()),
        record!("tree-leaf-sized", sized_leaf()),
        record!("tree-branch", branch()),
        record!(
            "tree-chunks",
            Tree::Chunks(vec![BlobId([0x40; 32]), BlobId([0x41; 32])])
        ),
        record!("checkpoint", checkpoint()),
        record!("state-table", table_row()),
        record!("state-snapshot", snapshot_row()),
        record!("state-wanted", wanted_row()),
        record!("state-pack", pack_row()),
        record!("state-object", object_row()),
        record!("state-deleted", deleted_row()),
        record!("state-evidence", vec![(EvidenceId([0x76; 32]), 12u64)]),
        record!("state-entry", entry_row()),
        record!("state-terms", terms_row()),
    ];
    let envelopes = envelopes();
    for (name, action) in actions() {
        let core = entry(action).seal(&envelopes, &signer()).unwrap();
        let opened = envelopes.open(RecordType::Entry, &core).unwrap();
        made.push(named(&format!("entry-{name}-clear"), opened.clear));
        made.push(named(&format!("entry-{name}-body"), opened.body));
    }
    made
}

pub fn sealed() -> Named {
    let envelopes = envelopes();
    let seal = |record_type, body: Vec<u8>, signed: bool| {
        envelopes
            .seal(record_type, &[], &body, signed.then_some(&signer()))
            .unwrap()
    };
    let mut made = vec![
        named("config", config::seal(&envelopes, &settings()).unwrap()),
        named(
            "checkpoint",
            seal(RecordType::Checkpoint, codec::encode(&checkpoint()), true),
        ),
        named(
            "state",
            seal(RecordType::State, codec::encode(&table_row()), true),
        ),
        named("index", seal(RecordType::Index, vec![0; 24], true)),
        named(
            "snapshot",
            seal(RecordType::Snapshot, codec::encode(&snapshot()), true),
        ),
        named(
            "evidence",
            seal(RecordType::Evidence, codec::encode(&evidence()), true),
        ),
        named(
            "announcement",
            announcement().seal(&envelopes, &signer()).unwrap(),
        ),
        named(
            "summary",
            seal(RecordType::Summary, codec::encode(&summary()), false),
        ),
        named(
            "label",
            seal(RecordType::Label, codec::encode(&label()), false),
        ),
    ];
    let writer = crate::format_vectors::envelopes_of(Role::Writer);
    for (name, record_type, body) in by_a_writer() {
        made.push(named(
            name,
            writer
                .seal(record_type, &[], &body, Some(&signer()))
                .unwrap(),
        ));
    }
    for (name, action) in actions() {
        let core = entry(action).seal(&envelopes, &signer()).unwrap();
        made.push(named(&format!("entry-{name}"), core));
    }
    made
}

/// What somebody without the meta key seals to the public key.
fn by_a_writer() -> [(&'static str, RecordType, Vec<u8>); 3] {
    [
        (
            "snapshot-by-writer",
            RecordType::Snapshot,
            codec::encode(&snapshot()),
        ),
        (
            "evidence-by-writer",
            RecordType::Evidence,
            codec::encode(&evidence()),
        ),
        (
            "summary-by-writer",
            RecordType::Summary,
            codec::encode(&summary()),
        ),
    ]
}

#[test]
fn records_are_encoded_as_ever() {
    assert_exact("records.txt", &exact());
}

#[test]
fn stored_records_open() {
    let stored = read("sealed.txt");
    let envelopes = envelopes();
    let me = Some(signer().public());
    let body = |name: &str, record_type, signed: bool| {
        let opened = envelopes.open(record_type, &stored[name]).unwrap();
        assert_eq!(opened.signer, me.filter(|_| signed), "{name}");
        assert_eq!((opened.epoch, opened.clear.len()), (0, 0), "{name}");
        opened.body
    };
    assert_eq!(
        config::repository(&stored["config"]).unwrap(),
        envelopes.repository()
    );
    assert_eq!(
        config::open(&envelopes, &stored["config"]).unwrap(),
        settings()
    );
    for (name, record_type, signed, expected) in [
        (
            "checkpoint",
            RecordType::Checkpoint,
            true,
            codec::encode(&checkpoint()),
        ),
        (
            "state",
            RecordType::State,
            true,
            codec::encode(&table_row()),
        ),
        ("index", RecordType::Index, true, vec![0; 24]),
        (
            "snapshot",
            RecordType::Snapshot,
            true,
            codec::encode(&snapshot()),
        ),
        (
            "evidence",
            RecordType::Evidence,
            true,
            codec::encode(&evidence()),
        ),
        (
            "announcement",
            RecordType::Announcement,
            true,
            codec::encode(&announcement()),
        ),
        (
            "summary",
            RecordType::Summary,
            false,
            codec::encode(&summary()),
        ),
        ("label", RecordType::Label, false, codec::encode(&label())),
    ] {
        assert_eq!(body(name, record_type, signed), expected, "{name}");
    }
    for (name, record_type, expected) in by_a_writer() {
        assert_eq!(body(name, record_type, true), expected, "{name}");
        let writer = crate::format_vectors::envelopes_of(Role::Writer);
        let error = writer.open(record_type, &stored[name]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{name}");
    }
    let opened = Announcement::open(&envelopes, &stored["announcement"]).unwrap();
    assert_eq!(opened, (announcement(), signer().public()));
    assert_eq!(stored.len(), sealed().len());
}

#[test]
fn stored_entries_open() {
    let stored = read("sealed.txt");
    let kinds: Vec<EntryKind> = actions().iter().map(|(_, action)| action.kind()).collect();
    assert_eq!(kinds, EntryKind::ALL);
    for (name, action) in actions() {
        let core = &stored[&format!("entry-{name}")];
        let signed = Entry::open(&envelopes(), core).unwrap();
        assert_eq!(signed.entry, entry(action), "{name}");
        assert_eq!(signed.signer, signer().public());
    }
}

/// Bytes that no writer makes, and that a reader must not take for a record.
#[test]
fn ill_formed_records_are_refused() {
    let refused = |what: &str, error: repo_core::Error| {
        assert_eq!(error.kind(), ErrorKind::Damaged, "{what}");
    };
    let label = codec::encode(&label());
    for len in 0..label.len() {
        refused("cut", codec::decode::<Label>(&label[..len]).unwrap_err());
    }
    refused(
        "trailing",
        codec::decode::<Label>(&[&label[..], &[0]].concat()).unwrap_err(),
    );
    refused(
        "a variant too high",
        codec::decode::<Tree>(&[3, 0]).unwrap_err(),
    );
    refused(
        "object kind 0",
        codec::decode::<ObjectKind>(&[0]).unwrap_err(),
    );
    refused(
        "object kind 8",
        codec::decode::<ObjectKind>(&[8]).unwrap_err(),
    );
    refused(
        "option 2",
        codec::decode::<Option<u8>>(&[2, 0]).unwrap_err(),
    );
    refused("bool 2", codec::decode::<bool>(&[2]).unwrap_err());
    refused("no UTF-8", codec::decode::<String>(&[1, 0xff]).unwrap_err());
    refused(
        "a varint too wide",
        codec::decode::<u16>(&[252, 1, 0, 0, 0]).unwrap_err(),
    );
    refused("varint 255", codec::decode::<u64>(&[255]).unwrap_err());
    assert_eq!(
        codec::decode::<u32>(&[251, 7, 0]).unwrap(),
        7,
        "a longer form than needed is read"
    );
}
