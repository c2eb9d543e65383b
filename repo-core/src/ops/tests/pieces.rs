//! Files whose chunks are spread over blocks.

use super::support::*;
use crate::repo::{InitOptions, Repo};
use std::sync::Arc;

/// A repository with blocks of the usual size, which hold several chunks.
fn with_usual_blocks(bed: &Bed) -> Repo {
    let init = InitOptions {
        kdf: CHEAP,
        ..InitOptions::default()
    };
    let backend = Arc::new(bed.place.clone());
    Repo::init(backend, &password(), &init, &bed.options()).unwrap()
}

#[test]
fn what_other_files_stored_before_leaves_gaps_in_a_block() {
    let bed = Bed::empty();
    let parts: Vec<Vec<u8>> = (0..6).map(|seed| noise(seed, 400 << 10)).collect();
    // The last file has in one block what is not its neighbour in the file: what lies between came with the first ones.
    bed.write("a", &parts[1]);
    bed.write("b", &parts[3]);
    bed.write("filler", &noise(7, 5 << 20));
    bed.write("z", &parts.concat());
    bed.write(
        "zz",
        &[&parts[0][..], &parts[3], &parts[0], &parts[0], &parts[5]].concat(),
    );
    let repo = with_usual_blocks(&bed);
    let id = bed.backup(&repo).unwrap().snapshot.unwrap();
    bed.assert_restores(&repo, &id, &bed.tree());
    assert_clean(&repo);
}

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Writes files that are made of pieces of a common stock, each of some of them and some twice.
fn write_files(bed: &Bed, stock: &[Vec<u8>], dice: &mut Dice, files: usize) {
    for _ in 0..files {
        let name = format!("{}/{}", dice.below(5), dice.below(12));
        let count = dice.below(12);
        let pieces = (0..count).map(|_| &stock[dice.below(stock.len())][..]);
        let mut content = pieces.collect::<Vec<_>>().concat();
        if !content.is_empty() && dice.below(3) == 0 {
            let at = dice.below(content.len());
            content[at] ^= 0x55;
        }
        bed.write(&name, &content);
    }
}

/// Backs up, changes half of the files, backs up again; both restore exactly.
fn round_trip(repo: &Repo, bed: &Bed, seed: u64) {
    let mut dice = Dice(seed);
    let sizes = [50, 3_000, 20_000, 70_000, 300_000, 900_000];
    let stock: Vec<Vec<u8>> = (0..24)
        .map(|n| {
            noise(
                seed << 8 | n,
                1 + dice.below(sizes[n as usize % sizes.len()]),
            )
        })
        .collect();
    let mut made = Vec::new();
    for files in [30, 15] {
        write_files(bed, &stock, &mut dice, files);
        let id = bed.backup(repo).unwrap().snapshot.unwrap();
        made.push((id, bed.tree()));
    }
    for (id, tree) in made {
        bed.assert_restores(repo, &id, &tree);
    }
    assert_clean(repo);
}

#[test]
fn files_of_common_pieces_restore_from_large_blocks() {
    for seed in 1..=6 {
        let bed = Bed::empty();
        round_trip(&with_usual_blocks(&bed), &bed, seed);
    }
}

#[test]
fn files_of_common_pieces_restore_from_small_blocks() {
    for seed in 11..=16 {
        let bed = Bed::new();
        round_trip(&bed.open(), &bed, seed);
    }
}
