//! Prune over a place in memory: what it frees, what it must not, and what happens beside it.

use super::support::*;
use crate::backend::wrap::{Fault, Faults, Operation, Rule};
use crate::backend::{Backend, Class, MemoryBackend, MemoryOptions};
use crate::error::{ErrorKind, Result};
use crate::format::entry::Action;
use crate::id::SnapshotId;
use crate::ops::{MaxUnused, PruneOptions, PruneSummary, prune};
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::time::{Timestamp, now};
use std::io::ErrorKind as ErrorOf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// No grace, nothing unused left, strays of any age.
pub fn thorough() -> PruneOptions {
    PruneOptions {
        max_unused: MaxUnused::Percent(0.0),
        grace: Duration::ZERO,
        stray_age: Duration::ZERO,
        ..PruneOptions::default()
    }
}

/// The same, only planned.
fn dry() -> PruneOptions {
    PruneOptions {
        dry_run: true,
        ..thorough()
    }
}

pub fn prune_with(repo: &Repo, options: &PruneOptions) -> Result<PruneSummary> {
    prune(repo, options, &Listener::default(), &Interrupt::new())
}

pub fn forget(repo: &Repo, ids: &[SnapshotId]) {
    let snapshots = ids.to_vec();
    let action = |_: &_| {
        Ok(Some(Action::Forget {
            snapshots: snapshots.clone(),
        }))
    };
    repo.append(&mut { action }).unwrap();
    repo.refresh().unwrap();
}

/// Two snapshots: half of the second one's files are new, some are changed in a part.
pub fn history() -> (Bed, [(SnapshotId, Tree); 2]) {
    history_in(Class::A)
}

pub fn history_in(class: Class) -> (Bed, [(SnapshotId, Tree); 2]) {
    let mut bed = Bed::empty();
    bed.place = MemoryBackend::with(MemoryOptions {
        class,
        ..MemoryOptions::default()
    });
    bed.init(Arc::new(bed.place.clone())).unwrap();
    for n in 0..40u64 {
        bed.write(
            &format!("dir{}/{n}", n % 4),
            &noise(n, 40_000 + n as usize * 997),
        );
    }
    bed.write("large", &noise(99, 3 << 20));
    let repo = bed.open();
    let first = (bed.backup(&repo).unwrap().snapshot.unwrap(), bed.tree());
    for n in (0..40u64).step_by(2) {
        bed.write(&format!("dir{}/{n}", n % 4), &noise(1000 + n, 30_000));
    }
    let mut large = noise(99, 3 << 20);
    large.truncate(2 << 20);
    bed.write("large", &large);
    let second = (bed.backup(&repo).unwrap().snapshot.unwrap(), bed.tree());
    (bed, [first, second])
}

fn block_bytes(repo: &Repo) -> u64 {
    let mut bytes = 0;
    let picture = repo.index().picture().unwrap();
    let add = &mut |_, _, block: crate::format::rows::Block| {
        bytes += u64::from(block.stored_len);
        Ok(())
    };
    picture.for_each_block(add).unwrap();
    bytes
}

pub fn pack_bytes(place: &MemoryBackend) -> u64 {
    let objects = place.objects().into_iter();
    let packs = objects.filter(|(name, _)| name.starts_with("data/") || name.starts_with("meta/"));
    packs.map(|(_, bytes)| bytes.len() as u64).sum()
}

/// Nothing is found by a check, nothing is left over, and these restore.
pub fn assert_right(bed: &Bed, snapshots: &[&(SnapshotId, Tree)]) {
    let repo = bed.open();
    for (id, tree) in snapshots {
        bed.assert_restores(&repo, id, tree);
    }
    assert_clean(&repo);
}

