//! One value of every record, with every field filled.

use crate::format_vectors::signer;
use repo_core::backend::Class;
use repo_core::crypto::{Role, SealPublic};
use repo_core::format::announcement::Announcement;
use repo_core::format::checkpoint::{
    Checkpoint, Condemned, Deleted, EntryRow, PackRow, RolesAt, SnapshotRow, StateKind, StatePart,
    StateTable, TableRow, Tail, Terms, WaitingRow, WantedRow,
};
use repo_core::format::codec::Ext;
use repo_core::format::entry::{Action, Entry, EntryAt, Fenced, Member, ObjectRef};
use repo_core::format::evidence::Evidence;
use repo_core::format::key_slot::Label;
use repo_core::format::name::ObjectKind;
use repo_core::format::settings::Settings;
use repo_core::format::snapshot::{Dump, Snapshot, Source, SourceKind, Summary, Totals};
use repo_core::format::tree::{Branch, Chunks, Content, FileContent, Leaf, Node, Page, Tree};
use repo_core::id::{
    BlobId, EntryHash, EvidenceId, IndexId, KeyId, PackId, SnapshotId, StateId, WriterId,
};
use repo_core::time::Timestamp;

pub fn ext() -> Vec<Ext> {
    vec![Ext {
        tag: 0x0123,
        bytes: vec![1, 2, 3],
    }]
}

pub fn settings() -> Settings {
    Settings {
        epoch: 1,
        domain: 7,
        level: -5,
        ext: ext(),
        ..Settings::default()
    }
}

pub fn totals(from: u64) -> Totals {
    Totals {
        files: from,
        dirs: from + 1,
        bytes: from + 2,
        files_new: from + 3,
        files_changed: from + 4,
        files_unmodified: from + 5,
        dirs_new: from + 6,
        dirs_changed: from + 7,
        dirs_unmodified: from + 8,
        data_blobs: from + 9,
        tree_blobs: from + 10,
        bytes_added: from + 11,
        bytes_stored: from + 12,
        duration_ms: from + 13,
        problems: from + 14,
    }
}

pub fn summary() -> Summary {
    Summary {
        root: BlobId([0x10; 32]),
        parent: Some(SnapshotId([0x11; 32])),
        time: Timestamp::new(1_790_000_000, 123_456_789),
        utc_offset_min: -90,
        host: "host".into(),
        user: "user".into(),
        uid: 1000,
        gid: 100,
        paths: vec![b"/home".to_vec(), b"/srv/\xff".to_vec()],
        tags: vec!["daily".into()],
        label: "label".into(),
        description: "description".into(),
        program: "larder 0.1.0".into(),
        totals: totals(240),
        ext: ext(),
    }
}

pub fn snapshot() -> Snapshot {
    let dump = Dump {
        engine: "postgresql".into(),
        server_version: "17.2".into(),
        command: vec!["pg_dump".into(), "shop".into()],
        exit_status: -1,
        tables: vec![("orders".into(), 70_000)],
    };
    let source = |kind, name: &[u8], dump| Source {
        kind,
        name: name.to_vec(),
        chunker: 1,
        totals: totals(0),
        dump,
        ext: vec![],
    };
    Snapshot {
        summary: summary(),
        domain: 7,
        writer: signer().public(),
        sequence: 300,
        sources: vec![
            source(SourceKind::Files, b"/home", None),
            source(SourceKind::Stream, b"stdin", None),
            source(SourceKind::Command, b"mail", None),
            source(SourceKind::Database, b"shop", Some(dump)),
        ],
        ext: ext(),
    }
}

pub fn evidence() -> Evidence {
    Evidence {
        kind: 2,
        begun: Timestamp::new(-2, 500_000_000),
        ended: Timestamp::new(3, 0),
        host: "host".into(),
        program: "larder 0.1.0".into(),
        entry: 1 << 40,
        packs_read: vec![PackId([0x20; 32])],
        wanted: vec![PackId([0x21; 32]), PackId([0x22; 32])],
        problems: 251,
        ext: ext(),
    }
}

pub fn label() -> Label {
    Label {
        user: "user".into(),
        host: "host".into(),
        created: Timestamp::new(1, 2),
        writer: signer().public(),
        ext: ext(),
    }
}

pub fn announcement() -> Announcement {
    Announcement {
        nonce: [0x30; 16],
        deletes: true,
        time: Timestamp::new(1, 2),
        host: "host".into(),
        program: "larder 0.1.0".into(),
        ext: ext(),
    }
}

