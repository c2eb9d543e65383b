//! What `prune` says.

use crate::json;
use crate::text::{bytes, counted};
use repo_core::id::SnapshotId;
use repo_core::ops::{PruneOptions, PrunePlan, PruneSummary, Sum};
use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

/// A line of the plan, if there is anything to tell.
fn line(text: &mut String, label: &str, sum: Sum, meaning: &str) {
    if sum.count > 0 {
        let packs = counted(sum.count, "pack", "packs");
        let _ = writeln!(text, "{label:<14}{packs}, {}{meaning}", bytes(sum.bytes));
    }
}

/// So many uncommitted snapshots are named.
const UNCOMMITTED_SHOWN: usize = 5;

/// What was found, and what is to be done with it.
pub fn plan(plan: &PrunePlan) -> String {
    let mut text = String::new();
    let snapshots = counted(plan.snapshots, "snapshot needs", "snapshots need");
    let share =
        100.0 * plan.unused_bytes as f64 / (plan.used_bytes + plan.unused_bytes).max(1) as f64;
    let _ = writeln!(
        text,
        "{snapshots} {}, {} are unused ({share:.1}%), in {} of {} with padding",
        bytes(plan.used_bytes),
        bytes(plan.unused_bytes),
        counted(plan.packs.count, "pack", "packs"),
        bytes(plan.packs.bytes)
    );
    line(
        &mut text,
        "unused:",
        plan.to_condemn,
        ": nothing in them is needed",
    );
    let kept = format!(
        ": {} of that are kept, in new packs",
        bytes(plan.rewritten_bytes)
    );
    line(&mut text, "to rewrite:", plan.to_rewrite, &kept);
    line(
        &mut text,
        "strays:",
        plan.strays,
        ": in no index, left by interrupted runs",
    );
    line(
        &mut text,
        "waiting:",
        plan.waiting,
        ": condemned before, their grace is not over",
    );
    line(
        &mut text,
        "needed again:",
        plan.needed_again,
        ": condemned before, and snapshots need them; `larder check` says whether they are damaged",
    );
    line(
        &mut text,
        "to delete:",
        plan.to_delete,
        ": condemned before, their grace is over",
    );
    uncommitted(
        &mut text,
        &plan.uncommitted,
        "goes too: no entry commits it",
    );
    let why = "stays, for an entry was lost that may have committed it";
    uncommitted(&mut text, &plan.uncommitted_kept, why);
    let _ = writeln!(
        text,
        "stays unused: {}, without padding; reads {}, about {}",
        bytes(plan.left_unused_bytes),
        bytes(plan.to_rewrite.bytes),
        counted(plan.requests, "request", "requests")
    );
    text
}

/// What a dry run would come to. `replaced` are the forgotten snapshots of which a newer form is there.
pub fn would(plan: &PrunePlan, grace: Duration, replaced: &HashSet<SnapshotId>) -> String {
    let mut text = String::new();
    let (net, label) = match plan.net_now() {
        net if net < 0 => (net, "would grow:"),
        net => (net, "would free:"),
    };
    let _ = write!(text, "{label:<14}{}", bytes(net.unsigned_abs()));
    if plan.writes_bytes > 0 {
        let (deleted, written) = (bytes(plan.frees_now_bytes), bytes(plan.writes_bytes));
        let _ = write!(text, ": {deleted} deleted, about {written} written");
    }
    text.push('\n');
    later(&mut text, plan, plan.net_later(), grace);
    let lost = lost(&plan.snapshots_lost, replaced);
    if lost > 0 {
        let _ = writeln!(
            text,
            "{} for good: `larder unforget` would not bring back what this prune deletes",
            counted(
                lost,
                "forgotten snapshot would go",
                "forgotten snapshots would go"
            )
        );
    }
    text
}

/// What a prune did, and what that comes to.
pub fn did(summary: &PruneSummary, grace: Duration, replaced: &HashSet<SnapshotId>) -> String {
    let mut text = String::new();
    line(&mut text, "written:", summary.written, "");
    let until = match grace.is_zero() {
        true => String::new(),
        false => format!(", to be deleted by a prune in {}", grace_text(grace)),
    };
    line(&mut text, "condemned:", summary.condemned, &until);
    deleted(&mut text, summary);
    if summary.reprieved > 0 {
        let packs = counted(summary.reprieved, "pack is", "packs are");
        let _ = writeln!(text, "{packs} needed again and kept");
    }
    if summary.tables_replaced > 0 {
        let tables = counted(summary.tables_replaced, "index table", "index tables");
        let _ = writeln!(text, "{tables} merged");
    }
    if !summary.did_anything() && summary.waits_for == 0 {
        text.push_str("nothing to do\n");
    }
    let net = summary.net();
    if summary.written.count > 0 || summary.deleted.count > 0 {
        let label = if net < 0 { "grown:" } else { "freed:" };
        let _ = write!(text, "{label:<14}{}", bytes(net.unsigned_abs()));
        if summary.written.count > 0 {
            let (deleted, written) = (bytes(summary.deleted.bytes), bytes(summary.written.bytes));
            let _ = write!(text, ": {deleted} deleted, {written} written");
        }
        text.push('\n');
    }
    let freed = i64::try_from(summary.plan.frees_later_bytes).unwrap_or(i64::MAX);
    later(&mut text, &summary.plan, net.saturating_add(freed), grace);
    let lost = lost(&summary.snapshots_lost, replaced);
    if lost > 0 {
        let _ = writeln!(
            text,
            "{} gone for good",
            counted(lost, "forgotten snapshot is", "forgotten snapshots are")
        );
    }
    text
}

