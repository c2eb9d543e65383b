//! Writes a small seed corpus for every target to `corpus/`. What is sealed differs from run to run, so a seed that is
//! there already is left alone: to make one anew, remove it first.

use larder_fuzz::{
    ADMIN, Split, Step, directory_plaintext, envelopes, first_entry, repository_id, seal_directory,
    signer,
};
use repo_core::backend::Class;
use repo_core::compress::{Compressor, Level};
use repo_core::crypto::{BlobType, KdfParams, Role, SealPublic, Secret};
use repo_core::format::announcement::Announcement;
use repo_core::format::codec::{self, Ext};
use repo_core::format::config;
use repo_core::format::entry::{
    self, Action, Entry, EntryAt, EntryKind, Fenced, Member, ObjectRef,
};
use repo_core::format::envelope::{self, RecordType};
use repo_core::format::evidence::Evidence;
use repo_core::format::key_slot::{self, Credential, Label};
use repo_core::format::name::{self, ObjectKind};
use repo_core::format::pack::{self, HEADER_LEN, Header, KeyWrap, encode_wraps};
use repo_core::format::rows::{Blob, Block, ENCODING_DELTA, ENCODING_ZSTD, PackEntry, Row};
use repo_core::format::settings::Settings;
use repo_core::format::snapshot::{Dump, Snapshot, Source, SourceKind, Summary, Totals};
use repo_core::format::table::TableBuilder;
use repo_core::format::tree::{Branch, Chunks, Content, FileContent, Leaf, Node, Page, Tree};
use repo_core::id::{BlobId, EntryHash, EvidenceId, IndexId, KeyId, PackId, SnapshotId, WriterId};
use repo_core::log::State;
use repo_core::time::Timestamp;
use std::path::Path;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut written = 0;
    for (target, seed, bytes) in all() {
        let dir = root.join(target);
        std::fs::create_dir_all(&dir).expect("a directory for seeds");
        let file = dir.join(seed);
        if !file.exists() {
            std::fs::write(file, bytes).expect("a seed");
            written += 1;
        }
    }
    println!("{written} seeds written to {}", root.display());
}

type Seed = (&'static str, String, Vec<u8>);

fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    seeds.extend(envelopes_and_config());
    seeds.extend(entries());
    seeds.extend(logs());
    seeds.extend(key_slots());
    seeds.extend(records());
    seeds.extend(trees());
    seeds.extend(packs());
    seeds.extend(bytes_of_files());
    seeds.extend(object_names());
    seeds
}

fn seed(target: &'static str, name: &str, bytes: Vec<u8>) -> Seed {
    (target, name.to_owned(), bytes)
}

fn envelopes_and_config() -> Vec<Seed> {
    let (full, writer) = (envelopes(Role::Full), envelopes(Role::Writer));
    let sealed = |by: &envelope::Envelopes, record_type, signed: bool| {
        by.seal(record_type, b"clear", b"body", signed.then(signer))
            .expect("has the keys")
    };
    let settings = Settings::default();
    let newer = Settings {
        ext: vec![Ext {
            tag: 7,
            bytes: vec![1, 2],
        }],
        ..Settings::default()
    };
    vec![
        seed(
            "envelope",
            "unsigned",
            sealed(full, RecordType::Index, false),
        ),
        seed(
            "envelope",
            "signed",
            sealed(full, RecordType::Snapshot, true),
        ),
        seed(
            "envelope",
            "to-public-key",
            sealed(writer, RecordType::Summary, true),
        ),
        seed("envelope", "newer", {
            let mut bytes = sealed(full, RecordType::Entry, true);
            bytes[4] = 2;
            bytes
        }),
        seed(
            "config",
            "sealed",
            config::seal(full, &settings).expect("full keys"),
        ),
        seed("config", "settings", codec::encode(&settings)),
        seed("config", "settings-ext", codec::encode(&newer)),
    ]
}

