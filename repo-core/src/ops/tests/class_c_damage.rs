//! Damaged packs in a place that overwrites.

use super::class_c_history::{History, anew, history, repair_all_snapshots};
use super::class_c_unforget::within_grace;
use super::prune::{prune_with, thorough};
use super::support::*;
use crate::backend::Class;
use crate::format::name::ObjectKind;
use crate::id::PackId;
use crate::ops::repair_packs;
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::sync::Arc;

fn pack_of(history: &History, snapshot: usize) -> PackId {
    let name = &history.packs[snapshot][0];
    history.bed.place.corrupt(name, |bytes| bytes[5000] ^= 1);
    PackId(ObjectKind::parse(name).unwrap().1)
}

fn save(repo: &Repo, pack: PackId) {
    let listener = Listener::default();
    let done = repair_packs(repo, &[pack], false, &listener, &Interrupt::new());
    assert!(!done.unwrap().is_empty());
}

/// A prune that keeps the grace waits for who might want it back; what is lost of it stops nobody.
#[test]
fn what_is_lost_of_a_snapshot_forgotten_lately_stops_no_prune() {
    let history = history(Class::C);
    let (bed, place) = (&history.bed, &history.bed.place);
    for _ in 0..2 {
        prune_with(&anew(bed, place), &within_grace()).unwrap();
    }
    let pack = pack_of(&history, 2);
    save(&anew(bed, place), pack);
    repair_all_snapshots(&anew(bed, place), &history).unwrap();
    for _ in 0..2 {
        prune_with(&anew(bed, place), &thorough()).unwrap();
        assert_clean(&anew(bed, place));
    }
    assert_eq!(
        anew(bed, place).state().pack_state(&pack),
        crate::log::PackState::Deleting
    );
}

/// A pack is condemned under a number below that of a backup that had not seen it: nobody rests on that backup's having seen all.
#[test]
fn a_condemnation_that_came_late_is_heeded() {
    let history = history(Class::C);
    let bed = history.bed.clone();
    let pack = pack_of(&history, 2);
    let shared = bed.clone();
    let backend = Meanwhile::before(&bed.place, "log", 1, move |place| {
        for n in 0..2u64 {
            shared.write("new", &noise(90 + n, 1000));
            shared.backup(&anew(&shared, place)).unwrap();
        }
    });
    let repo = bed.open_anew(Arc::new(backend), &password()).unwrap();
    save(&repo, pack);
    bed.write("new", b"newer");
    let made = bed
        .backup(&anew(&bed, &bed.place))
        .unwrap()
        .snapshot
        .unwrap();
    bed.assert_restores(&anew(&bed, &bed.place), &made, &bed.tree());
}
