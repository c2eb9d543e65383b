//! Sync: what a replica gets, what goes in it, and which places are no replica.

use super::prune::{forget, history_in, prune_with, thorough};
use super::support::*;
use crate::backend::wrap::{Counting, Operation};
use crate::backend::{Backend, Class, MemoryBackend, MemoryOptions};
use crate::crypto::{Secret, Signer};
use crate::error::{ErrorKind, Result};
use crate::format::entry::{self, Action, ObjectRef};
use crate::format::key_slot::{Credential, Label};
use crate::format::name::{self, CONFIG, ObjectKind};
use crate::id::SnapshotId;
use crate::ops::{HeldBack, SyncOptions, SyncSummary, sync};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A place of that class.
pub fn place(class: Class) -> MemoryBackend {
    MemoryBackend::with(MemoryOptions {
        class,
        ..MemoryOptions::default()
    })
}

pub fn mirror(from: &dyn Backend, to: &dyn Backend) -> Result<SyncSummary> {
    let listener = Listener::default();
    let done = sync(
        from,
        to,
        None,
        &SyncOptions::default(),
        &listener,
        &Interrupt::new(),
    );
    assert_eq!(listener.problems(), [""; 0]);
    done
}

/// Panics unless a place is a whole repository with these snapshots.
pub fn assert_whole(bed: &Bed, at: &MemoryBackend, snapshots: &[&(SnapshotId, Tree)]) {
    let repo = bed.open_anew(Arc::new(at.clone()), &password()).unwrap();
    for (id, tree) in snapshots {
        bed.assert_restores(&repo, id, tree);
    }
    assert_clean(&repo);
}

/// What a place holds, but for what says whether it is the home or a replica.
pub fn content(place: &MemoryBackend) -> BTreeMap<String, Vec<u8>> {
    let mark = |name: &str| name == name::REPLICA || name::parse_segment_open(name).is_some();
    let objects = place.objects().into_iter();
    let objects = objects.filter(|(name, _)| !mark(name));
    objects.collect()
}

fn all_names(place: &MemoryBackend) -> BTreeSet<String> {
    content(place).into_keys().collect()
}

/// Makes a place take entries as a home does, as whoever copies one by hand would.
pub fn let_go(place: &MemoryBackend) {
    place
        .put(&name::segment_open(1), name::SEGMENT_OPEN)
        .unwrap();
    place.delete(name::REPLICA).unwrap();
}

#[test]
fn a_replica_is_the_same_and_follows_what_is_deleted() {
    for (home, replica) in [
        (Class::A, Class::A),
        (Class::A, Class::C),
        (Class::C, Class::A),
    ] {
        let (bed, [first, second]) = history_in(home);
        let to = place(replica);
        let made = mirror(&bed.place, &to).unwrap();
        assert!(made.objects > 10 && made.entries >= 3, "{made:?}");
        assert_eq!(all_names(&to), all_names(&bed.place));
        assert_whole(&bed, &to, &[&first, &second]);
        assert_eq!(mirror(&bed.place, &to).unwrap(), SyncSummary::default());

        let repo = bed.open();
        forget(&repo, &[first.0]);
        prune_with(&repo, &thorough()).unwrap();
        prune_with(&repo, &thorough()).unwrap();
        let followed = mirror(&bed.place, &to).unwrap();
        assert!(followed.deleted > 0 && followed.kept == 0, "{followed:?}");
        assert_eq!(all_names(&to), all_names(&bed.place));
        assert_whole(&bed, &to, &[&second]);
    }
}

#[test]
fn an_unchanged_replica_costs_few_requests() {
    let (bed, _) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let (ours, theirs) = (
        Counting::new(Arc::new(bed.place.clone())),
        Counting::new(Arc::new(to)),
    );
    mirror(&ours, &theirs).unwrap();
    for (place, lists) in [(&ours, 2), (&theirs, 1)] {
        assert_eq!(place.total(Operation::List).calls, lists);
        // `config`, and the newest entry.
        assert_eq!(place.total(Operation::Get).calls, 2);
        for operation in [Operation::Put, Operation::PutIfAbsent, Operation::Size] {
            assert_eq!(place.total(operation).calls, 0, "{operation:?}");
        }
    }
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let (bed, [first, _]) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let before = all_names(&to);
    let repo = bed.open();
    forget(&repo, &[first.0]);
    prune_with(&repo, &thorough()).unwrap();
    let foretold = sync(
        &bed.place,
        &to,
        None,
        &SyncOptions {
            dry_run: true,
            ..SyncOptions::default()
        },
        &Listener::default(),
        &Interrupt::new(),
    )
    .unwrap();
    assert_eq!(all_names(&to), before);
    assert_eq!(mirror(&bed.place, &to).unwrap(), foretold);
    assert!(foretold.deleted > 0);
}