fn actions() -> Vec<(&'static str, Action)> {
    let object = |kind, id| ObjectRef { kind, id };
    let fenced = || {
        vec![Fenced {
            nonce: [1; 16],
            seen: vec![EntryHash([9; 32])],
        }]
    };
    vec![
        (
            "roles",
            Action::Roles {
                members: vec![Member {
                    writer: signer().public(),
                    seal: SealPublic([4; 32]),
                    role: Role::Writer,
                    domains: vec![0, 5],
                    ext: vec![],
                }],
                removed: vec![KeyId([8; 32])],
            },
        ),
        ("settings", Action::Settings(Box::default())),
        ("class", Action::Class(Class::C)),
        (
            "publish",
            Action::Publish {
                index: vec![IndexId([1; 32])],
            },
        ),
        (
            "commit",
            Action::Commit {
                snapshot: SnapshotId([2; 32]),
                index: vec![IndexId([1; 32])],
                reprieve: vec![PackId([5; 32])],
                summary: vec![1, 2, 3],
            },
        ),
        (
            "forget",
            Action::Forget {
                snapshots: vec![SnapshotId([2; 32])],
            },
        ),
        (
            "unforget",
            Action::Unforget {
                snapshots: vec![SnapshotId([2; 32])],
                reprieve: vec![PackId([5; 32])],
            },
        ),
        (
            "condemn",
            Action::Condemn {
                packs: vec![PackId([5; 32])],
                objects: vec![object(ObjectKind::Snapshot, [2; 32])],
                index_add: vec![IndexId([6; 32])],
                reprieve: vec![],
            },
        ),
        (
            "deleting",
            Action::Deleting {
                objects: vec![
                    object(ObjectKind::Data, [5; 32]),
                    object(ObjectKind::Meta, [6; 32]),
                ],
                index_drop: vec![IndexId([1; 32])],
                index_add: vec![],
                reprieve: vec![],
                fenced: fenced(),
            },
        ),
        (
            "evidence",
            Action::Evidence {
                evidence: EvidenceId([7; 32]),
            },
        ),
        (
            "waiting",
            Action::Waiting {
                condemn: EntryHash([9; 32]),
                nonces: vec![[1; 16]],
                forgotten: vec![SnapshotId([2; 32])],
            },
        ),
        ("fence", Action::Fence { fenced: fenced() }),
        (
            "void",
            Action::Void {
                entries: vec![EntryAt {
                    number: 9,
                    hash: EntryHash([9; 32]),
                }],
            },
        ),
        (
            "terms",
            Action::Terms {
                snapshots: vec![SnapshotId([2; 32])],
                protected_until: Some(Timestamp::new(8, 0)),
                expires: None,
            },
        ),
        ("promote", Action::Promote { generation: 7 }),
    ]
}

/// Every kind as clear part and body; two whole files.
fn entries() -> Vec<Seed> {
    let full = envelopes(Role::Full);
    let mut seeds = Vec::new();
    let mut cores = Vec::new();
    for (name, action) in actions() {
        let entry = Entry {
            number: 7,
            nonce: [4; 16],
            follows: vec![EntryHash([9; 32])],
            time: Timestamp::new(1_700_000_000, 2),
            process: Some([6; 16]),
            action: Some(action),
        };
        let core = entry.seal(full, signer()).expect("full keys");
        let opened = full.open(RecordType::Entry, &core).expect("just sealed");
        let input = [&Split::join(&[&opened.clear])[..], &opened.body].concat();
        seeds.push(seed("entry", name, input));
        cores.push(core);
    }
    seeds.push(seed("entry", "file", entry::encode_file(&cores[5], &[])));
    seeds.push(seed(
        "entry",
        "file-catch-up",
        entry::encode_file(&cores[5], &cores[..2]),
    ));
    seeds
}

