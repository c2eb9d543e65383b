//! Makes a good place fail, on demand and in a way that can be repeated.

use super::{Fault, Operation, Rule};
use crate::backend::{Backend, Limits, Listed, Put, random};
use crate::error::{Error, ErrorKind, Result, Subject};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// Faults drawn by chance.
struct Chance {
    state: u64,
    per_mille: u64,
    faults: Vec<Fault>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    chance: Option<Chance>,
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
    state: Mutex<State>,
}

impl Faults {
    /// No faults yet, only counts.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self {
            inner,
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

    /// Gives `per_mille` of a thousand calls a fault drawn from `faults`, in an order fixed by `seed`.
    pub fn chance(self, seed: u64, per_mille: u64, faults: &[Fault]) -> Self {
        self.lock().chance = Some(Chance {
            state: seed,
            per_mille,
            faults: faults.to_vec(),
        });
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

    /// Forgets all rules and chances; a crash stays.
    pub fn calm(&self) {
        let mut state = self.lock();
        state.rules.clear();
        state.chance = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    /// The fault of the next call.
    fn draw(&self, operation: Operation, name: &str) -> Result<Option<Fault>> {
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
        if let (None, Some(chance)) = (fault, &mut state.chance) {
            let fitting: Vec<Fault> = chance
                .faults
                .iter()
                .copied()
                .filter(|fault| fault.fits(operation))
                .collect();
            if random::next(&mut chance.state) % 1000 < chance.per_mille && !fitting.is_empty() {
                let drawn = random::next(&mut chance.state) % fitting.len() as u64;
                fault = Some(fitting[drawn as usize]);
            }
        }
        state.struck += u64::from(fault.is_some());
        state.crashed = fault == Some(Fault::CrashBefore);
        Ok(fault)
    }

    /// Draws a fault and makes the call; those faults that concern what it does are left to `effect`.
    fn call<T>(
        &self,
        operation: Operation,
        name: &str,
        effect: impl FnOnce(Option<Fault>) -> Result<T>,
    ) -> Result<T> {
        let failed = |kind: io::ErrorKind| Error::io(Subject::Object(name.to_owned()), kind.into());
        match self.draw(operation, name)? {
            Some(Fault::Before(kind)) => Err(failed(kind)),
            Some(Fault::After(kind)) => effect(None).and_then(|_| Err(failed(kind))),
            Some(Fault::CrashBefore) => Err(Error::interrupted()),
            Some(Fault::CrashAfter) => {
                let result = effect(None);
                self.lock().crashed = true;
                result.and_then(|_| Err(Error::interrupted()))
            }
            other => effect(other),
        }
    }

    fn read(
        &self,
        operation: Operation,
        name: &str,
        read: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        self.call(operation, name, |fault| {
            if fault == Some(Fault::Absent) {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    Subject::Object(name.to_owned()),
                ));
            }
            let mut bytes = read()?;
            let middle = bytes.len() / 2;
            match fault {
                Some(Fault::Truncated) => bytes.truncate(middle),
                Some(Fault::Flipped) if !bytes.is_empty() => bytes[middle] ^= 1,
                _ => {}
            }
            Ok(bytes)
        })
    }
}

