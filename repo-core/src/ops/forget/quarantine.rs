//! Whether the newest snapshots of a series look as if something had gone wrong, so that older ones must not go yet.
//!
//! What has been deleted or encrypted by an intruder is backed up like anything else, and a policy would thin what was
//! before. Numbers in the summaries show it.

use crate::format::snapshot::Totals;
use crate::snapshot::SnapshotInfo;

/// Series whose snapshots before the newest have fewer files are not looked at for lost files.
pub const FILES_MIN: u64 = 100;

/// Series whose snapshots before the newest have fewer bytes are not looked at for lost or changed bytes.
pub const BYTES_MIN: u64 = 16 << 20;

/// So many snapshots before the newest are compared with it.
const LOOK_BACK: usize = 3;

/// When a series is kept whole. `None` turns a test off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    /// The newest snapshot has less than so many percent of the files or the bytes of one of the three before it.
    pub shrunk_percent: Option<u8>,
    /// More than so many percent of the bytes of the newest snapshot are new, and that is not usual in this series.
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

/// What is odd about the newest snapshot of a series.
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

/// Looks at a series, newest first; `None` if nothing is odd, or there are fewer than two snapshots.
pub fn anomaly(quarantine: &Quarantine, series: &[&SnapshotInfo]) -> Option<Anomaly> {
    let (newest, older) = series.split_first()?;
    let older = &older[..older.len().min(LOOK_BACK)];
    let now = &newest.summary.totals;
    if let Some(percent) = quarantine.shrunk_percent {
        let most = |field: fn(&Totals) -> u64| older.iter().map(|i| field(&i.summary.totals)).max();
        let files = most(|totals| totals.files).unwrap_or(0);
        if files >= FILES_MIN && below(now.files, files, percent) {
            let now = now.files;
            return Some(Anomaly::FewerFiles { now, before: files });
        }
        let bytes = most(|totals| totals.bytes).unwrap_or(0);
        if bytes >= BYTES_MIN && below(now.bytes, bytes, percent) {
            let now = now.bytes;
            return Some(Anomaly::FewerBytes { now, before: bytes });
        }
    }
    let percent = quarantine.changed_percent?;
    let changed = |info: &SnapshotInfo| {
        let totals = &info.summary.totals;
        info.summary.parent.is_some()
            && totals.bytes >= BYTES_MIN
            && !below(totals.bytes_added, totals.bytes, percent)
    };
    let usual = older.iter().any(|info| changed(info));
    (!older.is_empty() && changed(newest) && !usual).then_some(Anomaly::Changed {
        new: now.bytes_added.min(now.bytes),
        all: now.bytes,
    })
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
            parent: Some(SnapshotId([1; 32])),
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
        let series: Vec<&SnapshotInfo> = series.iter().collect();
        anomaly(&Quarantine::default(), &series)
    }

    #[test]
    fn a_series_that_shrank_is_odd_for_some_time() {
        let (large, small) = (info(1000, 100 * MIB, 0), info(499, 100 * MIB, 0));
        let odd = Some(Anomaly::FewerFiles {
            now: 499,
            before: 1000,
        });
        assert_eq!(look(&[small.clone(), large.clone()]), odd);
        // Another run by an intruder does not make it good.
        let three = [small.clone(), small.clone(), small.clone(), large.clone()];
        assert_eq!(look(&three), odd);
        let four = [std::slice::from_ref(&small), &three[..]].concat();
        assert_eq!(look(&four), None);
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
        // Compressed dumps are new every night.
        assert_eq!(
            look(&[all_new.clone(), all_new.clone(), usual.clone()]),
            None
        );
        // The first backup of all brings everything.
        let mut first = all_new.clone();
        first.summary.parent = None;
        assert_eq!(look(&[usual.clone(), first.clone()]), None);
        assert_eq!(look(&[first, usual]), None);
    }

    #[test]
    fn tests_can_be_turned_off() {
        let (large, none) = (info(1000, 100 * MIB, 0), info(0, 0, 0));
        let changed = info(1000, 100 * MIB, 100 * MIB);
        for newest in [&none, &changed] {
            assert!(anomaly(&Quarantine::default(), &[newest, &large]).is_some());
            assert_eq!(anomaly(&Quarantine::OFF, &[newest, &large]), None);
        }
    }
}