#[test]
fn what_only_a_forgotten_snapshot_needs_goes() {
    let (bed, [first, second]) = history();
    let before = pack_bytes(&bed.place);
    let repo = bed.open();
    forget(&repo, &[first.0]);
    let pruned = prune_with(&repo, &thorough()).unwrap();
    assert_right(&bed, &[&second]);
    let after = pack_bytes(&bed.place);
    assert!(after < before * 3 / 4, "{before} {after}");
    assert!(
        pruned.deleted.count > 0 && pruned.written.count > 0,
        "{pruned:?}"
    );
    assert_eq!(pruned.refused, []);
    // A fresh repository of the same tree is about as large.
    let fresh = Bed::new();
    for (path, (_, _, bytes)) in second
        .1
        .iter()
        .filter(|(_, (mode, ..))| mode & 0o170_000 == 0o100_000)
    {
        fresh.write(path.to_str().unwrap(), bytes);
    }
    fresh.backup(&fresh.open()).unwrap();
    let ideal = pack_bytes(&fresh.place);
    assert!(after < ideal + ideal / 8, "{after} instead of {ideal}");
    // Everything unneeded is gone, the snapshot too, and a second prune has nothing to do.
    assert_eq!(names(&bed.place, "snapshots").len(), 1);
    assert_eq!(check_all(&bed.open()).unreferenced, [""; 0]);
    let again = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(
        (
            again.condemned.count,
            again.deleted.count,
            again.written.count
        ),
        (0, 0, 0),
        "{again:?}"
    );
}

/// What is written counts against what is deleted, in the plan as it does on the disk.
#[test]
fn what_it_says_is_net() {
    let (bed, [first, second]) = history();
    let repo = bed.open();
    forget(&repo, &[first.0]);
    let before = pack_bytes(&bed.place);
    let patient = |dry_run| PruneOptions {
        grace: Duration::from_secs(3600),
        dry_run,
        ..thorough()
    };
    let at_once = prune_with(&repo, &dry()).unwrap().plan;
    assert_eq!(at_once.snapshots_lost, [first.0]);
    let plan = prune_with(&repo, &patient(true)).unwrap().plan;
    assert_eq!(plan.snapshots_lost, []);
    assert!(plan.net_now() < 0, "it grows first: {plan:?}");
    assert_eq!(
        (plan.net_later(), plan.writes_bytes),
        (at_once.net_now(), at_once.writes_bytes)
    );
    let done = prune_with(&repo, &patient(false)).unwrap();
    let grown = pack_bytes(&bed.place);
    assert_eq!(done.net(), before as i64 - grown as i64);
    // Two packs of each kind are open at a time, and each is padded in the end.
    let off = plan.net_now().abs_diff(done.net());
    assert!(off <= 4 * 65_536, "{plan:?} {done:?}");
    assert_eq!(done.snapshots_lost, []);
    let done = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(done.snapshots_lost, [first.0]);
    let shrunk = before as i64 - pack_bytes(&bed.place) as i64;
    let off = plan.net_later().abs_diff(shrunk);
    assert!(shrunk > 0 && off <= 4 * 65_536, "{plan:?} {shrunk}");
    assert_right(&bed, &[&second]);
}

#[test]
fn nothing_goes_before_the_grace() {
    let (bed, [first, second]) = history();
    let repo = bed.open();
    forget(&repo, &[first.0]);
    let before = bed.place.objects().len();
    let patient = PruneOptions {
        grace: Duration::from_secs(3600),
        ..thorough()
    };
    let pruned = prune_with(&repo, &patient).unwrap();
    assert!(pruned.condemned.count > 0);
    assert_eq!((pruned.deleted.count, pruned.objects_removed), (0, 0));
    assert!(bed.place.objects().len() > before);
    assert_right(&bed, &[&second]);
    // It is wanted again: what was condemned is there.
    let ids = vec![first.0];
    repo.append(&mut |state| {
        let reprieve = state.condemned().map(|(pack, _)| *pack).collect();
        Ok(Some(Action::Unforget {
            snapshots: ids.clone(),
            reprieve,
        }))
    })
    .unwrap();
    assert_right(&bed, &[&first, &second]);
    prune_with(&bed.open(), &thorough()).unwrap();
    assert_right(&bed, &[&first, &second]);
    // Forgotten again, it waits again.
    let repo = bed.open();
    forget(&repo, &[first.0]);
    let pruned = prune_with(&repo, &patient).unwrap();
    assert_eq!(
        (pruned.deleted.count, names(&bed.place, "snapshots").len()),
        (0, 2)
    );
    prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(names(&bed.place, "snapshots").len(), 1);
    assert_right(&bed, &[&second]);
}

