//! Key slots changed by several at once, and changes that stop halfway: somebody can always get in.

use super::support::*;
use crate::backend::wrap::{Fault, Faults, Operation, Rule};
use crate::backend::{Backend, MemoryBackend};
use crate::error::ErrorKind;
use crate::format::key_slot::{Credential, Label};
use crate::format::name::ObjectKind;
use crate::id::KeyId;
use crate::repo::{NewOwner, Repo};
use std::io::ErrorKind::TimedOut;
use std::sync::Arc;

fn opens(bed: &Bed, credential: &Credential) -> bool {
    let place = Arc::new(bed.place.clone());
    bed.open_anew(place, credential).is_ok()
}

fn open_with(bed: &Bed, credential: &Credential) -> Repo {
    bed.open_anew(Arc::new(bed.place.clone()), credential)
        .unwrap()
}

fn slots(place: &MemoryBackend) -> Vec<String> {
    names(place, "keys")
}

fn slot_name(id: &KeyId) -> String {
    ObjectKind::Key.name(&id.0)
}

#[test]
fn a_password_is_changed_although_the_old_slot_cannot_be_deleted() {
    for fault in [Fault::Before(TimedOut), Fault::After(TimedOut)] {
        let bed = Bed::new();
        let rule = Rule::new(fault).on(&[Operation::Delete]).times(u64::MAX);
        let faults = Faults::new(Arc::new(bed.place.clone())).rule(rule);
        let repo = bed.open_on(Arc::new(faults)).unwrap();
        let new = Credential::password("new");
        let done = repo.key_passwd(&password(), &new, CHEAP, &NewOwner::default());
        assert!(done.is_ok(), "{fault:?}");
        assert!(opens(&bed, &new));
        bed.write("a", b"first");
        bed.backup(&open_with(&bed, &new)).unwrap();
    }
}

#[test]
fn two_who_remove_each_other_do_not_both_succeed() {
    let bed = Bed::new();
    let one = bed.open();
    let second = Credential::password("second");
    let id = one.key_add(&second, CHEAP, &Label::default()).unwrap();
    let two = open_with(&bed, &second);
    one.key_remove(&id).unwrap();
    let refused = two.key_remove(&one.key()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert_eq!(slots(&bed.place), [slot_name(&one.key())]);
    assert!(opens(&bed, &password()));
    // Nor does whoever was removed let anybody else in, or themselves again.
    let third = Credential::password("third");
    let added = two.key_add(&third, CHEAP, &Label::default());
    assert_eq!(added.unwrap_err().error.kind(), ErrorKind::Denied);
    bed.place.put(&slot_name(&id), b"kept").unwrap();
    bed.place.delete(&slot_name(&id)).unwrap();
    assert_eq!(slots(&bed.place).len(), 1);
}

#[test]
fn the_last_slot_that_opens_stays() {
    let bed = Bed::new();
    let one = bed.open();
    let second = Credential::password("second");
    let id = one.key_add(&second, CHEAP, &Label::default()).unwrap();
    // Somebody deletes the slot in use from the place itself.
    bed.place.delete(&slot_name(&one.key())).unwrap();
    let refused = one.key_remove(&id).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(slots(&bed.place), [slot_name(&id)]);
    let two = open_with(&bed, &second);
    bed.write("a", b"first");
    bed.backup(&two).unwrap();
}

#[test]
fn what_a_stopped_change_of_password_left_is_removed_and_its_writer_stays() {
    let bed = Bed::new();
    bed.write("a", b"first");
    let repo = bed.open();
    let old = repo.key();
    let bytes = bed.place.get(&slot_name(&old)).unwrap();
    let new = Credential::password("new");
    repo.key_passwd(&password(), &new, CHEAP, &NewOwner::default())
        .unwrap();
    bed.place.put(&slot_name(&old), &bytes).unwrap();
    let repo = open_with(&bed, &new);
    repo.key_remove(&old).unwrap();
    bed.backup(&repo).unwrap();
    assert!(!opens(&bed, &password()));

    // A slot of another writer goes with its writer, once the last of its slots does.
    let two = Credential::password("two");
    let id = repo.key_add(&two, CHEAP, &Label::default()).unwrap();
    let second = open_with(&bed, &two);
    repo.key_remove(&id).unwrap();
    assert!(bed.backup(&second).is_err());
}

#[test]
fn a_slot_that_is_gone_is_named_and_the_next_key_takes_its_writer_off_the_list() {
    let bed = Bed::new();
    bed.write("a", b"first");
    let two = Credential::password("two");
    let id = bed.open().key_add(&two, CHEAP, &Label::default()).unwrap();
    bed.backup(&open_with(&bed, &two)).unwrap();
    assert!(bed.place.remove(&slot_name(&id)));
    let summary = check_with(&bed.open(), false).unwrap();
    let lines = super::damage::findings(&summary);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("object keys/ of the writer "),
        "{lines:?}"
    );
    assert!(
        lines[0].ends_with("it wrote the snapshots of host"),
        "{lines:?}"
    );
    let three = Credential::password("three");
    bed.open()
        .key_add(&three, CHEAP, &Label::default())
        .unwrap();
    assert_clean(&bed.open());
    bed.backup(&open_with(&bed, &three)).unwrap();
}

#[test]
fn nobody_is_taken_off_the_list_while_a_slot_cannot_be_read() {
    let bed = Bed::new();
    let two = Credential::password("two");
    let id = bed.open().key_add(&two, CHEAP, &Label::default()).unwrap();
    let right = bed.place.get(&slot_name(&id)).unwrap();
    bed.place.corrupt(&slot_name(&id), |bytes| bytes[50] ^= 1);
    let three = Credential::password("three");
    bed.open()
        .key_add(&three, CHEAP, &Label::default())
        .unwrap();
    bed.place
        .corrupt(&slot_name(&id), |bytes| *bytes = right.clone());
    bed.write("a", b"first");
    bed.backup(&open_with(&bed, &two)).unwrap();
}

#[test]
fn two_who_add_keys_at_once_both_let_somebody_in() {
    let bed = Bed::new();
    bed.write("a", b"first");
    let (two, three) = (Credential::password("two"), Credential::password("three"));
    let other = bed.open();
    let meanwhile = move |_: &MemoryBackend| {
        let three = Credential::password("three");
        other.key_add(&three, CHEAP, &Label::default()).unwrap();
    };
    let place = Meanwhile::before(&bed.place, "keys", 1, meanwhile);
    let repo = bed.open_on(Arc::new(place)).unwrap();
    repo.key_add(&two, CHEAP, &Label::default()).unwrap();
    for credential in [two, three] {
        bed.backup(&open_with(&bed, &credential)).unwrap();
    }
    assert_clean(&bed.open());
}
