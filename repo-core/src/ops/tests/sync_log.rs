//! Sync: files of the log that are damaged, in the source or in the replica.

use super::prune::history_in;
use super::support::*;
use super::sync::{assert_whole, content, mirror, run};
use crate::backend::{Backend, Class, MemoryBackend};
use crate::error::ErrorKind;
use crate::format::entry;
use crate::format::name::{self, CONFIG};
use crate::id::SnapshotId;

/// A repository, and a replica that is up to date, and the number of the newest entry.
fn both(class: Class) -> (Bed, MemoryBackend, u64, [(SnapshotId, Tree); 2]) {
    let (bed, snapshots) = history_in(class);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let newest = bed.open().state().tail().number;
    (bed, to, newest, snapshots)
}

/// Ways to damage a file of an entry, its length kept or not: in the core, in what it repeats, cut off at the end, emptied.
fn damages(file: &[u8]) -> Vec<Vec<u8>> {
    let (core, _) = entry::decode_file(file).unwrap();
    let flipped = |at: usize| {
        let mut file = file.to_vec();
        file[at] ^= 1;
        file
    };
    vec![
        flipped(0),
        flipped(4),
        flipped(core.len() / 2),
        flipped(core.len()),
        flipped(file.len() - 1),
        vec![0; file.len()],
        file[..file.len() - 1].to_vec(),
        file[..core.len() / 2].to_vec(),
        Vec::new(),
        [file, b"more"].concat(),
    ]
}

#[test]
fn a_damaged_entry_of_the_source_replaces_nothing() {
    let (bed, to, newest, [first, second]) = both(Class::A);
    let name = name::entry(newest);
    let file = bed.place.get(&name).unwrap();
    let repo = bed.open();
    for (number, damaged) in damages(&file).into_iter().enumerate() {
        bed.place.put(&name, &damaged).unwrap();
        for by in [None, Some(&repo)] {
            let (done, problems) = run(&bed.place, &to, by, false);
            match done {
                Ok(done) => assert!(done.problems > 0 && done.deleted == 0, "{number} {done:?}"),
                // The log cannot be opened by then.
                Err(e) => assert!(
                    by.is_some() && e.kind() != ErrorKind::InvalidInput,
                    "{number} {e}"
                ),
            }
            assert!(to.get(&name).unwrap() == file, "{number} {problems:?}");
        }
    }
    bed.place.put(&name, &file).unwrap();
    assert_whole(&bed, &to, &[&first, &second]);
}

#[test]
fn a_damaged_entry_is_left_out_of_a_copy_until_it_is_put_right() {
    let (bed, _, newest, [first, second]) = both(Class::A);
    let name = name::entry(newest);
    let file = bed.place.get(&name).unwrap();
    bed.place.put(&name, &file[..file.len() - 1]).unwrap();
    let to = MemoryBackend::new();
    for _ in 0..2 {
        let (done, problems) = run(&bed.place, &to, None, false);
        assert_eq!((done.unwrap().problems, problems.len()), (1, 1));
        assert!(to.size(&name).unwrap().is_none());
    }
    bed.place.put(&name, &file).unwrap();
    assert_eq!(mirror(&bed.place, &to).unwrap().entries, 1);
    assert_whole(&bed, &to, &[&first, &second]);
}

#[test]
fn a_hole_in_the_log_of_the_source_is_said() {
    let (bed, _, newest, _) = both(Class::A);
    bed.place.delete(&name::entry(newest - 1)).unwrap();
    let (done, problems) = run(&bed.place, &MemoryBackend::new(), None, false);
    assert_eq!(done.unwrap().problems, 1);
    assert!(
        problems[0].starts_with(&name::entry(newest - 1)),
        "{problems:?}"
    );
}

#[test]
fn rot_in_the_newest_entry_of_a_replica_is_no_other_entry() {
    let (bed, to, newest, [first, second]) = both(Class::A);
    let name = name::entry(newest);
    let file = bed.place.get(&name).unwrap();
    let repo = bed.open();
    for (number, damaged) in damages(&file).into_iter().enumerate() {
        to.put(&name, &damaged).unwrap();
        let (done, problems) = run(&bed.place, &to, None, false);
        let done = done.unwrap_or_else(|e| panic!("{number} {e}"));
        // Where only the seal is broken nobody can tell without a key.
        let is_told = !problems.is_empty();
        assert_eq!(is_told, to.get(&name).unwrap() != file, "{number} {done:?}");
        to.put(&name, &damaged).unwrap();
        let (done, problems) = run(&bed.place, &to, Some(&repo), false);
        assert_eq!(
            (done.unwrap().log_damaged, problems),
            (1, vec![]),
            "{number}"
        );
        assert!(to.get(&name).unwrap() == file, "{number}");
    }
    assert_whole(&bed, &to, &[&first, &second]);
}

#[test]
fn reading_everything_reads_the_log_and_config_too() {
    let (bed, to, newest, [first, second]) = both(Class::A);
    let repo = bed.open();
    let whole = to.objects();
    for name in [name::entry(1), name::entry(newest - 1), CONFIG.to_owned()] {
        let mut bytes = whole[&name].to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        to.put(&name, &bytes).unwrap();
        if name != CONFIG {
            let (done, _) = run(&bed.place, &to, None, false);
            assert_eq!(
                done.unwrap().log_damaged,
                0,
                "{name}: only who reads it sees it"
            );
        }
        let (done, problems) = run(&bed.place, &to, Some(&repo), true);
        assert_eq!((done.unwrap().log_damaged, problems), (1, vec![]), "{name}");
        assert_eq!(to.objects(), whole, "{name}");
    }
    assert_whole(&bed, &to, &[&first, &second]);
}

#[test]
fn without_a_key_too_where_the_next_entry_tells() {
    let (bed, to, newest, _) = both(Class::A);
    let name = name::entry(newest - 1);
    let mut bytes = to.get(&name).unwrap();
    let (core, _) = entry::decode_file(&bytes).unwrap();
    let at = 4 + core.len() - 1;
    bytes[at] ^= 1;
    to.put(&name, &bytes).unwrap();
    let (done, problems) = run(&bed.place, &to, None, true);
    assert_eq!((done.unwrap().entries, problems), (1, vec![]));
    assert_eq!(content(&to), content(&bed.place));
}

#[test]
fn who_was_overtaken_looks_again() {
    let (bed, to, _, [first, second]) = both(Class::A);
    // Between two listings another one backs up and brings the replica up.
    let hooked = Meanwhile::before(&to, LISTING, 1, |to| {
        bed.write("new", &noise(5, 100_000));
        bed.backup(&bed.open()).unwrap();
        mirror(&bed.place, to).unwrap();
    });
    mirror(&bed.place, &hooked).unwrap();
    assert_eq!(content(&to), content(&bed.place));
    assert_whole(&bed, &to, &[&first, &second]);
}
