//! Entries of a place that overwrites whose files are lost, and that the files of later ones repeat.

use super::class_c_history::{anew, damage_newest_entry, entries, history};
use super::damage::findings;
use super::prune::{prune_with, thorough};
use super::support::*;
use crate::backend::{Backend, Class, MemoryBackend};

use crate::format::entry::{CATCH_UP_BYTES_MAX, decode_file};
use crate::format::key_slot::{Credential, Label};
use crate::format::name;
use crate::ops::{Harm, RepairLogOptions, repair_log};
use crate::progress::Interrupt;
use crate::repo::Repo;

fn repair(repo: &Repo) -> Vec<u64> {
    let options = RepairLogOptions::default();
    let done = repair_log(repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
    assert_eq!(done.entries, []);
    done.mended.entries
}

fn number(entry: &str) -> u64 {
    name::parse_numbered(entry).unwrap().0
}

#[test]
fn the_file_of_any_entry_but_the_newest_may_be_lost() {
    let history = history(Class::C);
    let bed = &history.bed;
    let whole = anew(bed, &bed.place).state();
    let mut all = entries(&bed.place);
    all.pop();
    for entry in all {
        for damage in 0..4 {
            let place = bed.place.fork();
            match damage {
                0 => assert!(place.remove(&entry)),
                1 => place.corrupt(&entry, |file| file.truncate(60)),
                2 => place.corrupt(&entry, |file| file[200] ^= 1),
                _ => place.corrupt(&entry, |file| *file.last_mut().unwrap() ^= 1),
            }
            let repo = anew(bed, &place);
            assert_eq!(repo.state(), whole, "{entry} {damage}");
            let found = check_all(&repo).findings;
            assert_eq!(found.len(), 1, "{entry} {damage} {found:?}");
            assert_eq!(found[0].harm, Harm::None);
            assert_eq!(repair(&anew(bed, &place)), [number(&entry)]);
            assert_clean(&anew(bed, &place));
            prune_with(&anew(bed, &place), &thorough()).unwrap();
            assert_clean(&anew(bed, &place));
        }
    }
}

#[test]
fn who_may_write_is_repeated_by_all_that_follow() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let second = Credential::password("second");
    let repo = bed.open();
    repo.key_add(&second, CHEAP, &Label::default()).unwrap();
    let added = entries(place).pop().unwrap();
    let other = bed
        .open_anew(std::sync::Arc::new(place.clone()), &second)
        .unwrap();
    for round in 0..40 {
        bed.write("changing", &noise(round, 10_000));
        bed.backup(&other).unwrap();
    }
    let first = entries(place).remove(0);
    let live = repo.live_snapshots().len();
    for lost in [vec![&first], vec![&added], vec![&first, &added]] {
        let place = place.fork();
        for entry in &lost {
            assert!(place.remove(entry));
        }
        let repo = anew(bed, &place);
        repo.refresh().unwrap();
        assert!(repo.live_snapshots().len() > live);
        assert_eq!(repair(&repo).len(), lost.len());
        assert_eq!(findings(&check_all(&anew(bed, &place))), [""; 0]);
    }
    for entry in entries(place) {
        let file = place.get(&entry).unwrap();
        let (core, repeated) = decode_file(&file).unwrap();
        assert!(file.len() - core.len() <= CATCH_UP_BYTES_MAX + 4);
        assert!(repeated.len() <= 18);
    }
}

/// Somebody has copied entries to names of class A.
#[test]
fn what_lies_under_names_of_class_a_is_nobodys() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let whole = anew(bed, place).state();
    let all = entries(place);
    for copied in [&all[..1], &all[..2], &all[2..3], &all[..]] {
        let place: MemoryBackend = place.fork();
        for entry in copied {
            let file = place.get(entry).unwrap();
            place.put(&name::entry(number(entry)), &file).unwrap();
        }
        let repo = anew(bed, &place);
        assert_eq!(repo.state(), whole);
        let found = check_all(&repo).findings;
        assert_eq!(found.len(), copied.len(), "{found:?}");
        assert!(
            found.iter().all(|finding| finding.harm == Harm::None),
            "{found:?}"
        );
        bed.backup(&repo).unwrap();
        prune_with(&anew(bed, &place), &thorough()).unwrap();
        assert_eq!(repair(&anew(bed, &place)), [0; 0]);
    }
    place.put(&name::entry(1), b"garbage").unwrap();
    assert_eq!(anew(bed, place).state(), whole);
    damage_newest_entry(place);
    assert!(!findings(&check_all(&anew(bed, place))).is_empty());
}
