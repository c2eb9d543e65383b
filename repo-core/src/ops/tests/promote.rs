//! Promote: a replica takes nothing of its own until it is made the home; nothing that was reported is lost by that.

use super::prune::{forget, history_in, prune_with, thorough};
use super::support::*;
use super::sync::{assert_whole, content, let_go, mirror, place};
use crate::backend::wrap::Faults;
use crate::backend::{Backend, Class, MemoryBackend};
use crate::crypto::Role;
use crate::error::{ErrorKind, Result};
use crate::format::entry::Action;
use crate::format::name::{self, CONFIG};
use crate::id::{EvidenceId, SnapshotId};
use crate::ops::{
    Became, GatherOptions, Gathered, Promoted, RepairLogOptions, gather, merge, promote, repair_log,
};
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::snapshot::SnapshotInfo;
use std::sync::Arc;

const CLASSES: [(Class, Class); 4] = [
    (Class::A, Class::A),
    (Class::A, Class::C),
    (Class::C, Class::A),
    (Class::C, Class::C),
];

fn gather_from(here: &dyn Backend, others: &[&MemoryBackend], dry_run: bool) -> Result<Gathered> {
    let shared = |other: &&MemoryBackend| Arc::new((*other).clone()) as Arc<dyn Backend>;
    let others: Vec<_> = others.iter().map(shared).collect();
    let listener = Listener::default();
    let options = GatherOptions {
        dry_run,
        merge: false,
    };
    let done = gather(here, &others, options, &listener, &Interrupt::new());
    assert_eq!(listener.problems(), [""; 0]);
    done
}

fn open(bed: &Bed, place: &MemoryBackend) -> Repo {
    bed.open_anew(Arc::new(place.clone()), &password()).unwrap()
}

/// Makes a place the home, with what others have.
fn make_home(bed: &Bed, here: &MemoryBackend, others: &[&MemoryBackend]) -> Promoted {
    gather_from(here, others, false).unwrap();
    promote(&open(bed, here)).unwrap()
}

fn add(bed: &Bed, place: &MemoryBackend, name: &str) -> (SnapshotId, Tree) {
    bed.write(name, name.as_bytes());
    let id = bed.backup(&open(bed, place)).unwrap().snapshot.unwrap();
    (id, bed.tree())
}

fn assert_takes_nothing(bed: &Bed, place: &MemoryBackend) {
    let before = place.objects();
    bed.write("refused", &noise(77, 300_000));
    let error = bed.backup(&open(bed, place)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("is a replica"), "{error}");
    bed.remove("refused");
    let mut after = place.objects();
    after.retain(|name, _| !name.starts_with("writers/"));
    assert!(after == before, "something was stored");
}

#[test]
fn a_replica_takes_nothing_of_its_own() {
    for (home, class) in CLASSES {
        let (bed, [first, second]) = history_in(home);
        let to = place(class);
        mirror(&bed.place, &to).unwrap();
        assert_takes_nothing(&bed, &to);
        let repo = open(&bed, &to);
        prune_with(&repo, &thorough()).unwrap_err();
        let options = RepairLogOptions::default();
        let mended = repair_log(&repo, &options, &Listener::default(), &Interrupt::new());
        match mended {
            Ok(done) => assert_eq!(done.mended.marks, [""; 0]),
            // It would have to say first that the place is of another class.
            Err(error) => assert!(error.to_string().contains("is a replica"), "{error}"),
        }
        assert_whole(&bed, &to, &[&first, &second]);
        assert!(!to.objects().contains_key(&name::segment_open(1)));
    }
}

/// A full segment is where the next one opens.
#[test]
fn no_segment_opens_where_none_takes_entries() {
    let bed = Bed::new();
    let first = add(&bed, &bed.place, "first");
    let repo = bed.open();
    let say = |repo: &Repo| {
        let evidence = EvidenceId([7; 32]);
        repo.append(&mut |_| Ok(Some(Action::Evidence { evidence })))
    };
    while repo.state().tail().number < name::SEGMENT_ENTRIES - 1 {
        say(&repo).unwrap();
    }
    let to = place(Class::A);
    mirror(&bed.place, &to).unwrap();
    let error = say(&open(&bed, &to)).unwrap_err();
    assert!(error.to_string().contains("is a replica"), "{error}");
    assert_takes_nothing(&bed, &to);
    assert!(to.size(&name::segment_open(4096)).unwrap().is_none());

    let second = add(&bed, &bed.place, "second");
    assert_whole(&bed, &bed.place, &[&first, &second]);
    make_home(&bed, &to, &[&bed.place]);
    let third = add(&bed, &to, "third");
    for place in [&to, &bed.place] {
        mirror(&to, &bed.place).unwrap();
        assert_whole(&bed, place, &[&first, &second, &third]);
    }
    assert_takes_nothing(&bed, &bed.place);
}

