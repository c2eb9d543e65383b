//! Reservations.

use super::*;
use crate::ErrorKind;

#[test]
fn of_many_threads_one_gets_each_blob() {
    let (_dir, index) = spill();
    let (id, body) = table(&[pack(1, &[(0..100).collect()])]);
    index.add_table(id, &body).unwrap();
    let pending = index.pending();
    let new: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4u32)
            .map(|thread| {
                let (index, pending) = (&index, &pending);
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    let mut all = 0;
                    for number in 0..3000 {
                        if pending.reserve(index, &blob_id(number)).unwrap() == Reserve::New {
                            mine.push(number);
                            all += 1;
                        }
                        if mine.len() == 50 {
                            let blobs = std::mem::take(&mut mine);
                            let pack = pack(10 + thread * 100_000 + all, &[blobs]);
                            pending.add_pack(&pack).unwrap();
                            let (id, body) = table(&[pack]);
                            pending.add_table(index, id, &body).unwrap();
                        }
                    }
                    all as usize
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(new, 2900);
    assert_eq!(index.counts().blobs, 3000 - pending.reserved() as u64);
    assert_eq!(pending.packs(), 0);
}

#[test]
fn a_blob_is_reserved_then_written_then_published() {
    let (_dir, index) = spill();
    let pending = index.pending();
    let id = blob_id(1);
    assert_eq!(pending.reserve(&index, &id).unwrap(), Reserve::New);
    assert_eq!(pending.reserve(&index, &id).unwrap(), Reserve::OnItsWay);
    pending.release(&id);
    assert_eq!(pending.reserve(&index, &id).unwrap(), Reserve::New);
    let entry = pack(1, &[vec![1, 2]]);
    pending.add_pack(&entry).unwrap();
    assert_eq!((pending.packs(), pending.reserved()), (1, 0));
    let Reserve::Stored(location) = pending.reserve(&index, &id).unwrap() else {
        panic!("written and not stored");
    };
    assert_eq!(index.pack_id_of(&location).unwrap(), entry.id);
    assert!(index.lookup(&id, Want::Readable).unwrap().is_none());
    let (table_id, body) = table(&[entry]);
    pending.add_table(&index, table_id, &body).unwrap();
    assert_eq!(pending.packs(), 0);
    assert!(index.lookup(&id, Want::Live).unwrap().is_some());
    assert!(matches!(
        pending.reserve(&index, &id).unwrap(),
        Reserve::Stored(_)
    ));
    // A copy in a condemned pack is no reason not to store the blob.
    index.set_usable(&pack_id(1), false).unwrap();
    assert_eq!(pending.reserve(&index, &id).unwrap(), Reserve::New);
    let damaged = PackEntry {
        len: 0,
        ..pack(2, &[vec![5]])
    };
    assert_eq!(
        pending.add_pack(&damaged).unwrap_err().kind(),
        ErrorKind::Damaged
    );
}
