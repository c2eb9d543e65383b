//! More is named at once than one entry of the log has room for.

use super::prune::{assert_right, prune_with, thorough};
use super::support::*;
use crate::backend::Backend;
use crate::format::entry::{Action, NAMED_MAX};
use crate::format::name::ObjectKind;
use crate::format::snapshot::Summary;
use crate::id::{PackId, SnapshotId};
use crate::ops::{Count, Forget, ForgetOptions, Grouping, Period, Policy};
use crate::snapshot::GroupBy;
use crate::time::Timestamp;

const MANY: usize = 2 * NAMED_MAX + 50;

fn place() -> (Bed, (SnapshotId, Tree)) {
    let bed = Bed::new();
    bed.write("file", &noise(1, 100_000));
    let made = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    let tree = bed.tree();
    (bed, (made, tree))
}

#[test]
fn many_packs_are_condemned_by_several_entries() {
    let (bed, made) = place();
    let strays: Vec<PackId> = (0..MANY)
        .map(|n| PackId::from(blake3::hash(n.to_string().as_bytes())))
        .collect();
    for stray in &strays {
        let name = ObjectKind::Data.name(&stray.0);
        bed.place.put(&name, &stray.0).unwrap();
    }
    let before = bed.open().state().tail().number;
    let pruned = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(pruned.condemned.count, MANY as u64, "{pruned:?}");
    assert_eq!(pruned.deleted.count, NAMED_MAX as u64, "{pruned:?}");
    let state = bed.open().state();
    assert_eq!(state.tail().number, before + 3 + 1);
    assert_eq!(state.condemned().count(), MANY - NAMED_MAX);
    for _ in 0..2 {
        prune_with(&bed.open(), &thorough()).unwrap();
    }
    assert_eq!(check_all(&bed.open()).unreferenced, [""; 0]);
    assert_right(&bed, &[&made]);
}

#[test]
fn many_snapshots_are_forgotten_by_several_entries() {
    let (bed, (newest, _)) = place();
    let other = Other::new(&bed, &bed.place);
    let row = |n: usize| {
        let summary = Summary {
            time: Timestamp::new(1_600_000_000 + n as i64, 0),
            host: "host".into(),
            ..Summary::default()
        };
        other.append(Action::Commit {
            snapshot: SnapshotId(*blake3::hash(n.to_string().as_bytes()).as_bytes()),
            index: vec![],
            reprieve: vec![],
            summary: other.repo.seal_summary(&summary).unwrap(),
        });
    };
    (0..MANY).for_each(row);
    let options = ForgetOptions {
        policy: Policy {
            counts: [(Period::Last, Count::Newest(1))].into(),
            ..Policy::default()
        },
        grouping: Grouping::By(GroupBy::default()),
        trust_times: true,
        ..ForgetOptions::default()
    };
    let repo = bed.open();
    let before = repo.state().tail().number;
    let done = Forget::new(&repo, &options).unwrap().execute().unwrap();
    assert_eq!(done.removed().count(), MANY);
    let state = bed.open().state();
    assert_eq!(state.tail().number, before + 3);
    let live: Vec<SnapshotId> = state.live_snapshots().map(|(id, _)| *id).collect();
    assert_eq!(live, [newest]);
}
