//! How fast bytes may go one way.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many bytes a second for all calls of a place together.
pub(super) struct Rate {
    bytes_per_second: u64,
    /// When what was let through so far is on its way.
    free: Mutex<Instant>,
}

impl Rate {
    /// A rate of at least one byte a second.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            free: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second
    }

    /// Takes its turn for `bytes` bytes: how long it is until they are through at this rate. Who comes in large pieces waits as long
    /// as who comes in small ones.
    fn turn(&self, bytes: usize, now: Instant) -> Duration {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = (*free).max(now) + takes;
        *free - now
    }

    /// Waits as long as `bytes` bytes take.
    pub(super) async fn pass(&self, bytes: usize) {
        let wait = self.turn(bytes, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Waits as long as `bytes` bytes take, where there is a limit.
pub(super) async fn pass(rate: Option<&Rate>, bytes: usize) {
    if let Some(rate) = rate {
        rate.pass(bytes).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_ask_share_the_rate() {
        let rate = Rate::new(1000);
        let now = Instant::now() + Duration::from_secs(1);
        let waits = [500, 500, 2000, 1].map(|bytes| rate.turn(bytes, now).as_millis());
        assert_eq!(waits, [500, 1000, 3000, 3001]);
    }

    #[test]
    fn who_was_idle_saves_nothing_up() {
        let rate = Rate::new(1000);
        let later = Instant::now() + Duration::from_secs(3600);
        assert_eq!(rate.turn(1000, later), Duration::from_secs(1));
        assert_eq!(rate.turn(1000, later), Duration::from_secs(2));
    }
}
