//! The record codec against `wincode`, which writes and reads the same bytes by code of its own.
//!
//! `bincode` is no longer maintained; as long as both agree, one can stand in for the other. wincode's types are spelled out
//! as tuples here, field by field as `docs/format.md` lists them: a field that moves is noticed too.

use crate::format::codec::{self, Ext};
use crate::format::settings::Settings;
use crate::format::snapshot::{Summary, Totals};
use crate::format::tree::{Chunks, Content, FileContent, Leaf, Node, Tree};
use crate::id::{BlobId, SnapshotId};
use crate::time::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wincode::config::{Configuration, deserialize_exact, serialize};

macro_rules! by_wincode {
    ($value:expr) => {
        serialize(&$value, Configuration::default().with_varint_encoding()).unwrap()
    };
}

type Numbers = (u8, u16, u32, u64, i16, i32, i64, bool);
type Lists = (
    String,
    Vec<u8>,
    Vec<u64>,
    [u8; 32],
    Vec<[u8; 16]>,
    Vec<(u32, String)>,
);
type Options = (
    Option<u8>,
    Option<[u8; 32]>,
    Option<Vec<(u64, u64)>>,
    Option<(i64, u32)>,
);
type Shape = (Numbers, Lists, Options, Vec<(Vec<u8>, Option<String>)>);

/// Any number, those around the borders of the varint's forms more often than by chance.
fn number() -> impl Strategy<Value = u64> {
    let borders = [
        0u64,
        1,
        250,
        251,
        252,
        253,
        254,
        255,
        1 << 16,
        1 << 32,
        1 << 63,
    ];
    let near = (0..borders.len(), -2i64..3)
        .prop_map(move |(at, by): (usize, i64)| borders[at].wrapping_add_signed(by));
    prop_oneof![near, any::<u64>(), 0u64..1000]
}

fn numbers() -> impl Strategy<Value = Numbers> {
    (
        any::<u8>(),
        number(),
        number(),
        number(),
        number(),
        number(),
        number(),
        any::<bool>(),
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| {
            (a, b as u16, c as u32, d, e as i16, f as i32, g as i64, h)
        })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 240..300)]
}

fn shape() -> impl Strategy<Value = Shape> {
    let owners = vec((any::<u32>(), any::<String>()), 0..4);
    let lists = (
        any::<String>(),
        bytes(),
        vec(number(), 0..9),
        any::<[u8; 32]>(),
        vec(any::<[u8; 16]>(), 0..3),
        owners,
    );
    let extents = option::of(vec((number(), number()), 0..4));
    let options = (
        any::<Option<u8>>(),
        any::<Option<[u8; 32]>>(),
        extents,
        any::<Option<(i64, u32)>>(),
    );
    (
        numbers(),
        lists,
        options,
        vec((bytes(), any::<Option<String>>()), 0..4),
    )
}

fn time() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), 0..crate::time::NANOS)
        .prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos))
}

fn ext() -> impl Strategy<Value = Vec<Ext>> {
    vec(
        (any::<u16>(), bytes()).prop_map(|(tag, bytes)| Ext { tag, bytes }),
        0..3,
    )
}

fn totals() -> impl Strategy<Value = Totals> {
    vec(number(), 15).prop_map(|n| Totals {
        files: n[0],
        dirs: n[1],
        bytes: n[2],
        files_new: n[3],
        files_changed: n[4],
        files_unmodified: n[5],
        dirs_new: n[6],
        dirs_changed: n[7],
        dirs_unmodified: n[8],
        data_blobs: n[9],
        tree_blobs: n[10],
        bytes_added: n[11],
        bytes_stored: n[12],
        duration_ms: n[13],
        problems: n[14],
    })
}