pub fn node(name: &[u8], content: Content) -> Node {
    Node {
        name: name.to_vec(),
        mode: 0o4755,
        uid: 1000,
        gid: 100,
        mtime: Timestamp::new(1_790_000_000, 1),
        ctime: Timestamp::new(-1, 999_999_999),
        atime: None,
        inode: 1 << 33,
        device: 2049,
        links: 2,
        xattrs: vec![(b"user.k".to_vec(), b"v".to_vec())],
        content,
        ext: vec![],
    }
}

pub fn leaf() -> Tree {
    let direct = FileContent {
        size: 70_000,
        chunks: Chunks::Direct(vec![BlobId([0x40; 32])]),
        extents: None,
    };
    let lists = FileContent {
        size: 1 << 40,
        chunks: Chunks::Lists {
            height: 2,
            lists: vec![BlobId([0x41; 32])],
        },
        extents: Some(vec![(0, 4096), (1 << 30, 4096)]),
    };
    let contents = [
        Content::File(direct),
        Content::File(lists),
        Content::Dir(Some(BlobId([0x42; 32]))),
        Content::Dir(None),
        Content::Symlink(b"../\xfe".to_vec()),
        Content::Fifo,
        Content::Socket,
        Content::BlockDevice(0x801),
        Content::CharDevice(0x103),
    ];
    let mut nodes: Vec<Node> = (b'a'..)
        .zip(contents)
        .map(|(n, content)| node(&[n], content))
        .collect();
    nodes[0].atime = Some(Timestamp::new(5, 6));
    nodes[0].ext = ext();
    nodes[8].name = b"\xff\x80".to_vec();
    Tree::Leaf(Leaf {
        users: vec![(1000, "user".into())],
        groups: vec![(100, "users".into())],
        nodes,
        ext: ext(),
    })
}

pub fn branch() -> Tree {
    let page = |last: &[u8], id, nodes| Page {
        last: last.to_vec(),
        id: BlobId([id; 32]),
        nodes,
    };
    Tree::Branch(Branch {
        height: 1,
        pages: vec![page(b"m", 0x50, 300), page(b"z", 0x51, 7)],
        ext: ext(),
    })
}

pub fn object(kind: ObjectKind) -> ObjectRef {
    ObjectRef {
        kind,
        id: [kind as u8; 32],
    }
}

pub fn fenced() -> Fenced {
    Fenced {
        nonce: [0x60; 16],
        seen: vec![EntryHash([0x61; 32])],
    }
}

pub fn member() -> Member {
    Member {
        writer: signer().public(),
        seal: SealPublic([0x62; 32]),
        role: Role::Prune,
        domains: vec![0, 7],
        ext: ext(),
    }
}

/// One of each kind, in order.
pub fn actions() -> Vec<(&'static str, Action)> {
    let mut actions = vec![
        (
            "roles",
            Action::Roles {
                members: vec![member()],
                removed: vec![KeyId([0x71; 32])],
            },
        ),
        ("settings", Action::Settings(Box::new(settings()))),
        ("class", Action::Class(Class::C)),
    ];
    actions.extend(of_snapshots());
    actions.extend(of_deletions());
    let hash = |n| EntryHash([n; 32]);
    actions.extend([
        (
            "evidence",
            Action::Evidence {
                evidence: EvidenceId([0x76; 32]),
            },
        ),
        (
            "waiting",
            Action::Waiting {
                condemn: hash(0x77),
                nonces: vec![[0x60; 16]],
                forgotten: vec![SnapshotId([0x70; 32])],
            },
        ),
        (
            "fence",
            Action::Fence {
                fenced: vec![fenced()],
            },
        ),
        (
            "void",
            Action::Void {
                entries: vec![EntryAt {
                    number: 120,
                    hash: hash(0x78),
                }],
            },
        ),
        (
            "terms",
            Action::Terms {
                snapshots: vec![SnapshotId([0x70; 32])],
                protected_until: Some(Timestamp::new(1_790_000_000, 5)),
                expires: Some(Timestamp::new(-1, 6)),
            },
        ),
        ("promote", Action::Promote { generation: 300 }),
    ]);
    actions
}

fn index(n: u8) -> Vec<IndexId> {
    vec![IndexId([n; 32])]
}

fn packs(n: u8) -> Vec<PackId> {
    vec![PackId([n; 32])]
}

