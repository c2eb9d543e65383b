//! Civil dates: which hour, day, week, month, quarter or year a point in time falls into, and what lies a span before it.
//!
//! The proleptic Gregorian calendar and a fixed distance from UTC; no time zones.

use super::policy::{Period, Span};
use crate::time::{Timestamp, civil};

const DAY: i64 = 86_400;
const HOUR: i64 = 3600;

/// A number that is the same for all points in time of one hour, day, week (from Monday), month, quarter or year, on the
/// clock that is `offset` seconds ahead of UTC, and another for any other.
///
/// `Last` has no such number: every point in time stands for itself.
pub fn bucket(period: Period, time: Timestamp, offset: i64) -> Option<i64> {
    let local = time.seconds.saturating_add(offset);
    let days = local.div_euclid(DAY);
    let months = || {
        let (year, month, _) = civil(days);
        year * 12 + (month - 1)
    };
    Some(match period {
        Period::Last => return None,
        Period::Hourly => local.div_euclid(HOUR),
        Period::Daily => days,
        // 1970-01-01 was a Thursday.
        Period::Weekly => (days + 3).div_euclid(7),
        Period::Monthly => months(),
        Period::Quarterly => months().div_euclid(3),
        Period::Yearly => months().div_euclid(12),
    })
}

/// The point in time that lies `span` before `time` by the calendar and the clock `offset` seconds ahead of UTC.
///
/// Years, months and days are counted back together; a day that the month does not have is counted on into the next, so
/// that a month before March 31st is March 3rd, or 2nd. Hours come last. What is out of range is the farthest there is.
pub fn before(time: Timestamp, span: &Span, offset: i64) -> Timestamp {
    let local = time.seconds.saturating_add(offset);
    let (year, month, day) = civil(local.div_euclid(DAY));
    let back = i64::from(span.years) * 12 + i64::from(span.months);
    let months = year * 12 + (month - 1) - back;
    let first = days_from_civil(months.div_euclid(12), months.rem_euclid(12) + 1);
    let days = first + (day - 1) - i64::from(span.days);
    let seconds = days
        .saturating_mul(DAY)
        .saturating_add(local.rem_euclid(DAY))
        .saturating_sub(offset)
        .saturating_sub(i64::from(span.hours) * HOUR);
    Timestamp::new(seconds, time.nanos)
}

/// The first day of a month, counted from 1970-01-01.
fn days_from_civil(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: i64, month: i64, day: i64, seconds: i64) -> Timestamp {
        let days = days_from_civil(year, month) + day - 1;
        Timestamp::new(days * DAY + seconds, 0)
    }

    #[test]
    fn days_and_dates_are_each_other() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(-1), (1969, 12, 31));
        assert_eq!(civil(19_782), (2024, 2, 29));
        for days in -800_000..800_000 {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(year, month) + day - 1, days);
        }
    }

    #[test]
    fn periods_end_where_the_calendar_says() {
        let same = |period, a: Timestamp, b: Timestamp, offset| {
            bucket(period, a, offset) == bucket(period, b, offset)
        };
        // Sunday 2023-12-31 and Monday 2024-01-01 are of two weeks, that Monday and Sunday the 7th of one.
        let (sunday, monday) = (at(2023, 12, 31, 10), at(2024, 1, 1, 10));
        assert!(!same(Period::Weekly, sunday, monday, 0));
        assert!(same(Period::Weekly, monday, at(2024, 1, 7, 10), 0));
        // An ISO week may belong to two years.
        assert!(same(
            Period::Weekly,
            at(2024, 12, 30, 0),
            at(2025, 1, 5, 0),
            0
        ));
        assert!(same(
            Period::Quarterly,
            at(2024, 4, 1, 0),
            at(2024, 6, 30, 0),
            0
        ));
        assert!(!same(
            Period::Quarterly,
            at(2024, 3, 31, 0),
            at(2024, 4, 1, 0),
            0
        ));
        assert!(!same(Period::Yearly, sunday, monday, 0));
        assert!(same(Period::Yearly, sunday, monday, -HOUR));
        assert!(same(
            Period::Hourly,
            at(2024, 1, 1, 3600),
            at(2024, 1, 1, 7199),
            0
        ));
        assert!(!same(
            Period::Hourly,
            at(2024, 1, 1, 3600),
            at(2024, 1, 1, 7199),
            1800
        ));
        assert_eq!(bucket(Period::Last, monday, 0), None);
    }

    #[test]
    fn spans_go_by_the_calendar() {
        let span = |years, months, days, hours| Span {
            years,
            months,
            days,
            hours,
        };
        let back = |time, span| before(time, &span, 0);
        assert_eq!(
            back(at(2024, 3, 31, 5), span(0, 1, 0, 0)),
            at(2024, 3, 2, 5)
        );
        assert_eq!(
            back(at(2023, 3, 31, 5), span(0, 1, 0, 0)),
            at(2023, 3, 3, 5)
        );
        assert_eq!(
            back(at(2024, 2, 29, 5), span(1, 0, 0, 0)),
            at(2023, 3, 1, 5)
        );
        assert_eq!(
            back(at(2024, 1, 5, 0), span(1, 2, 7, 1)),
            at(2022, 10, 28, 23 * HOUR)
        );
        // The day is that of the clock on the wall.
        let late = at(2024, 3, 31, 23 * HOUR);
        assert_eq!(
            before(late, &span(0, 1, 0, 0), 2 * HOUR),
            at(2024, 2, 29, 23 * HOUR)
        );
        let long = span(u32::MAX, u32::MAX, u32::MAX, u32::MAX);
        assert!(back(at(2024, 1, 1, 0), long).seconds < -100_000_000_000);
        assert_eq!(
            before(Timestamp::new(i64::MIN, 0), &long, -HOUR).seconds,
            i64::MIN
        );
    }
}
