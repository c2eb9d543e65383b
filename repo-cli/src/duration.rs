//! Durations as restic takes them.

use std::time::Duration;

/// What is wrong with a text that is none.
const WRONG: &str = "expected a duration, as 5m or 1h30m";

/// Units with how many nanoseconds they have; of those that begin alike the longer one stands first.
const UNITS: [(&str, f64); 7] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Reads numbers, each with one of Go's units, or 0.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut nanos) = (text, 0.0);
    while !rest.is_empty() || text.is_empty() {
        let is_number = |letter: char| letter.is_ascii_digit() || letter == '.';
        let end = rest.find(|letter| !is_number(letter)).ok_or(WRONG)?;
        let (number, behind) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| WRONG)?;
        let unit = UNITS.iter().find(|(unit, _)| behind.starts_with(unit));
        let (unit, factor) = unit.ok_or(WRONG)?;
        nanos += number * factor;
        rest = &behind[unit.len()..];
    }
    Duration::try_from_secs_f64(nanos / 1e9).map_err(|_| "longer than any".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_restic() {
        for (text, millis) in [
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("0", 0),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            ("5m0s", 300_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("7us"), parse("7µs"));
        for wrong in ["", "5", "5x", "m", "1h30", "1..5h", "5 m", "-", "-1s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&format!("{}h", "9".repeat(30))).is_err());
    }
}
