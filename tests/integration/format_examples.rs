//! The hex blocks of `docs/format.md`: what the library makes of them is what the text says.
//!
//! A block is a fence with the info string `hex NAME`; in it, hex digits of any grouping, and after two spaces a remark.

use crate::format_packs::header_by_writer;
use crate::format_records::settings;
use crate::format_vectors::{REPOSITORY, docs, envelopes, envelopes_of, ring, ring_of, signer};
use repo_core::crypto::{BlobType, KeyKind, Role, commitment, contexts, derive};
use repo_core::format::codec;
use repo_core::format::config;
use repo_core::format::entry::{Action, Entry, EntryClear};
use repo_core::format::envelope::{self, RecordType};
use repo_core::format::pack::{decode_header, decode_wraps};
use repo_core::format::rows::{Blob, Block, ENCODING_STORED, PackEntry};
use repo_core::format::settings::Settings;
use repo_core::format::snapshot::{Summary, Totals};
use repo_core::format::table::{TableBuilder, TableView};
use repo_core::format::tree::{Content, FileContent, Leaf, Node, Tree};
use repo_core::id::{BlobId, EntryHash, PackId, SnapshotId, from_hex, to_hex};
use repo_core::time::Timestamp;
use std::collections::BTreeMap;

/// Bytes and what they are, piece by piece.
type Pieces = Vec<(Vec<u8>, &'static str)>;

struct Example {
    name: &'static str,
    pieces: Pieces,
    /// Whether sealing it again gives other bytes.
    random: bool,
}

/// Cuts `bytes` into pieces of these lengths; the last takes the rest.
fn cut(bytes: &[u8], pieces: &[(usize, &'static str)], rest: &'static str) -> Pieces {
    let mut from = 0;
    let mut cut: Pieces = Vec::new();
    for (len, remark) in pieces {
        cut.push((bytes[from..from + len].to_vec(), *remark));
        from += len;
    }
    cut.push((bytes[from..].to_vec(), rest));
    cut
}

fn primitives() -> (u8, u32, u32, u32, i64, Option<u8>, Option<u8>, String) {
    (7, 250, 251, 70_000, -2, Some(1), None, "ab".into())
}

fn forget() -> Entry {
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

fn summary() -> Summary {
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

fn leaf() -> Tree {
    let empty = node(b"empty", Content::File(FileContent::default()));
    let link = node(b"link", Content::Symlink(b"empty".to_vec()));
    Tree::Leaf(Leaf {
        users: vec![(0, "root".into())],
        groups: vec![],
        nodes: vec![empty, link],
        ext: vec![],
    })
}

fn table_entry() -> PackEntry {
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

fn table() -> Vec<u8> {
    let mut builder = TableBuilder::new();
    builder.add_pack(&table_entry()).unwrap();
    builder.finish()
}

fn derivations() -> Pieces {
    let ring = ring();
    let key = |kind| ring.epoch_key(kind, 0).unwrap().expose().to_vec();
    vec![
        (key(KeyKind::Log), "log key, epoch 0"),
        (key(KeyKind::MetaPublic), "meta-public, epoch 0"),
        (
            ring.domain_key(KeyKind::Chunker, 7)
                .unwrap()
                .expose()
                .to_vec(),
            "chunker key, domain 7",
        ),
        (
            commitment(ring.epoch_key(KeyKind::Log, 0).unwrap()).to_vec(),
            "commitment, were the log key a pack key",
        ),
        (
            derive(contexts::PADDING, &[&[0; 32]]).expose().to_vec(),
            "first bytes of the padding of a pack with salt 00×32",
        ),
        (
            ring.admin().unwrap().public().0.to_vec(),
            "admin's public key",
        ),
        (
            signer().public().0.to_vec(),
            "writer id of the example writer",
        ),
        (signer().sign(b"abc").to_vec(), "its signature over \"abc\""),
    ]
}

fn blob_ids() -> Pieces {
    let id = |domain, kind| {
        ring()
            .blob_hasher(domain, kind)
            .unwrap()
            .id(b"abc")
            .0
            .to_vec()
    };
    vec![
        (id(0, BlobType::Data), "data blob \"abc\", domain 0"),
        (id(0, BlobType::Tree), "tree blob \"abc\", domain 0"),
        (id(7, BlobType::Data), "data blob \"abc\", domain 7"),
    ]
}

fn examples() -> Vec<Example> {
    let exact = |name, pieces| Example {
        name,
        pieces,
        random: false,
    };
    let random = |name, pieces| Example {
        name,
        pieces,
        random: true,
    };
    let config = config::seal(&envelopes(), &settings()).unwrap();
    let core = forget().seal(&envelopes(), &signer()).unwrap();
    let opened = envelopes().open(RecordType::Entry, &core).unwrap();
    vec![
        exact(
            "record-primitives",
            cut(
                &codec::encode(&primitives()),
                &[
                    (1, "7u8"),
                    (1, "250"),
                    (3, "251"),
                    (5, "70000"),
                    (1, "-2"),
                    (2, "some 1"),
                    (1, "none"),
                ],
                "\"ab\"",
            ),
        ),
        random(
            "envelope-config",
            cut(
                &config,
                &[
                    (4, "magic LRDR"),
                    (2, "version 1, type 1"),
                    (2, "flags"),
                    (4, "epoch 0"),
                    (32, "salt"),
                    (2, "wrap type 1, flags"),
                    (2, "no wrap"),
                    (4, "32 bytes in clear"),
                    (32, "repository id"),
                ],
                "sealed: 26 bytes of settings, 97 of no signature, 16 of tag",
            ),
        ),
        exact(
            "settings",
            cut(
                &codec::encode(&Settings::default()),
                &[
                    (1, "epoch 0"),
                    (1, "domain 0"),
                    (5, "pack_bytes 16777216"),
                    (5, "block_bytes 2097152"),
                    (1, "level 3"),
                    (5, "grace_s 604800"),
                ],
                "no ext",
            ),
        ),
        exact(
            "entry-clear",
            cut(
                &opened.clear,
                &[
                    (3, "kind 0x8006"),
                    (1, "number 7"),
                    (16, "nonce"),
                    (33, "follows one"),
                    (1, "no objects"),
                ],
                "no ext",
            ),
        ),
        exact(
            "entry-body",
            cut(
                &opened.body,
                &[
                    (6, "time 1790000000 s, 0 ns"),
                    (1, "no process"),
                    (34, "payload, 33 bytes: one snapshot"),
                ],
                "no ext",
            ),
        ),
        exact(
            "summary",
            cut(
                &codec::encode(&summary()),
                &[
                    (32, "root"),
                    (1, "no parent"),
                    (6, "time"),
                    (1, "UTC"),
                    (5, "host"),
                    (5, "user"),
                    (6, "uid, gid 1000"),
                    (6, "one path, /srv"),
                    (3, "no tags, label, description"),
                    (13, "program"),
                    (19, "totals: 2 files, 1 directory, 70000 bytes, zeros"),
                ],
                "no ext",
            ),
        ),
        random(
            "pack-header",
            cut(
                &header_by_writer(),
                &[
                    (4, "magic LRDP"),
                    (4, "version 1, trees, one wrap, no flags"),
                    (4, "epoch 0"),
                    (4, "domain 7"),
                    (32, "salt"),
                    (4, "120 bytes of wraps"),
                    (4, "sealed to the public key, 80 bytes"),
                    (4, "epoch 0"),
                    (32, "commitment"),
                    (32, "encapsulated key"),
                ],
                "sealed pack key and tag",
            ),
        ),
        exact(
            "index-table",
            cut(
                &table(),
                &[
                    (
                        24,
                        "1 pack, 3 bytes of wraps, 1 block, 1 blob, no base, no ext",
                    ),
                    (32, "pack id"),
                    (
                        32,
                        "65536 bytes, trees, 1 wrap, epoch 1, domain 0, wraps 0–3",
                    ),
                    (3, "wraps"),
                    (
                        28,
                        "pack 0, offset 96, 21 bytes for 5, counter 7, no base, stored, wrap 0",
                    ),
                    (32, "blob id"),
                ],
                "block 0, offset 0, 5 bytes",
            ),
        ),
        exact("blob-ids", blob_ids()),
        exact(
            "tree-leaf",
            cut(
                &codec::encode(&leaf()),
                &[
                    (1, "leaf"),
                    (7, "users: 0 is root"),
                    (1, "no groups"),
                    (1, "two nodes"),
                    (6, "empty"),
                    (3, "mode 0644"),
                    (2, "uid, gid"),
                    (4, "mtime, ctime"),
                    (1, "no atime"),
                    (3, "inode, device, links"),
                    (1, "no xattrs"),
                    (5, "file, 0 bytes, direct, no chunks, no extents"),
                    (1, "no ext"),
                    (5, "link"),
                    (14, "as above"),
                    (7, "symlink to empty"),
                    (1, "no ext"),
                ],
                "no ext",
            ),
        ),
        exact("derivations", derivations()),
    ]
}

/// The bytes of every hex block of the document, by name.
fn stored() -> BTreeMap<String, Vec<u8>> {
    let text = std::fs::read_to_string(docs("format.md")).unwrap();
    let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut inside: Option<String> = None;
    for line in text.lines() {
        match (&inside, line.strip_prefix("```hex ")) {
            (None, Some(name)) => {
                assert!(
                    found.insert(name.to_owned(), Vec::new()).is_none(),
                    "{name} twice"
                );
                inside = Some(name.to_owned());
            }
            (Some(_), _) if line == "```" => inside = None,
            (Some(name), _) => {
                let digits = line.split("  ").next().unwrap().replace(' ', "");
                let bytes = from_hex(&digits).unwrap_or_else(|| panic!("{name}: {line}"));
                found.get_mut(name).unwrap().extend(bytes);
            }
            (None, None) => {}
        }
    }
    found
}

fn show(pieces: &Pieces) -> String {
    const LINE_BYTES: usize = 40;
    let mut text = String::new();
    for (bytes, remark) in pieces {
        let lines: Vec<String> = bytes.chunks(LINE_BYTES).map(to_hex).collect();
        let (last, before) = lines.split_last().unwrap();
        before
            .iter()
            .for_each(|line| text.push_str(&format!("{line}\n")));
        text.push_str(&format!("{last}  {remark}\n"));
    }
    text
}

/// Writes the blocks anew; part of `write_vectors`.
pub fn write_examples() {
    let path = docs("format.md");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for example in examples() {
        let open = format!("```hex {}\n", example.name);
        let from = text
            .find(&open)
            .unwrap_or_else(|| panic!("no block {}", example.name))
            + open.len();
        let to = from + text[from..].find("```").unwrap();
        text.replace_range(from..to, &show(&example.pieces));
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn every_block_is_what_the_library_makes() {
    let stored = stored();
    let examples = examples();
    assert_eq!(stored.len(), examples.len(), "blocks without an example");
    for example in examples {
        let made: Vec<u8> = example
            .pieces
            .iter()
            .flat_map(|(bytes, _)| bytes.clone())
            .collect();
        let there = &stored[example.name];
        match example.random {
            true => assert_eq!(there.len(), made.len(), "{}", example.name),
            false => assert_eq!(to_hex(there), to_hex(&made), "{}", example.name),
        }
    }
}

#[test]
fn sealed_blocks_open() {
    let stored = stored();
    let config = &stored["envelope-config"];
    assert_eq!(config::repository(config).unwrap(), REPOSITORY);
    assert_eq!(config::open(&envelopes(), config).unwrap(), settings());
    let visible = envelope::visible(config).unwrap();
    assert_eq!(
        (visible.record_type, visible.epoch),
        (RecordType::Config, 0)
    );

    let header = decode_header(&stored["pack-header"]).unwrap();
    assert_eq!(
        (header.kind, header.domain, header.wrap_count),
        (BlobType::Tree, 7, 1)
    );
    let wrap = &decode_wraps(&header.wraps).unwrap()[0];
    wrap.open(&ring_of(Role::Prune), &REPOSITORY, BlobType::Tree)
        .unwrap();
    assert!(
        wrap.open(&ring_of(Role::Writer), &REPOSITORY, BlobType::Tree)
            .is_err()
    );
    assert!(
        wrap.open(&ring_of(Role::Full), &REPOSITORY, BlobType::Data)
            .is_err()
    );
}

#[test]
fn plain_blocks_decode() {
    let stored = stored();
    assert_eq!(
        codec::decode::<Settings>(&stored["settings"]).unwrap(),
        Settings::default()
    );
    assert_eq!(
        codec::decode::<Summary>(&stored["summary"]).unwrap(),
        summary()
    );
    assert_eq!(codec::decode::<Tree>(&stored["tree-leaf"]).unwrap(), leaf());
    let clear: EntryClear = codec::decode(&stored["entry-clear"]).unwrap();
    assert_eq!(
        (clear.kind, clear.number, clear.nonce),
        (0x8006, 7, [4; 16])
    );
    let table = TableView::parse(&stored["index-table"]).unwrap();
    assert_eq!(table.pack(0).unwrap().wraps, [1, 2, 3]);
    assert_eq!(table.blobs.get(0).unwrap(), table_entry().blobs[0]);
    let envelope = envelopes_of(Role::Writer).seal(
        RecordType::Entry,
        &stored["entry-clear"],
        &stored["entry-body"],
        Some(&signer()),
    );
    assert_eq!(
        Entry::open(&envelopes(), &envelope.unwrap()).unwrap().entry,
        forget()
    );
}

/// Sources cite sections of the document by their titles.
#[test]
fn cited_sections_exist() {
    let text = std::fs::read_to_string(docs("format.md")).unwrap();
    let titles: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' '))
        .collect();
    let mut cited = 0;
    let mut folders = vec![docs("../repo-core/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for after in source.split("`docs/format.md`, \"").skip(1) {
                let title = after.split('"').next().unwrap();
                assert!(
                    titles.contains(&title),
                    "{} cites {title:?}",
                    path.display()
                );
                cited += 1;
            }
        }
    }
    assert!(cited > 10, "found only {cited} citations");
}
