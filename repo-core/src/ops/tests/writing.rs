//! How hard is compressed, how large packs become, how files are read, and what lies beside what.

use super::support::{Bed, assert_clean, names, noise, quietly};
use crate::compress::{Encoding, Level};
use crate::crypto::BlobType;
use crate::error::ErrorKind;
use crate::format::tree::{Chunks, Content};
use crate::id::{BlobId, PackId};
use crate::index::Want;
use crate::ops::{BackupOptions, BackupSummary, Input, LsOptions, READERS_MAX, backup, ls};
use crate::pattern::List;
use crate::progress::{Interrupt, Silent};
use crate::repo::WriteOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

fn made(bed: &Bed, options: &BackupOptions) -> BackupSummary {
    let input = Input::Paths(vec![bed.source()]);
    quietly(&bed.open(), input, options).unwrap()
}

/// Bytes that compress better the harder one tries.
fn text(len: usize) -> Vec<u8> {
    let words = [
        "sector ",
        "block, ",
        "pack\n",
        "larder ",
        "index of ",
        "(blob) ",
        "tree; ",
    ];
    let picks = noise(7, len / 4);
    let mut text: Vec<u8> = picks
        .iter()
        .flat_map(|pick| words[*pick as usize % words.len()].bytes())
        .collect();
    text.truncate(len);
    text
}

