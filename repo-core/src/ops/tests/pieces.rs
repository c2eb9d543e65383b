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
