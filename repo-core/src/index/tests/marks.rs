//! A set of blobs against a hash set, over several runs and copies.

use super::*;

#[test]
fn a_blob_is_new_once_wherever_it_lies() {
    let (_dir, index) = spill();
    // The second table names some of the first one's blobs again, and none of them stands in both rows.
    let first = table(&[pack(1, &[(0..500).collect(), (400..900).collect()])]);
    let second = table(&[pack(2, &[(800..1500).collect()])]);
    for (id, body) in [&first, &second] {
        index.add_table(*id, body).unwrap();
    }
    let mut marks = index.marks();
    let mut model = std::collections::HashSet::new();
    for number in (0..2000).step_by(3).chain(0..2000).chain(100..200) {
        let id = blob_id(number);
        assert_eq!(marks.insert(&id).unwrap(), model.insert(id), "{number}");
    }
    // Another set knows nothing of the first one.
    assert!(index.marks().insert(&blob_id(5)).unwrap());
}