/// How the blocks of a kind are encoded.
fn encodings(bed: &Bed, kind: BlobType) -> BTreeSet<u8> {
    let mut found = BTreeSet::new();
    let repo = bed.open();
    let mut packs: BTreeSet<PackId> = BTreeSet::new();
    repo.index()
        .packs(&mut |pack, _| {
            packs.insert(pack.id);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    for pack in packs {
        let entry = repo.index().pack_entry(&pack).unwrap().unwrap();
        if entry.kind == kind {
            found.extend(entry.blocks.iter().map(|block| block.encoding));
        }
    }
    found
}

#[test]
fn data_is_compressed_as_hard_as_asked_for() {
    let mut stored = Vec::new();
    for level in [
        Level::Off,
        Level::Fast,
        Level::Auto,
        Level::Better,
        Level::Max,
    ] {
        let bed = Bed::new();
        bed.write("text", &text(1_500_000));
        bed.write("noise", &noise(2, 300_000));
        let options = BackupOptions {
            level,
            ..BackupOptions::default()
        };
        let made = made(&bed, &options);
        stored.push(made.totals.bytes_stored);
        let of_data = encodings(&bed, BlobType::Data);
        let of_trees = encodings(&bed, BlobType::Tree);
        let zstd = Encoding::Zstd as u8;
        assert_eq!(of_data.contains(&zstd), level != Level::Off, "{level:?}");
        assert_eq!(
            of_trees,
            BTreeSet::from([zstd]),
            "trees are always compressed"
        );
        assert_clean(&bed.open());
        bed.assert_restores(&bed.open(), &made.snapshot.unwrap(), &bed.tree());
    }
    // Packs are padded, and where blocks end differs from one repository to the next.
    let near = 256 << 10;
    let sorted = |less_hard: &u64, harder: &u64| less_hard + near >= *harder;
    assert!(stored.is_sorted_by(sorted), "{stored:?}");
    assert!(
        stored[0] > 1_800_000 && stored[4] < stored[0] / 2,
        "{stored:?}"
    );
}

#[test]
fn packs_are_as_large_as_asked_for() {
    for (mib, packs) in [
        (None, 8..=12),
        (Some(1), 8..=12),
        (Some(4), 2..=4),
        (Some(64), 1..=2),
    ] {
        let bed = Bed::new();
        bed.write("file", &noise(3, 9 << 20));
        let options = BackupOptions {
            pack_bytes: mib.map(|mib| mib << 20),
            ..BackupOptions::default()
        };
        made(&bed, &options);
        let made = names(&bed.place, "data").len();
        assert!(packs.contains(&made), "{made} packs with {mib:?}");
        assert_clean(&bed.open());
    }
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let bed = Bed::new();
    bed.write("file", b"x");
    for options in [
        BackupOptions {
            pack_bytes: Some((1 << 20) - 1),
            ..BackupOptions::default()
        },
        BackupOptions {
            pack_bytes: Some((256 << 20) + 1),
            ..BackupOptions::default()
        },
        BackupOptions {
            readers: READERS_MAX + 1,
            ..BackupOptions::default()
        },
    ] {
        let input = Input::Paths(vec![bed.source()]);
        let failed = backup(&bed.open(), input, &options, &Silent, &Interrupt::new());
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn any_number_of_readers_gives_the_same_tree() {
    let bed = Bed::new();
    for n in 0..700 {
        bed.write(
            &format!("d{}/f{n}", n % 37),
            &noise(n, (n as usize * 37) % 9_000),
        );
    }
    for n in 0..12 {
        bed.write(&format!("large/{n}"), &noise(n + 1_000, 1_500_000));
    }
    bed.write("large/streamed", &noise(5, 5_000_000));
    let mut first = None;
    for readers in [0, 1, 3, 40] {
        let options = BackupOptions {
            readers,
            force: true,
            ..BackupOptions::default()
        };
        let made = made(&bed, &options);
        let list = LsOptions {
            paths: vec![bed.source()],
            recursive: true,
            ..LsOptions::default()
        };
        let mut nodes = Vec::new();
        ls(
            &bed.open(),
            &made.snapshot.unwrap(),
            &list,
            &mut |path, node| {
                nodes.push((path.to_path_buf(), node.clone()));
                Ok(())
            },
        )
        .unwrap();
        assert!(nodes.len() > 700);
        assert!(
            *first.get_or_insert_with(|| nodes.clone()) == nodes,
            "{readers} readers"
        );
    }
    assert_clean(&bed.open());
}

/// The files of the newest snapshot, by the blocks that their chunks lie in.
fn neighbours(bed: &Bed, made: &BackupSummary) -> Vec<BTreeSet<String>> {
    let repo = bed.open();
    let mut blocks: BTreeMap<(PackId, u32), BTreeSet<String>> = BTreeMap::new();
    let list = LsOptions::default();
    ls(&repo, &made.snapshot.unwrap(), &list, &mut |path, node| {
        if let Content::File(file) = &node.content {
            let Chunks::Direct(chunks) = &file.chunks else {
                panic!("{path:?} is small")
            };
            for chunk in chunks {
                let location = repo.index().lookup(chunk, Want::Live)?.expect("stored");
                let block = (repo.index().pack_id_of(&location)?, location.block.counter);
                let name = path.file_name().unwrap().to_str().unwrap();
                blocks.entry(block).or_default().insert(name.to_owned());
            }
        }
        Ok(())
    })
    .unwrap();
    blocks.into_values().collect()
}

#[test]
fn content_that_is_to_be_apart_shares_no_block() {
    let bed = Bed::new();
    for (name, len) in [
        ("a", 900),
        ("b.key", 800),
        ("c.key", 700),
        ("d", 3_000_000),
        ("e.key", 3_000_000),
        ("f", 900),
        ("g", 900),
    ] {
        bed.write(
            name,
            &noise(len as u64 + u64::from(name.as_bytes()[0]), len),
        );
    }
    let together = made(&bed, &BackupOptions::default());
    let shared = neighbours(&bed, &together);
    assert!(
        shared
            .iter()
            .any(|files| files.contains("b.key") && files.len() > 1),
        "{shared:?}"
    );

    let bed_apart = Bed::new();
    for (name, (_, _, content)) in bed.tree() {
        bed_apart.write(name.to_str().unwrap(), &content);
    }
    let options = BackupOptions {
        isolate: Some(List::parse(&["*.key"], false).unwrap()),
        ..BackupOptions::default()
    };
    let apart = made(&bed_apart, &options);
    let blocks = neighbours(&bed_apart, &apart);
    for files in &blocks {
        let secret = files.iter().any(|name| name.ends_with(".key"));
        assert!(!secret || files.len() == 1, "{blocks:?}");
    }
    let usual = BTreeSet::from(["f".to_owned(), "g".into()]);
    assert!(blocks.contains(&usual), "others still share: {blocks:?}");
    assert_clean(&bed_apart.open());
}

#[test]
fn packs_and_tables_of_tiny_blobs_end_early() {
    const BLOBS: u32 = 300_000;
    let bed = Bed::new();
    let (repo, interrupt) = (bed.open(), Interrupt::new());
    let options = WriteOptions::new(&Silent, &interrupt);
    let (_, written) = repo
        .write(options, |writer| {
            for number in 0..BLOBS {
                let bytes = number.to_le_bytes();
                let id = BlobId(*blake3::hash(&bytes).as_bytes());
                writer.add(BlobType::Data, &id, &bytes)?;
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(written.data_blobs, u64::from(BLOBS));
    for pack in &written.own {
        let entry = repo.index().pack_entry(pack).unwrap().unwrap();
        // Those of blocks that were on their way when it became full come in addition.
        assert!(entry.blobs.len() <= 64 << 10, "{}", entry.blobs.len());
        for number in 0..entry.blocks.len() {
            let inside = entry.blobs.iter().filter(|b| b.block as usize == number);
            assert!(inside.count() <= 4096);
        }
    }
    assert!(repo.index().counts().tables > 1);
}