/// A backup, a forget and a prune; a process that is fenced; a checkpoint of the first; a short log.
fn logs() -> Vec<Seed> {
    let full = envelopes(Role::Full);
    let payload_of = |name: &str| {
        let (_, action) = actions()
            .into_iter()
            .find(|(n, _)| *n == name)
            .expect("a known kind");
        let objects = match &action {
            Action::Deleting { objects, .. } => codec::encode(objects),
            _ => Vec::new(),
        };
        let kind = action.kind();
        let entry = Entry {
            number: 1,
            nonce: [4; 16],
            follows: vec![],
            time: Timestamp::new(0, 0),
            process: None,
            action: Some(action),
        };
        let core = entry.seal(full, signer()).expect("full keys");
        let body = full
            .open(RecordType::Entry, &core)
            .expect("just sealed")
            .body;
        let (_, _, payload, _) =
            codec::decode::<(Timestamp, Option<[u8; 16]>, Vec<u8>, Vec<Ext>)>(&body)
                .expect("a body");
        (
            EntryKind::ALL
                .iter()
                .position(|k| *k == kind)
                .expect("known"),
            objects,
            payload,
        )
    };
    let steps = |class: u8, names: &[(&str, u8, u8)]| {
        let mut out = vec![class];
        for (name, follows, process) in names {
            let (kind, objects, payload) = payload_of(name);
            let kind = u8::try_from(kind).expect("few kinds");
            let (signer, follows, process) = (u8::from(*name != "roles"), *follows, *process);
            Step {
                signer,
                kind,
                follows,
                process,
                objects: &objects,
                payload: &payload,
            }
            .write(&mut out);
        }
        out
    };
    let life = [
        "settings", "publish", "commit", "forget", "condemn", "deleting", "evidence",
    ];
    let chain: Vec<_> = life.iter().map(|name| (*name, 1, 0)).collect();
    let set = [
        ("commit", 1, 1),
        ("forget", 1, 2),
        ("condemn", 3, 2),
        ("waiting", 1, 2),
        ("fence", 1, 2),
        ("publish", 2, 1),
        ("deleting", 3, 2),
        ("unforget", 1, 3),
    ];
    let mut folded = State::new(ADMIN, Class::A);
    folded.apply(&first_entry()).expect("a log begins so");
    let checkpoint = |state: &State| {
        let saved = state.to_checkpoint(None, &mut |_, body| Ok(blake3::hash(&body).into()));
        codec::encode(&saved.expect("nothing is open"))
    };
    vec![
        seed("fold", "chain", steps(0, &chain)),
        seed("fold", "set", steps(1, &set)),
        seed("checkpoint", "root", checkpoint(&folded)),
        seed(
            "checkpoint",
            "tables",
            Split::join(&[&checkpoint(&folded), &[0]]),
        ),
        seed("tail", "forty", [0, 40, 0].to_vec()),
        seed("tail", "behind", [30, 200, 0].to_vec()),
        seed("tail", "endless", [1, 9, 255].to_vec()),
        seed("tail", "holes", [3, 20, 16].to_vec()),
    ]
}

fn key_slots() -> Vec<Seed> {
    let full = envelopes(Role::Full);
    let cheap = KdfParams {
        m_kib: 64,
        t: 1,
        p: 1,
    };
    let label = Label {
        user: "root".into(),
        host: "host".into(),
        created: Timestamp::new(1_700_000_000, 0),
        ..Label::default()
    };
    let password = Credential::password("password");
    let file = Credential::KeyFile(Secret::new([7; 32]));
    let slot = |role, credential: &Credential| {
        let new = key_slot::create(full, role, &[0], credential, cheap, &label);
        new.expect("full keys").bytes
    };
    vec![
        seed("key_slot", "password", slot(Role::Full, &password)),
        seed("key_slot", "key-file", slot(Role::Writer, &file)),
        seed("key_slot", "label", codec::encode(&label)),
        seed("key_slot", "bundle", {
            let keys = full.ring().bundle(Role::Read, &[0]);
            codec::encode(&(Role::Read, vec![0u32], keys, Vec::<Ext>::new()))
        }),
    ]
}

fn summary() -> Summary {
    Summary {
        root: BlobId([1; 32]),
        parent: Some(SnapshotId([2; 32])),
        time: Timestamp::new(1_700_000_000, 5),
        utc_offset_min: -90,
        host: "host".into(),
        user: "user".into(),
        uid: 1000,
        gid: 1000,
        paths: vec![b"/etc".to_vec(), b"/srv".to_vec()],
        tags: vec!["daily".into()],
        label: "label".into(),
        program: "larder 0.1.0".into(),
        totals: Totals {
            files: 3,
            bytes: 70_000,
            ..Totals::default()
        },
        ..Summary::default()
    }
}

