//! `larder forget`

mod report;

use crate::app::App;
use crate::cmd::prune::{self, PruneFlags};
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::selection::{self, SelectionFlags, parse_group_by, tags};
use crate::{message, process, repository, size, when};
use clap::Args;
use repo_core::id::SnapshotId;
use repo_core::ops::{
    self, Count, Forget, ForgetOptions, ForgetPlan, Grouping, Period, Policy, Quarantine, Span,
    WithinSize, forget_ids,
};
use repo_core::repo::Repo;
use repo_core::snapshot::{self, Filter, GroupBy, SnapshotInfo};
use repo_core::time;
use repo_core::{Error, ErrorKind};
use report::Frees;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Arguments of `forget`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Forget these, without a policy: the beginning of an ID, or `latest`
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    /// Show what would be forgotten, and forget nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Show less of each: no paths, and tags one below the other
    #[arg(short, long)]
    compact: bool,

    #[command(flatten)]
    keep: KeepFlags,

    #[command(flatten)]
    which: WhichFlags,

    #[command(flatten)]
    safety: SafetyFlags,

    /// Prune afterwards, if anything was forgotten or an earlier prune left something to delete
    #[arg(long)]
    prune: bool,

    #[command(flatten)]
    how_to_prune: PruneFlags,
}

/// The policy.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which of a series to keep")]
struct KeepFlags {
    /// The newest N snapshots; for all, here and below, `unlimited`
    #[arg(short = 'l', long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    keep_last: Option<Count>,

    /// The newest of each of the newest N hours that have any
    #[arg(short = 'H', long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    keep_hourly: Option<Count>,

    /// The same by days
    #[arg(short = 'd', long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    keep_daily: Option<Count>,

    /// By weeks, from Monday
    #[arg(short = 'w', long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    keep_weekly: Option<Count>,

    /// By months
    #[arg(short = 'm', long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    keep_monthly: Option<Count>,

    /// By quarters of a year, from January
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    keep_quarterly: Option<Count>,

    /// By years
    #[arg(short = 'y', long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    keep_yearly: Option<Count>,

    /// All that are not older than this, such as 1y5m7d2h, counted from the newest of the series
    #[arg(long, value_name = "DURATION", value_parser = parse_span, allow_hyphen_values = true)]
    keep_within: Option<Span>,

    /// The newest of each hour that is not older than this
    #[arg(long, value_name = "DURATION", value_parser = parse_span, allow_hyphen_values = true)]
    keep_within_hourly: Option<Span>,

    /// The same by days
    #[arg(long, value_name = "DURATION", value_parser = parse_span, allow_hyphen_values = true)]
    keep_within_daily: Option<Span>,

    /// By weeks
    #[arg(long, value_name = "DURATION", value_parser = parse_span, allow_hyphen_values = true)]
    keep_within_weekly: Option<Span>,

    /// By months
    #[arg(long, value_name = "DURATION", value_parser = parse_span, allow_hyphen_values = true)]
    keep_within_monthly: Option<Span>,

    /// By quarters of a year
    #[arg(long, value_name = "DURATION", value_parser = parse_span, allow_hyphen_values = true)]
    keep_within_quarterly: Option<Span>,

    /// By years
    #[arg(long, value_name = "DURATION", value_parser = parse_span, allow_hyphen_values = true)]
    keep_within_yearly: Option<Span>,

    /// As many of the newest, of all series together, as take no more than this in the repository, such as 500G or 500GiB
    #[arg(long, value_name = "SIZE", value_parser = size::parse, allow_hyphen_values = true)]
    keep_within_size: Option<u64>,

    /// Those with all tags of this list, TAG[,TAG...]; may be given more than once
    #[arg(long, value_name = "TAGS")]
    keep_tag: Vec<String>,

    /// This one: the beginning of its ID; may be given more than once
    #[arg(long, value_name = "ID")]
    keep_id: Vec<String>,
}

/// As [`SelectionFlags`], but that `-H` is taken.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which snapshots")]
struct WhichFlags {
    /// Only those of this host; may be given more than once [$LARDER_HOST]
    #[arg(long, value_name = "HOST", alias = "hostname")]
    host: Vec<String>,

    /// Only those with all tags of this list, TAG[,TAG...], or without tags if it is ''; may be given more than once
    #[arg(long, value_name = "TAGS")]
    tag: Vec<String>,

    /// Only those that include this path; may be given more than once
    #[arg(long, value_name = "PATH")]
    path: Vec<PathBuf>,

