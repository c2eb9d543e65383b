//! Who reads beside a prune finds what it moved.

use super::support::*;
use crate::id::SnapshotId;
use crate::ops::{LsOptions, MaxUnused, PruneOptions, forget_ids, ls, prune};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::time::Duration;

/// Forgets a snapshot and deletes what only it needs, and rewrites the packs that it shares with others.
fn forget_and_prune(bed: &Bed, id: SnapshotId) {
    let repo = bed.open();
    forget_ids(&repo, &[id]).unwrap();
    let options = PruneOptions {
        max_unused: MaxUnused::Percent(0.0),
        grace: Duration::ZERO,
        stray_age: Duration::ZERO,
        ..PruneOptions::default()
    };
    let pruned = prune(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
    assert!(pruned.deleted.count > 0, "{pruned:?}");
}

/// Three snapshots of the same files, fewer each time; who reads has looked at the log before anything is forgotten.
fn history() -> (Bed, Repo, Vec<(SnapshotId, Tree)>) {
    let bed = Bed::new();
    for n in 0..30 {
        bed.write(&format!("dir{}/{n}", n % 3), &noise(n, 50_000));
    }
    let repo = bed.open();
    let made = (0..3).map(|round| {
        for n in (0..30).filter(|n| n % 3 == 1 && n / 10 == round) {
            bed.remove(&format!("dir{}/{n}", n % 3));
        }
        let made = bed.backup(&repo).unwrap().snapshot.unwrap();
        (made, bed.tree())
    });
    let made = made.collect();
    let reader = bed.open();
    (bed, reader, made)
}

#[test]
fn a_restore_finds_what_prunes_have_moved() {
    let (bed, reader, made) = history();
    forget_and_prune(&bed, made[0].0);
    forget_and_prune(&bed, made[1].0);
    let (last, tree) = &made[2];
    bed.assert_restores(&reader, last, tree);
}

#[test]
fn a_listing_finds_what_prunes_have_moved() {
    let (bed, reader, made) = history();
    forget_and_prune(&bed, made[0].0);
    let mut seen = 0;
    ls(&reader, &made[1].0, &LsOptions::default(), &mut |_, _| {
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert!(seen > 3);
}

#[test]
fn what_is_lost_is_looked_for_once() {
    let (bed, _, made) = history();
    let reader = bed.open();
    for pack in names(&bed.place, "data") {
        crate::backend::Backend::delete(&bed.place, &pack).unwrap();
    }
    let restored = bed.restore(&reader, &made[2].0).unwrap();
    assert!(restored.summary.problems > 0);
}
