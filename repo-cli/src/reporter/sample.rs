//! What was counted, at one moment, and in words.

use super::line::{Weight, Words};
use crate::text::{bytes_roughly, counted, duration};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The rate that is shown is that of the last one to two of these, or of all the time since the first byte.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// What was counted so far.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) nodes: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) objects: AtomicU64,
    pub(super) objects_expected: AtomicU64,
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
    pub(super) objects_expected: u64,
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
    /// From where on that is counted, and from where on it will be next.
    pub(super) marks: [Mark; 2],
}

/// How many bytes there were at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Mark {
    elapsed: Duration,
    bytes: u64,
}

impl Mark {
    fn rate_since(&self, earlier: &Self) -> f64 {
        let time = self.elapsed.saturating_sub(earlier.elapsed);
        match time.is_zero() {
            true => 0.0,
            false => self.bytes.saturating_sub(earlier.bytes) as f64 / time.as_secs_f64(),
        }
    }
}

/// The marks after those: until the first byte they move on, for what comes before it says nothing about the rate.
fn next_marks(marks: [Mark; 2], now: Mark) -> [Mark; 2] {
    let [_, next] = marks;
    if now.bytes == 0 {
        [now, now]
    } else if now.elapsed.saturating_sub(next.elapsed) >= RATE_WINDOW {
        [next, now]
    } else {
        marks
    }
}

impl Counters {
    pub(super) fn sample(&self, elapsed: Duration, last: &Sample) -> Sample {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let bytes = read(&self.bytes);
        let now = Mark { elapsed, bytes };
        Sample {
            elapsed,
            nodes: read(&self.nodes),
            bytes,
            objects: read(&self.objects),
            objects_expected: read(&self.objects_expected),
            nodes_expected: read(&self.nodes_expected),
            bytes_expected: read(&self.bytes_expected),
            all_expected: self.all_expected.load(Ordering::Relaxed),
            problems: read(&self.problems),
            nodes_skipped: read(&self.nodes_skipped),
            bytes_skipped: read(&self.bytes_skipped),
            nodes_deleted: read(&self.nodes_deleted),
            bytes_compared: read(&self.bytes_compared),
            bytes_verified: read(&self.bytes_verified),
            rate: now.rate_since(&last.marks[0]),
            marks: next_marks(last.marks, now),
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

    pub(super) fn data_words(&self) -> Words {
        let (mut words, known) = self.begin();
        words.add(Weight::Items, counted(self.nodes, "item", "items"));
        words.add(Weight::Amount, self.amount(known));
        if self.nodes_skipped > 0 {
            let skipped = counted(self.nodes_skipped, "item", "items");
            let bytes = bytes_roughly(self.bytes_skipped);
            words.add(Weight::Beside, format!("skipped {skipped}, {bytes}"));
        }
        for (what, bytes) in [
            ("compared", self.bytes_compared),
            ("verified", self.bytes_verified),
        ] {
            if bytes > 0 {
                let bytes = bytes_roughly(bytes);
                words.add(Weight::Reading, format!("{what} {bytes}"));
            }
        }
        self.end(&mut words);
        words
    }

    pub(super) fn count_words(&self) -> Words {
        let (mut words, _) = self.begin();
        words.add(Weight::Items, counted(self.nodes, "item", "items"));
        self.add_problems(&mut words);
        words
    }

    pub(super) fn check_words(&self, one: &str, many: &str) -> Words {
        let (mut words, known) = self.begin();
        if !known {
            words.add(Weight::Items, "looking at what is there".into());
            return words;
        }
        let all = counted(self.objects_expected, one, many);
        words.add(Weight::Items, format!("{} of {all}", self.objects));
        words.add(Weight::Amount, self.amount(known));
        self.end(&mut words);
        words
    }

    /// Time and, if it is known, percentage.
    fn begin(&self) -> (Words, bool) {
        let mut words = Words::new(format!("[{}]", duration(self.elapsed)));
        let known = self.bytes_expected > 0 && self.all_expected;
        if known {
            words.head += &format!(" {:.1}%", self.done() * 100.0);
        }
        (words, known)
    }

    fn amount(&self, known: bool) -> String {
        let done = bytes_roughly(self.bytes);
        match known {
            true => format!("{done} of {}", bytes_roughly(self.bytes_expected)),
            false => done,
        }
    }

    fn end(&self, words: &mut Words) {
        if self.rate >= 1.0 {
            let rate = bytes_roughly(self.rate as u64);
            words.add(Weight::Rate, format!("{rate}/s"));
        }
        if let Some(remaining) = self.remaining() {
            words.add(Weight::Remaining, format!("ETA {}", duration(remaining)));
        }
        self.add_problems(words);
    }

    fn add_problems(&self, words: &mut Words) {
        if self.problems > 0 {
            let errors = counted(self.problems, "error", "errors");
            words.add(Weight::Errors, errors);
        }
    }
}

/// A total, if it is known.
pub(super) fn known(total: u64) -> Option<u64> {
    Some(total).filter(|&total| total > 0)
}
