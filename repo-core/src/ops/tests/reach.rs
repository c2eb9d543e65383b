//! Checks of some snapshots: what they reach is read, and nothing else.

use super::support::*;
use crate::backend::Backend;
use crate::error::ErrorKind;
use crate::id::SnapshotId;
use crate::ops::{CheckOptions, CheckSummary, check};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::collections::BTreeSet;

/// Two snapshots of which each holds a directory that the other has not, beside one that both have.
fn two() -> (Bed, [SnapshotId; 2]) {
    let bed = Bed::new();
    bed.write("both/file", &noise(1, 300_000));
    bed.write("first/file", &noise(2, 300_000));
    let first = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    bed.remove("first/file");
    bed.write("second/file", &noise(3, 300_000));
    let second = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    (bed, [first, second])
}

fn check_of(repo: &Repo, snapshots: &[SnapshotId], read_data: bool) -> CheckSummary {
    let options = CheckOptions {
        read_data,
        snapshots: Some(snapshots.to_vec()),
        ..CheckOptions::default()
    };
    check(repo, &options, &Listener::default(), &Interrupt::new()).unwrap()
}

fn stored(bed: &Bed, kind: &str) -> BTreeSet<String> {
    names(&bed.place, kind).into_iter().collect()
}

#[test]
fn damage_is_found_by_who_reaches_it() {
    for kind in ["data", "meta"] {
        let bed = Bed::new();
        bed.write("both/file", &noise(1, 300_000));
        let first = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
        let before = stored(&bed, kind);
        bed.write("second/file", &noise(3, 300_000));
        let second = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
        for name in stored(&bed, kind).difference(&before) {
            let middle = bed.place.size(name).unwrap().unwrap() as usize / 4;
            bed.place.corrupt(name, |bytes| bytes[middle] ^= 1);
        }
        let repo = bed.open();
        for (chosen, found) in [
            (&[first][..], false),
            (&[second], true),
            (&[first, second], true),
        ] {
            let summary = check_of(&repo, chosen, true);
            assert_eq!(
                !summary.findings.is_empty(),
                found,
                "{kind} {}",
                chosen.len()
            );
            assert_eq!(summary.snapshots, chosen.len() as u64);
            let named = summary
                .findings
                .iter()
                .flat_map(|finding| &finding.affected);
            assert!(named.into_iter().all(|(id, _)| *id == second));
        }
        // Data is read only on request, trees always.
        let plain = check_of(&repo, &[second], false);
        assert_eq!(plain.findings.is_empty(), kind == "data");
    }
}

#[test]
fn all_that_both_reach_is_what_a_whole_check_reads() {
    let (bed, [first, second]) = two();
    let repo = bed.open();
    let all = check_all(&repo);
    let both = check_of(&repo, &[first, second], true);
    assert_eq!(both.bytes_read, all.bytes_read);
    assert_eq!(both.data_packs_read, all.data_packs_read);
    // The second one reaches what both have, which lies with what only the first one has.
    let alone = [first, second].map(|one| check_of(&repo, &[one], true));
    assert!(alone[0].bytes_read < all.bytes_read);
    for summary in alone {
        assert!(summary.data_packs_read > 0 && summary.bytes_read <= all.bytes_read);
        assert_eq!(
            summary.packs, all.packs,
            "whether they are there is checked of all"
        );
    }
}

#[test]
fn what_a_lost_table_means_is_found_out_as_by_a_whole_check() {
    let (bed, [first, second]) = two();
    for table in names(&bed.place, "index") {
        let place = bed.place.fork();
        assert!(place.remove(&table));
        let open = || bed.open_anew(std::sync::Arc::new(place.clone()), &password());
        let whole = check_with(&open().unwrap(), false).unwrap();
        for chosen in [first, second] {
            let some = check_of(&open().unwrap(), &[chosen], false);
            let harm = |summary: &CheckSummary| {
                let harms = summary.findings.iter().map(|finding| finding.harm);
                (harms.collect::<Vec<_>>(), summary.absent.clone())
            };
            assert_eq!(harm(&some), harm(&whole));
        }
    }
}

#[test]
fn a_snapshot_that_is_not_there_cannot_be_checked() {
    let (bed, [first, _]) = two();
    let options = CheckOptions {
        snapshots: Some(vec![first, SnapshotId([7; 32])]),
        ..CheckOptions::default()
    };
    let checked = check(
        &bed.open(),
        &options,
        &Listener::default(),
        &Interrupt::new(),
    );
    assert_eq!(checked.unwrap_err().kind(), ErrorKind::NotFound);
}