#[test]
fn a_replica_is_made_the_home_when_that_is_lost() {
    for (home, class) in CLASSES {
        let (bed, [first, second]) = history_in(home);
        let (here, other) = (place(class), place(home));
        mirror(&bed.place, &here).unwrap();
        let third = add(&bed, &bed.place, "third");
        mirror(&bed.place, &other).unwrap();
        // The home is lost; another replica knows more.
        let foretold = gather_from(&here, &[&other], true).unwrap();
        assert!(foretold.brought[0].1.entries > 0 && foretold.homes.is_empty());
        let promoted = make_home(&bed, &here, &[&other]);
        assert_eq!((promoted.generation, promoted.was_home), (1, false));
        assert_whole(&bed, &here, &[&first, &second, &third]);

        let fourth = add(&bed, &here, "fourth");
        mirror(&here, &other).unwrap();
        assert_takes_nothing(&bed, &other);
        // The old home comes back, behind.
        let done = mirror(&here, &bed.place).unwrap();
        assert!(done.was_home, "{done:?}");
        assert_takes_nothing(&bed, &bed.place);
        for place in [&here, &other, &bed.place] {
            assert_whole(&bed, place, &[&first, &second, &third, &fourth]);
            assert_eq!(open(&bed, place).state().generation(), 1);
        }
        let again = promote(&open(&bed, &here)).unwrap();
        assert_eq!((again.generation, again.was_home), (1, true));
    }
}

#[test]
fn a_home_that_is_there_hands_over_all_it_has() {
    for (home, class) in CLASSES {
        let (bed, [first, second]) = history_in(home);
        let here = place(class);
        mirror(&bed.place, &here).unwrap();
        let third = add(&bed, &bed.place, "third");
        let repo = bed.open();
        let foretold = gather_from(&here, &[&bed.place], true).unwrap();
        assert_eq!(foretold.homes.len(), 1);
        make_home(&bed, &here, &[&bed.place]);
        // Somebody who was at work there is told, and so is who comes later.
        bed.write("late", b"late");
        assert!(
            bed.backup(&repo)
                .unwrap_err()
                .to_string()
                .contains("is a replica")
        );
        bed.remove("late");
        assert_takes_nothing(&bed, &bed.place);
        assert_whole(&bed, &here, &[&first, &second, &third]);
        // And back again.
        mirror(&here, &bed.place).unwrap();
        let promoted = make_home(&bed, &bed.place, &[&here]);
        assert_eq!(promoted.generation, 2);
        let fourth = add(&bed, &bed.place, "fourth");
        mirror(&bed.place, &here).unwrap();
        assert_whole(&bed, &here, &[&first, &second, &third, &fourth]);
    }
}

#[test]
fn what_went_its_own_way_is_never_mixed() {
    for (home, class) in CLASSES {
        let (bed, [first, second]) = history_in(home);
        let here = place(class);
        mirror(&bed.place, &here).unwrap();
        let earlier = here.fork();
        add(&bed, &bed.place, "only there");
        make_home(&bed, &here, &[]);
        let third = add(&bed, &here, "third");
        let before = (bed.place.objects(), here.objects());
        let error = gather_from(&here, &[&bed.place], false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("went its own way"), "{error}");
        // Nor are two others that went apart brought to a third place.
        let behind = place(class);
        mirror(&earlier, &behind).unwrap();
        gather_from(&behind, &[&bed.place, &here], false).unwrap_err();
        assert!(content(&behind) == content(&earlier));
        for (from, to) in [(&here, &bed.place), (&bed.place, &here)] {
            mirror(from, to).unwrap_err();
        }
        assert!((bed.place.objects(), here.objects()) == before);
        assert_whole(&bed, &here, &[&first, &second, &third]);
    }
}

#[test]
fn what_went_its_own_way_is_merged_when_asked_for() {
    for (home, class) in CLASSES {
        let (bed, [first, second]) = history_in(home);
        let here = place(class);
        mirror(&bed.place, &here).unwrap();
        let third = add(&bed, &bed.place, "only there");
        forget(&bed.open(), &[first.0]);
        make_home(&bed, &here, &[]);
        bed.remove("only there");
        let fourth = add(&bed, &here, "only here");
        let options = GatherOptions {
            merge: true,
            ..GatherOptions::default()
        };
        let others: [Arc<dyn Backend>; 1] = [Arc::new(bed.place.clone())];
        let (listener, interrupt) = (Listener::default(), Interrupt::new());
        let gathered = gather(&here, &others, options, &listener, &interrupt).unwrap();
        assert_eq!((gathered.apart, gathered.homes.len()), (vec![0], 1));
        assert_takes_nothing(&bed, &bed.place);

        let (theirs, ours) = (open(&bed, &bed.place), open(&bed, &here));
        let mut copies = Vec::new();
        let mut told = |info: &SnapshotInfo, became| copies.push((info.id, became));
        merge(&theirs, &ours, &mut told, &listener, &interrupt).unwrap();
        let [(of, Became::Copied(copy))] = copies[..] else {
            panic!("{copies:?}");
        };
        assert_eq!(of, third.0);
        let merged = (copy, third.1);
        assert_whole(&bed, &here, &[&first, &second, &merged, &fourth]);
        let again = merge(&theirs, &ours, &mut |_, _| (), &listener, &interrupt).unwrap();
        assert_eq!((again.copied, again.skipped), (0, 1));
        // Without its log the place is as good as a new one, and has nearly all.
        for name in bed.place.objects().into_keys() {
            if name == CONFIG || name.starts_with("log/") || name.starts_with("checkpoints/") {
                bed.place.delete(&name).unwrap();
            }
        }
        let done = mirror(&here, &bed.place).unwrap();
        assert!(done.objects < 20, "{done:?}");
        assert_whole(&bed, &bed.place, &[&first, &second, &merged, &fourth]);
    }
}

