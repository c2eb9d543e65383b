//! Tries again what a place could not do for a moment.

use super::RetryOptions;
use crate::backend::{Backend, Limits, Listed, Put, random};
use crate::error::{Error, ErrorKind, Result, Subject};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Fails once it was asked to stop.
type Check = Box<dyn Fn() -> Result<()> + Send + Sync>;

/// Called before each pause with the error and the length of the pause.
type Notify = Box<dyn Fn(&Error, Duration) + Send + Sync>;

/// Tries again after `Unavailable`, and after no other error.
///
/// Pauses grow exponentially; each is drawn between half and all of its length, so that many clients do not come back at
/// once. Never put it around a local directory: a second `fsync` after a failed one reports success for data that is
/// lost (Rebello et al., USENIX ATC 2020).
pub struct Retry {
    inner: Arc<dyn Backend>,
    options: RetryOptions,
    interrupt: Option<Check>,
    notify: Option<Notify>,
    retries: AtomicU64,
    /// Whether any call has got an answer that was not `Unavailable`.
    answered: AtomicBool,
}

impl Retry {
    /// Tries again what fails in `inner`.
    pub fn new(inner: Arc<dyn Backend>, options: RetryOptions) -> Self {
        Self {
            inner,
            options,
            interrupt: None,
            notify: None,
            retries: AtomicU64::new(0),
            answered: AtomicBool::new(false),
        }
    }

    /// Ends a pause with the error of `check` within 50 ms once it fails.
    pub fn interrupted_by(
        mut self,
        check: impl Fn() -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.interrupt = Some(Box::new(check));
        self
    }

    /// Calls `notify` before each pause with the error and the length of the pause, from the caller's thread.
    pub fn notifying(mut self, notify: impl Fn(&Error, Duration) + Send + Sync + 'static) -> Self {
        self.notify = Some(Box::new(notify));
        self
    }

    /// How often it tried again so far.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Calls until something else than `Unavailable` comes, at most `tries_max` times. The call learns how many tries
    /// went before; a `Stop` ends it at once.
    fn attempt<T>(&self, mut call: impl FnMut(u32) -> Result<T, Stop>) -> Result<T> {
        let mut tries = 0;
        loop {
            let error = match call(tries) {
                Ok(value) => {
                    self.answered.store(true, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(Stop::Now(error)) => return Err(error),
                Err(Stop::Unless(error)) => error,
            };
            tries += 1;
            if error.kind() != ErrorKind::Unavailable {
                self.answered.store(true, Ordering::Relaxed);
                return Err(error);
            }
            if tries >= self.tries_max() {
                return Err(error);
            }
            let pause = self.pause(tries)?;
            if let Some(notify) = &self.notify {
                notify(&error, pause);
            }
            self.sleep(pause)?;
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tries_max(&self) -> u32 {
        match self.answered.load(Ordering::Relaxed) {
            true => self.options.tries_max,
            false => self.options.tries_max.min(self.options.first_tries_max),
        }
    }

    /// The pause after `tries` tries.
    fn pause(&self, tries: u32) -> Result<Duration> {
        let factor = 1u64.checked_shl(tries - 1).unwrap_or(u64::MAX);
        let full = self
            .options
            .pause_ms
            .saturating_mul(factor)
            .min(self.options.pause_ms_max);
        let half = full / 2;
        Ok(Duration::from_millis(
            half + random::fresh()? % (full - half + 1),
        ))
    }

    fn sleep(&self, pause: Duration) -> Result<()> {
        const SLICE: Duration = Duration::from_millis(50);
        let mut left = pause;
        loop {
            if let Some(check) = &self.interrupt {
                check()?;
            }
            if left.is_zero() {
                return Ok(());
            }
            let slice = left.min(SLICE);
            std::thread::sleep(slice);
            left -= slice;
        }
    }
}

/// Why a call ended without a value.
enum Stop {
    /// Try again if the error allows it.
    Unless(Error),
    /// Do not.
    Now(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Unless(error)
    }
}

/// An object that was there after a try without an answer.
fn unclear(name: &str) -> Error {
    Error::new(ErrorKind::Unavailable, Subject::Object(name.to_owned()))
        .detail("a try without an answer may have stored the object that is there now")
}

impl Backend for Retry {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        self.attempt(|_| Ok(self.inner.get(name)?))
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        self.attempt(|_| Ok(self.inner.get_range(name, offset, len)?))
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        self.attempt(|_| Ok(self.inner.put_parts(name, parts)?))
    }

    /// An object found after a try without an answer may be this call's own: that is `Unavailable`, never `Exists`, and
    /// the caller must look (SlateDB #766, Hudi #14373 took their own success for a lost race).
    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        self.attempt(|before| match self.inner.put_if_absent(name, bytes)? {
            Put::Exists if before > 0 => Err(Stop::Now(unclear(name))),
            answer => Ok(answer),
        })
    }

    /// Names that `each` has seen are not repeated by a new try: 16 bytes each are remembered meanwhile.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        let mut seen: HashSet<[u8; 16]> = HashSet::new();
        self.attempt(|_| {
            let mut refused = false;
            let listing = self.inner.list(prefix, &mut |listed| {
                if !seen.insert(digest(&listed.name)) {
                    return Ok(());
                }
                let result = each(listed);
                refused = result.is_err();
                result
            });
            match refused {
                true => listing.map_err(Stop::Now),
                false => Ok(listing?),
            }
        })
    }

    fn list_strangers(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        let mut found = std::collections::BTreeSet::new();
        self.attempt(|_| {
            Ok(self.inner.list_strangers(&mut |path| {
                found.insert(path.to_owned());
            })?)
        })?;
        found.iter().for_each(|path| each(path));
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.attempt(|_| Ok(self.inner.delete(name)?))
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        self.attempt(|_| Ok(self.inner.size(name)?))
    }
}

/// 128 bits of a hash: two names never share them.
fn digest(name: &str) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::MemoryBackend;
    use crate::backend::conformance::{self, names};
    use crate::backend::wrap::{Fault, Faults, Operation, Rule};
    use crate::progress::Interrupt;
    use std::io;
    use std::sync::Mutex;

