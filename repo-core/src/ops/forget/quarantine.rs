//! Whether something went wrong in a series not long ago, so that what was there before must not go yet.
//!
//! What has been deleted or encrypted by an intruder is backed up like anything else, and a policy would thin what was
//! before, night after night. Numbers in the summaries show where it began: a *break*. It stands until somebody who may
//! forget accepts it, or until it is so old that it would have been noticed.

use crate::format::snapshot::Totals;
use crate::id::SnapshotId;
use crate::snapshot::SnapshotInfo;
use crate::time::Timestamp;
use std::collections::HashSet;

/// Series whose snapshots before a break have fewer files are not looked at for lost files.
pub const FILES_MIN: u64 = 100;

/// Series whose snapshots before a break have fewer bytes are not looked at for lost or changed bytes.
pub const BYTES_MIN: u64 = 16 << 20;

/// A break keeps what was before it for so many seconds.
pub const STANDS_S: i64 = 30 * 86_400;

/// This tag on the first snapshot behind a break, put there by somebody who may forget, accepts the break.
pub const ACCEPTED: &str = "accepted";

/// So many snapshots before one are compared with it.
const LOOK_BACK: usize = 3;

/// What is a break. `None` turns a test off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    /// A snapshot has less than so many percent of the files or the bytes of one of the three before it.
    pub shrunk_percent: Option<u8>,
    /// So many percent of the bytes of a snapshot are new, as much of what was before is gone, and that is not usual in this
    /// series: none of the three before it was so, and one that could have been was not.
    pub changed_percent: Option<u8>,
}

impl Default for Quarantine {
    /// Half of it is gone, or nine tenths are new.
    fn default() -> Self {
        Self {
            shrunk_percent: Some(50),
            changed_percent: Some(90),
        }
    }
}

impl Quarantine {
    /// No test at all.
    pub const OFF: Self = Self {
        shrunk_percent: None,
        changed_percent: None,
    };
}

/// What is odd about a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anomaly {
    /// It has so few files, and one before it had so many.
    FewerFiles {
        /// Now.
        now: u64,
        /// Before.
        before: u64,
    },
    /// It has so few bytes, and one before it had so many.
    FewerBytes {
        /// Now.
        now: u64,
        /// Before.
        before: u64,
    },
    /// So many of its bytes were new, of so many.
    Changed {
        /// New ones.
        new: u64,
        /// All.
        all: u64,
    },
}

/// A snapshot that looks as if something had gone wrong before it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    /// Which: the first behind the break.
    pub snapshot: SnapshotId,
    /// When it says it was made.
    pub time: Timestamp,
    /// What is odd about it.
    pub anomaly: Anomaly,
}

/// What is known of a snapshot when breaks are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The snapshot.
    pub info: &'a SnapshotInfo,
    /// The first form of its parent, if it has one.
    pub parent: Option<SnapshotId>,
    /// When it was made, as far as that is borne out.
    pub made: Timestamp,
    /// Somebody who may forget has accepted it as it is.
    pub accepted: bool,
    /// It is to go.
    pub goes: bool,
}

