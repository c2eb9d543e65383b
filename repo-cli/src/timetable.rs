//! Speeds by time of day.

use crate::size;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Most bytes a second that can be asked for: 4 TiB.
const FASTEST: u64 = 4 << 40;

/// How many bytes a second may go one way, by time of day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    parts: Vec<Part>,
}

/// A time of day and its speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// From this minute of the day to before that one, maybe past midnight; any time if there are none.
    minutes: Option<(u16, u16)>,
    /// Bytes a second; none means no limit.
    speed: Option<u64>,
}

impl Timetable {
    /// Reads a speed, or parts such as `08:00-18:00 2MiB` and `* 0` with commas between them. A number alone is one of KiB. What is wrong, in
    /// a few words, if something is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(|part| Part::parse(part.trim()));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { parts })
    }

    /// The lowest speed of all, if there is one.
    pub fn slowest(&self) -> Option<u64> {
        self.parts.iter().filter_map(|part| part.speed).min()
    }

    /// The speed now, by the local clock; none means no limit.
    #[cfg(feature = "opendal")]
    pub fn now(&self) -> Option<u64> {
        let now = jiff::Zoned::now();
        self.at(now.hour() as u16 * 60 + now.minute() as u16)
    }

    /// The speed of the first part that has this minute of the day in it.
    #[cfg(any(feature = "opendal", test))]
    fn at(&self, minute: u16) -> Option<u64> {
        self.parts.iter().find(|part| part.has(minute))?.speed
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, String> {
        let (when, speed) = match text.rsplit_once(char::is_whitespace) {
            Some((when, speed)) => (when.trim(), speed),
            None => ("*", text),
        };
        Ok(Self {
            minutes: match when {
                "*" => None,
                when => Some(minutes(when)?),
            },
            speed: speed_of(speed)?,
        })
    }

    #[cfg(any(feature = "opendal", test))]
    fn has(&self, minute: u16) -> bool {
        match self.minutes {
            None => true,
            Some((from, to)) if from <= to => (from..to).contains(&minute),
            Some((from, to)) => minute >= from || minute < to,
        }
    }
}

fn speed_of(text: &str) -> Result<Option<u64>, String> {
    let bare = text.bytes().all(|byte| byte.is_ascii_digit());
    let speed = match bare {
        true => size::parse(&format!("{text}k"))?,
        false => size::parse(text)?,
    };
    match speed {
        0 => Ok(None),
        1..=FASTEST => Ok(Some(speed)),
        _ => Err("that is faster than anything".to_owned()),
    }
}

fn minutes(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("`{text}` is no time of day, as 08:00-18:00 or *");
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let minute = |text: &str| -> Option<u16> {
        let (hour, minute) = text.trim().split_once(':')?;
        let digits = |text: &str| text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(hour) || minute.len() != 2 || !digits(minute) {
            return None;
        }
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        Some(hour * 60 + minute).filter(|at| minute < 60 && *at <= DAY)
    };
    match (minute(from), minute(to)) {
        (Some(from), Some(to)) if from != to && from < DAY => Ok((from, to)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(timetable: &str, minute: u16) -> Option<u64> {
        Timetable::parse(timetable).unwrap().at(minute)
    }

    #[test]
    fn the_first_part_counts_whose_time_it_is() {
        let day = "08:00-18:00 2MiB, * 0";
        assert_eq!(at(day, 8 * 60), Some(2 << 20));
        assert_eq!(at(day, 18 * 60 - 1), Some(2 << 20));
        assert_eq!(at(day, 18 * 60), None);
        let night = "22:00-6:30 0,12:00-13:00 1M,* 512";
        assert_eq!(at(night, 23 * 60), None);
        assert_eq!(at(night, 6 * 60), None);
        assert_eq!(at(night, 6 * 60 + 30), Some(512 << 10));
        assert_eq!(at(night, 12 * 60 + 5), Some(1 << 20));
        assert_eq!(at("20:00-24:00 7", 24 * 60 - 1), Some(7 << 10));
        assert_eq!(at("20:00-24:00 7", 0), None);
        assert_eq!(Timetable::parse(night).unwrap().slowest(), Some(512 << 10));
    }

    #[test]
    fn a_number_alone_is_one_of_kib_at_any_time() {
        assert_eq!(at("512", 0), Some(512 << 10));
        assert_eq!(at("3MiB", 100), Some(3 << 20));
        assert_eq!(at("0", 100), None);
        assert_eq!(Timetable::parse("0").unwrap().slowest(), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            "",
            "fast",
            "08:00-18:00",
            "8-18 2MiB",
            "08:00-25:00 1M",
            "08:60-09:00 1M",
            "24:00-08:00 1M",
            "08:00-08:00 1M",
            "* -1",
            "* 1M,",
            "mon 1M",
            "5T",
        ] {
            assert!(Timetable::parse(wrong).is_err(), "{wrong}");
        }
    }
}