/// The packs that are gone, of how many if the place refused to remove some.
fn deleted(text: &mut String, summary: &PruneSummary) {
    let (gone, kept) = (summary.deleted, summary.kept_by_place);
    if kept.count == 0 {
        return line(text, "deleted:", gone, "");
    }
    let packs = counted(gone.count + kept.count, "pack", "packs");
    let _ = writeln!(
        text,
        "{:<14}{} of {packs}, {} of {}",
        "deleted:",
        gone.count,
        bytes(gone.bytes),
        bytes(gone.bytes + kept.bytes)
    );
}

/// What a prune after the grace deletes, and to what this comes with what this one writes and deletes.
fn later(text: &mut String, plan: &PrunePlan, net: i64, grace: Duration) {
    if plan.frees_later_bytes == 0 {
        return;
    }
    let later = bytes(plan.frees_later_bytes);
    let _ = write!(
        text,
        "{:<14}{later} are deleted by a prune after the grace of {}",
        "later:",
        grace_text(grace)
    );
    if plan.writes_bytes > 0 {
        let size = bytes(net.unsigned_abs());
        let _ = match net < 0 {
            true => write!(text, ": both together write {size} more than they free"),
            false => write!(text, ": both together free {size}"),
        };
    }
    text.push('\n');
}

/// How many of these cannot be had again in any form.
fn lost(ids: &[SnapshotId], replaced: &HashSet<SnapshotId>) -> u64 {
    ids.iter().filter(|id| !replaced.contains(id)).count() as u64
}

fn grace_text(grace: Duration) -> String {
    let seconds = grace.as_secs();
    match (seconds / 86400, seconds / 3600) {
        (days, _) if days > 0 && seconds.is_multiple_of(86400) => counted(days, "day", "days"),
        (_, hours) if hours > 0 && seconds.is_multiple_of(3600) => counted(hours, "hour", "hours"),
        _ => counted(seconds, "second", "seconds"),
    }
}

/// Names snapshots that no entry commits, and what becomes of them.
fn uncommitted(text: &mut String, snapshots: &[SnapshotId], what: &str) {
    for id in snapshots.iter().take(UNCOMMITTED_SHOWN) {
        let short = id.short();
        let _ = writeln!(
            text,
            "snapshot {short} {what} (`larder repair log {id}` would)"
        );
    }
    if snapshots.len() > UNCOMMITTED_SHOWN {
        let more = snapshots.len() - UNCOMMITTED_SHOWN;
        let _ = writeln!(text, "and {more} more like it: --json lists them");
    }
}

