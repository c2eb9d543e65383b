//! Quarantine: what becomes of good snapshots when something goes wrong and a policy is applied night after night.

use super::super::groups::Grouping;
use super::super::plan::{Candidate, ForgetOptions, Keeps, PlannedGroup, plan};
use super::super::quarantine::{ACCEPTED, Anomaly, Break, Quarantine, STANDS_S};
use super::super::times::{Stored, Times};
use super::plans::{DAY, day, made, numbers, options};
use crate::id::SnapshotId;
use crate::snapshot::GroupBy;

const MIB: u64 = 1 << 20;

/// Days for which a break keeps what was before it.
const STANDS: u8 = (STANDS_S / DAY) as u8;

/// The backup of night `n`: so many files and bytes, of which so many are new.
fn night(n: u8, files: u64, bytes: u64, bytes_added: u64) -> Candidate {
    let mut night = made(n, i64::from(n));
    let summary = &mut night.info.summary;
    summary.parent = (n > 1).then_some(SnapshotId([n - 1; 32]));
    night.parent = summary.parent;
    summary.totals.files = files;
    summary.totals.bytes = bytes;
    summary.totals.bytes_added = bytes_added;
    night
}

fn good(n: u8) -> Candidate {
    let new = if n == 1 { 100 * MIB } else { MIB };
    night(n, 300, 100 * MIB, new)
}

/// All of its content was replaced.
fn encrypted(n: u8) -> Candidate {
    night(n, 300, 100 * MIB, 100 * MIB)
}

fn shrunk(n: u8) -> Candidate {
    night(n, 100, 50 * MIB, 0)
}

/// A series over which a policy goes every night.
struct Nights {
    there: Vec<Candidate>,
    options: ForgetOptions,
    stored: Stored,
}

impl Nights {
    fn new(flags: &str) -> Self {
        Self {
            there: Vec::new(),
            options: options(flags),
            stored: Stored::from([(1, (day(0), day(0)))]),
        }
    }

    /// Backs up, then forgets; gives what was said.
    fn pass(&mut self, backup: Candidate) -> PlannedGroup {
        let at = day(i64::from(backup.info.id.0[0]));
        self.stored.insert(backup.commit.number, (at, at));
        self.there.push(backup);
        let groups = self.forget(i64::from(self.newest()));
        assert_eq!(groups.len(), 1);
        groups.into_iter().next().unwrap()
    }

    /// Forgets on that day.
    fn forget(&mut self, on: i64) -> Vec<PlannedGroup> {
        let commits = self.there.iter().map(|candidate| candidate.commit);
        let times = Times::new(commits, self.stored.clone(), day(on));
        let groups = plan(self.there.clone(), &self.options, Some(&times), day(on));
        let gone: Vec<u8> = numbers(&groups).into_iter().flat_map(|g| g.2).collect();
        self.there.retain(|c| !gone.contains(&c.info.id.0[0]));
        groups
    }

    fn newest(&self) -> u8 {
        self.numbers().into_iter().max().unwrap_or(0)
    }

    fn numbers(&self) -> Vec<u8> {
        self.there.iter().map(|c| c.info.id.0[0]).collect()
    }

    /// Nights of which nothing is said.
    fn quiet(&mut self, nights: impl Iterator<Item = Candidate>) {
        for backup in nights {
            let n = backup.info.id.0[0];
            assert_eq!(self.pass(backup).quarantine, [], "night {n}");
        }
    }

    /// Seven good nights, then bad ones until the break is too old.
    fn outlast(mut self, bad: fn(u8) -> Candidate, anomaly: Anomaly) -> Self {
        self.quiet((1..=7).map(good));
        let before = self.numbers();
        let expected = Break {
            snapshot: SnapshotId([8; 32]),
            time: day(8),
            anomaly,
        };
        for n in 8..8 + STANDS {
            let said = self.pass(bad(n));
            assert_eq!(said.quarantine, [expected], "night {n}");
            assert_eq!(said.remove.len(), 0);
            let there = self.numbers();
            assert!(before.iter().all(|good| there.contains(good)), "night {n}");
        }
        assert_eq!(self.pass(bad(8 + STANDS)).quarantine, []);
        self
    }
}

fn changed() -> Anomaly {
    Anomaly::Changed {
        new: 100 * MIB,
        all: 100 * MIB,
    }
}

fn fewer() -> Anomaly {
    Anomaly::FewerFiles {
        now: 100,
        before: 300,
    }
}

#[test]
fn good_snapshots_outlast_bad_nights_for_thirty_days() {
    let nights = Nights::new("--keep-last 7").outlast(encrypted, changed());
    let last: Vec<u8> = (2 + STANDS..=8 + STANDS).collect();
    assert_eq!(nights.numbers(), last);
    // The intruder's work is done once, and nothing changes any more.
    let once = |n| match n {
        8 => encrypted(n),
        n => night(n, 300, 100 * MIB, 0),
    };
    Nights::new("--keep-last 7").outlast(once, changed());
    Nights::new("--keep-daily 7 --keep-weekly 2").outlast(encrypted, changed());
}

#[test]
fn good_snapshots_outlast_a_source_that_shrank_for_thirty_days() {
    let nights = Nights::new("--keep-last 3").outlast(shrunk, fewer());
    let last: Vec<u8> = (6 + STANDS..=8 + STANDS).collect();
    assert_eq!(nights.numbers(), last);
}

