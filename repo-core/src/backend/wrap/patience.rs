//! How patiently it is tried again.

use std::time::Duration;

/// How often and how patiently a [`Retry`](super::Retry) tries.
#[derive(Debug, Clone)]
pub struct RetryOptions {
    /// Tries in all, the first one counted; at least one.
    pub tries_max: u32,
    /// The pause after the first try in milliseconds; each next one is twice as long.
    pub pause_ms: u64,
    /// The longest pause in milliseconds.
    pub pause_ms_max: u64,
    /// Tries in all as long as no call was answered at all: who mistypes an address should hear of it soon.
    pub first_tries_max: u32,
}

impl Default for RetryOptions {
    /// Ten tries, pauses from half a second to thirty seconds: two minutes in all before it gives up, but seven seconds if it
    /// was never answered.
    fn default() -> Self {
        Self {
            tries_max: 10,
            pause_ms: 500,
            pause_ms_max: 30_000,
            first_tries_max: 5,
        }
    }
}

impl RetryOptions {
    /// As many tries as fit if the pauses between them may take so long in all, whether or not the place ever answered; none at all means a
    /// single try. Pauses are drawn and so may take half of it.
    pub fn for_so_long(wait: Duration) -> Self {
        let options = Self::default();
        let mut left = wait.as_millis();
        let (mut tries, mut pause) = (1u32, u128::from(options.pause_ms));
        while pause < u128::from(options.pause_ms_max) && pause <= left {
            left -= pause;
            pause *= 2;
            tries += 1;
        }
        if pause >= u128::from(options.pause_ms_max) {
            let more = left / u128::from(options.pause_ms_max);
            tries = tries.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        }
        Self {
            tries_max: tries,
            first_tries_max: tries,
            ..options
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_tries_are_made_as_fit_into_the_time() {
        for (seconds, tries) in [
            (0.0, 1),
            (0.4, 1),
            (0.5, 2),
            (1.5, 3),
            (62.0, 8),
            (121.5, 10),
            (3600.0, 125),
        ] {
            let options = RetryOptions::for_so_long(Duration::from_secs_f64(seconds));
            assert_eq!(options.tries_max, tries, "{seconds} s");
            // All pauses at their longest, the first of half a second.
            let pauses = (0..tries - 1).map(|n| (0.5 * 2f64.powi(n as i32)).min(30.0));
            assert!(pauses.sum::<f64>() <= seconds);
        }
        let for_ever = RetryOptions::for_so_long(Duration::MAX);
        assert_eq!(for_ever.tries_max, u32::MAX);
    }
}