/// The breaks because of which nothing of a series may go, oldest first: not accepted, not older than [`STANDS_S`], and what
/// was before them, or what shows them, would go. The series is given newest first. Time: linear.
pub fn standing(quarantine: &Quarantine, series: &[Look<'_>], now: Timestamp) -> Vec<Break> {
    let Some(last) = series.iter().rposition(|look| look.goes) else {
        return Vec::new();
    };
    let found = breaks(quarantine, series).into_iter();
    let stands = found.filter(|(at, _)| {
        let until = series[*at].made.seconds.saturating_add(STANDS_S);
        *at <= last && now.seconds < until
    });
    let shown = stands.map(|(at, anomaly)| Break {
        snapshot: series[at].info.id,
        time: series[at].info.summary.time,
        anomaly,
    });
    shown.collect()
}

/// Where a series breaks, oldest first. Behind a break, and behind a snapshot that is accepted, a series is compared only with
/// what came since.
fn breaks(quarantine: &Quarantine, series: &[Look<'_>]) -> Vec<(usize, Anomaly)> {
    let there: HashSet<SnapshotId> = series.iter().map(|look| look.info.first_form()).collect();
    let mut found = Vec::new();
    let mut end = series.len();
    for (at, look) in series.iter().enumerate().rev() {
        if look.accepted {
            end = at + 1;
            continue;
        }
        let older = &series[at + 1..end];
        let older = comparable(look, older, &there);
        if let Some(anomaly) = anomaly(quarantine, look.info, &older) {
            found.push((at, anomaly));
            end = at + 1;
        }
    }
    found
}

/// Those of the snapshots before one that it is compared with, newest first.
///
/// Where a parent is gone, a policy has thinned what was in between, and found nothing odd then: what lies beyond is another
/// time, and what changed since is no break.
fn comparable<'a>(
    look: &Look<'a>,
    older: &[Look<'a>],
    there: &HashSet<SnapshotId>,
) -> Vec<&'a SnapshotInfo> {
    let mut next = look;
    let mut found = Vec::new();
    for older in older.iter().take(LOOK_BACK) {
        if next.parent.is_some_and(|parent| !there.contains(&parent)) {
            break;
        }
        found.push(older.info);
        next = older;
    }
    found
}

/// What is odd about a snapshot, compared with some before it, newest first.
fn anomaly(
    quarantine: &Quarantine,
    info: &SnapshotInfo,
    older: &[&SnapshotInfo],
) -> Option<Anomaly> {
    let now = &info.summary.totals;
    let most = |field: fn(&Totals) -> u64| older.iter().map(|i| field(&i.summary.totals)).max();
    let files = most(|totals| totals.files)?;
    let bytes = most(|totals| totals.bytes)?;
    if let Some(percent) = quarantine.shrunk_percent {
        if files >= FILES_MIN && below(now.files, files, percent) {
            let now = now.files;
            return Some(Anomaly::FewerFiles { now, before: files });
        }
        if bytes >= BYTES_MIN && below(now.bytes, bytes, percent) {
            let now = now.bytes;
            return Some(Anomaly::FewerBytes { now, before: bytes });
        }
    }
    let percent = quarantine.changed_percent?;
    // The first of a series brings everything, and says nothing about what is usual.
    let tells = |info: &SnapshotInfo| {
        info.summary.parent.is_some() && info.summary.totals.bytes >= BYTES_MIN
    };
    let all_new = |info: &SnapshotInfo| {
        let totals = &info.summary.totals;
        !below(totals.bytes_added, totals.bytes, percent)
    };
    let mut told = older.iter().filter(|info| tells(info)).peekable();
    if !tells(info) || !all_new(info) || told.peek().is_none() || told.any(|info| all_new(info)) {
        return None;
    }
    // What grows keeps what there was.
    let new = now.bytes_added.min(now.bytes);
    let gone = bytes.saturating_sub(now.bytes - new);
    let replaced = !below(gone, bytes, percent);
    let all = now.bytes;
    replaced.then_some(Anomaly::Changed { new, all })
}

/// Whether `part` is less than so many percent of `whole`.
fn below(part: u64, whole: u64, percent: u8) -> bool {
    u128::from(part) * 100 < u128::from(whole) * u128::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::snapshot::Summary;
    use crate::id::SnapshotId;

    const MIB: u64 = 1 << 20;

    fn info(files: u64, bytes: u64, bytes_added: u64) -> SnapshotInfo {
        let summary = Summary {
            parent: Some(SnapshotId([2; 32])),
            totals: Totals {
                files,
                bytes,
                bytes_added,
                ..Totals::default()
            },
            ..Summary::default()
        };
        SnapshotInfo {
            id: SnapshotId([2; 32]),
            summary,
        }
    }

    fn look(series: &[SnapshotInfo]) -> Option<Anomaly> {
        anomalies(&Quarantine::default(), series, &[])
            .first()
            .copied()
    }

    /// All breaks, oldest first; those of these numbers are accepted.
    fn anomalies(limits: &Quarantine, series: &[SnapshotInfo], accepted: &[usize]) -> Vec<Anomaly> {
        let looks = series.iter().enumerate().map(|(at, info)| Look {
            info,
            parent: info.summary.parent,
            made: Timestamp::new(0, 0),
            accepted: accepted.contains(&at),
            goes: true,
        });
        let looks: Vec<Look<'_>> = looks.collect();
        let found = standing(limits, &looks, Timestamp::new(STANDS_S - 1, 0));
        assert_eq!(standing(limits, &looks, Timestamp::new(STANDS_S, 0)), []);
        found.into_iter().map(|found| found.anomaly).collect()
    }

    #[test]
    fn a_series_that_shrank_is_odd_until_that_is_accepted() {
        let (large, small) = (info(1000, 100 * MIB, 0), info(499, 100 * MIB, 0));
        let odd = Anomaly::FewerFiles {
            now: 499,
            before: 1000,
        };
        // Other runs by an intruder do not make it good.
        for more in 1..9 {
            let mut series = vec![small.clone(); more];
            series.extend([large.clone(), large.clone()]);
            let found = anomalies(&Quarantine::default(), &series, &[]);
            assert_eq!(found, [odd], "{more}");
            // The first of them is to be accepted, and no other.
            for accepted in 0..=more {
                let found = anomalies(&Quarantine::default(), &series, &[accepted]);
                let first = accepted + 1 == more;
                assert_eq!(found.is_empty(), first, "{accepted} of {more}");
            }
        }
        assert_eq!(look(&[large.clone(), small]), None);
        assert_eq!(look(&[info(500, 50 * MIB, 0), large.clone()]), None);
        assert_eq!(
            look(&[info(1000, 50 * MIB - 1, 0), large]),
            Some(Anomaly::FewerBytes {
                now: 50 * MIB - 1,
                before: 100 * MIB
            })
        );
    }

    #[test]
    fn every_break_is_found() {
        let sizes = [40, 100, 100, 300, 300].map(|files| info(files, 0, 0));
        let odd = |now, before| Anomaly::FewerFiles { now, before };
        let all = anomalies(&Quarantine::default(), &sizes, &[]);
        assert_eq!(all, [odd(100, 300), odd(40, 100)]);
        let all = anomalies(&Quarantine::default(), &sizes, &[2]);
        assert_eq!(all, [odd(40, 100)]);
    }

    /// Between neighbours of what was thinned much may have changed.
    #[test]
    fn what_shrank_while_nobody_looked_is_not_odd() {
        let id = |n: u8| SnapshotId([n; 32]);
        let odd = |parents: [Option<u8>; 2], original: Option<u8>| {
            let mut series = [info(40, 0, 0), info(70, 0, 0), info(100, 0, 0)];
            for (n, info) in (1..).zip(&mut series) {
                info.id = id(n);
            }
            series[0].summary.parent = parents[0].map(id);
            series[1].summary.parent = parents[1].map(id);
            if let Some(original) = original {
                series[1].summary.set_original(&id(original));
            }
            look(&series).is_some()
        };
        assert!(odd([Some(2), Some(3)], None));
        assert!(odd([None, Some(3)], None));
        assert!(!odd([Some(9), Some(3)], None));
        assert!(!odd([Some(2), Some(9)], None));
        // Another form of the parent will do.
        assert!(odd([Some(9), Some(3)], Some(9)));
    }

    #[test]
    fn small_things_come_and_go() {
        assert_eq!(look(&[info(0, 0, 0), info(99, BYTES_MIN - 1, 0)]), None);
        assert_eq!(look(&[info(1, 1, 1)]), None);
        assert_eq!(look(&[]), None);
        let changed = info(1, BYTES_MIN - 1, BYTES_MIN - 1);
        assert_eq!(look(&[changed, info(1, BYTES_MIN - 1, 0)]), None);
    }

    #[test]
    fn nearly_all_new_is_odd_unless_it_is_always_so() {
        let (usual, all_new) = (info(10, 100 * MIB, MIB), info(10, 100 * MIB, 90 * MIB));
        let odd = Some(Anomaly::Changed {
            new: 90 * MIB,
            all: 100 * MIB,
        });
        assert_eq!(look(&[all_new.clone(), usual.clone()]), odd);
        assert_eq!(look(&[info(10, 100 * MIB, 89 * MIB), usual.clone()]), None);
        // Once is not always.
        let twice = [all_new.clone(), all_new.clone(), usual.clone()];
        assert_eq!(anomalies(&Quarantine::default(), &twice, &[]).len(), 1);
        // The first backup of all brings everything.
        let mut first = all_new.clone();
        first.summary.parent = None;
        assert_eq!(look(&[usual.clone(), first.clone()]), None);
        assert_eq!(look(&[first.clone(), usual]), None);
        // Compressed dumps are new every night, and from the second on.
        assert_eq!(look(&[all_new.clone(), all_new, first]), None);
    }

    #[test]
    fn what_grows_is_not_odd() {
        // All but a hundredth is new, and nothing is gone.
        let grown = [info(10, 3000 * MIB, 2970 * MIB), info(10, 30 * MIB, 0)];
        assert_eq!(look(&grown), None);
        let replaced = [info(10, 3000 * MIB, 2998 * MIB), info(10, 30 * MIB, 0)];
        assert!(look(&replaced).is_some());
    }

    #[test]
    fn tests_can_be_turned_off() {
        let large = info(1000, 100 * MIB, 0);
        for newest in [info(0, 0, 0), info(1000, 100 * MIB, 100 * MIB)] {
            let series = [newest, large.clone()];
            assert!(look(&series).is_some());
            assert_eq!(anomalies(&Quarantine::OFF, &series, &[]), []);
        }
    }
}
