//! The index by numbers where two tables name one pack.

use super::*;

#[test]
fn a_pack_that_two_tables_name_has_one_number() {
    let (_dir, index) = spill();
    let shared = pack(1, &[(0..50).collect(), (50..90).collect()]);
    let tables = [
        table(&[shared.clone(), pack(2, &[(80..120).collect()])]),
        table(&[pack(3, &[(10..20).collect()]), shared.clone()]),
    ];
    for (id, body) in &tables {
        index.add_table(*id, body).unwrap();
    }
    let picture = index.picture().unwrap();
    let ids: BTreeSet<PackId> = picture
        .packs()
        .map(|n| picture.pack_row(n).unwrap().id)
        .collect();
    assert_eq!((picture.packs().count(), ids.len()), (3, 3));
    let mut first_of = BTreeSet::new();
    picture
        .for_each_blob(&mut |_, _, copies| {
            let same = copies
                .iter()
                .filter(|copy| copy.pack == copies[0].pack)
                .count();
            assert!((1..=2).contains(&same));
            first_of.insert(copies[0].block);
            Ok(())
        })
        .unwrap();
    // Blocks are told once, and those that copies are listed in first are among them.
    let mut blocks = BTreeSet::new();
    picture
        .for_each_block(&mut |number, pack, _| {
            assert_eq!(picture.pack_of_block(number), Some(pack));
            assert!(blocks.insert(number));
            Ok(())
        })
        .unwrap();
    assert_eq!(blocks.len(), 4);
    assert!(first_of.is_subset(&blocks), "{first_of:?} {blocks:?}");
    let number = picture
        .packs()
        .find(|n| picture.pack_row(*n).unwrap().id == shared.id)
        .unwrap();
    let found = picture.blocks_of(&index, number).unwrap();
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .flat_map(|block| &block.blobs)
            .all(|(_, rows)| rows.len() == 2)
    );
    let mut tables_seen = BTreeSet::new();
    picture
        .for_each_table(&mut |id, _, packs| {
            assert!(tables_seen.insert(id));
            assert_eq!(packs.len(), 2);
            Ok(())
        })
        .unwrap();
    assert_eq!(tables_seen, tables.iter().map(|(id, _)| *id).collect());
}
