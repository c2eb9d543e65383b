//! The flags of a policy.

use crate::exit::Failure;
use crate::selection::{self, tags};
use crate::size;
use clap::Args;
use repo_core::ops::{Count, Period, Policy, Span, WithinSize};
use repo_core::repo::Repo;
use repo_core::snapshot::Filter;
use std::collections::BTreeSet;

/// The policy.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which of a series to keep")]
pub struct KeepFlags {
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
    pub fn given(&self) -> bool {
        self.counts().iter().any(|(_, count)| count.is_some())
            || self.spans().iter().any(|(_, span)| span.is_some())
            || !self.keep_tag.is_empty()
            || !self.keep_id.is_empty()
            || self.keep_within_size.is_some()
    }

    /// A policy that keeps nothing is refused, unless it is meant and only for some.
    pub fn check_empty(&self, allow_empty: bool, narrowed: bool) -> Result<(), Failure> {
        let nothing = self.without_ids().is_empty() && self.keep_id.is_empty();
        match (nothing, allow_empty, narrowed) {
            (false, ..) | (true, true, true) => Ok(()),
            (true, true, false) => Err(Failure::usage(
                "a policy that keeps nothing would forget everything\nSay of what with --host, --tag, --label or --path.",
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
    pub fn policy(&self, repo: &Repo) -> Result<Policy, Failure> {
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
}
