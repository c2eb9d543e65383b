//! Points in time in a layout that shows how the reference time would look, as those of Go and so of restic do.

use crate::time::{Timestamp, civil};
use std::fmt::Write;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// What is put in the place of a part of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Month,
    Mon,
    Weekday,
    Wkd,
    Zone,
    Number(Of, usize, char),
    Year,
    Half(&'static str, &'static str),
    /// A distance from UTC: `Z` for none, a colon, minutes.
    Offset {
        zulu: bool,
        colon: bool,
        minutes: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Year,
    Month,
    Day,
    DayOfYear,
    Hour,
    Hour12,
    Minute,
    Second,
}

const fn offset(zulu: bool, colon: bool, minutes: bool) -> Field {
    Field::Offset {
        zulu,
        colon,
        minutes,
    }
}

/// The parts of a layout, those that begin others behind them.
const PARTS: &[(&str, Field)] = &[
    ("January", Field::Month),
    ("Jan", Field::Mon),
    ("Monday", Field::Weekday),
    ("Mon", Field::Wkd),
    ("MST", Field::Zone),
    ("2006", Field::Year),
    ("002", Field::Number(Of::DayOfYear, 3, '0')),
    ("__2", Field::Number(Of::DayOfYear, 3, ' ')),
    ("01", Field::Number(Of::Month, 2, '0')),
    ("02", Field::Number(Of::Day, 2, '0')),
    ("03", Field::Number(Of::Hour12, 2, '0')),
    ("04", Field::Number(Of::Minute, 2, '0')),
    ("05", Field::Number(Of::Second, 2, '0')),
    ("06", Field::Number(Of::Year, 2, '0')),
    ("15", Field::Number(Of::Hour, 2, '0')),
    ("_2", Field::Number(Of::Day, 2, ' ')),
    ("1", Field::Number(Of::Month, 1, '0')),
    ("2", Field::Number(Of::Day, 1, '0')),
    ("3", Field::Number(Of::Hour12, 1, '0')),
    ("4", Field::Number(Of::Minute, 1, '0')),
    ("5", Field::Number(Of::Second, 1, '0')),
    ("PM", Field::Half("AM", "PM")),
    ("pm", Field::Half("am", "pm")),
    ("Z07:00", offset(true, true, true)),
    ("Z0700", offset(true, false, true)),
    ("Z07", offset(true, false, false)),
    ("-07:00", offset(false, true, true)),
    ("-0700", offset(false, false, true)),
    ("-07", offset(false, false, false)),
];

/// A point in time, on the clock that is so many minutes ahead of UTC, in this layout.
pub fn format(layout: &str, time: Timestamp, offset_min: i16) -> String {
    let clock = Clock::new(time, offset_min);
    let mut text = String::with_capacity(layout.len());
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        // An underscore before a year is no day that is padded.
        if let Some(year) = rest.strip_prefix("_2006") {
            text.push('_');
            clock.put(Field::Year, &mut text);
            rest = year;
        } else if let Some((behind, digits, trimmed)) = fraction(rest) {
            text.push_str(&clock.fraction(first, digits, trimmed));
            rest = behind;
        } else if let Some((part, field)) = PARTS.iter().find(|(part, _)| is_part(rest, part)) {
            clock.put(*field, &mut text);
            rest = &rest[part.len()..];
        } else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    text
}

/// Whether `rest` begins with this part; `Jan` and `Mon` are none where a word goes on.
fn is_part(rest: &str, part: &str) -> bool {
    let Some(behind) = rest.strip_prefix(part) else {
        return false;
    };
    let word_goes_on = behind.starts_with(|c: char| c.is_ascii_lowercase());
    !(matches!(part, "Jan" | "Mon") && word_goes_on)
}

/// What follows a fraction of a second at the beginning of `rest`, its digits, and whether zeros at its end are left out.
fn fraction(rest: &str) -> Option<(&str, usize, bool)> {
    let digits = rest.strip_prefix(['.', ','])?;
    let digit = digits
        .chars()
        .next()
        .filter(|digit| matches!(digit, '0' | '9'))?;
    let behind = digits.trim_start_matches(digit);
    let count = digits.len() - behind.len();
    let ends = !behind.starts_with(|c: char| c.is_ascii_digit());
    ends.then_some((behind, count, digit == '9'))
}

struct Clock {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    weekday: usize,
    second_of_day: i64,
    nanos: u32,
    offset_min: i16,
}

impl Clock {
    fn new(time: Timestamp, offset_min: i16) -> Self {
        let local = time.seconds.saturating_add(i64::from(offset_min) * 60);
        let days = local.div_euclid(86_400);
        let (year, month, day) = civil(days);
        let before = |day: &i64| civil(*day).0 == year;
        let day_of_year = (0..366).map(|back| days - back).take_while(before).count() as i64;
        Self {
            year,
            month,
            day,
            day_of_year,
            // 1970-01-01 was a Thursday.
            weekday: (days + 3).rem_euclid(7) as usize,
            second_of_day: local.rem_euclid(86_400),
            nanos: time.nanos,
            offset_min,
        }
    }