#[test]
fn a_prune_in_the_middle_begins_the_sync_anew() {
    let (bed, [first, second]) = history_in(Class::A);
    let to = MemoryBackend::new();
    let repo = bed.open();
    let hooked = Meanwhile::before(&to, "data", 1, |_| {
        forget(&repo, &[first.0]);
        prune_with(&repo, &thorough()).unwrap();
    });
    mirror(&bed.place, &hooked).unwrap();
    assert_whole(&bed, &to, &[&second]);
    assert_eq!(all_names(&to), all_names(&bed.place));
}

#[test]
fn a_backup_in_the_middle_is_for_the_next_run() {
    let (bed, [first, second]) = history_in(Class::A);
    let to = MemoryBackend::new();
    let repo = bed.open();
    let hooked = Meanwhile::before(&to, "data", 1, |_| {
        bed.write("new", &noise(5, 100_000));
        bed.backup(&repo).unwrap();
    });
    mirror(&bed.place, &hooked).unwrap();
    assert_whole(&bed, &to, &[&first, &second]);
    let opened = bed.open_anew(Arc::new(to.clone()), &password()).unwrap();
    assert_eq!(opened.live_snapshots().len(), 2);
    mirror(&bed.place, &to).unwrap();
    let opened = bed.open_anew(Arc::new(to), &password()).unwrap();
    assert_eq!(opened.live_snapshots().len(), 3);
}

/// Panics unless a sync is refused with these words and changes nothing.
fn assert_refused(from: &MemoryBackend, to: &MemoryBackend, words: &str) {
    let before = to.objects();
    let error = mirror(from, to).unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert_eq!(to.objects(), before);
}

#[test]
fn what_is_no_earlier_state_of_the_repository_is_refused() {
    let (bed, _) = history_in(Class::A);
    let (other, _) = history_in(Class::A);
    assert_refused(&bed.place, &other.place, "is another repository");

    let strange = MemoryBackend::new();
    strange.put("letters/1", b"dear").unwrap();
    assert_refused(&bed.place, &strange, "is not empty: letters/1");

    // The replica was written to.
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let_go(&to);
    let there = bed.open_anew(Arc::new(to.clone()), &password()).unwrap();
    bed.backup(&there).unwrap();
    assert_refused(&bed.place, &to, "has log entries up to");
    bed.backup(&bed.open()).unwrap();
    assert_refused(&bed.place, &to, "has another log entry");
    bed.backup(&bed.open()).unwrap();
    assert_refused(&bed.place, &to, "has another log entry");
    // Without `config` it would not be known whose log it is.
    to.delete(CONFIG).unwrap();
    assert_refused(&bed.place, &to, "has another log entry");
}

#[test]
fn on_class_c_too() {
    let (bed, _) = history_in(Class::C);
    let to = place(Class::C);
    mirror(&bed.place, &to).unwrap();
    let_go(&to);
    let there = bed.open_anew(Arc::new(to.clone()), &password()).unwrap();
    bed.backup(&there).unwrap();
    bed.backup(&bed.open()).unwrap();
    assert_refused(&bed.place, &to, "that its source has not");
}

/// The packs of a place, as a `Deleting` names them.
pub fn packs_of(place: &MemoryBackend) -> Vec<ObjectRef> {
    let names = place.objects().into_keys();
    let objects = names.filter_map(|name| ObjectKind::parse(&name));
    let packs = objects.filter(|(kind, _)| matches!(kind, ObjectKind::Data | ObjectKind::Meta));
    packs.map(|(kind, id)| ObjectRef { kind, id }).collect()
}

/// Syncs as these options say; gives the problems too.
pub fn run(
    from: &dyn Backend,
    to: &dyn Backend,
    by: Option<&Repo>,
    read_data: bool,
) -> (Result<SyncSummary>, Vec<String>) {
    let listener = Listener::default();
    let options = SyncOptions {
        read_data,
        ..SyncOptions::default()
    };
    let done = sync(from, to, by, &options, &listener, &Interrupt::new());
    (done, listener.problems())
}

