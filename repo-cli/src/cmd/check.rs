//! `larder check`

mod meaning;

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::message::reason;
use crate::reporter::{Reporter, Work};
use crate::selection::{self, SelectionFlags};
use crate::text::{bytes, counted, duration, printable};
use crate::{json, replicas, repository, size};
use clap::Args;
use meaning::{is_of_index, is_stranger, meaning};
use repo_core::Subject;
use repo_core::format::name::ObjectKind;
use repo_core::id::SnapshotId;
use repo_core::ops::{self, CheckOptions, CheckSummary, Finding, Harm, Subset};
use repo_core::repo::Repo;
use repo_core::snapshot::Filter;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Read only what these reach: the beginnings of their IDs, or `latest`; all if none is named and no flag chooses some
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    #[command(flatten)]
    selection: SelectionFlags,

    /// Read and verify all data too, not only that it is there
    #[arg(long)]
    read_data: bool,

    /// Read and verify a part of all data: the N-th of T parts, some of a hundred packs, or about so many bytes
    ///
    /// N/T takes the same packs each time, so that runs with 1/T to T/T read all of them. X% and sizes (as 500M or 2G) take
    /// packs at random.
    #[arg(long, value_name = "N/T|X%|SIZE")]
    read_data_subset: Option<String>,

    /// Compare the replicas with the repository too; with --read-data everything in them is read
    #[arg(long)]
    replicas: bool,

    /// Accepted without effect: what a check proves it reads from the repository
    #[arg(long)]
    with_cache: bool,
}

/// Checks the repository; damage is a failure.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let mut options = options(&arguments)?;
    let filter = filter(app, &arguments)?;
    let replicas = match arguments.replicas {
        true => replicas::to_compare(app)?,
        false => Vec::new(),
    };
    let repo = repository::open(app, false)?.repo;
    options.snapshots = match filter {
        Some(filter) => Some(chosen(app, &repo, &arguments.snapshots, &filter)?),
        None => None,
    };
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Check);
    let summary =
        reporter.run(|progress, interrupt| ops::check(&repo, &options, progress, interrupt))?;
    for finding in &summary.findings {
        app.terminal.to_stderr(&match app.terminal.json() {
            true => json::line(&error_message(finding)),
            false => error_text(finding),
        });
    }
    if app.terminal.json() {
        app.json_summary(&message(&summary))?;
    } else {
        app.terminal.say(&format!(
            "checked {} and {}, read {} in {}",
            counted(summary.snapshots, "snapshot", "snapshots"),
            counted(summary.packs, "pack", "packs"),
            bytes(summary.bytes_read),
            duration(reporter.elapsed())
        ))?;
        if options.subset.is_some() || options.snapshots.is_some() && options.read_data {
            app.terminal.say(&format!(
                "all data was read in {} of {}",
                summary.data_packs_read,
                counted(summary.data_packs, "pack of data", "packs of data")
            ))?;
        }
        say_unreferenced(app, &summary)?;
        say_absent(app, &summary.absent)?;
        let goes = "condemned or forgotten, and not whole: no snapshot needs that, and a prune deletes it after its grace";
        say_names(app, &summary.condemned, goes)?;
    }
    if summary.findings.is_empty() {
        app.terminal.say("no errors were found")?;
    }
    let wrong = replicas::compare(app, &repo, replicas, arguments.read_data)?;
    if summary.findings.is_empty() {
        return match wrong {
            0 => Ok(Exit::Done),
            _ => Err(Failure::failed(format!(
                "{} not as the repository is\nThe repository itself is whole; `larder sync` brings them up.",
                counted(wrong, "replica is", "replicas are")
            ))),
        };
    }
    let errors = counted(summary.findings.len() as u64, "error", "errors");
    let meaning = meaning(&repo, &summary.findings);
    Err(Failure::failed(format!(
        "repository contains errors: {errors}\n{meaning}"
    )))
}

/// Which snapshots are meant, if not all. The environment names none: nobody shall believe that all was checked when it was not.
fn filter(app: &App, arguments: &Arguments) -> Result<Option<Filter>, Failure> {
    let mut filter = arguments.selection.filter(&app.env)?;
    if arguments.selection.host.is_empty() {
        filter.hosts.clear();
    }
    let all = arguments.snapshots.is_empty()
        && filter.hosts.is_empty()
        && filter.paths.is_empty()
        && filter.tags.is_empty()
        && filter.labels.is_empty();
    Ok((!all).then_some(filter))
}