    /// Make series of those with the same host, paths, tags or label: a list of these words, with commas; '' for one of all
    #[arg(short, long, value_name = "WORDS", value_parser = parse_group_by)]
    group_by: Option<GroupBy>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Safety")]
struct SafetyFlags {
    /// A policy may leave nothing of a series
    #[arg(long, alias = "unsafe-allow-remove-all")]
    allow_empty: bool,

    /// Keep a series whole after one of its snapshots shrank below, or changed by, so many percent; or `off`
    ///
    /// It has less than that many percent of the files or bytes of one of the three before it; or that many percent of what was
    /// there before is gone and of what is there is new, and that is not usual in the series. All that was there before is kept
    /// then for 30 days, or until the snapshot is given the tag `accepted` by somebody who may forget, and the exit code is 3.
    #[arg(long, value_name = "LIMITS", value_parser = parse_quarantine, default_value = "shrunk=50,changed=90")]
    quarantine: Quarantine,

    /// Believe the times that snapshots claim
    ///
    /// Otherwise snapshots whose times the log and the place do not bear out form series of their own, so that they push no
    /// others out.
    #[arg(long)]
    trust_times: bool,
}

/// Forgets by policy, or what is named.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let filter = SelectionFlags {
        host: arguments.which.host.clone(),
        tag: arguments.which.tag.clone(),
        path: arguments.which.path.clone(),
    };
    let narrowed = filter.given();
    let filter = filter.filter(&app.env)?;
    let by_policy = arguments.keep.given();
    if !arguments.snapshots.is_empty() {
        if by_policy {
            return Err(Failure::usage(
                "snapshots are named, and a policy is given\nGive one or the other.",
            ));
        }
        let repo = repository::open(app, false)?.repo;
        return named(app, &repo, &arguments, &filter);
    }
    arguments
        .keep
        .check_empty(arguments.safety.allow_empty, narrowed)?;
    let repo = repository::open(app, false)?.repo;
    let mut policy = arguments.keep.policy(&repo)?;
    if let Some(size) = &mut policy.within_size {
        find_beyond(app, &repo, &filter, size)?;
    }
    let options = ForgetOptions {
        policy,
        filter,
        grouping: arguments
            .which
            .group_by
            .map_or(Grouping::Series, Grouping::By),
        allow_empty: arguments.safety.allow_empty,
        trust_times: arguments.safety.trust_times,
        quarantine: arguments.safety.quarantine,
        offset_at: Some(|time| i64::from(process::utc_offset_min(time)) * 60),
    };
    forget(app, &repo, &options, &arguments)
}

fn forget(
    app: &App,
    repo: &Repo,
    options: &ForgetOptions,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    report::policy(app, &options.policy, &options.grouping)?;
    let mut forget = Forget::new(repo, options)?;
    let plan = forget.plan()?;
    if let Some(group) = plan.emptied().filter(|_| !options.allow_empty) {
        return Err(report::emptied(group));
    }
    let plan = match arguments.dry_run {
        true => plan,
        false => forget.execute()?,
    };
    let frees = match arguments.dry_run {
        true => frees(app, repo, &plan)?,
        false => Frees::new(),
    };
    if plan.groups.is_empty() && plan.unreadable.is_empty() && !app.terminal.json() {
        app.terminal.say("no snapshot matches")?;
    }
    report::plan(app, &plan, &frees, arguments.compact)?;
    report::total(app, plan.removed().count() as u64, arguments.dry_run)?;
    let exit = Exit::with_problems(problems(app, &plan));
    let removed = plan.removed().map(|decided| decided.info.id).collect();
    prune_after(app, repo, arguments, removed, exit)
}

/// What each snapshot that goes would free by its going alone: none, and a warning, if anything that is needed for that cannot be read. To
/// forget takes less.
fn frees(app: &App, repo: &Repo, plan: &ForgetPlan) -> Result<Frees, Failure> {
    if plan.removed().next().is_none() {
        return Ok(Frees::new());
    }
    let all = snapshot::list(repo, &Filter::default()).snapshots;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Stats);
    let sizes = reporter.run(|progress, interrupt| {
        match ops::unique_sizes(repo, &all, progress, interrupt) {
            Err(e) if e.kind() != ErrorKind::Interrupted => Ok(Err(e)),
            sizes => sizes.map(Ok),
        }
    })?;
    Ok(match sizes {
        Ok(sizes) => all.iter().map(|info| info.id).zip(sizes).collect(),
        Err(error) => {
            let why = message::reason(&error);
            app.terminal.warn(&format!(
                "what the snapshots would free is not known: {why}"
            ));
            Frees::new()
        }
    })
}

