//! `larder prune`

mod report;

use crate::app::App;
use crate::cmd::unforget;
use crate::exit::{Exit, Failure};
use crate::reporter::{Reporter, Work};
use crate::text::{counted, printable};
use crate::{json, repository, size};
use clap::Args;
use jiff::{Span, SpanRelativeTo, Unit};
use repo_core::ops::{self, MaxUnused, PruneOptions};
use repo_core::repo::Repo;
use std::collections::HashSet;
use std::time::Duration;

/// Arguments of `prune`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    flags: PruneFlags,

    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

const HEADING: &str = "Freeing space";

/// How space is freed; `forget --prune` has these too.
#[derive(Args, Debug)]
pub struct PruneFlags {
    /// Most that may stay unused, of all that is stored (5%), in bytes (500M or 500MiB), or `unlimited`: packs of which less is unused are not
    /// rewritten
    #[arg(long, value_name = "SIZE|N%|unlimited", default_value = "5%", value_parser = parse_max_unused, allow_hyphen_values = true, help_heading = HEADING)]
    max_unused: MaxUnused,

    /// Rewrite packs of no more bytes than this, such as 2G or 2GiB
    #[arg(long, value_name = "SIZE", value_parser = size::parse, allow_hyphen_values = true, help_heading = HEADING)]
    max_repack_size: Option<u64>,

    /// Rewrite packs of trees only
    #[arg(long, help_heading = HEADING)]
    repack_cacheable_only: bool,

    /// Join packs that have less than four fifths of the usual size
    #[arg(long, help_heading = HEADING)]
    repack_small: bool,

    /// Join packs that have fewer bytes than this
    #[arg(long, value_name = "SIZE", value_parser = size::parse, help_heading = HEADING)]
    repack_smaller_than: Option<u64>,

    /// Compress what is stored uncompressed; reads all of it, also what does not shrink
    #[arg(long, help_heading = HEADING)]
    repack_uncompressed: bool,

    /// How long what nothing needs stays before it is deleted, so that `unforget` can bring it back: as 7d, 12h or 0
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = parse_grace, allow_hyphen_values = true, help_heading = HEADING)]
    grace: Duration,
}

impl PruneFlags {
    /// Whether what is condemned is deleted by the same run.
    pub fn at_once(&self) -> bool {
        self.grace.is_zero()
    }

    /// As the library wants them.
    pub fn options(&self, dry_run: bool) -> PruneOptions {
        PruneOptions {
            max_unused: self.max_unused,
            max_repack_bytes: self.max_repack_size,
            repack_small: self.repack_small,
            repack_smaller_than: self.repack_smaller_than,
            repack_uncompressed: self.repack_uncompressed,
            trees_only: self.repack_cacheable_only,
            grace: self.grace,
            dry_run,
            ..PruneOptions::default()
        }
    }
}

/// Reads `5%`, `500M` or `unlimited`.
fn parse_max_unused(text: &str) -> Result<MaxUnused, String> {
    if text == "unlimited" {
        return Ok(MaxUnused::Unlimited);
    }
    let Some(percent) = text.strip_suffix('%') else {
        return size::parse(text).map(MaxUnused::Bytes);
    };
    match percent.parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(MaxUnused::Percent(percent)),
        _ => Err("a percentage must be a number from 0 to 100".into()),
    }
}

/// Reads a span of time without months and years, whose lengths differ.
fn parse_grace(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = || "expected a time as in 7d, 36h or 1w, or 0".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    // Everywhere else `m` is a month.
    let is_minutes = span.get_minutes() != 0 && !text.contains("min");
    if span.get_months() != 0 || span.get_years() != 0 || is_minutes {
        return Err("months and years differ in length: give days, or `min` for minutes".into());
    }
    let relative = SpanRelativeTo::days_are_24_hours();
    let seconds = span.total((Unit::Second, relative)).map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "must not be negative".into())
}

/// Frees what no snapshot needs.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let repo = repository::open(app, false)?.repo;
    let options = arguments.flags.options(arguments.dry_run);
    prune(app, &repo, &options, Told::Everything)
}

/// What programs are told of a prune; people are told everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// A summary.
    Everything,
    /// What went wrong: another command has said what it did, and that is to stay the only document, as with restic.
    Problems,
}

/// Frees what no snapshot needs, and tells of it.
pub fn prune(app: &App, repo: &Repo, options: &PruneOptions, told: Told) -> Result<Exit, Failure> {
    // Afterwards they are not known any more.
    let replaced = match app.terminal.json() || app.terminal.quiet() {
        true => HashSet::new(),
        false => unforget::replaced(repo),
    };
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Prune);
    let summary =
        reporter.run(|progress, interrupt| ops::prune(repo, options, progress, interrupt))?;
    if app.terminal.json() {
        if told == Told::Everything {
            app.json_summary(&report::message(&summary, options))?;
        }
    } else {
        let outcome = match options.dry_run {
            true => report::would(&summary.plan, options.grace, &replaced),
            false => report::did(&summary, options.grace, &replaced),
        };
        let text = report::plan(&summary.plan) + &outcome;
        app.terminal.say(text.trim_end())?;
    }
    for (name, why) in &summary.refused {
        app.terminal
            .to_stderr(&refused(app.terminal.json(), name, &printable(why)));
    }
    if !summary.refused.is_empty() {
        app.terminal
            .warn("nothing refers to these any more; prune again with credentials that may delete");
    }
    if summary.waits_for > 0 {
        let others = counted(summary.waits_for, "process", "processes");
        app.terminal.warn(&format!(
            "{others} at work may rely on what is to be deleted: prune again when they have ended"
        ));
    }
    Ok(Exit::with_problems(
        summary.refused.len() as u64 + summary.waits_for,
    ))
}

/// Names an object that the place did not let go, to people or programs.
fn refused(json: bool, name: &str, why: &str) -> String {
    let message = format!("was not removed: {why}");
    match json {
        true => json::line(&json::Problem {
            message_type: "error",
            error: json::Message { message: &message },
            during: "prune",
            item: name,
        }),
        false => format!("error: {name} {message}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_told_to_people_and_programs() {
        let said = |json| refused(json, "data/00/00", "not allowed");
        assert_eq!(
            said(false),
            "error: data/00/00 was not removed: not allowed\n"
        );
        let message: serde_json::Value = serde_json::from_str(&said(true)).unwrap();
        assert_eq!(message["message_type"], "error");
        assert_eq!(message["error"]["message"], "was not removed: not allowed");
        assert_eq!(message["item"], "data/00/00");
    }

    #[test]
    fn limits_and_times_are_read() {
        assert_eq!(parse_max_unused("unlimited"), Ok(MaxUnused::Unlimited));
        assert_eq!(parse_max_unused("5%"), Ok(MaxUnused::Percent(5.0)));
        assert_eq!(parse_max_unused("2k"), Ok(MaxUnused::Bytes(2048)));
        for wrong in ["101%", "-1%", "x%", "nan%", "much", ""] {
            assert!(parse_max_unused(wrong).is_err(), "{wrong}");
        }
        let days = |days: u64| Ok(Duration::from_secs(days * 86400));
        assert_eq!(parse_grace("0"), days(0));
        assert_eq!(parse_grace("7d"), days(7));
        assert_eq!(parse_grace("1w 24h"), days(8));
        assert_eq!(parse_grace("90min"), Ok(Duration::from_secs(5400)));
        for wrong in ["7", "-1d", "1m", "1mo", "1y", "x", "99999999999999999999d"] {
            assert!(parse_grace(wrong).is_err(), "{wrong}");
        }
    }
}