/// The snapshots that are meant, one at least.
fn chosen(
    app: &App,
    repo: &Repo,
    names: &[String],
    filter: &Filter,
) -> Result<Vec<SnapshotId>, Failure> {
    let found = selection::list(app, repo, names, filter)?.snapshots;
    match found.is_empty() {
        false => Ok(found.iter().map(|info| info.id).collect()),
        true => Err(Failure::failed(
            "there is no snapshot that fits, and nothing was checked\n`larder snapshots` lists those that there are.",
        )),
    }
}

/// What is to be read. An empty subset is refused: with restic a variable that is not set would have it read nothing.
fn options(arguments: &Arguments) -> Result<CheckOptions, Failure> {
    let subset = arguments.read_data_subset.as_deref();
    if arguments.read_data && subset.is_some() {
        return Err(Failure::usage(
            "--read-data and --read-data-subset contradict each other\nGive only one of them.",
        ));
    }
    Ok(CheckOptions {
        read_data: arguments.read_data,
        subset: subset.map(parse_subset).transpose()?,
        snapshots: None,
    })
}

/// Reads `n/t`, `x%` or a size.
fn parse_subset(text: &str) -> Result<Subset, Failure> {
    let wrong = |why: &str| {
        Failure::usage(format!(
            "--read-data-subset={}: {why}\nGive it as a part, 1/5, as a percentage, 2.5%, or as a size, 500M.",
            printable(text)
        ))
    };
    let unknown = || match text.is_empty() {
        true => wrong("this names nothing to read"),
        false => wrong("this is neither a part, nor a percentage, nor a size"),
    };
    let (subset, bounds) = if let Some((part, parts)) = text.split_once('/') {
        let number = |text: &str| text.parse().map_err(|_| unknown());
        let (part, parts) = (number(part)?, number(parts)?);
        let bounds = "in n/t both must be positive, and n at most t";
        (Subset::Part { part, parts }, bounds)
    } else if let Some(percent) = text.strip_suffix('%') {
        let percent = percent.parse().map_err(|_| unknown())?;
        let bounds = "a percentage must be above 0 and at most 100";
        (Subset::Percent(percent), bounds)
    } else {
        let bytes = size::parse_with_unit(text).ok_or_else(unknown)?;
        (Subset::Bytes(bytes), "a size must be above 0")
    };
    subset.check().map_err(|_| wrong(bounds))?;
    Ok(subset)
}

/// What is wrong. A stranger is no object, so it is not called one.
fn wrong(finding: &Finding) -> String {
    match finding.error.subject() {
        Subject::Object(name) if is_stranger(finding) => {
            format!("{} does not belong to the repository", printable(name))
        }
        _ => reason(&finding.error),
    }
}

fn message(summary: &CheckSummary) -> json::CheckSummary {
    let broken = summary
        .findings
        .iter()
        .filter_map(|finding| match finding.error.subject() {
            Subject::Pack(id) => Some(id.to_hex()),
            _ => None,
        });
    let broken: BTreeSet<String> = broken.collect();
    json::CheckSummary {
        message_type: "summary",
        num_errors: summary.findings.len() as u64,
        broken_packs: broken.into_iter().collect(),
        suggest_repair_index: summary.findings.iter().any(is_of_index),
        suggest_prune: !summary.unreferenced.is_empty(),
        snapshots: summary.snapshots,
        packs: summary.packs,
        data_packs: summary.data_packs,
        data_packs_read: summary.data_packs_read,
        bytes_read: summary.bytes_read,
        unreferenced: summary.unreferenced.clone(),
        uncommitted: summary
            .uncommitted
            .iter()
            .map(|(id, _)| id.to_hex())
            .collect(),
        absent: summary.absent.clone(),
        condemned: summary.condemned.clone(),
    }
}

fn error_message(finding: &Finding) -> json::CheckError {
    let affected = finding
        .affected
        .iter()
        .map(|(snapshot, path)| json::Affected {
            snapshot: snapshot.to_hex(),
            path: path.to_string_lossy().into_owned(),
        });
    json::CheckError {
        message_type: "error",
        message: wrong(finding),
        affected: affected.collect(),
        affected_more: finding.affected_more,
    }
}