fn records() -> Vec<Seed> {
    let source = Source {
        kind: SourceKind::Database,
        name: b"db.sql".to_vec(),
        chunker: 1,
        totals: Totals::default(),
        dump: Some(Dump {
            engine: "postgresql".into(),
            server_version: "17.2".into(),
            command: vec!["pg_dump".into(), "db".into()],
            exit_status: -1,
            tables: vec![("users".into(), 9)],
        }),
        ext: vec![],
    };
    let snapshot = Snapshot {
        summary: summary(),
        domain: 0,
        writer: WriterId([3; 32]),
        sequence: 4,
        sources: vec![source],
        ext: vec![Ext {
            tag: 1,
            bytes: vec![9],
        }],
    };
    let announcement = Announcement {
        nonce: [6; 16],
        deletes: true,
        time: Timestamp::new(1_700_000_000, 0),
        host: "host".into(),
        program: "larder 0.1.0".into(),
        ext: vec![],
    };
    let evidence = Evidence {
        kind: 1,
        begun: Timestamp::new(1_700_000_000, 0),
        ended: Timestamp::new(1_700_000_009, 0),
        host: "host".into(),
        program: "larder 0.1.0".into(),
        entry: 12,
        packs_read: vec![PackId([5; 32])],
        wanted: vec![PackId([6; 32])],
        problems: 1,
        ext: vec![],
    };
    vec![
        seed("snapshot", "snapshot", codec::encode(&snapshot)),
        seed("snapshot", "summary", codec::encode(&summary())),
        seed("evidence", "check", codec::encode(&evidence)),
        seed("announcement", "prune", codec::encode(&announcement)),
    ]
}

