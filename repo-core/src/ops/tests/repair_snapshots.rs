//! Snapshots are made anew without what is lost of them, or without what is not wanted.

use super::class_c_history::anew;
use super::support::*;
use crate::backend::wrap::Faults;
use crate::crypto::BlobType;
use crate::error::{ErrorKind, Result};
use crate::format::name::ObjectKind;
use crate::id::{PackId, SnapshotId};
use crate::ops::{
    Derived, PruneOptions, REPAIRED_TAG, REWRITE_TAG, RepairSnapshotsOptions, RepairedSnapshots,
    Replace, RewriteOptions, Selection, forget_ids, prune, repair_snapshots, rewrite,
};
use crate::pattern::List;
use crate::progress::Interrupt;
use crate::repo::{Repo, pack_object};
use crate::snapshot::{Filter, SnapshotInfo, list};
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn all(repo: &Repo) -> Vec<SnapshotInfo> {
    repo.refresh().unwrap();
    list(repo, &Filter::default()).snapshots
}

fn history() -> (Bed, Vec<(SnapshotId, Tree)>) {
    let bed = Bed::new();
    let repo = bed.open();
    bed.write("dir/small", b"small");
    bed.write("other/kept", b"kept");
    bed.write("dir/deep/file", &noise(5, 50 << 10));
    let made = (0..2u64).map(|n| {
        bed.write(&format!("dir/large{n}"), &noise(n, 3 << 20));
        let made = bed.backup(&repo).unwrap().snapshot.unwrap();
        (made, bed.tree())
    });
    let made = made.collect();
    (bed, made)
}

fn repair(repo: &Repo, forget: bool, dry_run: bool) -> Result<RepairedSnapshots> {
    let options = RepairSnapshotsOptions {
        suffix: ".repaired".into(),
        read_data: false,
        replace: Replace { forget, dry_run },
    };
    let snapshots = all(repo);
    repair_snapshots(
        repo,
        &snapshots,
        &options,
        &Listener::default(),
        &Interrupt::new(),
    )
}

/// The packs of data that the first snapshot has of its own large file, in no order.
fn packs_of(repo: &Repo, kind: BlobType) -> Vec<PackId> {
    let mut packs = Vec::new();
    let each = &mut |pack: crate::format::rows::PackInfo, _| {
        packs.extend((pack.kind == kind).then_some(pack.id));
        Ok(std::ops::ControlFlow::Continue(()))
    };
    repo.index().packs(each).unwrap();
    packs
}

#[test]
fn what_is_whole_is_left_alone() {
    let (bed, _) = history();
    let repo = bed.open();
    let tail = repo.state().tail().number;
    let found = repair(&repo, true, false).unwrap();
    assert_eq!((found.changed.len(), found.items), (0, 0));
    assert_eq!(repo.state().tail().number, tail);
}

