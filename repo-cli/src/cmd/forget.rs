//! `larder forget`

mod keep;
mod report;

use crate::app::App;
use crate::cmd::prune::{self, PruneFlags, Told};
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::selection::{self, SelectionFlags, parse_group_by};
use crate::{message, process, repository, when};
use clap::Args;
use keep::KeepFlags;
use repo_core::id::SnapshotId;
use repo_core::ops::{
    self, Forget, ForgetOptions, ForgetPlan, Grouping, Quarantine, WithinSize, forget_ids,
};
use repo_core::repo::Repo;
use repo_core::snapshot::{self, Filter, GroupBy, SnapshotInfo};
use repo_core::time;
use repo_core::{Error, ErrorKind};
use report::{Frees, Then};
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

    /// Only those with this label, or without one if it is ''; may be given more than once
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,

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

impl Arguments {
    /// What becomes of what is forgotten.
    fn then(&self) -> Then {
        match (self.dry_run, self.prune && self.how_to_prune.at_once()) {
            (true, _) => Then::Nothing,
            (false, true) => Then::Deleted,
            (false, false) => Then::Kept,
        }
    }
}

/// Forgets by policy, or what is named.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let filter = SelectionFlags {
        host: arguments.which.host.clone(),
        tag: arguments.which.tag.clone(),
        label: arguments.which.label.clone(),
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
    let frees = match arguments.dry_run && plan.removed().next().is_some() {
        true => frees(app, repo)?,
        false => Frees::new(),
    };
    if plan.groups.is_empty() && plan.unreadable.is_empty() && !app.terminal.json() {
        app.terminal.say("no snapshot matches")?;
    }
    report::plan(app, &plan, &frees, arguments.compact)?;
    report::total(app, plan.removed().count() as u64, arguments.then())?;
    let exit = Exit::with_problems(problems(app, &plan));
    let removed = plan.removed().map(|decided| decided.info.id).collect();
    prune_after(app, repo, arguments, removed, exit, Told::Problems)
}

/// What each snapshot that goes would free by its going alone: none, and a warning, if anything that is needed for that cannot be read. To
/// forget takes less.
fn frees(app: &App, repo: &Repo) -> Result<Frees, Failure> {
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
    told: Told,
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
    let pruned = prune::prune(app, repo, &options, told)?;
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
        let frees = match arguments.dry_run && !app.terminal.quiet() && !found.is_empty() {
            true => frees(app, repo)?,
            false => Frees::new(),
        };
        report::named(app, &found, &frees, arguments.compact)?;
    }
    report::total(app, count as u64, arguments.then())?;
    // With IDs nothing else is written for programs.
    prune_after(app, repo, arguments, ids, Exit::Done, Told::Everything)
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