#[test]
fn what_is_right_is_never_held() {
    let flags = ["--keep-last 3", "--keep-daily 7 --keep-weekly 4"];
    let stay = |n: u8, files: u64| night(n, files, files << 20, 0);
    for flags in flags {
        // Grows by half every night.
        let growing = |n: u8| {
            let size = |n: u8| (20.0 * 1.5_f64.powi(n.into())) as u64 * MIB;
            night(n, 1000, size(n), size(n) - size(n - 1))
        };
        Nights::new(flags).quiet((1..60).map(growing));
        // Grows to many times of it at once.
        let jump = |n: u8| match n {
            0..20 => good(n),
            20 => night(n, 9000, 9000 * MIB, 8900 * MIB),
            n => night(n, 9000, 9000 * MIB, MIB),
        };
        Nights::new(flags).quiet((1..60).map(jump));
        // A fifth of it changes every night.
        let changing = |n: u8| night(n, 300, 100 * MIB, if n == 1 { 100 } else { 20 } * MIB);
        Nights::new(flags).quiet((1..120).map(changing));
        // Compressed dumps are new every night.
        Nights::new(flags).quiet((1..120).map(|n| match n {
            1 => night(n, 1, 100 * MIB, 100 * MIB),
            n => encrypted(n),
        }));
        // Shrinks by a sixth every night.
        let shrinking = |n: u8| stay(n, (20_000.0 * 0.84_f64.powi(n.into())) as u64 + 100);
        Nights::new(flags).quiet((1..40).map(shrinking));
    }
    // Neighbours of what was thinned lie months apart.
    let slowly = |n: u8| stay(n, (90_000.0 * 0.975_f64.powi(n.into())) as u64);
    Nights::new("--keep-last 1 --keep-monthly 9").quiet((1..240).map(slowly));
}

#[test]
fn a_break_is_accepted_by_who_may_forget() {
    let mut nights = Nights::new("--keep-last 3");
    nights.quiet((1..=7).map(good));
    for n in 8..=10 {
        assert_eq!(nights.pass(shrunk(n)).quarantine.len(), 1);
    }
    let tag = |nights: &mut Nights, n: u8, vouched: bool| {
        let tagged = nights.there.iter_mut().find(|c| c.info.id.0[0] == n);
        let tagged = tagged.unwrap();
        tagged.info.summary.tags = vec!["a".into(), ACCEPTED.into()];
        tagged.vouched = vouched;
    };
    // A writer may give its snapshots any tag, and another than the first says nothing.
    tag(&mut nights, 8, false);
    tag(&mut nights, 9, true);
    assert_eq!(nights.forget(10)[0].quarantine.len(), 1);
    tag(&mut nights, 8, true);
    assert_eq!(nights.forget(10)[0].quarantine, []);
    assert_eq!(nights.numbers(), [8, 9, 10]);
    // The next one is not accepted with it.
    nights.quiet((11..=12).map(shrunk));
    let said = nights.pass(night(13, 9, 50 * MIB, 0));
    assert_eq!(said.quarantine[0].snapshot, SnapshotId([13; 32]));
}

/// As with `--quarantine off` for one run.
#[test]
fn without_quarantine_nothing_is_held() {
    let mut nights = Nights::new("--keep-last 3");
    nights.quiet((1..=7).map(good));
    nights.pass(shrunk(8));
    nights.options.quarantine = Quarantine::OFF;
    assert_eq!(nights.forget(8)[0].quarantine, []);
    assert_eq!(nights.numbers(), [6, 7, 8]);
    nights.options.quarantine = Quarantine::default();
    assert_eq!(nights.pass(shrunk(9)).quarantine.len(), 1);
}

#[test]
fn a_series_is_kept_whole_only_where_something_would_go() {
    let mut nights = Nights::new("--keep-last 8");
    nights.quiet((1..=7).map(good));
    nights.quiet([shrunk(8)].into_iter());
    nights.options = options("--keep-last 9");
    nights.quiet([shrunk(9)].into_iter());
    nights.options = options("--keep-tag none");
    nights.options.policy.ids = (1..=8).map(|n| SnapshotId([n; 32])).collect();
    assert_eq!(nights.forget(9)[0].quarantine, []);
    assert_eq!(nights.numbers(), [1, 2, 3, 4, 5, 6, 7, 8]);
    // What shows a break does not go before it either.
    nights.options.policy.ids.pop();
    let said = nights.forget(9);
    assert_eq!(said[0].quarantine.len(), 1);
    assert_eq!(said[0].keep[0].reasons, [Keeps::Quarantine]);
}

/// The age of a break goes by the log, not by what its writer says.
#[test]
fn a_break_cannot_be_backdated() {
    let mut nights = Nights::new("--keep-last 4");
    nights.quiet((1..=4).map(good));
    // It says that it took so long.
    let mut bad = shrunk(60);
    bad.parent = Some(SnapshotId([4; 32]));
    bad.info.summary.time = day(57);
    bad.info.summary.totals.duration_ms = 3 * 86_400_000;
    assert_eq!(nights.pass(bad).quarantine.len(), 1);
    assert_eq!(
        nights.forget(60 + i64::from(STANDS) - 1)[0]
            .quarantine
            .len(),
        1
    );
    assert_eq!(nights.forget(60 + i64::from(STANDS))[0].quarantine, []);
}

/// Several sources in one series: the small ones among them are no breaks.
#[test]
fn sources_that_are_grouped_together_are_compared_each_with_itself() {
    let mut nights = Nights::new("--keep-last 2");
    nights.options.grouping = Grouping::By(GroupBy::default());
    let one = |n: u8, files: u64| {
        let mut night = night(n, files, 100 * MIB, 0);
        night.parent = (n > 2).then(|| SnapshotId([n - 2; 32]));
        if n.is_multiple_of(2) {
            night.info.summary.paths = vec![b"/b".to_vec()];
        }
        night
    };
    nights.quiet((1..61).map(|n| one(n, if n.is_multiple_of(2) { 1000 } else { 100 })));
    let said = nights.pass(one(61, 9));
    assert_eq!(said.quarantine.len(), 1);
}