#[test]
fn files_are_shortened_by_what_is_lost_and_nothing_is_missing_then() {
    let (bed, made) = history();
    for lost in names(&bed.place, "data") {
        let place = bed.place.fork();
        place.remove(&lost);
        let repo = anew(&bed, &place);
        let dry = repair(&repo, true, true).unwrap();
        assert_eq!(all(&repo).len(), 2);
        let found = repair(&repo, false, false).unwrap();
        assert_eq!(found.items, dry.items);
        assert!(found.items > 0 && !found.changed.is_empty(), "{lost}");
        let there = all(&repo);
        assert_eq!(there.len(), 2 + found.changed.len());
        let again = repair(&repo, false, false).unwrap();
        assert!(
            again.changed.iter().all(|derived| derived.found),
            "{again:?}"
        );
        let last = found.changed.last().unwrap();
        let new = there.iter().find(|info| Some(info.id) == last.new).unwrap();
        assert_eq!(new.summary.tags, [REPAIRED_TAG]);
        assert_eq!(new.summary.original(), Some(last.old));
        let restored = bed.restore(&repo, &new.id).unwrap();
        assert_eq!(restored.problems, [""; 0]);
        let (_, tree) = made.iter().find(|(id, _)| *id == last.old).unwrap();
        for (path, (_, _, content)) in &restored.tree {
            let name = path.to_str().unwrap();
            match name.strip_suffix(".repaired") {
                Some(was) => assert!(content.len() < tree[Path::new(was)].2.len(), "{was}"),
                None if content.is_empty() => {}
                None => assert_eq!(*content, tree[path].2, "{name}"),
            }
        }
        assert_eq!(restored.tree.len(), tree.len());
        let bytes: usize = restored
            .tree
            .values()
            .map(|(_, _, content)| content.len())
            .sum();
        assert_eq!(new.summary.totals.bytes, bytes as u64);
        // With the old ones forgotten, and the pack taken off the index, nothing is missing.
        repair(&repo, true, false).unwrap();
        let olds: Vec<SnapshotId> = found.changed.iter().map(|derived| derived.old).collect();
        assert!(olds.iter().all(|old| !repo.state().is_live(old)));
        let options = crate::ops::RepairIndexOptions::default();
        crate::ops::repair_index(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
        assert_clean(&anew(&bed, &place));
        let options = PruneOptions {
            grace: Duration::ZERO,
            ..PruneOptions::default()
        };
        prune(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
        assert_clean(&anew(&bed, &place));
    }
}

/// What restores of such a pack is kept.
#[test]
fn of_a_pack_of_another_length_only_what_cannot_be_read_is_lost() {
    let (bed, made) = history();
    for pack in names(&bed.place, "data")
        .iter()
        .chain(&names(&bed.place, "meta"))
    {
        for change in [1, -1] {
            let place = bed.place.fork();
            place.corrupt(pack, |bytes| {
                let len = bytes.len().saturating_add_signed(change);
                bytes.resize(len, 0);
            });
            let done = repair(&anew(&bed, &place), true, false).unwrap();
            assert_eq!((done.items, done.changed.len()), (0, 0), "{pack} {change}");
            let repo = anew(&bed, &place);
            for (id, tree) in &made {
                bed.assert_restores(&repo, id, tree);
            }
        }
    }
}

#[test]
fn directories_that_cannot_be_read_are_empty_and_lost_roots_have_no_hope() {
    let (bed, _) = history();
    let repo = bed.open();
    let trees = packs_of(&repo, BlobType::Tree);
    // All trees of the second snapshot that the first has not are in its own pack.
    let mut seen = BTreeSet::new();
    for pack in trees {
        let place = bed.place.fork();
        place.remove(&pack_object(BlobType::Tree).name(&pack.0));
        let repo = anew(&bed, &place);
        let found = repair(&repo, true, false).unwrap();
        seen.insert((found.hopeless.len(), found.changed.len()));
        assert!(!found.hopeless.is_empty());
        let there = all(&repo);
        assert_eq!(there.len(), 2 - found.hopeless.len());
        for info in there {
            assert_eq!(bed.restore(&repo, &info.id).unwrap().problems, [""; 0]);
        }
    }
    assert!(seen.contains(&(1, 1)), "{seen:?}");
}

#[test]
fn a_lost_snapshot_object_is_made_up_for_by_the_log() {
    let (bed, made) = history();
    bed.place.remove(&ObjectKind::Snapshot.name(&made[0].0.0));
    let repo = anew(&bed, &bed.place);
    let found = repair(&repo, true, false).unwrap();
    assert_eq!((found.changed.len(), found.items), (1, 0));
    let new = found.changed[0].new.unwrap();
    bed.assert_restores(&repo, &new, &made[0].1);
    assert_clean(&repo);
}

fn without(patterns: &[&str]) -> RewriteOptions {
    RewriteOptions {
        selection: Selection::Exclude(vec![List::parse(patterns, false).unwrap()]),
        ..RewriteOptions::default()
    }
}

fn rewrite_all(repo: &Repo, options: &RewriteOptions) -> Result<Vec<Derived>> {
    rewrite(
        repo,
        &all(repo),
        options,
        &Listener::default(),
        &Interrupt::new(),
    )
}

#[test]
fn files_are_left_out_and_the_rest_stays_as_it_is() {
    let (bed, made) = history();
    let repo = bed.open();
    let stored = names(&bed.place, "data").len();
    let done = rewrite_all(&repo, &without(&["large1", "dir/deep"])).unwrap();
    assert_eq!((done.len(), names(&bed.place, "data").len()), (2, stored));
    let there = all(&repo);
    assert_eq!(there.len(), 4);
    for derived in &done {
        let (_, tree) = made.iter().find(|(id, _)| *id == derived.old).unwrap();
        let mut wanted = tree.clone();
        wanted.retain(|path, _| !path.starts_with("dir/deep") && path != Path::new("dir/large1"));
        bed.assert_restores(&repo, &derived.new.unwrap(), &wanted);
        let info = there
            .iter()
            .find(|info| Some(info.id) == derived.new)
            .unwrap();
        assert_eq!(info.summary.tags, [REWRITE_TAG]);
        let files = wanted
            .values()
            .filter(|(mode, _, _)| mode & 0o170_000 == 0o100_000);
        assert_eq!(info.summary.totals.files, files.count() as u64);
    }
    assert_clean(&repo);
    let again = rewrite_all(&repo, &without(&["large1", "dir/deep"])).unwrap();
    assert!(again.iter().all(|derived| derived.found));
    assert_eq!(all(&repo).len(), 4);
    assert!(
        rewrite_all(&repo, &without(&["nothing"]))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn everything_counted_anew_is_as_the_backup_counted_it() {
    let (bed, _) = history();
    let repo = bed.open();
    bed.write("zzz", b"one more");
    let with = bed.backup(&repo).unwrap().snapshot.unwrap();
    std::fs::remove_file(bed.source().join("zzz")).unwrap();
    let without_it = bed.backup(&repo).unwrap().totals;
    let info = all(&repo).into_iter().find(|info| info.id == with).unwrap();
    let done = rewrite(
        &repo,
        &[info],
        &without(&["zzz"]),
        &Listener::default(),
        &Interrupt::new(),
    );
    let new = done.unwrap()[0].new;
    let new = all(&repo)
        .into_iter()
        .find(|info| Some(info.id) == new)
        .unwrap();
    let totals = new.summary.totals;
    assert_eq!(
        (totals.files, totals.dirs, totals.bytes),
        (without_it.files, without_it.dirs, without_it.bytes)
    );
}

#[test]
fn only_what_is_included_stays_and_nothing_is_no_snapshot() {
    let (bed, made) = history();
    let repo = bed.open();
    let include = |patterns: &[&str]| RewriteOptions {
        selection: Selection::Include(vec![List::parse(patterns, false).unwrap()]),
        replace: Replace {
            forget: true,
            dry_run: false,
        },
        ..RewriteOptions::default()
    };
    assert_eq!(rewrite_all(&repo, &include(&["nothing"])).unwrap(), []);
    let done = rewrite_all(&repo, &include(&["deep", "sm*"])).unwrap();
    assert_eq!(all(&repo).len(), 2);
    let restored = bed.restore(&repo, &done[0].new.unwrap()).unwrap().tree;
    let paths: Vec<PathBuf> = restored.into_keys().collect();
    let expected = ["dir", "dir/deep", "dir/deep/file", "dir/small"];
    assert_eq!(paths, expected.map(PathBuf::from));
    assert!(all(&repo)[0].summary.tags.is_empty());
    assert_clean(&repo);
    drop(made);
}

#[test]
fn words_change_without_a_look_at_trees() {
    let (bed, made) = history();
    let repo = bed.open();
    let options = RewriteOptions {
        host: Some("elsewhere".into()),
        time: Some((Timestamp::new(1_000_000_000, 0), 60)),
        description: Some("said".into()),
        label: Some("job".into()),
        replace: Replace {
            forget: true,
            dry_run: false,
        },
        ..RewriteOptions::default()
    };
    let trees = names(&bed.place, "meta");
    rewrite_all(&repo, &options).unwrap();
    assert_eq!(names(&bed.place, "meta"), trees);
    for info in all(&repo) {
        let summary = info.summary;
        assert_eq!((&*summary.host, &*summary.label), ("elsewhere", "job"));
        assert_eq!(summary.time, Timestamp::new(1_000_000_000, 0));
    }
    assert!(made.iter().all(|(id, _)| !repo.state().is_live(id)));
    assert_eq!(rewrite_all(&repo, &options).unwrap(), []);
    assert_clean(&repo);
}

#[test]
fn an_unreadable_tree_stops_a_rewrite_before_anything_is_changed() {
    let (bed, _) = history();
    let pack = packs_of(&bed.open(), BlobType::Tree)[0];
    bed.place.remove(&pack_object(BlobType::Tree).name(&pack.0));
    let repo = anew(&bed, &bed.place);
    let tail = repo.state().tail().number;
    assert!(rewrite_all(&repo, &without(&["small"])).is_err());
    assert_eq!(anew(&bed, &bed.place).state().tail().number, tail);
}

#[test]
fn one_that_is_forgotten_meanwhile_is_left_out() {
    let (bed, made) = history();
    let repo = bed.open();
    let other = anew(&bed, &bed.place);
    let first = made[0].0;
    let meanwhile = Meanwhile::before(&bed.place, "log", 1, move |_| {
        forget_ids(&other, &[first]).unwrap();
    });
    let snapshots = all(&repo);
    let repo = bed.open_anew(Arc::new(meanwhile), &password()).unwrap();
    let options = without(&["small"]);
    let done = rewrite(
        &repo,
        &snapshots,
        &options,
        &Listener::default(),
        &Interrupt::new(),
    );
    assert_eq!(done.unwrap().len(), 1);
    assert_clean(&bed.open());
}

#[test]
fn stopped_at_any_write_it_is_brought_to_its_end_by_the_next() {
    let (mut bed, _) = history();
    let before = bed.place.clone();
    let options = RewriteOptions {
        replace: Replace {
            forget: true,
            dry_run: false,
        },
        ..without(&["small"])
    };
    for write in 0.. {
        bed.place = before.fork();
        let faults = Arc::new(Faults::crash_before(Arc::new(bed.place.clone()), write));
        let stopped = bed.open_anew(faults.clone(), &password());
        let stopped = stopped.and_then(|repo| rewrite_all(&repo, &options));
        let repo = anew(&bed, &bed.place);
        if !faults.crashed() {
            stopped.unwrap();
            assert!(write > 5, "{write}");
            break;
        }
        assert_ne!(stopped.unwrap_err().kind(), ErrorKind::Damaged);
        assert!(all(&repo).len() >= 2, "{write}");
        rewrite_all(&repo, &options).unwrap();
        assert_eq!(all(&repo).len(), 2, "{write}");
        assert_clean(&repo);
    }
}