#[test]
fn a_little_may_stay_unused() {
    let (bed, [first, second]) = history();
    let repo = bed.open();
    forget(&repo, &[first.0]);
    let options = |max_unused| PruneOptions {
        max_unused,
        dry_run: true,
        ..thorough()
    };
    let plan = |max_unused| prune_with(&repo, &options(max_unused)).unwrap().plan;
    let before = bed.place.objects();
    let none = plan(MaxUnused::Percent(0.0));
    let some = plan(MaxUnused::Percent(20.0));
    let all = plan(MaxUnused::Unlimited);
    let bytes = plan(MaxUnused::Bytes(none.unused_bytes / 3));
    assert_eq!(bed.place.objects(), before, "a dry run changes nothing");
    assert!(
        none.unused_bytes > 0 && none.left_unused_bytes < none.unused_bytes / 50,
        "{none:?}"
    );
    assert!(
        some.left_unused_bytes * 5 <= some.used_bytes + some.left_unused_bytes,
        "{some:?}"
    );
    assert!(some.to_rewrite.count < none.to_rewrite.count);
    assert_eq!((all.to_rewrite.count, all.rewritten_bytes), (0, 0));
    assert!(
        bytes.left_unused_bytes <= none.unused_bytes / 3,
        "{bytes:?}"
    );
    let limited = PruneOptions {
        max_repack_bytes: Some(1 << 20),
        ..options(MaxUnused::Percent(0.0))
    };
    let limited = prune_with(&repo, &limited).unwrap().plan;
    assert!(
        limited.to_rewrite.bytes <= 1 << 20 && limited.to_rewrite.count > 0,
        "{limited:?}"
    );
    prune_with(
        &repo,
        &PruneOptions {
            dry_run: false,
            ..options(MaxUnused::Percent(20.0))
        },
    )
    .unwrap();
    assert_right(&bed, &[&second]);
}

fn remove_all(bed: &Bed, kind: &str) {
    for name in names(&bed.place, kind) {
        bed.place.remove(&name);
    }
}

#[test]
fn what_cannot_be_read_stops_it() {
    type Harm = fn(&Bed);
    let harms: [(&str, Harm); 4] = [
        ("trees", |bed| {
            for name in names(&bed.place, "meta") {
                bed.place.put(&name, b"damaged").unwrap();
            }
        }),
        ("packs", |bed| remove_all(bed, "data")),
        ("a table", |bed| {
            bed.place.remove(&names(&bed.place, "index")[0]);
        }),
        ("packs of trees", |bed| remove_all(bed, "meta")),
    ];
    for (what, harm) in harms {
        let (bed, [first, _]) = history();
        forget(&bed.open(), &[first.0]);
        harm(&bed);
        let before = bed.place.objects();
        let error = prune_with(&bed.open(), &thorough()).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Missing),
            "{what}: {error}"
        );
        assert!(
            error.to_string().contains("nothing was deleted"),
            "{what}: {error}"
        );
        assert_eq!(bed.place.objects(), before, "{what}");
    }
}

