//! Points in time as users write them.

use crate::app::App;
use crate::text::local_time;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use repo_core::log::Terms;
use repo_core::ops::Span;
use repo_core::time::{self, Timestamp};

/// Reads a date, a date and time by the local clock, one with an offset (RFC 3339), or a span from now such as `1y6m` or
/// `30d`.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    if let Ok(span) = Span::parse(text) {
        return after(&span).ok_or_else(|| OUT_OF_RANGE.to_owned());
    }
    instant(text).map_err(|why| match why {
        Wrong::Form => {
            "expected a date (YYYY-MM-DD, or with HH:MM:SS) or a span (30d, 1y6m)".into()
        }
        Wrong::Range => OUT_OF_RANGE.into(),
    })
}

/// What a time is that has the right form and cannot be kept.
const OUT_OF_RANGE: &str =
    "later or earlier than any time that can be kept, -9999-01-02 to 9999-12-30";

/// Reads `now`, a date and time by the local clock, or one with an offset (RFC 3339).
pub fn parse_past(text: &str) -> Result<Timestamp, String> {
    if text == "now" {
        return Ok(time::now());
    }
    instant(text).map_err(|why| match why {
        Wrong::Form => {
            "expected `now`, or a date (YYYY-MM-DD, or with HH:MM:SS, or as in RFC 3339)".into()
        }
        Wrong::Range => OUT_OF_RANGE.into(),
    })
}

/// Why a text is no point in time.
enum Wrong {
    /// It does not look like one.
    Form,
    /// No clock goes so far.
    Range,
}

/// Reads a date, a date and time by the local clock, or one with an offset (RFC 3339).
fn instant(text: &str) -> Result<Timestamp, Wrong> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(timestamp(instant));
    }
    let local: DateTime = text.parse().map_err(|_| Wrong::Form)?;
    let zoned = local.to_zoned(TimeZone::system());
    Ok(timestamp(zoned.map_err(|_| Wrong::Range)?.timestamp()))
}

/// The same, or `forever`.
pub fn parse_until(text: &str) -> Result<Timestamp, String> {
    match text {
        "forever" => Ok(Terms::FOREVER),
        _ => parse_or(text, "forever"),
    }
}

/// As [`parse`]; `word` may be said instead, and is named where the time is too late.
pub fn parse_or(text: &str, word: &str) -> Result<Timestamp, String> {
    parse(text).map_err(|why| match why == OUT_OF_RANGE {
        true => format!("{why}; say `{word}`"),
        false => why,
    })
}

/// As [`parse_until`] reads it, for people.
pub fn shown(time: Timestamp) -> String {
    match time == Terms::FOREVER {
        true => "forever".to_owned(),
        false => local_time(time),
    }
}

/// A clock that is a minute ahead is no mistake.
const FUTURE_S: i64 = 60;

/// Says what follows from a time that was given to a snapshot and has not come yet.
pub fn warn_of_future(app: &App, time: Timestamp) {
    if time.seconds > time::now().seconds + FUTURE_S {
        app.terminal.warn(&format!(
            "the time of this snapshot, {}, is in the future: until then it stays `latest`, and newer backups of the same \
             paths come before it",
            local_time(time)
        ));
    }
}

fn after(span: &Span) -> Option<Timestamp> {
    let now = time::now();
    let now = jiff::Timestamp::new(now.seconds, 0).ok()?;
    let span = jiff::Span::new()
        .try_years(span.years)
        .and_then(|s| s.try_months(span.months))
        .and_then(|s| s.try_days(span.days))
        .and_then(|s| s.try_hours(span.hours));
    let later = now.to_zoned(TimeZone::system()).checked_add(span.ok()?);
    Some(timestamp(later.ok()?.timestamp()))
}

fn timestamp(instant: jiff::Timestamp) -> Timestamp {
    let nanos = instant.as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
    Timestamp::new(seconds, nanos.rem_euclid(1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_spans_and_forever() {
        let day = 86_400;
        let now = time::now().seconds;
        let days = parse("30d").unwrap().seconds - now;
        assert!((days - 30 * day).abs() < day / 12, "{days}");
        assert_eq!(
            parse("2023-11-14T23:13:20Z").unwrap().seconds,
            1_700_003_600
        );
        let midnight = parse("2023-11-14").unwrap().seconds;
        assert_eq!(
            parse("2023-11-14 01:00:00").unwrap().seconds - midnight,
            3600
        );
        assert_eq!(parse_until("forever").unwrap(), Terms::FOREVER);
        assert_eq!(shown(Terms::FOREVER), "forever");
        for late in ["999999y", "9999y"] {
            let error = parse_until(late).unwrap_err();
            assert!(error.ends_with("9999-12-30; say `forever`"), "{error}");
        }
        for wrong in ["", "tomorrow", "2023-13-01", "4294967295y", "30", "forever"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_local_or_have_an_offset() {
        let zoned = parse_past("2023-11-14T23:13:20.5+01:00").unwrap();
        assert_eq!(zoned, Timestamp::new(1_700_000_000, 500_000_000));
        assert_eq!(
            parse_past("1969-12-31T23:59:59.5Z").unwrap(),
            Timestamp::new(-1, 500_000_000)
        );
        let local = parse_past("2012-11-01 22:08:41").unwrap();
        let offset = i64::from(crate::process::utc_offset_min(local)) * 60;
        assert_eq!(local.seconds + offset, 1_351_807_721);
        assert!(parse_past("yesterday").is_err());
        assert!(parse_past("2012-13-01 00:00:00").is_err());
        assert!(parse_past("2012-11-01").unwrap() < local);
        assert!(parse_past("now").is_ok());
        let error = parse_past("9999-12-31 23:59:59").unwrap_err();
        assert!(error.starts_with("later or earlier"), "{error}");
    }
}