fn of_snapshots() -> [(&'static str, Action); 4] {
    let snapshot = SnapshotId([0x70; 32]);
    let snapshots = vec![snapshot];
    [
        ("publish", Action::Publish { index: index(0x72) }),
        (
            "commit",
            Action::Commit {
                snapshot,
                index: index(0x72),
                reprieve: packs(0x73),
                summary: vec![1, 2, 3],
            },
        ),
        (
            "forget",
            Action::Forget {
                snapshots: snapshots.clone(),
            },
        ),
        (
            "unforget",
            Action::Unforget {
                snapshots,
                reprieve: packs(0x73),
            },
        ),
    ]
}

fn of_deletions() -> [(&'static str, Action); 2] {
    let objects = ObjectKind::ALL.map(object).to_vec();
    [
        (
            "condemn",
            Action::Condemn {
                packs: packs(0x74),
                objects: objects.clone(),
                index_add: index(0x75),
                reprieve: packs(0x73),
            },
        ),
        (
            "deleting",
            Action::Deleting {
                objects,
                index_drop: index(0x72),
                index_add: index(0x75),
                reprieve: packs(0x73),
                fenced: vec![fenced()],
            },
        ),
    ]
}

pub fn entry(action: Action) -> Entry {
    Entry {
        number: 4097,
        nonce: [0x60; 16],
        follows: vec![EntryHash([0x61; 32])],
        time: Timestamp::new(1_790_000_000, 5),
        process: Some([0x60; 16]),
        action: Some(action),
    }
}

pub fn condemned() -> Condemned {
    Condemned {
        number: 9,
        hash: EntryHash([0x61; 32]),
        time: Timestamp::new(1, 2),
    }
}

pub fn checkpoint() -> Checkpoint {
    let hash = EntryHash([0x61; 32]);
    let part = |kind| StatePart {
        kind,
        rows: 1,
        tables: vec![StateTable {
            id: StateId([0x80; 32]),
            content: [0x81; 32],
        }],
        inline: vec![0],
    };
    Checkpoint {
        tail: Tail {
            number: 4096,
            heads: vec![hash],
        },
        class: Class::A,
        roles: vec![RolesAt {
            number: 1,
            hashes: vec![hash],
            members: vec![member()],
        }],
        settings: Some((3, hash, settings())),
        dropped: vec![IndexId([0x72; 32])],
        waiting: vec![(
            hash,
            WaitingRow {
                condemn: EntryHash([0x77; 32]),
                nonces: vec![[0x60; 16]],
                forgotten: vec![SnapshotId([0x70; 32])],
            },
        )],
        fences: vec![fenced()],
        cut_off: vec![fenced()],
        voided: vec![EntryAt { number: 120, hash }],
        parts: StateKind::ALL[..8].iter().copied().map(part).collect(),
        ext: ext(),
    }
}

pub fn table_row() -> Vec<(IndexId, TableRow)> {
    vec![(
        IndexId([0x72; 32]),
        TableRow {
            added: 300,
            committed: true,
            sound: false,
        },
    )]
}

pub fn snapshot_row() -> Vec<(SnapshotId, SnapshotRow)> {
    let row = SnapshotRow {
        number: 5,
        time: Timestamp::new(1, 2),
        writer: WriterId([0x82; 32]),
        summary: vec![1, 2, 3].into(),
    };
    vec![(SnapshotId([0x70; 32]), row)]
}

pub fn wanted_row() -> Vec<(SnapshotId, WantedRow)> {
    vec![(SnapshotId([0x70; 32]), WantedRow { forgot: 6, kept: 7 })]
}

pub fn terms_row() -> Vec<(SnapshotId, Terms)> {
    let terms = Terms {
        number: 8,
        protected_until: Some(Timestamp::new(1, 2)),
        expires: None,
    };
    vec![(SnapshotId([0x70; 32]), terms)]
}

pub fn pack_row() -> Vec<(PackId, PackRow)> {
    vec![(
        PackId([0x74; 32]),
        PackRow {
            condemned: Some(condemned()),
            reprieved: 8,
        },
    )]
}

pub fn object_row() -> Vec<(ObjectRef, Condemned)> {
    vec![(object(ObjectKind::State), condemned())]
}

pub fn deleted_row() -> Vec<([u8; 32], Deleted)> {
    vec![(
        [0x83; 32],
        Deleted {
            kind: ObjectKind::Meta,
            number: 10,
            sound: true,
        },
    )]
}

pub fn entry_row() -> Vec<((u64, [u8; 16]), EntryRow)> {
    let row = EntryRow {
        hash: EntryHash([0x61; 32]),
        process: Some([0x60; 16]),
    };
    vec![((11, [0x60; 16]), row)]
}