/// Prunes with a crash at the `write`-th write; says whether it came to it.
fn crash_at(write: u64, before: bool) -> bool {
    let (bed, [first, second]) = history();
    forget(&bed.open(), &[first.0]);
    let inner = Arc::new(bed.place.clone());
    let faults = Arc::new(match before {
        true => Faults::crash_before(inner, write),
        false => Faults::crash_after(inner, write),
    });
    let pruned = bed
        .open_on(faults.clone())
        .and_then(|repo| prune_with(&repo, &thorough()));
    if !faults.crashed() {
        pruned.unwrap();
        return false;
    }
    assert_right(&bed, &[&second]);
    // The next one goes on, and leaves what the whole one would.
    prune_with(&bed.open(), &thorough()).unwrap();
    prune_with(&bed.open(), &thorough()).unwrap();
    assert_right(&bed, &[&second]);
    let at = format!("crash before {before} at {write}");
    assert_eq!(check_all(&bed.open()).unreferenced, [""; 0], "{at}");
    let made = bed.backup(&bed.open()).unwrap();
    assert_eq!(made.totals.data_blobs, 0, "{at}");
    true
}

#[test]
fn a_crash_at_any_write_loses_nothing() {
    for before in [true, false] {
        let crashes = (0..).take_while(|write| crash_at(*write, before)).count();
        assert!(crashes > 8, "{crashes}");
    }
}

/// Prunes while something happens before each of the first `times` puts of a kind of object.
fn prune_while(
    bed: &Arc<Bed>,
    kind: &'static str,
    times: u32,
    event: impl Fn(&Bed) + Send + Sync + 'static,
) -> Result<PruneSummary> {
    let shared = Arc::clone(bed);
    let backend = Meanwhile::before(&bed.place, kind, times, move |_| event(&shared));
    prune_with(&bed.open_on(Arc::new(backend))?, &thorough())
}

/// Puts the source back to what it was.
fn put_back(bed: &Bed, tree: &Tree) {
    for (path, (mode, _, bytes)) in tree {
        if mode & 0o170_000 == 0o100_000 {
            bed.write(path.to_str().unwrap(), bytes);
        }
    }
}

#[test]
fn backups_beside_it_lose_nothing() {
    for class in [Class::A, Class::C] {
        backups_beside(class);
    }
}

fn backups_beside(class: Class) {
    for kind in ["data", "index", "log"] {
        for times in [1, 3] {
            let (bed, [first, second]) = history_in(class);
            let bed = Arc::new(bed);
            forget(&bed.open(), &[first.0]);
            // What is about to go is needed again by a backup that comes in between.
            put_back(&bed, &first.1);
            let committed = Arc::new(AtomicUsize::new(1));
            let counter = committed.clone();
            let pruned = prune_while(&bed, kind, times, move |bed| {
                bed.backup(&bed.open()).unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
            });
            pruned.unwrap();
            let repo = bed.open();
            let committed = committed.load(Ordering::SeqCst);
            assert!(committed > 1);
            assert_eq!(repo.live_snapshots().len(), committed, "{kind}");
            let tree = bed.tree();
            for (id, _) in repo.live_snapshots() {
                let tree = if id == second.0 { &second.1 } else { &tree };
                bed.assert_restores(&repo, &id, tree);
            }
            assert_clean(&repo);
        }
    }
}

#[test]
fn two_prunes_at_once_lose_nothing() {
    for kind in ["data", "index", "log"] {
        for times in [1, 2, 5] {
            let (bed, [first, second]) = history();
            let bed = Arc::new(bed);
            forget(&bed.open(), &[first.0]);
            let pruned = prune_while(&bed, kind, times, |bed| {
                prune_with(&bed.open(), &thorough()).unwrap();
            });
            pruned.unwrap();
            assert_right(&bed, &[&second]);
            prune_with(&bed.open(), &thorough()).unwrap();
            assert_right(&bed, &[&second]);
        }
    }
}