#[test]
fn two_replicas_that_are_both_made_the_home_are_two() {
    let (bed, _) = history_in(Class::A);
    let (one, two) = (place(Class::A), place(Class::A));
    for to in [&one, &two] {
        mirror(&bed.place, to).unwrap();
        make_home(&bed, to, &[]);
    }
    assert!(gather_from(&one, &[&two], false).is_err());
    assert!(mirror(&one, &two).is_err() && mirror(&two, &one).is_err());
}

#[test]
fn a_home_that_is_healed_by_a_replica_stays_one() {
    let (bed, [first, second]) = history_in(Class::A);
    let to = place(Class::A);
    mirror(&bed.place, &to).unwrap();
    for object in names(&bed.place, "data") {
        bed.place.remove(&object);
    }
    mirror(&to, &bed.place).unwrap();
    assert_whole(&bed, &bed.place, &[&first, &second]);
    let third = add(&bed, &bed.place, "third");
    // What somebody copied by hand is a home as well, until it follows another.
    let copied = place(Class::A);
    for (name, bytes) in bed.place.objects() {
        copied.put(&name, &bytes).unwrap();
    }
    assert!(mirror(&bed.place, &copied).unwrap().was_home);
    assert_takes_nothing(&bed, &copied);
    assert_whole(&bed, &copied, &[&first, &second, &third]);
}

#[test]
fn only_a_full_key_promotes() {
    let (bed, _) = history_in(Class::A);
    let repo = bed.open();
    let mut members = repo.state().members().to_vec();
    members[0].role = Role::Writer;
    let admin = Other {
        signer: repo.ring().admin().unwrap(),
        ..Other::new(&bed, &bed.place)
    };
    admin.append(Action::Roles {
        members,
        removed: vec![],
    });
    let to = place(Class::A);
    mirror(&bed.place, &to).unwrap();
    let before = to.objects();
    let error = promote(&open(&bed, &to)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(to.objects() == before);
}

#[test]
fn damage_to_marks_is_told_from_a_replica() {
    let (bed, _) = history_in(Class::A);
    bed.place.remove(&name::segment_open(1));
    let repo = bed.open();
    assert_eq!(check_all(&repo).findings.len(), 1);
    let_go(&bed.place);
    assert_clean(&repo);
}

/// After each stop of a hand-over the place is whole, and done again it is the home, with all that the old one had.
#[test]
fn a_stop_at_any_write_loses_nothing() {
    let (bed, [first, second]) = history_in(Class::A);
    let to = place(Class::A);
    mirror(&bed.place, &to).unwrap();
    let third = add(&bed, &bed.place, "third");
    let repo = bed.open();
    forget(&repo, &[first.0]);
    prune_with(&repo, &thorough()).unwrap();
    let mut crashes = 0;
    for (write, early) in (0..).flat_map(|write| [(write, true), (write, false)]) {
        let (here, home) = (to.fork(), bed.place.fork());
        let inner = Arc::new(here.clone());
        let faults = Arc::new(match early {
            true => Faults::crash_before(inner, write),
            false => Faults::crash_after(inner, write),
        });
        let all = || -> Result<()> {
            gather_from(&*faults, &[&home], false)?;
            let repo = bed.open_anew(Arc::clone(&faults) as _, &password())?;
            promote(&repo).map(drop)
        };
        if all().is_ok() && !faults.crashed() {
            break;
        }
        crashes += 1;
        assert_takes_nothing(&bed, &home);
        let there = open(&bed, &here);
        bed.assert_restores(&there, &second.0, &second.1);
        make_home(&bed, &here, &[&home]);
        let fourth = add(&bed, &here, "fourth");
        assert_whole(&bed, &here, &[&second, &third, &fourth]);
        assert!(!here.objects().contains_key(name::REPLICA));
        bed.remove("fourth");
    }
    assert!(crashes > 10, "{crashes}");
}