fn summary() -> impl Strategy<Value = Summary> {
    let text = || any::<String>();
    let who = (
        any::<[u8; 32]>(),
        any::<Option<[u8; 32]>>(),
        time(),
        any::<i16>(),
        text(),
        text(),
        any::<u32>(),
        any::<u32>(),
    );
    let what = (
        vec(bytes(), 0..3),
        vec(text(), 0..3),
        text(),
        text(),
        text(),
        totals(),
        ext(),
    );
    (who, what).prop_map(
        |((root, parent, time, utc_offset_min, host, user, uid, gid), what)| {
            let (paths, tags, label, description, program, totals, ext) = what;
            Summary {
                root: BlobId(root),
                parent: parent.map(SnapshotId),
                time,
                utc_offset_min,
                host,
                user,
                uid,
                gid,
                paths,
                tags,
                label,
                description,
                program,
                totals,
                ext,
            }
        },
    )
}

fn content() -> impl Strategy<Value = Content> {
    let ids = || vec(any::<[u8; 32]>().prop_map(BlobId), 0..3);
    let chunks = prop_oneof![
        ids().prop_map(Chunks::Direct),
        (1u8..9, ids()).prop_map(|(height, lists)| Chunks::Lists { height, lists }),
    ];
    let file = (
        number(),
        chunks,
        option::of(vec((number(), number()), 0..3)),
    )
        .prop_map(|(size, chunks, extents)| {
            Content::File(FileContent {
                size,
                chunks,
                extents,
            })
        });
    prop_oneof![
        file,
        any::<Option<[u8; 32]>>().prop_map(|id| Content::Dir(id.map(BlobId))),
        bytes().prop_map(Content::Symlink),
        Just(Content::Fifo),
        Just(Content::Socket),
        number().prop_map(Content::BlockDevice),
        number().prop_map(Content::CharDevice),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let owner = (bytes(), any::<u16>(), any::<u32>(), any::<u32>());
    let times = (time(), time(), option::of(time()));
    let place = (number(), number(), number());
    (
        owner,
        times,
        place,
        vec((bytes(), bytes()), 0..3),
        content(),
        ext(),
    )
        .prop_map(
            |(
                (name, mode, uid, gid),
                (mtime, ctime, atime),
                (inode, device, links),
                xattrs,
                content,
                ext,
            )| Node {
                name,
                mode,
                uid,
                gid,
                mtime,
                ctime,
                atime,
                inode,
                device,
                links,
                xattrs,
                content,
                ext,
            },
        )
}

fn at(time: Timestamp) -> (i64, u32) {
    (time.seconds, time.nanos)
}

fn of_ext(ext: &[Ext]) -> Vec<(u16, Vec<u8>)> {
    ext.iter()
        .map(|field| (field.tag, field.bytes.clone()))
        .collect()
}

fn of_ids(ids: &[BlobId]) -> Vec<[u8; 32]> {
    ids.iter().map(|id| id.0).collect()
}

fn of_totals(t: &Totals) -> [u64; 15] {
    [
        t.files,
        t.dirs,
        t.bytes,
        t.files_new,
        t.files_changed,
        t.files_unmodified,
        t.dirs_new,
        t.dirs_changed,
        t.dirs_unmodified,
        t.data_blobs,
        t.tree_blobs,
        t.bytes_added,
        t.bytes_stored,
        t.duration_ms,
        t.problems,
    ]
}

fn summary_bytes(s: &Summary) -> Vec<u8> {
    let who = (
        s.root.0,
        s.parent.map(|id| id.0),
        at(s.time),
        s.utc_offset_min,
    );
    let on = (s.host.clone(), s.user.clone(), s.uid, s.gid);
    let what = (
        s.paths.clone(),
        s.tags.clone(),
        s.label.clone(),
        s.description.clone(),
        s.program.clone(),
    );
    by_wincode!((who, on, what, of_totals(&s.totals), of_ext(&s.ext)))
}

fn content_bytes(content: &Content) -> Vec<u8> {
    match content {
        Content::File(file) => {
            let chunks = match &file.chunks {
                Chunks::Direct(ids) => by_wincode!((0u8, of_ids(ids))),
                Chunks::Lists { height, lists } => by_wincode!((1u8, *height, of_ids(lists))),
            };
            [
                by_wincode!((0u8, file.size)),
                chunks,
                by_wincode!(file.extents.clone()),
            ]
            .concat()
        }
        Content::Dir(id) => by_wincode!((1u8, id.map(|id| id.0))),
        Content::Symlink(target) => by_wincode!((2u8, target.clone())),
        Content::Fifo => vec![3],
        Content::Socket => vec![4],
        Content::BlockDevice(number) => by_wincode!((5u8, *number)),
        Content::CharDevice(number) => by_wincode!((6u8, *number)),
    }
}

fn node_bytes(n: &Node) -> Vec<u8> {
    let owner = (n.name.clone(), n.mode, n.uid, n.gid);
    let times = (at(n.mtime), at(n.ctime), n.atime.map(at));
    let place = (n.inode, n.device, n.links);
    let before = by_wincode!((owner, times, place, n.xattrs.clone()));
    [
        before,
        content_bytes(&n.content),
        by_wincode!(of_ext(&n.ext)),
    ]
    .concat()
}

fn leaf_bytes(leaf: &Leaf) -> Vec<u8> {
    let owners = by_wincode!((
        0u8,
        leaf.users.clone(),
        leaf.groups.clone(),
        leaf.nodes.len() as u64
    ));
    let nodes: Vec<u8> = leaf.nodes.iter().flat_map(node_bytes).collect();
    [owners, nodes, by_wincode!(of_ext(&leaf.ext))].concat()
}

proptest! {
    #[test]
    fn every_shape_has_the_same_bytes(shape in shape()) {
        let config = Configuration::default().with_varint_encoding();
        let ours = codec::encode(&shape);
        prop_assert_eq!(&ours, &by_wincode!(shape));
        prop_assert_eq!(&codec::decode::<Shape>(&ours).unwrap(), &shape);
        prop_assert_eq!(&deserialize_exact::<Shape, _>(&ours, config).unwrap(), &shape);
    }

    /// What one refuses the other refuses: bytes with one change, and bytes by chance.
    #[test]
    fn both_refuse_the_same(shape in shape(), place: prop::sample::Index, byte: u8, chance in bytes()) {
        let config = Configuration::default().with_varint_encoding();
        let mut changed = codec::encode(&shape);
        let at = place.index(changed.len());
        changed[at] = byte;
        for input in [&changed, &changed[..at].to_vec(), &chance] {
            let ours = codec::decode::<Shape>(input).ok();
            prop_assert_eq!(ours, deserialize_exact::<Shape, _>(input, config).ok());
            let ours = codec::decode::<Options>(input).ok();
            prop_assert_eq!(ours, deserialize_exact::<Options, _>(input, config).ok());
        }
    }

    #[test]
    fn summaries_have_the_described_fields(summary in summary()) {
        let bytes = codec::encode(&summary);
        prop_assert_eq!(&bytes, &summary_bytes(&summary));
        prop_assert_eq!(codec::decode::<Summary>(&bytes).unwrap(), summary);
    }

    #[test]
    fn trees_have_the_described_fields(nodes in vec(node(), 0..4), users in vec((any::<u32>(), any::<String>()), 0..3), ext in ext()) {
        let leaf = Leaf { users: users.clone(), groups: users, nodes, ext };
        let tree = Tree::Leaf(leaf.clone());
        let bytes = codec::encode(&tree);
        prop_assert_eq!(&bytes, &leaf_bytes(&leaf));
        prop_assert_eq!(codec::decode::<Tree>(&bytes).unwrap(), tree);
    }

    #[test]
    fn settings_have_the_described_fields(n in vec(any::<u32>(), 4), level: i32, grace_s in number(), ext in ext()) {
        let settings = Settings { epoch: n[0], domain: n[1], pack_bytes: n[2], block_bytes: n[3], level, grace_s, ext };
        let bytes = by_wincode!((n[0], n[1], n[2], n[3], level, grace_s, of_ext(&settings.ext)));
        prop_assert_eq!(codec::encode(&settings), bytes);
    }
}
