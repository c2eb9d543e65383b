//! How often calls go wrong by chance, and how.

use super::{Fault, Operation, first_part};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::io::ErrorKind as Io;
use std::time::Duration;

const PUTS: &[Operation] = &[Operation::Put, Operation::PutIfAbsent];
const CREATES: &[Operation] = &[Operation::PutIfAbsent];
const READS: &[Operation] = &[Operation::Get, Operation::GetRange];
const LISTS: &[Operation] = &[Operation::List];
const DELETES: &[Operation] = &[Operation::Delete];

/// How long a slow call waits.
const SLOW: Duration = Duration::from_secs(1);

/// A fault as users name it.
struct Known {
    name: &'static str,
    fault: Fault,
    /// Only these operations have it; empty means all that can.
    on: &'static [Operation],
    /// So many calls of a kind have it one after another.
    row: u64,
}

const fn known(name: &'static str, fault: Fault, on: &'static [Operation], row: u64) -> Known {
    Known {
        name,
        fault,
        on,
        row,
    }
}

/// All that can be asked for by name.
const KNOWN: [Known; 15] = [
    known("timeout", Fault::Before(Io::TimedOut), &[], 1),
    known("lost", Fault::After(Io::TimedOut), &[], 1),
    known("busy", Fault::Before(Io::ResourceBusy), &[], 4),
    known("conflict", Fault::Before(Io::ResourceBusy), CREATES, 4),
    known("refused", Fault::Refused, CREATES, 1),
    known("denied", Fault::Before(Io::PermissionDenied), &[], 1),
    known("full", Fault::Before(Io::StorageFull), PUTS, 8),
    known("eio", Fault::Eio, &[], 1),
    known("torn", Fault::Torn, PUTS, 1),
    known("slow", Fault::Slow(SLOW), &[], 1),
    known("broken", Fault::BrokenOff, LISTS, 1),
    known("short", Fault::Truncated, READS, 1),
    known("flip", Fault::Flipped, READS, 1),
    known("stale", Fault::Absent, &[], 1),
    known("undeleted", Fault::Ignored, DELETES, 1),
];

/// A listing that leaves things out and says that it was all. Nobody can ask for it by name: no place does it that works at all.
const HIDDEN: Known = known("hidden", Fault::Truncated, LISTS, 1);

/// What places of a kind do to those who use them, in thousandths of all calls.
const PLACES: [(&str, &[(&str, u32)]); 4] = [
    ("local", &[("full", 5), ("eio", 3)]),
    (
        "s3",
        &[
            ("timeout", 5),
            ("lost", 10),
            ("busy", 5),
            ("conflict", 10),
            ("refused", 20),
            ("broken", 20),
        ],
    ),
    (
        "sftp",
        &[
            ("timeout", 5),
            ("lost", 10),
            ("torn", 10),
            ("full", 3),
            ("broken", 20),
        ],
    ),
    (
        "lying",
        &[("stale", 3), ("short", 3), ("flip", 3), ("undeleted", 200)],
    ),
];

/// One fault and how often it comes.
#[derive(Debug, Clone)]
struct Rate {
    fault: Fault,
    on: Vec<Operation>,
    row: u64,
    per_mille: u32,
}

