//! Damaged packs, directories that nothing names, and entries of the log that cannot be read.

use super::class_c_history::{anew, repeat_nothing};
use super::damage::findings;
use super::damaged_meanwhile::packs;
use super::prune::{forget, prune_with, thorough};
use super::support::*;
use crate::backend::wrap::{Fault, Faults, Operation, Rule};
use crate::backend::{Backend, Class, MemoryBackend, MemoryOptions};
use crate::error::ErrorKind;
use crate::format::entry::Action;
use crate::format::name::{self, ObjectKind};
use crate::id::{PackId, SnapshotId};
use crate::ops::{
    PruneOptions, RecoverOptions, Recovered, RepairLogOptions, RepairLogSummary,
    RepairSnapshotsOptions, Replace, TagChange, WhyNot, forget_ids, prune, recover, repair_log,
    repair_packs, repair_snapshots, tag,
};
use crate::progress::{Interrupt, Silent};
use crate::repo::Repo;
use crate::snapshot::{Filter, list};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn history() -> (Bed, Vec<(SnapshotId, Tree)>) {
    let bed = Bed::new();
    let repo = bed.open();
    bed.write("dir/small", b"small");
    let made = (0..3u64).map(|n| {
        bed.write(&format!("dir/large{n}"), &noise(n, 1 << 20));
        let made = bed.backup(&repo).unwrap().snapshot.unwrap();
        (made, bed.tree())
    });
    let made = made.collect();
    (bed, made)
}

fn prune_all(repo: &Repo) -> crate::Result<()> {
    let options = PruneOptions {
        grace: Duration::ZERO,
        ..PruneOptions::default()
    };
    prune(repo, &options, &Listener::default(), &Interrupt::new()).map(drop)
}

#[test]
fn what_can_be_read_of_a_damaged_pack_is_saved_and_the_rest_is_made_do_without() {
    let (bed, _) = history();
    for object in names(&bed.place, "data") {
        let place = bed.place.fork();
        place.corrupt(&object, |bytes| {
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
        });
        let Some((ObjectKind::Data, id)) = ObjectKind::parse(&object) else {
            panic!("{object}");
        };
        let repo = anew(&bed, &place);
        let repair = |dry_run| {
            let listener = Listener::default();
            repair_packs(&repo, &[PackId(id)], dry_run, &listener, &Interrupt::new()).unwrap()
        };
        assert_eq!(repair(true), repair(false));
        let before = list(&repo, &Filter::default()).snapshots;
        let options = RepairSnapshotsOptions {
            suffix: ".repaired".into(),
            replace: Replace {
                forget: true,
                dry_run: false,
            },
            ..RepairSnapshotsOptions::default()
        };
        let listener = Listener::default();
        repair_snapshots(&repo, &before, &options, &listener, &Interrupt::new()).unwrap();
        prune_all(&anew(&bed, &place)).unwrap();
        prune_all(&anew(&bed, &place)).unwrap();
        assert!(place.get(&object).is_err(), "the damaged pack is gone");
        assert_clean(&anew(&bed, &place));
        assert_eq!(list(&repo, &Filter::default()).snapshots.len(), 3);
    }
}

/// Nothing reads data here: the log says that packs were condemned that a snapshot needs.
#[test]
fn what_a_repair_could_not_save_is_found_and_the_next_backup_heals_it() {
    let (bed, made) = history();
    let mut lost = 0;
    for object in names(&bed.place, "data")
        .iter()
        .chain(&names(&bed.place, "meta"))
    {
        let place = bed.place.fork();
        place.corrupt(object, |bytes| {
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
        });
        let id = PackId(ObjectKind::parse(object).unwrap().1);
        let repo = anew(&bed, &place);
        let (listener, interrupt) = (Listener::default(), Interrupt::new());
        let done = repair_packs(&repo, &[id], false, &listener, &interrupt).unwrap();
        let found = check_with(&anew(&bed, &place), false).unwrap();
        assert_eq!(found.findings.is_empty(), done[0].lost == 0, "{object}");
        let touched = found.findings.iter().map(|finding| finding.affected.len());
        assert_eq!(touched.sum::<usize>() > 0, done[0].lost > 0, "{object}");
        lost += done[0].lost;
        let again = anew(&bed, &place);
        let healed = bed.backup(&again).unwrap().snapshot.unwrap();
        bed.assert_restores(&anew(&bed, &place), &healed, &made[2].1);
        if object.starts_with("data/") {
            // Directories of older snapshots nobody has any more.
            assert_eq!(
                findings(&check_all(&anew(&bed, &place))),
                [""; 0],
                "{object}"
            );
        }
    }
    assert!(lost > 0);
}

