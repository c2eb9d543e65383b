//! Flags about locks, which larder has not got.

use crate::duration;
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

/// Takes a duration as restic takes it, which may be negative.
fn a_duration(text: &str) -> Result<String, String> {
    duration::parse(text.trim_start_matches(['+', '-'])).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_duration_is_taken_too() {
        for text in ["5m", "-1s", "0"] {
            assert_eq!(a_duration(text).as_deref(), Ok(text));
        }
        assert!(a_duration("-").is_err());
    }
}