/// How often calls go wrong by chance, and how; all of it is fixed by a seed.
///
/// What becomes of a call hangs on the seed, the operation, the kind of the object (of a log entry and of a checkpoint on its number
/// too), and on how many such calls went before. The rest of a name is another one in each run, and what other threads ask
/// meanwhile comes in any order: neither counts. So a run that does the same has the same faults.
#[derive(Debug, Clone)]
pub struct Odds {
    seed: u64,
    rates: Vec<Rate>,
    latency: Duration,
    /// Such calls so far.
    calls: HashMap<(Operation, String), u64>,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strike {
    pub fault: Fault,
    /// Where in the object; nowhere in particular if not drawn.
    pub spot: Option<u64>,
}

impl Odds {
    /// No faults yet.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rates: Vec::new(),
            latency: Duration::ZERO,
            calls: HashMap::new(),
        }
    }

    /// Reads settings such as `seed=7,place=s3,lost=20,latency=50`: faults with so many thousandths of the calls that can have them,
    /// those of a kind of place, and how many milliseconds each call takes. Later ones go before.
    ///
    /// `InvalidInput` with a detail for what is not known.
    pub fn parse(text: &str) -> Result<Self> {
        let mut odds = Self::new(0);
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if name == "place" {
                odds = odds.of_place(value)?;
                continue;
            }
            let number = value.parse::<u64>();
            let number = number.map_err(|_| invalid(format!("{name} needs a number")))?;
            match name {
                "seed" => odds.seed = number,
                "latency" => odds.latency = Duration::from_millis(number.min(60_000)),
                _ => odds = odds.named(name, u32::try_from(number.min(1000)).unwrap_or(1000))?,
            }
        }
        Ok(odds)
    }

    /// What places of a kind do to those who use them: `local`, `s3`, `sftp`, and `lying`, which no place may do.
    pub fn of_place(self, place: &str) -> Result<Self> {
        let Some((_, rates)) = PLACES.iter().find(|(name, _)| *name == place) else {
            let names = PLACES.map(|(name, _)| name).join(", ");
            return Err(invalid(format!("place needs one of {names}")));
        };
        let add = |odds: Self, (name, per_mille): &(&str, u32)| odds.named(name, *per_mille);
        rates.iter().try_fold(self, add)
    }

    /// `per_mille` of a thousand calls that can have it get the fault of this name.
    fn named(self, name: &str, per_mille: u32) -> Result<Self> {
        match KNOWN.iter().find(|known| known.name == name) {
            Some(known) => Ok(self.rate(known, per_mille)),
            None => {
                let names = KNOWN.map(|known| known.name).join(", ");
                Err(invalid(format!(
                    "{name} is not known; there are seed, place, latency, {names}"
                )))
            }
        }
    }

    fn rate(mut self, known: &Known, per_mille: u32) -> Self {
        self.rates
            .retain(|rate| rate.fault != known.fault || rate.on != known.on);
        self.rates.push(Rate {
            fault: known.fault,
            on: known.on.to_vec(),
            row: known.row,
            per_mille,
        });
        self
    }

    /// `per_mille` of a thousand listings leave every second object out.
    pub fn hidden(self, per_mille: u32) -> Self {
        self.rate(&HIDDEN, per_mille)
    }

    /// `per_mille` of a thousand calls that can have `fault` get it.
    pub fn with(mut self, fault: Fault, per_mille: u32) -> Self {
        self.rates.push(Rate {
            fault,
            on: Vec::new(),
            row: 1,
            per_mille,
        });
        self
    }

    /// As many times as often.
    pub fn times(mut self, factor: u32) -> Self {
        for rate in &mut self.rates {
            rate.per_mille = rate.per_mille.saturating_mul(factor);
        }
        self
    }

    /// How long each call takes at least.
    pub(super) fn latency(&self) -> Duration {
        self.latency
    }

    /// What happens to the next call.
    pub(super) fn draw(&mut self, operation: Operation, name: &str) -> Option<Strike> {
        let shape = shape(name);
        let count = self.calls.entry((operation, shape.to_owned())).or_default();
        let number = *count;
        *count += 1;
        let strikes = |(at, rate): &(usize, &Rate)| {
            let fits =
                rate.fault.fits(operation) && (rate.on.is_empty() || rate.on.contains(&operation));
            let window = number / rate.row;
            fits && self.number(operation, shape, *at as u64, window) % 1000
                < u64::from(rate.per_mille)
        };
        let (_, rate) = self.rates.iter().enumerate().find(strikes)?;
        Some(Strike {
            fault: rate.fault,
            spot: Some(self.number(operation, shape, u64::MAX, number)),
        })
    }

    /// A number that nothing but these fixes.
    fn number(&self, operation: Operation, shape: &str, of: u64, nth: u64) -> u64 {
        let mut hasher = blake3::Hasher::new();
        for part in [self.seed, operation as u64, of, nth] {
            hasher.update(&part.to_le_bytes());
        }
        hasher.update(shape.as_bytes());
        let mut bytes = [0; 8];
        hasher.finalize_xof().fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// What of a name is the same in another run that does the same.
fn shape(name: &str) -> &str {
    match first_part(name) {
        "log" | "checkpoints" => name.split('-').next().unwrap_or(name),
        kind => kind,
    }
}

fn invalid(detail: String) -> Error {
    Error::invalid("faults").detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn struck(odds: &mut Odds, operation: Operation, names: &[&str]) -> Vec<Option<Strike>> {
        let drawn = names.iter().map(|name| odds.draw(operation, name));
        drawn.collect()
    }

    #[test]
    fn neither_ids_nor_other_calls_change_what_happens() {
        let odds = Odds::parse("seed=7,timeout=300,flip=300").unwrap();
        let (mut one, mut other) = (odds.clone(), odds);
        let names = |ids: &str| -> Vec<String> {
            let made = (0..200).map(|n| format!("data/{ids}/{ids}{n}"));
            made.collect()
        };
        let (first, second) = (names("3f"), names("a0"));
        let drawn = |odds: &mut Odds, names: &[String], noisy: bool| -> Vec<Option<Strike>> {
            let each = names.iter().map(|name| {
                if noisy {
                    odds.draw(Operation::List, "data");
                    odds.draw(Operation::Get, "log/0/1");
                }
                odds.draw(Operation::Get, name)
            });
            each.collect()
        };
        let quiet = drawn(&mut one, &first, false);
        assert_eq!(quiet, drawn(&mut other, &second, true));
        let strikes = quiet.iter().flatten().count();
        assert!((60..140).contains(&strikes), "{strikes}");
        let mut third = Odds::parse("seed=8,timeout=300,flip=300").unwrap();
        assert_ne!(quiet, drawn(&mut third, &first, false));
    }

    #[test]
    fn entries_differ_by_number_and_not_by_nonce() {
        let odds = Odds::parse("timeout=500").unwrap();
        let number = |n: u64| format!("log/0/{n}");
        let drawn = |suffix: &str| -> Vec<bool> {
            let mut odds = odds.clone();
            let each = (0..40).map(|n| {
                let name = format!("{}{suffix}", number(n));
                odds.draw(Operation::Get, &name).is_some()
            });
            each.collect()
        };
        assert_eq!(drawn(""), drawn("-00ff"));
        assert!(drawn("").contains(&true) && drawn("").contains(&false));
    }

    #[test]
    fn what_comes_in_storms_comes_again() {
        let mut odds = Odds::parse("busy=200").unwrap();
        let drawn = struck(&mut odds, Operation::Get, &["config"; 400]);
        let rows: Vec<usize> = drawn
            .chunks(4)
            .map(|row| row.iter().flatten().count())
            .collect();
        assert!(
            rows.iter().all(|struck| [0, 4].contains(struck)),
            "{rows:?}"
        );
        assert!(rows.contains(&0) && rows.contains(&4));
    }

    #[test]
    fn a_fault_strikes_only_what_can_have_it() {
        let mut odds = Odds::parse("conflict=1000,undeleted=1000,full=1000").unwrap();
        for operation in [Operation::Get, Operation::List, Operation::Size] {
            assert_eq!(odds.draw(operation, "config"), None);
        }
        let mut fault = |operation| odds.draw(operation, "config").map(|strike| strike.fault);
        assert_eq!(fault(Operation::Delete), Some(Fault::Ignored));
        assert_eq!(fault(Operation::Put), Some(Fault::Before(Io::StorageFull)));
        let conflict = Some(Fault::Before(Io::ResourceBusy));
        assert_eq!(fault(Operation::PutIfAbsent), conflict);
    }

    #[test]
    fn settings_are_read_and_what_is_wrong_is_named() {
        for (name, _) in PLACES {
            let odds = Odds::parse(&format!("place={name}, lost=7,latency=5")).unwrap();
            assert_eq!(odds.latency(), Duration::from_millis(5));
            let lost = odds
                .rates
                .iter()
                .filter(|rate| rate.fault == Fault::After(Io::TimedOut));
            assert_eq!(lost.map(|rate| rate.per_mille).collect::<Vec<_>>(), [7]);
        }
        for (wrong, says) in [
            ("lost", "lost needs a number"),
            ("lost=x", "lost needs a number"),
            ("place=moon", "local, s3, sftp, lying"),
            ("hidden=1", "hidden is not known"),
        ] {
            let error = Odds::parse(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