/// Somebody with no more than a writer's keys appends a `Deleting` of everything.
fn append_void(bed: &Bed) {
    let thief = Other {
        signer: Signer::from_seed(&Secret::new([9; 32])),
        ..Other::new(bed, &bed.place)
    };
    thief.append(Action::Deleting {
        objects: packs_of(&bed.place),
        index_drop: vec![],
        index_add: vec![],
        reprieve: vec![],
        fenced: vec![],
    });
}

#[test]
fn an_entry_that_does_not_count_deletes_nothing() {
    let (bed, [first, second]) = history_in(Class::A);
    let before = MemoryBackend::new();
    mirror(&bed.place, &before).unwrap();
    append_void(&bed);
    let after = MemoryBackend::new();
    for to in [before, after] {
        let done = mirror(&bed.place, &to).unwrap();
        assert_eq!((done.deleted, done.kept), (0, 0));
        assert_whole(&bed, &to, &[&first, &second]);
    }
}

#[test]
fn with_a_key_nothing_goes_that_no_counting_entry_names() {
    let (bed, [first, second]) = history_in(Class::A);
    let (proved, to) = (MemoryBackend::new(), MemoryBackend::new());
    for to in [&proved, &to] {
        mirror(&bed.place, to).unwrap();
    }
    let repo = bed.open();
    append_void(&bed);
    for pack in packs_of(&bed.place) {
        bed.place.delete(&pack.kind.name(&pack.id)).unwrap();
    }
    let by = |by: Option<&Repo>, to| {
        sync(
            &bed.place,
            to,
            by,
            &SyncOptions::default(),
            &Listener::default(),
            &Interrupt::new(),
        )
        .unwrap()
    };
    let done = by(Some(&repo), &proved);
    assert!(done.deleted == 0 && done.kept > 0, "{done:?}");
    assert_whole(&bed, &proved, &[&first, &second]);
    // Who has no key cannot tell what it rests on.
    let done = by(None, &to);
    assert_eq!((done.held_back, done.deleted), (Some(HeldBack::Unsaid), 0));
    assert_whole(&bed, &to, &[&first, &second]);
}

#[test]
fn with_a_key_what_is_deleted_is_not_copied_either() {
    let (bed, [first, second]) = history_in(Class::A);
    let repo = bed.open();
    let before = bed.place.objects();
    forget(&repo, &[first.0]);
    prune_with(&repo, &thorough()).unwrap();
    // Deletions that a place refused for now.
    for (name, bytes) in before {
        bed.place.put(&name, &bytes).unwrap();
    }
    let to = MemoryBackend::new();
    sync(
        &bed.place,
        &to,
        Some(&repo),
        &SyncOptions::default(),
        &Listener::default(),
        &Interrupt::new(),
    )
    .unwrap();
    assert_whole(&bed, &to, &[&second]);
    let state = repo.state();
    assert!(state.deleted().count() > 0);
    for (object, _) in state.deleted() {
        assert!(to.size(&object.kind.name(&object.id)).unwrap().is_none());
    }
}

#[test]
fn what_the_source_has_lost_stays() {
    let (bed, [first, second]) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    bed.place.delete(&names(&bed.place, "data")[0]).unwrap();
    let done = mirror(&bed.place, &to).unwrap();
    assert_eq!((done.deleted, done.kept), (0, 1));
    assert_whole(&bed, &to, &[&first, &second]);
}

#[test]
fn what_is_damaged_is_named_and_keeps_deletions_back() {
    let (bed, [first, _]) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let old = packs_of(&to);
    let repo = bed.open();
    forget(&repo, &[first.0]);
    prune_with(&repo, &thorough()).unwrap();
    let packs = names(&bed.place, "data");
    let new = packs.iter().find(|name| to.size(name).unwrap().is_none());
    let new = new.expect("a prune has rewritten something");
    let mut bytes = bed.place.get(new).unwrap();
    bytes[1000] ^= 1;
    bed.place.put(new, &bytes).unwrap();
    let listener = Listener::default();
    let run = || {
        sync(
            &bed.place,
            &to,
            None,
            &SyncOptions::default(),
            &listener,
            &Interrupt::new(),
        )
        .unwrap()
    };
    let done = run();
    assert!(
        done.held_back == Some(HeldBack::Damaged) && done.deleted == 0 && done.problems == 1,
        "{done:?}"
    );
    assert!(
        listener.problems()[0].starts_with(new),
        "{:?}",
        listener.problems()
    );
    assert_eq!(to.size(new).unwrap(), None);
    let now = packs_of(&to);
    assert!(old.iter().all(|pack| now.contains(pack)));
    // Put right, the rest follows.
    bytes[1000] ^= 1;
    bed.place.put(new, &bytes).unwrap();
    assert!(run().deleted > 0);
    assert_eq!(all_names(&to), all_names(&bed.place));
}

