//! Forgets are taken back in a place that overwrites, where nothing that was condemned can be: what is left lies in packs that stay, or
//! is copied as long as it is there, or it is said that it is gone.

use super::class_c_history::{History, anew, assert_sound, history, repair_damaged};
use super::prune::{forget, prune_with, thorough};
use super::support::*;
use crate::backend::{Backend, Class, MemoryBackend};
use crate::crypto::Role;
use crate::error::{ErrorKind, Result};
use crate::format::entry::{Action, Entry, encode_file};
use crate::format::key_slot::{Credential, Label};
use crate::format::name::{ObjectKind, entry_of};
use crate::id::{BlobId, PackId, SnapshotId};
use crate::log::{PackState, Terms};
use crate::ops::{
    ACCEPTED, BackupOptions, Input, PruneOptions, Regained, TagChange, Unforgotten, tag, unforget,
};
use crate::progress::{Interrupt, Silent};
use crate::repo::Repo;
use crate::snapshot::{Filter, list};
use crate::time::{Timestamp, now};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

pub fn wanted_again(repo: &Repo, id: SnapshotId) -> Result<Unforgotten> {
    unforget(repo, &[id], &Silent, &Interrupt::new())
}

/// Takes a forget back; under which id the snapshot is there then.
pub fn regained(repo: &Repo, id: SnapshotId) -> SnapshotId {
    match wanted_again(repo, id).unwrap() {
        Unforgotten::Done(done) => {
            let [Regained { asked, id: new }] = done[..] else {
                panic!("{done:?}");
            };
            assert_eq!(asked, id);
            new
        }
        late => panic!("{late:?}"),
    }
}

/// Leaves nothing unused, and deletes nothing that was not condemned a week ago.
pub fn within_grace() -> PruneOptions {
    PruneOptions {
        grace: PruneOptions::default().grace,
        ..thorough()
    }
}

/// Has a prune condemn what only forgotten snapshots need, and those themselves.
pub fn condemn(bed: &Bed, place: &MemoryBackend) {
    let pruned = prune_with(&anew(bed, place), &within_grace()).unwrap();
    assert!(pruned.condemned.count > 0, "{pruned:?}");
    assert_eq!(pruned.deleted.count, 0);
}

/// Has a prune delete what is condemned.
pub fn delete_condemned(bed: &Bed, place: &MemoryBackend) {
    let pruned = prune_with(&anew(bed, place), &thorough()).unwrap();
    assert_eq!(pruned.waits_for, 0);
    assert!(pruned.objects_removed > 0, "{pruned:?}");
    assert!(anew(bed, place).state().condemned().next().is_none());
}

/// Panics unless these are all the snapshots that are there, and restore to these trees.
pub fn assert_all(bed: &Bed, place: &MemoryBackend, expected: &[(SnapshotId, &Tree)]) {
    let repo = anew(bed, place);
    for (id, tree) in expected {
        assert!(repo.state().is_live(id), "{}", id.short());
        bed.assert_restores(&repo, id, tree);
    }
    assert_eq!(repo.live_snapshots().len(), expected.len());
}

pub fn assert_there(history: &History, place: &MemoryBackend, numbers: &[usize]) {
    let made = numbers.iter().map(|number| &history.made[*number]);
    let made: Vec<_> = made.map(|(id, tree)| (*id, tree)).collect();
    assert_all(&history.bed, place, &made);
}

/// Whether blobs have a copy in a pack that stays.
fn live_blobs(repo: &Repo) -> BTreeSet<BlobId> {
    let mut live = BTreeSet::new();
    let mut note = |id, location: crate::index::Location| {
        let pack = repo.index().pack_id_of(&location)?;
        if repo.state().pack_state(&pack) == PackState::Live {
            live.insert(id);
        }
        Ok(ControlFlow::Continue(()))
    };
    repo.index().for_each_blob(&mut note).unwrap();
    live
}

fn packs(place: &MemoryBackend) -> BTreeSet<String> {
    let kinds = ["data", "meta"];
    kinds.iter().flat_map(|kind| names(place, kind)).collect()
}