#[test]
fn a_whole_pack_is_left_alone_and_an_unknown_one_refused() {
    let (bed, _) = history();
    let repo = bed.open();
    let tail = repo.state().tail().number;
    let object = names(&bed.place, "data").remove(0);
    let (_, id) = ObjectKind::parse(&object).unwrap();
    let listener = Listener::default();
    let done = repair_packs(&repo, &[PackId(id)], false, &listener, &Interrupt::new()).unwrap();
    assert!(done[0].whole);
    let none = PackId([7; 32]);
    let error = repair_packs(&repo, &[none], false, &listener, &Interrupt::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(repo.state().tail().number, tail);
}

fn recovered(repo: &Repo, dry_run: bool) -> Recovered {
    let options = RecoverOptions {
        host: "host".into(),
        dry_run,
        ..RecoverOptions::default()
    };
    recover(repo, &options, &Listener::default(), &Interrupt::new()).unwrap()
}

#[test]
fn directories_of_forgotten_snapshots_are_found_once() {
    let (bed, made) = history();
    let repo = bed.open();
    assert_eq!(recovered(&repo, false).roots, 0);
    forget_ids(&repo, &[made[2].0]).unwrap();
    for condemned in [false, true] {
        let place = bed.place.fork();
        let repo = anew(&bed, &place);
        if condemned {
            let options = PruneOptions::default();
            prune(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
        }
        assert_eq!(recovered(&repo, true).roots, 1);
        let found = recovered(&repo, false);
        assert_eq!((found.roots, found.items_lost), (1, 0));
        assert_eq!(recovered(&repo, false).roots, 0);
        let repo = anew(&bed, &place);
        prune_all(&repo).unwrap();
        assert_clean(&anew(&bed, &place));
        let info = list(&repo, &Filter::default()).snapshots.pop().unwrap();
        assert_eq!(Some(info.id), found.snapshot);
        assert_eq!(info.summary.tags, ["recovered"]);
        assert_eq!(info.summary.totals.files, 4);
    }
}

fn log(repo: &Repo, ids: &[SnapshotId], dry_run: bool) -> RepairLogSummary {
    let options = RepairLogOptions {
        snapshots: ids.to_vec(),
        dry_run,
    };
    repair_log(repo, &options, &Listener::default(), &Interrupt::new()).unwrap()
}

#[test]
fn a_damaged_newest_entry_is_cleared_and_what_it_committed_is_entered_again() {
    let (bed, made) = history();
    let last = bed.open().state().tail().number;
    bed.place
        .corrupt(&name::entry(last), |bytes| bytes[300] ^= 1);
    let repo = anew(&bed, &bed.place);
    assert!(prune_all(&repo).is_err());
    let dry = log(&repo, &[], true);
    assert_eq!((dry.entries.len(), dry.snapshots.len()), (1, 1));
    let done = log(&repo, &[], false);
    assert_eq!(done.entries[0].number, last);
    let [found] = &done.snapshots[..] else {
        panic!("{done:?}");
    };
    assert_eq!((found.id, found.outcome), (made[2].0, Ok(made[2].0)));
    let repo = anew(&bed, &bed.place);
    for (id, tree) in &made {
        bed.assert_restores(&repo, id, tree);
    }
    prune_all(&repo).unwrap();
    assert_eq!(findings(&check_all(&anew(&bed, &bed.place))), [""; 0]);
    let again = log(&anew(&bed, &bed.place), &[], false);
    assert!(again.entries.is_empty() && again.snapshots.is_empty());
}

#[test]
fn what_may_have_been_forgotten_must_be_asked_for() {
    let (bed, made) = history();
    let last = bed.open().state().tail().number;
    // The log was cut off: nobody knows how much of it is lost.
    bed.place.remove(&name::entry(last));
    let repo = anew(&bed, &bed.place);
    let found = log(&repo, &[], false);
    assert_eq!(found.snapshots[0].outcome, Err(WhyNot::NotAsked));
    assert!(!repo.state().is_live(&made[2].0));
    let found = log(&repo, &[made[2].0], false);
    assert_eq!(found.snapshots[0].outcome, Ok(made[2].0));
    bed.assert_restores(&repo, &made[2].0, &made[2].1);
    assert_clean(&anew(&bed, &bed.place));
}

#[test]
fn what_is_only_named_stays_for_a_while_also_beside_prunes() {
    let (bed, made) = history();
    let last = bed.open().state().tail().number;
    bed.place.remove(&name::entry(last));
    let repo = anew(&bed, &bed.place);
    let found = log(&repo, &[], false);
    assert_eq!(found.snapshots[0].outcome, Err(WhyNot::NotAsked));
    let prune = |stray_age| {
        let options = PruneOptions {
            stray_age,
            ..thorough()
        };
        prune_with(&anew(&bed, &bed.place), &options).unwrap()
    };
    prune(Duration::from_secs(3600));
    let (place, asked) = (bed.place.fork(), [made[2].0]);
    let found = log(&repo, &asked, false);
    assert_eq!(found.snapshots[0].outcome, Ok(made[2].0));
    bed.assert_restores(&repo, &made[2].0, &made[2].1);
    assert_clean(&anew(&bed, &bed.place));
    // It goes when it is old enough, and with it what only it holds.
    let repo = anew(&bed, &place);
    let gone = prune_with(&repo, &thorough()).unwrap();
    assert_eq!(gone.plan.uncommitted, asked);
    assert!(gone.deleted.count > 1, "{:?}", gone.deleted);
    assert!(log(&repo, &asked, false).snapshots.is_empty());
}

#[test]
fn what_is_only_named_since_an_entry_was_lost_stays_until_it_is_committed() {
    let (bed, made) = history();
    let last = bed.open().state().tail().number;
    for entry in [last - 1, last] {
        bed.place
            .corrupt(&name::entry(entry), |bytes| bytes.clear());
    }
    let found = log(&anew(&bed, &bed.place), &[], false);
    let not_asked = found.snapshots.iter().filter(|row| row.outcome.is_err());
    let not_asked: Vec<SnapshotId> = not_asked.map(|row| row.id).collect();
    assert!(!not_asked.is_empty(), "{found:?}");
    let kept = prune_with(&anew(&bed, &bed.place), &thorough()).unwrap();
    assert_eq!(kept.plan.uncommitted, []);
    assert_eq!(kept.plan.uncommitted_kept, not_asked);
    log(&anew(&bed, &bed.place), &not_asked, false);
    let repo = anew(&bed, &bed.place);
    for (id, tree) in made.iter().filter(|(id, _)| not_asked.contains(id)) {
        bed.assert_restores(&repo, id, tree);
    }
    assert_clean(&repo);
    // Wanted by nobody it goes like any other.
    forget(&repo, &not_asked);
    let gone = prune_with(&repo, &thorough()).unwrap();
    assert_eq!(gone.plan.snapshots_to_go, not_asked.len() as u64);
}

/// One pack of those that its table names is condemned, and the entry is lost that took it back.
#[test]
fn what_rests_on_a_condemned_pack_too_is_whole() {
    let (bed, _) = history();
    let bed = Arc::new(bed);
    let before = packs(&bed.place, ObjectKind::Data);
    bed.write("dir/more", &noise(9, 3 << 20));
    let shared = bed.clone();
    // The first put only finds out what place this is.
    let backend = Meanwhile::before(&bed.place, "log", 2, move |place| {
        let mut new = packs(place, ObjectKind::Data);
        new.retain(|pack| !before.contains(pack));
        if new.is_empty() {
            return;
        }
        assert!(new.len() > 1);
        Other::new(&shared, place).append(Action::Condemn {
            packs: vec![new[0]],
            objects: vec![],
            index_add: vec![],
            reprieve: vec![],
        });
    });
    let repo = bed.open_anew(Arc::new(backend), &password()).unwrap();
    let id = bed.backup(&repo).unwrap().snapshot.unwrap();
    let last = bed.open().state().tail().number;
    bed.place.corrupt(&name::entry(last), |bytes| bytes.clear());
    let found = log(&anew(&bed, &bed.place), &[id], false);
    assert!(anew(&bed, &bed.place).state().is_live(&id), "{found:?}");
    prune_with(&anew(&bed, &bed.place), &thorough()).unwrap();
    bed.assert_restores(&anew(&bed, &bed.place), &id, &bed.tree());
    assert_clean(&anew(&bed, &bed.place));
}

/// Its other form says the same, and is there: that it goes is lost too.
#[test]
fn a_form_made_anew_can_be_committed_beside_the_first() {
    let (bed, made) = history();
    let repo = bed.open();
    let all = list(&repo, &Filter::default()).snapshots;
    let of: Vec<_> = all
        .into_iter()
        .filter(|info| info.id == made[2].0)
        .collect();
    let change = TagChange::Change {
        add: vec!["new".into()],
        remove: vec![],
    };
    let before = repo.state().tail().number;
    let tagged = tag(&repo, &of, &change, false, &Interrupt::new()).unwrap();
    let new = tagged[0].new.unwrap();
    for number in [before + 1, before + 2] {
        bed.place
            .corrupt(&name::entry(number), |bytes| bytes.clear());
    }
    let found = log(&anew(&bed, &bed.place), &[new], false);
    assert_eq!(found.snapshots[0].outcome, Ok(new), "{found:?}");
    for id in [new, made[2].0] {
        bed.assert_restores(&anew(&bed, &bed.place), &id, &made[2].1);
    }
}

/// What is not whole stops no prune.
#[test]
fn what_nobody_can_commit_any_more_does_not_stay() {
    let bed = Bed::new();
    bed.write("file", &noise(1, 2 << 20));
    let made = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    let pack = packs(&bed.place, ObjectKind::Data)[0];
    bed.write("other", b"other");
    bed.backup(&bed.open()).unwrap();
    let last = bed.open().state().tail().number;
    bed.place.remove(&name::entry(last));
    forget(&anew(&bed, &bed.place), &[made]);
    bed.place
        .corrupt(&ObjectKind::Data.name(&pack.0), |bytes| bytes[5000] ^= 1);
    let repo = anew(&bed, &bed.place);
    repair_packs(&repo, &[pack], false, &Silent, &Interrupt::new()).unwrap();
    let young = PruneOptions {
        stray_age: Duration::from_secs(3600),
        ..thorough()
    };
    prune_with(&anew(&bed, &bed.place), &young).unwrap();
    assert!(bed.place.get(&ObjectKind::Data.name(&pack.0)).is_err());
}

/// Once an entry had been cleared, every later run committed what a backup was about to commit itself.
#[test]
fn only_the_run_that_clears_an_entry_commits_unasked() {
    let (bed, _) = history();
    let last = bed.open().state().tail().number;
    bed.place
        .corrupt(&name::entry(last), |bytes| bytes[300] ^= 1);
    log(&anew(&bed, &bed.place), &[], false);
    let (found, other) = (Arc::new(Mutex::new(Vec::new())), anew(&bed, &bed.place));
    let kept = found.clone();
    // The first put only finds out what place this is.
    let meanwhile = Meanwhile::before(&bed.place, "log", 2, move |_| {
        let found = log(&other, &[], false).snapshots;
        kept.lock().unwrap().extend(found);
    });
    bed.write("dir/more", b"more");
    let repo = bed.open_anew(Arc::new(meanwhile), &password()).unwrap();
    let made = bed.backup(&repo).unwrap().snapshot.unwrap();
    let found = found.lock().unwrap();
    assert_eq!(found.len(), 1);
    let found = (found[0].id, found[0].outcome);
    assert_eq!(found, (made, Err(WhyNot::NotAsked)));
}

/// Nor does a run that clears a second one: what the first forgot may lie there still.
#[test]
fn behind_a_second_lost_entry_must_be_asked() {
    let (bed, _) = history();
    let lose_newest = || {
        let last = anew(&bed, &bed.place).state().tail().number;
        bed.place
            .corrupt(&name::entry(last), |bytes| bytes[300] ^= 1);
        log(&anew(&bed, &bed.place), &[], false)
    };
    assert!(lose_newest().snapshots[0].outcome.is_ok());
    bed.write("dir/more", b"more");
    let repo = anew(&bed, &bed.place);
    let made = bed.backup(&repo).unwrap().snapshot.unwrap();
    let found = lose_newest();
    assert_eq!(found.entries.len(), 1);
    let found = (found.snapshots[0].id, found.snapshots[0].outcome);
    assert_eq!(found, (made, Err(WhyNot::NotAsked)));
}

/// Nor does that run commit what was stored after the entry that it clears.
#[test]
fn what_was_stored_later_than_the_lost_entry_must_be_asked_for() {
    let (bed, made) = history();
    let last = bed.open().state().tail().number;
    bed.write("dir/more", b"more");
    let rule = Rule::new(Fault::CrashBefore).on(&[Operation::PutIfAbsent]);
    let faults = Faults::new(Arc::new(bed.place.clone())).rule(rule.kind("log").after(1));
    // The first put only finds out what place this is.
    let stopped = bed.open_anew(Arc::new(faults), &password()).unwrap();
    assert!(bed.backup(&stopped).is_err());
    bed.place
        .corrupt(&name::entry(last), |bytes| bytes[300] ^= 1);
    let repo = anew(&bed, &bed.place);
    for dry_run in [true, false] {
        let found = log(&repo, &[], dry_run).snapshots;
        assert_eq!(found.len(), 2);
        for found in found {
            let expected = match found.id == made[2].0 {
                true => Ok(found.id),
                false => Err(WhyNot::Later),
            };
            assert_eq!(found.outcome, expected, "{dry_run}");
        }
    }
    let left = log(&repo, &[], false).snapshots;
    assert_eq!(left[0].outcome, Err(WhyNot::NotAsked));
    let found = log(&repo, &[left[0].id], false).snapshots;
    assert_eq!(found[0].outcome, Ok(left[0].id));
    bed.assert_restores(&repo, &left[0].id, &bed.tree());
}

#[test]
fn one_that_is_not_whole_is_not_committed() {
    let (bed, made) = history();
    let last = bed.open().state().tail().number;
    let trees = names(&bed.place, "meta");
    bed.place
        .corrupt(&name::entry(last), |bytes| bytes[300] ^= 1);
    let mut not_whole = 0;
    for lost in &trees {
        let place = bed.place.fork();
        place.remove(lost);
        let repo = anew(&bed, &place);
        let found = log(&repo, &[made[2].0], false);
        match found.snapshots[0].outcome {
            // The pack holds trees of older snapshots only.
            Ok(id) => bed.assert_restores(&repo, &id, &made[2].1),
            Err(why) => {
                assert_eq!(why, WhyNot::NotWhole);
                assert!(!repo.state().is_live(&made[2].0));
                not_whole += 1;
            }
        }
    }
    assert_eq!((trees.len(), not_whole), (3, 1));
}

/// What was read wrong once is no damage.
#[test]
fn an_entry_that_was_garbled_on_the_way_is_not_cleared() {
    for class in [Class::A, Class::C] {
        let mut bed = Bed::empty();
        bed.place = MemoryBackend::with(MemoryOptions {
            class,
            ..MemoryOptions::default()
        });
        bed.init(Arc::new(bed.place.clone())).unwrap();
        for n in 0..3u64 {
            bed.write("file", &noise(n, 1000));
            bed.backup(&bed.open()).unwrap();
        }
        repeat_nothing(&bed.place);
        let mut garbled = 0;
        for read in 0..12 {
            let place = bed.place.fork();
            let rule = Rule::new(Fault::Truncated)
                .on(&[Operation::Get])
                .kind("log");
            let rule = rule.after(read);
            let faults = Arc::new(Faults::new(Arc::new(place.clone())).rule(rule));
            let Ok(repo) = bed.open_anew(faults.clone(), &password()) else {
                continue;
            };
            let options = RepairLogOptions::default();
            if let Err(e) = repair_log(&repo, &options, &Listener::default(), &Interrupt::new()) {
                assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
                garbled += 1;
            }
            let repo = anew(&bed, &place);
            assert_eq!(repo.state().voided_count(), 0, "{class:?}, read {read}");
            assert_eq!(repo.live_snapshots().len(), 3);
        }
        assert!(garbled > 0, "{class:?}");
    }
}
