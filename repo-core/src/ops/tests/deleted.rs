//! What a backup relies on is condemned or deleted while it runs, by entries made by hand.

use super::support::*;
use crate::backend::wrap::{Counting, Operation};
use crate::backend::{Backend, MemoryBackend};
use crate::error::{ErrorKind, Result};
use crate::format::entry::{Action, ObjectRef};
use crate::format::name::ObjectKind;
use crate::id::PackId;
use crate::ops::{BackupOptions, BackupSummary, Input, backup};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::sync::Arc;

impl Other<'_> {
    fn objects(&self, kinds: &[ObjectKind]) -> Vec<ObjectRef> {
        let names = self.place.objects().into_keys();
        names
            .filter_map(|name| ObjectKind::parse(&name))
            .filter(|(kind, _)| kinds.contains(kind))
            .map(|(kind, id)| ObjectRef { kind, id })
            .collect()
    }

    fn forget_all(&self) {
        let live = self.repo.live_snapshots();
        self.append(Action::Forget {
            snapshots: live.iter().map(|(id, _)| *id).collect(),
        });
    }

    /// Forgets everything and condemns all packs.
    fn condemn_all(&self) {
        self.forget_all();
        let packs = self.objects(&[ObjectKind::Data, ObjectKind::Meta]);
        self.append(Action::Condemn {
            packs: packs.iter().map(|pack| PackId(pack.id)).collect(),
            objects: vec![],
            index_add: vec![],
            reprieve: vec![],
        });
    }

    /// Deletes objects of these kinds, all that there are.
    fn delete_all(&self, kinds: &[ObjectKind]) {
        self.delete(self.objects(kinds));
    }

    fn delete(&self, objects: Vec<ObjectRef>) {
        assert!(!objects.is_empty());
        self.append(Action::Deleting {
            objects: objects.clone(),
            index_drop: vec![],
            index_add: vec![],
            reprieve: vec![],
            fenced: vec![],
        });
        for object in objects {
            self.place.remove(&object.kind.name(&object.id));
        }
    }

    /// Deletes the packs that are condemned by now.
    fn delete_condemned(&self) {
        self.repo.refresh().unwrap();
        let state = self.repo.state();
        let mut objects = self.objects(PACKS);
        objects.retain(|object| state.condemned_by(&PackId(object.id)).is_some());
        self.delete(objects);
    }

    fn forget_and_delete(&self, kinds: &[ObjectKind]) {
        self.condemn_all();
        self.delete_all(kinds);
    }
}

const PACKS: &[ObjectKind] = &[ObjectKind::Data, ObjectKind::Meta];

const PACKS_AND_TABLES: &[ObjectKind] = &[ObjectKind::Data, ObjectKind::Meta, ObjectKind::Index];

/// A place with one snapshot of some 2 MiB.
fn place() -> Bed {
    let bed = Bed::new();
    bed.write("a", b"a small one");
    bed.write("b/large", &noise(1, 2 << 20));
    bed.backup(&bed.open()).unwrap();
    bed
}