/// Panics unless the new packs hold only what no pack that stayed held.
fn assert_copied_no_more(
    place: &MemoryBackend,
    repo: &Repo,
    before: &BTreeSet<String>,
    live: &BTreeSet<BlobId>,
) {
    let there = packs(place);
    let new: Vec<&String> = there.difference(before).collect();
    assert!(!new.is_empty());
    for name in new {
        let pack = PackId(ObjectKind::parse(name).unwrap().1);
        let entry = repo.index().pack_entry(&pack).unwrap().unwrap();
        assert!(!entry.blobs.iter().any(|blob| live.contains(&blob.id)));
    }
}

#[test]
fn within_the_grace_it_comes_back_as_another_form() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let (id, tree) = &history.made[0];
    condemn(bed, place);
    let repo = anew(bed, place);
    let (before, live) = (packs(place), live_blobs(&repo));
    let old = repo.load_snapshot(id).unwrap();
    let new = regained(&repo, *id);
    assert_ne!(new, *id);
    let repo = anew(bed, place);
    assert_copied_no_more(place, &repo, &before, &live);
    let made = repo.load_snapshot(&new).unwrap();
    let mut expected = old.summary.clone();
    expected.set_original(id);
    assert_eq!(made.summary, expected);
    assert_eq!(made.sources, old.sources);
    let all = [
        (new, tree),
        (history.made[1].0, &history.made[1].1),
        (history.made[2].0, &history.made[2].1),
    ];
    assert_all(bed, place, &all);
    delete_condemned(bed, place);
    assert!(!before.is_subset(&packs(place)));
    assert_all(bed, place, &all);
    assert_sound(bed, place, "unforget");
    assert_all(bed, place, &all);
    let late = wanted_again(&anew(bed, place), *id).unwrap();
    assert!(matches!(late, Unforgotten::TooLate(..)), "{late:?}");
}

/// All that it holds is needed by the one with other tags that took its place.
#[test]
fn a_condemned_object_is_stored_again_and_nothing_else() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let repo = anew(bed, place);
    let id = history.made[2].0;
    let mut last = list(&repo, &Filter::default()).snapshots;
    last.retain(|info| info.id == id);
    let change = TagChange::Set(vec!["new".into()]);
    let tagged = tag(&repo, &last, &change, false, &Interrupt::new()).unwrap();
    let tagged = tagged[0].new.unwrap();
    let pruned = prune_with(&anew(bed, place), &PruneOptions::default()).unwrap();
    assert!(pruned.deleted.count == 0);
    let state = anew(bed, place).state();
    assert!(
        state
            .condemned_objects()
            .any(|(object, _)| object.id == id.0)
    );
    let before = place.objects();
    let new = regained(&anew(bed, place), id);
    assert_ne!(new, id);
    let mut put: Vec<String> = place.objects().into_keys().collect();
    put.retain(|name| !before.contains_key(name) && !name.starts_with("log/"));
    assert_eq!(put, [ObjectKind::Snapshot.name(&new.0)]);
    delete_condemned(bed, place);
    assert_eq!(place.size(&ObjectKind::Snapshot.name(&id.0)).unwrap(), None);
    let (second, tree) = &history.made[1];
    let last = &history.made[2].1;
    assert_all(bed, place, &[(new, last), (tagged, last), (*second, tree)]);
    assert_sound(bed, place, "unforget");
}

/// Puts one under terms that is forgotten already.
pub fn put_under(bed: &Bed, place: &MemoryBackend, id: SnapshotId, terms: Terms) {
    let repo = anew(bed, place);
    let say = |_: &_| {
        Ok(Some(Action::Terms {
            snapshots: vec![id],
            protected_until: terms.protected_until,
            expires: terms.expires,
        }))
    };
    repo.append(&mut { say }).unwrap();
}

#[test]
fn it_is_kept_as_long_as_it_was_to_be() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let time = |seconds| Some(Timestamp::new(seconds, 0));
    for (protected_until, expires) in [
        (None, None),
        (None, time(4_000_000_000)),
        (time(5_000_000_000), None),
        (time(5_000_000_000), time(6_000_000_000)),
    ] {
        let terms = Terms {
            number: 0,
            protected_until,
            expires,
        };
        let place = place.fork();
        condemn(bed, &place);
        put_under(bed, &place, history.made[0].0, terms);
        let new = regained(&anew(bed, &place), history.made[0].0);
        let state = anew(bed, &place).state();
        let found = state.terms(&new);
        assert_eq!(
            (found.protected_until, found.expires),
            (protected_until, expires)
        );
    }
}

