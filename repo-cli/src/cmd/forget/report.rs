//! What `forget` says.

use crate::app::App;
use crate::cmd::snapshots::{Extra, heading, table};
use crate::exit::Failure;
use crate::json;
use crate::terminal;
use crate::text::{bytes, counted, local_time, printable, wrapped};
use crate::when;
use repo_core::id::SnapshotId;
use repo_core::ops::{
    ACCEPTED, Anomaly, Break, Claim, Count, ForgetPlan, Goes, Grouping, Keeps, Kept, Period,
    PlannedGroup, Policy, Reason, STANDS_S,
};
use repo_core::snapshot::SnapshotInfo;
use std::collections::BTreeMap;

/// What will be kept, and of what.
pub fn policy(app: &App, policy: &Policy, grouping: &Grouping) -> Result<(), Failure> {
    app.terminal
        .say(&format!("Applying Policy: {}", words(policy)))?;
    app.terminal.say(match grouping {
        Grouping::Series => {
            "to each series of snapshots: those of one host and label,\n\
             or without a label of one host and set of paths (see --group-by)\n"
        }
        Grouping::By(by) if by.any() => "to each series of snapshots as --group-by says\n",
        Grouping::By(_) => "to all snapshots together\n",
    })
}

/// A policy in the words of restic.
fn words(policy: &Policy) -> String {
    let counts = policy.counts.iter().filter_map(|(period, count)| {
        let name = match period {
            Period::Last => "latest",
            other => name(*other),
        };
        match count {
            Count::Newest(0) => None,
            Count::Newest(count) => Some(format!("{count} {name}")),
            Count::All => Some(format!("all {name}")),
        }
    });
    let counts: Vec<String> = counts.collect();
    let spans = policy.within.iter().filter(|(_, span)| !span.is_zero());
    let (all, by_period): (Vec<_>, Vec<_>) =
        spans.partition(|(period, _)| **period == Period::Last);
    let mut parts = Vec::new();
    if !counts.is_empty() {
        parts.push(format!("{} snapshots", counts.join(", ")));
    }
    parts.extend(
        by_period
            .iter()
            .map(|(period, span)| format!("{} snapshots within {span}", name(**period))),
    );
    let mut text = parts.join(", ");
    let mut and = |part: String| {
        if !text.is_empty() {
            text.push_str(" and ");
        }
        text.push_str(&part);
    };
    if !policy.tags.is_empty() {
        let lists = policy
            .tags
            .iter()
            .map(|list| format!("[{}]", list.join(", ")));
        let lists: Vec<String> = lists.collect();
        and(format!(
            "all snapshots with tags [{}]",
            printable(&lists.join(" "))
        ));
    }
    if let Some((_, span)) = all.first() {
        and(format!("all snapshots within {span} of the newest"));
    }
    if let Some(size) = &policy.within_size {
        and(format!(
            "all snapshots that fit into {}, those of all series together",
            bytes(size.bytes)
        ));
    }
    if !policy.ids.is_empty() {
        let ids: Vec<String> = policy.ids.iter().map(|id| id.short()).collect();
        and(format!("the snapshots {}", ids.join(", ")));
    }
    match text.is_empty() {
        true => "remove".to_owned(),
        false => format!("keep {text}"),
    }
}

fn name(period: Period) -> &'static str {
    match period {
        Period::Last => "last",
        Period::Hourly => "hourly",
        Period::Daily => "daily",
        Period::Weekly => "weekly",
        Period::Monthly => "monthly",
        Period::Quarterly => "quarterly",
        Period::Yearly => "yearly",
    }
}

/// Why a snapshot stays, in the words of restic where it has them.
fn stays(keeps: &Keeps) -> String {
    let reason = match keeps {
        Keeps::Policy(reason) => reason,
        Keeps::Protected(until) => {
            return match when::shown(*until).as_str() {
                "forever" => "protected".to_owned(),
                time => format!("protected until {time}"),
            };
        }
        Keeps::Quarantine => return "quarantine".to_owned(),
    };
    match reason {
        Reason::Id => "has this ID".to_owned(),
        Reason::Tags(tags) => format!("has tags [{}]", tags.join(", ")),
        Reason::Within(span) => format!("within {span}"),
        Reason::Newest(period) => format!("{} snapshot", name(*period)),
        Reason::Oldest(period) => format!("oldest {} snapshot", name(*period)),
        Reason::NewestWithin(period, span) => format!("{} within {span}", name(*period)),
        Reason::WithinSize(size) => format!("fits into {}", bytes(*size)),
        Reason::OldestWithin(period, span) => format!("oldest {} within {span}", name(*period)),
    }
}

