//! What the hex blocks of `docs/format.md` show, made by the library.

use crate::format_example_values::{
    announcement, checkpoint, deleting, delta, evidence, forget, leaf, member, sized_node, summary,
    table_entry, table_reference,
};
use crate::format_packs::header_by_writer;
use crate::format_values::settings;
use crate::format_vectors::{envelopes, ring, signer};
use repo_core::crypto::{BlobType, KeyKind, commitment, contexts, derive};
use repo_core::format::codec;
use repo_core::format::config;
use repo_core::format::entry::{EntryClear, encode_file};
use repo_core::format::envelope::RecordType;
use repo_core::format::rows::Row;
use repo_core::format::settings::Settings;
use repo_core::format::table::TableBuilder;

/// Bytes and what they are, piece by piece.
pub type Pieces = Vec<(Vec<u8>, &'static str)>;

pub struct Example {
    pub name: &'static str,
    pub pieces: Pieces,
    /// Whether sealing it again gives other bytes.
    pub random: bool,
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

pub fn row(row: &impl Row) -> Vec<u8> {
    let mut bytes = Vec::new();
    row.write(&mut bytes);
    bytes
}

fn exact(name: &'static str, pieces: Pieces) -> Example {
    Example {
        name,
        pieces,
        random: false,
    }
}

fn random(name: &'static str, pieces: Pieces) -> Example {
    Example {
        name,
        pieces,
        random: true,
    }
}

/// A record, cut into its fields.
fn record(
    name: &'static str,
    bytes: Vec<u8>,
    fields: &[(usize, &'static str)],
    rest: &'static str,
) -> Example {
    exact(name, cut(&bytes, fields, rest))
}

pub fn examples() -> Vec<Example> {
    let mut examples = vec![
        exact("blob-ids", blob_ids()),
        exact("derivations", derivations()),
    ];
    examples.extend(envelopes_and_settings());
    examples.extend(log());
    examples.extend(folded());
    examples.extend(snapshots());
    examples.extend(packs());
    examples.push(tree());
    examples.push(chunk_sizes());
    examples
}

fn envelopes_and_settings() -> Vec<Example> {
    let config = config::seal(&envelopes(), &settings()).unwrap();
    vec![
        record(
            "record-primitives",
            codec::encode(&primitives()),
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
        record(
            "settings",
            codec::encode(&Settings::default()),
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
    ]
}

/// The fields of later versions in the clear part of a `Deleting`.
fn rests_on() -> Vec<u8> {
    let core = deleting().seal_resting(&envelopes(), &signer(), Some(&vec![table_reference()]));
    let opened = envelopes().open(RecordType::Entry, &core.unwrap());
    let clear: EntryClear = codec::decode(&opened.unwrap().clear).unwrap();
    codec::encode(&clear.ext)
}

fn log() -> Vec<Example> {
    let core = forget().seal(&envelopes(), &signer()).unwrap();
    let opened = envelopes().open(RecordType::Entry, &core).unwrap();
    vec![
        record(
            "entry-clear",
            opened.clear,
            &[
                (3, "kind 0x8006"),
                (1, "number 7"),
                (16, "nonce"),
                (33, "follows one"),
                (1, "no objects"),
            ],
            "no ext",
        ),
        record(
            "entry-body",
            opened.body,
            &[
                (6, "time 1790000000 s, 0 ns"),
                (1, "no process"),
                (34, "payload, 33 bytes: one snapshot"),
            ],
            "no ext",
        ),
        record(
            "rests-on",
            rests_on(),
            &[
                (1, "one field"),
                (1, "field 1"),
                (1, "34 bytes"),
                (1, "one object"),
                (1, "an index table"),
            ],
            "id",
        ),
        record(
            "entry-file",
            encode_file(b"third", &[b"first".to_vec(), b"second".to_vec()]),
            &[
                (4, "5 bytes"),
                (5, "the entry's own core"),
                (4, "5 bytes"),
                (5, "catch-up"),
            ],
            "6 bytes, catch-up",
        ),
        record(
            "roles",
            codec::encode(&vec![member()]),
            &[
                (1, "one member"),
                (32, "writer id"),
                (32, "seal public"),
                (1, "full"),
                (2, "domain 0"),
            ],
            "no ext",
        ),
    ]
}

fn folded() -> Vec<Example> {
    vec![
        record(
            "checkpoint",
            codec::encode(&checkpoint()),
            &[
                (34, "tail: entry 16, one head"),
                (1, "class A"),
                (36, "roles: entry 1, its hash, here no members"),
                (1, "no settings"),
                (5, "nothing dropped, waiting, fenced, cut off, voided"),
                (1, "eight parts"),
                (
                    5,
                    "tables: no rows, no tables, 1 byte inline: an empty list",
                ),
                (35, "the seven other kinds likewise"),
            ],
            "no ext",
        ),
        record(
            "evidence",
            codec::encode(&evidence()),
            &[
                (1, "a check"),
                (6, "begun"),
                (6, "ended"),
                (5, "host"),
                (13, "program"),
                (1, "up to entry 7"),
                (33, "one pack read"),
                (1, "none wanted"),
                (1, "no problems"),
            ],
            "no ext",
        ),
        record(
            "announcement",
            codec::encode(&announcement()),
            &[
                (16, "nonce"),
                (1, "deletes nothing"),
                (6, "time"),
                (5, "host"),
                (13, "program"),
            ],
            "no ext",
        ),
    ]
}

fn snapshots() -> Vec<Example> {
    vec![record(
        "summary",
        codec::encode(&summary()),
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
    )]
}

fn packs() -> Vec<Example> {
    vec![
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
        record(
            "block-row",
            row(&delta()),
            &[
                (4, "in a directory"),
                (12, "offset 172, 1000 bytes for 1048576"),
                (4, "counter 3"),
                (6, "bases 5 and 6"),
            ],
            "delta, wrap 0",
        ),
        record(
            "index-table",
            table(),
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
    ]
}

fn chunk_sizes() -> Example {
    record(
        "chunk-sizes",
        codec::encode(&sized_node().ext),
        &[
            (1, "one field"),
            (1, "tag 1"),
            (1, "13 bytes"),
            (3, "min 16 KiB"),
            (5, "avg 64 KiB"),
        ],
        "max 256 KiB",
    )
}

fn tree() -> Example {
    record(
        "tree-leaf",
        codec::encode(&leaf()),
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
    )
}
