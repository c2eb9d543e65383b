//! What `forget`, `unforget` and the like write.

use super::{Snapshot, SnapshotGroupKey};
use repo_core::id::SnapshotId;
use repo_core::ops::{Anomaly, Break, Claim, Goes, PlannedGroup};
use serde::Serialize;
use std::collections::BTreeMap;

/// `forget` by policy: what becomes of a series. What is empty is null, as with restic.
#[derive(Serialize)]
pub struct ForgetGroup {
    pub tags: Option<Vec<String>>,
    pub host: String,
    pub paths: Option<Vec<String>>,
    pub keep: Option<Vec<Snapshot>>,
    pub remove: Option<Vec<Snapshot>>,
    pub reasons: Option<Vec<KeepReason>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether the times of these snapshots are borne out: `plausible`, `early` or `late`.
    pub times: &'static str,
    /// Why nothing of it goes though something would: what is odd about the first of `breaks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<&'static str>,
    /// Snapshots before which something may have gone wrong, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<SeriesBreak>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_because: Vec<RemoveReason>,
}

/// Why a snapshot stays.
#[derive(Serialize)]
pub struct KeepReason {
    pub snapshot: Snapshot,
    pub matches: Vec<String>,
}

/// A snapshot before which something may have gone wrong: `fewer_files`, `fewer_bytes` or `changed`.
#[derive(Serialize)]
pub struct SeriesBreak {
    pub id: String,
    pub anomaly: &'static str,
}

/// Why a snapshot goes: `no rule keeps it`, or `expired`.
#[derive(Serialize)]
pub struct RemoveReason {
    pub id: String,
    pub reason: &'static str,
    /// What its going alone frees; in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frees_bytes: Option<u64>,
}

impl ForgetGroup {
    /// A series; `matches` gives the reasons of its kept snapshots, in their order.
    pub fn new(
        group: &PlannedGroup,
        matches: Vec<Vec<String>>,
        frees: &BTreeMap<SnapshotId, u64>,
    ) -> Self {
        let key = SnapshotGroupKey::from(&group.key);
        let kept = || group.keep.iter().map(|kept| Snapshot::from(&kept.info));
        let reason = |(snapshot, matches)| KeepReason { snapshot, matches };
        let removed = group.remove.iter().map(|gone| Snapshot::from(&gone.info));
        Self {
            tags: key.tags,
            host: key.hostname,
            paths: key.paths,
            keep: filled(kept().collect()),
            remove: filled(removed.collect()),
            reasons: filled(kept().zip(matches).map(reason).collect()),
            label: key.label,
            times: match group.claim {
                Claim::Plausible => "plausible",
                Claim::Early => "early",
                Claim::Late => "late",
            },
            quarantine: group.quarantine.first().map(anomaly),
            breaks: group
                .quarantine
                .iter()
                .map(|found| SeriesBreak {
                    id: found.snapshot.to_hex(),
                    anomaly: anomaly(found),
                })
                .collect(),
            removed_because: group
                .remove
                .iter()
                .map(|gone| RemoveReason {
                    id: gone.info.id.to_hex(),
                    reason: match gone.reason {
                        Goes::NoRule => "no rule keeps it",
                        Goes::Expired(_) => "expired",
                    },
                    frees_bytes: frees.get(&gone.info.id).copied(),
                })
                .collect(),
        }
    }
}

fn anomaly(found: &Break) -> &'static str {
    match found.anomaly {
        Anomaly::FewerFiles { .. } => "fewer_files",
        Anomaly::FewerBytes { .. } => "fewer_bytes",
        Anomaly::Changed { .. } => "changed",
    }
}

fn filled<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// `unforget`, `protect` and `expire`: which snapshots it was done for; of `unforget` the IDs under which they are there. restic has no
/// such commands.
#[derive(Serialize)]
pub struct Forgotten {
    pub message_type: &'static str,
    pub snapshots: Vec<String>,
}
