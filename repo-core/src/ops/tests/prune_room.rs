//! Prune where there is no room to rewrite anything.

use super::prune::{assert_right, forget, history, pack_bytes, prune_with, thorough};
use super::support::*;
use crate::backend::wrap::{Fault, Faults, Operation, Rule};
use crate::id::SnapshotId;
use std::io::ErrorKind as ErrorOf;
use std::sync::Arc;

/// The place of [`history`], its first snapshot forgotten, with a third one, that shares nothing with others, forgotten too: its
/// packs can go without rewriting any.
fn with_whole_packs_to_free() -> (Bed, (SnapshotId, Tree)) {
    let (bed, [first, second]) = history();
    for name in bed.tree().into_keys() {
        let path = bed.source().join(name);
        let _ = std::fs::remove_file(&path);
    }
    bed.write("other", &noise(7777, 6 << 20));
    let third = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    forget(&bed.open(), &[first.0, third]);
    (bed, second)
}

/// Data cannot be written `times` times.
fn full(bed: &Bed, times: u64) -> Arc<Faults> {
    let full = Rule::new(Fault::Before(ErrorOf::StorageFull));
    let rule = full.on(&[Operation::Put]).kind("data").times(times);
    Arc::new(Faults::new(Arc::new(bed.place.clone())).rule(rule))
}

#[test]
fn what_needs_no_rewriting_makes_room_for_the_rest() {
    let (bed, second) = with_whole_packs_to_free();
    let backend = full(&bed, 1);
    let done = prune_with(&bed.open_on(backend.clone()).unwrap(), &thorough()).unwrap();
    assert_eq!(backend.struck(), 1);
    assert!(done.deleted.bytes > 6 << 20, "{done:?}");
    assert!(done.written.count > 0, "{done:?}");
    assert_right(&bed, &[&second]);
    let again = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(again.plan.unused_bytes, 0, "{again:?}");
}

#[test]
fn what_needs_no_rewriting_goes_even_if_that_is_not_enough() {
    let (bed, second) = with_whole_packs_to_free();
    let before = pack_bytes(&bed.place);
    let backend = full(&bed, u64::MAX);
    let failed = prune_with(&bed.open_on(backend).unwrap(), &thorough()).unwrap_err();
    assert!(failed.is_full(), "{failed}");
    let freed = before - pack_bytes(&bed.place);
    assert!(freed > 6 << 20, "{freed}");
    assert_right(&bed, &[&second]);
    // Once there is room, the rest goes.
    prune_with(&bed.open(), &thorough()).unwrap();
    assert_right(&bed, &[&second]);
}
