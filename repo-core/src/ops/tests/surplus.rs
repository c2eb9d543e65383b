//! Index tables that are lost, and objects that nothing refers to: what a check says of them, and what heals them.

use super::damage::findings;
use super::prune::{forget, prune_with, thorough};
use super::support::*;
use crate::backend::Backend;
use crate::error::ErrorKind;
use crate::format::entry::Action;
use crate::format::name::ObjectKind;
use crate::id::{PackId, SnapshotId};
use crate::ops::{CheckSummary, Finding, Harm, PruneOptions, repair_packs};
use crate::progress::{Interrupt, Silent};
use crate::repo::Repo;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// A place with two snapshots, and what was in the first one.
fn two_snapshots() -> (Bed, [SnapshotId; 2], Tree) {
    let bed = Bed::new();
    let repo = bed.open();
    bed.write("a", b"a small one");
    bed.write("deep/er/large", &noise(1, 2 << 20));
    bed.write("deep/empty", b"");
    let first = bed.backup(&repo).unwrap().snapshot.unwrap();
    let tree = bed.tree();
    bed.write("late", &noise(2, 300 << 10));
    let second = bed.backup(&repo).unwrap().snapshot.unwrap();
    (bed, [first, second], tree)
}

/// How often a check names an object.
fn times_named(summary: &CheckSummary, object: &str) -> usize {
    let id = ObjectKind::parse(object).unwrap().1;
    let id = crate::id::to_hex(&id);
    let lines = findings(summary).into_iter();
    let lines = lines.chain(summary.unreferenced.clone());
    lines.filter(|line| line.contains(&id)).count()
}

fn only_finding(summary: &CheckSummary) -> &Finding {
    assert_eq!(summary.findings.len(), 1, "{:?}", findings(summary));
    &summary.findings[0]
}

/// Checks in both ways; gives what the thorough one said.
fn check_both(repo: &Repo) -> CheckSummary {
    let plain = check_with(repo, false).unwrap();
    let all = check_all(repo);
    assert_eq!(findings(&plain), findings(&all));
    assert_eq!(plain.unreferenced, all.unreferenced);
    assert_eq!(plain.absent, all.absent);
    all
}

fn paths_of(finding: &Finding, id: &SnapshotId) -> BTreeSet<PathBuf> {
    let of_it = finding
        .affected
        .iter()
        .filter(|(snapshot, _)| snapshot == id);
    of_it.map(|(_, path)| path.clone()).collect()
}

#[test]
fn a_lost_table_is_no_loss_and_the_next_backup_heals_it() {
    for removed in [true, false] {
        let (bed, [first, second], tree) = two_snapshots();
        let second_tree = bed.tree();
        for table in names(&bed.place, "index") {
            let place = bed.place.fork();
            match removed {
                true => assert!(place.remove(&table)),
                false => place.corrupt(&table, |bytes| bytes[100] ^= 1),
            }
            let open = || {
                bed.open_anew(std::sync::Arc::new(place.clone()), &password())
                    .unwrap()
            };
            let summary = check_both(&open());
            let finding = only_finding(&summary);
            assert_eq!(times_named(&summary, &table), 1);
            assert_eq!(finding.harm, Harm::Healable);
            assert!(finding.error.to_string().contains("nothing is lost"));
            assert_eq!(summary.unreferenced, [""; 0]);
            // What nobody finds until then is named, each file.
            let touched = [first, second].map(|id| paths_of(finding, &id));
            let has = |path: &str| {
                touched
                    .each_ref()
                    .map(|paths| paths.contains(&bed.source().join(path)))
            };
            let is_first = has("")[0];
            assert_eq!(has(""), [is_first, !is_first]);
            assert_eq!(has("deep/er/large"), [is_first; 2]);
            assert_eq!(has("deep"), [is_first; 2]);
            assert_eq!(has("late"), [false, !is_first]);
            // Nothing of it is in the source any more.
            let repo = open();
            let inside = tempfile::tempdir().unwrap();
            let kept = inside.path().join("kept");
            std::fs::rename(bed.source(), &kept).unwrap();
            bed.write("other", b"other");
            bed.backup(&repo).unwrap();
            std::fs::remove_dir_all(bed.source()).unwrap();
            std::fs::rename(&kept, bed.source()).unwrap();
            let summary = check_both(&open());
            assert_eq!(findings(&summary), [""; 0]);
            assert_eq!(summary.unreferenced, [""; 0]);
            assert_eq!(summary.absent.len(), 1);
            assert!(summary.absent[0].starts_with(&table));
            bed.assert_restores(&open(), &first, &tree);
            bed.assert_restores(&open(), &second, &second_tree);
        }
    }
}