    const TIMEOUT: Fault = Fault::Before(io::ErrorKind::TimedOut);
    const LOST: Fault = Fault::After(io::ErrorKind::TimedOut);

    fn quick() -> RetryOptions {
        RetryOptions {
            tries_max: 4,
            pause_ms: 1,
            pause_ms_max: 2,
            first_tries_max: 4,
        }
    }

    /// A place with the object `a`, reached through `rule` and a retry.
    fn retry(rule: Rule) -> (MemoryBackend, Retry) {
        let place = MemoryBackend::new();
        place.put("a", b"1").unwrap();
        let faults = Faults::new(Arc::new(place.clone())).rule(rule);
        (place, Retry::new(Arc::new(faults), quick()))
    }

    #[test]
    fn conforms() {
        conformance::run(|| Box::new(Retry::new(Arc::new(MemoryBackend::new()), quick())));
    }

    #[test]
    fn conforms_over_a_place_that_often_does_not_answer() {
        conformance::run(|| {
            let place = Arc::new(MemoryBackend::new());
            let idempotent = [
                Operation::Get,
                Operation::GetRange,
                Operation::Put,
                Operation::Delete,
            ];
            let faults = Faults::new(place)
                .rule(Rule::new(TIMEOUT).on(&idempotent).every(3))
                .rule(
                    Rule::new(LOST)
                        .on(&[Operation::Size, Operation::List])
                        .every(2),
                );
            // Sixteen threads share the faults, so that one of them may meet several in a row.
            let options = RetryOptions {
                tries_max: 1000,
                first_tries_max: 1000,
                ..quick()
            };
            Box::new(Retry::new(Arc::new(faults), options))
        });
    }

    #[test]
    fn every_operation_is_tried_again() {
        let (place, retry) = retry(Rule::new(TIMEOUT).every(2));
        for _ in 0..2 {
            assert_eq!(retry.get("a").unwrap(), b"1");
            assert_eq!(retry.get_range("a", 0, 1).unwrap(), b"1");
            assert_eq!(retry.size("a").unwrap(), Some(1));
            retry.put("b", b"2").unwrap();
            assert_eq!(names(&retry, ""), ["a", "b"]);
            retry.delete("b").unwrap();
        }
        assert!(retry.retries() >= 6);
        assert_eq!(place.objects().len(), 1);
    }