fn matches(group: &PlannedGroup) -> Vec<Vec<String>> {
    let kept = group.keep.iter();
    kept.map(|kept| kept.reasons.iter().map(stays).collect())
        .collect()
}

fn goes(reason: &Goes) -> String {
    match reason {
        Goes::NoRule => "no rule keeps it".to_owned(),
        Goes::Expired(at) => format!("expired {}", when::shown(*at)),
    }
}

/// The plan: tables, or one JSON document as restic's; nothing if there is no series.
///
/// `frees` says what each snapshot that goes frees by its going alone, where that was found out.
pub fn plan(app: &App, plan: &ForgetPlan, frees: &Frees, compact: bool) -> Result<(), Failure> {
    if app.terminal.json() {
        let groups = plan.groups.iter();
        let groups = groups.map(|group| json::ForgetGroup::new(group, matches(group), frees));
        return match plan.groups.is_empty() {
            true => Ok(()),
            false => app.terminal.json_line(&groups.collect::<Vec<_>>()),
        };
    }
    if app.terminal.quiet() {
        return Ok(());
    }
    let mut out = app.terminal.out();
    for group in &plan.groups {
        let heading = heading(&group.key);
        out.text(&room().map_or(heading.clone(), |columns| wrapped(&heading, columns, 2)))?;
        if let Some(note) = doubtful(group.claim) {
            out.text(&format!("{note}\n"))?;
        }
        let kept: Vec<&SnapshotInfo> = group.keep.iter().map(|kept| &kept.info).collect();
        out.text(&part("keep", &kept, &matches(group), compact))?;
        let removed: Vec<&SnapshotInfo> = group.remove.iter().map(|gone| &gone.info).collect();
        let reasons = group.remove.iter().map(|gone| {
            let frees = frees.get(&gone.info.id);
            let frees = frees.map(|size| format!("frees {}", bytes(*size)));
            std::iter::once(goes(&gone.reason)).chain(frees).collect()
        });
        out.text(&part(
            "remove",
            &removed,
            &reasons.collect::<Vec<_>>(),
            compact,
        ))?;
    }
    out.finish()
}

/// A table of snapshots with the reasons of each, given newest first and shown oldest first.
fn part(verb: &str, found: &[&SnapshotInfo], reasons: &[Vec<String>], compact: bool) -> String {
    if found.is_empty() {
        return String::new();
    }
    let found: Vec<SnapshotInfo> = found.iter().rev().map(|info| (*info).clone()).collect();
    let lines = |reasons: &Vec<String>| {
        let safe: Vec<_> = reasons.iter().map(|reason| printable(reason)).collect();
        safe.join("\n")
    };
    let extra = Extra {
        head: "Reasons",
        cells: reasons.iter().rev().map(lines).collect(),
    };
    format!(
        "{verb} {}:\n{}\n",
        counted(found.len() as u64, "snapshot", "snapshots"),
        table(&found, compact, room(), Some(&extra))
    )
}

fn doubtful(claim: Claim) -> Option<&'static str> {
    match claim {
        Claim::Plausible => None,
        Claim::Early => Some(
            "The log and the place show that these were made later than they say (imported,\n\
             backdated or forged): a series of its own (see --trust-times).",
        ),
        Claim::Late => Some(
            "These say that they were made later than the log and the place show, or in the\n\
             future: a series of its own (see --trust-times).",
        ),
    }
}

/// Says which series is in quarantine, why, and how it gets out.
pub fn quarantine(app: &App, group: &PlannedGroup) {
    let shown = &group.quarantine[..group.quarantine.len().min(BREAKS_SHOWN)];
    let mut lines: Vec<String> = shown.iter().map(broken).collect();
    let more = group.quarantine.len() - shown.len();
    if more > 0 {
        lines.push(format!(
            "  and {} more",
            counted(more as u64, "one", "ones")
        ));
    }
    let tagged = |found: &Break| {
        let tags = |kept: &Kept| kept.info.summary.tags.iter().any(|tag| tag == ACCEPTED);
        let kept = group
            .keep
            .iter()
            .find(|kept| kept.info.id == found.snapshot);
        kept.is_some_and(tags)
    };
    if shown.iter().any(tagged) {
        lines.push(format!(
            "  The tag {ACCEPTED} that is there was given by a writer, and says nothing."
        ));
    }
    let ids: Vec<String> = shown.iter().map(|found| found.snapshot.short()).collect();
    app.terminal.warn(&format!(
        "{}: in quarantine, all are kept, for something may have gone wrong before one was made:\n{}\n\
         If that is right, `larder tag --add {ACCEPTED} {}` says so for good, `--quarantine off` for one run. Otherwise all are kept \
         for {} days from then.",
        series(group),
        lines.join("\n"),
        ids.join(" "),
        STANDS_S / 86_400
    ));
}