#[test]
fn in_a_place_that_overwrites_one_prune_waits_for_another() {
    let (bed, [first, second]) = history_in(Class::C);
    let bed = Arc::new(bed);
    forget(&bed.open(), &[first.0]);
    let pruned = prune_while(&bed, "data", 1, |bed| {
        let other = prune_with(&bed.open(), &thorough()).unwrap();
        assert_eq!((other.waits_for, other.deleted.count), (1, 0));
    });
    pruned.unwrap();
    assert_right(&bed, &[&second]);
    prune_with(&bed.open(), &thorough()).unwrap();
    assert_right(&bed, &[&second]);
    assert_eq!(check_all(&bed.open()).unreferenced, [""; 0]);
    assert_eq!(names(&bed.place, "writers"), [""; 0]);
}

#[test]
fn in_a_place_that_overwrites_a_backup_at_work_is_waited_for() {
    let (bed, [first, second]) = history_in(Class::C);
    let bed = Arc::new(bed);
    forget(&bed.open(), &[first.0]);
    put_back(&bed, &first.1);
    let shared = Arc::clone(&bed);
    // It relies on what is about to go, and has not committed yet.
    let backend = Meanwhile::before(&bed.place, "snapshots", 1, move |_| {
        let pruned = prune_with(&shared.open(), &thorough()).unwrap();
        assert_eq!(
            (pruned.waits_for, pruned.deleted.count),
            (1, 0),
            "{pruned:?}"
        );
        assert!(pruned.condemned.count > 0);
    });
    let repo = bed.open_on(Arc::new(backend)).unwrap();
    let third = (bed.backup(&repo).unwrap().snapshot.unwrap(), bed.tree());
    assert_right(&bed, &[&second, &third]);
    let pruned = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(pruned.waits_for, 0);
    assert_right(&bed, &[&second, &third]);
}

#[test]
fn in_a_place_that_overwrites_the_dead_are_fenced() {
    let (bed, [first, second]) = history_in(Class::C);
    forget(&bed.open(), &[first.0]);
    let announced = bed.open().announce().unwrap().unwrap();
    let name = crate::format::name::announcement(&announced.nonce());
    // It dies without a word.
    std::mem::forget(announced);
    let pruned = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!((pruned.waits_for, pruned.deleted.count), (1, 0));
    let long_ago = Timestamp::new(now().seconds - 2 * 24 * 3600, 0);
    bed.place.set_modified(&name, long_ago);
    let pruned = prune_with(&bed.open(), &thorough()).unwrap();
    assert!(pruned.deleted.count > 0, "{pruned:?}");
    assert_right(&bed, &[&second]);
    assert_eq!(names(&bed.place, "writers"), [""; 0]);
}

#[test]
fn what_is_wanted_again_meanwhile_stays() {
    for times in 1..4 {
        let (bed, [first, second]) = history();
        let bed = Arc::new(bed);
        forget(&bed.open(), &[first.0]);
        let id = first.0;
        prune_while(&bed, "log", times, move |bed| {
            let repo = bed.open();
            let state = repo.state();
            if state.snapshot(&id).is_some() && !state.is_live(&id) {
                let reprieve = state.condemned().map(|(pack, _)| *pack).collect();
                let snapshots = vec![id];
                let mut entry = Some(Action::Unforget {
                    snapshots,
                    reprieve,
                });
                repo.append(&mut |_| Ok(entry.take())).unwrap();
            }
        })
        .unwrap();
        assert_right(&bed, &[&first, &second]);
    }
}

#[test]
fn steady_commits_do_not_starve_it() {
    let (bed, [first, second]) = history();
    let bed = Arc::new(bed);
    forget(&bed.open(), &[first.0]);
    // Somebody commits before every single entry that it tries to append.
    let pruned = prune_while(&bed, "log", 6, |bed| {
        let repo = bed.open();
        bed.backup_described(&repo, "beside").unwrap();
    });
    assert!(pruned.unwrap().deleted.count > 0);
    assert_right(&bed, &[&second]);
}