#[test]
fn a_table_lost_with_a_pack_of_its_own_is_a_loss() {
    let (bed, ..) = two_snapshots();
    let table = &names(&bed.place, "index")[0];
    for kind in ["data", "meta"] {
        let mut at_risk = 0;
        for pack in names(&bed.place, kind) {
            let place = bed.place.fork();
            place.remove(table);
            place.remove(&pack);
            let repo = bed.open_on(std::sync::Arc::new(place.clone())).unwrap();
            let summary = check_all(&repo);
            assert_eq!(times_named(&summary, table), 1);
            let harms = summary.findings.iter().map(|finding| finding.harm);
            assert!(harms.clone().any(|harm| harm == Harm::AtRisk));
            let of_table = summary
                .findings
                .iter()
                .find(|finding| finding.error.to_string().starts_with("index "));
            at_risk += usize::from(of_table.unwrap().harm == Harm::AtRisk);
        }
        assert!(at_risk > 0, "{kind}");
    }
}

#[test]
fn a_table_lost_with_damage_in_its_packs_is_no_mere_matter_of_healing() {
    let (bed, ..) = two_snapshots();
    let table = &names(&bed.place, "index")[0];
    let mut at_risk = 0;
    for pack in names(&bed.place, "data") {
        let place = bed.place.fork();
        place.remove(table);
        place.corrupt(&pack, |bytes| bytes[2000] ^= 1);
        let repo = bed.open_on(std::sync::Arc::new(place.clone())).unwrap();
        let summary = check_all(&repo);
        let index = |finding: &&Finding| finding.error.to_string().starts_with("index ");
        let of_table = summary.findings.iter().find(index).unwrap();
        at_risk += usize::from(of_table.harm == Harm::AtRisk);
        assert!(summary.findings.len() == 2, "{:?}", findings(&summary));
    }
    assert!(at_risk > 0);
}

#[test]
fn a_pack_of_another_repository_is_no_leftover() {
    let (bed, ..) = two_snapshots();
    let (other, ..) = two_snapshots();
    for kind in ["data", "meta"] {
        let foreign = names(&other.place, kind).remove(0);
        let bytes = other.place.get(&foreign).unwrap();
        let place = bed.place.fork();
        place.put(&foreign, &bytes).unwrap();
        let repo = bed.open_on(std::sync::Arc::new(place.clone())).unwrap();
        let summary = check_both(&repo);
        assert_eq!(times_named(&summary, &foreign), 1);
        assert_eq!(only_finding(&summary).harm, Harm::None);
        assert!(only_finding(&summary).affected.is_empty());
    }
}

#[test]
fn a_pack_in_the_wrong_folder_is_no_leftover() {
    let (bed, ..) = two_snapshots();
    let place = bed.place.fork();
    let repo = bed.open_on(std::sync::Arc::new(place.clone())).unwrap();
    bed.write("more", &noise(9, 100 << 10));
    bed.backup(&repo).unwrap();
    let known = bed.place.objects();
    let mut new = names(&place, "data").into_iter();
    let new = new.find(|name| !known.contains_key(name)).unwrap();
    let id = ObjectKind::parse(&new).unwrap().1;
    let wrong = ObjectKind::Meta.name(&id);
    bed.place.put(&wrong, &place.get(&new).unwrap()).unwrap();
    // This client has seen the other copy, where the log is longer.
    let place = std::sync::Arc::new(bed.place.clone());
    let summary = check_both(&bed.open_anew(place, &password()).unwrap());
    assert_eq!(times_named(&summary, &wrong), 1);
    assert_eq!(only_finding(&summary).harm, Harm::None);
}

