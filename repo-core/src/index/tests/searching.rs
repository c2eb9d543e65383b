//! Lookups over many groups of rows, wherever they are.

use super::*;
use std::collections::BTreeMap;

/// A pack of blobs with these ids, 500 to a block.
fn pack_of(number: u32, ids: &[BlobId]) -> PackEntry {
    let numbers: Vec<u32> = (0..ids.len() as u32).collect();
    let blocks: Vec<_> = numbers.chunks(500).map(<[u32]>::to_vec).collect();
    let mut entry = pack(number, &blocks);
    let by_number: BTreeMap<_, _> = numbers
        .iter()
        .map(|n| (blob_id(*n), ids[*n as usize]))
        .collect();
    for blob in &mut entry.blobs {
        blob.id = by_number[&blob.id];
    }
    entry
}

fn crowded(number: u32) -> BlobId {
    let mut id = [7; 32];
    id[28..].copy_from_slice(&number.to_be_bytes());
    BlobId(id)
}

fn copies(index: &Index, id: &BlobId) -> usize {
    index.copies(id).unwrap().len()
}

fn each_mode(tables: &[Vec<PackEntry>], test: impl Fn(&Index)) {
    for mode in MODES {
        let dir = TempDir::new().unwrap();
        let index = Index::open_with(Place::Spill(dir.path()), limits(mode)).unwrap();
        for packs in tables {
            let (id, body) = table(packs);
            index.add_table(id, &body).unwrap();
        }
        test(&index);
    }
}

#[test]
fn every_blob_is_found_and_no_other() {
    let ids = |numbers: std::ops::Range<u32>| numbers.map(blob_id).collect::<Vec<_>>();
    let tables = [
        vec![pack_of(1, &ids(0..5000)), pack_of(2, &ids(5000..9000))],
        vec![pack_of(3, &ids(8000..9500))],
    ];
    each_mode(&tables, |index| {
        assert!(index.counts().blobs > 4 * 1024);
        for number in 0..9500 {
            let expected = 1 + usize::from((8000..9000).contains(&number));
            assert_eq!(copies(index, &blob_id(number)), expected, "{number}");
        }
        for number in 9500..19_500 {
            assert!(
                index
                    .lookup(&blob_id(number), Want::Readable)
                    .unwrap()
                    .is_none()
            );
        }
    });
}

/// Ids that nobody gets from a keyed hash: all begin alike, so that no place can be guessed.
#[test]
fn ids_made_up_to_crowd_are_found() {
    let ids: Vec<_> = (0..5000).map(|number| crowded(number * 2 + 1)).collect();
    let spread: Vec<_> = (0..2000).map(blob_id).collect();
    let tables = [
        vec![pack_of(1, &ids)],
        vec![pack_of(2, &spread), pack_of(3, &ids[..10])],
    ];
    each_mode(&tables, |index| {
        for number in 0..10_002 {
            let id = crowded(number);
            let expected = match number {
                n if n % 2 == 0 || n >= 10_000 => 0,
                n => 1 + usize::from(n < 20),
            };
            assert_eq!(copies(index, &id), expected, "{number}");
        }
        assert!(spread.iter().all(|id| copies(index, id) == 1));
        for edge in [[0; 32], [255; 32]] {
            assert_eq!(copies(index, &BlobId(edge)), 0);
        }
    });
}

/// One blob in more blocks than a group has rows: its rows begin in one group and end in another.
#[test]
fn a_blob_with_thousands_of_copies_shows_all() {
    let blocks: Vec<Vec<u32>> = (0..3000).map(|number| vec![7, 100 + number]).collect();
    each_mode(&[vec![pack(1, &blocks)], vec![pack(2, &blocks)]], |index| {
        assert_eq!(copies(index, &blob_id(7)), 6000);
        assert!((100..3100).all(|number| copies(index, &blob_id(number)) == 2));
    });
}

#[test]
fn an_empty_index_has_nothing() {
    let (_dir, index) = spill();
    assert_eq!(index.counts(), Counts::default());
    assert!(index.lookup(&blob_id(1), Want::Readable).unwrap().is_none());
    assert!(index.pack(&pack_id(1)).unwrap().is_none());
    assert!(index.pack_entry(&pack_id(1)).unwrap().is_none());
    let (id, body) = table(&[]);
    index.add_table(id, &body).unwrap();
    assert!(index.contains_table(&id));
    assert!(index.lookup(&blob_id(1), Want::Readable).unwrap().is_none());
    index.remove_table(&id);
    assert!(!index.contains_table(&id));
}

/// Tables cut by blob id name one pack several times, each with some of its blobs.
#[test]
fn a_pack_in_two_tables_is_one_pack() {
    let whole = pack(1, &[vec![1, 2, 3], vec![4, 5], vec![6]]);
    let mut halves = [whole.clone(), whole.clone()];
    halves[0].blobs.retain(|blob| blob.id.0[0] < 128);
    halves[1].blobs.retain(|blob| blob.id.0[0] >= 128);
    let [first, second] = halves;
    each_mode(&[vec![first], vec![second]], |index| {
        assert_eq!(index.pack_entry(&whole.id).unwrap().as_ref(), Some(&whole));
        let mut packs = Vec::new();
        let mut each = |info: PackInfo, _| {
            packs.push(info.id);
            Ok(ControlFlow::Continue(()))
        };
        index.packs(&mut each).unwrap();
        assert_eq!(packs, [whole.id]);
    });
}