/// A message shows so many breaks of a series.
const BREAKS_SHOWN: usize = 3;

/// What is odd about a snapshot.
fn broken(found: &Break) -> String {
    let why = match found.anomaly {
        Anomaly::FewerFiles { now, before } => {
            let now = counted(now, "file", "files");
            format!("has {now}, and one before it had {before}")
        }
        Anomaly::FewerBytes { now, before } => {
            let (now, before) = (bytes(now), bytes(before));
            format!("has {now}, and one before it had {before}")
        }
        Anomaly::Changed { new, all } => {
            format!("has {} of new data among {}", bytes(new), bytes(all))
        }
    };
    let (id, time) = (found.snapshot.short(), local_time(found.time));
    format!("  snapshot {id} of {time} {why}")
}

/// What the snapshots of a series have in common, as a message names it.
fn series(group: &PlannedGroup) -> String {
    let series = heading(&group.key);
    match series.trim_end().trim_end_matches(':') {
        "" => "snapshots".to_owned(),
        series => series.to_owned(),
    }
}

/// Why a policy is not applied that would leave nothing.
pub fn emptied(group: &PlannedGroup) -> Failure {
    Failure::failed(format!(
        "the policy keeps none of {} snapshots, and nothing was forgotten: {}{}\nGive a rule that keeps some, or --allow-empty.",
        group.remove.len(),
        series(group),
        claims(group.claim)
    ))
}

/// Which of a host's series it is, where that is not the one that people know of.
fn claims(claim: Claim) -> &'static str {
    match claim {
        Claim::Plausible => "",
        Claim::Early | Claim::Late => {
            ", a series that claims another time than the log and the place show (see --trust-times)"
        }
    }
}

/// Snapshots that were named, with what each frees by its going alone where that was found out.
pub fn named(
    app: &App,
    found: &[SnapshotInfo],
    frees: &Frees,
    compact: bool,
) -> Result<(), Failure> {
    let frees_cell = |info: &SnapshotInfo| frees.get(&info.id).map_or(String::new(), |b| bytes(*b));
    let extra = (!frees.is_empty()).then(|| Extra {
        head: "Frees",
        cells: found.iter().map(frees_cell).collect(),
    });
    app.terminal
        .say(table(found, compact, room(), extra.as_ref()).trim_end())
}

/// What becomes of snapshots after they were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It was a dry run.
    Nothing,
    /// They are forgotten, and their data stays for now.
    Kept,
    /// A prune without grace follows.
    Deleted,
}

/// How many were forgotten, or would have been.
pub fn total(app: &App, count: u64, then: Then) -> Result<(), Failure> {
    let counted = counted(count, "snapshot", "snapshots");
    app.terminal.say(&match (then, count) {
        (_, 0) => "nothing to forget".to_owned(),
        (Then::Nothing, _) => format!("Would have forgotten {counted}"),
        (Then::Deleted, _) => format!("{counted} forgotten"),
        (Then::Kept, _) => format!(
            "{counted} forgotten; `larder unforget` takes that back until a prune has deleted the data"
        ),
    })
}

/// What snapshots free by going, each alone.
pub type Frees = BTreeMap<SnapshotId, u64>;

/// How wide a table may be.
fn room() -> Option<usize> {
    terminal::columns(&std::io::stdout())
}

#[cfg(test)]
mod tests {
    use super::*;
    use repo_core::id::SnapshotId;
    use repo_core::ops::Span;

    #[test]
    fn policies_are_said_as_restic_says_them() {
        let mut all = Policy::default();
        assert_eq!(words(&all), "remove");
        all.counts.insert(Period::Last, Count::Newest(3));
        all.counts.insert(Period::Daily, Count::All);
        all.counts.insert(Period::Yearly, Count::Newest(0));
        assert_eq!(words(&all), "keep 3 latest, all daily snapshots");
        let span = Span::parse("1y2d").unwrap();
        all.within.insert(Period::Weekly, span);
        all.within.insert(Period::Last, span);
        all.tags = vec![vec!["a".into(), "b".into()]];
        all.ids = vec![SnapshotId([0xab; 32])];
        assert_eq!(
            words(&all),
            "keep 3 latest, all daily snapshots, weekly snapshots within 1y2d and all snapshots with tags [[a, b]] \
             and all snapshots within 1y2d of the newest and the snapshots abababab"
        );
    }
}