/// Backs up while something happens right before an object of `kind` is stored.
fn backup_while(
    bed: &Bed,
    kind: &'static str,
    times: u32,
    force: bool,
    event: impl Fn(&Other<'_>) + Send + Sync + 'static,
) -> (Result<BackupSummary>, Arc<Counting>) {
    let other = Other::new(bed, &bed.place);
    let (repo, signer) = (other.repo.clone(), other.signer.clone());
    let happens = move |place: &MemoryBackend| {
        let (repo, signer) = (repo.clone(), signer.clone());
        event(&Other {
            place,
            repo,
            signer,
        });
    };
    let backend = Meanwhile::before(&bed.place, kind, times, happens);
    let counting = Arc::new(Counting::new(Arc::new(backend)));
    let repo = bed.open_on(counting.clone()).unwrap();
    let options = BackupOptions {
        host: "host".into(),
        force,
        ..BackupOptions::default()
    };
    let input = Input::Paths(vec![bed.source()]);
    let listener = Listener::default();
    let made = backup(&repo, input, &options, &listener, &Interrupt::new());
    assert_eq!(listener.problems(), [""; 0]);
    (made, counting)
}

fn assert_good(bed: &Bed, made: Result<BackupSummary>) -> Repo {
    let repo = bed.open();
    bed.assert_restores(&repo, &made.unwrap().snapshot.unwrap(), &bed.tree());
    assert_clean(&repo);
    repo
}

#[test]
fn packs_condemned_meanwhile_are_reprieved() {
    let bed = place();
    let (made, counting) = backup_while(&bed, "snapshots", 1, true, |other| other.condemn_all());
    let repo = assert_good(&bed, made);
    assert_eq!(repo.state().condemned().count(), 0);
    assert_eq!(counting.of(Operation::Put, "data").calls, 0);
    assert_eq!(counting.of(Operation::Put, "snapshots").calls, 1);
}

#[test]
fn packs_condemned_before_are_not_relied_on() {
    let bed = place();
    let other = Other::new(&bed, &bed.place);
    other.condemn_all();
    let made = bed.backup(&bed.open());
    other.delete_condemned();
    assert_good(&bed, made);
}

#[test]
fn packs_deleted_meanwhile_are_stored_again() {
    for force in [true, false] {
        for kinds in [
            PACKS,
            &[ObjectKind::Data],
            &[ObjectKind::Meta],
            PACKS_AND_TABLES,
        ] {
            let bed = place();
            let event = move |other: &Other<'_>| other.forget_and_delete(kinds);
            let (made, _) = backup_while(&bed, "snapshots", 1, force, event);
            assert_good(&bed, made);
        }
    }
}

#[test]
fn a_parent_forgotten_meanwhile_costs_a_second_look() {
    let bed = place();
    let (made, counting) = backup_while(&bed, "snapshots", 1, false, |other| other.forget_all());
    assert_good(&bed, made);
    assert_eq!(counting.of(Operation::Put, "data").calls, 0);
    assert_eq!(counting.of(Operation::Put, "snapshots").calls, 2);
}

#[test]
fn what_the_run_itself_has_stored_may_be_deleted_too() {
    for kinds in [PACKS, &[ObjectKind::Index], PACKS_AND_TABLES] {
        let bed = place();
        bed.write("new", &noise(2, 1 << 20));
        let (made, _) = backup_while(&bed, "snapshots", 1, false, move |other| {
            other.forget_and_delete(kinds);
        });
        assert_good(&bed, made);
    }
}

#[test]
fn what_is_deleted_right_before_the_entry_is_noticed() {
    for kinds in [
        PACKS,
        PACKS_AND_TABLES,
        &[ObjectKind::Snapshot],
        &[ObjectKind::Snapshot, ObjectKind::Index],
    ] {
        let bed = place();
        bed.write("new", &noise(2, 1 << 20));
        let (made, _) = backup_while(&bed, "log", 1, false, move |other| {
            other.forget_and_delete(kinds);
        });
        assert_good(&bed, made);
    }
}

#[test]
fn what_is_deleted_every_time_is_given_up_and_nothing_is_lost() {
    let bed = place();
    let (made, _) = backup_while(&bed, "snapshots", u32::MAX, true, |other| {
        other.forget_and_delete(PACKS);
    });
    let error = made.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("deleted meanwhile"), "{error}");
    let made = bed.backup(&bed.open());
    assert_good(&bed, made);
}

#[test]
fn a_stream_whose_base_is_deleted_meanwhile_fails_clearly() {
    let bed = Bed::new();
    let data = noise(5, 3 << 20);
    let run = |backend: Arc<dyn Backend>| {
        let repo = bed.open_on(backend)?;
        let mut reader = &data[..];
        let name = "stdin".into();
        let input = Input::Stream {
            name,
            reader: &mut reader,
            program: None,
        };
        let (options, listener) = (BackupOptions::default(), Listener::default());
        backup(&repo, input, &options, &listener, &Interrupt::new())
    };
    run(Arc::new(bed.place.clone())).unwrap();
    let other = Other::new(&bed, &bed.place);
    let (repo, signer) = (other.repo.clone(), other.signer.clone());
    let event = move |place: &MemoryBackend| {
        let (repo, signer) = (repo.clone(), signer.clone());
        let other = Other {
            place,
            repo,
            signer,
        };
        other.forget_and_delete(PACKS);
    };
    let backend = Meanwhile::before(&bed.place, "snapshots", 1, event);
    let error = run(Arc::new(backend)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("a stream cannot be read again"),
        "{error}"
    );
    run(Arc::new(bed.place.clone())).unwrap();
    assert_clean(&bed.open());
}