#[test]
fn an_entry_that_was_cut_off_is_written_again() {
    let (bed, [first, second]) = history_in(Class::A);
    let to = place(Class::C);
    mirror(&bed.place, &to).unwrap();
    let newest = name::entry(bed.open().state().tail().number);
    let whole = to.get(&newest).unwrap();
    for len in [0, 3, whole.len() - 1] {
        to.put(&newest, &whole[..len]).unwrap();
        assert_eq!(mirror(&bed.place, &to).unwrap().entries, 1);
        assert_eq!(to.get(&newest).unwrap(), whole);
    }
    assert_whole(&bed, &to, &[&first, &second]);
}

#[test]
fn an_entry_whose_file_was_mended_is_no_other() {
    let (bed, _) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let newest = name::entry(bed.open().state().tail().number);
    let file = to.get(&newest).unwrap();
    let (core, _) = entry::decode_file(&file).unwrap();
    bed.place
        .put(&newest, &entry::encode_file(core, &[]))
        .unwrap();
    assert_eq!(mirror(&bed.place, &to).unwrap().entries, 1);
    assert_eq!(to.get(&newest).unwrap(), bed.place.get(&newest).unwrap());
}

#[test]
fn reading_everything_finds_what_is_damaged_in_the_replica_and_the_home_heals_from_it() {
    let (bed, [first, second]) = history_in(Class::A);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let packs = names(&to, "data");
    let mut bytes = to.get(&packs[0]).unwrap();
    bytes[77] ^= 4;
    to.put(&packs[0], &bytes).unwrap();
    // The home has damage too, and has lost something.
    let mut bytes = bed.place.get(&packs[1]).unwrap();
    bytes[77] ^= 4;
    bed.place.put(&packs[1], &bytes).unwrap();
    bed.place.delete(&packs[2]).unwrap();
    let options = |dry_run| SyncOptions {
        dry_run,
        read_data: true,
    };
    let run = |from: &MemoryBackend, to: &MemoryBackend, dry_run| {
        let listener = Listener::default();
        let done = sync(
            from,
            to,
            None,
            &options(dry_run),
            &listener,
            &Interrupt::new(),
        );
        assert_eq!(listener.problems(), [""; 0]);
        done.unwrap()
    };
    assert_eq!(run(&bed.place, &to, true).damaged, 1);
    let done = run(&bed.place, &to, false);
    assert_eq!((done.damaged, done.objects, done.kept), (1, 1, 1));
    assert_whole(&bed, &to, &[&first, &second]);
    let done = run(&to, &bed.place, false);
    assert_eq!((done.damaged, done.objects), (1, 2));
    assert_whole(&bed, &bed.place, &[&first, &second]);
    assert_eq!(content(&to), content(&bed.place));
}

#[test]
fn a_removed_key_goes() {
    let (bed, _) = history_in(Class::A);
    let repo = bed.open();
    let second = Credential::password("second");
    let id = repo.key_add(&second, CHEAP, &Label::default()).unwrap();
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let opens = || bed.open_anew(Arc::new(to.clone()), &second).is_ok();
    assert!(opens());
    repo.key_remove(&id).unwrap();
    assert_eq!(mirror(&bed.place, &to).unwrap().deleted, 1);
    assert!(!opens());
    assert_eq!(names(&to, "keys").len(), 1);
}

#[test]
fn what_others_append_is_nobody_elses() {
    let (bed, [first, _]) = history_in(Class::A);
    let (one, other) = (bed.open(), bed.open());
    forget(&one, &[first.0]);
    other.refresh().unwrap();
    assert_eq!((one.has_appended(), other.has_appended()), (true, false));
}
