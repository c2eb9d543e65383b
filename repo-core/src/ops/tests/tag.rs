//! Tags are changed: the new snapshot is there before the old one goes, whatever happens in between.

use super::support::*;
use crate::backend::wrap::Faults;
use crate::error::{ErrorKind, Result};
use crate::id::SnapshotId;
use crate::ops::{Derived, NewTerms, TagChange, forget_ids, set_terms, tag};
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::snapshot::{Filter, SnapshotInfo, list};
use crate::time::{Timestamp, now};
use std::sync::Arc;

fn two() -> (Bed, Vec<SnapshotId>) {
    let bed = Bed::new();
    let repo = bed.open();
    let made = (1..3u64).map(|n| {
        bed.write("file", &noise(n, 100 << 10));
        bed.backup(&repo).unwrap().snapshot.unwrap()
    });
    let made = made.collect();
    (bed, made)
}

fn all(repo: &Repo) -> Vec<SnapshotInfo> {
    repo.refresh().unwrap();
    list(repo, &Filter::default()).snapshots
}

fn add(tags: &[&str]) -> TagChange {
    TagChange::Change {
        add: tags.iter().map(|tag| tag.to_string()).collect(),
        remove: vec!["old".into()],
    }
}

fn tag_all(repo: &Repo, change: &TagChange) -> Result<Vec<Derived>> {
    tag(repo, &all(repo), change, false, &Interrupt::new())
}

#[test]
fn tags_are_set_added_and_removed_and_the_first_snapshot_stays_known() {
    let (bed, made) = two();
    let repo = bed.open();
    let entries = repo.state().tail().number;
    assert_eq!(tag_all(&repo, &add(&["a", "b", "a"])).unwrap().len(), 2);
    assert_eq!(repo.state().tail().number, entries + 3);
    assert_eq!(tag_all(&repo, &add(&["b"])).unwrap(), []);
    let set = TagChange::Set(vec!["x".into(), "old".into()]);
    let done = tag_all(&repo, &set).unwrap();
    assert!(done.iter().all(|derived| !derived.found));
    let dry = tag(&repo, &all(&repo), &add(&["y"]), true, &Interrupt::new()).unwrap();
    assert_eq!((dry.len(), dry[0].new), (2, None));
    let now = all(&repo);
    assert!(now.iter().all(|info| info.summary.tags == ["x", "old"]));
    let originals: Vec<_> = now.iter().map(|i| i.summary.original().unwrap()).collect();
    assert_eq!(originals, made);
    bed.assert_restores(&repo, &now[1].id, &bed.tree());
    assert_clean(&repo);
    tag_all(&repo, &add(&[])).unwrap();
    assert!(all(&repo).iter().all(|info| info.summary.tags == ["x"]));
}

#[test]
fn terms_go_with_it_and_the_protected_stay_as_they_are() {
    let (bed, made) = two();
    let repo = bed.open();
    let later = Timestamp::new(now().seconds + 1000, 0);
    let expires = NewTerms {
        expires: Some(Some(later)),
        ..NewTerms::default()
    };
    set_terms(&repo, &made[..1], &expires).unwrap();
    tag_all(&repo, &add(&["a"])).unwrap();
    let there = all(&repo);
    assert_eq!(repo.state().terms(&there[0].id).expires, Some(later));
    assert_eq!(repo.state().terms(&there[1].id).expires, None);
    let protected = NewTerms {
        protected_until: Some(Some(later)),
        ..NewTerms::default()
    };
    set_terms(&repo, &[there[1].id], &protected).unwrap();
    let error = tag_all(&repo, &add(&["b"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(all(&repo).len(), 2);
}

#[test]
fn one_that_is_forgotten_meanwhile_is_not_brought_back() {
    let (bed, made) = two();
    let repo = bed.open();
    let found = all(&repo);
    forget_ids(&bed.open(), &made[..1]).unwrap();
    let done = tag(&repo, &found, &add(&["a"]), false, &Interrupt::new()).unwrap();
    assert_eq!(done.len(), 1);
    assert_eq!(all(&repo).len(), 1);
    assert_clean(&repo);
}

#[test]
fn stopped_at_any_write_it_is_brought_to_its_end_by_the_next() {
    let (mut bed, _) = two();
    let before = bed.place.clone();
    for write in 0.. {
        bed.place = before.fork();
        let faults = Arc::new(Faults::crash_before(Arc::new(bed.place.clone()), write));
        let stopped = bed.open_anew(faults.clone(), &password());
        let stopped = stopped.and_then(|repo| tag_all(&repo, &add(&["a"])));
        let place = Arc::new(bed.place.clone());
        let repo = bed.open_anew(place, &password()).unwrap();
        if !faults.crashed() {
            stopped.unwrap();
            assert!(write > 4, "{write}");
            break;
        }
        assert!(all(&repo).len() >= 2, "{write}");
        tag_all(&repo, &add(&["a"])).unwrap();
        let there = all(&repo);
        assert_eq!(there.len(), 2, "{write}");
        assert!(there.iter().all(|info| info.summary.tags == ["a"]));
        assert_clean(&repo);
    }
}