    #[test]
    fn it_gives_up_after_the_last_try() {
        let (_, retry) = retry(Rule::new(TIMEOUT).times(u64::MAX));
        assert_eq!(retry.get("a").unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(retry.retries(), 3);
    }

    #[test]
    fn a_place_that_never_answered_is_given_up_sooner() {
        let (_, unknown) = retry(Rule::new(TIMEOUT).times(u64::MAX));
        let options = RetryOptions {
            first_tries_max: 2,
            ..quick()
        };
        let unknown = Retry {
            options: options.clone(),
            ..unknown
        };
        unknown.get("a").unwrap_err();
        assert_eq!(unknown.retries(), 1);
        let (_, known) = retry(Rule::new(TIMEOUT).after(1).times(u64::MAX));
        let known = Retry { options, ..known };
        known.get("a").unwrap();
        known.get("a").unwrap_err();
        assert_eq!(known.retries(), 3);
    }

    #[test]
    fn other_errors_are_final() {
        let (_, denied) = retry(Rule::new(Fault::Before(io::ErrorKind::PermissionDenied)));
        assert_eq!(denied.get("a").unwrap_err().kind(), ErrorKind::Denied);
        let (_, absent) = retry(Rule::new(Fault::Absent));
        assert_eq!(absent.get("a").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(denied.retries() + absent.retries(), 0);
    }

    #[test]
    fn a_create_that_was_not_stored_is_created_by_the_next_try() {
        let (place, retry) = retry(Rule::new(TIMEOUT));
        assert_eq!(retry.put_if_absent("b", b"2").unwrap(), Put::Created);
        assert_eq!(place.get("b").unwrap(), b"2");
        assert_eq!(retry.put_if_absent("b", b"3").unwrap(), Put::Exists);
    }

    #[test]
    fn a_create_with_a_lost_answer_never_says_that_another_was_first() {
        let (place, retry) = retry(Rule::new(LOST));
        let error = retry.put_if_absent("b", b"2").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(place.get("b").unwrap(), b"2");
    }

    #[test]
    fn a_listing_tried_again_repeats_nothing() {
        let (place, retry) = retry(Rule::new(LOST).on(&[Operation::List]));
        place.put("b", b"2").unwrap();
        // It would panic at a name listed twice.
        assert_eq!(names(&retry, ""), ["a", "b"]);
        assert_eq!(retry.retries(), 1);
    }

    #[test]
    fn an_error_of_the_caller_ends_a_listing() {
        let (_, retry) = retry(Rule::new(TIMEOUT).after(u64::MAX));
        let mut calls = 0;
        let listing = retry.list("", &mut |_| {
            calls += 1;
            Err(Error::new(ErrorKind::Unavailable, Subject::None))
        });
        assert!(listing.is_err());
        assert_eq!((calls, retry.retries()), (1, 0));
    }

    #[test]
    fn pauses_grow_within_bounds() {
        let options = RetryOptions {
            tries_max: 9,
            pause_ms: 100,
            pause_ms_max: 1000,
            first_tries_max: 9,
        };
        let retry = Retry::new(Arc::new(MemoryBackend::new()), options);
        let bounds = [
            (1, 50..=100),
            (2, 100..=200),
            (4, 400..=800),
            (5, 500..=1000),
            (99, 500..=1000),
        ];
        for (tries, bounds) in bounds {
            for _ in 0..20 {
                let pause = retry.pause(tries).unwrap().as_millis();
                assert!(bounds.contains(&pause), "{pause} ms after {tries} tries");
            }
        }
    }

    #[test]
    fn an_interrupt_ends_a_pause() {
        let interrupt = Arc::new(Interrupt::new());
        let (_, retry) = retry(Rule::new(TIMEOUT).times(u64::MAX));
        let options = RetryOptions {
            tries_max: 9,
            pause_ms: 3_600_000,
            pause_ms_max: 3_600_000,
            first_tries_max: 9,
        };
        let setter = interrupt.clone();
        let retry = Retry { options, ..retry }
            .interrupted_by(move || interrupt.check())
            .notifying(move |_, _| setter.set());
        assert_eq!(retry.get("a").unwrap_err().kind(), ErrorKind::Interrupted);
    }

    #[test]
    fn whoever_listens_hears_of_every_pause() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (_, retry) = retry(Rule::new(TIMEOUT).times(2));
        let listener = heard.clone();
        let retry = retry.notifying(move |error, _| listener.lock().unwrap().push(error.kind()));
        retry.get("a").unwrap();
        assert_eq!(*heard.lock().unwrap(), [ErrorKind::Unavailable; 2]);
    }
}