/// Somebody who may only add could have accepted a break by that tag.
#[test]
fn a_tag_that_counts_for_nothing_does_not_come_to_count() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let options = BackupOptions {
        host: "host".into(),
        tags: vec!["kept".into(), ACCEPTED.into()],
        ..BackupOptions::default()
    };
    let input = Input::Paths(vec![bed.source()]);
    let made = quietly(&anew(bed, place), input, &options).unwrap();
    let made = made.snapshot.unwrap();
    forget(&anew(bed, place), &[made]);
    condemn(bed, place);
    let new = regained(&anew(bed, place), made);
    let made = anew(bed, place).load_snapshot(&new).unwrap();
    assert_eq!(made.summary.tags, ["kept"]);
}

/// Asked for again, it is found: no second one is made.
#[test]
fn what_came_back_is_found_again() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let id = history.made[0].0;
    condemn(bed, place);
    let new = regained(&anew(bed, place), id);
    let before = place.objects();
    assert_eq!(regained(&anew(bed, place), id), new);
    assert!(place.objects() == before, "nothing was written");
}

/// Also where its own object could stand by now.
#[test]
fn a_form_whose_packs_alone_were_condemned_is_found_again() {
    let (history, made, tree) = relies_on_condemned();
    let (bed, place) = (&history.bed, &history.bed.place);
    let new = regained(&anew(bed, place), made);
    assert_ne!(new, made);
    assert_eq!(regained(&anew(bed, place), made), new);
    let of = |number: usize| (history.made[number].0, &history.made[number].1);
    let all = [(new, &tree), of(1), of(2)];
    assert_all(bed, place, &all);
    assert_sound(bed, place, "unforget");
    assert_all(bed, place, &all);
}

/// A backup was at work while what it relies on was condemned: it stands, and until the next prune its packs are condemned. It is
/// forgotten then.
fn relies_on_condemned() -> (History, SnapshotId, Tree) {
    let history = history(Class::C);
    let (bed, place) = (history.bed.clone(), &history.bed.place);
    bed.write("old/gone", &noise(60, 300_000));
    let shared = bed.clone();
    let backend = Meanwhile::before(place, "snapshots", 1, move |place| {
        let pruned = prune_with(&anew(&shared, place), &thorough()).unwrap();
        assert_eq!((pruned.waits_for, pruned.deleted.count), (1, 0));
        assert!(pruned.condemned.count > 0);
    });
    let repo = bed.open_anew(Arc::new(backend), &password()).unwrap();
    // With a parent that lends, all would be looked up again.
    let options = BackupOptions {
        host: "host".into(),
        force: true,
        ..BackupOptions::default()
    };
    let made = quietly(&repo, Input::Paths(vec![bed.source()]), &options).unwrap();
    let (made, tree) = (made.snapshot.unwrap(), bed.tree());
    forget(&anew(&bed, place), &[made]);
    (history, made, tree)
}

/// What is not there is found to be gone before anything is written; what is wrong, when it is copied.
#[test]
fn what_is_lost_of_condemned_packs_is_told_and_nothing_comes_back() {
    for missing in [true, false] {
        let history = history(Class::C);
        let (bed, place) = (&history.bed, &history.bed.place);
        let repo = anew(bed, place);
        // More than a pack takes, and met first.
        bed.write("large", &noise(8, 3 << 20));
        let first = bed.backup(&repo).unwrap().snapshot.unwrap();
        for name in ["lost/a", "lost/b", "lost/c"] {
            bed.write(name, &noise(7, 100_000));
        }
        let mut lost = names(place, "data");
        let id = bed.backup(&repo).unwrap().snapshot.unwrap();
        lost = since(place, "data", &lost);
        forget(&repo, &[first, id]);
        condemn(bed, place);
        assert!(!lost.is_empty());
        for name in &lost {
            match missing {
                true => assert!(place.remove(name)),
                false => place.corrupt(name, |bytes| bytes.fill(7)),
            }
        }
        let objects = place.objects();
        let ids = [id, history.made[0].0];
        let done = unforget(&anew(bed, place), &ids, &Silent, &Interrupt::new());
        let Unforgotten::TooLate(which, gone) = done.unwrap() else {
            panic!("its data is gone");
        };
        assert_eq!((which, gone.snapshot, gone.items), (id, false, 3));
        assert!(gone.first.unwrap().ends_with("lost/a"));
        assert!(
            !missing || place.objects() == objects,
            "something was written"
        );
        assert_there(&history, place, &[1, 2]);
    }
}

