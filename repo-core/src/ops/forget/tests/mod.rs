//! Policies against what restic says, and plans over snapshots made up, night after night.

mod nights;
mod plans;
mod restic;

use super::policy::{Count, Period, Policy, Reason, Span};

/// What restic calls a reason.
fn text(reason: &Reason) -> String {
    let name = |period: &Period| match period {
        Period::Last => "last",
        Period::Hourly => "hourly",
        Period::Daily => "daily",
        Period::Weekly => "weekly",
        Period::Monthly => "monthly",
        Period::Quarterly => "quarterly",
        Period::Yearly => "yearly",
    };
    match reason {
        Reason::Id => "id".to_owned(),
        Reason::WithinSize(bytes) => format!("within {bytes} bytes"),
        Reason::Tags(tags) => format!("has tags [{}]", tags.join(", ")),
        Reason::Within(span) => format!("within {span}"),
        Reason::Newest(period) => format!("{} snapshot", name(period)),
        Reason::Oldest(period) => format!("oldest {} snapshot", name(period)),
        Reason::NewestWithin(period, span) => format!("{} within {span}", name(period)),
        Reason::OldestWithin(period, span) => format!("oldest {} within {span}", name(period)),
    }
}

/// Reads flags of the command line.
fn policy(flags: &str) -> Policy {
    let period = |name: &str| match name {
        "last" | "" => Period::Last,
        "hourly" => Period::Hourly,
        "daily" => Period::Daily,
        "weekly" => Period::Weekly,
        "monthly" => Period::Monthly,
        "quarterly" => Period::Quarterly,
        "yearly" => Period::Yearly,
        other => panic!("{other}"),
    };
    let mut policy = Policy::default();
    let mut words = flags.split_whitespace();
    while let Some(flag) = words.next() {
        let name = flag.strip_prefix("--keep-").unwrap();
        let value = words.next().unwrap();
        if name == "tag" {
            let tags = value.split(',').map(str::to_owned);
            policy.tags.push(tags.collect());
        } else if let Some(rest) = name.strip_prefix("within") {
            let span = Span::parse(value).unwrap();
            let period = period(rest.trim_start_matches('-'));
            policy.within.insert(period, span);
        } else {
            let count = match value {
                "unlimited" => Count::All,
                number => Count::Newest(number.parse().unwrap()),
            };
            policy.counts.insert(period(name), count);
        }
    }
    policy
}

#[test]
fn spans_are_read_as_they_are_shown() {
    for text in ["1y5m7d2h", "3h", "4294967295d", "2y30d"] {
        assert_eq!(Span::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Span::parse("2h1y").unwrap().to_string(), "1y2h");
    assert!(Span::parse("0d0h").unwrap().is_zero());
    for wrong in [
        "",
        "5",
        "d",
        "1w",
        "-1d",
        "1d1d",
        "4294967296d",
        "1d ",
        "1.5d",
        "1D",
        "1dü",
    ] {
        assert!(Span::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_policy_of_nothing_but_zeros_is_empty() {
    assert!(Policy::default().is_empty());
    assert!(policy("--keep-last 0 --keep-within-daily 0d").is_empty());
    assert!(!policy("--keep-last 0 --keep-daily 1").is_empty());
    assert!(!policy("--keep-within 1h").is_empty());
    assert!(!policy("--keep-tag a").is_empty());
    assert!(!policy("--keep-yearly unlimited").is_empty());
}
