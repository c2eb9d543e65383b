//! Finds out by trying whether a place keeps its promise of put-if-absent.
//!
//! What a place documents does not count: Garage 2.5 answers 200 to every one of eight racing `If-None-Match: *` puts,
//! DigitalOcean Spaces was reported to ignore `If-Match`.

use super::{Backend, Put, name, put_if_absent_or_same, random};
use crate::error::{Error, ErrorKind, Result, Subject};
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Builder;

/// What put-if-absent is worth in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub enum Class {
    /// Atomic: of any number of writers exactly one creates an object, and nobody sees part of it.
    A,
    /// Nothing: it writes, whatever was there.
    C,
}

/// How many creates [`race`] lets loose on one name where it does so once.
const RACERS: usize = 16;

/// How often [`class`] asks if no answer comes.
const TRIES_MAX: u32 = 3;

/// Puts `bytes` with put-if-absent onto `name`, an object that is there and holds exactly these bytes; anything but a
/// refusal means class C.
///
/// On a class C place this rewrites the object with its own bytes. One call, up to three if no answer comes: asking again
/// changes nothing. Errors of the place are passed on, for they say nothing about it, except `Unsupported`, which means
/// class C.
pub fn class(backend: &dyn Backend, name: &str, bytes: &[u8]) -> Result<Class> {
    let mut tries = 1;
    loop {
        match backend.put_if_absent(name, bytes) {
            Ok(Put::Exists) => return Ok(Class::A),
            Ok(Put::Created) => return Ok(Class::C),
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(Class::C),
            Err(error) if error.kind() == ErrorKind::Unavailable && tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Lets many writers create one fresh object below `prefix` (empty: at the top), reads it back and deletes it; does so as many
/// times, each with another name, as the backend's limits ask for.
///
/// Class A needs exactly one `Created` each time, and the winner's bytes read back. Sixteen writers where one race is enough, and
/// as many threads as the backend's limits allow, at most sixteen, or as can be started; elsewhere as many writers as threads. A
/// writer without an answer looks what stands there; of one that cannot, or another error of the place, the error is passed on after
/// the objects were deleted as far as possible. A place that cannot find what it has just stored is `Missing`.
pub fn race(backend: &dyn Backend, prefix: &str) -> Result<Class> {
    race_on(backend, prefix, &Builder::new)
}

fn race_on(backend: &dyn Backend, prefix: &str, thread: &dyn Fn() -> Builder) -> Result<Class> {
    name::check_prefix(prefix)?;
    let mut names = Vec::new();
    let outcome = race_often(backend, prefix, thread, &mut names);
    let cleaned = delete_all(backend, &names);
    let class = outcome?;
    cleaned?;
    Ok(class)
}

/// Races until one shows that it is class C. A place that looks first and then writes lets two win only now and then.
fn race_often(
    backend: &dyn Backend,
    prefix: &str,
    thread: &dyn Fn() -> Builder,
    names: &mut Vec<String>,
) -> Result<Class> {
    for _ in 0..backend.limits().races.max(1) {
        let fresh = format!("race-{:016x}{:016x}", random::fresh()?, random::fresh()?);
        let name = name::join(prefix, &fresh);
        names.push(name.clone());
        if run_race(backend, &name, thread)? == Class::C {
            return Ok(Class::C);
        }
    }
    Ok(Class::A)
}

/// Deletes as many at once as the place bears. The first error is passed on once all were tried.
fn delete_all(backend: &dyn Backend, names: &[String]) -> Result<()> {
    let threads = backend.limits().connections.clamp(1, names.len().max(1));
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut first = Ok(());
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            first = first.and(backend.delete(name));
        }
        first
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map_while(|_| Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let own = work();
        let others = others.into_iter().map(|other| other.join());
        others
            .map(|done| done.expect("delete never panics"))
            .fold(own, Result::and)
    })
}

fn run_race(backend: &dyn Backend, name: &str, thread: &dyn Fn() -> Builder) -> Result<Class> {
    let salt = random::fresh()?;
    let bytes = |racer: usize| format!("{salt:016x} {racer}").into_bytes();
    let limits = backend.limits();
    let threads = limits.connections.clamp(1, RACERS);
    let racers = match limits.races {
        0 | 1 => RACERS,
        _ => threads.max(2),
    };
    let next = AtomicUsize::new(0);
    // Held until all are there, so that they start together.
    let gate = RwLock::new(());
    let work = || -> Vec<(usize, Result<Put>)> {
        drop(gate.read());
        let claim = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&racer| racer < racers);
        std::iter::from_fn(claim)
            .map(|racer| {
                let answer = put_if_absent_or_same(backend, name, &bytes(racer));
                (racer, answer)
            })
            .collect()
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let closed = gate.write();
        let others: Vec<_> = (0..threads)
            .map_while(|_| thread().spawn_scoped(scope, work).ok())
            .collect();
        drop(closed);
        let alone = others.is_empty().then(&work);
        let others = others.into_iter().map(|racer| racer.join());
        let others = others.map(|done| done.expect("put_if_absent never panics"));
        others
            .flatten()
            .chain(alone.into_iter().flatten())
            .collect()
    });
    let mut winners = Vec::new();
    for (racer, answer) in answers {
        match answer {
            Ok(Put::Created) => winners.push(racer),
            Ok(Put::Exists) => {}
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(Class::C),
            Err(error) => return Err(error),
        }
    }
    let stored = backend.get(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::missing(Subject::Object(name.to_owned()))
            .detail("stored a moment ago and not found"),
        _ => error,
    })?;
    match winners[..] {
        [winner] if stored == bytes(winner) => Ok(Class::A),
        _ => Ok(Class::C),
    }
}

