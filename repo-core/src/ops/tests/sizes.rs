//! A path keeps the sizes by which its content is cut.

use super::support::{Bed, assert_clean, names, noise};
use crate::chunk::{SourceKind, sizes_for};
use crate::format::tree::{Chunks, Content, Node};
use crate::ops::{BackupOptions, BackupSummary, Input, LsOptions, ls};
use std::fs::File;
use std::path::Path;

fn made(bed: &Bed, force: bool) -> BackupSummary {
    let options = BackupOptions {
        host: "host".into(),
        force,
        ..BackupOptions::default()
    };
    let input = Input::Paths(vec![bed.source()]);
    super::support::quietly(&bed.open(), input, &options).unwrap()
}

fn node(bed: &Bed, made: &BackupSummary, name: &str) -> Node {
    let path = bed.source().join(name);
    let list = LsOptions {
        paths: vec![path.clone()],
        ..LsOptions::default()
    };
    let mut found = None;
    ls(
        &bed.open(),
        &made.snapshot.unwrap(),
        &list,
        &mut |at, node| {
            found = found.take().or((at == path).then(|| node.clone()));
            Ok(())
        },
    )
    .unwrap();
    found.unwrap()
}

fn chunks(node: &Node) -> usize {
    let Content::File(file) = &node.content else {
        panic!("{node:?} is a file")
    };
    match &file.chunks {
        Chunks::Direct(chunks) => chunks.len(),
        Chunks::Lists { .. } => panic!("these files are small"),
    }
}

fn usual(name: &str, len: u64) -> crate::chunk::Sizes {
    sizes_for(SourceKind::of_file(Path::new(name), len))
}

#[test]
fn a_file_that_grows_across_a_border_shares_what_it_had() {
    let bed = Bed::new();
    let film = noise(1, 6 << 20);
    let (small, large) = (900 << 10, 6 << 20);
    assert_ne!(usual("film.mp4", small), usual("film.mp4", large));
    bed.write("film.mp4", &film[..small as usize]);
    let first = made(&bed, false);
    let first = node(&bed, &first, "film.mp4");
    assert_eq!(
        first.chunk_sizes(),
        None,
        "they are those of the name and length"
    );

    bed.write("film.mp4", &film);
    bed.write("copy.mp4", &film);
    let grown = made(&bed, false);
    let kept = node(&bed, &grown, "film.mp4");
    assert_eq!(kept.chunk_sizes(), Some(usual("film.mp4", small)));
    let other = node(&bed, &grown, "copy.mp4");
    assert_eq!(other.chunk_sizes(), None, "a new path has its own");
    assert!(chunks(&kept) > 2 * chunks(&other));
    // All of the first version is shared but where it ended.
    let without = (chunks(&kept) + chunks(&other)) as u64;
    let shared = without - grown.totals.data_blobs;
    assert!(shared + 1 >= chunks(&first) as u64, "{shared} shared");

    // It stays so: unchanged, changed, with other metadata, and where everything is looked up again.
    assert_eq!(made(&bed, false).totals.files_unmodified, 2);
    let mut changed = film.clone();
    changed[3 << 20] ^= 1;
    bed.write("film.mp4", &changed);
    let once_more = made(&bed, false);
    let changed = once_more.totals.data_blobs;
    assert!(changed < chunks(&kept) as u64 / 4, "{changed} chunks");
    assert_eq!(
        node(&bed, &once_more, "film.mp4").chunk_sizes(),
        kept.chunk_sizes()
    );
    for pack in names(&bed.place, "data") {
        bed.place.remove(&pack);
    }
    let healed = made(&bed, true);
    assert_eq!(
        node(&bed, &healed, "film.mp4").chunk_sizes(),
        None,
        "without a parent it has its own"
    );
    bed.assert_restores(&bed.open(), &healed.snapshot.unwrap(), &bed.tree());
}

#[test]
fn what_is_taken_for_unchanged_keeps_what_is_recorded_of_it() {
    let bed = Bed::new();
    bed.write("a.jpg", &noise(2, 900 << 10));
    made(&bed, false);
    bed.write("a.jpg", &noise(2, 2 << 20));
    made(&bed, false);
    let path = bed.source().join("a.jpg");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, permissions).unwrap();
    let options = BackupOptions {
        host: "host".into(),
        ignore_ctime: true,
        ..BackupOptions::default()
    };
    let input = Input::Paths(vec![bed.source()]);
    let made = super::support::quietly(&bed.open(), input, &options).unwrap();
    assert_eq!(made.totals.files_unmodified, 1);
    let node = node(&bed, &made, "a.jpg");
    assert_eq!(
        (node.mode, node.chunk_sizes()),
        (0o600, Some(usual("a.jpg", 1)))
    );
    assert_clean(&bed.open());
}

#[test]
fn a_version_without_a_chunk_to_share_decides_nothing() {
    let bed = Bed::new();
    bed.write("image", b"a few bytes");
    bed.write("grows", &noise(3, 200_000));
    made(&bed, false);
    for name in ["image", "grows"] {
        let file = File::options()
            .write(true)
            .open(bed.source().join(name))
            .unwrap();
        file.set_len(2 << 30).unwrap();
    }
    let grown = made(&bed, false);
    assert_ne!(usual("image", 2 << 30), usual("image", 1));
    assert_eq!(node(&bed, &grown, "image").chunk_sizes(), None);
    assert_eq!(
        node(&bed, &grown, "grows").chunk_sizes(),
        Some(usual("grows", 1))
    );
    assert_clean(&bed.open());
}
