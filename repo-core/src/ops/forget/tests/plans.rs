//! Whole plans: series, terms, times that are not borne out.

use super::super::plan::{Candidate, ForgetOptions, Goes, Keeps, PlannedGroup, plan};
use super::super::policy::{Period, Reason};
use super::super::times::{Claim, Commit, Stored, Times};
use super::policy;
use crate::format::snapshot::{Summary, Totals};
use crate::id::SnapshotId;
use crate::log::Terms;
use crate::snapshot::SnapshotInfo;
use crate::time::Timestamp;

pub(super) const DAY: i64 = 86_400;

/// Day 0 of these tests, noon.
const NOON: i64 = 19_900 * DAY + DAY / 2;

pub(super) fn day(n: i64) -> Timestamp {
    Timestamp::new(NOON + n * DAY, 0)
}

/// Snapshot `n`, made and committed on that day.
pub(super) fn made(n: u8, on: i64) -> Candidate {
    let summary = Summary {
        time: day(on),
        host: "web".into(),
        paths: vec![b"/a".to_vec()],
        totals: Totals {
            files: 1000,
            bytes: 1 << 30,
            ..Totals::default()
        },
        ..Summary::default()
    };
    Candidate {
        info: SnapshotInfo {
            id: SnapshotId([n; 32]),
            summary,
        },
        commit: Commit {
            number: u64::from(n) + 2,
            time: day(on),
        },
        terms: Terms::default(),
        parent: None,
        vouched: false,
    }
}

pub(super) fn options(flags: &str) -> ForgetOptions {
    ForgetOptions {
        policy: policy(flags),
        ..ForgetOptions::default()
    }
}

/// Numbers of the snapshots that stay and that go, newest first, by series.
pub(super) fn numbers(groups: &[PlannedGroup]) -> Vec<(Claim, Vec<u8>, Vec<u8>)> {
    let number = |info: &SnapshotInfo| info.id.0[0];
    let group = |group: &PlannedGroup| {
        let keep = group.keep.iter().map(|kept| number(&kept.info));
        let remove = group.remove.iter().map(|removed| number(&removed.info));
        (group.claim, keep.collect(), remove.collect())
    };
    groups.iter().map(group).collect()
}

fn planned(all: &[Candidate], flags: &str, now: i64) -> Vec<PlannedGroup> {
    plan(all.to_vec(), &options(flags), None, day(now))
}

/// The same, with the times at which the backend stored the entries.
fn judged(all: &[Candidate], stored: Stored, flags: &str, now: i64) -> Vec<PlannedGroup> {
    let times = Times::new(all.iter().map(|c| c.commit), stored, day(now));
    plan(all.to_vec(), &options(flags), Some(&times), day(now))
}

fn stored(times: &[(u64, i64)]) -> Stored {
    times
        .iter()
        .map(|(n, on)| (*n, (day(*on), day(*on))))
        .collect()
}

#[test]
fn every_series_has_the_policy_for_itself() {
    let mut all: Vec<Candidate> = (1..=6).map(|n| made(n, i64::from(n))).collect();
    all[1].info.summary.host = "db".into();
    all[3].info.summary.label = "job".into();
    all[4].info.summary.label = "job".into();
    all[4].info.summary.paths = vec![b"/b".to_vec()];
    let groups = planned(&all, "--keep-last 1", 9);
    let plausible = |keep: &[u8], remove: &[u8]| (Claim::Plausible, keep.to_vec(), remove.to_vec());
    assert_eq!(
        numbers(&groups),
        [
            plausible(&[2], &[]),
            plausible(&[5], &[4]),
            plausible(&[6], &[3, 1])
        ]
    );
    assert_eq!(groups[2].remove[0].reason, Goes::NoRule);
    let last = Keeps::Policy(Reason::Newest(Period::Last));
    assert_eq!(groups[2].keep[0].reasons, [last]);
}

#[test]
fn what_is_past_its_time_goes_first_and_takes_no_place() {
    let mut all: Vec<Candidate> = (1..=4).map(|n| made(n, i64::from(n))).collect();
    all[3].terms.expires = Some(day(5));
    let keeps =
        |all: &[Candidate], flags: &str, now| numbers(&planned(all, flags, now))[0].1.clone();
    assert_eq!(keeps(&all, "--keep-last 2", 4), [4, 3]);
    assert_eq!(keeps(&all, "--keep-last 2", 5), [3, 2]);
    let groups = planned(&all, "--keep-last 2", 5);
    assert_eq!(groups[0].remove[0].reason, Goes::Expired(day(5)));
    // Protection and names count for more.
    all[3].info.summary.tags = vec!["a".into()];
    assert_eq!(keeps(&all, "--keep-last 1 --keep-tag a", 5), [4]);
    all[3].info.summary.tags.clear();
    all[3].terms.protected_until = Some(day(6));
    assert_eq!(keeps(&all, "--keep-last 1", 5), [4]);
    assert_eq!(keeps(&all, "--keep-last 1", 6), [3]);
}

#[test]
fn what_is_protected_stays_whatever_the_policy_says() {
    let mut all: Vec<Candidate> = (1..=3).map(|n| made(n, i64::from(n))).collect();
    all[0].terms.protected_until = Some(Terms::FOREVER);
    let groups = planned(&all, "--keep-last 1", 9);
    assert_eq!(numbers(&groups)[0].1, [3, 1]);
    assert_eq!(
        groups[0].keep[1].reasons,
        [Keeps::Protected(Terms::FOREVER)]
    );
}