/// Finds out which snapshots do not fit into so many bytes, the newest first.
fn find_beyond(
    app: &App,
    repo: &Repo,
    filter: &Filter,
    size: &mut WithinSize,
) -> Result<(), Failure> {
    let mut all = snapshot::list(repo, filter).snapshots;
    all.reverse();
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Stats);
    let fit = reporter
        .run(|progress, interrupt| ops::fit(repo, &all, size.bytes, progress, interrupt))?;
    size.beyond = all[fit.count..].iter().map(|info| info.id).collect();
    Ok(())
}

/// Prunes if that was asked for and there is a reason to.
fn prune_after(
    app: &App,
    repo: &Repo,
    arguments: &Arguments,
    removed: Vec<SnapshotId>,
    exit: Exit,
) -> Result<Exit, Failure> {
    let left = repo.state().condemned().next().is_some();
    if !arguments.prune || removed.is_empty() && !left {
        return Ok(exit);
    }
    let mut options = arguments.how_to_prune.options(arguments.dry_run);
    if arguments.dry_run {
        options.without = removed;
    }
    app.terminal.say("")?;
    let pruned = prune::prune(app, repo, &options, prune::Told::Problems)?;
    Ok(if exit == Exit::Partial { exit } else { pruned })
}

/// Names what keeps a forget from being all done, and counts it.
fn problems(app: &App, plan: &ForgetPlan) -> u64 {
    for (_, error) in &plan.unreadable {
        app.terminal
            .warn(&format!("{}, and kept", message::reason(error)));
    }
    let held = plan
        .groups
        .iter()
        .filter(|group| !group.quarantine.is_empty());
    let held = held.inspect(|group| report::quarantine(app, group)).count();
    (held + plan.unreadable.len()) as u64
}

/// Forgets the snapshots of these names.
fn named(app: &App, repo: &Repo, arguments: &Arguments, filter: &Filter) -> Result<Exit, Failure> {
    let found = selection::list(app, repo, &arguments.snapshots, filter)?.snapshots;
    refuse_protected(repo, &found)?;
    let ids: Vec<_> = found.iter().map(|info| info.id).collect();
    let count = match arguments.dry_run {
        true => ids.len(),
        false => forget_ids(repo, &ids).map_err(protected)?.len(),
    };
    if !app.terminal.json() {
        report::named(app, &found, arguments.compact)?;
    }
    report::total(app, count as u64, arguments.dry_run)?;
    prune_after(app, repo, arguments, ids, Exit::Done)
}

fn refuse_protected(repo: &Repo, found: &[SnapshotInfo]) -> Result<(), Failure> {
    let (state, now) = (repo.state(), time::now());
    let first = found.iter().find(|info| state.is_protected(&info.id, now));
    let until = first.and_then(|info| Some((info, state.terms(&info.id).protected_until?)));
    match until {
        None => Ok(()),
        Some((info, until)) => Err(is_protected(&info.id.short(), Some(&when::shown(until)))),
    }
}

fn protected(error: Error) -> Failure {
    match (error.kind(), error.subject()) {
        (ErrorKind::Denied, repo_core::Subject::Snapshot(id)) => is_protected(&id.short(), None),
        _ => error.into(),
    }
}

fn is_protected(id: &str, until: Option<&str>) -> Failure {
    let until = match until {
        Some("forever") => ", forever".to_owned(),
        Some(time) => format!(" until {time}"),
        None => String::new(),
    };
    Failure::failed(format!(
        "snapshot {id} is protected{until}, and nothing was forgotten\n`larder protect --remove {id}` takes that back."
    ))
}

impl KeepFlags {
    fn counts(&self) -> [(Period, Option<Count>); 7] {
        [
            (Period::Last, self.keep_last),
            (Period::Hourly, self.keep_hourly),
            (Period::Daily, self.keep_daily),
            (Period::Weekly, self.keep_weekly),
            (Period::Monthly, self.keep_monthly),
            (Period::Quarterly, self.keep_quarterly),
            (Period::Yearly, self.keep_yearly),
        ]
    }

    fn spans(&self) -> [(Period, Option<Span>); 7] {
        [
            (Period::Last, self.keep_within),
            (Period::Hourly, self.keep_within_hourly),
            (Period::Daily, self.keep_within_daily),
            (Period::Weekly, self.keep_within_weekly),
            (Period::Monthly, self.keep_within_monthly),
            (Period::Quarterly, self.keep_within_quarterly),
            (Period::Yearly, self.keep_within_yearly),
        ]
    }