#[cfg(test)]
mod tests {
    use super::super::wrap::{Fault, Faults, Operation, Rule};
    use super::super::{MemoryBackend, MemoryOptions};
    use super::*;
    use std::io;
    use std::sync::Arc;

    fn place(class: Class, connections: usize) -> MemoryBackend {
        MemoryBackend::with(MemoryOptions {
            class,
            connections,
            ..MemoryOptions::default()
        })
    }

    #[test]
    fn a_refusal_means_class_a() {
        for expected in [Class::A, Class::C] {
            let backend = place(expected, 4);
            backend.put("log/0/1", b"entry").unwrap();
            assert_eq!(class(&backend, "log/0/1", b"entry").unwrap(), expected);
            assert_eq!(backend.get("log/0/1").unwrap(), b"entry");
        }
    }

    #[test]
    fn a_place_that_lets_several_win_is_class_c_whatever_it_keeps() {
        let ignored = Rule::new(Fault::Ignored).on(&[Operation::PutIfAbsent]);
        let place = Arc::new(place(Class::A, 1));
        let lying = Faults::new(place.clone()).rule(ignored.clone().after(1).times(1));
        assert_eq!(race(&lying, "").unwrap(), Class::C);
        let losing = Faults::new(place.clone()).rule(ignored.times(u64::MAX));
        assert_eq!(race(&losing, "").unwrap_err().kind(), ErrorKind::Missing);
        assert!(place.objects().is_empty());
    }

    #[test]
    fn a_place_that_lets_two_win_now_and_then_is_found_out_by_many_races() {
        let options = MemoryOptions {
            connections: 5,
            races: 32,
            ..MemoryOptions::default()
        };
        let place = Arc::new(MemoryBackend::with(options));
        assert_eq!(race(&*place, "").unwrap(), Class::A);
        let ignored = Rule::new(Fault::Ignored).on(&[Operation::PutIfAbsent]);
        // In the last of the races, and of five creates of one name.
        let seldom = Faults::new(place.clone()).rule(ignored.after(31 * 5 + 2).times(1));
        assert_eq!(race(&seldom, "").unwrap(), Class::C);
        assert!(place.objects().is_empty());
    }

    #[test]
    fn an_error_says_nothing_about_the_class() {
        let place = Arc::new(place(Class::A, 4));
        place.put("log/0/1", b"entry").unwrap();
        let error = Rule::new(Fault::Before(io::ErrorKind::TimedOut)).on(&[Operation::PutIfAbsent]);
        let faults = Faults::new(place.clone()).rule(error.clone().times(u64::MAX));
        assert_eq!(
            class(&faults, "log/0/1", b"entry").unwrap_err().kind(),
            ErrorKind::Unavailable
        );
        assert_eq!(
            race(&faults, "").unwrap_err().kind(),
            ErrorKind::Unavailable
        );
        let unsupported = Rule::new(Fault::Before(io::ErrorKind::Unsupported)).times(u64::MAX);
        let faults = Faults::new(place.clone()).rule(unsupported.on(&[Operation::PutIfAbsent]));
        assert_eq!(class(&faults, "log/0/1", b"entry").unwrap(), Class::C);
        assert_eq!(race(&faults, "").unwrap(), Class::C);
        assert_eq!(place.objects().len(), 1);
    }

    #[test]
    fn a_lost_answer_is_cleared_up() {
        for expected in [Class::A, Class::C] {
            for lost in 0..RACERS as u64 {
                let place = Arc::new(place(expected, 4));
                place.put("log/0/1", b"entry").unwrap();
                let rule = Rule::new(Fault::After(io::ErrorKind::TimedOut));
                let rule = rule.on(&[Operation::PutIfAbsent]).after(lost);
                let faults = Faults::new(place.clone()).rule(rule.clone());
                assert_eq!(race(&faults, "").unwrap(), expected, "answer {lost}");
                let faults = Faults::new(place.clone()).rule(rule);
                assert_eq!(class(&faults, "log/0/1", b"entry").unwrap(), expected);
                assert_eq!(place.objects().len(), 1);
            }
        }
    }

    #[test]
    fn threads_that_cannot_be_started_are_done_without() {
        for started in 0..4 {
            for expected in [Class::A, Class::C] {
                let backend = place(expected, 4);
                let asked = AtomicUsize::new(0);
                // No address space has room for such a stack.
                let thread = || match asked.fetch_add(1, Ordering::Relaxed) < started {
                    true => Builder::new(),
                    false => Builder::new().stack_size(1 << 60),
                };
                assert_eq!(race_on(&backend, "", &thread).unwrap(), expected);
                assert!(backend.objects().is_empty());
            }
        }
    }

    #[test]
    fn a_race_has_one_winner_on_class_a_only_and_leaves_nothing() {
        for connections in [1, 2, 16] {
            for expected in [Class::A, Class::C] {
                for prefix in ["", "writers"] {
                    let backend = place(expected, connections);
                    assert_eq!(race(&backend, prefix).unwrap(), expected);
                    assert!(backend.objects().is_empty());
                }
            }
        }
    }
}
