//! The first log entry is gone: later ones repeat it.

use super::damage::findings;
use super::support::*;
use crate::error::ErrorKind;
use crate::format::key_slot::{Credential, Label};
use crate::format::name;
use crate::repo::Repo;
use std::sync::Arc;

/// A place with a log of this many entries at least, of keys that come and go or of snapshots, and its first one gone.
fn place(entries: u64, of_keys: bool) -> Bed {
    let bed = Bed::new();
    let repo = bed.open();
    for (seed, file) in [(1, "a"), (2, "b"), (3, "c")] {
        bed.write(file, &noise(seed, 100 << 10));
        bed.backup(&repo).unwrap();
    }
    while repo.state().tail().number < entries {
        if !of_keys {
            bed.backup(&repo).unwrap();
            continue;
        }
        let spare = Credential::password("spare");
        let key = repo.key_add(&spare, CHEAP, &Label::default()).unwrap();
        repo.key_remove(&key).unwrap();
    }
    bed.place.remove(&name::entry(1));
    bed
}

/// Opened by a client that was there before, and by one that was not.
fn openings(bed: &Bed) -> [Repo; 2] {
    let place = Arc::new(bed.place.clone());
    [bed.open(), bed.open_anew(place, &password()).unwrap()]
}

#[test]
fn it_is_named_and_everything_else_is_checked_and_restored() {
    for (entries, of_keys) in [
        (4, true),
        (15, true),
        (17, true),
        (40, true),
        (16, false),
        (35, false),
    ] {
        let bed = place(entries, of_keys);
        let pack = names(&bed.place, "data").remove(0);
        for repo in openings(&bed) {
            let summary = check_all(&repo);
            assert_eq!(findings(&summary), ["log entry 1: missing"], "{entries}");
            let all = repo.live_snapshots();
            assert_eq!(summary.snapshots, all.len() as u64);
            let newest = all
                .iter()
                .filter(|(id, _)| bed.restore(&repo, id).unwrap().tree == bed.tree());
            let unchanged = if of_keys { 0 } else { entries - 4 };
            assert_eq!(newest.count() as u64, 1 + unchanged);
        }
        // Other damage is found beside it.
        bed.place.corrupt(&pack, |bytes| bytes[2000] ^= 1);
        for repo in openings(&bed) {
            let lines = findings(&check_all(&repo));
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert!(lines.iter().any(|line| line.contains("pack ")));
        }
        bed.write("d", b"more");
        let before = bed.open().live_snapshots().len();
        bed.backup(&bed.open()).unwrap();
        assert_eq!(bed.open().live_snapshots().len(), before + 1);
    }
}

#[test]
fn what_nothing_repeats_is_named() {
    let bed = place(4, false);
    for number in 2..=4 {
        bed.place.remove(&name::entry(number));
    }
    // The only one left is not even an entry.
    bed.place.remove(&name::entry(5));
    crate::backend::Backend::put(&bed.place, &name::entry(5), b"nothing").unwrap();
    let place = Arc::new(bed.place.clone());
    let error = bed.open_anew(place, &password()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(
        error.to_string().starts_with("log entry 1: missing"),
        "{error}"
    );
}
