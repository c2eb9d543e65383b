//! Entries of a place that overwrites whose files are lost, and that the files of later ones repeat.

use super::class_c::copied;
use super::class_c_history::{anew, damage_newest_entry, entries, history, repeat_nothing};
use super::damage::findings;
use super::prune::{prune_with, thorough};
use super::support::*;
use crate::backend::{Backend, Class, MemoryBackend};
use crate::format::entry::{CATCH_UP_BYTES_MAX, decode_file, encode_file};
use crate::format::key_slot::{Credential, Label};
use crate::format::name;
use crate::ops::{Harm, RepairLogOptions, RepairLogSummary, repair_log};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::sync::{Arc, Mutex};

fn repair_whatever(repo: &Repo) -> RepairLogSummary {
    let options = RepairLogOptions::default();
    repair_log(repo, &options, &Listener::default(), &Interrupt::new()).unwrap()
}

/// Nothing is lost.
fn repair(repo: &Repo) -> Vec<u64> {
    let done = repair_whatever(repo);
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
        for damage in 0..5 {
            let place = bed.place.fork();
            match damage {
                0 => assert!(place.remove(&entry)),
                1 => place.corrupt(&entry, |file| file.truncate(60)),
                // Behind its core.
                2 => place.corrupt(&entry, |file| file.truncate(file.len() - 1)),
                3 => place.corrupt(&entry, |file| file[200] ^= 1),
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
    let other = bed.open_anew(Arc::new(place.clone()), &second).unwrap();
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

/// Of the newest entry only what it repeats.
#[test]
fn damage_behind_its_core_costs_no_entry() {
    for class in [Class::A, Class::C] {
        let history = history(class);
        let (bed, place) = (&history.bed, &history.bed.place);
        let whole = anew(bed, place).state();
        for entry in entries(place).split_off(entries(place).len() - 2) {
            place.corrupt(&entry, |file| file.truncate(file.len() - 1));
        }
        assert_eq!(anew(bed, place).state(), whole);
        let found = check_all(&anew(bed, place)).findings;
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(repair(&anew(bed, place)).len(), 2);
        assert_clean(&anew(bed, place));
        assert_eq!(anew(bed, place).state(), whole);
    }
}

#[test]
fn the_first_entry_may_be_lost_where_another_lies_under_its_name_of_class_a() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let whole = anew(bed, place).state();
    let first = entries(place).remove(0);
    let file = place.get(&first).unwrap();
    assert!(place.remove(&first));
    for there in [file.as_slice(), b"garbage"] {
        let place = place.fork();
        place.put(&name::entry(1), there).unwrap();
        assert_eq!(anew(bed, &place).state(), whole);
        assert_eq!(repair(&anew(bed, &place)), [1]);
        assert_eq!(place.get(&first).unwrap(), file);
    }
}

/// The entry that ends class A lies under two names.
#[test]
fn where_class_c_begins_one_of_two_names_is_enough() {
    let history = history(Class::A);
    let bed = &history.bed;
    let place = copied(&bed.place, Class::C);
    let made = [0, 1].map(|round| {
        bed.write("changing", &noise(round, 10_000));
        bed.backup(&anew(bed, &place)).unwrap().snapshot.unwrap()
    });
    let named = entries(&place);
    let is_of_set = |entry: &&String| name::parse_numbered(entry).unwrap().1.is_some();
    let class = named.iter().find(is_of_set).unwrap();
    assert!(named.contains(&name::entry(number(class))));
    assert_clean(&anew(bed, &place));
    let live = anew(bed, &place).live_snapshots();
    // An entry of class A that others repeat, and the newest of it, which the set follows and nothing repeats.
    let chain = number(class) - 1;
    for damaged in [chain - 1, chain] {
        let place = place.fork();
        place.corrupt(&name::entry(damaged), |file| file.clear());
        place.corrupt(class, |file| file.clear());
        repair_whatever(&anew(bed, &place));
        assert_clean(&anew(bed, &place));
    }
    let of_class_a = name::entry(number(class));
    let original = place.fork();
    let whole = anew(bed, &place).state();
    for cut in [class, &of_class_a] {
        for is_there in [false, true] {
            let place = place.fork();
            match is_there {
                true => place.corrupt(cut, |file| file.truncate(100)),
                false => assert!(place.remove(cut)),
            }
            assert_eq!(anew(bed, &place).state(), whole, "{cut}");
            assert_eq!(repair(&anew(bed, &place)), [number(class)], "{cut}");
            assert_clean(&anew(bed, &place));
        }
    }
    assert_eq!(anew(bed, &place).live_snapshots(), live);
    // Each of them repeats the last one of class A.
    let last = name::entry(chain);
    for lost in [[class, &last], [&of_class_a, &last]] {
        for is_there in [false, true] {
            let place = place.fork();
            for entry in lost {
                match is_there {
                    true => place.corrupt(entry, |file| file.clear()),
                    false => assert!(place.remove(entry)),
                }
            }
            assert_eq!(anew(bed, &place).state(), whole, "{lost:?}");
            assert_eq!(repair(&anew(bed, &place)), [chain, number(class)]);
            assert_clean(&anew(bed, &place));
            for entry in [class, &of_class_a, &last] {
                assert_eq!(place.get(entry).unwrap(), original.get(entry).unwrap());
            }
        }
    }
    // Where they do not, what comes behind it is there all the same.
    for gone in [1, 2] {
        for is_there in [false, true] {
            let place = place.fork();
            let file = place.get(class).unwrap();
            let (core, _) = decode_file(&file).unwrap();
            place.put(class, &encode_file(core, &[])).unwrap();
            let named = (0..gone).map(|back| name::entry(chain - back));
            for entry in named.chain([of_class_a.clone()]) {
                match is_there {
                    true => place.corrupt(&entry, |file| file.clear()),
                    false => assert!(place.remove(&entry)),
                }
            }
            let state = anew(bed, &place).state();
            assert!(made.iter().all(|id| state.is_live(id)));
            let done = repair_whatever(&anew(bed, &place));
            assert_eq!(done.entries.len(), gone as usize);
            let state = anew(bed, &place).state();
            assert!(made.iter().all(|id| state.is_live(id)));
            assert_clean(&anew(bed, &place));
        }
    }
    // Behind both of them others repeat it.
    for cut in [class, &of_class_a] {
        place.corrupt(cut, |file| file.clear());
    }
    assert_eq!(anew(bed, &place).state(), whole);
    assert_eq!(repair(&anew(bed, &place)), [number(class)]);
    assert_clean(&anew(bed, &place));
}

/// The newest entry is repeated by none; a checkpoint that was made with it is all that tells of it.
#[test]
fn a_checkpoint_of_an_entry_that_is_lost_without_a_trace_goes() {
    for class in [Class::A, Class::C] {
        let history = history(class);
        let (bed, place) = (&history.bed, &history.bed.place);
        let (mut round, mut newest) = (0, None);
        while names(place, "checkpoints").is_empty() {
            round += 1;
            bed.write("changing", &noise(round, 10_000));
            newest = bed.backup(&anew(bed, place)).unwrap().snapshot;
        }
        assert!(place.remove(entries(place).last().unwrap()));
        let checkpoint = names(place, "checkpoints").pop().unwrap();
        let found = findings(&check_all(&anew(bed, place)));
        assert!(
            found.iter().any(|text| text.contains(&checkpoint)),
            "{found:?}"
        );
        let dry = RepairLogOptions {
            dry_run: true,
            ..RepairLogOptions::default()
        };
        let would = repair_log(
            &anew(bed, place),
            &dry,
            &Listener::default(),
            &Interrupt::new(),
        );
        assert_eq!(would.unwrap().mended.checkpoints, [checkpoint.as_str()]);
        let done = repair_whatever(&anew(bed, place));
        assert_eq!(done.mended.checkpoints, [checkpoint]);
        assert_eq!(Some(done.snapshots[0].id), newest);
        assert_clean(&anew(bed, place));
        bed.backup(&anew(bed, place)).unwrap();
        assert_clean(&anew(bed, place));
    }
}

/// What a checkpoint stands for is not lost once the entry that it was made with is put right.
#[test]
fn what_is_put_right_may_stand_for_what_is_lost() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let repo = bed.open();
    for round in 0..20 {
        bed.write("changing", &noise(round, 10_000));
        bed.backup(&repo).unwrap();
    }
    let all = entries(place);
    let of = |wanted: u64| all.iter().find(|entry| number(entry) == wanted).unwrap();
    let core = |number| {
        decode_file(&place.get(of(number)).unwrap())
            .unwrap()
            .0
            .to_vec()
    };
    let whole = repo.live_snapshots();
    repeat_nothing(place);
    let file = encode_file(&core(17), &[core(16)]);
    place.put(of(17), &file).unwrap();
    assert!(place.remove(of(16)) && place.remove(of(3)));
    assert!(anew(bed, place).state().barrier().is_some());
    assert_eq!(repair(&anew(bed, place)), [16]);
    assert_eq!(anew(bed, place).live_snapshots(), whole);
    bed.backup(&anew(bed, place)).unwrap();
}

/// A process had read three entries that were damaged and cleared while it was at work, and repeats them in its own.
#[test]
fn what_was_cleared_stays_so_whatever_repeats_it() {
    let history = history(Class::C);
    let bed = history.bed.clone();
    let shared = bed.clone();
    let cleared = Arc::new(Mutex::new(None));
    let kept = cleared.clone();
    let backend = Meanwhile::before(&bed.place, "log", 1, move |place| {
        let all = entries(place);
        for entry in &all[all.len() - 3..] {
            place.corrupt(entry, |file| file.truncate(60));
        }
        repair_whatever(&anew(&shared, place));
        assert_clean(&anew(&shared, place));
        *kept.lock().unwrap() = Some(anew(&shared, place).state());
    });
    let repo = bed.open_anew(Arc::new(backend), &password()).unwrap();
    bed.write("later", b"one more");
    let late = bed.backup(&repo);
    let before = cleared.lock().unwrap().take().unwrap();
    let fresh = anew(&bed, &bed.place);
    let state = fresh.state();
    for (id, _) in before.live_snapshots() {
        assert!(state.is_live(id));
    }
    assert!(
        fresh.live_snapshots().len() <= before.live_snapshots().count() + 1,
        "{late:?}"
    );
    // What it put follows entries that count for nothing: that is cleared too.
    repair_whatever(&fresh);
    repo.refresh().unwrap();
    let fresh = anew(&bed, &bed.place);
    assert_eq!(
        repo.state().live_snapshots().collect::<Vec<_>>(),
        fresh.state().live_snapshots().collect::<Vec<_>>()
    );
    assert_clean(&fresh);
    prune_with(&fresh, &thorough()).unwrap();
    assert_clean(&anew(&bed, &bed.place));
}

/// What said that the place is of class C is lost, with all that repeats it.
#[test]
fn where_nothing_says_the_class_any_more_one_run_clears_what_is_damaged() {
    let bed = Bed::new();
    bed.write("file", b"one");
    bed.backup(&bed.open()).unwrap();
    let place = copied(&bed.place, Class::C);
    for content in [b"two", b"six"] {
        bed.write("file", content);
        bed.backup(&anew(&bed, &place)).unwrap();
    }
    let named = entries(&place);
    let of_set = |entry: &&String| name::parse_numbered(entry).unwrap().1.is_some();
    let mut set: Vec<&String> = named.iter().filter(of_set).collect();
    set.sort_by_key(|entry| number(entry));
    let [class, .., next, newest] = set[..] else {
        panic!("{set:?}")
    };
    for object in [class, &name::entry(number(class))] {
        place.corrupt(object, |file| file.fill(0));
    }
    assert!(place.remove(next));
    place.corrupt(newest, |file| file.truncate(200));
    repair_whatever(&anew(&bed, &place));
    let repo = anew(&bed, &place);
    assert_eq!(repo.state().class(), Class::C);
    bed.backup(&repo).unwrap();
    assert_clean(&anew(&bed, &place));
}