fn error_text(finding: &Finding) -> String {
    let mut text = format!("error: {}\n", wrong(finding));
    if finding.harm == Harm::None && matches!(finding.error.subject(), Subject::Pack(_)) {
        text.push_str("  touches no file: all that is stored in it can be read\n");
    }
    for (snapshot, path) in &finding.affected {
        let path = path.to_string_lossy();
        let _ = writeln!(
            text,
            "  touches {} in snapshot {}",
            printable(&path),
            snapshot.short()
        );
    }
    if finding.affected_more > 0 {
        let _ = writeln!(
            text,
            "  and {} more",
            counted(finding.affected_more, "file", "files")
        );
    }
    text
}

/// How many names are shown of objects that are no errors, unless more is asked for.
const NAMES_SHOWN: usize = 20;

/// What nothing uses is what an interrupted run left, unless an entry of the log is lost: that one may use it.
fn say_unreferenced(app: &App, summary: &CheckSummary) -> Result<(), Failure> {
    let log_is_damaged = summary.findings.iter().any(Finding::is_of_log);
    let what = match (log_is_damaged, summary.uncommitted.is_empty()) {
        (true, _) => {
            "used by nothing that can be read: keep them, a damaged log entry may be about them"
        }
        (false, false) => {
            "used by nothing: left by a run that was stopped at its end, if no newer log entry was lost"
        }
        (false, true) => {
            "used by nothing: harmless, left by runs that were stopped, or overtaken by others"
        }
    };
    say_names(app, &summary.unreferenced, what)?;
    for (id, which) in summary.uncommitted.iter().take(NAMES_SHOWN) {
        let line = format!("  snapshot {} is not committed: {which}", id.short());
        app.terminal.say(&printable(&line))?;
    }
    Ok(())
}

fn say_absent(app: &App, absent: &[String]) -> Result<(), Failure> {
    let tables = format!("{}/", ObjectKind::Index.folder());
    let what = match absent.iter().any(|object| object.starts_with(&tables)) {
        false => "missing or damaged: no data is lost by that",
        true => {
            "missing or damaged: no data is lost by that, but a prune needs `larder repair index` first"
        }
    };
    say_names(app, absent, what)
}

fn say_names(app: &App, names: &[String], what: &str) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let count = counted(names.len() as u64, "object is", "objects are");
    app.terminal.say(&format!("{count} {what}"))?;
    let (shown, more) = names.split_at(names.len().min(NAMES_SHOWN));
    shown
        .iter()
        .try_for_each(|name| app.terminal.say(&format!("  {name}")))?;
    more.iter()
        .try_for_each(|name| app.terminal.say_more(&format!("  {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_all_data_are_written_as_with_restic() {
        let parse = |text| parse_subset(text).ok();
        assert_eq!(parse("2/5"), Some(Subset::Part { part: 2, parts: 5 }));
        assert!(parse("366/366").is_some());
        assert_eq!(parse("2.5%"), Some(Subset::Percent(2.5)));
        assert_eq!(parse("100%"), Some(Subset::Percent(100.0)));
        assert_eq!(parse("3k"), Some(Subset::Bytes(3072)));
        assert_eq!(parse("2T"), Some(Subset::Bytes(2 << 40)));
        assert_eq!(parse("2MiB"), Some(Subset::Bytes(2 << 20)));
        for wrong in [
            "0/2",
            "3/2",
            "1/0",
            "-1/2",
            "1/2/3",
            "a/b",
            "1/2%",
            "0%",
            "101%",
            "-5%",
            "nan%",
            "inf%",
            "x%",
            "1000",
            "0",
            "0K",
            "5.5K",
            "1MX",
            "1Q",
            "K",
            "é",
            "99999999999999T",
            "1/",
            "%",
            "/",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_part_is_said() {
        let said = |text| parse_subset(text).unwrap_err().text().to_owned();
        assert!(said("3/2").contains("n at most t"));
        assert!(said("0%").contains("at most 100"));
        assert!(said("0k").contains("above 0"));
        assert!(said("much").contains("neither"));
        assert!(said("").contains("names nothing") && said("").contains("1/5"));
        assert!(!said("\x1b[2J").contains('\x1b'));
    }
}
