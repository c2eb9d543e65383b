//! Makes a good place fail, on demand and in a way that can be repeated.

use super::odds::Strike;
use super::{Fault, Odds, Operation, Rule};
use crate::backend::{Backend, Limits, Listed, Put};
use crate::error::{Error, ErrorKind, Result, Subject};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Called for each call that goes wrong, before it does.
type Notify = Box<dyn Fn(Operation, &str, Fault) + Send + Sync>;

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    odds: Option<Odds>,
    calls: u64,
    writes: u64,
    struck: u64,
    crashed: bool,
}

/// A place with faults. The same calls in the same order have the same faults.
///
/// A test of crashes runs an operation through `Faults::crash(place, k)` for every `k` until
/// [`crashed`](Faults::crashed) stays false, and looks at the place after each.
pub struct Faults {
    inner: Arc<dyn Backend>,
    notify: Option<Notify>,
    state: Mutex<State>,
}

impl Faults {
    /// No faults yet, only counts.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self {
            inner,
            notify: None,
            state: Mutex::default(),
        }
    }

    /// A process that ends right before its `write`-th change of the place (from 0).
    pub fn crash_before(inner: Arc<dyn Backend>, write: u64) -> Self {
        Self::new(inner).rule(Rule::write(Fault::CrashBefore).after(write))
    }

    /// A process that ends right after its `write`-th change of the place (from 0).
    pub fn crash_after(inner: Arc<dyn Backend>, write: u64) -> Self {
        Self::new(inner).rule(Rule::write(Fault::CrashAfter).after(write))
    }

    /// Adds a rule; of several that mean the same call the first one strikes.
    pub fn rule(self, rule: Rule) -> Self {
        self.lock().rules.push(rule);
        self
    }

    /// Calls that no rule means go wrong as `odds` have it.
    pub fn odds(self, odds: Odds) -> Self {
        self.lock().odds = Some(odds);
        self
    }

    /// Calls `notify` for each call that goes wrong, from the caller's thread.
    pub fn notifying(
        mut self,
        notify: impl Fn(Operation, &str, Fault) + Send + Sync + 'static,
    ) -> Self {
        self.notify = Some(Box::new(notify));
        self
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Calls so far that change the place, failed ones too.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Faults so far.
    pub fn struck(&self) -> u64 {
        self.lock().struck
    }

    /// Whether the process ended by a rule.
    pub fn crashed(&self) -> bool {
        self.lock().crashed
    }

    /// Forgets all rules and odds; a crash stays.
    pub fn calm(&self) {
        let mut state = self.lock();
        state.rules.clear();
        state.odds = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    /// The fault of the next call.
    fn draw(&self, operation: Operation, name: &str) -> Result<(Option<Strike>, Duration)> {
        let mut state = self.lock();
        if state.crashed {
            return Err(Error::interrupted());
        }
        state.calls += 1;
        state.writes += u64::from(operation.writes());
        let mut fault = None;
        for rule in &mut state.rules {
            if rule.strikes(operation, name) {
                fault = fault.or(Some(rule.fault));
            }
        }
        let ruled = fault.map(|fault| Strike { fault, spot: None });
        let odds = state.odds.as_mut();
        let latency = odds.as_ref().map_or(Duration::ZERO, |odds| odds.latency());
        let strike = ruled.or_else(|| odds?.draw(operation, name));
        state.struck += u64::from(strike.is_some());
        state.crashed = strike.is_some_and(|strike| strike.fault == Fault::CrashBefore);
        Ok((strike, latency))
    }

    /// Draws a fault and makes the call; those faults that concern what it does are left to `effect`.
    fn call<T>(
        &self,
        operation: Operation,
        name: &str,
        effect: impl FnOnce(Option<Strike>) -> Result<T>,
    ) -> Result<T> {
        let (strike, latency) = self.draw(operation, name)?;
        if let (Some(strike), Some(notify)) = (&strike, &self.notify) {
            notify(operation, name, strike.fault);
        }
        if !latency.is_zero() {
            std::thread::sleep(latency);
        }
        match strike.map(|strike| strike.fault) {
            Some(Fault::Before(kind)) => Err(failed(name, kind.into())),
            Some(Fault::After(kind)) => effect(None).and_then(|_| Err(failed(name, kind.into()))),
            Some(Fault::Eio) => {
                let spot = strike.and_then(|strike| strike.spot);
                if operation.writes() && spot.is_some_and(|spot| spot % 2 == 1) {
                    effect(None)?;
                }
                let code = rustix::io::Errno::IO.raw_os_error();
                Err(failed(name, io::Error::from_raw_os_error(code)))
            }
            Some(Fault::Slow(wait)) => {
                std::thread::sleep(wait);
                effect(None)
            }
            Some(Fault::CrashBefore) => Err(Error::interrupted()),
            Some(Fault::CrashAfter) => {
                let result = effect(None);
                self.lock().crashed = true;
                result.and_then(|_| Err(Error::interrupted()))
            }
            _ => effect(strike),
        }
    }

    fn read(
        &self,
        operation: Operation,
        name: &str,
        read: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        self.call(operation, name, |strike| {
            let Some(strike) = strike else { return read() };
            if strike.fault == Fault::Absent {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    Subject::Object(name.to_owned()),
                ));
            }
            let mut bytes = read()?;
            let at = strike.place_in(bytes.len());
            match strike.fault {
                Fault::Truncated => bytes.truncate(at),
                Fault::Flipped if !bytes.is_empty() => bytes[at] ^= strike.bit(),
                _ => {}
            }
            Ok(bytes)
        })
    }
}