#[test]
fn a_series_of_which_nothing_is_left_is_known() {
    use super::super::plan::ForgetPlan;
    let emptied = |all: &[Candidate]| {
        let plan = ForgetPlan {
            groups: planned(all, "--keep-tag none", 9),
            unreadable: vec![],
        };
        plan.emptied().is_some()
    };
    let mut all = vec![made(1, 1), made(2, 2)];
    assert!(emptied(&all));
    all[0].terms.expires = Some(day(3));
    assert!(emptied(&all));
    // Whoever said when all of it may go has said so.
    all[1].terms.expires = Some(day(3));
    assert!(!emptied(&all));
}

/// Whoever holds a key that can add makes snapshots that claim to be from every one of the last days, late in the evening.
#[test]
fn forged_times_push_nothing_out() {
    let mut all: Vec<Candidate> = (1..=5).map(|n| made(n, i64::from(n))).collect();
    let stored_at = [
        (1, 0),
        (3, 1),
        (4, 2),
        (5, 3),
        (6, 4),
        (7, 5),
        (8, 5),
        (9, 5),
        (10, 5),
        (11, 5),
    ];
    for n in 1..=3u8 {
        let mut forged = made(n + 5, 5);
        forged.info.summary.time = Timestamp::new(day(i64::from(n)).seconds + 10 * 3600, 0);
        // Their entries may lie as well.
        forged.commit.time = forged.info.summary.time;
        all.push(forged);
    }
    let mut future = made(9, 5);
    future.info.summary.time = day(400);
    all.push(future);
    // What the same snapshots do where times are trusted.
    let trusted = numbers(&planned(&all, "--keep-daily 5", 6));
    assert_eq!(trusted[0].1, [9, 5, 4, 8, 7]);
    for stored in [stored(&stored_at), Stored::new()] {
        let groups = numbers(&judged(&all, stored, "--keep-daily 5", 6));
        assert_eq!(groups[0], (Claim::Plausible, vec![5, 4, 3, 2, 1], vec![]));
        assert_eq!(groups[1].0, Claim::Early);
        assert_eq!(groups[2], (Claim::Late, vec![9], vec![]));
    }
}

/// An intruder's entry that gives a time to come must not make the real ones look backdated.
#[test]
fn an_entry_from_the_future_changes_nothing_for_others() {
    let mut all: Vec<Candidate> = (1..=4).map(|n| made(n, i64::from(n))).collect();
    all[1].commit.time = day(300);
    let stored = stored(&[(1, 0), (3, 1), (4, 2), (5, 3), (6, 4)]);
    let groups = numbers(&judged(&all, stored, "--keep-last 9", 400));
    assert_eq!(groups, [(Claim::Plausible, vec![4, 3, 2, 1], vec![])]);
}

/// A copied repository: all entries were stored when it was copied.
#[test]
fn a_copy_keeps_its_history() {
    let mut all: Vec<Candidate> = (1..=4).map(|n| made(n, i64::from(n))).collect();
    let copied = [(1, 10), (3, 10), (4, 10), (5, 10), (6, 10)];
    let groups = numbers(&judged(&all, stored(&copied), "--keep-last 9", 11));
    assert_eq!(groups, [(Claim::Plausible, vec![4, 3, 2, 1], vec![])]);
    // And what is added later is judged as ever, by the log's order too.
    all.push(made(5, 12));
    let mut forged = made(6, 13);
    forged.info.summary.time = day(9);
    forged.commit.time = day(9);
    all.push(forged);
    let times = [&copied[..], &[(7, 12), (8, 13)]].concat();
    let groups = numbers(&judged(&all, stored(&times), "--keep-last 9", 14));
    let early = (Claim::Early, vec![6], vec![]);
    assert_eq!(
        groups,
        [(Claim::Plausible, vec![5, 4, 3, 2, 1], vec![]), early]
    );
}

/// Old backups brought in with `--time`: one series, thinned as anywhere.
#[test]
fn imports_are_thinned_by_themselves() {
    let mut all: Vec<Candidate> = (1..=6).map(|n| made(n, 0)).collect();
    for (n, candidate) in (0..).zip(&mut all) {
        candidate.info.summary.time = day(n / 2 - 100);
    }
    let times: Vec<(u64, i64)> = (1..=8).map(|n| (n, 0)).collect();
    let judged = numbers(&judged(&all, stored(&times), "--keep-daily 2", 1));
    let trusted = numbers(&planned(&all, "--keep-daily 2", 1));
    assert_eq!(
        judged,
        [(Claim::Early, trusted[0].1.clone(), trusted[0].2.clone())]
    );
    assert_eq!(trusted[0].1, [6, 4]);
}

#[test]
fn a_long_backup_is_not_backdated() {
    let claim = |begun: i64, hours: u64| {
        let mut long = made(1, 10);
        long.info.summary.time = Timestamp::new(day(10).seconds - begun * 3600, 0);
        long.info.summary.totals.duration_ms = hours * 3_600_000;
        numbers(&judged(
            &[long],
            stored(&[(1, 0), (3, 10)]),
            "--keep-last 1",
            11,
        ))[0]
            .0
    };
    assert_eq!(claim(5, 0), Claim::Plausible);
    assert_eq!(claim(7, 0), Claim::Early);
    assert_eq!(claim(50, 49), Claim::Plausible);
    // What it says of its duration is no better than what it says of its time.
    assert_eq!(claim(200, 199), Claim::Early);
    assert_eq!(claim(-1, 0), Claim::Plausible);
    assert_eq!(claim(-2, 0), Claim::Late);
}