    fn number(&self, of: Of) -> i64 {
        let hour = self.second_of_day / 3600;
        match of {
            Of::Year => self.year.rem_euclid(100),
            Of::Month => self.month,
            Of::Day => self.day,
            Of::DayOfYear => self.day_of_year,
            Of::Hour => hour,
            Of::Hour12 => (hour + 11) % 12 + 1,
            Of::Minute => self.second_of_day / 60 % 60,
            Of::Second => self.second_of_day % 60,
        }
    }

    fn put(&self, field: Field, text: &mut String) {
        let month = MONTHS[(self.month as usize - 1) % 12];
        let day = DAYS[self.weekday];
        // Writing to a text cannot fail.
        let _ = match field {
            Field::Month => write!(text, "{month}"),
            Field::Mon => write!(text, "{}", &month[..3]),
            Field::Weekday => write!(text, "{day}"),
            Field::Wkd => write!(text, "{}", &day[..3]),
            Field::Year => write!(text, "{:04}", self.year),
            Field::Number(of, width, ' ') => write!(text, "{:>width$}", self.number(of)),
            Field::Number(of, width, _) => write!(text, "{:0>width$}", self.number(of)),
            Field::Half(_, after) if self.second_of_day >= 43_200 => write!(text, "{after}"),
            Field::Half(before, _) => write!(text, "{before}"),
            Field::Zone if self.offset_min == 0 => write!(text, "UTC"),
            Field::Zone => write!(text, "{}", self.offset(false, self.offset_min % 60 != 0)),
            Field::Offset { zulu: true, .. } if self.offset_min == 0 => write!(text, "Z"),
            Field::Offset { colon, minutes, .. } => write!(text, "{}", self.offset(colon, minutes)),
        };
    }

    fn offset(&self, colon: bool, minutes: bool) -> String {
        let sign = if self.offset_min < 0 { '-' } else { '+' };
        let ahead = self.offset_min.unsigned_abs();
        let (hours, rest) = (ahead / 60, ahead % 60);
        match (minutes, colon) {
            (false, _) => format!("{sign}{hours:02}"),
            (true, false) => format!("{sign}{hours:02}{rest:02}"),
            (true, true) => format!("{sign}{hours:02}:{rest:02}"),
        }
    }

    fn fraction(&self, point: char, digits: usize, trimmed: bool) -> String {
        let all = format!("{:09}", self.nanos);
        let mut shown = all[..digits.min(9)].to_owned();
        if trimmed {
            shown.truncate(shown.trim_end_matches('0').len());
        } else {
            shown.extend(std::iter::repeat_n('0', digits.saturating_sub(9).min(9)));
        }
        match shown.is_empty() {
            true => shown,
            false => format!("{point}{shown}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sunday, 2025-03-09 04:05:06.070809 UTC.
    const TIME: Timestamp = Timestamp {
        seconds: 1_741_493_106,
        nanos: 70_809_000,
    };

    /// What Go makes of them.
    #[test]
    fn layouts_are_those_of_go() {
        for (layout, expected) in [
            ("2006-01-02T15:04:05Z07:00", "2025-03-09T04:05:06Z"),
            ("2006-01-02_15-04-05", "2025-03-09_04-05-06"),
            ("_2006 _2 __2 002", "_2025  9  68 068"),
            ("Mon Monday Jan January", "Sun Sunday Mar March"),
            ("Month Janus", "Month Janus"),
            ("06/1/2 3:4:5PM pm", "25/3/9 4:5:6AM am"),
            (
                "05.000 05,000000 05.999999999 .5",
                "06.070 06,070809 06.070809 .6",
            ),
            ("MST -07 -0700 Z0700", "UTC +00 +0000 Z"),
            ("abc", "abc"),
        ] {
            assert_eq!(format(layout, TIME, 0), expected, "{layout}");
        }
    }

    #[test]
    fn clocks_differ_from_utc() {
        let rfc3339 = "2006-01-02T15:04:05Z07:00";
        assert_eq!(format(rfc3339, TIME, 330), "2025-03-09T09:35:06+05:30");
        assert_eq!(format(rfc3339, TIME, -300), "2025-03-08T23:05:06-05:00");
        assert_eq!(
            format("3PM -0700 -07 MST", TIME, -300),
            "11PM -0500 -05 -05"
        );
        assert_eq!(format("12PM", Timestamp::new(43_200, 0), 0), "11PM");
        assert_eq!(format("3pm", Timestamp::new(0, 0), 0), "12am");
    }
}