fn node(name: &str, content: Content) -> Node {
    Node {
        name: name.into(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Timestamp::new(1_700_000_000, 1),
        ctime: Timestamp::new(1_700_000_000, 1),
        atime: None,
        inode: 12,
        device: 1,
        links: 1,
        xattrs: vec![(b"user.a".to_vec(), b"b".to_vec())],
        content,
        ext: vec![],
    }
}

/// An id that names blob `index` of a forged directory.
fn forged(index: u8) -> BlobId {
    let mut id = [0; 32];
    id[0] = index;
    BlobId(id)
}

fn trees() -> Vec<Seed> {
    let file = |chunks| {
        Content::File(FileContent {
            size: 9,
            chunks,
            extents: Some(vec![(0, 4), (8, 1)]),
        })
    };
    let nodes = vec![
        node("a", file(Chunks::Direct(vec![BlobId([7; 32])]))),
        node(
            "b",
            file(Chunks::Lists {
                height: 1,
                lists: vec![forged(3)],
            }),
        ),
        node("c", Content::Dir(Some(forged(2)))),
        node("d", Content::Dir(None)),
        node("e", Content::Symlink(b"../a".to_vec())),
        node("f", Content::Fifo),
        node("g", Content::BlockDevice(0x801)),
    ];
    let leaf = |nodes: Vec<Node>| {
        codec::encode(&Tree::Leaf(Leaf {
            users: vec![(0, "root".into())],
            nodes,
            ..Leaf::default()
        }))
    };
    let page = |last: &str, index| Page {
        last: last.into(),
        id: forged(index),
        nodes: 4,
    };
    let branch = Branch {
        height: 1,
        pages: vec![page("c", 1), page("g", 2)],
        ext: vec![],
    };
    let branch = codec::encode(&Tree::Branch(branch));
    let list = codec::encode(&Tree::Chunks(vec![BlobId([8; 32]), BlobId([9; 32])]));
    let pages = [
        &branch[..],
        &leaf(nodes[..3].to_vec()),
        &leaf(nodes[3..].to_vec()),
        &list,
    ];
    vec![
        seed("tree", "leaf", leaf(nodes.clone())),
        seed("tree", "empty", leaf(vec![])),
        seed("tree", "branch", branch.clone()),
        seed("tree", "list", list.clone()),
        seed("tree", "pages", Split::join(&pages)),
    ]
}

fn pack_entry(wraps: Vec<u8>) -> PackEntry {
    let block = |offset, base_count| Block {
        offset,
        stored_len: 0x40,
        raw_len: 0x90,
        counter: offset,
        base_count,
        encoding: if base_count == 0 {
            ENCODING_ZSTD
        } else {
            ENCODING_DELTA
        },
        ..Block::default()
    };
    let blob = |id, block, offset| Blob {
        id: BlobId([id; 32]),
        block,
        offset,
        len: 0x48,
    };
    PackEntry {
        id: PackId([1; 32]),
        len: 0x1000,
        kind: BlobType::Data,
        epoch: 0,
        domain: 0,
        wrap_count: 1,
        wraps,
        blocks: vec![block(0x100, 0), block(0x140, 1)],
        blobs: vec![blob(3, 0, 0), blob(4, 0, 0x48), blob(5, 1, 0)],
        bases: vec![BlobId([6; 32])],
    }
}

fn packs() -> Vec<Seed> {
    let wrap = |role, kind| {
        let ring = envelopes(role).ring();
        let wrap = KeyWrap::seal(ring, &repository_id(), kind, &Secret::new([5; 32]));
        encode_wraps(&[wrap.expect("has the keys")])
    };
    let symmetric = wrap(Role::Full, BlobType::Data);
    let to_public = wrap(Role::Writer, BlobType::Tree);
    let entry = pack_entry(symmetric.clone());
    let header = Header {
        kind: BlobType::Data,
        epoch: 0,
        domain: 0,
        salt: [9; 32],
        wrap_count: 1,
        wraps: symmetric.clone(),
        len: HEADER_LEN + symmetric.len(),
    };
    let directory = directory_plaintext(&entry);
    let whole = seal_directory(&header, &[0; 0x200], &directory);
    let authentic = [
        &[0, 1][..],
        &Split::join(&[&symmetric]),
        &[0, 2],
        &directory,
    ]
    .concat();
    assert!(
        pack::decode_directory(
            envelopes(Role::Full).ring(),
            &repository_id(),
            entry.id,
            &whole
        )
        .is_ok(),
        "seeds are sound"
    );
    let mut table = TableBuilder::new();
    table.add_pack(&entry).expect("it fits together");
    table
        .add_pack(&PackEntry {
            id: PackId([2; 32]),
            ..entry.clone()
        })
        .expect("it fits together");
    let mut rows = Vec::new();
    entry.blocks.iter().for_each(|block| block.write(&mut rows));
    vec![
        seed("wraps", "symmetric", symmetric.clone()),
        seed("wraps", "to-public-key", to_public.clone()),
        seed("wraps", "both", [symmetric, to_public].concat()),
        seed("pack", "whole", whole),
        seed("pack", "directory", authentic),
        seed("index_table", "two-packs", table.finish()),
        seed("index_table", "empty", TableBuilder::new().finish()),
        seed("rows", "blocks", rows),
        seed("rows", "blobs", {
            let mut rows = Vec::new();
            entry.blobs.iter().for_each(|blob| blob.write(&mut rows));
            rows
        }),
    ]
}

/// Text that repeats, and bytes that do not.
fn bytes_of_files() -> Vec<Seed> {
    let text: Vec<u8> = (0..300)
        .flat_map(|i| format!("line {}\n", i * i % 97).into_bytes())
        .collect();
    let mut random = vec![0; 6000];
    blake3::Hasher::new().finalize_xof().fill(&mut random);
    let mut compressed = Vec::new();
    let mut compressor = Compressor::new(Level::default()).expect("memory");
    compressor.compress(&text, &mut compressed).expect("memory");
    let of = |encoding: u8, claim: usize, prefix: &[u8], stored: &[u8]| {
        let claim = u32::try_from(claim).expect("short").to_le_bytes();
        [&[encoding][..], &claim, &Split::join(&[prefix]), stored].concat()
    };
    let cut = |avg_log: u8, min: u32, max: u32, step: u8, bytes: &[u8]| {
        [
            &[avg_log][..],
            &min.to_le_bytes(),
            &max.to_le_bytes(),
            &[step],
            bytes,
        ]
        .concat()
    };
    vec![
        seed("block", "zstd", of(1, text.len(), b"", &compressed)),
        seed("block", "stored", of(0, text.len(), b"", &text)),
        seed(
            "block",
            "delta",
            of(3, text.len(), &text[..500], &compressed),
        ),
        seed("chunker", "random", cut(0, 192, 2048, 255, &random)),
        seed("chunker", "zeros", cut(0, 0, 0, 3, &[0; 5000])),
        seed("chunker", "text", cut(1, 448, 9000, 16, &text)),
    ]
}

fn object_names() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = ObjectKind::ALL
        .into_iter()
        .map(|kind| seed("names", kind.folder(), kind.name(&[0xa5; 32]).into_bytes()))
        .collect();
    seeds.push(seed("names", "entry", name::entry(4097).into_bytes()));
    seeds.push(seed(
        "names",
        "entry-c",
        name::entry_of(3, &[0xab; 16]).into_bytes(),
    ));
    seeds.push(seed(
        "names",
        "checkpoint-c",
        name::checkpoint_of(16, &[0xab; 16]).into_bytes(),
    ));
    seeds.push(seed(
        "names",
        "number-max",
        name::entry(u64::MAX).into_bytes(),
    ));
    seeds
}
