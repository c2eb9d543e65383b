//! The values that the hex blocks of `docs/format.md` show: few fields filled, so that the blocks are short.

use crate::format_vectors::signer;
use repo_core::backend::Class;
use repo_core::chunk::Sizes;
use repo_core::crypto::{BlobType, Role, SealPublic};
use repo_core::format::announcement::Announcement;
use repo_core::format::checkpoint::{Checkpoint, RolesAt, StateKind, StatePart, Tail};
use repo_core::format::entry::{Action, Entry, Member, ObjectRef};
use repo_core::format::evidence::Evidence;
use repo_core::format::name::ObjectKind;
use repo_core::format::rows::{Blob, Block, ENCODING_DELTA, ENCODING_STORED, PackEntry};
use repo_core::format::snapshot::{Summary, Totals};
use repo_core::format::tree::{Content, FileContent, Leaf, Node, Tree};
use repo_core::id::{BlobId, EntryHash, PackId, SnapshotId};
use repo_core::time::Timestamp;

pub fn forget() -> Entry {
    Entry {
        number: 7,
        nonce: [4; 16],
        follows: vec![EntryHash([5; 32])],
        time: Timestamp::new(1_790_000_000, 0),
        process: None,
        action: Some(Action::Forget {
            snapshots: vec![SnapshotId([6; 32])],
        }),
    }
}

/// What the example of a `Deleting` rests on.
pub fn table_reference() -> ObjectRef {
    ObjectRef {
        kind: ObjectKind::Index,
        id: [5; 32],
    }
}

/// A `Deleting` of nothing.
pub fn deleting() -> Entry {
    Entry {
        action: Some(Action::Deleting {
            objects: vec![],
            index_drop: vec![],
            index_add: vec![],
            reprieve: vec![],
            fenced: vec![],
        }),
        ..forget()
    }
}

pub fn summary() -> Summary {
    Summary {
        root: BlobId([0x10; 32]),
        time: Timestamp::new(1_790_000_000, 0),
        host: "host".into(),
        user: "user".into(),
        uid: 1000,
        gid: 1000,
        paths: vec![b"/srv".to_vec()],
        program: "larder 0.1.0".into(),
        totals: Totals {
            files: 2,
            dirs: 1,
            bytes: 70_000,
            ..Totals::default()
        },
        ..Summary::default()
    }
}

fn node(name: &[u8], content: Content) -> Node {
    Node {
        name: name.to_vec(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Timestamp::new(1, 2),
        ctime: Timestamp::new(3, 4),
        atime: None,
        inode: 5,
        device: 6,
        links: 1,
        xattrs: vec![],
        content,
        ext: vec![],
    }
}

pub fn leaf() -> Tree {
    let empty = node(b"empty", Content::File(FileContent::default()));
    let link = node(b"link", Content::Symlink(b"empty".to_vec()));
    Tree::Leaf(Leaf {
        users: vec![(0, "root".into())],
        groups: vec![],
        nodes: vec![empty, link],
        ext: vec![],
    })
}

/// A file of a GiB that was shorter when it was first cut.
pub fn sized_node() -> Node {
    let file = FileContent {
        size: 1 << 30,
        ..FileContent::default()
    };
    let mut node = node(b"grown", Content::File(file));
    node.set_chunk_sizes(Sizes::new(16 << 10, 64 << 10, 256 << 10).unwrap());
    node
}

pub fn table_entry() -> PackEntry {
    let block = Block {
        offset: 0x60,
        stored_len: 0x15,
        raw_len: 5,
        counter: 7,
        encoding: ENCODING_STORED,
        ..Block::default()
    };
    PackEntry {
        id: PackId([0xaa; 32]),
        len: 0x1_0000,
        kind: BlobType::Tree,
        epoch: 1,
        domain: 0,
        wrap_count: 1,
        wraps: vec![1, 2, 3],
        blocks: vec![block],
        blobs: vec![Blob {
            id: BlobId([0xbb; 32]),
            block: 0,
            offset: 0,
            len: 5,
        }],
        bases: vec![],
    }
}

/// The one member of a fresh repository.
pub fn member() -> Member {
    Member {
        writer: signer().public(),
        seal: SealPublic([0x62; 32]),
        role: Role::Full,
        domains: vec![0],
        ext: vec![],
    }
}

/// The smallest there is.
pub fn checkpoint() -> Checkpoint {
    let hash = EntryHash([5; 32]);
    let part = |kind| StatePart {
        kind,
        rows: 0,
        tables: vec![],
        inline: vec![0],
    };
    Checkpoint {
        tail: Tail {
            number: 16,
            heads: vec![hash],
        },
        class: Class::A,
        roles: vec![RolesAt {
            number: 1,
            hashes: vec![hash],
            members: vec![],
        }],
        settings: None,
        dropped: vec![],
        waiting: vec![],
        fences: vec![],
        cut_off: vec![],
        voided: vec![],
        parts: StateKind::ALL[..8].iter().copied().map(part).collect(),
        ext: vec![],
    }
}

pub fn evidence() -> Evidence {
    Evidence {
        kind: 1,
        begun: Timestamp::new(1_790_000_000, 0),
        ended: Timestamp::new(1_790_000_060, 0),
        host: "host".into(),
        program: "larder 0.1.0".into(),
        entry: 7,
        packs_read: vec![PackId([0xaa; 32])],
        wanted: vec![],
        problems: 0,
        ext: vec![],
    }
}

pub fn announcement() -> Announcement {
    Announcement {
        nonce: [4; 16],
        deletes: false,
        time: Timestamp::new(1_790_000_000, 0),
        host: "host".into(),
        program: "larder 0.1.0".into(),
        ext: vec![],
    }
}

/// A block with two bases.
pub fn delta() -> Block {
    Block {
        offset: 172,
        stored_len: 1000,
        raw_len: 1_048_576,
        counter: 3,
        first_base: 5,
        base_count: 2,
        encoding: ENCODING_DELTA,
        ..Block::default()
    }
}