    /// Whether there is any of these flags.
    fn given(&self) -> bool {
        self.counts().iter().any(|(_, count)| count.is_some())
            || self.spans().iter().any(|(_, span)| span.is_some())
            || !self.keep_tag.is_empty()
            || !self.keep_id.is_empty()
            || self.keep_within_size.is_some()
    }

    /// A policy that keeps nothing is refused, unless it is meant and only for some.
    fn check_empty(&self, allow_empty: bool, narrowed: bool) -> Result<(), Failure> {
        let nothing = self.without_ids().is_empty() && self.keep_id.is_empty();
        match (nothing, allow_empty, narrowed) {
            (false, ..) | (true, true, true) => Ok(()),
            (true, true, false) => Err(Failure::usage(
                "a policy that keeps nothing would forget everything\nSay of what with --host, --tag or --path.",
            )),
            (true, false, _) => Err(Failure::usage(
                "no policy was specified, no snapshots will be removed\nSay what to keep, such as --keep-daily 7, or name snapshots by their IDs.",
            )),
        }
    }

    fn without_ids(&self) -> Policy {
        let counts = self.counts().into_iter();
        let spans = self.spans().into_iter();
        let list = |text: &String| tags(std::slice::from_ref(text));
        Policy {
            counts: counts.filter_map(|(p, count)| Some((p, count?))).collect(),
            within: spans.filter_map(|(p, span)| Some((p, span?))).collect(),
            tags: self.keep_tag.iter().map(list).collect(),
            ids: Vec::new(),
            within_size: self.keep_within_size.map(|bytes| WithinSize {
                bytes,
                beyond: BTreeSet::new(),
            }),
        }
    }

    /// The policy. An id that names no snapshot, or several, is refused: what it should keep would go.
    fn policy(&self, repo: &Repo) -> Result<Policy, Failure> {
        let found = self.keep_id.iter();
        let ids = found.map(|name| Ok(selection::find(repo, name, &Filter::default())?.id));
        Ok(Policy {
            ids: ids.collect::<Result<_, Failure>>()?,
            ..self.without_ids()
        })
    }
}

fn parse_count(text: &str) -> Result<Count, String> {
    match text {
        "unlimited" | "-1" => Ok(Count::All),
        _ => text.parse().map(Count::Newest).map_err(|_| {
            "expected a number of at most ten digits, or `unlimited` for all".to_owned()
        }),
    }
}

fn parse_span(text: &str) -> Result<Span, String> {
    Span::parse(text).map_err(|error| {
        let why = error.detail_text().unwrap_or_default();
        format!("{why}; expected a duration such as 1y5m7d2h")
    })
}

/// Reads `shrunk=PERCENT,changed=PERCENT`, either alone, or `off`; what is not named is off.
fn parse_quarantine(text: &str) -> Result<Quarantine, String> {
    let mut limits = Quarantine::OFF;
    if text == "off" {
        return Ok(limits);
    }
    for part in text.split(',') {
        let expected = || "expected shrunk=PERCENT,changed=PERCENT, or `off`".to_owned();
        let (name, percent) = part.split_once('=').ok_or_else(expected)?;
        let field = match name {
            "shrunk" => &mut limits.shrunk_percent,
            "changed" => &mut limits.changed_percent,
            _ => return Err(expected()),
        };
        let percent = percent.strip_suffix('%').unwrap_or(percent);
        let percent = percent
            .parse()
            .ok()
            .filter(|percent| (1..=100).contains(percent));
        *field = Some(percent.ok_or("expected 1 to 100 percent")?);
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_unlimited() {
        assert_eq!(parse_count("7"), Ok(Count::Newest(7)));
        assert_eq!(parse_count("unlimited"), Ok(Count::All));
        assert_eq!(parse_count("-1"), Ok(Count::All));
        for wrong in ["-2", "", "many", "99999999999", "1.5"] {
            assert!(parse_count(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_of_quarantine() {
        let limits = |shrunk_percent, changed_percent| {
            Ok(Quarantine {
                shrunk_percent,
                changed_percent,
            })
        };
        assert_eq!(parse_quarantine("off"), Ok(Quarantine::OFF));
        assert_eq!(parse_quarantine("shrunk=30%"), limits(Some(30), None));
        assert_eq!(
            parse_quarantine("changed=5,shrunk=6"),
            limits(Some(6), Some(5))
        );
        assert_eq!(
            parse_quarantine("shrunk=50,changed=90"),
            Ok(Quarantine::default())
        );
        for wrong in [
            "",
            "50",
            "shrunk",
            "shrunk=0",
            "shrunk=101",
            "grown=5",
            "shrunk=5,",
        ] {
            assert!(parse_quarantine(wrong).is_err(), "{wrong}");
        }
    }
}