#[test]
fn strays_wait_until_they_are_old() {
    let (bed, [_, second]) = history();
    let stray = crate::id::PackId::from(blake3::hash(b"stray"));
    let name = crate::format::name::ObjectKind::Data.name(&stray.0);
    bed.place.put(&name, b"stray").unwrap();
    let options = PruneOptions {
        stray_age: Duration::from_secs(3600),
        ..thorough()
    };
    prune_with(&bed.open(), &options).unwrap();
    assert!(bed.place.get(&name).is_ok());
    let pruned = prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(pruned.plan.strays.count, 1);
    assert_eq!(
        bed.place.get(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_right(&bed, &[&second]);
}

#[test]
fn a_place_that_refuses_to_delete_stays_consistent() {
    let (bed, [first, second]) = history();
    forget(&bed.open(), &[first.0]);
    let refuses = Rule::new(Fault::Before(ErrorOf::PermissionDenied)).on(&[Operation::Delete]);
    let backend = Faults::new(Arc::new(bed.place.clone())).rule(refuses.times(u64::MAX));
    let pruned = prune_with(&bed.open_on(Arc::new(backend)).unwrap(), &thorough()).unwrap();
    assert!(!pruned.refused.is_empty());
    for (name, why) in &pruned.refused {
        assert!(why.starts_with("denied") && !why.contains(name), "{why}");
    }
    assert_eq!((pruned.objects_removed, pruned.deleted.count), (0, 0));
    assert_eq!(pruned.kept_by_place.bytes, pruned.plan.frees_now_bytes);
    assert!(pruned.did_anything() && pruned.net() < 0);
    let left = prune_with(&bed.open(), &dry()).unwrap().plan;
    assert!(left.to_delete.count > 0 && left.frees_now_bytes == left.to_delete.bytes);
    assert_right(&bed, &[&second]);
    let pruned = prune_with(&bed.open(), &thorough()).unwrap();
    assert!(pruned.objects_removed > 0 && pruned.refused.is_empty());
    assert_eq!(pruned.deleted, left.to_delete);
    assert_right(&bed, &[&second]);
    assert_eq!(check_all(&bed.open()).unreferenced, [""; 0]);
}

#[test]
fn sizes_are_what_going_frees() {
    let (bed, [first, second]) = history();
    let repo = bed.open();
    let list = |repo: &Repo| {
        let mut all = crate::snapshot::list(repo, &crate::snapshot::Filter::default()).snapshots;
        all.sort_by_key(|info| info.id != second.0);
        all
    };
    let all = list(&repo);
    let (listener, interrupt) = (Listener::default(), Interrupt::new());
    let unique = crate::ops::unique_sizes(&repo, &all, &listener, &interrupt).unwrap();
    let fits = |budget| crate::ops::fit(&repo, &all, budget, &listener, &interrupt).unwrap();
    assert_eq!(fits(0).count, 0);
    let newest = fits(unique[0] * 20 + (4 << 20));
    let both = fits(u64::MAX);
    assert_eq!((fits(both.bytes).count, fits(both.bytes - 1).count), (2, 1));
    let alone = fits(both.bytes - 1).bytes;
    // All that lies there, but for index and log; the first alone holds what is not the second one's.
    let stored = pack_bytes(&bed.place);
    assert!(both.bytes.abs_diff(stored) < 100, "{both:?} {stored}");
    let whole = |bytes: u64| bytes as f64 * both.bytes as f64 / block_bytes(&repo) as f64;
    assert!((whole(unique[1]) - (both.bytes - alone) as f64).abs() < 100.0);
    assert!(newest.count >= 1);
    forget(&repo, &[first.0]);
    let plan = prune_with(&repo, &dry()).unwrap().plan;
    let close = |a: u64, b: u64| a.abs_diff(b) < 2000;
    assert!(close(plan.unused_bytes, unique[1]), "{plan:?} {unique:?}");
    let used = whole(plan.used_bytes) as u64;
    assert!(close(used, alone), "{plan:?} {alone}");
}