fn since(place: &MemoryBackend, kind: &str, before: &[String]) -> Vec<String> {
    let mut there = names(place, kind);
    there.retain(|name| !before.contains(name));
    there
}

#[test]
fn what_is_copied_of_several_shares_no_block() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    let repo = anew(bed, place);
    let made = [1, 2].map(|n| {
        bed.write("small", &noise(100 + n, 1000));
        bed.backup(&repo).unwrap().snapshot.unwrap()
    });
    forget(&repo, &made);
    condemn(bed, place);
    let before = names(place, "data");
    let repo = anew(bed, place);
    let done = unforget(&repo, &made, &Silent, &Interrupt::new()).unwrap();
    assert!(matches!(&done, Unforgotten::Done(done) if done.len() == 2));
    repo.refresh().unwrap();
    let (mut blocks, mut blobs) = (0, 0);
    for name in since(place, "data", &before) {
        let pack = PackId(ObjectKind::parse(&name).unwrap().1);
        let entry = repo.index().pack_entry(&pack).unwrap().unwrap();
        (blocks, blobs) = (blocks + entry.blocks.len(), blobs + entry.blobs.len());
    }
    assert_eq!((blocks, blobs), (2, 2));
}

/// An entry by the admin's key that leaves who holds this one only the right to add.
fn become_writer(repo: &Repo, place: &MemoryBackend) {
    let state = repo.state();
    let mut members = state.members().to_vec();
    let me = members.iter_mut().find(|m| m.writer == repo.writer());
    me.unwrap().role = Role::Writer;
    let entry = Entry {
        number: state.tail().number + 1,
        nonce: [7; 16],
        follows: state.tail().heads.clone(),
        time: now(),
        process: None,
        action: Some(Action::Roles {
            members,
            removed: vec![],
        }),
    };
    let admin = repo.ring().admin().unwrap();
    let core = entry.seal(repo.envelopes(), &admin).unwrap();
    let file = encode_file(&core, &[]);
    place
        .put(&entry_of(entry.number, &entry.nonce), &file)
        .unwrap();
    repo.refresh().unwrap();
}

/// Who may not take a forget back cannot do it by a commit.
#[test]
fn who_may_only_add_brings_nothing_back() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    condemn(bed, place);
    let second = Credential::password("second");
    let repo = anew(bed, place);
    repo.key_add(&second, CHEAP, &Label::default()).unwrap();
    let repo = bed.open_anew(Arc::new(place.clone()), &second).unwrap();
    become_writer(&repo, place);
    let entries = names(place, "log").len();
    let denied = wanted_again(&repo, history.made[0].0).unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied, "{denied}");
    assert_eq!(names(place, "log").len(), entries);
    assert_there(&history, place, &[1, 2]);
}

/// A repair has condemned packs and moved what was in them: that is whole, before and after the packs are deleted.
#[test]
fn moved_copies_are_enough() {
    let history = history(Class::C);
    for deleted in [false, true] {
        let place = history.bed.place.fork();
        repair_damaged(&history, &place);
        let (id, _) = history.made[1];
        if deleted {
            let pruned = prune_with(&anew(&history.bed, &place), &thorough()).unwrap();
            assert!(pruned.deleted.count > 0);
        }
        let is_there = |pack: &String| place.size(pack).unwrap().is_some();
        let there = history.packs[1].iter().filter(|pack| is_there(pack));
        assert_eq!(there.count() == 0, deleted);
        let repo = anew(&history.bed, &place);
        assert_eq!(repo.state().condemned().next().is_none(), deleted);
        forget(&repo, &[id]);
        let done = regained(&repo, id);
        assert_eq!(done, id);
        assert_there(&history, &place, &[1, 2]);
        assert_sound(&history.bed, &place, "unforget");
        assert!(!history.packs[1].iter().any(is_there));
        assert_there(&history, &place, &[1, 2]);
    }
}
