//! Flags about locks, which larder has not got.

use clap::Args;

/// What restic takes about locks.
#[derive(Args, Debug, Default)]
pub struct LockFlags {
    /// Accepted without effect: larder has no locks
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub no_lock: bool,

    /// Accepted without effect, as 5m or 1h30m: larder has no locks
    #[arg(
        long,
        value_name = "DURATION",
        global = true,
        hide_short_help = true,
        value_parser = a_duration,
        help_heading = "Repository"
    )]
    pub retry_lock: Option<String>,
}

impl LockFlags {
    /// The flags that were given and have no effect.
    pub fn given(&self) -> Option<&'static str> {
        match (self.no_lock, self.retry_lock.is_some()) {
            (true, true) => Some("--no-lock and --retry-lock have"),
            (true, false) => Some("--no-lock has"),
            (false, true) => Some("--retry-lock has"),
            (false, false) => None,
        }
    }
}

/// Takes a duration as restic takes it: numbers, each with one of Go's units.
fn a_duration(text: &str) -> Result<String, String> {
    let wrong = || "expected a duration, as 5m or 1h30m".to_owned();
    let mut rest = text.trim_start_matches(['+', '-']);
    if rest == "0" {
        return Ok(text.to_owned());
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let number = |letter: char| letter.is_ascii_digit() || letter == '.';
        let (len, unit) = match rest.find(|letter| !number(letter)) {
            Some(len) => rest.split_at(len),
            None => return Err(wrong()),
        };
        if len.parse::<f64>().is_err() {
            return Err(wrong());
        }
        let units = ["ns", "us", "µs", "ms", "s", "m", "h"];
        let unit_len = units.iter().filter(|it| unit.starts_with(**it));
        let unit_len = unit_len.map(|it| it.len()).max().ok_or_else(wrong)?;
        rest = &unit[unit_len..];
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_restic() {
        for text in ["5m", "1h30m", "0", "1.5h", "300ms", "7us", "-1s", "2µs"] {
            assert_eq!(a_duration(text).as_deref(), Ok(text));
        }
        for wrong in ["", "5", "5x", "m", "1h30", "1..5h", "5 m", "-"] {
            assert!(a_duration(wrong).is_err(), "{wrong}");
        }
    }
}
