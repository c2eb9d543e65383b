//! What was counted, at one moment, and in words.

use crate::text::{bytes_roughly, counted, duration};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Weight of the newest second in the rate that is shown.
const RATE_WEIGHT: f64 = 0.2;

/// What was counted so far.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) nodes: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) objects: AtomicU64,
    pub(super) nodes_expected: AtomicU64,
    pub(super) bytes_expected: AtomicU64,
    /// Nothing more will be expected.
    pub(super) all_expected: AtomicBool,
    pub(super) problems: AtomicU64,
    pub(super) nodes_skipped: AtomicU64,
    pub(super) bytes_skipped: AtomicU64,
    pub(super) nodes_deleted: AtomicU64,
    pub(super) bytes_compared: AtomicU64,
    pub(super) bytes_verified: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) elapsed: Duration,
    pub(super) nodes: u64,
    pub(super) bytes: u64,
    pub(super) objects: u64,
    pub(super) nodes_expected: u64,
    pub(super) bytes_expected: u64,
    pub(super) all_expected: bool,
    pub(super) problems: u64,
    pub(super) nodes_skipped: u64,
    pub(super) bytes_skipped: u64,
    pub(super) nodes_deleted: u64,
    pub(super) bytes_compared: u64,
    pub(super) bytes_verified: u64,
    /// Bytes a second, lately.
    pub(super) rate: f64,
}

impl Counters {
    pub(super) fn sample(&self, elapsed: Duration, last: &Sample) -> Sample {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let bytes = read(&self.bytes);
        let seconds = (elapsed.saturating_sub(last.elapsed)).as_secs_f64();
        let newest = bytes.saturating_sub(last.bytes) as f64 / seconds.max(1e-6);
        let keep = (1.0 - RATE_WEIGHT).powf(seconds);
        Sample {
            elapsed,
            nodes: read(&self.nodes),
            bytes,
            objects: read(&self.objects),
            nodes_expected: read(&self.nodes_expected),
            bytes_expected: read(&self.bytes_expected),
            all_expected: self.all_expected.load(Ordering::Relaxed),
            problems: read(&self.problems),
            nodes_skipped: read(&self.nodes_skipped),
            bytes_skipped: read(&self.bytes_skipped),
            nodes_deleted: read(&self.nodes_deleted),
            bytes_compared: read(&self.bytes_compared),
            bytes_verified: read(&self.bytes_verified),
            rate: match last.elapsed.is_zero() {
                true => newest,
                false => last.rate * keep + newest * (1.0 - keep),
            },
        }
    }
}

impl Sample {
    /// The part that is done, 0 to 1.
    pub(super) fn done(&self) -> f64 {
        match self.bytes_expected {
            0 => 0.0,
            expected => ((self.bytes + self.bytes_skipped) as f64 / expected as f64).min(1.0),
        }
    }

    /// The same, if it is known.
    pub(super) fn percent(&self) -> Option<f64> {
        known(self.bytes_expected).map(|_| self.done())
    }

    /// How long the rest takes at the present rate, once there is one and all of the rest is known.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let left = self
            .bytes_expected
            .checked_sub(self.bytes + self.bytes_skipped)
            .filter(|&left| left > 0 && self.all_expected)?;
        let seconds = left as f64 / self.rate;
        (seconds < 1e7).then(|| Duration::from_secs_f64(seconds))
    }

    pub(super) fn data_text(&self) -> String {
        let mut text = format!("[{}]", duration(self.elapsed));
        let known = self.bytes_expected > 0 && self.all_expected;
        if known {
            text.push_str(&format!(" {:.1}%", self.done() * 100.0));
        }
        text.push_str(&format!(
            "  {}, {}",
            counted(self.nodes, "item", "items"),
            bytes_roughly(self.bytes)
        ));
        if known {
            text.push_str(&format!(" of {}", bytes_roughly(self.bytes_expected)));
        }
        if self.nodes_skipped > 0 {
            let skipped = counted(self.nodes_skipped, "item", "items");
            text.push_str(&format!(
                ", skipped {skipped}, {}",
                bytes_roughly(self.bytes_skipped)
            ));
        }
        for (what, bytes) in [
            ("compared", self.bytes_compared),
            ("verified", self.bytes_verified),
        ] {
            if bytes > 0 {
                text.push_str(&format!(", {what} {}", bytes_roughly(bytes)));
            }
        }
        self.add_rate(&mut text);
        if let Some(remaining) = self.remaining() {
            text.push_str(&format!(", ETA {}", duration(remaining)));
        }
        self.add_problems(&mut text);
        text
    }

    pub(super) fn count_text(&self) -> String {
        let items = counted(self.nodes, "item", "items");
        let mut text = format!("[{}]  {items}", duration(self.elapsed));
        self.add_problems(&mut text);
        text
    }

    pub(super) fn check_text(&self) -> String {
        let objects = counted(self.objects, "object", "objects");
        let mut text = format!("[{}]  {objects}", duration(self.elapsed));
        if self.bytes > 0 {
            text.push_str(&format!(", {} read", bytes_roughly(self.bytes)));
            self.add_rate(&mut text);
        }
        self.add_problems(&mut text);
        text
    }

    pub(super) fn add_rate(&self, text: &mut String) {
        if self.rate >= 1.0 {
            text.push_str(&format!(", {}/s", bytes_roughly(self.rate as u64)));
        }
    }

    pub(super) fn add_problems(&self, text: &mut String) {
        if self.problems > 0 {
            text.push_str(&format!(", {}", counted(self.problems, "error", "errors")));
        }
    }
}

/// A total, if it is known.
pub(super) fn known(total: u64) -> Option<u64> {
    Some(total).filter(|&total| total > 0)
}
