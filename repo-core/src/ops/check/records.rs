//! Index tables, snapshots, evidence: the records that log entries name.

use super::objects::Inventory;
use super::{CheckSummary, Finding, Harm, is_finding, with};
use crate::error::{Error, Result, Subject};
use crate::format::entry::ObjectRef;
use crate::format::envelope::RecordType;
use crate::format::name::ObjectKind;
use crate::format::snapshot::Summary;
use crate::format::table::TableView;
use crate::id::{EvidenceId, IndexId, SnapshotId};
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::time::{Timestamp, now};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The records of one kind.
struct Records<'a> {
    kind: ObjectKind,
    /// Those that entries name, and whether they must be there.
    named: BTreeMap<[u8; 32], bool>,
    subject: fn([u8; 32]) -> Subject,
    /// Reads and proves one.
    prove: &'a dyn Fn([u8; 32]) -> Result<()>,
}

/// Proves all of them. The tables in force that cannot be had are not noted but given: what they mean depends on the packs.
pub fn check(
    repo: &Repo,
    inventory: &Inventory,
    summary: &mut CheckSummary,
    interrupt: &Interrupt,
) -> Result<Vec<(IndexId, Error)>> {
    let state = repo.state();
    let evidence = Records {
        kind: ObjectKind::Evidence,
        named: state.evidence().map(|(id, _)| (id.0, false)).collect(),
        subject: |id| Subject::Evidence(EvidenceId(id)),
        prove: &|id| {
            let loaded = repo.load_record(ObjectKind::Evidence, &id, RecordType::Evidence);
            loaded.map(drop)
        },
    };
    for (_, error) in evidence.check(repo, inventory, summary, interrupt)? {
        summary.note(Err(error))?;
    }
    let live = state.live_snapshots().map(|(id, _)| (id.0, true));
    let forgotten = state.forgotten_snapshots().map(|(id, _)| (id.0, false));
    let snapshots = Records {
        kind: ObjectKind::Snapshot,
        named: live.chain(forgotten).collect(),
        subject: |id| Subject::Snapshot(SnapshotId(id)),
        prove: &|id| check_snapshot(repo, &SnapshotId(id)),
    };
    let now = now();
    for (id, error) in snapshots.check(repo, inventory, summary, interrupt)? {
        let snapshot = SnapshotId(id);
        if !state.is_live(&snapshot) && !state.is_protected(&snapshot, now) {
            summary.condemned.push(ObjectKind::Snapshot.name(&id));
            continue;
        }
        let finding = damaged_snapshot(repo, SnapshotId(id), error);
        summary.findings.push(finding);
    }
    name_uncommitted(repo, summary)?;
    let tables = Records {
        kind: ObjectKind::Index,
        named: state.tables().map(|(id, _)| (id.0, true)).collect(),
        subject: |id| Subject::Index(IndexId(id)),
        prove: &|id| check_table(repo, &IndexId(id)),
    };
    let lost = tables.check(repo, inventory, summary, interrupt)?;
    Ok(lost.into_iter().map(|(id, e)| (IndexId(id), e)).collect())
}

impl Records<'_> {
    /// Proves those that entries name, and gives what is wrong with them; notes those that nothing refers to.
    fn check(
        &self,
        repo: &Repo,
        inventory: &Inventory,
        summary: &mut CheckSummary,
        interrupt: &Interrupt,
    ) -> Result<Vec<([u8; 32], Error)>> {
        let mut wrong = Vec::new();
        for (id, needed) in &self.named {
            interrupt.check()?;
            let proved = match inventory.has(repo, self.kind, id)? {
                true => (self.prove)(*id),
                false if *needed => Err(Error::missing((self.subject)(*id))),
                false => Ok(()),
            };
            match proved {
                Ok(()) => {}
                Err(e) if is_finding(&e) => wrong.push((*id, e)),
                Err(e) => return Err(e),
            }
        }
        let state = repo.state();
        let condemned: BTreeSet<&ObjectRef> = state.condemned_objects().map(|(o, _)| o).collect();
        for id in inventory.ids(self.kind) {
            interrupt.check()?;
            if self.named.contains_key(id) {
                continue;
            }
            let object = ObjectRef {
                kind: self.kind,
                id: *id,
            };
            let goes = condemned.contains(&object) || state.is_deleted(id);
            match (self.prove)(*id) {
                Err(e) if goes && is_finding(&e) => summary.condemned.push(self.kind.name(id)),
                proved => summary.note_surplus(self.kind.name(id), proved)?,
            }
        }
        Ok(wrong)
    }
}

/// The table opens, and its sections fit each other.
fn check_table(repo: &Repo, id: &IndexId) -> Result<()> {
    let body = repo.load_table(id)?;
    let parsed = TableView::parse(&body).map(drop);
    parsed.map_err(|e| e.about(Subject::Index(*id)))
}