fn failed(name: &str, cause: io::Error) -> Error {
    Error::io(Subject::Object(name.to_owned()), cause)
}

/// What a put or a listing that breaks off in the middle answers.
fn broken_off(name: &str) -> Error {
    failed(name, io::ErrorKind::ConnectionReset.into())
}

impl Strike {
    /// Which of so many bytes, or objects; the middle one if not drawn.
    fn place_in(self, len: usize) -> usize {
        let drawn = |spot: u64| (spot >> 8) % (len as u64).max(1);
        self.spot.map_or(len / 2, |spot| drawn(spot) as usize)
    }

    /// Which bit of the byte.
    fn bit(self) -> u8 {
        self.spot.map_or(1, |spot| 1 << (spot % 8))
    }
}

impl Backend for Faults {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        self.read(Operation::Get, name, || self.inner.get(name))
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        self.read(Operation::GetRange, name, || {
            self.inner.get_range(name, offset, len)
        })
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        self.call(Operation::Put, name, |strike| match strike {
            Some(Strike {
                fault: Fault::Ignored,
                ..
            }) => Ok(()),
            Some(strike) if strike.fault == Fault::Torn => {
                let bytes = parts.concat();
                self.inner
                    .put(name, &bytes[..strike.place_in(bytes.len())])?;
                Err(broken_off(name))
            }
            _ => self.inner.put_parts(name, parts),
        })
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        self.call(Operation::PutIfAbsent, name, |strike| match strike {
            Some(Strike {
                fault: Fault::Ignored,
                ..
            }) => Ok(Put::Created),
            Some(Strike {
                fault: Fault::Refused,
                ..
            }) => {
                self.inner.put_if_absent(name, bytes)?;
                Ok(Put::Exists)
            }
            Some(strike) if strike.fault == Fault::Torn => {
                let part = &bytes[..strike.place_in(bytes.len())];
                self.inner.put_if_absent(name, part)?;
                Err(broken_off(name))
            }
            _ => self.inner.put_if_absent(name, bytes),
        })
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.call(Operation::List, prefix, |strike| {
            let Some(strike) = strike else {
                return self.inner.list(prefix, each);
            };
            let mut all = Vec::new();
            self.inner.list(prefix, &mut |listed| {
                all.push(listed);
                Ok(())
            })?;
            let end = strike.place_in(all.len());
            match strike.fault {
                Fault::Absent => Ok(()),
                Fault::Truncated => all.into_iter().step_by(2).try_for_each(each),
                Fault::BrokenOff => {
                    all.into_iter().take(end).try_for_each(each)?;
                    Err(broken_off(prefix))
                }
                _ => all.into_iter().try_for_each(each),
            }
        })
    }

    fn list_strangers(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.inner.list_strangers(each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.call(Operation::Delete, name, |strike| match strike {
            Some(Strike {
                fault: Fault::Ignored,
                ..
            }) => Ok(()),
            _ => self.inner.delete(name),
        })
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        self.call(Operation::Size, name, |strike| match strike {
            Some(Strike {
                fault: Fault::Absent,
                ..
            }) => Ok(None),
            _ => self.inner.size(name),
        })
    }
}