/// What a put that breaks off in the middle answers.
fn torn(name: &str) -> Error {
    let cause = io::Error::from(io::ErrorKind::ConnectionReset);
    Error::io(Subject::Object(name.to_owned()), cause)
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
        self.call(Operation::Put, name, |fault| match fault {
            Some(Fault::Ignored) => Ok(()),
            Some(Fault::Torn) => {
                let bytes = parts.concat();
                self.inner.put(name, &bytes[..bytes.len() / 2])?;
                Err(torn(name))
            }
            _ => self.inner.put_parts(name, parts),
        })
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        self.call(Operation::PutIfAbsent, name, |fault| match fault {
            Some(Fault::Ignored) => Ok(Put::Created),
            Some(Fault::Torn) => {
                self.inner.put_if_absent(name, &bytes[..bytes.len() / 2])?;
                Err(torn(name))
            }
            _ => self.inner.put_if_absent(name, bytes),
        })
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.call(Operation::List, prefix, |fault| {
            let mut number = 0u64;
            self.inner.list(prefix, &mut |listed| {
                number += 1;
                match fault {
                    Some(Fault::Absent) => Ok(()),
                    Some(Fault::Truncated) if number.is_multiple_of(2) => Ok(()),
                    _ => each(listed),
                }
            })
        })
    }

    fn list_strangers(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.inner.list_strangers(each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.call(Operation::Delete, name, |fault| match fault {
            Some(Fault::Ignored) => Ok(()),
            _ => self.inner.delete(name),
        })
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        self.call(Operation::Size, name, |fault| match fault {
            Some(Fault::Absent) => Ok(None),
            _ => self.inner.size(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::MemoryBackend;
    use crate::backend::conformance::{self, names};

    const EIO: Fault = Fault::Before(io::ErrorKind::Other);
    const FULL: Fault = Fault::Before(io::ErrorKind::StorageFull);

    fn place() -> (MemoryBackend, Arc<dyn Backend>) {
        let place = MemoryBackend::new();
        place.put("data/1", b"1234").unwrap();
        place.put("log/1", b"5678").unwrap();
        (place.clone(), Arc::new(place))
    }

    #[test]
    fn conforms_without_rules() {
        conformance::run(|| Box::new(Faults::new(Arc::new(MemoryBackend::new()))));
    }

    #[test]
    fn a_rule_strikes_the_calls_it_means() {
        let (_, inner) = place();
        let rule = Rule::new(EIO)
            .on(&[Operation::Get])
            .kind("data")
            .after(1)
            .times(2);
        let faults = Faults::new(inner).rule(rule);
        let mut outcomes = Vec::new();
        for _ in 0..5 {
            faults.get("log/1").unwrap();
            faults.size("data/1").unwrap();
            outcomes.push(faults.get("data/1").map_err(|error| error.kind()).is_ok());
        }
        assert_eq!(outcomes, [true, false, false, true, true]);
        assert_eq!(
            (faults.calls(), faults.writes(), faults.struck()),
            (15, 0, 2)
        );
    }

    #[test]
    fn effects_come_before_a_lost_answer_and_not_after_a_failure() {
        let (place, inner) = place();
        let lost = Fault::After(io::ErrorKind::TimedOut);
        let faults = Faults::new(inner)
            .rule(Rule::write(FULL))
            .rule(Rule::write(lost).after(1));
        assert_eq!(
            faults.put("data/2", b"x").unwrap_err().kind(),
            ErrorKind::Unavailable
        );
        assert_eq!(place.size("data/2").unwrap(), None);
        assert!(faults.put_if_absent("data/3", b"x").is_err());
        assert_eq!(place.get("data/3").unwrap(), b"x");
        faults.delete("data/3").unwrap();
        assert_eq!(place.size("data/3").unwrap(), None);
    }

    #[test]
    fn after_a_crash_nothing_works() {
        for (before, stored) in [(true, 1), (false, 2)] {
            let (place, inner) = place();
            let faults = match before {
                true => Faults::crash_before(inner, 1),
                false => Faults::crash_after(inner, 1),
            };
            faults.put("new/1", b"").unwrap();
            assert!(!faults.crashed());
            assert_eq!(
                faults.put("new/2", b"").unwrap_err().kind(),
                ErrorKind::Interrupted
            );
            assert!(faults.crashed());
            assert_eq!(
                faults.get("data/1").unwrap_err().kind(),
                ErrorKind::Interrupted
            );
            assert_eq!(
                faults.put("new/3", b"").unwrap_err().kind(),
                ErrorKind::Interrupted
            );
            let new = place
                .objects()
                .into_keys()
                .filter(|name| name.starts_with("new"))
                .count();
            assert_eq!(new, stored);
        }
    }

    #[test]
    fn reads_lie_on_demand() {
        let (_, inner) = place();
        let read = |fault| Faults::new(inner.clone()).rule(Rule::new(fault).times(u64::MAX));
        assert_eq!(read(Fault::Truncated).get("data/1").unwrap(), b"12");
        assert_eq!(
            read(Fault::Truncated).get_range("data/1", 2, 2).unwrap(),
            b"3"
        );
        assert_eq!(read(Fault::Flipped).get("data/1").unwrap(), b"1224");
        let absent = read(Fault::Absent);
        assert_eq!(
            absent.get("data/1").unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            absent.get_range("data/1", 0, 1).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(absent.size("data/1").unwrap(), None);
        assert!(names(&absent, "").is_empty());
        assert_eq!(names(&read(Fault::Truncated), "").len(), 1);
    }

    #[test]
    fn writes_lie_on_demand() {
        let (place, inner) = place();
        let faults = Faults::new(inner.clone()).rule(Rule::new(Fault::Ignored).times(3));
        faults.delete("data/1").unwrap();
        faults.put("data/2", b"x").unwrap();
        assert_eq!(faults.put_if_absent("data/3", b"x").unwrap(), Put::Created);
        assert_eq!(place.objects().len(), 2);
        faults.delete("data/1").unwrap();
        assert_eq!(place.objects().len(), 1);

        let torn = Faults::new(inner).rule(Rule::new(Fault::Torn).times(2));
        assert_eq!(
            torn.put("data/4", b"1234").unwrap_err().kind(),
            ErrorKind::Unavailable
        );
        assert_eq!(place.get("data/4").unwrap(), b"12");
        assert!(torn.put_if_absent("log/2", b"1234").is_err());
        assert_eq!(place.get("log/2").unwrap(), b"12");
    }

    #[test]
    fn a_seed_fixes_the_faults() {
        let run = |seed| {
            let (_, inner) = place();
            let faults =
                Faults::new(inner).chance(seed, 300, &[EIO, Fault::Absent, Fault::Ignored]);
            let outcomes: Vec<bool> = (0..100).map(|_| faults.get("data/1").is_ok()).collect();
            (outcomes, faults.struck())
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!((15..=45).contains(&run(1).1), "{}", run(1).1);
    }

    #[test]
    fn calm_ends_the_faults_but_no_crash() {
        let (_, inner) = place();
        let faults = Faults::new(inner.clone()).rule(Rule::new(EIO).times(u64::MAX));
        assert!(faults.get("data/1").is_err());
        faults.calm();
        faults.get("data/1").unwrap();
        let crashed = Faults::crash_before(inner, 0);
        crashed.delete("data/1").unwrap_err();
        crashed.calm();
        assert!(crashed.get("data/1").is_err());
    }
}