#[test]
fn an_object_too_many_is_named_once_and_costs_nothing() {
    let (bed, ..) = two_snapshots();
    for kind in ObjectKind::ALL {
        let Some(object) = names(&bed.place, kind.folder()).first().cloned() else {
            continue;
        };
        if kind == ObjectKind::Key {
            continue;
        }
        let id = ObjectKind::parse(&object).unwrap().1;
        let copy = kind.name(&id.map(|byte| !byte));
        let place = bed.place.fork();
        place.put(&copy, &place.get(&object).unwrap()).unwrap();
        let repo = bed.open_on(std::sync::Arc::new(place.clone())).unwrap();
        let summary = check_all(&repo);
        assert_eq!(times_named(&summary, &copy), 1, "{copy}");
        assert_eq!(only_finding(&summary).harm, Harm::None);
    }
    bed.place.put("readme", b"text").unwrap();
    assert_eq!(only_finding(&check_both(&bed.open())).harm, Harm::None);
}

#[test]
fn a_damaged_snapshot_is_told_by_host_time_and_paths() {
    let (bed, [first, _], _) = two_snapshots();
    let time = bed.open().load_snapshot(&first).unwrap().summary.time;
    let object = ObjectKind::Snapshot.name(&first.0);
    for removed in [true, false] {
        let place = bed.place.fork();
        match removed {
            true => assert!(place.remove(&object)),
            false => place.corrupt(&object, |bytes| bytes[60] ^= 1),
        }
        let repo = bed.open_on(std::sync::Arc::new(place.clone())).unwrap();
        let summary = check_both(&repo);
        let finding = only_finding(&summary);
        assert_eq!(finding.harm, Harm::AtRisk);
        assert_eq!(finding.affected, [(first, bed.source())]);
        let said = finding.error.to_string();
        let second = format!(":{:02} UTC", time.seconds.rem_euclid(60));
        for part in ["of host host", &second, &bed.source().display().to_string()] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}

/// What waits for a prune, and is not whole, is told without alarm.
#[test]
fn what_goes_anyway_may_be_damaged() {
    let (bed, [first, second], _) = two_snapshots();
    let object = ObjectKind::Snapshot.name(&first.0);
    bed.place.corrupt(&object, |bytes| bytes[100] ^= 1);
    assert_eq!(check_both(&bed.open()).findings.len(), 1);
    forget(&bed.open(), &[first]);
    let told = || {
        let summary = check_both(&bed.open());
        assert_eq!(findings(&summary), [""; 0]);
        summary.condemned
    };
    assert_eq!(told(), [object.as_str()]);
    let patient = PruneOptions {
        grace: Duration::from_secs(3600),
        ..thorough()
    };
    prune_with(&bed.open(), &patient).unwrap();
    assert!(told().contains(&object));
    // One that must be kept is an error all the same.
    let object = ObjectKind::Snapshot.name(&second.0);
    bed.place.corrupt(&object, |bytes| bytes[100] ^= 1);
    let repo = bed.open();
    let action = Action::Terms {
        snapshots: vec![second],
        protected_until: Some(Timestamp::new(1 << 40, 0)),
        expires: None,
    };
    repo.append(&mut |_| Ok(Some(action.clone()))).unwrap();
    forget(&repo, &[second]);
    assert_eq!(check_both(&bed.open()).findings.len(), 1);
}

/// A pack that is needed, condemned, and damaged beside its blocks: nothing is lost yet, and a prune would refuse.
#[test]
fn what_is_condemned_and_needed_may_not_be_damaged() {
    let bed = Bed::new();
    bed.write("small", b"small");
    bed.backup(&bed.open()).unwrap();
    // Nearly all of it is padding.
    let pack = names(&bed.place, "data").remove(0);
    let id = PackId(ObjectKind::parse(&pack).unwrap().1);
    Other::new(&bed, &bed.place).append(Action::Condemn {
        packs: vec![id],
        objects: vec![],
        index_add: vec![],
        reprieve: vec![],
    });
    bed.place.corrupt(&pack, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let told = check_both(&bed.open());
    let finding = only_finding(&told);
    assert_eq!(finding.harm, Harm::None);
    assert_eq!(
        prune_with(&bed.open(), &thorough()).unwrap_err().kind(),
        ErrorKind::Damaged
    );
    repair_packs(&bed.open(), &[id], false, &Silent, &Interrupt::new()).unwrap();
    prune_with(&bed.open(), &thorough()).unwrap();
    assert_eq!(findings(&check_both(&bed.open())), [""; 0]);
}
