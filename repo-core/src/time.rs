//! Points in time, and the one place that asks the system's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds in a second.
pub const NANOS: u32 = 1_000_000_000;

/// A point in time: seconds since 1970-01-01T00:00:00Z, negative before it, and nanoseconds 0..1_000_000_000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, bincode::Encode)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds after `seconds`.
    pub nanos: u32,
}

impl Timestamp {
    /// A point in time from seconds and nanoseconds; more of these than a second has are taken for one less.
    pub fn new(seconds: i64, nanos: u32) -> Self {
        let nanos = nanos.min(NANOS - 1);
        Self { seconds, nanos }
    }

    /// Whether `age` has passed from then until `now`, in whole seconds; none at all always has, whatever the clocks say.
    pub fn is_past(self, age: Duration, now: Self) -> bool {
        let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        age == 0 || self.seconds.saturating_add(age) <= now.seconds
    }
}

impl<C> bincode::Decode<C> for Timestamp {
    /// Refuses nanoseconds that are a second or more: the kernel would take some of them for *now* or *leave as it is*.
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        let (seconds, nanos) = <(i64, u32) as bincode::Decode<C>>::decode(decoder)?;
        match nanos < NANOS {
            true => Ok(Self { seconds, nanos }),
            false => Err(bincode::error::DecodeError::Other(
                "more nanoseconds than a second has",
            )),
        }
    }
}

bincode::impl_borrow_decode!(Timestamp);

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self {
                seconds: after.as_secs() as i64,
                nanos: after.subsec_nanos(),
            },
            Err(before) => {
                let before = before.duration();
                match before.subsec_nanos() {
                    0 => Self {
                        seconds: -(before.as_secs() as i64),
                        nanos: 0,
                    },
                    nanos => Self {
                        seconds: -(before.as_secs() as i64) - 1,
                        nanos: NANOS - nanos,
                    },
                }
            }
        }
    }
}

/// The system's clock. No safety argument rests on it; it only labels.
#[expect(clippy::disallowed_methods, reason = "the one clock of the library")]
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// The proleptic Gregorian calendar. Years begin on March 1st here, so that the leap day is the last (H. Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms").
pub fn civil(days: i64) -> (i64, i64, i64) {
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_stay_below_a_second() {
        let config = bincode::config::standard();
        for nanos in [0, NANOS - 1, NANOS, u32::MAX] {
            let time = Timestamp { seconds: 1, nanos };
            let bytes = bincode::encode_to_vec(time, config).unwrap();
            let decoded = bincode::decode_from_slice(&bytes, config).ok();
            let expected = (nanos < NANOS).then_some((time, bytes.len()));
            assert_eq!(decoded, expected, "{nanos}");
        }
        assert_eq!(Timestamp::new(1, u32::MAX).nanos, NANOS - 1);
    }

    #[test]
    fn before_the_epoch_rounds_down() {
        let time = UNIX_EPOCH - Duration::from_millis(1500);
        assert_eq!(Timestamp::from(time), Timestamp::new(-2, 500_000_000));
    }
}