/// The snapshot opens, and what listings show of it is what it says.
fn check_snapshot(repo: &Repo, id: &SnapshotId) -> Result<()> {
    let snapshot = repo.load_snapshot(id)?;
    let state = repo.state();
    match state.snapshot(id).filter(|_| state.is_live(id)) {
        Some(row) if repo.open_summary(id, &row.summary)? != snapshot.summary => {
            Err(Error::damaged(Subject::Snapshot(*id)).detail("the log says otherwise of it"))
        }
        _ => Ok(()),
    }
}

/// What is wrong with a snapshot, and which one it is: the log knows it too.
fn damaged_snapshot(repo: &Repo, id: SnapshotId, error: Error) -> Finding {
    let state = repo.state();
    let row = state.snapshot(&id);
    let summary: Option<Summary> = row.and_then(|row| repo.open_summary(&id, &row.summary).ok());
    let Some(summary) = summary else {
        return Finding::new(error);
    };
    let which = format!("it is that {}", described(&summary));
    let mut finding = Finding::new(with(error, &which));
    touch_paths(&mut finding, id, &summary);
    finding
}

/// How many snapshots a damaged log entry is said to be about, in words.
const MAY_COMMIT_SHOWN: usize = 3;

/// Says which snapshots lie there that no entry commits: if an entry of the log cannot be read, that is what it may have been
/// about.
fn name_uncommitted(repo: &Repo, summary: &mut CheckSummary) -> Result<()> {
    let of_log = |finding: &Finding| finding.harm == Harm::AtRisk && finding.is_of_log();
    let of_log = summary.findings.iter().rposition(of_log);
    let mut may_commit = Vec::new();
    for object in &summary.unreferenced {
        let Some((ObjectKind::Snapshot, id)) = ObjectKind::parse(object) else {
            continue;
        };
        let id = SnapshotId(id);
        // A prune named it, and was stopped before it was removed, or not allowed to.
        if repo.state().is_deleted(&id.0) {
            continue;
        }
        let snapshot = match repo.load_snapshot(&id) {
            Ok(snapshot) => snapshot.summary,
            // Proved a moment ago; deleted meanwhile.
            Err(e) if is_finding(&e) => continue,
            Err(e) => return Err(e),
        };
        let which = described(&snapshot);
        if let Some(finding) = of_log {
            may_commit.push(format!("snapshot {} {which}", id.short()));
            touch_paths(&mut summary.findings[finding], id, &snapshot);
        }
        summary.uncommitted.push((id, which));
    }
    if let Some(finding) = of_log.filter(|_| !may_commit.is_empty()) {
        let more = may_commit.len().saturating_sub(MAY_COMMIT_SHOWN);
        may_commit.truncate(MAY_COMMIT_SHOWN);
        let mut may = format!("it may commit {}", may_commit.join(", or "));
        if more > 0 {
            may.push_str(&format!(", or one of {more} more"));
        }
        let finding = &mut summary.findings[finding];
        let error = std::mem::replace(&mut finding.error, Error::interrupted());
        finding.error = with(error, &may);
    }
    Ok(())
}

/// Which snapshot it is, for people.
fn described(summary: &Summary) -> String {
    let shown: Vec<String> = paths_of(summary)
        .map(|path| path.display().to_string())
        .collect();
    let made = match summary.host.as_str() {
        "" => String::new(),
        host => format!("of host {host} "),
    };
    format!("{made}made {}, of {}", utc(summary.time), shown.join(" "))
}

fn touch_paths(finding: &mut Finding, id: SnapshotId, summary: &Summary) {
    paths_of(summary).for_each(|path| finding.touches(id, path));
}

fn paths_of(summary: &Summary) -> impl Iterator<Item = PathBuf> {
    let path = |path: &Vec<u8>| PathBuf::from(OsStr::from_bytes(path));
    summary.paths.iter().map(path)
}

/// A time in the form `2026-01-31 23:59:59 UTC`; out of a range that calendars are used for, seconds since 1970.
fn utc(time: Timestamp) -> String {
    const DAY: i64 = 24 * 60 * 60;
    const YEARS_400: i64 = 146_097;
    if !(-(1 << 40)..1 << 40).contains(&time.seconds) {
        return format!("{} seconds after 1970", time.seconds);
    }
    let (days, second) = (time.seconds.div_euclid(DAY), time.seconds.rem_euclid(DAY));
    // Days since the first of March of the year 0: leap days come last in their years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(YEARS_400), days.rem_euclid(YEARS_400));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_calendars_do() {
        let shown = |seconds| utc(Timestamp::new(seconds, 7));
        assert_eq!(shown(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(shown(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(shown(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(shown(1_700_000_000), "2023-11-14 22:13:20 UTC");
        assert_eq!(shown(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert_eq!(shown(i64::MIN), format!("{} seconds after 1970", i64::MIN));
    }
}
