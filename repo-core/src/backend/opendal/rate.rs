//! How fast bytes may go one way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many bytes a second may go one way, which may be another number from one moment to the next.
#[derive(Clone)]
pub struct SpeedLimit {
    now: Arc<dyn Fn() -> Option<u64> + Send + Sync>,
    slowest: Option<u64>,
}

impl SpeedLimit {
    /// Always the same number of bytes a second, at least one.
    pub fn always(bytes_per_second: u64) -> Self {
        Self::varying(Some(bytes_per_second), move || Some(bytes_per_second))
    }

    /// What `now` gives whenever it is asked, `None` for no limit; never less than `slowest`, by which it is decided how long an
    /// answer is waited for.
    pub fn varying(
        slowest: Option<u64>,
        now: impl Fn() -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        Self {
            now: Arc::new(now),
            slowest,
        }
    }
}

/// So many bytes a second for all calls of a place together.
pub(super) struct Rate {
    limit: SpeedLimit,
    /// When what was let through so far is on its way.
    free: Mutex<Instant>,
}

impl Rate {
    pub(super) fn new(limit: SpeedLimit) -> Self {
        Self {
            limit,
            free: Mutex::new(Instant::now()),
        }
    }

    /// The lowest that it may be, if there ever is a limit.
    pub(super) fn slowest(&self) -> Option<u64> {
        self.limit.slowest
    }

    /// Takes its turn for `bytes` bytes: how long it is until they are through at this rate. Who comes in large pieces waits as long
    /// as who comes in small ones.
    fn turn(&self, bytes: usize, now: Instant) -> Duration {
        let Some(bytes_per_second) = (self.limit.now)() else {
            return Duration::ZERO;
        };
        let takes = Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64);
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
        let rate = Rate::new(SpeedLimit::always(1000));
        let now = Instant::now() + Duration::from_secs(1);
        let waits = [500, 500, 2000, 1].map(|bytes| rate.turn(bytes, now).as_millis());
        assert_eq!(waits, [500, 1000, 3000, 3001]);
    }

    #[test]
    fn who_was_idle_saves_nothing_up() {
        let rate = Rate::new(SpeedLimit::always(1000));
        let later = Instant::now() + Duration::from_secs(3600);
        assert_eq!(rate.turn(1000, later), Duration::from_secs(1));
        assert_eq!(rate.turn(1000, later), Duration::from_secs(2));
    }

    #[test]
    fn the_limit_is_that_of_the_moment() {
        let limits = Arc::new(Mutex::new(vec![Some(1000), None, Some(500)]));
        let next = limits.clone();
        let limit = SpeedLimit::varying(Some(500), move || next.lock().unwrap().remove(0));
        let rate = Rate::new(limit);
        let now = Instant::now() + Duration::from_secs(1);
        let waits = [1000, 1000, 1000].map(|bytes| rate.turn(bytes, now).as_secs());
        assert_eq!(waits, [1, 0, 3]);
    }
}