/// The same for programs.
pub fn message(summary: &PruneSummary, options: &PruneOptions) -> json::PruneSummary {
    let plan = &summary.plan;
    let lost = match options.dry_run {
        true => &plan.snapshots_lost,
        false => &summary.snapshots_lost,
    };
    json::PruneSummary {
        message_type: "summary",
        dry_run: options.dry_run,
        snapshots: plan.snapshots,
        snapshots_uncommitted: plan.uncommitted.iter().map(ToString::to_string).collect(),
        snapshots_uncommitted_kept: plan
            .uncommitted_kept
            .iter()
            .map(ToString::to_string)
            .collect(),
        packs_total: plan.packs.count,
        bytes_total: plan.packs.bytes,
        bytes_used: plan.used_bytes,
        bytes_unused: plan.unused_bytes,
        packs_to_condemn: plan.to_condemn.count,
        bytes_to_condemn: plan.to_condemn.bytes,
        packs_to_rewrite: plan.to_rewrite.count,
        bytes_to_rewrite: plan.to_rewrite.bytes,
        bytes_kept_of_rewritten: plan.rewritten_bytes,
        bytes_left_unused: plan.left_unused_bytes,
        packs_stray: plan.strays.count,
        bytes_stray: plan.strays.bytes,
        packs_waiting: plan.waiting.count,
        bytes_waiting: plan.waiting.bytes,
        packs_needed_again: plan.needed_again.count,
        bytes_needed_again: plan.needed_again.bytes,
        packs_to_delete: plan.to_delete.count,
        bytes_to_delete: plan.to_delete.bytes,
        bytes_freed_now: plan.frees_now_bytes,
        bytes_freed_later: plan.frees_later_bytes,
        bytes_to_write: plan.writes_bytes,
        bytes_net_now: plan.net_now(),
        bytes_net_later: plan.net_later(),
        bytes_to_read: plan.to_rewrite.bytes,
        requests: plan.requests,
        packs_written: summary.written.count,
        bytes_written: summary.written.bytes,
        packs_condemned: summary.condemned.count,
        packs_deleted: summary.deleted.count,
        bytes_deleted: summary.deleted.bytes,
        packs_refused: summary.kept_by_place.count,
        bytes_refused: summary.kept_by_place.bytes,
        bytes_net: summary.net(),
        packs_reprieved: summary.reprieved,
        objects_removed: summary.objects_removed,
        objects_refused: summary.refused.len() as u64,
        snapshots_lost: lost.iter().map(ToString::to_string).collect(),
        waits_for_processes: summary.waits_for,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn rewriting() -> PrunePlan {
        PrunePlan {
            frees_now_bytes: 28 * MIB,
            writes_bytes: 19 * MIB,
            ..PrunePlan::default()
        }
    }

    #[test]
    fn what_is_written_is_taken_off() {
        let said = would(&rewriting(), Duration::ZERO, &HashSet::new());
        assert_eq!(
            said,
            "would free:   9.000 MiB: 28.000 MiB deleted, about 19.000 MiB written\n"
        );
        let patient = PrunePlan {
            frees_now_bytes: 0,
            frees_later_bytes: 28 * MIB,
            ..rewriting()
        };
        assert_eq!(
            would(&patient, WEEK, &HashSet::new()),
            "would grow:   19.000 MiB: 0 B deleted, about 19.000 MiB written\n\
             later:        28.000 MiB are deleted by a prune after the grace of 7 days: \
             both together free 9.000 MiB\n"
        );
        let sum = |count, mib| Sum {
            count,
            bytes: mib * MIB,
        };
        let done = PruneSummary {
            written: sum(2, 19),
            deleted: sum(3, 28),
            plan: rewriting(),
            ..PruneSummary::default()
        };
        let said = did(&done, Duration::ZERO, &HashSet::new());
        assert!(
            said.ends_with("freed:        9.000 MiB: 28.000 MiB deleted, 19.000 MiB written\n"),
            "{said}"
        );
    }

    #[test]
    fn what_was_tried_is_not_nothing() {
        let kept = Sum {
            count: 1,
            bytes: 11 * MIB,
        };
        let summary = PruneSummary {
            kept_by_place: kept,
            ..PruneSummary::default()
        };
        assert_eq!(
            did(&summary, WEEK, &HashSet::new()),
            "deleted:      0 of 1 pack, 0 B of 11.000 MiB\n"
        );
        let snapshot = PruneSummary {
            refused: vec![("snapshots/00".into(), "no".into())],
            ..PruneSummary::default()
        };
        assert_eq!(did(&snapshot, WEEK, &HashSet::new()), "");
        let waits = PruneSummary {
            waits_for: 1,
            ..PruneSummary::default()
        };
        assert_eq!(did(&waits, WEEK, &HashSet::new()), "");
        let nothing = PruneSummary::default();
        assert_eq!(did(&nothing, WEEK, &HashSet::new()), "nothing to do\n");
    }

    #[test]
    fn snapshots_that_cannot_be_had_again_are_counted() {
        let ids = [1, 2, 3].map(|n| SnapshotId([n; 32]));
        let plan = PrunePlan {
            snapshots_lost: ids.to_vec(),
            ..PrunePlan::default()
        };
        let newer = HashSet::from([ids[0]]);
        let said = would(&plan, WEEK, &newer);
        assert!(
            said.contains("2 forgotten snapshots would go for good"),
            "{said}"
        );
        let summary = PruneSummary {
            snapshots_lost: ids[..2].to_vec(),
            ..PruneSummary::default()
        };
        let said = did(&summary, WEEK, &newer);
        assert!(
            said.ends_with("1 forgotten snapshot is gone for good\n"),
            "{said}"
        );
    }

    #[test]
    fn graces_are_told_in_their_unit() {
        assert_eq!(grace_text(Duration::from_secs(86400)), "1 day");
        assert_eq!(grace_text(Duration::from_secs(7200)), "2 hours");
    }
}
